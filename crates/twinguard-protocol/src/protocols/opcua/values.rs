//! The values in messages, one by one, with their places, qualities and times.
//!
//! Sources: OPC 10000-4 1.05, §5.8.2 (`AddNodes`), §5.11 (Read, Write, `HistoryRead`), §5.12.2 (Call), §5.13, §5.14
//! (monitored items, Publish), §7.25 (notifications); OPC 10000-6 §5.2.2.16 (Variants and their dimensions).

use core::num::NonZeroU32;

use twinguard_types::{Quality, Timestamp};

use super::place::{self, Place, Places};
use super::reader::{DataValue, Identifier, NodeId, Read, Reader, quality, width};
use super::service;
use super::session::Items;
use super::view::View;
use crate::protocol::{Access, Block, Data, Scalar, Tag};

/// Values in values that are looked into: the elements of an array of them; deeper ones are told as a whole.
const DEPTH: usize = 2;

/// What is said of a value: how good it is, and when it held.
type Stamp = (Quality, Option<Timestamp>);

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Value,
    /// The length of a dimension.
    Dimension,
    /// The status of a value.
    Status,
}

/// One element of a Variant.
#[derive(Clone, Copy, Debug)]
struct Element<'a> {
    part: Part,
    /// Its number where it is one of several.
    index: Option<u32>,
    /// Whether it lies deeper than tags can say.
    deep: bool,
    raw: &'a [u8],
    value: Scalar<'a>,
    stamp: Stamp,
}

/// A Variant that is being walked.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// Where its next element lies in the body.
    at: u32,
    /// Where the status and the times of its value lie there, and which of them there are.
    stamp_at: u32,
    stamp: u8,
    /// Whether its status is to be told.
    status: bool,
    kind: u8,
    left: u32,
    index: u32,
    array: bool,
    /// Whether dimensions follow.
    dimensions: bool,
    part: Part,
}

impl Level {
    const NONE: Self = Self {
        at: 0,
        stamp_at: 0,
        stamp: 0,
        status: false,
        kind: 0,
        left: 0,
        index: 0,
        array: false,
        dimensions: false,
        part: Part::Value,
    };

    /// The Variant that comes next.
    fn variant(reader: &mut Reader<'_>, depth: u8) -> Read<Self> {
        let mut head = *reader;
        reader.variant(depth)?;
        let mask = head.byte()?;
        let array = mask & 0x80 != 0;
        let left = if array { head.array()? } else { 1 };
        let (at, kind, dimensions) = (head.at() as u32, mask & 0x3f, mask & 0x40 != 0);
        Ok(Self { at, kind, left, array, dimensions, ..Self::NONE })
    }

    /// The `DataValue` that comes next.
    fn value(reader: &mut Reader<'_>, depth: u8) -> Read<Self> {
        let stamp = reader.data_value_mask()?;
        let level = if stamp & 1 != 0 { Self::variant(reader, depth)? } else { Self::NONE };
        let stamp_at = reader.at() as u32;
        let status = reader.data_value_rest(stamp, None)?.status.is_some();
        Ok(Self { stamp_at, stamp, status, ..level })
    }

    /// The Variant or value in its next element, where its elements are such.
    fn enter(&mut self, body: &[u8], depth: u8) -> Read<Option<Self>> {
        let mut reader = Reader::within(body, self.at as usize);
        let inner = match self.kind {
            23 => Self::value(&mut reader, depth)?,
            24 => {
                let (stamp_at, stamp) = (self.stamp_at, self.stamp);
                Self { stamp_at, stamp, ..Self::variant(&mut reader, depth)? }
            }
            _ => return Ok(None),
        };
        self.at = reader.at() as u32;
        Ok(Some(inner))
    }

    /// Status and times of its value.
    fn stamp<'a>(&self, body: &'a [u8]) -> Option<DataValue<'a>> {
        Reader::within(body, self.stamp_at as usize).data_value_rest(self.stamp, None).ok()
    }
}

/// The elements of one Variant.
#[derive(Clone, Copy, Debug)]
struct Elements {
    levels: [Level; DEPTH],
    depth: u8,
}

impl Elements {
    const NONE: Self = Self { levels: [Level::NONE; DEPTH], depth: 0 };

    fn begin(&mut self, level: Level) {
        let [first, ..] = &mut self.levels;
        (*first, self.depth) = (level, 1);
    }

