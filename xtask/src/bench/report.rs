//! The table of a bench run: what was measured, its goal, whether it is met.

/// One figure.
#[derive(Debug)]
struct Row {
    what: String,
    measured: String,
    goal: String,
    verdict: &'static str,
}

/// The figures so far; each is printed when it is known, and all of them at the end.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Report {
    /// Records a figure without a goal.
    pub(crate) fn figure(&mut self, what: impl Into<String>, measured: impl Into<String>) {
        self.push(what.into(), measured.into(), String::new(), "");
    }

    /// Records a figure with its goal.
    pub(crate) fn goal(&mut self, what: impl Into<String>, value: f64, unit: &str, goal: Goal) {
        let (wanted, met) = match goal {
            Goal::AtMost(limit) => (format!("<= {}{unit}", trimmed(limit)), value <= limit),
            Goal::AtLeast(limit) => (format!(">= {}{unit}", trimmed(limit)), value >= limit),
        };
        let verdict = if met { "met" } else { "not met" };
        self.push(
            what.into(),
            format!("{}{unit}", trimmed(value)),
            wanted,
            verdict,
        );
    }

    /// Records a share of 1 with the least it should be, to three places.
    pub(crate) fn score(&mut self, what: impl Into<String>, value: f64, least: f64) {
        let verdict = if value >= least { "met" } else { "not met" };
        self.push(
            what.into(),
            format!("{value:.3}"),
            format!(">= {least:.2}"),
            verdict,
        );
    }

    /// Records that a figure could not be measured here.
    pub(crate) fn skip(&mut self, what: impl Into<String>, why: impl std::fmt::Display) {
        let why = why.to_string();
        let why = why.lines().next().unwrap_or_default();
        self.push(what.into(), format!("skip: {why}"), String::new(), "");
    }

    /// The whole table.
    pub(crate) fn table(&self) -> String {
        let width = |cell: fn(&Row) -> &String| {
            self.rows
                .iter()
                .map(|row| cell(row).chars().count())
                .max()
                .unwrap_or(0)
        };
        let (what, measured, goal) = (
            width(|row| &row.what),
            width(|row| &row.measured),
            width(|row| &row.goal),
        );
        let mut table = String::new();
        for row in &self.rows {
            let line = format!(
                "{:<what$}  {:<measured$}  {:<goal$}  {}",
                row.what, row.measured, row.goal, row.verdict
            );
            table.push_str(line.trim_end());
            table.push('\n');
        }
        table
    }

    fn push(&mut self, what: String, measured: String, goal: String, verdict: &'static str) {
        println!("{}", format!("  {what}: {measured} {verdict}").trim_end());
        self.rows.push(Row {
            what,
            measured,
            goal,
            verdict,
        });
    }
}

/// Three significant places at the most where they matter, none where they do not.
fn trimmed(value: f64) -> String {
    if value.fract().abs() < 1e-9 || value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// The middle of the values; the mean of the two middle ones of an even number.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 {
        upper
    } else {
        f64::midpoint(sorted[middle - 1], upper)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_goal_is_met_or_not() {
        let mut report = Report::default();
        report.goal("start", 12.25, " ms", Goal::AtMost(15.0));
        report.goal("speed-up", 1.5, "x", Goal::AtLeast(1.7));
        report.score("text", 0.9696, 0.97);
        report.figure("documents", "200");
        report.skip("syncs", "no strace here\nat all");
        let expected = "\
start      12.2 ms               <= 15 ms  met
speed-up   1.50x                 >= 1.70x  not met
text       0.970                 >= 0.97   not met
documents  200
syncs      skip: no strace here
";
        assert_eq!(report.table(), expected);
    }
}
