//! The rules of the house, read off the manifests and sources: `docs/src/architecture.md` says why each one stands.
//!
//! A rule is a pure function from text to complaints; each has a test over the repository and a bad sample that it
//! must refuse, so that a rule cannot die in silence.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};

/// Who may import whom (dev-dependencies too). A new crate needs a line here before it builds anything.
const FLOORS: &[(&str, u8, &[&str])] = &[
    ("twinguard-types", 1, &[]),
    ("twinguard-anomaly", 2, &["types"]),
    ("twinguard-integrity", 2, &["types"]),
    ("twinguard-protocol", 2, &["types"]),
    ("twinguard-report", 2, &["types"]),
    ("twinguard-twin", 2, &["types"]),
    ("twinguard-federated", 3, &["types", "anomaly", "integrity"]),
    ("twinguard-gate", 3, &["types", "twin", "integrity"]),
    ("twinguard-redteam", 3, &["types", "twin", "protocol"]),
    ("twinguard-response", 3, &["types", "twin", "integrity"]),
    ("twinguard", 4, ALL),
    ("twinguard-gateway", 5, &[FACADE]),
    ("examples", 5, &[FACADE]),
    (
        "benches",
        5,
        &[FACADE, "anomaly", "gate", "gateway", "integrity", "protocol", "response", "twin", "types"],
    ),
];

/// The crates below the facade, without their common first name.
const ALL: &[&str] = &[
    "anomaly",
    "federated",
    "gate",
    "integrity",
    "protocol",
    "redteam",
    "report",
    "response",
    "twin",
    "types",
];

const FACADE: &str = "twinguard";

/// What an example may use beside the facade: what a command-line program needs (`snow`: an encrypted channel).
const EXAMPLE_CRATES: &str =
    "anyhow clap csv getrandom indicatif jiff plotters serde serde_json snow twinguard";

/// Files of floors 1 to 4 that may touch files: the two named exceptions.
const IO_FILES: &[&str] = &["twinguard-integrity/src/source", "twinguard-integrity/src/store"];

const MAX_LINES: usize = 800;

// ---------------------------------------------------------------------------------------------------------------
// The rules
// ---------------------------------------------------------------------------------------------------------------

/// Complaints about one manifest's dependencies on crates of ours.
fn floor_rule(name: &str, ours: &BTreeSet<String>) -> Vec<String> {
    let Some((_, _, allowed)) = FLOORS.iter().find(|(crate_name, ..)| *crate_name == name) else {
        return vec![format!("`{name}` has no line in the table of floors")];
    };
    let short = |dependency: &str| dependency.strip_prefix("twinguard-").unwrap_or(dependency).to_owned();
    ours.iter()
        .filter(|dependency| dependency.as_str() != name && !allowed.contains(&short(dependency).as_str()))
        .map(|dependency| format!("`{name}` may not import `{dependency}`"))
        .collect()
}

