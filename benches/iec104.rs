//! IEC 60870-5-104: a typed message with every value, quality and device time visited; the crate `iec104` beside us on
//! the same payloads (it makes owned values of them).
//!
//! `cargo bench -p benches --bench iec104`. Inputs: 4 000 generated messages, and `iec104/*` of the data folder
//! (`TWINGUARD_DATA`, else `../shared/data`) with at least 1 000 messages that both accept. Times are per set;
//! criterion's throughput line divides them.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod captures;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use iec104::apdu::Apdu;
use twinguard::protocol::iec60870::{AsduBuffer, Cause, Layout, TypeId, write_cp56};
use twinguard::protocol::protocol::{Data, Protocol, Scalar};
use twinguard::protocol::protocols::iec104::{Iec104, Repr, View};
use twinguard::protocol::{Context, Pdu, Sender};
use twinguard::types::Timestamp;

/// Single points in sequence, floats, floats with time, commands, acknowledgements: as a substation sends them.
fn generated() -> Vec<Vec<u8>> {
    let time = write_cp56(Timestamp::from_secs(1_790_000_000)).unwrap();
    let float = [0, 0, 0xac, 0x41, 0];
    let timed = [&float[..], &time].concat();
    let build = |index: u16| {
        let sixteen = |element: &[u8], type_id, cause, count: u32| {
            let objects: Vec<_> = (0..count).map(|object| (1000 + 3 * object, element)).collect();
            AsduBuffer::new(Layout::NET, TypeId(type_id), Cause::new(cause), 0, 41, &objects).unwrap()
        };
        let asdu = match index % 6 {
            0 => {
                let states: Vec<&[u8]> = (0..40).map(|_| &[1][..]).collect();
                AsduBuffer::sequence(Layout::NET, TypeId(1), Cause::new(20), 0, 41, (100, &states)).unwrap()
            }
            1 => sixteen(&float, 13, 3, 16),
            2 => sixteen(&timed, 36, 3, 8),
            3 => sixteen(&timed, 36, 3, 1),
            4 => sixteen(&[1], 45, 6, 1),
            _ => return Repr::supervisory(index).unwrap(),
        };
        Repr::information(index, 0, asdu).unwrap()
    };
    (0..4_000).map(|index| build(index).emit().as_bytes().to_vec()).collect()
}

fn inputs() -> Vec<captures::Input> {
    captures::inputs(
        generated(),
        "iec104",
        1_000,
        |message| matches!(message.pdu, Pdu::Iec104(view) if Apdu::from_bytes(view.as_bytes()).is_ok()),
    )
}

/// Every value, quality and time, added up.
fn visit(view: &View<'_>) -> u64 {
    let mut sum = u64::from(!view.oddities().is_empty());
    for block in Iec104::blocks(view, None) {
        if let Data::Scalar { value, .. } = block.data {
            sum = sum.wrapping_add(match value {
                Scalar::Boolean(state) => u64::from(state),
                Scalar::Signed(number) => number as u64,
                Scalar::Unsigned(number) => number,
                Scalar::Float(number) => number.to_bits(),
                _ => 1,
            });
        }
        let time = block.at.map_or(0, |at| at.as_nanos() as u64);
        sum = sum.wrapping_add(block.quality as u64).wrapping_add(time);
        sum = sum.wrapping_add(u64::from(block.tag.address.unwrap_or_default()));
    }
    sum
}

fn parse(criterion: &mut Criterion) {
    for (name, messages) in inputs() {
        let mut group = criterion.benchmark_group(format!("iec104/message/{name}"));
        group.throughput(Throughput::Elements(messages.len() as u64));
        group.bench_function("twinguard", |bencher| {
            bencher.iter(|| {
                let views = messages.iter().filter_map(|apdu| View::new(black_box(apdu), Timestamp::ZERO));
                views.map(|view| visit(&view)).fold(0, u64::wrapping_add)
            });
        });
        group.bench_function("twinguard with session", |bencher| {
            bencher.iter(|| {
                let (mut session, context) = (Default::default(), Context::of(Sender::Server));
                let mut sum = 0u64;
                for apdu in &messages {
                    if let Some(view) = Iec104::decode(&mut session, &mut (), &context, black_box(apdu)) {
                        sum = sum.wrapping_add(visit(&view));
                    }
                }
                sum
            });
        });
        group.bench_function("iec104", |bencher| {
            bencher.iter(|| {
                for apdu in &messages {
                    drop(black_box(Apdu::from_bytes(black_box(apdu))));
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
