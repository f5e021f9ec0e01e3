//! People by the tokens of an identity provider (OpenID Connect): a signed text says who somebody is, or is refused with a reason.
//!
//! Without network and clock: the provider's keys are handed over ([`Keys::parse`]), and the time is an argument.
//!
//! Sources: RFC 7515 (signatures), RFC 7517 (keys), RFC 7519 §4.1 (claims), RFC 8037 (Ed25519), RFC 8725 (best current practices: §3.1
//! algorithms, §3.8 issuer, §3.9 audience, §3.11 types), RFC 9068 (access tokens), OpenID Connect Core 1.0 §3.1.3.7 (ID tokens).
//!
//! | asked of a token | |
//! |---|---|
//! | length | at most [`LONGEST`] bytes |
//! | type | `JWT`, `at+jwt`, or none: a logout token or a proof of possession is none of a person |
//! | algorithm | one that the configuration lists, and the one of the key: `none` and shared secrets are not among them |
//! | key | the one of this `kid`; without a `kid` the only one of that algorithm |
//! | `iss`, `aud` | exactly the issuer; this gateway among the audience |
//! | `azp`, `client_id` | one of `authorized_parties`, where there are some |
//! | `exp`, `nbf`, `iat` | there (`nbf` may be absent), and now between them, give or take the leeway; `iat` not older than `max_age` |
//! | `nonce` | the one that is expected, where one is |

mod keys;

use std::collections::BTreeMap;

use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};
use twinguard::types::{Duration, Principal, PrincipalKind, Timestamp};

pub use keys::{Algorithm, Keys};

/// Most bytes of a token.
pub const LONGEST: usize = 16 << 10;
/// Most bytes of a name.
const NAME: usize = 256;
/// Groups of a token that are looked at.
const GROUPS: usize = 1_000;

/// An identity provider, and what its tokens are worth here.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name, as tokens say it.
    pub issuer: String,
    /// Whom tokens have to be for: one of these.
    pub audiences: Vec<String>,
    /// Which algorithms count.
    pub algorithms: Vec<Algorithm>,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// How old a token may be; `None`: as old as its end lets it.
    pub max_age: Option<Duration>,
    /// Which programs may have asked for the token; none: any.
    pub authorized_parties: Vec<String>,
    /// The claim that names the person.
    pub name_claim: String,
    /// What stands before the names of its people here, so that nobody bears the name of another provider's.
    pub prefix: String,
    /// The claim that names groups, a list or words with spaces between; dots lead into objects.
    pub groups_claim: String,
    /// Roles of the policy by group.
    pub roles: BTreeMap<String, String>,
    /// Its keys.
    pub keys: Keys,
}

/// Who a token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name, with the roles that its groups give.
    pub principal: Principal,
    /// Its groups that roles or rights were asked about: those of [`Provider::roles`] and all others.
    pub groups: Vec<String>,
    /// When the token runs out here, the leeway included.
    pub until: Timestamp,
}

/// Why a token is worth nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Longer than [`LONGEST`].
    #[error("the token is too long")]
    TooLong,
    /// No three parts, or a head that is no head of a token.
    #[error("this is no token")]
    NoToken,
    /// A token for something else.
    #[error("the token's type is for something else")]
    Type,
    /// An algorithm that the configuration does not list.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// A `kid` that no key has, or none where several keys could be meant.
    #[error("the token names no key that is known")]
    Key,
    /// It was not signed by that key, or was altered.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim that is missing, or not of its form.
    #[error("claim `{0}` is missing or not of its form")]
    Claim(String),
    /// Another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// Another audience, or asked for by another program.
    #[error("the token is for somebody else")]
    Audience,
    /// Another nonce than was expected.
    #[error("the token answers another login")]
    Nonce,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    Early,
}

impl Refused {
    /// Whether the token was of this provider: its key was found and the signature verified, or was to be.
    #[must_use]
    pub const fn tells_more(&self) -> bool {
        matches!(
            self,
            Self::Claim(_) | Self::Audience | Self::Nonce | Self::Expired | Self::Early | Self::Signature
        )
    }
}

