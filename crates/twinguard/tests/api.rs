//! A snapshot of every public signature: a change of the public interface is a line in a diff that somebody reads.
//!
//! The lint `unreachable_pub` is denied, so what says `pub` can be reached from outside; this test lists it, crate by
//! crate, from the sources. After a wanted change: `UPDATE_API=1 cargo test -p twinguard --test api`.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, TraitItem, Visibility};

#[test]
fn public_signatures_are_those_of_the_snapshot() {
    let update = std::env::var_os("UPDATE_API").is_some();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut complaints = Vec::new();
    let mut folders: Vec<PathBuf> =
        fs::read_dir(&crates).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for folder in folders.into_iter().filter(|folder| folder.join("src/lib.rs").exists()) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let now = crate_api(&folder.join("src"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api").join(format!("{name}.txt"));
        if update {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, now.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
            continue;
        }
        let then = fs::read_to_string(&path).unwrap_or_default();
        let then: BTreeSet<_> = then.lines().map(str::to_owned).collect();
        complaints.extend(then.difference(&now).map(|line| format!("{name} - {line}")));
        complaints.extend(now.difference(&then).map(|line| format!("{name} + {line}")));
    }
    assert!(
        complaints.is_empty(),
        "the public interface changed; if that is wanted, run `UPDATE_API=1 cargo test -p twinguard --test api` and \
         write the change into CHANGELOG.md:\n{}",
        complaints.join("\n")
    );
}

#[test]
fn a_changed_signature_changes_the_listing() {
    let list = |source: &str| {
        let items = syn::parse_file(source).unwrap().items;
        let mut api = Api { types: public_types(&items), lines: BTreeSet::new() };
        api.items("x", &items);
        api.lines.into_iter().collect::<Vec<_>>().join("\n")
    };
    let base =
        "#[derive(Clone)] pub struct A { pub x: u8, y: u8 } impl A { pub fn f(&self) -> u8 { 1 } fn g() {} }";
    for changed in [
        base.replace("pub x: u8", "pub x: u16"),
        base.replace("Clone", "Clone, Copy"),
        base.replace("&self", "&mut self"),
        base.replace("fn g()", "pub fn g()"),
        base.replace("y: u8", "pub y: u8"),
        format!("{base} impl Drop for A {{ fn drop(&mut self) {{}} }}"),
        format!("{base} pub enum E {{ V(u8) }}"),
        format!("{base} pub trait T {{ fn f(&self) -> u8 {{ 0 }} }}"),
    ] {
        assert_ne!(list(base), list(&changed), "{changed}");
    }
    for same in
        [base.replace("{ 1 }", "{ 2 }"), base.replace("y: u8", "z: u16"), base.replace("fn g()", "fn h()")]
    {
        assert_eq!(list(base), list(&same), "{same}");
    }
}

/// All public signatures below a source folder, one a line.
fn crate_api(src: &Path) -> BTreeSet<String> {
    let mut files = Vec::new();
    collect(src, &mut files);
    let parsed: Vec<_> = files
        .iter()
        .map(|path| {
            let source = fs::read_to_string(path).unwrap();
            let file = syn::parse_file(&source).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (module(src, path), file.items)
        })
        .collect();
    let types = parsed.iter().flat_map(|(_, items)| public_types(items)).collect();
    let mut api = Api { types, lines: BTreeSet::new() };
    for (module, items) in &parsed {
        api.items(module, items);
    }
    api.lines
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs")
            && path.file_stem().is_some_and(|stem| stem != "tests")
        {
            files.push(path);
        }
    }
}

/// `src/attacks/bias.rs` is `attacks::bias`.
fn module(src: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(src).unwrap().with_extension("");
    let mut parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|part| part == "mod" || part == "lib") {
        parts.pop();
    }
    parts.join("::")
}

fn public_types(items: &[Item]) -> BTreeSet<String> {
    items
        .iter()
        .flat_map(|item| match item {
            Item::Struct(x) if public(&x.vis) => vec![x.ident.to_string()],
            Item::Enum(x) if public(&x.vis) => vec![x.ident.to_string()],
            Item::Type(x) if public(&x.vis) => vec![x.ident.to_string()],
            Item::Mod(x) => x.content.iter().flat_map(|(_, items)| public_types(items)).collect(),
            _ => Vec::new(),
        })
        .collect()
}

struct Api {
    types: BTreeSet<String>,
    lines: BTreeSet<String>,
}

impl Api {
    fn line(&mut self, module: &str, attributes: &[Attribute], text: &str) {
        let place = if module.is_empty() { "crate" } else { module };
        self.lines.insert(format!("{place}: {}{text}", attributes_text(attributes)));
    }

    fn items(&mut self, module: &str, items: &[Item]) {
        for item in items {
            self.item(module, item);
        }
    }

