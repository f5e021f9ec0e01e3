//! The binary encoding of values: a cursor that cannot run over the end, and the built-in types.
//!
//! Source: OPC 10000-6 (OPC UA Part 6, Mappings) 1.05, §5.2.2 (built-in types), §5.2.5 (arrays); clauses at the items.

use twinguard_types::{Oddity, Quality, Timestamp};

/// Values inside values that are followed: §5.2.2.12 and §5.2.2.16 ask decoders for at least 100.
pub const NESTING_MAX: u8 = 100;

/// Ticks of 100 ns between 1601-01-01 and 1970-01-01 (§5.2.2.5).
const EPOCH: i64 = 116_444_736_000_000_000;

/// What is wrong and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What.
    pub oddity: Oddity,
    /// Where, in bytes from the start of what is read.
    pub at: usize,
}

/// A read of a type, or why not.
pub(super) type Read<T> = Result<T, Flaw>;

/// A cursor over encoded bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The identifier of a node (§5.2.2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId<'a> {
    /// Index into the server's table of namespaces.
    pub namespace: u16,
    /// What names it there.
    pub id: Identifier<'a>,
    /// Whether it names a namespace by URI or a server besides (§5.2.2.10): what it names this message does not tell.
    pub elsewhere: bool,
}

/// The four ways to name a node (§5.2.2.9, Table 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identifier<'a> {
    /// A number.
    Numeric(u32),
    /// Text.
    Text(&'a [u8]),
    /// A GUID as it lies on the wire (§5.2.2.6).
    Guid(&'a [u8; 16]),
    /// Bytes of the server's own making.
    Opaque(&'a [u8]),
}

/// A value with its status and times (§5.2.2.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataValue<'a> {
    /// The bytes of its Variant, where it has one.
    pub value: Option<&'a [u8]>,
    /// The bytes of its status code; absent means good.
    pub status: Option<&'a [u8; 4]>,
    /// The source's time.
    pub source_at: Option<Timestamp>,
    /// The server's time.
    pub server_at: Option<Timestamp>,
}

impl DataValue<'_> {
    /// What the status says (OPC 10000-4 §7.38.1: the two highest bits are the severity).
    #[must_use]
    pub fn quality(&self) -> Quality {
        self.status.map_or(Quality::Good, |status| quality(u32::from_le_bytes(*status)))
    }

    /// When the value held: by its source, else by the server.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        self.source_at.or(self.server_at)
    }
}

/// The severity of a status code (OPC 10000-4 §7.38.1).
#[must_use]
pub const fn quality(status: u32) -> Quality {
    match status >> 30 {
        0 => Quality::Good,
        1 => Quality::Uncertain,
        _ => Quality::Bad,
    }
}

/// The time of a number of 100 ns since 1601 (§5.2.2.5); `None` for 0, "no time", and beyond what nanoseconds hold.
#[must_use]
pub fn timestamp(ticks: i64) -> Option<Timestamp> {
    if ticks <= 0 || ticks == i64::MAX {
        return None;
    }
    ticks.checked_sub(EPOCH)?.checked_mul(100).map(Timestamp::from_nanos)
}

