//! The command line as typed. What it means is `settings` and each command's own affair.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::authoring::Language;
use crate::kb::PageRanges;
use crate::kb::config::{Jobs, parse_jobs, parse_threshold};
use crate::kb::tree::NodeId;

/// A lock that is not free after a day is somebody's mistake.
const LOCK_TIMEOUT_SECONDS_MAX: u64 = 86_400;

/// `search` prints at most this many hits.
const SEARCH_LIMIT_MAX: u64 = 1_000;

/// Turns untrusted documents into a knowledge base you can trust: a folder of plain Markdown.
#[derive(Debug, Parser)]
#[command(name = "kbhost", version, propagate_version = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 some inputs failed, 2 usage or no knowledge base, \
    3 recovery needs attention, 4 findings of `doctor`, `verify`, `registry import`, `cache verify`, `plugin test` or `plugin selftest`, 70 a bug, 75 the lock was not free in time, 130 and 143 on signals."
)]
pub(super) struct Typed {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: CommandArgs,
}

/// What every command takes.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalArgs {
    /// The knowledge base [else: KBHOST_KB, OPENKB_DIR, the current folder or one above, the default of `init --default`]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) kb_dir: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Tell more on stderr: -v the time of each stage, -vv details
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Print no progress, notes or summary
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Log lines for people, or one JSON object each
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// When to use colours; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
}

/// `--log-format`. Its variants explain themselves: their docs would triple the help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// `--color`, likewise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum CommandArgs {
    /// Make a knowledge base
    Init(InitArgs),
    /// Add files and folders
    Add(AddArgs),
    /// Ask PageIndex Cloud what it has
    Cloud(CloudArgs),
    /// Convert one file to Markdown, without a knowledge base
    Convert(ConvertArgs),
    /// List the documents
    List(ListArgs),
    /// Show where the knowledge base is and what is in it
    Status,
    /// Print a document's text
    Show(ShowArgs),
    /// Search the text of all documents
    Search(SearchArgs),
    /// Remove documents with their pages
    Remove(RemoveArgs),
    /// Finish or undo what a crash left behind
    Recover(RecoverArgs),
    /// Look for damage; each finding names the command that repairs it
    Doctor,
    /// Show who holds the lock
    Lock,
    /// Export, import, back up or rebuild the registry
    Registry(RegistryArgs),
    /// Prepare documents again from their originals and compare
    Verify(VerifyArgs),
    /// Count, clear or check what is kept to save time: compiled plugins, conversions
    Cache(CacheCommandArgs),
    /// Let the `.env` of a knowledge base hold your keys
    Trust(TrustArgs),
    /// Install, list, inspect, remove, switch and prefer converters
    Plugin(PluginArgs),
    /// List what is accepted by which converter
    Formats,
}

