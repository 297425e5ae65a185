//! The section tree of a long document: its type, and the one reader of its JSON, be it a converter's
//! or that of a registry that came from a stranger. Pure.
//!
//! Invariant: a tree that was read has at most [`NODES_MAX`] nodes and [`DEPTH_MAX`] levels, page ranges
//! within the document, ids in preorder from 1, and no text that is no [`SafeLine`].

use std::cell::Cell;
use std::fmt;
use std::io::Read;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, Serialize, Serializer};

use super::{LINE_CHARS_MAX, SafeLine};

/// Nodes of a tree: a section on each page of the longest books, twice over.
pub const NODES_MAX: u32 = 20_000;

/// Levels of a tree: no outline of a book has half as many, and whoever walks it may recurse.
pub const DEPTH_MAX: usize = 32;

/// Characters of a node's summary.
const SUMMARY_CHARS_MAX: usize = 1_000;

/// Bytes of an untrusted text that are looked at, whatever its length.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// A section tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// What it was made from.
    pub toc_source: TocSource,
    /// The sections of the first level.
    #[serde(rename = "structure")]
    pub nodes: Vec<Node>,
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its heading.
    pub title: SafeLine,
    /// Its place in the tree.
    pub node_id: NodeId,
    /// The first page, from 1.
    #[serde(rename = "start_index")]
    pub start: u32,
    /// The last page; the next section may begin on it too.
    #[serde(rename = "end_index")]
    pub end: u32,
    /// What it says, in short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<SafeLine>,
    /// The sections within it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Node>,
}

/// The number of a node in preorder, from 1; written with at least four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a tree was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TocSource {
    /// The structure that a tagged file tells.
    Structure,
    /// Embedded bookmarks.
    Bookmarks,
    /// A printed table of contents.
    Contents,
    /// Marked headings.
    Headings,
    /// Headings recognised by their looks.
    Detected,
    /// Several of these.
    Hybrid,
    /// Nothing: one node for each page.
    Pages,
    /// A remote service said so.
    Cloud,
    /// Nothing, for want of text.
    Unreadable,
    /// None of the words that are known.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Tree {
    /// The node of an id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        // In preorder a node's descendants have the ids up to that of its next sibling.
        let mut nodes = &self.nodes;
        loop {
            let after = nodes.partition_point(|node| node.node_id <= id);
            let node = &nodes[after.checked_sub(1)?];
            if node.node_id == id {
                return Some(node);
            }
            nodes = &node.nodes;
        }
    }

    /// Calls `visit` with each node in preorder and its level, from 1.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Node, usize)) {
        fn descend<'a>(nodes: &'a [Node], level: usize, visit: &mut dyn FnMut(&'a Node, usize)) {
            for node in nodes {
                visit(node, level);
                descend(&node.nodes, level + 1, visit);
            }
        }
        descend(&self.nodes, 1, visit);
    }
}

/// Why a tree, or the pages of a long document, cannot be taken.
#[derive(Debug)]
pub enum ReadError {
    /// The JSON says what it must not say.
    Invalid(String),
    /// It could not be read.
    Io(std::io::Error),
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() {
            Self::Io(error.into())
        } else if error.is_data() {
            Self::Invalid(error.to_string())
        } else {
            Self::Invalid(format!("not JSON: {error}"))
        }
    }
}

/// Reads the tree of a document of `pages` pages. Page ranges are brought within the document; also
/// tells how many had to be. Ids are given anew, and what is unknown is not kept.
///
/// # Errors
/// If it cannot be read, is no tree, or is beyond a limit.
pub fn read(json: impl Read, pages: u32) -> Result<(Tree, u32), ReadError> {
    if pages == 0 {
        let reason = "a section tree of a document without pages";
        return Err(ReadError::Invalid(reason.to_owned()));
    }
    let reading = Reading {
        pages,
        nodes: Cell::new(0),
        clamped: Cell::new(0),
    };
    let mut json = serde_json::Deserializer::from_reader(json);
    let tree = TreeSeed(&reading).deserialize(&mut json)?;
    json.end()?;
    Ok((tree, reading.clamped.get()))
}

/// What counts while a tree is read.
struct Reading {
    pages: u32,
    nodes: Cell<u32>,
    clamped: Cell<u32>,
}

impl Reading {
    /// The range, brought within the document.
    fn range(&self, start: i64, end: i64) -> (u32, u32) {
        let within = |page: i64| {
            let page = page.clamp(1, i64::from(self.pages));
            u32::try_from(page).expect("a number from 1 to one of 32 bits")
        };
        let first = within(start);
        let last = within(end).max(first);
        if (i64::from(first), i64::from(last)) != (start, end) {
            self.clamped.set(self.clamped.get() + 1);
        }
        (first, last)
    }
}

/// Makes one safe line of at most `chars_max` characters.
fn line(untrusted: &str, chars_max: usize) -> SafeLine {
    let head = &untrusted[..untrusted.floor_char_boundary(TEXT_BYTES_MAX)];
    SafeLine::with_max(head, chars_max)
}

