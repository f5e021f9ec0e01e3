//! What conversations have to remember: topic aliases, births, sequence numbers, publications that a server passes on.
//!
//! All tables are bounded; what does not fit is flagged as dropped.

use std::collections::BTreeMap;

use twinguard_types::Oddity;

use super::sparkplug::{MessageType, Payload, Topic};
use super::view::Version;
use crate::protocol::{Address, Oddities};

/// Topic aliases that are held for each direction of a conversation.
pub const ALIASES_MAX: usize = 256;
/// Edge nodes whose sequence numbers one conversation follows.
pub const SEQUENCES_MAX: usize = 256;
/// Edge nodes and devices whose births are held; beyond it the one that was born first is forgotten.
pub const BIRTHS_MAX: usize = 2048;
/// Metrics of one birth that are held.
pub const METRICS_MAX: usize = 4096;
/// Bytes of metric names that are held for all births.
pub const NAMES_MAX: usize = 8 << 20;
/// Publications that are held to know them again when the server passes them on.
pub const PASSED_MAX: usize = 64;
/// Bytes of a publication that is held so.
pub const PASSED_BYTES_MAX: usize = 4096;
/// Receivers of one publication that are told apart.
const RECEIVERS_MAX: usize = 16;

/// What one conversation keeps.
#[derive(Debug, Default)]
pub struct Session {
    pub(super) version: Version,
    pub(super) aliases: Aliases,
    pub(super) sequences: Sequences,
}

impl Session {
    /// A client connects: nothing of an earlier session on this connection counts.
    pub(super) fn connect(&mut self, version: Version, will: Option<u64>) {
        self.version = version;
        self.aliases.0.iter_mut().flatten().for_each(|(alias, _)| *alias = 0);
        self.sequences.held.values_mut().for_each(|held| *held = Sequence::default());
        self.sequences.will = will;
    }
}

/// What topic aliases stand for, by direction, in no order; 0 is none, its room is used again.
#[derive(Debug, Default)]
pub(super) struct Aliases([Vec<(u16, Vec<u8>)>; 2]);

impl Aliases {
    /// Remembers what an alias stands for (V5 §3.3.2.3.4); `false` when the table is full.
    pub(super) fn enter(&mut self, reversed: bool, alias: u16, topic: &[u8]) -> bool {
        let [plain, reverse] = &mut self.0;
        let table = if reversed { reverse } else { plain };
        let place = |wanted| table.iter().position(|(known, _)| *known == wanted);
        let found = place(alias).or_else(|| place(0)).unwrap_or(table.len());
        if found == table.len() && found < ALIASES_MAX {
            table.push((alias, Vec::new()));
        }
        let Some((known, held)) = table.get_mut(found) else { return false };
        *known = alias;
        held.clear();
        held.extend_from_slice(topic);
        true
    }

    /// The topic behind an alias.
    pub(super) fn topic(&self, reversed: bool, alias: u16) -> Option<&[u8]> {
        let [plain, reverse] = &self.0;
        let table = if reversed { reverse } else { plain };
        table.iter().find(|(known, _)| *known == alias && alias != 0).map(|(_, topic)| &**topic)
    }
}

/// The numbers of edge nodes.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    held: BTreeMap<Box<[u8]>, Sequence>,
    key: Vec<u8>,
    /// The birth-death number in the will of CONNECT.
    will: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sequence {
    /// `None` since the client connected anew.
    last: Option<u8>,
    birth: Option<u64>,
}

impl Sequences {
    /// Follows the numbers of an edge node (Sparkplug 3.0.0 §6.4.5, §6.4.30): 0 with its birth, then one more with each
    /// message; and the number that ties a death to its birth. Flags what is missing or wrong.
    pub(super) fn follow(
        &mut self,
        reversed: bool,
        topic: &Topic<'_>,
        payload: &Payload<'_>,
        (sequence, at): (Option<u64>, usize),
        oddities: &mut Oddities,
    ) {
        if topic.kind.is_command() {
            return;
        }
        self.key.clear();
        self.key.push(u8::from(reversed));
        self.key.extend_from_slice(topic.group);
        self.key.push(b'/');
        self.key.extend_from_slice(topic.node());
        let birth = match topic.kind {
            MessageType::NodeBirth | MessageType::NodeDeath => birth_death(payload),
            _ => None,
        };
        let room = self.held.len() < SEQUENCES_MAX;
        let held = self.held.get_mut(self.key.as_slice());
        if topic.kind == MessageType::NodeDeath {
            if let (Some(held), Some(birth)) = (held, birth)
                && held.birth.is_some_and(|held| held != birth)
            {
                oddities.push(Oddity::Gap, at);
            }
            return;
        }
        let Some(number) = sequence.and_then(|number| u8::try_from(number).ok()) else {
            oddities.push(Oddity::BadValue, at);
            return;
        };
        let born = topic.kind == MessageType::NodeBirth;
        if born {
            if number != 0 {
                oddities.push(Oddity::BadValue, at);
            }
            // A will is checked against the first birth of its connection alone: later ones may count on.
            let first = held.as_ref().is_none_or(|held| held.last.is_none());
            if first && self.will.is_some_and(|will| birth.is_some_and(|birth| birth != will)) {
                oddities.push(Oddity::Gap, at);
            }
        }
        match held {
            Some(held) => {
                if !born && held.last.is_some_and(|last| number != last.wrapping_add(1)) {
                    oddities.push(Oddity::Gap, at);
                }
                held.last = Some(number);
                held.birth = if born { birth } else { held.birth };
            }
            None if room => {
                self.held.insert(self.key.as_slice().into(), Sequence { last: Some(number), birth });
            }
            None => oddities.push(Oddity::Dropped, at),
        }
    }
}

