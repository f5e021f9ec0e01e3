//! MMS: what IEC 61850 clients and servers, TASE.2 (ICCP) control centres and older controllers speak, on ISO transport.
//!
//! Sources: ISO 9506-1 and 9506-2 (2003); IEC 61850-8-1 §25 for its use; ISO 8327, 8823 and 8650 for the layers below.
//!
//! Tags are `<domain>/<item>/<value>`: the names of domain and variable, and the number of the value in the variable,
//! structures flattened, from 0: `IED1LD0/XCBR1$ST$Pos/0`. The domain is empty for names of the whole device, `@` for
//! names of one association. A value that is told as a member of a named list is `<domain>/<list>#<member>/<value>`.
//! A value whose variable nobody named is `?`.

use core::fmt;

use twinguard_types::{Encoding, Label, Value};

mod lower;
mod repr;
mod session;
#[cfg(test)]
mod tests;
mod view;

pub use repr::{NAME_MAX, Repr};
pub use session::{READS_MAX, Session, VARIABLES_MAX};
pub use view::{Names, ObjectName, Variables, View, pdu, service};

use crate::ber::Reader;
use crate::iec61850::{Entry, Leaves, Members};
use crate::protocol::{
    Access, Action, Address, Block, Carrier, Change, Context, Cut, Field, Fit, Header, Kind, Name, Oddities,
    Protocol, Sender, Tag, Write,
};
use crate::protocols::cotp;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Mms;

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    kind: Option<u8>,
    service: Option<u32>,
}

/// Functions of messages without a service: this, plus the alternative of `MMSpdu`.
const WITHOUT_SERVICE: u16 = 0x100;

