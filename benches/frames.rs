//! Frames: reading captures, decoding to TCP, putting streams together; `pcap-parser` and `etherparse` beside us.
//!
//! `cargo bench -p benches --bench frames`. Inputs: 4 096 synthetic frames of fixed content, and the largest captures of
//! the data folder (`TWINGUARD_DATA`, else `../shared/data`), where there is one.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use twinguard_protocol::ip::Transport;
use twinguard_protocol::link::{self, Network};
use twinguard_protocol::tcp::{Assembler, Limits};
use twinguard_protocol::{LinkType, capture};
use twinguard_types::Timestamp;

struct Input {
    name: String,
    file: Vec<u8>,
    frames: Vec<(Timestamp, Vec<u8>)>,
}

impl Input {
    fn read(name: String, file: Vec<u8>) -> Option<Self> {
        let mut reader = capture::Reader::new(file.as_slice()).ok()?;
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = reader.next_frame() {
            (frame.link == LinkType::Ethernet).then(|| frames.push((frame.at, frame.bytes.to_vec())))?;
        }
        Some(Self { name, file, frames })
    }

    fn synthetic(name: &str, ipv6: bool, vlan: bool) -> Self {
        let mut writer = capture::Writer::new(Vec::new(), LinkType::Ethernet).unwrap();
        let (mut sent, mut answered) = (1u32, 1u32);
        for index in 0..4_096u32 {
            let request = index % 2 == 0;
            let payload = if request { &[7u8; 12][..] } else { &[8u8; 79][..] };
            let (from, to) = if request { (1, 2) } else { (2, 1) };
            let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, from], [2, 0, 0, 0, 0, to]);
            let ports = if request { (40_000, 502) } else { (502, 40_000) };
            let (sequence, ack) = if request { (sent, answered) } else { (answered, sent) };
            let mut bytes = Vec::new();
            macro_rules! finish {
                ($link:expr) => {
                    if ipv6 {
                        let address = |host| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
                        let ip = $link.ipv6(address(from), address(to), 64);
                        ip.tcp(ports.0, ports.1, sequence, 8_192)
                            .ack(ack)
                            .write(&mut bytes, payload)
                            .unwrap();
                    } else {
                        let ip = $link.ipv4([10, 0, 0, from], [10, 0, 0, to], 64);
                        ip.tcp(ports.0, ports.1, sequence, 8_192)
                            .ack(ack)
                            .write(&mut bytes, payload)
                            .unwrap();
                    }
                };
            }
            if vlan {
                finish!(link.single_vlan(7.try_into().unwrap()));
            } else {
                finish!(link);
            }
            *(if request { &mut sent } else { &mut answered }) += payload.len() as u32;
            writer.write(Timestamp::from_millis(i64::from(index)), &bytes).unwrap();
        }
        Self::read(name.into(), writer.finish().unwrap()).unwrap()
    }
}

