//! `verify`: prepares documents again from their originals, in fresh sandboxes, without the cache and
//! outside the knowledge base, and compares what comes out with their provenance.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::args::VerifyArgs;
use super::convert::scratch_dir;
use super::engine::{self, Again};
use super::error::CommandError;
use super::exit::Exit;
use super::password;
use super::report::is_cancelled;
use super::settings::Settings;
use super::show::the_one;
use super::signals::Signals;
use super::ui::Ui;
use crate::enumerate::Source;
use crate::kb::config::{Config, PAGEINDEX_THRESHOLD, parse_threshold};
use crate::kb::registry::{Catalogue, DocumentRow};
use crate::kb::{DocName, KbRoot, SafeLine, Seq, layout};
use crate::plugin::{
    Allowance, ConvertError, JobFailure, Password, Plugin, PluginSet, is_cloud_world,
};
use crate::prepare::{Converter, Granted, PrepareError, Provenance, StagingRoot};

/// What is said of one document.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Verdict {
    /// The same comes out.
    Same,
    /// Something else comes out: what.
    Differs { outputs: Vec<SafeLine> },
    /// It cannot be compared: why.
    NotVerifiable { reason: SafeLine },
}

#[derive(Debug, Serialize)]
struct Document {
    name: DocName,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Debug, Default, Serialize)]
struct Answer {
    documents: Vec<Document>,
    same: u64,
    differing: u64,
    not_verifiable: u64,
}

/// Verifies the documents that `args` names. Takes no lock.
///
/// # Errors
/// If there is no KB, its registry cannot be read, or a document is not found.
pub(super) fn run(
    ui: &mut Ui,
    settings: &Settings,
    args: &VerifyArgs,
) -> Result<Exit, CommandError> {
    let root = Arc::new(KbRoot::resolve(&settings.candidates)?);
    let catalogue = Catalogue::open(&root)?;
    let rows = if args.all {
        catalogue.documents()?
    } else {
        let find = |query: &String| the_one(catalogue.find(query)?, "verify", query);
        args.documents.iter().map(find).collect::<Result<_, _>>()?
    };
    drop(catalogue);
    // A KB may come from a stranger: a symbolic link in the place of `raw/` is refused here.
    root.list_dir(&layout::raw_dir())?;
    let signals = Signals::install().map_err(CommandError::Signals)?;
    let scratch = scratch_dir()?;
    let nothing = scratch_dir()?;
    let plugins = engine::plugins(args.plugin.as_deref())?;
    let verifier = Verifier {
        allowance: engine::allowance(ui, Config::read(&root)?.limits),
        password: password::read(args.password.password_file.as_deref(), &plugins)?,
        plugins,
        staging: StagingRoot::open(scratch.path())?,
        nothing: nothing.path().to_owned(),
        signals,
        root,
    };
    let mut answer = Answer::default();
    for row in &rows {
        let verdict = verifier.verify(row)?;
        if let Some(exit) = verifier.signals.exit() {
            return Err(CommandError::Interrupted(exit));
        }
        let count = match &verdict {
            Verdict::Same => &mut answer.same,
            Verdict::Differs { .. } => &mut answer.differing,
            Verdict::NotVerifiable { .. } => &mut answer.not_verifiable,
        };
        *count += 1;
        let document = Document {
            name: row.doc_name.clone(),
            verdict,
        };
        if !ui.json() {
            ui.line(&line(&document));
        }
        answer.documents.push(document);
    }
    let exit = match answer.differing {
        0 => Exit::Done,
        _ => Exit::Findings,
    };
    if ui.json() {
        ui.answer(answer);
    } else {
        ui.note(&format!(
            "{} the same, {} different, {} cannot be verified.",
            answer.same, answer.differing, answer.not_verifiable
        ));
    }
    Ok(exit)
}

fn line(document: &Document) -> String {
    let name = &document.name;
    match &document.verdict {
        Verdict::Same => format!("same       {name}"),
        Verdict::Differs { outputs } => {
            let outputs: Vec<_> = outputs.iter().map(SafeLine::as_str).collect();
            format!("different  {name}: {}", outputs.join(", "))
        }
        Verdict::NotVerifiable { reason } => format!("skipped    {name}: {reason}"),
    }
}

fn differs(outputs: &[String]) -> Verdict {
    Verdict::Differs {
        outputs: outputs.iter().map(|name| SafeLine::new(name)).collect(),
    }
}

fn cannot(reason: &str) -> Verdict {
    Verdict::NotVerifiable {
        reason: SafeLine::new(&format!("cannot be verified: {reason}")),
    }
}

/// The options that a document was converted with, as far as they are any that could have been given:
/// the registry may be a stranger's.
fn options(recorded: &Provenance) -> Vec<(String, String)> {
    let known = |(key, value): &&(String, String)| {
        key == PAGEINDEX_THRESHOLD && parse_threshold(value).is_ok()
    };
    recorded.options.iter().filter(known).cloned().collect()
}

/// A document that is not converted now. What it needs a password for cannot differ.
fn failed(error: &PrepareError) -> Verdict {
    if let PrepareError::Job(job) = error
        && let JobFailure::Converter(error) = &job.failure
    {
        match error {
            ConvertError::Encrypted(_) => {
                return cannot("it is encrypted: give the password with `--password-file PATH`");
            }
            ConvertError::WrongPassword | ConvertError::Withheld(_) => {
                return cannot(&error.to_string());
            }
            _ => {}
        }
    }
    differs(&[format!("it fails now: {error}")])
}