    fn next<'a>(&mut self, body: &'a [u8]) -> Option<Element<'a>> {
        loop {
            let depth = self.depth;
            let [outer, ..] = self.levels;
            let level = self.levels.get_mut(usize::from(depth.checked_sub(1)?))?;
            let number = if depth == 1 { level.index } else { outer.index.wrapping_sub(1) };
            let index = (outer.array || level.part == Part::Dimension).then_some(number);
            let mut found = Element {
                part: level.part,
                index,
                deep: depth > 1 && level.array,
                raw: &[],
                value: Scalar::Opaque,
                stamp: level.stamp(body).map_or((Quality::Good, None), |value| (value.quality(), value.at())),
            };
            let mut reader = Reader::within(body, level.at as usize);
            if level.left == 0 {
                if level.dimensions {
                    let left = reader.array().ok()?;
                    *level = Level {
                        at: reader.at() as u32,
                        kind: 6,
                        left,
                        index: 0,
                        part: Part::Dimension,
                        dimensions: false,
                        ..*level
                    };
                } else if level.status {
                    level.status = false;
                    found.part = Part::Status;
                    found.index = found.index.filter(|_| depth > 1);
                    let status = level.stamp(body)?.status?;
                    (found.raw, found.value) =
                        (status, Scalar::Unsigned(u64::from(u32::from_le_bytes(*status))));
                    return Some(found);
                } else {
                    self.depth -= 1;
                }
                continue;
            }
            level.left -= 1;
            level.index += 1;
            if usize::from(depth) < DEPTH {
                match level.enter(body, depth) {
                    Ok(None) => {}
                    Ok(Some(inner)) => {
                        if let Some(place) = self.levels.get_mut(usize::from(depth)) {
                            *place = inner;
                            self.depth += 1;
                        }
                        continue;
                    }
                    Err(_) => {
                        level.left = 0;
                        continue;
                    }
                }
            }
            match element(&mut reader, level.kind) {
                Ok((raw, value)) => {
                    level.at = reader.at() as u32;
                    return Some(Element { raw, value, ..found });
                }
                Err(_) => (level.left, level.dimensions) = (0, false),
            }
        }
    }
}

/// One element of this built-in type (OPC 10000-6 §5.1.2).
fn element<'a>(reader: &mut Reader<'a>, kind: u8) -> Read<(&'a [u8], Scalar<'a>)> {
    let number = |raw: &[u8]| raw.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let text = |text: Option<&'a [u8]>| match text {
        Some(text) => (text, Scalar::Text(text)),
        None => (&[][..], Scalar::Opaque),
    };
    Ok(match kind {
        12 | 16 => text(reader.text()?),
        15 | 26..=31 => (reader.text()?.unwrap_or_default(), Scalar::Opaque),
        20 => text(reader.qualified()?),
        21 => text(reader.localized()?),
        _ => {
            let start = reader.at();
            match width(kind) {
                0 => reader.element(kind, DEPTH as u8)?,
                width => reader.take(width).map(drop)?,
            }
            let raw = reader.since(start);
            let bits = number(raw.get(..8.min(raw.len())).unwrap_or_default());
            let value = match kind {
                1 => Scalar::Boolean(bits != 0),
                2 => Scalar::Signed(i64::from(bits as u8 as i8)),
                4 => Scalar::Signed(i64::from(bits as u16 as i16)),
                6 => Scalar::Signed(i64::from(bits as u32 as i32)),
                8 => Scalar::Signed(bits as i64),
                3 | 5 | 7 | 9 | 19 => Scalar::Unsigned(bits),
                10 => Scalar::Float(f64::from(f32::from_bits(bits as u32))),
                11 => Scalar::Float(f64::from_bits(bits)),
                _ => Scalar::Opaque,
            };
            (raw, value)
        }
    })
}

/// What lists of results or operations hold, and how far their walk is.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    outer: u32,
    /// Values of one notification or history, arguments of one call.
    inner: u32,
    /// Fields of one event.
    fields: u32,
}

