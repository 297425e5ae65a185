//! The kit as data: one row for each attempt.

use super::case::{Aid, CANARIES, Case, Expected, Guest, Pose};
use Expected::{Error, Page};
use Guest::{Aided, Asking, Assembled, Calling, Describing, Listing, Posing, Probed, Told};

const fn case(
    name: &'static str,
    attempts: &'static str,
    guest: Guest,
    expected: &'static [Expected],
) -> Case {
    Case {
        name,
        attempts,
        guest,
        expected,
    }
}

const OPEN: &str = "wasi:filesystem/open-at";
const RENAME: &str = "wasi:filesystem/rename-at";
const SYMLINK: &str = "wasi:filesystem/symlink-at";

/// There is nothing for it to see.
const fn nothing(page: &'static str) -> Expected {
    Page("nothing-there", page, &[])
}

/// Refused, by these functions.
const fn denied(page: &'static str, by: &'static [&'static str]) -> Expected {
    Page("denied", page, by)
}

const CALL: &str = "kbhost:cloud/endpoint.call";
const LOCATE: &str = "kbhost:cloud/endpoint.locate";
const KEY_IN_ANSWER: &str = "kbhost:cloud/endpoint.credential-in-answer";

const TIMEOUT: &[Expected] = &[Error("limit-cpu", "timeout: ")];
const MEMORY: &[Expected] = &[Error("limit-memory", "memory: more than ")];
const OUTPUT: &[Expected] = &[Error("limit-output", "disk: more than ")];
const SILENT: &str = "what it is: timeout: ";
const NO_MEMORY: &str = "memory: more than 134217728 bytes";

/// The kit.
pub(crate) const CASES: &[Case] = &[
    // Out of the two directories.
    case(
        "read-system-file",
        "read /etc/passwd",
        Told("read /etc/passwd"),
        &[nothing("refused: read: NotFound")],
    ),
    case(
        "read-proc",
        "read the environment from /proc",
        Told("read /proc/self/environ"),
        &[nothing("refused: read: NotFound")],
    ),
    case(
        "reach-canaries",
        "read, list, write, move, link or remove files beside and above its own",
        Told(CANARIES),
        &[denied("refused: reach", &[OPEN, RENAME])],
    ),
    case(
        "dot-dot",
        "climb out with `..`",
        Told("read-up"),
        &[denied("refused: read-up", &[OPEN])],
    ),
    case(
        "trailing-slash",
        "slip out behind a trailing slash",
        Told("slash"),
        &[denied("refused: slash", &[OPEN])],
    ),
    case(
        "symlink-relative",
        "make a symbolic link that leads up",
        Told("symlink ../../../../etc/passwd"),
        &[denied("refused: symlink", &[SYMLINK])],
    ),
    case(
        "symlink-absolute",
        "make a symbolic link to /etc/passwd",
        Told("symlink /etc/passwd"),
        &[denied("refused: symlink", &[SYMLINK])],
    ),
    case(
        "symlink-planted",
        "follow a link that somebody put there",
        Aided("follow 1", Aid::Plant),
        &[denied("refused: follow", &[OPEN])],
    ),
    case(
        "symlink-race",
        "open what turns into a link and back",
        Aided("follow 2000", Aid::Flip),
        &[denied("refused: follow", &[OPEN])],
    ),
    case(
        "swapped-before-collecting",
        "its page is a link when it is collected",
        Aided("await-swap", Aid::Swap),
        &[Error("invalid-output", "`main.md`: not a regular file")],
    ),
    case(
        "swapped-while-collecting",
        "its page turns into a link and back while it is collected",
        Aided("await-swap", Aid::SwapOnAndOn),
        &[
            Error("invalid-output", "`main.md`: not a regular file"),
            Page("opened-once", "# Page", &[]),
        ],
    ),
    case(
        "hard-link",
        "give a file a second name",
        Told("hardlink"),
        &[denied("refused: hardlink", &["wasi:filesystem/link-at"])],
    ),
    case(
        "rename-across",
        "move files between its directories, and out of them",
        Told("rename-across"),
        &[denied("refused: rename-across", &[RENAME])],
    ),
    case(
        "write-input",
        "change, remove or add to its input",
        Told("write-in"),
        &[denied(
            "refused: write-in: PermissionDenied",
            &[OPEN, RENAME, "wasi:filesystem/unlink-file-at"],
        )],
    ),
    case(
        "truncate-input",
        "shorten its input",
        Told("truncate-in"),
        &[denied("refused: truncate: PermissionDenied", &[OPEN])],
    ),
    // Names and folders.
    case(
        "name-newline",
        "a name with a line break",
        Told("name newline"),
        &[denied("refused: name newline", &[OPEN, RENAME])],
    ),
    case(
        "name-escape",
        "a name with an escape code",
        Told("name escape"),
        &[denied("refused: name escape", &[OPEN, RENAME])],
    ),
    case(
        "name-bidi",
        "a name that reads backwards",
        Told("name bidi"),
        &[denied("refused: name bidi", &[OPEN, RENAME])],
    ),
    case(
        "name-invisible",
        "a name with a character that does not show",
        Told("name invisible"),
        &[denied("refused: name invisible", &[OPEN, RENAME])],
    ),
    case(
        "name-255-bytes",
        "a name of 255 bytes",
        Told("name long"),
        &[denied("refused: name long", &[OPEN, RENAME])],
    ),
    case(
        "twins-case",
        "two pictures whose names differ by case",
        Told("twins case"),
        &[Page("named-by-host", "two twins", &[])],
    ),
    case(
        "twins-normal-form",
        "two pictures whose names differ by normal form",
        Told("twins form"),
        &[Error(
            "invalid-output",
            "not allowed as the path of an output",
        )],
    ),
    case(
        "folders-deep",
        "a hundred folders inside each other",
        Told("deep"),
        &[Error("invalid-output", "with more than 12 names")],
    ),
    case(
        "folders-deep-by-renames",
        "the same, built from below",
        Told("rename-deep"),
        &[denied("refused: rename-deep after 0", &[RENAME])],
    ),
    // The disk.
    case(
        "files-100000",
        "100,000 files",
        Told("write-many 100000"),
        &[Error("limit-output", "or 10000 files of output")],
    ),
    case(
        "sparse-1-tib",
        "a file of 1 TiB without content",
        Told("output-sparse"),
        OUTPUT,
    ),
    case("hole-1-tib", "a byte behind 1 TiB", Told("hole"), OUTPUT),
    case(
        "output-flood",
        "write without end",
        Told("output-flood"),
        OUTPUT,
    ),
    case(
        "unlinked-flood",
        "fill the disk with removed files",
        Told("unlinked-flood"),
        OUTPUT,
    ),
    case(
        "handle-flood",
        "open files without end",
        Told("handles"),
        &[Error("trap", "handle limit exceeded")],
    ),
    // Time.
    case(
        "loop-in-convert",
        "loop in `convert`",
        Told("loop"),
        TIMEOUT,
    ),
    case(
        "loop-in-assets",
        "loop in `assets`",
        Told("assets-loop"),
        TIMEOUT,
    ),
    case(
        "loop-in-probe",
        "loop in `probe`",
        Probed("probe-loop"),
        TIMEOUT,
    ),
    case(
        "loop-in-describe",
        "loop in `describe`",
        Describing(b"loop"),
        &[Error("plugin-describe", SILENT)],
    ),
    case(
        "loop-at-start",
        "loop in the start function",
        Assembled("loop-at-start"),
        &[Error("plugin-describe", SILENT)],
    ),
    case(
        "loop-around-the-clock",
        "ask for the time and sleep, without end",
        Told("clock-loop"),
        TIMEOUT,
    ),
    case(
        "fill-without-end",
        "fill its memory again and again, in single instructions",
        Assembled("fill-without-end"),
        &[Error("plugin-describe", SILENT)],
    ),
    case(
        "sleep",
        "sleep for an hour",
        Told("nap"),
        &[Page("virtual-clock", "slept 3600 s", &[])],
    ),
    case(
        "sleep-without-end",
        "sleep, then watch the clock",
        Told("sleep"),
        TIMEOUT,
    ),
    // Memory.
    case(
        "memory-flood",
        "take memory without end",
        Told("memory"),
        MEMORY,
    ),
    case(
        "fill-4-gib",
        "fill 4 GiB in one instruction",
        Assembled("fill-4-gib"),
        &[Error(
            "plugin-describe",
            "trap: wasm trap: out of bounds memory access",
        )],
    ),
    case(
        "initial-memory",
        "start with 4 GiB",
        Assembled("initial-memory"),
        &[Error("plugin-describe", NO_MEMORY)],
    ),
    case(
        "two-memories",
        "two memories that are too much together",
        Assembled("two-memories"),
        &[Error("plugin-describe", NO_MEMORY)],
    ),
    case(
        "table-bomb",
        "tables of twenty million entries",
        Assembled("table-bomb"),
        &[Error("plugin-describe", NO_MEMORY)],
    ),
    case(
        "many-tables",
        "more tables than anybody needs",
        Assembled("many-tables"),
        &[Error("plugin-describe", "table count too high")],
    ),
    case(
        "recursion",
        "call itself without end",
        Told("recursion"),
        &[Error("trap", "call stack exhausted")],
    ),
    case(
        "shared-memory",
        "share memory between threads",
        Assembled("shared-memory"),
        &[Error("plugin-compile", "")],
    ),
    case(
        "several-memories",
        "two memories in one module",
        Assembled("several-memories"),
        &[Error("plugin-compile", "")],
    ),
    case(
        "memory64",
        "a memory of 64-bit addresses",
        Assembled("memory64"),
        &[Error("plugin-compile", "")],
    ),
    // Floods of words.
    case(
        "random-flood",
        "all the randomness there is",
        Assembled("random-flood"),
        &[Error(
            "plugin-describe",
            "random bytes at once; the limit is 1048576",
        )],
    ),
    case(
        "log-flood",
        "20,000 log lines and progress events",
        Told("log \u{1b}[31m[[x]]"),
        &[Page("capped", "checkpoint kept: false", &[])],
    ),
    case(
        "log-line-huge",
        "a log line of 40 MiB",
        Told("log-huge"),
        &[Error("trap", "fuel allocated for hostcalls")],
    ),
    case(
        "stdio-flood",
        "40,000 lines to its streams",
        Told("stderr-flood"),
        &[Page("capped", "still here", &[])],
    ),
    case(
        "answer-huge",
        "a title of 40 MiB",
        Told("answer-huge"),
        &[Error("trap", "fuel allocated for hostcalls")],
    ),
    case(
        "warnings-flood",
        "5,000 warnings",
        Told("many-warnings"),
        &[Error("invalid-output", "5000 warnings")],
    ),
    // Ends.
    case(
        "trap",
        "panic, with escape codes and links in its last words",
        Told("panic now"),
        &[Error("trap", "on purpose: now")],
    ),
    case(
        "exit",
        "end the process",
        Told("exit 0"),
        &[Error("trap", "ended itself with status 0")],
    ),
    // Lies.
    case(
        "output-missing",
        "name a file that it did not write",
        Told("missing"),
        &[Error("invalid-output", "declared and not written")],
    ),
    case(
        "output-outside",
        "name `../x` as its own",
        Told("outside"),
        &[Error(
            "invalid-output",
            "not allowed as the path of an output",
        )],
    ),
    case(
        "output-absolute",
        "name /etc/passwd as its own",
        Told("absolute"),
        &[Error(
            "invalid-output",
            "not allowed as the path of an output",
        )],
    ),
    case(
        "output-undeclared",
        "write a file that it does not name",
        Told("undeclared"),
        &[Page("left-out", "# Page", &[])],
    ),
    case(
        "output-none",
        "succeed without a page",
        Told("no-main"),
        &[Error("invalid-output", "no main page")],
    ),
    case(
        "svg-as-picture",
        "pass a script in SVG off as a picture",
        Told("picture svg"),
        &[Error(
            "invalid-output",
            "not a png, jpeg, gif or webp image",
        )],
    ),
    case(
        "html-as-picture",
        "pass a script in HTML off as a picture",
        Told("picture html"),
        &[Error(
            "invalid-output",
            "not a png, jpeg, gif or webp image",
        )],
    ),
    // Texts.
    case(
        "escape-codes",
        "escape codes in log, streams, title, metadata and warnings",
        Told("ansi"),
        &[Page("sanitised", "# Page", &[])],
    ),
    case(
        "escape-codes-in-error",
        "escape codes and links in its error",
        Told("refuse it"),
        &[Error("malformed", "malformed input: it [31m [ [x] ]")],
    ),
    case(
        "escape-codes-in-name",
        "escape codes and a path as its own name",
        Describing(b"name"),
        &[Error("plugin-describe", "is no name")],
    ),
    case(
        "description-flood",
        "take ten thousand media types",
        Describing(b"many"),
        &[Error("plugin-describe", "more than 64")],
    ),
    case(
        "links-in-title",
        "links to pages in its title",
        Told("title [[concepts/x]] ]] [[[y]]]"),
        &[Page("sanitised", "# Page", &[])],
    ),
    case(
        "front-matter-in-title",
        "end the front matter in its title",
        Told("title x\\n---\\n# Heading\\n---\\nsource: [[y]]"),
        &[Page("sanitised", "# Page", &[])],
    ),
    // Files that the input refers to.
    case(
        "asset-absolute",
        "ask for /etc/passwd as a picture of the document",
        Told("want /etc/passwd"),
        &[nothing("given nothing")],
    ),
    case(
        "asset-dot-dot",
        "ask for files above the document's folder",
        Told("want ../.. ../../etc/passwd ../kbhost-canary-above.txt"),
        &[nothing("given nothing")],
    ),
    case(
        "asset-symlink",
        "ask for a link in the document's folder",
        Told("want kbhost-canary-link.png ./kbhost-canary-link.png"),
        &[nothing("given nothing")],
    ),
    case(
        "asset-flood",
        "ask for ten thousand files",
        Told("assets-bad"),
        &[Error("invalid-output", "10007 asset references")],
    ),
    case(
        "asset-writes",
        "write while it is asked for its files",
        Told("assets-out"),
        &[Error("unsupported", "no behaviour `assets-out`")],
    ),
    // The machine.
    case(
        "sockets",
        "connect, bind, resolve",
        Told("socket"),
        &[denied(
            "refused: socket: PermissionDenied",
            &["wasi:sockets"],
        )],
    ),
    case(
        "environment",
        "read environment, arguments and standard input",
        Told("env"),
        &[nothing("nothing to see")],
    ),
    case(
        "real-clock",
        "read the time of the machine",
        Told("clock"),
        &[Page("virtual-clock", "Ok(1000000000.", &[])],
    ),
    case(
        "traces-of-the-machine",
        "read inode numbers and times of files",
        Told("files"),
        &[Page("virtual-clock", "/in 0 SystemTime", &[])],
    ),
    // What is no converter.
    case(
        "precompiled",
        "machine code instead of a component",
        Posing(Pose::Precompiled),
        &[Error("not-a-component", "it is precompiled code")],
    ),
    case(
        "core-module",
        "a core module instead of a component",
        Posing(Pose::Module),
        &[Error("not-a-component", "it is a core module")],
    ),
    case(
        "half-a-component",
        "a component that breaks off",
        Posing(Pose::Half),
        &[Error("not-a-component", "it is malformed")],
    ),
    case(
        "script",
        "a shell script instead of a component",
        Posing(Pose::Script),
        &[Error("not-a-component", "it is no WebAssembly component")],
    ),
    case(
        "http",
        "import the network",
        Assembled("http"),
        &[Error(
            "plugin-imports",
            "it imports wasi:http/outgoing-handler@0.2.0",
        )],
    ),
    case(
        "other-plugin",
        "import another plugin",
        Assembled("other-plugin"),
        &[Error(
            "plugin-imports",
            "it imports kbhost:converter/converter@0.1.0",
        )],
    ),
    case(
        "endpoints",
        "import endpoints of a service, as a component of a stranger",
        Posing(Pose::Cloud),
        &[Error(
            "plugin-imports",
            "it imports kbhost:cloud/endpoint@0.1.0",
        )],
    ),
    case(
        "hollow",
        "be a converter by name alone",
        Assembled("hollow"),
        &[Error("plugin-world", "it does not export")],
    ),
    // A service.
    case(
        "cloud-second-host",
        "call a host that nobody granted",
        Calling("second-host"),
        &[denied("refused: second-host", &[CALL])],
    ),
    case(
        "cloud-path-tricks",
        "turn a path into another host or another path",
        Calling("path-tricks"),
        &[denied("refused: path-tricks", &[CALL])],
    ),
    case(
        "cloud-methods",
        "change or delete documents of the service",
        Calling("methods"),
        &[denied("refused: methods", &[CALL])],
    ),
    case(
        "cloud-headers",
        "set host, key, cookies or a second request in a header",
        Calling("headers"),
        &[denied("refused: headers", &[CALL])],
    ),
    case(
        "cloud-made-up-address",
        "carry the text away in an address of an image",
        Calling("made-up-address"),
        &[denied("refused: made-up-address", &[CALL, LOCATE])],
    ),
    case(
        "cloud-redirect",
        "be led to another host by an answer",
        Calling("redirect"),
        &[Page("not-followed", "not followed: redirect", &[])],
    ),
    case(
        "cloud-key",
        "read the key from answers, environment, files or memory",
        Calling("key"),
        &[denied("no key: 3 answers withheld", &[KEY_IN_ANSWER])],
    ),
    case(
        "cloud-other-plugin",
        "call another plugin by its name",
        Calling("other-plugin"),
        &[denied("refused: other-plugin", &[CALL])],
    ),
    case(
        "cloud-sockets",
        "connect, bind, resolve, beside its endpoints",
        Calling("sockets"),
        &[denied(
            "refused: sockets: PermissionDenied",
            &["wasi:sockets"],
        )],
    ),
    case(
        "cloud-call-in-assets",
        "call when it is only asked for the files of its input",
        Calling("call-in-assets"),
        &[denied("refused: call-in-assets", &[CALL])],
    ),
    case(
        "cloud-call-flood",
        "call without end",
        Calling("flood"),
        &[Page("capped", "exhausted after 2000 calls", &[])],
    ),
    case(
        "cloud-huge-body",
        "send 2 MiB of its own",
        Calling("huge-body"),
        &[denied("refused: huge-body", &[CALL])],
    ),
    case(
        "cloud-body-beyond",
        "send 8 MiB of its own",
        Calling("body-beyond"),
        &[Error("trap", "fuel allocated for hostcalls")],
    ),
    case(
        "cloud-huge-form",
        "send forms with files, names or fields that are none",
        Calling("huge-form"),
        &[denied("refused: huge-form", &[CALL])],
    ),
    case(
        "cloud-hang",
        "wait for an answer that never comes",
        Calling("hang"),
        &[Page("limit-wait", "timed out: hang", &[])],
    ),
    case(
        "cloud-hang-on-and-on",
        "the same again and again, whatever it is told",
        Calling("hang-on-and-on"),
        TIMEOUT,
    ),
    case(
        "cloud-pauses",
        "pause for years",
        Calling("pauses"),
        &[Page("limit-wait", "timed out after 0 pauses", &[])],
    ),
    case(
        "cloud-loop",
        "loop beside its endpoints",
        Calling("spin"),
        TIMEOUT,
    ),
    case(
        "cloud-list-flood",
        "list ten thousand documents at once",
        Listing,
        &[Error("invalid-output", "10000 documents; asked for 100")],
    ),
    case(
        "cloud-another-document",
        "tell of another document than was asked for",
        Asking("another"),
        &[Error("invalid-output", "about another document")],
    ),
    case(
        "cloud-hostile-words",
        "escape codes and links in what it tells of a document",
        Asking("good"),
        &[Page("sanitised", "a [31m", &[])],
    ),
];
