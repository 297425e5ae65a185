//! The user's installed plugins: components named by their digest in the folder `plugins`, and
//! `plugins.lock`, which says what each was when the user agreed to it.
//!
//! Writers take turns by a lock file beside it; the list is replaced as a whole and synced, after
//! the component that it names. Nothing here is ever read from a KB.
//!
//! Invariant: a component is handed out only if its bytes have the digest that was agreed to; a
//! damaged list is named, and never written over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{PrivateDir, config_dir};
use crate::kb::{ContentHash, PathError, PluginDigest, SafeLine};
use crate::plugin::{
    ACCEPTS_MAX, AcceptedType, COMPONENT_BYTES_MAX, WantedLimits, is_accepted, is_media_type,
    is_name, is_version,
};

/// The folder in the user's configuration directory.
const FOLDER: &str = "plugins";

/// The list's file.
const LIST: &str = "plugins.lock";

/// Writers take turns by it: empty, never unlinked.
const TURN: &str = "plugins.turn";

/// Version of the format.
const FORMAT: u32 = 1;

/// Nobody has more.
const PLUGINS_MAX: usize = 256;

/// Preferences, one a media type.
const PREFERRED_MAX: usize = 1_024;

/// Imports of one component: the interfaces of the worlds, with room for versions.
const IMPORTS_MAX: usize = 256;

/// 256 plugins at their bounds are never met; this is thousands of ordinary ones.
const LIST_BYTES_MAX: u64 = 4 << 20;

/// A line of text in the list.
const LINE_CHARS_MAX: usize = 1_000;

/// Installing writes and syncs a component.
const WAIT: Duration = Duration::from_secs(30);

/// Why the installed plugins cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The user has no directory.
    #[error("find the folder of installed plugins: this user has no home directory")]
    NoHome,
    /// The list is not one that this program writes.
    #[error("read the list of installed plugins `{}`: {reason}", path.display())]
    Damaged {
        /// The list.
        path: PathBuf,
        /// What is wrong, a safe line.
        reason: String,
    },
    /// No such plugin.
    #[error("find a plugin called `{name}`")]
    Unknown {
        /// What was asked for, a safe line.
        name: String,
    },
    /// The plugin is switched off.
    #[error("use the plugin `{name}`: it is disabled")]
    Disabled {
        /// The plugin.
        name: String,
    },
    /// The component is not there.
    #[error("load the plugin `{name}`: `{}` is missing", path.display())]
    Missing {
        /// The plugin.
        name: String,
        /// Where its component belongs.
        path: PathBuf,
    },
    /// The component is another one than the user agreed to.
    #[error("load the plugin `{name}`: `{}` is not what was installed", path.display())]
    Changed {
        /// The plugin.
        name: String,
        /// The component.
        path: PathBuf,
    },
    /// Between the user's consent and now, the plugin changed.
    #[error("install the plugin `{name}`: another command changed it meanwhile")]
    Raced {
        /// The plugin.
        name: String,
    },
    /// It says more of itself than the list keeps.
    #[error("install the plugin `{name}`: {reason}")]
    Refused {
        /// The plugin.
        name: String,
        /// What is too much.
        reason: String,
    },
    /// What the user grants at most cannot be read.
    #[error("read the policy for plugins `{}`: {reason}", path.display())]
    Policy {
        /// The policy.
        path: PathBuf,
        /// What is wrong, a safe line.
        reason: String,
    },
    /// A bound is reached.
    #[error("install another plugin: there are {PLUGINS_MAX}")]
    Full,
}

/// A plugin as the user agreed to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstalledPlugin {
    /// As its component says.
    pub(crate) name: String,
    /// As its component says.
    pub(crate) version: String,
    /// SHA-256 of its component, which names the file too.
    pub(crate) digest: PluginDigest,
    /// The world it runs in.
    pub(crate) world: String,
    /// What it takes.
    pub(crate) accepts: Vec<AcceptedType>,
    /// What it asks for: its capabilities.
    pub(crate) imports: Vec<String>,
    /// Limits that its manifest asks for.
    #[serde(default)]
    pub(crate) limits: WantedLimits,
    /// Whether it is used.
    pub(crate) enabled: bool,
    /// The file or folder that it came from, as a safe line.
    pub(crate) from: String,
}