/// Crates of ours that code (not comments) names.
fn named_crates(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in code_lines(source) {
        for (at, _) in line.match_indices("twinguard_") {
            let boundary = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let end =
                line[at..].find(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(line.len(), |n| at + n);
            if boundary && line[end..].starts_with("::") {
                names.insert(line[at..end].replace('_', "-"));
            }
        }
    }
    names
}

/// Complaints about a family folder: its members, and the texts that may be its registry, the likeliest first.
///
/// A text is the registry of a folder whose members it mostly names, as `some_name` or as `SomeName`.
fn registry_rule(folder: &str, stems: &[String], registries: &[String]) -> Vec<String> {
    let place = |text: &str, stem: &str| {
        text.lines()
            .filter(|line| !line.starts_with("//!") && !line.starts_with("use "))
            .position(|line| word_at(line, stem).or_else(|| word_at(line, &camel(stem))).is_some())
    };
    let named =
        |text: &&String| 2 * stems.iter().filter(|stem| place(text, stem).is_some()).count() > stems.len();
    let Some(registry) = registries.iter().find(named) else {
        return vec![format!("{folder}: no registry names {stems:?}")];
    };
    let mut complaints = Vec::new();
    let mut places = Vec::new();
    for stem in stems {
        match place(registry, stem) {
            Some(line) => places.push((line, stem)),
            None => complaints.push(format!("{folder}/{stem}.rs has no line in the registry")),
        }
    }
    places.sort();
    if !places.is_sorted_by_key(|(_, stem)| *stem) {
        let order: Vec<_> = places.iter().map(|(_, stem)| stem.as_str()).collect();
        complaints.push(format!("{folder}: the registry's lines are not alphabetical: {order:?}"));
    }
    complaints
}

/// Whether a file's header docs say where its content comes from.
fn cites_source(source: &str) -> bool {
    const WORDS: &[&str] = &[
        "source:",
        "sources:",
        "rfc ",
        "iec ",
        "iso ",
        "ieee ",
        "nist ",
        "mitre",
        "att&ck",
        "§",
        "clause",
        "eq.",
        "equation",
        "et al",
        "doi",
        "specification",
        "standard",
        "theorem",
        "chapter",
        "appendix",
    ];
    let header = header(source).to_lowercase();
    WORDS.iter().any(|word| header.contains(word))
}

/// Whether a file carries its tests, or a file in `tests/` exercises it by name.
fn has_test(source: &str, stem: &str, integration: &str) -> bool {
    source.contains("#[cfg(test)]")
        || word_at(integration, stem).is_some()
        || integration.contains(&camel(stem))
}

/// Whether code uses the keyword that is forbidden on floors 1 to 4, or lifts the lint; comments and strings may say it.
fn is_unsafe(source: &str) -> bool {
    fn holds(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == "unsafe" || ident == "unsafe_code",
            TokenTree::Group(group) => holds(group.stream()),
            _ => false,
        })
    }
    source.parse().is_ok_and(holds)
}

/// Words that name a machine, a workplace or a tool instead of the project, found in a text.
fn foreign_words(text: &str) -> Vec<String> {
    // In halves, so that this file does not hold them.
    const HALVES: &[(&str, &str)] = &[
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("/ho", "me/"),
        ("/tm", "p/"),
        ("cla", "ude"),
        ("anth", "ropic"),
        ("chat", "gpt"),
        ("co", "pilot"),
        ("language ", "model"),
        ("the br", "ief"),
        ("sub", "agent"),
    ];
    let text = text.to_lowercase();
    HALVES.iter().map(|(a, b)| format!("{a}{b}")).filter(|word| text.contains(word)).collect()
}

/// Targets of the relative links of a Markdown text, without anchors.
fn links(markdown: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                targets.push(path.to_owned());
            }
        }
    }
    targets
}

/// Paths into the repository that a Markdown text names between backticks.
fn named_files(markdown: &str) -> Vec<String> {
    const PLACES: &[&str] =
        &["twinguard", "crates/", "docs/", "fuzz/", "benches/", "examples/", ".ci/", ".github/"];
    let spans = markdown.split('`').skip(1).step_by(2);
    let path = |span: &&str| {
        let plain = span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-./".contains(c));
        plain && span.contains('/') && PLACES.iter().any(|place| span.starts_with(place))
    };
    spans.filter(path).map(str::to_owned).collect()
}

