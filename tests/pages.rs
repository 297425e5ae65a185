//! The pages of a wiki: valid front matter, links that lead somewhere, pages that documents share,
//! images that belong to their document.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;

use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::support::{Env, repository};

/// A page: its front matter as a value, and its body.
struct Page {
    front: Option<BTreeMap<String, serde_json::Value>>,
    body: String,
}

/// Every Markdown page beneath `wiki/`, by its path without extension.
fn pages(env: &Env) -> BTreeMap<String, Page> {
    let mut found = BTreeMap::new();
    for folder in [
        "",
        "sources",
        "summaries",
        "concepts",
        "entities",
        "explorations",
        "reports",
    ] {
        let dir = env.kb().join("wiki").join(folder);
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension() != Some(OsStr::new("md")) {
                continue;
            }
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let name = match folder {
                "" => stem.to_owned(),
                folder => format!("{folder}/{stem}"),
            };
            let page = page(&name, &fs::read_to_string(&path).unwrap());
            found.insert(name, page);
        }
    }
    found
}

fn page(name: &str, text: &str) -> Page {
    let parts = text
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"));
    match parts {
        None => Page {
            front: None,
            body: text.to_owned(),
        },
        Some((yaml, body)) => {
            let front = serde_saphyr::from_str(yaml);
            Page {
                front: Some(front.unwrap_or_else(|error| panic!("{name}: {error}\n{yaml}"))),
                body: body.to_owned(),
            }
        }
    }
}

/// The targets of `[[…]]` in a text, without their labels.
fn wikilinks(text: &str) -> BTreeSet<String> {
    text.split("[[")
        .skip(1)
        .filter_map(|rest| rest.split_once("]]"))
        .map(|(link, _)| link.split('|').next().unwrap().to_owned())
        .collect()
}

/// The targets of images, as a Markdown reader sees them.
fn images(text: &str) -> Vec<String> {
    Parser::new_ext(text, Options::all())
        .filter_map(|event| match event {
            Event::Start(Tag::Image { dest_url, .. }) => Some(dest_url.into_string()),
            _ => None,
        })
        .collect()
}

fn examples() -> Env {
    let env = Env::new();
    let docs = repository().join("examples/docs");
    let said = env.run([OsStr::new("add"), docs.as_os_str()]);
    assert_eq!(said.code, 0, "{said:?}");
    env
}

#[test]
fn the_wiki_of_the_examples_is_sound() {
    let env = examples();
    let pages = pages(&env);
    let documents: Vec<&String> = pages
        .keys()
        .filter(|name| name.starts_with("summaries/"))
        .collect();
    assert_eq!(documents.len(), 19);
    front_matter(&pages);
    links_lead_somewhere(&pages);
    backlinks_are_mutual(&pages);
    the_index_lists_everything_once(&pages);
    images_are_there(&env, &pages);
    shared_terms_have_pages(&pages);
    let log = env.kb_text("wiki/log.md");
    for document in documents {
        let line = format!("→ {document}");
        let lines = log.lines().filter(|entry| entry.ends_with(&line));
        assert_eq!(lines.count(), 1, "{document}\n{log}");
    }
    assert_eq!(
        log.matches("## [2025-06-15 15:06:40] ingest | ").count(),
        19
    );
    assert!(pages["AGENTS"].body.contains("index.md"));
}

fn front_matter(pages: &BTreeMap<String, Page>) {
    for (name, page) in pages {
        let kind = match name.split_once('/') {
            Some(("summaries", _)) => "Summary",
            Some(("concepts", _)) => "Concept",
            Some(("entities", _)) => "",
            _ => continue,
        };
        let front = page
            .front
            .as_ref()
            .unwrap_or_else(|| panic!("{name}: none"));
        assert!(
            kind.is_empty() || front["type"] == kind,
            "{name}: {front:?}"
        );
        if kind == "Summary" {
            let source = front["full_text"].as_str().unwrap();
            // A long document's pages are beside its Markdown.
            let source = source.strip_suffix(".md").or(source.strip_suffix(".json"));
            let source = source.unwrap();
            assert!(pages.contains_key(source), "{name}: {source}");
        } else {
            let sources = front["sources"].as_array().unwrap();
            assert!(sources.len() >= 2, "{name}: one document shares nothing");
            for source in sources {
                let source = source.as_str().unwrap().strip_suffix(".md").unwrap();
                assert!(pages.contains_key(source), "{name}: {source}");
            }
        }
    }
}

