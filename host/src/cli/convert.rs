//! `convert`: one file to Markdown in the same sandbox, without a knowledge base.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::args::ConvertArgs;
use super::engine;
use super::error::CommandError;
use super::exit::Exit;
use super::password;
use super::report::is_cancelled;
use super::show;
use super::signals::Signals;
use super::terminal::one_line;
use super::ui::Ui;
use crate::enumerate::{self, Filter, Source};
use crate::kb::shell_word as word;
use crate::kb::{PageRanges, PathError, names};
use crate::plugin::{Password, PluginIdentity, PluginSet};
use crate::prepare::{PrepareError, PreparedDocument, StagingRoot};

#[derive(Serialize)]
struct Answer<'a> {
    path: &'a str,
    title: &'a str,
    media_type: &'a str,
    pages: Option<u32>,
    needs_ocr: Option<&'a PageRanges>,
    plugin: &'a PluginIdentity,
    images: usize,
    members: usize,
    warnings: Vec<&'a str>,
    /// What was written, with `-o`.
    files: Option<Vec<String>>,
    /// The text, without `-o`.
    markdown: Option<String>,
}

/// Converts one file.
///
/// # Errors
/// If it cannot be converted, or the result not be written.
pub(super) fn run(ui: &mut Ui, args: &ConvertArgs) -> Result<Exit, CommandError> {
    if args.file.is_dir() {
        return Err(CommandError::Usage {
            message: format!("convert `{}`: it is a folder", args.file.display()),
            hint: "name one file; `kbhost add` takes folders".to_owned(),
        });
    }
    let plugins = engine::plugins(args.plugin.as_deref())?;
    let password = password::read(args.password.password_file.as_deref(), &plugins)?;
    let source = the_source(&args.file, &plugins, password.as_ref())?;
    engine::load(&plugins, [&source])?;
    let signals = Signals::install().map_err(CommandError::Signals)?;
    let scratch = scratch_dir()?;
    let staging = StagingRoot::open(scratch.path())?;
    let cancel = Arc::clone(&signals.cancel);
    let prepared = engine::prepare_one(
        &source,
        &plugins,
        &staging,
        args.conversion,
        password.as_ref(),
        cancel,
    );
    let document = match prepared {
        Ok(document) => document,
        Err(error) => return Err(failed(error, source.display, &plugins, &signals)),
    };
    deliver(ui, args, &document)?;
    if let Err(error) = document.discard() {
        tracing::warn!("a staging directory is left: {error}");
    }
    Ok(Exit::Done)
}

/// The file as an input, by the same rules as `add`.
fn the_source(
    file: &Path,
    plugins: &PluginSet,
    password: Option<&Arc<Password>>,
) -> Result<Source, CommandError> {
    let filter = Filter {
        kind_of: &|met| plugins.kind_of(met),
        kb: None,
        secret: password.map(|password| password.file()),
    };
    let mut inputs = enumerate::sources(&[file.to_owned()], &filter);
    if let Some(input) = inputs.unreadable.pop() {
        return Err(input.error.into());
    }
    let source = inputs
        .sources
        .pop()
        .expect("a named file is a source or unreadable");
    if source.media_type.is_none() {
        let error = Box::new(PrepareError::Unsupported(source.display.clone()));
        return Err(preparation(error, source.display, plugins));
    }
    Ok(source)
}

fn preparation(error: Box<PrepareError>, display: String, plugins: &PluginSet) -> CommandError {
    CommandError::Prepare {
        display,
        error,
        accepted: plugins.extensions(),
    }
}

fn failed(
    error: Box<PrepareError>,
    display: String,
    plugins: &PluginSet,
    signals: &Signals,
) -> CommandError {
    match signals.exit() {
        Some(exit) if is_cancelled(&error) => CommandError::Interrupted(exit),
        _ => preparation(error, display, plugins),
    }
}

/// A private directory of this process outside every KB; it goes with the value.
pub(super) fn scratch_dir() -> Result<tempfile::TempDir, CommandError> {
    tempfile::Builder::new()
        .prefix("kbhost-")
        .tempdir()
        .map_err(|error| PathError::new("make a folder in", std::env::temp_dir(), error).into())
}

/// Writes the document where it was asked for.
fn deliver(
    ui: &mut Ui,
    args: &ConvertArgs,
    document: &PreparedDocument,
) -> Result<(), CommandError> {
    let (files, markdown) = match &args.output {
        Some(dir) => (Some(write(dir, args.force, document)?), None),
        None => (None, Some(page(document)?)),
    };
    for warning in &document.warnings {
        ui.warning(&format!("{}: {warning}", document.display));
    }
    if ui.json() {
        ui.answer(Answer {
            path: &document.display,
            title: document.analysis.title.as_str(),
            media_type: &document.media_type,
            pages: document.page_count,
            needs_ocr: document.needs_ocr.as_ref(),
            plugin: &document.plugin,
            images: document.images.len(),
            members: document.members.len(),
            warnings: document.warnings.iter().map(|line| line.as_str()).collect(),
            files: files.map(|files| files.iter().map(|path| shown(path)).collect()),
            markdown,
        });
        return Ok(());
    }
    for path in files.iter().flatten() {
        let line = shown(path);
        ui.line(&line);
    }
    if let Some(markdown) = markdown {
        show::print(ui, markdown.as_bytes());
        let parts = (document.images.len(), document.members.len());
        if let Some(note) = parts_left(parts, &args.file) {
            ui.note(&note);
        }
    }
    Ok(())
}

fn write(
    dir: &Path,
    overwrite: bool,
    document: &PreparedDocument,
) -> Result<Vec<PathBuf>, CommandError> {
    let stem = Path::new(&document.file_name)
        .file_stem()
        .map(|stem| stem.to_string_lossy())
        .unwrap_or_default();
    let name = names::from_stem(&stem);
    engine::export(document, dir, name.as_str(), overwrite).map_err(CommandError::Export)
}

/// The Markdown as it goes to stdout.
fn page(document: &PreparedDocument) -> Result<String, CommandError> {
    let text = document.page()?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What is said of images and members that do not go to stdout.
fn parts_left((images, members): (usize, usize), file: &Path) -> Option<String> {
    let counted = |count, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {many}")),
    };
    let parts: Vec<String> = [
        counted(images, "image", "images"),
        counted(members, "member page", "member pages"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let (are, written) = match (images, members) {
        (0, 0) => return None,
        (1, 0) => ("is", "text and images"),
        (_, 0) => ("are", "text and images"),
        (0, 1) => ("is", "text and member pages"),
        (0, _) => ("are", "text and member pages"),
        _ => ("are", "text, images and member pages"),
    };
    Some(format!(
        "note: {} {are} not written; `kbhost convert {} -o DIR` writes {written}",
        parts.join(" and "),
        word(file)
    ))
}

fn shown(path: &Path) -> String {
    one_line(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_named() {
        let check = |parts, expected: &str| {
            let note = parts_left(parts, Path::new("a.pdf")).unwrap();
            assert!(note.starts_with(expected), "{note}");
            assert!(note.contains("`kbhost convert a.pdf -o DIR`"), "{note}");
        };
        check((1, 0), "note: 1 image is not written");
        check((3, 0), "note: 3 images are not written");
        check((0, 1), "note: 1 member page is not written");
        check((1, 2), "note: 1 image and 2 member pages are not written");
        assert_eq!(parts_left((0, 0), Path::new("a.pdf")), None);
    }
}
