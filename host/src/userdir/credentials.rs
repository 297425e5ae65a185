//! Keys of services: where they may stand, and in which order.
//!
//! The environment, else `credentials.toml` in the user's configuration directory, else `.env` of a KB that
//! the user trusts. A stranger's KB could send the user's documents to the stranger's account, so its key counts
//! for nothing before that; addresses are never read from it. `.env` of the current directory is nobody's
//! business.
//!
//! Invariant: before a key is in this process, nobody can make a core of it or look into it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::trust::{self, ENV_FILE, OwnFolder, TrustError};
use super::{PrivateDir, config_dir};
use crate::egress::{ApiKey, EgressError};
use crate::kb::{KbRoot, PathError, SafeLine};

/// Holds the key of PageIndex Cloud; a name in `.env` too. No child of this process gets it.
pub(crate) const PAGEINDEX_VARIABLE: &str = "PAGEINDEX_API_KEY";

/// The user's file of keys.
const CREDENTIALS: &str = "credentials.toml";

/// A handful of keys.
const CREDENTIALS_BYTES_MAX: u64 = 64 << 10;

/// Files of variables have some ten lines.
const ENV_BYTES_MAX: u64 = 64 << 10;

/// The service, as a person calls it.
const PAGEINDEX: &str = "PageIndex Cloud";

/// The user's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    pageindex: Option<String>,
}

/// The key of PageIndex Cloud, for work on `kb`. From here on nobody looks into this process.
///
/// # Errors
/// If there is none, or the one that counts is none or not kept safe.
pub(crate) fn pageindex_key(kb: Option<&KbRoot>) -> Result<ApiKey, EgressError> {
    seal();
    found(std::env::var_os(PAGEINDEX_VARIABLE), config_dir(), kb)
}

/// As [`pageindex_key`], with what the variable holds and where the user's settings lie.
fn found(
    variable: Option<OsString>,
    config: Option<PathBuf>,
    kb: Option<&KbRoot>,
) -> Result<ApiKey, EgressError> {
    if let Some(value) = variable.filter(|value| !value.is_empty()) {
        let place = format!("the variable {PAGEINDEX_VARIABLE}");
        return key(
            place,
            value.into_string().unwrap_or_else(|_| "\u{fffd}".repeat(8)),
        );
    }
    if let Some(config) = &config
        && let Some(found) = of_user(config)?
    {
        return Ok(found);
    }
    let trusted = |folder: &OwnFolder| match &config {
        Some(config) => trust::is_trusted(config, folder),
        None => Ok(false),
    };
    if let Some(kb) = kb
        && let Some(found) = of_kb(kb.path(), trusted)?
    {
        return Ok(found);
    }
    let file = config.map(|config| config.join(CREDENTIALS));
    let mut looked = vec![format!("the variable {PAGEINDEX_VARIABLE}")];
    looked.extend(file.iter().map(|file| format!("`{}`", file.display())));
    looked.push(match kb {
        Some(kb) => format!("`{}`", kb.path().join(ENV_FILE).display()),
        None => "`.env` of a trusted knowledge base".to_owned(),
    });
    Err(EgressError::NoKey {
        service: PAGEINDEX,
        variable: PAGEINDEX_VARIABLE,
        file,
        looked,
    })
}

/// Closes this process to debuggers and cores if its environment holds a key; at the start of the program.
pub(crate) fn seal_if_keyed() {
    if std::env::var_os(PAGEINDEX_VARIABLE).is_some_and(|value| !value.is_empty()) {
        seal();
    }
}

/// Closes this process to debuggers and cores. What the system refuses leaves the key as safe as it was in the
/// user's own file.
pub(crate) fn seal() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::debug!(%error, "this process stays open to debuggers");
    }
    let none = Rlimit {
        current: Some(0),
        maximum: getrlimit(Resource::Core).maximum,
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::debug!(%error, "this process may leave a core");
    }
}

fn key(place: String, value: String) -> Result<ApiKey, EgressError> {
    ApiKey::new(value).map_err(|reason| EgressError::BadKey { place, reason })
}