fn inputs() -> Vec<Input> {
    let mut inputs = vec![
        Input::synthetic("synthetic-ipv4", false, false),
        Input::synthetic("synthetic-vlan", false, true),
        Input::synthetic("synthetic-ipv6", true, false),
    ];
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let mut files: Vec<_> = std::fs::read_dir(root.join("captures/modbus"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.len(), entry.path())))
        .collect();
    files.sort();
    for (_, path) in files.iter().rev().take(2) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        inputs.extend(Input::read(name, std::fs::read(path).unwrap()));
    }
    inputs
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read");
    for input in &inputs() {
        group.throughput(Throughput::Elements(input.frames.len() as u64));
        group.bench_with_input(BenchmarkId::new("twinguard", &input.name), input, |bencher, input| {
            bencher.iter(|| {
                let mut reader = capture::Reader::new(input.file.as_slice()).unwrap();
                let mut bytes = 0;
                while let Some(frame) = reader.next_frame().unwrap() {
                    bytes += black_box(&frame).bytes.len();
                }
                bytes
            });
        });
        group.bench_with_input(BenchmarkId::new("pcap-parser", &input.name), input, |bencher, input| {
            use pcap_parser::{PcapBlockOwned, PcapError, create_reader};
            bencher.iter(|| {
                let mut reader = create_reader(256 << 10, input.file.as_slice()).unwrap();
                let mut bytes = 0;
                loop {
                    match reader.next() {
                        Ok((used, block)) => {
                            if let PcapBlockOwned::Legacy(block) = block {
                                bytes += black_box(&block).data.len();
                            }
                            reader.consume(used);
                        }
                        Err(PcapError::Eof) => break bytes,
                        Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for input in &inputs() {
        group.throughput(Throughput::Elements(input.frames.len() as u64));
        group.bench_with_input(BenchmarkId::new("twinguard", &input.name), input, |bencher, input| {
            bencher.iter(|| {
                let mut bytes = 0;
                for (_, frame) in &input.frames {
                    if let Ok(packet) = link::decode(LinkType::Ethernet, black_box(frame))
                        && let Network::Ip(ip) = &packet.network
                        && let Transport::Tcp(segment) = &ip.transport
                    {
                        bytes += segment.payload.len() + usize::from(segment.destination_port);
                    }
                }
                bytes
            });
        });
        group.bench_with_input(BenchmarkId::new("etherparse", &input.name), input, |bencher, input| {
            bencher.iter(|| {
                let mut bytes = 0;
                for (_, frame) in &input.frames {
                    if let Ok(packet) = SlicedPacket::from_ethernet(black_box(frame))
                        && let Some(TransportSlice::Tcp(segment)) = &packet.transport
                    {
                        bytes += segment.payload().len() + usize::from(segment.destination_port());
                    }
                }
                bytes
            });
        });
        // The whole result is used, so that nothing is left out for want of a reader.
        group.bench_with_input(BenchmarkId::new("twinguard-whole", &input.name), input, |bencher, input| {
            bencher.iter(|| {
                for (_, frame) in &input.frames {
                    black_box(&link::decode(LinkType::Ethernet, black_box(frame)));
                }
            });
        });
        group.bench_with_input(BenchmarkId::new("etherparse-whole", &input.name), input, |bencher, input| {
            bencher.iter(|| {
                for (_, frame) in &input.frames {
                    black_box(&SlicedPacket::from_ethernet(black_box(frame)));
                }
            });
        });
    }
    group.finish();
}

fn assemble(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode+assemble");
    for input in &inputs() {
        group.throughput(Throughput::Elements(input.frames.len() as u64));
        group.bench_with_input(BenchmarkId::new("twinguard", &input.name), input, |bencher, input| {
            bencher.iter(|| {
                let mut assembler = Assembler::new(Limits::default());
                let mut bytes = 0;
                for (index, (at, frame)) in (1..).zip(&input.frames) {
                    bytes += feed(&mut assembler, *at, index, frame);
                }
                bytes
            });
        });
    }
    // Many connections in turn: every push finds another one.
    let mut assembler = Assembler::new(Limits::default());
    let mut sequence = 0u32;
    let segment = |sequence| twinguard_protocol::tcp::TcpSegment {
        source_port: 1,
        destination_port: 502,
        sequence,
        acknowledgement: 0,
        flags: twinguard_protocol::tcp::TcpFlags::PSH,
        window: 0,
        missing: 0,
        payload: &[7; 12],
    };
    for flows in [256u16, 4_096] {
        group.throughput(Throughput::Elements(u64::from(flows)));
        group.bench_function(BenchmarkId::new("connections", flows), |bencher| {
            bencher.iter(|| {
                for port in 0..flows {
                    let source = SocketAddr::new([10, 0, 0, 1].into(), port);
                    let destination = SocketAddr::new([10, 0, 0, 2].into(), 502);
                    let pushed =
                        assembler.push(Timestamp::ZERO, 1, &source, &destination, &segment(sequence));
                    assembler.consume(pushed.side, 12);
                }
                sequence = sequence.wrapping_add(12);
            });
        });
        assembler = Assembler::new(Limits::default());
    }
    group.finish();
}

fn feed(assembler: &mut Assembler, at: Timestamp, index: u64, frame: &[u8]) -> usize {
    let mut bytes = 0;
    if let Ok(packet) = link::decode(LinkType::Ethernet, frame)
        && let Network::Ip(ip) = &packet.network
        && let (Transport::Tcp(segment), Some((source, destination))) = (&ip.transport, ip.endpoints())
    {
        let pushed = assembler.push(at, index, &source, &destination, segment);
        for side in pushed.ready.sides() {
            loop {
                let count = assembler.readable(side).len();
                bytes += count;
                assembler.consume(side, count);
                if assembler.cross(side).is_none() {
                    break;
                }
            }
        }
    }
    bytes
}

criterion_group!(benches, read, decode, assemble);
criterion_main!(benches);
