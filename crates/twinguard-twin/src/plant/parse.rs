//! From the checked tree to a [`Plant`]: names are resolved, and what contradicts itself is refused with its place.
//!
//! Source: the plant file of `docs/src/plant-file.md`.

use std::collections::BTreeSet;

use twinguard_types::{
    Asset, Binding, ByteOrder, Catalogue, Digest, Direction, Duration, Edge, EdgeKind, Encoding, Endpoint,
    Label, Principal, PrincipalKind, Range, Role, Signal, SignalId, Tie, TieKind,
};

use super::{
    Detection, Effect, Limit, LimitKind, Network, Party, Plant, Rule, TimeSettings, Verb, Window, Zone,
    document::{Node, Source},
    policy::matches,
    schema::{DAYS, PLANT, Shape},
};
use crate::{
    Error,
    problem::{Located, Problem, nearest},
};

/// Most signals, points or rules of a plant.
const COUNT_LIMIT: usize = 100_000;

/// Longest duration in seconds: up to here seconds as `f64` and whole nanoseconds go over into each other unchanged.
const LONGEST_S: f64 = 9e6;

pub(super) fn plant(text: &str, file: &str) -> Result<Plant, Error> {
    let source = Source { file: file.into(), text };
    let root = source.parse()?;
    Shape::Table(&PLANT).check(&source, "the plant file", &root)?;
    let reader = Reader { source: &source, root: &root };
    for key in ["signal", "point", "asset", "limit", "rule", "zone", "principal"] {
        let count = reader.tables(key).len();
        if count > COUNT_LIMIT {
            let problem = Problem::TooMuch { what: "tables of one kind", count, limit: COUNT_LIMIT };
            return Err(reader.at(reader.root, problem).into());
        }
    }
    let catalogue = reader.catalogue()?;
    let zones = reader.zones()?;
    let parties = reader.parties()?;
    let (dynamics, learn_dynamics) = match root.get("dynamics") {
        Some(node) => super::dynamics::read(&reader, &catalogue, node)?,
        None => (None, false),
    };
    Ok(Plant {
        format: 1,
        name: words(&root, "name").to_owned(),
        bindings: reader.bindings(&catalogue)?,
        dynamics,
        learn_dynamics,
        limits: reader.limits(&catalogue)?,
        safe_state: reader.safe_state(&catalogue)?,
        detection: reader.detection()?,
        rules: reader.rules(&catalogue, &zones, &parties)?,
        zones,
        parties,
        time: reader.time()?,
        digest: Digest(*blake3::hash(text.as_bytes()).as_bytes()),
        catalogue,
    })
}

pub(super) struct Reader<'a> {
    pub(super) source: &'a Source<'a>,
    root: &'a Node,
}

/// The text of a key; empty when absent.
fn words<'a>(node: &'a Node, key: &str) -> &'a str {
    node.get(key).and_then(Node::text).unwrap_or_default()
}

pub(super) fn number(node: &Node, key: &str) -> Option<f64> {
    node.get(key).and_then(Node::number)
}

/// The elements of a list of texts.
fn texts<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = (&'a Node, &'a str)> {
    let list = node.get(key).map(Node::list).unwrap_or_default();
    list.iter().filter_map(|element| Some((element, element.text()?)))
}

fn owned(node: &Node, key: &str) -> Vec<String> {
    texts(node, key).map(|(_, text)| text.to_owned()).collect()
}

impl<'a> Reader<'a> {
    pub(super) fn at(&self, node: &Node, problem: Problem) -> Located {
        self.source.located(node.at, problem)
    }

    pub(super) fn refuse(&self, node: &Node, key: &str, reason: impl Into<String>) -> Located {
        self.at(node, Problem::Value { key: key.to_owned(), reason: reason.into() })
    }

