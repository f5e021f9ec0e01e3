//! BACnet/IP: link, network and application headers; `bacnet-rs` beside us on the same payloads (it is given them behind the
//! link header, and makes owned copies); then every object, property and value, which it does not read.
//!
//! `cargo bench -p benches --bench bacnet`. Inputs: 4 000 generated messages, and those of `bacnet/*` of the data folder
//! (`TWINGUARD_DATA`, else `../shared/data`) with at least 1 000 that both accept. Times are per set.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod captures;

use std::hint::black_box;

use bacnet_rs::app::Apdu;
use bacnet_rs::network::Npdu;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use twinguard::protocol::protocol::{Data, Protocol, Scalar};
use twinguard::protocol::protocols::bacnet::{Bacnet, Primitive, Reference, Repr, Service, Session, View};
use twinguard::protocol::{Context, Family, Sender};

/// Reads and writes of present values with their answers; one in eight behind a router.
fn generated() -> Vec<Vec<u8>> {
    let build = |index: u32| {
        let reference = Reference { object: index % 64, property: 85, index: None };
        let value = Primitive::Real(index as f32);
        let service = match index % 4 {
            0 => Service::ReadProperty(reference),
            1 => Service::ReadPropertyAck(reference, value),
            2 => Service::WriteProperty(reference, value, Some(8)),
            _ => Service::Acknowledge(15),
        };
        let remote = index.is_multiple_of(8).then_some((13, &[0x3d][..]));
        let mut bytes = Vec::new();
        Repr::new(index as u8, remote, service).unwrap().emit(&mut bytes);
        bytes
    };
    (0..4_000).map(build).collect()
}

fn peer(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.get(4..)?;
    let (npdu, len) = Npdu::decode(rest).ok()?;
    let apdu = Apdu::decode(rest.get(len..)?).ok()?;
    Some(usize::from(npdu.version) + usize::from(matches!(apdu, Apdu::ConfirmedRequest { .. })))
}

fn inputs() -> Vec<captures::Input> {
    captures::inputs(generated(), "bacnet", 1_000, |message| {
        message.family() == Family::Bacnet && peer(message.bytes).is_some()
    })
}

fn parse(criterion: &mut Criterion) {
    for (name, messages) in inputs() {
        let mut group = criterion.benchmark_group(format!("bacnet/message/{name}"));
        group.throughput(Throughput::Elements(messages.len() as u64));
        group.bench_function("twinguard", |bencher| {
            bencher.iter(|| {
                let views = messages.iter().filter_map(|bytes| View::new(black_box(bytes)));
                views
                    .filter_map(|view| {
                        Some(usize::from(view.npdu()?.control) + usize::from(view.apdu()?.kind == 0))
                    })
                    .sum::<usize>()
            });
        });
        group.bench_function("bacnet-rs", |bencher| {
            bencher.iter(|| messages.iter().filter_map(|bytes| peer(black_box(bytes))).sum::<usize>());
        });
        group.bench_function("twinguard with session and every value", |bencher| {
            let (mut session, mut shared, context) = (Session::default(), (), Context::of(Sender::Unknown));
            bencher.iter(|| {
                let mut sum = 0u64;
                for bytes in &messages {
                    let Some(message) = Bacnet::decode(&mut session, &mut shared, &context, black_box(bytes))
                    else {
                        continue;
                    };
                    for block in Bacnet::blocks(&message, None) {
                        let Data::Scalar { value, .. } = block.data else { continue };
                        sum = sum.wrapping_add(match value {
                            Scalar::Float(number) => number.to_bits(),
                            Scalar::Unsigned(number) => number,
                            _ => 1,
                        });
                    }
                }
                sum
            });
        });
        group.finish();
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
