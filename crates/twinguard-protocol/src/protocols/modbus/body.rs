//! What follows the function code: one variant per layout of the standard.

/// Single bits, eight a byte, the first in the least significant bit of the first byte (§6.1).
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    count: u16,
}

impl<'a> Bits<'a> {
    /// The first `count` bits of these bytes; fewer when they hold fewer.
    #[must_use]
    pub fn new(bytes: &'a [u8], count: u16) -> Self {
        let held = bytes.len().saturating_mul(8).min(usize::from(u16::MAX)) as u16;
        Self { bytes, count: count.min(held) }
    }

    /// The bytes that hold them.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of bits.
    #[must_use]
    pub const fn len(&self) -> u16 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All bits in order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = bool> + 'a {
        let bits = self.bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        bits.take(usize::from(self.count))
    }
}

impl PartialEq for Bits<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl Eq for Bits<'_> {}

/// Registers of 16 bits, big-endian (§4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers<'a> {
    bytes: &'a [u8],
}

impl<'a> Registers<'a> {
    /// The registers in these bytes; an odd last byte is left out.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.get(..bytes.len() & !1).unwrap_or_default() }
    }

    /// The bytes that hold them, an even number.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of registers.
    #[must_use]
    pub const fn len(&self) -> u16 {
        (self.bytes.len() / 2) as u16
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All registers in order of their addresses.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u16> + 'a {
        let (pairs, _) = self.bytes.as_chunks::<2>();
        pairs.iter().map(|pair| u16::from_be_bytes(*pair))
    }
}

/// The sub-requests of a Read File Record request, seven bytes each (§6.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileReads<'a>(pub(super) &'a [u8]);

/// One sub-request of a Read File Record request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRead {
    /// Reference type, 6 by the standard.
    pub reference: u8,
    /// File number, from 1.
    pub file: u16,
    /// First record, 0 to 9999.
    pub record: u16,
    /// Number of registers.
    pub length: u16,
}

impl<'a> FileReads<'a> {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// All whole sub-requests.
    pub fn iter(&self) -> impl Iterator<Item = FileRead> + 'a {
        let (groups, _) = self.0.as_chunks::<7>();
        groups.iter().map(|[reference, f1, f0, r1, r0, l1, l0]| FileRead {
            reference: *reference,
            file: u16::from_be_bytes([*f1, *f0]),
            record: u16::from_be_bytes([*r1, *r0]),
            length: u16::from_be_bytes([*l1, *l0]),
        })
    }
}

/// The sub-responses of a Read File Record response (§6.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileAnswers<'a>(pub(super) &'a [u8]);

impl<'a> FileAnswers<'a> {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The reference type and the registers of each sub-response, up to the first that is cut.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Registers<'a>)> + 'a {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let ([length, reference], after) = rest.split_first_chunk()?;
            let (data, after) = after.split_at_checked(usize::from(*length).checked_sub(1)?)?;
            rest = after;
            Some((*reference, Registers::new(data)))
        })
    }
}

/// The sub-requests of a Write File Record message (§6.15); its response repeats them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileWrites<'a>(pub(super) &'a [u8]);

impl<'a> FileWrites<'a> {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Place and registers of each sub-request, up to the first that is cut.
    pub fn iter(&self) -> impl Iterator<Item = (FileRead, Registers<'a>)> + 'a {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (head, after) = rest.split_at_checked(7)?;
            let place = FileReads(head).iter().next()?;
            let (data, after) = after.split_at_checked(usize::from(place.length).saturating_mul(2))?;
            rest = after;
            Some((place, Registers::new(data)))
        })
    }
}

/// The objects of a Read Device Identification response (§6.21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects<'a>(pub(super) &'a [u8]);

impl<'a> Objects<'a> {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Number and value of each object, up to the first that is cut.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + 'a {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let ([id, length], after) = rest.split_first_chunk()?;
            let (value, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            Some((*id, value))
        })
    }
}

