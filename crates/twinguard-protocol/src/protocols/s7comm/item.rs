//! Items: what a request names, and the values of an answer.
//!
//! Sources: as `view.rs` (S7 variable specification 0x12; S7 return codes and data transport sizes).

/// Return code of an item that is good.
pub const GOOD: u8 = 0xff;
/// Return code of items in requests.
pub const RESERVED: u8 = 0;

/// Syntax of a variable specification (S7ANY): an area, a block, an address in bits.
pub const ANY: u8 = 0x10;
/// Syntax of a read of several parts of data blocks.
pub const DB_READ: u8 = 0xb0;

/// Items of a request, each led by 0x12 and its length; odd ones but the last are filled up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Items<'a> {
    rest: &'a [u8],
    left: u8,
}

impl<'a> Items<'a> {
    /// The first `count` items in these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8], count: u8) -> Self {
        Self { rest: bytes, left: count }
    }

    /// What was not yet read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        self.left = self.left.checked_sub(1)?;
        let [_, len, ..] = self.rest else { return None };
        let (bytes, rest) = self.rest.split_at_checked(usize::from(*len) + 2)?;
        let fill = self.left > 0 && bytes.len() % 2 == 1;
        self.rest = rest.get(usize::from(fill)..).unwrap_or_default();
        Some(Item { bytes })
    }
}

/// One item of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    bytes: &'a [u8],
}

/// An address of syntax [`ANY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Any {
    /// Transport size: 1 bit, 2 byte, 3 char, 4 word, 5 int, 6 dword, 7 dint, 8 real, 28 counter, 29 timer.
    pub transport: u8,
    /// Number of them.
    pub length: u16,
    /// Data block, 0 for other areas.
    pub block: u16,
    /// Area.
    pub area: u8,
    /// Address in bits; of counters and timers their number.
    pub address: u32,
}

impl<'a> Item<'a> {
    /// All its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its syntax.
    #[must_use]
    pub fn syntax(&self) -> Option<u8> {
        self.bytes.get(2).copied()
    }

    /// Its address where its syntax is [`ANY`].
    #[inline]
    #[must_use]
    pub fn any(&self) -> Option<Any> {
        match self.bytes {
            [0x12, 10, ANY, transport, l1, l0, d1, d0, area, a2, a1, a0] => Some(Any {
                transport: *transport,
                length: u16::from_be_bytes([*l1, *l0]),
                block: u16::from_be_bytes([*d1, *d0]),
                area: *area,
                address: u32::from_be_bytes([0, *a2, *a1, *a0]),
            }),
            _ => None,
        }
    }

    /// The parts of data blocks where its syntax is [`DB_READ`]: bytes, block, first byte.
    #[must_use]
    pub fn parts(&self) -> Parts<'a> {
        match self.bytes {
            [0x12, _, DB_READ, _, parts @ ..] => Parts(parts),
            _ => Parts(&[]),
        }
    }
}

/// Parts of data blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts<'a>(&'a [u8]);

impl Iterator for Parts<'_> {
    /// Number of bytes, block, first byte.
    type Item = (u8, u16, u16);

    fn next(&mut self) -> Option<(u8, u16, u16)> {
        let ([len, d1, d0, a1, a0], rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some((*len, u16::from_be_bytes([*d1, *d0]), u16::from_be_bytes([*a1, *a0])))
    }
}

/// The rows of a variable table, six bytes each.
#[derive(Clone, Copy, Debug)]
pub struct TableItems<'a>(&'a [u8]);

impl<'a> TableItems<'a> {
    /// The first `count` rows and what follows them; `None` when they are not there.
    #[must_use]
    pub fn split(bytes: &'a [u8], count: u16) -> Option<(Self, &'a [u8])> {
        let (rows, rest) = bytes.split_at_checked(usize::from(count) * 6)?;
        Some((Self(rows), rest))
    }

    /// Number of rows.
    #[must_use]
    pub const fn rows(&self) -> u16 {
        (self.0.len() / 6) as u16
    }
}

