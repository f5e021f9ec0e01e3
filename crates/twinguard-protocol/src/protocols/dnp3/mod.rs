//! DNP3 over TCP and UDP.
//!
//! Source: IEEE Std 1815-2012, *IEEE Standard for Electric Power Systems Communications: Distributed Network Protocol
//! (DNP3)*: clause 4 (application layer), 8 (transport function), 9 (data link layer), 11 (objects), 13 (IP networking),
//! annex A (object library).
//!
//! A message is one link frame. [`View`] shows it; the frame that completes an application fragment shows that fragment,
//! earlier frames show the link alone. [`Repr`] holds legal messages and writes them.
//!
//! Tags are `<outstation>/g<group>v<variation>/<index>`: the outstation's link address, object group and variation, point
//! index. Groups of one kind of point (static values, events, commands) are one place whatever the variation, and the
//! place by itself is written with the static group and variation 0, any variation: `10/g32v3/4` is `10/g30v0/4`.
//! A device attribute (group 0) is named by its variation.

use core::fmt;

use twinguard_types::{Label, Oddity};

mod application;
mod fields;
mod function;
mod link;
mod object;
mod point;
mod repr;
mod transport;

pub use application::{Fragment, Prefix, Range, Section, Sections};
pub use function::{Function, status_name};
pub use link::{FRAME_MAX, HEADER_LEN, Link, START, USER_DATA_MAX, crc};
pub use object::{Flags, Layout, Number, Object, Time, group_name, layout, point_type};
pub use point::Points;
pub use repr::{Illegal, MASTER, Objects, REPR_MAX, Repr};
pub use transport::{Assembler, FRAGMENT_MAX, PAIRS_MAX, SEGMENT_MAX};

use crate::protocol::{
    Access, Action, Carrier, Context, Cut, Field, Fit, Header, Kind, Name, Oddities, Protocol, Sender, Tag,
    Write,
};

/// The registered port, TCP and UDP (13.2.2).
pub const PORT: u16 = 20000;

/// Frames that are looked at to recognise a conversation.
const PROBED_MAX: usize = 8;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Dnp3;

/// A place of DNP3, the meaning of a [`Tag`] of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Link address of the outstation.
    pub outstation: u16,
    /// The kind of point, as its static group; see [`point_type`].
    pub group: u8,
    /// Which device attribute; 0 for all other groups.
    pub attribute: u8,
    /// Point index.
    pub index: u32,
}

impl Place {
    /// The place that a message names by these.
    #[must_use]
    pub const fn new(outstation: u16, group: u8, variation: u8, index: u32) -> Self {
        let attribute = if group == 0 { variation } else { 0 };
        Self { outstation, group: point_type(group), attribute, index }
    }

    /// The place of a tag of this family.
    #[must_use]
    pub fn of(tag: &Tag<'_>) -> Option<Self> {
        let [.., o1, o0, group, attribute] = tag.space.to_be_bytes();
        Some(Self { outstation: u16::from_be_bytes([o1, o0]), group, attribute, index: tag.address? })
    }

    /// The tag of this place.
    #[must_use]
    pub fn tag(self) -> Tag<'static> {
        let [o1, o0] = self.outstation.to_be_bytes();
        let space = u32::from_be_bytes([o1, o0, self.group, self.attribute]);
        Tag { space: space.into(), name: Name::default(), address: Some(self.index) }
    }
}

/// A link frame and, where it completes one, an application fragment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    link: Link<'a>,
    fragment: Option<Fragment<'a>>,
    oddities: Oddities,
}

