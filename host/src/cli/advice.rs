//! What every error means for the user: a stable code, a hint that names a command or a path, and
//! the exit code. Matches are exhaustive: a new variant does not compile without its advice.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::error::CommandError;
use super::exit::Exit;
use super::password::PasswordError;
use crate::authoring::BuildError;
use crate::egress::EgressError;
use crate::enumerate::EnumerateError;
use crate::kb::{KbError, PathError, layout, shell_word as word};
use crate::mutation::{AcquireError, InitError, MutationError, RecoverError};
use crate::plugin::{ConvertError, JobFailure, PluginError};
use crate::prepare::{PrepareError, StagingError};
use crate::selftest::Failure;
use crate::userdir::plugins::StoreError;
use crate::userdir::trust::TrustError;

/// What an error means for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advice {
    /// The kind of error, a stable word for scripts.
    pub(super) code: &'static str,
    /// What to do.
    pub(super) hint: Option<String>,
    /// How the command ends if this error ends it.
    pub(super) exit: Exit,
}

impl Advice {
    fn new(exit: Exit, code: &'static str, hint: impl Into<String>) -> Self {
        Self {
            code,
            hint: Some(hint.into()),
            exit,
        }
    }

    fn without_hint(exit: Exit, code: &'static str) -> Self {
        Self {
            code,
            hint: None,
            exit,
        }
    }

    /// A bug of this program.
    fn bug() -> Self {
        let hint = "this is a bug in kbhost; please report it with the output of the same command \
                    with `-vv`";
        Self::new(Exit::Bug, "bug", hint)
    }
}

/// What `error` means for the user.
pub(super) fn advice(error: &CommandError) -> Advice {
    use Exit::{Failed, Usage};
    match error {
        CommandError::Usage { hint, .. } => Advice::new(Usage, "usage", hint),
        CommandError::Kb(error) => of_kb(error),
        CommandError::Init(InitError::Path(error)) => of_path(error),
        CommandError::Init(InitError::Language(_)) => Advice::new(
            Usage,
            "language",
            "give a language tag: `kbhost init --language en`",
        ),
        CommandError::Init(InitError::Mutation(error))
        | CommandError::Mutation(error)
        | CommandError::Commit { error, .. }
        | CommandError::Remove { error, .. } => of_mutation(error),
        CommandError::Acquire(error) => of_acquire(error),
        CommandError::Recover(error) => of_recover(error),
        CommandError::Plugin(error) => of_plugin(error),
        CommandError::Build(error) => of_build(error),
        CommandError::Enumerate(error) => of_enumerate(error),
        CommandError::Staging(StagingError::Path(error)) | CommandError::Path(error) => {
            of_path(error)
        }
        CommandError::Export(StagingError::Path(error)) => of_export(error),
        CommandError::Egress(error) => of_egress(error),
        CommandError::Trust(error) => of_trust(error),
        CommandError::Ask { about, error } => of_job(&error.failure, about),
        CommandError::Password(error) => of_password(error),
        CommandError::Prepare {
            display,
            error,
            accepted,
        } => of_prepare(error, display, accepted),
        CommandError::NoDocument(_) => Advice::new(
            Failed,
            "no-document",
            "`kbhost list` shows the names of all documents",
        ),
        CommandError::Ambiguous {
            command, matches, ..
        } => {
            let example = matches.first().map_or("NAME", |name| name.as_str());
            let hint = format!("name one of them in full: `kbhost {command} {example}`");
            Advice::new(Usage, "ambiguous", hint)
        }
        CommandError::NoPage { .. } => Advice::new(
            Failed,
            "no-page",
            "if the page was deleted by hand, take it from a backup or add a changed version of \
             the document with `kbhost add PATH`",
        ),
        CommandError::NoTree { name, is_long } => {
            let hint = match is_long {
                true => format!("print its pages with `kbhost show {name} --pages 1-3`"),
                false => {
                    format!("long documents have one; print this one with `kbhost show {name}`")
                }
            };
            Advice::new(Failed, "no-tree", hint)
        }
        CommandError::NoNode { name, .. } => {
            let hint = format!("list its nodes with `kbhost show {name} --tree`");
            Advice::new(Failed, "no-node", hint)
        }
        CommandError::NoPages(name) => {
            let hint = format!("print the whole text with `kbhost show {name}`");
            Advice::new(Failed, "no-pages", hint)
        }
        CommandError::NoSuchPages { name, .. } => {
            let hint = format!("`kbhost show {name} --tree` lists its sections with their pages");
            Advice::new(Usage, "no-such-pages", hint)
        }
        CommandError::PagesInvalid { .. } => Advice::new(
            Failed,
            "pages-invalid",
            "somebody else wrote the file; see what else is wrong with `kbhost doctor`",
        ),
        CommandError::Stdout(_) => Advice::without_hint(Failed, "stdout"),
        CommandError::Signals(_) => Advice::without_hint(Failed, "signals"),
        CommandError::Interrupted(exit) => Advice::without_hint(*exit, "interrupted"),
    }
}

