//! The command line: a command, then flags and options in any order.

use std::collections::VecDeque;

use crate::failure::{Failure, Result};

/// What was typed and is not yet understood.
#[derive(Debug)]
pub(crate) struct Args {
    rest: VecDeque<String>,
}

impl Args {
    /// Takes the arguments behind the program's name.
    pub(crate) fn new(args: impl IntoIterator<Item = String>) -> Self {
        Self {
            rest: args.into_iter().collect(),
        }
    }

    /// Takes the first argument; `--help` and `-h` stand for `help`.
    pub(crate) fn command(&mut self) -> Option<String> {
        let first = self.rest.pop_front()?;
        Some(if first == "--help" || first == "-h" {
            "help".to_owned()
        } else {
            first
        })
    }

    /// Takes `name` if it is there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let Some(at) = self.rest.iter().position(|arg| arg == name) else {
            return false;
        };
        self.rest.remove(at);
        true
    }

    /// Takes `name VALUE` or `name=VALUE`.
    ///
    /// # Errors
    /// If the value is missing.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>> {
        let with_equals = |arg: &String| {
            arg.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='))
                .map(str::to_owned)
        };
        if let Some(at) = self.rest.iter().position(|arg| with_equals(arg).is_some()) {
            return Ok(self.rest.remove(at).as_ref().and_then(with_equals));
        }
        let Some(at) = self.rest.iter().position(|arg| arg == name) else {
            return Ok(None);
        };
        self.rest.remove(at);
        match self.rest.remove(at) {
            Some(value) => Ok(Some(value)),
            None => Err(Failure::usage(format!("`{name}` needs a value"))),
        }
    }

    /// Says that nothing may be left.
    ///
    /// # Errors
    /// If something is.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.rest.front() {
            None => Ok(()),
            Some(arg) => Err(Failure::usage(format!("unexpected argument `{arg}`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn takes_command_flags_and_values() {
        let mut args = args("demo --jobs 4 --examples-only --kb=x=y");
        assert_eq!(args.command().as_deref(), Some("demo"));
        assert_eq!(args.value("--jobs").unwrap().as_deref(), Some("4"));
        assert_eq!(args.value("--kb").unwrap().as_deref(), Some("x=y"));
        assert!(args.flag("--examples-only"));
        assert!(!args.flag("--examples-only"));
        assert!(args.finish().is_ok());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let check = |line: &str, expected: &str| {
            let mut args = args(line);
            args.command();
            let failure = args
                .value("--jobs")
                .and_then(|_| args.finish())
                .unwrap_err();
            assert_eq!(failure.to_string(), expected);
            assert_eq!(failure.exit_code(), 2);
        };
        check("demo --jobs", "`--jobs` needs a value");
        check("demo --jbos 3", "unexpected argument `--jbos`");
        check("test now", "unexpected argument `now`");
    }
}