/// The reverse of [`timestamp`].
#[must_use]
pub const fn ticks(at: Timestamp) -> i64 {
    at.as_nanos().div_euclid(100) + EPOCH
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// From this place of the bytes on.
    pub(super) const fn within(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Where the bytes end.
    pub(super) const fn end(&self) -> usize {
        self.bytes.len()
    }

    /// What lies between an earlier place and this one.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    const fn flaw(&self, oddity: Oddity) -> Flaw {
        Flaw { oddity, at: self.at }
    }

    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let taken = self.rest().get(..len).ok_or(self.flaw(Oddity::Truncated))?;
        self.at += len;
        Ok(taken)
    }

    #[inline]
    pub(super) fn chunk<const N: usize>(&mut self) -> Read<&'a [u8; N]> {
        let chunk = self.rest().first_chunk().ok_or(self.flaw(Oddity::Truncated))?;
        self.at += N;
        Ok(chunk)
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        self.chunk().map(|[byte]| *byte)
    }

    pub(super) fn u16(&mut self) -> Read<u16> {
        self.chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        self.chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// A number of 100 ns since 1601 (§5.2.2.5).
    pub(super) fn date_time(&mut self) -> Read<i64> {
        self.chunk().map(|bytes| i64::from_le_bytes(*bytes))
    }

    /// A length or count: −1 stands for nothing at all (§5.2.2.4, §5.2.5).
    pub(super) fn count(&mut self) -> Read<Option<u32>> {
        let flaw = self.flaw(Oddity::BadQuantity);
        let count = self.u32()?;
        match count as i32 {
            -1 => Ok(None),
            0.. => Ok(Some(count)),
            _ => Err(flaw),
        }
    }

    /// The count of an array, each element of which takes at least a byte (§5.2.5).
    pub(super) fn array(&mut self) -> Read<u32> {
        let flaw = self.flaw(Oddity::BadQuantity);
        let count = self.count()?.unwrap_or(0);
        if count as usize > self.rest().len() { Err(flaw) } else { Ok(count) }
    }

    /// A String or `ByteString` (§5.2.2.4, §5.2.2.7).
    #[inline]
    pub(super) fn text(&mut self) -> Read<Option<&'a [u8]>> {
        match self.count()? {
            None => Ok(None),
            Some(len) => self.take(len as usize).map(Some),
        }
    }

    /// §5.2.2.9.
    pub(super) fn node_id(&mut self) -> Read<NodeId<'a>> {
        let flaw = self.flaw(Oddity::BadValue);
        match self.byte()? {
            form @ 0..=5 => self.node_of(form),
            _ => Err(flaw),
        }
    }

    /// §5.2.2.10.
    pub(super) fn expanded(&mut self) -> Read<NodeId<'a>> {
        let form = self.byte()?;
        let mut node = self.node_of(form & 0x3f)?;
        if form & 0x80 != 0 {
            self.text()?;
            node.elsewhere = true;
        }
        if form & 0x40 != 0 {
            node.elsewhere |= self.u32()? != 0;
        }
        Ok(node)
    }

    fn node_of(&mut self, form: u8) -> Read<NodeId<'a>> {
        let flaw = Flaw { oddity: Oddity::BadValue, at: self.at.saturating_sub(1) };
        let (namespace, id) = match form {
            0 => (0, Identifier::Numeric(u32::from(self.byte()?))),
            1 => (u16::from(self.byte()?), Identifier::Numeric(u32::from(self.u16()?))),
            2 => (self.u16()?, Identifier::Numeric(self.u32()?)),
            3 => (self.u16()?, Identifier::Text(self.text()?.unwrap_or_default())),
            4 => (self.u16()?, Identifier::Guid(self.chunk()?)),
            5 => (self.u16()?, Identifier::Opaque(self.text()?.unwrap_or_default())),
            _ => return Err(flaw),
        };
        Ok(NodeId { namespace, id, elsewhere: false })
    }

    /// §5.2.2.13.
    pub(super) fn qualified(&mut self) -> Read<Option<&'a [u8]>> {
        self.u16()?;
        self.text()
    }

    /// The text of a `LocalizedText` (§5.2.2.14).
    pub(super) fn localized(&mut self) -> Read<Option<&'a [u8]>> {
        let mask = self.byte()?;
        if mask & 1 != 0 {
            self.text()?;
        }
        if mask & 2 != 0 { self.text() } else { Ok(None) }
    }

    /// The type and the binary body of an `ExtensionObject` (§5.2.2.15); no body where it is absent or XML.
    pub(super) fn object(&mut self) -> Read<(NodeId<'a>, &'a [u8])> {
        let node = self.node_id()?;
        let flaw = self.flaw(Oddity::BadValue);
        match self.byte()? {
            0 => Ok((node, &[])),
            1 => Ok((node, self.text()?.unwrap_or_default())),
            2 => self.text().map(|_| (node, &[][..])),
            _ => Err(flaw),
        }
    }

    /// As [`Reader::object`], with a reader of the body where it lies.
    pub(super) fn object_in_place(&mut self) -> Read<(NodeId<'a>, Self)> {
        let (node, body) = self.object()?;
        let content = self.bytes.get(..self.at).unwrap_or_default();
        Ok((node, Self { bytes: content, at: self.at - body.len() }))
    }

    /// §5.2.2.12: it may hold another one, and so on.
    pub(super) fn diagnostic(&mut self) -> Read<()> {
        for _ in 0..=NESTING_MAX {
            let mask = self.byte()?;
            self.take(4 * (mask & 0x0f).count_ones() as usize)?;
            if mask & 0x10 != 0 {
                self.text()?;
            }
            if mask & 0x20 != 0 {
                self.u32()?;
            }
            if mask & 0x40 == 0 {
                return Ok(());
            }
        }
        Err(self.flaw(Oddity::Dropped))
    }

    /// The bytes of a Variant (§5.2.2.16).
    pub(super) fn variant(&mut self, depth: u8) -> Read<&'a [u8]> {
        let start = self.at;
        let mask = self.byte()?;
        let kind = mask & 0x3f;
        let flaw = Flaw { oddity: Oddity::BadValue, at: start };
        // Null has neither elements nor dimensions; dimensions belong to arrays.
        if kind > 31 || mask & 0xc0 == 0x40 || kind == 0 && mask != 0 {
            return Err(flaw);
        }
        let count = if mask & 0x80 != 0 { self.count_of(kind)? } else { u32::from(kind != 0) };
        match width(kind) {
            0 => {
                for _ in 0..count {
                    self.element(kind, depth)?;
                }
            }
            width => {
                self.take((count as usize).saturating_mul(width))?;
            }
        }
        if mask & 0x40 != 0 {
            let dimensions = self.array()?;
            self.take((dimensions as usize).saturating_mul(4))?;
        }
        Ok(self.since(start))
    }

    fn count_of(&mut self, kind: u8) -> Read<u32> {
        let flaw = self.flaw(Oddity::BadQuantity);
        let count = self.array()?;
        let fits = (count as usize).saturating_mul(width(kind)) <= self.rest().len();
        if fits { Ok(count) } else { Err(flaw) }
    }

    /// One element of a Variant whose type has no fixed width.
    pub(super) fn element(&mut self, kind: u8, depth: u8) -> Read<()> {
        if depth >= NESTING_MAX {
            return Err(self.flaw(Oddity::Dropped));
        }
        match kind {
            0 => Ok(()),
            17 => self.node_id().map(drop),
            18 => self.expanded().map(drop),
            20 => self.qualified().map(drop),
            21 => self.localized().map(drop),
            22 => self.object().map(drop),
            23 => self.data_value_in(depth + 1).map(drop),
            24 => self.variant(depth + 1).map(drop),
            25 => self.diagnostic(),
            // String, ByteString, XmlElement; 26 to 31 are read as ByteString.
            12 | 15 | 16 | 26..=31 => self.text().map(drop),
            _ => self.take(width(kind)).map(drop),
        }
    }

    /// §5.2.2.17.
    pub(super) fn data_value(&mut self) -> Read<DataValue<'a>> {
        self.data_value_in(0)
    }

    pub(super) fn data_value_in(&mut self, depth: u8) -> Read<DataValue<'a>> {
        let mask = self.data_value_mask()?;
        let value = if mask & 0x01 != 0 { Some(self.variant(depth)?) } else { None };
        self.data_value_rest(mask, value)
    }

    /// Which parts a `DataValue` has; it begins so.
    pub(super) fn data_value_mask(&mut self) -> Read<u8> {
        let flaw = self.flaw(Oddity::BadValue);
        let mask = self.byte()?;
        if mask & 0xc0 == 0 { Ok(mask) } else { Err(flaw) }
    }

    /// The parts of a `DataValue` behind its value.
    pub(super) fn data_value_rest(&mut self, mask: u8, value: Option<&'a [u8]>) -> Read<DataValue<'a>> {
        let has = |bit: u8| mask & bit != 0;
        let status = if has(0x02) { Some(self.chunk()?) } else { None };
        let source_at = if has(0x04) { timestamp(self.date_time()?) } else { None };
        if has(0x10) {
            self.u16()?;
        }
        let server_at = if has(0x08) { timestamp(self.date_time()?) } else { None };
        if has(0x20) {
            self.u16()?;
        }
        Ok(DataValue { value, status, source_at, server_at })
    }
}

