//! What a run of the program did, by thread, as `strace -f -y` saw it.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

/// The system calls that name a file and could change something, and `flock`; those that an
/// architecture lacks are none of its calls.
pub(crate) const CALLS: &str = "flock,?open,openat,?openat2,?creat,?rename,?renameat,?renameat2,?unlink,unlinkat,?rmdir,\
     ?mkdir,mkdirat,?link,linkat,?symlink,symlinkat,?mknod,mknodat,truncate,ftruncate,?chmod,fchmod,\
     fchmodat,?fchmodat2";

/// Options of a trace for [`cost`]; the file to write it to follows them.
pub(crate) const COST_OPTIONS: [&str; 8] =
    ["-f", "-y", "-qq", "-e", "signal=none", "-s", "0", "-o"];

/// Calls that only wait or wake somebody, or only want memory: how many there are is the
/// scheduler's doing and the allocator's.
const NOT_COUNTED: [&str; 15] = [
    "brk",
    "clock_nanosleep",
    "epoll_pwait",
    "epoll_wait",
    "futex",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "nanosleep",
    "poll",
    "ppoll",
    "restart_syscall",
    "sched_yield",
];

/// Calls that write as many bytes as they return.
const WRITING: [&str; 7] = [
    "copy_file_range",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "sendfile",
    "write",
    "writev",
];

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// System calls over all threads.
    pub(crate) calls: u64,
    /// Bytes that they wrote to files, pipes and terminals; memory with a descriptor is none.
    pub(crate) bytes_written: u64,
}

/// A file that lies in memory and has no name: a component's memory image is one.
const IN_MEMORY: &str = "</memfd:";

/// Counts a trace made with [`COST_OPTIONS`].
pub(crate) fn cost(trace: &str) -> Cost {
    let mut cost = Cost::default();
    // Threads in the middle of a call whose bytes count.
    let mut writing = HashSet::new();
    for line in trace.lines() {
        let (thread, rest) = line
            .split_once(char::is_whitespace)
            .unwrap_or_else(|| panic!("no thread: {line}"));
        let rest = rest.trim_start();
        let is_resumed = rest.starts_with("<... ");
        let call = rest.trim_start_matches("<... ");
        let call = call.split(['(', ' ']).next().unwrap();
        if call.starts_with(['+', '-']) || NOT_COUNTED.contains(&call) {
            continue;
        }
        cost.calls += u64::from(!is_resumed);
        if is_resumed && !writing.remove(thread) {
            continue;
        }
        if !is_resumed && (!WRITING.contains(&call) || rest.contains(IN_MEMORY)) {
            continue;
        }
        match rest.rsplit_once(" = ") {
            // A failed call wrote nothing.
            Some((_, result)) => cost.bytes_written += result.parse::<u64>().unwrap_or(0),
            None => assert!(writing.insert(thread), "no end of a call: {line}"),
        }
    }
    cost
}

#[test]
fn a_trace_is_counted() {
    let trace = "\
12 write(1, \"\"..., 5) = 5
13 futex(0x1, FUTEX_WAIT, 1, NULL <unfinished ...>
12 pwrite64(3, \"\"..., 4096, 0 <unfinished ...>
13 <... futex resumed>) = 0
12 <... pwrite64 resumed>) = 4096
12 write(1, \"\"..., 5) = -1 EIO (Input/output error)
12 write(4</memfd:image (deleted)>, \"\"..., 90 <unfinished ...>
13 write(4</memfd:image (deleted)>, \"\"..., 90) = 90
12 <... write resumed>) = 90
12 exit_group(0) = ?
12 +++ exited with 0 +++
";
    let (calls, bytes_written) = (6, 4_101);
    assert_eq!(
        cost(trace),
        Cost {
            calls,
            bytes_written
        }
    );
}

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