fn of_egress(error: &EgressError) -> Advice {
    use Exit::{Failed, Usage};
    match error {
        EgressError::NoKey { variable, file, .. } => {
            let file = file.as_ref().map_or_else(String::new, |file| {
                format!(
                    ", write `pageindex = \"KEY\"` into {} (mode 600)",
                    word(file)
                )
            });
            let hint = format!(
                "set {variable}{file}, or put it into `.env` of a knowledge base that you trust: \
                 `kbhost trust DIR`"
            );
            Advice::new(Usage, "no-key", hint)
        }
        EgressError::Untrusted { kb } => Advice::new(
            Usage,
            "untrusted-kb",
            format!(
                "if this knowledge base is your own: `kbhost trust {}`",
                word(kb)
            ),
        ),
        EgressError::BadKey { place, .. } => Advice::new(
            Usage,
            "bad-key",
            format!("put a key of the service into {place}"),
        ),
        EgressError::KeyFile { path, mode, .. } => Advice::new(
            Usage,
            "key-file",
            match mode {
                Some(mode) => format!("`chmod {mode} {}`", word(path)),
                None => format!("correct `{}`", path.display()),
            },
        ),
        EgressError::Path(error) => of_path(error),
        EgressError::BadUrl { place, .. } => Advice::new(
            Usage,
            "bad-url",
            format!("correct {place}: `https://HOST`, or plain http to this machine"),
        ),
        EgressError::Policy(_) => Advice::new(
            Failed,
            "policy",
            "correct `policy.toml` in the folder of your settings",
        ),
        EgressError::Client(_) => Advice::without_hint(Failed, "network-client"),
    }
}

fn of_trust(error: &TrustError) -> Advice {
    match error {
        TrustError::Kb(error) => of_kb(error),
        TrustError::Path(error) => of_path(error),
        TrustError::Unsafe {
            path,
            mode: Some(mode),
            ..
        } => Advice::new(
            Exit::Failed,
            "unsafe-kb",
            format!("`chmod {mode} {}`", word(path)),
        ),
        TrustError::Unsafe { path, .. } => Advice::new(
            Exit::Failed,
            "unsafe-kb",
            format!("see who put it there: `ls -ld {}`", word(path)),
        ),
        TrustError::List { path, .. } => Advice::new(
            Exit::Failed,
            "trusted-list",
            format!("correct or remove `{}`", path.display()),
        ),
    }
}

fn of_kb(error: &KbError) -> Advice {
    match error {
        KbError::NotAKb(_) => Advice::new(
            Exit::Usage,
            "no-kb",
            "make one with `kbhost init`, or name one with `--kb-dir DIR`",
        ),
        KbError::ForeignOwner(path) => Advice::new(
            Exit::Usage,
            "foreign-kb",
            format!("if you trust it, name it with `--kb-dir {}`", word(path)),
        ),
        KbError::Path(error) => of_path(error),
        KbError::InvalidPath(_) => Advice::new(
            Exit::Recovery,
            "invalid-path",
            format!(
                "the registry `{}` names a path that no version of kbhost writes; restore the \
                 knowledge base from a backup",
                layout::registry_db()
            ),
        ),
        KbError::Symlink(path) => Advice::new(
            Exit::Failed,
            "symlink",
            format!("replace the symbolic link at or above `{path}` by a plain file or directory"),
        ),
        KbError::Config { path, .. } => Advice::new(
            Exit::Usage,
            "config",
            format!("correct the setting in `{}`", path.display()),
        ),
        KbError::Registry { path, source } => of_sqlite(source, &path.display().to_string()),
        KbError::SearchIndex { path, .. } => Advice::new(
            Exit::Failed,
            "search-index",
            format!(
                "remove `{}`: the next `kbhost add` builds it anew",
                path.display()
            ),
        ),
        KbError::RegistryInvalid { path, .. } => Advice::new(
            Exit::Recovery,
            "registry",
            format!(
                "unless a newer version of kbhost made `{}`: `kbhost registry rebuild` makes it anew \
                 from its newest backup and the files",
                path.display()
            ),
        ),
        KbError::TooManyJournals(dir) => Advice::new(
            Exit::Recovery,
            "too-many-journals",
            format!(
                "look into `{dir}`, move out of it what kbhost and OpenKB did not make, and run \
                 `kbhost recover`"
            ),
        ),
        KbError::HashesJson { path, .. } => Advice::new(
            Exit::Recovery,
            "hashes-json",
            format!(
                "correct `{}`, or restore it from a backup; where kbhost has a registry, `kbhost \
                 registry export` sets the file aside and writes it anew",
                path.display()
            ),
        ),
    }
}

