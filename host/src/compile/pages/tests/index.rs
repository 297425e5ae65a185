//! Sections of the index that outgrow `index.md`.

use super::*;

const INDEX: &str = "wiki/index.md";

/// The sections that a history changes, in shards from the start, shortly before the second shard.
fn sharded_from_the_start() -> MapView {
    let mut view = MapView {
        last_ordinal: 245,
        ..MapView::default()
    };
    for section in IndexSection::ALL {
        view.facts.push(IndexFact::Sharded(section));
    }
    let (kind, slug) = (TermKind::Concept, "before".to_owned());
    let ordinal = 245;
    view.facts.push(IndexFact::TermPageMade {
        kind,
        slug: slug.clone(),
        ordinal,
    });
    view.facts.push(IndexFact::TermPageGone { kind, slug });
    view
}

/// A view of `count` documents without terms, `d1` to `dN`, as adding them one by one leaves it.
fn documents(count: usize) -> MapView {
    let mut view = documents_in_one_page(count.min(1_000));
    for number in 1_001..=count {
        view.add(&format!("d{number}"), "");
    }
    view
}

fn documents_in_one_page(count: usize) -> MapView {
    let mut view = MapView::default();
    view.add("d1", "");
    let (summary, entry) = (
        view.text("wiki/summaries/d1.md").to_owned(),
        "- [[summaries/d1]]",
    );
    let index = view.text(INDEX).to_owned();
    let at = index.find(entry).unwrap();
    let line = index[at..].split_inclusive('\n').next().unwrap();
    let mut lines = String::new();
    for number in (2..=count).rev() {
        lines.push_str(&line.replace("d1", &format!("d{number}")));
    }
    view.edit(INDEX, |text| text.replace(line, &format!("{lines}{line}")));
    for number in 2..=count {
        let name = DocName::new(&format!("d{number}")).unwrap();
        let path = layout::summary_page(&name);
        view.pages
            .insert(path, summary.replace("d1", name.as_str()));
        view.pages.insert(layout::source_page(&name), String::new());
        view.last_ordinal += 1;
        view.ordinals.insert(name.clone(), view.last_ordinal);
        view.documents.push(Registered {
            mention: Mention {
                name,
                ..view.documents[0].mention.clone()
            },
            terms: Vec::new(),
        });
    }
    view
}

/// A view of `count` pages of concepts, `t1` to `tN`, made in this order.
fn concepts(count: usize) -> MapView {
    let mut view = MapView::default();
    let tags: Vec<String> = (1..=count).map(|number| format!("t{number}")).collect();
    for (number, tags) in tags.chunks(20).enumerate() {
        view.add(&format!("a{number}"), &tags.join(","));
        view.add(&format!("b{number}"), &tags.join(","));
    }
    view
}

fn entries(view: &MapView, page: &str, folder: &str) -> usize {
    view.text(page).matches(&format!("- [[{folder}/")).count()
}

#[test]
fn documents_move_into_shards_when_the_index_is_full() {
    let mut view = documents(1_000);
    assert_eq!(entries(&view, INDEX, "summaries"), 1_000);
    assert_eq!(view.facts, IndexFacts::default());
    view.edit(INDEX, |text| {
        text.replace("- [[summaries/d7]] (short) — ", "- [[summaries/d7]]  my words, ")
            .replace("- [[summaries/d600]] ", "Between the lines.\n- [[summaries/d600|six]] ")
            .replace("## Concepts", "- [[summaries/none]] is not there\n\n## Mine\n\n- [[summaries/d3]] is good\n\n## Concepts")
    });
    view.add("d1001", "");
    assert_eq!(
        view.text(INDEX),
        "# Knowledge Base Index\n\n## Documents\n\n\
         - [[index/documents-00001]] — documents 1 to 250\n\
         - [[index/documents-00002]] — documents 251 to 500\n\
         - [[index/documents-00003]] — documents 501 to 750\n\
         - [[index/documents-00004]] — documents 751 to 1000\n\
         - [[index/documents-00005]] — documents 1001 to 1250\n\
         Between the lines.\n\n\
         - [[summaries/none]] is not there\n\n## Mine\n\n- [[summaries/d3]] is good\n\n\
         ## Concepts\n\n## Entities\n\n## Explorations\n"
    );
    let first = view.text("wiki/index/documents-00001.md");
    assert!(
        first.starts_with(
            "# Documents 1 to 250\n\nBack to the [[index]].\n\n## Documents\n\n\
             - [[summaries/d250]] (short) — The sentence of d250 says what it is.\n- [[summaries/d249]]"
        ),
        "{first}"
    );
    assert!(first.contains("\n- [[summaries/d7]]  my words, The sentence"));
    assert!(
        view.text("wiki/index/documents-00003.md")
            .contains("\n- [[summaries/d600|six]] (short)")
    );
    for number in 1..=4 {
        let page = format!("wiki/index/documents-{number:05}.md");
        assert_eq!(entries(&view, &page, "summaries"), 250, "{page}");
    }
    assert_eq!(
        view.text("wiki/index/documents-00005.md"),
        "# Documents 1001 to 1250\n\nBack to the [[index]].\n\n## Documents\n\n\
         - [[summaries/d1001]] (short) — The sentence of d1001 says what it is.\n"
    );
    let index = view.text(INDEX).to_owned();
    let changes = view.add("d1002", "");
    let touched: Vec<&str> = changes
        .pages
        .iter()
        .map(|page| page.path.as_str())
        .collect();
    assert_eq!(
        touched,
        ["wiki/index/documents-00005.md", "wiki/summaries/d1002.md"]
    );
    assert!(
        view.text("wiki/index/documents-00005.md")
            .contains("## Documents\n\n- [[summaries/d1002]] (short)"),
        "newest first"
    );
    assert_eq!(view.text(INDEX), index);
    assert!(!view.facts.is_sharded(IndexSection::Concepts));
}

