//! Documents come, change and go in a wiki that is a map of pages.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::compile::analyse;
use crate::kb::view::{Listed, Registered};

mod index;

/// A KB without disk: pages, and documents in order of first registration.
#[derive(Clone, Default)]
struct MapView {
    pages: BTreeMap<KbPath, String>,
    documents: Vec<Registered>,
    ordinals: BTreeMap<DocName, i64>,
    last_ordinal: i64,
    /// All that was ever said of the index.
    facts: IndexFacts,
}

impl KbView for MapView {
    fn page(&self, path: &KbPath) -> Result<Option<String>, KbError> {
        Ok(self.pages.get(path).cloned())
    }

    fn documents_with(
        &self,
        kind: TermKind,
        slug: &str,
        except: &DocName,
        newest: usize,
    ) -> Result<Vec<Mention>, KbError> {
        let with_term = |one: &&Registered| {
            one.terms
                .iter()
                .any(|term| term.0 == kind && term.1 == slug)
        };
        let others = self
            .documents
            .iter()
            .filter(|one| one.mention.name != *except);
        let mut found: Vec<_> = others
            .filter(with_term)
            .map(|one| one.mention.clone())
            .collect();
        found.drain(..found.len().saturating_sub(newest));
        Ok(found)
    }

    fn document(&self, name: &DocName) -> Result<Option<Registered>, KbError> {
        Ok(self
            .documents
            .iter()
            .find(|one| one.mention.name == *name)
            .cloned())
    }

    fn is_sharded(&self, section: IndexSection) -> Result<bool, KbError> {
        Ok(self.facts.is_sharded(section))
    }

    fn shards(&self, section: IndexSection) -> Result<Vec<i64>, KbError> {
        let names = self
            .pages
            .keys()
            .filter(|path| path.starts_with(&layout::index_dir()));
        let number = |path: &KbPath| crate::compile::shard_number(section, path.file_name());
        Ok(names.filter_map(number).collect())
    }

    fn documents_between(
        &self,
        first: i64,
        last: i64,
        newest: usize,
    ) -> Result<Vec<Listed>, KbError> {
        let mut found: Vec<_> = self
            .documents
            .iter()
            .map(|one| (self.ordinals[&one.mention.name], &one.mention))
            .filter(|(ordinal, _)| (first..=last).contains(ordinal))
            .collect();
        found.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
        let listed = found.into_iter().take(newest).map(|(_, mention)| Listed {
            name: mention.name.clone(),
            doc_type: "short".to_owned(),
            description: mention.description.clone(),
        });
        Ok(listed.collect())
    }

    fn terms_between(
        &self,
        kind: TermKind,
        first: i64,
        last: i64,
        newest: usize,
    ) -> Result<Vec<String>, KbError> {
        let slugs: BTreeSet<&str> = self
            .facts
            .iter()
            .filter_map(|fact| match fact {
                IndexFact::TermPageMade { kind: of, slug, .. } if *of == kind => Some(&**slug),
                _ => None,
            })
            .collect();
        let mut found: Vec<_> = slugs
            .into_iter()
            .filter_map(|slug| Some((self.facts.term_ordinal(kind, slug)??, slug.to_owned())))
            .filter(|(ordinal, _)| (first..=last).contains(ordinal))
            .collect();
        found.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
        Ok(found
            .into_iter()
            .take(newest)
            .map(|(_, slug)| slug)
            .collect())
    }

    fn document_ordinal(&self, name: &DocName) -> Result<Option<i64>, KbError> {
        Ok(self.ordinals.get(name).copied())
    }

    fn last_document_ordinal(&self) -> Result<i64, KbError> {
        Ok(self.last_ordinal)
    }

    fn term_ordinal(&self, kind: TermKind, slug: &str) -> Result<Option<i64>, KbError> {
        Ok(self.facts.term_ordinal(kind, slug).flatten())
    }

    fn last_term_ordinal(&self, kind: TermKind) -> Result<i64, KbError> {
        Ok(self.facts.last_term_ordinal(kind).unwrap_or(0))
    }
}

impl MapView {
    fn apply(&mut self, changes: &ChangeSet) {
        assert!(
            changes.pages.is_sorted_by(|a, b| a.path < b.path),
            "sorted, each page once"
        );
        for change in &changes.pages {
            let before = match &change.text {
                Some(text) => self.pages.insert(change.path.clone(), text.clone()),
                None => self.pages.remove(&change.path),
            };
            assert_ne!(
                before, change.text,
                "`{}` is listed and does not change",
                change.path
            );
        }
        self.facts.extend(changes.index.clone());
    }

