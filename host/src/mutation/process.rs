//! What the kernel says of processes and of who holds a lock. Reads `/proc` only; where there is
//! none, nothing is known.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;

use crate::kb::SafeLine;

/// `/proc/locks` has some 60 bytes a lock; a machine with more than 100,000 tells the rest to nobody.
const LOCKS_BYTES_MAX: u64 = 8 << 20;

/// Where locks of the machine come and go all the time the last of these readings counts.
const LOCK_READINGS_MAX: usize = 12;

/// Of a command line this much is read: a message shows less.
const COMMAND_LINE_BYTES_MAX: u64 = 4 << 10;

/// Files of `/proc` about one process, but its command line and mounts.
const FACTS_BYTES_MAX: u64 = 64 << 10;

/// A machine in a container farm mounts thousands of file systems.
const MOUNTS_BYTES_MAX: u64 = 4 << 20;

/// A holder of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlockHolder {
    pub(super) pid: u32,
    pub(super) exclusive: bool,
}

/// When a process started, in clock ticks since the machine did: with the id of the boot it tells a
/// process from a later one with the same number.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    // Field 22; the second one, the name in parentheses, may hold anything.
    stat_field(pid, 22)?.parse().ok()
}

/// Whether a process stands still: stopped by a signal or a debugger.
pub(super) fn is_stopped(pid: u32) -> bool {
    stat_field(pid, 3).is_some_and(|state| matches!(state.as_str(), "T" | "t"))
}

/// The id of this boot of the machine.
pub(super) fn boot_id() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    BOOT.get_or_init(|| {
        let text = read_text("/proc/sys/kernel/random/boot_id", FACTS_BYTES_MAX)?;
        Some(text.trim().to_owned())
    })
    .as_deref()
}

/// The user a process belongs to.
pub(super) fn owner(pid: u32) -> Option<u32> {
    let metadata = std::fs::metadata(format!("/proc/{pid}")).ok()?;
    Some(metadata.uid())
}

/// The words a process was started with, as one safe line each, the last of them cut.
pub(super) fn command_line(pid: u32) -> Vec<SafeLine> {
    let path = format!("/proc/{pid}/cmdline");
    let Some(bytes) = read(&path, COMMAND_LINE_BYTES_MAX) else {
        return Vec::new();
    };
    let words = bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty());
    words
        .map(|word| SafeLine::with_max(&String::from_utf8_lossy(word), 200))
        .collect()
}

/// Who holds a flock on `file`, as far as this process can see: holders in another pid namespace or
/// on another machine are not shown. `None` if nothing can be seen at all.
pub(super) fn holders(file: &File) -> Option<Vec<FlockHolder>> {
    let metadata = file.metadata().ok()?;
    let device = metadata.dev();
    let mut devices = vec![format!(
        "{:02x}:{:02x}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    )];
    // Some file systems (btrfs) tell `stat` another device than the one that locks are listed under.
    devices.extend(mounted_device(file));
    // The kernel hands the list out a page at a time and goes on by the number of entries handed
    // out: a lock let go in between, of whatever file, makes it skip one. A reading that names a
    // holder counts once the next one tells the same, one that names nobody is never believed.
    let reading = || {
        let bytes = read("/proc/locks", LOCKS_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        Some(parse_locks(&text, &devices, metadata.ino()))
    };
    let mut found = reading()?;
    for _ in 0..LOCK_READINGS_MAX {
        let again = reading()?;
        let agreed = again == found && !found.is_empty();
        found = again;
        if agreed {
            break;
        }
    }
    Some(found)
}

/// Lines of `/proc/locks`: `1: FLOCK  ADVISORY  WRITE 5648 fe:00:10010774 0 EOF`. Who only waits is
/// marked by an arrow.
fn parse_locks(text: &str, devices: &[String], inode: u64) -> Vec<FlockHolder> {
    let mut found = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, kind, pid, place, ..] = words[..] else {
            continue;
        };
        let (Some((device, number)), Ok(pid)) = (place.rsplit_once(':'), pid.parse()) else {
            continue;
        };
        if number.parse() == Ok(inode) && devices.iter().any(|known| known == device) {
            let exclusive = kind == "WRITE";
            found.push(FlockHolder { pid, exclusive });
        }
    }
    // A lock taken between two pages is handed out twice.
    found.sort_unstable_by_key(|holder| (holder.pid, holder.exclusive));
    found.dedup();
    found
}

/// The device of the file system that `file` lies on, as the kernel itself names it.
fn mounted_device(file: &File) -> Option<String> {
    let path = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
    let text = read_text(&path, FACTS_BYTES_MAX)?;
    let mount = text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    let mounts = read_text("/proc/self/mountinfo", MOUNTS_BYTES_MAX)?;
    let numbers = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        (words.next() == Some(mount.trim())).then(|| words.nth(1))?
    })?;
    let (major, minor) = numbers.split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    Some(format!("{major:02x}:{minor:02x}"))
}

