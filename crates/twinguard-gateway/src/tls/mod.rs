//! TLS 1.3 before everything that listens, and towards servers.
//!
//! Sources: RFC 8446; draft-ietf-tls-ecdhe-mlkem (X25519MLKEM768: who records today decrypts nothing later, as long as one of
//! the two holds); *MODBUS/TCP Security Protocol Specification* v21 §6, §8 (both sides show certificates). No older version is
//! spoken, so there is nothing to be downgraded to. Sessions are not resumed: who comes back shows their certificate again.

mod verify;

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{Acceptor, ClientHello, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, NamedGroup, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

use crate::certificate::{Certificate, Term};
use crate::config::{PostQuantum, Tls, TlsTowards};
use crate::wire::{Met, Wire};
use crate::{Error, pem};
use verify::Lapsed;

/// What a listener shows from now on.
pub(crate) struct Ready {
    /// For clients that know the hybrid key exchange: it is the only one here, whatever they would prefer.
    hybrid: Arc<ServerConfig>,
    /// For all others, where they are spoken to.
    other: Option<Arc<ServerConfig>>,
    own: Term,
}

impl Ready {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error::Io`] with the file that cannot be used.
    pub(crate) fn read(tls: &Tls, protocols: &[&[u8]]) -> Result<Self, Error> {
        let broken = |error: &dyn core::fmt::Display| refuse(&tls.certificate, error.to_string());
        let identity = identity(&tls.certificate, &tls.key, &provider(HYBRID))?;
        let own = chain(&identity.cert).map_err(|error| broken(&error))?.term;
        let shown = Arc::new(SingleCertAndKey::from(identity));
        let config = |groups| {
            let provider = provider(groups);
            let builder = ServerConfig::builder_with_provider(provider.clone());
            let builder = builder.with_protocol_versions(&[&TLS13]).map_err(|error| broken(&error))?;
            let builder = match &tls.client_ca {
                Some(file) => {
                    let roots = pem::roots(file).map_err(|reason| refuse(file, reason))?;
                    let mut inside = WebPkiClientVerifier::builder_with_provider(roots, provider);
                    if let Some(crl) = &tls.crl {
                        let lists = pem::revoked(crl).map_err(|reason| refuse(crl, reason))?;
                        // Of an authority that publishes no list nothing is revoked.
                        inside = inside.with_crls(lists).allow_unknown_revocation_status();
                    }
                    let inside = inside.build().map_err(|error| refuse(file, error.to_string()))?;
                    builder.with_client_cert_verifier(Arc::new(Lapsed(inside)))
                }
                None => builder.with_no_client_auth(),
            };
            let mut server = builder.with_cert_resolver(shown.clone());
            server.send_tls13_tickets = 0;
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
            Ok::<_, Error>(Arc::new(server))
        };
        let other = match tls.post_quantum {
            PostQuantum::Prefer => Some(config(OTHER)?),
            PostQuantum::Require => None,
        };
        Ok(Self { hybrid: config(HYBRID)?, other, own })
    }

    /// The term of the chain that is shown.
    pub(crate) const fn own(&self) -> Term {
        self.own
    }

    /// Shakes hands with whoever came.
    ///
    /// # Errors
    /// What the other side did wrong; it was told with an alert.
    pub(crate) async fn meet(&self, stream: TcpStream) -> io::Result<(Wire, Met)> {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let config = self.answer(&begun.client_hello());
        let stream = begun.into_stream(config).await?;
        let peer = stream.get_ref().1.peer_certificates().map(chain).transpose();
        let peer = peer.map_err(io::Error::other)?;
        Ok((Box::new(stream), Met::Certificates { peer, own: self.own }))
    }

    /// With what to answer a client. Left to itself, the session would take the exchange that the client likes best.
    fn answer(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let knows = |groups: &[NamedGroup]| HYBRID.iter().any(|hybrid| groups.contains(&hybrid.name()));
        match &self.other {
            Some(other) if !hello.named_groups().is_some_and(knows) => other.clone(),
            _ => self.hybrid.clone(),
        }
    }
}

/// With what a server is spoken to from now on.
pub(crate) struct Towards {
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Towards {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error::Io`] with the file that cannot be used.
    pub(crate) fn read(tls: &TlsTowards) -> Result<Self, Error> {
        let groups = match tls.post_quantum {
            PostQuantum::Prefer => [HYBRID, OTHER].concat(),
            PostQuantum::Require => HYBRID.to_vec(),
        };
        let provider = Arc::new(CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() });
        let broken = |error: &dyn core::fmt::Display| refuse(&tls.ca, error.to_string());
        let roots = pem::roots(&tls.ca).map_err(|reason| broken(&reason))?;
        let inside = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        let inside = inside.map_err(|error| broken(&error))?;
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13]);
        let builder = builder
            .map_err(|error| broken(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lapsed(inside)));
        let mut client = match &tls.identity {
            Some((certificate, key)) => {
                let identity = identity(certificate, key, &provider)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
            }
            None => builder.with_no_client_auth(),
        };
        client.resumption = Resumption::disabled();
        let name = ServerName::try_from(tls.name.clone()).map_err(|error| broken(&error))?;
        Ok(Self { client: Arc::new(client), name })
    }

    /// Shakes hands with the server; its certificate, with the term of its whole chain.
    ///
    /// # Errors
    /// What the server did wrong.
    pub(crate) async fn join(&self, stream: TcpStream) -> io::Result<(Wire, Option<Certificate>)> {
        let stream = TlsConnector::from(self.client.clone()).connect(self.name.clone(), stream).await?;
        let shown = stream.get_ref().1.peer_certificates().map(chain).transpose();
        Ok((Box::new(stream), shown.map_err(io::Error::other)?))
    }
}

type Groups = &'static [&'static dyn SupportedKxGroup];

/// The key exchange that holds as long as one of its two halves does.
const HYBRID: Groups = &[kx_group::X25519MLKEM768];
/// Those of elliptic curves alone.
const OTHER: Groups = &[kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];

fn provider(groups: Groups) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { kx_groups: groups.to_vec(), ..aws_lc_rs::default_provider() })
}

fn identity(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let chain = pem::certificates(certificate).map_err(|reason| refuse(certificate, reason))?;
    let secret = pem::key(key).map_err(|reason| refuse(key, reason))?;
    pem::identity(chain, secret, provider).map_err(|reason| refuse(key, reason))
}

/// The first certificate, with the term in which all are valid.
fn chain(certificates: &[CertificateDer<'_>]) -> Result<Certificate, crate::certificate::Unreadable> {
    let (leaf, others) =
        certificates.split_first().map_or((&[][..], &[][..]), |(leaf, others)| (leaf.as_ref(), others));
    let mut certificate = Certificate::read(leaf)?;
    for other in others {
        certificate.term = certificate.term.and(Certificate::read(other)?.term);
    }
    Ok(certificate)
}

fn refuse(file: &Path, reason: String) -> Error {
    Error::Io { what: "cannot use", name: file.display().to_string(), source: io::Error::other(reason) }
}