impl InstalledPlugin {
    /// Whether it takes files of this media type.
    pub(crate) fn takes(&self, media_type: &str) -> bool {
        self.accepts
            .iter()
            .any(|accepted| accepted.media_type == media_type)
    }

    /// Whether the user agreed to the same: everything but where it came from and its switch.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let agreed = |plugin: &Self| Self {
            enabled: true,
            from: String::new(),
            ..plugin.clone()
        };
        agreed(self) == agreed(other)
    }

    fn check(&self) -> Result<(), String> {
        let name = SafeLine::new(&self.name);
        if !is_name(&self.name) {
            return Err(format!("`{name}` is no name of a plugin"));
        }
        if !is_version(&self.version) {
            return Err(format!("the version of `{name}` is none"));
        }
        if self.accepts.len() > ACCEPTS_MAX || self.imports.len() > IMPORTS_MAX {
            return Err(format!("`{name}` accepts or imports too much"));
        }
        self.accepts.iter().try_for_each(is_accepted)?;
        let lines = self.imports.iter().chain([&self.world, &self.from]);
        let unsafe_line = |line: &String| {
            line.chars().count() > LINE_CHARS_MAX || line.chars().any(char::is_control)
        };
        if lines.into_iter().any(unsafe_line) {
            return Err(format!("a text of `{name}` is too long or no line"));
        }
        self.limits.check()
    }
}

/// The list as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    format: u32,
    /// In order of their names, each name once.
    plugins: Vec<InstalledPlugin>,
    /// Media type to the plugin that the user wants for it.
    preferred: BTreeMap<String, String>,
}

impl Default for List {
    fn default() -> Self {
        Self {
            format: FORMAT,
            plugins: Vec::new(),
            preferred: BTreeMap::new(),
        }
    }
}

impl List {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let list: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if list.format != FORMAT {
            return Err(format!("format {} is not {FORMAT}", list.format));
        }
        if list.plugins.len() > PLUGINS_MAX || list.preferred.len() > PREFERRED_MAX {
            return Err("it has too many entries".to_owned());
        }
        list.plugins.iter().try_for_each(InstalledPlugin::check)?;
        if !list.plugins.is_sorted_by(|a, b| a.name < b.name) {
            return Err("its plugins are not in order, each once".to_owned());
        }
        match list
            .preferred
            .iter()
            .find(|(media_type, name)| !is_media_type(media_type) || !is_name(name))
        {
            Some((media_type, _)) => Err(format!("its preference for `{media_type}` is none")),
            None => Ok(list),
        }
    }

    fn read(dir: &PrivateDir) -> Result<Self, StoreError> {
        let Some(bytes) = dir.read(LIST, LIST_BYTES_MAX)? else {
            return Ok(Self::default());
        };
        Self::parse(&bytes).map_err(|reason| StoreError::Damaged {
            path: dir.path().join(LIST),
            reason: SafeLine::new(&reason).to_string(),
        })
    }

    fn write(&self, dir: &PrivateDir) -> Result<(), StoreError> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .expect("the list is made of strings, numbers and lists");
        bytes.push(b'\n');
        Ok(dir.write_synced(LIST, &bytes)?)
    }

    fn find(&self, name: &str) -> Result<usize, StoreError> {
        self.plugins
            .binary_search_by(|plugin| plugin.name.as_str().cmp(name))
            .map_err(|_| unknown(name))
    }
}

fn unknown(name: &str) -> StoreError {
    StoreError::Unknown {
        name: SafeLine::new(name).to_string(),
    }
}

fn file_of(digest: &PluginDigest) -> String {
    format!("{}.wasm", digest.0)
}

/// The installed plugins as they were when they were read.
#[derive(Debug, Default)]
pub(crate) struct Store {
    dir: Option<PrivateDir>,
    list: List,
}

