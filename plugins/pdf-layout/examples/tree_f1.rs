//! How well the tree of sections agrees with bookmarks that it did not see: `tree_f1 FILE...` prints F1 of
//! the titles of each file, compared as the scorer of headings does, and the mean. Files that have too few
//! pages or bookmarks, or bookmarks that name nothing on their pages, are left out.
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::path::Path;

use kbhost_pdf_layout::layout::{self, block::PageBlocks, title};
use kbhost_pdf_layout::limits::Limits;
use kbhost_pdf_layout::page::Bookmark;
use kbhost_pdf_layout::read::{EncodedPicture, PictureSink, Reader, open};
use kbhost_pdf_layout::tree::{self, Node};

/// Shorter documents and fewer bookmarks tell nothing.
const PAGES_MIN: usize = 10;
const BOOKMARKS_MIN: usize = 5;
/// Titles at least this similar, of 100, are the same.
const SIMILAR: f64 = 82.0;

fn main() {
    let mut sum = 0.0;
    let mut count = 0;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let shows = args.iter().any(|arg| arg == "--show");
    for file in args.iter().filter(|arg| *arg != "--show") {
        let Some(scored) = scored(Path::new(file), shows) else {
            continue;
        };
        println!("{:.3} {file}: {}", scored.f1, scored.remark);
        sum += scored.f1;
        count += 1;
    }
    println!(
        "tree hF1 {:.3}, {count} files",
        sum / f64::from(count.max(1))
    );
}

struct Scored {
    f1: f64,
    remark: String,
}

fn scored(path: &Path, shows: bool) -> Option<Scored> {
    let pdf = open(std::fs::read(path).ok()?, None).ok()?;
    let limits = Limits::default();
    let mut reader = Reader::new(&pdf, limits);
    let bookmarks = reader.bookmarks();
    if bookmarks.len() < BOOKMARKS_MIN || (reader.page_count() as usize) < PAGES_MIN {
        return None;
    }
    let count = reader.page_count().min(limits.pages);
    let pages = (1..=count).map(|number| {
        let page = reader.page(number, &mut Discard);
        layout::page(&page, reader.fonts())
    });
    let mut pages: Vec<PageBlocks> = pages.collect();
    layout::document(&mut pages, &[], None);
    if !is_named(&bookmarks, &pages) {
        return None;
    }
    let found = tree::of_document(&pages, &[], false);
    let mut titles = Vec::new();
    flat(&found.nodes, 0, &mut titles);
    let truth: Vec<String> = bookmarks
        .iter()
        .map(|bookmark| key(&bookmark.title))
        .collect();
    let answer: Vec<String> = titles.iter().map(|(title, _)| key(title)).collect();
    let pairs = matched(&truth, &answer);
    if shows {
        show(&bookmarks, &titles, &pairs);
    }
    let hits = pairs.len() as f64;
    let remark = format!(
        "{}, {} nodes, {} bookmarks",
        found.toc_source.word(),
        answer.len(),
        truth.len()
    );
    Some(Scored {
        f1: 2.0 * hits / (answer.len() + truth.len()) as f64,
        remark,
    })
}

/// Whether at least half the bookmarks stand on the pages that they lead to.
fn is_named(bookmarks: &[Bookmark], pages: &[PageBlocks]) -> bool {
    let texts: Vec<String> = pages
        .iter()
        .map(|page| {
            let texts = page.blocks.iter().filter_map(|block| block.text());
            let texts: Vec<String> = texts.map(|text| text.plain()).collect();
            let text = texts.join(" ").to_lowercase();
            text.chars().filter(|c| c.is_alphanumeric()).collect()
        })
        .collect();
    let named = bookmarks.iter().filter(|bookmark| {
        let page = bookmark.page.and_then(|page| texts.get(page as usize - 1));
        page.is_some_and(|page| page.contains(&title::key_of_title(&bookmark.title)))
    });
    named.count() * 2 >= bookmarks.len()
}

fn flat(nodes: &[Node], depth: usize, titles: &mut Vec<(String, String)>) {
    for node in nodes {
        let place = format!("{}{}-{}", "  ".repeat(depth), node.start, node.end);
        titles.push((node.title.clone(), place));
        flat(&node.nodes, depth + 1, titles);
    }
}

fn show(bookmarks: &[Bookmark], titles: &[(String, String)], pairs: &[(usize, usize)]) {
    for (n, bookmark) in bookmarks.iter().enumerate() {
        if !pairs.iter().any(|(truth, _)| *truth == n) {
            println!("  missed {:?}: {}", bookmark.page, bookmark.title);
        }
    }
    for (n, (title, place)) in titles.iter().enumerate() {
        let hit = pairs.iter().any(|(_, answer)| *answer == n);
        println!("  {} {place} {title}", if hit { "+" } else { "-" });
    }
}

/// Words in small letters.
fn key(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '_' {
                c
            } else {
                ' '
            }
        })
        .collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Pairs of titles that are the same, each used once.
fn matched(truth: &[String], answer: &[String]) -> Vec<(usize, usize)> {
    let mut used = vec![false; answer.len()];
    let mut pairs = Vec::new();
    for (n, wanted) in truth.iter().enumerate() {
        let mut best: Option<(usize, f64)> = None;
        for (m, given) in answer.iter().enumerate().filter(|(m, _)| !used[*m]) {
            let ratio = ratio(wanted, given);
            if ratio >= SIMILAR && best.is_none_or(|(_, known)| ratio > known) {
                best = Some((m, ratio));
            }
        }
        if let Some((m, _)) = best {
            used[m] = true;
            pairs.push((n, m));
        }
    }
    pairs
}

/// The similarity of two texts, of 100: twice their longest common subsequence by both lengths.
fn ratio(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let total = a.len() + b.len();
    if total == 0 || 2 * a.len().min(b.len()) * 100 < SIMILAR as usize * total {
        return if total == 0 { 100.0 } else { 0.0 };
    }
    let mut row = vec![0_usize; b.len() + 1];
    for x in &a {
        let mut corner = 0;
        for (n, y) in b.iter().enumerate() {
            let above = row[n + 1];
            row[n + 1] = if x == y {
                corner + 1
            } else {
                above.max(row[n])
            };
            corner = above;
        }
    }
    200.0 * row[b.len()] as f64 / total as f64
}

/// Takes pictures and throws them away.
struct Discard;

impl PictureSink for Discard {
    fn put(&mut self, _: u32, _: &EncodedPicture) -> bool {
        true
    }
}
