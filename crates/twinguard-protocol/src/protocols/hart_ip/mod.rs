//! HART-IP: sessions over TCP and UDP, and the commands of field devices in them.
//!
//! Sources: HCF_SPEC-085 *HART-IP* (messages), HCF_SPEC-081 (frames of the token-passing data link), HCF_SPEC-099 (command
//! summary, status), HCF_SPEC-127 (universal commands), HCF_SPEC-151 (common-practice commands), HCF_SPEC-183 (codes); the
//! standard is also IEC 61158 type 20.
//!
//! Tags are `<device>/<variable>`. The device is `2695eb27b8`, its unique address of 38 bits; `#0`, a polling address; or
//! `self`, the server that direct messages mean. Variables: `pv`, `sv`, `tv`, `qv`, `loop` (mA), `range` (percent), `dv3`
//! (device variable 3), `damping`, `upper`, `lower` (of the range), `st0` (bytes of additional status). The unit code of a
//! message stands behind it, as in `pv@39`, and is no part of the place.

use core::fmt;

use twinguard_types::{Encoding, Label, Timestamp};

mod repr;
mod variables;
mod view;

pub use repr::{Content, Illegal, Repr};
pub use variables::Blocks;
pub use view::{COMMANDS_MAX, Command, Commands, Device, HEADER_LEN, Token, View, message};

use crate::protocol::{
    Action, Carrier, Change, Context, Cut, Field, Fit, Header, Kind, Name, Oddities, Protocol, Sender, Tag,
    Write,
};
use variables::{LOOP, RANGE};

/// The registered port (HCF_SPEC-085 §10.2).
pub const PORT: u16 = 5094;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct HartIp;

/// One message and when it came.
#[derive(Clone, Copy, Debug)]
pub struct Pdu<'a> {
    /// Its bytes.
    pub view: View<'a>,
    at: Timestamp,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// A device variable by its code; the dynamic ones have codes too.
    Device(u8),
    /// Damping of the primary variable in seconds.
    Damping,
    /// Upper end of its range.
    Upper,
    /// Lower end of its range.
    Lower,
    /// A byte of additional device status.
    Status(u8),
}

/// Names of the device variables that every device has, by their codes (HCF_SPEC-183 table 34).
const NAMES: [(u8, &str); 6] =
    [(246, "pv"), (247, "sv"), (248, "tv"), (249, "qv"), (LOOP, "loop"), (RANGE, "range")];

/// The meaning of a [`Tag`] of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Whose value it is.
    pub device: Device,
    /// Which.
    pub variable: Variable,
}

impl Place {
    /// The place of a tag of this family.
    #[must_use]
    pub fn of(tag: &Tag<'_>) -> Option<Self> {
        let low = tag.space & 0xff_ffff_ffff;
        let device = match tag.space >> 48 {
            0 => Device::Unique(low),
            1 => Device::Polling(u8::try_from(low).ok()?),
            2 => Device::Server,
            _ => return None,
        };
        let code = u8::try_from(tag.address?).ok()?;
        let variable = match tag.space >> 40 & 0xff {
            0 => Variable::Device(code),
            1 => Variable::Damping,
            2 => Variable::Upper,
            3 => Variable::Lower,
            4 => Variable::Status(code),
            _ => return None,
        };
        Some(Self { device, variable })
    }

    /// The tag of this place.
    #[must_use]
    pub fn tag(self) -> Tag<'static> {
        let device = match self.device {
            Device::Unique(address) => address & 0x3f_ffff_ffff,
            Device::Polling(address) => 1 << 48 | u64::from(address),
            Device::Server => 2 << 48,
        };
        let (kind, code) = match self.variable {
            Variable::Device(code) => (0, code),
            Variable::Damping => (1, 0),
            Variable::Upper => (2, 0),
            Variable::Lower => (3, 0),
            Variable::Status(index) => (4, index),
        };
        Tag { space: device | kind << 40, name: Name::default(), address: Some(u32::from(code)) }
    }
}

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    id: u8,
    number: Option<u16>,
    action: Option<Action>,
}

