//! The compiled policy: for any sender and target the rules that speak of both are one `and` of bit sets.
//!
//! Each rule is a bit, forbidding ones first, so that the first set bit whose predicates hold decides: a forbid, else an
//! allow, else nothing allows it. What a sender matches is found once per identity ([`Subject`]), what a target matches
//! once per policy; signals that the same rules speak of share one set. A decision reads ⌈rules / 64⌉ words, allocates
//! nothing, and looks at predicates of candidates only.

use core::net::IpAddr;
use std::collections::BTreeMap;

use twinguard_twin::plant::{Effect, Network, Plant, Verb};
use twinguard_types::{Catalogue, Principal, PrincipalKind, SignalId, Timestamp};

use super::source::{Clause, Source, resolve};
use crate::Error;

/// Most zones: a set of zones is one machine word.
pub(crate) const ZONES: usize = 64;
/// Most rules of one policy.
const RULES: usize = 100_000;

/// What the channel that a request comes by gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Channel {
    /// The sender is authenticated by it.
    pub authenticated: bool,
    /// Nobody else can read it.
    pub encrypted: bool,
}

impl Channel {
    const fn index(self) -> usize {
        self.authenticated as usize | (self.encrypted as usize) << 1
    }
}

/// An operating mode of one compiled policy: [`Policy::mode`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode(Option<u32>);

/// What is asked of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// When.
    pub at: Timestamp,
    /// The target.
    pub signal: SignalId,
    /// What is to be done to it.
    pub verb: Verb,
    /// The value, of a write.
    pub value: f64,
    /// The plant's mode.
    pub mode: Mode,
    /// By which channel it comes.
    pub channel: Channel,
}

/// What a policy makes of a sender: kept as long as sender and policy stay the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Rules that speak of this sender.
    rules: Box<[u64]>,
    zones: u64,
    own: bool,
}

/// What the policy says. Rules are meant by their number in [`Policy::clauses`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Allowed by a rule.
    Allowed(u32),
    /// Kept out by a rule.
    Forbidden(u32),
    /// No rule allows it.
    Refused,
    /// No conduit leads from the sender's zone to the target's by such a channel.
    NoConduit,
    /// This guard's own write of the safe state.
    Own,
    /// This guard's own write of something else.
    NotOwn,
}

impl Ruling {
    /// Whether it lets the request through.
    #[must_use]
    pub const fn allows(self) -> bool {
        matches!(self, Self::Allowed(_) | Self::Own)
    }
}

/// Rules compiled for one plant; never changed, only replaced ([`crate::policy::SharedPolicy`]).
#[derive(Clone, Debug)]
pub struct Policy {
    clauses: Vec<Clause>,
    words: usize,
    /// Per signal and verb, the class of its target.
    targets: Vec<[u32; 3]>,
    /// Per class, the rules that speak of the target.
    classes: Vec<u64>,
    modes: Vec<String>,
    /// Per mode, and last for a mode that no rule names, the rules that hold in it.
    in_mode: Vec<u64>,
    who: Who,
    zones: Vec<(String, Vec<Network>)>,
    /// Per signal, the zone that it lies in.
    lies_in: Vec<Option<u8>>,
    /// Per zone and kind of channel, the zones from which it may be reached; none where no conduits are named.
    reach: Vec<[u64; 4]>,
    own: Vec<(SignalId, f64)>,
}

/// Sets of rules by what they want of a sender.
#[derive(Clone, Debug, Default)]
struct Who {
    any_role: Vec<u64>,
    by_role: BTreeMap<String, Vec<u64>>,
    any_zone: Vec<u64>,
    by_zone: Vec<Vec<u64>>,
    anybody: Vec<u64>,
    by_name: BTreeMap<String, Vec<u64>>,
    by_network: Vec<(Network, Vec<u64>)>,
}

fn set(bits: &mut [u64], index: usize) {
    if let Some(word) = bits.get_mut(index / 64) {
        *word |= 1 << (index % 64);
    }
}

fn join(into: &mut [u64], other: &[u64]) {
    into.iter_mut().zip(other).for_each(|(into, other)| *into |= other);
}

