//! The tables `[[oidc]]`: whose tokens people may come with, and what these are worth.

use core::time::Duration;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use twinguard::twin::problem::{Located, Place, Problem};

use super::reader::{At, Table, nearest};
use super::{Right, bounded, rights, seconds};
use crate::core::oidc::{Algorithm, Keys};

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProvider {
    /// Its name, as tokens say it (`iss`).
    pub issuer: String,
    /// Whom its tokens have to be for (`aud`): one of these.
    pub audiences: Vec<String>,
    /// The file with its keys.
    pub keys: PathBuf,
    /// Which signatures count.
    pub algorithms: Vec<Algorithm>,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// How old a token may be; `None`: as old as its end lets it.
    pub max_age: Option<Duration>,
    /// Which programs may have asked for a token (`azp`); none: any.
    pub authorized_parties: Vec<String>,
    /// The claim that names the person.
    pub name_claim: String,
    /// What stands before their names here.
    pub prefix: String,
    /// The claim that names the groups.
    pub groups_claim: String,
    /// What groups are worth.
    pub groups: Vec<Group>,
}

/// What a group of people may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, as tokens say it.
    pub name: String,
    /// The role that it gives people whom the plant file does not name.
    pub role: Option<String>,
    /// Where the role stands in the configuration.
    pub place: Place,
    /// What it lets them do with the API.
    pub may: BTreeSet<Right>,
}

const ALGORITHMS: [(&str, Algorithm); 3] =
    [("ES256", Algorithm::Es256), ("RS256", Algorithm::Rs256), ("EdDSA", Algorithm::EdDsa)];

/// Reads the keys' file.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn keys(file: &Path) -> Result<Keys, String> {
    let json = std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    Keys::parse(&json)
}

pub(super) fn providers(table: &Table<'_, '_>, folder: &Path, has_api: bool) -> Vec<IdentityProvider> {
    let tables = table.tables("oidc");
    bounded(table, "oidc", tables.len());
    if !tables.is_empty() && !has_api {
        table.reader().refuse(table.place_of("oidc"), "oidc", "needs [api]: people come there");
    }
    let mut seen = BTreeSet::new();
    let mut providers: Vec<IdentityProvider> = Vec::new();
    for inner in tables {
        let read = provider(&inner, folder);
        let (at, named_at) = (inner.place_of("issuer"), inner.place_of("prefix"));
        inner.finish();
        let Some(provider) = read else { continue };
        // OpenID Connect Core 1.0 §2: a name is one person's within its issuer alone.
        if providers.iter().any(|it| it.prefix == provider.prefix && it.issuer != provider.issuer) {
            let reason = "is that of another [[oidc]]: people of both would bear the same names";
            table.reader().refuse(named_at, "prefix", reason);
        }
        if !seen.insert(provider.issuer.clone()) {
            let problem = Problem::Duplicate { what: "issuer", name: provider.issuer.clone() };
            table.reader().problem(at, problem);
        }
        providers.push(provider);
    }
    providers
}

/// Roles of groups that mean nothing to a policy that speaks of these.
pub(crate) fn unknown_roles(providers: &[IdentityProvider], known: &BTreeSet<String>) -> Vec<Located> {
    let groups = providers.iter().flat_map(|it| &it.groups);
    let unknown =
        groups.filter_map(|group| Some((group, group.role.as_ref().filter(|it| !known.contains(*it))?)));
    let problem = |(group, role): (&Group, &String)| {
        let nearest = nearest(role, known.iter().map(String::as_str));
        let problem = Problem::Unknown { what: "role of the policy", name: role.clone(), nearest };
        Located { place: group.place.clone(), problem }
    };
    unknown.map(problem).collect()
}

fn provider(table: &Table<'_, '_>, folder: &Path) -> Option<IdentityProvider> {
    let issuer = table.must_text("issuer");
    if let Some(issuer) = issuer.as_ref().filter(|it| !it.value.starts_with("https://")) {
        // OpenID Connect Core 1.0 §2, `iss`.
        table.reader().refuse(issuer.at, "issuer", "must begin with `https://`, exactly as tokens have it");
    }
    let file = table.must_text("keys").map(|it| {
        let path = folder.join(&it.value);
        if let Err(reason) = keys(&path) {
            table.reader().refuse(it.at, &it.value, reason);
        }
        path
    });
    let audiences = list(table, "audience", "the names that this gateway has at the provider");
    let algorithms = algorithms(table);
    let max_age = table.has("max_age_s").then(|| seconds(table, "max_age_s", 3_600.0));
    let claim = |key: &'static str, default: &str| {
        let text = table.text(key).filter(|it| {
            let empty = it.value.is_empty();
            if empty {
                table.reader().refuse(it.at, key, "must be the name of a claim");
            }
            !empty
        });
        text.map_or_else(|| default.to_owned(), |it| it.value)
    };
    let (name_claim, groups_claim) = (claim("name_claim", "sub"), claim("groups_claim", "groups"));
    let groups = groups(table);
    Some(IdentityProvider {
        audiences,
        algorithms,
        leeway: Duration::from_secs_f64(table.number("leeway_s", 0.0..301.0, 30.0)),
        max_age,
        authorized_parties: table.texts("authorized_parties").into_iter().map(|it| it.value).collect(),
        prefix: table.text("prefix").map_or_else(String::new, |it| it.value),
        name_claim,
        groups_claim,
        groups,
        keys: file?,
        issuer: issuer?.value,
    })
}

/// A list that has to be there and hold something.
fn list(table: &Table<'_, '_>, key: &'static str, what: &str) -> Vec<String> {
    let texts = table.texts(key);
    if !table.has(key) {
        table.reader().refuse(table.at(), key, format!("is missing: {what}"));
    } else if texts.is_empty() {
        table.reader().refuse(table.place_of(key), key, format!("must name at least one of {what}"));
    }
    texts.into_iter().map(|it| it.value).collect()
}

fn algorithms(table: &Table<'_, '_>) -> Vec<Algorithm> {
    let words = || ALGORITHMS.iter().map(|(word, _)| *word);
    if !table.has("algorithms") {
        let reason = format!("is missing: some of {}", words().collect::<Vec<_>>().join(", "));
        table.reader().refuse(table.at(), "algorithms", reason);
    }
    let read = |word: At<String>| match ALGORITHMS.iter().find(|(name, _)| *name == word.value) {
        Some((_, algorithm)) => Some(*algorithm),
        None => {
            table.unknown("algorithm", &word, words());
            None
        }
    };
    table.texts("algorithms").into_iter().filter_map(read).collect()
}

fn groups(table: &Table<'_, '_>) -> Vec<Group> {
    let tables = table.tables("group");
    bounded(table, "group", tables.len());
    if tables.is_empty() {
        let reason = "is missing: without [[oidc.group]] nobody may anything";
        table.reader().refuse(table.at(), "group", reason);
    }
    let mut groups: Vec<Group> = Vec::new();
    for inner in tables {
        let name = inner.must_text("name");
        let role = inner.text("role").map(|it| it.value);
        let place = inner.reader().place(inner.place_of("role"));
        let may = rights(&inner);
        inner.finish();
        let Some(name) = name else { continue };
        if groups.iter().any(|it| it.name == name.value) {
            let problem = Problem::Duplicate { what: "group", name: name.value.clone() };
            table.reader().problem(name.at, problem);
        }
        groups.push(Group { name: name.value, role, place, may });
    }
    groups
}
