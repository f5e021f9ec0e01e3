//! One TPKT with the TPDU in it: a view on any bytes, and legal ones to be written.
//!
//! Sources: RFC 1006 §6 (TPKT); ITU-T X.224 (1995) = ISO 8073, clauses §13.x (TPDUs of class 0).

use twinguard_types::Oddity;

use crate::protocol::{Cut, Oddities};

/// The registered port of ISO transport on TCP (RFC 1006 §4).
pub const PORT: u16 = 102;
/// Bytes of the TPKT header (RFC 1006 §6).
pub const TPKT_LEN: usize = 4;
/// The shortest TPKT (RFC 1006 §6).
const TPKT_MIN: usize = 7;

/// Where the first TPKT in these bytes ends (RFC 1006 §6: version 3, a reserved byte, the length of all).
#[inline]
#[must_use]
pub fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [3, _, l1, l0, ..] => {
            let total = usize::from(u16::from_be_bytes([*l1, *l0]));
            if total < TPKT_MIN {
                Cut::Foreign
            } else if bytes.len() < total {
                Cut::More(total)
            } else {
                Cut::Message(total)
            }
        }
        [] | [3] | [3, _] | [3, _, _] => Cut::More(TPKT_MIN),
        _ => Cut::Foreign,
    }
}

/// The data of a whole message, where these bytes are one TPKT with an unfragmented class 0 data TPDU and nothing odd;
/// what a family above asks first when it is to recognise its messages.
#[inline]
#[must_use]
pub fn data(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        // §13.7: DT of class 0; EOT set; the number is 0.
        [3, 0, l1, l0, 2, 0xf0, 0x80, data @ ..] => {
            (usize::from(u16::from_be_bytes([*l1, *l0])) == bytes.len()).then_some(data)
        }
        _ => None,
    }
}

/// Where [`data`] begins.
pub const DATA: usize = 7;

/// Parameters of the variable part (§13.3.4): code and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters<'a>(&'a [u8]);

impl<'a> Parameters<'a> {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Code and value of each, up to the first that is cut.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let ([code, length], after) = rest.split_first_chunk()?;
            let (value, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            Some((*code, value))
        })
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, code: u8) -> Option<&'a [u8]> {
        self.iter().find(|(known, _)| *known == code).map(|(_, value)| value)
    }

    /// Transport selector of the caller (§13.3.4 a).
    #[must_use]
    pub fn calling(&self) -> Option<&'a [u8]> {
        self.get(CALLING)
    }

    /// Transport selector of the called (§13.3.4 a).
    #[must_use]
    pub fn called(&self) -> Option<&'a [u8]> {
        self.get(CALLED)
    }

    /// Largest TPDU in bytes: 2 to the power of the value (§13.3.4 b).
    #[must_use]
    pub fn tpdu_size(&self) -> Option<u32> {
        match self.get(SIZE)? {
            [power @ 7..=13] => Some(1 << power),
            _ => None,
        }
    }
}

/// Parameter codes (§13.3.4).
pub const SIZE: u8 = 0xc0;
/// See [`SIZE`].
pub const CALLING: u8 = 0xc1;
/// See [`SIZE`].
pub const CALLED: u8 = 0xc2;

/// What a TPDU says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tpdu<'a> {
    /// Connection request or confirm (§13.3, §13.4).
    Connect {
        /// Whether it confirms.
        confirm: bool,
        /// Reference of the receiver, 0 in a request.
        destination: u16,
        /// Reference of the sender.
        source: u16,
        /// Class in the upper four bits, options in the lower.
        class: u8,
        /// Selectors, sizes.
        parameters: Parameters<'a>,
    },
    /// Disconnect request (§13.5); also how a connection is refused.
    Disconnect {
        /// Reference of the receiver.
        destination: u16,
        /// Reference of the sender, 0 in a refusal.
        source: u16,
        /// Why (§13.5.3 d).
        reason: u8,
        /// Further information.
        parameters: Parameters<'a>,
    },
    /// Data (§13.7).
    Data {
        /// Whether it ends the message.
        last: bool,
        /// The number, 0 in class 0.
        number: u8,
        /// The data.
        data: &'a [u8],
    },
    /// A TPDU was wrong (§13.12).
    Error {
        /// Reference of the receiver.
        destination: u16,
        /// Why (§13.12.3 c).
        cause: u8,
        /// The wrong TPDU.
        parameters: Parameters<'a>,
    },
    /// A TPDU that class 0 does not have, or one that is cut.
    Other {
        /// Behind its code.
        data: &'a [u8],
    },
}

