//! A view on the bytes of one message: encapsulation, packet items, and the service in them.
//!
//! Source: *The CIP Networks Library* Volume 2 (EtherNet/IP), chapter 2 (encapsulation, common packet format), §3-2 (I/O).

use twinguard_types::Oddity;

use super::cip::Service;
use super::session::{Channel, Request};
use crate::bytes::{chunk, le16, le32};
use crate::protocol::{Cut, Oddities, Sender};

/// Bytes of the encapsulation header (2-3.1).
pub const HEADER_LEN: usize = 24;
/// Items of one packet that are shown.
pub const ITEMS_MAX: usize = 8;
/// Bytes of interface handle and timeout (2-4.7).
const INTERFACE_LEN: usize = 6;

/// Encapsulation commands (table 2-3.2).
pub mod command {
    /// Nothing to do.
    pub const NOP: u16 = 0x00;
    /// Which services there are.
    pub const LIST_SERVICES: u16 = 0x04;
    /// Who is there.
    pub const LIST_IDENTITY: u16 = 0x63;
    /// Which other interfaces there are.
    pub const LIST_INTERFACES: u16 = 0x64;
    /// Opens a session.
    pub const REGISTER_SESSION: u16 = 0x65;
    /// Ends a session.
    pub const UNREGISTER_SESSION: u16 = 0x66;
    /// An unconnected message.
    pub const SEND_RR_DATA: u16 = 0x6f;
    /// A connected message.
    pub const SEND_UNIT_DATA: u16 = 0x70;
}

/// Item types of the common packet format (table 2-6.3).
pub mod item {
    /// Address of unconnected messages.
    pub const NULL: u16 = 0x00;
    /// Identity of a device.
    pub const IDENTITY: u16 = 0x0c;
    /// Address of connected messages.
    pub const CONNECTED_ADDRESS: u16 = 0xa1;
    /// A connected message, or I/O data.
    pub const CONNECTED_DATA: u16 = 0xb1;
    /// An unconnected message.
    pub const UNCONNECTED_DATA: u16 = 0xb2;
    /// What a target serves.
    pub const SERVICES: u16 = 0x100;
    /// Socket address, originator to target.
    pub const SOCKET_OT: u16 = 0x8000;
    /// Socket address, target to originator.
    pub const SOCKET_TO: u16 = 0x8001;
    /// Address of I/O data with a sequence number.
    pub const SEQUENCED_ADDRESS: u16 = 0x8002;
}

/// One packet item (2-6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its type.
    pub kind: u16,
    /// Its bytes.
    pub data: &'a [u8],
}

/// The items of a common packet (2-6.1); ends at the first that is not whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Items<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> Items<'a> {
    /// From the item count on.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let left = le16(bytes, 0).unwrap_or_default().min(ITEMS_MAX as u16);
        Self { rest: bytes.get(2..).unwrap_or_default(), left }
    }

    /// Bytes behind the items read so far.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (kind, len) = (le16(self.rest, 0)?, le16(self.rest, 2)?);
        let (data, rest) = self.rest.get(4..)?.split_at_checked(usize::from(len))?;
        self.rest = rest;
        Some(Item { kind, data })
    }
}

/// What a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body<'a> {
    /// A service, unconnected, or connected with its sequence count.
    Service {
        /// The connection, and the sequence count that a response repeats (2-6.3.2).
        connected: Option<(u32, u16)>,
        /// Its bytes.
        message: &'a [u8],
        /// As read; `None` when it is too short.
        service: Option<Service<'a>>,
    },
    /// Cyclic data of a connection (V1 3-4, V2 3-2).
    Io {
        /// Connection identifier.
        connection: u32,
        /// Number of the packet.
        sequence: u32,
        /// From the sequence count of the transport class on, where it has one.
        data: &'a [u8],
    },
    /// The data of another command.
    Command(&'a [u8]),
}

