//! Behaviours of the hostile kit that reach for the machine around the sandbox, pass one thing off
//! as another, or need somebody on the host who changes files at the worst moment.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant, SystemTime};

use crate::bindings::exports::kbhost::converter::converter::{ConvertError, Document, Request};
use crate::bindings::kbhost::converter::types::Role;
use crate::{broken, document, escaped, file, page, refused, spin};

/// What every canary of the host begins with.
const CANARY: &[u8] = b"kbhost-canary";

/// The first bytes of a picture.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest of a picture";

pub(crate) fn behave(
    word: &str,
    argument: &str,
    request: &Request,
) -> Option<Result<Document, ConvertError>> {
    Some(match word {
        "reach" => reach(argument),
        "slash" => slash(request),
        "rename-across" => rename_across(request),
        "name" => name(argument),
        "twins" => twins(argument),
        "await-swap" => await_host().and_then(|()| page_of(&["main.md"])),
        "follow" => follow(argument),
        "clock-loop" => loop {
            black_box((Instant::now(), SystemTime::now()));
            std::thread::sleep(Duration::from_nanos(1));
        },
        "picture" => picture(argument),
        "title" => page("# Page\n").map(|document| Document {
            title: Some(argument.replace("\\n", "\n")),
            ..document
        }),
        "want" => want(request),
        "write-many" => write_many(argument),
        "long" => long(argument, request),
        _ => return None,
    })
}

/// A probe that never answers, if the file says so.
pub(crate) fn probe(head: &[u8]) {
    if head.starts_with(b"probe-loop") {
        spin()
    }
}

/// Writes each file that its input holds, and declares it in the order of the input. `argument` is the
/// number of pages, or nothing. A file begins after a line `=== ROLE PATH`.
fn long(argument: &str, request: &Request) -> Result<Document, ConvertError> {
    let input = fs::read_to_string(&request.input).map_err(broken)?;
    let mut files = Vec::new();
    for part in input.split("\n=== ").skip(1) {
        let (heading, text) = part.split_once('\n').unwrap_or((part, ""));
        let (role, path) = heading.split_once(' ').unwrap_or((heading, "file"));
        let (role, bytes) = match role {
            "main" => (Role::Main, text.as_bytes()),
            "pages" => (Role::Pages, text.as_bytes()),
            "tree" => (Role::Tree, text.as_bytes()),
            _ => (Role::Image, PNG),
        };
        fs::write(format!("/out/{path}"), bytes).map_err(broken)?;
        files.push(file(path, role, ""));
    }
    Ok(Document {
        pages: argument.parse().ok(),
        ..document(files)
    })
}

/// Tries everything that could be done to each of the paths in `argument`, parted by tabulators.
fn reach(argument: &str) -> Result<Document, ConvertError> {
    for path in argument.split('\t') {
        let append = || File::options().append(true).create(true).open(path);
        let done = [
            ("read", fs::read(path).is_ok()),
            ("list", fs::read_dir(path).is_ok()),
            ("look at", fs::metadata(path).is_ok()),
            (
                "write to",
                append().is_ok_and(|mut file| file.write_all(b"x").is_ok()),
            ),
            (
                "make a folder in",
                fs::create_dir(format!("{path}/new")).is_ok(),
            ),
            ("take away", fs::rename(path, "/out/stolen").is_ok()),
            ("link to", fs::hard_link(path, "/out/linked").is_ok()),
            ("remove", fs::remove_file(path).is_ok()),
        ];
        if let Some((what, _)) = done.iter().find(|(_, done)| *done) {
            return Err(escaped(&format!("{what} {path}")));
        }
    }
    page("refused: reach")
}

/// A slash behind a name has led out of sandboxes.
fn slash(request: &Request) -> Result<Document, ConvertError> {
    let reads = ["/in/../", "/in/..//", "/out/../", "/in/./../.", "/etc/"];
    for path in reads {
        if fs::read_dir(path).is_ok() || fs::metadata(path).is_ok() {
            return Err(escaped(&format!("read {path}")));
        }
    }
    if fs::read(format!("{}/", request.input)).is_ok() {
        return Err(escaped("read a file as a folder"));
    }
    let makes = ["/out/../new/", "/in/new/", "/out/../../new"];
    for path in makes {
        if fs::write(path, "x").is_ok() || fs::create_dir(path).is_ok() {
            return Err(escaped(&format!("made {path}")));
        }
    }
    page("refused: slash")
}

