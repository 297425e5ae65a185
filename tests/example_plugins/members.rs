//! Each table of a dump is a page of the knowledge base: a member of the dump's document.

use std::fs;
use std::path::Path;

use super::{example, install, package};
use crate::support::{Env, component};

/// The targets of the links in a page, relative to its folder.
fn targets(page: &str) -> Vec<&str> {
    let links = page.split("](").skip(1);
    links
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

#[test]
fn each_table_is_a_page_and_all_links_resolve() {
    let env = Env::new();
    let folder = package(&env, "sql-schema", &component("sql-schema"));
    assert_eq!(install(&env, &folder).code, 0);
    let dump = example("sql-schema").join("examples/shop-postgres.sql");
    env.doc("shop.sql", fs::read(dump).unwrap());
    let said = env.run(["add", "docs/shop.sql"]);
    assert_eq!(said.code, 0, "{said:?}");
    let members = env.kb().join("wiki/sources/members/shop");
    let mut names: Vec<String> = fs::read_dir(&members)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "0001-public-customers.md",
            "0002-public-orders.md",
            "0003-public-order-items.md",
            "0004-public-orders-2024.md"
        ]
    );
    let check = |page: &Path, links: usize| {
        let text = fs::read_to_string(page).unwrap();
        assert!(!text.contains("kbhost-output:"), "{text}");
        let targets = targets(&text);
        assert_eq!(targets.len(), links, "{text}");
        for target in targets {
            let target = page.parent().unwrap().join(target);
            assert!(target.is_file(), "{}: {text}", target.display());
        }
    };
    check(&env.kb().join("wiki/sources/shop.md"), 8);
    for (name, links) in names.iter().zip([1, 3, 2, 0]) {
        check(&members.join(name), links);
    }
    let said = env.run(["doctor"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(env.run(["remove", "shop", "--yes"]).code, 0);
    assert!(!members.exists());
}
