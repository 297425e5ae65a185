//! Exit codes: the contract with scripts.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything was done.
    Done,
    /// The command, or some of its inputs, failed; the others are in.
    Failed,
    /// Wrong usage, or no KB.
    Usage,
    /// Recovery needs a person.
    Recovery,
    /// A command that looks for trouble found some.
    Findings,
    /// A bug of this program.
    Bug,
    /// The lock was not free in time.
    Busy,
    /// Ended by this signal.
    Signal(u8),
}

impl Exit {
    /// The number the process ends with.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Recovery => 3,
            Self::Findings => 4,
            Self::Bug => 70,
            Self::Busy => 75,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let check = |exit: Exit, code: u8| assert_eq!(exit.code(), code);
        check(Exit::Done, 0);
        check(Exit::Failed, 1);
        check(Exit::Usage, 2);
        check(Exit::Recovery, 3);
        check(Exit::Bug, 70);
        check(Exit::Busy, 75);
        check(Exit::Signal(2), 130);
        check(Exit::Signal(15), 143);
    }
}
