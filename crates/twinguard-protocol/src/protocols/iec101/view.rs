//! A view on one frame of the link layer: format class FT1.2 (IEC 60870-5-1 §6.2.4.2, IEC 60870-5-2 §4 to §6).

use twinguard_types::{Oddity, Timestamp};

use crate::iec60870::{Asdu, Layout};
use crate::protocol::{Cut, Oddities, Sender};

/// First octet of a frame of variable length.
pub const START_VARIABLE: u8 = 0x68;
/// First octet of a frame of fixed length.
pub const START_FIXED: u8 = 0x10;
/// Last octet of both.
pub const STOP: u8 = 0x16;
/// The frame of one character that acknowledges.
pub const SINGLE: u8 = 0xe5;
/// Octets around those that the length field of a variable frame counts.
const AROUND: usize = 6;

/// How long addresses are on a line; the plant chooses (IEC 60870-5-101 §6.2, §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parameters {
    /// Octets of the link address: 0 to 2.
    pub link: u8,
    /// Lengths in the ASDU.
    pub layout: Layout,
}

impl Parameters {
    /// One octet each for link address, cause and common address, two for the information object address.
    pub const SMALL: Self = Self { link: 1, layout: Layout { cause: 1, common: 1, object: 2 } };

    /// All that the standard allows, the more usual ones first.
    pub const ALL: [Self; 36] = all();
}

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn all() -> [Parameters; 36] {
    const LAYOUTS: [(u8, u8, u8); 12] = [
        (1, 1, 2),
        (2, 2, 3),
        (1, 2, 2),
        (2, 2, 2),
        (2, 1, 2),
        (1, 2, 3),
        (2, 1, 3),
        (1, 1, 3),
        (1, 1, 1),
        (1, 2, 1),
        (2, 1, 1),
        (2, 2, 1),
    ];
    const LINKS: [u8; 3] = [1, 2, 0];
    let mut all = [Parameters::SMALL; 36];
    let mut at = 0;
    while at < 36 {
        let (cause, common, object) = LAYOUTS[at % 12];
        all[at] = Parameters { link: LINKS[at / 12], layout: Layout { cause, common, object } };
        at += 1;
    }
    all
}

/// The control field (IEC 60870-5-2 §5.1.2, §6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control(pub u8);

