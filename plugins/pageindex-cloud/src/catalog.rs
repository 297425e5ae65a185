//! What the service has.

use kbhost_guest::{ConvertError, one_line};

use crate::api::{Api, Metadata, Progress};
use crate::bindings::exports::kbhost::cloud::catalog::{RemoteDocument, State};

/// The service's own limit of a stretch.
const STRETCH_MAX: u32 = 100;

/// The documents from `offset` on, at most `limit`, asked for in stretches.
pub(crate) fn documents(
    api: &mut Api<'_>,
    offset: u32,
    limit: u32,
) -> Result<Vec<RemoteDocument>, ConvertError> {
    let mut documents = Vec::new();
    let mut at = offset;
    let end = offset.saturating_add(limit);
    while at < end {
        let stretch = (end - at).min(STRETCH_MAX);
        let listed = api.list(at, stretch)?;
        let is_last = listed.len() < stretch as usize;
        // More than was asked for would come again with the next stretch.
        let listed = listed.into_iter().take(stretch as usize);
        for metadata in listed {
            // Without an id it counts, and nobody can ask for it: the host leaves it out and says so.
            let id = metadata.id.clone().unwrap_or_default();
            documents.push(remote(&id, metadata));
        }
        if is_last {
            break;
        }
        at += stretch;
    }
    Ok(documents)
}

/// One document.
pub(crate) fn status(api: &mut Api<'_>, id: &str) -> Result<RemoteDocument, ConvertError> {
    let metadata = api.metadata(id)?;
    Ok(remote(id, metadata))
}

fn remote(id: &str, metadata: Metadata) -> RemoteDocument {
    RemoteDocument {
        id: id.to_owned(),
        name: metadata.name.unwrap_or_else(|| one_line(id, 255)),
        state: match metadata.progress {
            Progress::Queued => State::Queued,
            Progress::Processing => State::Processing,
            Progress::Completed => State::Completed,
            Progress::Failed => State::Failed,
            Progress::Unknown => State::Unknown,
        },
        pages: metadata.pages,
        description: metadata.description,
        created: metadata.created,
    }
}
