//! Beckhoff ADS over AMS/TCP: TwinCAT's own protocol.
//!
//! Source: Beckhoff Information System, *TwinCAT ADS/AMS Specification* (sections by name at the items).
//!
//! [`View`] shows any bytes and flags what is odd, [`Repr`] holds legal messages alone and writes them, [`Session`] knows
//! which memory a response or a notification tells of, and which symbol a handle stands for.
//!
//! Tags are `PORT/0xGROUP/OFFSET` for a memory and `PORT/SYMBOL` or `PORT/SYMBOL@OFFSET` for a symbol: the AMS port of the
//! device (851 is the first PLC), the index group in hexadecimal, the offset in bytes. The device's `NetId` is no part of
//! them: it is found by the endpoint. Values are bytes, the least significant first (`order = "dcba"` in bindings).

use core::fmt;

use twinguard_types::Label;

mod session;
mod tag;
mod values;
mod view;

pub use session::{HANDLES_MAX, NAME_MAX, REQUESTS_MAX, Session, TEXT_MAX, TEXTS_MAX, Tables};
pub use values::Blocks;
pub use view::{
    AmsAddress, Body, COMMAND, HEADER_LEN, Illegal, RESPONSE, Repr, STREAM_MAX, TCP_HEADER_LEN, View,
};

use crate::protocol::{
    Action, Address, Carrier, Cell, Context, Cut, Field, Fit, Header, Kind, Oddities, Protocol, Sender, Tag,
    Width, Write,
};

/// The registered port.
pub const PORT: u16 = 48898;
/// The AMS port of a device's system service.
const SYSTEM: u16 = 10_000;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Ams;

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    command: u16,
    port: u16,
    /// Index group, or ADS state.
    group: u32,
}

impl Protocol for Ams {
    const FAMILY: Label = Label::literal("ams");
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
        let (mut rest, mut found) = (bytes, None);
        for _ in 0..8 {
            let Cut::Message(len) = view::cut(rest) else { return None };
            let (message, after) = rest.split_at_checked(len)?;
            let view = View::new(message).filter(|view| view.oddities().is_empty())?;
            // Flags beyond "response", "command" and "UDP" are rare: more doubt than worth.
            let plain = view.flags() & !0x41 == COMMAND && view.target().port != 0 && view.source().port != 0;
            let answers = view.is_response() || view.command() == 8;
            let sender = if answers { Sender::Server } else { Sender::Client };
            if !plain || found.is_some_and(|known| known != sender) {
                return None;
            }
            found = Some(sender);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        found
    }

    fn absorb(_session: &mut Session, _source: &Address, bytes: &[u8]) -> bool {
        // What a router tells its own programs.
        !matches!(bytes, [0, 0, ..])
    }