/// Features that the workspace's own build and the script of CI leave off: no test would cover them.
fn feature_rule(
    facade: &toml::Table,
    lower: &[(String, toml::Table)],
    examples: &toml::Table,
    ci: &str,
) -> Vec<String> {
    let features = |table: &toml::Table| {
        table.get("features").and_then(toml::Value::as_table).cloned().unwrap_or_default()
    };
    let names = |list: Option<&toml::Value>| -> BTreeSet<String> {
        let list = list.and_then(toml::Value::as_array).cloned().unwrap_or_default();
        list.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect()
    };
    let asked = |table: &toml::Table, crate_name: &str| {
        names(table["dependencies"].get(crate_name).and_then(|dependency| dependency.get("features")))
    };
    let of_facade = features(facade);
    let mut on = asked(examples, "twinguard");
    on.extend(names(of_facade.get("default")));
    for (_, list) in features(examples).iter().filter(|(it, _)| ci.contains(&format!("examples/{it}"))) {
        on.extend(names(Some(list)).iter().filter_map(|it| it.strip_prefix("twinguard/").map(str::to_owned)));
    }
    let mut complaints: Vec<_> = of_facade
        .keys()
        .filter(|feature| *feature != "default" && !on.contains(*feature))
        .map(|feature| format!("examples do not switch on `{feature}` of the facade"))
        .collect();
    // `x?/y` passes `y` on to `x` where that is there.
    let passed_on = of_facade.values().flat_map(|list| names(Some(list)));
    let passed_on: BTreeSet<_> = passed_on.map(|passed| passed.replace('?', "")).collect();
    for (name, manifest) in lower {
        let always = asked(facade, name);
        complaints.extend(
            features(manifest)
                .keys()
                .filter(|feature| *feature != "default" && !always.contains(*feature))
                .filter(|feature| !passed_on.contains(&format!("{name}/{feature}")))
                .map(|feature| format!("no feature of the facade switches on `{feature}` of {name}")),
        );
    }
    complaints
}

// ---------------------------------------------------------------------------------------------------------------
// Reading
// ---------------------------------------------------------------------------------------------------------------

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// All files below a folder (none when it does not exist), in order, without build outputs and links.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return files };
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !["target", "corpus", "artifacts", "book", ".git"].contains(&name.as_str()) {
                files.extend(walk(&path));
            }
        } else {
            files.push(path);
        }
    }
    files
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    walk(folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

fn package_folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        fs::read_dir(root().join("crates")).unwrap().map(|e| e.unwrap().path()).collect();
    folders.extend([root().join("examples"), root().join("benches")]);
    folders.retain(|folder| folder.join("Cargo.toml").exists());
    folders.sort();
    folders
}

fn manifest(folder: &Path) -> toml::Table {
    let path = folder.join("Cargo.toml");
    read(&path).parse().unwrap_or_else(|error| panic!("{}: {error}", shown(&path)))
}

fn package_name(manifest: &toml::Table) -> String {
    manifest["package"]["name"].as_str().unwrap().to_owned()
}

/// Names of all dependencies of any kind, for any target.
fn dependencies(table: &toml::Table) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (key, value) in table {
        let Some(inner) = value.as_table() else { continue };
        match key.as_str() {
            "dependencies" | "dev-dependencies" | "build-dependencies" => names.extend(inner.keys().cloned()),
            "target" => names.extend(inner.values().filter_map(toml::Value::as_table).flat_map(dependencies)),
            _ => {}
        }
    }
    names
}

fn ours(names: BTreeSet<String>) -> BTreeSet<String> {
    names.into_iter().filter(|name| name.starts_with("twinguard")).collect()
}

fn is_library(folder: &Path) -> bool {
    folder.parent().is_some_and(|parent| parent.ends_with("crates")) && floor(folder) <= 4
}

fn floor(folder: &Path) -> u8 {
    let name = package_name(&manifest(folder));
    FLOORS.iter().find(|(crate_name, ..)| *crate_name == name).map_or(0, |(_, floor, _)| *floor)
}

