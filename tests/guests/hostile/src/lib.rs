//! A converter that does what the first line of its input says: a word that names the behaviour,
//! and its argument. Tests use it to see that the sandbox holds and that every limit fires.
//!
//! A behaviour that is refused, as it should be, succeeds with a page that says so; one that gets
//! through ends in `convert-error::internal("escaped: …")`, which every test takes for a failure
//! of the sandbox.

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit/v0.1.0", world: "file-converter" });
}

mod kit;
mod resume;
mod secret;

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant, SystemTime};

use bindings::exports::kbhost::converter::converter::{
    AssetReference, ConvertError, Description, Document, Guest, Request,
};
use bindings::kbhost::converter::job;
use bindings::kbhost::converter::types::{AcceptedType, OutputFile, Role};

struct Hostile;

/// How `describe` behaves. It has no input, so tests change the last four letters in the binary.
static DESCRIBE: &[u8; 28] = b"kbhost-hostile-describe:fine";

impl Guest for Hostile {
    fn describe() -> Description {
        let accepts = AcceptedType {
            media_type: "text/x-hostile".to_owned(),
            extensions: vec!["hostile".to_owned()],
        };
        let (name, accepts) = match &black_box(DESCRIBE)[24..] {
            b"loop" => spin(),
            b"name" => ("../\x1b[31m", vec![accepts]),
            b"many" => ("hostile", vec![accepts; 10_000]),
            _ => ("hostile", vec![accepts]),
        };
        Description {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            accepts,
        }
    }

    fn probe(head: Vec<u8>, _name: String) -> u8 {
        kit::probe(&head);
        100
    }