/// What follows the function code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Request of functions 1 to 4: addresses to read (§6.1 to §6.4).
    Read {
        /// First address.
        start: u16,
        /// Number of bits or registers.
        quantity: u16,
    },
    /// Response of functions 1 and 2 (§6.1, §6.2); its count is a multiple of 8, the request tells the true one.
    Bits(Bits<'a>),
    /// Response of functions 3, 4 and 23 (§6.3, §6.4, §6.17).
    Registers(Registers<'a>),
    /// Request and response of function 5 (§6.5).
    WriteCoil {
        /// Address.
        address: u16,
        /// `0xff00` is on, `0x0000` is off.
        value: u16,
    },
    /// Request and response of function 6 (§6.6).
    WriteRegister {
        /// Address.
        address: u16,
        /// Value.
        value: u16,
    },
    /// Request of functions 7, 11, 12 and 17: no data.
    Empty,
    /// Response of function 7: eight outputs of the device's choice (§6.7).
    ExceptionStatus {
        /// One bit an output.
        outputs: u8,
    },
    /// Request and response of function 8 (§6.8).
    Diagnostics {
        /// Sub-function.
        sub_function: u16,
        /// Its data.
        data: &'a [u8],
    },
    /// Response of function 11 (§6.9).
    EventCounter {
        /// `0xffff` while a command is being processed, else 0.
        status: u16,
        /// Number of successful messages.
        count: u16,
    },
    /// Response of function 12 (§6.10).
    EventLog {
        /// `0xffff` while a command is being processed, else 0.
        status: u16,
        /// Number of successful messages.
        events: u16,
        /// Number of messages.
        messages: u16,
        /// The events, the latest first.
        log: &'a [u8],
    },
    /// Request of function 15 (§6.11).
    WriteCoils {
        /// First address.
        start: u16,
        /// Number of coils asked for.
        quantity: u16,
        /// The values that came.
        bits: Bits<'a>,
    },
    /// Request of function 16 (§6.12).
    WriteRegisters {
        /// First address.
        start: u16,
        /// Number of registers asked for.
        quantity: u16,
        /// The values that came.
        registers: Registers<'a>,
    },
    /// Response of functions 15 and 16 (§6.11, §6.12).
    Written {
        /// First address.
        start: u16,
        /// Number of coils or registers.
        quantity: u16,
    },
    /// Response of function 17; its layout is the device's (§6.13).
    ServerId {
        /// Server identifier, run indicator, further data.
        data: &'a [u8],
    },
    /// Request of function 20 (§6.14).
    ReadFile(FileReads<'a>),
    /// Response of function 20 (§6.14).
    FileData(FileAnswers<'a>),
    /// Request and response of function 21 (§6.15).
    WriteFile(FileWrites<'a>),
    /// Request and response of function 22: new = (old AND `and`) OR (`or` AND NOT `and`) (§6.16).
    MaskWrite {
        /// Address.
        address: u16,
        /// Bits to keep.
        and: u16,
        /// Values of the others.
        or: u16,
    },
    /// Request of function 23; the write comes first (§6.17).
    ReadWrite {
        /// First address to read.
        read_start: u16,
        /// Number of registers to read.
        read_quantity: u16,
        /// First address to write.
        write_start: u16,
        /// Number of registers to write.
        write_quantity: u16,
        /// The values that came.
        registers: Registers<'a>,
    },
    /// Request of function 24 (§6.18).
    ReadFifo {
        /// Address of the pointer.
        address: u16,
    },
    /// Response of function 24 (§6.18).
    Fifo {
        /// Number of registers in the queue.
        count: u16,
        /// The registers that came.
        registers: Registers<'a>,
    },
    /// Request of function 43, type 14 (§6.21).
    ReadDeviceId {
        /// 1 basic, 2 regular, 3 extended, 4 one object.
        code: u8,
        /// First object.
        object: u8,
    },
    /// Response of function 43, type 14 (§6.21).
    DeviceId {
        /// As in the request.
        code: u8,
        /// What the device can tell.
        conformity: u8,
        /// `0xff` when objects follow in a further response, else 0.
        more: u8,
        /// The first object of the further response.
        next: u8,
        /// Number of objects.
        count: u8,
        /// The objects.
        objects: Objects<'a>,
    },
    /// Function 43 of any other type, 13 being `CANopen` (§6.20).
    Encapsulated {
        /// Type.
        kind: u8,
        /// Its data.
        data: &'a [u8],
    },
    /// Negative answer (§7).
    Exception {
        /// Why.
        code: u8,
    },
    /// A function without a public layout.
    Opaque {
        /// Its data.
        data: &'a [u8],
    },
    /// Fewer bytes than the function's fixed fields need.
    Short {
        /// What came.
        data: &'a [u8],
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_least_significant_first() {
        let bits = Bits::new(&[0b1100_1101, 0b1], 9);
        assert_eq!(bits.iter().map(u8::from).collect::<Vec<_>>(), [1, 0, 1, 1, 0, 0, 1, 1, 1]);
        assert_eq!(bits, Bits::new(&[0b1100_1101, 0b11], 9), "what lies behind the count does not matter");
        assert_eq!(Bits::new(&[0], 40).len(), 8);
    }

    #[test]
    fn nested_records_end_at_the_first_cut_one() {
        // §6.14: two groups; the second is cut.
        let answers = FileAnswers(&[5, 6, 0x0d, 0xfe, 0x00, 0x20, 5, 6, 0x33]);
        let all: Vec<_> = answers.iter().map(|(_, registers)| registers.iter().collect::<Vec<_>>()).collect();
        assert_eq!(all, [[0x0dfe, 0x0020]]);
        // §6.15: file 4, record 7, three registers.
        let writes = FileWrites(&[6, 0, 4, 0, 7, 0, 3, 6, 0xaf, 4, 0xbe, 0x10, 0x0d]);
        let (place, registers) = writes.iter().next().unwrap();
        assert_eq!((place.file, place.record, place.length), (4, 7, 3));
        assert_eq!(registers.iter().collect::<Vec<_>>(), [0x06af, 0x04be, 0x100d]);
        assert_eq!(FileAnswers(&[0, 6]).iter().count(), 0);
        let objects = Objects(&[0, 2, b'a', b'b', 1, 9, b'c']);
        assert_eq!(objects.iter().collect::<Vec<_>>(), [(0, &b"ab"[..])]);
    }
}
