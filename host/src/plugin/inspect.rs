//! What a component is, from its own binary and its own words: nothing beside it is believed.

use serde::Serialize;

use super::{AcceptedType, PluginIdentity};

/// What is known of a component that could be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Name, version, digest and world.
    #[serde(flatten)]
    pub identity: PluginIdentity,
    /// Length of the component in bytes.
    pub size: u64,
    /// What it takes, as it says.
    pub accepts: Vec<AcceptedType>,
    /// Interfaces that it asks for; safe lines, sorted.
    pub imports: Vec<String>,
    /// Interfaces that it offers; safe lines, sorted.
    pub exports: Vec<String>,
}