impl<'a> View<'a> {
    /// The frame in these bytes, in the conversation that the assembler knows; `None` when there is no link header.
    #[must_use]
    pub fn new(assembler: &'a mut Assembler, bytes: &'a [u8]) -> Option<Self> {
        let link = Link::new(bytes)?;
        let mut oddities = *link.oddities();
        let whole = assembler.push(&link, &mut oddities);
        let fragment = whole.and_then(|whole| {
            let found = Fragment::new(whole.fragment);
            match &found {
                Some(fragment) => {
                    fragment.check(&mut oddities);
                    if fragment.function == Function::RESPONSE {
                        let (first, last) = (fragment.is_first(), fragment.is_last());
                        whole.follow(first, last, fragment.sequence(), &mut oddities);
                    }
                }
                None => oddities.push(Oddity::Truncated, HEADER_LEN + 1),
            }
            found
        });
        Some(Self { link, fragment, oddities })
    }

    /// The frame.
    #[must_use]
    pub const fn link(&self) -> &Link<'a> {
        &self.link
    }

    /// The fragment that it completes.
    #[must_use]
    pub const fn fragment(&self) -> Option<&Fragment<'a>> {
        self.fragment.as_ref()
    }

    /// What is odd about the frame, its place in the fragment, and the fragment.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// The link addresses of outstation and master.
    #[must_use]
    pub fn stations(&self) -> (u16, u16) {
        let from_outstation = match &self.fragment {
            Some(fragment) if fragment.function != Function::CONFIRM => fragment.function.is_response(),
            _ => !self.link.is_from_master(),
        };
        let (source, destination) = (self.link.source(), self.link.destination());
        if from_outstation { (source, destination) } else { (destination, source) }
    }

    /// The values, with their places, quality and time.
    #[must_use]
    pub fn points(&self) -> Points<'a> {
        Points::new(self.fragment.as_ref(), self.stations().0)
    }
}

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    function: Function,
    /// Group and variation of its first object.
    object: Option<(u8, u8)>,
    action: Option<Action>,
}

