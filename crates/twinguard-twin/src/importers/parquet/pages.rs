//! What the pages of a column say of their sizes, before anything is inflated.
//!
//! Source: Apache Parquet format 2.11 (`parquet.thrift`: `PageHeader`, `DictionaryPageHeader`); Thrift compact protocol, "Struct
//! encoding". A page may state any length up to 2 GiB, and readers reserve what it states: a file of some hundred bytes would
//! cost that much. Here every header of a column is read first and refused beyond [`PAGE_LIMIT`].

/// Most bytes of a page, inflated. Writers aim at 1 MiB.
pub(super) const PAGE_LIMIT: i64 = 64 << 20;
/// Deepest nesting of a header's structures: statistics within a data page's header are the third.
const DEPTH_LIMIT: u8 = 8;

struct Compact<'a> {
    rest: &'a [u8],
}

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0;
        for at in 0..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    /// The next field's number and type, or the end.
    fn field(&mut self, last: i64) -> Option<Option<(i64, u8)>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        let number = match byte >> 4 {
            0 => self.signed()?,
            step => last.checked_add(i64::from(step))?,
        };
        Some(Some((number, byte & 0x0F)))
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // Truth values stand in the field's type.
            1 | 2 => {}
            3 => {
                self.byte()?;
            }
            4..=6 => {
                self.unsigned()?;
            }
            7 => self.bytes(8)?,
            8 => {
                let length = self.unsigned()?;
                self.bytes(length)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.unsigned()? } else { u64::from(head >> 4) };
                // Each member takes a byte at least, truth values in lists included.
                if count > self.rest.len() as u64 {
                    return None;
                }
                for _ in 0..count {
                    match head & 0x0F {
                        0..=2 => {
                            self.byte()?;
                        }
                        kind => self.skip(kind, depth)?,
                    }
                }
            }
            12 => {
                let mut last = 0;
                while let Some((number, kind)) = self.field(last)? {
                    self.skip(kind, depth)?;
                    last = number;
                }
            }
            // Page headers hold no maps.
            _ => return None,
        }
        Some(())
    }
}

/// Bytes inflated, bytes kept and, of a dictionary, the number of values.
fn header(compact: &mut Compact<'_>) -> Option<(i64, i64, i64)> {
    let (mut inflated, mut kept, mut values, mut last) = (None, None, 0, 0);
    while let Some((number, kind)) = compact.field(last)? {
        match (number, kind) {
            (2, 5) => inflated = Some(compact.signed()?),
            (3, 5) => kept = Some(compact.signed()?),
            (7, 12) => {
                let mut last = 0;
                while let Some((number, kind)) = compact.field(last)? {
                    if (number, kind) == (1, 5) {
                        values = compact.signed()?;
                    } else {
                        compact.skip(kind, DEPTH_LIMIT)?;
                    }
                    last = number;
                }
            }
            _ => compact.skip(kind, DEPTH_LIMIT)?,
        }
        last = number;
    }
    Some((inflated?, kept?, values))
}

/// Looks at every page of a column's bytes.
pub(super) fn check(column: &[u8]) -> Result<(), &'static str> {
    let mut compact = Compact { rest: column };
    while !compact.rest.is_empty() {
        let (inflated, kept, values) = header(&mut compact).ok_or("the header of a page is malformed")?;
        if !(0..=PAGE_LIMIT).contains(&inflated) {
            return Err("a page states a length beyond 64 MiB");
        }
        // Values of a dictionary have a byte at least each.
        if !(0..=inflated).contains(&values) {
            return Err("a dictionary states more values than it has bytes");
        }
        let past = u64::try_from(kept).ok().and_then(|kept| compact.bytes(kept));
        past.ok_or("a page leads beyond its column")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(value: i64) -> Vec<u8> {
        let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
        let mut bytes = Vec::new();
        while left >= 0x80 {
            bytes.push((left & 0x7F) as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
        bytes
    }

    /// A dictionary page's header with as many bytes behind it.
    fn page(inflated: i64, kept: i64, values: i64, bytes: usize) -> Vec<u8> {
        let mut page = vec![0x15, 4, 0x15];
        page.extend(varint(inflated));
        page.push(0x15);
        page.extend(varint(kept));
        page.extend([0x4C, 0x15]);
        page.extend(varint(values));
        // An encoding, a truth value, the ends of both structures.
        page.extend([0x15, 0, 0x11, 0, 0]);
        page.extend(std::iter::repeat_n(0xAA, bytes));
        page
    }

    #[test]
    fn sizes_are_bounded_before_anything_is_inflated() {
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[page(80, 7, 10, 7), page(8, 0, 0, 0)].concat()), Ok(()));
        let refuse = |page: &[u8], reason| assert_eq!(check(page), Err(reason));
        refuse(&page(PAGE_LIMIT + 1, 7, 10, 7), "a page states a length beyond 64 MiB");
        refuse(&page(-1, 7, 0, 7), "a page states a length beyond 64 MiB");
        refuse(&page(80, 7, i64::from(i32::MAX), 7), "a dictionary states more values than it has bytes");
        refuse(&page(80, 8, 10, 7), "a page leads beyond its column");
        refuse(&page(80, -1, 10, 7), "a page leads beyond its column");
        refuse(&[0x15, 0xFF], "the header of a page is malformed");
        // Lists that say they are long, structures within structures, numbers without an end.
        refuse(&[0x19, 0xF5, 0xFF, 0xFF, 0xFF, 0x7F], "the header of a page is malformed");
        refuse(&[0x1C; 100], "the header of a page is malformed");
        refuse(&[0xFF; 100], "the header of a page is malformed");
    }
}
