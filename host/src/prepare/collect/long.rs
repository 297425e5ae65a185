//! Page texts and section tree: what makes a document a long one.

use std::io::{BufReader, Read};
use std::os::unix::fs::MetadataExt;

use super::super::{ReadyFile, ReadyImage, StagingError, pages, staging, validate};
use super::{CHUNK_BYTES, CollectError, Collector, Members, check_size, refuse, shown};
use crate::kb::SafeLine;
use crate::kb::tree::{self, ReadError, Tree};
use crate::plugin::{OutputFile, OutputRole};

/// Bytes of the section tree: as many nodes as there can be, with what is kept of each and as much
/// that is not.
const TREE_BYTES_MAX: u64 = 32 << 20;

/// What makes a document a long one.
#[derive(Default)]
pub(super) struct Long {
    pub(super) pages_json: Option<ReadyFile>,
    pub(super) last_page: Option<u32>,
    pub(super) tree_json: Option<ReadyFile>,
    pub(super) tree: Option<Tree>,
}

/// Says of a file that could not be read what that was: its content, or the way to it.
fn not_read(path: &str, error: ReadError) -> CollectError {
    match error {
        ReadError::Invalid(reason) => refuse(path, &reason),
        ReadError::Io(error) => StagingError::new("read", path, error).into(),
    }
}

impl Collector {
    /// Takes what makes a document a long one, if it is one. Checked against the `images` taken.
    pub(super) fn take_long(
        &self,
        declared: &[OutputFile],
        page_count: Option<u32>,
        images: &[ReadyImage],
        members: &mut Members,
        warnings: &mut validate::Warnings,
    ) -> Result<Long, CollectError> {
        let of = |role| declared.iter().find(|file| file.role == role);
        let mut long = Long::default();
        let Some(file) = of(OutputRole::Pages) else {
            return Ok(long);
        };
        let page_count = validate::page(page_count);
        let (ready, rewritten) = self.rewrite_pages(file, page_count, images)?;
        members.add_placeholders(rewritten.placeholders, &file.path)?;
        long.pages_json = Some(ready);
        long.last_page = validate::page(Some(rewritten.last));
        let Some(file) = of(OutputRole::Tree) else {
            return Ok(long);
        };
        let found = self.find(&file.path)?;
        check_size(&found, &file.path, TREE_BYTES_MAX)?;
        let taken = self.take(found, file, "tree.json")?;
        let json = BufReader::with_capacity(CHUNK_BYTES, &taken.file);
        let (tree, clamped) = tree::read(json, page_count.unwrap_or(rewritten.last))
            .map_err(|error| not_read(&file.path, error))?;
        if clamped > 0 {
            let line = format!(
                "`{}`: page ranges that were not within the document or ended before they began \
                 were brought in: {clamped}",
                shown(&file.path)
            );
            warnings.push(SafeLine::new(&line));
        }
        long.tree_json = Some(taken.ready);
        long.tree = Some(tree).filter(|tree| !tree.nodes.is_empty());
        Ok(long)
    }

