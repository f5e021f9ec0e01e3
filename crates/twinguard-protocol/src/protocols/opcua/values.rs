//! The values in messages, one by one, with their places, qualities and times.
//!
//! Sources: OPC 10000-4 1.05, §5.8.2 (`AddNodes`), §5.11 (Read, Write, `HistoryRead`), §5.12.2 (Call), §5.13, §5.14
//! (monitored items, Publish), §7.25 (notifications); OPC 10000-6 §5.2.2.16 (Variants and their dimensions).

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
    /// What is said of it alone.
    stamp: Option<Stamp>,
}

/// A Variant that is being walked.
#[derive(Clone, Copy, Debug)]
struct Level<'a> {
    reader: Reader<'a>,
    kind: u8,
    left: u32,
    index: u32,
    array: bool,
    /// Whether dimensions follow.
    dimensions: bool,
    part: Part,
    status: Option<&'a [u8; 4]>,
    stamp: Option<Stamp>,
}

impl<'a> Level<'a> {
    const NONE: Self = Self {
        reader: Reader::new(&[]),
        kind: 0,
        left: 0,
        index: 0,
        array: false,
        dimensions: false,
        part: Part::Value,
        status: None,
        stamp: None,
    };

    fn of_variant(bytes: &'a [u8]) -> Read<Self> {
        let mut reader = Reader::new(bytes);
        let mask = reader.byte()?;
        let array = mask & 0x80 != 0;
        let left = if array { reader.array()? } else { 1 };
        Ok(Self { reader, kind: mask & 0x3f, left, array, dimensions: mask & 0x40 != 0, ..Self::NONE })
    }

    fn of_value(value: &DataValue<'a>) -> Read<Self> {
        let level = value.value.map_or(Ok(Self::NONE), Self::of_variant)?;
        Ok(Self { status: value.status, stamp: Some((value.quality(), value.at())), ..level })
    }

    /// The Variant or value in its next element, where its elements are such.
    fn enter(&mut self, depth: usize) -> Read<Option<Self>> {
        match self.kind {
            23 => {
                let inner = self.reader.data_value_in(depth as u8)?;
                Self::of_value(&inner).map(Some)
            }
            24 => {
                let inner = Self::of_variant(self.reader.variant(depth as u8)?)?;
                Ok(Some(Self { stamp: self.stamp, ..inner }))
            }
            _ => Ok(None),
        }
    }
}

/// The elements of one Variant.
#[derive(Clone, Copy, Debug)]
struct Elements<'a> {
    levels: [Level<'a>; DEPTH],
    depth: usize,
}

impl<'a> Elements<'a> {
    const NONE: Self = Self { levels: [Level::NONE; DEPTH], depth: 0 };