/// What an error of taking the lock and settling what is left over means.
pub(super) fn of_acquire(error: &AcquireError) -> Advice {
    match error {
        AcquireError::Busy { .. } => Advice::new(
            Exit::Busy,
            "busy",
            "wait until the other command is done and run this one again, or wait longer with \
             `--lock-timeout SECONDS`; `kbhost lock` tells more of it",
        ),
        AcquireError::Medium { .. } => Advice::new(
            Exit::Usage,
            "network-fs",
            "move the knowledge base to a local disk; if nobody changes it from another machine, \
             vouch for that with `--allow-network-fs`",
        ),
        AcquireError::Cancelled => Advice::without_hint(Exit::Failed, "cancelled"),
        AcquireError::Path(error) => of_path(error),
        AcquireError::Nested => Advice::bug(),
        AcquireError::Kb(error) => of_kb(error),
        AcquireError::Recovery(error) => {
            let of_cause = of_mutation(error);
            Advice {
                exit: Exit::Recovery,
                ..of_cause
            }
        }
        AcquireError::Undo { source, .. } => {
            let of_cause = of_mutation(source);
            let again = "`kbhost recover` tries again once the cause is gone, and tells how to go \
                         on without; until then nothing is changed";
            match of_cause.hint {
                Some(hint) => Advice::new(Exit::Recovery, of_cause.code, hint),
                None => Advice::new(Exit::Recovery, "undo", again),
            }
        }
        AcquireError::NeedsAttention { hint, .. } => {
            Advice::new(Exit::Recovery, "recovery", hint.clone())
        }
    }
}

fn of_recover(error: &RecoverError) -> Advice {
    match error {
        RecoverError::Acquire(error) => of_acquire(error),
        RecoverError::Unknown { known, .. } if known.is_empty() => Advice::new(
            Exit::Usage,
            "no-journal",
            "no change is left unfinished: nothing needs `kbhost recover`",
        ),
        RecoverError::Unknown { .. } => Advice::new(
            Exit::Usage,
            "no-journal",
            "these are left; `kbhost recover --dry-run` tells what each is",
        ),
        RecoverError::Ambiguous { .. } => Advice::new(
            Exit::Usage,
            "ambiguous",
            "give more of the id; `kbhost recover --dry-run` tells what each is",
        ),
        RecoverError::NotUndoable { hint, .. } => {
            Advice::new(Exit::Recovery, "not-undoable", hint.clone())
        }
        RecoverError::NotAcceptable { hint, .. } => {
            Advice::new(Exit::Recovery, "not-acceptable", hint.clone())
        }
    }
}

