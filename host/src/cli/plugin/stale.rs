//! `plugin list --stale`: documents that another converter made than would make them now.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::super::engine;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::settings::Settings;
use super::super::table::Table;
use super::super::ui::Ui;
use super::DIGEST_DIGITS;
use crate::enumerate::{self, Kind, Met};
use crate::kb::registry::{Catalogue, DocumentRow};
use crate::kb::{DocName, KbError, KbRoot, SafeLine, shell_word as word};
use crate::plugin::{Maker, PluginSet, is_cloud_world};
use crate::prepare::{Converter, Made};

/// A document and its converters, as a registry that may be a stranger's names them.
#[derive(Debug, Serialize)]
struct Stale {
    document: DocName,
    /// What to convert again: its source, or its original where that is gone.
    path: Option<String>,
    media_type: SafeLine,
    made_by: Named,
    /// Of these one would be chosen; none takes it any more where there is none.
    now: Vec<Named>,
}

#[derive(Debug, Serialize)]
struct Named {
    plugin: SafeLine,
    version: SafeLine,
    digest: String,
}

#[derive(Debug, Serialize)]
struct Answer {
    documents: Vec<Stale>,
    /// Documents that do not say what made them.
    unknown: u64,
}

impl Named {
    fn short(&self) -> String {
        let digest: String = self.digest.chars().take(DIGEST_DIGITS).collect();
        format!("{} {} ({digest})", self.plugin, self.version)
    }
}

impl From<&Converter> for Named {
    fn from(made: &Converter) -> Self {
        Self {
            plugin: SafeLine::new(&made.name),
            version: SafeLine::new(&made.version),
            digest: made.digest.to_hex(),
        }
    }
}

impl From<&Maker> for Named {
    fn from(maker: &Maker) -> Self {
        Self {
            plugin: SafeLine::new(&maker.name),
            version: SafeLine::new(&maker.version),
            digest: maker.digest.0.to_hex(),
        }
    }
}

/// What would convert documents now.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Present {
    pub(in crate::cli) plugins: Arc<PluginSet>,
    pub(in crate::cli) options: Vec<(String, String)>,
}

impl Present {
    /// Whether what it would make of a document is what is there: one of its converters made it, with
    /// the options that it would be given.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub(in crate::cli) fn made(
        &self,
        catalogue: &Catalogue,
        row: &DocumentRow,
        media_type: &str,
    ) -> Result<bool, KbError> {
        let made = catalogue.provenance(row.ordinal)?;
        let makers = self.plugins.makers(media_type);
        Ok(made.as_deref().and_then(Made::of).is_some_and(|made| {
            let mut makers = makers.iter();
            makers.any(|maker| made.is_by(&maker.digest, &maker.options(&self.options)))
        }))
    }
}

fn is_among(made: &Made, makers: &[Maker]) -> bool {
    makers.iter().any(|maker| maker.digest.0 == made.by.digest)
}

/// Lists the documents. Takes no lock.
///
/// # Errors
/// If there is no KB, its registry or the installed plugins cannot be read.
pub(super) fn run(ui: &mut Ui, settings: &Settings) -> Result<Exit, CommandError> {
    let root = KbRoot::resolve(&settings.candidates)?;
    let catalogue = Catalogue::open(&root)?;
    let plugins = engine::plugins(None)?;
    let mut answer = Answer {
        documents: Vec::new(),
        unknown: 0,
    };
    for row in catalogue.documents()? {
        let made = catalogue.provenance(row.ordinal)?;
        let Some(made) = made.as_deref().and_then(Made::of) else {
            answer.unknown += 1;
            continue;
        };
        // What a service would make of it today, nobody knows.
        if is_cloud_world(&made.by.world) {
            continue;
        }
        let media_type = media_type_now(&plugins, &root, &row).unwrap_or(made.media_type.clone());
        let makers = plugins.makers(&media_type);
        if is_among(&made, &makers) {
            continue;
        }
        answer.documents.push(Stale {
            path: path(&root, &row),
            document: row.doc_name,
            media_type: SafeLine::new(&media_type),
            made_by: Named::from(&made.by),
            now: makers.iter().map(Named::from).collect(),
        });
    }
    if ui.json() {
        ui.answer(answer);
    } else {
        tell(ui, settings, &root, &answer);
    }
    Ok(Exit::Done)
}

/// What `add --reconvert` would take the original for: a converter that was forced, or preferred then,
/// may have taken it for something else. `None` if there is no original, or nobody takes it.
fn media_type_now(plugins: &PluginSet, root: &KbRoot, row: &DocumentRow) -> Option<String> {
    let path = root.join(row.raw_path.as_ref()?);
    if !path.is_file() {
        return None;
    }
    let met = Met {
        name: &row.name,
        named: true,
        head: &|bytes_max| enumerate::head(&path, false, bytes_max),
    };
    match plugins.kind_of(&met) {
        Kind::Taken { media_type, .. } => Some(media_type),
        _ => None,
    }
}

/// A path that `add --reconvert` takes: the source where it is there, else the original. Whole, and so
/// never one that a line of text could not hold.
fn path(root: &KbRoot, row: &DocumentRow) -> Option<String> {
    let source = Path::new(row.source_key.as_str());
    let source = (source.is_absolute() && source.is_file()).then(|| source.to_owned());
    let plain = |path: PathBuf| {
        let text = path.into_os_string().into_string().ok()?;
        let is_line = SafeLine::with_max(&text, usize::MAX).as_str() == text;
        is_line.then_some(text)
    };
    let raw = || row.raw_path.as_ref().and_then(|raw| plain(root.join(raw)));
    source.and_then(plain).or_else(raw)
}

fn tell(ui: &mut Ui, settings: &Settings, root: &KbRoot, answer: &Answer) {
    if !answer.documents.is_empty() {
        let table = Table {
            header: ["Document", "Made by", "Now"],
            right: [false; 3],
            elastic: &[0, 2, 1],
            rows: answer.documents.iter().map(cells).collect(),
        };
        for line in table.lines(ui.columns(), ui.stdout().colour) {
            ui.line(&line);
        }
    }
    let unknown = match answer.unknown {
        0 => String::new(),
        1 => "; 1 document does not say what made it".to_owned(),
        count => format!("; {count} documents do not say what made them"),
    };
    ui.note(&match answer.documents.len() {
        0 => format!("No document is stale{unknown}."),
        1 => format!("1 document is stale{unknown}."),
        count => format!("{count} documents are stale{unknown}."),
    });
    let convertible = |stale: &&Stale| !stale.now.is_empty() && stale.path.is_some();
    if let Some(path) = answer
        .documents
        .iter()
        .find(convertible)
        .and_then(|stale| stale.path.as_ref())
    {
        let program = settings.program(root);
        let path = word(Path::new(path));
        ui.hint(&format!(
            "`{program} add --reconvert {path}` converts one again; folders can be named too"
        ));
    }
}

fn cells(stale: &Stale) -> [String; 3] {
    let now: Vec<String> = stale.now.iter().map(Named::short).collect();
    let now = match &now[..] {
        [] => format!("no converter takes {}", stale.media_type),
        now => now.join(" or "),
    };
    [stale.document.to_string(), stale.made_by.short(), now]
}