/// The values of one message; all places are those in its body.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    body: &'a [u8],
    /// Places, from that of the operation at hand on.
    places: Places<'a>,
    items: Option<&'a Items>,
    elements: Elements,
    /// The next result or operation.
    at: u32,
    /// Inside one notification or history, and its end.
    inside: [u32; 2],
    left: Left,
    subscription: u32,
    /// Arguments or fields of events that were begun.
    begun: u32,
    /// How the operation went, where the message says it.
    status: Option<NonZeroU32>,
    service: u16,
    access: Access,
    events: bool,
    /// Whether an operation was begun.
    operates: bool,
    /// A method that is called.
    called: bool,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(view: &View<'a>) -> Self {
        let mut blocks = Self {
            body: view.body,
            places: if view.service == service::PUBLISHED { Places(&[]) } else { view.places },
            items: view.items,
            elements: Elements::NONE,
            at: 0,
            inside: [0; 2],
            left: Left::default(),
            subscription: 0,
            begun: 0,
            status: None,
            service: view.service,
            access: Access::Read,
            events: false,
            operates: false,
            called: false,
        };
        if view.service == 0 || blocks.start().is_err() {
            blocks.left = Left::default();
        }
        blocks
    }

    /// Steps over what lies before the first result or operation.
    fn start(&mut self) -> Read<()> {
        let mut reader = Reader::new(self.body);
        match self.service {
            service::WRITE | service::CALL | service::ADD_NODES => {
                self.access = Access::Write;
                service::skip_header(self.service, &mut reader)?;
            }
            service::PUBLISHED => {
                service::skip_header(self.service, &mut reader)?;
                self.subscription = reader.u32()?;
                for _ in 0..reader.array()? {
                    reader.u32()?;
                }
                reader.take(13)?;
            }
            service::READ_ANSWER
            | service::HISTORY_ANSWER
            | service::CALLED
            | service::NODES_ADDED
            | service::BROWSED_NEXT
            | 530
            | 557
            | 703
            | 754
            | 766 => service::skip_header(self.service, &mut reader)?,
            _ => return Ok(()),
        }
        self.left.outer = reader.array()?;
        self.at = reader.at() as u32;
        Ok(())
    }

    /// Goes to the next value; an error is the end.
    fn step(&mut self) -> Read<bool> {
        let [at, end] = self.inside.map(|place| place as usize);
        let mut inside = Reader::within(self.body.get(..end).unwrap_or_default(), at);
        let mut reader = Reader::within(self.body, self.at as usize);
        if self.left.fields > 0 {
            self.left.fields -= 1;
            self.begun += 1;
            self.elements.begin(Level::variant(&mut inside, 0)?);
        } else if self.left.inner > 0 {
            self.left.inner -= 1;
            self.part(&mut reader, &mut inside)?;
        } else if self.left.outer > 0 {
            self.left.outer -= 1;
            self.begun = 0;
            if self.operates && self.service != service::PUBLISHED {
                self.places.next();
            }
            self.operates = true;
            self.operation(&mut reader, &mut inside)?;
        } else {
            return Ok(false);
        }
        self.at = reader.at() as u32;
        self.inside = [inside.at() as u32, inside.end() as u32];
        Ok(true)
    }

    /// Begins with a result or operation.
    fn operation(&mut self, reader: &mut Reader<'a>, inside: &mut Reader<'a>) -> Read<()> {
        match self.service {
            service::READ_ANSWER => self.elements.begin(Level::value(reader, 0)?),
            service::WRITE => {
                reader.node_id()?;
                reader.u32()?;
                reader.text()?;
                self.elements.begin(Level::value(reader, 0)?);
            }
            service::CALL => {
                reader.node_id()?;
                reader.node_id()?;
                self.left.inner = reader.array()?;
                self.called = true;
            }
            service::CALLED => {
                self.status(reader)?;
                for _ in 0..reader.array()? {
                    reader.u32()?;
                }
                for _ in 0..reader.array()? {
                    reader.diagnostic()?;
                }
                self.left.inner = reader.array()?;
            }
            service::ADD_NODES => self.node(reader)?,
            service::HISTORY_ANSWER => {
                self.status(reader)?;
                reader.text()?;
                let (kind, content) = reader.object_in_place()?;
                // HistoryData and HistoryModifiedData (OPC 10000-11 §6.6): values that were told before.
                if [658, 11227].into_iter().any(|number| kind == numeric(number)) {
                    self.access = Access::Echo;
                    *inside = content;
                    self.left.inner = inside.array()?;
                }
            }
            service::PUBLISHED => {
                let (kind, content) = reader.object_in_place()?;
                self.events = kind == numeric(916);
                if self.events || kind == numeric(811) {
                    *inside = content;
                    self.left.inner = inside.array()?;
                }
            }
            _ => {
                self.status(reader)?;
                service::skip_result(self.service, reader)?;
            }
        }
        Ok(())
    }

    /// Begins with an argument, a notification, a value of a history.
    fn part(&mut self, reader: &mut Reader<'a>, inside: &mut Reader<'a>) -> Read<()> {
        match self.service {
            service::CALL | service::CALLED => {
                self.begun += 1;
                self.elements.begin(Level::variant(reader, 0)?);
            }
            service::PUBLISHED => {
                let handle = inside.u32()?;
                self.places =
                    self.items.map(|items| items.find(self.subscription, handle)).unwrap_or_default();
                self.begun = 0;
                if self.events {
                    self.left.fields = inside.array()?;
                } else {
                    self.elements.begin(Level::value(inside, 0)?);
                }
            }
            _ => self.elements.begin(Level::value(inside, 0)?),
        }
        Ok(())
    }

    /// Takes note of a status.
    fn status(&mut self, reader: &mut Reader<'_>) -> Read<()> {
        self.status = NonZeroU32::new(reader.at() as u32);
        reader.u32().map(drop)
    }

    /// A node that is to be added, perhaps with a value (OPC 10000-4 §5.8.2.2, §7.24.3).
    fn node(&mut self, reader: &mut Reader<'_>) -> Read<()> {
        reader.expanded()?;
        reader.node_id()?;
        reader.expanded()?;
        reader.qualified()?;
        reader.u32()?;
        let (kind, mut attributes) = reader.object_in_place()?;
        reader.expanded()?;
        if kind == numeric(357) {
            attributes.u32()?;
            attributes.localized()?;
            attributes.localized()?;
            attributes.take(8)?;
            self.elements.begin(Level::variant(&mut attributes, 0)?);
        }
        Ok(())
    }

    /// The place of the operation at hand.
    fn place(&self) -> Place<'a> {
        let mut places = self.places;
        places.next().unwrap_or_default()
    }

    /// The place of an element.
    fn tag(&self, element: &Element<'a>) -> Tag<'a> {
        let (place, argument) = (self.place(), self.begun.checked_sub(1));
        let (place, index) = match self.service {
            _ if element.part == Part::Dimension => (place.with(place::DIMENSIONS), element.index),
            _ if element.part == Part::Status => (place.with(place::STATUS), element.index),
            service::CALL => (place.with(place::INPUT), argument),
            service::CALLED => (place.with(place::OUTPUT), argument),
            _ => (place, argument.or(element.index)),
        };
        let tag = place.tag(index);
        // An argument or a field of an event that holds several values has one place.
        let shared = argument.is_some() && element.index.is_some();
        if element.deep || shared { Tag { address: None, ..tag } } else { tag }
    }
}

