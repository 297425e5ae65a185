//! The validator of what comes back: bounded, then turned into the host's own types.
//!
//! Only counts and sizes are judged here. What a path, a title or a picture may be is for the
//! collector to say, which sees the files too.

use super::bindings::types;
use super::job::{Converted, OutlineEntry, OutputFile, OutputRole};
use super::stdio;
use super::{AcceptedType, ConvertError, JobFailure, Limits, Password};

/// Headings of one document: a book of 10,000 pages has fewer.
const OUTLINE_MAX: usize = 50_000;

/// Keys of metadata: real documents have a dozen.
const METADATA_MAX: usize = 256;

/// Warnings: nobody reads more.
const WARNINGS_MAX: usize = 1_000;

/// A path beneath `/out`.
const PATH_BYTES_MAX: usize = 1_024;

/// A media type.
const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// Any other text: it will be cut to a line anyway.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// All texts of one answer together.
const TOTAL_BYTES_MAX: usize = 16 << 20;

/// A reference to a local file: the longest path that systems take.
const REFERENCE_BYTES_MAX: usize = 4_096;

/// Names of missing files that a message shows.
const MISSING_MAX: usize = 20;

/// Media types and extensions of one converter.
pub(crate) const ACCEPTS_MAX: usize = 64;

/// Adds up texts against [`TOTAL_BYTES_MAX`].
#[derive(Default)]
struct Budget {
    used: usize,
}

impl Budget {
    fn text(&mut self, what: &str, text: &str, bytes_max: usize) -> Result<(), JobFailure> {
        if text.len() > bytes_max {
            return Err(too_much(what, text.len(), bytes_max));
        }
        self.used = self.used.saturating_add(text.len());
        if self.used > TOTAL_BYTES_MAX {
            return Err(too_much("all texts together", self.used, TOTAL_BYTES_MAX));
        }
        Ok(())
    }
}

fn too_much(what: &str, is: usize, max: usize) -> JobFailure {
    JobFailure::InvalidOutput(format!("{what}: {is} bytes; the limit is {max}"))
}

fn count(what: &str, is: usize, max: usize) -> Result<(), JobFailure> {
    if is > max {
        return Err(JobFailure::InvalidOutput(format!(
            "{is} {what}; the limit is {max}"
        )));
    }
    Ok(())
}

/// What `convert` returned.
pub(super) fn document(
    document: types::Document,
    limits: &Limits,
) -> Result<Converted, JobFailure> {
    let files_max = usize::try_from(limits.output_files_max).unwrap_or(usize::MAX);
    count("declared files", document.files.len(), files_max)?;
    count("headings", document.outline.len(), OUTLINE_MAX)?;
    count("metadata entries", document.metadata.len(), METADATA_MAX)?;
    count("warnings", document.warnings.len(), WARNINGS_MAX)?;
    let mut budget = Budget::default();
    for file in &document.files {
        budget.text("the path of a file", &file.path, PATH_BYTES_MAX)?;
        budget.text("a media type", &file.media_type, MEDIA_TYPE_BYTES_MAX)?;
    }
    if let Some(title) = &document.title {
        budget.text("the title", title, TEXT_BYTES_MAX)?;
    }
    if let Some(name) = &document.name {
        budget.text("the name", name, PATH_BYTES_MAX)?;
    }
    if let Some(id) = &document.remote_id {
        budget.text("the remote id", id, PATH_BYTES_MAX)?;
    }
    for heading in &document.outline {
        budget.text("a heading", &heading.title, TEXT_BYTES_MAX)?;
    }
    for (key, value) in &document.metadata {
        budget.text("a metadata key", key, TEXT_BYTES_MAX)?;
        budget.text("a metadata value", value, TEXT_BYTES_MAX)?;
    }
    for warning in &document.warnings {
        budget.text("a warning", warning, TEXT_BYTES_MAX)?;
    }
    Ok(converted(document))
}

fn converted(document: types::Document) -> Converted {
    let files = document.files.into_iter().map(|file| OutputFile {
        path: file.path,
        role: role(file.role),
        media_type: file.media_type,
        page: file.page,
    });
    let outline = document.outline.into_iter().map(|heading| OutlineEntry {
        level: heading.level,
        title: heading.title,
        page: heading.page,
    });
    Converted {
        files: files.collect(),
        title: document.title,
        name: document.name,
        remote_id: document.remote_id,
        pages: document.pages,
        outline: outline.collect(),
        metadata: document.metadata,
        warnings: document.warnings,
    }
}

fn role(role: types::Role) -> OutputRole {
    match role {
        types::Role::Main => OutputRole::Main,
        types::Role::Pages => OutputRole::Pages,
        types::Role::Tree => OutputRole::Tree,
        types::Role::Image => OutputRole::Image,
        types::Role::Attachment => OutputRole::Attachment,
        types::Role::Member => OutputRole::Member,
    }
}

