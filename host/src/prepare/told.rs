//! Looks for a secret in what a converter made of a document, before anybody is told. A service's key is
//! looked for everywhere: what stood apart in an answer may have come together in a page, a name or a
//! summary. A password is looked for beside the document's own text.
//!
//! Invariant: every text that a commit would write of a document is looked at as it would be written.

use std::fmt::Write as _;

use super::{PreparedDocument, ReadyFile, Section, StagingError};
use crate::egress::Client;
use crate::kb::SafeLine;
use crate::kb::tree::Node;
use crate::plugin::Password;

/// Leaves out what is said of a document that `password` opened where that tells it: sentences of the
/// host's may quote what the converter declared.
pub(super) fn leave_out(document: &mut PreparedDocument, password: &Password) {
    let told = |line: &SafeLine| password.is_told_in(line.as_str());
    let sentences = document.warnings.len();
    document.warnings.retain(|line| !told(line));
    if document.warnings.len() < sentences {
        document.warnings.push(SafeLine::new(Password::NOT_TOLD));
    }
}

/// Whether the key is told anywhere in `document`.
///
/// # Errors
/// If one of its files cannot be read.
pub(super) fn is_told(document: &PreparedDocument, service: &Client) -> Result<bool, StagingError> {
    let members = document.members.iter().map(|member| &member.file);
    let files = std::iter::once(&document.main)
        .chain(&document.pages_json)
        .chain(members);
    for file in files {
        if service.is_told_in(&read(document, file)?) {
            return Ok(true);
        }
    }
    Ok(service.is_told_in(words(document).as_bytes()))
}

fn read(document: &PreparedDocument, file: &ReadyFile) -> Result<Vec<u8>, StagingError> {
    let path = document.staging.ready().join(&file.name);
    std::fs::read(&path).map_err(|error| StagingError::new("read", path, error))
}

/// Every line that is told of a document beside its files, and its text as search and summaries have it.
fn words(document: &PreparedDocument) -> String {
    let analysis = &document.analysis;
    let mut words = String::new();
    let mut add = |text: &str| {
        // Apart: what only meets here is told nowhere.
        writeln!(words, "{text}{APART}").expect("a string takes all");
    };
    add(&document.file_name);
    add(analysis.title.as_str());
    add(analysis.description.as_str());
    analysis.summary.iter().for_each(|line| add(line.as_str()));
    for term in &analysis.terms {
        add(&term.slug);
        add(term.label.as_str());
        if let Some(gloss) = &term.gloss {
            add(gloss.as_str());
        }
    }
    for heading in &document.outline {
        add(heading.title.as_str());
    }
    for (key, value) in &document.metadata {
        add(key);
        add(value.as_str());
    }
    document.warnings.iter().for_each(|line| add(line.as_str()));
    let members = analysis.members.iter().flatten();
    for Section { heading, text, .. } in analysis.sections.iter().chain(members) {
        add(heading);
        add(text);
    }
    if let Some(tree) = &document.tree {
        let mut nodes: Vec<&Node> = tree.nodes.iter().collect();
        while let Some(node) = nodes.pop() {
            add(node.title.as_str());
            if let Some(summary) = &node.summary {
                add(summary.as_str());
            }
            nodes.extend(&node.nodes);
        }
    }
    words
}

/// A key is visible ASCII without spaces, and none has four of these in a row where two lines meet.
const APART: &str = "````";
