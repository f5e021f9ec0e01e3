//! One MMS message: its service, the variables that it names, its values.
//!
//! Source: ISO 9506-2 (2003) clauses 7 (PDUs), 8 (environment), 14 (variable access), 15 to 19 (other services); data by
//! clause 14.4.2.

use core::num::NonZeroU32;

use twinguard_types::Oddity;

use super::lower::find;
use crate::ber::{self, Element, Reader};
use crate::protocol::{Oddities, Sender};

/// Kinds of messages: the alternatives of `MMSpdu` (ISO 9506-2 clause 7.1).
pub mod pdu {
    /// Confirmed request.
    pub const REQUEST: u8 = 0;
    /// Confirmed response.
    pub const RESPONSE: u8 = 1;
    /// Confirmed error.
    pub const ERROR: u8 = 2;
    /// Unconfirmed: information reports.
    pub const UNCONFIRMED: u8 = 3;
    /// Refusal of a message that broke the protocol.
    pub const REJECT: u8 = 4;
    /// Asks for a request to be cancelled.
    pub const CANCEL: u8 = 5;
    /// It is cancelled.
    pub const CANCELLED: u8 = 6;
    /// It is not.
    pub const CANCEL_ERROR: u8 = 7;
    /// Opens an association.
    pub const INITIATE: u8 = 8;
    /// It is open.
    pub const INITIATED: u8 = 9;
    /// It is not.
    pub const INITIATE_ERROR: u8 = 10;
    /// Ends it.
    pub const CONCLUDE: u8 = 11;
    /// It is ended.
    pub const CONCLUDED: u8 = 12;
    /// It is not.
    pub const CONCLUDE_ERROR: u8 = 13;
}

/// Services by their tags (ISO 9506-2 clause 7.2).
pub mod service {
    /// Values of variables.
    pub const READ: u32 = 4;
    /// Changes of values.
    pub const WRITE: u32 = 5;
}

/// The name of an object (ISO 9506-2 clause 7.6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectName<'a> {
    /// Where it is known: 0 the whole device, 1 a domain, 2 this association.
    pub scope: u8,
    /// The domain, empty for the other scopes.
    pub domain: &'a [u8],
    /// The name there.
    pub item: &'a [u8],
}

impl<'a> ObjectName<'a> {
    /// By its element.
    pub(super) fn of(element: &Element<'a>) -> Option<Self> {
        match element.tag {
            0x80 => Some(Self { scope: 0, domain: &[], item: element.content }),
            0x82 => Some(Self { scope: 2, domain: &[], item: element.content }),
            0xa1 => {
                let mut inside = element.inside();
                let (domain, item) = (inside.take(0x1a)?, inside.take(0x1a)?);
                Some(Self { scope: 1, domain: domain.content, item: item.content })
            }
            _ => None,
        }
    }

    fn in_explicit(element: &Element<'a>) -> Option<Self> {
        Self::of(&element.inside().next()?.ok()?)
    }

    /// Appends its element.
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        match self.scope {
            1 => {
                let mut inside = Vec::new();
                ber::put(0x1a, self.domain, &mut inside);
                ber::put(0x1a, self.item, &mut inside);
                ber::put(0xa1, &inside, out);
            }
            scope => ber::put(0x80 | u32::from(scope), self.item, out),
        }
    }
}

/// Which variables a message means (ISO 9506-2 clause 14.5.1).
#[derive(Clone, Copy, Debug, Default)]
pub enum Variables<'a> {
    /// It does not say.
    #[default]
    Unknown,
    /// These, one after the other.
    List(Names<'a>),
    /// Those of a list that has this name.
    Named(ObjectName<'a>),
}

impl<'a> Variables<'a> {
    fn of(element: &Element<'a>) -> Self {
        match element.tag {
            0xa0 => Self::List(Names(element.inside())),
            0xa1 => ObjectName::in_explicit(element).map_or(Self::Unknown, Self::Named),
            _ => Self::Unknown,
        }
    }

    /// From the bytes that a message names them with.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        match Reader::new(bytes, 0).next() {
            Some(Ok(element)) => Self::of(&element),
            _ => Self::Unknown,
        }
    }
}

/// The variables of a list; those that have an address or a description in place of a name are `None`.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a>(Reader<'a>);

impl<'a> Names<'a> {
    /// From the bytes of their entries.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(Reader::new(bytes, 0))
    }

    /// The bytes of the entries that are left.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0.rest()
    }
}

