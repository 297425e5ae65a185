//! `convert`: one file to Markdown, without a KB.

use std::fs;
use std::path::Path;

use crate::support::{Env, everything, repository};

/// The smallest PNG there is, and another one.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

fn with_pictures() -> Env {
    let env = Env::empty();
    env.doc("img/one.png", PNG);
    env.doc("img/two.png", [PNG, b"\0"].concat());
    env.doc(
        "My Note.md",
        "# Note\n\n![One](img/one.png) and ![two](img/two.png)\n",
    );
    env
}

/// What lies in the scratch folder afterwards.
fn left_behind(env: &Env) -> Vec<String> {
    everything(&env.path("tmp")).into_keys().collect()
}

#[test]
fn markdown_goes_to_stdout() {
    let env = with_pictures();
    let before = everything(&env.path("docs"));
    assert_said!(
        env.run(["convert", "docs/My Note.md"]),
        code: 0,
        stdout: "# Note\n\n![One](img_001.png) and ![two](img_002.png)\n",
        stderr: "note: 2 images are not written; `kbhost convert 'docs/My Note.md' -o DIR` writes \
                 text and images\n",
    );
    let said = env.run(["convert", "-q", "docs/My Note.md"]);
    assert_eq!(said.stderr, "");
    let said = env.run(["convert", "--json", "docs/My Note.md"]);
    let answer: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        (&answer["title"], &answer["images"]),
        (&"Note".into(), &2.into())
    );
    assert_eq!(answer["plugin"]["name"], "markdown");
    assert!(answer["markdown"].as_str().unwrap().starts_with("# Note\n"));
    assert_eq!(everything(&env.path("docs")), before);
    assert_eq!(left_behind(&env), [""; 0]);
}

#[test]
fn text_and_images_go_into_a_folder() {
    let env = with_pictures();
    assert_said!(
        env.run(["convert", "docs/My Note.md", "-o", "out/deep"]),
        code: 0,
        stdout: "out/deep/My-Note.md\nout/deep/My-Note_images/img_001.png\n\
                 out/deep/My-Note_images/img_002.png\n",
        stderr: "",
    );
    let text = fs::read_to_string(env.path("out/deep/My-Note.md")).unwrap();
    assert_eq!(
        text,
        "# Note\n\n![One](My-Note_images/img_001.png) and ![two](My-Note_images/img_002.png)\n"
    );
    let image = fs::read(env.path("out/deep/My-Note_images/img_001.png")).unwrap();
    assert_eq!(image, PNG);
    assert_eq!(everything(&env.path("out")).len(), 5, "and nothing else");
    assert_eq!(left_behind(&env), [""; 0]);
}