/// The number of the metric `bdSeq` (Sparkplug 3.0.0 §6.4.30).
pub(super) fn birth_death(payload: &Payload<'_>) -> Option<u64> {
    let metric = payload.metrics().find(|metric| metric.name == b"bdSeq")?;
    match metric.value {
        Some((_, super::sparkplug::Wire::Varint(number))) => Some(number),
        _ => None,
    }
}

/// What the birth of an edge node or device told of its metrics.
#[derive(Debug, Default)]
pub struct Birth {
    /// Names and data types, in order of names.
    metrics: Vec<(Box<[u8]>, u32)>,
    /// Places in `metrics`, in order of aliases.
    aliases: Vec<(u64, u32)>,
    /// Bytes of names.
    bytes: usize,
    serial: u64,
}

impl Birth {
    /// Name and data type of an alias.
    #[inline]
    pub(super) fn by_alias(&self, alias: u64) -> Option<(&[u8], u32)> {
        let place = self.aliases.binary_search_by_key(&alias, |(known, _)| *known).ok()?;
        let (_, metric) = self.aliases.get(place)?;
        self.metrics.get(*metric as usize).map(|(name, data_type)| (&**name, *data_type))
    }

    /// Whether a birth tells the same once more.
    fn tells(&self, payload: &Payload<'_>) -> bool {
        let (mut metrics, mut aliases) = (0, 0);
        payload.metrics().filter(|metric| !metric.name.is_empty()).all(|metric| {
            metrics += 1;
            let Some(alias) = metric.alias else { return self.data_type(metric.name) == metric.data_type };
            aliases += 1;
            self.by_alias(alias) == Some((metric.name, metric.data_type))
        }) && metrics == self.metrics.len()
            && aliases == self.aliases.len()
    }

    /// Data type of a name; 0 where it is not known.
    #[inline]
    pub(super) fn data_type(&self, name: &[u8]) -> u32 {
        let found = self.metrics.binary_search_by(|(known, _)| (**known).cmp(name)).ok();
        found.and_then(|place| self.metrics.get(place)).map_or(0, |(_, data_type)| *data_type)
    }
}

/// What all conversations keep together.
#[derive(Debug, Default)]
pub struct Shared {
    /// By group, edge node and device, parted by `/`.
    births: BTreeMap<Box<[u8]>, Birth>,
    bytes: usize,
    serial: u64,
    key: Vec<u8>,
    passed: Passed,
}

/// The newest publications and who received them from the server; all its room is made with the first one.
#[derive(Debug, Default)]
struct Passed {
    /// Looked through first.
    hashes: Vec<u64>,
    slots: Vec<Slot>,
    /// As many bytes for each.
    bytes: Vec<u8>,
    oldest: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    topic: usize,
    len: usize,
    receivers: [Option<Address>; RECEIVERS_MAX],
}

impl Shared {
    fn key(&mut self, topic: &Topic<'_>) {
        self.key.clear();
        self.key.extend_from_slice(topic.group);
        self.key.push(b'/');
        self.key.extend_from_slice(topic.place);
    }

