//! From a host's name to addresses that may be connected to.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::origin::reach_of_name;

/// Asks the system; may block.
pub(super) type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Every address of a host is one that may not be called.
#[derive(Debug)]
pub(super) struct NotAdmitted;

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its address is not a public one")
    }
}

impl Error for NotAdmitted {}

/// The resolver of the client: the connection goes to one of the addresses that were checked here, so no
/// second answer can lead it elsewhere.
pub(super) struct Checked(pub(super) Lookup);

impl Checked {
    /// The resolver of this system.
    pub(super) fn of_system() -> Self {
        Self(Arc::new(|name| Ok((name, 0).to_socket_addrs()?.collect())))
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = Arc::clone(&self.0);
        Box::pin(async move {
            let reach = reach_of_name(name.as_str());
            // The system's resolver blocks; a thread of the runtime's waits for it.
            let found = tokio::task::spawn_blocking(move || lookup(name.as_str())).await??;
            let admitted: Vec<_> = found
                .into_iter()
                .filter(|address| reach.admits(address.ip()))
                .collect();
            if admitted.is_empty() {
                return Err(NotAdmitted.into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}
