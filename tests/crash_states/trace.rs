//! Reads what `strace` saw of a run, as operations on the model. What it does not understand is a
//! failure: a call that is passed over could be the one that matters.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::call::{Call, annotation, descriptor, escape, octal, strings};
use super::model::{Ino, Model, is_left_out};

/// Every call that changes a file or makes it durable, what tells its offset, and what would go
/// past the calls. Those that an architecture lacks are none of its calls.
pub(super) const CALLS: &str = "execve,?open,openat,?openat2,?creat,lseek,write,pwrite64,writev,pwritev,pwritev2,\
     ftruncate,truncate,fallocate,sendfile,copy_file_range,splice,?mkdir,mkdirat,?rmdir,?unlink,unlinkat,\
     ?rename,?renameat,renameat2,?link,linkat,?symlink,symlinkat,?mknod,mknodat,?chmod,fchmod,fchmodat,\
     ?chown,fchown,fchownat,fsync,fdatasync,sync,syncfs,sync_file_range,msync,mmap,io_uring_setup";

/// What happened, in order.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Effects were added to the model; these are all so far.
    Changed(usize),
    /// These effects are durable from here on.
    Synced(Vec<usize>),
    /// A named point was passed.
    Passed(String),
    /// A line came out on standard output.
    Said(String),
}

/// An open file of the KB.
struct Open {
    file: Ino,
    offset: usize,
    appends: bool,
}

/// Reads runs of one KB, one after the other.
pub(super) struct Recorder {
    pub(super) model: Model,
    pub(super) events: Vec<Event>,
    kb: PathBuf,
    points: PathBuf,
    umask: u32,
    open: HashMap<u32, Open>,
    /// Bytes without a line's end, of the points and of standard output.
    rest: [Vec<u8>; 2],
}

impl Recorder {
    /// Begins with `kb` as it is; runs append the points that they pass to `points`.
    pub(super) fn new(kb: &Path, points: &Path) -> Self {
        Self {
            model: Model::of(kb),
            events: Vec::new(),
            kb: kb.canonicalize().unwrap(),
            points: points.to_owned(),
            umask: umask(),
            open: HashMap::new(),
            rest: [Vec::new(), Vec::new()],
        }
    }

    /// Reads the trace of one run, made with `-f -y -xx`; returns its number of calls.
    pub(super) fn read(&mut self, trace: &str) -> usize {
        self.open.clear();
        self.rest = [Vec::new(), Vec::new()];
        let mut unfinished: HashMap<&str, (String, usize)> = HashMap::new();
        let mut calls = 0;
        for line in trace.lines() {
            let (tid, rest) = line
                .split_once(char::is_whitespace)
                .unwrap_or_else(|| panic!("no thread: {line}"));
            let rest = rest.trim_start();
            if rest.starts_with("+++") || rest.starts_with("---") {
                continue;
            }
            let begun_at = self.model.effects.len();
            if let Some(begin) = rest.strip_suffix("<unfinished ...>") {
                unfinished.insert(tid, (begin.to_owned(), begun_at));
                continue;
            }
            calls += 1;
            if let Some(end) = rest.strip_prefix("<... ") {
                let (_, end) = end.split_once("resumed>").expect("a call is resumed");
                let (begin, begun_at) = unfinished.remove(tid).expect("a call began");
                self.call(&format!("{begin}{end}"), begun_at);
            } else {
                self.call(rest, begun_at);
            }
        }
        // Whoever is killed in a call on the KB leaves it open whether it took place.
        let name: String = self
            .kb
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .map(escape)
            .collect();
        let mut cut = unfinished
            .values()
            .filter(|(begin, _)| begin.contains(&name));
        assert!(
            cut.next().is_none(),
            "calls that never returned: {unfinished:?}"
        );
        calls
    }

    fn call(&mut self, line: &str, begun_at: usize) {
        let call = Call::parse(line, begun_at);
        if call.result < 0 {
            return;
        }
        let before = self.model.effects.len();
        match call.name {
            "execve" => assert!(self.kb_path(&call.path(0, None)).is_none(), "{}", call.line),
            "open" | "creat" => self.opened(&call, call.path(0, None), &call.arguments[1..]),
            "openat" | "openat2" => self.opened(&call, call.path(1, Some(0)), &call.arguments[2..]),
            "lseek" => self.sought(&call),
            "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" => self.wrote(&call),
            "ftruncate" => {
                if let Some(file) = self.node(&call, 0) {
                    self.model.resize(file, call.number(1));
                }
            }
            "mkdir" => self.made_dir(&call.path(0, None), call.octal(1)),
            "mkdirat" => self.made_dir(&call.path(1, Some(0)), call.octal(2)),
            "unlink" | "rmdir" => self.unlinked(&call.path(0, None)),
            "unlinkat" => self.unlinked(&call.path(1, Some(0))),
            "rename" => self.renamed(&call, &call.path(0, None), &call.path(1, None)),
            "renameat" => self.renamed(&call, &call.path(1, Some(0)), &call.path(3, Some(2))),
            "renameat2" => {
                assert!(
                    matches!(call.arguments[4], "0" | "RENAME_NOREPLACE"),
                    "{line}"
                );
                self.renamed(&call, &call.path(1, Some(0)), &call.path(3, Some(2)));
            }
            "link" => self.linked(&call, &call.path(0, None), &call.path(1, None)),
            "linkat" => self.linked(&call, &call.path(1, Some(0)), &call.path(3, Some(2))),
            "chmod" => self.moded(&call.path(0, None), call.octal(1)),
            "fchmodat" => self.moded(&call.path(1, Some(0)), call.octal(2)),
            "fchmod" => {
                if let Some(node) = self.node(&call, 0) {
                    self.model.set_mode(node, call.octal(1));
                }
            }
            "fsync" | "fdatasync" | "syncfs" => self.synced(&call),
            // SQLite, run by root, gives its files to the database's owner: here the same one.
            "fchown" => {}
            // It promises nothing after a power cut.
            "sync_file_range" => {}
            "mmap" => self.mapped(&call),
            _ => self.refuse_in_kb(&call),
        }
        if self.model.effects.len() > before {
            self.events.push(Event::Changed(self.model.effects.len()));
        }
    }