    /// Adds or updates a document whose Markdown is `text`.
    fn add_with(&mut self, name: &str, text: &str, metadata: &[(&str, &str)]) -> ChangeSet {
        let metadata: Vec<_> = metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), SafeLine::new(v)))
            .collect();
        let analysis = analyse(text, None, &metadata, name);
        let name = DocName::new(name).unwrap();
        let document = NamedDocument {
            name: &name,
            doc_type: "short",
            file_name: &SafeLine::new(&format!("{name}.md")),
            page_count: None,
            metadata: &metadata,
            analysis: &analysis,
            tree: None,
        };
        let changes = compile(self, &document).unwrap();
        self.apply(&changes);
        self.pages
            .insert(layout::source_page(&name), text.to_owned());
        let registered = Registered {
            mention: Mention {
                name: name.clone(),
                title: analysis.title.clone(),
                description: analysis.description.clone(),
            },
            terms: analysis
                .terms
                .iter()
                .map(|t| (t.kind, t.slug.clone(), t.label.clone()))
                .collect(),
        };
        match self
            .documents
            .iter_mut()
            .find(|one| one.mention.name == name)
        {
            Some(one) => *one = registered,
            None => {
                self.last_ordinal += 1;
                self.ordinals.insert(name, self.last_ordinal);
                self.documents.push(registered);
            }
        }
        changes
    }

    fn add(&mut self, name: &str, tags: &str) -> ChangeSet {
        self.add_with(
            name,
            &format!("# Title {name}\n\nThe sentence of {name} says what it is.\n"),
            &[("tags", tags)],
        )
    }

    fn remove(&mut self, name: &str) -> ChangeSet {
        let name = DocName::new(name).unwrap();
        let changes = retract(self, &name).unwrap();
        self.apply(&changes);
        self.pages.remove(&layout::source_page(&name));
        self.documents.retain(|one| one.mention.name != name);
        self.ordinals.remove(&name);
        changes
    }

    fn text(&self, path: &str) -> &str {
        self.pages
            .get(&KbPath::new(path).unwrap())
            .map_or("", String::as_str)
    }

    fn has(&self, path: &str) -> bool {
        self.pages.contains_key(&KbPath::new(path).unwrap())
    }

    fn edit(&mut self, path: &str, edit: impl FnOnce(&str) -> String) {
        let path = KbPath::new(path).unwrap();
        let text = edit(&self.pages[&path]);
        self.pages.insert(path, text);
    }

    /// Every page of ours has front matter that is YAML, and every link leads to a page.
    fn check(&self) {
        for (path, text) in &self.pages {
            let folder = path.parent().unwrap();
            if folder.as_str() == "wiki/sources" {
                continue;
            }
            if !["wiki", "wiki/index"].contains(&folder.as_str()) {
                let matter = text
                    .strip_prefix("---\n")
                    .unwrap()
                    .split_once("\n---\n")
                    .unwrap()
                    .0;
                let values: serde_json::Value = serde_saphyr::from_str(matter)
                    .unwrap_or_else(|e| panic!("{path}: {e}\n{matter}"));
                assert!(values["type"].is_string(), "{path}");
            }
            for link in text.split("[[").skip(1) {
                let target = link.split(['|', ']']).next().unwrap();
                assert!(
                    self.has(&format!("wiki/{target}.md")),
                    "{path} links to `{target}`"
                );
            }
        }
    }
}

#[test]
fn the_first_pages_of_a_wiki() {
    let mut view = MapView::default();
    view.add_with(
        "paper",
        "# The Paper\n\nThis paper says a few things about *structure* here.\n",
        &[
            ("author", "Ada Lovelace"),
            ("created", "2024-01-02"),
            ("cssclasses", "evil"),
            ("tags", "Big Data, 42"),
        ],
    );
    assert_eq!(
        view.text("wiki/summaries/paper.md"),
        "---\ntype: \"Summary\"\ntitle: \"The Paper\"\n\
         description: \"This paper says a few things about structure here.\"\ndoc_type: short\n\
         full_text: \"sources/paper.md\"\nauthor: \"Ada Lovelace\"\ncreated: \"2024-01-02\"\n\
         tags: [\"big-data\"]\n---\n\n# The Paper\n\n\
         This paper says a few things about structure here.\n\n\
         ## Source\n\n- [[sources/paper|Full text]]\n- Original file: paper.md\n"
    );
    assert_eq!(
        view.text("wiki/index.md"),
        "# Knowledge Base Index\n\n## Documents\n\n\
         - [[summaries/paper]] (short) — This paper says a few things about structure here.\n\n\
         ## Concepts\n\n## Entities\n\n## Explorations\n"
    );
    assert_eq!(view.pages.len(), 3, "a term of one document has no page");
    view.check();
}

