//! Where services keep objects, properties and values (clauses 13 to 17, productions of clause 21), and the walk over them.

use twinguard_types::Quality;

use super::tag::{self, Element};
use super::view::pdu;
use crate::protocol::{Access, Block, Data, Name, Scalar, Tag};

/// Constructed parameters inside each other that are followed; deeper ones are flagged and not read.
pub const DEPTH_MAX: usize = 8;
/// Largest property identifier (20.2.11, 21: 22 bits).
pub(super) const PROPERTY_MAX: u32 = 0x3f_ffff;
/// The property `statusFlags`.
const STATUS_FLAGS: u32 = 111;

/// Confirmed services (21, `BACnetConfirmedServiceChoice`) that are known by name here.
#[allow(missing_docs, reason = "the standard's names")]
pub mod confirmed {
    pub const COV_NOTIFICATION: u8 = 1;
    pub const SUBSCRIBE_COV: u8 = 5;
    pub const ATOMIC_READ_FILE: u8 = 6;
    pub const ATOMIC_WRITE_FILE: u8 = 7;
    pub const CREATE_OBJECT: u8 = 10;
    pub const DELETE_OBJECT: u8 = 11;
    pub const READ_PROPERTY: u8 = 12;
    pub const READ_PROPERTY_MULTIPLE: u8 = 14;
    pub const WRITE_PROPERTY: u8 = 15;
    pub const WRITE_PROPERTY_MULTIPLE: u8 = 16;
    pub const DEVICE_COMMUNICATION_CONTROL: u8 = 17;
    pub const REINITIALIZE_DEVICE: u8 = 20;
    pub const READ_RANGE: u8 = 26;
    pub const COV_NOTIFICATION_MULTIPLE: u8 = 31;
}

/// Unconfirmed services (21, `BACnetUnconfirmedServiceChoice`) that are known by name here.
#[allow(missing_docs, reason = "the standard's names")]
pub mod unconfirmed {
    pub const I_AM: u8 = 0;
    pub const I_HAVE: u8 = 1;
    pub const COV_NOTIFICATION: u8 = 2;
    pub const EVENT_NOTIFICATION: u8 = 3;
    pub const TIME_SYNCHRONIZATION: u8 = 6;
    pub const WHO_HAS: u8 = 7;
    pub const WHO_IS: u8 = 8;
    pub const UTC_TIME_SYNCHRONIZATION: u8 = 9;
    pub const COV_NOTIFICATION_MULTIPLE: u8 = 11;
}

/// Context tags on the way to a parameter, outermost first.
type Path = &'static [u8];

/// Where a service keeps what is looked for; an empty path is nowhere.
#[derive(Debug)]
struct Layout {
    objects: [Path; 2],
    property: Path,
    index: Path,
    value: Path,
    priority: Path,
    access: Access,
}

const NONE: Layout =
    Layout { objects: [&[]; 2], property: &[], index: &[], value: &[], priority: &[], access: Access::Read };
const OBJECT_0: Layout = Layout { objects: [&[0], &[]], ..NONE };
const OBJECT_1: Layout = Layout { objects: [&[1], &[]], ..NONE };
const READ: Layout = Layout { property: &[1], index: &[2], value: &[3], ..OBJECT_0 };
const WRITE: Layout = Layout { priority: &[4], access: Access::Write, ..READ };
const LIST: Layout = Layout { access: Access::Echo, ..READ };
const READ_MANY: Layout = Layout { property: &[1, 0], index: &[1, 1], ..OBJECT_0 };
const TELL_MANY: Layout = Layout { property: &[1, 2], index: &[1, 3], value: &[1, 4], ..OBJECT_0 };
const WRITE_MANY: Layout = Layout { value: &[1, 2], priority: &[1, 3], access: Access::Write, ..READ_MANY };
const CHANGE: Layout =
    Layout { objects: [&[1], &[2]], property: &[4, 0], index: &[4, 1], value: &[4, 2], ..NONE };
const EVENT: Layout = Layout { objects: [&[1], &[2]], ..NONE };
const SUBSCRIBE: Layout = Layout { property: &[4, 0], index: &[4, 1], ..OBJECT_1 };
const SUBSCRIBE_MANY: Layout =
    Layout { objects: [&[4, 0], &[]], property: &[4, 1, 0, 0], index: &[4, 1, 0, 1], ..NONE };
const CHANGE_MANY: Layout =
    Layout { objects: [&[1], &[4, 0]], property: &[4, 1, 0], index: &[4, 1, 1], value: &[4, 1, 2], ..NONE };
const FOUND: Layout = Layout { objects: [&[2], &[]], ..NONE };
const SAFETY: Layout = Layout { objects: [&[3], &[]], ..NONE };

