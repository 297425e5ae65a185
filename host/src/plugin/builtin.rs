//! The converters that come with the program: built from source beforehand, embedded by the build
//! script with what they say of themselves, so that choosing one compiles nothing.

use super::bindings::{World, is_cloud_world};
use super::{AcceptedType, Password};
use crate::kb::config::PAGEINDEX_THRESHOLD;
use crate::kb::{ContentHash, PluginDigest};

/// A component embedded in the program.
#[derive(Debug)]
pub(crate) struct Builtin {
    /// Its name, as its `describe` says.
    pub(crate) name: &'static str,
    /// Its version, as its `describe` says.
    pub(crate) version: &'static str,
    /// SHA-256 of `wasm`, lower-case hexadecimal.
    pub(crate) digest: &'static str,
    /// The world of the contract that it is a component of.
    pub(crate) world: &'static str,
    /// Media types with their extensions, as its `describe` says.
    pub(crate) accepts: &'static [(&'static str, &'static [&'static str])],
    /// The component.
    pub(crate) wasm: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

impl Builtin {
    /// SHA-256 of the component.
    pub(super) fn digest(&self) -> PluginDigest {
        let digest = ContentHash::from_hex(self.digest)
            .expect("the build script writes digests as 64 hexadecimal digits");
        PluginDigest(digest)
    }

    /// The component with this digest, whatever it is called.
    pub(super) fn of_digest(digest: &PluginDigest) -> Option<&'static Self> {
        let hex = digest.0.to_hex();
        BUILTIN.iter().find(|builtin| builtin.digest == hex)
    }

    /// Whether it knows the option `key`. Only what it knows is given to it: what it does not ask for
    /// makes no conversion another one.
    pub(super) fn knows(&self, key: &str) -> bool {
        let known: &[&str] = match self.name {
            "pdf" => &[Password::OPTION, PAGEINDEX_THRESHOLD],
            _ => &[],
        };
        known.contains(&key)
    }

    /// Those of some options that the component with this digest is given: of what comes with the
    /// program it is known what it knows, and others may know any.
    pub(super) fn options_for(
        digest: &PluginDigest,
        options: &[(String, String)],
    ) -> Vec<(String, String)> {
        let builtin = Self::of_digest(digest);
        let known = |key: &str| builtin.is_none_or(|builtin| builtin.knows(key));
        let options = options.iter().filter(|(key, _)| known(key));
        options.cloned().collect()
    }

    /// The one called `name`.
    pub(crate) fn called(name: &str) -> Option<&'static Self> {
        BUILTIN.iter().find(|builtin| builtin.name == name)
    }

    /// Whether it has a remote service do the work: such a one is chosen by its name only.
    pub(crate) fn is_of_cloud(&self) -> bool {
        is_cloud_world(self.world)
    }

    /// What it runs in.
    pub(super) fn world(&self) -> World {
        if self.is_of_cloud() {
            World::Cloud
        } else {
            World::File
        }
    }

    /// The media type that it gives to files with `extension` (lower case).
    pub(super) fn media_type_of(&self, extension: &str) -> Option<&'static str> {
        self.accepts
            .iter()
            .find(|(_, extensions)| extensions.contains(&extension))
            .map(|(media_type, _)| *media_type)
    }

    /// What it takes.
    pub(crate) fn accepted(&self) -> Vec<AcceptedType> {
        let accepted = self
            .accepts
            .iter()
            .map(|(media_type, extensions)| AcceptedType {
                media_type: (*media_type).to_owned(),
                extensions: extensions.iter().map(ToString::to_string).collect(),
            });
        accepted.collect()
    }

    /// Whether it takes files of this media type.
    pub(super) fn takes(&self, media_type: &str) -> bool {
        self.accepts
            .iter()
            .any(|(accepted, _)| *accepted == media_type)
    }
}
