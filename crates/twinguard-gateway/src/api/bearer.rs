//! Who may ask what: secrets, rights, budgets.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use twinguard::types::Principal;

use crate::Error;
use crate::config::{Right, Token};
use crate::core::Who;
use crate::rate::Budget;

/// Requests without a valid token per second, from everybody together.
const STRANGERS: u32 = 20;

/// Everybody who holds a token.
#[derive(Debug)]
pub(super) struct Bearers {
    bearers: Vec<Bearer>,
    strangers: Mutex<Budget>,
}

#[derive(Debug)]
struct Bearer {
    /// Of the secret: comparing digests takes the same time whatever they are.
    secret: blake3::Hash,
    who: Who,
    may: BTreeSet<Right>,
    budget: Mutex<Budget>,
    /// Whose certificate has to come with the secret (RFC 8705 §3).
    certificate: Option<String>,
}

/// Why a request is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// Without a valid token.
    Stranger,
    /// Without a valid token, once too often.
    Strangers,
    /// Too often.
    Flood,
    /// The token does not allow it.
    Right(Right),
}

impl Bearers {
    pub(super) fn read(tokens: &[Token], per_second: u32) -> Result<Self, Error> {
        let now = Instant::now();
        let bearer = |token: &Token| {
            let text = std::fs::read_to_string(&token.file).map_err(|source| {
                let name = token.file.display().to_string();
                Error::Io { what: "cannot read", name, source }
            })?;
            let principal = Principal::new(token.principal.as_str()).kind(token.kind);
            let principal = token.roles.iter().fold(principal, |it, role| it.role(role.as_str()));
            Ok(Bearer {
                secret: blake3::hash(text.trim().as_bytes()),
                who: Who { principal, speaks_for: token.speaks_for },
                may: token.may.clone(),
                budget: Mutex::new(Budget::new(per_second, now)),
                certificate: token.certificate.clone(),
            })
        };
        let bearers = tokens.iter().map(bearer).collect::<Result<_, Error>>()?;
        Ok(Self { bearers, strangers: Mutex::new(Budget::new(STRANGERS, now)) })
    }

    /// Who bears this secret, if the token lets them do this and not too often; `certificate`: whom the connection's names.
    pub(super) fn admit(
        &self,
        header: Option<&str>,
        certificate: Option<&str>,
        right: Right,
    ) -> Result<&Who, Turned> {
        let now = Instant::now();
        let take = |budget: &Mutex<Budget>| budget.lock().unwrap_or_else(PoisonError::into_inner).take(now);
        let secret =
            header.and_then(|it| it.strip_prefix("Bearer ")).map(|it| blake3::hash(it.trim().as_bytes()));
        let bound =
            |bearer: &&Bearer| bearer.certificate.is_none() || bearer.certificate.as_deref() == certificate;
        let found = secret.and_then(|secret| self.bearers.iter().find(|bearer| bearer.secret == secret));
        let found = found.filter(bound);
        let Some(bearer) = found else {
            return Err(if take(&self.strangers) { Turned::Stranger } else { Turned::Strangers });
        };
        if !take(&bearer.budget) {
            return Err(Turned::Flood);
        }
        if bearer.may.contains(&right) { Ok(&bearer.who) } else { Err(Turned::Right(right)) }
    }
}