/// The layout of a PDU, by the productions of clause 21.
const fn layout(kind: u8, service: u8) -> &'static Layout {
    match (kind, service) {
        (pdu::CONFIRMED_REQUEST, confirmed::READ_PROPERTY | confirmed::READ_RANGE) => &READ,
        (pdu::COMPLEX_ACK, confirmed::READ_PROPERTY) => &READ,
        // The items of a range lie at [5], each a record of its own.
        (pdu::COMPLEX_ACK, confirmed::READ_RANGE) => &Layout { value: &[5], ..READ },
        (pdu::CONFIRMED_REQUEST, confirmed::WRITE_PROPERTY) => &WRITE,
        // AddListElement, RemoveListElement.
        (pdu::CONFIRMED_REQUEST, 8 | 9) => &LIST,
        (pdu::CONFIRMED_REQUEST, confirmed::READ_PROPERTY_MULTIPLE) => &READ_MANY,
        (pdu::COMPLEX_ACK, confirmed::READ_PROPERTY_MULTIPLE) => &TELL_MANY,
        (pdu::CONFIRMED_REQUEST, confirmed::WRITE_PROPERTY_MULTIPLE) => &WRITE_MANY,
        (pdu::CONFIRMED_REQUEST, confirmed::COV_NOTIFICATION)
        | (pdu::UNCONFIRMED_REQUEST, unconfirmed::COV_NOTIFICATION) => &CHANGE,
        (pdu::CONFIRMED_REQUEST, confirmed::COV_NOTIFICATION_MULTIPLE)
        | (pdu::UNCONFIRMED_REQUEST, unconfirmed::COV_NOTIFICATION_MULTIPLE) => &CHANGE_MANY,
        // EventNotification.
        (pdu::CONFIRMED_REQUEST, 2) | (pdu::UNCONFIRMED_REQUEST, unconfirmed::EVENT_NOTIFICATION) => &EVENT,
        // AcknowledgeAlarm, SubscribeCOV, SubscribeCOVProperty.
        (pdu::CONFIRMED_REQUEST, 0) => &OBJECT_1,
        (pdu::CONFIRMED_REQUEST, confirmed::SUBSCRIBE_COV | 28) => &SUBSCRIBE,
        (pdu::CONFIRMED_REQUEST, 30) => &SUBSCRIBE_MANY,
        // LifeSafetyOperation.
        (pdu::CONFIRMED_REQUEST, 27) => &SAFETY,
        // CreateObject names the object inside its first parameter.
        (pdu::CONFIRMED_REQUEST, confirmed::CREATE_OBJECT) => &Layout {
            objects: [&[0, 1], &[]],
            property: &[1, 0],
            index: &[1, 1],
            value: &[1, 2],
            access: Access::Echo,
            ..NONE
        },
        // ConfirmedTextMessage, GetEventInformation, UnconfirmedTextMessage, GetAlarmSummary.
        (pdu::CONFIRMED_REQUEST, 19 | 29) | (pdu::UNCONFIRMED_REQUEST, 5) => &OBJECT_0,
        (pdu::UNCONFIRMED_REQUEST, unconfirmed::WHO_HAS) => &FOUND,
        _ => &NONE,
    }
}

/// What the walk meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step<'a> {
    /// An object identifier.
    Object(u32),
    /// A property identifier.
    Property(u32),
    /// An array index.
    Index(u32),
    /// The priority of a write.
    Priority(u8),
    /// The value of the property begins.
    Begin,
    /// It ends.
    End,
    /// A value with an application tag; whether it belongs to the property.
    Value { number: u8, length: u32, raw: &'a [u8], content: &'a [u8], inside: bool },
}

/// The walk over a service's parameters: one pass, bounded depth.
#[derive(Clone, Debug)]
pub(super) struct Walk<'a> {
    rest: &'a [u8],
    path: [u8; DEPTH_MAX],
    depth: u8,
    layout: &'static Layout,
    flawed: bool,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(kind: u8, service: u8, body: &'a [u8]) -> Self {
        Self { rest: body, path: [0; DEPTH_MAX], depth: 0, layout: layout(kind, service), flawed: false }
    }

    /// How many bytes were not read.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    fn path(&self) -> &[u8] {
        self.path.get(..usize::from(self.depth)).unwrap_or_default()
    }

    /// Whether a parameter with this number, here, is the one at a path.
    fn is_at(&self, number: u8, path: Path) -> bool {
        path.split_last().is_some_and(|(last, before)| *last == number && before == self.path())
    }

    fn step(&mut self) -> Option<Step<'a>> {
        let layout = self.layout;
        loop {
            if self.rest.is_empty() {
                return None;
            }
            match tag::element(&mut self.rest)? {
                Element::Open(number) => {
                    let begins = self.is_at(number, layout.value);
                    *self.path.get_mut(usize::from(self.depth))? = number;
                    self.depth += 1;
                    if begins {
                        return Some(Step::Begin);
                    }
                }
                Element::Close(number) => {
                    if self.path().last() != Some(&number) {
                        return None;
                    }
                    self.depth -= 1;
                    if self.is_at(number, layout.value) {
                        return Some(Step::End);
                    }
                }
                Element::Context { number, content } => {
                    let small = || tag::unsigned(content).and_then(|number| u32::try_from(number).ok());
                    let step = if layout.objects.iter().any(|path| self.is_at(number, path)) {
                        tag::object(content).map(Step::Object)
                    } else if self.is_at(number, layout.property) {
                        small().map(Step::Property)
                    } else if self.is_at(number, layout.index) {
                        small().map(Step::Index)
                    } else if self.is_at(number, layout.priority) {
                        small().map(|priority| Step::Priority(priority as u8))
                    } else {
                        continue;
                    };
                    if step.is_some() {
                        return step;
                    }
                }
                Element::Application { number, length, raw, content } => {
                    let inside = !layout.value.is_empty() && self.path() == layout.value;
                    return Some(Step::Value { number, length, raw, content, inside });
                }
            }
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        if self.flawed {
            return None;
        }
        let before = self.rest;
        let step = self.step();
        if step.is_none() && !self.rest.is_empty() {
            (self.flawed, self.rest) = (true, before);
        }
        step
    }
}