impl Control {
    /// Direction: set in balanced transmission by the controlling station.
    #[must_use]
    pub const fn direction(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// Whether the station that asks sent it: bit PRM.
    #[must_use]
    pub const fn is_primary(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// Frame count bit; only of the primary station.
    #[must_use]
    pub const fn frame_count(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// Whether the frame count bit counts; only of the primary station.
    #[must_use]
    pub const fn frame_count_valid(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// Whether events wait to be fetched: bit ACD; only of the secondary station.
    #[must_use]
    pub const fn access_demand(self) -> bool {
        !self.is_primary() && self.0 & 0x20 != 0
    }

    /// Whether more would overflow the receiver: bit DFC; only of the secondary station.
    #[must_use]
    pub const fn data_flow_control(self) -> bool {
        !self.is_primary() && self.0 & 0x10 != 0
    }

    /// Function code, 0 to 15.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.0 & 0x0f
    }

    /// Whether the standard has the function, and its FCV bit stands as it asks (IEC 60870-5-2 tables 1 to 4).
    const fn is_defined(self) -> bool {
        match (self.is_primary(), self.function()) {
            (true, 0 | 1 | 4 | 8 | 9) => !self.frame_count_valid(),
            (true, 2 | 3 | 10 | 11) => self.frame_count_valid(),
            (true, _) => false,
            (false, function) => matches!(function, 0 | 1 | 8 | 9 | 11 | 14 | 15),
        }
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// One character: an acknowledgement.
    Single,
    /// Fixed length: control and address alone.
    Fixed,
    /// Variable length: with an ASDU.
    Variable,
}

/// A view on one frame; shows any bytes that hold its fixed fields.
///
/// ```
/// use twinguard_protocol::protocols::iec101::{Form, Parameters, View};
/// use twinguard_types::Timestamp;
///
/// // Request of class 2 data from station 3.
/// let view = View::new(&[0x10, 0x7b, 3, 0x7e, 0x16], Parameters::SMALL, Timestamp::ZERO).unwrap();
/// assert_eq!((view.form(), view.address()), (Form::Fixed, Some(3)));
/// assert_eq!(view.control().unwrap().function(), 11);
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    form: Form,
    control: Option<Control>,
    address: Option<u16>,
    asdu: Option<Asdu<'a>>,
    pub(super) oddities: Oddities,
}

impl<'a> View<'a> {
    /// Reads a frame that came at `at`; `None` when it is shorter than its fixed fields, or begins as none.
    #[must_use]
    pub fn new(bytes: &'a [u8], parameters: Parameters, at: Timestamp) -> Option<Self> {
        let mut oddities = Oddities::NONE;
        let (form, from, counted) = match bytes {
            [SINGLE, rest @ ..] => {
                if !rest.is_empty() {
                    oddities.push(Oddity::TrailingBytes, 1);
                }
                let form = Form::Single;
                return Some(Self { bytes, form, control: None, address: None, asdu: None, oddities });
            }
            [START_FIXED, rest @ .., _, _] => (Form::Fixed, 1, rest),
            [START_VARIABLE, l1, l2, START_VARIABLE, rest @ .., _, _] => {
                if l1 != l2 || usize::from(*l1) != rest.len() {
                    oddities.push(Oddity::LengthMismatch, 1);
                }
                (Form::Variable, 4, rest)
            }
            _ => return None,
        };
        let [.., sum, stop] = bytes else { return None };
        if *sum != checksum(counted) {
            oddities.push(Oddity::BadChecksum, bytes.len() - 2);
        }
        if *stop != STOP {
            oddities.push(Oddity::BadValue, bytes.len() - 1);
        }
        let (control, rest) = counted.split_first()?;
        let control = Control(*control);
        if !control.is_defined() {
            oddities.push(Oddity::UnknownFunction, from);
        }
        let (address, user) = match (parameters.link, rest) {
            (0, user) => (None, user),
            (2, [low, high, user @ ..]) => (Some(u16::from_le_bytes([*low, *high])), user),
            (_, [low, user @ ..]) => (Some(u16::from(*low)), user),
            (_, []) => (None, rest),
        };
        let at_user = bytes.len() - 2 - user.len();
        let asdu = if form == Form::Variable { Asdu::new(user, parameters.layout, at) } else { None };
        match &asdu {
            Some(asdu) => asdu.check(at_user, &mut oddities),
            None if form == Form::Variable => oddities.push(Oddity::Truncated, bytes.len()),
            None if !user.is_empty() => oddities.push(Oddity::TrailingBytes, at_user),
            None => {}
        }
        Some(Self { bytes, form, control: Some(control), address, asdu, oddities })
    }

    /// All bytes of the frame.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What it is.
    #[must_use]
    pub const fn form(&self) -> Form {
        self.form
    }

    /// The control field; none in a single character.
    #[must_use]
    pub const fn control(&self) -> Option<Control> {
        self.control
    }

    /// The link address, where the line has one.
    #[must_use]
    pub const fn address(&self) -> Option<u16> {
        self.address
    }

    /// The ASDU, where its data unit identifier is whole.
    #[must_use]
    pub const fn asdu(&self) -> Option<&Asdu<'a>> {
        self.asdu.as_ref()
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// Who sends such a frame, if it is legal: [`Sender::Unknown`] when both ends could.
    pub(super) fn shape(&self) -> Option<Sender> {
        if !self.oddities.is_empty() {
            return None;
        }
        let Some(asdu) = &self.asdu else { return Some(Sender::Unknown) };
        asdu.sender()
    }
}

/// The sum of the octets between start and checksum (IEC 60870-5-1 §6.2.4.2.1).
#[must_use]
pub(super) fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Where the first frame ends. A fixed frame has the length at which checksum and stop fit.
pub(super) fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [] => Cut::More(1),
        [SINGLE, ..] => Cut::Message(1),
        [START_VARIABLE, l1, l2, START_VARIABLE, ..] if l1 == l2 && *l1 > 0 => {
            let total = usize::from(*l1) + AROUND;
            if bytes.len() < total { Cut::More(total) } else { Cut::Message(total) }
        }
        [START_VARIABLE] | [START_VARIABLE, _] | [START_VARIABLE, _, _] => Cut::More(4),
        [START_FIXED, ..] => {
            let fits = |len: usize| match bytes.get(1..len) {
                Some([counted @ .., sum, STOP]) => checksum(counted) == *sum,
                _ => false,
            };
            match [5, 6, 4].into_iter().find(|len| fits(*len)) {
                Some(len) => Cut::Message(len),
                None if bytes.len() < 6 => Cut::More(bytes.len().max(4) + 1),
                None => Cut::Foreign,
            }
        }
        _ => Cut::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(bytes: &[u8]) -> Vec<(Oddity, u32)> {
        View::new(bytes, Parameters::SMALL, Timestamp::ZERO).unwrap().oddities().iter().collect()
    }

    /// User data of station 1: object 256 on.
    const DATA: [u8; 15] = [0x68, 9, 9, 0x68, 0x08, 1, 1, 1, 3, 1, 0, 1, 1, 0x11, 0x16];

    #[test]
    fn frames_and_what_is_odd_about_them() {
        let view = View::new(&DATA, Parameters::SMALL, Timestamp::ZERO).unwrap();
        assert_eq!(view.asdu().unwrap().first_address(), Some(256));
        assert_eq!(odd(&DATA), []);
        assert_eq!(odd(&[0xe5]), []);
        assert_eq!(odd(&[0x10, 0x40, 1, 0x41, 0x16]), [], "reset of the link");
        assert_eq!(odd(&[0x10, 0x50, 1, 0x51, 0x16]), [(Oddity::UnknownFunction, 1)], "FCV has to be 0");
        assert_eq!(odd(&[0x10, 0x40, 1, 0x42, 0x16]), [(Oddity::BadChecksum, 3)]);
        assert_eq!(odd(&[0x10, 0x40, 1, 0x41, 0x17]), [(Oddity::BadValue, 4)]);
        assert_eq!(odd(&[0x10, 0x40, 1, 2, 0x43, 0x16]), [(Oddity::TrailingBytes, 3)]);
        assert_eq!(odd(&[0x68, 2, 2, 0x68, 8, 1, 9, 0x16]), [(Oddity::Truncated, 8)]);
        assert!(View::new(&[0x10, 1], Parameters::SMALL, Timestamp::ZERO).is_none());
        let control = Control(0x08 | 0x30);
        assert!(control.access_demand() && control.data_flow_control() && !control.is_primary());
    }

    #[test]
    fn fixed_frames_have_the_length_that_fits() {
        assert_eq!(cut(&[0x10, 0x40, 1, 0x41, 0x16]), Cut::Message(5));
        assert_eq!(cut(&[0x10, 0x40, 1, 2, 0x43, 0x16]), Cut::Message(6));
        assert_eq!(cut(&[0x10, 0x40, 0x40, 0x16, 0xe5, 0xe5]), Cut::Message(4));
        assert_eq!(cut(&[0x10, 0x40, 1]), Cut::More(5));
        assert_eq!(cut(&[0x10, 0x40, 1, 2, 3]), Cut::More(6));
        assert_eq!(cut(&[0x10, 0x40, 1, 2, 3, 4]), Cut::Foreign);
        assert_eq!(cut(&DATA), Cut::Message(15));
        assert_eq!(cut(&DATA[..9]), Cut::More(15));
        assert_eq!(cut(&[0x68, 9, 8, 0x68]), Cut::Foreign);
        assert_eq!((cut(&[0xe5, 1]), cut(&[1])), (Cut::Message(1), Cut::Foreign));
    }
}
