//! A file system as what is on the medium and what is not yet: inodes, directory entries, and the
//! effects of operations on them, each of which a power cut may keep or lose.
//!
//! What a sync promises is read narrowly: data, size and mode of a file are durable after a sync of
//! that file, an entry after one of its directory; a sync of a new file does not keep its entry. A
//! rename is kept or lost at both ends. Effects on one name are kept in their order.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};

/// An inode.
pub(super) type Ino = usize;

/// A name in a directory: both by number.
pub(super) type Place = (Ino, usize);

/// The KB's root.
pub(super) const ROOT: Ino = 0;

/// What an inode was when it came to be.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) is_dir: bool,
    pub(super) mode: u32,
    pub(super) bytes: Vec<u8>,
}

/// The smallest thing that is kept or lost.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// A name for an inode: of a new file or directory, or one more.
    Enter { at: Place, child: Ino },
    /// A name is gone.
    Leave { at: Place },
    /// A name went elsewhere, and replaced what was there.
    Move { from: Place, to: Place, child: Ino },
    /// Bytes of a file.
    Write {
        file: Ino,
        offset: usize,
        bytes: Vec<u8>,
    },
    /// The size of a file.
    Resize { file: Ino, size: usize },
    /// The mode of a file or directory.
    Mode { node: Ino, mode: u32 },
}

impl Effect {
    pub(super) fn places(&self) -> Vec<Place> {
        match self {
            Self::Enter { at, .. } | Self::Leave { at } => vec![*at],
            Self::Move { from, to, .. } => vec![*from, *to],
            Self::Write { .. } | Self::Resize { .. } | Self::Mode { .. } => Vec::new(),
        }
    }

    /// The file whose data this is.
    pub(super) fn data_of(&self) -> Option<Ino> {
        match self {
            Self::Write { file, .. } | Self::Resize { file, .. } => Some(*file),
            _ => None,
        }
    }

    /// Whether a sync of `node` makes it durable; `whole` if also what `fdatasync` may leave out.
    fn is_covered(&self, node: Ino, whole: bool) -> bool {
        match self {
            Self::Enter { at, .. } | Self::Leave { at } => at.0 == node,
            // The end that is relied on is the new one.
            Self::Move { to, .. } => to.0 == node,
            Self::Write { file, .. } | Self::Resize { file, .. } => *file == node,
            Self::Mode { node: of, .. } => *of == node && whole,
        }
    }
}

/// A tree as it was, and everything that was done to it.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) nodes: Vec<Node>,
    pub(super) names: Vec<String>,
    numbers: HashMap<String, usize>,
    pub(super) base: BTreeMap<Place, Ino>,
    /// The names as of now.
    now: BTreeMap<Place, Ino>,
    /// Sizes of files as of now.
    sizes: HashMap<Ino, usize>,
    pub(super) effects: Vec<Effect>,
}

impl Model {
    /// Takes a tree as what is on the medium.
    pub(super) fn of(root: &Path) -> Self {
        let mut model = Self {
            nodes: vec![Node {
                is_dir: true,
                mode: mode_of(root),
                bytes: Vec::new(),
            }],
            names: Vec::new(),
            numbers: HashMap::new(),
            base: BTreeMap::new(),
            now: BTreeMap::new(),
            sizes: HashMap::new(),
            effects: Vec::new(),
        };
        model.load(root, ROOT);
        model.now = model.base.clone();
        model
    }