/// One message; borrows its bytes, and what a session knows of it.
///
/// ```
/// use twinguard_protocol::{Sender, protocols::enip::{Body, View}};
///
/// // Stop a controller: service 7 to class 0x8e, instance 1, over an open connection.
/// let view = View::new(&[
///     0x70, 0, 28, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
///     0, 0, 0, 0, 0, 0, 2, 0, 0xa1, 0, 4, 0, 1, 2, 3, 4, 0xb1, 0, 8, 0, 9, 0,
///     7, 2, 0x20, 0x8e, 0x24, 1,
/// ], Sender::Unknown).unwrap();
/// let Body::Service { connected, service: Some(service), .. } = view.body() else { panic!() };
/// assert_eq!((connected, service.code, service.path.len()), (Some((0x0403_0201, 9)), 7, 4));
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    carried: Option<Carried>,
    oddities: Oddities,
    sender: Sender,
    /// The request that a response answers, or the texts of this request's places.
    pub(super) request: Option<Request<'a>>,
    /// What both directions of its connection have in common; 0 where that is not known.
    pub(super) link: u32,
    /// What is known of the connection that I/O data belong to.
    pub(super) channel: Option<Channel>,
}

/// Where the bytes of a service lie, and the connection and sequence count before them.
#[derive(Clone, Copy, Debug)]
struct Carried {
    connected: Option<(u32, u16)>,
    at: u32,
    len: u16,
}

/// The encapsulation header (2-3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Command.
    pub command: u16,
    /// Bytes behind the header.
    pub length: u16,
    /// Session handle.
    pub session: u32,
    /// 0 when all is well.
    pub status: u32,
    /// What a response repeats.
    pub context: [u8; 8],
    /// Always 0.
    pub options: u32,
}

impl Head {
    fn new(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            command: le16(bytes, 0)?,
            length: le16(bytes, 2)?,
            session: le32(bytes, 4)?,
            status: le32(bytes, 8)?,
            context: *chunk(bytes, 12)?,
            options: le32(bytes, 20)?,
        })
    }
}

