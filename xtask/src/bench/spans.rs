//! Adds up what the host's own spans say: `--log-format json` prints one JSON line on standard
//! error when a span closes, with `time.busy` among its fields.

use std::collections::BTreeMap;

use serde_json::Value;

/// Spans of a preparation, which workers run beside each other.
const PREPARE: [&str; 5] = ["copy", "assets", "convert", "collect", "analyse"];

/// The span around the committer's loop, which also waits for documents: what it does is what its
/// children do.
const COMMITTER: &str = "commit";

/// Seconds each span was busy, summed over a run.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Busy {
    seconds: BTreeMap<String, f64>,
    commit: f64,
}

impl Busy {
    /// Reads a run's standard error; lines that are no closing span are passed over, and so are
    /// spans within one of the same name.
    pub(crate) fn parse(stderr: &str) -> Self {
        let mut busy = Self::default();
        for span in stderr.lines().filter_map(Span::parse) {
            if span
                .ancestors
                .first()
                .is_some_and(|first| first == COMMITTER)
                && span.ancestors.len() == 1
            {
                busy.commit += span.seconds;
            }
            if !span.ancestors.contains(&span.name) {
                *busy.seconds.entry(span.name).or_insert(0.0) += span.seconds;
            }
        }
        busy
    }

    /// Seconds in spans of this name.
    pub(crate) fn of(&self, name: &str) -> f64 {
        self.seconds.get(name).copied().unwrap_or(0.0)
    }

    /// Seconds of all workers in preparation.
    pub(crate) fn prepare(&self) -> f64 {
        PREPARE.iter().map(|name| self.of(name)).sum()
    }

    /// Seconds in which the committer did something.
    pub(crate) fn commit(&self) -> f64 {
        self.commit
    }

    /// Whether the run told anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// `convert 2.31 registry 0.40 …`: every span that took time, the longest first.
    pub(crate) fn details(&self) -> String {
        let mut spans: Vec<(&String, &f64)> = self
            .seconds
            .iter()
            .filter(|(name, seconds)| *name != COMMITTER && **seconds >= DETAIL_SECONDS_MIN)
            .collect();
        spans.sort_by(|a, b| b.1.total_cmp(a.1));
        let spans: Vec<_> = spans
            .into_iter()
            .map(|(name, seconds)| format!("{name} {seconds:.2}"))
            .collect();
        spans.join(" ")
    }
}

/// Spans that took less, together, are left out of the details.
const DETAIL_SECONDS_MIN: f64 = 0.005;

/// A span that closed.
struct Span {
    name: String,
    seconds: f64,
    /// Names of the spans around it, the outermost first.
    ancestors: Vec<String>,
}

impl Span {
    /// Reads the subscriber's JSON: `span` is the one that closed, `spans` those around it.
    fn parse(line: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(line).ok()?;
        let seconds = seconds(event.get("fields")?.get("time.busy")?.as_str()?)?;
        let name = event.get("span")?.get("name")?.as_str()?.to_owned();
        let around = event
            .get("spans")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let ancestors = around
            .filter_map(|span| span.get("name")?.as_str().map(str::to_owned))
            .collect();
        Some(Self {
            name,
            seconds,
            ancestors,
        })
    }
}

/// `1.25ms`, `830µs`, `12ns`, `3.4s` as seconds.
fn seconds(text: &str) -> Option<f64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" | "us" | "μs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        let check = |text: &str, expected: Option<f64>| {
            let close = match (seconds(text), expected) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-12,
                (a, b) => a == b,
            };
            assert!(close, "{text}: {:?}", seconds(text));
        };
        check("1.5s", Some(1.5));
        check("1.25ms", Some(0.001_25));
        check("830µs", Some(0.000_83));
        check("12.0ns", Some(1.2e-8));
        check("12", None);
        check("3 h", None);
    }

    #[test]
    fn sums_spans_and_counts_each_second_once() {
        let line = |scope: &[&str], busy: &str| {
            let (name, around) = scope.split_last().unwrap();
            let spans: Vec<_> = around
                .iter()
                .map(|name| serde_json::json!({ "name": name }))
                .collect();
            let fields = serde_json::json!({"message": "close", "time.busy": busy});
            let span = serde_json::json!({ "name": name });
            serde_json::json!({ "fields": fields, "span": span, "spans": spans }).to_string()
        };
        let lines = [
            "some text".to_owned(),
            "{}".to_owned(),
            line(&["convert", "convert"], "1990ms"),
            line(&["convert"], "2s"),
            line(&["convert"], "500ms"),
            line(&["copy"], "1ms"),
            line(&["commit", "group", "registry"], "30ms"),
            line(&["commit", "group"], "40ms"),
            line(&["commit"], "9s"),
        ];
        let busy = Busy::parse(&lines.join("\n"));
        assert!((busy.prepare() - 2.501).abs() < 1e-9, "{busy:?}");
        assert!((busy.commit() - 0.040).abs() < 1e-9, "{busy:?}");
        assert_eq!(busy.details(), "convert 2.50 group 0.04 registry 0.03");
        assert!(Busy::parse("nothing").is_empty());
    }
}
