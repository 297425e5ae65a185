//! The converters of this run: which of them take a file, loaded before the pool starts, shared
//! read-only by all workers.
//!
//! A forced converter takes everything. Else the media type is what the name stands for, unless
//! `content` has reasons to say otherwise, and is converted by the one that the user prefers for it;
//! else by a built-in one, so that what is installed takes no format away unasked; else by the
//! installed one that is surest, which each input has to show (`prepare/contest.rs`).
//!
//! Invariant: whatever may be chosen for an input is loaded before the first worker starts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::builtin::{BUILTIN, Builtin};
use super::content::{Content, HEAD_BYTES_MAX};
use super::fault;
use super::stdio;
use super::workshop::{self, Workshop};
use super::{AcceptedType, Inspection, Plugin, PluginError};
use crate::enumerate::{Kind, Met};
use crate::kb::PluginDigest;
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

/// Converters that are loaded beside each other: each may be some 100 MB of code.
const LOADS_AT_ONCE: usize = 4;

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

    fn maker(self) -> Maker {
        match self {
            Self::Builtin(builtin, _) => Maker {
                name: builtin.name.to_owned(),
                version: builtin.version.to_owned(),
                digest: builtin.digest(),
            },
            Self::Installed(plugin, _) => Maker {
                name: plugin.name.clone(),
                version: plugin.version.clone(),
                digest: plugin.digest,
            },
        }
    }

    fn accepts(self) -> Vec<AcceptedType> {
        match self {
            Self::Builtin(builtin, _) => builtin.accepted(),
            Self::Installed(plugin, _) => plugin.accepts.clone(),
        }
    }
}

/// A converter that would be used, loaded or not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Maker {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its component.
    pub digest: PluginDigest,
}

impl Maker {
    /// Those of the options that it would be given.
    #[must_use]
    pub(crate) fn options(&self, options: &[(String, String)]) -> Vec<(String, String)> {
        Builtin::options_for(&self.digest, options)
    }
}

/// A media type and a converter that takes it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Format {
    /// `text/markdown`.
    pub media_type: String,
    /// Whether this converter is used for it.
    pub used: bool,
    /// Why, or that it is not.
    pub standing: Standing,
    /// The converter.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// Lower case, without dot, sorted.
    pub extensions: Vec<String>,
    /// Whether it comes with the program.
    pub builtin: bool,
}

