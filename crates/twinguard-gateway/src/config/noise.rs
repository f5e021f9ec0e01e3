//! The tables that ask for Noise.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::reader::{At, Table};
use crate::core::noise::{Pattern, PublicKey, SecretKey};

/// Most clients of one listener.
const CLIENTS: usize = 10_000;

/// Noise before a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noise {
    /// The handshake.
    pub pattern: Pattern,
    /// The file with the secret key.
    pub key: PathBuf,
    /// Who may come in.
    pub clients: Vec<NoiseClient>,
}

/// A client that is known by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoiseClient {
    /// Whom it names: a party of the plant file has its roles from there.
    pub name: String,
    /// Its public key.
    pub key: PublicKey,
}

/// Noise towards a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoiseTowards {
    /// The handshake.
    pub pattern: Pattern,
    /// The file with the secret key.
    pub key: PathBuf,
    /// The server's public key.
    pub server: PublicKey,
}

const PATTERNS: [(&str, Pattern); 2] = [("IK", Pattern::Ik), ("XX", Pattern::Xx)];

/// Reads a secret key's file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn secret(path: &Path) -> Result<SecretKey, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = Zeroizing::new(text);
    SecretKey::parse(&text)
        .ok_or_else(|| "must hold a key of 64 hexadecimal digits or 44 characters of base64".to_owned())
}

/// Noise before a listener.
pub(super) fn before(table: &Table<'_, '_>, folder: &Path) -> Option<Noise> {
    let (pattern, key) = pattern_and_key(table, folder);
    if !table.has("client") {
        let reason = "is missing: [[client]] with `name` and `key` for everyone who may come in";
        table.reader().refuse(table.at(), "client", reason);
    }
    let listed = table.tables("client");
    if listed.len() > CLIENTS {
        table.reader().refuse(table.place_of("client"), "client", format!("are more than {CLIENTS}"));
    }
    let mut clients: Vec<NoiseClient> = Vec::new();
    for inner in listed.into_iter().take(CLIENTS) {
        let name = inner.must_text("name").filter(|name| {
            let good = !name.value.is_empty() && !name.value.chars().any(char::is_control);
            if !good {
                inner.reader().refuse(name.at, "name", "must be a name that can be seen");
            }
            good
        });
        let key = public(&inner, "key");
        if let Some(key) = &key
            && let Some(other) = clients.iter().find(|client| client.key == key.value)
        {
            inner.reader().refuse(key.at, "key", format!("is that of `{}` already", other.name));
        }
        if let (Some(name), Some(key)) = (name, key) {
            clients.push(NoiseClient { name: name.value, key: key.value });
        }
        inner.finish();
    }
    Some(Noise { pattern, key: key?, clients })
}

/// Noise towards a server.
pub(super) fn towards(table: &Table<'_, '_>, folder: &Path) -> Option<NoiseTowards> {
    let (pattern, key) = pattern_and_key(table, folder);
    let server = public(table, "server");
    Some(NoiseTowards { pattern, key: key?, server: server?.value })
}

fn pattern_and_key(table: &Table<'_, '_>, folder: &Path) -> (Pattern, Option<PathBuf>) {
    let key = table.must_text("key").map(|it| {
        let path = folder.join(&it.value);
        if let Err(reason) = secret(&path) {
            table.reader().refuse(it.at, &it.value, reason);
        }
        path
    });
    (table.choice("pattern", &PATTERNS).unwrap_or_default(), key)
}

/// A public key.
fn public(table: &Table<'_, '_>, key: &'static str) -> Option<At<PublicKey>> {
    let text = table.must_text(key)?;
    match PublicKey::parse(&text.value) {
        Some(value) => Some(At { value, at: text.at }),
        None => {
            let reason = "must be a public key of 64 hexadecimal digits or 44 characters of base64";
            table.reader().refuse(text.at, key, reason);
            None
        }
    }
}