fn links_lead_somewhere(pages: &BTreeMap<String, Page>) {
    for (name, page) in pages {
        // The text of a source is the document's.
        if name.starts_with("sources/") || name == "AGENTS" {
            continue;
        }
        for link in wikilinks(&page.body) {
            assert!(pages.contains_key(&link), "{name} links to {link}");
        }
    }
}

fn backlinks_are_mutual(pages: &BTreeMap<String, Page>) {
    let is_shared = |name: &str| name.starts_with("concepts/") || name.starts_with("entities/");
    let mut pairs = 0;
    for (name, page) in pages {
        for link in wikilinks(&page.body) {
            let mutual = (name.starts_with("summaries/") && is_shared(&link))
                || (is_shared(name) && link.starts_with("summaries/"));
            if mutual {
                pairs += 1;
                let back = wikilinks(&pages[&link].body);
                assert!(back.contains(name), "{name} links to {link}, not back");
            }
        }
        if is_shared(name) {
            let listed: BTreeSet<String> = page.front.as_ref().unwrap()["sources"]
                .as_array()
                .unwrap()
                .iter()
                .map(|source| source.as_str().unwrap().trim_end_matches(".md").to_owned())
                .collect();
            let mut linked = wikilinks(&page.body);
            linked.retain(|link| link.starts_with("summaries/"));
            assert_eq!(linked, listed, "{name}");
        }
    }
    assert!(pairs > 40, "{pairs}");
}

fn the_index_lists_everything_once(pages: &BTreeMap<String, Page>) {
    let index = &pages["index"].body;
    for name in pages.keys() {
        let listed = ["summaries/", "concepts/", "entities/"]
            .iter()
            .any(|folder| name.starts_with(folder));
        let lines = index.lines();
        let count = lines
            .filter(|line| line.starts_with(&format!("- [[{name}]]")))
            .count();
        assert_eq!(count, usize::from(listed), "{name}\n{index}");
    }
}

fn images_are_there(env: &Env, pages: &BTreeMap<String, Page>) {
    let mut used = BTreeSet::new();
    for (name, page) in pages {
        for target in images(&page.body) {
            let decoded = target.replace("%20", " ");
            let path = env.kb().join("wiki/sources").join(&decoded);
            assert!(path.is_file(), "{name} shows {target}");
            assert!(
                decoded.starts_with(&format!("images/{}/", name.trim_start_matches("sources/"))),
                "{name} shows {target}, another document's"
            );
            used.insert(path);
        }
    }
    assert_eq!(used.len(), 10);
    let folder = env.kb().join("wiki/sources/images");
    for document in fs::read_dir(folder).unwrap() {
        for image in fs::read_dir(document.unwrap().path()).unwrap() {
            let image = image.unwrap().path();
            assert!(
                used.contains(&image),
                "{} is shown nowhere",
                image.display()
            );
        }
    }
}

fn shared_terms_have_pages(pages: &BTreeMap<String, Page>) {
    for term in ["wal", "mvcc", "kpi", "sla", "rto", "rpo"] {
        let page = &pages[&format!("concepts/{term}")];
        assert!(wikilinks(&page.body).len() >= 2, "{term}");
        let heading = format!("# {}\n", term.to_uppercase());
        assert!(page.body.contains(&heading), "{term}: {}", page.body);
    }
    let wal = &pages["concepts/wal"].front.as_ref().unwrap()["description"];
    assert_eq!(wal, "write-ahead log");
}