fn of_mutation(error: &MutationError) -> Advice {
    let drain = "`kbhost recover` settles it, and so does the next command that changes the \
                 knowledge base";
    match error {
        MutationError::Acquire(error) => of_acquire(error),
        MutationError::Kb(error) => of_kb(error),
        MutationError::Path(error) => of_path(error),
        MutationError::Registry(source) => of_sqlite(source, layout::registry_db().as_str()),
        MutationError::Undecided(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) =>
        {
            let hint =
                "make room on the disk, then run the same command again: it settles this first";
            Advice::new(Exit::Recovery, "undecided", hint)
        }
        MutationError::Undecided(_) => Advice::new(Exit::Recovery, "undecided", drain),
        MutationError::DirtyRollback { .. } => Advice::new(Exit::Recovery, "dirty-rollback", drain),
        MutationError::Fenced { .. } => Advice::new(
            Exit::Recovery,
            "fenced",
            "make sure that no other machine or container changes this knowledge base at the same \
             time, then run `kbhost recover` and look at `kbhost doctor`",
        ),
        MutationError::Undeclared(_) => Advice::bug(),
        MutationError::OriginalNotIn => Advice::new(
            Exit::Failed,
            "original-not-in",
            "run the same command again",
        ),
        MutationError::NoBackup(_) => Advice::new(
            Exit::Failed,
            "no-backup",
            "`kbhost doctor` shows the state of the registry; run the command again",
        ),
        MutationError::Backup(error) => of_mutation(error),
        MutationError::NewerRegistry(_) => Advice::new(
            Exit::Recovery,
            "newer-registry",
            "use that version; `kbhost --version` names this one",
        ),
        MutationError::ReaderInTheWay => Advice::new(
            Exit::Busy,
            "reader-in-the-way",
            "a reader is in the way: end what reads the registry, then run the same command again",
        ),
        MutationError::NoFreeName(_) => Advice::new(
            Exit::Failed,
            "no-free-name",
            "rename the file, then add it again",
        ),
        MutationError::DocumentGone(_) => Advice::new(
            Exit::Failed,
            "document-gone",
            "`kbhost list` shows the documents that are there",
        ),
        MutationError::DocumentUpdated(name) => Advice::new(
            Exit::Failed,
            "document-updated",
            format!(
                "look at the new version with `kbhost show {name}`, then run the command again"
            ),
        ),
        MutationError::Restless(path) => Advice::new(
            Exit::Failed,
            "restless",
            format!("stop the program that keeps writing `{path}`, then run the command again"),
        ),
    }
}

fn of_store(error: &StoreError) -> Advice {
    let failed = |code, hint: String| Advice::new(Exit::Failed, code, hint);
    match error {
        StoreError::Path(error) => of_path(error),
        StoreError::NoHome => failed(
            "no-home",
            "set `KBHOST_CONFIG_DIR` to a folder of yours".to_owned(),
        ),
        StoreError::Damaged { path, .. } => failed(
            "plugin-list",
            format!(
                "unless a newer version of kbhost made `{}`: move it away, and install what you \
                 need again with `kbhost plugin install FILE.wasm`",
                path.display()
            ),
        ),
        StoreError::Unknown { .. } => Advice::new(
            Exit::Usage,
            "no-plugin",
            "`kbhost plugin list` shows the installed ones, `kbhost formats` all; a file is named \
             with a slash or `.wasm`",
        ),
        StoreError::Disabled { name } => Advice::new(
            Exit::Usage,
            "plugin-disabled",
            format!("switch it on with `kbhost plugin enable {name}`"),
        ),
        StoreError::Missing { name, .. } | StoreError::Changed { name, .. } => failed(
            "plugin-changed",
            format!(
                "install it again with `kbhost plugin install FILE.wasm`, or `kbhost plugin remove \
                 {name}`"
            ),
        ),
        StoreError::Raced { name } => failed(
            "plugin-raced",
            format!("look at it with `kbhost plugin inspect {name}` and install again"),
        ),
        StoreError::Refused { name, .. } => failed(
            "plugin-refused",
            format!("ask the author of `{name}` for a version that works"),
        ),
        StoreError::Policy { path, .. } => Advice::new(
            Exit::Usage,
            "policy",
            format!("correct it or remove it: `{}`", path.display()),
        ),
        StoreError::Full => failed(
            "plugins-full",
            "remove one with `kbhost plugin remove NAME`".to_owned(),
        ),
    }
}

