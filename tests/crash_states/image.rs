//! Trees that a crash may leave: from a model, what is durable, and what is lost of the rest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use super::model::{Effect, Ino, Model, Place, ROOT, set_mode};
use crate::support::torture::Rng;

/// What is kept of the effects that are not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Loss {
    /// Nothing is kept.
    Everything,
    /// All is kept.
    Nothing,
    /// One is lost, and what built on it.
    Dropped(usize),
    /// One is kept, and what it builds on.
    Alone(usize),
    /// All is kept; of one write only these first bytes.
    Torn(usize, usize),
    /// All is kept but the data of one file.
    Emptied(Ino),
    /// All is kept, but the data of one file reads as zeros.
    Zeroed(Ino),
    /// Each is kept or lost by a throw of dice.
    Mixed(u64),
}

impl Loss {
    /// Its kind as a word.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Everything => "all lost",
            Self::Nothing => "all kept",
            Self::Dropped(_) => "one lost",
            Self::Alone(_) => "one kept",
            Self::Torn(..) => "torn",
            Self::Emptied(_) => "emptied",
            Self::Zeroed(_) => "zeroed",
            Self::Mixed(_) => "mixed",
        }
    }
}

impl Model {
    /// The tree after a crash behind the first `durable.len()` effects.
    pub(super) fn image(&self, durable: &[bool], loss: Loss) -> Image {
        let kept = self.kept(durable, loss);
        let mut image = Image {
            entries: self.base.clone(),
            files: BTreeMap::new(),
            modes: self.nodes.iter().map(|node| node.mode).collect(),
        };
        for (index, effect) in self.effects[..durable.len()].iter().enumerate() {
            if kept[index] {
                let is_zero = !durable[index] && effect.data_of().map(Loss::Zeroed) == Some(loss);
                let bytes_max = match loss {
                    Loss::Torn(torn, bytes) if torn == index => bytes,
                    _ => usize::MAX,
                };
                self.apply(effect, &mut image, is_zero, bytes_max);
            }
        }
        image
    }

    fn apply(&self, effect: &Effect, image: &mut Image, is_zero: bool, bytes_max: usize) {
        let base = |file: &Ino| self.nodes[*file].bytes.clone();
        match effect {
            Effect::Enter { at, child } => {
                image.entries.insert(*at, *child);
            }
            Effect::Leave { at } => {
                image.entries.remove(at);
            }
            Effect::Move { from, to, child } => {
                image.entries.remove(from);
                image.entries.insert(*to, *child);
            }
            Effect::Write {
                file,
                offset,
                bytes,
            } => {
                let content = image.files.entry(*file).or_insert_with(|| base(file));
                let bytes = &bytes[..bytes.len().min(bytes_max)];
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                match is_zero {
                    true => content[*offset..end].fill(0),
                    false => content[*offset..end].copy_from_slice(bytes),
                }
            }
            Effect::Resize { file, size } => {
                let content = image.files.entry(*file).or_insert_with(|| base(file));
                content.resize(*size, 0);
            }
            Effect::Mode { node, mode } => image.modes[*node] = *mode,
        }
    }

    /// Which effects are in the image.
    fn kept(&self, durable: &[bool], loss: Loss) -> Vec<bool> {
        let mut kept: Vec<bool> = durable.to_vec();
        let pending: Vec<usize> = (0..durable.len())
            .filter(|index| !durable[*index])
            .collect();
        match loss {
            Loss::Everything => {}
            Loss::Nothing | Loss::Torn(..) | Loss::Zeroed(_) => kept.fill(true),
            Loss::Emptied(file) => {
                for index in pending {
                    kept[index] = self.effects[index].data_of() != Some(file);
                }
            }
            Loss::Dropped(dropped) => {
                let mut lost = BTreeSet::new();
                for index in pending {
                    kept[index] = index != dropped && self.stands_without(index, &lost);
                    if !kept[index] {
                        lost.extend(self.effects[index].places());
                    }
                }
            }
            Loss::Alone(alone) => {
                let mut needed: BTreeSet<Place> = BTreeSet::new();
                for index in pending.into_iter().rev() {
                    kept[index] =
                        index == alone || index < alone && !self.stands_without(index, &needed);
                    if kept[index] {
                        needed.extend(self.effects[index].places());
                    }
                }
            }
            Loss::Mixed(seed) => {
                let mut dice = Rng::new(seed);
                let mut lost = BTreeSet::new();
                for index in pending {
                    kept[index] = dice.chance(0.5) && self.stands_without(index, &lost);
                    if !kept[index] {
                        lost.extend(self.effects[index].places());
                    }
                }
            }
        }
        kept
    }

    /// Whether an effect has no name in common with others.
    fn stands_without(&self, index: usize, others: &BTreeSet<Place>) -> bool {
        let places = self.effects[index].places();
        !places.iter().any(|place| others.contains(place))
    }

    /// Writes an image to the new directory `root`.
    pub(super) fn materialise(&self, image: &Image, root: &Path) {
        let mut written = HashMap::new();
        fs::create_dir_all(root).unwrap();
        self.materialise_dir(image, ROOT, root, &mut written);
    }