/// Adding the same again changes nothing at all.
#[test]
fn a_second_add_changes_no_page() {
    let env = examples();
    let before = crate::support::tree(&env.kb());
    let docs = repository().join("examples/docs");
    let said = env.run([OsStr::new("add"), docs.as_os_str()]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.lines().all(|line| line.starts_with("skipped")));
    assert_eq!(crate::support::tree(&env.kb()), before);
}

#[test]
fn an_update_moves_the_backlinks() {
    let env = Env::new();
    let text = |body: &str| format!("# Doc\n\n{body}\n");
    env.doc(
        "one.md",
        text("The write-ahead log (WAL) is short. The WAL is kept."),
    );
    env.doc(
        "two.md",
        text("A write-ahead log (WAL) grows. The WAL is cut."),
    );
    env.doc(
        "three.md",
        text("One more write-ahead log (WAL). The WAL ends."),
    );
    assert_eq!(env.run(["add", "docs"]).code, 0);
    let links = |env: &Env| wikilinks(&env.kb_text("wiki/concepts/wal.md"));
    let all = ["summaries/one", "summaries/three", "summaries/two"];
    assert_eq!(links(&env), BTreeSet::from(all.map(str::to_owned)));

    env.doc("two.md", text("A service level agreement (SLA) instead."));
    let said = env.run(["add", "docs"]);
    assert!(
        said.stdout.contains("updated  two <- docs/two.md"),
        "{said:?}"
    );
    assert_eq!(
        links(&env),
        BTreeSet::from(["summaries/one", "summaries/three"].map(str::to_owned))
    );
    assert!(
        !env.kb_text("wiki/summaries/two.md")
            .contains("concepts/wal")
    );
    let pages = pages(&env);
    links_lead_somewhere(&pages);
    backlinks_are_mutual_here(&pages);
    the_index_lists_everything_once(&pages);
    assert_eq!(
        env.kb_text("raw/two.md"),
        text("A service level agreement (SLA) instead.")
    );
    // And the search forgets the old text.
    let said = env.run(["search", "grows"]);
    assert_eq!(said.stdout, "", "{said:?}");
}

fn backlinks_are_mutual_here(pages: &BTreeMap<String, Page>) {
    let wal = wikilinks(&pages["concepts/wal"].body);
    for (name, page) in pages {
        if name.starts_with("summaries/") {
            let links = wikilinks(&page.body).contains("concepts/wal");
            assert_eq!(links, wal.contains(name), "{name}");
        }
    }
}

