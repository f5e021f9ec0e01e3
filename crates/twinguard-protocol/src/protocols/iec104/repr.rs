//! Legal APDUs, to be written (IEC 60870-5-104 §5).

use core::fmt;

use twinguard_types::{Oddity, Timestamp};

use super::view::{Format, HEADER_LEN, START, Unnumbered, View};
use crate::iec60870::{AsduBuffer, Illegal, Layout};

/// Octets of the longest APDU (§5).
pub const APDU_MAX: usize = 255;

/// The bytes of an APDU.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Apdu {
    bytes: [u8; APDU_MAX],
    len: u8,
}

impl Apdu {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Apdu {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Apdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().fmt(f)
    }
}

/// A legal message.
///
/// ```
/// use twinguard_protocol::iec60870::{AsduBuffer, Cause, Layout, TypeId};
/// use twinguard_protocol::protocols::iec104::Repr;
///
/// // Single command, execute, on, to object 50000 of station 41.
/// let asdu = AsduBuffer::new(Layout::NET, TypeId(45), Cause::new(6), 0, 41, &[(50_000, &[1])])?;
/// let message = Repr::information(2, 113, asdu)?;
/// assert_eq!(message.emit().as_bytes(), [0x68, 14, 4, 0, 226, 0, 45, 1, 6, 0, 41, 0, 0x50, 0xc3, 0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    format: Format,
    asdu: Option<AsduBuffer>,
}

impl Repr {
    /// Starts, stops or tests (§5.3).
    #[must_use]
    pub const fn unnumbered(function: Unnumbered) -> Self {
        Self { format: Format::Unnumbered(function as u8), asdu: None }
    }

    /// Acknowledges all messages before N(R) (§5.2).
    ///
    /// # Errors
    /// [`Illegal::Field`] for a number above 32767.
    pub fn supervisory(receive: u16) -> Result<Self, Illegal> {
        check(receive, 4)?;
        Ok(Self { format: Format::Supervisory { receive }, asdu: None })
    }

    /// Carries an ASDU (§5.1).
    ///
    /// # Errors
    /// [`Illegal::Field`] for numbers above 32767, and an ASDU of another layout than [`Layout::NET`].
    pub fn information(send: u16, receive: u16, asdu: AsduBuffer) -> Result<Self, Illegal> {
        check(send, 2)?;
        check(receive, 4)?;
        if asdu.layout() != Layout::NET {
            return Err(Illegal::Field { offset: HEADER_LEN as u32, oddity: Oddity::LengthMismatch });
        }
        Ok(Self { format: Format::Information { send, receive }, asdu: Some(asdu) })
    }

    /// The control field.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The ASDU of numbered information.
    #[must_use]
    pub const fn asdu(&self) -> Option<&AsduBuffer> {
        self.asdu.as_ref()
    }

    /// The bytes of the message.
    #[must_use]
    pub fn emit(&self) -> Apdu {
        let twice = |number: u16| (number << 1).to_le_bytes();
        let [c1, c2, c3, c4] = match self.format {
            Format::Information { send, receive } => {
                let ([s0, s1], [r0, r1]) = (twice(send), twice(receive));
                [s0, s1, r0, r1]
            }
            Format::Supervisory { receive } => {
                let [r0, r1] = twice(receive);
                [1, 0, r0, r1]
            }
            Format::Unnumbered(bits) => [bits << 2 | 3, 0, 0, 0],
        };
        let asdu = self.asdu.as_ref().map(AsduBuffer::as_bytes).unwrap_or_default();
        let length = asdu.len() as u8 + 4;
        let mut apdu = Apdu { bytes: [0; APDU_MAX], len: length + 2 };
        let all = [START, length, c1, c2, c3, c4].into_iter().chain(asdu.iter().copied());
        apdu.bytes.iter_mut().zip(all).for_each(|(held, byte)| *held = byte);
        apdu
    }
}

const fn check(number: u16, offset: u32) -> Result<(), Illegal> {
    match number {
        0..=0x7fff => Ok(()),
        _ => Err(Illegal::Field { offset, oddity: Oddity::BadValue }),
    }
}

impl TryFrom<&View<'_>> for Repr {
    type Error = Illegal;

    /// The same message, if it is legal by itself.
    fn try_from(view: &View<'_>) -> Result<Self, Illegal> {
        let alone = View::new(view.as_bytes(), Timestamp::ZERO);
        alone.map_or(Ok(()), |alone| Illegal::first(alone.oddities()))?;
        Ok(Self { format: view.format(), asdu: view.asdu().map(AsduBuffer::copy).transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iec60870::{Cause, TypeId};
    use proptest::prelude::*;

    fn back(repr: &Repr) -> Repr {
        Repr::try_from(&View::new(repr.emit().as_bytes(), Timestamp::ZERO).unwrap()).unwrap()
    }

    #[test]
    fn control_messages_of_the_standard() {
        // §5.3, figures 8 to 10.
        let bytes = |function| Repr::unnumbered(function).emit().as_bytes().to_vec();
        assert_eq!(bytes(Unnumbered::StartActivation), [0x68, 4, 0x07, 0, 0, 0]);
        assert_eq!(bytes(Unnumbered::StartConfirmation), [0x68, 4, 0x0b, 0, 0, 0]);
        assert_eq!(bytes(Unnumbered::StopActivation), [0x68, 4, 0x13, 0, 0, 0]);
        assert_eq!(bytes(Unnumbered::StopConfirmation), [0x68, 4, 0x23, 0, 0, 0]);
        assert_eq!(bytes(Unnumbered::TestActivation), [0x68, 4, 0x43, 0, 0, 0]);
        assert_eq!(bytes(Unnumbered::TestConfirmation), [0x68, 4, 0x83, 0, 0, 0]);
        assert!(Repr::supervisory(0x8000).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            (type_id, cause, common) in (1..=127u8, 1..=47u8, 1..=u16::MAX),
            (send, receive) in (0..0x8000u16, 0..0x8000u16),
            objects in prop::collection::vec((0..0x100_0000u32, prop::array::uniform16(any::<u8>())), 1..9),
            negative in any::<bool>(),
        ) {
            prop_assume!(!(81..=95).contains(&type_id), "they have no objects");
            let element = TypeId(type_id).element_len();
            let objects: Vec<_> = objects.iter().map(|(address, bytes)| (*address, &bytes[..element])).collect();
            let cause = Cause { code: cause, negative, test: false };
            if let Ok(asdu) = AsduBuffer::new(Layout::NET, TypeId(type_id), cause, 3, common, &objects) {
                let repr = Repr::information(send, receive, asdu).unwrap();
                prop_assert_eq!(back(&repr), repr);
                let emitted = repr.emit();
                let view = View::new(emitted.as_bytes(), Timestamp::ZERO).unwrap();
                let held: Vec<_> = view.asdu().unwrap().objects().map(|object| object.address()).collect();
                prop_assert_eq!(held, objects.iter().map(|(address, _)| *address).collect::<Vec<_>>());
            }
            let supervisory = Repr::supervisory(receive).unwrap();
            prop_assert_eq!(back(&supervisory), supervisory);
        }
    }
}