#[test]
fn a_sharded_section_is_edited_in_its_shards_and_stays_sharded() {
    let mut view = documents(1_001);
    let shard = "wiki/index/documents-00002.md";
    view.edit(shard, |text| {
        format!("{text}\nMy own text.\n").replace("[[index]].", "[[index]], my way.")
    });
    view.edit(INDEX, |text| {
        text.replace("documents 251 to 500", "the second year")
    });
    view.add_with("d300", "# New\n\nWhat is new of it is this here.\n", &[]);
    assert!(
        view.text(shard)
            .contains("\n- [[summaries/d300]] (short) — What is new of it is this here.\n"),
        "{}",
        view.text(shard)
    );
    assert_eq!(entries(&view, shard, "summaries"), 250);
    view.remove("d301");
    assert!(!view.text(shard).contains("d301"));
    view.add("d301", "");
    assert!(
        view.text("wiki/index/documents-00005.md")
            .contains("[[summaries/d301]]"),
        "it is a new document"
    );
    for number in (251..=500).filter(|number| *number != 301) {
        view.remove(&format!("d{number}"));
    }
    assert_eq!(
        view.text(shard),
        "# Documents 251 to 500\n\nBack to the [[index]], my way.\n\n## Documents\n\nMy own text.\n",
        "somebody wrote on it"
    );
    assert!(
        view.text(INDEX)
            .contains("- [[index/documents-00002]] — the second year\n")
    );
    for number in 501..=750 {
        view.remove(&format!("d{number}"));
    }
    assert!(!view.has("wiki/index/documents-00003.md"));
    assert!(!view.text(INDEX).contains("documents-00003"));
    view.add("new", "");
    assert_eq!(
        entries(&view, INDEX, "summaries"),
        0,
        "502 documents are left"
    );
}

#[test]
fn pages_of_terms_move_into_shards_of_their_own() {
    let mut view = concepts(1_000);
    assert_eq!(entries(&view, INDEX, "concepts"), 1_000);
    view.add("more1", "t1001");
    view.add("more2", "t1001");
    view.check();
    assert_eq!(entries(&view, INDEX, "concepts"), 0);
    assert_eq!(entries(&view, INDEX, "summaries"), 102, "still in one page");
    assert!(
        view.text(INDEX)
            .contains("## Concepts\n\n- [[index/concepts-00001]] — concepts 1 to 250\n"),
        "{}",
        view.text(INDEX)
    );
    assert!(
        view.text("wiki/index/concepts-00005.md")
            .ends_with("## Concepts\n\n- [[concepts/t1001]] — Documents that mention t1001\n")
    );
    view.remove("more2");
    assert!(!view.has("wiki/index/concepts-00005.md") && !view.text(INDEX).contains("-00005"));
    view.add("more3", "t1001");
    assert_eq!(
        view.term_ordinal(TermKind::Concept, "t1001").unwrap(),
        Some(1_002),
        "an ordinal is never used again"
    );
    view.check();
}

#[test]
fn a_line_taken_out_by_hand_comes_back_with_its_document_only() {
    let mut view = documents(1_001);
    let shard = "wiki/index/documents-00001.md";
    let line = "- [[summaries/d5]] (short) — The sentence of d5 says what it is.\n";
    view.edit(shard, |text| text.replace(line, ""));
    view.add("d6", "x");
    assert!(!view.text(shard).contains("[[summaries/d5]]"));
    view.add("d5", "x");
    assert!(view.text(shard).contains(line));
}