/// The key in the user's file; `None` if there is no file or it names none.
fn of_user(config: &Path) -> Result<Option<ApiKey>, EgressError> {
    let Some(dir) = PrivateDir::open_existing(config)? else {
        return Ok(None);
    };
    let path = dir.path().join(CREDENTIALS);
    let file = match dir.open_file(CREDENTIALS, CREDENTIALS_BYTES_MAX) {
        Ok(Some((file, _))) => file,
        Ok(None) => return Ok(None),
        Err(error) if error.source.kind() == ErrorKind::PermissionDenied => {
            return Err(EgressError::KeyFile {
                path,
                reason: error.source.to_string(),
                mode: Some("600"),
            });
        }
        Err(error) => return Err(error.into()),
    };
    judge(&path, &file)?;
    let text = read(&path, file, CREDENTIALS_BYTES_MAX)?;
    // The parser's own words quote the line, and with it a key.
    let credentials: Credentials = toml::from_str(&text).map_err(|error| EgressError::KeyFile {
        path: path.clone(),
        reason: SafeLine::new(&format!(
            "line {} is not `pageindex = \"KEY\"`",
            line_of(&text, error.span().map_or(0, |span| span.start))
        ))
        .to_string(),
        mode: None,
    })?;
    let place = format!("`{}`", path.display());
    credentials
        .pageindex
        .map(|value| key(place, value))
        .transpose()
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// Whether group or others have any right to a file of keys.
fn judge(path: &Path, file: &File) -> Result<(), EgressError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata();
    let metadata = metadata.map_err(|error| PathError::new("look at", path, error))?;
    match metadata.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(EgressError::KeyFile {
            path: path.to_owned(),
            reason: "group or others have access to it".to_owned(),
            mode: Some("600"),
        }),
    }
}

fn read(path: &Path, file: File, bytes_max: u64) -> Result<String, EgressError> {
    let mut bytes = Vec::new();
    let read = file.take(bytes_max + 1).read_to_end(&mut bytes);
    read.map_err(|error| PathError::new("read", path, error))?;
    let unusable = |reason: &str| EgressError::KeyFile {
        path: path.to_owned(),
        reason: reason.to_owned(),
        mode: None,
    };
    if bytes.len() as u64 > bytes_max {
        return Err(unusable("it is longer than 64 KiB"));
    }
    String::from_utf8(bytes).map_err(|_| unusable("it is no UTF-8"))
}

/// The key in `.env` of the KB at the canonical path `kb`; `None` if there is none.
fn of_kb(
    kb: &Path,
    is_trusted: impl Fn(&OwnFolder) -> Result<bool, TrustError>,
) -> Result<Option<ApiKey>, EgressError> {
    let path = kb.join(ENV_FILE);
    let opened = OwnFolder::open(kb).and_then(|folder| {
        let trusted = is_trusted(&folder)?;
        Ok((folder, trusted))
    });
    let folder = match opened {
        Ok((folder, true)) => folder,
        // Whatever else is wrong with it: a KB that nobody vouched for says so first.
        Ok((_, false)) | Err(TrustError::Unsafe { .. }) => {
            return match mentions_key(&path) {
                true => Err(EgressError::Untrusted { kb: kb.to_owned() }),
                false => Ok(None),
            };
        }
        Err(error) => return Err(unusable(error)),
    };
    let Some(file) = folder.env_file().map_err(unusable)? else {
        return Ok(None);
    };
    let text = read(&path, File::from(file), ENV_BYTES_MAX)?;
    let place = || format!("`{}`", path.display());
    variable(&text)
        .map(|value| key(place(), value.to_owned()))
        .transpose()
}

/// Whether a file of a stranger's seems to hold a key, for the hint.
fn mentions_key(path: &Path) -> bool {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else {
        return false;
    };
    file.metadata().is_ok_and(|metadata| metadata.is_file())
        && read(path, file, ENV_BYTES_MAX).is_ok_and(|text| variable(&text).is_some())
}

fn unusable(error: TrustError) -> EgressError {
    match error {
        TrustError::Unsafe { path, reason, mode } => EgressError::KeyFile {
            path,
            reason: reason.to_owned(),
            mode,
        },
        TrustError::Path(error) => error.into(),
        TrustError::Kb(error) => trouble(PathBuf::from(ENV_FILE), &error.to_string()),
        TrustError::List { path, reason } => trouble(path, &reason),
    }
}

