//! Where an archive's entries lie, read strictly: central directory and local headers have to tell the same story.
//!
//! Source: PKWARE APPNOTE 6.3.10, §4.3.7 (local header), §4.3.9 (data descriptor), §4.3.12 (central directory), §4.3.16 (end
//! of central directory), §4.4.4 (flags), §4.5.3 (ZIP64), §4.6.9 (Unicode path).

use crate::Error;

/// One entry as both of its headers state it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Offset of the local header.
    pub(super) start: u64,
    /// Bytes as they are kept.
    pub(super) packed: u64,
    /// Bytes inflated.
    pub(super) length: u64,
    pub(super) crc: u32,
}

pub(super) struct Layout {
    pub(super) entries: Vec<Entry>,
}

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const CENTRAL_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
// General purpose flags.
const ENCRYPTED: u16 = 1;
const LATER: u16 = 1 << 3;
const PATCHED: u16 = 1 << 5;
const STRONG: u16 = 1 << 6;
const UTF8: u16 = 1 << 11;
const MASKED: u16 = 1 << 13;

/// Little-endian fields of a record.
struct Record<'a>(&'a [u8]);

impl Record<'_> {
    fn u16(&self, at: usize) -> u16 {
        self.0.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> u32 {
        self.0.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
    }
}

fn bad(entry: &str, reason: &'static str) -> Error {
    Error::Archive { entry: Error::shown(entry), reason }
}

impl Layout {
    pub(super) fn parse(bytes: &[u8], most: u64) -> Result<Self, Error> {
        const WHOLE: &str = "archive";
        let (end_at, end) =
            end_record(bytes).ok_or_else(|| bad(WHOLE, "its end record is not at its end"))?;
        let (count, size, start) = (end.u16(10), end.u32(12), end.u32(16));
        if end_at >= 20 && bytes.get(end_at - 20..end_at - 16) == Some(b"PK\x06\x07")
            || count == u16::MAX
            || size == u32::MAX
            || start == u32::MAX
        {
            return Err(bad(WHOLE, "it is ZIP64"));
        }
        if end.u16(4) != 0 || end.u16(6) != 0 || end.u16(8) != count {
            return Err(bad(WHOLE, "it is split over several files"));
        }
        let (size, start) = (size as usize, start as usize);
        if start.checked_add(size) != Some(end_at) {
            return Err(bad(WHOLE, "its central directory does not end at its end record"));
        }
        if u64::from(count) > most {
            return Err(Error::Limit { what: "entries", limit: most, place: WHOLE.to_owned() });
        }
        let mut at = start;
        let mut entries = Vec::with_capacity((size / CENTRAL_BYTES).min(count.into()));
        for _ in 0..count {
            let (entry, next) = central(bytes, at, end_at)?;
            entries.push(entry);
            at = next;
        }
        if at != end_at {
            return Err(bad(WHOLE, "its central directory holds more than its entries"));
        }
        let mut order: Vec<_> = entries.iter().collect();
        order.sort_by_key(|(entry, _)| entry.start);
        let mut free = 0;
        for (entry, central) in order {
            if entry.start != free {
                let reason = match entry.start < free {
                    true => "it overlaps another entry",
                    false => "bytes that belong to no entry lie before it",
                };
                return Err(bad(&entry.name, reason));
            }
            free = local(bytes, entry, central, start)?;
        }
        if free != start as u64 {
            return Err(bad(WHOLE, "bytes that belong to no entry lie before its central directory"));
        }
        Ok(Self { entries: entries.into_iter().map(|(entry, _)| entry).collect() })
    }
}

