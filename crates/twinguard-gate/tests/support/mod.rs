//! Random policies and requests, and a plain reading of the rules: what compiled policies are compared with.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use core::net::{IpAddr, Ipv4Addr};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use twinguard_gate::policy::{
    Channel, Clause, Conduit, Policy, Request, Ruling, SecurityLevels, Source, Zone,
};
use twinguard_twin::plant::{Effect, Network, Rule, Verb, Window};
use twinguard_types::{Catalogue, Principal, PrincipalKind, Range, Role, Signal, SignalId, Timestamp};

const ROLES: [&str; 4] = ["operator", "engineer", "controller", "auditor"];
const NAMES: [&str; 4] = ["anna", "ben", "plc", "historian"];
const MODES: [&str; 3] = ["run", "service", "start"];
const ZONES: [&str; 3] = ["control", "supervision", "office"];
pub const SIGNALS: [&str; 6] = ["a.valve", "a.pump", "b.valve", "b.pump", "b.flow", "lamp"];
const PATTERNS: [&str; 7] = ["*", "a.*", "b.*", "*.valve", "b.pump", "lamp", "*p*"];
const VERBS: [Verb; 3] = [Verb::Read, Verb::Write, Verb::Configure];

pub struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    pub fn often(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn some<T: Copy>(&mut self, list: &[T], percent: usize) -> Vec<T> {
        let mut picked = Vec::new();
        if self.often(percent) {
            for _ in 0..=self.below(2) {
                picked.push(self.of(list));
            }
        }
        picked
    }

    fn names(&mut self, list: &[&str], percent: usize) -> Vec<String> {
        self.some(list, percent).into_iter().map(str::to_owned).collect()
    }

    fn value(&mut self) -> f64 {
        self.below(11) as f64 / 10.0
    }

    fn address(&mut self) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, self.below(4) as u8, self.below(3) as u8)
    }

    fn network(&mut self) -> Network {
        let prefix = self.of(&[16, 24, 32]);
        format!("{}/{prefix}", self.address()).parse().unwrap()
    }
}

/// `*` stands for any text: by trying every split.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| fits(rest, &text[at..])),
        Some((letter, rest)) => text.first() == Some(letter) && fits(rest, &text[1..]),
    }
}

fn rule(dice: &mut Dice, name: usize) -> Clause {
    let patterns: Vec<String> = (0..=dice.below(2)).map(|_| dice.of(&PATTERNS).to_owned()).collect();
    let mut signals: Vec<SignalId> = SIGNALS
        .iter()
        .enumerate()
        .filter(|(_, path)| patterns.iter().any(|pattern| fits(pattern.as_bytes(), path.as_bytes())))
        .map(|(at, _)| SignalId(at as u32))
        .collect();
    signals.sort_unstable();
    let (low, high) = (dice.value(), dice.value());
    let mut verbs = dice.some(&VERBS, 60);
    if verbs.is_empty() {
        verbs.push(Verb::Write);
    }
    let window = |dice: &mut Dice| Window {
        days: (dice.below(127) + 1) as u8,
        from: dice.below(1440) as u16,
        to: (dice.below(1440) + 1) as u16,
    };
    let windows = if dice.often(20) { 1 + dice.below(2) } else { 0 };
    let windows = (0..windows).map(|_| window(dice)).collect();
    let networks = if dice.often(20) { vec![dice.network()] } else { Vec::new() };
    Clause {
        rule: Rule {
            name: format!("r{name}"),
            effect: if dice.often(25) { Effect::Forbid } else { Effect::Allow },
            zones: dice.names(&ZONES, 25),
            roles: dice.names(&ROLES, 60),
            principals: dice.names(&NAMES, 20),
            networks,
            verbs,
            patterns,
            signals,
            range: (dice.often(50) && low != high).then(|| Range::new(low.min(high), low.max(high)).unwrap()),
            commands_per_minute: dice.often(20).then_some(3.0),
            windows,
            modes: dice.names(&MODES, 20),
            two_person: dice.often(10),
        },
        approvers: Vec::new(),
        place: None,
    }
}