/// Takes the value of a field that may stand once.
fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    slot: &mut Option<T>,
    name: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *slot = Some(map.next_value()?);
    Ok(())
}

struct TreeSeed<'a>(&'a Reading);

impl<'de> DeserializeSeed<'de> for TreeSeed<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TreeSeed<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section tree")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let (mut toc_source, mut nodes) = (None::<String>, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "toc_source" => once(&mut toc_source, "toc_source", &mut map)?,
                "structure" if nodes.is_some() => {
                    return Err(A::Error::duplicate_field("structure"));
                }
                "structure" => {
                    let seed = NodesSeed {
                        reading: self.0,
                        level: 1,
                    };
                    nodes = Some(map.next_value_seed(seed)?);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let known = toc_source.and_then(|word| {
            TocSource::deserialize(serde::de::value::StrDeserializer::<A::Error>::new(&word)).ok()
        });
        Ok(Tree {
            toc_source: known.unwrap_or_default(),
            nodes: nodes.ok_or_else(|| A::Error::missing_field("structure"))?,
        })
    }
}

struct NodesSeed<'a> {
    reading: &'a Reading,
    level: usize,
}

impl<'de> DeserializeSeed<'de> for NodesSeed<'_> {
    type Value = Vec<Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Node>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for NodesSeed<'_> {
    type Value = Vec<Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of nodes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Node>, A::Error> {
        let mut nodes = Vec::new();
        let seed = || NodeSeed {
            reading: self.reading,
            level: self.level,
        };
        while let Some(node) = seq.next_element_seed(seed())? {
            nodes.push(node);
        }
        Ok(nodes)
    }
}