impl Protocol for Mms {
    const FAMILY: Label = Label::literal("mms");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(cotp::PORT)];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = Session;
    type Shared = ();
    type Blocks<'a> = Blocks<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        cotp::cut(bytes)
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let (mut rest, mut found) = (bytes, None);
        for _ in 0..8 {
            let Cut::Message(len) = cotp::cut(rest) else { return None };
            let (tpkt, after) = rest.split_at_checked(len)?;
            match lower::content(cotp::data(tpkt)?) {
                lower::Content::Mms(bytes, at) => {
                    let view = View::new(bytes, at, Sender::Unknown);
                    view.oddities()
                        .iter()
                        .all(|(oddity, _)| oddity == twinguard_types::Oddity::BadValue)
                        .then_some(())?;
                    let sender = sender(&view);
                    found = found.filter(|known| *known != Sender::Unknown).or(Some(sender));
                }
                lower::Content::Upkeep => {}
                lower::Content::Foreign => return None,
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        found
    }

    #[inline]
    fn absorb(session: &mut Session, source: &Address, bytes: &[u8]) -> bool {
        session.absorb(source, bytes)
    }

    #[inline]
    fn decode<'a>(
        session: &'a mut Session,
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        session.decode(context, bytes)
    }

    fn header(view: &View<'_>) -> Header {
        let kind = match view.kind() {
            Some(pdu::REQUEST | pdu::INITIATE | pdu::CONCLUDE | pdu::CANCEL) => Kind::Request,
            Some(pdu::RESPONSE | pdu::INITIATED | pdu::CONCLUDED | pdu::CANCELLED) => Kind::Response,
            Some(pdu::UNCONFIRMED) => Kind::Event,
            Some(
                pdu::ERROR | pdu::REJECT | pdu::CANCEL_ERROR | pdu::INITIATE_ERROR | pdu::CONCLUDE_ERROR,
            ) => Kind::Exception,
            _ => Kind::Control,
        };
        let asker = match kind {
            Kind::Request => Some(view.sender()),
            Kind::Response | Kind::Exception => Some(view.sender().other()),
            Kind::Event | Kind::Control => None,
        };
        // Either end may ask; what opens, ends and cancels has no number of its own.
        let what = match view.kind() {
            Some(pdu::INITIATE..=pdu::INITIATE_ERROR) => Some(1 << 33),
            Some(pdu::CONCLUDE..=pdu::CONCLUDE_ERROR) => Some(1 << 34),
            Some(pdu::CANCEL..=pdu::CANCEL_ERROR) => view.invoke().map(|invoke| 1 << 35 | u64::from(invoke)),
            _ => view.invoke().map(u64::from),
        };
        let key = asker.zip(what).map(|(asker, what)| what | u64::from(asker == Sender::Server) << 32);
        let function = match (view.service(), view.kind()) {
            (Some(service), _) => u16::try_from(service).unwrap_or(Header::NO_FUNCTION),
            (None, Some(kind)) => WITHOUT_SERVICE + u16::from(kind),
            (None, None) => Header::NO_FUNCTION,
        };
        Header { kind, unit: 0, function, key }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    fn memo(view: &View<'_>) -> Memo {
        Memo { kind: view.kind(), service: view.service() }
    }

    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        match (memo.kind, view.kind()) {
            (Some(pdu::REQUEST), Some(pdu::RESPONSE)) if memo.service != view.service() => Fit::Loose,
            (Some(asked), Some(told)) if asked <= told => Fit::Exact,
            _ => Fit::No,
        }
    }

    fn refusal(view: &View<'_>) -> Option<u8> {
        view.refusal()
    }

    /// ISO 9506-2 clause 7.2: services on domains, program invocations, variables, files.
    fn action(memo: &Memo) -> Option<Action> {
        match memo.kind? {
            pdu::INITIATE => return Some(Action::Connect),
            pdu::CONCLUDE => return Some(Action::Disconnect),
            pdu::REQUEST => {}
            _ => return None,
        }
        Some(match memo.service? {
            1 | 2 | 6 | 9 | 12 | 35 | 37 | 45 | 77 => Action::Browse,
            26..=28 | 33 | 46 => Action::Download,
            29..=31 | 34 | 72..=74 => Action::Upload,
            40 | 42 => Action::Start,
            41 | 44 => Action::Stop,
            43 => Action::Restart,
            10 | 13 | 36 | 39 | 67 | 76 => Action::Delete,
            3 | 7 | 8 | 11 | 38 | 75 => Action::Configure,
            _ => return None,
        })
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Blocks<'a> {
        let access = if view.kind() == Some(pdu::REQUEST) { Access::Write } else { Access::Read };
        let (names, is_list) = match view.variables() {
            Variables::List(names) => (names.rest(), true),
            _ => (view.named(), false),
        };
        let (values, members) = (view.values().rest(), Members::new(Leaves::new(&[], 0)));
        Blocks { names, is_list, values, members, access, entry: 0, leaf: 0 }
    }

    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        let name = target(&write.tag)?;
        let value = match write.change {
            Change::Bit(state) => Entry::Boolean(state),
            Change::Scalar { value, encoding } => entry(value, encoding)?,
            _ => return None,
        };
        Repr::Write { invoke: number, name, value }.emit(out)
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        if let Some(invoke) = view.invoke() {
            put("mms.invokeID", Field::Number(u64::from(invoke)));
        }
        if let Some(service) = view.service() {
            let name = match view.kind() {
                Some(pdu::REQUEST) => "mms.confirmedServiceRequest",
                Some(pdu::RESPONSE) => "mms.confirmedServiceResponse",
                _ => "mms.unconfirmedService",
            };
            put(name, Field::Number(u64::from(service)));
        }
        view.names(|name| match name.scope {
            1 => {
                put("mms.domainId", Field::Text(name.domain));
                put("mms.itemId", Field::Text(name.item));
            }
            0 => put("mms.vmd_specific", Field::Text(name.item)),
            _ => put("mms.aa_specific", Field::Text(name.item)),
        });
    }

    fn function_code(function: u16) -> Option<&'static str> {
        (function >= WITHOUT_SERVICE).then_some("")
    }

    fn function_name(function: u16) -> &'static str {
        match function {
            0 => "status, or information report",
            1 => "get name list",
            2 => "identify",
            3 => "rename",
            4 => "read",
            5 => "write",
            6 => "get variable access attributes",
            7 => "define named variable",
            10 => "delete variable access",
            11 => "define named variable list",
            12 => "get named variable list attributes",
            13 => "delete named variable list",
            19 => "take control",
            20 => "relinquish control",
            26 => "initiate download sequence",
            27 => "download segment",
            28 => "terminate download sequence",
            29 => "initiate upload sequence",
            30 => "upload segment",
            31 => "terminate upload sequence",
            33 => "load domain content",
            34 => "store domain content",
            36 => "delete domain",
            37 => "get domain attributes",
            38 => "create program invocation",
            39 => "delete program invocation",
            40 => "start",
            41 => "stop",
            42 => "resume",
            43 => "reset",
            44 => "kill",
            45 => "get program invocation attributes",
            46 => "obtain file",
            63 => "get alarm summary",
            65 => "read journal",
            66 => "write journal",
            67 => "initialize journal",
            72 => "file open",
            73 => "file read",
            74 => "file close",
            75 => "file rename",
            76 => "file delete",
            77 => "file directory",
            8 | 9 | 14..=18 | 21..=25 | 32 | 35 | 47..=62 | 64 | 68..=71 | 78..=86 => "other service",
            0x100..=0x10d => match (function - WITHOUT_SERVICE) as u8 {
                pdu::ERROR => "error",
                pdu::REJECT => "reject",
                pdu::CANCEL => "cancel",
                pdu::CANCELLED => "cancelled",
                pdu::CANCEL_ERROR => "not cancelled",
                pdu::INITIATE => "initiate",
                pdu::INITIATED => "initiated",
                pdu::INITIATE_ERROR => "not initiated",
                pdu::CONCLUDE => "conclude",
                pdu::CONCLUDED => "concluded",
                pdu::CONCLUDE_ERROR => "not concluded",
                _ => "no service",
            },
            _ => "undefined",
        }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        if text == "?" {
            return Some(Tag::default());
        }
        let decimal = |text: &str| {
            let plain =
                text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
            plain.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (name, leaf) = text.rsplit_once('/')?;
        let (domain, item) = name.split_once('/')?;
        let (item, member) = match item.rsplit_once('#') {
            Some((list, member)) if !list.is_empty() && decimal(member).is_some() => (list, decimal(member)),
            _ => (item, None),
        };
        let (scope, domain) = match domain {
            "" => (0, ""),
            "@" => (2, ""),
            domain => (1, domain),
        };
        let name = ObjectName { scope, domain: domain.as_bytes(), item: item.as_bytes() };
        (!item.is_empty()).then(|| decimal(leaf)).flatten().map(|leaf| tag(name, member, leaf))
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [domain, item, _] = tag.name.parts().map(String::from_utf8_lossy);
        let Some(leaf) = tag.address else { return f.write_str("?") };
        let domain = if tag.space & 3 == 2 { "@" } else { &domain };
        write!(f, "{domain}/{item}")?;
        if let Some(member) = (tag.space >> 8).checked_sub(1) {
            write!(f, "#{member}")?;
        }
        write!(f, "/{leaf}")
    }
}