/// Lines without those that are only a comment.
fn code_lines(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn header(source: &str) -> String {
    source.lines().filter_map(|line| line.trim_start().strip_prefix("//!")).collect::<Vec<_>>().join("\n")
}

/// Place of a whole word.
fn word_at(text: &str, word: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .find(|(at, _)| !text[..*at].ends_with(part) && !text[at + word.len()..].starts_with(part))
        .map(|(at, _)| at)
}

fn camel(stem: &str) -> String {
    stem.split('_')
        .map(|part| part.split_at_checked(1).map_or(String::new(), |(a, b)| a.to_uppercase() + b))
        .collect()
}

/// A family folder and its members: a member is a file, or a folder of its own.
struct Family {
    folder: PathBuf,
    stems: Vec<String>,
}

impl Family {
    /// The front file of a member.
    fn front(&self, stem: &str) -> PathBuf {
        let (file, folder) = (self.folder.join(format!("{stem}.rs")), self.folder.join(stem).join("mod.rs"));
        if file.exists() { file } else { folder }
    }

    /// All code of a member.
    fn source(&self, stem: &str) -> String {
        let inner = rust_files(&self.folder.join(stem));
        let front = self.front(stem);
        let files = [front.clone()].into_iter().chain(inner.into_iter().filter(|path| *path != front));
        files.map(|path| read(&path)).collect()
    }
}

/// The family folders of a library: every folder with a plural name that is not itself a member.
fn families(folder: &Path) -> Vec<Family> {
    let mut families = Vec::new();
    let mut waiting = vec![folder.join("src")];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        if folder.file_name().is_some_and(|name| name.to_string_lossy().ends_with('s')) {
            let member = |path: &&PathBuf| path.is_dir() || path.extension().is_some_and(|e| e == "rs");
            let stems = paths
                .iter()
                .filter(member)
                .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
            let stems: BTreeSet<_> =
                stems.filter(|stem| !["mod", "registry", "tests"].contains(&stem.as_str())).collect();
            families.push(Family { folder, stems: stems.into_iter().collect() });
        } else {
            waiting.extend(paths.into_iter().filter(|path| path.is_dir()));
        }
    }
    families
}

