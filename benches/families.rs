//! Every family by itself: header, oddities and every value of each message visited, in a conversation that has warmed up.
//!
//! `cargo bench -p benches --bench families`. Inputs: the messages of the captures in the data folder (`TWINGUARD_DATA`, else
//! `../shared/data`), each family's first 4 000; without it nothing is measured. Times are per set, `elem/s` counts
//! messages. Peers have benches of their own: `modbus`, `bacnet`, `iec104`, `mqtt`.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use twinguard::protocol::stack::{Config, Stack};
use twinguard::protocol::{Address, Context, Family, Item, Session, Shared, capture};

/// Messages of a family at most.
const MESSAGES_MAX: usize = 4_000;
/// Fewer are no measure.
const MESSAGES_MIN: usize = 16;

type Ends = (Address, Address);
type Conversations = BTreeMap<Ends, Vec<(Context, Vec<u8>)>>;

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The messages of all captures by family and conversation, in order.
fn captured() -> BTreeMap<Family, Conversations> {
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let mut families: BTreeMap<Family, (usize, Conversations)> = BTreeMap::new();
    let folders = entries(&root.join("captures")).into_iter().filter(|folder| !folder.ends_with("truth"));
    for path in folders.flat_map(|folder| entries(&folder)) {
        let Ok(file) = std::fs::read(&path) else { continue };
        let Ok(mut reader) = capture::Reader::new(file.as_slice()) else { continue };
        let mut stack = Stack::new(Config::default());
        while let Ok(Some(frame)) = reader.next_frame() {
            stack.handle(&frame);
            while let Some(item) = stack.poll() {
                let Item::Message(message) = item else { continue };
                let (count, conversations) = families.entry(message.family()).or_default();
                if *count < MESSAGES_MAX {
                    *count += 1;
                    let (source, destination) = (*message.source, *message.destination);
                    let ends = (source.min(destination), source.max(destination));
                    let context = Context { sender: message.sender, at: message.at, source, destination };
                    conversations.entry(ends).or_default().push((context, message.bytes.to_vec()));
                }
            }
        }
    }
    families.into_iter().map(|(family, (_, conversations))| (family, conversations)).collect()
}

fn read(session: &mut Session, shared: &mut Shared, messages: &[(Context, Vec<u8>)]) -> u64 {
    let (mut request, mut seen) = (None, 0);
    for (context, bytes) in messages {
        let Some(pdu) = session.decode(shared, context, bytes) else { continue };
        let header = pdu.header();
        seen += u64::from(pdu.oddities().is_empty());
        for point in pdu.blocks(request.as_ref()).flat_map(|block| block.points()) {
            black_box(point.raw);
            seen += 1;
        }
        if header.key.is_some() {
            request = Some(pdu.memo());
        }
    }
    seen
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("families");
    group.sample_size(20);
    for (family, conversations) in captured() {
        let messages: usize = conversations.values().map(Vec::len).sum();
        if messages < MESSAGES_MIN {
            continue;
        }
        let mut shared = Shared::default();
        let mut held: Vec<_> = conversations.values().map(|messages| (family.session(), messages)).collect();
        group.throughput(Throughput::Elements(messages as u64));
        group.bench_function(family.to_string(), |bencher| {
            bencher.iter(|| {
                held.iter_mut().map(|(session, messages)| read(session, &mut shared, messages)).sum::<u64>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
