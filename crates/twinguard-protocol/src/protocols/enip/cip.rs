//! Services of the common industrial protocol: requests, responses, and the services inside others.
//!
//! Source: *The CIP Networks Library* Volume 1 §2-4 (message router), §3-5 (connection manager), Appendix A (services),
//! Appendix B (status); Rockwell 1756-PM020 for the services of Logix tags.

use twinguard_types::Oddity;

use super::path::Target;
use crate::bytes::{le16, le32};
use crate::protocol::{Action, Oddities};

/// Services inside one message that are followed.
pub const SERVICES_MAX: usize = 256;

/// A service request or response (2-4.1, 2-4.2); borrows its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service<'a> {
    /// The code without the response bit.
    pub code: u8,
    /// Whether it is a response.
    pub response: bool,
    /// The path of a request, without its size.
    pub path: &'a [u8],
    /// General status of a response (Appendix B-1).
    pub status: u8,
    /// Additional status of a response, whole words.
    pub additional: &'a [u8],
    /// What follows.
    pub data: &'a [u8],
}

/// The code of a service that holds others.
const MULTIPLE: u8 = 0x0a;
/// `Unconnected_Send` (3-5.5.4), `Read_Tag_Fragmented` of Logix tags.
const UNCONNECTED_SEND: u8 = 0x52;
/// The class of the connection manager (3-5).
pub(super) const CONNECTION_MANAGER: u32 = 6;

impl<'a> Service<'a> {
    /// Reads a service; `None` when it is shorter than its head, path or additional status.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (code, rest) = bytes.split_first()?;
        match rest {
            [_, status, size, rest @ ..] if code & 0x80 != 0 => {
                let (additional, data) = rest.split_at_checked(usize::from(*size) * 2)?;
                Some(Self { code: code & 0x7f, response: true, path: &[], status: *status, additional, data })
            }
            [size, rest @ ..] if code & 0x80 == 0 => {
                let (path, data) = rest.split_at_checked(usize::from(*size) * 2)?;
                Some(Self { code: *code, response: false, path, status: 0, additional: &[], data })
            }
            _ => None,
        }
    }

    /// Extended status: the first additional word (B-1).
    #[must_use]
    pub fn extended(&self) -> Option<u16> {
        le16(self.additional, 0)
    }

    /// The message in an `Unconnected_Send` and the route behind it (table 3-5.19).
    #[must_use]
    pub fn forwarded(&self) -> Option<(&'a [u8], &'a [u8])> {
        let routed = self.code == UNCONNECTED_SEND
            && !self.response
            && Target::of(self.path).class == Some(CONNECTION_MANAGER);
        let (size, rest) = (le16(self.data, 2)?, self.data.get(4..)?);
        if !routed {
            return None;
        }
        let (message, rest) = rest.split_at_checked(usize::from(size))?;
        let rest = if size % 2 == 0 { rest } else { rest.get(1..)? };
        let (words, rest) = (rest.first()?, rest.get(2..)?);
        Some((message, rest.get(..usize::from(*words) * 2)?))
    }

    /// Number of services inside, and the bytes from that number on, to which the offsets refer.
    #[must_use]
    pub fn multiple(&self) -> Option<Multiple<'a>> {
        if self.code != MULTIPLE || self.response && !matches!(self.status, 0 | 0x1e) {
            return None;
        }
        let count = le16(self.data, 0)?;
        // The table of offsets has to be there.
        let held = usize::from(count).min(self.data.len().saturating_sub(2) / 2).min(SERVICES_MAX);
        Some(Multiple { bytes: self.data, count, held: held as u16, next: 0, read: 2 + 2 * held as u16 })
    }
}

/// The services in a multiple service packet.
#[derive(Clone, Copy, Debug)]
pub struct Multiple<'a> {
    bytes: &'a [u8],
    /// Their number, as told.
    pub count: u16,
    held: u16,
    next: u16,
    /// Bytes that were read: the table and the services before, as far as offsets reach.
    read: u16,
}

