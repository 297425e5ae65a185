//! The converters of this run: loaded before the pool starts, shared read-only by all workers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::builtin::{BUILTIN, Builtin};
use super::stdio;
use super::workshop::Workshop;
use super::{AcceptedType, Inspection, Plugin, PluginError};
use crate::userdir;
use crate::userdir::plugins::{InstalledPlugin, Store, StoreError};

/// Where compiled components and their key are kept; `None`: compile each time.
#[derive(Clone, Debug)]
pub struct CacheDir(pub Option<PathBuf>);

impl CacheDir {
    /// The user's own: `$KBHOST_CACHE_DIR`, else `kbhost` in the user's cache directory.
    #[must_use]
    pub fn of_user() -> Self {
        Self(userdir::cache_dir())
    }
}

/// All converters of this run.
pub struct PluginSet {
    cache: CacheDir,
    forced: Option<Plugin>,
    /// Started when the first component is wanted.
    workshop: OnceLock<Workshop>,
    /// Beside [`BUILTIN`]: what was loaded of it. Filled by [`Self::load`] alone and with finished
    /// values, so that no worker ever waits here.
    builtin: Vec<OnceLock<Plugin>>,
    store: Store,
    /// Beside the plugins of `store`, likewise.
    installed: Vec<OnceLock<Plugin>>,
}

/// A converter that could be loaded, with the place where it is kept then.
#[derive(Clone, Copy)]
enum Candidate<'a> {
    Builtin(&'static Builtin, &'a OnceLock<Plugin>),
    Installed(&'a InstalledPlugin, &'a OnceLock<Plugin>),
}

impl<'a> Candidate<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Builtin(builtin, _) => builtin.name,
            Self::Installed(plugin, _) => &plugin.name,
        }
    }

    fn slot(self) -> &'a OnceLock<Plugin> {
        match self {
            Self::Builtin(_, slot) | Self::Installed(_, slot) => slot,
        }
    }

    fn takes(self, media_type: &str) -> bool {
        match self {
            Self::Builtin(builtin, _) => builtin.takes(media_type),
            Self::Installed(plugin, _) => plugin.takes(media_type),
        }
    }

    fn media_type_of(self, extension: &str) -> Option<&'a str> {
        match self {
            Self::Builtin(builtin, _) => builtin.media_type_of(extension),
            Self::Installed(plugin, _) => AcceptedType::of_extension(&plugin.accepts, extension)
                .map(|accepted| accepted.media_type.as_str()),
        }
    }

    fn extensions(self) -> Vec<String> {
        self.accepts()
            .into_iter()
            .flat_map(|accepted| accepted.extensions)
            .collect()
    }

    fn accepts(self) -> Vec<AcceptedType> {
        match self {
            Self::Builtin(builtin, _) => builtin.accepted(),
            Self::Installed(plugin, _) => plugin.accepts.clone(),
        }
    }
}

/// A media type and a converter that takes it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Format {
    /// `text/markdown`.
    pub media_type: String,
    /// Whether this converter is the one that is used for it.
    pub used: bool,
    /// The converter.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// Lower case, without dot, sorted.
    pub extensions: Vec<String>,
    /// Whether it comes with the program.
    pub builtin: bool,
}

impl fmt::Debug for PluginSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.builtin.iter().chain(&self.installed);
        let loaded: Vec<_> = slots.filter_map(OnceLock::get).collect();
        f.debug_struct("PluginSet")
            .field("cache", &self.cache)
            .field("forced", &self.forced)
            .field("loaded", &loaded)
            .finish_non_exhaustive()
    }
}

impl PluginSet {
    /// Prepares the built-in converters, and `forced` in front of them: a component file that
    /// takes every input. Built-in components are compiled when first asked for by [`Self::load`];
    /// `forced` is compiled and asked what it is at once.
    ///
    /// # Errors
    /// If the engine cannot start or `forced` is no usable component.
    pub fn new(forced: Option<&Path>, cache: &CacheDir) -> Result<Self, PluginError> {
        let mut set = Self {
            cache: cache.clone(),
            forced: None,
            workshop: OnceLock::new(),
            builtin: BUILTIN.iter().map(|_| OnceLock::new()).collect(),
            store: Store::default(),
            installed: Vec::new(),
        };
        if let Some(path) = forced {
            set.forced = Some(set.workshop()?.load_file(path)?);
        }
        Ok(set)
    }

