//! What a preparation hands over: a converted document without a name.

use crate::kb::tree::Tree;
use crate::kb::{
    CheckpointKey, ContentHash, PageRanges, PathError, RemoteId, SafeLine, Seq, SourceKey,
};
use crate::plugin::{JobReport, Limits, PluginIdentity};

use super::{Directories, Placeholders, StagingDir};

/// A validated file in a staging directory's `ready/`, synced, never written again.
#[derive(Clone, Debug)]
pub struct ReadyFile {
    /// Its path in `ready/` (of the original: in `in/`), chosen by the host: `main.md`,
    /// `images/p3_img1.png`.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// Digest of its bytes.
    pub hash: ContentHash,
}

/// What a document was made from.
#[derive(Clone, Debug)]
pub struct Original {
    /// Digest of its bytes; of a remote document, of its identity.
    pub hash: ContentHash,
    /// The original, as a file of the staging directory's `in/`; a remote document has none.
    pub file: Option<ReadyFile>,
}

impl Original {
    /// A local file.
    #[must_use]
    pub fn of_file(file: ReadyFile) -> Self {
        Self {
            hash: file.hash,
            file: Some(file),
        }
    }

    /// Its length in bytes; of a remote document none.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.size)
    }
}

/// An image of a document.
#[derive(Clone, Debug)]
pub struct ReadyImage {
    /// The file.
    pub file: ReadyFile,
    /// The name the host gives it within the document's image directory: `p3_img1.png`. All images
    /// lie in `ready/images/` under these names, and nothing else does.
    pub published_name: String,
    /// The path by which pages refer to it: `kbhost-output:` and this string.
    pub placeholder: String,
}

/// A member of a document: a further document that was found inside the input, as a Markdown page of
/// its own.
#[derive(Clone, Debug)]
pub struct ReadyMember {
    /// The file: UTF-8.
    pub file: ReadyFile,
    /// The name the host gives it within the document's directory of members: `0001-users.md`. All
    /// members lie in `ready/members/` under these names, and nothing else does.
    pub published_name: String,
    /// The path by which pages refer to it: `kbhost-output:` and this string.
    pub placeholder: String,
    /// Whether its text refers to other outputs.
    pub has_placeholders: bool,
}

/// A heading of the document: validated.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Heading {
    /// 1 to 6.
    pub level: u8,
    /// One safe line.
    pub title: SafeLine,
    /// Page from 1.
    pub page: Option<u32>,
}

/// Whether a shared page is a concept or an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TermKind {
    /// `wiki/concepts/`.
    Concept,
    /// `wiki/entities/`.
    Entity,
}

/// A term that the document speaks of and that it may share with others.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AnalysisTerm {
    /// Concept or entity.
    pub kind: TermKind,
    /// The page's name: by the peer's slug rule, case-folded for comparison.
    pub slug: String,
    /// How the term is written.
    pub label: SafeLine,
    /// What it stands for, if the document says so (an acronym's long form).
    pub gloss: Option<SafeLine>,
}

/// A part of the converted text under one heading, for the search index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading; empty before the first one.
    pub heading: String,
    /// Plain text.
    pub text: String,
    /// The page on which it begins, if the converted text tells of pages.
    pub page: Option<u32>,
}

/// What can be said of a document by looking at nothing but its converted text. Deterministic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Analysis {
    /// The document's title: its own, else the first heading, else the stem of its file name.
    pub title: SafeLine,
    /// One sentence for index lines and front matter.
    pub description: SafeLine,
    /// The extractive summary: whole sentences of the document in their order, as plain paragraphs
    /// that cannot be mistaken for Markdown structure.
    pub summary: Vec<SafeLine>,
    /// Terms, sorted by kind and slug, without duplicates, at most [`Analysis::TERMS_MAX`].
    pub terms: Vec<AnalysisTerm>,
    /// The text by sections.
    pub sections: Vec<Section>,
    /// The text of each member by sections, in the order of the members.
    pub members: Vec<Vec<Section>>,
    /// Number of words.
    pub words: u64,
}

impl Analysis {
    /// A document names at most this many terms: it bounds the pages one commit can touch.
    pub const TERMS_MAX: usize = 24;
}