fn verdict(rule: &str, complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

// ---------------------------------------------------------------------------------------------------------------
// The rules over the repository
// ---------------------------------------------------------------------------------------------------------------

#[test]
fn floors_hold_in_manifests() {
    let mut complaints = Vec::new();
    for folder in package_folders() {
        let manifest = manifest(&folder);
        complaints.extend(floor_rule(&package_name(&manifest), &ours(dependencies(&manifest))));
    }
    verdict("a crate imports only what its floor allows", complaints);
}

#[test]
fn siblings_do_not_import_each_other_in_sources() {
    let mut complaints = Vec::new();
    for folder in package_folders() {
        let name = package_name(&manifest(&folder));
        for path in rust_files(&folder) {
            let found = floor_rule(&name, &named_crates(&read(&path)));
            complaints.extend(found.into_iter().map(|complaint| format!("{}: {complaint}", shown(&path))));
        }
    }
    verdict("sources name only crates that the floor allows", complaints);
}

#[test]
fn versions_edition_licence_and_lints_are_written_once() {
    let mut complaints = Vec::new();
    for folder in package_folders() {
        let manifest = manifest(&folder);
        let name = package_name(&manifest);
        let inherited =
            |value: Option<&toml::Value>| value.and_then(|v| v.get("workspace")?.as_bool()) == Some(true);
        for key in ["version", "edition", "rust-version", "license"] {
            if !inherited(manifest["package"].get(key)) {
                complaints.push(format!("`{name}`: `{key}.workspace = true` is missing"));
            }
        }
        if is_library(&folder)
            && manifest.get("lints").and_then(|l| l.get("workspace")?.as_bool()) != Some(true)
        {
            complaints.push(format!("`{name}`: `[lints] workspace = true` is missing"));
        }
        for (dependency, line) in
            manifest.get("dependencies").and_then(toml::Value::as_table).into_iter().flatten()
        {
            if !inherited(Some(line)) {
                complaints
                    .push(format!("`{name}`: `{dependency}` does not take its version from the workspace"));
            }
        }
    }
    let workspace = manifest(&root());
    if workspace["workspace"].get("default-members").is_some() {
        complaints.push(
            "the workspace has `default-members`: it breaks `cargo run --example` from the root".into(),
        );
    }
    if workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str() != Some("forbid") {
        complaints.push("the workspace's lints do not forbid `unsafe_code`".into());
    }
    verdict("what all crates share is inherited", complaints);
}

#[test]
fn floors_one_to_four_have_no_unsafe() {
    let files =
        package_folders().into_iter().filter(|folder| is_library(folder)).flat_map(|f| rust_files(&f));
    let complaints = files
        .filter(|path| is_unsafe(&read(path)))
        .map(|path| format!("{} uses `unsafe`", shown(&path)))
        .collect();
    verdict("`unsafe` has no place on floors 1 to 4", complaints);
}

#[test]
fn only_named_files_touch_the_outside() {
    let mut complaints = Vec::new();
    for folder in package_folders().into_iter().filter(|folder| is_library(folder)) {
        for path in rust_files(&folder.join("src")) {
            let lifted = code_lines(&read(&path)).any(|line| line.contains("clippy::disallowed_methods"));
            let test_only = path.file_stem().is_some_and(|stem| stem == "tests");
            if lifted && !test_only && !IO_FILES.iter().any(|file| shown(&path).contains(file)) {
                complaints.push(format!("{} lifts `clippy::disallowed_methods`", shown(&path)));
            }
        }
    }
    verdict("clocks, files, sockets and threads stay outside the libraries", complaints);
}

#[test]
fn registries_are_complete_and_alphabetical() {
    let mut complaints = Vec::new();
    for folder in package_folders().into_iter().filter(|folder| is_library(folder)) {
        for Family { folder: family, stems } in families(&folder) {
            let candidates = [
                folder.join("src/registry.rs"),
                family.join("registry.rs"),
                family.join("mod.rs"),
                family.with_extension("rs"),
            ];
            let registries: Vec<_> =
                candidates.iter().filter(|path| path.exists()).map(|path| read(path)).collect();
            complaints.extend(registry_rule(&shown(&family), &stems, &registries));
        }
    }
    verdict("every family file has its line in the registry", complaints);
}

#[test]
fn family_files_do_not_import_the_registry() {
    let mut complaints = Vec::new();
    for folder in package_folders().into_iter().filter(|folder| is_library(folder)) {
        for family in families(&folder) {
            for stem in &family.stems {
                if code_lines(&family.source(stem)).any(|line| line.contains("registry::")) {
                    complaints.push(format!("{} imports the registry", shown(&family.front(stem))));
                }
            }
        }
    }
    verdict("a family member imports its trait file, never the registry", complaints);
}

#[test]
fn family_files_cite_a_source_and_have_a_test() {
    let mut complaints = Vec::new();
    for folder in package_folders().into_iter().filter(|folder| is_library(folder)) {
        let integration: String = rust_files(&folder.join("tests")).iter().map(|path| read(path)).collect();
        for family in families(&folder) {
            for stem in &family.stems {
                let path = shown(&family.front(stem));
                let source = family.source(stem);
                if !cites_source(&source) {
                    complaints.push(format!("{path}: the header docs cite no source"));
                }
                if !has_test(&source, stem, &integration) {
                    complaints.push(format!("{path}: no test, neither inside nor by name in tests/"));
                }
            }
        }
    }
    verdict("every family file cites a source and has a test", complaints);
}

#[test]
fn files_are_short() {
    let mut complaints = Vec::new();
    for folder in package_folders().into_iter().chain([root().join("fuzz")]) {
        for path in rust_files(&folder) {
            let lines = read(&path).lines().count();
            if lines > MAX_LINES {
                complaints.push(format!("{} has {lines} lines, more than {MAX_LINES}", shown(&path)));
            }
        }
    }
    verdict("a file fits one idea", complaints);
}

#[test]
fn front_doors_open_with_a_sentence_and_an_example() {
    let mut complaints = Vec::new();
    for folder in package_folders().into_iter().filter(|folder| is_library(folder)) {
        let path = folder.join("src/lib.rs");
        let source = read(&path);
        if !source.starts_with("//! ") {
            complaints.push(format!("{} does not open with a sentence", shown(&path)));
        }
        let readme = source.contains("include_str!(\"../README.md\")");
        if !readme && !header(&source).contains("```") {
            complaints.push(format!("{} shows no example in its header", shown(&path)));
        }
    }
    verdict("lib.rs opens with one sentence and a runnable example", complaints);
}

#[test]
fn examples_import_the_facade_only() {
    let names = dependencies(&manifest(&root().join("examples")));
    let complaints = names
        .iter()
        .filter(|name| !EXAMPLE_CRATES.split(' ').any(|known| known == name.as_str()))
        .map(|name| format!("examples/Cargo.toml: `{name}` is neither the facade nor a command-line crate"))
        .collect();
    verdict("an example that needs more shows what the facade lacks", complaints);
}

#[test]
fn the_workspace_builds_every_feature() {
    let facade = manifest(&root().join("crates/twinguard"));
    let examples = manifest(&root().join("examples"));
    let lower: Vec<_> = package_folders()
        .iter()
        .map(|folder| manifest(folder))
        .map(|table| (package_name(&table), table))
        .filter(|(name, _)| ALL.iter().any(|short| *name == format!("twinguard-{short}")))
        .collect();
    let ci = read(&root().join(".ci/run"));
    verdict("what CI tests covers every feature", feature_rule(&facade, &lower, &examples, &ci));
}

#[test]
fn licences_travel_with_every_crate() {
    let mut complaints = Vec::new();
    for folder in package_folders().into_iter().filter(|folder| is_library(folder)) {
        for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let (here, there) = (folder.join(name), root().join(name));
            if !here.exists() || read(&here) != read(&there) {
                complaints.push(format!("{} is missing or differs from the root's", shown(&here)));
            }
        }
        if !folder.join("README.md").exists() && manifest(&folder)["package"].get("readme").is_none() {
            complaints.push(format!("{}: no README.md", shown(&folder)));
        }
    }
    verdict("a published crate carries its licences and a README", complaints);
}