impl Protocol for HartIp {
    const FAMILY: Label = Label::literal("hart_ip");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT), Carrier::Udp(PORT)];

    type Pdu<'a> = Pdu<'a>;
    type Memo = Memo;
    type Session = ();
    type Shared = ();
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
        _session: &'a mut (),
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<Pdu<'a>> {
        Some(Pdu { view: View::new(bytes)?, at: context.at })
    }

    #[inline]
    fn header(Pdu { view, .. }: &Pdu<'_>) -> Header {
        let kind = match view.message_type() {
            0 => Kind::Request,
            1 => Kind::Response,
            2 => Kind::Event,
            _ => Kind::Exception,
        };
        let function = view.token().map_or(view.message_id(), |token| token.command);
        // HCF_SPEC-085 §10.3: a response repeats identifier and sequence number.
        let key = u64::from(view.message_id()) << 16 | u64::from(view.sequence());
        let key = (kind != Kind::Event).then_some(key);
        Header { kind, unit: 0, function: u16::from(function), key }
    }

    #[inline]
    fn oddities(pdu: &Pdu<'_>) -> Oddities {
        *pdu.view.oddities()
    }

    #[inline]
    fn memo(Pdu { view, .. }: &Pdu<'_>) -> Memo {
        let action = match view.message_id() {
            message::INITIATE => Some(Action::Connect),
            message::CLOSE => Some(Action::Disconnect),
            message::AUDIT_LOG => Some(Action::Browse),
            _ => view.commands().find_map(|command| action(command.number)),
        };
        let number = view.commands().next().map(|command| command.number);
        Memo { id: view.message_id(), number, action: action.filter(|_| view.message_type() == 0) }
    }

    #[inline]
    fn fit(memo: &Memo, Pdu { view, .. }: &Pdu<'_>) -> Fit {
        let number = view.commands().next().map(|command| command.number);
        match memo.id == view.message_id() {
            true if number == memo.number || number.is_none() => Fit::Exact,
            true => Fit::Loose,
            false => Fit::No,
        }
    }

    fn refusal(Pdu { view, .. }: &Pdu<'_>) -> Option<u8> {
        if view.message_type() == 0 {
            return None;
        }
        let code = view.commands().find_map(|command| command.code.filter(|code| is_refusal(*code)));
        code.or((view.status() != 0).then_some(view.status()))
    }

    fn action(memo: &Memo) -> Option<Action> {
        memo.action
    }

    #[inline]
    fn blocks<'a>(pdu: &Self::Pdu<'a>, _request: Option<&Memo>) -> Self::Blocks<'a> {
        Blocks::new(&pdu.view, pdu.at)
    }

    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        let Place { device, variable } = Place::of(&write.tag)?;
        let Change::Scalar { value, encoding: Encoding::Native | Encoding::F32 } = write.change else {
            return None;
        };
        let float = (value.as_f64() as f32).to_be_bytes();
        let [f0, f1, f2, f3] = float;
        let (command, data): (u16, &[u8]) = match variable {
            // A fixed current; a fixed variable, in the unit that it has (250: as it is).
            Variable::Device(LOOP) => (40, &float),
            Variable::Device(code) if code < RANGE => (79, &[code, 1, 250, f0, f1, f2, f3, 0]),
            Variable::Damping => (34, &float),
            _ => return None,
        };
        let content = Content::Request { device, command, data };
        out.extend(Repr::new(number as u16, content).ok()?.emit());
        Some(())
    }

    fn fields(Pdu { view, .. }: &Pdu<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let number = |value: u8| Field::Number(u64::from(value));
        let hex = |value: u8| Field::Hex(u64::from(value), 2);
        put("hart_ip.version", number(view.version()));
        put("hart_ip.message_type", number(view.message_type()));
        put("hart_ip.message_id", number(view.message_id()));
        put("hart_ip.status", number(view.status()));
        put("hart_ip.transaction_id", Field::Number(u64::from(view.sequence())));
        put("hart_ip.msg_length", Field::Number(u64::from(view.length())));
        if let ([master, t3, t2, t1, t0, ..], message::INITIATE) = (view.body(), view.message_id()) {
            put("hart_ip.session_init.master_type", number(*master));
            let timer = u32::from_be_bytes([*t3, *t2, *t1, *t0]);
            put("hart_ip.session_init.inactivity_close_timer", Field::Number(u64::from(timer)));
        }
        let Some(token) = view.token() else { return };
        put("hart_ip.pt.delimiter", hex(token.delimiter));
        match token.address {
            [one] => put("hart_ip.pt.short_addr", number(one & 0x3f)),
            long => put("hart_ip.pt.long_address", Field::Bytes(long)),
        }
        put("hart_ip.pt.command", number(token.command));
        put("hart_ip.pt.length", number(token.count));
        if let [code, status, ..] = token.data
            && token.is_answer()
        {
            put("hart_ip.pt.response_code", number(*code));
            put("hart_ip.pt.device_status", hex(*status));
        }
        if let Some(check) = token.check {
            put("hart_ip.pt.checksum", hex(check));
        }
    }

    fn function_name(function: u16) -> &'static str {
        match function {
            0 => "Read Unique Identifier or Session Initiate",
            1 => "Read Primary Variable or Session Close",
            2 => "Read Loop Current And Percent Of Range or Keep Alive",
            3 => "Read Dynamic Variables And Loop Current",
            4 => "direct message",
            5 => "Read Audit Log",
            6 => "Write Polling Address",
            7 => "Read Loop Configuration",
            8 => "Read Dynamic Variable Classifications",
            9 => "Read Device Variables With Status",
            11 => "Read Unique Identifier Associated With Tag",
            12 => "Read Message",
            13 => "Read Tag, Descriptor, Date",
            14 => "Read Primary Variable Transducer Information",
            15 => "Read Device Information",
            16 => "Read Final Assembly Number",
            17 => "Write Message",
            18 => "Write Tag, Descriptor, Date",
            19 => "Write Final Assembly Number",
            20 => "Read Long Tag",
            21 => "Read Unique Identifier Associated With Long Tag",
            22 => "Write Long Tag",
            31 => "extended command",
            33 => "Read Device Variables",
            34 => "Write Primary Variable Damping Value",
            35 => "Write Primary Variable Range Values",
            36 => "Set Primary Variable Upper Range Value",
            37 => "Set Primary Variable Lower Range Value",
            38 => "Reset Configuration Changed Flag",
            40 => "Enter/Exit Fixed Current Mode",
            41 => "Perform Self Test",
            42 => "Perform Device Reset",
            43 => "Set Primary Variable Zero",
            44 => "Write Primary Variable Units",
            45 => "Trim Loop Current Zero",
            46 => "Trim Loop Current Gain",
            47 => "Write Primary Variable Transfer Function",
            48 => "Read Additional Device Status",
            71 => "Lock Device",
            79 => "Write Device Variable",
            89 => "Set Real-Time Clock",
            _ => "other",
        }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let (device, variable) = text.split_once('/')?;
        let device = match device.as_bytes() {
            b"self" => Device::Server,
            [b'#', ..] => Device::Polling(number(device.get(1..)?).filter(|address| *address < 64)?),
            digits
                if digits.len() == 10
                    && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) =>
            {
                Device::Unique(u64::from_str_radix(device, 16).ok().filter(|address| address >> 38 == 0)?)
            }
            _ => return None,
        };
        let (variable, unit) = match variable.split_once('@') {
            Some((variable, unit)) => (variable, Some(unit)),
            None => (variable, None),
        };
        if let Some(unit) = unit {
            number::<u8>(unit)?;
        }
        let named = NAMES.iter().find(|(_, name)| *name == variable);
        let variable = match (named, variable) {
            (Some((code, _)), _) => Variable::Device(*code),
            (None, "damping") => Variable::Damping,
            (None, "upper") => Variable::Upper,
            (None, "lower") => Variable::Lower,
            (None, other) => match (other.strip_prefix("dv"), other.strip_prefix("st")) {
                (Some(code), _) => Variable::Device(number(code).filter(|code| name_of(*code).is_none())?),
                (None, Some(index)) => Variable::Status(number(index)?),
                (None, None) => return None,
            },
        };
        Some(Place { device, variable }.tag())
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Place { device, variable }) = Place::of(tag) else { return f.write_str("?") };
        match device {
            Device::Unique(address) => write!(f, "{address:010x}/")?,
            Device::Polling(address) => write!(f, "#{address}/")?,
            Device::Server => f.write_str("self/")?,
        }
        match variable {
            Variable::Device(code) => match name_of(code) {
                Some(name) => f.write_str(name),
                None => write!(f, "dv{code}"),
            },
            Variable::Damping => f.write_str("damping"),
            Variable::Upper => f.write_str("upper"),
            Variable::Lower => f.write_str("lower"),
            Variable::Status(index) => write!(f, "st{index}"),
        }
    }

    fn write_place(tag: &Tag<'_>, variant: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::write_tag(tag, f)?;
        match variant.checked_sub(1) {
            Some(unit) => write!(f, "@{unit}"),
            None => Ok(()),
        }
    }
}