fn trouble(path: PathBuf, reason: &str) -> EgressError {
    EgressError::KeyFile {
        path,
        reason: SafeLine::new(reason).to_string(),
        mode: None,
    }
}

/// The key's value in lines of `NAME=value`, the last one if it is there twice; empty counts as unset. Parsers of
/// such files replace `$NAME` from the environment, which would send another secret to the service: here a
/// value is what is written, without the quotes around it.
fn variable(text: &str) -> Option<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let last = text.lines().filter_map(value).next_back();
    last.filter(|value| !value.is_empty())
}

/// The value in a line that names the key.
fn value(line: &str) -> Option<&str> {
    let line = line.trim();
    let exported = line.strip_prefix("export");
    let exported = exported.filter(|rest| rest.starts_with(char::is_whitespace));
    let line = exported.map_or(line, str::trim_start);
    let value = line.strip_prefix(PAGEINDEX_VARIABLE)?.trim_start();
    let value = value.strip_prefix('=')?.trim_start();
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            return quoted.split_once(quote).map(|(quoted, _)| quoted);
        }
    }
    // A comment begins behind a space.
    value.split(char::is_whitespace).next()
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests write the files of a user"
)]
mod tests {
    use super::super::tests::{set_mode, world};
    use super::*;

    const KEY: &str = "pi-0123456789abcdef";

    fn is_key(found: Result<Option<ApiKey>, EgressError>) -> bool {
        found.unwrap().is_some()
    }

    #[test]
    fn a_mark_at_the_start_and_any_space_behind_export_are_no_part_of_the_name() {
        let check = |text: &str, expected| assert_eq!(variable(text), expected, "{text:?}");
        check("\u{feff}PAGEINDEX_API_KEY=abcdefgh\r\n", Some("abcdefgh"));
        check("export\tPAGEINDEX_API_KEY=abcdefgh", Some("abcdefgh"));
        check("exportPAGEINDEX_API_KEY=abcdefgh", None);
    }