    fn assets(request: Request) -> Result<Vec<AssetReference>, ConvertError> {
        let (word, argument) = command(&request)?;
        let references = match word.as_str() {
            "assets-bad" => {
                let fixed = [
                    "/etc/passwd",
                    "../..",
                    "../../etc/passwd",
                    "",
                    ".",
                    "a\0b",
                    "a\nb",
                ];
                let many = (0..10_000).map(|n| format!("name-{n}"));
                fixed.into_iter().map(str::to_owned).chain(many).collect()
            }
            "assets-outside" => vec!["/etc/passwd".to_owned(), "../../etc/passwd".to_owned()],
            "assets-loop" => spin(),
            "assets-out" => match fs::write("/out/file", "x") {
                Ok(()) => return Err(escaped("assets wrote to /out")),
                Err(_) => Vec::new(),
            },
            "assets-long" => vec!["x".repeat(5_000)],
            "assets" | "want" => argument.split(' ').map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        Ok(references
            .into_iter()
            .map(|reference| AssetReference { reference })
            .collect())
    }

    fn convert(request: Request) -> Result<Document, ConvertError> {
        let (word, argument) = command(&request)?;
        if let Some(result) = attack(&word, &argument, &request) {
            return result;
        }
        if let Some(result) = lie(&word, &argument) {
            return result;
        }
        if word == "checkpoint" {
            return resume::checkpoint(&argument, &request);
        }
        if let Some(result) = secret::behave(&word, &argument, &request) {
            return result;
        }
        if let Some(result) = kit::behave(&word, &argument, &request) {
            return result;
        }
        exhaust(&word, &argument)
    }
}

/// Splits the first line of the input into its first word and the rest.
fn command(request: &Request) -> Result<(String, String), ConvertError> {
    let mut head = Vec::new();
    File::open(&request.input)
        .and_then(|file| file.take(4_096).read_to_end(&mut head))
        .map_err(|error| ConvertError::Internal(format!("{}: {error}", request.input)))?;
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().next().unwrap_or_default();
    let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
    Ok((word.to_owned(), argument.to_owned()))
}

fn escaped(what: &str) -> ConvertError {
    ConvertError::Internal(format!("escaped: {what}"))
}

fn broken(error: io::Error) -> ConvertError {
    ConvertError::Internal(format!("unexpected: {error}"))
}

/// A page that says `text`.
fn page(text: &str) -> Result<Document, ConvertError> {
    fs::write("/out/main.md", text).map_err(broken)?;
    Ok(document(vec![file("main.md", Role::Main, "text/markdown")]))
}

fn document(files: Vec<OutputFile>) -> Document {
    Document {
        files,
        title: None,
        name: None,
        remote_id: None,
        pages: None,
        outline: Vec::new(),
        metadata: Vec::new(),
        warnings: Vec::new(),
    }
}

fn file(path: &str, role: Role, media_type: &str) -> OutputFile {
    OutputFile {
        path: path.to_owned(),
        role,
        media_type: media_type.to_owned(),
        page: None,
    }
}

/// A page that says that `what` was refused; an escape if it was not.
fn refused<T>(what: &str, result: io::Result<T>) -> Result<Document, ConvertError> {
    match result {
        Ok(_) => Err(escaped(what)),
        Err(error) => page(&format!("refused: {what}: {:?}", error.kind())),
    }
}

/// Reaches for what is outside.
fn attack(word: &str, argument: &str, request: &Request) -> Option<Result<Document, ConvertError>> {
    Some(match word {
        "read" => refused("read", fs::read(argument)),
        "read-up" => {
            let ups = [
                "/in/..",
                "/in/../..",
                "/in/../../../../etc/passwd",
                "/out/../in/..",
                "../..",
            ];
            match ups
                .iter()
                .find(|up| fs::read(up).is_ok() || fs::read_dir(up).is_ok())
            {
                Some(up) => Err(escaped(up)),
                None => page("refused: read-up"),
            }
        }
        "socket" => {
            let tcp = std::net::TcpStream::connect("127.0.0.1:80").map(drop);
            let udp = std::net::UdpSocket::bind("127.0.0.1:0").map(drop);
            let name = std::net::ToSocketAddrs::to_socket_addrs("localhost:80").map(drop);
            refused("socket", tcp.or(udp).or(name))
        }
        "env" => {
            let environment = std::env::vars_os().count();
            let arguments = std::env::args_os().count();
            let mut input = Vec::new();
            let typed = io::stdin().read_to_end(&mut input).unwrap_or(0);
            match environment + arguments + typed {
                0 => page("nothing to see"),
                _ => Err(escaped(&format!("{environment} {arguments} {typed}"))),
            }
        }
        "write-in" => {
            let created = fs::write("/in/new", "x");
            let opened = File::options().append(true).open(&request.input).map(drop);
            let removed = fs::remove_file(&request.input);
            let renamed = fs::rename(&request.input, "/out/stolen");
            refused("write-in", created.or(opened).or(removed).or(renamed))
        }
        "symlink" => symlink(argument),
        "hardlink" => match fs::write("/out/main.md", "x") {
            Err(error) => Err(broken(error)),
            Ok(()) => match fs::hard_link("/out/main.md", "/out/twin.png") {
                Err(_) => page("refused: hardlink"),
                Ok(()) => Ok(document(vec![
                    file("main.md", Role::Main, "text/markdown"),
                    file("twin.png", Role::Image, "image/png"),
                ])),
            },
        },
        "names" => names(),
        "rename-deep" => rename_deep(),
        "truncate-in" => {
            let options = || {
                File::options()
                    .write(true)
                    .truncate(true)
                    .open(&request.input)
            };
            let shortened = File::open(&request.input).and_then(|file| file.set_len(0));
            refused("truncate", options().map(drop).or(shortened))
        }
        _ => return None,
    })
}

/// Gives names that could pass for another one, or that no system takes.
fn names() -> Result<Document, ConvertError> {
    let long = "x".repeat(250);
    let bad = [
        "a\nb",
        "a\x1b[31mb",
        "a\u{202e}gnp.b",
        "a\u{200b}b",
        "a\u{7f}b",
        long.as_str(),
    ];
    for name in bad {
        let path = format!("/out/{name}");
        if fs::write(&path, "x").is_ok() || fs::create_dir(&path).is_ok() {
            return Err(escaped(&format!("made {name:?}")));
        }
        fs::write("/out/plain", "x").map_err(broken)?;
        if fs::rename("/out/plain", &path).is_ok() {
            return Err(escaped(&format!("renamed to {name:?}")));
        }
    }
    page("refused: names")
}

/// Builds a tree from below: each step would put what is there one level further down.
fn rename_deep() -> Result<Document, ConvertError> {
    fs::create_dir("/out/d").map_err(broken)?;
    for n in 0..100 {
        let below = format!("/out/n{n}");
        fs::create_dir(&below).map_err(broken)?;
        if fs::rename("/out/d", format!("{below}/d")).is_err() {
            return page(&format!("refused: rename-deep after {n}"));
        }
        fs::rename(&below, "/out/d").map_err(broken)?;
    }
    Err(escaped("a hundred directories inside each other"))
}

/// Declares a symbolic link to `argument` as an attachment, after trying to read through it.
fn symlink(argument: &str) -> Result<Document, ConvertError> {
    let target = if argument.is_empty() {
        "../../../../../../etc/passwd"
    } else {
        argument
    };
    fs::write("/out/main.md", "# Link\n").map_err(broken)?;
    if let Err(error) = make_symlink(target) {
        return page(&format!("refused: symlink: {error}"));
    }
    if fs::read("/out/link.txt").is_ok() {
        return Err(escaped("read through a symbolic link"));
    }
    Ok(document(vec![
        file("main.md", Role::Main, "text/markdown"),
        file("link.txt", Role::Attachment, "text/plain"),
    ]))
}

#[expect(
    deprecated,
    reason = "the stable way to make a symbolic link on this target"
)]
fn make_symlink(target: &str) -> io::Result<()> {
    fs::soft_link(target, "/out/link.txt")
}

