//! The tables that ask for TLS.

use core::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;

use super::reader::{At, Table};
use crate::pem;

/// Whether a peer without post-quantum key exchange is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PostQuantum {
    /// Hybrid with whoever can, else an elliptic curve alone.
    #[default]
    Prefer,
    /// Hybrid, or nothing.
    Require,
}

/// TLS before a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The file with the certificate that is shown, and those that link it to an authority.
    pub certificate: PathBuf,
    /// The file with its key.
    pub key: PathBuf,
    /// The authorities whose certificates clients have to show; `None`: clients show none.
    pub client_ca: Option<PathBuf>,
    /// What these authorities have revoked.
    pub crl: Option<PathBuf>,
    /// The key exchange.
    pub post_quantum: PostQuantum,
}

/// TLS towards a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsTowards {
    /// The authorities of the server's certificate.
    pub ca: PathBuf,
    /// The name or address that it has to be for.
    pub name: String,
    /// The files of the certificate that the server is shown, and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The key exchange.
    pub post_quantum: PostQuantum,
}

const POST_QUANTUM: [(&str, PostQuantum); 2] =
    [("prefer", PostQuantum::Prefer), ("require", PostQuantum::Require)];

/// TLS before a listener; `mutual` where clients have to show certificates.
pub(super) fn before(table: &Table<'_, '_>, folder: &Path, mutual: bool) -> Option<Tls> {
    let identity = identity(table, folder);
    if mutual && !table.has("client_ca") {
        let reason = "is missing: the authority whose certificates clients have to show";
        table.reader().refuse(table.at(), "client_ca", reason);
    }
    let client_ca = table.text("client_ca").map(|it| authorities(table, folder, &it));
    let crl = table.text("crl").map(|it| {
        if client_ca.is_none() {
            table.reader().refuse(it.at, "crl", "needs `client_ca`: whose certificates?");
        }
        let path = folder.join(&it.value);
        if let Err(reason) = pem::revoked(&path) {
            table.reader().refuse(it.at, &it.value, reason);
        }
        path
    });
    let post_quantum = table.choice("post_quantum", &POST_QUANTUM).unwrap_or_default();
    let (certificate, key) = identity?;
    Some(Tls { certificate, key, client_ca, crl, post_quantum })
}

/// TLS towards a server at this address.
pub(super) fn towards(table: &Table<'_, '_>, folder: &Path, server: SocketAddr) -> Option<TlsTowards> {
    let ca = table.must_text("ca").map(|it| authorities(table, folder, &it));
    let name = table.text("name");
    if let Some(name) = &name
        && ServerName::try_from(name.value.as_str()).is_err()
    {
        let reason = format!("must be a host name or an address, not `{}`", name.value);
        table.reader().refuse(name.at, "name", reason);
    }
    let shown = table.has("certificate") || table.has("key");
    let identity = if shown { identity(table, folder) } else { None };
    let post_quantum = table.choice("post_quantum", &POST_QUANTUM).unwrap_or_default();
    let name = name.map_or_else(|| server.ip().to_string(), |it| it.value);
    Some(TlsTowards { ca: ca?, name, identity, post_quantum })
}

/// A certificate's and its key's file, which belong together.
fn identity(table: &Table<'_, '_>, folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (table.must_text("certificate"), table.must_text("key"));
    let told = |file: &At<String>, reason: String| table.reader().refuse(file.at, &file.value, reason);
    let (certificate, key) = (certificate?, key?);
    let paths = (folder.join(&certificate.value), folder.join(&key.value));
    let chain = pem::certificates(&paths.0).map_err(|reason| told(&certificate, reason)).ok();
    let secret = pem::key(&paths.1).map_err(|reason| told(&key, reason)).ok();
    if let (Some(chain), Some(secret)) = (chain, secret)
        && let Err(reason) = pem::identity(chain, secret, &aws_lc_rs::default_provider())
    {
        told(&key, reason);
    }
    Some(paths)
}

fn authorities(table: &Table<'_, '_>, folder: &Path, file: &At<String>) -> PathBuf {
    let path = folder.join(&file.value);
    if let Err(reason) = pem::roots(&path) {
        table.reader().refuse(file.at, &file.value, reason);
    }
    path
}