    /// The media type that a file of this name would be given, and whether a converter takes it.
    /// Looks at the name only; starts nothing. A forced converter takes every file.
    #[must_use]
    pub fn media_type_of(&self, file_name: &str) -> Option<String> {
        let extension = Path::new(file_name).extension();
        let extension = extension
            .and_then(|extension| extension.to_str())
            .map(str::to_lowercase);
        if let Some(forced) = &self.forced {
            return Some(forced.media_type_of(extension.as_deref()).to_owned());
        }
        let extension = extension?;
        let of_extension = || {
            self.candidates()
                .filter_map(|candidate| Some((candidate, candidate.media_type_of(&extension)?)))
        };
        of_extension()
            .find(|(candidate, media_type)| self.is_preferred(*candidate, media_type))
            .or_else(|| of_extension().next())
            .map(|(_, media_type)| media_type.to_owned())
    }

    /// Takes the user's installed plugins into account.
    #[must_use]
    pub(crate) fn with_installed(mut self, store: Store) -> Self {
        self.installed = store.plugins().iter().map(|_| OnceLock::new()).collect();
        self.store = store;
        self
    }

    /// Lets the converter called `name`, installed or built in, take every input.
    ///
    /// # Errors
    /// If there is none that is enabled, or it cannot be loaded.
    pub(crate) fn forcing(mut self, name: &str) -> Result<Self, PluginError> {
        let candidate = self
            .candidates()
            .find(|candidate| candidate.name() == name)
            .ok_or_else(|| {
                let name = stdio::line(name);
                match self.store.get(&name) {
                    Some(_) => StoreError::Disabled { name },
                    None => StoreError::Unknown { name },
                }
            })?;
        self.forced = Some(self.load_candidate(candidate)?);
        Ok(self)
    }

    /// What `wasm` is, by its binary and its own words. `path` is for messages.
    ///
    /// # Errors
    /// If it is no component that could be used.
    pub(crate) fn inspect(&self, path: &Path, wasm: &[u8]) -> Result<Inspection, PluginError> {
        let (inspection, _pre) = self.workshop()?.inspect(path, wasm)?;
        Ok(inspection)
    }