/// Returns what is not so.
fn lie(word: &str, argument: &str) -> Option<Result<Document, ConvertError>> {
    let main = || file("main.md", Role::Main, "text/markdown");
    let with = |other: OutputFile| page("# Page\n").map(|_| document(vec![main(), other]));
    Some(match word {
        "ok" => page(argument),
        "undeclared" => page("# Page\n").and_then(|document| {
            fs::write("/out/undeclared.txt", "x").map_err(broken)?;
            Ok(document)
        }),
        "missing" => with(file("missing.png", Role::Image, "image/png")),
        "outside" => with(file("../x", Role::Attachment, "text/plain")),
        "absolute" => with(file("/etc/passwd", Role::Attachment, "text/plain")),
        "no-main" => Ok(document(Vec::new())),
        "lie-image" => fs::write("/out/a.png", "<html><script>alert(1)</script></html>")
            .map_err(broken)
            .and_then(|()| with(file("a.png", Role::Image, "image/png"))),
        "ansi" => ansi(),
        "many-warnings" => page("x").map(|document| Document {
            warnings: vec!["x".to_owned(); 5_000],
            ..document
        }),
        "clock" => clock(),
        "files" => files(),
        "churn" => churn(),
        "refuse" => Err(ConvertError::Corrupt(format!("{argument}\x1b[31m\n[[x]]"))),
        "log" => {
            for n in 0..10_000 {
                job::log(job::Level::Info, &format!("line {n} {argument}"));
                job::progress(n, 10_000, argument);
            }
            let kept = job::checkpoint(&[0; 10_000]);
            page(&format!("checkpoint kept: {kept}"))
        }
        _ => return None,
    })
}

/// Escape codes, links and line breaks wherever text goes.
fn ansi() -> Result<Document, ConvertError> {
    const EVIL: &str = "\x1b[31mred\x1b]0;title\x07 [[concepts/x]]\n# heading\r\u{202e}txt <!-- x";
    job::log(job::Level::Error, EVIL);
    println!("{EVIL}");
    eprintln!("{EVIL}");
    page("# Page\n").map(|document| Document {
        title: Some(EVIL.to_owned()),
        metadata: vec![
            ("author".to_owned(), EVIL.to_owned()),
            (EVIL.to_owned(), "x".to_owned()),
        ],
        warnings: vec![EVIL.to_owned()],
        ..document
    })
}

/// A page with everything that could differ between two runs.
fn clock() -> Result<Document, ConvertError> {
    let start = Instant::now();
    let mut text = String::new();
    for _ in 0..3 {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        text.push_str(&format!("{wall:?} {:?}\n", start.elapsed()));
        text.push_str(&format!(
            "{:x}\n",
            RandomState::new().build_hasher().finish()
        ));
    }
    std::thread::sleep(Duration::from_secs(1));
    text.push_str(&format!("{:?}\n", start.elapsed()));
    page(&text)
}

