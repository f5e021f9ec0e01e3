//! Capability tokens that others can verify: [Biscuit] tokens, signed by a key whose public half anybody may know, and narrowed
//! offline by whoever holds them.
//!
//! Source: Biscuit specification 3.3 (blocks signed in a chain, revocation identifiers §"Revocation identifier"); Ed25519 of
//! RFC 8032.
//!
//! A token says in its first block, in the language of Biscuit, for whom it is and what it is restricted to; each later block
//! restricts it further:
//!
//! ```text
//! subject("anna");
//! check if signal($signal), $signal.matches("^cell[.].*$");
//! check if verb("write");
//! check if value($value), $value >= 2000, $value <= 8000;
//! check if time($time), $time < 2026-12-01T12:00:00Z;
//! check if holder("gateway");
//! ```
//!
//! These forms, and no others, are [`Caveat`]s here. So nothing of a stranger's program is run: a token that says anything else
//! is refused, needs neither limits of facts, iterations and time nor a clock, and is worth the same in every run. Authorizers of
//! others decide the same when they state the facts `signal` (a path), `verb` (`read`, `write`, `configure`), `value`, `time` and
//! `holder`, and allow what the subject may. Numbers are whole ten-thousandths; bounds have three decimals, and a value between
//! two thousandths is stated halfway, so that every comparison comes out the same. Times are whole seconds: a finer end is cut off.
//!
//! The gate turns such a token into one of its own ([`Capability::token`]): what counts from then on is what counts for any token.
//!
//! ```
//! use twinguard_gate::identity::biscuit::{Issuer, Root, attenuate};
//! use twinguard_gate::identity::{Caveat, TokenKey};
//! use twinguard_types::Timestamp;
//!
//! // Every block wants 32 random bytes of its own.
//! let issuer = Issuer::new(&[1; 32])?;
//! let token = issuer.mint("anna", &[Caveat::Until(Timestamp::from_secs(60))], &[2; 32])?;
//! let narrow = attenuate(&token, &[Caveat::Signals("cell.*".into())], &[3; 32])?;
//!
//! let read = Root::new(&issuer.public())?.read(&narrow)?;
//! assert_eq!((read.subject.as_str(), read.caveats.len()), ("anna", 2));
//! let token = read.token(&TokenKey::new(&[4; 32]))?;
//! assert_eq!(token.subject(), "anna");
//! # Ok::<(), twinguard_gate::Error>(())
//! ```
//!
//! [Biscuit]: https://www.biscuitsec.org

use biscuit_auth::builder::{Algorithm, BlockBuilder};
use biscuit_auth::datalog::SymbolTable;
use biscuit_auth::{Biscuit, KeyPair, PrivateKey, PublicKey, UnverifiedBiscuit};
use twinguard_twin::plant::Verb;
use twinguard_types::Timestamp;
use twinguard_types::calendar::days_since_1970;

use super::token::{Caveat, Token, TokenKey};
use crate::Error;

/// The crate that reads, signs and verifies them.
pub use biscuit_auth;

/// Most bytes of a token.
const BYTES: usize = 4096;
/// Most blocks of a token.
const BLOCKS: usize = 16;
/// Most bytes of a name or a pattern.
const TEXT: usize = 256;
/// What a unit of value is in a token.
const UNIT: f64 = 10_000.0;
/// Largest bound, in thousandths: all whole numbers up to it are exact.
const LARGEST: f64 = 1e15;
const UNCLEAR: Error = Error::Token { reason: "it says something that no caveat says" };

/// Who makes tokens.
pub struct Issuer(KeyPair);

/// What tokens are verified by.
#[derive(Clone, Debug)]
pub struct Root(PublicKey);

/// What a verified token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Capability {
    /// For whom it was made.
    pub subject: String,
    /// What it is restricted to, by all its blocks.
    pub caveats: Vec<Caveat>,
    /// The numbers that it is revoked by, one a block ([`number`]): who revokes a block's number takes back what was made from it.
    pub numbers: Vec<u64>,
}

impl core::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Issuer")
    }
}

impl Issuer {
    /// From an Ed25519 secret key.
    ///
    /// # Errors
    /// [`Error::Token`] when the key cannot be used.
    pub fn new(secret: &[u8; 32]) -> Result<Self, Error> {
        Ok(Self(pair(secret)?))
    }

    /// The public key that tokens are verified by.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.public().to_bytes().try_into().unwrap_or_default()
    }

    /// Makes a token. `next` is 32 random bytes: who has the token has them too, and makes the next block with them.
    ///
    /// # Errors
    /// [`Error::Token`] for what a token cannot say: [`Caveat::Unrevoked`], a name with quotes, backslashes or control characters, a
    /// pattern with other characters than letters, digits and `*._-/:`, a bound with more than three decimals, an end before 1970;
    /// and for a token that is too long.
    pub fn mint(&self, subject: &str, caveats: &[Caveat], next: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let text = format!("subject(\"{}\");\n{}", plain(subject)?, checks(caveats)?);
        let built = Biscuit::builder().code(text).map_err(|_| UNCLEAR)?;
        let built = built.build_with_key_pair(&self.0, SymbolTable::new(), &pair(next)?);
        bounded(built.and_then(|token| token.to_vec()))
    }
}