/// What `assets` returned.
pub(super) fn references(
    references: Vec<types::AssetReference>,
) -> Result<Vec<String>, JobFailure> {
    count("asset references", references.len(), Limits::ASSETS_MAX)?;
    let mut budget = Budget::default();
    for asset in &references {
        budget.text("an asset reference", &asset.reference, REFERENCE_BYTES_MAX)?;
    }
    Ok(references
        .into_iter()
        .map(|asset| asset.reference)
        .collect())
}

/// What a converter says when it gives up, with its texts made safe lines; a text that tells the
/// password it was given is not told.
pub(super) fn refusal(error: types::ConvertError, password: Option<&Password>) -> ConvertError {
    use types::ConvertError as Guest;
    let line = |why: &str| match password {
        Some(password) if password.is_told_in(why) => Password::NOT_TOLD.to_owned(),
        _ => stdio::line(why),
    };
    match error {
        Guest::Unsupported(why) => ConvertError::Unsupported(line(&why)),
        Guest::Corrupt(why) => ConvertError::Corrupt(line(&why)),
        Guest::Encrypted(why) => ConvertError::Encrypted(line(&why)),
        Guest::TooLarge(why) => ConvertError::TooLarge(line(&why)),
        Guest::MissingDependency(names) => {
            let mut lines: Vec<_> = names
                .iter()
                .take(MISSING_MAX)
                .map(|name| line(name))
                .collect();
            if names.len() > MISSING_MAX {
                lines.push(format!("and {} more", names.len() - MISSING_MAX));
            }
            ConvertError::MissingDependency(lines)
        }
        Guest::Cancelled => ConvertError::Cancelled,
        Guest::Timeout => ConvertError::Timeout,
        Guest::NotFound(why) => ConvertError::NotFound(line(&why)),
        Guest::Network(why) => ConvertError::Network(line(&why)),
        Guest::Auth(why) => ConvertError::Auth(line(&why)),
        Guest::Quota(why) => ConvertError::Quota(line(&why)),
        Guest::Upstream(why) => ConvertError::Upstream(line(&why)),
        Guest::Internal(why) => ConvertError::Internal(line(&why)),
    }
}

/// Name, version and accepted types of a converter, if it describes itself validly.
///
/// # Errors
/// What is wrong, as a sentence fragment.
pub(super) fn description(
    description: types::Description,
) -> Result<(String, String, Vec<AcceptedType>), String> {
    let types::Description {
        name,
        version,
        accepts,
    } = description;
    if !is_name(&name) {
        return Err(format!(
            "`{}` is no name: a-z, 0-9 and -, at most 64",
            stdio::line(&name)
        ));
    }
    if !is_version(&version) {
        return Err(format!(
            "`{}` is no semantic version",
            stdio::line(&version)
        ));
    }
    let extensions: usize = accepts
        .iter()
        .map(|accepted| accepted.extensions.len())
        .sum();
    if accepts.len() > ACCEPTS_MAX || extensions > ACCEPTS_MAX {
        return Err(format!(
            "it accepts more than {ACCEPTS_MAX} media types or extensions"
        ));
    }
    let accepts = accepts
        .into_iter()
        .map(accepted_type)
        .collect::<Result<_, _>>()?;
    Ok((name, version, accepts))
}

fn accepted_type(accepted: types::AcceptedType) -> Result<AcceptedType, String> {
    let types::AcceptedType {
        media_type,
        extensions,
    } = accepted;
    let accepted = AcceptedType {
        media_type,
        extensions,
    };
    valid(&accepted)?;
    Ok(accepted)
}

/// Whether a media type and its extensions are well-formed.
///
/// # Errors
/// What is wrong, as a sentence fragment.
pub(crate) fn valid(accepted: &AcceptedType) -> Result<(), String> {
    if !is_media_type(&accepted.media_type) {
        let wrong = stdio::line(&accepted.media_type);
        return Err(format!("`{wrong}` is no media type"));
    }
    match accepted
        .extensions
        .iter()
        .find(|wrong| !is_extension(wrong))
    {
        Some(wrong) => Err(format!("`{}` is no extension", stdio::line(wrong))),
        None => Ok(()),
    }
}

/// Whether `name` may be a plugin's: lower-case letters, digits and dashes.
pub(crate) fn is_name(name: &str) -> bool {
    is_word(name, 64, |c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
}

/// Whether this is a media type without parameters, in lower case.
pub(crate) fn is_media_type(media_type: &str) -> bool {
    let part = |part: &str| {
        is_word(part, 127, |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || "+-._".contains(c)
        })
    };
    media_type
        .split_once('/')
        .is_some_and(|(kind, name)| part(kind) && part(name))
}

fn is_extension(extension: &str) -> bool {
    is_word(
        extension,
        16,
        |c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '+'),
    )
}

