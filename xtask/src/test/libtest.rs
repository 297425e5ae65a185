//! Reads the summary lines that `cargo test` prints.

/// How many tests passed, over all test binaries of a run.
pub(crate) fn passed(output: &str) -> u64 {
    output.lines().filter_map(passed_in_line).sum()
}

/// `test result: ok. 3 passed; 0 failed; …`
fn passed_in_line(line: &str) -> Option<u64> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    counts.split_once(" passed")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_binaries() {
        let output = "running 2 tests\ntest a ... ok\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.00s\n\
            test result: FAILED. 11 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n\
            test result: nothing we know\n";
        assert_eq!(passed(output), 13);
        assert_eq!(passed(""), 0);
    }
}
