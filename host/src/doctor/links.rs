//! Links of the wiki that lead nowhere.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};

use super::files::Tree;
use super::registry::{Registered, chain};
use super::{Report, Severity};
use crate::kb::{KbError, KbPath, KbRoot, SafeLine, identity, layout, shell_word};

/// A larger page is a converted text, not one with links of ours.
const PAGE_BYTES_MAX: u64 = 64 << 20;

/// Looks at every page but the converted texts: what a document links to is its author's affair. And
/// at the index: it should list every document.
///
/// # Errors
/// If a page cannot be read.
pub(super) fn examine(
    root: &KbRoot,
    registry: Option<&Registered>,
    tree: &Tree,
    report: &mut Report,
) -> Result<(), KbError> {
    let sources = KbPath::fixed("wiki/sources");
    let pages = tree.files.iter().filter(|path| {
        path.starts_with(&layout::wiki_dir())
            && !path.starts_with(&sources)
            && **path != layout::log_page()
            && path.as_str().ends_with(".md")
    });
    let targets = Targets::of(tree);
    let mut listed = BTreeSet::new();
    for page in pages {
        let bytes = match root.read(page, PAGE_BYTES_MAX) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => continue,
            Err(error) => {
                // One page that cannot be read must not hide what is wrong with the others.
                let command = format!("ls -ld {}", shell_word(root.join(page)));
                report.add(
                    Severity::Warning,
                    "unreadable",
                    page.as_str(),
                    chain(&error),
                    command,
                );
                continue;
            }
        };
        let found = links(&String::from_utf8_lossy(&bytes));
        if *page == layout::index_page() || page.starts_with(&layout::index_dir()) {
            listed.extend(found.iter().cloned());
        }
        for target in found {
            if !targets.leads_somewhere(&target) {
                report.add(
                    Severity::Warning,
                    "dangling-link",
                    page.as_str(),
                    format!(
                        "the link to `{}` leads nowhere",
                        SafeLine::with_max(&target, 120)
                    ),
                    format!(
                        "grep -nF {} {}",
                        shell_word(format!("[[{target}")),
                        shell_word(root.join(page))
                    ),
                );
            }
        }
    }
    for row in registry
        .into_iter()
        .flat_map(|registry| &registry.documents)
    {
        let summary = layout::summary_page(&row.doc_name);
        let is_there = tree.files.contains(&summary);
        if is_there && !listed.contains(&format!("summaries/{}", row.doc_name)) {
            report.add(
                Severity::Note,
                "not-in-index",
                row.doc_name.as_str(),
                "the index does not list the document; its line was taken out by hand",
                format!(
                    "kbhost show --summary {}",
                    shell_word(row.doc_name.as_str())
                ),
            );
        }
    }
    Ok(())
}

/// What links can lead to, as Obsidian finds it: by the path in the wiki, or by the name alone.
struct Targets<'a> {
    paths: BTreeSet<&'a str>,
    names: BTreeSet<&'a str>,
}

impl<'a> Targets<'a> {
    fn of(tree: &'a Tree) -> Self {
        let wiki = tree
            .files
            .iter()
            .filter_map(|path| path.as_str().strip_prefix("wiki/"));
        let (mut paths, mut names) = (BTreeSet::new(), BTreeSet::new());
        for path in wiki {
            let name = path.rsplit('/').next().unwrap_or(path);
            paths.extend([path, path.strip_suffix(".md").unwrap_or(path)]);
            names.extend([name, identity::stem(name)]);
        }
        Self { paths, names }
    }

    /// `target` without its alias: `folder/page#heading`.
    fn leads_somewhere(&self, target: &str) -> bool {
        let page = target.split(['#', '^']).next().unwrap_or_default().trim();
        // A heading of the same page.
        page.is_empty() || self.paths.contains(page) || self.names.contains(page)
    }
}

/// The targets of the wiki links of a page; not those in code.
fn links(text: &str) -> Vec<String> {
    let options = Options::ENABLE_WIKILINKS | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    Parser::new_ext(text, options)
        .filter_map(|event| match event {
            Event::Start(Tag::Link {
                link_type: LinkType::WikiLink { .. },
                dest_url,
                ..
            }) => Some(dest_url.into_string()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiki_links_outside_of_code() {
        let text = "---\na: '[[no]]'\n---\n- [[summaries/a]] (short) — x\n`[[code]]` [[b|B]] [x](y) [[c#Part]]\n";
        assert_eq!(links(text), ["summaries/a", "b", "c#Part"]);
    }

    #[test]
    fn links_lead_to_paths_and_names() {
        let tree = Tree {
            files: ["wiki/summaries/a.b.md", "wiki/img/x.png", "raw/z.pdf"]
                .map(|path| KbPath::new(path).unwrap())
                .into(),
        };
        let targets = Targets::of(&tree);
        let check = |target: &str, expected| {
            assert_eq!(targets.leads_somewhere(target), expected, "{target}");
        };
        check("summaries/a.b", true);
        check("summaries/a.b#Part", true);
        check("a.b", true);
        check("x.png", true);
        check("#Part", true);
        check("summaries/a", false);
        check("z", false);
    }
}
