//! The service and the job, as the conversion sees them.

use kbhost_guest::bindings::kbhost::converter::job;

use crate::bindings::kbhost::cloud::endpoint;
pub(crate) use crate::bindings::kbhost::cloud::endpoint::{
    Body, CloudError, FormField, FormValue, Location, Method, Response,
};

/// What the host does for this converter.
pub(crate) trait Service {
    fn call(
        &mut self,
        endpoint: &str,
        method: Method,
        path: &str,
        body: &Body,
    ) -> Result<Response, CloudError>;

    fn locate(&mut self, address: &str) -> Option<Location>;

    fn pause(&mut self, milliseconds: u32) -> Result<(), CloudError>;

    fn checkpoint(&mut self, state: &[u8]) -> bool;

    fn progress(&mut self, done: u64, total: u64, note: &str);

    fn is_cancelled(&mut self) -> bool;
}

/// The real one.
pub(crate) struct HostService;

impl Service for HostService {
    fn call(
        &mut self,
        endpoint: &str,
        method: Method,
        path: &str,
        body: &Body,
    ) -> Result<Response, CloudError> {
        endpoint::call(endpoint, method, path, &[], body)
    }

    fn locate(&mut self, address: &str) -> Option<Location> {
        endpoint::locate(address)
    }

    fn pause(&mut self, milliseconds: u32) -> Result<(), CloudError> {
        endpoint::pause(milliseconds)
    }

    fn checkpoint(&mut self, state: &[u8]) -> bool {
        job::checkpoint(state)
    }

    fn progress(&mut self, done: u64, total: u64, note: &str) {
        job::progress(done, total, note);
    }

    fn is_cancelled(&mut self) -> bool {
        job::cancelled()
    }
}
