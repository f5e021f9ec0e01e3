//! What a channel proves, and whom that names.
//!
//! Sources: Modbus/TCP Security (MB-TCP-Security-v21 §8.3: role in the certificate extension 1.3.6.1.4.1.50316.802.1),
//! SPIFFE ID specification §2, Noise Protocol Framework rev. 34 §7 (static keys), RFC 8705 §3.1 (a certificate known by the
//! digest of its DER form). The bytes are verified by the channel that presents them; here is looked up what they mean.

use std::collections::{BTreeMap, BTreeSet};

use twinguard_types::{Digest, Duration, Principal, Timestamp};

use crate::Error;

/// Something that a secure channel has proved of its peer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Credential {
    /// It holds the key of the certificate with this SHA-256 digest (of the DER form).
    Certificate(Digest),
    /// Its certificate carries this SPIFFE id, `spiffe://trust-domain/path`.
    Spiffe(String),
    /// It holds this static key of a Noise handshake.
    NoiseKey([u8; 32]),
}

/// What a channel knows of its peer. [`Proof::default`] is a channel that proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Proof {
    /// All that it proved.
    pub credentials: Vec<Credential>,
    /// The role in a Modbus/TCP Security certificate.
    pub modbus_role: Option<String>,
    /// Until when the certificate is valid.
    pub not_after: Option<Timestamp>,
    /// Whether nobody else can read the channel.
    pub encrypted: bool,
}

/// How a peer's standing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Commands and telemetry.
    Good,
    /// Its certificate has expired: telemetry, no commands.
    Expired {
        /// Since when.
        since: Timestamp,
    },
    /// What it shows was revoked: no commands. Its telemetry is taken and marked.
    Revoked,
}

impl Standing {
    /// Whether it may command.
    #[must_use]
    pub const fn commands(self) -> bool {
        matches!(self, Self::Good)
    }

    /// Whether its telemetry is taken. Always: a plant that goes blind because a certificate ran out is worse off.
    #[must_use]
    pub const fn telemetry(self) -> bool {
        true
    }
}

/// A certificate that runs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Whose.
    pub principal: String,
    /// When.
    pub not_after: Timestamp,
    /// How long until then; negative: since then.
    pub left: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    principal: Principal,
    not_after: Option<Timestamp>,
}

/// Which credential names whom, what was revoked, which Modbus role means which role here.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    bound: BTreeMap<Credential, Bound>,
    modbus_roles: BTreeMap<String, String>,
    revoked: BTreeSet<Credential>,
    revoked_names: BTreeSet<String>,
}

impl Credentials {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the credential names this principal; `not_after` where it is a certificate.
    pub fn bind(&mut self, credential: Credential, principal: Principal, not_after: Option<Timestamp>) {
        self.bound.insert(credential, Bound { principal, not_after });
    }

    /// The credential names nobody any more; whether it did. What was revoked stays so.
    pub fn unbind(&mut self, credential: &Credential) -> bool {
        self.bound.remove(credential).is_some()
    }

    /// A Modbus role gives whoever presents it a role of the policy.
    pub fn map_modbus_role(&mut self, modbus: impl Into<String>, role: impl Into<String>) {
        self.modbus_roles.insert(modbus.into(), role.into());
    }

    /// The credential is worth nothing any more.
    pub fn revoke(&mut self, credential: Credential) {
        self.revoked.insert(credential);
    }

    /// Nobody is this principal any more, whatever they show; false gives the name back.
    pub fn revoke_principal(&mut self, name: &str, revoked: bool) {
        if revoked {
            self.revoked_names.insert(name.to_owned());
        } else {
            self.revoked_names.remove(name);
        }
    }

    /// Whether the principal was revoked.
    #[must_use]
    pub fn is_revoked(&self, name: &str) -> bool {
        self.revoked_names.contains(name)
    }

    /// Whom a channel's proof names: all its credentials have to name the same principal. `None` when it proves nothing.
    ///
    /// ```
    /// use twinguard_gate::identity::{Credential, Credentials, Proof};
    /// use twinguard_types::{Digest, Principal, Timestamp};
    ///
    /// let mut known = Credentials::new();
    /// let certificate = Credential::Certificate(Digest([7; 32]));
    /// known.bind(certificate.clone(), Principal::new("plc-1"), None);
    /// known.map_modbus_role("Operator", "operator");
    /// let proof = Proof {
    ///     credentials: vec![certificate],
    ///     modbus_role: Some("Operator".into()),
    ///     not_after: Some(Timestamp::from_secs(100)),
    ///     encrypted: true,
    /// };
    /// let plc = known.identify(&proof)?.ok_or("nobody")?;
    /// assert!(&*plc.name == "plc-1" && plc.has_role("operator"));
    /// assert!(known.standing(Timestamp::from_secs(99), &plc, &proof).commands());
    /// let late = known.standing(Timestamp::from_secs(100), &plc, &proof);
    /// assert!(!late.commands() && late.telemetry());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Credential`] when one of them is unknown, or they name different principals.
    pub fn identify(&self, proof: &Proof) -> Result<Option<Principal>, Error> {
        let mut named: Option<&Principal> = None;
        for credential in &proof.credentials {
            let Some(bound) = self.bound.get(credential) else {
                return Err(Error::Credential { reason: "it names nobody who is known" });
            };
            if named.is_some_and(|named| named.name != bound.principal.name) {
                return Err(Error::Credential { reason: "what the channel proves names different parties" });
            }
            named = Some(&bound.principal);
        }
        let role = proof.modbus_role.as_ref().and_then(|role| self.modbus_roles.get(role));
        Ok(named.cloned().map(|principal| match role {
            Some(role) => principal.role(role.as_str()),
            None => principal,
        }))
    }

