//! `cloud`: what PageIndex Cloud has; and the one place where a command is connected with it.

use std::sync::Arc;

use serde::Serialize;

use super::args::{CloudAction, CloudArgs};
use super::engine;
use super::error::{CommandError, ErrorReport};
use super::exit::Exit;
use super::settings::Settings;
use super::signals::Signals;
use super::table::Table;
use super::ui::Ui;
use crate::egress::{Client, Service};
use crate::kb::config::Narrowing;
use crate::kb::registry::Catalogue;
use crate::kb::{DocName, KbError, KbRoot, RemoteId, SafeLine};
use crate::plugin::{Allowance, JobError, PluginSet, RemoteCatalog, RemoteDocument, RemoteState};
use crate::prepare::Via;

/// Documents that are listed: more than anybody reads, and the calls are bounded by it.
const LISTED_MAX: u32 = 10_000;

/// A document of the service, and what it is here.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    document: RemoteDocument,
    /// Its name in the knowledge base, if it is in.
    name_in_kb: Option<DocName>,
}

#[derive(Serialize)]
struct Answer<'a> {
    documents: &'a [Listed],
    /// Those that could not be told of.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    failed: &'a [Unanswered],
    /// Whether there are no others.
    complete: bool,
}

/// A document that could not be told of.
#[derive(Serialize)]
struct Unanswered {
    id: RemoteId,
    error: ErrorReport,
}

/// Connects with the service: its converter, its address and the key.
///
/// # Errors
/// If there is no key, or the converter or the client cannot be started.
pub(super) fn connect(plugins: &PluginSet, root: Option<&KbRoot>) -> Result<Via, CommandError> {
    let service = Service::pageindex()?;
    let key = crate::userdir::credentials::pageindex_key(root)?;
    Ok(Via {
        plugin: plugins.cloud()?,
        service: Client::start(service, key)?,
    })
}

/// The ids that were typed.
///
/// # Errors
/// If one is none.
pub(super) fn ids(typed: &[String]) -> Result<Vec<RemoteId>, CommandError> {
    let ids = typed.iter().map(|id| {
        RemoteId::new(id).ok_or_else(|| CommandError::Usage {
            message: format!("use `{}` as the id of a document", SafeLine::new(id)),
            hint: "an id has letters, digits, `-` and `_`; `kbhost cloud list` tells them"
                .to_owned(),
        })
    });
    ids.collect()
}

/// Asks the service.
///
/// # Errors
/// If it cannot be asked, or a list fails. A document that cannot be told of is told, and becomes the
/// exit code.
pub(super) fn run(
    ui: &mut Ui,
    settings: &Settings,
    args: &CloudArgs,
) -> Result<Exit, CommandError> {
    // The service can be asked without a knowledge base.
    let root = match KbRoot::resolve(&settings.candidates) {
        Ok(root) => Some(root),
        Err(KbError::NotAKb(_)) if !settings.candidates.is_named() => None,
        Err(error) => return Err(error.into()),
    };
    let ids = match &args.action {
        CloudAction::List => Vec::new(),
        CloudAction::Status { ids } => self::ids(ids)?,
    };
    let plugins = engine::plugins(None)?;
    let via = connect(&plugins, root.as_ref())?;
    let root = root.map(Arc::new);
    let catalogue = root.as_deref().map(Catalogue::open).transpose()?;
    let signals = Signals::install().map_err(CommandError::Signals)?;
    let asked = Asked {
        catalog: RemoteCatalog {
            plugin: &via.plugin,
            service: &via.service,
            allowance: &Allowance {
                limits: engine::limits(),
                kb: Narrowing::default(),
            },
            cancel: &signals.cancel,
        },
        catalogue,
    };
    let exit = match &args.action {
        CloudAction::List => asked.list(ui),
        CloudAction::Status { .. } => asked.status(ui, &ids),
    };
    // Who ended it knows why.
    signals.exit().map_or(exit, Ok)
}

struct Asked<'a> {
    catalog: RemoteCatalog<'a>,
    catalogue: Option<Catalogue>,
}