#[test]
fn a_lost_index_leads_to_all_shards_again() {
    let mut view = documents(1_001);
    let index = view.text(INDEX).to_owned();
    view.pages.remove(&KbPath::new(INDEX).unwrap());
    view.add("d1", "x");
    assert_eq!(view.text(INDEX), index);
    view.pages
        .remove(&KbPath::new("wiki/index/documents-00004.md").unwrap());
    view.pages.remove(&KbPath::new(INDEX).unwrap());
    view.add("d999", "");
    view.check();
    assert_eq!(view.text(INDEX), index);
    assert_eq!(
        entries(&view, "wiki/index/documents-00004.md", "summaries"),
        250
    );
}

#[test]
fn an_index_with_other_line_ends_keeps_them() {
    let mut view = documents(1_000);
    view.edit(INDEX, |text| text.replace('\n', "\r\n"));
    view.add("d1001", "");
    let index = view.text(INDEX);
    assert_eq!(index.matches("\r\n").count(), index.matches('\n').count());
    assert!(
        index.contains("## Documents\r\n\r\n- [[index/documents-00001]]"),
        "{index}"
    );
    view.check();
    let shard = view.text("wiki/index/documents-00001.md");
    assert_eq!(shard.matches("\r\n").count(), 250, "lines move as they are");
}

#[test]
fn any_history_in_shards_leaves_entries_of_what_is_in() {
    let mut state = 11_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut shards_seen = 0;
    for _ in 0..40 {
        let mut view = sharded_from_the_start();
        for _ in 0..25 {
            let name = format!("d{}", random(5));
            if random(3) == 0 {
                view.remove(&name);
            } else {
                let tags: Vec<String> = (0..random(4)).map(|_| format!("t{}", random(4))).collect();
                view.add(&name, &tags.join(","));
            }
            view.check();
            shards_seen += check_shards(&view);
        }
        for number in 0..5 {
            view.remove(&format!("d{number}"));
        }
        assert!(view.pages.keys().all(|page| page.as_str() == INDEX));
    }
    assert!(shards_seen > 1_000, "{shards_seen}");
}

/// Each entry is in the shard of its ordinal and nowhere else; returns the number of shards.
fn check_shards(view: &MapView) -> usize {
    let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut expect = |noun: &str, ordinal: i64, target: String| {
        let page = format!("wiki/index/{noun}-{:05}.md", (ordinal - 1) / 250 + 1);
        expected.entry(page).or_default().insert(target);
    };
    for (name, ordinal) in &view.ordinals {
        expect("documents", *ordinal, format!("summaries/{name}"));
    }
    for term in 0..4 {
        let slug = format!("t{term}");
        let ordinal = view.term_ordinal(TermKind::Concept, &slug).unwrap();
        assert_eq!(
            ordinal.is_some(),
            view.has(&format!("wiki/concepts/{slug}.md"))
        );
        if let Some(ordinal) = ordinal {
            expect("concepts", ordinal, format!("concepts/{slug}"));
        }
    }
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in &view.pages {
        if path.parent().unwrap().as_str() != "wiki/index" {
            continue;
        }
        let targets = text.lines().filter_map(|line| line.strip_prefix("- [["));
        let targets = targets.map(|rest| rest.split("]]").next().unwrap().to_owned());
        found.insert(path.to_string(), targets.collect());
        let target = path.as_str()["wiki/".len()..].trim_end_matches(".md");
        assert_eq!(
            view.text(INDEX)
                .matches(&format!("- [[{target}]] — "))
                .count(),
            1
        );
    }
    assert_eq!(found, expected);
    assert_eq!(view.text(INDEX).matches("- [[").count(), found.len());
    found.len()
}

/// A lost page of the index comes back with the next document, as if it had never been away.
#[test]
fn a_lost_page_of_the_index_comes_back() {
    let check = |sharded: bool, lost: &str| {
        let mut view = MapView::default();
        if sharded {
            for section in IndexSection::ALL {
                view.facts.push(IndexFact::Sharded(section));
            }
        }
        for name in ["a", "b", "c"] {
            view.add(name, "one, two");
        }
        let mut kept = view.clone();
        assert!(
            view.pages.remove(&KbPath::new(lost).unwrap()).is_some(),
            "{lost}"
        );
        for view in [&mut kept, &mut view] {
            view.add("d", "one");
            view.add("e", "three");
            view.add("f", "three");
        }
        for (path, text) in &kept.pages {
            assert_eq!(view.text(path.as_str()), text, "{lost}");
        }
    };
    check(false, INDEX);
    check(true, INDEX);
    check(true, "wiki/index/documents-00001.md");
    check(true, "wiki/index/concepts-00001.md");
}