    /// Reads the page texts from `out/` once, and writes what is kept of them.
    fn rewrite_pages(
        &self,
        file: &OutputFile,
        page_count: Option<u32>,
        images: &[ReadyImage],
    ) -> Result<(ReadyFile, pages::Rewritten), CollectError> {
        let found = self.find(&file.path)?;
        check_size(&found, &file.path, pages::JSON_BYTES_MAX)?;
        let name = "pages.json";
        let target = self.ready.join(name);
        let copy = staging::create_file(&target)?;
        let size = found.metadata.size();
        let json = BufReader::with_capacity(CHUNK_BYTES, (&found.file).take(size));
        let images = images.iter().map(|image| image.placeholder.as_str());
        let rewritten = pages::rewrite(json, &copy, &images.collect(), page_count)
            .map_err(|error| not_read(&file.path, error))?;
        if self.sync_each {
            staging::sync_data(&copy).map_err(|e| StagingError::new("collect", &target, e))?;
        }
        let ready = ReadyFile {
            name: name.to_owned(),
            size: rewritten.size,
            hash: rewritten.hash,
        };
        Ok((ready, rewritten))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::super::validate::Warnings;
    use super::super::tests::{main_page, output, refusal, staging};
    use super::super::{PLACEHOLDERS_MAX, collect};
    use super::*;

    #[test]
    fn page_texts_and_trees_are_judged() {
        let deep = "[".repeat(100_000);
        let outputs = [
            main_page(),
            output("t.json", OutputRole::Tree, None),
            output("p.json", OutputRole::Pages, None),
        ];
        let pages: (&str, &[u8]) = ("p.json", br#"[{"page":2,"content":"x"}]"#);
        for (bad, expected) in [
            (&b"{"[..], "`t.json`: not JSON: EOF"),
            (b"[1,]", "`t.json`: invalid type: sequence"),
            (
                b"{\"structure\":[{\"title\":\"\xff\"}]}",
                "`t.json`: not JSON: invalid unicode",
            ),
            (deep.as_bytes(), "`t.json`: invalid type: sequence"),
            (br#"{"structure":[]} {}"#, "`t.json`: not JSON: trailing"),
        ] {
            let reason = refusal(&[("doc.md", b"x"), ("t.json", bad), pages], &outputs);
            assert!(reason.starts_with(expected), "{reason}");
        }
        let tree: (&str, &[u8]) = ("t.json", br#"{"structure":[]}"#);
        for (bad, expected) in [
            (&b"["[..], "`p.json`: not JSON: EOF"),
            (b"{}", "`p.json`: invalid type: map"),
            (br#"[{"page":1}]"#, "`p.json`: missing field `content`"),
            (
                b"[]",
                "`t.json`: a section tree of a document without pages",
            ),
            (b"[\"\xff\"]", "`p.json`: "),
        ] {
            let reason = refusal(&[("doc.md", b"x"), ("p.json", bad), tree], &outputs);
            assert!(reason.starts_with(expected), "{reason}");
        }
        let alone = refusal(&[("doc.md", b"x"), tree], &outputs[..2]);
        assert_eq!(alone, "a section tree without page texts");
        let twice = [&outputs[..], &outputs[1..]].concat();
        assert_eq!(
            refusal(&[("doc.md", b"x"), tree, pages], &twice[..4]),
            "`t.json`: declared twice"
        );
    }

    #[test]
    fn page_texts_and_trees_are_bounded_in_size() {
        let outputs = [
            main_page(),
            output("p.json", OutputRole::Pages, None),
            output("t.json", OutputRole::Tree, None),
        ];
        for (path, limit) in [
            ("p.json", pages::JSON_BYTES_MAX),
            ("t.json", TREE_BYTES_MAX),
        ] {
            let (_dir, staging) =
                staging(&[("doc.md", b"x"), ("p.json", b"[]"), ("t.json", b"{}")]);
            let file = File::options()
                .write(true)
                .open(staging.output().join(path));
            file.unwrap().set_len(limit + 1).unwrap();
            match collect(&staging, &outputs, Some(1), &mut Warnings::default()) {
                Err(CollectError::Invalid(reason)) => assert_eq!(
                    reason,
                    format!("`{path}`: {} bytes; the limit is {limit} bytes", limit + 1)
                ),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn links_in_page_texts_count() {
        let links = "kbhost-output:a ".repeat(PLACEHOLDERS_MAX / 2);
        let json = format!(r#"[{{"page":1,"content":"{links}kbhost-output:b"}}]"#);
        let files = [("doc.md", links.as_bytes()), ("p.json", json.as_bytes())];
        let outputs = [main_page(), output("p.json", OutputRole::Pages, None)];
        assert_eq!(
            refusal(&files, &outputs),
            "`p.json`: with it the pages link to outputs 200001 times; the limit is 200000"
        );
    }
}
