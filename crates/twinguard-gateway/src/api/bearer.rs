//! Who may ask what: secrets, people's tokens, rights, budgets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use twinguard::types::{Principal, Timestamp};

use super::people::People;
use crate::Error;
use crate::config::{Config, Right, Token};
use crate::core::Who;
use crate::rate::Budget;

/// Requests without a valid token per second, from everybody together.
const STRANGERS: u32 = 20;
/// People whose requests are counted one by one.
const PEOPLE: usize = 10_000;

/// Everybody who holds a token.
#[derive(Debug)]
pub(crate) struct Bearers {
    bearers: Vec<Bearer>,
    people: ArcSwap<People>,
    /// What is left to people, by name.
    budgets: Mutex<BTreeMap<String, Budget>>,
    per_second: u32,
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

/// Somebody who may do what they asked for.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    pub(super) who: Who,
    /// Until when.
    pub(super) until: Option<Timestamp>,
}

/// Why a request is not even looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// Without a valid token; what is wrong with a person's.
    Stranger(Option<String>),
    /// Without a valid token, once too often.
    Strangers,
    /// Too often.
    Flood,
    /// The token does not allow it.
    Right(Right),
}

/// With what a request comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    /// The header `Authorization`.
    pub(super) header: Option<&'a str>,
    /// Whom the connection's certificate names.
    pub(super) certificate: Option<&'a str>,
    pub(super) now: Timestamp,
}

impl Bearers {
    pub(super) fn read(config: &Config, per_second: u32) -> Result<Self, Error> {
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
                who: Who { principal, speaks_for: token.speaks_for, proved: false },
                may: token.may.clone(),
                budget: Mutex::new(Budget::new(per_second, now)),
                certificate: token.certificate.clone(),
            })
        };
        let bearers = config.tokens.iter().map(bearer).collect::<Result<_, Error>>()?;
        let people = ArcSwap::from_pointee(People::read(&config.identity_providers)?);
        let strangers = Mutex::new(Budget::new(STRANGERS, now));
        Ok(Self { bearers, people, budgets: Mutex::default(), per_second, strangers })
    }

    /// People are told by these providers from now on.
    pub(crate) fn show(&self, people: People) {
        self.people.store(people.into());
    }

    /// Who bears what is shown, if it lets them do this and not too often.
    pub(super) fn admit(&self, shown: Shown<'_>, right: Right) -> Result<Admitted, Turned> {
        let now = Instant::now();
        let take = |budget: &Mutex<Budget>| budget.lock().unwrap_or_else(PoisonError::into_inner).take(now);
        let secret = shown.header.and_then(|it| it.strip_prefix("Bearer ")).map(str::trim);
        let bound = |bearer: &&Bearer| {
            bearer.certificate.is_none() || bearer.certificate.as_deref() == shown.certificate
        };
        let digest = secret.map(|secret| blake3::hash(secret.as_bytes()));
        let found = digest.and_then(|digest| self.bearers.iter().find(|bearer| bearer.secret == digest));
        if let Some(bearer) = found.filter(bound) {
            if !take(&bearer.budget) {
                return Err(Turned::Flood);
            }
            let admitted = Admitted { who: bearer.who.clone(), until: None };
            return if bearer.may.contains(&right) { Ok(admitted) } else { Err(Turned::Right(right)) };
        }
        let person = secret.map_or(Err(None), |token| self.people.load().verify(shown.now, token));
        // One name, one way in: a program's roles are not those of a person who is called like it.
        let person = person.and_then(|(person, may)| match self.bears(&person.principal.name) {
            true => Err(Some("the token names somebody who has a secret of their own".to_owned())),
            false => Ok((person, may)),
        });
        let (person, may) = match person {
            Ok(person) => person,
            Err(reason) if take(&self.strangers) => return Err(Turned::Stranger(reason)),
            Err(_) => return Err(Turned::Strangers),
        };
        if !self.take(&person.principal.name, now) {
            return Err(Turned::Flood);
        }
        if !may.contains(&right) {
            return Err(Turned::Right(right));
        }
        let who = Who { principal: person.principal, speaks_for: false, proved: true };
        Ok(Admitted { who, until: Some(person.until) })
    }

    /// Whether a secret is somebody's of this name.
    fn bears(&self, name: &str) -> bool {
        self.bearers.iter().any(|bearer| &*bearer.who.principal.name == name)
    }

    /// Whether a person has something left.
    fn take(&self, name: &str, now: Instant) -> bool {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if budgets.len() >= PEOPLE && !budgets.contains_key(name) {
            budgets.clear();
        }
        let new = || Budget::new(self.per_second, now);
        budgets.entry(name.to_owned()).or_insert_with(new).take(now)
    }
}