/// A narrower token; needs no key. `next` is 32 random bytes. Whether the token that is narrowed is worth anything is not asked.
///
/// # Errors
/// [`Error::Token`] for bytes that are no token, and as [`Issuer::mint`].
pub fn attenuate(token: &[u8], caveats: &[Caveat], next: &[u8; 32]) -> Result<Vec<u8>, Error> {
    let token = UnverifiedBiscuit::from(within(token)?).map_err(|_| none())?;
    let block = BlockBuilder::new().code(checks(caveats)?).map_err(|_| UNCLEAR)?;
    let narrower = token.append_with_keypair(&pair(next)?, block);
    bounded(narrower.and_then(|token| token.to_vec()))
}

/// The number that tokens with a block of this revocation identifier are revoked by: for [`crate::Gate::revoke_token`].
#[must_use]
pub fn number(revocation_identifier: &[u8]) -> u64 {
    let hash = blake3::hash(revocation_identifier);
    hash.as_bytes().first_chunk().map_or(0, |head| u64::from_le_bytes(*head))
}

impl Root {
    /// From an Ed25519 public key.
    ///
    /// # Errors
    /// [`Error::Token`] when the bytes are no public key.
    pub fn new(public: &[u8; 32]) -> Result<Self, Error> {
        let key = PublicKey::from_bytes(public, Algorithm::Ed25519);
        key.map(Self).map_err(|_| Error::Token { reason: "these bytes are no public key" })
    }

    /// What a token says, after every signature in it was verified. Whether its caveats are met is not asked here.
    ///
    /// # Errors
    /// [`Error::Token`] for bytes that are no token, a token of another root, one that was altered, one that says what no caveat
    /// says, and for more than 4 096 bytes or 16 blocks.
    pub fn read(&self, bytes: &[u8]) -> Result<Capability, Error> {
        let unverified = UnverifiedBiscuit::from(within(bytes)?).map_err(|_| none())?;
        if unverified.block_count() > BLOCKS {
            return Err(Error::Token { reason: "it has too many blocks" });
        }
        let token = unverified
            .verify(self.0)
            .map_err(|_| Error::Token { reason: "it was not made here, or was altered" })?;
        let numbers = token.revocation_identifiers().iter().map(|id| number(id)).collect();
        let mut read = Capability { subject: String::new(), caveats: Vec::new(), numbers };
        for block in 0..token.block_count() {
            // With quotes in a string the text below could be read in two ways. Blocks of third parties speak for others.
            let symbols = token.block_symbols(block).map_err(|_| none())?;
            let clear = symbols.iter().all(|symbol| is_clear(symbol));
            if !clear || token.block_external_key(block).map_err(|_| none())?.is_some() {
                return Err(UNCLEAR);
            }
            let text = token.print_block_source(block).map_err(|_| none())?;
            let mut lines = text.lines();
            if block == 0 {
                let subject = lines.next().and_then(|line| between(line, "subject(\"", "\");"));
                read.subject = subject.filter(|it| is_plain(it)).ok_or(UNCLEAR)?.to_owned();
            }
            for line in lines {
                read.caveats.push(caveat(line).ok_or(UNCLEAR)?);
            }
        }
        Ok(read)
    }
}

impl Capability {
    /// The same as a token of the gate that has this key: it counts while no block's number is revoked.
    ///
    /// # Errors
    /// [`Error::Token`] for too many caveats.
    pub fn token(&self, key: &TokenKey) -> Result<Token, Error> {
        let (first, later) = self.numbers.split_first().ok_or_else(none)?;
        let later = later.iter().map(|number| Caveat::Unrevoked(*number));
        let caveats: Vec<Caveat> = later.chain(self.caveats.iter().cloned()).collect();
        key.mint(*first, &self.subject, &caveats)
    }
}

const fn none() -> Error {
    Error::Token { reason: "these bytes are no token" }
}

fn pair(secret: &[u8; 32]) -> Result<KeyPair, Error> {
    let key = PrivateKey::from_bytes(secret, Algorithm::Ed25519);
    key.map(|key| KeyPair::from(&key)).map_err(|_| Error::Token { reason: "these bytes are no secret key" })
}

fn within(bytes: &[u8]) -> Result<&[u8], Error> {
    if bytes.len() > BYTES { Err(Error::Token { reason: "it is too long" }) } else { Ok(bytes) }
}

fn bounded(built: Result<Vec<u8>, biscuit_auth::error::Token>) -> Result<Vec<u8>, Error> {
    let bytes = built.map_err(|_| UNCLEAR)?;
    within(&bytes)?;
    Ok(bytes)
}