impl<'a> Iterator for Names<'a> {
    type Item = Option<ObjectName<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.0.next()?.ok()?;
        Some(entry.inside().take(0xa0).as_ref().and_then(ObjectName::in_explicit))
    }
}

/// Shows an MMS message.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    kind: Option<u8>,
    invoke: Option<u32>,
    /// Where the element of the service begins.
    service: Option<NonZeroU32>,
    /// How the request named the variables of this answer.
    pub(super) asked: &'a [u8],
    sender: Sender,
    oddities: Oddities,
}

impl<'a> View<'a> {
    /// A message that begins at this offset of its transport message.
    #[must_use]
    pub fn new(bytes: &'a [u8], at: usize, sender: Sender) -> Self {
        let (kind, invoke, service, oddities) = (None, None, None, Oddities::NONE);
        let mut view = Self { bytes, kind, invoke, service, asked: &[], sender, oddities };
        let mut outer = Reader::new(bytes, at);
        match outer.next() {
            Some(Ok(element)) if element.tag & 0x80 != 0 && element.number() <= 13 => {
                view.kind = Some(element.number() as u8);
                view.read(element, at);
            }
            Some(Ok(_)) => view.flag(Oddity::UnknownFunction, at),
            Some(Err(fault)) => view.flag(fault.oddity, fault.at),
            None => view.flag(Oddity::Truncated, at),
        }
        if !outer.is_empty() {
            view.flag(Oddity::TrailingBytes, outer.at());
        }
        view
    }

    fn read(&mut self, element: Element<'a>, begin: usize) {
        let mut inside = element.inside();
        match self.kind {
            Some(pdu::REQUEST | pdu::RESPONSE) => {
                self.invoke = inside.take(0x02).and_then(|number| invoke(number.content));
                // Modifiers of a request.
                let _ = inside.take(0x30);
                if self.invoke.is_none() {
                    self.flag(Oddity::BadValue, element.at);
                }
                self.serve(inside, begin);
            }
            Some(pdu::ERROR | pdu::REJECT) => {
                self.invoke = find(inside, 0x80).and_then(|number| invoke(number.content));
            }
            Some(pdu::CANCEL | pdu::CANCELLED) => self.invoke = invoke(element.content),
            Some(pdu::UNCONFIRMED) => self.serve(inside, begin),
            _ => {}
        }
    }

    /// Takes note of the service, which comes next in a message that begins at this offset.
    fn serve(&mut self, mut inside: Reader<'a>, begin: usize) {
        let at = inside.at() - begin;
        match inside.next() {
            Some(Ok(element)) if element.tag & 0x80 != 0 => self.service = NonZeroU32::new(at as u32),
            Some(Ok(element)) => self.flag(Oddity::UnknownFunction, element.at),
            Some(Err(fault)) => self.flag(fault.oddity, fault.at),
            None => self.flag(Oddity::Truncated, inside.at()),
        }
    }

    pub(super) fn flag(&mut self, oddity: Oddity, at: usize) {
        self.oddities.push(oddity, at);
    }

    /// The message's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Which alternative of `MMSpdu`, see [`pdu`].
    #[must_use]
    pub const fn kind(&self) -> Option<u8> {
        self.kind
    }

    /// What names the request in its answer.
    #[must_use]
    pub const fn invoke(&self) -> Option<u32> {
        self.invoke
    }

    /// The service of a request, response or unconfirmed message.
    #[must_use]
    pub fn service(&self) -> Option<u32> {
        self.body().map(|element| element.number())
    }

