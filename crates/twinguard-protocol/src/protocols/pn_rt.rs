//! PROFINET real-time frames: cyclic data with their status, alarms, time and configuration by frame identifier.
//!
//! Source: IEC 61158-6-10 (type 10: FAL, clauses 4.2 and 4.7 coding of frame identifier, `APDU_Status`).
//!
//! [`View`] shows any bytes and flags what is odd, [`Repr`] holds legal cyclic frames alone and writes them. What a
//! cyclic frame carries is a memory of bytes, since only the connection that was made before says what lies where: tags
//! are `<frame identifier, four hexadecimal digits>/<offset from 0>`: `8000/12`.

use core::fmt;

use twinguard_types::{Label, Oddity, Quality};

use crate::protocol::{
    Access, Block, Carrier, Cell, Context, Cut, Data, Field, Fit, Header, Kind, Name, Oddities, Protocol,
    Sender, Tag, Width,
};

/// EtherType of PROFINET.
pub const ETHER_TYPE: u16 = 0x8892;
/// Octets of the status behind cyclic data: cycle counter, data status, transfer status.
pub const STATUS_LEN: usize = 4;
/// Least and most octets of cyclic data.
pub const DATA: core::ops::RangeInclusive<usize> = 40..=1440;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct PnRt;

/// What a frame identifier stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Time synchronisation.
    Time,
    /// Cyclic data of RT class 3 (isochronous).
    Cyclic3,
    /// Cyclic data of RT class 2.
    Cyclic2,
    /// Cyclic data of RT class 1, over UDP too.
    Cyclic1,
    /// An alarm of high or low priority.
    Alarm,
    /// A remote service (RSI).
    Service,
    /// Discovery and configuration, see `pn_dcp`.
    Configuration,
    /// A part of a larger frame.
    Fragment,
    /// None of the standard.
    Reserved,
}

impl Class {
    /// The class of a frame identifier.
    #[must_use]
    pub const fn of(frame_id: u16) -> Self {
        match frame_id {
            0x0000..=0x00ff | 0xff00..=0xff43 => Self::Time,
            0x0100..=0x0fff => Self::Cyclic3,
            0x8000..=0xbfff => Self::Cyclic2,
            0xc000..=0xfbff => Self::Cyclic1,
            0xfc01 | 0xfe01 => Self::Alarm,
            0xfe02 => Self::Service,
            0xfefc..=0xfeff => Self::Configuration,
            0xff80..=0xff8f => Self::Fragment,
            _ => Self::Reserved,
        }
    }

    /// Whether such frames end with a status.
    #[must_use]
    pub const fn is_cyclic(self) -> bool {
        matches!(self, Self::Cyclic1 | Self::Cyclic2 | Self::Cyclic3)
    }
}

/// The status behind cyclic data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Counts in units of 31.25 µs.
    pub cycle_counter: u16,
    /// 1 primary, 4 data valid, 0x10 provider runs, 0x20 no problem.
    pub data: u8,
    /// 0 when the frame was received whole.
    pub transfer: u8,
}

impl Status {
    /// Whether the data are to be used: bit `DataValid`.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.data & 0x04 != 0
    }

    /// Whether the provider's program runs: bit `ProviderState`.
    #[must_use]
    pub const fn runs(self) -> bool {
        self.data & 0x10 != 0
    }

    /// Whether it comes from the primary of a redundant pair: bit `State`.
    #[must_use]
    pub const fn is_primary(self) -> bool {
        self.data & 0x01 != 0
    }

    /// Whether the provider has no problem: bit `StationProblemIndicator`.
    #[must_use]
    pub const fn is_well(self) -> bool {
        self.data & 0x20 != 0
    }

    /// What this says of the data.
    #[must_use]
    pub const fn quality(self) -> Quality {
        if self.transfer != 0 || !self.is_valid() {
            Quality::Bad
        } else if !self.runs() || !self.is_primary() {
            Quality::Uncertain
        } else {
            Quality::Good
        }
    }
}

/// A view on one frame, from its frame identifier on; shows any bytes that hold it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    frame_id: u16,
    data: &'a [u8],
    status: Option<Status>,
    oddities: Oddities,
}

