//! Modbus TCP: a typed message with every value visited, and the whole path from frames to points; `sawp-modbus` and
//! `rmodbus` beside us on the same payloads.
//!
//! `cargo bench -p benches --bench modbus`. Inputs: a generated poll of 4 000 exchanges, and `modbus/*.pcap` of the data
//! folder (`TWINGUARD_DATA`, else `../shared/data`) with at least 4 000 messages. Times are per set; divide by the
//! number of elements, which criterion's throughput line does.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

use std::hint::black_box;
use std::ops::Range;
use std::path::{Path, PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rmodbus::server::ModbusFrame;
use rmodbus::{ModbusFrameBuf, ModbusProto};
use sawp::parser::{Direction, Parse};
use sawp_modbus::{Data, Modbus as Sawp, Read, Write};
use twinguard::protocol::protocols::modbus::{Body, Repr, View, WordBuffer};
use twinguard::protocol::stack::{Config, Stack};
use twinguard::protocol::{Frame, Item, Kind, LinkType, Pdu, PointMap, Sender, capture};
use twinguard::types::{
    Binding, ByteOrder, Direction as Way, Encoding, Endpoint, Label, SignalId, Timestamp,
};

struct Input {
    name: String,
    frames: Vec<(u64, Timestamp, LinkType, Vec<u8>)>,
    /// Sender and place in `bytes`, where all messages lie one behind the other.
    messages: Vec<(Sender, Range<usize>)>,
    bytes: Vec<u8>,
    file: Vec<u8>,
}

impl Input {
    fn new(name: String, file: Vec<u8>) -> Self {
        let mut reader = capture::Reader::new(file.as_slice()).unwrap();
        let mut stack = Stack::new(Config::default());
        let (mut frames, mut messages, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        while let Ok(Some(frame)) = reader.next_frame() {
            frames.push((frame.index, frame.at, frame.link, frame.bytes.to_vec()));
            stack.handle(&frame);
            while let Some(item) = stack.poll() {
                if let Item::Message(message) = item {
                    let Pdu::Modbus(view) = message.pdu else { continue };
                    let sender = match message.header.kind {
                        Kind::Request => Sender::Client,
                        _ => Sender::Server,
                    };
                    let start = bytes.len();
                    bytes.extend_from_slice(view.as_bytes());
                    messages.push((sender, start..bytes.len()));
                }
            }
        }
        Self { name, frames, messages, bytes, file }
    }

    /// Ten devices polled in turn: 100 input registers, 40 coils, and a register written.
    fn generated() -> Self {
        let mut writer = capture::Writer::new(Vec::new(), LinkType::RawIp).unwrap();
        let mut sequence = [(1u32, 1u32); 10];
        let words = WordBuffer::new(&[0x1234; 100]).unwrap();
        for exchange in 0..4_000u32 {
            let device = exchange % 10;
            let transaction = exchange as u16;
            let (ask, tell) = match exchange / 10 % 3 {
                0 => (
                    Repr::read(transaction, 1, 4, 0, 100).unwrap(),
                    Repr::registers(transaction, 1, 4, words.registers()).unwrap(),
                ),
                1 => (
                    Repr::read(transaction, 1, 1, 0, 40).unwrap(),
                    Repr::new(
                        transaction,
                        1,
                        twinguard::protocol::protocols::modbus::Function(1),
                        Sender::Server,
                        Body::Bits(twinguard::protocol::protocols::modbus::Bits::new(&[0xa5; 5], 40)),
                    )
                    .unwrap(),
                ),
                _ => {
                    let body = Body::WriteRegister { address: 7, value: transaction };
                    let function = twinguard::protocol::protocols::modbus::Function(6);
                    (
                        Repr::write_register(transaction, 1, 7, transaction).unwrap(),
                        Repr::new(transaction, 1, function, Sender::Server, body).unwrap(),
                    )
                }
            };
            let (client, server) = &mut sequence[device as usize];
            for (message, request) in [(ask, true), (tell, false)] {
                let adu = message.emit();
                let payload = adu.as_bytes();
                let (source, destination) = if request { (100, device as u8) } else { (device as u8, 100) };
                let (sent, seen) = if request { (&mut *client, *server) } else { (&mut *server, *client) };
                let ports: [u16; 2] = if request { [40_000, 502] } else { [502, 40_000] };
                let mut bytes =
                    vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, source, 10, 0, 0, destination];
                bytes.extend(ports[0].to_be_bytes());
                bytes.extend(ports[1].to_be_bytes());
                bytes.extend(sent.to_be_bytes());
                bytes.extend(seen.to_be_bytes());
                bytes.extend([0x50, 0x18, 0x20, 0, 0, 0, 0, 0]);
                bytes.extend(payload);
                let len = bytes.len() as u16;
                bytes[2..4].copy_from_slice(&len.to_be_bytes());
                *sent += payload.len() as u32;
                let at = Timestamp::from_micros(i64::from(exchange) * 1000 + if request { 0 } else { 400 });
                writer.write(at, &bytes).unwrap();
            }
        }
        Self::new("generated".to_owned(), writer.finish().unwrap())
    }

    fn messages(&self) -> impl Iterator<Item = (Sender, &[u8])> {
        self.messages.iter().map(|(sender, place)| (*sender, &self.bytes[place.clone()]))
    }

    fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.frames.iter().map(|(index, at, link, bytes)| Frame {
            index: *index,
            at: *at,
            link: *link,
            bytes,
            original_len: bytes.len() as u32,
        })
    }
}