    fn tables(&self, key: &str) -> &'a [Node] {
        self.root.get(key).map(Node::list).unwrap_or_default()
    }

    /// The node of a key, or the table itself: where to point.
    fn point<'n>(node: &'n Node, key: &str) -> &'n Node {
        node.get(key).unwrap_or(node)
    }

    pub(super) fn signal(&self, catalogue: &Catalogue, node: &Node, path: &str) -> Result<SignalId, Located> {
        catalogue.id(path).ok_or_else(|| {
            let nearest = nearest(path, catalogue.iter().map(|(_, signal)| &*signal.path));
            self.at(node, Problem::Unknown { what: "signal", name: path.to_owned(), nearest })
        })
    }

    pub(super) fn seconds(&self, node: &Node, key: &str) -> Result<Option<Duration>, Located> {
        let Some(seconds) = number(node, key) else { return Ok(None) };
        let at = Self::point(node, key);
        let duration = Duration::from_secs_f64(seconds).ok().filter(|_| seconds <= LONGEST_S);
        let Some(duration) = duration else {
            return Err(self.refuse(at, key, format!("is longer than {LONGEST_S} s (104 days)")));
        };
        if seconds > 0.0 && duration == Duration::ZERO {
            return Err(self.refuse(at, key, "is shorter than a nanosecond"));
        }
        Ok(Some(duration))
    }

    fn unique(&self, what: &'static str, key: &'static str, nodes: &[Node]) -> Result<(), Located> {
        let mut seen = BTreeSet::new();
        for node in nodes {
            if !seen.insert(words(node, key)) {
                let name = words(node, key).to_owned();
                return Err(self.at(Self::point(node, key), Problem::Duplicate { what, name }));
            }
        }
        Ok(())
    }

    fn range(node: &Node, key: &str) -> Option<Range> {
        match node.get(key).map(Node::list) {
            Some([low, high]) => Range::new(low.number()?, high.number()?).ok(),
            _ => None,
        }
    }

    fn catalogue(&self) -> Result<Catalogue, Located> {
        let nodes = self.tables("signal");
        self.unique("signal", "path", nodes)?;
        let mut catalogue = Catalogue::new();
        for node in nodes {
            let role = match words(node, "role") {
                "actuator" => Role::Actuator,
                "setpoint" => Role::Setpoint,
                "parameter" => Role::Parameter,
                _ => Role::Measurement,
            };
            let mut signal = Signal::new(words(node, "path"), role).unit(words(node, "unit"));
            signal.range = Self::range(node, "range");
            signal.rate = number(node, "rate");
            signal.sigma = number(node, "sigma");
            let refuse = |error: twinguard_types::Error| {
                self.refuse(Self::point(node, "path"), "path", error.to_string())
            };
            catalogue.intern(signal).map_err(refuse)?;
        }
        let nodes = self.tables("asset");
        self.unique("asset", "path", nodes)?;
        for node in nodes {
            let refuse = |error: twinguard_types::Error| self.refuse(node, "path", error.to_string());
            catalogue.intern_asset(Asset { path: words(node, "path").into() }).map_err(refuse)?;
        }
        let (mut edges, mut ties) = (Vec::new(), Vec::new());
        for node in nodes {
            let Some(from) = catalogue.asset_id(words(node, "path")) else { continue };
            let kinds = [EdgeKind::Contains, EdgeKind::Feeds, EdgeKind::Controls];
            for (key, kind) in ["contains", "feeds", "controls"].into_iter().zip(kinds) {
                for (at, path) in texts(node, key) {
                    let Some(to) = catalogue.asset_id(path) else {
                        let nearest = nearest(path, nodes.iter().map(|node| words(node, "path")));
                        let problem = Problem::Unknown { what: "asset", name: path.to_owned(), nearest };
                        return Err(self.at(at, problem));
                    };
                    edges.push(Edge { from, to, kind });
                }
            }
            for (key, kind) in [("measures", TieKind::Measures), ("commands", TieKind::Commands)] {
                for (at, path) in texts(node, key) {
                    ties.push(Tie { asset: from, signal: self.signal(&catalogue, at, path)?, kind });
                }
            }
        }
        let refuse = |error: twinguard_types::Error| self.refuse(self.root, "asset", error.to_string());
        catalogue.connect_all(edges).map_err(refuse)?;
        catalogue.tie_all(ties).map_err(refuse)?;
        Ok(catalogue)
    }

    fn bindings(&self, catalogue: &Catalogue) -> Result<Vec<Binding>, Located> {
        let nodes = self.tables("point");
        let mut places = BTreeSet::new();
        let mut bindings = Vec::with_capacity(nodes.len());
        for node in nodes {
            let signal = self.signal(catalogue, Self::point(node, "signal"), words(node, "signal"))?;
            let family = words(node, "protocol");
            let at = Self::point(node, "protocol");
            if family.is_empty() {
                return Err(self.refuse(at, "protocol", "must not be empty"));
            }
            let family =
                Label::new(family).map_err(|error| self.refuse(at, "protocol", error.to_string()))?;
            let tag = words(node, "tag");
            if tag.is_empty() || tag.len() > 512 {
                return Err(self.refuse(Self::point(node, "tag"), "tag", "must have 1 to 512 bytes"));
            }
            let at = Self::point(node, "endpoint");
            let endpoint = endpoint(words(node, "endpoint"))
                .ok_or_else(|| self.refuse(at, "endpoint", "must be `address:port`, `address` or `any`"))?;
            let encoding = match node.get("type") {
                Some(at) => self.encoding(at)?,
                None => Encoding::U16,
            };
            let direction = match words(node, "direction") {
                "write" => Direction::Write,
                _ => Direction::Read,
            };
            let role = catalogue.signal(signal).map_or(Role::Measurement, |signal| signal.role);
            if direction == Direction::Write && role == Role::Measurement {
                let reason = format!("is `write`, but `{}` is a measurement", catalogue.path(signal));
                return Err(self.refuse(Self::point(node, "direction"), "direction", reason));
            }
            let place = (family, format!("{endpoint:?}"), tag.to_owned(), encoding);
            if !places.insert(place) {
                let name = format!("{family} {tag}");
                return Err(self.at(Self::point(node, "tag"), Problem::Duplicate { what: "point", name }));
            }
            bindings.push(Binding {
                signal,
                family,
                endpoint,
                tag: tag.into(),
                encoding,
                order: order(words(node, "order")),
                scale: number(node, "scale").unwrap_or(1.0),
                offset: number(node, "offset").unwrap_or(0.0),
                direction,
            });
        }
        Ok(bindings)
    }

    fn encoding(&self, node: &Node) -> Result<Encoding, Located> {
        let text = node.text().unwrap_or_default();
        let (name, digits) = text.split_once(':').map_or((text, None), |(name, digits)| (name, Some(digits)));
        let count = digits.map(|digits| digits.parse::<u8>().unwrap_or(u8::MAX));
        Ok(match (name, count) {
            ("native", None) => Encoding::Native,
            ("u8", None) => Encoding::U8,
            ("i8", None) => Encoding::I8,
            ("u16", None) => Encoding::U16,
            ("i16", None) => Encoding::I16,
            ("u32", None) => Encoding::U32,
            ("i32", None) => Encoding::I32,
            ("u64", None) => Encoding::U64,
            ("i64", None) => Encoding::I64,
            ("f32", None) => Encoding::F32,
            ("f64", None) => Encoding::F64,
            ("bit", Some(bit @ ..=15)) => Encoding::Bit(bit),
            ("bcd", Some(digits @ (4 | 8 | 16))) => Encoding::Bcd(digits),
            ("bcd", None) => Encoding::Bcd(4),
            ("bit", _) => return Err(self.refuse(node, "type", "must say which bit: `bit:0` to `bit:15`")),
            ("bcd", _) => return Err(self.refuse(node, "type", "must be `bcd:4`, `bcd:8` or `bcd:16`")),
            _ => {
                let known = [
                    "native", "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bit:0",
                    "bcd:4",
                ];
                let nearest = nearest(text, known);
                return Err(self.at(node, Problem::Unknown { what: "type", name: text.to_owned(), nearest }));
            }
        })
    }

    fn limits(&self, catalogue: &Catalogue) -> Result<Vec<Limit>, Located> {
        let mut limits = Vec::new();
        for node in self.tables("limit") {
            let limit = Limit {
                signal: self.signal(catalogue, Self::point(node, "signal"), words(node, "signal"))?,
                min: number(node, "min"),
                max: number(node, "max"),
                rate: number(node, "rate"),
                kind: match words(node, "kind") {
                    "operating" => LimitKind::Operating,
                    "interlock" => LimitKind::Interlock,
                    _ => LimitKind::NeverExceed,
                },
                horizon: self.seconds(node, "horizon_s")?.unwrap_or(Duration::ZERO),
            };
            if limit.min.is_none() && limit.max.is_none() && limit.rate.is_none() {
                return Err(self.refuse(node, "limit", "needs one of `min`, `max`, `rate`"));
            }
            if let (Some(min), Some(max)) = (limit.min, limit.max)
                && min >= max
            {
                let reason = format!("is empty: `{min}` is not below `{max}`");
                return Err(self.refuse(Self::point(node, "max"), "min … max", reason));
            }
            limits.push(limit);
        }
        Ok(limits)
    }

    fn safe_state(&self, catalogue: &Catalogue) -> Result<Vec<(SignalId, f64)>, Located> {
        let mut safe = Vec::new();
        for entry in self.root.get("safe_state").map(Node::entries).unwrap_or_default() {
            let key = Node { at: entry.at, ..entry.node.clone() };
            let id = self.signal(catalogue, &key, &entry.key)?;
            let value = entry.node.number().unwrap_or_default();
            let signal = catalogue.signal(id);
            if signal.is_some_and(|signal| !matches!(signal.role, Role::Actuator | Role::Setpoint)) {
                return Err(self.refuse(&key, &entry.key, "is neither an actuator nor a set-point"));
            }
            if let Some(range) = signal.and_then(|signal| signal.range)
                && !range.contains(value)
            {
                let reason = format!("is outside its range of {} to {}", range.min(), range.max());
                return Err(self.refuse(&entry.node, &entry.key, reason));
            }
            safe.push((id, value));
        }
        Ok(safe)
    }

    fn detection(&self) -> Result<Detection, Located> {
        let mut detection = Detection::default();
        let Some(node) = self.root.get("detection") else { return Ok(detection) };
        if let Some(rate) = number(node, "false_alarms_per_day") {
            detection.false_alarms_per_day = rate;
        }
        detection.detectors = owned(node, "detectors");
        if let Some(learn) = node.get("learn") {
            detection.learn_first = self.seconds(learn, "first_s")?;
            detection.learn_from = learn.get("history").and_then(Node::text).map(str::to_owned);
        }
        Ok(detection)
    }

    fn time(&self) -> Result<TimeSettings, Located> {
        let mut time = TimeSettings::default();
        let Some(node) = self.root.get("time") else { return Ok(time) };
        if let Some(zone) = node.get("zone").and_then(Node::text) {
            time.zone = zone.to_owned();
        }
        time.sampling = self.seconds(node, "sampling_s")?.unwrap_or(time.sampling);
        time.stale = self.seconds(node, "stale_s")?;
        time.lateness = self.seconds(node, "lateness_s")?.unwrap_or(time.lateness);
        Ok(time)
    }

    fn networks(&self, node: &Node, key: &str) -> Result<Vec<Network>, Located> {
        let parse = |(at, text): (&Node, &str)| {
            text.parse().map_err(|_| self.refuse(at, text, "is not an address or a CIDR block"))
        };
        texts(node, key).map(parse).collect()
    }

    fn zones(&self) -> Result<Vec<Zone>, Located> {
        let nodes = self.tables("zone");
        self.unique("zone", "name", nodes)?;
        let zone = |node| {
            Ok(Zone { name: words(node, "name").to_owned(), networks: self.networks(node, "networks")? })
        };
        nodes.iter().map(zone).collect()
    }

    fn parties(&self) -> Result<Vec<Party>, Located> {
        let nodes = self.tables("principal");
        self.unique("principal", "name", nodes)?;
        let party = |node| {
            let kind = match words(node, "kind") {
                "user" => PrincipalKind::User,
                "service" => PrincipalKind::Service,
                "device" => PrincipalKind::Device,
                "guard" => PrincipalKind::Guard,
                _ => PrincipalKind::Unknown,
            };
            let named = Principal::new(words(node, "name")).kind(kind);
            let principal = texts(node, "roles").fold(named, |principal, (_, role)| principal.role(role));
            Ok(Party { principal, networks: self.networks(node, "addresses")? })
        };
        nodes.iter().map(party).collect()
    }

    fn rules(&self, catalogue: &Catalogue, zones: &[Zone], parties: &[Party]) -> Result<Vec<Rule>, Located> {
        let nodes = self.tables("rule");
        self.unique("rule", "name", nodes)?;
        let mut rules = Vec::with_capacity(nodes.len());
        for node in nodes {
            for (at, name) in texts(node, "zones") {
                if !zones.iter().any(|zone| zone.name == name) {
                    let nearest = nearest(name, zones.iter().map(|zone| zone.name.as_str()));
                    return Err(
                        self.at(at, Problem::Unknown { what: "zone", name: name.to_owned(), nearest })
                    );
                }
            }
            let (mut principals, mut networks) = (Vec::new(), Vec::new());
            for (at, name) in texts(node, "principals") {
                if parties.iter().any(|party| &*party.principal.name == name) {
                    principals.push(name.to_owned());
                } else if let Ok(network) = name.parse() {
                    networks.push(network);
                } else {
                    let nearest = nearest(name, parties.iter().map(|party| &*party.principal.name));
                    let problem = Problem::Unknown { what: "principal", name: name.to_owned(), nearest };
                    return Err(self.at(at, problem));
                }
            }
            let mut signals = BTreeSet::new();
            for (at, pattern) in texts(node, "signals") {
                let fits = |(_, signal): &(SignalId, &Signal)| matches(pattern, &signal.path);
                let mut found = catalogue.iter().filter(fits).map(|(id, _)| id).peekable();
                if found.peek().is_none() {
                    let nearest = nearest(pattern, catalogue.iter().map(|(_, signal)| &*signal.path));
                    let problem = Problem::Unknown { what: "signal", name: pattern.to_owned(), nearest };
                    return Err(self.at(at, problem));
                }
                signals.extend(found);
            }
            let verb = |(_, word)| Verb::ALL.into_iter().find(|verb| verb.word() == word);
            let mut verbs: Vec<Verb> = texts(node, "verbs").filter_map(verb).collect();
            if verbs.is_empty() {
                verbs.push(Verb::Write);
            }
            let windows = node.get("windows").map(Node::list).unwrap_or_default();
            rules.push(Rule {
                name: words(node, "name").to_owned(),
                effect: if words(node, "effect") == "forbid" { Effect::Forbid } else { Effect::Allow },
                zones: owned(node, "zones"),
                roles: owned(node, "roles"),
                principals,
                networks,
                verbs,
                patterns: owned(node, "signals"),
                signals: signals.into_iter().collect(),
                range: Self::range(node, "range"),
                commands_per_minute: number(node, "commands_per_minute"),
                windows: windows.iter().map(|window| self.window(window)).collect::<Result<_, _>>()?,
                modes: owned(node, "modes"),
                two_person: node.get("two_person").and_then(Node::boolean).unwrap_or(false),
            });
        }
        Ok(rules)
    }

    fn window(&self, node: &Node) -> Result<Window, Located> {
        let minute = |key: &str, absent: u16, most: u16| {
            let Some(at) = node.get(key) else { return Ok(absent) };
            let parse = |text: &str| {
                let (hours, minutes) = text.split_once(':')?;
                let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
                (hours <= 24 && minutes < 60).then_some(hours * 60 + minutes).filter(|minute| *minute <= most)
            };
            let text = at.text().unwrap_or_default();
            parse(text).ok_or_else(|| self.refuse(at, key, format!("must be `HH:MM`, not `{text}`")))
        };
        let days = texts(node, "days").filter_map(|(_, day)| DAYS.iter().position(|known| *known == day));
        let days = days.fold(0, |days, day| days | 1 << day);
        Ok(Window {
            days: if days == 0 { 0b111_1111 } else { days },
            from: minute("from", 0, 1439)?,
            to: minute("to", 1440, 1440)?,
        })
    }
}

fn endpoint(text: &str) -> Option<Endpoint> {
    if matches!(text, "" | "any") {
        return Some(Endpoint::Any);
    }
    let ip = text.parse().map(Endpoint::Socket).or_else(|_| text.parse().map(Endpoint::Host));
    ip.ok().or_else(|| text.parse().map(Endpoint::Mac).ok())
}

fn order(text: &str) -> ByteOrder {
    match text {
        "CDAB" => ByteOrder::Cdab,
        "BADC" => ByteOrder::Badc,
        "DCBA" => ByteOrder::Dcba,
        _ => ByteOrder::Abcd,
    }
}
