//! Capture files: both formats in all their forms, cut at every byte, against `pcap-parser`, and nonsense.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]

use std::io::{self, BufRead, BufReader, Read};

use proptest::prelude::*;
use twinguard_protocol::capture::{Reader, Writer};
use twinguard_protocol::{Error, Frame, LinkType};
use twinguard_types::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Little,
    Big,
}

/// Bytes of a capture in one byte order.
struct File {
    order: Order,
    bytes: Vec<u8>,
}

impl File {
    fn new(order: Order) -> Self {
        Self { order, bytes: Vec::new() }
    }

    fn u16(mut self, number: u16) -> Self {
        let big = self.order == Order::Big;
        self.bytes.extend(if big { number.to_be_bytes() } else { number.to_le_bytes() });
        self
    }

    fn u32(mut self, number: u32) -> Self {
        let big = self.order == Order::Big;
        self.bytes.extend(if big { number.to_be_bytes() } else { number.to_le_bytes() });
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn padded(self, bytes: &[u8]) -> Self {
        let padding = bytes.len().next_multiple_of(4) - bytes.len();
        self.raw(bytes).raw(&[0; 3][..padding])
    }

    fn pcap(order: Order, magic: u32, link: u32) -> Self {
        Self::new(order).u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65_535).u32(link)
    }

    fn record(self, seconds: u32, ticks: u32, bytes: &[u8], original_len: u32) -> Self {
        self.u32(seconds).u32(ticks).u32(bytes.len() as u32).u32(original_len).raw(bytes)
    }

    fn block(self, kind: u32, body: impl FnOnce(File) -> File) -> Self {
        let body = body(File::new(self.order)).bytes;
        let len = 12 + body.len() as u32;
        self.u32(kind).u32(len).raw(&body).u32(len)
    }

    fn section(self) -> Self {
        self.block(0x0a0d_0d0a, |body| body.u32(0x1a2b_3c4d).u16(1).u16(0).u32(u32::MAX).u32(u32::MAX))
    }

    fn interface(self, link: u16, snap_len: u32, options: &[(u16, &[u8])]) -> Self {
        self.block(1, |body| {
            let body = body.u16(link).u16(0).u32(snap_len);
            options
                .iter()
                .fold(body, |body, (code, value)| body.u16(*code).u16(value.len() as u16).padded(value))
        })
    }

    fn enhanced(self, interface: u32, ticks: u64, bytes: &[u8], original_len: u32) -> Self {
        self.block(6, |body| {
            body.u32(interface)
                .u32((ticks >> 32) as u32)
                .u32(ticks as u32)
                .u32(bytes.len() as u32)
                .u32(original_len)
                .padded(bytes)
                // A comment, and the end of options.
                .u16(1)
                .u16(5)
                .padded(b"hello")
                .u32(0)
        })
    }
}

#[derive(Debug, PartialEq)]
struct Owned {
    at: i64,
    link: LinkType,
    bytes: Vec<u8>,
    original_len: u32,
}

/// All frames, and the error at the end, if any.
fn read(input: impl BufRead) -> (Vec<Owned>, Option<Error>) {
    let mut frames = Vec::new();
    let mut reader = match Reader::new(input) {
        Ok(reader) => reader,
        Err(error) => return (frames, Some(error)),
    };
    loop {
        match reader.next_frame() {
            Ok(Some(Frame { index, at, link, bytes, original_len })) => {
                assert_eq!(index, frames.len() as u64 + 1);
                frames.push(Owned { at: at.as_nanos(), link, bytes: bytes.to_vec(), original_len });
            }
            Ok(None) => return (frames, None),
            Err(error) => {
                assert!(reader.next_frame().unwrap().is_none(), "after an error there is nothing");
                return (frames, Some(error));
            }
        }
    }
}

