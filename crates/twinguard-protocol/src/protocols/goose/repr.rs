//! Legal GOOSE messages, to be written.
//!
//! Source: IEC 61850-8-1 (2011) Annex A, Annex C.2; limits of names by IEC 61850-7-2 §22.2 (129 characters).

use super::view::{HEADER_LEN, SIMULATED};
use crate::ber;
use crate::iec61850::{Entry, UtcTime};

/// The longest message that an Ethernet frame holds.
pub const MESSAGE_MAX: usize = 1492;
/// The longest reference.
pub const REFERENCE_MAX: usize = 129;

/// A message on Ethernet, behind the EtherType.
///
/// ```
/// use twinguard_protocol::iec61850::{Entry, UtcTime};
/// use twinguard_protocol::protocols::goose::{Repr, View};
///
/// let trip = Repr {
///     app_id: 1,
///     simulation: false,
///     control_block: "IED1LD0/LLN0$GO$gcb01",
///     time_allowed_to_live: 2000,
///     data_set: "IED1LD0/LLN0$Trips",
///     id: Some("trips"),
///     time: UtcTime([0; 8]),
///     state_number: 2,
///     sequence_number: 0,
///     revision: 1,
///     needs_commissioning: false,
///     entries: &[Entry::Boolean(true), Entry::Bits(&[0, 0], 13)],
/// };
/// let bytes = trip.emit().unwrap();
/// let view = View::new(&bytes).unwrap();
/// assert!(view.oddities().is_empty());
/// assert_eq!(view.state_number(), Some(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repr<'a> {
    /// Application identifier.
    pub app_id: u16,
    /// Whether it is simulated, told in the header and in the PDU.
    pub simulation: bool,
    /// Reference of the control block.
    pub control_block: &'a str,
    /// Milliseconds within which the next message comes.
    pub time_allowed_to_live: u32,
    /// Reference of the data set.
    pub data_set: &'a str,
    /// Identifier given by the user.
    pub id: Option<&'a str>,
    /// When the state number last went up.
    pub time: UtcTime,
    /// State number.
    pub state_number: u32,
    /// Sequence number.
    pub sequence_number: u32,
    /// Revision of the data set.
    pub revision: u32,
    /// Whether the publisher needs commissioning.
    pub needs_commissioning: bool,
    /// The values.
    pub entries: &'a [Entry<'a>],
}

impl Repr<'_> {
    /// The bytes, from the APPID on; `None` for what does not fit a frame, or names that are too long.
    #[must_use]
    pub fn emit(&self) -> Option<Vec<u8>> {
        let names = [self.control_block, self.data_set, self.id.unwrap_or_default()];
        names.iter().all(|name| name.len() <= REFERENCE_MAX).then_some(())?;
        let mut inner = Vec::new();
        ber::put(0x80, self.control_block.as_bytes(), &mut inner);
        ber::put_unsigned(0x81, self.time_allowed_to_live.into(), &mut inner);
        ber::put(0x82, self.data_set.as_bytes(), &mut inner);
        if let Some(id) = self.id {
            ber::put(0x83, id.as_bytes(), &mut inner);
        }
        ber::put(0x84, &self.time.0, &mut inner);
        ber::put_unsigned(0x85, self.state_number.into(), &mut inner);
        ber::put_unsigned(0x86, self.sequence_number.into(), &mut inner);
        ber::put(0x87, &[u8::from(self.simulation)], &mut inner);
        ber::put_unsigned(0x88, self.revision.into(), &mut inner);
        ber::put(0x89, &[u8::from(self.needs_commissioning)], &mut inner);
        ber::put_unsigned(0x8a, self.entries.len() as u64, &mut inner);
        let mut values = Vec::new();
        self.entries.iter().try_for_each(|entry| entry.emit(&mut values))?;
        ber::put(0xab, &values, &mut inner);
        let mut pdu = Vec::new();
        ber::put(0x61, &inner, &mut pdu);
        let length = Some(HEADER_LEN + pdu.len()).filter(|length| *length <= MESSAGE_MAX)?;
        let reserved = if self.simulation { SIMULATED } else { 0 };
        let head = [self.app_id, length as u16, reserved, 0];
        Some(head.iter().flat_map(|word| word.to_be_bytes()).chain(pdu).collect())
    }
}