impl<'a> View<'a> {
    /// Reads a whole message; `None` when it is shorter than a header, and no I/O data.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8], sender: Sender) -> Option<Self> {
        let mut view = Self {
            bytes,
            carried: None,
            oddities: Oddities::NONE,
            sender,
            request: None,
            link: 0,
            channel: None,
        };
        let oddities = &mut view.oddities;
        if is_io(bytes) {
            check_items(bytes, 0, oddities);
            return Some(view);
        }
        let head = Head::new(bytes)?;
        let data = bytes.get(HEADER_LEN..)?;
        if usize::from(head.length) != data.len() {
            oddities.push(Oddity::LengthMismatch, 2);
        }
        if !known(head.command) {
            oddities.push(Oddity::UnknownFunction, 0);
        }
        // Table 2-3.3.
        if !matches!(head.status, 0..=3 | 0x64 | 0x65 | 0x69 | 0x6a) {
            oddities.push(Oddity::BadValue, 8);
        }
        if head.options != 0 {
            oddities.push(Oddity::BadValue, 20);
        }
        let mut service = None;
        if let Some(packet) = packet(bytes, &head) {
            let at = HEADER_LEN + if sends(head.command) { INTERFACE_LEN } else { 0 };
            if sends(head.command) && le32(data, 0) != Some(0) {
                oddities.push(Oddity::BadValue, HEADER_LEN);
            }
            check_items(packet, at, oddities);
            if sends(head.command) {
                (view.carried, service) = carried(bytes, packet, oddities).unzip();
            }
        }
        if sender == Sender::Unknown {
            view.sender = shape(&head, service.flatten());
        }
        Some(view)
    }

    /// All bytes of the message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The header; I/O data have none.
    #[inline]
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        if is_io(self.bytes) { None } else { Head::new(self.bytes) }
    }

    fn packet(&self) -> &'a [u8] {
        self.head().map_or(self.bytes, |head| packet(self.bytes, &head).unwrap_or_default())
    }

    /// The packet items.
    #[must_use]
    pub fn items(&self) -> Items<'a> {
        Items::new(self.packet())
    }

    /// The number of items, as told.
    #[must_use]
    pub fn item_count(&self) -> Option<u16> {
        le16(self.packet(), 0)
    }

    /// What it carries.
    #[inline]
    #[must_use]
    pub fn body(&self) -> Body<'a> {
        match self.carried {
            Some(Carried { connected, at, len }) => {
                let (at, len) = (at as usize, usize::from(len));
                let message = self.bytes.get(at..at + len).unwrap_or_default();
                Body::Service { connected, message, service: Service::new(message) }
            }
            None if is_io(self.bytes) => io(self.bytes).unwrap_or(Body::Command(self.bytes)),
            None => Body::Command(self.bytes.get(HEADER_LEN..).unwrap_or_default()),
        }
    }

    /// The service in it.
    #[inline]
    #[must_use]
    pub fn service(&self) -> Option<Service<'a>> {
        match self.body() {
            Body::Service { service, .. } => service,
            _ => None,
        }
    }

    /// Who sent it, as told or as judged by its shape.
    #[must_use]
    pub const fn sender(&self) -> Sender {
        self.sender
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

/// Whether a command carries a message: interface handle and timeout, then the packet (2-4.7, 2-4.8).
const fn sends(command: u16) -> bool {
    matches!(command, command::SEND_RR_DATA | command::SEND_UNIT_DATA)
}

/// Whether a command is one of table 2-3.2.
const fn known(command: u16) -> bool {
    matches!(command, 0 | 4 | 0x63..=0x66 | 0x6f | 0x70)
}

/// I/O data begin with two or more items, of which the first is a sequenced address (V2 3-2.2).
fn is_io(bytes: &[u8]) -> bool {
    matches!(bytes, [2..=4, 0, 2, 0x80, 8, 0, ..])
}

/// The common packet behind a header, from its item count on; `None` where there is none.
fn packet<'a>(bytes: &'a [u8], head: &Head) -> Option<&'a [u8]> {
    let data = bytes.get(HEADER_LEN..)?;
    match head.command {
        command if sends(command) && (!data.is_empty() || head.status == 0) => {
            Some(data.get(INTERFACE_LEN..).unwrap_or_default())
        }
        command::LIST_IDENTITY | command::LIST_INTERFACES | command::LIST_SERVICES if data.len() >= 2 => {
            Some(data)
        }
        _ => None,
    }
}

fn io(bytes: &[u8]) -> Option<Body<'_>> {
    let mut items = Items::new(bytes);
    let address = items.next()?.data;
    let data = items.find(|held| held.kind == item::CONNECTED_DATA)?.data;
    Some(Body::Io { connection: le32(address, 0)?, sequence: le32(address, 4)?, data })
}

/// Flags items that do not fill the packet.
fn check_items(packet: &[u8], at: usize, oddities: &mut Oddities) {
    let mut items = Items::new(packet);
    let whole = items.by_ref().count();
    match le16(packet, 0) {
        Some(count) if usize::from(count) == whole => {}
        Some(count) if usize::from(count) > ITEMS_MAX => return oddities.push(Oddity::BadQuantity, at),
        _ => return oddities.push(Oddity::Truncated, at),
    }
    if !items.rest().is_empty() {
        oddities.push(Oddity::TrailingBytes, at + packet.len() - items.rest().len());
    }
}

/// Finds the service among the items; flags one that cannot be read, and what is odd about those inside it.
fn carried<'a>(
    bytes: &[u8],
    packet: &'a [u8],
    oddities: &mut Oddities,
) -> Option<(Carried, Option<Service<'a>>)> {
    let mut connection = None;
    for held in Items::new(packet) {
        let (connected, message) = match held.kind {
            item::CONNECTED_ADDRESS => {
                connection = le32(held.data, 0);
                continue;
            }
            item::UNCONNECTED_DATA => (None, held.data),
            item::CONNECTED_DATA => match held.data.split_first_chunk() {
                Some((count, message)) => {
                    (Some((connection.unwrap_or_default(), u16::from_le_bytes(*count))), message)
                }
                None => continue,
            },
            _ => continue,
        };
        let service = Service::new(message);
        let at = message.as_ptr().addr() - bytes.as_ptr().addr();
        match service {
            None => oddities.push(Oddity::Truncated, at),
            Some(service) => {
                if let Some(multiple) = service.multiple() {
                    multiple.check(at + message.len() - service.data.len(), oddities);
                }
            }
        }
        return Some((Carried { connected, at: at as u32, len: message.len() as u16 }, service));
    }
    None
}