impl CommandArgs {
    /// The word that was typed.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Add(_) => "add",
            Self::Cloud(_) => "cloud",
            Self::Convert(_) => "convert",
            Self::List(_) => "list",
            Self::Status => "status",
            Self::Show(_) => "show",
            Self::Search(_) => "search",
            Self::Remove(_) => "remove",
            Self::Recover(_) => "recover",
            Self::Doctor => "doctor",
            Self::Lock => "lock",
            Self::Registry(_) => "registry",
            Self::Verify(_) => "verify",
            Self::Cache(_) => "cache",
            Self::Trust(_) => "trust",
            Self::Plugin(_) => "plugin",
            Self::Formats => "formats",
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct InitArgs {
    /// Where [default: --kb-dir, else the current folder]
    pub(super) dir: Option<PathBuf>,
    /// The language that pages are written in
    #[arg(short, long, value_name = "LANGUAGE", default_value = "en")]
    pub(super) language: String,
    /// Make it the one that is meant where none is named or found, also one that is there already
    #[arg(long)]
    pub(super) default: bool,
    #[command(flatten)]
    pub(super) lock: LockArgs,
}

#[derive(Args, Debug)]
#[command(
    override_usage = "kbhost add [OPTIONS] <PATH>...\n       kbhost add [OPTIONS] --from-pageindex-cloud <DOC_ID>..."
)]
pub(super) struct AddArgs {
    /// Files, and folders to walk
    #[arg(required_unless_present = "from_pageindex_cloud", value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Workers: a number, or `auto` for one a core [default: `jobs` in config.yaml, else auto]
    #[arg(short, long, value_name = "N", value_parser = parse_jobs)]
    pub(super) jobs: Option<Jobs>,
    /// Convert everything with this converter: its name, or a component
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) plugin: Option<PathBuf>,
    /// Import documents that PageIndex Cloud has, by their ids
    #[arg(long, value_name = "DOC_ID", num_args = 1..,
        conflicts_with_all = ["paths", "plugin", "via", "reconvert", "password_file", "pageindex_threshold"])]
    pub(super) from_pageindex_cloud: Vec<String>,
    /// Send PDFs to a service, `pageindex-cloud`, have it convert them, and import the result
    #[arg(long, value_name = "SERVICE", hide_possible_values = true,
        conflicts_with_all = ["plugin", "reconvert", "password_file", "pageindex_threshold"])]
    pub(super) via: Option<Via>,
    /// Keep pages and sections of documents from so many pages on [default: `pageindex_threshold` in config.yaml, else 20]
    #[arg(long, value_name = "N", value_parser = parse_threshold)]
    pub(super) pageindex_threshold: Option<u32>,
    /// Convert again what is in already, where another converter, version or threshold made it
    #[arg(long)]
    pub(super) reconvert: bool,
    /// Say what would be done; convert and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) conversion: ConversionArgs,
    #[command(flatten)]
    pub(super) password: PasswordArgs,
    #[command(flatten)]
    pub(super) lock: LockArgs,
}

/// A service that converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Via {
    /// PageIndex Cloud
    PageindexCloud,
}

#[derive(Args, Debug)]
pub(super) struct CloudArgs {
    #[command(subcommand)]
    pub(super) action: CloudAction,
}

/// What can be asked of PageIndex Cloud.
#[derive(Subcommand, Debug)]
pub(super) enum CloudAction {
    /// List the documents that the service has, and which of them are in the knowledge base
    List,
    /// Show how far the service is with documents
    Status {
        /// Their ids
        #[arg(required = true, value_name = "DOC_ID")]
        ids: Vec<String>,
    },
}

/// What every command takes that converts.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(super) struct ConversionArgs {
    /// Convert again what was converted before, and keep nothing for later
    #[arg(long, env = "KBHOST_NO_CACHE", hide_env_values = true,
        value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) no_cache: bool,
    /// Fail a document whose converter tried what it may not: a socket, a link, a way out
    #[arg(long)]
    pub(super) strict: bool,
}

/// What every command takes that may meet documents under a password.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct PasswordArgs {
    /// Open documents with the password in the first line of this file, `-` for standard input; built-in converters alone get it
    #[arg(long, value_name = "PATH")]
    pub(super) password_file: Option<PathBuf>,
}

/// What every command takes that waits for the lock.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(super) struct WaitArgs {
    /// How long to wait for the lock [default: 60 on a terminal, else 10]
    #[arg(long, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(..=LOCK_TIMEOUT_SECONDS_MAX))]
    pub(super) lock_timeout: Option<u64>,
    /// Do not wait for the lock
    #[arg(long, conflicts_with = "lock_timeout")]
    pub(super) no_wait: bool,
}

/// What every command takes that changes the knowledge base.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(super) struct LockArgs {
    #[command(flatten)]
    pub(super) wait: WaitArgs,
    /// Change a knowledge base on a network file system, whose locks may not hold
    #[arg(long)]
    pub(super) allow_network_fs: bool,
}