impl<'a> View<'a> {
    /// Reads a frame; `None` when it has no frame identifier.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let ([high, low], rest) = bytes.split_first_chunk()?;
        let frame_id = u16::from_be_bytes([*high, *low]);
        let class = Class::of(frame_id);
        let mut oddities = Oddities::NONE;
        let (data, status) = match rest.split_last_chunk::<STATUS_LEN>() {
            Some((data, [c1, c0, status, transfer])) if class.is_cyclic() => {
                let cycle_counter = u16::from_be_bytes([*c1, *c0]);
                (data, Some(Status { cycle_counter, data: *status, transfer: *transfer }))
            }
            None if class.is_cyclic() => {
                oddities.push(Oddity::Truncated, bytes.len());
                (rest, None)
            }
            _ => (rest, None),
        };
        if class == Class::Reserved {
            oddities.push(Oddity::UnknownFunction, 0);
        }
        if let Some(status) = status {
            if !DATA.contains(&data.len()) {
                oddities.push(Oddity::BadQuantity, 2);
            }
            // Bits 4 and 7 are reserved or to be ignored, bit 2 is reserved.
            if status.data & 0x08 != 0 || status.transfer != 0 {
                oddities.push(Oddity::BadValue, bytes.len() - 2);
            }
        }
        Some(Self { bytes, frame_id, data, status, oddities })
    }

    /// All bytes of the frame.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Frame identifier.
    #[must_use]
    pub const fn frame_id(&self) -> u16 {
        self.frame_id
    }

    /// The bytes behind the frame identifier, without the status of cyclic data.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The status of cyclic data.
    #[must_use]
    pub const fn status(&self) -> Option<Status> {
        self.status
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

/// The cycle counter of the last cyclic frame in each direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Session {
    last: [Option<(u16, u16)>; 2],
}

impl Session {
    /// Flags a frame whose cycle counter is not ahead of the last one's: repeated, or older.
    fn note(&mut self, end: usize, view: &mut View<'_>) {
        let (Some(status), Some(last)) = (view.status, self.last.get_mut(end)) else { return };
        if let Some((frame_id, counter)) = *last
            && frame_id == view.frame_id
        {
            // The counter wraps after 2.048 s; less than half of it ahead is later (clause 4.7.2.1.3.1).
            let ahead = status.cycle_counter.wrapping_sub(counter);
            if ahead == 0 || ahead > 0xf000 {
                view.oddities.push(Oddity::DuplicateTransaction, view.bytes.len() - STATUS_LEN);
                return;
            }
        }
        *last = Some((view.frame_id, status.cycle_counter));
    }
}

impl Protocol for PnRt {
    const FAMILY: Label = Label::literal("pn_rt");
    const CARRIERS: &'static [Carrier] = &[Carrier::EtherType(ETHER_TYPE)];

    type Pdu<'a> = View<'a>;
    type Memo = ();
    type Session = Session;
    type Shared = ();
    type Blocks<'a> = core::option::IntoIter<Block<'a>>;

    /// One frame, one message.
    fn cut(bytes: &[u8]) -> Cut {
        if bytes.len() < 2 { Cut::More(2) } else { Cut::Message(bytes.len()) }
    }

    /// Nothing in these frames is beyond doubt without their EtherType.
    fn probe(_bytes: &[u8]) -> Option<Sender> {
        None
    }

    fn lies_in(_bytes: &[u8]) -> bool {
        true
    }

    fn decode<'a>(
        session: &'a mut Session,
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        let mut view = View::new(bytes)?;
        session.note(usize::from(context.source > context.destination), &mut view);
        Some(view)
    }

    fn header(view: &View<'_>) -> Header {
        let class = Class::of(view.frame_id);
        let kind = if class.is_cyclic() || class == Class::Alarm { Kind::Event } else { Kind::Control };
        Header { kind, unit: 0, function: view.frame_id, key: None }
    }

    fn oddities(view: &View<'_>) -> Oddities {
        view.oddities
    }

    fn memo(_view: &View<'_>) {}

    fn fit(_memo: &(), _view: &View<'_>) -> Fit {
        Fit::No
    }

    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&()>) -> Self::Blocks<'a> {
        let block = view.status.map(|status| Block {
            quality: status.quality(),
            ..Block::new(tag(view.frame_id, 0), Access::Read, Data::Bytes(view.data))
        });
        block.into_iter()
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        put("pn_rt.frame_id", Field::Number(u64::from(view.frame_id)));
        if let Some(status) = view.status {
            put("pn_rt.cycle_counter", Field::Number(u64::from(status.cycle_counter)));
            put("pn_rt.ds", Field::Hex(u64::from(status.data), 2));
            put("pn_rt.transfer_status", Field::Number(u64::from(status.transfer)));
        }
    }

    fn function_name(function: u16) -> &'static str {
        match Class::of(function) {
            Class::Time => "time synchronisation",
            Class::Cyclic3 => "cyclic data, class 3",
            Class::Cyclic2 => "cyclic data, class 2",
            Class::Cyclic1 => "cyclic data, class 1",
            Class::Alarm if function == 0xfc01 => "alarm, high",
            Class::Alarm => "alarm, low",
            Class::Service => "remote service",
            Class::Configuration => "discovery and configuration",
            Class::Fragment => "fragment",
            Class::Reserved => "undefined",
        }
    }

    fn cell(_tag: &Tag<'_>) -> Cell {
        Cell { width: Width::Byte, last: *DATA.end() as u32 - 1 }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let (frame_id, offset) = text.split_once('/')?;
        let digits = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let frame_id = Some(frame_id).filter(|text| text.len() == 4 && digits(text))?;
        let decimal = offset.bytes().all(|byte| byte.is_ascii_digit());
        let plain = decimal && (offset == "0" || !offset.starts_with('0'));
        let offset = plain.then(|| offset.parse().ok()).flatten()?;
        Some(tag(u16::from_str_radix(frame_id, 16).ok()?, offset))
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match tag.address {
            Some(offset) => write!(f, "{:04x}/{offset}", tag.space),
            None => write!(f, "{:04x}/?", tag.space),
        }
    }
}