const fn verb_index(verb: Verb) -> usize {
    match verb {
        Verb::Read => 0,
        Verb::Write => 1,
        Verb::Configure => 2,
    }
}

impl Policy {
    /// The policy of a plant file: its rules, and for this guard's own commands the safe state.
    ///
    /// # Errors
    /// As [`Policy::compile`].
    pub fn from_plant(plant: &Plant) -> Result<Self, Error> {
        Self::compile(Source::from_plant(plant), &plant.catalogue)
    }

    /// Compiles what is written, for the signals of a catalogue.
    ///
    /// # Errors
    /// [`Error::UnknownSignal`] when a rule names a signal outside the catalogue, [`Error::SameName`] for two rules of one
    /// name, [`Error::TooMany`] for more than 100,000
    /// rules or 64 zones.
    pub fn compile(source: Source, catalogue: &Catalogue) -> Result<Self, Error> {
        let Source { zones, conduits, mut clauses, own, .. } = source;
        for (what, count, limit) in [("rules", clauses.len(), RULES), ("zones", zones.len(), ZONES)] {
            if count > limit {
                return Err(Error::TooMany { what, count, limit });
            }
        }
        let mut names = std::collections::BTreeSet::new();
        if let Some(twice) = clauses.iter().find(|clause| !names.insert(clause.rule.name.as_str())) {
            return Err(Error::SameName { rule: twice.rule.name.clone() });
        }
        clauses.sort_by_key(|clause| clause.rule.effect != Effect::Forbid);
        let words = clauses.len().div_ceil(64);
        let none = || vec![0u64; words];
        let mut by_target = vec![[none(), none(), none()]; catalogue.len()];
        let mut who = Who {
            any_role: none(),
            any_zone: none(),
            by_zone: vec![none(); zones.len()],
            anybody: none(),
            ..Who::default()
        };
        let mut modes: Vec<String> = clauses.iter().flat_map(|clause| clause.rule.modes.clone()).collect();
        modes.sort_unstable();
        modes.dedup();
        let mut in_mode = vec![0u64; words * (modes.len() + 1)];
        let mut networks: Vec<(Network, Vec<u64>)> = Vec::new();
        let mut network_at: BTreeMap<Network, usize> = BTreeMap::new();
        for (index, clause) in clauses.iter().enumerate() {
            let rule = &clause.rule;
            for signal in &rule.signals {
                let target = by_target
                    .get_mut(signal.index())
                    .ok_or_else(|| Error::UnknownSignal { rule: rule.name.clone() })?;
                for verb in &rule.verbs {
                    set(&mut target[verb_index(*verb)], index);
                }
            }
            if rule.roles.is_empty() {
                set(&mut who.any_role, index);
            }
            for role in &rule.roles {
                set(who.by_role.entry(role.clone()).or_insert_with(none), index);
            }
            if rule.zones.is_empty() {
                set(&mut who.any_zone, index);
            }
            for (zone, bits) in zones.iter().zip(&mut who.by_zone) {
                if rule.zones.contains(&zone.name) {
                    set(bits, index);
                }
            }
            if rule.principals.is_empty() && rule.networks.is_empty() {
                set(&mut who.anybody, index);
            }
            for name in &rule.principals {
                set(who.by_name.entry(name.clone()).or_insert_with(none), index);
            }
            for network in &rule.networks {
                let at = *network_at.entry(*network).or_insert_with(|| {
                    networks.push((*network, none()));
                    networks.len() - 1
                });
                if let Some((_, bits)) = networks.get_mut(at) {
                    set(bits, index);
                }
            }
            for (at, bits) in in_mode.chunks_exact_mut(words.max(1)).enumerate() {
                let holds =
                    rule.modes.is_empty() || modes.get(at).is_some_and(|mode| rule.modes.contains(mode));
                if holds {
                    set(bits, index);
                }
            }
        }
        who.by_network = networks;
        let mut known: BTreeMap<Vec<u64>, u32> = BTreeMap::new();
        let mut classes = Vec::new();
        let mut class = |bits: Vec<u64>| {
            let next = known.len() as u32;
            *known.entry(bits).or_insert_with_key(|bits| {
                classes.extend_from_slice(bits);
                next
            })
        };
        let targets = by_target.into_iter().map(|verbs| verbs.map(&mut class)).collect();

        let mut lies_in = vec![None; catalogue.len()];
        for (at, zone) in zones.iter().enumerate().rev() {
            for signal in resolve(zone.assets.iter().map(String::as_str), catalogue) {
                if let Some(place) = lies_in.get_mut(signal.index()) {
                    *place = u8::try_from(at).ok();
                }
            }
        }
        let mut reach = Vec::new();
        if !conduits.is_empty() {
            for (at, zone) in zones.iter().enumerate() {
                let mut from = [0u64; 4];
                let mut enter = |bit: usize, authenticated: bool, encrypted: bool| {
                    for (channel, mask) in from.iter_mut().enumerate() {
                        if (channel & 1 != 0 || !authenticated) && (channel & 2 != 0 || !encrypted) {
                            *mask |= 1 << bit;
                        }
                    }
                };
                let wants = |own: bool, requirement: usize, conduit: u8| {
                    own || zone.target.of(requirement).max(conduit) >= 2
                };
                enter(at, wants(false, 1, 0), wants(!zone.plain_text, 4, 0));
                for conduit in conduits.iter().filter(|conduit| conduit.to == zone.name) {
                    if let Some(bit) = zones.iter().position(|zone| zone.name == conduit.from) {
                        let authenticated = wants(conduit.authenticated, 1, conduit.target.of(1));
                        let encrypted = wants(conduit.encrypted || !zone.plain_text, 4, conduit.target.of(4));
                        enter(bit, authenticated, encrypted);
                    }
                }
                reach.push(from);
            }
        }
        Ok(Self {
            clauses,
            words,
            targets,
            classes,
            modes,
            in_mode,
            who,
            zones: zones.into_iter().map(|zone| (zone.name, zone.networks)).collect(),
            lies_in,
            reach,
            own,
        })
    }

