//! `config.yaml`: validated settings. A KB may come from a stranger: its settings choose nothing
//! outside the KB and can only narrow limits.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{KbError, KbRoot, SafeLine, layout};

/// A settings file is small; more than this is no settings file.
const CONFIG_BYTES_MAX: u64 = 256 << 10;

/// More workers than this help nobody and exhaust file handles.
pub const JOBS_MAX: usize = 256;

/// The key, here and among the options of converters, of the number of pages from which on a document is
/// long.
pub const PAGEINDEX_THRESHOLD: &str = "pageindex_threshold";

/// No document has so many pages: with this none is long.
pub const PAGEINDEX_THRESHOLD_MAX: u32 = 1_000_000;

/// A key of a stranger's file is told up to this many characters.
const KEY_CHARS_MAX: usize = 40;

/// How many workers prepare at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// As many as the machine has cores.
    Auto,
    /// This many, 1 to [`JOBS_MAX`].
    Count(usize),
}

/// Whether `hashes.json` is written for OpenKB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenKbExport {
    /// While the KB came from OpenKB or has at most 2,000 documents.
    #[default]
    Auto,
    /// After every commit.
    Always,
    /// Never.
    Never,
}

/// Limits of each conversion that a KB asks for: they narrow those that hold anyway, and never widen
/// one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// CPU time, milliseconds.
    pub cpu_ms: Option<u64>,
    /// Memory.
    pub memory_mib: Option<u64>,
    /// Output.
    pub output_mib: Option<u64>,
    /// Files of output.
    pub output_files: Option<u64>,
    /// Input.
    pub input_mib: Option<u64>,
}

impl Narrowing {
    /// The limits as `kbhost.limits` names them; an error names the key and what is wrong.
    fn of(typed: BTreeMap<String, TypedLimit>) -> Result<Self, (String, String)> {
        let mut narrowing = Self::default();
        for (key, value) in typed {
            let wrong = |reason: &str| {
                let key = SafeLine::with_max(&key, KEY_CHARS_MAX);
                (format!("kbhost.limits.{key}"), reason.to_owned())
            };
            let limit = match key.as_str() {
                "cpu_ms" => &mut narrowing.cpu_ms,
                "memory_mib" => &mut narrowing.memory_mib,
                "output_mib" => &mut narrowing.output_mib,
                "output_files" => &mut narrowing.output_files,
                "input_mib" => &mut narrowing.input_mib,
                _ => {
                    return Err(wrong(
                        "is no limit: there are cpu_ms, memory_mib, output_mib, output_files, \
                         input_mib",
                    ));
                }
            };
            match value {
                TypedLimit::Number(number @ 1..) => *limit = Some(number),
                TypedLimit::Number(_) | TypedLimit::Neither(_) => {
                    return Err(wrong("must be a whole number from 1"));
                }
            }
        }
        Ok(narrowing)
    }
}

/// The settings this program reads; other keys are the user's or OpenKB's and stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `jobs`, or its old name `file_processing_jobs`.
    pub jobs: Option<Jobs>,
    /// `openkb_export`.
    pub openkb_export: OpenKbExport,
    /// `language`.
    pub language: String,
    /// `pageindex_threshold`: from this many pages on a document is long.
    pub pageindex_threshold: u32,
    /// `kbhost.limits`.
    pub limits: Narrowing,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            jobs: None,
            openkb_export: OpenKbExport::Auto,
            language: "en".to_owned(),
            pageindex_threshold: 20,
            limits: Narrowing::default(),
        }
    }
}

impl Config {
    /// Reads the KB's `config.yaml`; a missing file gives the defaults.
    ///
    /// # Errors
    /// If the file is no YAML or a value is out of range.
    pub fn read(root: &KbRoot) -> Result<Self, KbError> {
        let Some(bytes) = root.read(&layout::config(), CONFIG_BYTES_MAX)? else {
            return Ok(Self::default());
        };
        Self::parse(&String::from_utf8_lossy(&bytes)).map_err(|(key, reason)| KbError::Config {
            path: root.join(&layout::config()),
            key,
            reason,
        })
    }

    /// Parses YAML; an error names the key, if it is of one, and what is wrong.
    fn parse(text: &str) -> Result<Self, (String, String)> {
        if text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        {
            return Ok(Self::default());
        }
        let typed: Typed = serde_saphyr::from_str(text).map_err(|error| {
            // The lines behind the first one draw the place, which a single line cannot show.
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let reason = SafeLine::new(first.trim_start_matches("error: "));
            (String::new(), reason.to_string())
        })?;
        let defaults = Self::default();
        let jobs = [
            ("jobs", typed.jobs),
            ("file_processing_jobs", typed.file_processing_jobs),
        ]
        .into_iter()
        .find_map(|(key, value)| value.map(|value| (key, value)));
        Ok(Self {
            jobs: jobs
                .map(|(key, value)| {
                    parse_jobs(&value.text()).map_err(|reason| (key.to_owned(), reason))
                })
                .transpose()?,
            openkb_export: typed.openkb_export.unwrap_or_default(),
            language: typed.language.unwrap_or(defaults.language),
            pageindex_threshold: match typed.pageindex_threshold {
                Some(threshold) => parse_threshold(&threshold.text())
                    .map_err(|reason| (PAGEINDEX_THRESHOLD.to_owned(), reason))?,
                None => defaults.pageindex_threshold,
            },
            limits: Narrowing::of(typed.kbhost.unwrap_or_default().limits.unwrap_or_default())?,
        })
    }
}

