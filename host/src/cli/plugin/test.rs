//! `plugin test`: puts a converter on trial and shows what was found.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::args::TestArgs;
use super::super::convert::scratch_dir;
use super::super::engine;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::signals::Signals;
use super::super::table::Table;
use super::super::terminal::one_line;
use super::super::ui::Ui;
use crate::conformance::{self, Check, Options, Report, Stop, Usage, Verdict};
use crate::kb::shell_word as word;
use crate::plugin::{Manifest, PluginError, PluginSet};

/// Where a project keeps its golden files.
const GOLDEN: &str = "tests/golden";

/// What is on trial.
struct Subject {
    /// As `--plugin` takes it: a component file or a name.
    plugin: PathBuf,
    manifest: Option<Manifest>,
    golden: Option<PathBuf>,
}

impl Subject {
    fn of(args: &TestArgs) -> Result<Self, CommandError> {
        let mut golden = args.golden.clone();
        if let Some(name) = &args.plugin {
            return Ok(Self {
                plugin: PathBuf::from(name),
                manifest: None,
                golden,
            });
        }
        let source = args.source.as_deref().unwrap_or(Path::new("."));
        if !source.is_dir() {
            // With a folder before it, it cannot be taken for a name.
            let plugin = Path::new(".").join(source);
            return Ok(Self {
                plugin,
                manifest: None,
                golden,
            });
        }
        let manifest = Manifest::read(source)?;
        let own = source.join(GOLDEN);
        if golden.is_none() && (own.is_dir() || args.input.is_empty()) {
            golden = Some(own);
        }
        Ok(Self {
            plugin: Path::new(".").join(manifest.component(source)),
            manifest: Some(manifest),
            golden,
        })
    }
}

/// Tests a component, the plugin in a folder, or a converter by its name.
///
/// # Errors
/// If there is nothing to convert, or the disk refuses. A converter that fails is no error.
pub(super) fn run(ui: &mut Ui, args: &TestArgs) -> Result<Exit, CommandError> {
    let subject = Subject::of(args)?;
    if subject.golden.is_none() && args.input.is_empty() {
        return Err(CommandError::Usage {
            message: "test the plugin: no input was named".to_owned(),
            hint: "name files with `--input FILE`, or a folder of golden files with `--golden DIR`"
                .to_owned(),
        });
    }
    let report = match engine::plugins(Some(&subject.plugin)) {
        Ok(plugins) => on_trial(ui, args, &subject, &plugins)?,
        Err(CommandError::Plugin(error)) if is_of_the_component(&error) => {
            conformance::unusable(&error)
        }
        Err(error) => return Err(error),
    };
    let report = safe(report);
    if ui.json() {
        ui.answer(Answer {
            passed: report.passed(),
            report: &report,
        });
    } else {
        show(ui, &report);
    }
    Ok(if report.passed() {
        Exit::Done
    } else {
        Exit::Findings
    })
}

#[derive(serde::Serialize)]
struct Answer<'a> {
    passed: bool,
    #[serde(flatten)]
    report: &'a Report,
}

/// Whether the component itself is at fault; else something around it is.
fn is_of_the_component(error: &PluginError) -> bool {
    match error {
        PluginError::NotAComponent { .. }
        | PluginError::Imports { .. }
        | PluginError::World { .. }
        | PluginError::Compile { .. }
        | PluginError::Describe { .. } => true,
        PluginError::Path(_)
        | PluginError::Manifest { .. }
        | PluginError::Store(_)
        | PluginError::NeedsService { .. }
        | PluginError::Engine(_) => false,
    }
}