/// A page with everything that files could tell of the machine and the moment.
fn files() -> Result<Document, ConvertError> {
    let mut text = String::new();
    fs::create_dir("/out/dir").map_err(broken)?;
    for name in ["q", "b", "z", "a"] {
        fs::write(format!("/out/dir/{name}"), name).map_err(broken)?;
    }
    for path in ["/in", "/out", "/out/dir", "/out/dir/q"] {
        let metadata = fs::metadata(path).map_err(broken)?;
        text.push_str(&format!(
            "{path} {} {:?} {:?}\n",
            metadata.len(),
            metadata.modified().map_err(broken)?,
            metadata.accessed().map_err(broken)?,
        ));
    }
    for entry in fs::read_dir("/out/dir").map_err(broken)? {
        text.push_str(&format!("{:?}\n", entry.map_err(broken)?.file_name()));
    }
    page(&text)
}

/// A page with the names of a directory, as they come.
fn tell_order() -> Result<Document, ConvertError> {
    fs::create_dir("/out/dir").map_err(broken)?;
    for name in ["q", "b", "z"] {
        fs::write(format!("/out/dir/{name}"), name).map_err(broken)?;
    }
    let mut text = "# Order\n\n".to_owned();
    for entry in fs::read_dir("/out/dir").map_err(broken)? {
        let path = entry.map_err(broken)?.path();
        text.push_str(&format!("- {}\n", path.display()));
        fs::remove_file(path).map_err(broken)?;
    }
    page(&text)
}

/// Writes, shortens and removes again and again, within its limits at any moment.
fn churn() -> Result<Document, ConvertError> {
    for _ in 0..200 {
        let file = File::create("/out/again").map_err(broken)?;
        file.set_len(1 << 20).map_err(broken)?;
        file.set_len(0).map_err(broken)?;
        fs::write("/out/gone", "").map_err(broken)?;
        fs::remove_file("/out/gone").map_err(broken)?;
    }
    page("churned")
}

/// Uses up what is limited.
fn exhaust(word: &str, argument: &str) -> Result<Document, ConvertError> {
    let number: u64 = argument.trim().parse().unwrap_or(0);
    match word {
        "loop" => spin(),
        "sleep" => {
            std::thread::sleep(Duration::from_secs(3_600));
            loop {
                black_box(Instant::now());
            }
        }
        "nap" => {
            let start = Instant::now();
            std::thread::sleep(Duration::from_secs(3_600));
            page(&format!("slept {} s", start.elapsed().as_secs()))
        }
        "busy-ms" => {
            busy(number);
            page(&format!("busy for {number} ms\n"))
        }
        "memory" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(black_box(vec![1u8; 1 << 20]));
            }
        }
        "memory-careful" => {
            let mut hoard: Vec<u8> = Vec::new();
            match hoard.try_reserve(3 << 30) {
                Ok(()) => Err(escaped("3 GiB")),
                Err(_) => page("did without\n"),
            }
        }
        "memory-mib" => {
            let hoard = black_box(vec![1u8; usize::try_from(number).unwrap_or(0) << 20]);
            page(&format!("{} bytes\n", hoard.len()))
        }
        "recursion" => page(&recurse(1).to_string()),
        "panic" => panic!("on purpose: {argument} \x1b[31m[[x]]"),
        "exit" => std::process::exit(i32::try_from(number).unwrap_or(1)),
        "output-flood" => flood().map_err(broken).and_then(|()| page("x")),
        "output-sparse" => File::create("/out/sparse")
            .and_then(|sparse| sparse.set_len(1 << 40))
            .map_err(broken)
            .and_then(|()| page("x")),
        "file-flood" => {
            let mut n = 0u64;
            while fs::write(format!("/out/{n}"), "").is_ok() {
                n += 1;
            }
            Err(ConvertError::Internal(format!("stopped at {n} files")))
        }
        "hole" => {
            use std::io::{Seek, SeekFrom};
            let mut file = File::create("/out/hole").map_err(broken)?;
            file.seek(SeekFrom::Start(1 << 40)).map_err(broken)?;
            file.write_all(b"x").map_err(broken)?;
            page("x")
        }
        "unlinked-flood" => {
            let mut open = Vec::new();
            for n in 0..100 {
                let path = format!("/out/{n}");
                let mut file = File::create(&path).map_err(broken)?;
                fs::remove_file(&path).map_err(broken)?;
                file.write_all(&[b'x'; 64 << 10]).map_err(broken)?;
                open.push(file);
            }
            page("x")
        }
        "deep" => {
            let path = "/out".to_owned() + &"/d".repeat(100);
            fs::create_dir_all(path).map_err(broken)?;
            page("x")
        }
        "stderr-flood" => {
            for n in 0..20_000 {
                eprintln!("line {n} of a flood \x1b[31m");
                println!("line {n} of another");
            }
            page("still here\n")
        }
        "handles" => {
            let mut open = Vec::new();
            while let Ok(file) = File::create("/out/one") {
                open.push(file);
            }
            page(&format!("{} handles\n", open.len()))
        }
        "log-huge" => {
            job::log(job::Level::Info, &"x".repeat(40 << 20));
            page("x")
        }
        "answer-huge" => page("x").map(|document| Document {
            title: Some("x".repeat(40 << 20)),
            ..document
        }),
        "wait-cancel" => loop {
            if job::cancelled() {
                return Err(ConvertError::Cancelled);
            }
        },
        // What a converter on trial must not do.
        "tell-clock" => page(&format!("# Clock\n\n{:?}\n", SystemTime::now())),
        "tell-random" => {
            let random = RandomState::new().build_hasher().finish();
            page(&format!("# Random\n\n{random:x}\n"))
        }
        "tell-order" => tell_order(),
        "fragile" => {
            let broken = |c: char| c == char::REPLACEMENT_CHARACTER || c.is_control();
            assert!(!argument.contains(broken), "broken text");
            page(argument)
        }
        "members" | "member-not-utf8" | "member-csv" => members(word, argument),
        _ => Err(ConvertError::Unsupported(format!("no behaviour `{word}`"))),
    }
}