    #[test]
    fn the_users_file_is_private() {
        let (_temporary, config, _) = world();
        assert!(!is_key(of_user(&config)));
        PrivateDir::open(&config).unwrap();
        assert!(!is_key(of_user(&config)));
        let path = config.join(CREDENTIALS);
        std::fs::write(&path, format!("pageindex = \"{KEY}\"\n")).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o660, 0o610] {
            set_mode(&path, mode);
            let error = of_user(&config).unwrap_err();
            assert!(!error.to_string().contains(KEY));
            let told = matches!(
                error,
                EgressError::KeyFile {
                    mode: Some("600"),
                    ..
                }
            );
            assert!(told, "{mode:o}: {error}");
        }
        set_mode(&path, 0o600);
        assert!(is_key(of_user(&config)));
        set_mode(&path, 0o400);
        assert!(is_key(of_user(&config)));
    }

    #[test]
    fn a_damaged_file_is_told_without_the_key() {
        let (_temporary, config, _) = world();
        PrivateDir::open(&config).unwrap();
        let path = config.join(CREDENTIALS);
        for (text, words) in [
            (format!("pageindex = {KEY}"), "line 1 is not"),
            (
                format!("\npageindex = \"{KEY}\"\nother = \"{KEY}\""),
                "line 3 is not",
            ),
            (format!("pageindex = [\"{KEY}\"]"), "line 1 is not"),
            ("pageindex = \"short\"".to_owned(), "shorter than 8"),
            (
                format!("pageindex = \"{KEY} \""),
                "something else than visible ASCII",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            set_mode(&path, 0o600);
            let error = of_user(&config).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(told.contains(words) && !told.contains(KEY), "{told}");
        }
        std::fs::write(&path, "# none\n").unwrap();
        assert!(!is_key(of_user(&config)));
        std::fs::write(&path, vec![b'#'; 65 << 10]).unwrap();
        of_user(&config).unwrap_err();
    }

    #[test]
    fn the_file_of_a_kb_counts_only_if_it_is_trusted() {
        let (_temporary, _, kb) = world();
        let found = |trusted| of_kb(&kb, move |_| Ok(trusted));
        assert!(!is_key(found(true)));
        assert!(!is_key(found(false)));
        let env = kb.join(ENV_FILE);
        std::fs::write(&env, "KBHOST_PAGEINDEX_URL=https://evil.example\nOTHER=1\n").unwrap();
        set_mode(&env, 0o600);
        assert!(!is_key(found(true)));
        assert!(!is_key(found(false)));
        std::fs::write(&env, format!("OTHER=1\nPAGEINDEX_API_KEY={KEY}\n")).unwrap();
        assert!(is_key(found(true)));
        assert!(matches!(found(false), Err(EgressError::Untrusted { .. })));
        set_mode(&env, 0o644);
        let error = found(true).unwrap_err();
        assert!(
            matches!(
                error,
                EgressError::KeyFile {
                    mode: Some("600"),
                    ..
                }
            ),
            "{error}"
        );
        assert!(matches!(found(false), Err(EgressError::Untrusted { .. })));
        set_mode(&env, 0o600);
        set_mode(&kb, 0o777);
        assert!(matches!(found(true), Err(EgressError::Untrusted { .. })));
        set_mode(&kb, 0o755);
        std::fs::rename(&env, kb.join("other")).unwrap();
        std::os::unix::fs::symlink("other", &env).unwrap();
        found(true).unwrap_err();
        assert!(!is_key(found(false)));
    }

    #[test]
    fn the_environment_comes_first_and_a_kb_last() {
        let (_temporary, config, kb) = world();
        let root = KbRoot::open(&kb).unwrap();
        let key = |variable: &str| {
            let found = found(Some(variable.into()), Some(config.clone()), Some(&root));
            found.map(|key| key.account(""))
        };
        let account = |text: &str| ApiKey::new(text.to_owned()).unwrap().account("");
        let error = key("").unwrap_err();
        let EgressError::NoKey { looked, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(looked.len(), 3, "{error}");
        for (place, words) in looked
            .iter()
            .zip([PAGEINDEX_VARIABLE, CREDENTIALS, ENV_FILE])
        {
            assert!(place.contains(words), "{error}");
        }
        std::fs::write(kb.join(ENV_FILE), "PAGEINDEX_API_KEY=of-the-kb").unwrap();
        set_mode(&kb.join(ENV_FILE), 0o600);
        assert!(matches!(key(""), Err(EgressError::Untrusted { .. })));
        trust::add_in(&config, &root).unwrap();
        assert_eq!(key("").unwrap(), account("of-the-kb"));
        std::fs::write(config.join(CREDENTIALS), "pageindex = \"of-the-user\"").unwrap();
        set_mode(&config.join(CREDENTIALS), 0o600);
        assert_eq!(key("").unwrap(), account("of-the-user"));
        assert_eq!(
            key("of-the-environment").unwrap(),
            account("of-the-environment")
        );
        // What is there and wrong is told, not passed over.
        assert!(matches!(key("short"), Err(EgressError::BadKey { .. })));
        set_mode(&config.join(CREDENTIALS), 0o644);
        assert!(matches!(key(""), Err(EgressError::KeyFile { .. })));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nobody_looks_into_a_process_with_a_key() {
        use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
        seal();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
    }

    #[test]
    fn a_value_is_what_is_written() {
        for (text, value) in [
            ("PAGEINDEX_API_KEY=abc", Some("abc")),
            ("  export PAGEINDEX_API_KEY = abc # why", Some("abc")),
            ("PAGEINDEX_API_KEY=\"a b\" # c", Some("a b")),
            ("PAGEINDEX_API_KEY='abc'", Some("abc")),
            ("PAGEINDEX_API_KEY=$HOME", Some("$HOME")),
            ("PAGEINDEX_API_KEY=\"${HOME}\"", Some("${HOME}")),
            ("PAGEINDEX_API_KEY=a#b\r\nX=1", Some("a#b")),
            ("PAGEINDEX_API_KEY=a\nPAGEINDEX_API_KEY=b", Some("b")),
            ("PAGEINDEX_API_KEY=", None),
            ("PAGEINDEX_API_KEY=\"", None),
            ("# PAGEINDEX_API_KEY=a", None),
            ("XPAGEINDEX_API_KEY=a", None),
            ("PAGEINDEX_API_KEY_2=a", None),
            ("PAGEINDEX_API_KEY", None),
            ("", None),
        ] {
            assert_eq!(variable(text), value, "{text}");
        }
    }
}
