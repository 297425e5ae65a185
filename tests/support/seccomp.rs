//! A kernel without one of its system calls, for the processes that a test starts.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// The number of `openat2` on every architecture.
const OPENAT2: i64 = 437;

/// What a kernel says to a call that it does not know.
const ENOSYS: u32 = 38;

/// Runs `work` on a thread that has no `openat2`, nor have the processes it starts; `None` if the system
/// does not allow a filter.
pub fn without_openat2<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    let filter = SeccompFilter::new(
        BTreeMap::from([(OPENAT2, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(ENOSYS),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    std::thread::scope(|scope| {
        // The filter stays for as long as the thread does, and is handed down to what it starts.
        let thread = scope.spawn(|| apply_filter(&program).is_ok().then(work));
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
