//! GOOSE: events that substation devices publish to each other, on Ethernet, and routed over UDP (R-GOOSE).
//!
//! Sources: IEC 61850-8-1 (2011) Annex A and C; IEC 61850-7-2 §18; IEC 61850-90-5 §8.3 (routed).
//!
//! Tags are `<control block>/<index>`: the reference by which the publisher names its control block, `?` where a message
//! has none, and the value's number in the data set, structures flattened, from 0: `IED1LD0/LLN0$GO$gcb01/4`. A value
//! takes quality and time from the members right behind it; these are values with tags of their own as well.
//!
//! The function is the state number; of 65 535 and above it is left out, and the fields tell it.

use core::fmt;

use twinguard_types::Label;

mod repr;
mod session;
#[cfg(test)]
mod tests;
mod view;

pub use repr::{MESSAGE_MAX, REFERENCE_MAX, Repr};
pub use session::{PUBLISHERS_MAX, Shared};
pub use view::{HEADER_LEN, ROUTED, SIMULATED, View};

use crate::iec61850::Members;
use crate::protocol::{
    Access, Address, Block, Carrier, Context, Cut, Field, Fit, Header, Kind, Name, Oddities, Protocol,
    Sender, Tag,
};

/// EtherType of GOOSE (IEC 61850-8-1 Annex C.2).
pub const ETHER_TYPE: u16 = 0x88b8;
/// UDP port of routed messages (IEC 61850-90-5 §8.2).
pub const PORT: u16 = 102;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Goose;

impl Protocol for Goose {
    const FAMILY: Label = Label::literal("goose");
    const CARRIERS: &'static [Carrier] = &[Carrier::EtherType(ETHER_TYPE), Carrier::Udp(PORT)];

    type Pdu<'a> = View<'a>;
    type Memo = ();
    type Session = ();
    type Shared = Shared;
    type Blocks<'a> = Blocks<'a>;

    /// One frame, one message: what lies behind it is padding, or a trailer of the network.
    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        if bytes.len() < HEADER_LEN { Cut::More(HEADER_LEN) } else { Cut::Message(bytes.len()) }
    }

    /// Routed messages alone can be met where no EtherType names them.
    fn probe(bytes: &[u8]) -> Option<Sender> {
        let view = View::routed(bytes)?;
        (view.oddities().is_empty() && view.control_block().is_some()).then_some(Sender::Server)
    }

    #[inline]
    fn decode<'a>(
        _session: &'a mut (),
        shared: &'a mut Shared,
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        let mut view = match context.destination {
            Address::Mac(_) => View::new(bytes)?,
            Address::Socket(_) => View::routed(bytes)?,
        };
        shared.note(context.at, &context.destination, &mut view);
        Some(view)
    }

    #[inline]
    fn header(view: &View<'_>) -> Header {
        let function = view.state_number().and_then(|number| u16::try_from(number).ok());
        Header {
            kind: Kind::Event,
            unit: view.app_id(),
            function: function.unwrap_or(Header::NO_FUNCTION),
            key: None,
        }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    fn memo(_view: &View<'_>) {}

    fn fit(_memo: &(), _view: &View<'_>) -> Fit {
        Fit::No
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&()>) -> Blocks<'a> {
        Blocks {
            name: view.control_block().filter(|name| !name.is_empty()).unwrap_or(b"?"),
            index: 0,
            members: Members::new(view.leaves()),
        }
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        put("goose.appid", Field::Hex(u64::from(view.app_id()), 4));
        put("goose.length", Field::Number(u64::from(view.length())));
        let mut text = |name, text: Option<&[u8]>| {
            if let Some(text) = text {
                put(name, Field::Text(text));
            }
        };
        text("goose.gocbRef", view.control_block());
        text("goose.datSet", view.data_set());
        text("goose.goID", view.id());
        let mut number = |name, number: Option<u32>| {
            if let Some(number) = number {
                put(name, Field::Number(u64::from(number)));
            }
        };
        number("goose.timeAllowedtoLive", view.time_allowed_to_live());
        number("goose.stNum", view.state_number());
        number("goose.sqNum", view.sequence_number());
        number("goose.simulation", view.simulation().map(u32::from));
        number("goose.confRev", view.revision());
        number("goose.ndsCom", view.needs_commissioning().map(u32::from));
        number("goose.numDatSetEntries", view.entries());
    }

    fn function_name(_function: u16) -> &'static str {
        "state"
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let (name, index) = text.rsplit_once('/')?;
        let plain =
            index.bytes().all(|byte| byte.is_ascii_digit()) && (index == "0" || !index.starts_with('0'));
        let index = plain.then(|| index.parse().ok()).flatten()?;
        (!name.is_empty()).then(|| tag(name.as_bytes(), index))
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [name, ..] = tag.name.parts();
        write!(f, "{}/{}", String::from_utf8_lossy(name), tag.address.unwrap_or_default())
    }
}

fn tag(name: &[u8], index: u32) -> Tag<'_> {
    Tag { space: 0, name: Name::new([name]), address: Some(index) }
}

/// The values of a message.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    name: &'a [u8],
    index: u32,
    members: Members<'a>,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    #[inline]
    fn next(&mut self) -> Option<Block<'a>> {
        let member = self.members.next()?;
        let tag = tag(self.name, self.index);
        self.index += 1;
        let block = Block::new(tag, Access::Read, member.leaf.data());
        Some(Block { quality: member.quality, at: member.at, ..block })
    }
}
