//! Whom an X.509 certificate names, in which role, and until when.
//!
//! Sources: RFC 5280 §4.1.2.5 (validity), §4.2.1.6 (names); SPIFFE ID §2 and X509-SVID §2 (one URI names the workload);
//! *MODBUS/TCP Security Protocol Specification* v21 §8.3, R-21 to R-23 (the role stands in an extension of its own, as
//! `UTF8String`). That a certificate may be believed is the channel's to find out; here it is only read.

use core::fmt;

use sha2::{Digest as _, Sha256};
use twinguard::types::{Digest, Duration, Timestamp};
use x509_parser::asn1_rs::Utf8String;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The extension that holds the role (§8.3, R-22).
const ROLE: [u64; 9] = [1, 3, 6, 1, 4, 1, 50_316, 802, 1];
/// Longest SPIFFE id in bytes (SPIFFE ID §2.4).
const SPIFFE_MAX: usize = 2_048;
/// Longest name or role in bytes.
const TEXT_MAX: usize = 400;
/// A certificate that is valid for no longer than this is forecast.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// What a certificate says.
///
/// ```
/// use twinguard_gateway::certificate::Certificate;
///
/// assert!(Certificate::read(b"no certificate").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// Its SPIFFE id, where one URI among its names is one.
    pub spiffe: Option<String>,
    /// The common name of its subject, where it has one.
    pub common_name: Option<String>,
    /// The role of Modbus/TCP Security; one that cannot be read, or two of them, are none.
    pub role: Option<String>,
    /// SHA-256 of its DER form.
    pub digest: Digest,
    /// From when to when it is valid.
    pub term: Term,
}

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// How a certificate's term stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is valid for a while.
    Good,
    /// It runs out within thirty days, or within a third of its term where that is less: renew it.
    Soon,
    /// It has run out.
    Expired,
}

impl Term {
    /// How it stands at `now`.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        let third = self.not_after.since(self.not_before).as_nanos() / 3;
        let soon = SOON.min(Duration::from_nanos(third));
        match self.not_after.since(now) {
            left if left <= Duration::ZERO => Standing::Expired,
            left if left <= soon => Standing::Soon,
            _ => Standing::Good,
        }
    }

    /// The time in which both are valid.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: self.not_after.min(other.not_after),
        }
    }
}

/// Why a certificate cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no X.509 certificate: {}", self.0)
    }
}

impl core::error::Error for Unreadable {}

impl Certificate {
    /// Reads a certificate's DER form.
    ///
    /// # Errors
    /// [`Unreadable`] for bytes that are none, and for one with bytes behind it.
    pub fn read(der: &[u8]) -> Result<Self, Unreadable> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|error| Unreadable(error.to_string()))?;
        if !rest.is_empty() {
            return Err(Unreadable(format!("{} bytes follow it", rest.len())));
        }
        let at = |time: x509_parser::time::ASN1Time| Timestamp::from_secs(time.timestamp());
        Ok(Self {
            spiffe: spiffe(&certificate),
            common_name: common_name(&certificate),
            role: role(&certificate),
            digest: Digest(Sha256::digest(der).into()),
            term: Term {
                not_before: at(certificate.validity().not_before),
                not_after: at(certificate.validity().not_after),
            },
        })
    }

    /// Whom it names: by its SPIFFE id, else by its common name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.spiffe.as_deref().or(self.common_name.as_deref())
    }
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let name = only(certificate.subject().iter_common_name())?;
    name.as_str().ok().filter(|name| is_plain(name)).map(str::to_owned)
}

fn spiffe(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = certificate.subject_alternative_name().ok()??;
    let uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    // X509-SVID §2: exactly one URI.
    only(uris).filter(|uri| is_spiffe(uri)).map(str::to_owned)
}

fn role(certificate: &X509Certificate<'_>) -> Option<String> {
    let found = certificate.extensions().iter();
    let extension = only(found.filter(|it| it.oid.iter().is_some_and(|arcs| arcs.eq(ROLE))))?;
    let (rest, role) = Utf8String::from_der(extension.value).ok()?;
    let role = role.as_ref();
    (rest.is_empty() && is_plain(role)).then(|| role.to_owned())
}

/// The first, when there is no other.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

/// Short, and without anything that cannot be seen.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_MAX && !text.chars().any(char::is_control)
}

/// SPIFFE ID §2.1 to §2.4.
fn is_spiffe(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("spiffe://").filter(|_| uri.len() <= SPIFFE_MAX) else { return false };
    let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
    let within = |extra: fn(&char) -> bool| {
        move |text: &str| !text.is_empty() && text.chars().all(|it| extra(&it) || "-._".contains(it))
    };
    let is_domain = within(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    let is_segment = within(char::is_ascii_alphanumeric);
    is_domain(domain)
        && path.is_none_or(|path| path.split('/').all(|it| is_segment(it) && ![".", ".."].contains(&it)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_ids_are_those_of_the_standard() {
        for good in ["spiffe://plant", "spiffe://plant.example/plc-1", "spiffe://p/a/b_c/D.e"] {
            assert!(is_spiffe(good), "{good}");
        }
        let long = format!("spiffe://p/{}", "a".repeat(2_048));
        for bad in [
            "spiffe://",
            "spiffe:///plc",
            "spiffe://Plant/plc",
            "spiffe://plant/",
            "spiffe://plant//plc",
            "spiffe://plant/../plc",
            "spiffe://plant:80/plc",
            "spiffe://plant/plc?x",
            "https://plant/plc",
            &long,
        ] {
            assert!(!is_spiffe(bad), "{bad}");
        }
    }

    #[test]
    fn a_short_term_is_forecast_later_than_a_long_one() {
        let term =
            |days: i64| Term { not_before: Timestamp::ZERO, not_after: Timestamp::from_secs(days * 86_400) };
        let at = |days: f64| Timestamp::from_secs((days * 86_400.0) as i64);
        let check = |days, now, expect| assert_eq!(term(days).standing(at(now)), expect, "{days} {now}");
        check(365, 334.0, Standing::Good);
        check(365, 336.0, Standing::Soon);
        check(365, 365.0, Standing::Expired);
        check(3, 1.9, Standing::Good);
        check(3, 2.1, Standing::Soon);
        let both = term(365).and(Term { not_before: at(1.0), not_after: at(2.0) });
        assert_eq!((both.not_before, both.not_after), (at(1.0), at(2.0)));
    }
}
