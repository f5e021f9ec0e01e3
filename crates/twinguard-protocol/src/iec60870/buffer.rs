//! ASDUs to be sent: what cannot be built here, the standard forbids (IEC 60870-5-101 §7.2, §7.3).

use twinguard_types::{Encoding, Oddity, Timestamp, Value};

use super::asdu::{Asdu, Cause, Layout};
use super::type_id::TypeId;
use crate::protocol::{Change, Oddities, Write};

/// Octets of the longest ASDU: 253 of an APDU without its four control octets (IEC 60870-5-104 §5).
pub const ASDU_MAX: usize = 249;

/// Why an ASDU or a message is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// It has no room for more.
    #[error("message is longer than the standard allows")]
    TooLong,
    /// A field that the standard does not allow.
    #[error("field at byte {offset} is not legal: {oddity:?}")]
    Field {
        /// Where in the message.
        offset: u32,
        /// What is wrong with it.
        oddity: Oddity,
    },
}

impl Illegal {
    /// The first of what is odd.
    pub(crate) fn first(oddities: &Oddities) -> Result<(), Self> {
        oddities.iter().next().map_or(Ok(()), |(oddity, offset)| Err(Self::Field { offset, oddity }))
    }
}

/// The bytes of an ASDU.
///
/// ```
/// use twinguard_protocol::iec60870::{AsduBuffer, Cause, Layout, TypeId};
///
/// // Interrogation of station 1: QOI 20.
/// let asdu = AsduBuffer::new(Layout::NET, TypeId(100), Cause::new(6), 0, 1, &[(0, &[20])])?;
/// assert_eq!(asdu.as_bytes(), [100, 1, 6, 0, 1, 0, 0, 0, 0, 20]);
/// assert!(AsduBuffer::new(Layout::NET, TypeId(100), Cause::new(6), 0, 1, &[(0, &[])]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsduBuffer {
    bytes: [u8; ASDU_MAX],
    len: u8,
    layout: Layout,
}

impl AsduBuffer {
    /// An ASDU of these objects, each with its address and the octets behind it.
    ///
    /// # Errors
    /// [`Illegal`] for addresses that the layout cannot hold, elements of another length than the type's, no object,
    /// too many of them, and everything that [`Asdu`] flags.
    pub fn new(
        layout: Layout,
        type_id: TypeId,
        cause: Cause,
        originator: u8,
        common: u16,
        objects: &[(u32, &[u8])],
    ) -> Result<Self, Illegal> {
        let mut buffer = Self::head(layout, (type_id, objects.len(), false), cause, originator, common)?;
        for (address, element) in objects {
            buffer.put_address(*address)?;
            buffer.put(element)?;
        }
        buffer.checked()
    }

    /// An ASDU of elements whose addresses count up from the first: SQ = 1.
    ///
    /// # Errors
    /// As [`AsduBuffer::new`].
    pub fn sequence(
        layout: Layout,
        type_id: TypeId,
        cause: Cause,
        originator: u8,
        common: u16,
        (first, elements): (u32, &[&[u8]]),
    ) -> Result<Self, Illegal> {
        let mut buffer = Self::head(layout, (type_id, elements.len(), true), cause, originator, common)?;
        buffer.put_address(first)?;
        elements.iter().try_for_each(|element| buffer.put(element))?;
        buffer.checked()
    }

    /// The same ASDU, if it is legal.
    ///
    /// # Errors
    /// [`Illegal`] for what [`Asdu`] flags.
    pub fn copy(asdu: &Asdu<'_>) -> Result<Self, Illegal> {
        let mut buffer = Self { bytes: [0; ASDU_MAX], len: 0, layout: asdu.layout() };
        buffer.put(asdu.as_bytes())?;
        buffer.checked()
    }

    fn head(
        layout: Layout,
        (type_id, count, sequence): (TypeId, usize, bool),
        cause: Cause,
        originator: u8,
        common: u16,
    ) -> Result<Self, Illegal> {
        let count = u8::try_from(count).ok().filter(|count| *count < 0x80).ok_or(Illegal::TooLong)?;
        let mut buffer = Self { bytes: [0; ASDU_MAX], len: 0, layout };
        buffer.put(&[type_id.0, count | u8::from(sequence) << 7, cause.byte()])?;
        if layout.cause == 2 {
            buffer.put(&[originator])?;
        }
        let [low, high] = common.to_le_bytes();
        match layout.common {
            2 => buffer.put(&[low, high])?,
            _ if high == 0 => buffer.put(&[low])?,
            _ => return Err(Illegal::Field { offset: u32::from(buffer.len), oddity: Oddity::BadAddress }),
        }
        Ok(buffer)
    }