/// What every verification shares.
struct Verifier {
    root: Arc<KbRoot>,
    plugins: PluginSet,
    allowance: Allowance,
    password: Option<Arc<Password>>,
    staging: StagingRoot,
    /// An empty folder: a document without assets finds none.
    nothing: PathBuf,
    signals: Signals,
}

impl Verifier {
    /// Compares a document. No lock is held: one that is updated or removed meanwhile is told so.
    fn verify(&self, row: &DocumentRow) -> Result<Verdict, CommandError> {
        let recorded = self.recorded(row)?;
        let verdict = self.compare(row, recorded.as_deref())?;
        if !matches!(verdict, Verdict::Same) && self.recorded(row)? != recorded {
            return Ok(cannot("it was changed meanwhile"));
        }
        Ok(verdict)
    }

    fn recorded(&self, row: &DocumentRow) -> Result<Option<String>, CommandError> {
        Ok(Catalogue::open(&self.root)?.provenance(row.ordinal)?)
    }

    fn compare(&self, row: &DocumentRow, recorded: Option<&str>) -> Result<Verdict, CommandError> {
        let Some(recorded) = recorded else {
            return Ok(cannot("it has no provenance"));
        };
        let Ok(recorded) = serde_json::from_str::<Provenance>(recorded) else {
            return Ok(cannot("its provenance is of an older version, or damaged"));
        };
        if is_cloud_world(&recorded.plugin.world) {
            return Ok(cannot("a service made it, and may make it otherwise today"));
        }
        // The registry may be a stranger's: nothing but an original is opened.
        let raw = row.raw_path.as_ref();
        let Some(raw) = raw.filter(|raw| raw.parent() == Some(layout::raw_dir())) else {
            return Ok(cannot("it has no original"));
        };
        if recorded.input != row.hash {
            return Ok(cannot("its provenance is that of other bytes"));
        }
        let source = Source {
            seq: Seq(0),
            path: self.root.join(raw),
            display: row.doc_name.to_string(),
            key: row.source_key.clone(),
            file_name: recorded.file_name.clone(),
            media_type: Some(recorded.media_type.clone()),
            misnamed_as: None,
            named: false,
        };
        engine::load(&self.plugins, [&source])?;
        let plugin = match self.same_converter(&recorded) {
            Ok(plugin) => plugin,
            Err(reason) => return Ok(cannot(&reason)),
        };
        let assets_dir = if recorded.assets.is_empty() {
            self.nothing.as_path()
        } else {
            match Path::new(row.source_key.as_str()).parent() {
                Some(dir) if dir.is_absolute() && dir.is_dir() => dir,
                _ => return Ok(cannot("the files it refers to are gone")),
            }
        };
        let again = Again {
            converter: &plugin,
            allowance: &self.allowance,
            options: &options(&recorded),
            password: self.password.as_ref(),
            assets_dir,
            cancel: Arc::clone(&self.signals.cancel),
        };
        let prepared = engine::prepare_again(&source, &self.plugins, &self.staging, again);
        let document = match prepared {
            Ok(document) => document,
            Err(error) if error.is_of_the_kb() || is_cancelled(&error) => {
                return Err(CommandError::Prepare {
                    display: source.display,
                    error,
                    accepted: Vec::new(),
                });
            }
            Err(error) => return Ok(failed(&error)),
        };
        let now = Provenance::of(&document);
        if let Err(error) = document.discard() {
            tracing::warn!("a staging directory is left: {error}");
        }
        Ok(judge(&recorded, &now))
    }

    /// The converter that made the document, of those that may be chosen for it; else why there is
    /// none.
    fn same_converter(&self, recorded: &Provenance) -> Result<Plugin, String> {
        let by = format!("{} {}", recorded.plugin.name, recorded.plugin.version);
        let at_hand = self.plugins.converters(&recorded.media_type);
        let same = |plugin: &&Plugin| Converter::from(plugin.identity()) == recorded.plugin;
        let Some(plugin) = at_hand.iter().find(same) else {
            let Some(other) = at_hand.first().map(Plugin::identity) else {
                return Err(format!("it was converted by `{by}`, which is not at hand"));
            };
            let (name, version) = (&other.name, &other.version);
            return Err(format!(
                "it was converted by another converter, `{by}`; at hand is `{name} {version}`"
            ));
        };
        // The plugin's manifest may ask for others than the run's.
        let limits = plugin.limits(&self.allowance);
        if Granted::from(&limits) != recorded.limits {
            return Err("it was converted under other limits".to_owned());
        }
        Ok(plugin.clone())
    }
}

fn judge(recorded: &Provenance, now: &Provenance) -> Verdict {
    if now.input != recorded.input {
        return differs(&["original".to_owned()]);
    }
    if now.assets != recorded.assets {
        return cannot("the files it refers to are gone or changed");
    }
    let outputs = now.differing_outputs(recorded);
    if outputs.is_empty() {
        Verdict::Same
    } else {
        differs(&outputs)
    }
}