    /// A path beneath the KB that the model holds.
    fn kb_path(&self, path: &Path) -> Option<PathBuf> {
        let path = path.strip_prefix(&self.kb).ok()?;
        (!is_left_out(path)).then(|| path.to_owned())
    }

    /// The inode that a descriptor stands for, if it lies in the KB.
    fn node(&self, call: &Call<'_>, argument: usize) -> Option<Ino> {
        let argument = call.arguments[argument];
        let path = self.kb_path(&annotation(argument)?)?;
        assert!(
            !argument.ends_with("(deleted)"),
            "a file without a name: {}",
            call.line
        );
        Some(self.model.get(&path))
    }

    fn opened(&mut self, call: &Call<'_>, path: PathBuf, how: &[&str]) {
        let Some(path) = self.kb_path(&path) else {
            return;
        };
        let line = call.line;
        let has = |flag: &str| call.name == "creat" || how[0].contains(flag);
        assert!(!has("O_TMPFILE") || call.name == "creat", "{line}");
        let returned = call.returned.as_ref().unwrap_or_else(|| panic!("{line}"));
        assert_eq!(self.kb_path(returned).as_ref(), Some(&path), "{line}");
        let found = self.model.find(&path);
        let file = match found {
            Some(found) => found,
            None => {
                assert!(has("O_CREAT"), "the model lacks a file: {line}");
                let mode = match how[0].split_once("mode=") {
                    Some((_, mode)) => octal(mode.split([',', '}']).next().unwrap()),
                    None => octal(how[how.len() - 1]),
                };
                self.model.create(&path, false, mode & !self.umask)
            }
        };
        if has("O_TRUNC") {
            self.model.resize(file, 0);
        }
        if has("O_WRONLY") || has("O_RDWR") {
            let open = Open {
                file,
                offset: 0,
                appends: has("O_APPEND"),
            };
            self.open.insert(call.descriptor(), open);
        }
    }

    fn sought(&mut self, call: &Call<'_>) {
        let number = descriptor(call.arguments[0]);
        if self.node(call, 0).is_some()
            && let Some(open) = self.open.get_mut(&number)
        {
            open.offset = usize::try_from(call.result).unwrap();
        }
    }

    fn wrote(&mut self, call: &Call<'_>) {
        let mut bytes = strings(call.arguments[1]).concat();
        bytes.truncate(usize::try_from(call.result).unwrap());
        assert_eq!(bytes.len() as i64, call.result, "{}", call.line);
        let number = descriptor(call.arguments[0]);
        let path = annotation(call.arguments[0]);
        if path.as_ref() == Some(&self.points) {
            return self.lines(0, &bytes, Event::Passed);
        }
        if number == 1 {
            return self.lines(1, &bytes, Event::Said);
        }
        let Some(file) = self.node(call, 0) else {
            return;
        };
        let open = self.open.get_mut(&number);
        let open = open.unwrap_or_else(|| panic!("never opened: {}", call.line));
        assert_eq!(open.file, file, "{}", call.line);
        let offset = match call.name {
            "pwrite64" | "pwritev" | "pwritev2" => {
                assert!(!open.appends, "{}", call.line);
                call.number(3)
            }
            _ => {
                let offset = match open.appends {
                    true => self.model.size(file),
                    false => open.offset,
                };
                open.offset = offset + bytes.len();
                offset
            }
        };
        if !bytes.is_empty() {
            self.model.write(file, offset, bytes);
        }
    }

