//! A disk whose power can be cut: a file system in a sparse file, mounted through a loop device.
//!
//! The shutdown ioctl stops the file system as a power cut would: from that moment nothing of what
//! it holds in memory reaches the image, its own log included. Mounting again replays the log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::ioctl;

use super::{Mount, has, skip};

/// `EXT4_IOC_SHUTDOWN` and `XFS_IOC_GOINGDOWN`: `_IOR('X', 125, __u32)`.
const SHUTDOWN: ioctl::Opcode = ioctl::opcode::read::<u32>(b'X', 125);

/// Of the ways to go down, the one that does not even write the log out.
const NO_LOG_FLUSH: u32 = 2;

/// A kind of file system, with the promises kbhost is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// Without the kindness of writing a file out when it is renamed over another one.
    Ext4,
    /// As it is.
    Xfs,
}

impl FileSystem {
    /// Its maker, with what it needs; the smallest image it takes, in MiB; mount options.
    fn settings(self) -> (&'static [&'static str], u64, &'static str) {
        match self {
            Self::Ext4 => (&["mkfs.ext4", "-q", "-F"], 96, "noauto_da_alloc"),
            Self::Xfs => (&["mkfs.xfs", "-q", "-f"], 320, "rw"),
        }
    }
}

/// A mounted disk. Mount, loop device and image go with the value.
pub struct Disk {
    file_system: FileSystem,
    image: PathBuf,
    at: PathBuf,
    /// None while the power is off.
    mount: Option<Mount>,
}

impl Disk {
    /// A new disk, mounted at `at`, its image beside; `None` if that cannot be done here.
    pub fn new(file_system: FileSystem, at: &Path, rig: &str) -> Option<Self> {
        let (maker, size_mib, _) = file_system.settings();
        if !has(maker[0]) {
            skip(rig, &format!("{} is not installed", maker[0]));
            return None;
        }
        let image = at.with_extension("image");
        let sparse = File::create(&image).unwrap();
        sparse.set_len(size_mib << 20).unwrap();
        let made = Command::new(maker[0])
            .args(&maker[1..])
            .arg(&image)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut disk = Self {
            file_system,
            image,
            at: at.to_owned(),
            mount: None,
        };
        disk.mount(rig).then_some(disk)
    }

    fn mount(&mut self, rig: &str) -> bool {
        let (_, _, options) = self.file_system.settings();
        self.mount = Mount::image(&self.image, &self.at, options, rig);
        self.mount.is_some()
    }

    /// Makes all that is on it durable.
    pub fn sync(&self) {
        rustix::fs::syncfs(File::open(&self.at).unwrap()).unwrap();
    }

    /// A handle with which to cut the power, without any delay at that moment.
    pub fn switch(&self) -> Switch {
        Switch(File::open(&self.at).unwrap())
    }

    /// The power comes back. Nobody may use the disk at that moment.
    pub fn restart(&mut self) {
        if let Some(mount) = self.mount.take() {
            mount.unmount();
        }
        assert!(
            self.mount("a disk that was mounted before"),
            "{:?}",
            self.at
        );
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.mount.take());
        // The directory that holds it goes as well.
        drop(fs::remove_file(&self.image));
    }
}

/// Cuts the power of a disk.
pub struct Switch(File);

impl Switch {
    /// Cuts: what is not on the medium by now will never be.
    #[expect(
        unsafe_code,
        reason = "the shutdown ioctl has no safe wrapper; its argument is a pointer to a u32, as given"
    )]
    pub fn cut(self) {
        // SAFETY: the opcode reads one u32 through the pointer, and writes nothing.
        let done = unsafe {
            let request = ioctl::Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH);
            ioctl::ioctl(&self.0, request)
        };
        done.expect("the file system can be shut down");
    }
}

/// The rig itself: what was synced survives a cut, what was not does not.
#[test]
fn a_cut_loses_what_was_not_synced_and_nothing_else() {
    let env = super::Env::empty();
    for file_system in [FileSystem::Ext4, FileSystem::Xfs] {
        let at = env.path(&format!("{file_system:?}"));
        let Some(mut disk) = Disk::new(file_system, &at, "power cuts") else {
            return;
        };
        fs::write(at.join("synced"), "synced").unwrap();
        disk.sync();
        fs::write(at.join("unsynced"), "unsynced").unwrap();
        disk.switch().cut();
        assert!(fs::write(at.join("after"), "after").is_err());
        disk.restart();
        assert_eq!(fs::read(at.join("synced")).unwrap(), b"synced");
        let left = fs::read(at.join("unsynced")).unwrap_or_default();
        assert_eq!(left, b"", "{file_system:?}");
    }
}
