//! A first guess at a point map from traffic alone: which places there are, what they hold, how often they come.

use std::collections::{BTreeMap, VecDeque};

use twinguard_types::{ByteOrder, Encoding, Event, SignalId, Timestamp};

use crate::encoding::gather;
use crate::point_map::PointMap;
use crate::protocol::Width;
use crate::registry::Family;

/// Values of a place that are kept for the guess.
const SAMPLES: usize = 64;

/// Counts the values that a [`PointMap::discover`]ing map finds, and guesses what they are.
///
/// Where values carry their type, the type is that. Words are looked at in pairs and fours that are read together: a
/// number wider than a word shows in a part that jumps at every change beside one that hardly moves. Where the values
/// do not tell (a constant, too few of them), a word stays a word: a guess without evidence is not made.
///
/// ```
/// use twinguard_protocol::survey::Survey;
/// use twinguard_protocol::{Frame, LinkType, PointMap, Stack, emit, protocols::modbus::Repr, stack::Config};
/// use twinguard_types::{Encoding, Timestamp};
///
/// let (mut stack, mut map, mut survey) = (Stack::new(Config::default()), PointMap::discover(100), Survey::default());
/// let (mut events, mut bytes) = (Vec::new(), Vec::new());
/// let write = Repr::write_register(1, 17, 107, 0xfff6)?;
/// emit::datagram("10.0.0.1:40000".parse()?, "10.0.0.2:502".parse()?, write.emit().as_bytes(), &mut bytes)?;
/// stack.handle(&Frame { index: 1, at: Timestamp::ZERO, link: LinkType::Ethernet, bytes: &bytes, original_len: 66 });
/// while let Some(item) = stack.poll() {
///     map.bind(&item, &mut events);
/// }
/// events.iter().for_each(|event| survey.take(event));
/// let places = survey.places(&map);
/// assert_eq!((places[0].tag, places[0].writes, places[0].encoding), ("u17/hr/107", 1, Encoding::U16));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Survey {
    tallies: BTreeMap<SignalId, Tally>,
}

/// What was seen of one place.
#[derive(Clone, Debug)]
struct Tally {
    reads: u64,
    writes: u64,
    first: Timestamp,
    last: Timestamp,
    least: f64,
    most: f64,
    value: f64,
    samples: VecDeque<(Timestamp, u16)>,
}

/// A place and what is known and guessed of it.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The family.
    pub family: Family,
    /// The device, as an address with a port, or a hardware address.
    pub server: &'a str,
    /// The first place's tag.
    pub tag: &'a str,
    /// The signal's path in the discovering map: family, device and tag.
    pub path: &'a str,
    /// How often the device told it.
    pub reads: u64,
    /// How often it was written.
    pub writes: u64,
    /// How often it came per second, where it came more than once.
    pub per_second: Option<f64>,
    /// The least value, by the guessed type.
    pub least: f64,
    /// The greatest value.
    pub most: f64,
    /// The last value.
    pub last: f64,
    /// What it holds.
    pub encoding: Encoding,
    /// The order of its bytes and words.
    pub order: ByteOrder,
    /// Why, in words; empty where there was nothing to decide.
    pub evidence: String,
}

impl Survey {
    /// Takes an event of the discovering map; only points and commands matter.
    pub fn take(&mut self, event: &Event<'_>) {
        let (signal, value, at, write) = match event {
            Event::Point(point) => (point.signal, point.value.as_f64(), point.arrived_at, false),
            Event::Command(command) => (command.signal, command.value.as_f64(), command.at, true),
            _ => return,
        };
        let tally = self.tallies.entry(signal).or_insert_with(|| Tally {
            reads: 0,
            writes: 0,
            first: at,
            last: at,
            least: value,
            most: value,
            value,
            samples: VecDeque::new(),
        });
        tally.reads += u64::from(!write);
        tally.writes += u64::from(write);
        tally.last = at;
        tally.least = tally.least.min(value);
        tally.most = tally.most.max(value);
        tally.value = value;
        if tally.samples.len() == SAMPLES {
            tally.samples.pop_front();
        }
        // Only words are looked at again.
        if value.fract() == 0.0 && (0.0..=65_535.0).contains(&value) {
            tally.samples.push_back((at, value as u16));
        }
    }