    fn lines(&mut self, of: usize, bytes: &[u8], event: fn(String) -> Event) {
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.rest[of]);
                self.events.push(event(String::from_utf8(line).unwrap()));
            } else {
                self.rest[of].push(*byte);
            }
        }
    }

    fn made_dir(&mut self, path: &Path, mode: u32) {
        if let Some(path) = self.kb_path(path) {
            self.model.create(&path, true, mode & !self.umask);
        }
    }

    fn unlinked(&mut self, path: &Path) {
        if let Some(path) = self.kb_path(path) {
            self.model.unlink(&path);
        }
    }

    fn renamed(&mut self, call: &Call<'_>, from: &Path, to: &Path) {
        match (self.kb_path(from), self.kb_path(to)) {
            (Some(from), Some(to)) => self.model.rename(&from, &to),
            (None, None) => {}
            _ => panic!("across the border of the KB: {}", call.line),
        }
    }

    fn linked(&mut self, call: &Call<'_>, from: &Path, to: &Path) {
        match (self.kb_path(from), self.kb_path(to)) {
            (Some(from), Some(to)) => self.model.link(&from, &to),
            (None, None) => {}
            _ => panic!("across the border of the KB: {}", call.line),
        }
    }

    fn moded(&mut self, path: &Path, mode: u32) {
        if let Some(path) = self.kb_path(path) {
            let node = self.model.get(&path);
            self.model.set_mode(node, mode);
        }
    }

    fn synced(&mut self, call: &Call<'_>) {
        let Some(node) = self.node(call, 0) else {
            return;
        };
        let covered = match call.name {
            "syncfs" => (0..call.begun_at).collect(),
            name => self.model.covered(call.begun_at, node, name == "fsync"),
        };
        self.events.push(Event::Synced(covered));
    }

    /// A file that is written through memory would go past the model.
    fn mapped(&self, call: &Call<'_>) {
        let writes = call.arguments[2].contains("PROT_WRITE");
        if writes && call.arguments[3].contains("MAP_SHARED") {
            self.refuse_in_kb(call);
        }
    }

    /// Fails if a call that the model does not know names something in the KB.
    fn refuse_in_kb(&self, call: &Call<'_>) {
        let base = call
            .arguments
            .iter()
            .find_map(|argument| annotation(argument));
        for argument in &call.arguments {
            let mut named: Vec<PathBuf> = annotation(argument).into_iter().collect();
            for text in strings(argument) {
                let text = PathBuf::from(String::from_utf8_lossy(&text).into_owned());
                named.push(base.clone().unwrap_or_default().join(text));
            }
            let in_kb = named.iter().any(|path| self.kb_path(path).is_some());
            assert!(!in_kb, "the model does not know this: {}", call.line);
        }
        assert!(
            !matches!(call.name, "sync" | "io_uring_setup"),
            "the model does not know this: {}",
            call.line
        );
    }
}

fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    octal(line.unwrap().trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        text.as_bytes().iter().map(escape).collect()
    }

    /// A recorder of an empty KB and its path as the trace has it.
    fn recorder() -> (tempfile::TempDir, Recorder, String) {
        let dir = tempfile::tempdir().unwrap();
        let recorder = Recorder::new(dir.path(), Path::new("/points"));
        let kb = hex(recorder.kb.to_str().unwrap());
        (dir, recorder, kb)
    }

    #[test]
    fn a_trace_becomes_effects_and_syncs() {
        let (_dir, mut recorder, kb) = recorder();
        let (name, data, line) = (hex("/page"), hex("text"), hex("added one\n"));
        let trace = format!(
            "1 openat(AT_FDCWD<{kb}>, \"{kb}{name}\", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 4<{kb}{name}>\n\
             1 write(4<{kb}{name}>, \"{data}\", 4 <unfinished ...>\n\
             2 fsync(3<{kb}>) = 0\n\
             1 <... write resumed>) = 4\n\
             1 renameat(3<{kb}>, \"{name}\", 3<{kb}>, \"{data}\") = -1 ENOENT (No such file or directory)\n\
             1 fdatasync(4<{kb}{name}>) = 0\n\
             1 write(1<{line}>, \"{line}\", 10) = 10\n\
             1 +++ exited with 0 +++\n"
        );
        assert_eq!(recorder.read(&trace), 6);
        let events = format!("{:?}", recorder.events);
        assert_eq!(
            events,
            r#"[Changed(1), Synced([0]), Changed(2), Synced([1]), Said("added one")]"#
        );
        assert_eq!(recorder.model.describe(1), "write 0+4 of page");
    }

    #[test]
    fn what_is_not_understood_is_a_failure() {
        let check = |line: &str, expected: &str| {
            let (_dir, mut recorder, kb) = recorder();
            let line = line.replace("KB", &kb);
            let read = std::panic::AssertUnwindSafe(|| recorder.read(&line));
            let panic = std::panic::catch_unwind(read).unwrap_err();
            let said = panic.downcast_ref::<String>().unwrap();
            assert!(said.contains(expected), "{said}");
        };
        check("1 what is this", "not understood");
        check("1 fallocate(4<KB>, 0, 0, 4096) = 0", "does not know this");
        check("1 sync() = 0", "does not know this");
        check(
            "1 mmap(NULL, 9, PROT_READ|PROT_WRITE, MAP_SHARED, 4<KB>, 0) = 0x7f0000000000",
            "does not know this",
        );
        check(
            "1 write(4<KB>(deleted), \"\\x00\", 1) = 1",
            "without a name",
        );
        check("1 write(4<KB>, \"\\x00\"..., 9) = 9", "cut off");
        check("1 fsync(4<KB> <unfinished ...>", "never returned");
    }
}
