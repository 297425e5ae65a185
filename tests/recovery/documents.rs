//! The small documents of the recovery rigs.

use std::fs;
use std::path::PathBuf;

use crate::support::{Env, component, copy_tree};

/// The document that the next command adds: it shares pages with the others.
pub(crate) const FOLLOW: &str = "docs/follow.md";

/// The page that somebody edited by hand in [`updated`].
pub(crate) const EDITED: &str = "wiki/summaries/a.md";

/// Above the size up to which a pre-image is a copy.
const LARGE_BYTES: usize = (1 << 20) + 1;

fn page(title: &str, tags: &str, text: &str) -> String {
    format!("---\ntags: [{tags}]\n---\n# {title}\n\n{text}\n\nThe NASA report says so.\n")
}

/// A file that passes for a picture.
pub(crate) fn picture(filler: u8, bytes: usize) -> Vec<u8> {
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(bytes, filler);
    picture
}

/// Two documents that share a concept and an entity, not yet added.
pub(crate) fn first(env: Env) -> Env {
    env.doc("a.md", page("A", "storage, alpha", "The first version."));
    env.doc("b.md", page("B", "storage, alpha", "Another document."));
    env.doc("c.md", page("C", "storage", "Comes last."));
    env.doc("follow.md", page("Follow", "storage", "Comes next."));
    env
}

/// A KB with those two and pictures; then the first changes: a picture goes, one is replaced, a
/// concept is no longer shared, and somebody edited its summary by hand.
pub(crate) fn updated(env: Env) -> Env {
    let env = first(env);
    let pictures = "![one](img/one.png) ![two](img/two.png)";
    env.doc("img/one.png", picture(1, LARGE_BYTES));
    env.doc("img/two.png", picture(2, 100));
    env.doc("a.md", page("A", "storage, alpha", pictures));
    let said = env.run(["add", "docs/a.md", "docs/b.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(env.kb().join("wiki/concepts/alpha.md").exists());
    env.doc("img/one.png", picture(3, LARGE_BYTES));
    env.doc(
        "a.md",
        page("A new", "storage", "![one](img/one.png) and more."),
    );
    let summary = env.kb().join("wiki/summaries/a.md");
    let edited = fs::read_to_string(&summary).unwrap() + "\nA remark by hand.\n";
    fs::write(summary, edited).unwrap();
    env
}

/// A KB with two documents that share a concept; the first has a large picture, a small one and a
/// summary that somebody edited.
pub(crate) fn shared(env: Env) -> Env {
    let env = first(env);
    env.doc("img/one.png", picture(1, LARGE_BYTES));
    env.doc("img/two.png", picture(2, 100));
    let text = "---\ntags: [storage, alpha]\n---\n# A\n\n![one](img/one.png) ![two](img/two.png)\n";
    env.doc("a.md", text);
    let said = env.run(["add", "docs/a.md", "docs/b.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(env.kb().join("wiki/concepts/alpha.md").exists());
    let summary = env.kb().join("wiki/summaries/a.md");
    let edited = fs::read_to_string(&summary).unwrap() + "\nA remark by hand.\n";
    fs::write(summary, edited).unwrap();
    env
}

/// A KB with a document of three members, one of which changes while the others go.
pub(crate) fn members(env: Env) -> Env {
    let env = first(env);
    env.doc("m.hostile", "members 3 alpha\n");
    assert_eq!(env.run(["add", "docs/b.md"]).code, 0);
    let mut command = env.command(["add", "docs/m.hostile", "--plugin"]);
    let said = env.finish(command.arg(component("hostile")));
    assert_eq!(said.code, 0, "{said:?}");
    env.doc("m.hostile", "members 1 beta\n");
    env
}

/// What makes the hostile guest hand over a long document with a picture on its first page.
pub(crate) fn long_text(title: &str) -> String {
    format!(
        "long 2\n=== main m.md\n# {title}\n\nThe NASA report on {title}.\n\n![p](kbhost-output:p.png)\n\
         \n=== pages p.json\n[{{\"page\":1,\"content\":\"{title}\",\"images\":[{{\"path\":\"kbhost-output:p.png\"}}]}},\
         {{\"page\":2,\"content\":\"More of it.\"}}]\
         \n=== tree t.json\n{{\"structure\":[{{\"title\":\"{title}\",\"start_index\":1,\"end_index\":2}}]}}\
         \n=== image p.png\n"
    )
}

/// A KB with a long document whose page texts and section tree change.
pub(crate) fn long(env: Env) -> Env {
    let env = first(env);
    env.doc("l.hostile", long_text("Rivers"));
    assert_eq!(env.run(["add", "docs/b.md"]).code, 0);
    let mut command = env.command(["add", "docs/l.hostile", "--plugin"]);
    let said = env.finish(command.arg(component("hostile")));
    assert_eq!(said.code, 0, "{said:?}");
    env.doc("l.hostile", long_text("Lakes"));
    env
}

/// A copy of the KB in which adding the first document met `fault`.
pub(crate) fn killed(env: &Env, fault: &str) -> PathBuf {
    let kb = env.path(&format!("dead-{}/kb", fault.replace([':', '.'], "-")));
    copy_tree(&env.kb(), &kb);
    let vars = [("KBHOST_FAULT", fault), ("KBHOST_KB", kb.to_str().unwrap())];
    let said = env.run_with(&vars, ["add", "docs/a.md"]);
    assert!(matches!(said.code, -1 | 3), "{said:?}");
    kb
}

/// A copy of the KB to which the first document was added in peace.
pub(crate) fn copy_with_update(env: &Env) -> PathBuf {
    let kb = env.path("done/kb");
    copy_tree(&env.kb(), &kb);
    let vars = [("KBHOST_KB", kb.to_str().unwrap())];
    let said = env.run_with(&vars, ["add", "docs/a.md"]);
    assert!(said.stdout.starts_with("updated  a "), "{said:?}");
    kb
}