#[test]
fn the_book_is_whole() {
    let src = root().join("docs/src");
    let summary = src.join("SUMMARY.md");
    let listed: BTreeSet<_> = links(&read(&summary)).iter().map(|target| src.join(target)).collect();
    let mut complaints = Vec::new();
    for path in &listed {
        if !path.exists() {
            complaints.push(format!("SUMMARY.md lists {}, which does not exist", shown(path)));
        }
    }
    for path in walk(&src).into_iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        if path != summary && !listed.contains(&path) {
            complaints.push(format!("{} is not listed in SUMMARY.md", shown(&path)));
        }
    }
    verdict("docs/src and its SUMMARY.md agree", complaints);
}

#[test]
fn links_lead_somewhere() {
    let mut complaints = Vec::new();
    for path in texts().into_iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let folder = path.parent().unwrap();
        for target in links(&read(&path)) {
            if !folder.join(&target).exists() {
                complaints.push(format!("{}: `{target}` does not exist", shown(&path)));
            }
        }
    }
    verdict("relative links in Markdown resolve", complaints);
}

#[test]
fn named_files_exist() {
    let mut complaints = Vec::new();
    for path in texts().into_iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        for name in named_files(&read(&path)) {
            if !root().join(&name).exists() && !root().join("crates").join(&name).exists() {
                complaints.push(format!("{}: `{name}` does not exist", shown(&path)));
            }
        }
    }
    verdict("files that the pages name exist", complaints);
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let mut complaints = Vec::new();
    for path in texts() {
        if let Ok(text) = fs::read_to_string(&path) {
            complaints
                .extend(foreign_words(&text).into_iter().map(|word| format!("{}: `{word}`", shown(&path))));
        }
    }
    verdict("no machine's paths and no tools' names in the repository", complaints);
}

/// What people read: sources, manifests, pages, scripts.
fn texts() -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.ends_with("Cargo.lock") && !path.ends_with(".git"))
        .collect();
    for folder in ["crates", "examples", "benches", "fuzz", "docs", ".ci", ".github"] {
        files.extend(walk(&root().join(folder)));
    }
    files.retain(|path| {
        let name = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        ["rs", "md", "toml", "yml", "sh", "py", "svg", "html", "css", "js", ""].contains(&name.as_str())
    });
    files.sort();
    files
}