/// A node of the standard's own namespace.
const fn numeric(number: u32) -> NodeId<'static> {
    NodeId { namespace: 0, id: Identifier::Numeric(number), elsewhere: false }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        loop {
            let block = |tag, access, (raw, value), (quality, at): Stamp| {
                Some(Block { tag, variant: 0, access, data: Data::Scalar { raw, value }, quality, at })
            };
            if self.called {
                self.called = false;
                let tag = self.place().with(place::CALL).tag(None);
                return block(tag, self.access, (&[], Scalar::Boolean(true)), (Quality::Good, None));
            }
            if let Some(element) = self.elements.next(self.body) {
                let access = if element.part == Part::Value { self.access } else { Access::Echo };
                let data = (element.raw, element.value);
                return block(self.tag(&element), access, data, element.stamp);
            }
            if let Some(at) = self.status.take() {
                let raw: &[u8; 4] = Reader::within(self.body, at.get() as usize).chunk().ok()?;
                let status = u32::from_le_bytes(*raw);
                let tag = self.place().with(place::STATUS).tag(None);
                let data = (&raw[..], Scalar::Unsigned(u64::from(status)));
                return block(tag, Access::Echo, data, (quality(status), None));
            }
            match self.step() {
                Ok(true) => {}
                Ok(false) | Err(_) => {
                    self.left = Left::default();
                    return None;
                }
            }
        }
    }
}
