//! A policy beside the plant file, and setting the rules aside in need.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use twinguard_gate::lint::{Defect, lint};
use twinguard_gate::policy::Source;
use twinguard_gate::{BreakGlass, Gate};
use twinguard_twin::Plant;
use twinguard_types::{Digest, Duration, Principal, PrincipalId, SignalId, Timestamp};

use super::Guard;
use crate::Error;

/// A policy file in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PolicyFile {
    file: String,
    text: String,
}

#[derive(Serialize)]
struct InForce<'a> {
    file: &'a str,
    digest: Digest,
}

impl PolicyFile {
    /// The plant file's rules and these.
    fn source(&self, plant: &Plant) -> Result<Source, twinguard_gate::Error> {
        Ok(Source::from_plant(plant).and(Source::parse(&self.text, &self.file, plant)?))
    }

    pub(super) fn apply(&self, gate: &mut Gate, plant: &Plant) -> Result<(), Error> {
        Ok(gate.set_policy(self.source(plant)?)?)
    }
}

impl Guard {
    /// Puts a policy file in force beside the plant file's rules, in place of one that was set before; the journal says so
    /// with its digest. The form is that of [`Source::parse`]; `file` is the name shown in errors. Gives what the linter
    /// finds in both together: it is in force all the same.
    ///
    /// ```
    /// use twinguard::{Guard, twin::Plant, types::Timestamp};
    ///
    /// let plant = Plant::parse("format = 1\nname = \"tank\"\n[[signal]]\npath = \"valve\"\nrole = \"actuator\"\n", "plant.toml")?;
    /// let mut guard = Guard::builder_unsealed(plant).build()?;
    /// let policy = "format = 1\n[[rule]]\nname = \"open\"\neffect = \"allow\"\nsignals = [\"valve\"]\n";
    /// let defects = guard.set_policy(Timestamp::ZERO, policy, "policy.toml")?;
    /// assert_eq!(defects[0].to_string(), "policy.toml:3:8: TG004 over-broad: rule `open` lets anybody write");
    /// # Ok::<(), twinguard::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Gate`] with file, line and column; nothing changes then.
    pub fn set_policy(&mut self, now: Timestamp, text: &str, file: &str) -> Result<Vec<Defect>, Error> {
        let policy = PolicyFile { file: file.to_owned(), text: text.to_owned() };
        let source = policy.source(&self.plant)?;
        let defects = lint(&source, &self.plant);
        self.gate.set_policy(source)?;
        let now = self.clamp(now);
        let digest = Digest(*blake3::hash(text.as_bytes()).as_bytes());
        self.word(now, "policy", &InForce { file, digest });
        self.policy = Some(policy);
        Ok(defects)
    }

    /// The roles that mean something here: those of senders and of second persons in the rules in force, and of who may set rules aside.
    #[must_use]
    pub fn roles(&self) -> BTreeSet<String> {
        let policy = self.gate.policy().load();
        let of_rules =
            policy.clauses().iter().flat_map(|clause| clause.rule.roles.iter().chain(&clause.approvers));
        of_rules.chain(&self.config.gate.break_glass).cloned().collect()
    }

    /// Somebody asks to set rules, guards and what-if aside for these signals: [`Gate::ask_to_break_glass`]. Who may is
    /// said by roles in `Config::gate.break_glass`. Every step is journalled.
    ///
    /// # Errors
    /// [`Error::UnknownPrincipal`], [`Error::Gate`].
    pub fn ask_to_break_glass(
        &mut self,
        now: Timestamp,
        by: PrincipalId,
        signals: &[SignalId],
        lasting: Duration,
        reason: &str,
    ) -> Result<u64, Error> {
        let (now, who) = (self.clamp(now), self.somebody(by)?);
        let id = self.gate.ask_to_break_glass(now, &who, signals, lasting, reason);
        self.tell_notices(now);
        Ok(id?)
    }

    /// The second person agrees: [`Gate::agree_to_break_glass`].
    ///
    /// # Errors
    /// [`Error::UnknownPrincipal`], [`Error::Gate`].
    pub fn agree_to_break_glass(
        &mut self,
        now: Timestamp,
        id: u64,
        second: PrincipalId,
    ) -> Result<(), Error> {
        let (now, who) = (self.clamp(now), self.somebody(second)?);
        let agreed = self.gate.agree_to_break_glass(now, id, &who);
        self.tell_notices(now);
        Ok(agreed?)
    }

    /// Ends it at once; whether it was there.
    pub fn mend_glass(&mut self, now: Timestamp, id: u64) -> bool {
        let now = self.clamp(now);
        let mended = self.gate.mend_glass(id);
        self.tell_notices(now);
        mended
    }

    /// What is set aside, or asked for.
    pub fn broken_glass(&self) -> impl ExactSizeIterator<Item = &BreakGlass> {
        self.gate.broken_glass()
    }

    fn somebody(&self, id: PrincipalId) -> Result<Principal, Error> {
        self.known(id).ok_or(Error::UnknownPrincipal { principal: id })
    }

    /// Enters in the journal what happened to break-glass capabilities.
    pub(super) fn tell_notices(&mut self, now: Timestamp) {
        for notice in self.gate.take_notices() {
            self.word(now, "break_glass", &notice);
        }
    }
}