/// One TPKT and its TPDU; borrows its bytes.
///
/// ```
/// use twinguard_protocol::protocols::cotp::{Tpdu, View};
///
/// let view = View::new(&[3, 0, 0, 9, 2, 0xf0, 0x80, 0xca, 0xfe]).unwrap();
/// assert_eq!(view.tpdu(), Tpdu::Data { last: true, number: 0, data: &[0xca, 0xfe] });
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    bytes: &'a [u8],
    indicator: u8,
    code: u8,
    tpdu: Tpdu<'a>,
    oddities: Oddities,
}

impl<'a> View<'a> {
    /// Reads a whole TPKT; `None` when it is shorter than its header and a TPDU code.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let ([version, reserved, l1, l0, indicator, code], rest) = bytes.split_first_chunk()?;
        let mut oddities = Oddities::NONE;
        if *version != 3 {
            oddities.push(Oddity::BadProtocolId, 0);
        }
        if *reserved != 0 {
            oddities.push(Oddity::BadValue, 1);
        }
        if usize::from(u16::from_be_bytes([*l1, *l0])) != bytes.len() {
            oddities.push(Oddity::LengthMismatch, 2);
        }
        // §13.2.1: the length indicator counts the header behind it, 1 to 254.
        let header = usize::from(*indicator).checked_sub(1).and_then(|len| rest.split_at_checked(len));
        let (header, behind) = header.unwrap_or_else(|| {
            oddities.push(Oddity::LengthMismatch, TPKT_LEN);
            (rest, &[])
        });
        let tpdu = tpdu(*code, header, behind, &mut oddities);
        Some(Self { bytes, indicator: *indicator, code: *code, tpdu, oddities })
    }

    /// All bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The length indicator (§13.2.1).
    #[must_use]
    pub const fn indicator(&self) -> u8 {
        self.indicator
    }

    /// The TPDU code with what else its byte holds (§13.2.2.1).
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// What it says.
    #[must_use]
    pub const fn tpdu(&self) -> Tpdu<'a> {
        self.tpdu
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

#[inline]
fn tpdu<'a>(code: u8, header: &'a [u8], behind: &'a [u8], oddities: &mut Oddities) -> Tpdu<'a> {
    const BODY: usize = TPKT_LEN + 2;
    let be = |high: &u8, low: &u8| u16::from_be_bytes([*high, *low]);
    let tpdu = match (code >> 4, header) {
        (0xf, [number, rest @ ..]) => {
            if !rest.is_empty() {
                oddities.push(Oddity::LengthMismatch, TPKT_LEN);
            }
            if code & 0xf != 0 || number & 0x7f != 0 {
                oddities.push(Oddity::BadValue, BODY);
            }
            return Tpdu::Data { last: number & 0x80 != 0, number: number & 0x7f, data: behind };
        }
        (0xd | 0xe, [d1, d0, s1, s0, class, rest @ ..]) => {
            // §13.3.2 and RFC 1006 §4: the credit of class 0 is 0; no alternative class.
            if class >> 4 != 0 {
                oddities.push(Oddity::BadValue, BODY + 4);
            }
            Tpdu::Connect {
                confirm: code >> 4 == 0xd,
                destination: be(d1, d0),
                source: be(s1, s0),
                class: *class,
                parameters: parameters(rest, BODY + 5, oddities),
            }
        }
        (0x8, [d1, d0, s1, s0, reason, rest @ ..]) => Tpdu::Disconnect {
            destination: be(d1, d0),
            source: be(s1, s0),
            reason: *reason,
            parameters: parameters(rest, BODY + 5, oddities),
        },
        (0x7, [d1, d0, cause, rest @ ..]) => Tpdu::Error {
            destination: be(d1, d0),
            cause: *cause,
            parameters: parameters(rest, BODY + 3, oddities),
        },
        (0x7 | 0x8 | 0xd | 0xe | 0xf, short) => {
            oddities.push(Oddity::Truncated, BODY + short.len());
            return Tpdu::Other { data: short };
        }
        (_, data) => {
            oddities.push(Oddity::UnknownFunction, TPKT_LEN + 1);
            return Tpdu::Other { data };
        }
    };
    // User data in these is not for class 0 (§13.3.5, §13.5.5), and is not read here.
    if !behind.is_empty() {
        oddities.push(Oddity::TrailingBytes, BODY + header.len());
    }
    tpdu
}