#[test]
fn a_shared_term_gets_a_page_with_links_both_ways() {
    let mut view = MapView::default();
    let text = "Large Language Models (LLMs) are trained on a lot of text.\n";
    view.add_with("a", text, &[("author", "Ada Lovelace")]);
    let changes = view.add_with("b", text, &[("author", "Ada Lovelace")]);
    let touched: Vec<&str> = changes
        .pages
        .iter()
        .map(|page| page.path.as_str())
        .collect();
    assert_eq!(
        touched,
        [
            "wiki/concepts/llm.md",
            "wiki/entities/ada-lovelace.md",
            "wiki/index.md",
            "wiki/summaries/a.md",
            "wiki/summaries/b.md",
        ]
    );
    assert_eq!(
        view.text("wiki/concepts/llm.md"),
        "---\ntype: \"Concept\"\nsources: [\"summaries/b.md\", \"summaries/a.md\"]\n\
         description: \"Large Language Models\"\n---\n\n# LLM\n\nLarge Language Models\n\n\
         ## Related Documents\n\n\
         - [[summaries/b|b]] — Large Language Models (LLMs) are trained on a lot of text.\n\
         - [[summaries/a|a]] — Large Language Models (LLMs) are trained on a lot of text.\n"
    );
    assert!(
        view.text("wiki/entities/ada-lovelace.md")
            .starts_with("---\ntype: \"Person\"\n")
    );
    let links = "## Related Concepts\n\n- [[concepts/llm|LLM]]\n\n## Entities\n\n\
        - [[entities/ada-lovelace|Ada Lovelace]]\n\n## Source\n";
    assert!(
        view.text("wiki/summaries/a.md").contains(links),
        "{}",
        view.text("wiki/summaries/a.md")
    );
    assert!(view.text("wiki/summaries/b.md").contains(links));
    let index = view.text("wiki/index.md");
    assert!(index.contains("## Concepts\n\n- [[concepts/llm]] — Large Language Models\n\n## Entities\n\n\
        - [[entities/ada-lovelace]] (person) — Documents that mention Ada Lovelace\n\n## Explorations\n"), "{index}");
    assert!(
        index.find("summaries/b").unwrap() < index.find("summaries/a").unwrap(),
        "newest first"
    );
    view.check();
    let changes = view.add_with("c", text, &[]);
    let touched: Vec<&str> = changes
        .pages
        .iter()
        .map(|page| page.path.as_str())
        .collect();
    assert_eq!(
        touched,
        [
            "wiki/concepts/llm.md",
            "wiki/index.md",
            "wiki/summaries/c.md"
        ]
    );
}

#[test]
fn the_same_again_changes_nothing() {
    let mut view = MapView::default();
    view.add("a", "x, y");
    view.add("b", "x, y");
    assert_eq!(view.add("a", "x, y"), ChangeSet::default());
    assert_eq!(view.add("b", "x, y"), ChangeSet::default());
}

#[test]
fn adding_and_retracting_is_as_before() {
    let mut view = MapView::default();
    view.add("a", "x, y, z");
    view.add("b", "x");
    let before = view.pages.clone();
    view.add_with(
        "c",
        "# C\n\nThe sentence of the document c is here.\n",
        &[("tags", "x, y, q")],
    );
    view.check();
    assert!(view.has("wiki/concepts/y.md"));
    view.remove("c");
    assert_eq!(view.pages, before);
    view.remove("b");
    assert!(!view.has("wiki/concepts/x.md"));
    assert!(
        !view
            .text("wiki/summaries/a.md")
            .contains("Related Concepts")
    );
    assert!(!view.text("wiki/index.md").contains("concepts/"));
    view.remove("a");
    assert_eq!(view.pages.len(), 1);
    assert_eq!(
        view.text("wiki/index.md"),
        "# Knowledge Base Index\n\n## Documents\n\n## Concepts\n\n## Entities\n\n## Explorations\n"
    );
    assert_eq!(
        view.remove("a"),
        ChangeSet::default(),
        "what is gone is gone"
    );
}