impl Provider {
    /// Who a token names at a time. `nonce` is the one of the login that the token has to answer, where the caller began one.
    ///
    /// # Errors
    /// [`Refused`] with the first thing that is wrong.
    pub fn verify(&self, now: Timestamp, token: &str, nonce: Option<&str>) -> Result<Person, Refused> {
        if token.len() > LONGEST {
            return Err(Refused::TooLong);
        }
        // What `decode_header` reads of an unknown algorithm is an error: `none` among them.
        let head = decode_header(token).map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::Json(error) if error.to_string().contains("unknown variant") => {
                Refused::Algorithm
            }
            _ => Refused::NoToken,
        })?;
        let kind = head.typ.as_deref().map(str::to_ascii_lowercase);
        let kind = kind.as_deref().map(|it| it.strip_prefix("application/").unwrap_or(it));
        if !matches!(kind, None | Some("jwt" | "at+jwt")) {
            return Err(Refused::Type);
        }
        let algorithm = self.algorithms.iter().find(|it| it.of_crate() == head.alg);
        let algorithm = *algorithm.ok_or(Refused::Algorithm)?;
        let key = self.keys.find(algorithm, head.kid.as_deref()).ok_or(Refused::Key)?;
        let mut only_signed = Validation::new(algorithm.of_crate());
        // All claims are judged below, by the time that was handed over.
        only_signed.required_spec_claims.clear();
        (only_signed.validate_exp, only_signed.validate_nbf, only_signed.validate_aud) =
            (false, false, false);
        let read =
            decode::<Map<String, Value>>(token, key, &only_signed).map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidSignature => Refused::Signature,
                _ => Refused::NoToken,
            })?;
        self.judge(now, &read.claims, nonce)
    }

    /// Who claims name, once their signature was verified.
    ///
    /// # Errors
    /// [`Refused`] with the first claim that is wrong.
    pub fn judge(
        &self,
        now: Timestamp,
        claims: &Map<String, Value>,
        nonce: Option<&str>,
    ) -> Result<Person, Refused> {
        if text(claims, "iss")? != self.issuer {
            return Err(Refused::Issuer);
        }
        let audience =
            words(claims.get("aud").ok_or_else(|| bad("aud"))?, false).ok_or_else(|| bad("aud"))?;
        if !audience.iter().any(|it| self.audiences.contains(it)) {
            return Err(Refused::Audience);
        }
        if !self.authorized_parties.is_empty() {
            let name = if claims.contains_key("azp") { "azp" } else { "client_id" };
            let party = text(claims, name)?;
            if !self.authorized_parties.iter().any(|it| it == party) {
                return Err(Refused::Audience);
            }
        }
        let (ends, made) = (time(claims, "exp")?, time(claims, "iat")?);
        let until = self.max_age.map_or(ends, |most| ends.min(made + most)) + self.leeway;
        if now >= until {
            return Err(Refused::Expired);
        }
        let from = if claims.contains_key("nbf") { time(claims, "nbf")? } else { made };
        if now + self.leeway < from.max(made) {
            return Err(Refused::Early);
        }
        if let Some(nonce) = nonce
            && text(claims, "nonce")? != nonce
        {
            return Err(Refused::Nonce);
        }
        let name = at(claims, &self.name_claim).and_then(Value::as_str).filter(|it| is_name(it));
        let name = format!("{}{}", self.prefix, name.ok_or_else(|| bad(&self.name_claim))?);
        let groups = match at(claims, &self.groups_claim) {
            None => Vec::new(),
            Some(list) => words(list, true).ok_or_else(|| bad(&self.groups_claim))?,
        };
        let person = Principal::new(name).kind(PrincipalKind::User);
        let roles = groups.iter().filter_map(|group| self.roles.get(group));
        let principal = roles.fold(person, |it, role| it.role(role.as_str()));
        Ok(Person { principal, groups, until })
    }
}

fn bad(claim: &str) -> Refused {
    Refused::Claim(claim.to_owned())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME && !text.chars().any(char::is_control)
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refused> {
    claims.get(name).and_then(Value::as_str).ok_or_else(|| bad(name))
}

/// Seconds since 1970, perhaps with decimals (RFC 7519 §2, `NumericDate`).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Timestamp, Refused> {
    let seconds = claims.get(name).and_then(Value::as_f64).filter(|it| *it >= 0.0);
    seconds.and_then(|it| Timestamp::from_secs_f64(it).ok()).ok_or_else(|| bad(name))
}

/// A claim of this name, or where its dots lead.
fn at<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(name) {
        return Some(found);
    }
    let (first, rest) = name.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |it, name| it.get(name))
}

/// One word, or a list of words; `split`: one text may hold several.
fn words(value: &Value, split: bool) -> Option<Vec<String>> {
    match value {
        Value::String(text) if split => Some(text.split(' ').take(GROUPS).map(str::to_owned).collect()),
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => list.iter().take(GROUPS).map(|it| it.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
