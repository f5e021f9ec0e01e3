//! Mailbox messages in the memory of a slave (ETG.1000.4 5.6; ETG.1000.6: 5.6 CoE, 5.7 EoE, 5.8 FoE).

use super::frame::{Addressing, Datagram};
use crate::protocol::Action;

/// Where mailboxes begin at the earliest: process memory of a slave controller (ETG.1000.4 table 31).
const MEMORY: u16 = 0x1000;

/// One mailbox message; borrows its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mailbox<'a> {
    /// Station address of the sender or receiver where slaves speak to each other, else 0.
    pub address: u16,
    /// Channel and priority.
    pub channel: u8,
    /// 1 AoE, 2 EoE, 3 CoE, 4 FoE, 5 SoE, 15 VoE.
    pub kind: u8,
    /// Counts 1 to 7 so that repetitions are known; 0 is not used.
    pub counter: u8,
    /// What it carries.
    pub content: &'a [u8],
}

/// An object of a slave's dictionary as a mailbox message transfers it (ETG.1000.6 5.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdo<'a> {
    /// The master gives a value: download request.
    Write {
        /// Which object.
        object: Object,
        /// The value, or its beginning where further messages bring the rest.
        value: &'a [u8],
    },
    /// The slave took it.
    Written(Object),
    /// The master asks for a value: upload request.
    Ask(Object),
    /// The slave tells it.
    Told {
        /// Which object.
        object: Object,
        /// The value, or its beginning where further messages bring the rest.
        value: &'a [u8],
    },
    /// Either refuses.
    Abort {
        /// Which object.
        object: Object,
        /// Why (ETG.1000.6 table 41).
        code: u32,
    },
    /// A further part of a value.
    Segment(&'a [u8]),
}

/// Index and subindex of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// Index.
    pub index: u16,
    /// Subindex, 0 for the object as a whole.
    pub sub: u8,
}

impl<'a> Mailbox<'a> {
    /// The message in a datagram that reads or writes process memory of one slave, if its bytes are one.
    #[must_use]
    pub fn of(datagram: &Datagram<'a>) -> Option<Self> {
        let one = matches!(datagram.command.addressing(), Addressing::Station | Addressing::Position);
        let ([l0, l1, a0, a1, channel, kind], rest) = datagram.data.split_first_chunk()?;
        let content = rest.get(..usize::from(u16::from_le_bytes([*l0, *l1])))?;
        let (counter, kind) = (kind >> 4, kind & 0x0f);
        let known = matches!(kind, 1..=5 | 15) && counter < 8 && !content.is_empty();
        let fits = one && datagram.offset() >= MEMORY && known;
        let address = u16::from_le_bytes([*a0, *a1]);
        fits.then_some(Self { address, channel: *channel, kind, counter, content })
    }

    /// Service of a CoE message: 1 emergency, 2 SDO request, 3 SDO response, 4 to 7 process data, 8 SDO information.
    #[must_use]
    pub fn service(&self) -> Option<u8> {
        let service = self.content.get(1)? >> 4;
        (self.kind == 3 && (1..=8).contains(&service)).then_some(service)
    }

    /// The object transfer in it.
    #[must_use]
    pub fn sdo(&self) -> Option<Sdo<'a>> {
        let service = self.service().filter(|service| matches!(service, 2 | 3))?;
        let (command, rest) = self.content.get(2..)?.split_first()?;
        let place = rest.split_first_chunk::<3>();
        let object =
            place.map(|([i0, i1, sub], _)| Object { index: u16::from_le_bytes([*i0, *i1]), sub: *sub });
        let data = place.map_or(&[][..], |(_, data)| data);
        // An expedited value lies in four bytes with the unused ones counted, another behind its size.
        let value = || match command & 0x03 {
            0x03 => data.get(..4 - usize::from(command >> 2 & 3)),
            0x02 => data.get(..4),
            _ => {
                let (size, value) = data.split_first_chunk()?;
                value.get(..u32::from_le_bytes(*size) as usize).or(Some(value))
            }
        };
        Some(match (command >> 5, service) {
            (4, _) => {
                let code = data.first_chunk().map(|code| u32::from_le_bytes(*code))?;
                Sdo::Abort { object: object?, code }
            }
            (1, 2) => Sdo::Write { object: object?, value: value()? },
            (3, 3) => Sdo::Written(object?),
            (2, 2) => Sdo::Ask(object?),
            (2, 3) => Sdo::Told { object: object?, value: value()? },
            (0 | 3, 2) | (0 | 1, 3) => Sdo::Segment(rest),
            _ => return None,
        })
    }

    /// The operation of a FoE message: 1 read, 2 write, 3 data, 4 acknowledge, 5 error, 6 busy.
    #[must_use]
    pub fn file_operation(&self) -> Option<u8> {
        self.content.first().copied().filter(|operation| self.kind == 4 && (1..=6).contains(operation))
    }

    /// What it asks of the slave beyond values.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        match (self.file_operation(), self.service()) {
            (Some(1), _) => Some(Action::Upload),
            (Some(2), _) => Some(Action::Download),
            (_, Some(8)) => Some(Action::Browse),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Command;
    use super::*;

    fn check(content: &[u8], want: Option<Sdo<'_>>) {
        let data = [&[content.len() as u8, 0, 0, 0, 0, 0x13], content].concat();
        let datagram = Datagram {
            command: Command::FPWR,
            index: 0,
            address: 0x1000_1001,
            circulating: false,
            events: 0,
            data: &data,
            working_counter: 0,
        };
        assert_eq!(Mailbox::of(&datagram).unwrap().sdo(), want, "{content:02x?}");
        let elsewhere = Datagram { address: 0x0120_1001, ..datagram };
        assert_eq!(Mailbox::of(&elsewhere), None, "registers are no mailbox");
    }

    #[test]
    fn objects_are_asked_told_and_written() {
        let object = Object { index: 0x6040, sub: 0 };
        check(&[0, 0x20, 0x2b, 0x40, 0x60, 0, 0x0f, 0, 0, 0], Some(Sdo::Write { object, value: &[0x0f, 0] }));
        check(&[0, 0x30, 0x60, 0x40, 0x60, 0, 0, 0, 0, 0], Some(Sdo::Written(object)));
        check(&[0, 0x20, 0x40, 0x40, 0x60, 0, 0, 0, 0, 0], Some(Sdo::Ask(object)));
        check(&[0, 0x30, 0x43, 0x40, 0x60, 0, 1, 2, 3, 4], Some(Sdo::Told { object, value: &[1, 2, 3, 4] }));
        check(
            &[0, 0x30, 0x41, 0x40, 0x60, 0, 2, 0, 0, 0, 7, 8, 9],
            Some(Sdo::Told { object, value: &[7, 8] }),
        );
        check(&[0, 0x30, 0x41, 0x40, 0x60, 0, 9, 0, 0, 0, 7, 8], Some(Sdo::Told { object, value: &[7, 8] }));
        check(&[0, 0x20, 0x80, 0x40, 0x60, 0, 0, 0, 2, 6], Some(Sdo::Abort { object, code: 0x0602_0000 }));
        check(&[0, 0x20, 0x00, 1, 2, 3, 4, 5, 6, 7], Some(Sdo::Segment(&[1, 2, 3, 4, 5, 6, 7])));
        check(&[0, 0x20, 0x2b, 0x40], None);
        check(&[0, 0x10, 0, 0x10, 0x81, 0, 0, 0, 0, 0], None);
    }
}
