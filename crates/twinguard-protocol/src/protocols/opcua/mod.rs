//! OPC UA binary over TCP.
//!
//! Sources: OPC 10000-6 *OPC UA Part 6: Mappings* 1.05 (chunks, secure channel, encoding) and OPC 10000-4 *OPC UA Part 4:
//! Services* 1.05, OPC Foundation; clauses at the items.
//!
//! [`View`] shows one chunk and flags what is odd, [`Session`] puts messages together and knows what was asked for and
//! what is monitored, [`Repr`] holds legal messages alone and writes them. What is encrypted is told by its headers:
//! channel, token, security policy and mode; nothing is guessed behind them.
//!
//! Tags are node ids as the standard writes them (§5.3.1.10), with the attribute where it is not the value and the
//! element where the value is an array: `[attr=NAME;][index=N;][ns=N;]i=2258`, `s=TEXT`, `g=GUID`, `b=BASE64`. Besides the
//! attributes there are `Input` and `Output` (arguments of a method, by `index`), `Call` (that it is called) and `Status`
//! (how an operation on the node went). The fields of events are `attr=EventNotifier;index=N;` of the node that is
//! monitored, in the order in which the client selected them.

use core::fmt;

use twinguard_types::Label;

mod fields;
mod place;
mod reader;
mod repr;
mod service;
mod session;
#[cfg(test)]
mod tests;
mod values;
mod view;

pub use place::IDENTIFIER_MAX;
pub use reader::{DataValue, Flaw, Identifier, NESTING_MAX, NodeId, quality, ticks, timestamp};
pub use repr::{Illegal, Repr};
pub use session::{ITEM_BYTES_MAX, ITEMS_MAX, Items, MESSAGE_MAX, PLACES_MAX, REQUESTS_MAX, Session};
pub use values::Blocks;
pub use view::{CHUNK_MAX, HEADER_LEN, Limits, MessageType, Mode, Policy, URL_MAX, View};

use crate::protocol::{
    Action, Carrier, Cell, Context, Cut, Field, Fit, Header, Kind, Oddities, Protocol, Sender, Tag, Width,
    Write,
};

/// The registered port (OPC 10000-6 §7.2).
pub const PORT: u16 = 4840;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct OpcUa;

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    function: u16,
    sender: Sender,
}

impl Protocol for OpcUa {
    const FAMILY: Label = Label::literal("opcua");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT)];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = Session;
    type Shared = ();
    type Blocks<'a> = Blocks<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        view::cut(bytes)
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let (mut rest, mut found) = (bytes, Sender::Unknown);
        for _ in 0..8 {
            let Cut::Message(len) = view::cut(rest) else { return None };
            let (chunk, after) = rest.split_at_checked(len)?;
            found = match (found, view::speaks(chunk)?) {
                (Sender::Unknown, sender) | (sender, Sender::Unknown) => sender,
                (known, sender) if known == sender => sender,
                _ => return None,
            };
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        Some(found)
    }

    #[inline]
    fn decode<'a>(
        session: &'a mut Session,
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        View::new(bytes, context.sender).map(|view| session.read(view))
    }

    fn header(view: &View<'_>) -> Header {
        let function = view.service().unwrap_or(view.message().code());
        // The one request of a connection that has no id (§7.1.2.3).
        let hello = Some(1 << 32);
        let paired = view.sequence().filter(|_| !view.alone).map(|(_, request)| u64::from(request));
        let (kind, key) = match (view.message(), view.service().and_then(service::asks)) {
            (MessageType::Hello, _) => (Kind::Request, hello),
            (MessageType::Acknowledge, _) => (Kind::Response, hello),
            (_, Some(true)) => (Kind::Request, paired),
            (_, Some(false)) => match view.handle() {
                // OPC 10000-4 §7.38.1: the highest bit says bad.
                Some((_, Some(result))) if result >> 31 == 1 => (Kind::Exception, paired),
                _ if view.service() == Some(service::PUBLISHED) => (Kind::Event, None),
                _ => (Kind::Response, paired),
            },
            _ => (Kind::Control, None),
        };
        Header { kind, unit: 0, function, key }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    fn memo(view: &View<'_>) -> Memo {
        Memo { function: view.service().unwrap_or(view.message().code()), sender: view.sender() }
    }

    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        let answers = view.service().is_none_or(|response| service::answers(memo.function, response));
        if answers { Fit::Exact } else { Fit::Loose }
    }

    /// The low byte of the result's code (OPC 10000-4 §7.38.1: bits 16 to 27).
    fn refusal(view: &View<'_>) -> Option<u8> {
        view.handle().and_then(|(_, result)| result).map(|result| (result >> 16) as u8)
    }

    fn action(memo: &Memo) -> Option<Action> {
        // What is encrypted still tells that a client opens and closes its channel.
        match MessageType::of_code(memo.function) {
            Some(MessageType::Open) if memo.sender == Sender::Client => Some(Action::Connect),
            Some(MessageType::Close) if memo.sender == Sender::Client => Some(Action::Disconnect),
            _ => service::action(memo.function),
        }
    }

    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Blocks<'a> {
        Blocks::new(view)
    }

    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        repr::write(write, number, out)
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        fields::list(view, put);
    }

    fn function_name(function: u16) -> &'static str {
        match MessageType::of_code(function) {
            Some(MessageType::Hello) => "Hello",
            Some(MessageType::Acknowledge) => "Acknowledge",
            Some(MessageType::Error) => "Error",
            Some(MessageType::ReverseHello) => "ReverseHello",
            Some(MessageType::Open) => "OpenSecureChannel, encrypted",
            Some(MessageType::Close) => "CloseSecureChannel, encrypted",
            Some(MessageType::Message) => "message, encrypted or in part",
            None => service::name(function).unwrap_or("undefined"),
        }
    }

    fn function_code(function: u16) -> Option<&'static str> {
        MessageType::of_code(function).map(MessageType::as_str)
    }

    fn cell(tag: &Tag<'_>) -> Cell {
        Cell { width: Width::Scalar, last: if place::is_element(tag) { u32::MAX } else { 0 } }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        place::parse(text)
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place::write(tag, f)
    }
}