/// A converted document, ready to be committed: no name, no KB path. Dropping it removes its
/// staging directory.
#[derive(Debug)]
pub struct PreparedDocument {
    /// Its place in the order.
    pub seq: Seq,
    /// Holds `in/` with the original and `ready/` with the outputs.
    pub staging: StagingDir,
    /// What it was made from.
    pub original: Original,
    /// The service that made it, if one did.
    pub cloud: Option<CloudOrigin>,
    /// How to name the input to the user.
    pub display: String,
    /// Identity of the input.
    pub key: SourceKey,
    /// The user's file name. Untrusted.
    pub file_name: String,
    /// Extension of the user's file name as typed, without dot, validated as ASCII alphanumeric;
    /// empty if it has none of that form.
    pub extension: String,
    /// Media type that chose the converter.
    pub media_type: String,
    /// What its conversion may have left for a later one: forgotten with the commit.
    pub checkpoint: Option<CheckpointKey>,
    /// Who converted it.
    pub plugin: PluginIdentity,
    /// Whether it shall take the place of what another converter made of the same source.
    pub again: bool,
    /// What the conversion used.
    pub report: JobReport,
    /// What it might use.
    pub limits: Limits,
    /// The options that its converter was given, sorted by key; a password is none of them.
    pub options: Vec<(String, String)>,
    /// The references that were resolved, and the digests of the files they stand for.
    pub assets: Vec<(String, ContentHash)>,
    /// The Markdown page.
    pub main: ReadyFile,
    /// Images, in the order declared.
    pub images: Vec<ReadyImage>,
    /// Members, in the order declared.
    pub members: Vec<ReadyMember>,
    /// Page texts of a long document, as the host wrote them; links to outputs are placeholders.
    pub pages_json: Option<ReadyFile>,
    /// Section tree of a long document, as the converter wrote it: for comparison, never published.
    pub tree_json: Option<ReadyFile>,
    /// The section tree, validated.
    pub tree: Option<Tree>,
    /// Number of pages.
    pub page_count: Option<u32>,
    /// Pages without text that show a picture of it.
    pub needs_ocr: Option<PageRanges>,
    /// Headings.
    pub outline: Vec<Heading>,
    /// Metadata: keys of lower-case ASCII letters, digits, `_`, `-`; sorted, without duplicates.
    pub metadata: Vec<(String, SafeLine)>,
    /// What the user should know.
    pub warnings: Vec<SafeLine>,
    /// What compile works from.
    pub analysis: Analysis,
}

impl PreparedDocument {
    /// Removes the staging directory now and says whether that worked; dropping does the same and
    /// stays silent.
    ///
    /// # Errors
    /// If the directory could not be removed.
    pub fn discard(self) -> Result<(), super::StagingError> {
        self.staging.remove()
    }

    /// Bytes this document holds in staging.
    #[must_use]
    pub fn staged_bytes(&self) -> u64 {
        let outputs = [
            Some(&self.main),
            self.pages_json.as_ref(),
            self.tree_json.as_ref(),
        ];
        let outputs = outputs.into_iter().flatten().map(|file| file.size);
        let images = self.images.iter().map(|image| image.file.size);
        let members = self.members.iter().map(|member| member.file.size);
        self.original.size() + outputs.chain(images).chain(members).sum::<u64>()
    }

    /// What the placeholders of its pages stand for.
    #[must_use]
    pub fn placeholders(&self) -> Placeholders<'_> {
        Placeholders::of(&self.images, &self.members)
    }

    /// The main page as `kbhost convert` prints it: images and members by the names they would be
    /// written under.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn page(&self) -> Result<Vec<u8>, PathError> {
        let path = self.staging.ready().join(&self.main.name);
        let text = std::fs::read(&path).map_err(|error| PathError::new("read", path, error))?;
        let seen = Directories {
            images: "",
            members: "",
        };
        Ok(self.placeholders().resolve(&text, seen))
    }
}

/// That a remote service made a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudOrigin {
    /// The document's id there, if it is known.
    pub id: Option<RemoteId>,
}

/// Why an input needs no commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The registry had these bytes when the run began.
    AlreadyRegistered(ContentHash),
    /// An earlier input of this run has these bytes and was prepared.
    SameAs(Seq, ContentHash),
}