/// A page that links to a picture and to as many members as `argument` begins with; those of odd
/// numbers link to the first one and to the picture.
fn members(word: &str, argument: &str) -> Result<Document, ConvertError> {
    let (count, text) = argument.split_once(' ').unwrap_or((argument, "rows"));
    let count: usize = count.parse().unwrap_or(1);
    let mut main = "# Members\n\n![p](kbhost-output:p.png)\n\n".to_owned();
    let mut files = vec![
        file("main.md", Role::Main, "text/markdown"),
        file("p.png", Role::Image, "image/png"),
    ];
    fs::create_dir_all("/out/t").map_err(broken)?;
    fs::write("/out/p.png", b"\x89PNG\r\n\x1a\nrest").map_err(broken)?;
    for n in 1..=count {
        let path = format!("t/table-{n}.md");
        main.push_str(&format!("- [Table {n}](kbhost-output:{path})\n"));
        let mut page = format!("# Table {n}\n\nThe member{n} of {text}.\n");
        if n % 2 == 1 {
            page.push_str("\n[first](kbhost-output:t/table-1.md) ![p](kbhost-output:p.png)\n");
        }
        let mut page = page.into_bytes();
        let media_type = match word {
            "member-csv" => "text/csv",
            "member-not-utf8" => {
                page.push(0xff);
                "text/markdown"
            }
            _ => "text/markdown",
        };
        fs::write(format!("/out/{path}"), page).map_err(broken)?;
        files.push(file(&path, Role::Member, media_type));
    }
    fs::write("/out/main.md", main).map_err(broken)?;
    Ok(document(files))
}

fn spin<T>() -> T {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

/// Work that takes about a millisecond of an ordinary core for each `ms`. The clock cannot tell:
/// it is virtual.
fn busy(ms: u64) {
    const ROUNDS_PER_MS: u64 = 700_000;
    let mut state = 1u64;
    for _ in 0..ms * ROUNDS_PER_MS {
        state = black_box(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        );
    }
}

/// Recurses without using the stack in linear memory, whose end is another trap.
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        0
    } else {
        recurse(depth + 1).rotate_left(1) ^ depth
    }
}

fn flood() -> io::Result<()> {
    let block = vec![b'x'; 64 << 10];
    let mut out = File::create("/out/flood")?;
    loop {
        out.write_all(&block)?;
    }
}

bindings::export!(Hostile with_types_in bindings);