    /// Begins; nothing comes of what cannot be read.
    fn begin(&mut self, level: Read<Level<'a>>) {
        let [first, ..] = &mut self.levels;
        *first = level.unwrap_or(Level::NONE);
        self.depth = 1;
    }

    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            let depth = self.depth;
            let [outer, ..] = self.levels;
            let level = self.levels.get_mut(depth.checked_sub(1)?)?;
            let number = if depth == 1 { level.index } else { outer.index.wrapping_sub(1) };
            let index = (outer.array || level.part == Part::Dimension).then_some(number);
            let mut found = Element {
                part: level.part,
                index,
                deep: depth > 1 && level.array,
                raw: &[],
                value: Scalar::Opaque,
                stamp: level.stamp,
            };
            if level.left == 0 {
                if level.dimensions {
                    let left = level.reader.array().ok()?;
                    *level =
                        Level { kind: 6, left, index: 0, part: Part::Dimension, dimensions: false, ..*level };
                } else if let Some(status) = level.status.take() {
                    found.part = Part::Status;
                    found.index = found.index.filter(|_| depth > 1);
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
            if depth < DEPTH {
                match level.enter(depth) {
                    Ok(None) => {}
                    Ok(Some(inner)) => {
                        if let Some(place) = self.levels.get_mut(depth) {
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
            match element(&mut level.reader, level.kind) {
                Ok((raw, value)) => return Some(Element { raw, value, ..found }),
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

/// The values of one message.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    service: u16,
    reader: Reader<'a>,
    /// Inside one notification or history.
    inside: Reader<'a>,
    events: bool,
    left: Left,
    places: Places<'a>,
    items: Option<&'a Items>,
    subscription: u32,
    elements: Elements<'a>,
    /// What the elements belong to.
    place: Place<'a>,
    index: Option<u32>,
    access: Access,
    /// How the operation went, where the message says it.
    status: Option<&'a [u8; 4]>,
    /// A method that is called.
    called: bool,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(view: &View<'a>) -> Self {
        let mut blocks = Self {
            service: view.service,
            reader: Reader::new(view.body),
            inside: Reader::new(&[]),
            events: false,
            left: Left::default(),
            places: view.places,
            items: view.items,
            subscription: 0,
            elements: Elements::NONE,
            place: Place::default(),
            index: None,
            access: Access::Read,
            status: None,
            called: false,
        };
        if view.service == 0 || blocks.start().is_err() {
            blocks.left = Left::default();
        }
        blocks
    }

    /// Steps over what lies before the first result or operation.
    fn start(&mut self) -> Read<()> {
        let reader = &mut self.reader;
        match self.service {
            service::WRITE | service::CALL | service::ADD_NODES => {
                self.access = Access::Write;
                service::skip_header(self.service, reader)?;
            }
            service::PUBLISHED => {
                service::skip_header(self.service, reader)?;
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
            | 766 => service::skip_header(self.service, reader)?,
            _ => return Ok(()),
        }
        self.left.outer = reader.array()?;
        Ok(())
    }

    /// Goes to the next value; an error is the end.
    fn step(&mut self) -> Read<bool> {
        if self.left.fields > 0 {
            self.left.fields -= 1;
            self.index = self.index.map_or(Some(0), |index| index.checked_add(1));
            let variant = self.inside.variant(0)?;
            self.elements.begin(Level::of_variant(variant));
            return Ok(true);
        }
        if self.left.inner > 0 {
            self.left.inner -= 1;
            return self.step_inside().map(|()| true);
        }
        if self.left.outer == 0 {
            return Ok(false);
        }
        self.left.outer -= 1;
        self.index = None;
        if self.service != service::PUBLISHED {
            self.place = self.places.next().unwrap_or_default();
        }
        match self.service {
            service::READ_ANSWER => {
                let value = self.reader.data_value()?;
                self.value(&value);
            }
            service::WRITE => {
                self.reader.node_id()?;
                self.reader.u32()?;
                self.reader.text()?;
                let value = self.reader.data_value()?;
                self.value(&value);
            }
            service::CALL => {
                self.reader.node_id()?;
                self.reader.node_id()?;
                self.left.inner = self.reader.array()?;
                self.called = true;
            }
            service::CALLED => {
                self.status = Some(self.reader.chunk()?);
                for _ in 0..self.reader.array()? {
                    self.reader.u32()?;
                }
                for _ in 0..self.reader.array()? {
                    self.reader.diagnostic()?;
                }
                self.left.inner = self.reader.array()?;
            }
            service::ADD_NODES => self.node()?,
            service::HISTORY_ANSWER => {
                self.status = Some(self.reader.chunk()?);
                self.reader.text()?;
                let (kind, body) = self.reader.object()?;
                // HistoryData and HistoryModifiedData (OPC 10000-11 §6.6): values that were told before.
                if [658, 11227].into_iter().any(|number| kind == numeric(number)) {
                    self.access = Access::Echo;
                    self.inside = Reader::new(body);
                    self.left.inner = self.inside.array()?;
                }
            }
            service::PUBLISHED => {
                let (kind, body) = self.reader.object()?;
                self.events = kind == numeric(916);
                if self.events || kind == numeric(811) {
                    self.inside = Reader::new(body);
                    self.left.inner = self.inside.array()?;
                }
            }
            _ => {
                self.status = Some(self.reader.chunk()?);
                service::skip_result(self.service, &mut self.reader)?;
            }
        }
        Ok(true)
    }

    fn step_inside(&mut self) -> Read<()> {
        match self.service {
            service::CALL | service::CALLED => {
                self.index = self.index.map_or(Some(0), |index| index.checked_add(1));
                let variant = self.reader.variant(0)?;
                self.elements.begin(Level::of_variant(variant));
            }
            service::PUBLISHED => {
                let handle = self.inside.u32()?;
                self.place =
                    self.items.map(|items| items.find(self.subscription, handle)).unwrap_or_default();
                self.index = None;
                if self.events {
                    self.left.fields = self.inside.array()?;
                } else {
                    let value = self.inside.data_value()?;
                    self.value(&value);
                }
            }
            _ => {
                let value = self.inside.data_value()?;
                self.value(&value);
            }
        }
        Ok(())
    }

    /// Begins with a value and what is said of it.
    fn value(&mut self, value: &DataValue<'a>) {
        self.elements.begin(Level::of_value(value));
    }

    /// A node that is to be added, perhaps with a value (OPC 10000-4 §5.8.2.2, §7.24.3).
    fn node(&mut self) -> Read<()> {
        self.reader.expanded()?;
        self.reader.node_id()?;
        self.reader.expanded()?;
        self.reader.qualified()?;
        self.reader.u32()?;
        let (kind, body) = self.reader.object()?;
        self.reader.expanded()?;
        if kind == numeric(357) {
            let mut attributes = Reader::new(body);
            attributes.u32()?;
            attributes.localized()?;
            attributes.localized()?;
            attributes.take(8)?;
            self.elements.begin(Level::of_variant(attributes.variant(0)?));
        }
        Ok(())
    }

    /// The place of an element.
    fn tag(&self, element: &Element<'a>) -> Tag<'a> {
        let (place, index) = match self.service {
            _ if element.part == Part::Dimension => (self.place.with(place::DIMENSIONS), element.index),
            _ if element.part == Part::Status => (self.place.with(place::STATUS), element.index),
            service::CALL => (self.place.with(place::INPUT), self.index),
            service::CALLED => (self.place.with(place::OUTPUT), self.index),
            _ if self.index.is_some() => (self.place, self.index),
            _ => (self.place, element.index),
        };
        let tag = place.tag(index);
        // An argument or a field of an event that holds several values has one place.
        let shared = self.index.is_some() && element.index.is_some();
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
            let stamped = (Quality::Good, None);
            let block = |tag, access, (raw, value), (quality, at): Stamp| {
                Some(Block { tag, variant: 0, access, data: Data::Scalar { raw, value }, quality, at })
            };
            if self.called {
                self.called = false;
                let tag = self.place.with(place::CALL).tag(None);
                return block(tag, self.access, (&[], Scalar::Boolean(true)), stamped);
            }
            if let Some(element) = self.elements.next() {
                let access = if element.part == Part::Value { self.access } else { Access::Echo };
                let data = (element.raw, element.value);
                return block(self.tag(&element), access, data, element.stamp.unwrap_or(stamped));
            }
            if let Some(raw) = self.status.take() {
                let status = u32::from_le_bytes(*raw);
                let tag = self.place.with(place::STATUS).tag(None);
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