impl Store {
    /// Those of this user; none where the user has no directory.
    ///
    /// # Errors
    /// If there is a list that cannot be read.
    pub(crate) fn of_user() -> Result<Self, StoreError> {
        match config_dir() {
            Some(dir) => Self::open(&dir),
            None => Ok(Self::default()),
        }
    }

    /// A store without components, as a list says.
    #[cfg(test)]
    pub(crate) fn of_list(json: &str) -> Self {
        Self {
            dir: None,
            list: List::parse(json.as_bytes()).unwrap(),
        }
    }

    fn open(config: &Path) -> Result<Self, StoreError> {
        if PrivateDir::open_existing(config)?.is_none() {
            return Ok(Self::default());
        }
        let Some(dir) = PrivateDir::open_existing(&config.join(FOLDER))? else {
            return Ok(Self::default());
        };
        let list = List::read(&dir)?;
        Ok(Self {
            dir: Some(dir),
            list,
        })
    }

    /// All of them, also the disabled ones, in order of their names.
    pub(crate) fn plugins(&self) -> &[InstalledPlugin] {
        &self.list.plugins
    }

    /// The one called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&InstalledPlugin> {
        self.list.plugins.iter().find(|plugin| plugin.name == name)
    }

    /// Which plugin the user prefers for which media type.
    pub(crate) fn preferred(&self) -> &BTreeMap<String, String> {
        &self.list.preferred
    }

    /// Where the component of a plugin lies.
    pub(crate) fn path(&self, plugin: &InstalledPlugin) -> PathBuf {
        let dir = self
            .dir
            .as_ref()
            .map_or(Path::new(FOLDER), PrivateDir::path);
        dir.join(file_of(&plugin.digest))
    }

    /// The component of a plugin: the very bytes that the user agreed to.
    ///
    /// # Errors
    /// If they are not there, or others.
    pub(crate) fn component(&self, plugin: &InstalledPlugin) -> Result<Vec<u8>, StoreError> {
        let bytes = match &self.dir {
            Some(dir) => dir.read(&file_of(&plugin.digest), COMPONENT_BYTES_MAX)?,
            None => None,
        };
        let (name, path) = (plugin.name.clone(), self.path(plugin));
        match bytes {
            None => Err(StoreError::Missing { name, path }),
            Some(bytes) if PluginDigest(ContentHash::of(&bytes)) != plugin.digest => {
                Err(StoreError::Changed { name, path })
            }
            Some(bytes) => Ok(bytes),
        }
    }
}

/// The right to change the list: nobody else does meanwhile.
struct Turn {
    dir: PrivateDir,
    list: List,
    _turn: std::fs::File,
}

impl Turn {
    fn of_user() -> Result<Self, StoreError> {
        Self::take(&config_dir().ok_or(StoreError::NoHome)?)
    }

    fn take(config: &Path) -> Result<Self, StoreError> {
        PrivateDir::open(config)?;
        let dir = PrivateDir::open(&config.join(FOLDER))?;
        let turn = dir.lock(TURN, WAIT)?;
        let list = List::read(&dir)?;
        Ok(Self {
            dir,
            list,
            _turn: turn,
        })
    }

    /// Writes the list, and then removes the components that it does not name: a crash leaves
    /// one too many, which the next change removes.
    fn finish(self) -> Result<(), StoreError> {
        self.list.write(&self.dir)?;
        let plugins = self.list.plugins.iter();
        let named: BTreeSet<String> = plugins.map(|plugin| file_of(&plugin.digest)).collect();
        self.dir
            .remove_files(|file| file.ends_with(".wasm") && !named.contains(file))?;
        Ok(())
    }