/// Bytes of an element of a built-in type (§5.1.2), 0 where that varies.
pub(super) const fn width(kind: u8) -> usize {
    match kind {
        1..=3 => 1,
        4 | 5 => 2,
        6 | 7 | 10 | 19 => 4,
        8 | 9 | 11 | 13 => 8,
        14 => 16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_ids_of_the_standard() {
        let check = |bytes: &[u8], namespace, id| {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.node_id(), Ok(NodeId { namespace, id, elsewhere: false }));
            assert!(reader.rest().is_empty());
        };
        // §5.2.2.9: Figure 5 (string `Hot水`), Figure 6 (two bytes, 72), Figure 7 (four bytes, namespace 5, 1025).
        let hot = "Hot水".as_bytes();
        check(&[&[3, 1, 0, 6, 0, 0, 0], hot].concat(), 1, Identifier::Text(hot));
        check(&[0, 0x48], 0, Identifier::Numeric(72));
        check(&[1, 5, 1, 4], 5, Identifier::Numeric(1025));
        let guid =
            [0x91, 0x2b, 0x96, 0x72, 0x75, 0xfa, 0xe6, 0x4a, 0x8d, 0x28, 0xb4, 4, 0xdc, 0x7d, 0xaf, 0x63];
        check(&[&[4, 2, 0][..], &guid].concat(), 2, Identifier::Guid(&guid));
        check(&[5, 2, 0, 1, 0, 0, 0, 9], 2, Identifier::Opaque(&[9]));
        assert_eq!(Reader::new(&[6, 0]).node_id(), Err(Flaw { oddity: Oddity::BadValue, at: 0 }));
        let elsewhere = Reader::new(&[0xc0, 1, 1, 0, 0, 0, b'u', 0, 0, 0, 0]).expanded().unwrap();
        assert!(elsewhere.elsewhere);
    }

    fn variant(bytes: &[u8], expect: Result<usize, (Oddity, usize)>) {
        let mut reader = Reader::new(bytes);
        let read = reader.variant(0).map(<[u8]>::len).map_err(|flaw| (flaw.oddity, flaw.at));
        assert_eq!(read, expect, "{bytes:02x?}");
    }

    #[test]
    fn variants_end_where_they_say() {
        variant(&[0], Ok(1));
        variant(&[6, 1, 2, 3, 4, 9], Ok(5));
        variant(&[0x86, 1, 0, 0, 0, 1, 2, 3, 4], Ok(9));
        variant(&[0xc1, 2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0], Ok(19));
        variant(&[12, 0xff, 0xff, 0xff, 0xff], Ok(5));
        variant(&[0x98, 2, 0, 0, 0, 1, 1, 12, 1, 0, 0, 0, b'x'], Ok(13));
        variant(&[0x46, 1, 2, 3, 4], Err((Oddity::BadValue, 0)));
        variant(&[0x20], Err((Oddity::BadValue, 0)));
        variant(&[0x80, 0, 0, 0, 0], Err((Oddity::BadValue, 0)));
        variant(&[0x86, 2, 0, 0, 0, 1, 2, 3, 4], Err((Oddity::BadQuantity, 1)));
        variant(&[0x86, 0xfe, 0xff, 0xff, 0xff], Err((Oddity::BadQuantity, 1)));
        variant(&[6, 1], Err((Oddity::Truncated, 1)));
        variant(&[15, 0xff, 0xff, 0xff, 0x7f], Err((Oddity::Truncated, 5)));
    }

    #[test]
    fn nesting_ends_in_a_refusal() {
        let mut deep = [0x98, 1, 0, 0, 0].repeat(99);
        deep.extend_from_slice(&[1, 1]);
        variant(&deep, Ok(497));
        let deeper = [&[0x98, 1, 0, 0, 0].repeat(2)[..], &deep].concat();
        let Err(flaw) = Reader::new(&deeper).variant(0) else { panic!("too deep") };
        assert_eq!(flaw.oddity, Oddity::Dropped);
        assert_eq!(Reader::new(&[0x40; 200]).diagnostic().unwrap_err().oddity, Oddity::Dropped);
        let mut inner = vec![0x40; 100];
        inner.push(0x21);
        inner.extend_from_slice(&[0; 8]);
        assert_eq!(Reader::new(&inner).diagnostic(), Ok(()));
    }

    #[test]
    fn values_carry_status_and_times() {
        let bytes = [
            0x2f, 1, 1, 0, 0, 0, 0x40, 0, 0x80, 0x3e, 0xd5, 0xde, 0xb1, 0x9d, 1, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0,
        ];
        let mut reader = Reader::new(&bytes);
        let value = reader.data_value().unwrap();
        assert!(reader.rest().is_empty());
        assert_eq!((value.value, value.quality()), (Some(&[1, 1][..]), Quality::Uncertain));
        // 116 444 736 000 000 000 ticks are 1970-01-01.
        assert_eq!(value.at(), Some(Timestamp::ZERO));
        assert_eq!(timestamp(EPOCH + 10), Some(Timestamp::from_micros(1)));
        assert_eq!(ticks(Timestamp::from_micros(1)), EPOCH + 10);
        assert_eq!((timestamp(0), timestamp(i64::MAX), timestamp(1)), (None, None, None));
        assert_eq!(quality(0x8034_0000), Quality::Bad);
    }
}
