//! Where a document's outputs come from: what converted it, from what, under which limits, and the
//! digests of what came out. Kept in the registry, compared by `verify`.
//!
//! Invariant: the same input, converter and limits give the same provenance on every machine: no
//! times, no paths of the host. Where several converters contended, what each was refused is in it.

use serde::{Deserialize, Serialize};

use super::PreparedDocument;
use crate::kb::{ContentHash, PageRanges, PluginDigest};
use crate::plugin::{JobReport, Limits, PluginIdentity};

/// The provenance of one document. Read back it is data of a KB, which may be a stranger's: compared,
/// never trusted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Provenance {
    /// Who converted it.
    pub plugin: Converter,
    /// Peak of memory and refused attempts.
    #[serde(flatten)]
    pub used: JobReport,
    /// What it might use.
    pub limits: Granted,
    /// The options that it was given; a password is told nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<(String, String)>,
    /// Media type that chose the converter.
    pub media_type: String,
    /// The file name that the converter saw. Untrusted.
    pub file_name: String,
    /// Digest of the original.
    pub input: ContentHash,
    /// References of the original that were resolved, and digests of the files they stand for.
    pub assets: Vec<(String, ContentHash)>,
    /// The main page as collected, with placeholders.
    pub main: ContentHash,
    /// Images in the order declared.
    pub images: Vec<ContentHash>,
    /// Members in the order declared, as collected, with placeholders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<ContentHash>,
    /// Page texts.
    pub pages: Option<ContentHash>,
    /// Section tree.
    pub tree: Option<ContentHash>,
    /// Pages without text that show a picture of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_ocr: Option<PageRanges>,
}

/// A converter as provenance names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Converter {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: ContentHash,
    /// The world it ran in.
    pub world: String,
}

impl From<&PluginIdentity> for Converter {
    fn from(identity: &PluginIdentity) -> Self {
        Self {
            name: identity.name.clone(),
            version: identity.version.clone(),
            digest: identity.digest.0,
            world: identity.world.clone(),
        }
    }
}

/// What made a document, of whatever version its provenance is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Made {
    /// Who converted it.
    #[serde(rename = "plugin")]
    pub by: Converter,
    /// Media type that chose the converter.
    pub media_type: String,
    /// The options that it was given, if they are on record.
    pub options: Option<Vec<(String, String)>>,
}

impl Made {
    /// As a document's provenance says; `None` if it does not.
    #[must_use]
    pub fn of(provenance: &str) -> Option<Self> {
        serde_json::from_str(provenance).ok()
    }

    /// Whether the component with this digest, given these options, would do the same again.
    #[must_use]
    pub fn is_by(&self, digest: &PluginDigest, options: &[(String, String)]) -> bool {
        let recorded = self.options.as_deref();
        self.by.digest == digest.0 && recorded.is_none_or(|recorded| recorded == options)
    }
}

/// Limits as provenance tells them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Granted {
    /// CPU time, milliseconds.
    pub cpu_ms_max: u64,
    /// Memory.
    pub memory_bytes_max: u64,
    /// Output.
    pub output_bytes_max: u64,
    /// Files of output.
    pub output_files_max: u64,
    /// Input.
    pub input_bytes_max: u64,
}

impl From<&Limits> for Granted {
    fn from(limits: &Limits) -> Self {
        Self {
            cpu_ms_max: u64::try_from(limits.cpu_max.as_millis()).unwrap_or(u64::MAX),
            memory_bytes_max: limits.memory_bytes_max,
            output_bytes_max: limits.output_bytes_max,
            output_files_max: limits.output_files_max,
            input_bytes_max: limits.input_bytes_max,
        }
    }
}

impl Provenance {
    /// The provenance of a document that was just prepared.
    #[must_use]
    pub fn of(document: &PreparedDocument) -> Self {
        Self {
            plugin: Converter::from(&document.plugin),
            used: document.report.clone(),
            limits: Granted::from(&document.limits),
            options: document.options.clone(),
            media_type: document.media_type.clone(),
            file_name: document.file_name.clone(),
            input: document.original.hash,
            assets: document.assets.clone(),
            main: document.main.hash,
            images: document
                .images
                .iter()
                .map(|image| image.file.hash)
                .collect(),
            members: document
                .members
                .iter()
                .map(|member| member.file.hash)
                .collect(),
            pages: document.pages_json.as_ref().map(|file| file.hash),
            tree: document.tree_json.as_ref().map(|file| file.hash),
            needs_ocr: document.needs_ocr.clone(),
        }
    }

    /// The outputs of `other` that are not those of this one, by name: `main page`, `image 2`,
    /// `member 3`.
    #[must_use]
    pub fn differing_outputs(&self, other: &Self) -> Vec<String> {
        let mut differing = Vec::new();
        for (differs, name) in [
            (self.main != other.main, "main page"),
            (self.pages != other.pages, "page texts"),
            (self.tree != other.tree, "section tree"),
        ] {
            if differs {
                differing.push(name.to_owned());
            }
        }
        for (name, ours, theirs) in [
            ("image", &self.images, &other.images),
            ("member", &self.members, &other.members),
        ] {
            let count = ours.len().max(theirs.len());
            let places = (0..count).filter(|at| ours.get(*at) != theirs.get(*at));
            differing.extend(places.map(|at| format!("{name} {}", at + 1)));
        }
        differing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_differ_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let staging = super::super::StagingRoot::open(dir.path()).unwrap();
        let document = super::super::testing::document(0, staging.create().unwrap(), "text");
        let one = Provenance::of(&document);
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Provenance>(&json).unwrap(), one);
        let made = Made::of(&json).unwrap();
        assert_eq!(
            (&made.by, made.media_type),
            (&one.plugin, one.media_type.clone())
        );
        assert_eq!(Made::of("{}"), None);
        let mut other = one.clone();
        assert_eq!(one.differing_outputs(&other), [""; 0]);
        other.main = ContentHash::of(b"x");
        other.tree = Some(ContentHash::of(b"x"));
        other.images.push(ContentHash::of(b"x"));
        other.members = vec![ContentHash::of(b"x"); 2];
        assert_eq!(
            one.differing_outputs(&other),
            [
                "main page",
                "section tree",
                "image 1",
                "member 1",
                "member 2"
            ]
        );
        assert!(
            !json.contains("members"),
            "what has none is as before: {json}"
        );
    }
}
