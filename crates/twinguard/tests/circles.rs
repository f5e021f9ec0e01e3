//! No circles inside a crate: its modules form a tree of floors, as the crates do. A circle nearly always means that a
//! shared noun lives one floor too high; move the noun down.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Item, UseTree};

/// Circles that still stand, each a debt: crate, then modules. Nothing may be added.
const STANDING: &[(&str, &[&str])] = &[];

type Edges = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_of_a_crate_form_no_circle() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut complaints = Vec::new();
    let mut folders: Vec<PathBuf> =
        fs::read_dir(&crates).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for folder in folders.into_iter().filter(|folder| folder.join("src/lib.rs").exists()) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        for circle in circles(&crate_edges(&folder.join("src"))) {
            let standing = |(owner, modules): &(&str, &[&str])| {
                *owner == name && circle.iter().all(|m| modules.contains(&m.as_str()))
            };
            if !STANDING.iter().any(standing) {
                complaints.push(format!("{name}: {}", circle.join(" ↔ ")));
            }
        }
    }
    assert!(
        complaints.is_empty(),
        "modules that import each other in a circle:\n  {}",
        complaints.join("\n  ")
    );
}

#[test]
fn a_circle_is_found() {
    let front = exports(&items("pub use a::{A, B as C}; pub use b::*; mod a; mod b;"));
    assert_eq!(front["A"], "a");
    assert_eq!(front["C"], "a");
    let modules = ["a", "b", "c"].map(str::to_owned).into();
    let uses = |source: &str| uses(&items(source), &modules, &front).into_iter().collect::<Vec<_>>();
    assert_eq!(uses("use crate::{A, b::{X, Y}}; fn f() { crate::c::g() }"), ["a", "b", "c"]);
    assert!(uses("#[cfg(test)] mod tests { use crate::A; }").is_empty());
    let edges = |pairs: &[(&str, &str)]| {
        let mut edges = Edges::new();
        for (from, to) in pairs {
            edges.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        edges
    };
    assert!(circles(&edges(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    assert_eq!(circles(&edges(&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")])), [["a", "b", "c"]]);
}

fn items(source: &str) -> Vec<Item> {
    syn::parse_file(source).unwrap().items
}

/// Which top-level module of a crate uses which.
fn crate_edges(src: &Path) -> Edges {
    let mut files: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    let mut waiting = vec![src.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "rs")
                && path.file_stem().is_some_and(|s| s != "tests")
            {
                let first =
                    path.strip_prefix(src).unwrap().iter().next().unwrap().to_string_lossy().into_owned();
                let module = first.trim_end_matches(".rs").to_owned();
                files.entry(module).or_default().extend(items(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let front = exports(&files.remove("lib").unwrap_or_default());
    let modules: BTreeSet<String> = files.keys().cloned().collect();
    let edges = files.iter().map(|(module, items)| {
        let mut used = uses(items, &modules, &front);
        used.remove(module);
        (module.clone(), used)
    });
    edges.collect()
}

/// Names that `lib.rs` re-exports, with the module they come from.
fn exports(items: &[Item]) -> BTreeMap<String, String> {
    fn names(tree: &UseTree, module: &str, out: &mut BTreeMap<String, String>) {
        match tree {
            UseTree::Path(path) => names(&path.tree, module, out),
            UseTree::Name(name) => drop(out.insert(name.ident.to_string(), module.to_owned())),
            UseTree::Rename(name) => drop(out.insert(name.rename.to_string(), module.to_owned())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, module, out)),
            UseTree::Glob(_) => {}
        }
    }
    let mut out = BTreeMap::new();
    for item in items {
        match item {
            Item::Use(item) => tops(&item.tree, &mut |module, tree| names(tree, module, &mut out)),
            _ => continue,
        }
    }
    out
}

/// The first segments of a use tree, `self` and `crate` skipped, each with what follows.
fn tops(tree: &UseTree, put: &mut impl FnMut(&str, &UseTree)) {
    match tree {
        UseTree::Path(path) if path.ident == "self" || path.ident == "crate" => tops(&path.tree, put),
        UseTree::Path(path) => put(&path.ident.to_string(), &path.tree),
        UseTree::Group(group) => group.items.iter().for_each(|tree| tops(tree, put)),
        _ => {}
    }
}

/// Top-level modules named after `crate::`, in code that is not only for tests.
fn uses(items: &[Item], modules: &BTreeSet<String>, front: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for item in items {
        let test = matches!(item, Item::Mod(m) if m.attrs.iter().any(|a| a.to_token_stream().to_string().contains("test")));
        if !test {
            after_crate(item.to_token_stream(), &mut found);
        }
    }
    found
        .into_iter()
        .filter_map(|name| if modules.contains(&name) { Some(name) } else { front.get(&name).cloned() })
        .collect()
}

/// Identifiers that follow `crate::`, also the first of each part of `crate::{…}`.
fn after_crate(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.to_string() == text);
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            after_crate(group.stream(), found);
        }
        if !(is(at, "crate") && is(at + 1, ":") && is(at + 2, ":")) {
            continue;
        }
        match tokens.get(at + 3) {
            Some(TokenTree::Ident(ident)) => drop(found.insert(ident.to_string())),
            Some(TokenTree::Group(group)) => {
                let mut first = true;
                for token in group.stream() {
                    if first {
                        found.insert(token.to_string());
                    }
                    first = token.to_string() == ",";
                }
            }
            _ => {}
        }
    }
}

/// Groups of modules each of which reaches the others.
fn circles(edges: &Edges) -> Vec<Vec<String>> {
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![from.to_owned()];
        while let Some(module) = waiting.pop() {
            for next in edges.get(&module).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    waiting.push(next.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = edges.keys().map(|module| (module.clone(), reach(module))).collect();
    let mut groups = BTreeSet::new();
    for (module, seen) in &reached {
        if seen.contains(module) {
            groups.insert(
                seen.iter().filter(|other| reached[*other].contains(module)).cloned().collect::<Vec<_>>(),
            );
        }
    }
    groups.into_iter().collect()
}