/// Who sends it, where the message tells.
fn sender(view: &View<'_>) -> Sender {
    match view.kind() {
        Some(pdu::REQUEST | pdu::INITIATE | pdu::CONCLUDE | pdu::CANCEL) => Sender::Client,
        Some(pdu::REJECT) | None => Sender::Unknown,
        Some(_) => Sender::Server,
    }
}

fn tag(name: ObjectName<'_>, member: Option<u32>, leaf: u32) -> Tag<'_> {
    let space = u64::from(name.scope) | member.map_or(0, |member| u64::from(member) + 1) << 8;
    Tag { space, name: Name::new([name.domain, name.item]), address: Some(leaf) }
}

/// The variable that a tag names whole: its first value, not as a member of a list.
fn target<'a>(tag: &Tag<'a>) -> Option<ObjectName<'a>> {
    let [domain, item, _] = tag.name.parts();
    let scope = u8::try_from(tag.space).ok()?;
    (tag.address == Some(0)).then_some(ObjectName { scope, domain, item })
}

fn entry(value: Value, encoding: Encoding) -> Option<Entry<'static>> {
    Some(match (value, encoding) {
        (Value::Boolean(state), _) => Entry::Boolean(state),
        (Value::Integer(number), Encoding::U8 | Encoding::U16 | Encoding::U32 | Encoding::U64) => {
            Entry::Unsigned(u64::try_from(number).ok()?)
        }
        (Value::Integer(number), Encoding::F32) => Entry::Float(number as f32),
        (Value::Integer(number), Encoding::F64) => Entry::Double(number as f64),
        (Value::Integer(number), _) => Entry::Integer(number),
        (Value::Real(number), Encoding::F64) => Entry::Double(number.get()),
        (Value::Real(number), Encoding::F32 | Encoding::Native) => {
            Some(number.get() as f32).filter(|number| number.is_finite()).map(Entry::Float)?
        }
        _ => return None,
    })
}

/// The values of a message.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    /// The entries of a list from the variable at hand on; else how one name stands for all of them, if anything does.
    names: &'a [u8],
    is_list: bool,
    /// Behind the value at hand.
    values: &'a [u8],
    members: Members<'a>,
    access: Access,
    /// Values that were begun.
    entry: u32,
    /// The number of the next part of the value at hand.
    leaf: u32,
}

impl<'a> Blocks<'a> {
    /// The variable at hand, and its number in a list of that name.
    fn place(&self) -> Option<(ObjectName<'a>, Option<u32>)> {
        let place = if self.is_list {
            Names::new(self.names).next().flatten().map(|name| (name, None))
        } else if let Variables::Named(name) = Variables::read(self.names) {
            Some((name, self.entry.checked_sub(1)))
        } else {
            None
        };
        place.filter(|(name, _)| !name.item.is_empty())
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        loop {
            if let Some(member) = self.members.next() {
                let (tag, select) = self.place().map_or((Tag::default(), false), |(name, entry)| {
                    // IEC 61850-8-1 §20: the first of two steps writes to a variable of its own.
                    (tag(name, entry, self.leaf), name.item.ends_with(b"$SBOw"))
                });
                self.leaf += 1;
                let access =
                    if select && self.access == Access::Write { Access::Select } else { self.access };
                let block = Block::new(tag, access, member.leaf.data());
                return Some(Block { quality: member.quality, at: member.at, ..block });
            }
            let mut values = Reader::new(self.values, 0);
            let (value, bytes) = values.whole()?;
            self.values = values.rest();
            if self.is_list && self.entry > 0 {
                let mut names = Names::new(self.names);
                names.next();
                self.names = names.rest();
            }
            self.entry += 1;
            self.leaf = 0;
            // A failure in place of a value.
            if value.tag != 0x80 {
                self.members = Members::new(Leaves::new(bytes, 0));
            }
        }
    }
}