    /// How whoever shows this proof stands at `now`.
    #[must_use]
    pub fn standing(&self, now: Timestamp, principal: &Principal, proof: &Proof) -> Standing {
        let revoked = proof.credentials.iter().any(|credential| self.revoked.contains(credential));
        if revoked || self.is_revoked(&principal.name) {
            return Standing::Revoked;
        }
        let bound = proof.credentials.iter().filter_map(|credential| self.bound.get(credential)?.not_after);
        match bound.chain(proof.not_after).min() {
            Some(since) if since <= now => Standing::Expired { since },
            _ => Standing::Good,
        }
    }

    /// Certificates that are bound and run out within a span from `now`, or have; the soonest first.
    #[must_use]
    pub fn expiring(&self, now: Timestamp, within: Duration) -> Vec<Expiry> {
        let mut found: Vec<Expiry> = self
            .bound
            .iter()
            .filter(|(credential, _)| !self.revoked.contains(*credential))
            .filter_map(|(_, bound)| {
                let not_after = bound.not_after?;
                let left = not_after.since(now);
                let principal = bound.principal.name.to_string();
                (left <= within).then_some(Expiry { principal, not_after, left })
            })
            .collect();
        found.sort_by(|a, b| (a.not_after, &a.principal).cmp(&(b.not_after, &b.principal)));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(credentials: Vec<Credential>) -> Proof {
        Proof { credentials, ..Proof::default() }
    }

    #[test]
    fn everything_that_a_channel_proves_has_to_name_the_same_party() {
        let mut known = Credentials::new();
        let [anna, ben] = ["anna", "ben"].map(|name| Principal::new(name).role("operator"));
        let (certificate, spiffe) =
            (Credential::Certificate(Digest([1; 32])), Credential::Spiffe("spiffe://plant/anna".into()));
        let noise = Credential::NoiseKey([9; 32]);
        known.bind(certificate.clone(), anna.clone(), None);
        known.bind(spiffe.clone(), anna.clone(), None);
        known.bind(noise.clone(), ben, None);
        let both = proof(vec![certificate.clone(), spiffe]);
        assert_eq!(known.identify(&both), Ok(Some(anna.clone())));
        assert!(known.identify(&proof(vec![certificate.clone(), noise])).is_err());
        assert!(known.identify(&proof(vec![Credential::Spiffe("spiffe://else".into())])).is_err());
        assert_eq!(known.identify(&Proof::default()), Ok(None));
        // A role on a channel that names nobody gives nobody anything.
        let role = Proof { modbus_role: Some("Operator".into()), ..Proof::default() };
        assert_eq!(known.identify(&role), Ok(None));

        assert_eq!(known.standing(Timestamp::ZERO, &anna, &both), Standing::Good);
        known.revoke(certificate);
        assert_eq!(known.standing(Timestamp::ZERO, &anna, &both), Standing::Revoked);
        assert_eq!(known.standing(Timestamp::ZERO, &anna, &Proof::default()), Standing::Good);
        known.revoke_principal("anna", true);
        assert_eq!(known.standing(Timestamp::ZERO, &anna, &Proof::default()), Standing::Revoked);
        known.revoke_principal("anna", false);
        assert_eq!(known.standing(Timestamp::ZERO, &anna, &Proof::default()), Standing::Good);
    }

    #[test]
    fn what_runs_out_is_told_before() {
        let mut known = Credentials::new();
        for (byte, name, days) in [(1, "late", 40), (2, "soon", 3), (3, "gone", -1), (4, "for ever", 0)] {
            let not_after = (days != 0).then(|| Timestamp::from_secs(days * 86_400));
            known.bind(Credential::Certificate(Digest([byte; 32])), Principal::new(name), not_after);
        }
        let month = known.expiring(Timestamp::ZERO, Duration::from_secs(30 * 86_400));
        let names: Vec<&str> = month.iter().map(|it| it.principal.as_str()).collect();
        assert_eq!(names, ["gone", "soon"]);
        assert!(month[0].left.is_negative());
        let gone = Credential::Certificate(Digest([3; 32]));
        assert!(known.unbind(&gone) && !known.unbind(&gone));
        assert_eq!(known.expiring(Timestamp::ZERO, Duration::ZERO), []);
    }
}