#[test]
fn what_is_there_is_kept_unless_force_is_said() {
    let env = with_pictures();
    fs::create_dir(env.path("out")).unwrap();
    fs::write(env.path("out/My-Note.md"), "mine").unwrap();
    fs::write(env.path("out/other.txt"), "mine").unwrap();
    let before = everything(&env.path("out"));
    assert_said!(
        env.run(["convert", "docs/My Note.md", "-o", "out"]),
        code: 1,
        stdout: "",
        stderr: "error: failed to write `out/My-Note.md`\n  caused by: File exists (os error \
                 17)\n\nhint: replace `out/My-Note.md` with `--force`, or choose another folder \
                 with `-o DIR`\n",
    );
    assert_eq!(everything(&env.path("out")), before);
    let said = env.run(["convert", "docs/My Note.md", "-o", "out", "--force"]);
    assert_eq!(said.code, 0, "{said:?}");
    let text = fs::read_to_string(env.path("out/My-Note.md")).unwrap();
    assert!(text.starts_with("# Note\n"));
    assert_eq!(
        fs::read_to_string(env.path("out/other.txt")).unwrap(),
        "mine"
    );
    // An image in the way counts like the text.
    fs::remove_file(env.path("out/My-Note.md")).unwrap();
    let said = env.run(["convert", "docs/My Note.md", "-o", "out"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("out/My-Note_images"), "{said:?}");
    assert!(
        !env.path("out/My-Note.md").exists(),
        "nothing is half written"
    );
}

/// The folder of the results is the user's, but a link in it is not followed out of it.
#[test]
fn results_do_not_follow_links() {
    let env = with_pictures();
    fs::create_dir(env.path("out")).unwrap();
    fs::write(env.path("precious"), "mine").unwrap();
    std::os::unix::fs::symlink(env.path("precious"), env.path("out/My-Note.md")).unwrap();
    let said = env.run(["convert", "docs/My Note.md", "-o", "out"]);
    assert_eq!(said.code, 1, "{said:?}");
    let said = env.run(["convert", "docs/My Note.md", "-o", "out", "--force"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(fs::read_to_string(env.path("precious")).unwrap(), "mine");
}

#[test]
fn wrong_usage() {
    let env = with_pictures();
    assert_said!(
        env.run(["convert", "docs"]),
        code: 2,
        stdout: "",
        stderr: "error: failed to convert `docs`: it is a folder\n\nhint: name one file; `kbhost \
                 add` takes folders\n",
    );
    for words in [
        &["convert"][..],
        &["convert", "docs/a.md", "docs/b.md"],
        &["convert", "docs/My Note.md", "--force"],
    ] {
        assert_eq!(env.run(words).code, 2, "{words:?}");
    }
    // There is no reading from stdin: the name `-` is a name like any other.
    let said = env.run(["convert", "-"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr.starts_with("error: failed to read `-`\n"),
        "{said:?}"
    );
}

#[test]
fn a_document_that_fails() {
    let env = Env::empty();
    env.doc("bad.pdf", "no PDF");
    env.doc("empty.md", "");
    env.doc("thing.xyz", "x");
    assert_said!(
        env.run(["convert", "docs/bad.pdf", "-o", "out"]),
        code: 1,
        stdout: "",
        stderr: "error: failed to convert `docs/bad.pdf` with plugin `pdf 0.1.0`\n  caused by: \
                 malformed input: no PDF header\n\nhint: `file docs/bad.pdf` tells what it is; if \
                 it opens in its own program, save it anew from there, a text as UTF-8, and try \
                 again\n",
    );
    assert!(!env.path("out").exists());
    for (name, code) in [
        ("bad.pdf", "malformed"),
        ("empty.md", "empty"),
        ("thing.xyz", "unsupported"),
        ("none.md", "not-found"),
    ] {
        let said = env.run(["convert", "--json", &format!("docs/{name}")]);
        let answer: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!((said.code, said.stderr.as_str()), (1, ""), "{name}");
        assert_eq!(answer["error"]["code"], code, "{name}");
    }
    assert_eq!(left_behind(&env), [""; 0]);
}

/// No KB is looked for, made or changed.
#[test]
fn a_kb_has_nothing_to_do_with_it() {
    let env = Env::new();
    env.doc("a.md", "# A\n");
    let before = everything(&env.kb());
    assert_eq!(env.run(["convert", "docs/a.md"]).stdout, "# A\n");
    assert_eq!(everything(&env.kb()), before);
    fs::write(env.kb().join(".openkb/config.yaml"), "jobs: [").unwrap();
    assert_eq!(env.run(["convert", "docs/a.md"]).code, 0);
}

#[test]
fn the_pdf_examples_convert() {
    let env = Env::empty();
    let pdf = repository().join("examples/docs/papers/adaptive-checkpoints.pdf");
    let said = env.run([
        Path::new("convert"),
        &pdf,
        Path::new("-o"),
        Path::new("out"),
    ]);
    assert_eq!(said.code, 0, "{said:?}");
    let text = fs::read_to_string(env.path("out/adaptive-checkpoints.md")).unwrap();
    let links: Vec<&str> = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| target.starts_with("adaptive-checkpoints_images/"))
        .collect();
    assert_eq!(links.len(), 2);
    for link in links {
        assert!(env.path("out").join(link).is_file(), "{link}");
    }
}