/// What a converter is to a media type that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Used: the user prefers it.
    Preferred,
    /// Used: it comes with the program.
    BuiltIn,
    /// Used: there is no other.
    Only,
    /// Used for the inputs that it is surest of.
    Probed,
    /// Another is used.
    Unused,
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

    /// What a file is to these converters. Starts nothing. A forced converter takes every file, and
    /// nothing is read for it.
    #[must_use]
    pub fn kind_of(&self, met: &Met<'_>) -> Kind {
        let extension = Path::new(met.name).extension();
        let extension = extension
            .and_then(|extension| extension.to_str())
            .map(str::to_lowercase);
        let taken = |media_type: &str| Kind::Taken {
            media_type: media_type.to_owned(),
            misnamed_as: None,
        };
        if let Some(forced) = &self.forced {
            return taken(forced.media_type_of(extension.as_deref()));
        }
        let by_name = extension.and_then(|extension| self.media_type_of(&extension));
        let content = Content::of(&(met.head)(HEAD_BYTES_MAX));
        let mut by_content = content.media_types().iter();
        let by_content = by_content.find(|media_type| !self.contenders(media_type).is_empty());
        match (by_name, by_content) {
            (Some(name), _) if !content.outweighs(name) => taken(name),
            (Some(name), Some(content)) => Kind::Taken {
                media_type: (*content).to_owned(),
                misnamed_as: Some(name.to_owned()),
            },
            (Some(name), None) if content.rules_out(name) => {
                Kind::Misnamed(content.media_types()[0])
            }
            (Some(name), None) => taken(name),
            // Text that says what it is may be anybody's template or source: it is to be named.
            (None, Some(media_type)) if met.named || matches!(content, Content::Marked(_)) => {
                taken(media_type)
            }
            (None, _) => Kind::Other,
        }
    }

    /// What files with `extension` (lower case) are, if a converter takes them.
    fn media_type_of(&self, extension: &str) -> Option<&str> {
        let of_extension = || {
            self.candidates()
                .filter_map(|candidate| Some((candidate, candidate.media_type_of(extension)?)))
        };
        let builtin = of_extension().find(|(it, _)| matches!(it, Candidate::Builtin(..)));
        // Preferred for a type of its own, a plugin does not get a built-in converter's files because
        // it says that they are of that type.
        let is_free =
            |media_type: &str| builtin.is_none_or(|(_, of_builtin)| of_builtin == media_type);
        of_extension()
            .find(|(candidate, media_type)| {
                self.is_preferred(*candidate, media_type) && is_free(media_type)
            })
            .or_else(|| of_extension().next())
            .map(|(_, media_type)| media_type)
    }

    /// The converter that takes every input, if one does.
    #[must_use]
    pub(crate) fn forced(&self) -> Option<&Plugin> {
        self.forced.as_ref()
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
            .called()
            .find(|candidate| candidate.name() == name)
            .ok_or_else(|| {
                let name = stdio::line(name);
                match self.store.get(&name) {
                    Some(_) => StoreError::Disabled { name },
                    None => StoreError::Unknown { name },
                }
            })?;
        if let Candidate::Builtin(builtin, _) = candidate
            && builtin.is_of_cloud()
        {
            return Err(PluginError::NeedsService { name: builtin.name });
        }
        self.forced = Some(self.load_candidate(candidate)?);
        Ok(self)
    }

    /// The converter that comes with the program and goes through a service: it is used by name alone,
    /// since what it converts leaves the machine.
    ///
    /// # Errors
    /// If it cannot be loaded.
    pub fn cloud(&self) -> Result<Plugin, PluginError> {
        if let Some(path) = fault::cloud_plugin() {
            return self.cloud_of(&path, &workshop::read_component(&path)?);
        }
        let mut builtin = BUILTIN.iter().zip(&self.builtin);
        let (builtin, slot) = builtin
            .find(|(builtin, _)| builtin.is_of_cloud())
            .expect("BUG: a program without its cloud converter");
        self.load_candidate(Candidate::Builtin(builtin, slot))
    }

    /// A converter of the cloud world that does not come with the program: on trial alone, since no user
    /// may give endpoints to a component of a stranger. `path` is for messages.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn cloud_of(&self, path: &Path, wasm: &[u8]) -> Result<Plugin, PluginError> {
        self.workshop()?.load_cloud(path, wasm)
    }

    /// What `wasm` is, by its binary and its own words. `path` is for messages.
    ///
    /// # Errors
    /// If it is no component that could be used.
    pub(crate) fn inspect(&self, path: &Path, wasm: &[u8]) -> Result<Inspection, PluginError> {
        let (inspection, _pre) = self.workshop()?.inspect(path, wasm)?;
        Ok(inspection)
    }

    /// Those that may be chosen for what a file is: no file leaves the machine because of its type.
    fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.called().filter(|candidate| match candidate {
            Candidate::Builtin(builtin, _) => !builtin.is_of_cloud(),
            Candidate::Installed(..) => true,
        })
    }

    /// Those that may be called by name: built-in converters first, then the enabled installed ones by
    /// their names.
    fn called(&self) -> impl Iterator<Item = Candidate<'_>> {
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
                let standing = self.standing(candidate, &accepted.media_type);
                formats.push(Format {
                    used: standing != Standing::Unused,
                    standing,
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

    /// Those that convert files of this media type: the one that the user prefers, else the built-in
    /// one, else every installed one that takes it, in order of their names.
    fn contenders(&self, media_type: &str) -> Vec<Candidate<'_>> {
        let takers = || {
            self.candidates()
                .filter(|candidate| candidate.takes(media_type))
        };
        let mut alone = takers()
            .filter(|candidate| self.is_preferred(*candidate, media_type))
            .chain(takers().filter(|candidate| matches!(candidate, Candidate::Builtin(..))));
        match alone.next() {
            Some(candidate) => vec![candidate],
            None => takers().collect(),
        }
    }

    fn standing(&self, candidate: Candidate<'_>, media_type: &str) -> Standing {
        let contenders = self.contenders(media_type);
        if contenders.iter().all(|one| one.name() != candidate.name()) {
            Standing::Unused
        } else if self.is_preferred(candidate, media_type) {
            Standing::Preferred
        } else if matches!(candidate, Candidate::Builtin(..)) {
            Standing::BuiltIn
        } else if contenders.len() == 1 {
            Standing::Only
        } else {
            Standing::Probed
        }
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

    /// Compiles, or takes from the cache, every converter that may be chosen for one of `media_types`,
    /// each on a thread of its own. To be called on the main thread before workers start: compilation
    /// uses rayon itself.
    ///
    /// # Errors
    /// If one cannot be compiled; of several, the first in the order of `media_types`.
    pub fn load(&self, media_types: &[String]) -> Result<(), PluginError> {
        if self.forced.is_some() {
            return Ok(());
        }
        let mut wanted: Vec<Candidate<'_>> = Vec::new();
        for candidate in media_types.iter().flat_map(|it| self.contenders(it)) {
            let is_new = wanted.iter().all(|known| known.name() != candidate.name());
            if is_new && candidate.slot().get().is_none() {
                wanted.push(candidate);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        // Before the threads: they share it.
        self.workshop()?;
        for together in wanted.chunks(LOADS_AT_ONCE) {
            let loaded: Vec<_> = std::thread::scope(|scope| {
                let threads = together.iter().map(|candidate| {
                    scope.spawn(move || self.load_candidate(*candidate).map(drop))
                });
                let threads: Vec<_> = threads.collect();
                let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                };
                threads.into_iter().map(join).collect()
            });
            loaded.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }

    /// The converters of which one is to be chosen for a media type that was loaded; none if none
    /// takes it.
    #[must_use]
    pub fn converters(&self, media_type: &str) -> Vec<Plugin> {
        if let Some(forced) = &self.forced {
            return vec![forced.clone()];
        }
        let contenders = self.contenders(media_type).into_iter();
        contenders
            .filter_map(|candidate| candidate.slot().get().cloned())
            .collect()
    }

    /// The converters of which one would be chosen for a media type; none if none takes it. Loads
    /// nothing.
    #[must_use]
    pub fn makers(&self, media_type: &str) -> Vec<Maker> {
        if let Some(forced) = &self.forced {
            let identity = forced.identity();
            return vec![Maker {
                name: identity.name.clone(),
                version: identity.version.clone(),
                digest: identity.digest,
            }];
        }
        let contenders = self.contenders(media_type).into_iter();
        contenders.map(Candidate::maker).collect()
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
                {{"media_type":"text/x-both","extensions":["both"]}},
                {{"media_type":"image/png","extensions":["png"]}},
                {{"media_type":"text/x-{name}","extensions":["sql","csv"]}}],
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

    fn kind(set: &PluginSet, name: &str, head: &[u8], named: bool) -> Kind {
        let head = |bytes_max: usize| head[..head.len().min(bytes_max)].to_vec();
        set.kind_of(&Met {
            name,
            named,
            head: &head,
        })
    }

    #[test]
    fn content_counts_before_the_name() {
        let set = set("{}", true);
        let check = |name: &str, head: &[u8], named, expected: Option<(&str, Option<&str>)>| {
            let found = kind(&set, name, head, named);
            let expected = expected.map_or(Kind::Other, |(media_type, misnamed_as)| Kind::Taken {
                media_type: media_type.to_owned(),
                misnamed_as: misnamed_as.map(str::to_owned),
            });
            assert_eq!(found, expected, "{name} {named}");
        };
        let (pdf, html) = (&b"%PDF-1.7\n"[..], &b"<html>"[..]);
        let png = &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..];
        check(
            "a.md",
            pdf,
            false,
            Some(("application/pdf", Some("text/markdown"))),
        );
        check(
            "a.pdf",
            html,
            false,
            Some(("text/html", Some("application/pdf"))),
        );
        check("a.pdf", b"plain", false, Some(("application/pdf", None)));
        check("a.md", html, true, Some(("text/markdown", None)));
        check(
            "a.md",
            png,
            true,
            Some(("image/png", Some("text/markdown"))),
        );
        // A name that stands for nothing: bytes that cannot be mistaken are found in a folder too.
        check("a", pdf, false, Some(("application/pdf", None)));
        check("a.bin", png, false, Some(("image/png", None)));
        check("a.php", html, true, Some(("text/html", None)));
        check("a.php", html, false, None);
        check("a", b"plain", true, None);
        let gif = &b"GIF89a\x01\0\x01\0\x80\0\0"[..];
        assert_eq!(kind(&set, "a.md", gif, false), Kind::Misnamed("image/gif"));
        check("a.gif", gif, true, None);
    }

    #[test]
    fn formats_say_how_a_converter_is_chosen() {
        let standing = |preferred: &str, plugin: &str, media_type: &str| {
            let formats = set(preferred, true).formats();
            let mut found = formats
                .into_iter()
                .filter(|format| format.plugin == plugin && format.media_type == media_type);
            found.next().unwrap().standing
        };
        assert_eq!(
            standing("{}", "markdown", "text/markdown"),
            Standing::BuiltIn
        );
        assert_eq!(standing("{}", "one", "text/markdown"), Standing::Unused);
        assert_eq!(standing("{}", "one", "text/x-one"), Standing::Only);
        assert_eq!(standing("{}", "two", "text/x-both"), Standing::Probed);
        let preferred = r#"{"text/x-both":"two"}"#;
        assert_eq!(
            standing(preferred, "two", "text/x-both"),
            Standing::Preferred
        );
        assert_eq!(standing(preferred, "one", "text/x-both"), Standing::Unused);
    }

    #[test]
    fn a_builtin_converter_stays_unless_another_is_preferred() {
        let check = |preferred: &str, enabled, file: &str, expected: Option<(&str, &str)>| {
            let set = set(preferred, enabled);
            let chosen = match kind(&set, file, b"", true) {
                Kind::Taken { media_type, .. } => {
                    let contenders = set.contenders(&media_type);
                    let names: Vec<_> = contenders.iter().map(|one| one.name()).collect();
                    Some((media_type.clone(), names.join(" ")))
                }
                _ => None,
            };
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
        // A type of its own that claims a built-in converter's extension takes no file from it.
        check(
            r#"{"text/x-two":"two"}"#,
            true,
            "a.csv",
            Some(("text/csv", "markdown")),
        );
        check("{}", true, "a.sql", Some(("text/x-one", "one")));
        // Neither is built in nor preferred: each input decides.
        check("{}", true, "a.both", Some(("text/x-both", "one two")));
        check(
            r#"{"text/x-both":"two"}"#,
            true,
            "a.both",
            Some(("text/x-both", "two")),
        );
        check(
            r#"{"text/x-two":"two"}"#,
            true,
            "a.sql",
            Some(("text/x-two", "two")),
        );
        check("{}", false, "a.sql", None);
    }

    #[test]
    fn a_converter_of_the_cloud_is_chosen_by_its_name_alone() {
        let name = "pageindex-cloud";
        assert!(Builtin::called(name).is_some_and(Builtin::is_of_cloud));
        for preferred in ["{}", r#"{"application/pdf":"pageindex-cloud"}"#] {
            let set = set(preferred, true);
            assert!(set.called().any(|candidate| candidate.name() == name));
            let contenders = set.contenders("application/pdf");
            let names: Vec<_> = contenders.iter().map(|one| one.name()).collect();
            assert_eq!(names, ["pdf"], "{preferred}");
            assert!(set.formats().iter().all(|format| format.plugin != name));
        }
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