impl Multiple<'_> {
    /// Where the n-th service begins, counted from the number of services.
    #[must_use]
    pub fn offset(&self, index: u16) -> Option<u16> {
        (index < self.held).then(|| le16(self.bytes, 2 + 2 * usize::from(index))).flatten()
    }

    /// Flags offsets that lie outside, overlap the table or go backwards, and numbers that cannot be.
    pub fn check(&self, at: usize, oddities: &mut Oddities) {
        if self.count != self.held || self.count == 0 {
            oddities.push(Oddity::BadQuantity, at);
        }
        let mut last = 2 + 2 * self.held;
        for index in 0..self.held {
            let offset = self.offset(index).unwrap_or_default();
            if offset < last || usize::from(offset) >= self.bytes.len() {
                oddities.push(Oddity::BadAddress, at + 2 + 2 * usize::from(index));
                return;
            }
            last = offset;
        }
    }
}

impl<'a> Iterator for Multiple<'a> {
    type Item = Service<'a>;

    /// The next service; one that cannot be read is empty, so that places stay.
    #[inline]
    fn next(&mut self) -> Option<Service<'a>> {
        let start = self.offset(self.next)?;
        self.next += 1;
        let end = self.offset(self.next).map_or(self.bytes.len(), usize::from);
        // A service lies behind the table and the one before: bytes are read once, whatever the offsets say.
        let bytes = if start < self.read { None } else { self.bytes.get(usize::from(start)..end) };
        self.read = if bytes.is_some() { end.min(usize::from(u16::MAX)) as u16 } else { self.read };
        Some(bytes.and_then(Service::new).unwrap_or_default())
    }
}

/// The services of a message that are no wrapping: those in a multiple service packet, in an `Unconnected_Send` or alone.
#[derive(Clone, Copy, Debug)]
pub struct Leaves<'a>(Left<'a>);

#[derive(Clone, Copy, Debug)]
enum Left<'a> {
    /// These bytes are one; empty when it was told.
    Single(&'a [u8]),
    Multiple(Multiple<'a>),
}

impl Default for Leaves<'_> {
    fn default() -> Self {
        Self(Left::Single(&[]))
    }
}

impl<'a> Leaves<'a> {
    /// Of a message.
    #[inline]
    #[must_use]
    pub fn of(mut message: &'a [u8]) -> Self {
        let Some(mut service) = Service::new(message) else { return Self::default() };
        // An Unconnected_Send in another one is not followed: nobody routes so.
        if let Some((inner, _)) = service.forwarded() {
            let Some(routed) = Service::new(inner) else { return Self::default() };
            (message, service) = (inner, routed);
        }
        Self(service.multiple().map_or(Left::Single(message), Left::Multiple))
    }
}

impl<'a> Iterator for Leaves<'a> {
    type Item = Service<'a>;

    #[inline]
    fn next(&mut self) -> Option<Service<'a>> {
        match &mut self.0 {
            Left::Single(bytes) => Service::new(core::mem::take(bytes)),
            Left::Multiple(multiple) => multiple.next(),
        }
    }
}

/// What a service does with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// `Get_Attributes_All`.
    GetAll,
    /// `Set_Attributes_All`.
    SetAll,
    /// `Get_Attribute_List`.
    GetList,
    /// `Set_Attribute_List`.
    SetList,
    /// `Get_Attribute_Single`.
    GetSingle,
    /// `Set_Attribute_Single`.
    SetSingle,
    /// `Read_Tag` (PM020).
    ReadTag,
    /// `Read_Tag_Fragmented` (PM020).
    ReadFragment,
    /// `Write_Tag` (PM020).
    WriteTag,
    /// `Write_Tag_Fragmented` (PM020).
    WriteFragment,
    /// `Read_Modify_Write_Tag` (PM020).
    ModifyTag,
    /// Opens, closes or routes a connection (3-5.5).
    Connection,
    /// Something else: what its data mean only the class knows.
    Other,
}

impl Meaning {
    /// Whether it speaks of a Logix tag.
    #[must_use]
    pub const fn is_tag(self) -> bool {
        use Meaning::{ModifyTag, ReadFragment, ReadTag, WriteFragment, WriteTag};
        matches!(self, ReadTag | ReadFragment | WriteTag | WriteFragment | ModifyTag)
    }

    /// Of a service of this target.
    #[inline]
    #[must_use]
    pub fn of(code: u8, target: &Target<'_>) -> Self {
        match code {
            0x01 => Self::GetAll,
            0x02 => Self::SetAll,
            0x03 => Self::GetList,
            0x04 => Self::SetList,
            0x0e => Self::GetSingle,
            0x10 => Self::SetSingle,
            0x4c if target.is_tag() => Self::ReadTag,
            0x4d if target.is_tag() => Self::WriteTag,
            0x4e if target.is_tag() => Self::ModifyTag,
            0x52 if target.is_tag() => Self::ReadFragment,
            0x53 if target.is_tag() => Self::WriteFragment,
            0x4e..=0x5b if target.class == Some(CONNECTION_MANAGER) => Self::Connection,
            _ => Self::Other,
        }
    }
}

