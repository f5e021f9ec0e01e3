//! The page of controls tells the truth about its tests: each row of `docs/src/controls.md` names some, and they exist.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::{fs, path::Path};

/// A test that a row names: its file below `crates/`, and its function.
type Named<'a> = (&'a str, &'a str);

/// The tests that a row of a table names, as `file`: `test`.
fn tests_of(row: &str) -> Vec<Named<'_>> {
    let spans: Vec<&str> = row.split('`').collect();
    let pair = |at: usize| match spans.get(at..at + 3) {
        Some([file, ": ", test]) if file.ends_with(".rs") => Some((*file, *test)),
        _ => None,
    };
    (1..spans.len()).step_by(2).filter_map(pair).collect()
}

/// Rows of the tables of a page: with what number each line has, without heads and rules.
fn rows(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines: Vec<&str> = page.lines().collect();
    (1..=lines.len()).filter_map(move |number| {
        let line = *lines.get(number - 1)?;
        let rule = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("|---"));
        (line.starts_with("| ") && !rule(lines.get(number))).then_some((number, line))
    })
}

/// Whether a source holds a test of this name.
fn holds(source: &str, test: &str) -> bool {
    let lines: Vec<&str> = source.lines().collect();
    let defined = |line: &&str| {
        line.trim_start()
            .trim_start_matches("async ")
            .strip_prefix("fn ")
            .is_some_and(|rest| rest.strip_prefix(test).is_some_and(|after| after.starts_with('(')))
    };
    let marked = |at: usize| {
        let above = lines.get(..at).unwrap_or_default().iter().rev().map(|line| line.trim());
        let mut own = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        own.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    };
    lines.iter().enumerate().any(|(at, line)| defined(line) && marked(at))
}

/// Complaints about a page; `source` reads a file below `crates/`.
fn complaints(page: &str, source: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, row) in rows(page) {
        let tests = tests_of(row);
        if tests.is_empty() {
            complaints.push(format!("line {number}: no test is named"));
        }
        for (file, test) in tests {
            match source(file) {
                None => complaints.push(format!("line {number}: no file `{file}`")),
                Some(text) if !holds(&text, test) => {
                    complaints.push(format!("line {number}: no test `{test}` in `{file}`"));
                }
                Some(_) => {}
            }
        }
    }
    complaints
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).ok()
}

#[test]
fn every_control_names_tests_that_exist() {
    let page = read("docs/src/controls.md").unwrap();
    assert!(rows(&page).count() > 80, "the tables were not found");
    let found = complaints(&page, |file| read(&format!("crates/{file}")));
    assert!(found.is_empty(), "docs/src/controls.md:\n  {}", found.join("\n  "));
    for word in ["compliant", "certified", "in compliance"] {
        assert!(!page.contains(word), "the page says `{word}`");
    }
}

#[test]
fn the_vulnerability_process_has_its_terms() {
    let text = read("SECURITY.md").unwrap();
    for part in
        ["## Reporting a vulnerability", "three working days", "ninety", "## Supported versions", "months"]
    {
        assert!(text.contains(part), "SECURITY.md does not say `{part}`");
    }
}

#[test]
fn the_bill_of_materials_is_made_by_ci() {
    let script = read(".ci/run").unwrap();
    let list = script.lines().find(|line| line.starts_with("sections=(")).unwrap();
    assert!(
        list.split([' ', '(', ')']).any(|name| name == "sbom") && script.contains("cargo cyclonedx"),
        "{list}"
    );
}

#[test]
fn rows_without_a_test_or_with_a_wrong_one_are_found() {
    let source = |file: &str| {
        (file == "a/b.rs")
            .then(|| "#[test]\nfn there() {}\nfn helper() {}\n#[tokio::test]\nasync fn too() {}".to_owned())
    };
    let check = |rows: &str| complaints(&format!("| clause | shown by |\n|---|---|\n{rows}"), source);
    assert_eq!(check("| 1 | `a/b.rs`: `there`, `a/b.rs`: `too` |"), Vec::<String>::new());
    assert_eq!(check("| 1 | some words |"), ["line 3: no test is named"]);
    assert_eq!(check("| 1 | `a/c.rs`: `there` |"), ["line 3: no file `a/c.rs`"]);
    assert_eq!(check("| 1 | `a/b.rs`: `helper` |"), ["line 3: no test `helper` in `a/b.rs`"]);
    assert_eq!(check("| 1 | `a/b.rs`: `the` |"), ["line 3: no test `the` in `a/b.rs`"]);
}