impl WaitArgs {
    /// How long to wait for the lock; somebody who sits before a terminal can end a longer wait.
    pub(super) fn time(self, on_terminal: bool) -> Duration {
        let seconds = match (self.no_wait, self.lock_timeout) {
            (true, _) => 0,
            (false, Some(seconds)) => seconds,
            (false, None) if on_terminal => 60,
            (false, None) => 10,
        };
        Duration::from_secs(seconds)
    }
}

#[derive(Args, Debug)]
pub(super) struct RemoveArgs {
    /// Name, file name, or a part of either that only one document has
    #[arg(required = true, value_name = "DOC")]
    pub(super) documents: Vec<String>,
    /// Leave the originals in `raw/`
    #[arg(long)]
    pub(super) keep_raw: bool,
    /// Say what would be removed; change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) lock: LockArgs,
}

#[derive(Args, Debug)]
pub(super) struct TrustArgs {
    /// The knowledge base [default: the one that every command means]
    #[arg(conflicts_with = "list")]
    pub(super) dir: Option<PathBuf>,
    /// List those that are trusted
    #[arg(long, conflicts_with = "remove")]
    pub(super) list: bool,
    /// Trust it no more
    #[arg(long)]
    pub(super) remove: bool,
}

#[derive(Args, Debug)]
pub(super) struct RecoverArgs {
    /// Say what is left over and what would be done; change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Take the knowledge base as it is now: the change ID is not undone, what it kept is set aside
    #[arg(long, value_name = "ID")]
    pub(super) accept: Option<String>,
    /// Undo the change ID, which the registry cannot decide on
    #[arg(long, value_name = "ID", conflicts_with = "accept")]
    pub(super) undo: Option<String>,
    #[command(flatten)]
    pub(super) lock: LockArgs,
}

#[derive(Args, Debug)]
pub(super) struct RegistryArgs {
    #[command(subcommand)]
    pub(super) action: RegistryAction,
}

/// `kbhost registry ACTION`.
#[derive(Debug, Subcommand)]
pub(super) enum RegistryAction {
    /// Write `hashes.json` for OpenKB, also where the settings say never
    Export {
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Take over what another program changed in `hashes.json`
    #[command(
        after_help = "Without --merge nothing is changed, and the exit code is 4 if something \
        differs. With --merge it is 3 if both sides changed an entry: then nothing is merged."
    )]
    Import {
        /// Merge its changes with ours; else only show what differs
        #[arg(long)]
        merge: bool,
        /// Where both changed an entry, keep the registry's
        #[arg(long, requires = "merge")]
        ours: bool,
        /// Where both changed an entry, take that of `hashes.json`
        #[arg(long, requires = "merge", conflicts_with = "ours")]
        theirs: bool,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Make a lost or damaged registry anew: from the newest backup, `hashes.json`, `raw/` and `wiki/`
    Rebuild {
        /// Do not ask, and replace a registry that is sound
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Keep a copy of the registry now; one a day is made by itself, and five are kept
    Backup,
}

#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// Name, file name, or a part of either that only one document has
    #[arg(required_unless_present = "all", value_name = "DOC")]
    pub(super) documents: Vec<String>,
    /// Verify every document
    #[arg(long, conflicts_with = "documents")]
    pub(super) all: bool,
    /// The component that converted them
    #[arg(long, value_name = "FILE.wasm")]
    pub(super) plugin: Option<PathBuf>,
    #[command(flatten)]
    pub(super) password: PasswordArgs,
}

#[derive(Args, Debug)]
pub(super) struct CacheCommandArgs {
    #[command(subcommand)]
    pub(super) action: CacheAction,
}