fn is_word(word: &str, bytes_max: usize, allowed: impl Fn(char) -> bool) -> bool {
    !word.is_empty() && word.len() <= bytes_max && word.chars().all(allowed)
}

/// Three numbers, then anything a semantic version may have.
pub(crate) fn is_version(version: &str) -> bool {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    is_word(version, 64, |c| {
        c.is_ascii_alphanumeric() || ".-+".contains(c)
    }) && numbers.split('.').count() == 3
        && numbers
            .split('.')
            .all(|number| is_word(number, 20, |c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> types::Document {
        types::Document {
            files: Vec::new(),
            title: None,
            name: None,
            remote_id: None,
            pages: None,
            outline: Vec::new(),
            metadata: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn check(document: types::Document, expected: &str) {
        match super::document(document, &Limits::default()) {
            Err(JobFailure::InvalidOutput(reason)) => assert_eq!(reason, expected),
            other => panic!("{other:?} instead of {expected}"),
        }
    }

    #[test]
    fn answers_are_bounded() {
        super::document(empty(), &Limits::default()).unwrap();
        let warnings = |count, bytes| types::Document {
            warnings: vec!["x".repeat(bytes); count],
            ..empty()
        };
        check(warnings(1_001, 1), "1001 warnings; the limit is 1000");
        check(
            warnings(1, 65_537),
            "a warning: 65537 bytes; the limit is 65536",
        );
        check(
            warnings(257, 65_536),
            "all texts together: 16842752 bytes; the limit is 16777216",
        );
        check(
            types::Document {
                metadata: vec![(String::new(), String::new()); 257],
                ..empty()
            },
            "257 metadata entries; the limit is 256",
        );
        let file = types::OutputFile {
            path: "x".repeat(1_025),
            role: types::Role::Main,
            media_type: String::new(),
            page: None,
        };
        check(
            types::Document {
                files: vec![file.clone()],
                ..empty()
            },
            "the path of a file: 1025 bytes; the limit is 1024",
        );
        check(
            types::Document {
                files: vec![file; 10_001],
                ..empty()
            },
            "10001 declared files; the limit is 10000",
        );
    }

    #[test]
    fn references_are_bounded() {
        let asset = |bytes| types::AssetReference {
            reference: "x".repeat(bytes),
        };
        assert_eq!(references(vec![asset(4_096); 1_000]).unwrap().len(), 1_000);
        references(vec![asset(1); 1_001]).unwrap_err();
        references(vec![asset(4_097)]).unwrap_err();
    }

    #[test]
    fn refusals_are_safe_and_short() {
        let error = refusal(
            types::ConvertError::Corrupt("a\n\x1b[31m[[x]]".to_owned()),
            None,
        );
        assert_eq!(error, ConvertError::Corrupt("a [31m[ [x] ]".to_owned()));
        let names = vec!["\n".to_owned() + &"x".repeat(1 << 20); 1_000];
        let ConvertError::MissingDependency(names) =
            refusal(types::ConvertError::MissingDependency(names), None)
        else {
            panic!("another error");
        };
        assert_eq!(names.len(), MISSING_MAX + 1);
        assert_eq!(names[MISSING_MAX], "and 980 more");
    }

    #[test]
    fn descriptions_are_checked() {
        let check = |name: &str, version: &str, media_type: &str, extension: &str, valid: bool| {
            let result = description(types::Description {
                name: name.to_owned(),
                version: version.to_owned(),
                accepts: vec![types::AcceptedType {
                    media_type: media_type.to_owned(),
                    extensions: vec![extension.to_owned()],
                }],
            });
            assert_eq!(
                result.is_ok(),
                valid,
                "{name} {version} {media_type} {extension}"
            );
        };
        check("pdf", "0.1.0", "application/pdf", "pdf", true);
        check(
            "pdf-2",
            "1.0.0-rc.1+build",
            "application/vnd.x+xml",
            "tar",
            true,
        );
        check("", "0.1.0", "application/pdf", "pdf", false);
        check("PDF", "0.1.0", "application/pdf", "pdf", false);
        check("a/../b", "0.1.0", "application/pdf", "pdf", false);
        check(&"x".repeat(65), "0.1.0", "application/pdf", "pdf", false);
        check("pdf", "0.1", "application/pdf", "pdf", false);
        check("pdf", "0.1.0\n", "application/pdf", "pdf", false);
        check("pdf", "0.1.x", "application/pdf", "pdf", false);
        check("pdf", "0.1.0", "pdf", "pdf", false);
        check("pdf", "0.1.0", "a/b/c", "pdf", false);
        check("pdf", "0.1.0", "application/pdf", ".pdf", false);
        check("pdf", "0.1.0", "application/pdf", "PDF", false);
        check("pdf", "0.1.0", "application/pdf", "", false);
    }
}