fn tag(frame_id: u16, offset: u32) -> Tag<'static> {
    Tag { space: u64::from(frame_id), name: Name::default(), address: Some(offset) }
}

/// A legal cyclic frame.
///
/// ```
/// use twinguard_protocol::protocols::pn_rt::{Repr, Status, View};
///
/// let status = Status { cycle_counter: 64, data: 0x35, transfer: 0 };
/// let frame = Repr::cyclic(0x8000, status, &[0; 40]).unwrap();
/// assert_eq!(View::new(frame.as_bytes()).unwrap().status(), Some(status));
/// assert!(Repr::cyclic(0xfefe, status, &[0; 40]).is_none(), "it is no cyclic frame");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repr(Vec<u8>);

impl Repr {
    /// Cyclic data with their status; `None` for what the standard forbids.
    #[must_use]
    pub fn cyclic(frame_id: u16, status: Status, data: &[u8]) -> Option<Self> {
        let mut out = frame_id.to_be_bytes().to_vec();
        out.extend(data);
        out.extend(status.cycle_counter.to_be_bytes());
        out.extend([status.data, status.transfer]);
        View::new(&out).filter(|view| view.status.is_some() && view.oddities.is_empty())?;
        Some(Self(out))
    }

    /// The bytes, from the frame identifier on.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: Status = Status { cycle_counter: 0x100, data: 0x35, transfer: 0 };

    #[test]
    fn the_status_tells_the_quality() {
        let check =
            |data, transfer, quality| assert_eq!(Status { data, transfer, ..GOOD }.quality(), quality);
        check(0x35, 0, Quality::Good);
        check(0x15, 0, Quality::Good);
        check(0x25, 0, Quality::Uncertain);
        check(0x34, 0, Quality::Uncertain);
        check(0x31, 0, Quality::Bad);
        check(0x35, 1, Quality::Bad);
        assert!(GOOD.is_well());
    }

    #[test]
    fn what_is_odd_is_flagged() {
        let odd = |bytes: &[u8]| View::new(bytes).unwrap().oddities().iter().collect::<Vec<_>>();
        assert_eq!(odd(&[0x80, 0, 1]), [(Oddity::Truncated, 3)]);
        assert_eq!(odd(&[0x80, 0, 1, 0, 1, 0x35, 0]), [(Oddity::BadQuantity, 2)]);
        assert_eq!(odd(&[0x10, 0]), [(Oddity::UnknownFunction, 0)]);
        assert_eq!(odd(&[0xfe, 0xfe]), []);
        assert!(View::new(&[0x80]).is_none());
    }

    #[test]
    fn a_counter_that_stays_repeats() {
        let mut session = Session::default();
        let mut say = |end, cycle_counter| {
            let frame = Repr::cyclic(0x8000, Status { cycle_counter, ..GOOD }, &[0; 40]).unwrap();
            let mut view = View::new(frame.as_bytes()).unwrap();
            session.note(end, &mut view);
            view.oddities.is_empty()
        };
        assert!(say(0, 0xffc0) && say(1, 7) && say(0, 0), "it wraps");
        assert!(!say(0, 0) && !say(0, 0xffc0) && say(0, 0x40));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            frame_id in 0x8000..0xfc00u16,
            (cycle_counter, data) in (any::<u16>(), prop::sample::select(vec![0x35u8, 0x15, 0x05, 0x00])),
            bytes in prop::collection::vec(any::<u8>(), 40..200),
        ) {
            let status = Status { cycle_counter, data, transfer: 0 };
            let repr = Repr::cyclic(frame_id, status, &bytes).unwrap();
            let view = View::new(repr.as_bytes()).unwrap();
            prop_assert_eq!((view.frame_id(), view.status(), view.data()), (frame_id, Some(status), &bytes[..]));
            let tag = PnRt::blocks(&view, None).next().unwrap().tag;
            let text = fmt::from_fn(|f| PnRt::write_tag(&tag, f)).to_string();
            prop_assert_eq!(PnRt::parse_tag(&text), Some(tag));
        }
    }
}