/// What a request does to the device beyond values.
#[must_use]
pub(super) fn action(code: u8, target: &Target<'_>, data: &[u8]) -> Option<Action> {
    let class = target.class.unwrap_or_default();
    Some(match (code, class) {
        (0x05, _) => Action::Restart,
        (0x06, _) => Action::Start,
        (0x07, _) => Action::Stop,
        (0x09, _) => Action::Delete,
        // Create, Apply_Attributes, Restore, Save, insert and remove members.
        (0x08 | 0x0d | 0x15 | 0x16 | 0x1a | 0x1b, _) => Action::Configure,
        (0x54 | 0x5b, 6) => Action::Connect,
        (0x4e, 6) => Action::Disconnect,
        // Time Sync object (V1 5-47) and the wall clock of Logix controllers.
        (0x02 | 0x04 | 0x10, 0x43 | 0x8b) => Action::SetTime,
        // Identity, message router, ports, TCP/IP interface, Ethernet link, QoS (V2 chapter 5).
        (0x02 | 0x04 | 0x10, 0x01 | 0x02 | 0x06 | 0x48 | 0xf4..=0xf6) => Action::Configure,
        // File object (V1 5-42); non-volatile storage of Rockwell devices, where firmware goes.
        (0x4b, 0x37) => Action::Upload,
        (0x4c | 0x4d, 0x37) | (0x4b | 0x4d | 0x51, 0xa1) => Action::Download,
        // Get_Instance_Attribute_List over symbols and templates (PM020).
        (0x55, 0x6b | 0x6c) => Action::Browse,
        (0x4b, 0x67) => return pccc(data),
        _ => return None,
    })
}

/// What an encapsulated PCCC command does (*DF1 Protocol and Command Set*, 1770-6.5.16, chapter 7).
fn pccc(data: &[u8]) -> Option<Action> {
    // Execute PCCC: requestor (its size first), command, status, transaction, function.
    let rest = data.get(usize::from(*data.first()?)..)?;
    match (rest.first()?, rest.get(4)?, rest.get(5)) {
        // Change mode: 0x80 SLC (1 program), 0x3a MicroLogix.
        (0x0f, 0x80, Some(1)) | (0x0f, 0x3a, Some(1)) => Some(Action::Stop),
        (0x0f, 0x80 | 0x3a, _) => Some(Action::Start),
        (0x0f, 0x50 | 0x57, _) => Some(Action::Download),
        (0x0f, 0x53 | 0x06, _) => Some(Action::Upload),
        _ => None,
    }
}

/// The parts of a `Forward_Open` request that explain later traffic (table 3-5.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardOpen {
    /// Serial number, vendor and serial of the originator: together they name the connection.
    pub triad: (u16, u16, u32),
    /// Transport class and trigger; class in the low four bits.
    pub transport: u8,
    /// Instances of the assemblies: to the target, to the originator.
    pub points: [Option<u32>; 2],
}

impl ForwardOpen {
    /// From a request of service 0x54 or 0x5b.
    #[must_use]
    pub fn of(request: &Service<'_>) -> Option<Self> {
        let data = request.data;
        // The large form has connection parameters of four bytes in place of two.
        let large = match request.code {
            0x54 => 0,
            0x5b => 4,
            _ => return None,
        };
        let transport = *data.get(34 + large)?;
        let path = data.get(36 + large..)?;
        let target = Target::of(path);
        // 3-5.4.1.10: the last two points are output and input; one alone serves both.
        let points = match target.points {
            [Some(output), Some(input), None] => [Some(output), Some(input)],
            [Some(_), Some(output), Some(input)] => [Some(output), Some(input)],
            [Some(both), None, None] => [Some(both), Some(both)],
            _ => [None, None],
        };
        Some(Self {
            triad: (le16(data, 10)?, le16(data, 12)?, le32(data, 14)?),
            transport,
            points: if target.class == Some(4) { points } else { [None, None] },
        })
    }
}

