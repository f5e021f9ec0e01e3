//! Legal messages of sampled values, to be written.
//!
//! Source: IEC 61850-9-2 (2011) §8.5; limits of 9-2LE §7.2 (identifier of 34 characters).

use super::view::{HEADER_LEN, SIMULATED};
use crate::ber;
use crate::iec61850::UtcTime;

/// The longest message that an Ethernet frame holds.
pub const MESSAGE_MAX: usize = 1492;
/// The longest identifier, as IEC 61850-7-2 has it for all object references.
pub const ID_MAX: usize = 129;

/// One set of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples<'a> {
    /// Identifier of the stream.
    pub id: &'a str,
    /// Number of the sample.
    pub sample: u16,
    /// Revision of the data set.
    pub revision: u32,
    /// When its buffer was renewed.
    pub time: Option<UtcTime>,
    /// How the publisher is synchronised: 0 not, 1 locally, 2 globally.
    pub synchronised: u8,
    /// Values and the bits of their quality.
    pub channels: &'a [(i32, u32)],
}

/// A message on Ethernet, behind the EtherType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    /// Application identifier.
    pub app_id: u16,
    /// Whether it is simulated.
    pub simulated: bool,
    /// Its ASDUs.
    pub asdus: &'a [Samples<'a>],
}

impl Repr<'_> {
    /// The bytes, from the APPID on; `None` for what does not fit a frame, for no ASDU, or names that are too long.
    #[must_use]
    pub fn emit(&self) -> Option<Vec<u8>> {
        let mut list = Vec::new();
        for asdu in Some(self.asdus).filter(|asdus| !asdus.is_empty())? {
            Some(asdu.id.len()).filter(|len| (1..=ID_MAX).contains(len))?;
            let mut inner = Vec::new();
            ber::put(0x80, asdu.id.as_bytes(), &mut inner);
            ber::put(0x82, &asdu.sample.to_be_bytes(), &mut inner);
            ber::put(0x83, &asdu.revision.to_be_bytes(), &mut inner);
            if let Some(time) = asdu.time {
                ber::put(0x84, &time.0, &mut inner);
            }
            ber::put(0x85, &[asdu.synchronised], &mut inner);
            let channels = asdu.channels.iter();
            let data: Vec<_> = channels
                .flat_map(|(value, quality)| value.to_be_bytes().into_iter().chain(quality.to_be_bytes()))
                .collect();
            ber::put(0x87, &data, &mut inner);
            ber::put(0x30, &inner, &mut list);
        }
        let mut inner = Vec::new();
        ber::put_unsigned(0x80, self.asdus.len() as u64, &mut inner);
        ber::put(0xa2, &list, &mut inner);
        let mut pdu = Vec::new();
        ber::put(0x60, &inner, &mut pdu);
        let length = Some(HEADER_LEN + pdu.len()).filter(|length| *length <= MESSAGE_MAX)?;
        let reserved = if self.simulated { SIMULATED } else { 0 };
        let head = [self.app_id, length as u16, reserved, 0];
        Some(head.iter().flat_map(|word| word.to_be_bytes()).chain(pdu).collect())
    }
}