    fn put_address(&mut self, address: u32) -> Result<(), Illegal> {
        let bytes = address.to_le_bytes();
        match bytes.split_at_checked(usize::from(self.layout.object)) {
            Some((held, rest)) if rest.iter().all(|byte| *byte == 0) => self.put(held),
            _ => Err(Illegal::Field { offset: u32::from(self.len), oddity: Oddity::BadAddress }),
        }
    }

    fn put(&mut self, more: &[u8]) -> Result<(), Illegal> {
        let start = usize::from(self.len);
        let end = start + more.len();
        self.bytes.get_mut(start..end).ok_or(Illegal::TooLong)?.copy_from_slice(more);
        self.len = end as u8;
        Ok(())
    }

    fn checked(self) -> Result<Self, Illegal> {
        let short = Illegal::Field { offset: u32::from(self.len), oddity: Oddity::Truncated };
        let mut oddities = Oddities::NONE;
        Asdu::new(self.as_bytes(), self.layout, Timestamp::ZERO).ok_or(short)?.check(0, &mut oddities);
        Illegal::first(&oddities).map(|()| self)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// How long its addresses are.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }
}

/// The command that a change asks for; its encoding says which: `bit` a single command, `u8` a double command (1 off,
/// 2 on), `i8` a step (1 lower, 2 higher), `i16` a scaled and `f32` a float set point, `u32` a bit string; without
/// one a state is a single command, a whole number a scaled, any other a float set point.
pub(crate) fn command(write: &Write<'_>, layout: Layout) -> Option<AsduBuffer> {
    let common = u16::try_from(write.tag.space).ok()?;
    let address = write.tag.address?;
    let Change::Scalar { value, encoding } = write.change else { return None };
    let number = value.as_f64();
    let whole =
        |low: f64, high: f64| ((low..=high).contains(&number) && number.fract() == 0.0).then_some(number);
    let encoding = match (encoding, value) {
        (Encoding::Native, Value::Boolean(_)) => Encoding::Bit(0),
        (Encoding::Native, Value::Integer(_)) => Encoding::I16,
        (Encoding::Native, _) => Encoding::F32,
        (known, _) => known,
    };
    let mut element = [0; 5];
    let (type_id, len) = match encoding {
        Encoding::Bit(0) => {
            element[0] = whole(0.0, 1.0)? as u8;
            (45, 1)
        }
        Encoding::U8 | Encoding::I8 => {
            element[0] = whole(1.0, 2.0)? as u8;
            (if encoding == Encoding::U8 { 46 } else { 47 }, 1)
        }
        Encoding::I16 => {
            let [low, high] = (whole(-32_768.0, 32_767.0)? as i16).to_le_bytes();
            element = [low, high, 0, 0, 0];
            (49, 3)
        }
        Encoding::F32 => {
            let narrow = Some(number as f32).filter(|number| number.is_finite())?;
            let [a, b, c, d] = narrow.to_le_bytes();
            element = [a, b, c, d, 0];
            (50, 5)
        }
        Encoding::U32 => {
            let [a, b, c, d] = (whole(0.0, f64::from(u32::MAX))? as u32).to_le_bytes();
            element = [a, b, c, d, 0];
            (51, 4)
        }
        _ => return None,
    };
    let objects = [(address, element.get(..len)?)];
    AsduBuffer::new(layout, TypeId(type_id), Cause::new(Cause::ACTIVATION), 0, common, &objects).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_layout_cannot_hold_is_refused() {
        let small = Layout { cause: 1, common: 1, object: 1 };
        let build = |common, address| {
            AsduBuffer::new(small, TypeId(1), Cause::new(3), 0, common, &[(address, &[1])])
                .map(|asdu| asdu.len)
        };
        assert_eq!(build(255, 255), Ok(6));
        assert!(build(256, 1).is_err() && build(1, 256).is_err());
        let many: Vec<(u32, &[u8])> = (0..128).map(|address| (address, &[1][..])).collect();
        assert_eq!(
            AsduBuffer::new(Layout::NET, TypeId(1), Cause::new(3), 0, 1, &many),
            Err(Illegal::TooLong)
        );
        let asdu =
            AsduBuffer::sequence(Layout::NET, TypeId(1), Cause::new(20), 0, 1, (9, &[&[1], &[0]])).unwrap();
        assert_eq!(asdu.as_bytes(), [1, 0x82, 20, 0, 1, 0, 9, 0, 0, 1, 0]);
    }
}