/// The last end record, whose comment has to end the file. An earlier one, of an archive within, may not fit as well.
fn end_record(bytes: &[u8]) -> Option<(usize, Record<'_>)> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let found = (first..=last).rev().filter(|&at| bytes.get(at..at + 4) == Some(END));
    let mut found = found.map(|at| (at, Record(bytes.get(at..).unwrap_or_default())));
    let fits =
        |(at, record): &(usize, Record<'_>)| at + END_BYTES + usize::from(record.u16(20)) == bytes.len();
    let end = found.next().filter(fits)?;
    (!found.any(|earlier| fits(&earlier))).then_some(end)
}

/// What the central header says beside the entry itself.
struct Central {
    flags: u16,
    method: u16,
}

fn central(bytes: &[u8], at: usize, end: usize) -> Result<((Entry, Central), usize), Error> {
    let short = || bad("central directory", "it ends early or is malformed");
    let header =
        bytes.get(at..end).filter(|rest| rest.len() >= CENTRAL_BYTES && rest.starts_with(b"PK\x01\x02"));
    let header = Record(header.ok_or_else(short)?);
    let (name, extra, comment) = (header.u16(28), header.u16(30), header.u16(32));
    let name_end = at + CENTRAL_BYTES + usize::from(name);
    let extra_end = name_end + usize::from(extra);
    let next = extra_end + usize::from(comment);
    if next > end {
        return Err(short());
    }
    let raw = bytes.get(at + CENTRAL_BYTES..name_end).unwrap_or_default();
    let flags = header.u16(8);
    let name = name_of(raw, flags)?;
    if flags & (ENCRYPTED | STRONG | MASKED) != 0 {
        return Err(bad(&name, "it is encrypted"));
    }
    if flags & PATCHED != 0 {
        return Err(bad(&name, "it is patched data"));
    }
    let method = header.u16(10);
    if !matches!(method, 0 | 8) {
        return Err(bad(&name, "it is neither stored nor deflated"));
    }
    extras(bytes.get(name_end..extra_end).unwrap_or_default(), &name)?;
    kind(&name, header.u16(4) >> 8, header.u32(38))?;
    let (crc, packed, length) = (header.u32(16), header.u32(20), header.u32(24));
    if [packed, length, header.u32(42)].contains(&u32::MAX) || header.u16(34) != 0 {
        return Err(bad(&name, "it is ZIP64 or lies in another file"));
    }
    if method == 0 && packed != length {
        return Err(bad(&name, "it is stored with two lengths"));
    }
    let (start, packed, length) = (header.u32(42).into(), packed.into(), length.into());
    Ok(((Entry { name, start, packed, length, crc }, Central { flags, method }), next))
}

/// Where the local header's entry ends; it has to say what the central one says.
fn local(bytes: &[u8], entry: &Entry, central: &Central, limit: usize) -> Result<u64, Error> {
    const OTHER: &str = "its local header differs from the central directory";
    let at = usize::try_from(entry.start).unwrap_or(usize::MAX);
    let header =
        bytes.get(at..limit).filter(|rest| rest.len() >= LOCAL_BYTES && rest.starts_with(b"PK\x03\x04"));
    let header = Record(header.ok_or_else(|| bad(&entry.name, "its local header is not there"))?);
    let later = central.flags & LATER != 0;
    let said = |value: u32, wanted: u64| u64::from(value) == wanted || (later && value == 0);
    let same = header.u16(6) == central.flags
        && header.u16(8) == central.method
        && said(header.u32(14), entry.crc.into())
        && said(header.u32(18), entry.packed)
        && said(header.u32(22), entry.length);
    let name_end = at + LOCAL_BYTES + usize::from(header.u16(26));
    let data = name_end + usize::from(header.u16(28));
    if !same || bytes.get(at + LOCAL_BYTES..name_end) != Some(entry.name.as_bytes()) {
        return Err(bad(&entry.name, OTHER));
    }
    extras(bytes.get(name_end..data).ok_or_else(|| bad(&entry.name, OTHER))?, &entry.name)?;
    let end = (data as u64).saturating_add(entry.packed);
    let end = if later { descriptor(bytes, end, entry)? } else { end };
    if end > limit as u64 {
        return Err(bad(&entry.name, "it runs into the central directory"));
    }
    Ok(end)
}

/// The end of the record that repeats checksum and lengths after the data.
fn descriptor(bytes: &[u8], at: u64, entry: &Entry) -> Result<u64, Error> {
    let start = usize::try_from(at).unwrap_or(usize::MAX);
    let rest = bytes.get(start..).unwrap_or_default();
    let (record, signed) = match rest.strip_prefix(DESCRIPTOR) {
        Some(rest) => (Record(rest), 4),
        None => (Record(rest), 0),
    };
    let same = record.0.len() >= 12
        && record.u32(0) == entry.crc
        && u64::from(record.u32(4)) == entry.packed
        && u64::from(record.u32(8)) == entry.length;
    if same {
        Ok(at + signed + 12)
    } else {
        Err(bad(&entry.name, "its data descriptor differs from the central directory"))
    }
}

/// Names are UTF-8 and say so, or ASCII: readers disagree about the rest.
fn name_of(raw: &[u8], flags: u16) -> Result<String, Error> {
    match str::from_utf8(raw) {
        Ok(name) if flags & UTF8 != 0 || name.is_ascii() => Ok(name.to_owned()),
        _ => Err(bad(&String::from_utf8_lossy(raw), "its name is not marked as UTF-8")),
    }
}

/// Extra fields that change what an entry is: ZIP64 lengths, a second name.
fn extras(mut extra: &[u8], name: &str) -> Result<(), Error> {
    while extra.len() >= 4 {
        let record = Record(extra);
        match record.u16(0) {
            0x0001 => return Err(bad(name, "it is ZIP64 or lies in another file")),
            0x7075 => return Err(bad(name, "it has a second name")),
            0x9901 => return Err(bad(name, "it is encrypted")),
            _ => {}
        }
        extra = extra
            .get(4 + usize::from(record.u16(2))..)
            .ok_or_else(|| bad(name, "its extra fields end early"))?;
    }
    // Some writers pad to an alignment with zeros too few for a record.
    if extra.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(bad(name, "its extra fields end early")) }
}

/// Files and directories only, as far as the system that wrote the archive says what an entry is.
fn kind(name: &str, system: u16, attributes: u32) -> Result<(), Error> {
    const UNIX: [u16; 2] = [3, 19];
    let mode = attributes >> 16;
    let kind = match mode & 0o170_000 {
        _ if !UNIX.contains(&system) => return Ok(()),
        0 | 0o100_000 => return Ok(()),
        0o040_000 if name.ends_with('/') => return Ok(()),
        0o040_000 => "directory under a file's name",
        0o120_000 => "symbolic link",
        _ => "special file",
    };
    Err(Error::NotRegular { path: name.to_owned(), kind })
}