    /// All places in the order of family, device and address; words that make up one number are one place.
    #[must_use]
    pub fn places<'a>(&self, map: &'a PointMap) -> Vec<Place<'a>> {
        let Some(catalogue) = map.catalogue() else { return Vec::new() };
        let mut found: Vec<_> = catalogue
            .iter()
            .filter_map(|(id, signal)| {
                let mut parts = signal.path.splitn(3, '/');
                let (family, server, tag) = (parts.next()?, parts.next()?, parts.next()?);
                let family: Family = family.parse().ok()?;
                Some((family, server, family.parse_tag(tag)?, tag, &*signal.path, self.tallies.get(&id)?))
            })
            .collect();
        found.sort_by_key(|(family, server, tag, ..)| (*family, *server, *tag));
        let mut places = Vec::with_capacity(found.len());
        let mut rest = found.as_slice();
        while let Some((family, server, tag, text, path, tally)) = rest.first() {
            let width = family.cell(tag).width;
            let follows = |index: usize| {
                let next = rest.get(index)?;
                let address = tag.address?.checked_add(index as u32)?;
                let same = next.0 == *family
                    && next.1 == *server
                    && next.2.space == tag.space
                    && next.2.name == tag.name;
                (same && next.2.address == Some(address)).then_some(&next.5.samples)
            };
            let guess = match width {
                Width::Scalar => Guess::plain(Encoding::Native),
                Width::Bit => Guess::plain(Encoding::Bit(0)),
                Width::Byte => Guess::by_size(tally.most),
                Width::Word => Guess::of_words(&tally.samples, follows),
            };
            let seconds = tally.last.since(tally.first).as_secs_f64();
            let count = tally.reads + tally.writes;
            let values = guess.values.unwrap_or([tally.least, tally.most, tally.value]);
            places.push(Place {
                family: *family,
                server,
                tag: text,
                path,
                reads: tally.reads,
                writes: tally.writes,
                per_second: (count > 1 && seconds > 0.0).then(|| (count - 1) as f64 / seconds),
                least: values[0],
                most: values[1],
                last: values[2],
                encoding: guess.encoding,
                order: guess.order,
                evidence: guess.evidence,
            });
            let span = if width == Width::Word { guess.encoding.words() } else { 1 };
            rest = rest.get(span..).unwrap_or_default();
        }
        places
    }
}

/// What a place may hold.
#[derive(Clone, Debug)]
struct Guess {
    encoding: Encoding,
    order: ByteOrder,
    evidence: String,
    /// Least, greatest and last value, where they are not those of the first word.
    values: Option<[f64; 3]>,
}

/// Samples of a place, oldest first.
type Samples = VecDeque<(Timestamp, u16)>;

impl Guess {
    fn plain(encoding: Encoding) -> Self {
        Self { encoding, order: ByteOrder::Abcd, evidence: String::new(), values: None }
    }

    /// Of a memory addressed by bytes: the number fits what was read together.
    fn by_size(most: f64) -> Self {
        let encoding = match most {
            ..256.0 => Encoding::U8,
            ..65_536.0 => Encoding::U16,
            _ => Encoding::U32,
        };
        Self { evidence: format!("the largest value was {most}"), ..Self::plain(encoding) }
    }

