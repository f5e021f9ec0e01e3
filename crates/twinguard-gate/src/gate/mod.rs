//! The gate itself: identity × policy × guards × consequence in one call.

mod break_glass;
mod hold;
mod judge;
mod record;
mod state;
mod words;

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use twinguard_twin::plant::Plant;
use twinguard_types::{
    Catalogue, Command, CommandId, Digest, Duration, Principal, PrincipalId, Residual, Severity, SignalId,
    Timestamp,
};

use crate::guards::{Guards, Rates};
use crate::identity::{Credentials, Proof, Token, TokenKey, Trust, TrustConfig};
use crate::policy::{Channel, Policy, SharedPolicy, Source, Subject};
use crate::what_if::{Certificate, Confidence, Lookahead};
use crate::{Error, Identities};

pub use break_glass::{BreakGlass, Notice};
pub use judge::{Code, Judgement};
pub use record::Record;
pub use state::GateState;

use hold::Held;

/// Senders whose rules are remembered.
const SUBJECTS: usize = 1_024;
/// Certificates that are kept.
const CERTIFICATES: usize = 64;
/// Commands on their way to the plant that are counted in.
const PENDING: usize = 64;

/// Sampling periods after which a twin is too old, where the plant file does not say.
const STALE_PERIODS: i64 = 10;

/// How the gate decides where the plant file does not say.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct GateConfig {
    /// Whether the command's consequence is simulated before it is admitted (needs a twin).
    pub what_if: bool,
    /// Whether a command whose consequence is unsafe is brought to the nearest safe value instead of refused.
    pub clamp: bool,
    /// Standard deviations that a margin is measured from the mean, outwards.
    pub sigmas: f64,
    /// Share of the simulated excursion that the model may get wrong: margins shrink by it.
    pub model_error: f64,
    /// How long an admission stands; a command that is sent later has to be asked for again.
    pub validity: Duration,
    /// Whether trust that decays asks for fresh proofs. `None`: whoever was identified is trusted.
    pub trust: Option<TrustConfig>,
    /// Roles of which two people together may break the glass; empty: nobody may.
    pub break_glass: Vec<String>,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            what_if: true,
            clamp: true,
            sigmas: 3.0,
            model_error: 0.1,
            validity: Duration::from_secs(10),
            trust: None,
            break_glass: Vec::new(),
        }
    }
}

/// Who asks, and what they bring along.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Who, as the channel or the platform says.
    pub principal: &'a Principal,
    /// What the channel proves; `None` where nobody looks (a passive tap, a platform that has checked itself).
    pub proof: Option<&'a Proof>,
    /// A capability token: what it allows is asked for in its subject's name.
    pub token: Option<&'a Token>,
    /// The command's number in the sender's own count.
    pub sequence: Option<u64>,
}

impl<'a> Asking<'a> {
    /// Somebody with nothing but a name.
    #[must_use]
    pub const fn of(principal: &'a Principal) -> Self {
        Self { principal, proof: None, token: None, sequence: None }
    }

    fn channel(&self) -> Channel {
        self.proof.map_or(Channel::default(), |proof| Channel {
            authenticated: !proof.credentials.is_empty(),
            encrypted: proof.encrypted,
        })
    }
}

/// Decides about every command: identity × policy × stateful guards × what-if, in one call, with reasons.
///
/// A command is refused when nothing allows it, when a guard bars it, and when the twin says that it brings a never-exceed
/// limit within reach that it would not be in without the command. A command that leaves the plant safer than it is passes
/// even when a limit is near: the way to the safe state is never barred.
#[derive(Debug)]
pub struct Gate {
    config: GateConfig,
    catalogue: Catalogue,
    plant: Digest,
    identities: Identities,
    credentials: Credentials,
    token_key: Option<TokenKey>,
    revoked_tokens: BTreeSet<u64>,
    trust: Trust,
    shared: SharedPolicy,
    /// The policy that rates and subjects belong to.
    policy: Arc<Policy>,
    rates: Rates,
    subjects: BTreeMap<(PrincipalId, Option<IpAddr>), (Principal, Subject)>,
    guards: Guards,
    specs: Vec<crate::policy::GuardSpec>,
    lookahead: Lookahead,
    confidence: Confidence,
    stale: Duration,
    safe: Vec<(SignalId, f64)>,
    isolated: BTreeMap<IpAddr, Option<Timestamp>>,
    held: BTreeMap<CommandId, Held>,
    /// Let through, and not known to have reached the twin: signal, value, until when it may still be sent.
    pending: Vec<(SignalId, f64, Timestamp)>,
    certificates: VecDeque<Certificate>,
    glass: Vec<BreakGlass>,
    next_glass: u64,
    notices: VecDeque<Notice>,
    mode: String,
}

impl Gate {
    /// The gate of a plant, under the rules of its file.
    ///
    /// # Errors
    /// As [`Policy::compile`].
    pub fn new(plant: &Plant, config: GateConfig) -> Result<Self, Error> {
        Self::with_policy(plant, config, Source::from_plant(plant))
    }