/// Reads by slice and through buffers of many sizes: the same each time.
fn read_all_ways(bytes: &[u8]) -> (Vec<Owned>, Option<String>) {
    let (frames, error) = read(bytes);
    let error = error.map(|error| error.to_string());
    for capacity in [1, 2, 3, 13, 64, 1_000] {
        let (again, other) = read(BufReader::with_capacity(capacity, bytes));
        assert_eq!(again, frames, "buffer of {capacity}");
        assert_eq!(other.map(|error| error.to_string()), error, "buffer of {capacity}");
    }
    (frames, error)
}

fn frame(at: i64, bytes: &[u8], original_len: u32) -> Owned {
    Owned { at, link: LinkType::Ethernet, bytes: bytes.to_vec(), original_len }
}

#[test]
fn pcap_in_both_orders_and_resolutions() {
    for order in [Order::Little, Order::Big] {
        for (magic, nanos) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1)] {
            let file = File::pcap(order, magic, 1).record(5, 7, b"abc", 3).record(u32::MAX, 999_999, b"", 60);
            let expected = [
                frame(5_000_000_000 + 7 * nanos, b"abc", 3),
                frame(4_294_967_295_000_000_000 + 999_999 * nanos, b"", 60),
            ];
            assert_eq!(read_all_ways(&file.bytes), (expected.into(), None));
        }
    }
    let checked = File::pcap(Order::Little, 0xa1b2_c3d4, 0x4400_0065).record(0, 0, b"x", 1);
    assert_eq!(read(&checked.bytes[..]).0[0].link, LinkType::RawIp, "the upper bits tell of check sequences");
}

#[test]
fn pcapng_with_sections_interfaces_and_options() {
    for order in [Order::Little, Order::Big] {
        let other = if order == Order::Little { Order::Big } else { Order::Little };
        let offset = if order == Order::Little { 10i64.to_le_bytes() } else { 10i64.to_be_bytes() };
        let first = File::new(order)
            .section()
            .interface(1, 0, &[(2, b"eth0"), (0, b"")])
            .interface(101, 0, &[(9, &[9]), (14, &offset), (0, b"")])
            .block(0xbad, |body| body.raw(b"unknown."))
            .enhanced(1, 1 << 40, b"12345", 5)
            .enhanced(0, 3, b"1234", 1_000)
            .block(5, |body| body.u32(0).u32(0).u32(0))
            .block(2, |body| body.u16(1).u16(9).u32(0).u32(8).u32(2).u32(2).padded(b"ab"));
        let second = File::new(other)
            .section()
            .interface(1, 6, &[(9, &[0x80 | 20])])
            .block(3, |body| body.u32(9).padded(b"123456"))
            .block(3, |body| body.u32(3).padded(b"123"))
            .enhanced(0, 3 << 19, b"x", 1);
        let file = [first.bytes, second.bytes].concat();
        let raw = |at, bytes: &[u8]| Owned { link: LinkType::RawIp, ..frame(at, bytes, bytes.len() as u32) };
        let expected = [
            raw((1 << 40) + 10_000_000_000, b"12345"),
            frame(3_000, b"1234", 1_000),
            raw(10_000_000_008, b"ab"),
            frame(0, b"123456", 9),
            frame(0, b"123", 3),
            frame(1_500_000_000, b"x", 1),
        ];
        assert_eq!(read_all_ways(&file), (expected.into(), None));
    }
}

#[test]
fn every_cut_gives_the_whole_frames_and_then_the_place() {
    let pcap = File::pcap(Order::Big, 0xa1b2_c3d4, 1).record(1, 2, b"abc", 3).record(3, 4, b"defgh", 5);
    let ends = [24, 24 + 19, 24 + 19 + 21];
    let pcapng = File::new(Order::Little).section().interface(1, 0, &[]);
    let head = pcapng.bytes.len();
    let pcapng = pcapng.enhanced(0, 1, b"abc", 3);
    let middle = pcapng.bytes.len();
    let pcapng = pcapng.enhanced(0, 2, b"defgh", 5);
    let blocks = [28, head, middle, pcapng.bytes.len()];
    for (file, starts, before) in [(&pcap.bytes, &ends[..], 0), (&pcapng.bytes, &blocks[..], 1)] {
        let (whole, _) = read(&file[..]);
        for len in 0..file.len() {
            let done = starts.iter().rposition(|start| *start <= len);
            let (frames, error) = read_all_ways(&file[..len]);
            let place = done.map_or(0, |done| starts[done]);
            assert_eq!(frames[..], whole[..done.unwrap_or(0).saturating_sub(before)], "cut at {len}");
            match error {
                None => assert!(starts.contains(&len), "no error at {len}"),
                Some(error) => {
                    assert!(error.ends_with(&format!("starts at byte {place}")), "{error} at {len}");
                    assert!(error.contains(&format!("ends at byte {len} ")), "{error} at {len}");
                }
            }
        }
    }
}