/// `kbhost cache ACTION`.
#[derive(Debug, Subcommand)]
pub(super) enum CacheAction {
    /// Count entries and bytes
    Stats,
    /// Remove entries: of both kinds, unless one is named
    Clear {
        /// Compiled plugins
        #[arg(long)]
        compiled: bool,
        /// Conversions
        #[arg(long)]
        prepared: bool,
    },
    /// Check that each entry is as it was written; exit code 4 if one is not
    Verify {
        /// Remove those that are not
        #[arg(long)]
        repair: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    pub(super) action: PluginAction,
}

/// `kbhost plugin ACTION`.
#[derive(Debug, Subcommand)]
pub(super) enum PluginAction {
    /// Install a component, or the plugin in a folder with `kbhost-plugin.toml`
    Install {
        /// The component or the folder
        #[arg(value_name = "FILE.wasm|DIR")]
        source: PathBuf,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// List the installed plugins
    List {
        /// List instead the documents that other converters made than would make them now
        #[arg(long)]
        stale: bool,
    },
    /// Show what a component is and asks for, from its binary
    Inspect {
        /// An installed or built-in converter, or a component
        #[arg(value_name = "NAME|FILE.wasm")]
        plugin: PathBuf,
    },
    /// Make a project for a new converter
    New {
        /// Its name: a-z, 0-9 and -
        name: String,
        /// The language to write it in
        #[arg(long, value_name = "LANGUAGE", value_enum, default_value_t)]
        lang: Language,
        /// Where [default: a new folder of that name]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Build a converter with its language's own tools, with your rights: they are not caged
    Build {
        /// The project
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Build what is given to others: optimised
        #[arg(long)]
        release: bool,
    },
    /// Check a converter in the sandbox: contract, golden files, determinism, limits, damaged inputs
    #[command(after_help = "The exit code is 4 if a check fails.")]
    Test(TestArgs),
    /// Remove an installed plugin; documents that it converted stay
    Remove {
        /// The plugin
        name: String,
    },
    /// Use an installed plugin again
    Enable {
        /// The plugin
        name: String,
    },
    /// Keep an installed plugin, but do not use it
    Disable {
        /// The plugin
        name: String,
    },
    /// Choose the converter of a media type that several take
    Prefer {
        /// `text/markdown`; `kbhost formats` lists them
        #[arg(value_name = "MEDIA-TYPE")]
        media_type: String,
        /// An installed or built-in converter
        #[arg(required_unless_present = "none")]
        plugin: Option<String>,
        /// Prefer none: the built-in converter, else the surest
        #[arg(long, conflicts_with = "plugin")]
        none: bool,
    },
    /// Let hostile converters loose in the sandbox on this machine, and show what caught each
    Selftest {
        /// Run this case alone; may be given more than once
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
    },
}

#[derive(Args, Debug)]
pub(super) struct TestArgs {
    /// The component, or the folder with its `kbhost-plugin.toml` [default: this folder]
    #[arg(value_name = "FILE.wasm|DIR")]
    pub(super) source: Option<PathBuf>,
    /// Instead: an installed or built-in converter
    #[arg(long, value_name = "NAME", conflicts_with = "source")]
    pub(super) plugin: Option<String>,
    /// Golden files: `input/` and `expected/` [default: `tests/golden` in DIR]
    #[arg(long, value_name = "DIR")]
    pub(super) golden: Option<PathBuf>,
    /// Take what comes out for what is expected
    #[arg(long)]
    pub(super) bless: bool,
    /// A further input, without an expectation; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) input: Vec<PathBuf>,
    /// Damaged copies of each input to try
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(super) mutations: u16,
    /// Keep the damaged copies that end badly in this folder
    #[arg(long, value_name = "DIR")]
    pub(super) keep: Option<PathBuf>,
    /// Time for all of it
    #[arg(long, value_name = "SECONDS", default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) timeout: u64,
}

#[derive(Args, Debug)]
pub(super) struct ConvertArgs {
    /// The file
    pub(super) file: PathBuf,
    /// Write Markdown and images into this folder instead of Markdown to stdout
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// Convert with this converter: its name, or a component
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) plugin: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long, requires = "output")]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) conversion: ConversionArgs,
    #[command(flatten)]
    pub(super) password: PasswordArgs,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only those with pages that have no text and show a picture of it
    #[arg(long)]
    pub(super) needs_ocr: bool,
}