/// The status flags of the object whose properties come next: fault, overridden, out of service (12.1).
fn quality(walk: &Walk<'_>) -> Quality {
    let mut wanted = false;
    for step in walk.clone() {
        match step {
            Step::Object(_) => break,
            Step::Property(property) => wanted = property == STATUS_FLAGS,
            Step::Value { number: 8, content, inside: true, .. } if wanted => {
                let flag = |place| tag::bit(content, place).is_some_and(|(_, state)| state);
                return match (flag(1), flag(2), flag(3)) {
                    (true, ..) => Quality::Bad,
                    (_, true, _) | (.., true) => Quality::Substituted,
                    _ => Quality::Good,
                };
            }
            _ => {}
        }
    }
    Quality::Good
}

/// The values of a message.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    walk: Walk<'a>,
    /// Text of the device on another network; empty for the one at the other end.
    route: &'a [u8],
    /// Whether the device's place is known.
    placed: bool,
    object: u32,
    property: u32,
    index: Option<u32>,
    /// Values of this property so far, and whether there are several.
    count: u32,
    many: bool,
    quality: Quality,
    priority: u8,
    /// Octets of a bit string with the bits that are to come.
    bits: Option<(&'a [u8], u16)>,
}

impl<'a> Blocks<'a> {
    pub(super) const fn new(walk: Walk<'a>, route: &'a [u8], placed: bool) -> Self {
        Self {
            walk,
            route,
            placed,
            object: 0,
            property: 0,
            index: None,
            count: 0,
            many: false,
            quality: Quality::Good,
            priority: 0,
            bits: None,
        }
    }

    fn block(&self, bit: u16, data: Data<'a>) -> Block<'a> {
        let space =
            u64::from(self.object) << 32 | u64::from(self.property & PROPERTY_MAX) << 8 | u64::from(bit);
        let position = if self.many { Some(self.count) } else { None };
        let index = self.index.or(position).map_or(Some(0), |index| index.checked_add(1));
        let address = index.filter(|_| self.placed && self.property <= PROPERTY_MAX);
        let tag = Tag { space, name: Name::new([self.route]), address };
        let variant = u32::from(self.priority);
        Block { variant, quality: self.quality, ..Block::new(tag, self.walk.layout.access, data) }
    }

    /// Looks ahead when a value begins: whether it has several parts, and its priority, which follows it.
    fn begin(&mut self) {
        let mut ahead = self.walk.clone();
        let values = ahead.by_ref().take_while(|step| *step != Step::End).count();
        (self.count, self.many) = (0, values > 1);
        self.priority = match ahead.next() {
            Some(Step::Priority(priority)) => priority,
            _ => 0,
        };
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        loop {
            if let Some((content, bit)) = self.bits {
                match tag::bit(content, usize::from(bit)) {
                    Some((raw, state)) if bit < 254 => {
                        self.bits = Some((content, bit + 1));
                        return Some(
                            self.block(bit + 1, Data::Scalar { raw, value: Scalar::Boolean(state) }),
                        );
                    }
                    _ => self.bits = None,
                }
            }
            match self.walk.next()? {
                Step::Object(object) => {
                    self.object = object;
                    self.quality = quality(&self.walk);
                }
                Step::Property(property) => (self.property, self.index) = (property, None),
                Step::Index(index) => self.index = Some(index),
                Step::Begin => self.begin(),
                Step::End | Step::Priority(_) => self.priority = 0,
                Step::Value { inside: false, .. } => {}
                Step::Value { number, length, raw, content, inside: true } => {
                    self.count += 1;
                    if number == 8 {
                        self.bits = Some((content, 0));
                        continue;
                    }
                    let value = tag::scalar(number, length, content);
                    let block = self.block(0, Data::Scalar { raw, value });
                    // A null releases a priority, or stands for no value.
                    let quality = if number == 0 { Quality::Bad } else { block.quality };
                    return Some(Block { quality, ..block });
                }
            }
        }
    }
}