/// The file as typed.
#[derive(Deserialize)]
struct Typed {
    jobs: Option<TypedNumber>,
    file_processing_jobs: Option<TypedNumber>,
    openkb_export: Option<OpenKbExport>,
    language: Option<String>,
    pageindex_threshold: Option<TypedNumber>,
    kbhost: Option<TypedOwn>,
}

/// What is this program's alone, and so strict.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedOwn {
    limits: Option<BTreeMap<String, TypedLimit>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TypedLimit {
    Number(u64),
    Neither(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TypedNumber {
    Number(i64),
    Word(String),
    Neither(serde::de::IgnoredAny),
}

impl TypedNumber {
    /// As on the command line.
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Word(word) => word.clone(),
            Self::Neither(_) => "…".to_owned(),
        }
    }
}

/// Reads from how many pages on a document is long; the error says what was wrong.
///
/// # Errors
/// If it is no number from 1 to [`PAGEINDEX_THRESHOLD_MAX`].
pub fn parse_threshold(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(pages @ 1..=PAGEINDEX_THRESHOLD_MAX) => Ok(pages),
        _ => Err(format!(
            "must be a number of pages from 1 to {PAGEINDEX_THRESHOLD_MAX}, not `{}`",
            SafeLine::with_max(text, 40)
        )),
    }
}

/// What converters are told of a document's length, as options: sorted by key.
#[must_use]
pub fn converter_options(threshold: u32) -> Vec<(String, String)> {
    vec![(PAGEINDEX_THRESHOLD.to_owned(), threshold.to_string())]
}

/// Reads `auto` or a number from 1 to [`JOBS_MAX`]; the error says what was wrong.
///
/// # Errors
/// If it is neither.
pub fn parse_jobs(text: &str) -> Result<Jobs, String> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Jobs::Auto);
    }
    match text.parse::<usize>() {
        Ok(count @ 1..=JOBS_MAX) => Ok(Jobs::Count(count)),
        _ => Err(format!(
            "must be `auto` or a number from 1 to {JOBS_MAX}, not `{}`",
            SafeLine::with_max(text, 40)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let jobs = |text: &str| Config::parse(text).map(|config| config.jobs);
        assert_eq!(jobs(""), Ok(None));
        assert_eq!(jobs("# nothing\n"), Ok(None));
        assert_eq!(jobs("model: x\njobs: 4\n"), Ok(Some(Jobs::Count(4))));
        assert_eq!(jobs("file_processing_jobs: auto\n"), Ok(Some(Jobs::Auto)));
        assert_eq!(
            jobs("file_processing_jobs: 3\njobs: 2\n"),
            Ok(Some(Jobs::Count(2)))
        );
        for bad in [
            "jobs: 0",
            "jobs: -1",
            "jobs: 257",
            "jobs: many",
            "jobs: [1]",
            "jobs: 1.5",
        ] {
            assert_eq!(jobs(bad).unwrap_err().0, "jobs", "{bad}");
        }
        let (key, reason) = Config::parse("jobs: [").unwrap_err();
        assert_eq!(key, "");
        assert!(reason.starts_with("line 1 column 7: "), "{reason}");
        assert!(Config::parse("openkb_export: sometimes").is_err());
    }

    #[test]
    fn documents_are_long_from_a_number_of_pages_on() {
        let threshold = |text: &str| {
            let text = format!("model: x\npageindex_threshold: {text}\n");
            Config::parse(&text).map(|config| config.pageindex_threshold)
        };
        assert_eq!(Config::default().pageindex_threshold, 20);
        for (text, expected) in [("1", 1), ("35", 35), ("'7'", 7), ("1000000", 1_000_000)] {
            assert_eq!(threshold(text), Ok(expected), "{text}");
        }
        for bad in [
            "0",
            "-1",
            "1000001",
            "99999999999999999999",
            "2.5",
            "many",
            "[1]",
            "true",
        ] {
            let (key, reason) = threshold(bad).unwrap_err();
            assert_eq!(key, "pageindex_threshold", "{bad}");
            assert!(
                reason.starts_with("must be a number of pages from 1 to 1000000, not `"),
                "{reason}"
            );
        }
    }

    #[test]
    fn limits_are_strict() {
        let limits = |text: &str| {
            let text = format!("model: x\nkbhost:\n  limits:\n    {text}\n");
            Config::parse(&text).map(|config| config.limits)
        };
        let both = Narrowing {
            cpu_ms: Some(5),
            input_mib: Some(u64::MAX),
            ..Narrowing::default()
        };
        assert_eq!(
            limits("cpu_ms: 5\n    input_mib: 18446744073709551615"),
            Ok(both)
        );
        assert_eq!(
            Config::parse("kbhost:\n").unwrap().limits,
            Narrowing::default()
        );
        for (bad, key) in [
            ("cpu_ms: 0", "kbhost.limits.cpu_ms"),
            ("cpu_ms: -1", "kbhost.limits.cpu_ms"),
            ("memory_mib: 1.5", "kbhost.limits.memory_mib"),
            ("output_mib: many", "kbhost.limits.output_mib"),
            ("output_files: [1]", "kbhost.limits.output_files"),
            ("input_mib: 18446744073709551616", "kbhost.limits.input_mib"),
            ("cpu_seconds: 1", "kbhost.limits.cpu_seconds"),
        ] {
            assert_eq!(limits(bad).unwrap_err().0, key, "{bad}");
        }
        let (_, reason) = Config::parse("kbhost:\n  plugins: [x]\n").unwrap_err();
        assert!(reason.contains("plugins"), "{reason}");
    }
}