impl Protocol for Dnp3 {
    const FAMILY: Label = Label::literal("dnp3");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT), Carrier::Udp(PORT)];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = Assembler;
    type Shared = ();
    type Blocks<'a> = Points<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        link::cut(bytes)
    }

    /// One or more whole frames whose every CRC matches; a further one may be cut.
    fn probe(bytes: &[u8]) -> Option<Sender> {
        let (mut rest, mut found) = (bytes, None);
        for _ in 0..PROBED_MAX {
            let Cut::Message(len) = link::cut(rest) else { break };
            let (frame, after) = rest.split_at_checked(len)?;
            let link = Link::new(frame).filter(|link| link.oddities().is_empty())?;
            let sender = found.get_or_insert(link.sender());
            (*sender == link.sender()).then_some(())?;
            rest = after;
        }
        found.filter(|_| !matches!(link::cut(rest), Cut::Foreign))
    }

    #[inline]
    fn decode<'a>(
        session: &'a mut Assembler,
        _shared: &'a mut (),
        _context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        View::new(session, bytes)
    }

    #[inline]
    fn header(view: &View<'_>) -> Header {
        let (outstation, master) = view.stations();
        let Some(fragment) = &view.fragment else {
            // The link keeps its own account, apart from the 40 bits of the one above.
            let key = 1 << 40 | u64::from(outstation) << 16 | u64::from(master);
            let function = u16::from(view.link.function());
            return Header { kind: Kind::Control, unit: outstation, function, key: Some(key) };
        };
        let kind = match fragment.function {
            Function::UNSOLICITED => Kind::Event,
            function if function.is_response() => Kind::Response,
            _ => Kind::Request,
        };
        // 4.3: a response repeats the sequence number of its request; its later fragments count on.
        let paired = match kind {
            Kind::Request => fragment.function.is_answered(),
            Kind::Response => fragment.is_first(),
            _ => false,
        };
        let key = u64::from(outstation) << 24 | u64::from(master) << 8 | u64::from(fragment.sequence());
        let function = u16::from(fragment.function.0);
        Header { kind, unit: outstation, function, key: paired.then_some(key) }
    }

    /// Frames without user data ask and answer on the link (9.2.6): reset, test and status.
    #[inline]
    fn part(view: &View<'_>) -> Kind {
        match (&view.fragment, view.link.is_primary(), view.link.function()) {
            (None, true, 0 | 2 | 9) => Kind::Request,
            (None, false, 0 | 11) => Kind::Response,
            (None, false, 1 | 15) => Kind::Exception,
            (None, ..) => Kind::Control,
            (Some(_), ..) => Self::header(view).kind,
        }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        view.oddities
    }

    fn memo(view: &View<'_>) -> Memo {
        let Some(fragment) = &view.fragment else {
            return Memo { function: Function(view.link.function()), object: None, action: None };
        };
        let function = fragment.function;
        let first = fragment.sections().next();
        let action = first.as_ref().and_then(|first| action(function, first)).or(function.action());
        Memo { function, object: first.map(|first| (first.group, first.variation)), action }
    }

    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        let Some(fragment) = &view.fragment else {
            // 9.2.6: a status answers a request for it, an acknowledgement a reset or a test.
            let status = (memo.function.0 == 9) == (view.link.function() == 11);
            return if status { Fit::Exact } else { Fit::No };
        };
        // 4.4.3: the answer to a command repeats its objects, unless it refuses as a whole.
        let commands =
            matches!(memo.function, Function::SELECT | Function::OPERATE | Function::DIRECT_OPERATE);
        if !commands || fragment.function != Function::RESPONSE || Self::refusal(view).is_some() {
            return Fit::Exact;
        }
        let object = fragment.sections().next().map(|section| (section.group, section.variation));
        if object == memo.object { Fit::Exact } else { Fit::Loose }
    }

    /// The three lowest bits of the second byte of internal indications (no such function, unknown object, bad
    /// parameter; 4.2.2.6), or 128 and the status of the first control that was not taken.
    fn refusal(view: &View<'_>) -> Option<u8> {
        let fragment = view.fragment.as_ref().filter(|fragment| fragment.function.is_response())?;
        let refused = fragment.indications.unwrap_or_default() as u8 & 0x07;
        if refused != 0 {
            return Some(refused);
        }
        fragment.sections().next().filter(|section| matches!(section.group, 12 | 41))?;
        let echoes = view.points().filter(|block| block.access == Access::Echo);
        let mut status = echoes.filter_map(|block| match block.data {
            crate::protocol::Data::Scalar { raw, .. } => raw.last().copied(),
            _ => None,
        });
        status.find(|status| status & 0x7f != 0).map(|status| 0x80 | status)
    }

    fn action(memo: &Memo) -> Option<Action> {
        memo.action
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Points<'a> {
        view.points()
    }

    /// A direct operate of a binary or analog output, a write of an analog input's deadband.
    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        Repr::command(write, number as u8).ok()?.emit_into(number as u8, out);
        Some(())
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        fields::list(view, put);
    }

    /// Of an application function; frames without a fragment have link functions of their own, see
    /// [`Link::function`].
    fn function_name(function: u16) -> &'static str {
        u8::try_from(function).map_or("undefined", |code| Function(code).name())
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let mut parts = text.split('/');
        let (outstation, object, index) = (parts.next()?, parts.next()?, parts.next()?);
        let (group, variation) = object.strip_prefix('g')?.split_once('v')?;
        let place = Place::new(number(outstation)?, number(group)?, number(variation)?, number(index)?);
        parts.next().is_none().then(|| place.tag())
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Place::of(tag) {
            Some(Place { outstation, group, attribute, index }) => {
                write!(f, "{outstation}/g{group}v{attribute}/{index}")
            }
            None => f.write_str("?"),
        }
    }

    fn write_place(tag: &Tag<'_>, variant: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., group, variation] = variant.to_be_bytes();
        match Place::of(tag) {
            Some(Place { outstation, index, .. }) => write!(f, "{outstation}/g{group}v{variation}/{index}"),
            None => f.write_str("?"),
        }
    }
}