pub fn policy(dice: &mut Dice) -> Source {
    let zone = |dice: &mut Dice, name: &str| Zone {
        name: name.to_owned(),
        networks: vec![dice.network()],
        assets: if dice.often(40) { vec![dice.of(&PATTERNS).to_owned()] } else { Vec::new() },
        target: SecurityLevels([dice.below(4) as u8, 0, 0, dice.below(4) as u8, 0, 0, 0]),
        plain_text: dice.often(60),
        place: None,
    };
    let zones = ZONES.iter().map(|name| zone(dice, name)).collect();
    let conduits = if dice.often(50) { dice.below(4) } else { 0 };
    let conduit = |dice: &mut Dice, name: usize| Conduit {
        name: format!("c{name}"),
        from: dice.of(&ZONES).to_owned(),
        to: dice.of(&ZONES).to_owned(),
        target: SecurityLevels([dice.below(3) as u8, 0, 0, dice.below(3) as u8, 0, 0, 0]),
        authenticated: dice.often(30),
        encrypted: dice.often(30),
        place: None,
    };
    let conduits = (0..conduits).map(|name| conduit(dice, name)).collect();
    let rules = [3, 12, 70, 150][dice.below(4)];
    let clauses = (0..rules).map(|name| rule(dice, name)).collect();
    let own = vec![(SignalId(0), 0.5), (SignalId(5), 0.0)];
    Source { zones, conduits, clauses, own, ..Source::default() }
}

pub struct Asked {
    pub principal: Principal,
    pub from: Option<IpAddr>,
    pub signal: usize,
    pub verb: Verb,
    pub value: f64,
    pub mode: &'static str,
    pub at: Timestamp,
    pub channel: Channel,
}

pub fn asked(dice: &mut Dice) -> Asked {
    let mut principal = Principal::new(dice.of(&NAMES));
    for role in dice.some(&ROLES, 80) {
        principal = principal.role(role);
    }
    if dice.often(3) {
        principal = principal.kind(PrincipalKind::Guard);
    }
    let from = dice.often(85).then(|| dice.address());
    // The same address, as a socket of both families tells it.
    let mapped = |address: Ipv4Addr| IpAddr::V6(address.to_ipv6_mapped());
    let value = dice.value();
    Asked {
        principal,
        from: if dice.often(10) { from.map(mapped) } else { from.map(IpAddr::V4) },
        signal: dice.below(SIGNALS.len()),
        verb: dice.of(&VERBS),
        value: [value, value, value, value.next_up(), value.next_down(), f64::NAN][dice.below(6)],
        mode: dice.of(&["run", "service", "start", "", "unheard of"]),
        at: Timestamp::from_secs(dice.below(14 * 86_400) as i64),
        channel: Channel { authenticated: dice.often(50), encrypted: dice.often(50) },
    }
}