/// Moves files between the two directories, and out of them.
fn rename_across(request: &Request) -> Result<Document, ConvertError> {
    fs::write("/out/mine", "x").map_err(broken)?;
    let moves = [
        (request.input.as_str(), "/out/stolen"),
        ("/out/mine", "/in/mine"),
        ("/out/mine", "/out/../mine"),
        ("/out/mine", "/in/../../mine"),
        ("/in/../../etc", "/out/etc"),
    ];
    for (from, to) in moves {
        if fs::rename(from, to).is_ok() {
            return Err(escaped(&format!("renamed {from} to {to}")));
        }
    }
    page("refused: rename-across")
}

/// Gives one bad name in each way that gives names.
fn name(kind: &str) -> Result<Document, ConvertError> {
    let name = match kind {
        "newline" => "a\nb".to_owned(),
        "escape" => "a\x1b[31mb".to_owned(),
        "bidi" => "a\u{202e}gnp.b".to_owned(),
        "invisible" => "a\u{200b}b".to_owned(),
        "long" => "x".repeat(255),
        _ => return Err(ConvertError::Unsupported(format!("no name `{kind}`"))),
    };
    let path = format!("/out/{name}");
    fs::write("/out/plain", "x").map_err(broken)?;
    let made = fs::write(&path, "x")
        .or_else(|_| fs::create_dir(&path))
        .or_else(|_| fs::rename("/out/plain", &path));
    refused(&format!("name {kind}"), made)
}

/// Declares two pictures that one file system takes for one.
fn twins(kind: &str) -> Result<Document, ConvertError> {
    let names = match kind {
        "case" => ["twin.png", "TWIN.png"],
        _ => ["\u{e9}.png", "e\u{301}.png"],
    };
    for name in names {
        fs::write(format!("/out/{name}"), PNG).map_err(broken)?;
    }
    fs::write("/out/main.md", "two twins").map_err(broken)?;
    page_of(&["main.md", names[0], names[1]])
}

/// The main page and pictures, as they lie there.
fn page_of(names: &[&str]) -> Result<Document, ConvertError> {
    let declared = names.iter().enumerate().map(|(at, name)| match at {
        0 => file(name, Role::Main, "text/markdown"),
        _ => file(name, Role::Image, "image/png"),
    });
    Ok(document(declared.collect()))
}

/// Says on the host that all is written, and waits until somebody there has changed it.
fn await_host() -> Result<(), ConvertError> {
    fs::write("/out/main.md", "# Page\n").map_err(broken)?;
    fs::create_dir("/out/folder").map_err(broken)?;
    for path in ["/out/folder/inner", "/out/changing", "/out/written"] {
        fs::write(path, "plain").map_err(broken)?;
    }
    while fs::metadata("/out/changed").is_err() {}
    Ok(())
}

/// Goes where links lead that somebody on the host puts there and takes away, `times` times.
fn follow(times: &str) -> Result<Document, ConvertError> {
    let times: u32 = times.trim().parse().unwrap_or(1);
    await_host()?;
    for _ in 0..times {
        for path in ["/out/changing", "/out/folder/inner", "/out/planted"] {
            let mut read = Vec::new();
            let opened = File::open(path).and_then(|mut file| file.read_to_end(&mut read));
            if opened.is_ok() && read.starts_with(CANARY) {
                return Err(escaped(&format!("read through {path}")));
            }
            // What is written here must not arrive there.
            let appended = File::options().append(true).open(path);
            drop(appended.and_then(|mut file| file.write_all(b"x")));
        }
    }
    match fs::read("/out/planted") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => page("refused: follow"),
        other => Err(ConvertError::Internal(format!("unexpected: {other:?}"))),
    }
}

/// Passes something else off as a picture.
fn picture(kind: &str) -> Result<Document, ConvertError> {
    let bytes: &[u8] = match kind {
        "svg" => b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
        _ => b"<!doctype html><script>alert(1)</script>",
    };
    fs::write("/out/a.png", bytes).map_err(broken)?;
    fs::write("/out/main.md", "# Page\n").map_err(broken)?;
    page_of(&["main.md", "a.png"])
}

/// Tells which of the references it was given, with what is in them.
fn want(request: &Request) -> Result<Document, ConvertError> {
    match &request.assets[..] {
        [] => page("given nothing"),
        [asset, ..] => {
            let bytes = fs::read(&asset.path).map_err(broken)?;
            Err(escaped(&format!(
                "given {} with {} bytes",
                asset.reference,
                bytes.len()
            )))
        }
    }
}

fn write_many(count: &str) -> Result<Document, ConvertError> {
    let count: u32 = count.trim().parse().unwrap_or(0);
    for n in 0..count {
        fs::write(format!("/out/{n}"), "").map_err(broken)?;
    }
    Err(escaped(&format!("{count} files")))
}