// ---------------------------------------------------------------------------------------------------------------
// The rules can fail
// ---------------------------------------------------------------------------------------------------------------

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn floors_refuse_siblings_and_strangers() {
    assert!(floor_rule("twinguard-anomaly", &set(&["twinguard-types"])).is_empty());
    assert_eq!(floor_rule("twinguard-anomaly", &set(&["twinguard-twin"])).len(), 1, "sibling");
    assert_eq!(floor_rule("twinguard-types", &set(&["twinguard"])).len(), 1, "upwards");
    assert_eq!(floor_rule("twinguard-new", &set(&[])).len(), 1, "no line in the table");
    let table: toml::Table =
        "[dev-dependencies]\na = 1\n[target.x.build-dependencies]\nb = 1".parse().unwrap();
    assert_eq!(dependencies(&table), set(&["a", "b"]));
}

#[test]
fn sources_are_searched_without_comments() {
    let source =
        "// twinguard_gate::X\nuse twinguard_twin::Twin;\nlet twinguard_local = my_twinguard_anomaly::x();";
    assert_eq!(named_crates(source), set(&["twinguard-twin"]));
}

#[test]
fn registries_refuse_gaps_and_disorder() {
    let stems = ["bias", "ramp", "two_tank"].map(str::to_owned);
    let check = |registry: &str| registry_rule("attacks", &stems, &[registry.to_owned()]).len();
    assert_eq!(check("mod bias;\nmod ramp;\nmod two_tank;"), 0);
    assert_eq!(check("use x;\nBox::new(Bias),\nBox::new(Ramp),\nBox::new(TwoTank),"), 0);
    assert_eq!(check("mod bias;\nmod ramp;"), 1, "gap");
    assert_eq!(check("mod ramp;\nmod bias;\nmod two_tank;"), 1, "disorder");
    assert_eq!(check("mod biased;\nmod ramp;\nmod two_tank;"), 1, "a longer word is another word");
    assert_eq!(check("//! bias, ramp, two_tank"), 1, "to speak of it is not to list it");
}

#[test]
fn citations_and_tests_are_asked_for() {
    assert!(cites_source("//! CUSUM.\n//!\n//! Source: Page, Biometrika 41, 1954.\n"));
    assert!(!cites_source("//! A clever trick.\n// Source: in a plain comment\n"));
    assert!(has_test("#[cfg(test)]\nmod tests {}", "bias", ""));
    assert!(has_test("", "two_tank", "TwoTank::new()") && !has_test("", "two_tank", "two_tanks"));
}

#[test]
fn features_left_off_are_found() {
    let table = |text: &str| text.parse::<toml::Table>().unwrap();
    let facade = table(
        "[features]\ndefault = [\"a\"]\na = [\"twinguard-x/p\"]\nb = []\n[dependencies]\ntwinguard-x = { features = [\"q\"] }",
    );
    let lower = [("twinguard-x".to_owned(), table("[features]\np = []\nq = []\nr = []"))];
    let examples = |list: &str| table(&format!("[dependencies]\ntwinguard = {{ features = [{list}] }}"));
    assert_eq!(feature_rule(&facade, &lower, &examples(""), "").len(), 2);
    let own = table("[features]\nh = [\"twinguard/b\"]\n[dependencies]\ntwinguard = {}");
    for (examples, ci) in [(examples("\"b\""), ""), (own, "--features examples/h")] {
        assert_eq!(feature_rule(&facade, &lower, &examples, ci).len(), 1, "`r` alone");
    }
}

#[test]
fn unsafe_is_seen_in_code_only() {
    assert!(is_unsafe("    unsafe { x() }") && is_unsafe("#![allow(unsafe_code)]"));
    assert!(!is_unsafe("// unsafe\nlet unsafe_steps = \"unsafe\";"));
}

#[test]
fn foreign_words_and_links_are_found() {
    assert_eq!(foreign_words(&["see /wo", "rk/x"].concat()).len(), 1);
    assert!(foreign_words("the model works at ../shared/data").is_empty());
    let markdown = "[a](b.md#c) [web](https://x.y) ![p](d.svg)\n```\n[no](e.md)\n```";
    assert_eq!(links(markdown), ["b.md", "d.svg"]);
    assert_eq!(
        named_files("see `fuzz/src/lib.rs`, `fuzz/NAME.rs`, `cargo test`, `.ci/run fmt`"),
        ["fuzz/src/lib.rs"]
    );
}