fn parameters<'a>(bytes: &'a [u8], at: usize, oddities: &mut Oddities) -> Parameters<'a> {
    let parameters = Parameters(bytes);
    let whole: usize = parameters.iter().map(|(_, value)| value.len() + 2).sum();
    if whole != bytes.len() {
        oddities.push(Oddity::LengthMismatch, at + whole);
    }
    parameters
}

/// A legal message of class 0.
///
/// ```
/// use twinguard_protocol::protocols::cotp::Repr;
///
/// let mut bytes = Vec::new();
/// Repr::Data { last: true, data: &[0x32] }.emit(&mut bytes).unwrap();
/// assert_eq!(bytes, [3, 0, 0, 8, 2, 0xf0, 0x80, 0x32]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repr<'a> {
    /// Connection request, or confirm when it answers a reference.
    Connect {
        /// The reference that is answered.
        confirms: Option<u16>,
        /// Reference of the sender.
        source: u16,
        /// Selector of the caller.
        calling: &'a [u8],
        /// Selector of the called.
        called: &'a [u8],
        /// Largest TPDU as a power of two, 7 to 13.
        power: u8,
    },
    /// Disconnect request.
    Disconnect {
        /// Reference of the receiver.
        destination: u16,
        /// Reference of the sender.
        source: u16,
        /// Why.
        reason: u8,
    },
    /// Data.
    Data {
        /// Whether it ends the message.
        last: bool,
        /// The data.
        data: &'a [u8],
    },
}

impl Repr<'_> {
    /// Appends its bytes; `None`, and nothing appended, when they do not fit their lengths or a power is not legal.
    pub fn emit(&self, out: &mut Vec<u8>) -> Option<()> {
        let mut head = [0; 4];
        match *self {
            Self::Data { last, data } => {
                tpkt(3 + data.len(), out)?;
                out.extend_from_slice(&[2, 0xf0, u8::from(last) << 7]);
                out.extend_from_slice(data);
            }
            Self::Disconnect { destination, source, reason } => {
                tpkt(7, out)?;
                references(&mut head, destination, source);
                out.extend_from_slice(&[6, 0x80]);
                out.extend_from_slice(&head);
                out.push(reason);
            }
            Self::Connect { confirms, source, calling, called, power } => {
                let len = 6 + 3 + 2 + calling.len() + 2 + called.len();
                let indicator =
                    u8::try_from(len).ok().filter(|len| *len < 0xff && (7..=13).contains(&power))?;
                tpkt(len + 1, out)?;
                references(&mut head, confirms.unwrap_or_default(), source);
                out.extend_from_slice(&[indicator, if confirms.is_some() { 0xd0 } else { 0xe0 }]);
                out.extend_from_slice(&head);
                out.extend_from_slice(&[0, SIZE, 1, power]);
                for (code, selector) in [(CALLING, calling), (CALLED, called)] {
                    out.extend_from_slice(&[code, selector.len() as u8]);
                    out.extend_from_slice(selector);
                }
            }
        }
        Some(())
    }
}

fn tpkt(len: usize, out: &mut Vec<u8>) -> Option<()> {
    let [l1, l0] = u16::try_from(len + TPKT_LEN).ok()?.to_be_bytes();
    out.extend_from_slice(&[3, 0, l1, l0]);
    Some(())
}