/// The name of a service; class-specific codes name what they are for the classes that plants use.
#[must_use]
pub const fn service_name(code: u8) -> &'static str {
    match code {
        0x01 => "Get_Attributes_All",
        0x02 => "Set_Attributes_All",
        0x03 => "Get_Attribute_List",
        0x04 => "Set_Attribute_List",
        0x05 => "Reset",
        0x06 => "Start",
        0x07 => "Stop",
        0x08 => "Create",
        0x09 => "Delete",
        0x0a => "Multiple_Service_Packet",
        0x0d => "Apply_Attributes",
        0x0e => "Get_Attribute_Single",
        0x10 => "Set_Attribute_Single",
        0x11 => "Find_Next_Object_Instance",
        0x15 => "Restore",
        0x16 => "Save",
        0x17 => "No_Operation",
        0x18 => "Get_Member",
        0x19 => "Set_Member",
        0x1a => "Insert_Member",
        0x1b => "Remove_Member",
        0x1c => "GroupSync",
        0x4b => "Execute_PCCC or class-specific",
        0x4c => "Read_Tag or class-specific",
        0x4d => "Write_Tag or class-specific",
        0x4e => "Forward_Close, Read_Modify_Write_Tag or class-specific",
        0x52 => "Unconnected_Send, Read_Tag_Fragmented or class-specific",
        0x53 => "Write_Tag_Fragmented or class-specific",
        0x54 => "Forward_Open or class-specific",
        0x55 => "Get_Instance_Attribute_List or class-specific",
        0x5b => "Large_Forward_Open or class-specific",
        0x32..=0x7f => "class-specific",
        _ => "reserved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_inside_others_are_found() {
        // PM020, multiple service packet: two reads.
        let first = [0x4c, 4, 0x91, 5, b't', b'o', b't', b'a', b'l', 0, 1, 0];
        let mut packet = vec![0x0a, 2, 0x20, 2, 0x24, 1, 2, 0, 6, 0, 18, 0];
        packet.extend(first);
        packet.extend(first);
        let codes = |message: &[u8]| Leaves::of(message).map(|leaf| leaf.code).collect::<Vec<_>>();
        assert_eq!(codes(&packet), [0x4c, 0x4c]);
        let mut routed = vec![0x52, 2, 0x20, 6, 0x24, 1, 7, 0xe9, packet.len() as u8, 0];
        routed.extend(&packet);
        routed.extend([1, 0, 1, 0]);
        assert_eq!(codes(&routed), [0x4c, 0x4c]);
        let service = Service::new(&routed).unwrap();
        assert_eq!(service.forwarded().unwrap().1, [1, 0], "the route");
        assert_eq!(codes(&first), [0x4c]);
        assert_eq!(codes(&[0x8a, 0, 8, 0, 2, 0, 6, 0, 7, 0]), [0x0a], "a refusal holds none");
    }

    #[test]
    fn hostile_tables_stay_bounded() {
        let mut packet = vec![0x8a, 0, 0, 0, 0xff, 0xff];
        packet.extend([2u8, 0].repeat(4000));
        let mut oddities = Oddities::NONE;
        Service::new(&packet).unwrap().multiple().unwrap().check(0, &mut oddities);
        assert!(oddities.contains(Oddity::BadQuantity) && oddities.contains(Oddity::BadAddress));
        assert!(Leaves::of(&packet).count() <= SERVICES_MAX);
        assert!(Leaves::of(&packet).all(|leaf| leaf == Service::default()));
    }

    #[test]
    fn what_a_service_does() {
        let check = |code, class, data: &[u8], expect| {
            let target = Target { class: Some(class), ..Target::default() };
            assert_eq!(action(code, &target, data), expect);
        };
        check(5, 1, &[], Some(Action::Restart));
        check(7, 0x8e, &[], Some(Action::Stop));
        check(0x10, 0xf5, &[], Some(Action::Configure));
        check(4, 0x8b, &[], Some(Action::SetTime));
        check(0x4d, 0xa1, &[], Some(Action::Download));
        check(0x4d, 0x72, &[], None);
        check(0x4b, 0x67, &[7, 1, 0, 1, 0, 0, 0, 0x0f, 0, 1, 0, 0x80, 1], Some(Action::Stop));
        check(0x4b, 0x67, &[7, 1, 0, 1, 0, 0, 0, 0x0f, 0, 1, 0, 0x80, 6], Some(Action::Start));
        check(0x4b, 0x67, &[200, 1], None);
    }
}
