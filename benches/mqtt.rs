//! MQTT: a packet with topic and payload visited, `mqttbytes` beside us on the same payloads (it reads from a buffer of
//! its own, which has to be filled first); then metrics of Sparkplug with their values, which it does not read.
//!
//! `cargo bench -p benches --bench mqtt`. Inputs: 4 000 generated packets of 3.1.1, and those of `mqtt/*` of the data folder
//! (`TWINGUARD_DATA`, else `../shared/data`) with at least 500 that both accept. Times are per set.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod captures;

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mqttbytes::v4;
use twinguard::protocol::protocol::{Data, Protocol, Scalar};
use twinguard::protocol::protocols::mqtt::sparkplug::{Metric, Wire, emit};
use twinguard::protocol::protocols::mqtt::{Mqtt, Packet, Publish, Repr, Session, Shared, Version, View};
use twinguard::protocol::{Context, Pdu, Sender};

/// Half plain values, half Sparkplug data of eight metrics, an acknowledgement for one in four.
fn generated() -> Vec<Vec<u8>> {
    let build = |index: u16| {
        let (topic, payload) = if index.is_multiple_of(2) {
            (format!("plant/line{}/temperature", index % 7), format!("{}.5", index % 90).into_bytes())
        } else {
            let float = f32::from(index).to_le_bytes();
            let metric = |alias| Metric {
                alias: Some(alias),
                timestamp: Some(1_790_000_000_000),
                data_type: 9,
                value: Some((12, Wire::Bytes(&float))),
                ..Metric::default()
            };
            let mut payload = Vec::new();
            emit(
                Some(1_790_000_000_000),
                Some(index as u8),
                &(0..8).map(metric).collect::<Vec<_>>(),
                &mut payload,
            );
            ("spBv1.0/plant/DDATA/edge/device".to_owned(), payload)
        };
        let id = index.max(1);
        let publish = Publish {
            topic: topic.as_bytes(),
            payload: &payload,
            qos: 1,
            id: Some(id),
            ..Publish::default()
        };
        let packet = match index % 4 {
            3 => Packet::Ack { kind: 4, id, reason: None, properties: Default::default() },
            _ => Packet::Publish(publish),
        };
        let mut bytes = Vec::new();
        Repr::new(Version::V311, packet).unwrap().emit(&mut bytes);
        bytes
    };
    (0..4_000).map(build).collect()
}

fn inputs() -> Vec<captures::Input> {
    captures::inputs(generated(), "mqtt", 250, |message| {
        let Pdu::Mqtt(packet) = message.pdu else { return false };
        packet.view().version() == Version::V311
            && v4::read(&mut BytesMut::from(message.bytes), 1 << 20).is_ok()
    })
}

fn parse(criterion: &mut Criterion) {
    for (name, packets) in inputs() {
        let mut group = criterion.benchmark_group(format!("mqtt/packet/{name}"));
        group.throughput(Throughput::Elements(packets.len() as u64));
        group.bench_function("twinguard", |bencher| {
            bencher.iter(|| {
                let views = packets.iter().filter_map(|bytes| View::new(black_box(bytes), Version::V311));
                views
                    .map(|view| match view.packet() {
                        Packet::Publish(publish) => {
                            publish.topic.len() + publish.payload.len() + usize::from(publish.id.unwrap_or(0))
                        }
                        Packet::Ack { id, .. } => usize::from(id),
                        _ => usize::from(view.kind()),
                    })
                    .sum::<usize>()
            });
        });
        group.bench_function("mqttbytes", |bencher| {
            let mut buffer = BytesMut::with_capacity(1 << 16);
            bencher.iter(|| {
                let mut sum = 0;
                for bytes in &packets {
                    buffer.clear();
                    buffer.extend_from_slice(black_box(bytes));
                    sum += match v4::read(&mut buffer, 1 << 20) {
                        Ok(v4::Packet::Publish(publish)) => {
                            publish.topic.len() + publish.payload.len() + usize::from(publish.pkid)
                        }
                        Ok(v4::Packet::PubAck(ack)) => usize::from(ack.pkid),
                        _ => 1,
                    };
                }
                sum
            });
        });
        group.bench_function("twinguard with session and every value", |bencher| {
            let (mut session, mut shared) = (Session::default(), Shared::default());
            let context = Context::of(Sender::Client);
            bencher.iter(|| {
                let mut sum = 0u64;
                for bytes in &packets {
                    let message = Mqtt::decode(&mut session, &mut shared, &context, black_box(bytes));
                    let Some(message) = message else { continue };
                    for block in Mqtt::blocks(&message, None) {
                        let (Data::Scalar { value, .. } | Data::Number { value, .. }) = block.data else {
                            continue;
                        };
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
