//! How far somebody is trusted: less with time since they proved who they are, less with what is found against them.
//!
//! Trust is 2^(−age / half-life) times what findings have left of it; a fresh proof restores the first part and, after a
//! finding was closed, a person the second. Source of the idea: NIST SP 800-207 §3.3 (trust algorithm, score based and
//! contextual), §2.1 tenet 6; the formula is ours.

use std::collections::BTreeMap;

use twinguard_types::{Duration, Severity, Timestamp};

/// Principals whose trust is kept; beyond, those who proved themselves longest ago are forgotten and start at nothing.
const LIMIT: usize = 16_384;

/// How trust is weighed.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct TrustConfig {
    /// Time after which a proof of identity is worth half.
    pub half_life: Duration,
    /// Below this a command needs a fresh proof first.
    pub step_up: f64,
    /// Below this no command is taken.
    pub deny: f64,
}

impl Default for TrustConfig {
    /// Half after eight hours: a shift. Step-up below a half, nothing below a tenth.
    fn default() -> Self {
        Self { half_life: Duration::from_secs(8 * 3_600), step_up: 0.5, deny: 0.1 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Entry {
    proved_at: Timestamp,
    left: f64,
}

/// What trust asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Demand {
    /// Nothing.
    None,
    /// A fresh proof.
    StepUp(f64),
    /// It is gone.
    Deny(f64),
}

/// Trust in principals, by name.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Trust(BTreeMap<String, Entry>);

impl Trust {
    /// Somebody proved who they are: a login, a second factor, a handshake.
    pub fn proved(&mut self, name: &str, at: Timestamp) {
        if let Some(entry) = self.0.get_mut(name) {
            entry.proved_at = entry.proved_at.max(at);
            return;
        }
        if self.0.len() >= LIMIT {
            let oldest = self.0.iter().min_by_key(|(_, entry)| entry.proved_at).map(|(name, _)| name.clone());
            if let Some(name) = oldest {
                self.0.remove(&name);
            }
        }
        self.0.insert(name.to_owned(), Entry { proved_at: at, left: 1.0 });
    }

    /// Something was found that speaks against somebody.
    pub fn suspected(&mut self, name: &str, severity: Severity) {
        let left = match severity {
            Severity::Low => 0.9,
            Severity::Medium => 0.6,
            Severity::High => 0.2,
            _ => 0.0,
        };
        // Who was never seen is not trusted anyway.
        if let Some(entry) = self.0.get_mut(name) {
            entry.left *= left;
        }
    }

    /// What was found has been cleared up by a person.
    pub fn cleared(&mut self, name: &str) {
        if let Some(entry) = self.0.get_mut(name) {
            entry.left = 1.0;
        }
    }

    /// Trust at `now`, 0 to 1; 0 for somebody who never proved anything.
    ///
    /// ```
    /// use twinguard_gate::identity::{Trust, TrustConfig};
    /// use twinguard_types::{Severity, Timestamp};
    ///
    /// let (config, mut trust) = (TrustConfig::default(), Trust::default());
    /// trust.proved("anna", Timestamp::ZERO);
    /// let after = |trust: &Trust, hours: i64| trust.of("anna", Timestamp::from_secs(hours * 3_600), &config);
    /// assert_eq!([0, 8, 16].map(|hours| after(&trust, hours)), [1.0, 0.5, 0.25]);
    /// trust.suspected("anna", Severity::High);
    /// assert_eq!(after(&trust, 0), 0.2);
    /// ```
    #[must_use]
    pub fn of(&self, name: &str, now: Timestamp, config: &TrustConfig) -> f64 {
        let Some(entry) = self.0.get(name) else { return 0.0 };
        let age_s = now.since(entry.proved_at).as_secs_f64().max(0.0);
        entry.left * libm::exp2(-age_s / config.half_life.as_secs_f64().max(1e-9))
    }

    /// What a command of somebody needs at `now`.
    #[must_use]
    pub fn demand(&self, name: &str, now: Timestamp, config: &TrustConfig) -> Demand {
        let trust = self.of(name, now, config);
        if trust < config.deny && self.0.contains_key(name) {
            // Time alone takes trust away, and a proof gives it back; what findings took, it does not.
            let left = self.0.get(name).map_or(0.0, |entry| entry.left);
            return if left < config.deny { Demand::Deny(trust) } else { Demand::StepUp(trust) };
        }
        if trust < config.step_up { Demand::StepUp(trust) } else { Demand::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_helps_against_time_and_not_against_findings() {
        let (config, mut trust) = (TrustConfig::default(), Trust::default());
        let at = |hours: i64| Timestamp::from_secs(hours * 3_600);
        assert!(matches!(trust.demand("anna", at(0), &config), Demand::StepUp(_)));
        trust.proved("anna", at(0));
        assert_eq!(trust.demand("anna", at(7), &config), Demand::None);
        assert!(matches!(trust.demand("anna", at(9), &config), Demand::StepUp(_)));
        assert!(matches!(trust.demand("anna", at(400), &config), Demand::StepUp(_)), "however long ago");
        trust.proved("anna", at(400));
        assert_eq!(trust.demand("anna", at(400), &config), Demand::None);
        trust.suspected("anna", Severity::Low);
        assert_eq!(trust.demand("anna", at(400), &config), Demand::None);
        trust.suspected("anna", Severity::Critical);
        trust.proved("anna", at(401));
        assert!(matches!(trust.demand("anna", at(401), &config), Demand::Deny(_)));
        trust.cleared("anna");
        assert_eq!(trust.demand("anna", at(401), &config), Demand::None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut trust = Trust::default();
        for id in 0..LIMIT as i64 + 100 {
            trust.proved(&format!("p{id}"), Timestamp::from_secs(id));
        }
        assert_eq!(trust.0.len(), LIMIT);
        assert!(!trust.0.contains_key("p0") && trust.0.contains_key("p100"));
    }
}