    /// Built-in converters first, then the enabled installed ones by their names.
    fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        let builtin = BUILTIN.iter().zip(&self.builtin);
        let installed = self.store.plugins().iter().zip(&self.installed);
        builtin
            .map(|(builtin, slot)| Candidate::Builtin(builtin, slot))
            .chain(
                installed
                    .filter(|(plugin, _)| plugin.enabled)
                    .map(|(plugin, slot)| Candidate::Installed(plugin, slot)),
            )
    }

    /// What is accepted by which converter, in order of media types, the one that is used first.
    #[must_use]
    pub fn formats(&self) -> Vec<Format> {
        let mut formats = Vec::new();
        for candidate in self.candidates() {
            let (version, builtin) = match candidate {
                Candidate::Builtin(builtin, _) => (builtin.version, true),
                Candidate::Installed(plugin, _) => (plugin.version.as_str(), false),
            };
            for mut accepted in candidate.accepts() {
                accepted.extensions.sort_unstable();
                let chosen = self.chosen(&accepted.media_type);
                formats.push(Format {
                    used: chosen.is_some_and(|chosen| chosen.name() == candidate.name()),
                    media_type: accepted.media_type,
                    plugin: candidate.name().to_owned(),
                    version: version.to_owned(),
                    extensions: accepted.extensions,
                    builtin,
                });
            }
        }
        formats.sort_by(|a, b| {
            let key = |format: &Format| (format.media_type.clone(), !format.used);
            key(a).cmp(&key(b)).then_with(|| a.plugin.cmp(&b.plugin))
        });
        formats
    }

    fn is_preferred(&self, candidate: Candidate<'_>, media_type: &str) -> bool {
        let preferred = self.store.preferred().get(media_type);
        preferred.is_some_and(|name| name == candidate.name()) && candidate.takes(media_type)
    }

    /// The one that converts files of this media type: what the user prefers, else a built-in one.
    fn chosen(&self, media_type: &str) -> Option<Candidate<'_>> {
        self.candidates()
            .find(|candidate| self.is_preferred(*candidate, media_type))
            .or_else(|| {
                self.candidates()
                    .find(|candidate| candidate.takes(media_type))
            })
    }

    fn load_candidate(&self, candidate: Candidate<'_>) -> Result<Plugin, PluginError> {
        if let Some(plugin) = candidate.slot().get() {
            return Ok(plugin.clone());
        }
        let plugin = match candidate {
            Candidate::Builtin(builtin, _) => self.workshop()?.load_builtin(builtin)?,
            Candidate::Installed(plugin, _) => {
                self.workshop()?.load_installed(&self.store, plugin)?
            }
        };
        Ok(candidate.slot().get_or_init(|| plugin).clone())
    }

    /// Compiles, or takes from the cache, every converter that takes one of `media_types`. To be
    /// called on the main thread before workers start: compilation uses rayon itself.
    ///
    /// # Errors
    /// If one cannot be compiled.
    pub fn load(&self, media_types: &[String]) -> Result<(), PluginError> {
        if self.forced.is_some() {
            return Ok(());
        }
        for media_type in media_types {
            if let Some(candidate) = self.chosen(media_type) {
                self.load_candidate(candidate)?;
            }
        }
        Ok(())
    }

    /// The converter for a media type that was loaded.
    #[must_use]
    pub fn converter(&self, media_type: &str) -> Option<Plugin> {
        if self.forced.is_some() {
            return self.forced.clone();
        }
        self.chosen(media_type)?.slot().get().cloned()
    }

    /// Every extension some converter takes, sorted, for messages.
    #[must_use]
    pub fn extensions(&self) -> Vec<String> {
        let forced = self.forced.iter().flat_map(Plugin::accepts);
        let forced = forced.flat_map(|accepted| accepted.extensions.iter().cloned());
        let mut extensions: Vec<String> = match &self.forced {
            Some(_) => forced.collect(),
            None => self.candidates().flat_map(Candidate::extensions).collect(),
        };
        extensions.sort_unstable();
        extensions.dedup();
        extensions
    }

    fn workshop(&self) -> Result<&Workshop, PluginError> {
        if let Some(workshop) = self.workshop.get() {
            return Ok(workshop);
        }
        let workshop = Workshop::open(&self.cache)?;
        Ok(self.workshop.get_or_init(|| workshop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::ContentHash;

    /// The built-in converters and two installed ones that take Markdown and `.sql`.
    fn set(preferred: &str, enabled: bool) -> PluginSet {
        let digest = ContentHash::of(b"").to_hex();
        let plugin = |name: &str| {
            format!(
                r#"{{"name":"{name}","version":"1.0.0","digest":"{digest}","world":"w",
                "accepts":[{{"media_type":"text/markdown","extensions":["md"]}},
                {{"media_type":"text/x-{name}","extensions":["sql"]}}],
                "imports":[],"enabled":{enabled},"from":"f"}}"#
            )
        };
        let list = format!(
            r#"{{"format":1,"plugins":[{},{}],"preferred":{preferred}}}"#,
            plugin("one"),
            plugin("two")
        );
        let set = PluginSet::new(None, &CacheDir(None)).unwrap();
        set.with_installed(Store::of_list(&list))
    }

    #[test]
    fn a_builtin_converter_stays_unless_another_is_preferred() {
        let check = |preferred: &str, enabled, file: &str, expected: Option<(&str, &str)>| {
            let set = set(preferred, enabled);
            let media_type = set.media_type_of(file);
            let chosen = media_type.as_deref().and_then(|media_type| {
                let name = set.chosen(media_type)?.name().to_owned();
                Some((media_type.to_owned(), name))
            });
            let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
            assert_eq!(chosen, expected, "{preferred} {enabled} {file}");
        };
        let markdown = |name| Some(("text/markdown", name));
        check("{}", true, "a.md", markdown("markdown"));
        check(r#"{"text/markdown":"two"}"#, true, "a.MD", markdown("two"));
        check(
            r#"{"text/markdown":"two"}"#,
            false,
            "a.md",
            markdown("markdown"),
        );
        check(
            r#"{"text/markdown":"gone"}"#,
            true,
            "a.md",
            markdown("markdown"),
        );
        // A preference for what the plugin does not take is none.
        check(
            r#"{"application/pdf":"two"}"#,
            true,
            "a.pdf",
            Some(("application/pdf", "pdf")),
        );
        check("{}", true, "a.sql", Some(("text/x-one", "one")));
        check(
            r#"{"text/x-two":"two"}"#,
            true,
            "a.sql",
            Some(("text/x-two", "two")),
        );
        check("{}", false, "a.sql", None);
    }

    #[test]
    fn what_is_disabled_or_unknown_cannot_be_forced() {
        let error = set("{}", false).forcing("one").unwrap_err();
        assert!(
            matches!(error, PluginError::Store(StoreError::Disabled { .. })),
            "{error}"
        );
        let error = set("{}", true).forcing("three").unwrap_err();
        assert!(
            matches!(error, PluginError::Store(StoreError::Unknown { .. })),
            "{error}"
        );
    }
}
