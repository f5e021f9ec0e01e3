//! EtherNet/IP with CIP: encapsulation over TCP and UDP, explicit messages, Logix tags, cyclic I/O data.
//!
//! Sources: *The CIP Networks Library* Volume 1 (Common Industrial Protocol, clauses 2-… to C-…) and Volume 2
//! (EtherNet/IP adaptation, clauses V2 …), odva.org; Rockwell publication 1756-PM020 *Logix 5000 Controllers Data Access*;
//! PCCC commands are recognised by 1770-6.5.16.
//!
//! Tags, in decimal but for classes, services and connections:
//! - `Program:Main.Tag[3].x`: a tag of a Logix controller; `Tag[1,2]` with several indices; `Tag` is also `Tag[0]`;
//! - `0x6b/12[3]`: such a tag by its place in the controller's list of symbols;
//! - `0x04/100/3`: class, instance, attribute; `0x01/1` an object as a whole; `0x04/100/3+4` its fifth byte and on;
//! - `0x72/0#0x4c(00ce04)`: what a class-specific service with these data tells or takes;
//! - `#0x004b0603+2`: bytes of a connection whose opening was not seen.

use core::fmt;

use twinguard_types::{Label, Oddity};

mod blocks;
mod cip;
mod fields;
mod path;
mod place;
mod repr;
mod session;
mod value;
mod view;

pub use blocks::Blocks;
pub use cip::{ForwardOpen, Leaves, Meaning, Multiple, SERVICES_MAX, Service, service_name};
pub use path::{Logical, Path, Segment, Target};
pub use place::Place;
pub use repr::{Content, Illegal, Repr};
pub use session::{CONNECTIONS_MAX, Channel, REQUEST_MAX, REQUESTS_MAX, Request, Session, Shared};
pub use view::{Body, HEADER_LEN, Head, ITEMS_MAX, Item, Items, View, command, item};

use crate::protocol::{
    Action, Carrier, Cell, Context, Cut, Field, Fit, Header, Kind, Oddities, Protocol, Sender, Tag, Width,
    Write,
};

/// The registered port of explicit messages (V2 2-2.1).
pub const PORT: u16 = 44818;
/// The registered port of I/O data (V2 2-2.1).
pub const IO_PORT: u16 = 2222;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Enip;

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    command: u16,
    service: Option<u8>,
    /// The service in an `Unconnected_Send`.
    routed: Option<u8>,
    action: Option<Action>,
}

impl Protocol for Enip {
    const FAMILY: Label = Label::literal("enip");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT), Carrier::Udp(PORT), Carrier::Udp(IO_PORT)];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = Session;
    type Shared = Shared;
    type Blocks<'a> = Blocks<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        view::cut(bytes)
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        view::probe(bytes)
    }

    #[inline]
    fn decode<'a>(
        session: &'a mut Session,
        shared: &'a mut Shared,
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        let mut view = View::new(bytes, context.sender)?;
        match view.body() {
            Body::Service { connected, message, service: Some(service) } => {
                view.link = connected.map_or(0, |(connection, _)| shared.link(context, connection));
                let Some(key) = session::key(&view) else { return Some(view) };
                if service.response {
                    view.request = session.answered(key, service.code);
                    if let Some(request) = view.request {
                        shared.note(context, request.message, &service);
                    }
                } else {
                    view.request = Some(Request { message: &[], texts: session.keep(key, message) });
                }
            }
            Body::Io { connection, sequence, .. } => {
                view.channel = shared.channel(context, connection, sequence);
            }
            _ => {}
        }
        Some(view)
    }

    #[inline]
    fn header(view: &View<'_>) -> Header {
        let Some(head) = view.head() else {
            // Outputs ask the target to take them; nobody answers.
            let outputs = view.channel.is_some_and(|channel| channel.to_target);
            let kind = if outputs { Kind::Request } else { Kind::Event };
            return Header { kind, unit: 0, function: Header::NO_FUNCTION, key: None };
        };
        if let Some(service) = view.service() {
            let kind = if service.response { Kind::Response } else { Kind::Request };
            return Header { kind, unit: 0, function: u16::from(service.code), key: session::key(view) };
        }
        let server = view.sender() == Sender::Server;
        let (kind, key) = match head.command {
            command::NOP | command::UNREGISTER_SESSION => (Kind::Control, None),
            _ if server && head.status != 0 => (Kind::Exception, session::key(view)),
            _ if server => (Kind::Response, session::key(view)),
            _ => (Kind::Request, session::key(view)),
        };
        // A session has no handle before it is registered.
        let key = match head.command {
            command::REGISTER_SESSION => key.map(|_| u64::from(head.command)),
            _ => key,
        };
        Header { kind, unit: 0, function: head.command, key }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        let mut oddities = *view.oddities();
        if view.channel.is_some_and(|channel| channel.missed) {
            oddities.push(Oddity::Gap, 0);
        }
        oddities
    }

    #[inline]
    fn memo(view: &View<'_>) -> Memo {
        let command = view.head().map_or(0, |head| head.command);
        match view.body() {
            Body::Service { message, service: Some(service), .. } if !service.response => {
                let does = |leaf: Service<'_>| cip::action(leaf.code, &Target::of(leaf.path), leaf.data);
                let routed = service.forwarded().and_then(|(inner, _)| inner.first().copied());
                Memo {
                    command,
                    service: Some(service.code),
                    routed,
                    action: Leaves::of(message).find_map(does),
                }
            }
            _ => {
                let action = match command {
                    command::REGISTER_SESSION => Some(Action::Connect),
                    command::UNREGISTER_SESSION => Some(Action::Disconnect),
                    command::LIST_SERVICES | command::LIST_IDENTITY | command::LIST_INTERFACES => {
                        Some(Action::Browse)
                    }
                    _ => None,
                };
                Memo {
                    command,
                    service: None,
                    routed: None,
                    action: action.filter(|_| view.sender() != Sender::Server),
                }
            }
        }
    }

    #[inline]
    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        let same = view.head().is_some_and(|head| head.command == memo.command);
        match (view.service(), memo.service) {
            _ if !same => Fit::No,
            (Some(service), Some(asked)) if service.code == asked || memo.routed == Some(service.code) => {
                Fit::Exact
            }
            // The encapsulation refuses what it cannot pass on.
            (None, _) => Fit::Exact,
            _ => Fit::No,
        }
    }

    fn refusal(view: &View<'_>) -> Option<u8> {
        match view.service() {
            // B-1: 6 is a part of the data; 0x1e says that a service inside failed.
            Some(service) => Some(service.status).filter(|status| !matches!(status, 0 | 6 | 0x1e)),
            None => view.head().map(|head| head.status as u8).filter(|status| *status != 0),
        }
    }

    fn action(memo: &Memo) -> Option<Action> {
        memo.action
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Self::Blocks<'a> {
        Blocks::new(view)
    }

    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        repr::write(write, number, out)
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        fields::list(view, put);
    }

    fn function_name(function: u16) -> &'static str {
        fields::function_name(function)
    }

    fn cell(tag: &Tag<'_>) -> Cell {
        let scalar = matches!(Place::of(tag), Some(Place::Symbol | Place::Listed(_)));
        Cell { width: if scalar { Width::Scalar } else { Width::Byte }, last: u32::MAX }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        place::parse(text)
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place::write(tag, f)
    }
}

#[cfg(test)]
mod tests;