/// The rules read one by one, as a person would.
pub fn plainly(source: &Source, asked: &Asked, used_up: bool) -> &'static str {
    let path = SIGNALS[asked.signal];
    if asked.principal.kind == PrincipalKind::Guard {
        let safe =
            |(signal, value): &(SignalId, f64)| signal.index() == asked.signal && *value == asked.value;
        let own = asked.verb == Verb::Write && source.own.iter().any(safe);
        return if own { "own" } else { "not own" };
    }
    let inside =
        |zone: &Zone| asked.from.is_some_and(|from| zone.networks.iter().any(|it| it.contains(from)));
    let lies = |zone: &&Zone| zone.assets.iter().any(|it| fits(it.as_bytes(), path.as_bytes()));
    if let (Some(to), false) = (source.zones.iter().find(lies), source.conduits.is_empty()) {
        let enough = |authenticated: bool, encrypted: bool| {
            (asked.channel.authenticated || !authenticated) && (asked.channel.encrypted || !encrypted)
        };
        let zone_wants = (to.target.of(1) >= 2, to.target.of(4) >= 2 || !to.plain_text);
        let within = inside(to) && enough(zone_wants.0, zone_wants.1);
        let through = source.conduits.iter().any(|conduit| {
            conduit.to == to.name
                && source.zones.iter().any(|zone| zone.name == conduit.from && inside(zone))
                && enough(
                    conduit.authenticated || zone_wants.0 || conduit.target.of(1) >= 2,
                    conduit.encrypted || zone_wants.1 || conduit.target.of(4) >= 2,
                )
        });
        if !within && !through {
            return "no conduit";
        }
    }
    let holds = |rule: &Rule| {
        let none = |list: &[String]| list.is_empty();
        let zone = none(&rule.zones)
            || rule
                .zones
                .iter()
                .any(|name| source.zones.iter().any(|zone| zone.name == *name && inside(zone)));
        let role = none(&rule.roles) || rule.roles.iter().any(|role| asked.principal.has_role(role));
        let name = (none(&rule.principals) && rule.networks.is_empty())
            || rule.principals.iter().any(|name| **name == *asked.principal.name)
            || asked.from.is_some_and(|from| rule.networks.iter().any(|network| network.contains(from)));
        let target = rule.patterns.iter().any(|it| fits(it.as_bytes(), path.as_bytes()));
        let value = asked.verb != Verb::Write
            || rule.range.is_none_or(|range| range.min() <= asked.value && asked.value <= range.max());
        let minutes = asked.at.as_nanos() / 60_000_000_000;
        let (day, minute) = (minutes / 1440 + 3, (minutes % 1440) as u16);
        let on = |window: &Window, day: i64| window.days >> day.rem_euclid(7) & 1 == 1;
        let hour = rule.windows.is_empty()
            || rule.windows.iter().any(|window| {
                if window.from < window.to {
                    on(window, day) && (window.from..window.to).contains(&minute)
                } else {
                    (on(window, day) && minute >= window.from) || (on(window, day - 1) && minute < window.to)
                }
            });
        let mode = none(&rule.modes) || rule.modes.iter().any(|mode| mode == asked.mode);
        zone && role && name && target && rule.verbs.contains(&asked.verb) && value && hour && mode
    };
    let rules = || source.clauses.iter().map(|clause| &clause.rule);
    if rules().any(|rule| rule.effect == Effect::Forbid && holds(rule)) {
        return "forbidden";
    }
    let allows = |rule: &Rule| {
        rule.effect == Effect::Allow && holds(rule) && (rule.commands_per_minute.is_none() || !used_up)
    };
    if rules().any(allows) { "allowed" } else { "refused" }
}

pub fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    for path in SIGNALS {
        catalogue.intern(Signal::new(path, Role::Actuator)).unwrap();
    }
    catalogue
}

/// How many pairs a test compares.
pub fn pairs() -> usize {
    std::env::var("TWINGUARD_PAIRS").ok().and_then(|it| it.parse().ok()).unwrap_or(10_000)
}

impl Asked {
    /// As the compiled policy is asked it.
    pub fn request(&self, compiled: &Policy) -> Request {
        Request {
            at: self.at,
            signal: SignalId(self.signal as u32),
            verb: self.verb,
            value: self.value,
            mode: compiled.mode(self.mode),
            channel: self.channel,
        }
    }
}

/// A ruling in the words of [`plainly`].
pub const fn word(ruling: Ruling) -> &'static str {
    match ruling {
        Ruling::Allowed(_) => "allowed",
        Ruling::Forbidden(_) => "forbidden",
        Ruling::Refused => "refused",
        Ruling::NoConduit => "no conduit",
        Ruling::Own => "own",
        Ruling::NotOwn => "not own",
    }
}