#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Name, file name, or a part of either that only one document has
    #[arg(value_name = "DOC")]
    pub(super) document: String,
    /// The converted text; the default
    #[arg(long, conflicts_with = "summary")]
    pub(super) source: bool,
    /// The summary page
    #[arg(long)]
    pub(super) summary: bool,
    /// The section tree of a long document
    #[arg(long, conflicts_with_all = ["source", "summary"])]
    pub(super) tree: bool,
    /// Pages of a long document, for example 3,10-14
    #[arg(long, value_name = "PAGES", value_parser = PageRanges::parse,
        conflicts_with_all = ["source", "summary", "tree"])]
    pub(super) pages: Option<PageRanges>,
    /// A section of a long document with its text, by its id in the tree
    #[arg(long, value_name = "ID", value_parser = node_id,
        conflicts_with_all = ["source", "summary", "tree", "pages"])]
    pub(super) node: Option<NodeId>,
    #[command(flatten)]
    pub(super) wait: WaitArgs,
}

/// Reads the id of a node of a section tree.
fn node_id(typed: &str) -> Result<NodeId, String> {
    let number = typed.parse().map(NodeId);
    number.map_err(|_| "an id is a number such as 0007; `show DOC --tree` lists them".to_owned())
}

#[derive(Args, Debug)]
pub(super) struct SearchArgs {
    /// Words that a passage must hold, all of them; "several words" in quotes are a phrase
    #[arg(required = true)]
    pub(super) words: Vec<String>,
    /// The most hits to print
    #[arg(short, long, value_name = "N", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=SEARCH_LIMIT_MAX))]
    pub(super) limit: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Typed, ErrorKind> {
        let words = std::iter::once("kbhost").chain(line.split_whitespace());
        Typed::try_parse_from(words).map_err(|error| error.kind())
    }

    fn add(line: &str) -> AddArgs {
        match parse(line).unwrap().command {
            CommandArgs::Add(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Typed::command().debug_assert();
    }

    #[test]
    fn jobs_are_auto_or_1_to_256() {
        let check = |text: &str, expected: Option<Jobs>| {
            assert_eq!(parse_jobs(text).ok(), expected, "{text}");
        };
        check("auto", Some(Jobs::Auto));
        check("1", Some(Jobs::Count(1)));
        check("256", Some(Jobs::Count(256)));
        check("0", None);
        check("257", None);
        check("-1", None);
        check("two", None);
        assert_eq!(
            parse("add --jobs 0 x").unwrap_err(),
            ErrorKind::ValueValidation
        );
    }

    #[test]
    fn the_lock_is_waited_for_a_minute_on_a_terminal_unless_told() {
        let check = |line: &str, on_terminal, seconds| {
            let wait = add(line).lock.wait.time(on_terminal);
            assert_eq!(wait, Duration::from_secs(seconds), "{line}");
        };
        check("add x", true, 60);
        check("add x", false, 10);
        check("add --lock-timeout 5 x", true, 5);
        check("add --lock-timeout 0 x", false, 0);
        check("add x --no-wait", true, 0);
        assert_eq!(
            parse("add --no-wait --lock-timeout 5 x").unwrap_err(),
            ErrorKind::ArgumentConflict
        );
    }

    #[test]
    fn wrong_usage_is_refused() {
        let check = |line: &str, kind| assert_eq!(parse(line).unwrap_err(), kind, "{line}");
        check("add", ErrorKind::MissingRequiredArgument);
        check("search", ErrorKind::MissingRequiredArgument);
        check("search --limit 0 x", ErrorKind::ValueValidation);
        check("convert x --force", ErrorKind::MissingRequiredArgument);
        check("show --source --summary x", ErrorKind::ArgumentConflict);
        check("frobnicate", ErrorKind::InvalidSubcommand);
        check("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in ["--json -vv list --kb-dir d", "list --kb-dir d -v --json -v"] {
            let typed = parse(line).unwrap();
            assert!(typed.global.json);
            assert_eq!(typed.global.verbose, 2);
            assert_eq!(typed.global.kb_dir, Some(PathBuf::from("d")));
            assert_eq!(typed.command.name(), "list");
        }
    }
}