    fn of_words<'a>(first: &Samples, follows: impl Fn(usize) -> Option<&'a Samples>) -> Self {
        let together = |count: usize| -> Option<Vec<[u16; 4]>> {
            let others: Vec<_> = (1..count).map(&follows).collect::<Option<_>>()?;
            let row = |(index, (at, word)): (usize, &(Timestamp, u16))| {
                let mut words = [*word, 0, 0, 0];
                for (other, slot) in others.iter().zip(words.iter_mut().skip(1)) {
                    let (when, word) = other.get(index)?;
                    *slot = *word;
                    (when == at).then_some(())?;
                }
                Some(words)
            };
            first.iter().enumerate().map(row).collect()
        };
        let wide = |count| together(count).and_then(|rows| Self::wide(&rows, count));
        wide(4).or_else(|| wide(2)).or_else(|| Self::signed(first)).unwrap_or(Self::plain(Encoding::U16))
    }

    /// A word that is near both ends of its range and nowhere between is a small number with a sign.
    fn signed(samples: &Samples) -> Option<Self> {
        let words = || samples.iter().map(|(_, word)| *word);
        let spread = |least: i32, most: i32| most - least;
        let unsigned = spread(words().map(i32::from).min()?, words().map(i32::from).max()?);
        let signed: Vec<_> = words().map(|word| i32::from(word as i16)).collect();
        let (least, most) = (*signed.iter().min()?, *signed.iter().max()?);
        (least < 0 && most >= 0 && spread(least, most) < unsigned / 4).then(|| Self {
            evidence: format!(
                "with a sign its values lie between {least} and {most}, without one they jump by {unsigned}"
            ),
            values: Some([
                f64::from(least),
                f64::from(most),
                signed.last().map_or(0.0, |last| f64::from(*last)),
            ]),
            ..Self::plain(Encoding::I16)
        })
    }

    /// A number of two or four words: the least significant one jumps, the most significant one hardly moves.
    fn wide(rows: &[[u16; 4]], count: usize) -> Option<Self> {
        let orders = [ByteOrder::Abcd, ByteOrder::Cdab, ByteOrder::Badc, ByteOrder::Dcba];
        let mut best: Option<(f64, Self)> = None;
        for order in orders {
            let numbers: Vec<u64> = rows
                .iter()
                .map(|words| {
                    let raw = words.iter().fold(0, |raw, word| raw << 16 | u64::from(*word));
                    gather(raw, count as u32, order)
                })
                .collect();
            let Some((encoding, values)) = read(&numbers, count) else { continue };
            let roughness = roughness(&values);
            if best.as_ref().is_none_or(|(least, _)| roughness < *least) {
                let (least, most) = bounds(&values)?;
                let jump = jump(rows.iter().map(|words| lowest(words, count, order)));
                let evidence = format!(
                    "{} values between {least} and {most}; alone, one of its words jumps by {jump} between them",
                    values.len()
                );
                let values = Some([least, most, *values.last()?]);
                best = Some((roughness, Self { encoding, order, evidence, values }));
            }
        }
        best.map(|(_, guess)| guess)
    }
}

/// The word that holds a number's least significant bits, as it came.
fn lowest(words: &[u16; 4], count: usize, order: ByteOrder) -> u16 {
    let place = if matches!(order, ByteOrder::Cdab | ByteOrder::Dcba) { 0 } else { count - 1 };
    words.get(place).copied().unwrap_or_default()
}

/// What these numbers of two or four words are, if they look like anything.
fn read(numbers: &[u64], count: usize) -> Option<(Encoding, Vec<f64>)> {
    let shift = 16 * (count - 1);
    let high = || numbers.iter().map(|number| (number >> shift) as u16);
    let low: Vec<u16> = numbers.iter().map(|number| *number as u16).collect();
    let (high_least, high_most) = (high().min()?, high().max()?);
    let mut distinct = low.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let low_spread = distinct.last()? - distinct.first()?;
    if distinct.len() < 4 || low_spread < 4096 {
        return None;
    }
    // Sign aside, between about 1e-6 and 1e7: what plants measure.
    let exponents = if count == 2 { 0x3586..=0x4b18 } else { 0x3eb0..=0x4163 };
    let float = |number: &u64| {
        let top = (number >> shift) as u16 & 0x7fff;
        exponents.contains(&top) || *number == 0
    };
    let as_float = |number: &u64| match count {
        2 => f64::from(f32::from_bits(*number as u32)),
        _ => f64::from_bits(*number),
    };
    if numbers.iter().all(float) && numbers.iter().any(|number| *number != 0) {
        let encoding = if count == 2 { Encoding::F32 } else { Encoding::F64 };
        let values: Vec<_> = numbers.iter().map(as_float).collect();
        // A float's exponent stays where it is for most of the time.
        return (roughness(&values) < 0.6).then_some((encoding, values));
    }
    if count == 2 && high_most < 0x4000 && high_most > high_least && numbers.is_sorted() {
        return Some((Encoding::U32, numbers.iter().map(|number| *number as f64).collect()));
    }
    if count == 2 && high().all(|word| word == 0 || word == u16::MAX) && high_least != high_most {
        return Some((
            Encoding::I32,
            numbers.iter().map(|number| f64::from(*number as u32 as i32)).collect(),
        ));
    }
    None
}