    /// The rules: forbidding ones first, else in the order of their source.
    #[must_use]
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// Whether any rule is there; without rules every command is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// The mode of this name.
    #[must_use]
    pub fn mode(&self, name: &str) -> Mode {
        let at = self.modes.binary_search_by(|mode| mode.as_str().cmp(name)).ok();
        Mode(at.and_then(|at| u32::try_from(at).ok()))
    }

    /// What this policy makes of a sender. Cost: linear in rules / 64 and in the networks that rules name.
    #[must_use]
    pub fn subject(&self, principal: &Principal, from: Option<IpAddr>) -> Subject {
        let mut zones = 0u64;
        if let Some(from) = from {
            for (at, (_, networks)) in self.zones.iter().enumerate() {
                if networks.iter().any(|network| network.contains(from)) {
                    zones |= 1 << at;
                }
            }
        }
        let mut roles = self.who.any_role.clone();
        for role in &principal.roles {
            if let Some(bits) = self.who.by_role.get(&**role) {
                join(&mut roles, bits);
            }
        }
        let mut placed = self.who.any_zone.clone();
        for (at, bits) in self.who.by_zone.iter().enumerate() {
            if zones >> at & 1 == 1 {
                join(&mut placed, bits);
            }
        }
        let mut named = self.who.anybody.clone();
        if let Some(bits) = self.who.by_name.get(&*principal.name) {
            join(&mut named, bits);
        }
        if let Some(from) = from {
            for (_, bits) in self.who.by_network.iter().filter(|(network, _)| network.contains(from)) {
                join(&mut named, bits);
            }
        }
        let rules = roles.iter().zip(&placed).zip(&named).map(|((a, b), c)| a & b & c).collect();
        Subject { rules, zones, own: principal.kind == PrincipalKind::Guard }
    }