#[test]
fn contradictions_are_named() {
    let check = |file: &[u8], expected: &str| {
        let (_, error) = read_all_ways(file);
        assert_eq!(error.as_deref(), Some(expected));
    };
    check(b"PK\x03\x04....", "not a capture file: unknown magic number `504b0304` at byte 0");
    check(b"", "capture ends at byte 0 within the file header that starts at byte 0");
    check(b"PK", "capture ends at byte 2 within the file header that starts at byte 0");
    let long = File::pcap(Order::Little, 0xa1b2_c3d4, 1).u32(0).u32(0).u32(0xffff_ffff).u32(0).raw(&[0; 40]);
    check(&long.bytes, "bad record at byte 24: captured length is above 64 MiB");
    let start = || File::new(Order::Little).section();
    let bad = |file: File, at: usize, reason: &str| {
        check(&file.bytes, &format!("bad block at byte {at}: {reason}"))
    };
    bad(start().u32(6).u32(13).u32(0), 28, "block length is not a multiple of 4 from 12");
    bad(start().u32(6).u32(8).u32(0), 28, "block length is not a multiple of 4 from 12");
    bad(start().u32(6).u32(0xffff_fff0).u32(0), 28, "block length is above 65 MiB");
    bad(start().u32(6).u32(12).u32(16), 28, "block lengths at start and end differ");
    bad(start().enhanced(0, 0, b"", 0), 28, "interface was not described");
    bad(start().block(3, |body| body.u32(0)), 28, "interface was not described");
    bad(start().block(1, |body| body.u32(0)), 28, "interface description is too short");
    bad(start().block(3, |body| body), 28, "simple packet block is too short");
    bad(start().block(1, |body| body.u32(1).u32(0).u16(9).u16(9)), 28, "option ends beyond its block");
    let over = |body: File| body.u32(0).u32(0).u32(0).u32(9).u32(9).raw(b"12345678");
    bad(start().interface(1, 0, &[]).block(6, over), 48, "captured length is above the block length");
    let mut magic = start();
    magic.bytes[8] = 0;
    bad(magic, 0, "byte-order magic is unknown");
    let skipped = start().u32(77).u32(0xffff_fff0).raw(&[0; 20]);
    check(&skipped.bytes, "capture ends at byte 56 within the block that starts at byte 28");
}

#[test]
fn a_failing_input_is_told() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    let file = File::pcap(Order::Little, 0xa1b2_c3d4, 1).record(1, 2, b"abc", 3);
    let input = BufReader::with_capacity(7, file.bytes.chain(Failing));
    let (frames, error) = read(input);
    assert_eq!((frames.len(), error.unwrap().to_string()), (1, "cannot read at byte 43: unplugged".into()));
}

#[test]
fn the_writer_refuses_what_pcap_cannot_hold() {
    let mut writer = Writer::new(Vec::new(), LinkType::Ethernet).unwrap();
    let mut refused = |at, link| {
        let frame = Frame { index: 1, at, link, bytes: b"x", original_len: 1 };
        matches!(writer.write_frame(&frame), Err(Error::Unwritable { .. }))
    };
    assert!(refused(Timestamp::from_nanos(-1), LinkType::Ethernet));
    assert!(refused(Timestamp::from_secs(1 << 32), LinkType::Ethernet));
    assert!(refused(Timestamp::ZERO, LinkType::RawIp));
    assert!(!refused(Timestamp::ZERO, LinkType::Ethernet));
}

