//! Who has a certificate that has merely run out is known all the same: it may be heard, and may not command.

use core::time::Duration;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::certificate::Certificate;

/// Verifies as the one inside does; a chain that has run out, as of the last moment at which all of it was valid.
#[derive(Debug)]
pub(super) struct Lapsed<V>(pub(super) V);

fn lapsed<T>(
    check: impl Fn(UnixTime) -> Result<T, Error>,
    (leaf, others): (&CertificateDer<'_>, &[CertificateDer<'_>]),
    now: UnixTime,
) -> Result<T, Error> {
    match check(now) {
        Err(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => {
            let mut last = now.as_secs();
            for der in core::iter::once(leaf).chain(others) {
                let read = Certificate::read(der);
                let read = read.map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
                last = last.min(u64::try_from(read.term.not_after.as_nanos() / 1_000_000_000).unwrap_or(0));
            }
            check(UnixTime::since_unix_epoch(Duration::from_secs(last)))
        }
        told => told,
    }
}

macro_rules! as_inside {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.0.verify_tls12_signature(message, certificate, signed)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.0.verify_tls13_signature(message, certificate, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.supported_verify_schemes()
        }
    };
}

impl ClientCertVerifier for Lapsed<Arc<dyn ClientCertVerifier>> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        lapsed(|at| self.0.verify_client_cert(leaf, others, at), (leaf, others), now)
    }

    as_inside!();
}

impl ServerCertVerifier for Lapsed<Arc<WebPkiServerVerifier>> {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        lapsed(|at| self.0.verify_server_cert(leaf, others, name, ocsp, at), (leaf, others), now)
    }

    as_inside!();
}