    fn item(&mut self, module: &str, item: &Item) {
        match item {
            Item::Fn(x) if public(&x.vis) => self.line(module, &x.attrs, &format!("pub {}", text(&x.sig))),
            Item::Const(x) if public(&x.vis) => {
                self.line(module, &x.attrs, &format!("pub const {}: {}", x.ident, text(&x.ty)));
            }
            Item::Static(x) if public(&x.vis) => {
                self.line(module, &x.attrs, &format!("pub static {}: {}", x.ident, text(&x.ty)));
            }
            Item::Type(x) if public(&x.vis) => {
                self.line(
                    module,
                    &x.attrs,
                    &format!("pub type {}{} = {}", x.ident, text(&x.generics), text(&x.ty)),
                );
            }
            Item::Use(x) if public(&x.vis) => {
                self.line(module, &x.attrs, &format!("pub use {}", text(&x.tree)))
            }
            Item::Struct(x) if public(&x.vis) => {
                let fields = fields(&x.fields, true);
                let (generics, bounds) = (text(&x.generics), text(&x.generics.where_clause));
                self.line(module, &x.attrs, &format!("pub struct {}{generics}{bounds} {fields}", x.ident));
            }
            Item::Enum(x) if public(&x.vis) => {
                let head = format!("pub enum {}{}", x.ident, text(&x.generics));
                self.line(module, &x.attrs, &head);
                for variant in &x.variants {
                    let value = variant
                        .discriminant
                        .as_ref()
                        .map_or(String::new(), |(_, v)| format!(" = {}", text(v)));
                    let fields = fields(&variant.fields, false);
                    self.line(
                        module,
                        &variant.attrs,
                        &format!("enum {}::{} {fields}{value}", x.ident, variant.ident),
                    );
                }
            }
            Item::Trait(x) if public(&x.vis) => {
                let (generics, supers) = (text(&x.generics), text(&x.supertraits));
                self.line(module, &x.attrs, &format!("pub trait {}{generics}: {supers}", x.ident));
                for member in &x.items {
                    let (attributes, member) = match member {
                        TraitItem::Fn(f) => {
                            (&f.attrs, text(&f.sig) + if f.default.is_some() { " { default }" } else { "" })
                        }
                        TraitItem::Const(c) => (&c.attrs, format!("const {}: {}", c.ident, text(&c.ty))),
                        TraitItem::Type(t) => (&t.attrs, format!("type {}: {}", t.ident, text(&t.bounds))),
                        _ => continue,
                    };
                    self.line(module, attributes, &format!("trait {}: {member}", x.ident));
                }
            }
            Item::Impl(x) => self.implementation(module, x),
            Item::Macro(x) if x.attrs.iter().any(|a| a.path().is_ident("macro_export")) => {
                self.line(
                    module,
                    &[],
                    &format!("macro_rules! {}", x.ident.as_ref().map_or_else(String::new, text)),
                );
            }
            Item::Mod(x) if !is_test(&x.attrs) => {
                if public(&x.vis) {
                    self.line(module, &x.attrs, &format!("pub mod {}", x.ident));
                }
                if let Some((_, items)) = &x.content {
                    let inner = if module.is_empty() {
                        x.ident.to_string()
                    } else {
                        format!("{module}::{}", x.ident)
                    };
                    self.items(&inner, items);
                }
            }
            _ => {}
        }
    }

    fn implementation(&mut self, module: &str, x: &syn::ItemImpl) {
        let target = text(&x.self_ty);
        let word = |name: &String| {
            target.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|part| part == name)
        };
        if is_test(&x.attrs) || !self.types.iter().any(word) {
            return;
        }
        let (generics, bounds) = (text(&x.generics), text(&x.generics.where_clause));
        if let Some(trait_path) = x.trait_.as_ref().map(|implemented| text(&implemented.0)) {
            self.line(module, &x.attrs, &format!("impl{generics} {trait_path} for {target}{bounds}"));
            for member in &x.items {
                if let ImplItem::Type(t) = member {
                    self.line(
                        module,
                        &t.attrs,
                        &format!("{trait_path} for {target}: type {} = {}", t.ident, text(&t.ty)),
                    );
                }
            }
            return;
        }
        for member in &x.items {
            let (attributes, member) = match member {
                ImplItem::Fn(f) if public(&f.vis) => (&f.attrs, text(&f.sig)),
                ImplItem::Const(c) if public(&c.vis) => {
                    (&c.attrs, format!("const {}: {}", c.ident, text(&c.ty)))
                }
                _ => continue,
            };
            self.line(module, attributes, &format!("impl{generics} {target}{bounds}: pub {member}"));
        }
    }
}

fn public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| a.path().is_ident("cfg") && text(&a.meta).contains("test"))
}

/// The attributes that callers can feel.
fn attributes_text(attributes: &[Attribute]) -> String {
    attributes
        .iter()
        .filter(|a| {
            ["derive", "non_exhaustive", "cfg", "cfg_attr", "deprecated"].iter().any(|n| a.path().is_ident(n))
        })
        .map(|a| format!("#[{}] ", text(&a.meta)))
        .collect()
}

/// Public fields with their types; `..` stands for the private ones. Variants' fields are all public.
fn fields(fields: &Fields, only_public: bool) -> String {
    let mut shown = Vec::new();
    let mut hidden = false;
    for field in fields {
        if only_public && !public(&field.vis) {
            hidden = true;
            continue;
        }
        let name = field.ident.as_ref().map_or(String::new(), |name| format!("{name}: "));
        shown.push(format!("{}{name}{}", attributes_text(&field.attrs), text(&field.ty)));
    }
    if hidden {
        shown.push("..".to_owned());
    }
    format!("{{ {} }}", shown.join(", "))
}

/// Tokens as text, without the blanks that the printer puts between all of them.
fn text(tokens: &impl ToTokens) -> String {
    let mut out = tokens.to_token_stream().to_string();
    for (from, to) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" ,", ","),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" :", ":"),
        (" ;", ";"),
        ("[ ", "["),
        (" ]", "]"),
        ("- >", "->"),
    ] {
        out = out.replace(from, to);
    }
    out
}