fn stat_field(pid: u32, number: usize) -> Option<String> {
    let text = read_text(&format!("/proc/{pid}/stat"), FACTS_BYTES_MAX)?;
    let (_, rest) = text.rsplit_once(')')?;
    // What follows the parenthesis is the third field.
    let field = rest.split_whitespace().nth(number.checked_sub(3)?)?;
    Some(field.to_owned())
}

fn read_text(path: &str, bytes_max: u64) -> Option<String> {
    String::from_utf8(read(path, bytes_max)?).ok()
}

fn read(path: &str, bytes_max: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(bytes_max).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known() {
        let pid = std::process::id();
        assert_eq!(start_time(pid), start_time(pid));
        assert!(start_time(pid).is_some());
        assert!(!is_stopped(pid));
        assert!(boot_id().is_some_and(|id| id.len() == 36));
        assert_eq!(owner(pid), Some(rustix::process::geteuid().as_raw()));
        assert!(!command_line(pid).is_empty());
        assert_eq!(start_time(u32::MAX), None);
        assert!(command_line(u32::MAX).is_empty());
    }

    #[test]
    fn only_holders_of_that_file_are_found() {
        let text = "\
1: FLOCK  ADVISORY  WRITE 5648 fe:00:77 0 EOF
1: -> FLOCK  ADVISORY  WRITE 1 fe:00:77 0 EOF
2: POSIX  ADVISORY  WRITE 2 fe:00:77 0 EOF
3: FLOCK  ADVISORY  READ 3 fe:00:77 0 EOF
4: FLOCK  ADVISORY  WRITE 4 fe:01:77 0 EOF
5: FLOCK  ADVISORY  WRITE 5 fe:00:7 0 EOF
6: FLOCK  ADVISORY  WRITE x fe:00:77 0 EOF
7: FLOCK  nonsense
";
        let found = parse_locks(text, &["fe:00".to_owned()], 77);
        let pids: Vec<_> = found
            .iter()
            .map(|held| (held.pid, held.exclusive))
            .collect();
        assert_eq!(pids, [(3, false), (5648, true)]);
    }

    #[test]
    fn a_lock_of_this_process_is_seen() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(holders(&file), Some(Vec::new()));
        fs2::FileExt::lock_shared(&file).unwrap();
        let me = FlockHolder {
            pid: std::process::id(),
            exclusive: false,
        };
        assert_eq!(holders(&file), Some(vec![me]));
    }

    #[test]
    fn a_holder_is_seen_while_other_locks_come_and_go() {
        let held = tempfile::tempfile().unwrap();
        fs2::FileExt::lock_exclusive(&held).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let missed = std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    let files: Vec<_> = (0..200).map(|_| tempfile::tempfile().unwrap()).collect();
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        for file in &files {
                            fs2::FileExt::lock_shared(file).unwrap();
                        }
                        for file in &files {
                            fs2::FileExt::unlock(file).unwrap();
                        }
                    }
                });
            }
            let missed = (0..300).filter(|_| holders(&held).unwrap().is_empty());
            let missed = missed.count();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            missed
        });
        // One reading misses it up to ten times in a hundred here.
        assert!(missed <= 3, "missed {missed} times of 300");
    }
}