fn on_trial(
    ui: &mut Ui,
    args: &TestArgs,
    subject: &Subject,
    plugins: &PluginSet,
) -> Result<Report, CommandError> {
    let plugin = plugins
        .converters("")
        .pop()
        .expect("a converter that is forced takes every media type");
    let signals = Signals::install().map_err(CommandError::Signals)?;
    let scratch = scratch_dir()?;
    let usual = engine::limits();
    let limits = match &subject.manifest {
        Some(manifest) => manifest.limits.applied_to(&usual),
        None => usual,
    };
    let options = Options {
        limits,
        manifest: subject.manifest.as_ref(),
        golden: subject.golden.as_deref(),
        bless: args.bless,
        inputs: &args.input,
        mutations: usize::from(args.mutations),
        keep: args.keep.as_deref(),
        timeout: Duration::from_secs(args.timeout),
        scratch: scratch.path(),
        cancel: Arc::clone(&signals.cancel),
    };
    // Both sides of the progress speak through the same streams.
    let ui = std::cell::RefCell::new(ui);
    let result = conformance::run(
        plugins,
        plugin,
        &options,
        &mut |steps| ui.borrow_mut().start_progress(steps),
        &mut |name| ui.borrow_mut().advance(name),
    );
    ui.into_inner().finish_progress();
    result.map_err(|stop| stopped(stop, plugins, &signals))
}

fn stopped(stop: Stop, plugins: &PluginSet, signals: &Signals) -> CommandError {
    match stop {
        Stop::NoInputs { .. } => CommandError::Usage {
            message: stop.to_string(),
            hint: "put inputs there, or name files with `--input FILE`".to_owned(),
        },
        Stop::OutOfTime => CommandError::Usage {
            message: stop.to_string(),
            hint: "give it more with `--timeout SECONDS`".to_owned(),
        },
        Stop::Cancelled => CommandError::Interrupted(signals.exit().unwrap_or(Exit::Failed)),
        Stop::Prepare { display, error } => CommandError::Prepare {
            display,
            error,
            accepted: plugins.extensions(),
        },
        Stop::Path(error) => error.into(),
        Stop::Staging(error) => error.into(),
    }
}

/// The report as it may be told: it quotes the converter and its output.
fn safe(mut report: Report) -> Report {
    for check in &mut report.checks {
        check.reason = one_line(&check.reason);
        for line in &mut check.details {
            *line = one_line(line);
        }
    }
    for usage in &mut report.inputs {
        usage.input = one_line(&usage.input);
    }
    for path in report.blessed.iter_mut().chain(&mut report.kept) {
        *path = one_line(path);
    }
    report
}

fn show(ui: &mut Ui, report: &Report) {
    let (columns, colour) = (ui.columns(), ui.stdout().colour);
    let checks = Table {
        header: ["Check", "Result", "What was found"],
        right: [false; 3],
        elastic: &[2],
        rows: report.checks.iter().map(cells).collect(),
    };
    for line in checks.lines(columns, colour) {
        ui.line(&line);
    }
    if !report.inputs.is_empty() {
        let inputs = Table {
            header: ["Input", "CPU ms", "Memory KiB", "Files", "Bytes"],
            right: [false, true, true, true, true],
            elastic: &[0],
            rows: report.inputs.iter().map(used).collect(),
        };
        ui.line("");
        for line in inputs.lines(columns, colour) {
            ui.line(&line);
        }
    }
    for check in &report.checks {
        if check.verdict == Verdict::Fail {
            ui.line("");
            ui.line(&format!("{}: {}", check.name, check.reason));
            for line in &check.details {
                ui.line(&format!("  {line}"));
            }
        }
    }
    for path in &report.blessed {
        ui.note(&format!("written: {path}"));
    }
    for path in &report.kept {
        ui.note(&format!("kept: {path}"));
    }
    if let Some(path) = report.kept.first() {
        let path = word(Path::new(path));
        ui.hint(&format!(
            "see it again: `kbhost convert {path} --plugin NAME|FILE`"
        ));
    }
}

fn cells(check: &Check) -> [String; 3] {
    let result = match check.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Skip => "skip",
    };
    [
        check.name.to_owned(),
        result.to_owned(),
        check.reason.clone(),
    ]
}

fn used(usage: &Usage) -> [String; 5] {
    [
        usage.input.clone(),
        usage.cpu_ms.to_string(),
        usage.memory_bytes_peak.div_ceil(1024).to_string(),
        usage.output_files_peak.to_string(),
        usage.output_bytes_peak.to_string(),
    ]
}
