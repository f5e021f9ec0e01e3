//! Archives made to mislead a reader, one trick each: every one is refused, for the right reason.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic
)]

use std::io::Write as _;

use twinguard_integrity::archive::{Archive, Budget};
use twinguard_integrity::source::{self, Limits};
use twinguard_integrity::{Error, Sealed, SigningKey, Trust, seal};

/// A name, an archive, and what its refusal has to be.
type Case = (&'static str, Vec<u8>, fn(&Error) -> bool);

/// One entry as it is written; what the two headers say may differ.
#[derive(Clone)]
struct Entry {
    local_name: Vec<u8>,
    central_name: Vec<u8>,
    packed: Vec<u8>,
    method: u16,
    flags: u16,
    crc: u32,
    length: u32,
    mode: u32,
    extra: Vec<u8>,
    /// Said by the local header instead.
    local_length: Option<u32>,
    local_method: Option<u16>,
    local_crc: Option<u32>,
    /// Where the central directory says that it lies.
    start: Option<u32>,
    packed_length: Option<u32>,
    descriptor: bool,
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn stored(name: &str, data: &[u8]) -> Entry {
    Entry {
        local_name: name.into(),
        central_name: name.into(),
        packed: data.to_vec(),
        method: 0,
        flags: 0,
        crc: crc(data),
        length: data.len() as u32,
        mode: 0o100_644,
        extra: vec![],
        local_length: None,
        local_method: None,
        local_crc: None,
        start: None,
        packed_length: None,
        descriptor: false,
    }
}

fn deflated(name: &str, data: &[u8]) -> Entry {
    let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(data).unwrap();
    Entry { packed: writer.finish().unwrap(), method: 8, ..stored(name, data) }
}

fn with(entry: Entry, change: impl FnOnce(&mut Entry)) -> Entry {
    let mut entry = entry;
    change(&mut entry);
    entry
}

/// Entries, with bytes between them and their directory.
fn archive_with(entries: &[Entry], between: &[u8]) -> Vec<u8> {
    let (mut out, mut central) = (Vec::new(), Vec::new());
    for entry in entries {
        let start = entry.start.unwrap_or(out.len() as u32);
        let packed = entry.packed_length.unwrap_or(entry.packed.len() as u32);
        let flags = entry.flags | if entry.descriptor { 8 } else { 0 };
        let head = |method: u16, crc: u32, length: u32, name: &[u8]| {
            let mut head = Vec::new();
            for value in [20, flags, method, 0, 0] {
                head.extend_from_slice(&value.to_le_bytes());
            }
            for value in [crc, packed, length] {
                head.extend_from_slice(&value.to_le_bytes());
            }
            head.extend_from_slice(&(name.len() as u16).to_le_bytes());
            head.extend_from_slice(&(entry.extra.len() as u16).to_le_bytes());
            head
        };
        out.extend_from_slice(b"PK\x03\x04");
        out.extend(head(
            entry.local_method.unwrap_or(entry.method),
            entry.local_crc.unwrap_or(entry.crc),
            entry.local_length.unwrap_or(entry.length),
            &entry.local_name,
        ));
        out.extend_from_slice(&entry.local_name);
        out.extend_from_slice(&entry.extra);
        out.extend_from_slice(&entry.packed);
        if entry.descriptor {
            out.extend_from_slice(b"PK\x07\x08");
            for value in [entry.crc, packed, entry.length] {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        central.extend_from_slice(b"PK\x01\x02\x14\x03");
        central.extend(head(entry.method, entry.crc, entry.length, &entry.central_name));
        central.extend_from_slice(&[0; 6]);
        central.extend_from_slice(&(entry.mode << 16).to_le_bytes());
        central.extend_from_slice(&start.to_le_bytes());
        central.extend_from_slice(&entry.central_name);
        central.extend_from_slice(&entry.extra);
    }
    out.extend_from_slice(between);
    let start = out.len() as u32;
    out.extend_from_slice(&central);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    out.extend_from_slice(&(central.len() as u32).to_le_bytes());
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    archive_with(entries, b"")
}

fn budget() -> Budget {
    Budget { entries: 100, bytes: 8 << 20, ratio: 200, nesting: 1 }
}

fn read(bytes: Vec<u8>) -> Result<twinguard_types::Bundle, Error> {
    Archive::parse(bytes, budget())?.unpack()
}

fn honest() -> Vec<Entry> {
    vec![
        deflated("modelDescription.xml", b"<fmiModelDescription/>"),
        stored("binaries/x86_64-linux/m.so", b"\x7fELF"),
        with(stored("resources/", b""), |entry| entry.mode = 0o040_755),
        with(deflated("resources/kühlung.csv", &[b'1'; 5000]), |entry| entry.flags = 1 << 11),
        with(deflated("streamed.bin", b"written before its length was known"), |entry| {
            entry.descriptor = true
        }),
    ]
}

#[test]
fn an_honest_archive_is_read_and_sealed_as_its_files() {
    let archive = Archive::parse(archive(&honest()), budget()).unwrap();
    let files = archive.unpack().unwrap();
    assert_eq!(files.get("modelDescription.xml"), Some(&b"<fmiModelDescription/>"[..]));
    assert_eq!(files.iter().count(), 4, "directories are no files");

    let key = SigningKey::from_seed("vendor.example/fmu", &[7; 32]).unwrap();
    let entries = source::entries(&archive, &Limits::default()).unwrap();
    let seal = seal::create(entries, "fmu", 1, &key).unwrap();
    let trust = Trust::new(key.public().clone());
    let sealed = Sealed::from_source(&archive, &seal, &trust).unwrap();
    assert_eq!(sealed.bundle().get("streamed.bin").unwrap().len(), 35);
    // The same files packed another way are the same model; another byte is not.
    let mut again = honest();
    again.reverse();
    Sealed::from_source(&Archive::parse(self::archive(&again), budget()).unwrap(), &seal, &trust).unwrap();
    again[1] = with(deflated("resources/kühlung.csv", &[b'2'; 5000]), |entry| entry.flags = 1 << 11);
    let other = Archive::parse(self::archive(&again), budget()).unwrap();
    assert!(matches!(Sealed::from_source(&other, &seal, &trust), Err(Error::Differs(_))));
}

#[test]
fn no_hostile_archive_is_read() {
    let file = || stored("a.bin", b"content");
    let zeros = |name: &str, length| deflated(name, &vec![0; length]);
    let bomb = |depth: u8| {
        let mut inner = archive(&[zeros("zeros", 1 << 16)]);
        for level in 0..depth {
            inner = archive(&[deflated(&format!("level{level}.zip"), &inner)]);
        }
        inner
    };
    let mut cases: Vec<Case> = Vec::new();
    let mut case = |name, bytes, right: fn(&Error) -> bool| cases.push((name, bytes, right));
    fn path(error: &Error) -> bool {
        matches!(error, Error::Path { .. })
    }
    fn layout(error: &Error) -> bool {
        matches!(error, Error::Archive { .. })
    }
    fn limit(error: &Error) -> bool {
        matches!(error, Error::Limit { .. })
    }
    fn twins(error: &Error) -> bool {
        matches!(error, Error::Twins { .. })
    }
    fn kind(error: &Error) -> bool {
        matches!(error, Error::NotRegular { .. })
    }

    case("a way out of the directory", archive(&[stored("../../etc/cron.d/x", b"x")]), path);
    case("a way out that stripping brings about", archive(&[stored("..././x", b"x")]), path);
    case("an absolute path", archive(&[stored("/etc/passwd", b"x")]), path);
    case("a drive", archive(&[stored("C:/x", b"x")]), path);
    case("backslashes", archive(&[stored("..\\..\\x", b"x")]), path);
    case("NUL in a name", archive(&[stored("m.so\0.txt", b"x")]), path);
    case("a device", archive(&[stored("resources/NUL.txt", b"x")]), path);
    case("a name that ends in a dot", archive(&[stored("m.dll.", b"x")]), path);
    case("a decomposed name", archive(&[with(stored("ku\u{308}hl", b"x"), |e| e.flags = 1 << 11)]), path);
    case("an empty name", archive(&[stored("", b"x")]), path);
    case("a name twice", archive(&[file(), stored("a.bin", b"other")]), twins);
    case("names that differ in case", archive(&[file(), stored("A.bin", b"other")]), twins);
    case("a file where another has a directory", archive(&[stored("a", b"x"), stored("a/b", b"x")]), twins);
    case("a link", archive(&[with(stored("link", b"/etc/passwd"), |e| e.mode = 0o120_777)]), kind);
    case("a device entry", archive(&[with(file(), |e| e.mode = 0o020_666)]), kind);
    case(
        "another name in the local header",
        archive(&[with(file(), |e| e.local_name = b"b.bin".to_vec())]),
        layout,
    );
    case(
        "another length in the local header",
        archive(&[with(file(), |e| e.local_length = Some(3))]),
        layout,
    );
    case(
        "another method in the local header",
        archive(&[with(file(), |e| e.local_method = Some(8))]),
        layout,
    );
    case("another checksum in the local header", archive(&[with(file(), |e| e.local_crc = Some(1))]), layout);
    case("a false checksum in both", archive(&[with(file(), |e| e.crc ^= 1)]), layout);
    case("an encrypted entry", archive(&[with(file(), |e| e.flags = 1)]), layout);
    case("an unknown method", archive(&[with(file(), |e| e.method = 14)]), layout);
    case(
        "two entries over the same bytes",
        archive(&[
            file(),
            with(file(), |e| {
                e.start = Some(0);
                e.central_name = b"b.bin".to_vec();
            }),
        ]),
        layout,
    );
    case("bytes between entries and directory", archive_with(&[file()], b"hidden"), layout);
    case("bytes before the first entry", [b"#!/bin/sh\n".to_vec(), archive(&[file()])].concat(), layout);
    case("bytes after the end", [archive(&[file()]), b"more".to_vec()].concat(), layout);
    case("an archive behind an archive", [archive(&[file()]), archive(&[file()])].concat(), layout);
    case(
        "an end record in the comment",
        {
            let mut bytes = archive(&[file()]);
            let at = bytes.len() - 2;
            bytes[at] = 22;
            let end = bytes[bytes.len() - 22..].to_vec();
            [bytes, end].concat()
        },
        layout,
    );
    case(
        "a false number of entries",
        {
            let mut bytes = archive(&[file(), stored("b", b"x")]);
            let at = bytes.len() - 14;
            bytes[at] = 1;
            bytes[at + 2] = 1;
            bytes
        },
        layout,
    );
    case(
        "a directory that ends early",
        {
            let mut bytes = archive(&[file()]);
            let at = bytes.len() - 10;
            bytes[at] -= 1;
            bytes
        },
        layout,
    );
    case(
        "ZIP64 lengths",
        archive(&[with(file(), |e| e.extra = [&[1, 0, 8, 0][..], &[0; 8]].concat())]),
        layout,
    );
    case(
        "a second name in an extra field",
        archive(&[with(file(), |e| {
            e.extra = [&[0x75, 0x70, 6, 0, 1][..], &[0; 4], b"b"].concat();
        })]),
        layout,
    );
    case(
        "a name of unknown encoding",
        archive(&[with(file(), |e| {
            e.local_name = b"k\x81hl".to_vec();
            e.central_name = b"k\x81hl".to_vec();
        })]),
        layout,
    );
    case("a stored entry of two lengths", archive(&[with(file(), |e| e.length = 3)]), layout);
    case("more content than stated", archive(&[with(deflated("a", &[7; 500]), |e| e.length = 300)]), layout);
    case("less content than stated", archive(&[with(deflated("a", &[7; 500]), |e| e.length = 700)]), layout);
    case(
        "a false descriptor",
        {
            let mut bytes = archive(&[with(file(), |e| e.descriptor = true)]);
            let at = bytes.windows(4).position(|w| w == b"PK\x07\x08").unwrap() + 4;
            bytes[at] ^= 1;
            bytes
        },
        layout,
    );
    case("a directory with content", archive(&[stored("folder/", b"x")]), layout);
    case("more bytes than allowed", archive(&[zeros("a", 6 << 20), zeros("b", 3 << 20)]), limit);
    case("a bomb by ratio", archive(&[zeros("zeros", 4 << 20)]), limit);
    case("a bomb by nesting", bomb(3), limit);
    case(
        "too many entries",
        archive(&(0..101).map(|n| stored(&format!("f{n}"), b"")).collect::<Vec<_>>()),
        limit,
    );
    case(
        "an archive cut short",
        {
            let mut b = archive(&[file()]);
            b.truncate(b.len() - 30);
            b
        },
        layout,
    );
    case("no archive", b"PK\x03\x04".to_vec(), layout);

    assert!(cases.len() >= 40);
    let complaints: Vec<_> = cases
        .into_iter()
        .filter_map(|(name, bytes, right)| match read(bytes) {
            Err(error) if right(&error) && error.is_refusal() => None,
            other => Some(format!("{name}: {other:?}")),
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// One file, written as if it might be beyond 4 GiB, by another writer of archives; and every bit of it turned.
#[test]
fn wide_numbers_are_read_and_have_to_agree() {
    // APPNOTE 6.3.10 §4.3.14, §4.3.15, §4.5.3, every number wide that may be; Python's zipfile reads it.
    let mut bytes = b"PK\x03\x04\x2d\0\0\0\0\0\0\0\x21\0".to_vec();
    let crc = crc(b"abc").to_le_bytes();
    let wide = |number: u64| number.to_le_bytes();
    bytes.extend_from_slice(
        &[&crc[..], &[0xff; 8], &[1, 0, 20, 0], b"a", &[1, 0, 16, 0], &wide(3), &wide(3), b"abc"].concat(),
    );
    let start = bytes.len() as u64;
    bytes.extend_from_slice(b"PK\x01\x02\x2d\x03\x2d\0\0\0\0\0\0\0\x21\0");
    bytes.extend_from_slice(
        &[&crc[..], &[0xff; 8], &[1, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 1], &[0xff; 4]].concat(),
    );
    bytes.extend_from_slice(&[&b"a"[..], &[1, 0, 24, 0], &wide(3), &wide(3), &wide(0)].concat());
    let size = bytes.len() as u64 - start;
    let end = bytes.len() as u64;
    let record = [
        &b"PK\x06\x06"[..],
        &wide(44),
        &[45, 0, 45, 0],
        &[0; 8],
        &wide(1),
        &wide(1),
        &wide(size),
        &wide(start),
    ];
    bytes.extend_from_slice(&record.concat());
    bytes.extend_from_slice(&[&b"PK\x06\x07"[..], &[0; 4], &wide(end), &[1, 0, 0, 0]].concat());
    bytes.extend_from_slice(&[&b"PK\x05\x06"[..], &[0; 4], &[0xff; 12], &[0; 2]].concat());
    let files = read(bytes.clone()).unwrap();
    assert_eq!(files.get("a"), Some(&b"abc"[..]));
    for bit in 0..bytes.len() * 8 {
        let mut turned = bytes.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        if let Ok(files) = read(turned) {
            // Versions, times and attributes say nothing of what a file is; a name may become another.
            assert!(files.iter().all(|(_, content)| content == b"abc"), "bit {bit}");
        }
    }
    // Another writer: `zip`, for a file that might grow large.
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().large_file(true);
    writer.start_file("b", options).unwrap();
    std::io::Write::write_all(&mut writer, b"some content").unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert_eq!(read(bytes).unwrap().get("b"), Some(&b"some content"[..]));
}

#[test]
fn archives_within_archives_count_against_the_same_budget() {
    let inner = archive(&[stored("inner.bin", &[1; 3 << 20])]);
    read(archive(&[stored("one.fmu", &inner)])).unwrap();
    assert!(matches!(
        read(archive(&[stored("one.fmu", &inner), stored("two.fmu", &inner)])),
        Err(Error::Limit { .. })
    ));
    let none = Budget { nesting: 0, ..budget() };
    let outer = Archive::parse(archive(&[stored("one.fmu", &inner)]), none).unwrap();
    assert!(matches!(outer.unpack(), Err(Error::Limit { .. })));
}

#[test]
fn no_bit_of_an_archive_makes_it_another_model() {
    let bytes = archive(&honest());
    let files = read(bytes.clone()).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // Times, versions and modes are nobody's content; names and bytes are.
        if let Ok(found) = read(flipped) {
            for (path, bytes) in found.iter() {
                assert_eq!(files.get(path), Some(bytes), "bit {bit}");
            }
            assert_eq!(found.iter().count(), files.iter().count(), "bit {bit}");
        }
    }
}