/// The code of what a case of the hostile kit came to.
pub(super) fn code_of(failure: Failure<'_>) -> &'static str {
    match failure {
        Failure::Plugin(error) => of_plugin(error).code,
        Failure::Prepare(error) => of_prepare(error, "", &[]).code,
    }
}

fn of_build(error: &BuildError) -> Advice {
    match error {
        BuildError::NoProject(_) => Advice::new(
            Exit::Usage,
            "no-project",
            "`kbhost plugin new NAME` makes a project",
        ),
        BuildError::Tool { .. } => Advice::new(
            Exit::Failed,
            "no-tool",
            "for Rust get cargo from https://rustup.rs, or name tools in CARGO and RUSTC; for Python \
             `python3 -m venv .venv` and `.venv/bin/pip install -r requirements.txt`",
        ),
        BuildError::Target { .. } => Advice::new(
            Exit::Failed,
            "no-target",
            "`rustup target add wasm32-wasip2`, or name a compiler that has the target: \
             `RUSTC=/path/to/rustc kbhost plugin build`",
        ),
        BuildError::Failed { .. } => Advice::without_hint(Exit::Failed, "build-failed"),
        BuildError::NoComponent => Advice::new(
            Exit::Failed,
            "no-component",
            "`kbhost plugin new NAME` makes a project whose `Cargo.toml` shows how",
        ),
        BuildError::Plugin(error) => of_plugin(error),
        BuildError::Path(error) => of_path(error),
    }
}

fn of_plugin(error: &PluginError) -> Advice {
    match error {
        PluginError::Path(error) => of_path(error),
        PluginError::NotAComponent { .. } => Advice::new(
            Exit::Failed,
            "not-a-component",
            "build it for the target `wasm32-wasip2`; core modules and precompiled code are refused",
        ),
        PluginError::Imports { .. } => Advice::new(
            Exit::Failed,
            "plugin-imports",
            "a converter may import `wasi:*@0.2` and `kbhost:converter`, nothing else",
        ),
        PluginError::World { .. } => Advice::new(
            Exit::Failed,
            "plugin-world",
            "build it against the folder `wit/` of this version of kbhost",
        ),
        PluginError::NeedsService { name } => Advice::new(
            Exit::Usage,
            "needs-service",
            format!("`kbhost add --via {name} FILE` sends a file there and imports the result"),
        ),
        PluginError::Compile { .. } => Advice::without_hint(Exit::Failed, "plugin-compile"),
        PluginError::Describe { .. } => Advice::new(
            Exit::Failed,
            "plugin-describe",
            "ask the author of the plugin for a version that works",
        ),
        PluginError::Manifest { .. } => Advice::new(
            Exit::Failed,
            "plugin-manifest",
            "correct `kbhost-plugin.toml`, or install the component itself: `kbhost plugin \
             install FILE.wasm`",
        ),
        PluginError::Store(error) => of_store(error),
        PluginError::Engine(_) => Advice::new(
            Exit::Failed,
            "engine",
            "look at the limits of this process, `ulimit -a`: the engine reserves address space",
        ),
    }
}

fn of_enumerate(error: &EnumerateError) -> Advice {
    match error {
        EnumerateError::Path(error) => of_path(error),
        EnumerateError::IgnoreTooLarge(_) => Advice::new(
            Exit::Failed,
            "ignore-file",
            "name folders in it instead of single files, or remove it",
        ),
        EnumerateError::NotAFile(..) => Advice::new(
            Exit::Failed,
            "not-a-file",
            "save what it delivers as a regular file, and `kbhost add` that",
        ),
        EnumerateError::OwnFile(_) => Advice::new(
            Exit::Failed,
            "own-file",
            "files of the knowledge base itself are read with `kbhost show DOC`; copy the file out \
             to add it as a document",
        ),
        EnumerateError::Misnamed(..) => Advice::new(
            Exit::Failed,
            "misnamed",
            "`kbhost formats` lists what is taken; `--plugin FILE.wasm` names another converter",
        ),
        EnumerateError::Secret(_) => Advice::new(
            Exit::Failed,
            "password",
            "name the documents alone, and the file of the password with `--password-file`",
        ),
        EnumerateError::NameNotUtf8(_) => Advice::new(
            Exit::Failed,
            "name-not-utf8",
            "rename the file with `mv` to a name in UTF-8",
        ),
    }
}

fn of_prepare(error: &PrepareError, display: &str, accepted: &[String]) -> Advice {
    let failed = |code, hint: String| Advice::new(Exit::Failed, code, hint);
    match error {
        PrepareError::Enumerate(error) => of_enumerate(error),
        PrepareError::Input(error) => of_path(error),
        PrepareError::Changed(_) => failed(
            "changed",
            "wait until the program that writes it is done, and add it again".to_owned(),
        ),
        PrepareError::Unsupported(_) => failed(
            "unsupported",
            format!(
                "converters take files that end in: {}; `--plugin FILE.wasm` names another one",
                accepted.join(", ")
            ),
        ),
        PrepareError::InputTooLarge { .. } => failed(
            "too-large",
            "split the file into smaller ones and add these".to_owned(),
        ),
        PrepareError::Empty(path) => failed(
            "empty",
            format!(
                "look at the file, `ls -l {}`: its content may have been lost in a copy",
                word(path)
            ),
        ),
        PrepareError::Job(job) => of_job(&job.failure, display),
        PrepareError::Staging(StagingError::Path(error)) => of_path(error),
        PrepareError::Workers(_) => failed(
            "workers",
            "start fewer with `--jobs 1`, or look at the limits of this process: `ulimit -a`"
                .to_owned(),
        ),
        PrepareError::Panicked { .. } => Advice::bug(),
        PrepareError::Cancelled(_) => Advice::without_hint(Exit::Failed, "cancelled"),
    }
}

fn of_job(failure: &JobFailure, display: &str) -> Advice {
    let limit = "split the document into smaller ones, or try another converter with \
                 `--plugin FILE.wasm`";
    let author = "report it to the author of the plugin, or try another one with \
                  `--plugin FILE.wasm`";
    let failed = |code, hint: &str| Advice::new(Exit::Failed, code, hint);
    match failure {
        JobFailure::Converter(error) => of_converter(error, display),
        JobFailure::Cpu { .. } => failed("limit-cpu", limit),
        JobFailure::Wall { .. } => failed("limit-wall", limit),
        JobFailure::Memory { .. } => failed("limit-memory", limit),
        JobFailure::Output { .. } => failed("limit-output", limit),
        JobFailure::Trap(_) | JobFailure::Exit(_) => failed("trap", author),
        JobFailure::Cancelled => Advice::without_hint(Exit::Failed, "cancelled"),
        JobFailure::InvalidOutput(_) => failed("invalid-output", author),
        JobFailure::Denied(_) => failed(
            "denied",
            "without `--strict` it is converted all the same: the attempts were refused",
        ),
        JobFailure::Host(_) => failed(
            "sandbox",
            "run the same command with `-vv` to see what the sandbox could not do",
        ),
    }
}

fn of_converter(error: &ConvertError, display: &str) -> Advice {
    let failed = |code, hint: &str| Advice::new(Exit::Failed, code, hint);
    match error {
        ConvertError::Unsupported(_) => failed(
            "unsupported",
            "save it in another format, or try another converter with `--plugin FILE.wasm`",
        ),
        ConvertError::Corrupt(_) => Advice::new(
            Exit::Failed,
            "malformed",
            format!(
                "`file {}` tells what it is; if it opens in its own program, save it anew from \
                 there, a text as UTF-8, and try again",
                word(display)
            ),
        ),
        ConvertError::Encrypted(_) => failed(
            "encrypted",
            "run the command again with `--password-file PATH`: the first line of PATH, or of standard \
             input where PATH is `-`, is the password",
        ),
        ConvertError::WrongPassword => failed(
            "encrypted",
            "the password is the first line of what `--password-file` names, every blank of it; documents \
             with other passwords take a run each",
        ),
        ConvertError::Withheld(_) => failed(
            "encrypted",
            "only converters that come with kbhost are given passwords: save a copy without it, in its \
             own program or with `qpdf --decrypt`, and use that",
        ),
        ConvertError::TooLarge(_) => failed(
            "too-large",
            "split the document into smaller ones and add these with `kbhost add`",
        ),
        ConvertError::MissingDependency(_) => failed(
            "missing-dependency",
            "put the missing files beside the document and add it again with `kbhost add`",
        ),
        ConvertError::Cancelled => Advice::without_hint(Exit::Failed, "cancelled"),
        ConvertError::Timeout => failed("timeout", "run the command again later"),
        ConvertError::NotFound(_) => failed(
            "not-found",
            "`kbhost cloud list` tells which documents the service has",
        ),
        ConvertError::Network(_) => failed("network", "look at the connection and try again"),
        ConvertError::Auth(_) => failed(
            "auth",
            "the service refuses the key: look at PAGEINDEX_API_KEY, or at `credentials.toml` in your \
             settings",
        ),
        ConvertError::Quota(_) => failed(
            "quota",
            "look at your account at the service, or run the command again later with fewer `--jobs`",
        ),
        ConvertError::Upstream(_) => failed(
            "upstream",
            "`kbhost cloud status DOC_ID` tells how far the service is; run the command again later",
        ),
        ConvertError::Internal(_) => failed(
            "plugin-internal",
            "report it to the author of the plugin, or try another one with `--plugin FILE.wasm`",
        ),
    }
}

fn of_password(error: &PasswordError) -> Advice {
    let usage = |hint: &str| Advice::new(Exit::Usage, "password", hint);
    match error {
        PasswordError::Path(error) => of_path(error),
        PasswordError::Folder(_) => usage("name the file that holds it: `--password-file PATH`"),
        PasswordError::Terminal(_) => usage(
            "pipe it in, as `pass show NAME | kbhost add PATH --password-file -` does, or name a file",
        ),
        PasswordError::Invalid { .. } => usage(
            "the first line of what `--password-file` names is the password, as it is; `head -n 1` shows it",
        ),
        PasswordError::Foreign(_) => usage(
            "only converters that come with kbhost are given passwords: leave out `--plugin` or \
             `--password-file`",
        ),
    }
}

/// The results of `convert -o`.
fn of_export(error: &PathError) -> Advice {
    if error.source.kind() == io::ErrorKind::AlreadyExists {
        let hint = format!(
            "replace `{}` with `--force`, or choose another folder with `-o DIR`",
            error.path.display()
        );
        return Advice::new(Exit::Failed, "exists", hint);
    }
    of_path(error)
}

fn of_path(error: &PathError) -> Advice {
    if Errno::from_io_error(&error.source) == Some(Errno::LOOP) {
        let hint = format!("`ls -l {}` shows where the link leads", word(&error.path));
        return Advice::new(Exit::Failed, "symlink", hint);
    }
    let (code, hint) = match error.source.kind() {
        io::ErrorKind::NotFound => (
            "not-found",
            format!("look for the right name near it: `ls {}`", folder(error)),
        ),
        io::ErrorKind::PermissionDenied => (
            "permission",
            format!("look at the permissions: `ls -ld {}`", word(&error.path)),
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
            "disk-full",
            format!(
                "make room on the disk (`df -h {}`), then run the same command again: what is in \
                 already is skipped",
                folder(error)
            ),
        ),
        io::ErrorKind::ReadOnlyFilesystem => (
            "read-only",
            format!(
                "the disk is mounted read-only: `findmnt -T {}` shows it",
                folder(error)
            ),
        ),
        _ => return Advice::without_hint(Exit::Failed, "io"),
    };
    Advice::new(Exit::Failed, code, hint)
}

/// The nearest folder above the path that there is, as a word of a shell.
fn folder(error: &PathError) -> String {
    let above = error.path.ancestors().skip(1);
    let there = above.into_iter().find(|path| path.is_dir());
    word(there.unwrap_or(Path::new(".")))
}

fn of_sqlite(error: &rusqlite::Error, path: &str) -> Advice {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Advice::new(
            Exit::Recovery,
            "registry",
            format!(
                "`kbhost registry rebuild` makes `{path}` anew from its newest backup and the files"
            ),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Advice::new(
            Exit::Busy,
            "busy",
            format!("another program has `{path}` open: close it and run the command again"),
        ),
        Some(ErrorCode::DiskFull) => Advice::new(
            Exit::Failed,
            "disk-full",
            format!("make room on the disk of `{path}`, then run the same command again"),
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            Advice::new(
                Exit::Failed,
                "permission",
                format!("look at the permissions: `ls -l {}`", word(path)),
            )
        }
        _ => Advice::without_hint(Exit::Failed, "registry-io"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn check(error: impl Into<CommandError>, code: &str, exit: Exit, hint: &str) {
        let error = error.into();
        let advice = advice(&error);
        assert_eq!((advice.code, advice.exit), (code, exit), "{error}");
        let text = advice.hint.unwrap_or_default();
        assert!(text.contains(hint), "`{text}` lacks `{hint}`");
    }

    fn path(kind: io::ErrorKind) -> PathError {
        PathError::new("write", "src/cli/none/a.md", kind)
    }

    #[test]
    fn usage_and_missing_kbs_end_with_2() {
        let none = KbError::NotAKb(PathBuf::from("/x"));
        check(none, "no-kb", Exit::Usage, "`kbhost init`");
        let foreign = KbError::ForeignOwner(PathBuf::from("/x"));
        check(foreign, "foreign-kb", Exit::Usage, "`--kb-dir /x`");
    }

    #[test]
    fn the_lock_and_recovery_have_their_own_codes() {
        let busy = || AcquireError::Busy {
            path: PathBuf::from("/kb"),
            waited: Duration::from_secs(1),
            holder: Some("held by `kbhost add`, process 7".to_owned()),
        };
        check(busy(), "busy", Exit::Busy, "--lock-timeout");
        let nested = MutationError::Acquire(busy());
        check(nested, "busy", Exit::Busy, "--lock-timeout");
        let attention = AcquireError::NeedsAttention {
            reason: "a journal".to_owned(),
            hint: "look at `x`".to_owned(),
        };
        check(attention, "recovery", Exit::Recovery, "look at `x`");
        let dirty = MutationError::DirtyRollback {
            cause: "write".to_owned(),
            journal: "1".to_owned(),
            source: Box::new(MutationError::Path(path(io::ErrorKind::StorageFull))),
        };
        check(dirty, "dirty-rollback", Exit::Recovery, "kbhost recover");
        let undecided = MutationError::Undecided(rusqlite::Error::InvalidQuery);
        check(undecided, "undecided", Exit::Recovery, "kbhost recover");
        check(AcquireError::Nested, "bug", Exit::Bug, "bug");
    }

    #[test]
    fn disks_tell_what_to_do() {
        use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
        check(
            path(StorageFull),
            "disk-full",
            Exit::Failed,
            "`df -h src/cli`",
        );
        check(path(NotFound), "not-found", Exit::Failed, "`ls src/cli`");
        check(
            path(ReadOnlyFilesystem),
            "read-only",
            Exit::Failed,
            "findmnt -T src/cli",
        );
        check(path(PermissionDenied), "permission", Exit::Failed, "a.md");
        let exists = StagingError::Path(path(io::ErrorKind::AlreadyExists));
        let exists = CommandError::Export(exists);
        check(exists, "exists", Exit::Failed, "--force");
    }

    #[test]
    fn commands_in_hints_can_be_pasted() {
        let check = |path: &str, expected: &str| assert_eq!(word(path), expected);
        check("docs/a.md", "docs/a.md");
        check("docs/Überblick-1.md", "docs/Überblick-1.md");
        check("two words.md", "'two words.md'");
        check("$(rm -rf ~).md", "'$(rm -rf ~).md'");
        check("it's`x`.md", r"'it'\''s`x`.md'");
        check("-rf", "./-rf");
        check("", "''");
    }

    #[test]
    fn circles_of_links_can_be_looked_at() {
        let error = PathError::new("read", "l.md", Errno::LOOP);
        check(error, "symlink", Exit::Failed, "`ls -l l.md`");
    }

    #[test]
    fn a_damaged_registry_needs_a_person() {
        let sqlite = |code| KbError::Registry {
            path: PathBuf::from("r.db"),
            source: rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None),
        };
        check(sqlite(11), "registry", Exit::Recovery, "r.db");
        check(sqlite(26), "registry", Exit::Recovery, "r.db");
        check(sqlite(5), "busy", Exit::Busy, "r.db");
        check(sqlite(13), "disk-full", Exit::Failed, "r.db");
        check(sqlite(10), "registry-io", Exit::Failed, "");
    }

    #[test]
    fn each_limit_has_a_code_of_its_own() {
        let code = |failure: JobFailure| of_job(&failure, "a.pdf").code;
        let second = Duration::from_secs(1);
        let codes = [
            code(JobFailure::Cpu {
                used: second,
                limit: second,
            }),
            code(JobFailure::Wall { limit: second }),
            code(JobFailure::Memory { limit_bytes: 1 }),
            code(JobFailure::Output {
                limit_bytes: 1,
                limit_files: 1,
            }),
        ];
        assert_eq!(
            codes,
            ["limit-cpu", "limit-wall", "limit-memory", "limit-output"]
        );
    }
}