/// Mean step between neighbours as a share of the span; about 0.33 for noise, small for what moves slowly.
fn roughness(values: &[f64]) -> f64 {
    let Some((least, most)) = bounds(values) else { return 0.0 };
    let steps: f64 =
        values.iter().zip(values.iter().skip(1)).map(|(before, after)| (after - before).abs()).sum();
    if most > least { steps / (values.len() - 1) as f64 / (most - least) } else { 0.0 }
}

fn bounds(values: &[f64]) -> Option<(f64, f64)> {
    values
        .iter()
        .copied()
        .map(|value| (value, value))
        .reduce(|(least, most), (value, _)| (least.min(value), most.max(value)))
}

/// The mean jump between neighbours.
fn jump(words: impl Iterator<Item = u16>) -> u64 {
    let words: Vec<_> = words.collect();
    let jumps =
        words.iter().zip(words.iter().skip(1)).map(|(before, after)| u64::from(before.abs_diff(*after)));
    jumps.sum::<u64>() / (words.len().max(2) as u64 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(columns: &[Vec<u16>]) -> (Encoding, ByteOrder) {
        let samples = |column: &Vec<u16>| -> Samples {
            column.iter().enumerate().map(|(at, word)| (Timestamp::from_secs(at as i64), *word)).collect()
        };
        let all: Vec<_> = columns.iter().map(samples).collect();
        let guess = Guess::of_words(&all[0], |index| all.get(index));
        (guess.encoding, guess.order)
    }

    /// The words of numbers in an order, column by column.
    fn columns(numbers: impl Iterator<Item = u64>, count: usize, order: ByteOrder) -> Vec<Vec<u16>> {
        let mut columns = vec![Vec::new(); count];
        for number in numbers {
            let mut bytes = (number << (64 - 16 * count)).to_be_bytes();
            crate::encoding::reorder(&mut bytes[..2 * count], order);
            for (column, word) in columns.iter_mut().zip(bytes.chunks(2)) {
                column.push(u16::from_be_bytes([word[0], word[1]]));
            }
        }
        columns
    }

    /// A temperature that drifts with some noise.
    fn temperature(at: u32) -> f64 {
        let noise = f64::from(at.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
        60.0 + 5.0 * f64::from(at).mul_add(0.1, 0.3).sin() + 0.2 * noise
    }

    #[test]
    fn wide_numbers_are_found_with_their_order() {
        use ByteOrder::{Abcd, Badc, Cdab, Dcba};
        for order in [Abcd, Cdab, Badc, Dcba] {
            let floats = (0..40).map(|at| u64::from((temperature(at) as f32).to_bits()));
            assert_eq!(guess(&columns(floats, 2, order)), (Encoding::F32, order));
            let doubles = (0..40).map(|at| temperature(at).to_bits());
            assert_eq!(guess(&columns(doubles, 4, order)), (Encoding::F64, order));
        }
        let counter = (0..40u64).map(|at| 100_000 + at * 7_001);
        assert_eq!(guess(&columns(counter, 2, Cdab)), (Encoding::U32, Cdab));
        let balance = (0..40i64).map(|at| ((at - 20) * 900) as u32 as u64);
        assert_eq!(guess(&columns(balance, 2, Abcd)), (Encoding::I32, Abcd));
    }

    #[test]
    fn words_stay_words_without_evidence() {
        let ramp: Vec<u16> = (0..40).map(|at| 600 + at).collect();
        assert_eq!(guess(&[ramp.clone(), ramp.clone()]).0, Encoding::U16);
        assert_eq!(guess(&[vec![16_968; 40], vec![0; 40]]).0, Encoding::U16, "a constant tells nothing");
        assert_eq!(guess(&[ramp.iter().map(|word| word.wrapping_sub(620)).collect()]).0, Encoding::I16);
        let noise: Vec<u16> = (0..40u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 16) as u16).collect();
        assert_eq!(guess(&[noise.clone(), noise]).0, Encoding::U16);
    }
}
