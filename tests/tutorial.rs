//! `docs/plugin-authors.md` works, literally: its shell blocks are typed in order into one shell, its files
//! are written where the text says, and what it shows is in what was printed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::authoring::{home_of, rustc_with_target};
use crate::support::{Env, repository, skip};

/// Compiling a project from nothing, or installing some 50 MB of packages.
const BLOCK_MAX: Duration = Duration::from_secs(300);

/// A fenced block: what it is marked as, the text before it, its lines.
struct Block {
    kind: String,
    before: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let tutorial = fs::read_to_string(repository().join("docs/plugin-authors.md")).unwrap();
    let mut parts = tutorial.split("\n```");
    let mut before = parts.next().unwrap().to_owned();
    let mut blocks = Vec::new();
    while let (Some(block), Some(after)) = (parts.next(), parts.next()) {
        let (kind, text) = block.split_once('\n').unwrap();
        blocks.push(Block {
            kind: kind.to_owned(),
            before: std::mem::replace(&mut before, after.to_owned()),
            text: format!("{text}\n"),
        });
    }
    blocks
}

/// The file that the text before a block names last.
fn named_file(before: &str) -> String {
    let paragraph = before.trim().rsplit("\n\n").next().unwrap();
    let names = paragraph.split('`').skip(1).step_by(2);
    names.last().unwrap().to_owned()
}

/// Someone at a shell, who may have changed the folder.
struct Reader {
    env: Env,
    folder: PathBuf,
    rustc: Option<PathBuf>,
}

impl Reader {
    fn new(rustc: Option<PathBuf>) -> Self {
        let env = Env::empty();
        let folder = env.path("");
        Self { env, folder, rustc }
    }

    /// Types a block; what was printed.
    fn types(&mut self, block: &str) -> (i32, String) {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_kbhost"));
        let at = self.env.path("where");
        let mut shell = Command::new("sh");
        let script = format!(
            "set -e\ncd '{}'\n{block}pwd > '{}'\n",
            self.folder.display(),
            at.display()
        );
        shell.args(["-c", &script]);
        self.env.hermetic(&mut shell);
        let mut path = std::ffi::OsString::from(binary.parent().unwrap());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let targets = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tutorial");
        shell
            .env("PATH", path)
            .env_remove("KBHOST_KB")
            .env("CARGO_HOME", home_of("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", home_of("RUSTUP_HOME", ".rustup"))
            .env("CARGO_TARGET_DIR", targets)
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        if let Some(rustc) = &self.rustc {
            shell.env("RUSTC", rustc);
        }
        let said = self.env.finish_within(BLOCK_MAX, &mut shell);
        if let Ok(now) = fs::read_to_string(&at) {
            self.folder = PathBuf::from(now.trim_end());
        }
        (said.code, said.stdout + &said.stderr)
    }
}

#[test]
fn an_author_gets_from_nothing_to_documents() {
    let Some(rustc) = rustc_with_target() else {
        return skip("the tutorial", "no compiler has the target wasm32-wasip2");
    };
    let mut reader = Reader::new(Some(rustc));
    let mut printed = String::new();
    let mut typed = 0;
    for block in blocks() {
        match block.kind.as_str() {
            "sh" => {
                let (code, output) = reader.types(&block.text);
                assert_eq!(code, 0, "{}\n{output}", block.text);
                printed = output;
                typed += 1;
            }
            "" | "rust" => {
                let file = reader.folder.join(named_file(&block.before));
                fs::write(file, &block.text).unwrap();
            }
            "text" => {
                for line in block.text.lines() {
                    let found = printed.lines().any(|printed| printed.starts_with(line));
                    assert!(found, "`{line}` is not in:\n{printed}");
                }
            }
            "sh-python" => {}
            other => panic!("a block marked `{other}`"),
        }
    }
    assert!(typed >= 4, "{typed}");
    covered!("the tutorial for authors: {typed} shell blocks typed");
}

#[test]
fn an_author_in_python_gets_a_converter_that_passes() {
    const RIG: &str = "the tutorial in Python";
    let block = blocks().into_iter().find(|block| block.kind == "sh-python");
    let block = block.expect("a block for Python").text;
    let (tools, trial) = block.split_once("kbhost plugin build").unwrap();
    let mut reader = Reader::new(None);
    let (code, output) = reader.types(tools);
    if code != 0 {
        return skip(
            RIG,
            &format!("python3 with venv, or the package registry: {output}"),
        );
    }
    let (code, output) = reader.types(&format!("kbhost plugin build{trial}"));
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("determinism   pass"), "{output}");
}