fn is_clear(text: &str) -> bool {
    !text.contains(|it: char| it == '"' || it == '\\' || it.is_control())
}

fn is_plain(text: &str) -> bool {
    text.len() <= TEXT && is_clear(text)
}

fn plain(text: &str) -> Result<&str, Error> {
    let reason = "a name is too long, or has quotes, backslashes or control characters";
    if is_plain(text) { Ok(text) } else { Err(Error::Token { reason }) }
}

fn between<'a>(line: &'a str, head: &str, tail: &str) -> Option<&'a str> {
    line.strip_prefix(head)?.strip_suffix(tail)
}

// --- one form for one caveat ----------------------------------------------------------------------------------------

fn checks(caveats: &[Caveat]) -> Result<String, Error> {
    let mut text = String::new();
    for caveat in caveats {
        text.push_str(&check(caveat)?);
        text.push('\n');
    }
    Ok(text)
}

fn check(caveat: &Caveat) -> Result<String, Error> {
    Ok(match caveat {
        Caveat::Until(until) => {
            let seconds = until.as_nanos().div_euclid(1_000_000_000);
            if seconds < 0 {
                return Err(Error::Token { reason: "it ends before 1970" });
            }
            format!("check if time($time), $time < {};", Timestamp::from_secs(seconds))
        }
        Caveat::Signals(pattern) => {
            format!("check if signal($signal), $signal.matches(\"{}\");", expression(plain(pattern)?)?)
        }
        Caveat::Verb(verb) => format!("check if verb(\"{}\");", verb.word()),
        Caveat::Range(low, high) => {
            format!("check if value($value), $value >= {}, $value <= {};", units(*low)?, units(*high)?)
        }
        Caveat::Holder(holder) => format!("check if holder(\"{}\");", plain(holder)?),
        Caveat::Unrevoked(_) => {
            return Err(Error::Token { reason: "its blocks have revocation identifiers of their own" });
        }
    })
}

fn caveat(line: &str) -> Option<Caveat> {
    let line = between(line, "check if ", ";")?;
    if let Some(date) = line.strip_prefix("time($time), $time < ") {
        return seconds(date).map(|seconds| Caveat::Until(Timestamp::from_secs(seconds)));
    }
    if let Some(text) = between(line, "signal($signal), $signal.matches(\"", "\")") {
        return pattern(text).map(Caveat::Signals);
    }
    if let Some(word) = between(line, "verb(\"", "\")") {
        return Verb::ALL.into_iter().find(|verb| verb.word() == word).map(Caveat::Verb);
    }
    if let Some(bounds) = line.strip_prefix("value($value), $value >= ") {
        let (low, high) = bounds.split_once(", $value <= ")?;
        return Some(Caveat::Range(bound(low)?, bound(high)?));
    }
    let holder = between(line, "holder(\"", "\")").filter(|it| is_plain(it))?;
    Some(Caveat::Holder(holder.to_owned()))
}

/// A bound in ten-thousandths, as it is written.
fn units(bound: f64) -> Result<i64, Error> {
    let thousandths = libm::rint(bound * 1e3);
    if libm::fabs(thousandths) <= LARGEST && thousandths / 1e3 == bound {
        return Ok(thousandths as i64 * (UNIT / 1e3) as i64);
    }
    Err(Error::Token { reason: "a bound has more than three decimals" })
}

fn bound(text: &str) -> Option<f64> {
    let units: i64 = text.parse().ok()?;
    let bound = units as f64 / UNIT;
    (units.to_string() == text && self::units(bound) == Ok(units)).then_some(bound)
}

/// Second since 1970 of a date as RFC 3339 has it in UTC, without decimals.
fn seconds(date: &str) -> Option<i64> {
    let number = |at: core::ops::Range<usize>| date.get(at)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let days = days_since_1970(year, month, day);
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    // What is no such date, or one that time here does not reach, does not come back.
    let is_told = (0..=i64::MAX / 1_000_000_000).contains(&seconds);
    (is_told && Timestamp::from_secs(seconds).to_string() == date).then_some(seconds)
}

/// A pattern as a regular expression, each dot between brackets.
fn expression(pattern: &str) -> Result<String, Error> {
    let mut text = "^".to_owned();
    for letter in pattern.chars() {
        match letter {
            '*' => text.push_str(".*"),
            '.' => text.push_str("[.]"),
            '_' | '-' | '/' | ':' => text.push(letter),
            _ if letter.is_ascii_alphanumeric() => text.push(letter),
            _ => {
                return Err(Error::Token {
                    reason: "a pattern has other characters than letters, digits and `*._-/:`",
                });
            }
        }
    }
    text.push('$');
    Ok(text)
}

fn pattern(text: &str) -> Option<String> {
    let body = between(text, "^", "$")?;
    let pattern = body.replace("[.]", "\u{0}").replace(".*", "*").replace('\u{0}', ".");
    (expression(&pattern).ok()? == text && is_plain(&pattern)).then_some(pattern)
}