    fn load(&mut self, dir: &Path, number: Ino) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if is_left_out(Path::new(&name)) {
                continue;
            }
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            assert!(kind.is_dir() || kind.is_file(), "{}", path.display());
            let bytes = match kind.is_file() {
                true => fs::read(&path).unwrap(),
                false => Vec::new(),
            };
            let child = self.nodes.len();
            self.sizes.insert(child, bytes.len());
            self.nodes.push(Node {
                is_dir: kind.is_dir(),
                mode: mode_of(&path),
                bytes,
            });
            let name = self.name(&name);
            self.base.insert((number, name), child);
            if kind.is_dir() {
                self.load(&path, child);
            }
        }
    }

    fn name(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }

    /// The inode at a path beneath the root, as of now.
    pub(super) fn find(&self, path: &Path) -> Option<Ino> {
        let mut node = ROOT;
        for component in path.components() {
            let Component::Normal(name) = component else {
                panic!("{} is not normal", path.display());
            };
            let name = self.numbers.get(name.to_str().unwrap())?;
            node = *self.now.get(&(node, *name))?;
        }
        Some(node)
    }

    /// The inode at a path that must be there.
    pub(super) fn get(&self, path: &Path) -> Ino {
        self.find(path)
            .unwrap_or_else(|| panic!("the model lacks {}", path.display()))
    }

    /// The size of a file as of now.
    pub(super) fn size(&self, file: Ino) -> usize {
        self.sizes[&file]
    }

    fn place(&mut self, path: &Path) -> Place {
        let dir = self.get(path.parent().unwrap());
        let name = self.name(path.file_name().unwrap().to_str().unwrap());
        (dir, name)
    }

    /// A new file or directory.
    pub(super) fn create(&mut self, path: &Path, is_dir: bool, mode: u32) -> Ino {
        let (at, child) = (self.place(path), self.nodes.len());
        self.nodes.push(Node {
            is_dir,
            mode,
            bytes: Vec::new(),
        });
        self.sizes.insert(child, 0);
        assert!(self.now.insert(at, child).is_none(), "{}", path.display());
        self.effects.push(Effect::Enter { at, child });
        child
    }

    /// One more name.
    pub(super) fn link(&mut self, from: &Path, to: &Path) {
        let (child, at) = (self.get(from), self.place(to));
        assert!(self.now.insert(at, child).is_none(), "{}", to.display());
        self.effects.push(Effect::Enter { at, child });
    }

    /// A name less.
    pub(super) fn unlink(&mut self, path: &Path) {
        let at = self.place(path);
        assert!(self.now.remove(&at).is_some(), "{}", path.display());
        self.effects.push(Effect::Leave { at });
    }

    /// A rename.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let (child, from, to) = (self.get(from), self.place(from), self.place(to));
        if self.now.get(&to) == Some(&child) {
            // Two names of one file: nothing happens.
            return;
        }
        self.now.remove(&from);
        self.now.insert(to, child);
        self.effects.push(Effect::Move { from, to, child });
    }

    /// Bytes written.
    pub(super) fn write(&mut self, file: Ino, offset: usize, bytes: Vec<u8>) {
        let size = self.size(file).max(offset + bytes.len());
        self.sizes.insert(file, size);
        self.effects.push(Effect::Write {
            file,
            offset,
            bytes,
        });
    }

    /// A file cut or extended.
    pub(super) fn resize(&mut self, file: Ino, size: usize) {
        if self.sizes.insert(file, size) != Some(size) {
            self.effects.push(Effect::Resize { file, size });
        }
    }

    /// A mode set.
    pub(super) fn set_mode(&mut self, node: Ino, mode: u32) {
        self.effects.push(Effect::Mode { node, mode });
    }

    /// Which of the first `count` effects a sync of one inode makes durable.
    pub(super) fn covered(&self, count: usize, node: Ino, whole: bool) -> Vec<usize> {
        let is_covered = |index: &usize| self.effects[*index].is_covered(node, whole);
        (0..count).filter(is_covered).collect()
    }
}

/// What lies in shared memory is written without a system call; SQLite makes it anew after a crash.
pub(super) fn is_left_out(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-shm")
}

fn mode_of(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Words for people.
impl Model {
    /// An effect in words.
    pub(super) fn describe(&self, index: usize) -> String {
        match &self.effects[index] {
            Effect::Enter { at, .. } => format!("create {}", self.place_path(*at)),
            Effect::Leave { at } => format!("unlink {}", self.place_path(*at)),
            Effect::Move { from, to, .. } => {
                format!(
                    "rename {} to {}",
                    self.place_path(*from),
                    self.place_path(*to)
                )
            }
            Effect::Write {
                file,
                offset,
                bytes,
            } => format!(
                "write {}+{} of {}",
                offset,
                bytes.len(),
                self.path_of(*file)
            ),
            Effect::Resize { file, size } => format!("resize {} to {size}", self.path_of(*file)),
            Effect::Mode { node, mode } => format!("mode {mode:o} of {}", self.path_of(*node)),
        }
    }

    /// The first path that an inode ever had.
    pub(super) fn path_of(&self, node: Ino) -> String {
        let base = self.base.iter().map(|(at, child)| (*at, *child));
        let entered = self.effects.iter().filter_map(|effect| match effect {
            Effect::Enter { at, child } => Some((*at, *child)),
            _ => None,
        });
        let first = base.chain(entered).find(|(_, child)| *child == node);
        first.map_or_else(|| ".".to_owned(), |(at, _)| self.place_path(at))
    }

    fn place_path(&self, (dir, name): Place) -> String {
        match dir {
            ROOT => self.names[name].clone(),
            dir => format!("{}/{}", self.path_of(dir), self.names[name]),
        }
    }
}