    /// Takes note of a birth.
    pub(super) fn born(
        &mut self,
        topic: &Topic<'_>,
        payload: &Payload<'_>,
        at: usize,
        oddities: &mut Oddities,
    ) {
        self.key(topic);
        self.serial += 1;
        if let Some(held) = self.births.get_mut(self.key.as_slice())
            && held.tells(payload)
        {
            held.serial = self.serial;
            return;
        }
        let mut held = self.births.remove(self.key.as_slice()).unwrap_or_default();
        self.bytes -= held.bytes;
        let mut named: Vec<_> =
            payload.metrics().filter(|metric| !metric.name.is_empty()).take(METRICS_MAX + 1).collect();
        if named.len() > METRICS_MAX {
            named.pop();
            oddities.push(Oddity::Dropped, at);
        }
        named.sort_by(|one, other| one.name.cmp(other.name));
        named.dedup_by(|one, other| one.name == other.name);
        held.metrics.clear();
        held.aliases.clear();
        held.bytes = 0;
        for metric in &named {
            if self.bytes + held.bytes + metric.name.len() > NAMES_MAX {
                oddities.push(Oddity::Dropped, at);
                break;
            }
            held.bytes += metric.name.len();
            if let Some(alias) = metric.alias {
                held.aliases.push((alias, held.metrics.len() as u32));
            }
            held.metrics.push((metric.name.into(), metric.data_type));
        }
        held.aliases.sort_unstable();
        // An alias stands for one metric alone (Sparkplug 3.0.0 §6.4.6).
        let count = held.aliases.len();
        held.aliases.dedup_by_key(|(alias, _)| *alias);
        if held.aliases.len() < count {
            oddities.push(Oddity::BadValue, at);
        }
        if self.births.len() >= BIRTHS_MAX
            && let Some(first) = self.births.iter().min_by_key(|(_, birth)| birth.serial)
        {
            let first = first.0.clone();
            self.bytes -= self.births.remove(&first).map_or(0, |birth| birth.bytes);
        }
        held.serial = self.serial;
        self.bytes += held.bytes;
        self.births.insert(self.key.as_slice().into(), held);
    }

    /// What the birth behind a topic told.
    #[inline]
    pub(super) fn of(&mut self, topic: &Topic<'_>) -> Option<&Birth> {
        self.key(topic);
        self.births.get(self.key.as_slice())
    }

    /// Takes note of a publication; whether a server passes on what was told before. Each copy counts once for each
    /// receiver: whatever comes a second time is told anew.
    pub(super) fn passes(&mut self, topic: &[u8], payload: &[u8], to: Option<Address>) -> bool {
        self.passed.passes(topic, payload, to)
    }
}

impl Passed {
    fn passes(&mut self, topic: &[u8], payload: &[u8], to: Option<Address>) -> bool {
        let len = topic.len() + payload.len();
        if len > PASSED_BYTES_MAX {
            return false;
        }
        let hash = digest(topic) ^ digest(payload).rotate_left(1);
        if let Some(to) = to {
            // The oldest first: copies come in the order of what they copy.
            for turn in 0..self.slots.len() {
                let place = (self.oldest + turn) % self.slots.len();
                if self.hashes.get(place) != Some(&hash) {
                    continue;
                }
                let Some(slot) = self.slots.get_mut(place) else { continue };
                let held = self.bytes.get(place * PASSED_BYTES_MAX..).and_then(|held| held.get(..len));
                let equal = held.and_then(|held| held.split_at_checked(slot.topic)) == Some((topic, payload));
                if !equal || slot.len != len || slot.receivers.contains(&Some(to)) {
                    continue;
                }
                if let Some(free) = slot.receivers.iter_mut().find(|receiver| receiver.is_none()) {
                    *free = Some(to);
                    return true;
                }
            }
        }
        if self.slots.is_empty() {
            self.slots.reserve_exact(PASSED_MAX);
            self.hashes.reserve_exact(PASSED_MAX);
            self.bytes.resize(PASSED_MAX * PASSED_BYTES_MAX, 0);
        }
        let mut receivers = [None; RECEIVERS_MAX];
        receivers.iter_mut().take(1).for_each(|first| *first = to);
        let slot = Slot { topic: topic.len(), len, receivers };
        let place = if self.slots.len() < PASSED_MAX { self.slots.len() } else { self.oldest };
        match (self.slots.get_mut(place), self.hashes.get_mut(place)) {
            (Some(held), Some(held_hash)) => {
                (*held, *held_hash) = (slot, hash);
                self.oldest = (place + 1) % PASSED_MAX;
            }
            _ => {
                self.slots.push(slot);
                self.hashes.push(hash);
            }
        }
        let room = self.bytes.get_mut(place * PASSED_BYTES_MAX..).and_then(|held| held.get_mut(..len));
        if let Some((first, second)) = room.and_then(|room| room.split_at_mut_checked(topic.len())) {
            first.copy_from_slice(topic);
            second.copy_from_slice(payload);
        }
        false
    }
}