fn name_of(code: u8) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

/// Whether a response code refuses: not success, and no warning (HCF_SPEC-099 §8.1; with bit 7 an error on the line).
const fn is_refusal(code: u8) -> bool {
    !matches!(code, 0 | 8 | 14 | 24..=27 | 30 | 31 | 96..=127)
}

/// What a command does to the device (HCF_SPEC-127 §6, HCF_SPEC-151 §7).
const fn action(number: u16) -> Option<Action> {
    match number {
        42 => Some(Action::Restart),
        89 => Some(Action::SetTime),
        6 | 17..=19 | 22 | 34..=38 | 40 | 41 | 43..=47 | 49 | 51..=53 | 55 | 56 | 58 | 59 => {
            Some(Action::Configure)
        }
        65..=69 | 71 | 79 | 82 | 83 | 87 | 88 | 92 | 97 | 99 | 102..=104 | 106..=109 | 116..=118 => {
            Some(Action::Configure)
        }
        // HART 7 extended: date of locking, burst and event configuration.
        512 | 513 | 516 | 517 | 519 | 520 | 522 | 523 | 525 | 533 => Some(Action::Configure),
        11 | 21 | 73 | 74 | 75 | 84 => Some(Action::Browse),
        _ => None,
    }
}

/// Decimal digits alone: one way to write a tag.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
