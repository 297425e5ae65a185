//! Goal: what the example dumps become is what was looked at. Method: all pages of each, one after
//! another, against a file; `UPDATE_GOLDEN=1` writes it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use crate::bindings::kbhost::converter::types::ConvertError;
use crate::convert::{Job, convert};

#[derive(Default)]
struct Memory(BTreeMap<String, String>);

impl Job for Memory {
    fn put(&mut self, path: &str, text: &str) -> Result<(), ConvertError> {
        self.0.insert(path.to_owned(), text.to_owned());
        Ok(())
    }

    fn goes_on(&mut self, _: u64, _: u64) -> bool {
        true
    }
}

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let input = File::open(folder.join("examples").join(name)).unwrap();
    let mut job = Memory::default();
    let document = convert(input, name, 0, &mut job).unwrap();
    let mut all = String::new();
    for file in &document.files {
        all.push_str(&format!(
            "===== {} ({:?})\n{}",
            file.path, file.role, job.0[&file.path]
        ));
    }
    all.push_str(&format!(
        "===== warnings\n{}\n",
        document.warnings.join("\n")
    ));
    let golden = folder.join("tests/golden").join(format!("{name}.expected"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &all).unwrap();
    }
    assert_eq!(
        all,
        fs::read_to_string(&golden).unwrap(),
        "{}",
        golden.display()
    );
}

#[test]
fn a_dump_of_postgres() {
    check("shop-postgres.sql");
}

#[test]
fn a_dump_of_mysql() {
    check("library-mysql.sql");
}

#[test]
fn a_dump_of_sqlite() {
    check("notes-sqlite.sql");
}