/// What a request asks by its first object.
fn action(function: Function, first: &Section<'_>) -> Option<Action> {
    match (function, first.group) {
        (Function::WRITE, 50) => Some(Action::SetTime),
        (Function::WRITE, 0) => Some(Action::Configure),
        (Function::READ, 0) => Some(Action::Browse),
        // A file command object behind its size: name offset and size, time, permissions, key, file size, mode.
        (Function::OPEN_FILE, 70) => match first.data.get(first.prefix.len() + 20..) {
            Some([2 | 3, 0, ..]) => Some(Action::Download),
            Some([1, 0, ..]) => Some(Action::Upload),
            _ => None,
        },
        _ => None,
    }
}

/// Decimal digits alone: one way to write a tag.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of one conversation, each with a fragment: `(from master, fragment)`.
    fn messages(fragments: &[(bool, &[u8])], mut each: impl FnMut(&View<'_>)) {
        let mut assembler = Assembler::default();
        for (from_master, fragment) in fragments {
            let (mut bytes, data) = (Vec::new(), [&[0xc0][..], fragment].concat());
            let (control, destination, source) = if *from_master { (0xc4, 4, 3) } else { (0x44, 3, 4) };
            link::emit(control, destination, source, &data, &mut bytes);
            each(&View::new(&mut assembler, &bytes).unwrap());
        }
    }

    #[test]
    fn responses_share_the_key_of_their_request() {
        let mut keys = Vec::new();
        let fragments: [(bool, &[u8]); 6] = [
            (true, &[0xc5, 1, 60, 1, 6]),
            (false, &[0xa5, 0x81, 0, 0]),
            (false, &[0x46, 0x81, 0, 0]),
            (false, &[0xf1, 0x82, 0x80, 0]),
            (true, &[0xd1, 0]),
            (true, &[0xc6, 6]),
        ];
        messages(&fragments, |view| {
            let header = Dnp3::header(view);
            assert_eq!(header.unit, 4);
            assert!(view.oddities().is_empty(), "{view:?}");
            keys.push((header.kind, header.key.is_some()));
            let first = u64::from(4u16) << 24 | 3 << 8 | 5;
            assert!(header.key.is_none_or(|key| key == first));
        });
        let (req, rsp, event) = (Kind::Request, Kind::Response, Kind::Event);
        assert_eq!(
            keys,
            [(req, true), (rsp, true), (rsp, false), (event, false), (req, false), (req, false)]
        );
    }

    #[test]
    fn a_response_that_loses_a_fragment_is_flagged() {
        let mut odd = Vec::new();
        let fragments: [(bool, &[u8]); 3] =
            [(false, &[0xa5, 0x81, 0, 0]), (false, &[0x27, 0x81, 0, 0]), (false, &[0x48, 0x81, 0, 0])];
        messages(&fragments, |view| odd.push(view.oddities().contains(Oddity::Gap)));
        assert_eq!(odd, [false, true, false]);
    }

    #[test]
    fn the_link_asks_and_answers() {
        let frame = |control: u8, destination: u16, source: u16| {
            let mut bytes = Vec::new();
            link::emit(control, destination, source, &[], &mut bytes);
            bytes
        };
        let (ask, tell, taken) = (frame(0xc9, 4, 3), frame(0x0b, 3, 4), frame(0x00, 3, 4));
        let mut assemblers = [(); 3].map(|()| Assembler::default());
        let [a, b, c] = &mut assemblers;
        let [ask, tell, taken] =
            [(a, &ask), (b, &tell), (c, &taken)].map(|(a, bytes)| View::new(a, bytes).unwrap());
        assert_eq!((Dnp3::part(&ask), Dnp3::part(&tell)), (Kind::Request, Kind::Response));
        assert_eq!(Dnp3::header(&ask).key, Dnp3::header(&tell).key);
        assert_eq!(Dnp3::fit(&Dnp3::memo(&ask), &tell), Fit::Exact);
        assert_eq!(Dnp3::fit(&Dnp3::memo(&ask), &taken), Fit::No);
    }

    #[test]
    fn requests_say_what_they_do_and_answers_whether_it_was_done() {
        let check = |request: &[u8],
                     response: &[u8],
                     action: Option<Action>,
                     fit: Fit,
                     refusal: Option<u8>| {
            let mut memo = None;
            messages(&[(true, request), (false, response)], |view| match memo {
                None => memo = Some(Dnp3::memo(view)),
                Some(memo) => {
                    assert_eq!(Dnp3::action(&memo), action, "{request:?}");
                    assert_eq!((Dnp3::fit(&memo, view), Dnp3::refusal(view)), (fit, refusal), "{request:?}");
                }
            });
        };
        let done: &[u8] = &[0xc0, 0x81, 0, 0];
        check(&[0xc0, 13], done, Some(Action::Restart), Fit::Exact, None);
        check(&[0xc0, 18], &[0xc0, 0x81, 0, 1], Some(Action::Stop), Fit::Exact, Some(1));
        check(&[0xc0, 2, 50, 1, 7, 1, 0, 0, 0, 0, 0, 0], done, Some(Action::SetTime), Fit::Exact, None);
        check(&[0xc0, 9, 20, 0, 6], done, Some(Action::Freeze), Fit::Exact, None);
        check(&[0xc0, 1, 60, 1, 6], done, None, Fit::Exact, None);
        let mut file = vec![0xc0, 25, 70, 3, 0x5b, 1, 26, 0];
        file.extend([0; 22]);
        file.extend([2, 0, 0, 0]);
        // The mode lies 20 bytes into the object.
        file.swap(8 + 22, 8 + 20);
        check(&file, done, Some(Action::Download), Fit::Exact, None);
        let select = [0xc0, 3, 12, 1, 0x17, 1, 4, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut echo = [done, &select[2..]].concat();
        check(&select, &echo, None, Fit::Exact, None);
        check(&select, done, None, Fit::Loose, None);
        *echo.last_mut().unwrap() = 7;
        check(&select, &echo, None, Fit::Exact, Some(0x87));
    }

    #[test]
    fn only_sealed_frames_are_recognised() {
        let (mut ask, mut tell) = (Vec::new(), Vec::new());
        link::emit(0xc4, 4, 3, &[0xc0, 0xc0, 1, 60, 1, 6], &mut ask);
        link::emit(0x44, 3, 4, &[0xc0, 0xc0, 0x81, 0, 0], &mut tell);
        assert_eq!((Dnp3::probe(&ask), Dnp3::probe(&tell)), (Some(Sender::Client), Some(Sender::Server)));
        assert_eq!(Dnp3::probe(&[&ask[..], &ask[..12]].concat()), Some(Sender::Client));
        assert_eq!(Dnp3::probe(&[&ask[..], &tell].concat()), None);
        assert_eq!(Dnp3::probe(&[&ask[..], b"GET"].concat()), None);
        assert_eq!((Dnp3::probe(&ask[..12]), Dnp3::probe(&[])), (None, None));
        ask[11] ^= 1;
        assert_eq!(Dnp3::probe(&ask), None);
    }

    #[test]
    fn a_place_is_one_whatever_the_variation() {
        let show = |text: &str| {
            let tag = Dnp3::parse_tag(text)?;
            Some(fmt::from_fn(|f| Dnp3::write_tag(&tag, f)).to_string())
        };
        for (text, place) in [
            ("10/g30v5/4", "10/g30v0/4"),
            ("10/g32v3/4", "10/g30v0/4"),
            ("65519/g12v1/0", "65519/g10v0/0"),
            ("1/g0v252/0", "1/g0v252/0"),
            ("1/g111v9/70000", "1/g110v0/70000"),
        ] {
            assert_eq!(show(text).as_deref(), Some(place));
        }
        for bad in
            ["", "1/g30v1", "1/30v1/0", "1/g30/0", "65536/g30v1/0", "1/g256v1/0", "1/g30v1/01", "1/g30v1/0/0"]
        {
            assert_eq!(show(bad), None, "{bad}");
        }
    }
}