fn references(head: &mut [u8; 4], destination: u16, source: u16) {
    let ([d1, d0], [s1, s0]) = (destination.to_be_bytes(), source.to_be_bytes());
    *head = [d1, d0, s1, s0];
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn emitted(repr: Repr<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        repr.emit(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_connection_says_its_selectors() {
        let bytes = emitted(Repr::Connect {
            confirms: None,
            source: 1,
            calling: &[1, 0],
            called: &[1, 2],
            power: 10,
        });
        // As S7 stations write it.
        let wanted = [3, 0, 0, 22, 17, 0xe0, 0, 0, 0, 1, 0, 0xc0, 1, 10, 0xc1, 2, 1, 0, 0xc2, 2, 1, 2];
        assert_eq!(bytes, wanted);
        let view = View::new(&bytes).unwrap();
        let Tpdu::Connect { confirm: false, destination: 0, source: 1, class: 0, parameters } = view.tpdu()
        else {
            panic!("{view:?}")
        };
        assert_eq!((parameters.calling(), parameters.called()), (Some(&[1, 0][..]), Some(&[1, 2][..])));
        assert_eq!(parameters.tpdu_size(), Some(1024));
        assert!(view.oddities().is_empty());
    }

    fn odd(bytes: &[u8], oddity: Oddity, offset: u32) {
        let view = View::new(bytes).unwrap();
        assert_eq!(view.oddities().iter().next(), Some((oddity, offset)), "{bytes:02x?}");
    }

    #[test]
    fn what_is_odd_is_named_with_its_place() {
        odd(&[4, 0, 0, 7, 2, 0xf0, 0x80], Oddity::BadProtocolId, 0);
        odd(&[3, 1, 0, 7, 2, 0xf0, 0x80], Oddity::BadValue, 1);
        odd(&[3, 0, 0, 8, 2, 0xf0, 0x80], Oddity::LengthMismatch, 2);
        odd(&[3, 0, 0, 7, 9, 0xf0, 0x80], Oddity::LengthMismatch, 4);
        odd(&[3, 0, 0, 7, 0, 0xf0, 0x80], Oddity::LengthMismatch, 4);
        odd(&[3, 0, 0, 7, 2, 0xf0, 0x81], Oddity::BadValue, 6);
        odd(&[3, 0, 0, 7, 2, 0x60, 0], Oddity::UnknownFunction, 5);
        odd(&[3, 0, 0, 9, 4, 0xe0, 0, 0, 0], Oddity::Truncated, 9);
        odd(&[3, 0, 0, 12, 7, 0xe0, 0, 0, 0, 1, 0, 0xc1], Oddity::LengthMismatch, 11);
    }

    #[test]
    fn whole_data_alone_is_data() {
        assert_eq!(data(&[3, 0, 0, 8, 2, 0xf0, 0x80, 7]), Some(&[7][..]));
        assert_eq!(data(&[3, 0, 0, 8, 2, 0xf0, 0, 7]), None, "a fragment");
        assert_eq!(data(&[3, 0, 0, 9, 2, 0xf0, 0x80, 7]), None, "cut");
    }

    proptest! {
        #[test]
        fn emitted_bytes_read_back(source: u16, confirms: Option<u16>, reason: u8, last: bool, power in 7u8..14,
            calling in proptest::collection::vec(any::<u8>(), 0..40), called in proptest::collection::vec(any::<u8>(), 0..40)) {
            let bytes = emitted(Repr::Connect { confirms, source, calling: &calling, called: &called, power });
            let view = View::new(&bytes).unwrap();
            prop_assert!(view.oddities().is_empty() && cut(&bytes) == Cut::Message(bytes.len()));
            let Tpdu::Connect { confirm, destination, source: by, class: 0, parameters } = view.tpdu() else { panic!() };
            prop_assert_eq!((confirm, destination, by), (confirms.is_some(), confirms.unwrap_or(0), source));
            prop_assert_eq!((parameters.calling(), parameters.called()), (Some(&calling[..]), Some(&called[..])));
            let bytes = emitted(Repr::Disconnect { destination: source, source: 3, reason });
            let view = View::new(&bytes).unwrap();
            prop_assert!(view.oddities().is_empty());
            let Tpdu::Disconnect { destination, source: 3, reason: by, .. } = view.tpdu() else { panic!() };
            prop_assert_eq!((destination, by), (source, reason));
            let bytes = emitted(Repr::Data { last, data: &calling });
            let view = View::new(&bytes).unwrap();
            prop_assert!(view.oddities().is_empty());
            prop_assert_eq!(view.tpdu(), Tpdu::Data { last, number: 0, data: &calling });
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = cut(&bytes);
            if let Some(view) = View::new(&bytes) {
                let read = matches!(view.tpdu(), Tpdu::Data { .. }) || view.code() < 0xf0;
                prop_assert!(read || !view.oddities().is_empty());
            }
        }
    }
}