    /// Decides. `usable` is asked of a rule with a rate that would allow the request: whether its rate is not used up.
    ///
    /// No allocation.
    #[must_use]
    pub fn decide(&self, subject: &Subject, request: &Request, usable: impl Fn(u32) -> bool) -> Ruling {
        if subject.own {
            let own = self.own.iter().any(|(signal, safe)| {
                *signal == request.signal && *safe == request.value && request.verb == Verb::Write
            });
            return if own { Ruling::Own } else { Ruling::NotOwn };
        }
        if !self.crosses(subject, request) {
            return Ruling::NoConduit;
        }
        let mode = request.mode.0.map_or(self.modes.len(), |mode| mode as usize);
        let in_mode = self.in_mode.get(mode * self.words..).unwrap_or_default();
        let candidates = self.target(request).iter().zip(in_mode).zip(&subject.rules);
        for (word, ((target, in_mode), sender)) in candidates.enumerate() {
            let mut bits = target & in_mode & sender;
            while bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(clause) = self.clauses.get(index) else { continue };
                if miss(clause, request).is_some() {
                    continue;
                }
                match clause.rule.effect {
                    Effect::Forbid => return Ruling::Forbidden(index as u32),
                    Effect::Allow if clause.rule.commands_per_minute.is_none() || usable(index as u32) => {
                        return Ruling::Allowed(index as u32);
                    }
                    Effect::Allow => {}
                }
            }
        }
        Ruling::Refused
    }

    /// Whether a conduit lets the sender reach the target, where conduits are named at all.
    fn crosses(&self, subject: &Subject, request: &Request) -> bool {
        let zone = self.lies_in.get(request.signal.index()).copied().flatten();
        let Some(masks) = zone.and_then(|zone| self.reach.get(usize::from(zone))) else { return true };
        masks[request.channel.index()] & subject.zones != 0
    }

    fn target(&self, request: &Request) -> &[u64] {
        let class = self.targets.get(request.signal.index()).map(|verbs| verbs[verb_index(request.verb)]);
        class
            .and_then(|class| self.classes.get(class as usize * self.words..)?.get(..self.words))
            .unwrap_or_default()
    }

    /// Rules that speak of sender and target, in order, whatever mode, hour and value are.
    pub(super) fn candidates<'a>(
        &'a self,
        subject: &'a Subject,
        request: &'a Request,
    ) -> impl Iterator<Item = (u32, &'a Clause)> {
        let words = self.target(request).iter().zip(&subject.rules).map(|(target, sender)| target & sender);
        let indices = words.enumerate().flat_map(|(word, bits)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit)
        });
        indices.filter_map(|index| Some((index as u32, self.clauses.get(index)?)))
    }

    pub(super) fn mode_name(&self, mode: Mode) -> &str {
        mode.0.and_then(|mode| self.modes.get(mode as usize)).map_or("", String::as_str)
    }

    pub(super) fn safe_value(&self, signal: SignalId) -> Option<f64> {
        self.own.iter().find(|(own, _)| *own == signal).map(|(_, value)| *value)
    }

    pub(super) fn target_zone(&self, signal: SignalId) -> Option<&str> {
        let zone = self.lies_in.get(signal.index()).copied().flatten()?;
        self.zones.get(usize::from(zone)).map(|(name, _)| name.as_str())
    }

    /// Whether a person may be the second one for what a rule allows: who holds one of its approvers' roles; where it
    /// names none, whoever it speaks of by role and by name, wherever they are.
    pub(crate) fn entitles(&self, name: &str, principal: &Principal) -> bool {
        let entitled = |clause: &Clause| {
            if !clause.approvers.is_empty() {
                return clause.approvers.iter().any(|role| principal.has_role(role));
            }
            let rule = &clause.rule;
            (rule.roles.is_empty() || rule.roles.iter().any(|role| principal.has_role(role)))
                && (rule.principals.is_empty() || rule.principals.iter().any(|it| **it == *principal.name))
        };
        principal.kind != PrincipalKind::Guard
            && self
                .clauses
                .iter()
                .any(|clause| clause.rule.name == name && clause.rule.two_person && entitled(clause))
    }
}

/// What of a rule that fits sender, target and mode does not fit the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The plant is in another mode.
    Mode,
    /// The time of the week.
    Hour,
    /// The value.
    Range,
    /// Its rate is used up.
    Rate,
}

pub(super) fn miss(clause: &Clause, request: &Request) -> Option<Miss> {
    let rule = &clause.rule;
    if request.verb == Verb::Write && rule.range.is_some_and(|range| !range.contains(request.value)) {
        return Some(Miss::Range);
    }
    if !rule.windows.is_empty() && !rule.windows.iter().any(|window| window.contains(request.at)) {
        return Some(Miss::Hour);
    }
    None
}