impl Iterator for TableItems<'_> {
    type Item = Any;

    fn next(&mut self) -> Option<Any> {
        let ([kind, repetition, d1, d0, a1, a0], rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        // Upper four bits: the area; lower: 0 bit, 1 byte, 2 word, 3 double word, 4 counter or timer.
        let area = match kind >> 4 {
            0 => 0x83,
            1 => 0x81,
            2 => 0x82,
            3 => 0x80,
            5 => 0x1d,
            6 => 0x1c,
            7 => 0x84,
            _ => 0,
        };
        let (transport, bit) = match (kind >> 4, kind & 0xf) {
            (5, _) => (29, 0),
            (6, _) => (28, 0),
            (_, 0) => (1, u32::from(*repetition & 7)),
            (_, 1) => (2, 0),
            (_, 2) => (4, 0),
            _ => (6, 0),
        };
        let address = u32::from(u16::from_be_bytes([*a1, *a0]));
        Some(Any {
            transport,
            length: if transport == 1 { 1 } else { u16::from(*repetition) },
            block: u16::from_be_bytes([*d1, *d0]),
            area,
            address: if transport >= 28 { address } else { address * 8 + bit },
        })
    }
}

/// One value with what the device says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataItem<'a> {
    /// Return code.
    pub code: u8,
    /// Data transport size: 3 bits, 4 bytes, 5 integers (lengths in bits), 6, 7, 9 (in bytes).
    pub transport: u8,
    /// The length as it says.
    pub length: u16,
    /// The bytes.
    pub data: &'a [u8],
    /// Whether all of them came.
    pub whole: bool,
}

/// The values of a message; odd ones but the last are filled up.
#[derive(Clone, Copy, Debug, Default)]
pub struct DataItems<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> DataItems<'a> {
    /// The first `count` values in these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8], count: u16) -> Self {
        Self { rest: bytes, left: count }
    }

    /// What was not yet read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for DataItems<'a> {
    type Item = DataItem<'a>;

    #[inline]
    fn next(&mut self) -> Option<DataItem<'a>> {
        self.left = self.left.checked_sub(1)?;
        let ([code, transport, l1, l0], rest) = self.rest.split_first_chunk()?;
        let length = u16::from_be_bytes([*l1, *l0]);
        let len = match (*code, *transport) {
            (GOOD | RESERVED, 3..=5) => usize::from(length).div_ceil(8),
            (GOOD | RESERVED, _) => usize::from(length),
            _ => 0,
        };
        let (data, behind) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        let fill = self.left > 0 && len % 2 == 1;
        self.rest = behind.get(usize::from(fill)..).unwrap_or_default();
        Some(DataItem { code: *code, transport: *transport, length, data, whole: data.len() == len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_items_are_filled_up() {
        let data = [0xff, 3, 0, 1, 1, 0, 0xff, 4, 0, 16, 7, 8, 0x0a, 0, 0, 4, 0xff, 9, 0, 1, 9];
        let all: Vec<_> = DataItems::new(&data, 4).map(|item| (item.code, item.data)).collect();
        assert_eq!(all, [(0xff, &[1][..]), (0xff, &[7, 8][..]), (0x0a, &[][..]), (0xff, &[9][..])]);
        assert!(!DataItems::new(&[0xff, 4, 0, 16, 7], 1).next().unwrap().whole);
        let items = [0x12, 1, 0x99, 0, 0x12, 2, 0xb2, 0];
        let all: Vec<_> = Items::new(&items, 2).map(|item| item.syntax()).collect();
        assert_eq!(all, [Some(0x99), Some(0xb2)]);
        assert_eq!(Items::new(&items, 9).count(), 2);
    }

    #[test]
    fn rows_of_tables_are_places() {
        let (mut rows, rest) = TableItems::split(&[0x72, 2, 0, 5, 0, 10, 0x10, 3, 0, 0, 0, 4, 9], 2).unwrap();
        assert_eq!(rest, [9]);
        assert_eq!(rows.next(), Some(Any { transport: 4, length: 2, block: 5, area: 0x84, address: 80 }));
        assert_eq!(rows.next(), Some(Any { transport: 1, length: 1, block: 0, area: 0x81, address: 35 }));
    }
}