    /// The gate of a plant under a policy of your own; [`Source::from_plant`] with [`Source::and`] keeps the plant file's.
    ///
    /// # Errors
    /// As [`Policy::compile`], [`Guards::new`].
    pub fn with_policy(plant: &Plant, config: GateConfig, source: Source) -> Result<Self, Error> {
        let specs = source.guards.clone();
        let shared = SharedPolicy::new(Policy::compile(source, &plant.catalogue)?);
        let policy = shared.load();
        Ok(Self {
            rates: Rates::new(&policy),
            policy,
            shared,
            guards: Guards::new(&specs, &plant.catalogue)?,
            specs,
            config,
            catalogue: plant.catalogue.clone(),
            plant: plant.digest,
            identities: Identities::from_plant(plant),
            credentials: Credentials::new(),
            token_key: None,
            revoked_tokens: BTreeSet::new(),
            trust: Trust::default(),
            subjects: BTreeMap::new(),
            lookahead: Lookahead::new(plant),
            confidence: Confidence::default(),
            stale: plant.time.stale.unwrap_or(Duration::from_nanos(
                plant.time.sampling.as_nanos().saturating_mul(STALE_PERIODS),
            )),
            safe: plant.safe_state.clone(),
            isolated: BTreeMap::new(),
            held: BTreeMap::new(),
            pending: Vec::new(),
            certificates: VecDeque::new(),
            glass: Vec::new(),
            next_glass: 0,
            notices: VecDeque::new(),
            mode: String::new(),
        })
    }

    /// This gate under another plant file: isolated peers, held commands, credentials, trust and the mode stay; rates and
    /// guards count anew, and every consequence is looked at anew.
    ///
    /// # Errors
    /// As [`Policy::compile`].
    pub fn under(&self, plant: &Plant) -> Result<Self, Error> {
        Ok(Self {
            isolated: self.isolated.clone(),
            held: self.held.clone(),
            mode: self.mode.clone(),
            credentials: self.credentials.clone(),
            token_key: self.token_key.clone(),
            revoked_tokens: self.revoked_tokens.clone(),
            trust: self.trust.clone(),
            glass: self.glass.clone(),
            next_glass: self.next_glass,
            ..Self::new(plant, self.config.clone())?
        })
    }

    /// A handle to replace the policy by, from any thread: the next command is decided by the new one. Rules that keep
    /// their name and rate keep what they have used of it.
    #[must_use]
    pub fn policy(&self) -> SharedPolicy {
        self.shared.clone()
    }

    /// Replaces policy and guards. Guards that are specified as before keep what they remember.
    ///
    /// # Errors
    /// As [`Policy::compile`] and [`Guards::new`]; nothing changes then.
    pub fn set_policy(&mut self, source: Source) -> Result<(), Error> {
        let specs = source.guards.clone();
        let policy = Policy::compile(source, &self.catalogue)?;
        let mut guards = Guards::new(&specs, &self.catalogue)?;
        let memory = self.guards.memory();
        let kept = specs.iter().zip(guards.memory()).map(|(spec, fresh)| {
            let before = self.specs.iter().position(|it| it == spec);
            before.and_then(|at| memory.get(at).cloned()).unwrap_or(fresh)
        });
        guards.recall(&kept.collect::<Vec<_>>())?;
        (self.guards, self.specs) = (guards, specs);
        self.shared.replace(policy);
        Ok(())
    }

    /// Who speaks from where.
    #[must_use]
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// What channels prove, and what was revoked.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The same, to change.
    pub fn credentials_mut(&mut self) -> &mut Credentials {
        &mut self.credentials
    }

    /// The key that capability tokens are checked by; without one they are refused.
    pub fn set_token_key(&mut self, key: TokenKey) {
        self.token_key = Some(key);
    }

    /// Tokens with this number are worth nothing any more.
    pub fn revoke_token(&mut self, id: u64) {
        self.revoked_tokens.insert(id);
    }

    /// Somebody proved who they are: a login, a second factor.
    pub fn proved(&mut self, now: Timestamp, name: &str) {
        self.trust.proved(name, now);
    }

    /// A finding speaks against somebody.
    pub fn suspected(&mut self, name: &str, severity: Severity) {
        self.trust.suspected(name, severity);
    }

    /// What was found against somebody has been cleared up.
    pub fn cleared(&mut self, name: &str) {
        self.trust.cleared(name);
    }

    /// Takes in how well the twin follows the plant: every residual of [`twinguard_twin::Twin::advance`].
    pub fn observe(&mut self, residual: &Residual<'_>) {
        self.confidence.observe(residual);
    }

    /// Takes in where the twin stands after a slot, once its residual was observed.
    pub fn follow(&mut self, twin: &twinguard_twin::Twin) {
        if let Some(dynamics) = &self.lookahead.dynamics {
            self.confidence.follow(dynamics, twin);
        }
    }

    /// The same, where somebody else keeps count.
    pub fn set_confidence(&mut self, confidence: Confidence) {
        self.confidence = confidence;
    }

    /// How far the twin is trusted, to change.
    pub fn confidence_mut(&mut self) -> &mut Confidence {
        &mut self.confidence
    }

    /// Lets nothing from this peer through, until a time or for good.
    pub fn isolate(&mut self, peer: IpAddr, until: Option<Timestamp>) {
        self.isolated.insert(peer, until);
    }

    /// Lets a peer speak again; whether it was isolated.
    pub fn release(&mut self, peer: IpAddr) -> bool {
        self.isolated.remove(&peer).is_some()
    }

    /// Whether a peer is isolated at `now`.
    #[must_use]
    pub fn is_isolated(&self, now: Timestamp, peer: IpAddr) -> bool {
        self.isolated.get(&peer).is_some_and(|until| until.is_none_or(|until| now < until))
    }

    /// Declares the plant's mode of operation, as named in the rules.
    pub fn set_mode(&mut self, mode: &str) {
        mode.clone_into(&mut self.mode);
    }

    /// The tube that a command's admission rests on, while it is among the latest 64.
    #[must_use]
    pub fn certificate(&self, command: CommandId) -> Option<&Certificate> {
        self.certificates.iter().rev().find(|it| it.command == command)
    }

    /// A command that was let through reaches the plant no more: it was not sent, or its time is over.
    pub fn withdraw(&mut self, command: &Command) {
        self.pending.retain(|(signal, ..)| *signal != command.signal);
    }
}

#[cfg(test)]
mod tests;