    /// The service and what belongs to it.
    fn body(&self) -> Option<Element<'a>> {
        Reader::new(self.bytes.get(self.service?.get() as usize..)?, 0).next()?.ok()
    }

    /// Which end sends it.
    #[must_use]
    pub const fn sender(&self) -> Sender {
        self.sender
    }

    /// What is odd about it by itself.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// How it names its variables itself.
    pub(super) fn specification(&self) -> Option<&'a [u8]> {
        let element = self.body()?;
        let mut inside = element.inside();
        let (_, bytes) = match (self.kind?, element.number()) {
            // A read: whether the answer is to repeat the names, then the names in a tag of their own.
            (pdu::REQUEST, service::READ) => find(inside, 0xa1)?.inside().whole(),
            (pdu::RESPONSE, service::READ) => inside.take(0xa0)?.inside().whole(),
            (pdu::REQUEST, service::WRITE) | (pdu::UNCONFIRMED, 0) => inside.whole(),
            _ => None,
        }?;
        Some(bytes)
    }

    /// How the variables that its values belong to are named, by it or by its request.
    pub(super) fn named(&self) -> &'a [u8] {
        self.specification().unwrap_or(self.asked)
    }

    /// The variables that its values belong to.
    #[must_use]
    pub fn variables(&self) -> Variables<'a> {
        Variables::read(self.named())
    }

    /// Its values, one for each variable; of a read, a report or a write.
    pub(super) fn values(&self) -> Reader<'a> {
        let Some(element) = self.body() else { return Reader::default() };
        let mut inside = element.inside();
        let list = match (self.kind, element.number()) {
            (Some(pdu::RESPONSE), service::READ) => find(inside, 0xa1),
            (Some(pdu::REQUEST), service::WRITE) | (Some(pdu::UNCONFIRMED), 0) => {
                inside.next();
                inside.take(0xa0)
            }
            _ => None,
        };
        list.map_or(Reader::default(), |list| list.inside())
    }

    /// Why it refuses: class and code of an error in four bits each, the reason of a reject, the first failure of a
    /// write, the first of a read in which everything failed (ISO 9506-2 clauses 7.3.4, 7.3.6, 14.4.3).
    #[must_use]
    pub fn refusal(&self) -> Option<u8> {
        let outer = Reader::new(self.bytes, 0).next()?.ok()?;
        match (self.kind?, self.service()) {
            (pdu::ERROR | pdu::INITIATE_ERROR | pdu::CONCLUDE_ERROR, _) => {
                let error = find(outer.inside(), 0xa2).unwrap_or(outer);
                let class = find(error.inside(), 0xa0)?.inside().next()?.ok()?;
                Some((class.number() as u8) << 4 | class.content.last()? & 0xf)
            }
            (pdu::REJECT, _) => {
                let mut inside = outer.inside();
                let _ = inside.take(0x80);
                inside.next()?.ok()?.content.last().copied()
            }
            (pdu::RESPONSE, Some(service::WRITE)) => {
                find(self.body()?.inside(), 0x80)?.content.last().copied()
            }
            (pdu::RESPONSE, Some(service::READ)) => {
                let mut values = self.values();
                let first = values.next()?.ok().filter(|value| value.tag == 0x80)?;
                while let Some(value) = values.next() {
                    value.ok().filter(|value| value.tag == 0x80)?;
                }
                first.content.last().copied()
            }
            _ => None,
        }
    }

    /// Tells each name of a variable, list, semaphore or journal in the message, in order.
    pub fn names(&self, mut put: impl FnMut(ObjectName<'a>)) {
        let Some(element) = self.body() else { return };
        let mut tell = |variables: Variables<'a>| match variables {
            Variables::Named(name) => put(name),
            Variables::List(names) => names.flatten().for_each(&mut put),
            Variables::Unknown => {}
        };
        if let Some(bytes) = self.specification() {
            return tell(Variables::read(bytes));
        }
        let explicit = |element: &Element<'a>| ObjectName::in_explicit(element).map(Variables::Named);
        match (self.kind, element.number()) {
            // The name alone, or before a list of variables.
            (Some(pdu::REQUEST), 9 | 10 | 12 | 22 | 68) => tell(explicit(&element).unwrap_or_default()),
            (Some(pdu::REQUEST), 11) => {
                tell(explicit(&element).unwrap_or_default());
                if let Some(list) = find(element.inside(), 0xa0) {
                    tell(Variables::of(&list));
                }
            }
            // The name in a tag of its own.
            (Some(pdu::REQUEST), 6 | 7 | 8 | 19..=21 | 23..=25 | 65..=67) => {
                if let Some(name) = element.inside().take(0xa0) {
                    tell(explicit(&name).unwrap_or_default());
                }
            }
            (Some(pdu::REQUEST), 13) => {
                let mut names = find(element.inside(), 0xa1).map_or(Reader::default(), |list| list.inside());
                while let Some(Ok(name)) = names.next() {
                    tell(ObjectName::of(&name).map_or(Variables::Unknown, Variables::Named));
                }
            }
            (Some(pdu::RESPONSE), 12) => {
                if let Some(list) = find(element.inside(), 0xa1) {
                    tell(Variables::List(Names(list.inside())));
                }
            }
            _ => {}
        }
    }
}

/// A number that names a request (Unsigned32).
fn invoke(content: &[u8]) -> Option<u32> {
    ber::unsigned(content).and_then(|number| u32::try_from(number).ok())
}