    /// Enters `plugin` in the place of `previous`, which the user saw.
    fn install(
        mut self,
        plugin: &InstalledPlugin,
        bytes: &[u8],
        previous: Option<&InstalledPlugin>,
    ) -> Result<(), StoreError> {
        plugin.check().map_err(|reason| StoreError::Refused {
            name: plugin.name.clone(),
            reason,
        })?;
        let found = self.list.find(&plugin.name).ok();
        if found.map(|at| &self.list.plugins[at]) != previous {
            return Err(StoreError::Raced {
                name: plugin.name.clone(),
            });
        }
        match found {
            Some(at) => self.list.plugins[at] = plugin.clone(),
            None if self.list.plugins.len() >= PLUGINS_MAX => return Err(StoreError::Full),
            None => {
                self.list.plugins.push(plugin.clone());
                self.list.plugins.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        self.dir.write_synced(&file_of(&plugin.digest), bytes)?;
        self.finish()
    }

    fn remove(mut self, name: &str) -> Result<InstalledPlugin, StoreError> {
        let removed = self.list.plugins.remove(self.list.find(name)?);
        self.list.preferred.retain(|_, preferred| preferred != name);
        self.finish()?;
        Ok(removed)
    }

    fn set_enabled(mut self, name: &str, enabled: bool) -> Result<bool, StoreError> {
        let at = self.list.find(name)?;
        let changes = self.list.plugins[at].enabled != enabled;
        if changes {
            self.list.plugins[at].enabled = enabled;
            self.finish()?;
        }
        Ok(changes)
    }

    fn prefer(mut self, media_type: &str, name: Option<&str>) -> Result<bool, StoreError> {
        let before = match name {
            Some(name) => self
                .list
                .preferred
                .insert(media_type.to_owned(), name.to_owned()),
            None => self.list.preferred.remove(media_type),
        };
        let changes = before.as_deref() != name;
        if changes {
            if self.list.preferred.len() > PREFERRED_MAX {
                return Err(StoreError::Full);
            }
            self.finish()?;
        }
        Ok(changes)
    }
}

/// Installs `plugin` with its component, in the place of `previous` if there is one of its name. A
/// crash leaves the old plugin or the new one.
///
/// # Errors
/// If the installed one is not `previous` any more, or the disk refuses.
pub(crate) fn install(
    plugin: &InstalledPlugin,
    bytes: &[u8],
    previous: Option<&InstalledPlugin>,
) -> Result<(), StoreError> {
    Turn::of_user()?.install(plugin, bytes, previous)
}

/// Removes the plugin called `name`, its component and the preferences for it.
///
/// # Errors
/// If there is none, or the disk refuses.
pub(crate) fn remove(name: &str) -> Result<InstalledPlugin, StoreError> {
    Turn::of_user()?.remove(name)
}

/// Switches the plugin called `name` on or off; says whether that changed something.
///
/// # Errors
/// If there is none, or the disk refuses.
pub(crate) fn set_enabled(name: &str, enabled: bool) -> Result<bool, StoreError> {
    Turn::of_user()?.set_enabled(name, enabled)
}

/// Remembers which plugin the user prefers for a media type, or that it is none; says whether
/// that changed something. The caller has checked both names.
///
/// # Errors
/// If the disk refuses.
pub(crate) fn prefer(media_type: &str, name: Option<&str>) -> Result<bool, StoreError> {
    Turn::of_user()?.prefer(media_type, name)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests damage the list")]
mod tests {
    use super::*;

    fn plugin(name: &str, bytes: &[u8]) -> InstalledPlugin {
        InstalledPlugin {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            digest: PluginDigest(ContentHash::of(bytes)),
            world: "kbhost:converter@0.1.0/file-converter".to_owned(),
            accepts: vec![AcceptedType {
                media_type: "text/x-sql".to_owned(),
                extensions: vec!["sql".to_owned()],
            }],
            imports: vec!["wasi:io/streams@0.2.0".to_owned()],
            limits: WantedLimits::default(),
            enabled: true,
            from: "/somewhere/x.wasm".to_owned(),
        }
    }

    fn components(config: &Path) -> usize {
        let entries = std::fs::read_dir(config.join(FOLDER)).unwrap();
        entries
            .filter(|entry| entry.as_ref().unwrap().path().extension() == Some("wasm".as_ref()))
            .count()
    }

    #[test]
    fn what_was_installed_is_handed_out_and_nothing_else() {
        let temporary = tempfile::tempdir().unwrap();
        let config = temporary.path().join("config");
        assert!(Store::open(&config).unwrap().plugins().is_empty());
        assert!(!config.exists(), "reading makes nothing");
        let turn = || Turn::take(&config).unwrap();
        let (one, two) = (plugin("sql", b"one"), plugin("sql", b"two"));
        turn().install(&one, b"one", None).unwrap();
        turn().install(&plugin("a", b"a"), b"a", None).unwrap();
        let store = Store::open(&config).unwrap();
        assert_eq!(store.component(&one).unwrap(), b"one");
        let error = turn().install(&two, b"two", None).unwrap_err();
        assert!(matches!(error, StoreError::Raced { .. }));
        turn().install(&two, b"two", Some(&one)).unwrap();
        assert_eq!(components(&config), 2);
        let store = Store::open(&config).unwrap();
        let names: Vec<_> = store
            .plugins()
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(names, ["a", "sql"]);
        let path = store.path(&two);
        std::fs::write(&path, b"owt").unwrap();
        let changed = store.component(&two).unwrap_err();
        assert!(matches!(changed, StoreError::Changed { .. }), "{changed}");
        std::fs::remove_file(&path).unwrap();
        let missing = store.component(&two).unwrap_err();
        assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    }

    #[test]
    fn switches_preferences_and_removal() {
        let temporary = tempfile::tempdir().unwrap();
        let config = temporary.path().join("config");
        let turn = || Turn::take(&config).unwrap();
        turn().install(&plugin("sql", b"x"), b"x", None).unwrap();
        assert!(turn().set_enabled("sql", false).unwrap());
        assert!(!turn().set_enabled("sql", false).unwrap());
        assert!(turn().prefer("text/x-sql", Some("sql")).unwrap());
        assert!(!turn().prefer("text/x-sql", Some("sql")).unwrap());
        let store = Store::open(&config).unwrap();
        assert!(!store.get("sql").unwrap().enabled);
        assert_eq!(store.preferred()["text/x-sql"], "sql");
        turn().set_enabled("none", true).unwrap_err();
        turn().remove("sql").unwrap();
        let store = Store::open(&config).unwrap();
        assert!(store.plugins().is_empty() && store.preferred().is_empty());
        assert_eq!(components(&config), 0);
    }

    #[test]
    fn a_damaged_list_is_named_and_kept() {
        let temporary = tempfile::tempdir().unwrap();
        let config = temporary.path().join("config");
        Turn::take(&config).unwrap();
        let path = config.join(FOLDER).join(LIST);
        let entry = serde_json::to_string(&plugin("sql", b"x")).unwrap();
        let with = |entry: &str| format!(r#"{{"format":1,"plugins":[{entry}],"preferred":{{}}}}"#);
        std::fs::write(&path, with(&entry)).unwrap();
        assert_eq!(Store::open(&config).unwrap().plugins().len(), 1);
        for text in [
            String::new(),
            "{".to_owned(),
            r#"{"format":2,"plugins":[],"preferred":{}}"#.to_owned(),
            r#"{"format":1,"plugins":[],"preferred":{},"more":1}"#.to_owned(),
            r#"{"format":1,"plugins":[],"preferred":{"x":"sql"}}"#.to_owned(),
            with(&format!("{entry},{entry}")),
            with(&entry.replace(r#""name":"sql""#, r#""name":"../x""#)),
            with(&entry.replace("1.0.0", "one")),
            with(&entry.replace(r#""digest":""#, r#""digest":"x"#)),
            with(&entry.replace(r#""limits":{}"#, r#""limits":{"cpu_seconds":9999}"#)),
            with(&entry.replace("/somewhere", r"\u001b[2J")),
        ] {
            std::fs::write(&path, &text).unwrap();
            let error = Store::open(&config).unwrap_err().to_string();
            assert!(error.contains(LIST), "{text}: {error}");
            assert!(Turn::take(&config).is_err(), "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