/// Tells contents apart, eight bytes at a time; equal ones are compared in full.
#[inline]
fn digest(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::super::sparkplug::{Metric, Wire, emit};
    use super::*;
    use twinguard_types::Mac;

    fn payload(sequence: Option<u8>, birth: Option<u64>) -> Vec<u8> {
        let metric =
            |number| Metric { name: b"bdSeq", value: Some((11, Wire::Varint(number))), ..Metric::default() };
        let mut out = Vec::new();
        emit(Some(1), sequence, &birth.map(metric).into_iter().collect::<Vec<_>>(), &mut out);
        out
    }

    fn follow(session: &mut Session, topic: &str, bytes: &[u8]) -> Vec<Oddity> {
        let (topic, payload) = (Topic::new(topic.as_bytes()).unwrap(), Payload::new(bytes));
        let mut oddities = Oddities::NONE;
        session.sequences.follow(false, &topic, &payload, (payload.head().1, 0), &mut oddities);
        oddities.iter().map(|(oddity, _)| oddity).collect()
    }

    #[test]
    fn numbers_count_from_birth_to_birth() {
        let mut session = Session::default();
        let mut check = |topic: &str, sequence, birth, expect: &[Oddity]| {
            assert_eq!(
                follow(&mut session, topic, &payload(sequence, birth)),
                expect,
                "{topic} {sequence:?}"
            );
        };
        check("spBv1.0/g/NDATA/e", Some(254), None, &[]);
        check("spBv1.0/g/DDATA/e/d", Some(255), None, &[]);
        check("spBv1.0/g/NDATA/e", Some(0), None, &[]);
        check("spBv1.0/g/NDATA/e", Some(2), None, &[Oddity::Gap]);
        check("spBv1.0/g/NBIRTH/e", Some(0), Some(4), &[]);
        check("spBv1.0/g/DBIRTH/e/d", Some(1), None, &[]);
        check("spBv1.0/g/NCMD/e", None, None, &[]);
        check("spBv1.0/g/NDATA/e", None, None, &[Oddity::BadValue]);
        check("spBv1.0/g/NDEATH/e", None, Some(4), &[]);
        check("spBv1.0/g/NDEATH/e", None, Some(3), &[Oddity::Gap]);
        check("spBv1.0/g/NBIRTH/e", Some(1), Some(5), &[Oddity::BadValue]);
        check("spBv1.0/g/NDATA/other", Some(9), None, &[]);
    }

    #[test]
    fn a_birth_belongs_to_the_will_of_its_connection() {
        let mut session = Session::default();
        session.connect(Version::V311, Some(7));
        assert_eq!(follow(&mut session, "spBv1.0/g/NBIRTH/e", &payload(Some(0), Some(6))), [Oddity::Gap]);
        session.connect(Version::V311, Some(7));
        assert_eq!(follow(&mut session, "spBv1.0/g/NBIRTH/e", &payload(Some(0), Some(7))), []);
    }

    #[test]
    fn tables_stay_within_their_bounds() {
        let mut session = Session::default();
        for alias in 1..1000 {
            assert_eq!(session.aliases.enter(false, alias, b"t"), usize::from(alias) <= ALIASES_MAX);
        }
        assert!(session.aliases.enter(false, 1, b"other") && session.aliases.enter(true, 1, b"back"));
        assert_eq!(
            (session.aliases.topic(false, 1), session.aliases.topic(true, 1)),
            (Some(&b"other"[..]), Some(&b"back"[..]))
        );
        for node in 0..1000 {
            follow(&mut session, &format!("spBv1.0/g/NDATA/{node}"), &payload(Some(0), None));
        }
        assert_eq!(session.sequences.held.len(), SEQUENCES_MAX);
        let mut shared = Shared::default();
        let long = vec![b'n'; 60_000];
        for node in 0..3000 {
            let name = [long.as_slice(), &[(node % 200) as u8 + 1]].concat();
            let mut bytes = Vec::new();
            emit(None, Some(0), &[Metric { name: &name, alias: Some(3), ..Metric::default() }], &mut bytes);
            let topic = format!("spBv1.0/g/NBIRTH/{node}");
            shared.born(
                &Topic::new(topic.as_bytes()).unwrap(),
                &Payload::new(&bytes),
                0,
                &mut Oddities::NONE.clone(),
            );
        }
        assert!(shared.births.len() <= BIRTHS_MAX && shared.bytes <= NAMES_MAX);
        assert_eq!(shared.bytes, shared.births.values().map(|birth| birth.bytes).sum::<usize>());
    }

    #[test]
    fn what_a_server_passes_on_is_told_once_for_each_receiver() {
        let to = |last| Some(Address::Mac(Mac([0, 0, 0, 0, 0, last])));
        let mut shared = Shared::default();
        assert!(!shared.passes(b"t", b"1", None), "from the client");
        assert!(shared.passes(b"t", b"1", to(1)) && shared.passes(b"t", b"1", to(2)));
        assert!(!shared.passes(b"t", b"1", to(1)), "a second time: something new");
        assert!(!shared.passes(b"t", b"2", to(1)) && !shared.passes(b"t1", b"", to(1)));
        for other in 0..200u8 {
            assert!(!shared.passes(b"t", &[other, 9], None));
        }
        assert_eq!(shared.passed.slots.len(), PASSED_MAX);
        assert!(!shared.passes(b"t", b"1", to(3)), "long forgotten");
    }
}
