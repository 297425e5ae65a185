//! What a run of the program did, by thread, as `strace -f -y` saw it.

use std::path::{Component, Path, PathBuf};

/// The system calls that name a file and could change something, and `flock`; those that an
/// architecture lacks are none of its calls.
pub(crate) const CALLS: &str = "flock,?open,openat,?openat2,?creat,?rename,?renameat,?renameat2,?unlink,unlinkat,?rmdir,\
     ?mkdir,mkdirat,?link,linkat,?symlink,symlinkat,?mknod,mknodat,truncate,ftruncate,?chmod,fchmod,\
     fchmodat,?fchmodat2";

/// One thread's use of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// The thread.
    pub(crate) tid: u32,
    /// The call's name.
    pub(crate) call: String,
    /// The path, made absolute as far as the trace tells.
    pub(crate) path: PathBuf,
    /// Whether the call could change the file or its directory. Failed calls count too.
    pub(crate) writes: bool,
}

/// Reads a trace made with `-f -y -o FILE -e trace=`[`CALLS`]. What it does not understand is a
/// failure: a line that is passed over could be the one that matters.
pub(crate) fn parse(trace: &str) -> Vec<Use> {
    let mut uses = Vec::new();
    for line in trace.lines() {
        let (tid, rest) = line
            .split_once(char::is_whitespace)
            .unwrap_or_else(|| panic!("no thread: {line}"));
        let tid = tid.parse().unwrap_or_else(|_| panic!("no thread: {line}"));
        let rest = rest.trim_start();
        // The arguments of an interrupted line came with its first part.
        if ["+++", "---", "<..."]
            .iter()
            .any(|mark| rest.starts_with(mark))
        {
            continue;
        }
        let (call, arguments) = rest
            .split_once('(')
            .unwrap_or_else(|| panic!("no call: {line}"));
        let paths = paths(call, arguments);
        assert!(!paths.is_empty(), "no path: {line}");
        let writes = writes(call, arguments);
        uses.extend(paths.into_iter().map(|path| Use {
            tid,
            call: call.to_owned(),
            path,
            writes,
        }));
    }
    uses
}

fn writes(call: &str, arguments: &str) -> bool {
    match call {
        "flock" => false,
        "open" | "openat" | "openat2" => ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"]
            .iter()
            .any(|flag| outside_quotes(arguments).contains(flag)),
        _ => true,
    }
}

/// The paths that a call names: each string, joined to the descriptor before it; without a string
/// the descriptor's own.
fn paths(call: &str, arguments: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut base = None;
    let mut rest = arguments;
    // A symbolic link's target is a text, not a path that is used.
    let mut texts = usize::from(call.starts_with("symlink"));
    while let Some(at) = rest.find(['<', '"', ')', '{']) {
        let mark = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        match mark {
            b'<' if !rest.starts_with("unfinished") => {
                let end = rest.find('>').expect("a descriptor's path ends");
                base = Some(PathBuf::from(&rest[..end]));
                rest = &rest[end + 1..];
                rest = rest.strip_prefix("(deleted)").unwrap_or(rest);
            }
            b'"' => {
                let (text, length) = unquote(rest);
                rest = &rest[length..];
                if texts > 0 {
                    texts -= 1;
                    continue;
                }
                let path = base.clone().unwrap_or_default().join(text);
                paths.push(normal(&path));
            }
            _ => break,
        }
    }
    if paths.is_empty() {
        paths.extend(base);
    }
    paths
}

/// A quoted string and the number of bytes up to behind its closing quote. Escapes of bytes beyond
/// ASCII are kept: no path that is looked for holds any.
fn unquote(text: &str) -> (String, usize) {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (text[..at].to_owned(), at + 1),
            _ => escaped = false,
        }
    }
    panic!("a string without end: {text}");
}

fn outside_quotes(arguments: &str) -> String {
    arguments.split('"').step_by(2).collect()
}

/// Resolves `.` and `..` by name.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// What the threads of a trace did that only the committer may: everything in `kb` but reading and
/// preparing. The committer is the thread `main`.
pub(crate) fn trespasses(uses: &[Use], main: u32, kb: &Path) -> Vec<Use> {
    let openkb = kb.join(".openkb");
    let locks = ["ingest.lock", "gate.lock"].map(|name| openkb.join(name));
    let staging = openkb.join("staging/prepare");
    uses.iter()
        .filter(|used| used.tid != main)
        .filter(|used| {
            let official = used.path.starts_with(kb) && !used.path.starts_with(&staging);
            locks.contains(&used.path) || (official && used.writes)
        })
        .cloned()
        .collect()
}
