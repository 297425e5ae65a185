//! From a document of the service to a document of the contract.

use std::collections::BTreeMap;

use kbhost_guest::long_document::{Page, PageText, Tree, outline, put_long, put_main};
use kbhost_guest::{ConvertError, Document, Files, OutputFile, Request, Source, Warnings};
use serde_json::Value;

use crate::api::{Api, Metadata, Progress};
use crate::pages::{PAGES_MAX, page, raw_pages};
use crate::pictures::Pictures;
use crate::service::Service;
use crate::tree::tree;
use crate::upload::{failed, forget_unless_passing, upload_and_wait, wait_for_tree};

/// Imports what the request names, or has the service convert the input first.
pub(crate) fn convert(
    request: &Request,
    service: &mut dyn Service,
    files: &mut dyn Files,
) -> Result<Document, ConvertError> {
    let mut api = Api::new(service);
    let mut warnings = Warnings::default();
    match &request.source {
        Source::Remote(id) => {
            let metadata = api.metadata(id)?;
            if metadata.progress == Progress::Failed {
                return Err(failed());
            }
            if matches!(metadata.progress, Progress::Queued | Progress::Processing) {
                return Err(at_work());
            }
            let nodes = wait_for_tree(&mut api, id)?;
            import(&mut api, id, &metadata, &nodes, files, warnings)
        }
        Source::File(file) => {
            let is_pdf = file.media_type == "application/pdf"
                || file.name.to_ascii_lowercase().ends_with(".pdf");
            if !is_pdf {
                let message = format!("files of type {}", file.media_type);
                return Err(ConvertError::Unsupported(message));
            }
            let resume = request.resume.as_deref();
            let (id, nodes) = upload_and_wait(&mut api, &file.name, resume, &mut warnings)?;
            let imported = api
                .metadata(&id)
                .and_then(|metadata| import(&mut api, &id, &metadata, &nodes, files, warnings));
            if let Err(error) = &imported {
                forget_unless_passing(&mut api, error);
            }
            imported
        }
    }
}

/// Others need not wait for a document that somebody else sent: it can be imported later.
fn at_work() -> ConvertError {
    ConvertError::Upstream("the service is still at work on the document".to_owned())
}

/// Everything but the tree, which is here already.
fn import(
    api: &mut Api<'_>,
    id: &str,
    metadata: &Metadata,
    nodes: &[Value],
    files: &mut dyn Files,
    mut warnings: Warnings,
) -> Result<Document, ConvertError> {
    let raw = raw_pages(&api.pages(id)?)?;
    let last = raw.last().map_or(0, |page| page.number);
    let pages_count = match metadata
        .pages
        .filter(|pages| (1..=PAGES_MAX).contains(pages))
    {
        Some(said) if said < last => {
            warnings.push(&format!(
                "of pages the service counts {said} and has number {last}"
            ));
            last
        }
        Some(said) => said,
        None => last,
    };
    if pages_count == 0 {
        let message = "the service has no pages of the document";
        return Err(ConvertError::Upstream(message.to_owned()));
    }
    let tree = tree(nodes, pages_count, &mut warnings)?;
    let mut pictures = Pictures::new(api.service, files);
    let mut found = BTreeMap::new();
    for raw in &raw {
        found.insert(raw.number, page(raw, &mut pictures, &mut warnings)?);
    }
    let images = pictures.finish(&mut warnings);
    let missing = pages_count as usize - found.len();
    if missing > 0 {
        let pages = if missing == 1 { "page" } else { "pages" };
        warnings.push(&format!("the service has no text of {missing} {pages}"));
    }
    // A page that was not told of is an empty one: numbers count on.
    let empty = |number| Page::new(number, PageText::default());
    let pages: Vec<Page> = (1..=pages_count)
        .map(|number| found.remove(&number).unwrap_or_else(|| empty(number)))
        .collect();
    Ok(Document {
        files: write(&pages, &tree, images, files)?,
        title: metadata.title.clone().or_else(|| sole_title(&tree)),
        name: metadata.name.clone(),
        remote_id: Some(id.to_owned()),
        pages: Some(pages_count),
        outline: outline(&tree),
        metadata: entries(metadata),
        warnings: warnings.into_sentences(),
    })
}

/// The title of the section that holds all others.
fn sole_title(tree: &Tree) -> Option<String> {
    match tree.structure.as_slice() {
        [only] => Some(only.title.clone()),
        _ => None,
    }
}

fn entries(metadata: &Metadata) -> Vec<(String, String)> {
    let entries = [
        ("created", &metadata.created),
        ("description", &metadata.description),
    ];
    let entries = entries.into_iter();
    let entries = entries.filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
    entries.collect()
}

fn write(
    pages: &[Page],
    tree: &Tree,
    images: Vec<OutputFile>,
    files: &mut dyn Files,
) -> Result<Vec<OutputFile>, ConvertError> {
    let mut written = vec![put_main(files, pages)?];
    written.extend(put_long(files, pages, tree)?);
    written.extend(images);
    Ok(written)
}
