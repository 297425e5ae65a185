//! SIGINT and SIGTERM: the first asks the run to stop at the next document boundary, the second
//! ends the process at once. The lock goes with the process; a journal left behind is settled by
//! the next command that changes the KB.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use super::exit::Exit;

/// Lets a write beyond the size that files may have (`ulimit -f`) fail as an error: by itself the signal
/// ends the process without a word.
///
/// # Errors
/// If the system refuses.
pub(super) fn survive_file_size_limit() -> std::io::Result<()> {
    flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// The signals of one run.
#[derive(Debug)]
pub(super) struct Signals {
    /// Set by the first signal.
    pub(super) cancel: Arc<AtomicBool>,
    received: Arc<AtomicUsize>,
}

impl Signals {
    /// Takes over both signals for the rest of the process.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub(super) fn install() -> io::Result<Self> {
        let cancel = Arc::new(AtomicBool::new(false));
        let received = Arc::new(AtomicUsize::new(0));
        for (signal, number) in [(SIGINT, 2), (SIGTERM, 15)] {
            // Handlers run in the order of registration: the shutdown sees the flag of an earlier
            // signal, not its own.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&cancel))?;
            flag::register_usize(signal, Arc::clone(&received), number)?;
            flag::register(signal, Arc::clone(&cancel))?;
        }
        Ok(Self { cancel, received })
    }

    /// How the process ends if the signal that came, if one came, cut its work short.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.received.load(Ordering::SeqCst) {
            0 => None,
            number => Some(Exit::Signal(u8::try_from(number).unwrap_or(u8::MAX - 128))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_cancels_and_names_itself() {
        let signals = Signals::install().unwrap();
        assert_eq!(signals.exit(), None);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(signals.cancel.load(Ordering::SeqCst));
        assert_eq!(signals.exit(), Some(Exit::Signal(15)));
    }
}
