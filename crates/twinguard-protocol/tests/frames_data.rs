//! Every capture at hand, read to its end: as many frames as `pcap-parser` counts, headers as `etherparse` reads them,
//! streams without a byte too many.
#![allow(missing_docs, clippy::disallowed_methods, clippy::expect_used, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use twinguard_protocol::ip::{Defragmenter, FragmentLimits, Transport};
use twinguard_protocol::link::{self, Network};
use twinguard_protocol::tcp::{Assembler, Limits};
use twinguard_protocol::{LinkType, capture};

fn main() {
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let mut captures = Vec::new();
    collect(&root.join("captures"), &mut captures);
    captures.sort();
    let mut trials: Vec<_> = captures
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
            Trial::test(name, move || check(&path))
        })
        .collect();
    if trials.is_empty() {
        trials.push(Trial::test("captures of the data folder", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng") {
            found.push(path);
        }
    }
}

fn check(path: &Path) -> Result<(), Failed> {
    let file = fs::read(path)?;
    let mut reader = capture::Reader::new(file.as_slice())?;
    let mut defragmenter = Defragmenter::new(FragmentLimits::default());
    let mut assembler = Assembler::new(Limits::default());
    let (mut frames, mut failed, mut shown) = (0, 0u64, 0u64);
    let end = loop {
        let frame = match reader.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        frames += 1;
        assert_eq!(frame.index, frames);
        let packet = match link::decode(frame.link, frame.bytes) {
            Ok(packet) => packet,
            Err(error) => {
                assert!(error.offset() as usize <= frame.bytes.len(), "frame {frames}: {error}");
                failed += 1;
                continue;
            }
        };
        if frame.link == LinkType::Ethernet {
            agree(frame.bytes, &packet).map_err(|what| format!("frame {frames}: {what}"))?;
        }
        let Network::Ip(ip) = packet.network else { continue };
        let Ok(whole) = defragmenter.push(frame.at, &ip) else { continue };
        let Some(ip) = whole.packet else { continue };
        if let (Transport::Tcp(segment), Some((source, destination))) = (ip.transport, ip.endpoints()) {
            let pushed = assembler.push(frame.at, frame.index, &source, &destination, &segment);
            for side in pushed.ready.sides() {
                loop {
                    let count = assembler.readable(side).len();
                    shown += count as u64;
                    assembler.consume(side, count);
                    if assembler.cross(side).is_none() {
                        break;
                    }
                }
            }
        }
    };
    if let Some(error) = &end {
        eprintln!("{}: {error}", path.display());
    }
    let counted = count_by_pcap_parser(&file);
    if counted != frames {
        return Err(format!("{frames} frames, {counted} by pcap-parser").into());
    }
    let seen = assembler.counters();
    if std::env::var_os("TWINGUARD_VERBOSE").is_some() {
        eprintln!("{} {failed} undecoded {shown} shown {seen:?}", path.display());
    }
    assert!(
        shown + seen.repeated_bytes + seen.dropped_bytes + seen.evicted_bytes <= seen.bytes,
        "{shown} {seen:?}"
    );
    Ok(())
}

fn count_by_pcap_parser(file: &[u8]) -> u64 {
    use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};
    let mut reader = create_reader(1 << 20, file).expect("a capture");
    let mut count = 0;
    loop {
        match reader.next() {
            Ok((used, block)) => {
                count += u64::from(matches!(
                    block,
                    PcapBlockOwned::Legacy(_)
                        | PcapBlockOwned::NG(Block::EnhancedPacket(_) | Block::SimplePacket(_))
                ));
                reader.consume(used);
            }
            Err(PcapError::Incomplete(_)) => {
                if reader.reader_exhausted() {
                    return count;
                }
                reader.refill().expect("room");
            }
            Err(_) => return count,
        }
    }
}

/// Ports, sequence number and payload as `etherparse` sees them, where it sees a transport.
fn agree(bytes: &[u8], packet: &link::Packet<'_>) -> Result<(), String> {
    use etherparse::{SlicedPacket, TransportSlice};
    let Ok(theirs) = SlicedPacket::from_ethernet(bytes) else { return Ok(()) };
    let ours = match &packet.network {
        Network::Ip(ip) => ip.transport,
        _ => return if theirs.transport.is_some() { Err("no transport".into()) } else { Ok(()) },
    };
    let same = match (&theirs.transport, ours) {
        (Some(TransportSlice::Tcp(tcp)), Transport::Tcp(segment)) => {
            tcp.source_port() == segment.source_port
                && tcp.destination_port() == segment.destination_port
                && tcp.sequence_number() == segment.sequence
                && tcp.acknowledgment_number() == segment.acknowledgement
                && tcp.payload() == segment.payload
        }
        (Some(TransportSlice::Udp(udp)), Transport::Udp(datagram)) => {
            udp.source_port() == datagram.source_port
                && udp.destination_port() == datagram.destination_port
                && udp.payload() == datagram.payload
        }
        (Some(TransportSlice::Tcp(_) | TransportSlice::Udp(_)), _) => false,
        _ => true,
    };
    if same { Ok(()) } else { Err(format!("{:?}, by etherparse {:?}", ours, theirs.transport)) }
}