#[test]
fn an_update_drops_terms_and_refreshes_lines_in_place() {
    let mut view = MapView::default();
    view.add("a", "x, y");
    view.add("b", "x, y");
    view.add("c", "x");
    view.add_with(
        "a",
        "# New title\n\nThe new sentence of it says something.\n",
        &[("tags", "x, w")],
    );
    view.check();
    assert!(!view.has("wiki/concepts/y.md"), "only b is left");
    assert!(!view.text("wiki/summaries/b.md").contains("concepts/y"));
    let page = view.text("wiki/concepts/x.md");
    assert!(
        page.ends_with("- [[summaries/a|New title]] — The new sentence of it says something.\n"),
        "{page}"
    );
    assert!(page.contains("sources: [\"summaries/c.md\", \"summaries/b.md\", \"summaries/a.md\"]"));
    assert_eq!(
        view.text("wiki/index.md")
            .matches("[[summaries/a]]")
            .count(),
        1
    );
    view.add("c", "nothing");
    assert!(view.has("wiki/concepts/x.md"));
    assert!(!view.text("wiki/concepts/x.md").contains("summaries/c"));
    view.check();
}

#[test]
fn hand_edits_stay() {
    let mut view = MapView::default();
    view.add("a", "x");
    view.add("b", "x");
    let note = "\n## My notes\n\n- [[summaries/a]] is good\n- mine\n";
    for path in ["wiki/index.md", "wiki/concepts/x.md", "wiki/summaries/a.md"] {
        view.edit(path, |text| format!("{text}{note}"));
    }
    view.edit("wiki/index.md", |text| {
        format!("%% top %%\n\n{}", text.replace('\n', "\r\n"))
    });
    view.add("c", "x");
    view.remove("b");
    let note_crlf = note.replace('\n', "\r\n");
    assert!(
        view.text("wiki/index.md")
            .starts_with("%% top %%\n\n# Knowledge")
    );
    assert!(view.text("wiki/index.md").ends_with(&note_crlf));
    assert!(
        view.text("wiki/index.md")
            .contains("## Documents\r\n\r\n- [[summaries/c]] (short)")
    );
    assert_eq!(
        view.text("wiki/index.md").matches("\r\n").count() + 2,
        view.text("wiki/index.md").matches('\n').count()
    );
    assert!(view.text("wiki/concepts/x.md").ends_with(note));
    assert!(view.text("wiki/summaries/a.md").ends_with(note));
    view.remove("c");
    let page = view.text("wiki/concepts/x.md");
    assert!(
        page.ends_with(note),
        "a page with more than our lines stays: {page}"
    );
    assert!(page.contains("sources: []\n") && page.contains("## Related Documents\n\n## My notes"));
    assert!(!view.text("wiki/summaries/a.md").contains("concepts/x"));
    assert!(
        view.text("wiki/index.md").contains("[[concepts/x]]"),
        "and stays in the index"
    );
    view.check();
    view.add("d", "x");
    let page = view.text("wiki/concepts/x.md");
    assert!(page.contains("- [[summaries/d|Title d]] — The sentence of d says what it is.\n- [[summaries/a|Title a]]"), "{page}");
    assert!(page.contains("sources: [\"summaries/d.md\", \"summaries/a.md\"]"));
    assert!(
        view.text("wiki/summaries/a.md")
            .contains("## Related Concepts\n\n- [[concepts/x|x]]\n")
    );
    view.check();
}

#[test]
fn a_page_with_another_description_is_not_ours_alone() {
    let check = |edit: &dyn Fn(&str) -> String, stays: bool| {
        let mut view = MapView::default();
        view.add("a", "x");
        view.add("b", "x");
        view.edit("wiki/concepts/x.md", edit);
        view.remove("b");
        assert_eq!(
            view.has("wiki/concepts/x.md"),
            stays,
            "{}",
            view.text("wiki/concepts/x.md")
        );
    };
    check(&|text| text.to_owned(), false);
    check(&|text| text.replace('\n', "\r\n"), false);
    check(&|text| text.replace("that mention", "on"), true);
    check(&|text| text.replace("# x", "# X and Y"), true);
    check(&|text| text.replace("type:", "aliases: [y]\ntype:"), true);
    check(&|text| text.replace("# x\n", "# x\n\nA paragraph.\n"), true);
    check(&|text| format!("{text}- [[summaries/other]]\n"), true);
    check(&|_| "my own page about x\n".to_owned(), true);
}

