//! Where an archive's entries lie, read strictly: central directory and local headers have to tell the same story.
//!
//! Source: PKWARE APPNOTE 6.3.10, §4.3.7 (local header), §4.3.9 (data descriptor), §4.3.12 (central directory), §4.3.16 (end
//! of central directory), §4.3.14 and §4.3.15 (its ZIP64 forms), §4.4.4 (flags), §4.5.3 (ZIP64 lengths), §4.6.9 (Unicode path).

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

    fn u64(&self, at: usize) -> u64 {
        self.0.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
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
        let (directory_end, count, size, start) = match wide_end(bytes, end_at, &end)? {
            Some(wide) => wide,
            None => (end_at, end.u16(10).into(), end.u32(12).into(), end.u32(16).into()),
        };
        if end.u16(4) != 0 || end.u16(6) != 0 || end.u16(8) != end.u16(10) {
            return Err(bad(WHOLE, "it is split over several files"));
        }
        if start.checked_add(size) != Some(directory_end as u64) {
            return Err(bad(WHOLE, "its central directory does not end at its end record"));
        }
        let (end_at, size, start) = (directory_end, size as usize, start as usize);
        if count > most {
            return Err(Error::Limit { what: "entries", limit: most, place: WHOLE.to_owned() });
        }
        let mut at = start;
        let mut entries = Vec::with_capacity((size / CENTRAL_BYTES).min(count as usize));
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

/// Where the central directory ends, number of entries, its size and start, of an archive whose numbers are 64 bits wide. Both end
/// records have to agree: every number of the narrow one is the wide one's, or says that it does not fit.
fn wide_end(bytes: &[u8], end_at: usize, end: &Record<'_>) -> Result<Option<(usize, u64, u64, u64)>, Error> {
    const LOCATOR_BYTES: usize = 20;
    const WIDE_BYTES: usize = 56;
    let refuse = |reason| Err(bad("archive", reason));
    let narrow = (end.u16(10), end.u32(12), end.u32(16));
    let locator_at = end_at.checked_sub(LOCATOR_BYTES);
    let locator = locator_at.and_then(|at| Some((at, bytes.get(at..end_at)?)));
    let Some((locator_at, locator)) = locator.filter(|(_, locator)| locator.starts_with(b"PK\x06\x07"))
    else {
        if narrow.0 == u16::MAX || narrow.1 == u32::MAX || narrow.2 == u32::MAX {
            return refuse("it is ZIP64 without the record of that");
        }
        return Ok(None);
    };
    let locator = Record(locator);
    let wide_at = locator_at.checked_sub(WIDE_BYTES);
    let wide = wide_at.and_then(|at| Some((at, bytes.get(at..locator_at)?)));
    let Some((wide_at, wide)) = wide.filter(|(_, wide)| wide.starts_with(b"PK\x06\x06")) else {
        return refuse("its ZIP64 end record is not where it has to be");
    };
    let wide = Record(wide);
    let alone = locator.u32(4) == 0 && locator.u32(16) == 1 && wide.u32(16) == 0 && wide.u32(20) == 0;
    if locator.u64(8) != wide_at as u64 || wide.u64(4) != (WIDE_BYTES - 12) as u64 || !alone {
        return refuse("its ZIP64 end record is malformed, or it is split over several files");
    }
    let (count, size, start) = (wide.u64(32), wide.u64(40), wide.u64(48));
    let agrees = wide.u64(24) == count
        && (narrow.0 == u16::MAX || u64::from(narrow.0) == count)
        && (narrow.1 == u32::MAX || u64::from(narrow.1) == size)
        && (narrow.2 == u32::MAX || u64::from(narrow.2) == start);
    if !agrees {
        return refuse("its two end records differ");
    }
    Ok(Some((wide_at, count, size, start)))
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
    let wide = extras(bytes.get(name_end..extra_end).unwrap_or_default(), &name)?;
    kind(&name, header.u16(4) >> 8, header.u32(38))?;
    if header.u16(34) != 0 {
        return Err(bad(&name, "it lies in another file"));
    }
    // Wide numbers stand in this order, those alone that do not fit (§4.5.3).
    let mut wide = wide.map(|wide| (wide, 0));
    let mut number = |narrow: u32| match (&mut wide, narrow) {
        (Some((record, at)), u32::MAX) if record.0.len() >= *at + 8 => {
            *at += 8;
            Ok(record.u64(*at - 8))
        }
        (_, u32::MAX) => Err(bad(&name, "it is ZIP64 without the numbers of that")),
        _ => Ok(u64::from(narrow)),
    };
    let (length, packed, start) = (number(header.u32(24))?, number(header.u32(20))?, number(header.u32(42))?);
    if wide.is_some_and(|(record, at)| at == 0 || record.0.len() != at) {
        return Err(bad(&name, "it has ZIP64 numbers that nothing asks for"));
    }
    let crc = header.u32(16);
    if method == 0 && packed != length {
        return Err(bad(&name, "it is stored with two lengths"));
    }
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
    let said = |value: u64, wanted: u64| value == wanted || (later && value == 0);
    let name_end = at + LOCAL_BYTES + usize::from(header.u16(26));
    let data = name_end + usize::from(header.u16(28));
    let wide = extras(bytes.get(name_end..data).ok_or_else(|| bad(&entry.name, OTHER))?, &entry.name)?;
    // Here both lengths are wide, or none is (§4.5.3).
    let (packed, length) = match &wide {
        None => (header.u32(18).into(), header.u32(22).into()),
        Some(wide) if wide.0.len() == 16 && (header.u32(18), header.u32(22)) == (u32::MAX, u32::MAX) => {
            (wide.u64(8), wide.u64(0))
        }
        Some(_) => return Err(bad(&entry.name, "its local header has ZIP64 numbers that nothing asks for")),
    };
    let same = header.u16(6) == central.flags
        && header.u16(8) == central.method
        && said(header.u32(14).into(), entry.crc.into())
        && said(packed, entry.packed)
        && said(length, entry.length);
    if !same || bytes.get(at + LOCAL_BYTES..name_end) != Some(entry.name.as_bytes()) {
        return Err(bad(&entry.name, OTHER));
    }
    let end = (data as u64).saturating_add(entry.packed);
    let end = if later { descriptor(bytes, end, entry, wide.is_some())? } else { end };
    if end > limit as u64 {
        return Err(bad(&entry.name, "it runs into the central directory"));
    }
    Ok(end)
}

/// The end of the record that repeats checksum and lengths after the data.
fn descriptor(bytes: &[u8], at: u64, entry: &Entry, wide: bool) -> Result<u64, Error> {
    let start = usize::try_from(at).unwrap_or(usize::MAX);
    let rest = bytes.get(start..).unwrap_or_default();
    let (record, signed) = match rest.strip_prefix(DESCRIPTOR) {
        Some(rest) => (Record(rest), 4),
        None => (Record(rest), 0),
    };
    let (bytes, packed, length) = match wide {
        true => (20, record.u64(4), record.u64(12)),
        false => (12, record.u32(4).into(), record.u32(8).into()),
    };
    let same = record.0.len() >= bytes
        && record.u32(0) == entry.crc
        && packed == entry.packed
        && length == entry.length;
    if same {
        Ok(at + signed + bytes as u64)
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

/// Extra fields that change what an entry is: ZIP64 numbers, which are given, a second name.
fn extras<'a>(mut extra: &'a [u8], name: &str) -> Result<Option<Record<'a>>, Error> {
    let mut wide = None;
    while extra.len() >= 4 {
        let record = Record(extra);
        match record.u16(0) {
            0x0001 if wide.is_some() => return Err(bad(name, "it has ZIP64 numbers twice")),
            0x0001 => wide = extra.get(4..4 + usize::from(record.u16(2))).map(Record),
            0x7075 => return Err(bad(name, "it has a second name")),
            0x9901 => return Err(bad(name, "it is encrypted")),
            _ => {}
        }
        extra = extra
            .get(4 + usize::from(record.u16(2))..)
            .ok_or_else(|| bad(name, "its extra fields end early"))?;
    }
    // Some writers pad to an alignment with zeros too few for a record.
    if extra.iter().all(|&byte| byte == 0) { Ok(wide) } else { Err(bad(name, "its extra fields end early")) }
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