fn inputs() -> Vec<Input> {
    let data = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let mut files: Vec<_> = std::fs::read_dir(data.join("captures/modbus"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    let found = files.into_iter().filter_map(|path| {
        let name = path.file_stem()?.to_string_lossy().into_owned();
        Some(Input::new(name, std::fs::read(path).ok()?)).filter(|input| input.messages.len() >= 4_000)
    });
    std::iter::once(Input::generated()).chain(found).collect()
}

/// Every value of a message, added up.
fn visit(view: &View<'_>) -> u64 {
    match view.body() {
        Body::Read { start, quantity } | Body::Written { start, quantity } => {
            u64::from(start) + u64::from(quantity)
        }
        Body::Bits(bits) => bits.as_bytes().iter().map(|byte| u64::from(*byte)).sum(),
        Body::Registers(registers) => registers.iter().map(u32::from).sum::<u32>().into(),
        Body::WriteCoil { address, value } | Body::WriteRegister { address, value } => {
            u64::from(address) + u64::from(value)
        }
        Body::WriteCoils { start, bits, .. } => {
            u64::from(start) + bits.as_bytes().iter().map(|byte| u64::from(*byte)).sum::<u64>()
        }
        Body::WriteRegisters { start, registers, .. } => {
            u64::from(start) + u64::from(registers.iter().map(u32::from).sum::<u32>())
        }
        Body::Exception { code } => u64::from(code),
        _ => u64::from(view.function().0),
    }
}

fn parse(criterion: &mut Criterion) {
    for input in inputs() {
        let mut group = criterion.benchmark_group(format!("modbus/message/{}", input.name));
        group.throughput(Throughput::Elements(input.messages.len() as u64));
        group.bench_function("twinguard", |bencher| {
            bencher.iter(|| {
                let mut sum = 0;
                for (sender, adu) in input.messages() {
                    if let Some(view) = View::new(black_box(adu), sender) {
                        sum += visit(&view) + u64::from(!view.oddities().is_empty());
                    }
                }
                sum
            });
        });
        group.bench_function("sawp-modbus", |bencher| {
            let parser = Sawp::default();
            bencher.iter(|| {
                let mut sum = 0;
                for (sender, adu) in input.messages() {
                    let direction =
                        if sender == Sender::Client { Direction::ToServer } else { Direction::ToClient };
                    if let Ok((_, Some(message))) = parser.parse(black_box(adu), direction) {
                        sum += match &message.data {
                            Data::Read(Read::Request { address, quantity })
                            | Data::Write(Write::MultReq { address, quantity, .. }) => {
                                u64::from(*address) + u64::from(*quantity)
                            }
                            Data::Read(Read::Response(bytes)) => {
                                bytes.iter().map(|byte| u64::from(*byte)).sum()
                            }
                            Data::Write(Write::Other { address, data }) => {
                                u64::from(*address) + u64::from(*data)
                            }
                            _ => u64::from(message.function.raw),
                        } + u64::from(!message.error_flags.is_empty());
                    }
                }
                sum
            });
        });
        let requests: Vec<ModbusFrameBuf> = input
            .messages()
            .filter(|(sender, adu)| *sender == Sender::Client && adu.len() <= 256)
            .map(|(_, adu)| {
                let mut buffer: ModbusFrameBuf = [0; 256];
                buffer[..adu.len()].copy_from_slice(adu);
                buffer
            })
            .collect();
        group.throughput(Throughput::Elements(requests.len() as u64));
        group.bench_function("rmodbus requests only", |bencher| {
            bencher.iter(|| {
                let mut sum = 0;
                for request in &requests {
                    let mut response = Vec::new();
                    let mut frame =
                        ModbusFrame::new(request[6], black_box(request), ModbusProto::TcpUdp, &mut response);
                    sum += u64::from(frame.parse().is_ok()) + u64::from(frame.reg) + u64::from(frame.count);
                }
                sum
            });
        });
        let ours: Vec<&[u8]> = input
            .messages()
            .filter(|(sender, adu)| *sender == Sender::Client && adu.len() <= 256)
            .map(|(_, adu)| adu)
            .collect();
        group.bench_function("twinguard requests only", |bencher| {
            bencher.iter(|| {
                let views = ours.iter().filter_map(|adu| View::new(black_box(adu), Sender::Client));
                views.map(|view| visit(&view)).sum::<u64>()
            });
        });
        group.finish();
    }
}

/// A binding for every one of the first 128 registers and coils of each unit.
fn map() -> PointMap {
    let mut bindings = Vec::new();
    for unit in [1u8, 255] {
        for table in ["co", "di", "ir", "hr"] {
            for address in 0..128 {
                bindings.push(Binding {
                    signal: SignalId(bindings.len() as u32),
                    family: Label::literal("modbus"),
                    endpoint: Endpoint::Any,
                    tag: format!("u{unit}/{table}/{address}").into(),
                    encoding: if table.ends_with('r') { Encoding::U16 } else { Encoding::Bit(0) },
                    order: ByteOrder::Abcd,
                    scale: if table.ends_with('r') { 0.1 } else { 1.0 },
                    offset: 0.0,
                    direction: Way::Write,
                });
            }
        }
    }
    PointMap::new(&bindings).unwrap()
}

fn path(criterion: &mut Criterion) {
    for input in inputs() {
        let mut group = criterion.benchmark_group(format!("modbus/path/{}", input.name));
        group.throughput(Throughput::Elements(input.frames.len() as u64));
        group.bench_function(BenchmarkId::from_parameter("frames to messages and exchanges"), |bencher| {
            bencher.iter(|| {
                let mut stack = Stack::new(Config::default());
                let mut count = 0;
                for frame in input.frames() {
                    stack.handle(&frame);
                    while let Some(item) = stack.poll() {
                        count += 1;
                        black_box(&item);
                    }
                }
                count
            });
        });
        group.bench_function(BenchmarkId::from_parameter("capture to points"), |bencher| {
            let mut map = map();
            let mut events = Vec::new();
            bencher.iter(|| {
                let mut stack = Stack::new(Config::default());
                let mut reader = capture::Reader::new(input.file.as_slice()).unwrap();
                let mut count = 0;
                while let Ok(Some(frame)) = reader.next_frame() {
                    stack.handle(&frame);
                    while let Some(item) = stack.poll() {
                        map.bind(&item, &mut events);
                        count += events.len();
                        black_box(&events);
                        events.clear();
                    }
                }
                count
            });
        });
        group.finish();
    }
}

criterion_group!(benches, parse, path);
criterion_main!(benches);