    fn materialise_dir(
        &self,
        image: &Image,
        dir: Ino,
        path: &Path,
        written: &mut HashMap<Ino, PathBuf>,
    ) {
        for (&(_, name), &child) in image.entries.range((dir, 0)..(dir + 1, 0)) {
            let path = path.join(&self.names[name]);
            if self.nodes[child].is_dir {
                fs::create_dir(&path).unwrap();
                self.materialise_dir(image, child, &path, written);
            } else if let Some(first) = written.get(&child) {
                fs::hard_link(first, &path).unwrap();
            } else {
                fs::write(&path, self.content(image, child)).unwrap();
                set_mode(&path, image.modes[child]);
                written.insert(child, path);
            }
        }
        set_mode(path, image.modes[dir]);
    }

    fn content<'a>(&'a self, image: &'a Image, file: Ino) -> &'a [u8] {
        image.files.get(&file).unwrap_or(&self.nodes[file].bytes)
    }

    /// A number that two images share if they look the same.
    pub(super) fn fingerprint(&self, image: &Image) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut links = HashMap::new();
        self.fingerprint_dir(image, ROOT, &mut links, &mut hasher);
        hasher.finish()
    }

    fn fingerprint_dir(
        &self,
        image: &Image,
        dir: Ino,
        links: &mut HashMap<Ino, usize>,
        hasher: &mut DefaultHasher,
    ) {
        image.modes[dir].hash(hasher);
        for (&(_, name), &child) in image.entries.range((dir, 0)..(dir + 1, 0)) {
            self.names[name].hash(hasher);
            if self.nodes[child].is_dir {
                self.fingerprint_dir(image, child, links, hasher);
                continue;
            }
            let count = links.len();
            links.entry(child).or_insert(count).hash(hasher);
            image.modes[child].hash(hasher);
            self.content(image, child).hash(hasher);
        }
        usize::MAX.hash(hasher);
    }
}

/// A tree that a crash may leave.
#[derive(Clone, Debug)]
pub(super) struct Image {
    entries: BTreeMap<Place, Ino>,
    /// Files that differ from when they came to be.
    files: BTreeMap<Ino, Vec<u8>>,
    modes: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file is made, written, and renamed over another in a second directory.
    fn model() -> (tempfile::TempDir, Model) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("b/page"), "old").unwrap();
        let mut model = Model::of(dir.path());
        let file = model.create(Path::new("a/draft"), false, 0o600);
        model.write(file, 0, b"ne".to_vec());
        model.write(file, 2, b"w!".to_vec());
        model.rename(Path::new("a/draft"), Path::new("b/page"));
        (dir, model)
    }

    fn shown(model: &Model, durable: &[bool], loss: Loss) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let image = model.image(durable, loss);
        let root = dir.path().join("image");
        model.materialise(&image, &root);
        let mut found = Vec::new();
        for name in ["a/draft", "b/page"] {
            if let Ok(bytes) = fs::read(root.join(name)) {
                let text = String::from_utf8_lossy(&bytes).replace('\0', "0");
                found.push(format!("{name}={text}"));
            }
        }
        found
    }

    #[test]
    fn each_loss_leaves_its_tree() {
        let (_dir, model) = model();
        let file = model.get(Path::new("b/page"));
        let check = |durable: [bool; 4], loss: Loss, expected: &[&str]| {
            assert_eq!(shown(&model, &durable, loss), expected, "{loss:?}");
        };
        let none = [false; 4];
        check(none, Loss::Everything, &["b/page=old"]);
        check(none, Loss::Nothing, &["b/page=new!"]);
        check(none, Loss::Dropped(1), &["b/page=00w!"]);
        // The rename needs the name that it moves.
        check(none, Loss::Dropped(0), &["b/page=old"]);
        check(none, Loss::Dropped(3), &["a/draft=new!", "b/page=old"]);
        check(none, Loss::Alone(0), &["a/draft=", "b/page=old"]);
        check(none, Loss::Alone(3), &["b/page="]);
        check(none, Loss::Torn(2, 1), &["b/page=new"]);
        check(none, Loss::Emptied(file), &["b/page="]);
        check(none, Loss::Zeroed(file), &["b/page=0000"]);
        // What was synced is kept whatever else is lost.
        let data = [false, true, true, false];
        check(data, Loss::Everything, &["b/page=old"]);
        check(data, Loss::Zeroed(file), &["b/page=new!"]);
        check([false, false, false, true], Loss::Everything, &["b/page="]);
    }

    #[test]
    fn a_sync_covers_what_it_names_and_no_more() {
        let (_dir, model) = model();
        let check = |path: &str, count: usize, expected: &[usize]| {
            let node = model.get(Path::new(path));
            assert_eq!(model.covered(count, node, true), expected, "{path}");
        };
        check("b/page", 4, &[1, 2]);
        check("b/page", 2, &[1]);
        check("a", 4, &[0]);
        check("b", 4, &[3]);
    }

    #[test]
    fn images_that_look_the_same_have_one_fingerprint() {
        let (_dir, model) = model();
        let fingerprint = |loss| model.fingerprint(&model.image(&[false; 4], loss));
        assert_eq!(fingerprint(Loss::Everything), fingerprint(Loss::Dropped(0)));
        assert_ne!(fingerprint(Loss::Everything), fingerprint(Loss::Nothing));
        assert_ne!(fingerprint(Loss::Dropped(1)), fingerprint(Loss::Nothing));
    }
}