struct NodeSeed<'a> {
    reading: &'a Reading,
    level: usize,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        if self.level > DEPTH_MAX {
            return Err(A::Error::custom(format!("more than {DEPTH_MAX} levels")));
        }
        let number = self.reading.nodes.get() + 1;
        if number > NODES_MAX {
            return Err(A::Error::custom(format!("more than {NODES_MAX} nodes")));
        }
        self.reading.nodes.set(number);
        let (mut title, mut start, mut end) = (None::<String>, None, None);
        let (mut summary, mut nodes) = (None::<Option<String>>, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "title" => once(&mut title, "title", &mut map)?,
                "start_index" => once(&mut start, "start_index", &mut map)?,
                "end_index" => once(&mut end, "end_index", &mut map)?,
                "summary" => once(&mut summary, "summary", &mut map)?,
                "nodes" if nodes.is_some() => return Err(A::Error::duplicate_field("nodes")),
                "nodes" => {
                    let seed = NodesSeed {
                        reading: self.reading,
                        level: self.level + 1,
                    };
                    nodes = Some(map.next_value_seed(seed)?);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let missing = A::Error::missing_field;
        let title = line(&title.ok_or_else(|| missing("title"))?, LINE_CHARS_MAX);
        let (start, end) = self.reading.range(
            start.ok_or_else(|| missing("start_index"))?,
            end.ok_or_else(|| missing("end_index"))?,
        );
        let summary = summary.flatten().map(|text| line(&text, SUMMARY_CHARS_MAX));
        Ok(Node {
            title: Some(title)
                .filter(|title| !title.is_empty())
                .unwrap_or_else(|| SafeLine::new("Untitled")),
            node_id: NodeId(number),
            start,
            end,
            summary: summary.filter(|line| !line.is_empty()),
            nodes: nodes.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(json: &str, pages: u32) -> String {
        match read(json.as_bytes(), pages) {
            Err(ReadError::Invalid(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn of(nodes: &str) -> String {
        format!(r#"{{"structure": [{nodes}]}}"#)
    }

    #[test]
    fn trees_are_taken_apart_and_made_anew() {
        let json = r#"{"doc_name": "x", "toc_source": "bookmarks", "structure": [
            {"title": "One\n[[a]]", "node_id": "9999", "start_index": 1, "end_index": 3, "text": {"a": [1]},
             "nodes": [{"title": "", "start_index": 2, "end_index": 2, "summary": "Says\u202e it."}]},
            {"title": "Two", "start_index": 3, "end_index": 9, "summary": null, "nodes": []},
            {"title": "Three", "start_index": 5, "end_index": 4, "summary": " "}]}"#;
        let (tree, clamped) = read(json.as_bytes(), 5).unwrap();
        assert_eq!(clamped, 2);
        let expected = r#"{"toc_source":"bookmarks","structure":[{"title":"One [ [a] ]","node_id":"0001","start_index":1,"end_index":3,"nodes":[{"title":"Untitled","node_id":"0002","start_index":2,"end_index":2,"summary":"Says� it."}]},{"title":"Two","node_id":"0003","start_index":3,"end_index":5},{"title":"Three","node_id":"0004","start_index":5,"end_index":5}]}"#;
        let again = serde_json::to_string(&tree).unwrap();
        assert_eq!(again, expected);
        assert_eq!(read(again.as_bytes(), 5).unwrap(), (tree.clone(), 0));
        for (id, title) in [
            (1, Some("One [ [a] ]")),
            (2, Some("Untitled")),
            (4, Some("Three")),
        ] {
            let found = tree.node(NodeId(id)).map(|node| node.title.as_str());
            assert_eq!(found, title);
        }
        assert_eq!(tree.node(NodeId(0)), None);
        assert_eq!(tree.node(NodeId(5)), None);
        assert_eq!(NodeId(12_345).to_string(), "12345");
    }

    #[test]
    fn sources_are_words_of_a_list() {
        for (word, expected) in [
            (r#""structure""#, TocSource::Structure),
            (r#""unreadable""#, TocSource::Unreadable),
            (r#""<script>""#, TocSource::Unknown),
        ] {
            let json = format!(r#"{{"toc_source": {word}, "structure": []}}"#);
            assert_eq!(read(json.as_bytes(), 1).unwrap().0.toc_source, expected);
        }
        let (tree, _) = read(&br#"{"structure": []}"#[..], 1).unwrap();
        assert_eq!(tree.toc_source, TocSource::Unknown);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let check = |json: &str, expected: &str| {
            let reason = reason(json, 9);
            assert!(reason.starts_with(expected), "{json}: {reason}");
        };
        check("", "not JSON: EOF");
        check("{", "not JSON: EOF");
        check("[]", "invalid type: sequence, expected a section tree");
        check("{}", "missing field `structure`");
        check(r#"{"structure": []} x"#, "not JSON: trailing characters");
        check(
            r#"{"structure": {}}"#,
            "invalid type: map, expected a list of nodes",
        );
        check(
            r#"{"structure": [], "structure": []}"#,
            "duplicate field `structure`",
        );
        check(
            r#"{"structure": [], "toc_source": 1}"#,
            "invalid type: integer `1`",
        );
        check(&of("1"), "invalid type: integer `1`, expected a node");
        check(&of("{}"), "missing field `title`");
        check(&of(r#"{"title": "x"}"#), "missing field `start_index`");
        check(
            &of(r#"{"title": "x", "start_index": 1}"#),
            "missing field `end_index`",
        );
        check(
            &of(r#"{"title": "x", "start_index": "1"}"#),
            "invalid type: string",
        );
        check(
            &of(r#"{"title": "x", "start_index": 1e9}"#),
            "invalid type: floating point",
        );
        check(
            &of(r#"{"nodes": [], "nodes": []}"#),
            "duplicate field `nodes`",
        );
        check(
            &of(r#"{"title": "x", "title": "y"}"#),
            "duplicate field `title`",
        );
        assert_eq!(
            reason(&of(""), 0),
            "a section tree of a document without pages"
        );
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let node = r#"{"title": "x", "start_index": 1, "end_index": 1"#;
        let chain = |levels: usize| {
            let open = format!(r#"{node}, "nodes": ["#).repeat(levels);
            of(&format!("{open}{}", "]}".repeat(levels)))
        };
        assert!(read(chain(DEPTH_MAX).as_bytes(), 1).is_ok());
        assert!(reason(&chain(DEPTH_MAX + 1), 1).starts_with("more than 32 levels"));
        assert!(reason(&of(&"[".repeat(100_000)), 1).starts_with("invalid type"));
        let flat = |nodes: u32| of(&vec![format!("{node}}}"); nodes as usize].join(","));
        assert!(read(flat(NODES_MAX).as_bytes(), 1).is_ok());
        assert!(reason(&flat(NODES_MAX + 1), 1).starts_with("more than 20000 nodes"));
        let long = "x".repeat(100_000);
        let json = of(&format!(
            r#"{{"title": "{long}", "start_index": 1, "end_index": 1, "summary": "{long}"}}"#
        ));
        let (tree, _) = read(json.as_bytes(), 1).unwrap();
        let summary = tree.nodes[0].summary.as_ref().unwrap();
        let chars = |line: &SafeLine| line.as_str().chars().count();
        assert_eq!((chars(&tree.nodes[0].title), chars(summary)), (300, 1_000));
    }

    #[test]
    fn ranges_end_up_within_the_document() {
        let check = |start: i64, end: i64, expected: (u32, u32)| {
            let json = of(&format!(
                r#"{{"title": "x", "start_index": {start}, "end_index": {end}}}"#
            ));
            let (tree, clamped) = read(json.as_bytes(), 7).unwrap();
            let found = (tree.nodes[0].start, tree.nodes[0].end);
            assert_eq!(found, expected, "{start} to {end}");
            let same = (i64::from(found.0), i64::from(found.1)) == (start, end);
            assert_eq!(clamped, u32::from(!same));
        };
        check(1, 7, (1, 7));
        check(3, 3, (3, 3));
        check(0, 2, (1, 2));
        check(-5, i64::MAX, (1, 7));
        check(8, 9, (7, 7));
        check(5, 2, (5, 5));
    }
}