    #[inline]
    fn decode<'a>(
        session: &'a mut Session,
        _shared: &'a mut (),
        _context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        View::new(bytes).map(|view| session.read(view))
    }

    fn header(view: &View<'_>) -> Header {
        let (kind, key) = match view.body() {
            Body::Notes { .. } => (Kind::Event, None),
            _ if !view.is_response() => {
                // Flag "no return": nothing answers.
                (Kind::Request, Some(session::key(view)).filter(|_| view.flags() & 2 == 0))
            }
            _ if view.refusal() != 0 => (Kind::Exception, Some(session::key(view))),
            _ => (Kind::Response, Some(session::key(view))),
        };
        Header { kind, unit: view.device().port, function: view.command(), key }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    fn memo(view: &View<'_>) -> Memo {
        let group = match view.body() {
            Body::Read { group, .. } | Body::Write { group, .. } | Body::ReadWrite { group, .. } => group,
            Body::Control { ads, .. } => u32::from(ads),
            _ => 0,
        };
        Memo { command: view.command(), port: view.device().port, group }
    }

    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        if memo.command == view.command() { Fit::Exact } else { Fit::Loose }
    }

    /// The low byte of the error or result.
    fn refusal(view: &View<'_>) -> Option<u8> {
        Some(view.refusal() as u8).filter(|_| view.refusal() != 0)
    }

    fn action(memo: &Memo) -> Option<Action> {
        match (memo.command, memo.group) {
            (1, _) | (2 | 9, 0xf006..=0xf01f) => Some(Action::Browse),
            // "ADS Write Control": ADSSTATE_RESET, _START, _RUN, _RESUME, _STOP, _SHUTDOWN, _SUSPEND, _CONFIG, _RECONFIG.
            (5, 2) => Some(Action::Restart),
            (5, 4 | 5 | 14) => Some(Action::Start),
            (5, 6 | 12 | 13 | 15 | 16) => Some(Action::Stop),
            (5, _) => Some(Action::Configure),
            // The system service (`SYSTEMSERVICE_*`): files, routes.
            (9 | 3, 123) if memo.port == SYSTEM => Some(Action::Download),
            (9 | 2, 122) if memo.port == SYSTEM => Some(Action::Upload),
            (9 | 3, 131) if memo.port == SYSTEM => Some(Action::Delete),
            (9 | 3, 801 | 802) if memo.port == SYSTEM => Some(Action::Configure),
            _ => None,
        }
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Blocks<'a> {
        Blocks::new(view)
    }

    /// A write of a memory; the `NetId`s and the sender's port are 0 and for the sender's router to put in.
    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        let (port, group, offset) = tag::place(&write.tag)?;
        let data = Some(write.bytes()).filter(|bytes| !bytes.is_empty())?;
        let repr = Repr {
            target: AmsAddress { port, ..AmsAddress::default() },
            source: AmsAddress::default(),
            command: 3,
            flags: COMMAND,
            error: 0,
            invoke: number,
            body: Body::Write { group, offset, data },
        };
        repr.emit(out).ok()
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let number = |value: u32| Field::Number(u64::from(value));
        let hex = |value: u32| Field::Hex(u64::from(value), 8);
        for (net, port, AmsAddress { net: [a, b, c, d, e, f], port: at }) in [
            ("ams.targetnetid", "ams.targetport", view.target()),
            ("ams.sendernetid", "ams.senderport", view.source()),
        ] {
            put(net, Field::Text(format!("{a}.{b}.{c}.{d}.{e}.{f}").as_bytes()));
            put(port, number(u32::from(at)));
        }
        put("ams.cmdid", number(u32::from(view.command())));
        put("ams.stateflags", Field::Hex(u64::from(view.flags()), 4));
        put("ams.cbdata", number(view.data_len()));
        put("ams.errorcode", hex(view.error()));
        put("ams.invokeid", hex(view.invoke()));
        match view.body() {
            Body::Read { group, offset, len } => {
                put("ams.ads_indexgroup", hex(group));
                put("ams.ads_indexoffset", hex(offset));
                put("ams.ads_cblength", number(len));
            }
            Body::Write { group, offset, data } => {
                put("ams.ads_indexgroup", hex(group));
                put("ams.ads_indexoffset", hex(offset));
                put("ams.ads_cblength", number(data.len() as u32));
            }
            Body::ReadWrite { group, offset, read, data } => {
                put("ams.ads_indexgroup", hex(group));
                put("ams.ads_indexoffset", hex(offset));
                put("ams.ads_cbreadlength", number(read));
                put("ams.ads_cbwritelength", number(data.len() as u32));
            }
            Body::Notify { group, offset, len, mode, max_delay, cycle } => {
                put("ams.ads_indexgroup", hex(group));
                put("ams.ads_indexoffset", hex(offset));
                put("ams.ads_cblength", number(len));
                put("ams.ads_transmode", number(mode));
                put("ams.ads_maxdelay", number(max_delay));
                put("ams.ads_cycletime", number(cycle));
            }
            Body::Data { result, data } => {
                put("ams.adsresult", hex(result));
                put("ams.ads_cblength", number(data.len() as u32));
            }
            Body::State { result, ads, device } => {
                put("ams.adsresult", hex(result));
                put("ams.ads_state", Field::Hex(u64::from(ads), 4));
                put("ams.ads_devicestate", Field::Hex(u64::from(device), 4));
            }
            Body::Control { ads, device, .. } => {
                put("ams.ads_state", Field::Hex(u64::from(ads), 4));
                put("ams.ads_devicestate", Field::Hex(u64::from(device), 4));
            }
            Body::Handle { result, handle } => {
                put("ams.adsresult", hex(result));
                put("ams.ads_notificationhandle", hex(handle));
            }
            Body::Unnotify { handle } => put("ams.ads_notificationhandle", hex(handle)),
            Body::Result { result } | Body::DeviceInfo { result, .. } => put("ams.adsresult", hex(result)),
            Body::Empty | Body::Notes { .. } | Body::Opaque { .. } => {}
        }
    }

    fn function_name(function: u16) -> &'static str {
        match function {
            1 => "read device info",
            2 => "read",
            3 => "write",
            4 => "read state",
            5 => "write control",
            6 => "add device notification",
            7 => "delete device notification",
            8 => "device notification",
            9 => "read write",
            _ => "undefined",
        }
    }

    fn cell(_tag: &Tag<'_>) -> Cell {
        Cell { width: Width::Byte, last: u32::MAX }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        tag::parse(text)
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tag::write(tag, f)
    }
}

#[cfg(test)]
mod tests;
