//! Legal frames, to be written (IEC 60870-5-1 §6.2.4.2, IEC 60870-5-2).

use core::fmt;

use twinguard_types::{Oddity, Timestamp};

use super::view::{Control, Form, Parameters, SINGLE, START_FIXED, START_VARIABLE, STOP, View, checksum};
use crate::iec60870::{AsduBuffer, Illegal};

/// Octets of the longest frame: 255 counted ones and six around them.
pub const FRAME_MAX: usize = 261;

/// The bytes of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    bytes: [u8; FRAME_MAX],
    len: u16,
}

impl Bytes {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn put(&mut self, more: &[u8]) {
        let start = usize::from(self.len);
        if let Some(room) = self.bytes.get_mut(start..start + more.len()) {
            room.copy_from_slice(more);
            self.len += more.len() as u16;
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().fmt(f)
    }
}

/// A legal frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    parameters: Parameters,
    form: Form,
    control: u8,
    address: u16,
    asdu: Option<AsduBuffer>,
}

impl Repr {
    /// The character that acknowledges.
    #[must_use]
    pub const fn single() -> Self {
        Self { parameters: Parameters::SMALL, form: Form::Single, control: 0, address: 0, asdu: None }
    }

    /// A frame without user data.
    ///
    /// # Errors
    /// [`Illegal::Field`] for a function that the standard does not have or that needs the other FCV bit, and an
    /// address that does not fit.
    pub fn fixed(parameters: Parameters, control: Control, address: u16) -> Result<Self, Illegal> {
        Self { parameters, form: Form::Fixed, control: control.0, address, asdu: None }.checked()
    }

    /// A frame with an ASDU.
    ///
    /// # Errors
    /// As [`Repr::fixed`], and for an ASDU of another layout.
    pub fn variable(
        parameters: Parameters,
        control: Control,
        address: u16,
        asdu: AsduBuffer,
    ) -> Result<Self, Illegal> {
        if asdu.layout() != parameters.layout {
            return Err(Illegal::Field { offset: 4, oddity: Oddity::LengthMismatch });
        }
        Self { parameters, form: Form::Variable, control: control.0, address, asdu: Some(asdu) }.checked()
    }

    fn checked(self) -> Result<Self, Illegal> {
        let most = [0, 0xff, 0xffff].get(usize::from(self.parameters.link)).copied().unwrap_or_default();
        if self.address > most {
            return Err(Illegal::Field { offset: 2, oddity: Oddity::BadAddress });
        }
        let bytes = self.emit();
        let view = View::new(bytes.as_bytes(), self.parameters, Timestamp::ZERO).ok_or(Illegal::TooLong)?;
        Illegal::first(view.oddities()).map(|()| self)
    }

    /// The bytes of the frame.
    #[must_use]
    pub fn emit(&self) -> Bytes {
        let mut out = Bytes { bytes: [0; FRAME_MAX], len: 0 };
        if self.form == Form::Single {
            out.put(&[SINGLE]);
            return out;
        }
        let asdu = self.asdu.as_ref().map(AsduBuffer::as_bytes).unwrap_or_default();
        let start = if self.form == Form::Fixed {
            out.put(&[START_FIXED]);
            1
        } else {
            let length = asdu.len() as u8 + 1 + self.parameters.link;
            out.put(&[START_VARIABLE, length, length, START_VARIABLE]);
            4
        };
        out.put(&[self.control]);
        let address = self.address.to_le_bytes();
        out.put(address.get(..usize::from(self.parameters.link)).unwrap_or_default());
        out.put(asdu);
        let sum = checksum(out.as_bytes().get(start..).unwrap_or_default());
        out.put(&[sum, STOP]);
        out
    }
}

impl Repr {
    /// The same frame as a view shows, if it is legal.
    ///
    /// # Errors
    /// [`Illegal::Field`] for what the view flags.
    pub fn of(view: &View<'_>, parameters: Parameters) -> Result<Self, Illegal> {
        let asdu = view.asdu().map(AsduBuffer::copy).transpose()?;
        let control = view.control().map_or(0, |control| control.0);
        if view.form() == Form::Single {
            return Illegal::first(view.oddities()).map(|()| Self::single());
        }
        Self { parameters, form: view.form(), control, address: view.address().unwrap_or_default(), asdu }
            .checked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iec60870::{Cause, TypeId};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            which in 0..36usize,
            (control, address, common) in (any::<u8>(), any::<u16>(), 1..256u16),
            (type_id, object) in (1..=127u8, 0..256u32),
            bytes in prop::array::uniform16(any::<u8>()),
        ) {
            let parameters = Parameters::ALL[which];
            let element = &bytes[..TypeId(type_id).element_len()];
            let asdu =
                AsduBuffer::new(parameters.layout, TypeId(type_id), Cause::new(6), 0, common, &[(object, element)]);
            let variable = asdu.and_then(|asdu| Repr::variable(parameters, Control(control), address, asdu));
            let fixed = Repr::fixed(parameters, Control(control), address);
            for repr in [variable, fixed, Ok(Repr::single())].into_iter().flatten() {
                let emitted = repr.emit();
                let view = View::new(emitted.as_bytes(), parameters, Timestamp::ZERO).unwrap();
                prop_assert_eq!(Repr::of(&view, parameters).unwrap(), repr);
            }
        }
    }
}