#[test]
fn a_page_made_by_hand_first_is_kept() {
    let mut view = MapView::default();
    view.pages.insert(
        KbPath::new("wiki/concepts/x.md").unwrap(),
        "---\ntype: \"Concept\"\n---\nMine.".to_owned(),
    );
    view.add("a", "x");
    assert!(view.text("wiki/concepts/x.md").ends_with("Mine."));
    view.add("b", "x");
    let page = view.text("wiki/concepts/x.md").to_owned();
    assert!(page.starts_with("---\ntype: \"Concept\"\nsources: [\"summaries/b.md\", \"summaries/a.md\"]\n---\nMine.\n\n## Related Documents\n\n- [[summaries/b|"), "{page}");
    view.check();
}

#[test]
fn titles_and_terms_cannot_make_structure() {
    let mut view = MapView::default();
    let hostile = "]] | [[concepts/none]] <script> `x` ^id %% $ \\";
    for name in ["a", "b"] {
        view.add_with(
            name,
            &format!("# \\[\\[evil\\]\\] --- {hostile}\n\nA sentence with [[none]] and \\<b> in it | here.\n"),
            &[("tags", hostile), ("author", "---\n# x"), ("subject", "\"\n---\n[[none]]"), ("created", "'a: b'")],
        );
    }
    view.check();
    for (path, text) in view
        .pages
        .iter()
        .filter(|(path, _)| !path.as_str().contains("sources"))
    {
        assert_eq!(
            text.matches("\n---\n").count(),
            usize::from(path.as_str() != "wiki/index.md"),
            "{path}\n{text}"
        );
        let body = text.rsplit("\n---\n").next().unwrap();
        assert!(!body.replace("\\<", "").contains('<'), "{path}\n{text}");
    }
    assert!(
        view.pages
            .keys()
            .any(|path| path.as_str().starts_with("wiki/concepts/"))
    );
}

#[test]
fn a_registry_of_a_stranger_names_no_other_pages() {
    let mut view = MapView::default();
    view.add("a", "x");
    let victim = KbPath::new("wiki/summaries/victim.md").unwrap();
    view.pages.insert(victim.clone(), "mine".to_owned());
    view.documents[0].terms.push((
        TermKind::Concept,
        "../summaries/victim".to_owned(),
        SafeLine::new("x"),
    ));
    view.remove("a");
    assert!(view.pages.contains_key(&victim));
}

#[test]
fn a_page_lists_the_newest_documents() {
    let mut view = MapView::default();
    for number in 0..MENTIONS_MAX + 3 {
        view.add(&format!("d{number}"), "x");
    }
    let page = view.text("wiki/concepts/x.md");
    assert_eq!(page.matches("- [[summaries/").count(), MENTIONS_MAX);
    assert!(!page.contains("[[summaries/d2|") && page.contains("[[summaries/d3|"));
    assert!(!page.contains("\"summaries/d2.md\"") && page.contains("\"summaries/d3.md\""));
    view.check();
    view.pages
        .remove(&KbPath::new("wiki/concepts/x.md").unwrap());
    view.add("e", "x");
    assert_eq!(
        view.text("wiki/concepts/x.md")
            .matches("- [[summaries/")
            .count(),
        MENTIONS_MAX
    );
}

#[test]
fn any_history_leaves_pages_of_what_is_in() {
    // A model: whatever came and went, terms of two documents have pages and others have none.
    let mut state = 7_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..60 {
        let mut view = MapView::default();
        for _ in 0..25 {
            let name = format!("d{}", random(5));
            if random(3) == 0 {
                view.remove(&name);
            } else {
                let tags: Vec<String> = (0..random(4)).map(|_| format!("t{}", random(4))).collect();
                view.add(&name, &tags.join(","));
            }
            view.check();
            let mut counts: BTreeMap<String, BTreeSet<&DocName>> = BTreeMap::new();
            for one in &view.documents {
                for (_, slug, _) in &one.terms {
                    counts
                        .entry(slug.clone())
                        .or_default()
                        .insert(&one.mention.name);
                }
            }
            for term in 0..4 {
                let slug = format!("t{term}");
                let names = counts.get(&slug).cloned().unwrap_or_default();
                let page = view.text(&format!("wiki/concepts/{slug}.md"));
                assert_eq!(!page.is_empty(), names.len() >= 2);
                for one in &view.documents {
                    let name = &one.mention.name;
                    let shared = names.len() >= 2 && names.contains(name);
                    assert_eq!(page.contains(&format!("[[summaries/{name}|")), shared);
                    let summary = view.text(&format!("wiki/summaries/{name}.md"));
                    assert_eq!(summary.contains(&format!("[[concepts/{slug}|")), shared);
                }
                assert_eq!(
                    view.text("wiki/index.md")
                        .contains(&format!("[[concepts/{slug}]]")),
                    names.len() >= 2
                );
            }
        }
    }
}
