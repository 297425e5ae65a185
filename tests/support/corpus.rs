//! A mixed set of documents with everything that order could show in: duplicates, names that
//! collide, pages that several documents share, and inputs that fail.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Env, repository};

/// Documents of the mixed corpus at least.
pub(crate) const MIXED_MIN: usize = 60;

/// Terms that the generated documents take turns in mentioning, so that they share pages.
const ACRONYMS: [(&str, &str); 4] = [
    ("WAL", "write-ahead log"),
    ("KPI", "key performance indicator"),
    ("MVCC", "multi-version concurrency control"),
    ("RTO", "recovery time objective"),
];

/// Tags likewise.
const TAGS: [&str; 5] = ["storage", "operations", "planning", "people", "reliability"];

/// Writes the mixed corpus into `docs/` and returns its files in the order in which to add them.
pub(crate) fn mixed(env: &Env) -> Vec<PathBuf> {
    let mut files = Vec::new();
    copy_examples(&repository().join("examples/docs"), env, &mut files);
    generate(env, &mut files);
    collide(env, &mut files);
    break_some(env, &mut files);
    // Neither sorted nor grouped by kind, and the same each time.
    files.sort_by_key(|file| {
        let name = file.strip_prefix(env.path("docs")).unwrap();
        let mut state = 7u32;
        for byte in name.as_os_str().as_encoded_bytes() {
            state = (state ^ u32::from(*byte)).wrapping_mul(16_777_619);
        }
        state
    });
    assert!(files.len() >= MIXED_MIN, "{} documents", files.len());
    files
}

/// Copies the repository's example documents with the images beside them.
fn copy_examples(from: &Path, env: &Env, files: &mut Vec<PathBuf>) {
    let root = repository().join("examples/docs");
    let mut entries: Vec<_> = fs::read_dir(from)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            copy_examples(&path, env, files);
            continue;
        }
        let relative = path.strip_prefix(&root).unwrap();
        let to = env.doc(
            &format!("examples/{}", relative.display()),
            fs::read(&path).unwrap(),
        );
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(
            extension,
            Some("md" | "markdown" | "txt" | "csv" | "html" | "pdf")
        ) {
            files.push(to);
        }
    }
}

/// Small documents of each plain kind.
fn generate(env: &Env, files: &mut Vec<PathBuf>) {
    for n in 0..28 {
        let (acronym, long) = ACRONYMS[n % ACRONYMS.len()];
        let (tag, other) = (TAGS[n % TAGS.len()], TAGS[(n / 2) % TAGS.len()]);
        let body = format!(
            "Report {n} looks at the {long} ({acronym}). The {acronym} was measured {n} times in \
             week {n}.\n\nNothing else in report {n} is worth a line, but here is one more."
        );
        files.push(match n % 4 {
            0 | 1 => env.doc(
                &format!("generated/note-{n}.md"),
                format!("---\ntags: [{tag}, {other}]\n---\n# Note {n}\n\n{body}\n"),
            ),
            2 => env.doc(&format!("generated/text-{n}.txt"), body),
            _ if n % 8 == 3 => env.doc(
                &format!("generated/table-{n}.csv"),
                format!("week,term,count\n{n},{acronym},{}\n{n},other,3\n", n * n),
            ),
            _ => env.doc(
                &format!("generated/page-{n}.html"),
                format!(
                    "<html><head><title>Page {n}</title></head><body><p>{body}</p></body></html>"
                ),
            ),
        });
    }
}

/// Duplicates, documents of one stem, twins in case and in normal form.
fn collide(env: &Env, files: &mut Vec<PathBuf>) {
    for n in 0..4 {
        let same = format!("# Copied\n\nThe same bytes, number {}.\n", n / 2);
        files.push(env.doc(&format!("copies/{n}/copied-{n}.md"), same));
        let own = format!("# Report of office {n}\n\nThe RTO of office {n} is {n} hours.\n");
        files.push(env.doc(&format!("offices/{n}/report.md"), own));
    }
    files.push(env.doc("offices/4/report.txt", "The same stem, another kind.\n"));
    for name in ["twins/Minutes.md", "twins/minutes.md", "twins/MINUTES.md"] {
        files.push(env.doc(name, format!("# Minutes\n\nThese are those of {name}.\n")));
    }
    for name in ["forms/caf\u{e9}.md", "forms/cafe\u{301}.md"] {
        files.push(env.doc(name, format!("# Menu\n\n{} bytes of name.\n", name.len())));
    }
}

/// Inputs that fail, one twice with the same bytes.
fn break_some(env: &Env, files: &mut Vec<PathBuf>) {
    files.push(env.doc("broken/latin1.md", b"# Caf\xe9\n\xff\xfe\n"));
    files.push(env.doc("broken/latin1-again.md", b"# Caf\xe9\n\xff\xfe\n"));
    files.push(env.doc("broken/cut.pdf", "%PDF-1.7\n1 0 obj\n<< /Type /Catalog"));
    files.push(env.doc("broken/empty.md", ""));
    files.push(env.doc("broken/kind.xyz", "no converter takes this"));
    files.push(env.path("docs/broken/missing.md"));
}