fn captures() -> impl Strategy<Value = (File, bool)> {
    let frames = prop::collection::vec(
        (any::<u32>(), 0u32..1_000_000, prop::collection::vec(any::<u8>(), 0..80), 0u32..100),
        0..20,
    );
    (any::<[bool; 3]>(), frames).prop_map(|([big, block, nanos], frames)| {
        let order = if big { Order::Big } else { Order::Little };
        let file = if block {
            let resolution: &[(u16, &[u8])] = if nanos { &[(9, &[9])] } else { &[] };
            frames.iter().fold(
                File::new(order).section().interface(1, 0, resolution),
                |file, (seconds, ticks, bytes, cut)| {
                    let ticks = u64::from(*seconds) * 1_000_000 + u64::from(*ticks);
                    file.enhanced(0, ticks, bytes, bytes.len() as u32 + cut)
                },
            )
        } else {
            let magic = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
            frames.iter().fold(File::pcap(order, magic, 1), |file, (seconds, ticks, bytes, cut)| {
                file.record(*seconds, *ticks, bytes, bytes.len() as u32 + cut)
            })
        };
        (file, block)
    })
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:02x?}", self.order, self.bytes)
    }
}

/// Lengths and bytes as `pcap-parser` reads them.
fn by_pcap_parser(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};
    let mut reader = create_reader(1 << 16, file).unwrap();
    let mut frames = Vec::new();
    loop {
        match reader.next() {
            Ok((used, block)) => {
                match block {
                    PcapBlockOwned::Legacy(block) => {
                        frames.push((block.origlen, block.data[..block.caplen as usize].to_vec()));
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
                        frames.push((block.origlen, block.data[..block.caplen as usize].to_vec()));
                    }
                    _ => {}
                }
                reader.consume(used);
            }
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(PcapError::Eof) => return frames,
            Err(error) => panic!("{error:?}"),
        }
    }
}

proptest! {
    #[test]
    fn captures_are_read_as_pcap_parser_reads_them((file, _) in captures()) {
        let (frames, error) = read_all_ways(&file.bytes);
        prop_assert_eq!(error, None);
        let frames: Vec<_> = frames.into_iter().map(|frame| (frame.original_len, frame.bytes)).collect();
        prop_assert_eq!(frames, by_pcap_parser(&file.bytes));
    }

    #[test]
    fn what_is_written_is_read(frames in prop::collection::vec((0i64..1 << 62, prop::collection::vec(any::<u8>(), 0..80), 0u32..9), 0..20)) {
        let mut writer = Writer::new(Vec::new(), LinkType::Null).unwrap();
        let mut expected = Vec::new();
        for (at, bytes, cut) in &frames {
            let at = at % 4_294_967_296_000_000_000;
            let original_len = bytes.len() as u32 + cut;
            let frame = Frame { index: 9, at: Timestamp::from_nanos(at), link: LinkType::Null, bytes, original_len };
            writer.write_frame(&frame).unwrap();
            expected.push(Owned { at, link: LinkType::Null, bytes: bytes.clone(), original_len });
        }
        prop_assert_eq!(read_all_ways(&writer.finish().unwrap()), (expected, None));
    }

    #[test]
    fn bent_captures_end_with_an_error_or_frames(
        (mut file, _) in captures(),
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        for (at, byte) in bends {
            let at = at.index(file.bytes.len());
            file.bytes[at] = byte;
        }
        let (frames, _) = read_all_ways(&file.bytes);
        let held: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
        prop_assert!(held <= file.bytes.len());
    }

    #[test]
    fn anything_is_read_without_panic(block: bool, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let head = if block { File::new(Order::Little).section() } else { File::pcap(Order::Little, 0xa1b2_c3d4, 1) };
        read_all_ways(&head.raw(&bytes).bytes);
        read_all_ways(&bytes);
    }
}