/// What documents hold cannot break a page: front matter, links and headings stay what they are.
#[test]
fn hostile_titles_stay_text() {
    let env = Env::new();
    env.doc(
        "a.md",
        "---\ntitle: \"x]] [[index|y]] \\\"quoted\\\" --- {{a}}\"\ntags: [\"[[z]]\", \"a: b\", \
         '#hash']\n---\n# Other\n\nText of it: [[summaries/nowhere]].\n\n---\nevil: true\n---\n",
    );
    env.doc(
        "b.md",
        "---\ntitle: |\n  two\n  lines\ntags: [\"[[z]]\", \"a: b\", '#hash']\n---\n\nMore text.\n",
    );
    let said = env.run(["add", "docs"]);
    assert_eq!(said.code, 0, "{said:?}");
    let pages = pages(&env);
    front_matter(&pages);
    links_lead_somewhere(&pages);
    the_index_lists_everything_once(&pages);
    let front = pages["summaries/a"].front.as_ref().unwrap();
    assert!(!front.contains_key("evil"));
    assert!(
        !front["title"].as_str().unwrap().contains("[["),
        "{front:?}"
    );
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

/// A picture of its own: what stands behind the end of a PNG is nobody's business.
fn png(number: u8) -> Vec<u8> {
    [PNG, &[number]].concat()
}

/// Only pictures beside or beneath the document come with it; all else stays as it was written, and
/// nothing outside of the document's folder is read.
#[test]
fn only_the_documents_own_images_come_with_it() {
    let env = Env::new();
    env.doc("outside.png", png(1));
    env.doc("box/plain.png", png(2));
    env.doc("box/sub/with space.png", png(3));
    env.doc("box/ünï.png", png(4));
    env.doc("box/ref.png", png(5));
    env.doc("box/text.png", "no picture at all");
    env.doc(
        "box/vector.svg",
        "<svg xmlns='http://www.w3.org/2000/svg'/>",
    );
    symlink("/etc/passwd", env.path("docs/box/passwd.png")).unwrap();
    symlink("../outside.png", env.path("docs/box/link.png")).unwrap();
    symlink("..", env.path("docs/box/up")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        env.path("docs/box/fifo.png"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let absolute = env.path("docs/box/plain.png");
    let absolute = absolute.display();
    let text = format!(
        "# Pictures\n\n\
         ![plain](plain.png)\n\
         ![again](./plain.png \"title\")\n\
         ![percent](sub/with%20space.png)\n\
         ![angle](<sub/with space.png>)\n\
         ![umlauts](ünï.png)\n\
         ![reference][ref] and ![ref]\n\
         ![missing](missing.png)\n\
         ![outside](../outside.png)\n\
         ![dots](sub/../../outside.png)\n\
         ![encoded](..%2Foutside.png)\n\
         ![absolute]({absolute})\n\
         ![url](https://example.org/a.png)\n\
         ![file](file://{absolute})\n\
         ![passwd](passwd.png)\n\
         ![link](link.png)\n\
         ![up](up/outside.png)\n\
         ![fifo](fifo.png)\n\
         ![text](text.png)\n\
         ![vector](vector.svg)\n\n\
         ```\n![code](plain.png)\n```\n\n\
         [ref]: ref.png\n"
    );
    env.doc("box/a.md", &text);
    let mut command = env.command(["add", "docs/box/a.md"]);
    let said = env.finish_within(std::time::Duration::from_secs(60), &mut command);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.stdout, "added    a <- docs/box/a.md\n");
    let page = env.kb_text("wiki/sources/a.md");
    let shown: BTreeMap<&str, &str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("![")?.split_once("]("))
        .collect();
    let target = |label: &str| shown[label].trim_start_matches('<').to_owned();
    for label in ["plain", "again", "percent", "angle", "umlauts"] {
        assert!(
            target(label).starts_with("images/a/img_"),
            "{label}\n{page}"
        );
    }
    assert_eq!(
        target("percent").split(['>', ')']).next(),
        target("angle").split(['>', ')']).next()
    );
    let line = page
        .lines()
        .find(|line| line.starts_with("[ref]: "))
        .unwrap();
    assert!(line.starts_with("[ref]: images/a/img_"), "{page}");
    for label in [
        "missing", "outside", "dots", "encoded", "absolute", "url", "file", "passwd", "link", "up",
        "fifo", "text", "vector", "code",
    ] {
        let before = text
            .lines()
            .find(|line| line.starts_with(&format!("![{label}]")));
        let after = page
            .lines()
            .find(|line| line.starts_with(&format!("![{label}]")));
        assert_eq!(after, before, "{label}");
    }
    let folder = env.kb().join("wiki/sources/images/a");
    let mut bytes: Vec<Vec<u8>> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    bytes.sort();
    assert_eq!(bytes, [png(2), png(3), png(4), png(5)]);
    for name in [
        "missing.png",
        "outside.png",
        "passwd.png",
        "link.png",
        "fifo.png",
        "text.png",
    ] {
        assert!(said.stderr.contains(name), "{name}: {said:?}");
    }
    assert!(!said.stderr.contains("example.org"), "{said:?}");
}

#[test]
fn an_update_replaces_the_images() {
    let env = Env::new();
    env.doc("one.png", png(1));
    env.doc("two.png", png(2));
    env.doc("a.md", "# A\n\n![x](one.png) ![y](two.png)\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    let folder = env.kb().join("wiki/sources/images/a");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    env.doc("a.md", "# A\n\n![y](two.png)\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(fs::read(files[0].path()).unwrap(), png(2));
    env.doc("a.md", "# A\n\nNo more pictures.\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    let left = fs::read_dir(&folder).map_or(0, Iterator::count);
    assert_eq!(left, 0, "no image that no page shows");
}
