//! The states of the page, byte for byte. `GOLDEN=write cargo test -p twinguard-report --test golden` rewrites the
//! files after a change that was meant; look at them in a browser before committing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod demo;

use std::path::Path;

#[test]
#[allow(clippy::disallowed_methods, reason = "golden files are written and read by their test alone")]
fn states() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let write = std::env::var("GOLDEN").is_ok_and(|word| word == "write");
    let mut changed = vec![];
    for (name, report) in demo::all() {
        let page = twinguard_report::render(&report);
        let file = folder.join(format!("{name}.html"));
        if write {
            std::fs::write(&file, &page).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != page {
            let actual = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.html"));
            std::fs::write(&actual, &page).unwrap();
            changed.push(actual);
        }
    }
    assert!(changed.is_empty(), "pages differ from tests/golden; new ones are {changed:?}");
}