impl Asked<'_> {
    fn list(&self, ui: &mut Ui) -> Result<Exit, CommandError> {
        let mut documents = Vec::new();
        let (mut offset, mut left_out, mut complete) = (0, 0, false);
        while offset < LISTED_MAX {
            let (page, given) = self
                .catalog
                .documents(offset)
                .map_err(|error| failed("its documents", error))?;
            left_out += given.saturating_sub(u32::try_from(page.len()).unwrap_or(given));
            for document in page {
                documents.push(self.listed(document)?);
            }
            offset += given;
            // A service that ignores the limit's end would be asked for ever by any other rule.
            if given < crate::plugin::LISTED_MAX {
                complete = true;
                break;
            }
        }
        tell(ui, &documents, &[], complete && left_out == 0);
        if left_out > 0 && !ui.json() {
            ui.note(&format!(
                "{left_out} more have ids that cannot be asked for, and are left out."
            ));
        }
        if !complete && !ui.json() {
            ui.note(&format!(
                "There are more than {LISTED_MAX}: these are the first."
            ));
        }
        Ok(Exit::Done)
    }

    fn status(&self, ui: &mut Ui, ids: &[RemoteId]) -> Result<Exit, CommandError> {
        let (mut documents, mut unanswered) = (Vec::new(), Vec::new());
        for id in ids {
            match self.catalog.status(id) {
                Ok(document) => documents.push(self.listed(document)?),
                Err(error) => {
                    let error = failed(id.as_str(), error);
                    if ids.len() == 1 {
                        return Err(error);
                    }
                    if !ui.json() {
                        ui.error(&error.report());
                    }
                    unanswered.push(Unanswered {
                        id: id.clone(),
                        error: error.report(),
                    });
                }
            }
        }
        tell(ui, &documents, &unanswered, unanswered.is_empty());
        Ok(match unanswered[..] {
            [] => Exit::Done,
            _ => Exit::Failed,
        })
    }

    fn listed(&self, document: RemoteDocument) -> Result<Listed, CommandError> {
        let row = match &self.catalogue {
            Some(catalogue) => catalogue.by_remote_id(&document.id)?,
            None => None,
        };
        Ok(Listed {
            document,
            name_in_kb: row.map(|row| row.doc_name),
        })
    }
}

fn failed(display: &str, error: Box<JobError>) -> CommandError {
    CommandError::Ask {
        about: display.to_owned(),
        error,
    }
}

fn tell(ui: &mut Ui, documents: &[Listed], failed: &[Unanswered], complete: bool) {
    if ui.json() {
        ui.answer(Answer {
            documents,
            failed,
            complete,
        });
        return;
    }
    if documents.is_empty() && failed.is_empty() {
        ui.note("The service has no documents.");
        return;
    }
    let table = Table {
        header: ["Id", "State", "Pages", "Here", "Name"],
        right: [false, false, true, false, false],
        elastic: &[4, 3],
        rows: documents.iter().map(cells).collect(),
    };
    for line in table.lines(ui.columns(), ui.stdout().colour) {
        ui.line(&line);
    }
    let importable = |listed: &&Listed| {
        listed.name_in_kb.is_none() && listed.document.state == RemoteState::Completed
    };
    if let Some(listed) = documents.iter().find(importable) {
        let id = &listed.document.id;
        ui.hint(&format!(
            "`kbhost add --from-pageindex-cloud={id}` imports one"
        ));
    }
}

fn cells(listed: &Listed) -> [String; 5] {
    let document = &listed.document;
    let state = match document.state {
        RemoteState::Queued => "queued",
        RemoteState::Processing => "processing",
        RemoteState::Completed => "completed",
        RemoteState::Failed => "failed",
        RemoteState::Unknown => "unknown",
    };
    [
        document.id.to_string(),
        state.to_owned(),
        document
            .pages
            .map(|pages| pages.to_string())
            .unwrap_or_default(),
        listed
            .name_in_kb
            .as_ref()
            .map_or_else(|| "no".to_owned(), ToString::to_string),
        document.name.to_string(),
    ]
}