/// Who sends it, by what only one side says.
fn shape(head: &Head, service: Option<Service<'_>>) -> Sender {
    let by = |asks| if asks { Sender::Client } else { Sender::Server };
    match (head.command, service) {
        (_, Some(service)) => by(!service.response),
        (command::REGISTER_SESSION, _) => by(head.session == 0 && head.status == 0),
        (command::UNREGISTER_SESSION, _) => Sender::Client,
        (command::LIST_IDENTITY | command::LIST_SERVICES | command::LIST_INTERFACES, _) => {
            by(head.length == 0)
        }
        _ if head.status != 0 => Sender::Server,
        _ => Sender::Unknown,
    }
}

/// Where the first message ends.
#[inline]
pub(super) fn cut(bytes: &[u8]) -> Cut {
    if is_io(bytes) {
        let mut items = Items::new(bytes);
        let count = usize::from(le16(bytes, 0).unwrap_or_default());
        return if items.by_ref().count() == count {
            Cut::Message(bytes.len() - items.rest().len())
        } else {
            Cut::More(bytes.len() + 1)
        };
    }
    let Some(command) = le16(bytes, 0) else { return Cut::More(HEADER_LEN) };
    if !known(command) && !matches!(command, 0x01 | 0x02 | 0x03 | 0x05 | 0x72 | 0x73) {
        return Cut::Foreign;
    }
    let Some(head) = Head::new(bytes) else { return Cut::More(HEADER_LEN) };
    // Table 2-3.3; options are 0 by 2-3.7.
    if head.status > 0xffff || head.options != 0 {
        return Cut::Foreign;
    }
    let total = HEADER_LEN + usize::from(head.length);
    if bytes.len() < total { Cut::More(total) } else { Cut::Message(total) }
}

/// Who sends these bytes, if they are whole messages beyond reasonable doubt.
pub(super) fn probe(bytes: &[u8]) -> Option<Sender> {
    let (mut rest, mut found) = (bytes, Sender::Unknown);
    for _ in 0..8 {
        let Cut::Message(len) = cut(rest) else { return None };
        let (message, after) = rest.split_at_checked(len)?;
        let view = View::new(message, Sender::Unknown)?;
        let legal = view.oddities.is_empty()
            && match (view.head(), view.body()) {
                (None, Body::Io { .. }) => view.item_count() == Some(2),
                (Some(head), body) => plausible(&head, &body, &view),
                _ => false,
            };
        match (found, view.sender) {
            _ if !legal => return None,
            (Sender::Unknown, sender) => found = sender,
            (_, Sender::Unknown) => {}
            (known, sender) if known == sender => {}
            _ => return None,
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    Some(found)
}

/// Whether a legal message is one beyond doubt: zeros alone are none.
fn plausible(head: &Head, body: &Body<'_>, view: &View<'_>) -> bool {
    match head.command {
        command::SEND_RR_DATA | command::SEND_UNIT_DATA => {
            matches!(body, Body::Service { service: Some(_), .. }) && head.session != 0
        }
        command::REGISTER_SESSION => matches!(body, Body::Command([1, 0, 0, 0])),
        command::UNREGISTER_SESSION => head.length == 0 && head.session != 0 && head.status == 0,
        command::LIST_IDENTITY | command::LIST_SERVICES | command::LIST_INTERFACES => {
            let reply = view.item_count().is_some_and(|count| count > 0);
            head.status == 0 && head.session == 0 && (head.length == 0 || reply)
        }
        _ => false,
    }
}
