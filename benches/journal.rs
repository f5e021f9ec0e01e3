//! The journal and the seal: entries per second, proofs, hashing; `ct-merkle`, `tlog_tiles` and plain `blake3` beside us.
//!
//! `cargo bench -p benches --bench journal`. A leaf is 64 bytes; journals begin with 2²⁰ − 1 leaves, where the root costs
//! most (all bits of the size are set); seals cover one file of 64 MiB and 1,000 files of 50 KiB, in the page cache.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use tlog_tiles::{Hash, HashReader, check_record, prove_record, record_hash, stored_hashes, tree_hash};
use twinguard::integrity::merkle::{self, Frontier, leaf_hash};
use twinguard::integrity::source::{self, Limits};
use twinguard::integrity::storage::{Nowhere, Storage};
use twinguard::integrity::store::{Directory, Durability};
use twinguard::integrity::{Journal, SigningKey, journal, seal};
use twinguard::types::{Label, Timestamp};

const KIND: Label = Label::literal("verdict");
const SIZE: u64 = (1 << 20) - 1;
const BATCH: u64 = 1000;

/// Together with its head the entry is 64 bytes long.
fn body(n: u64) -> [u8; 48] {
    let mut body = [0x5a; 48];
    body[..8].copy_from_slice(&n.to_be_bytes());
    body
}

/// The hashes that `tlog_tiles` wants stored, in memory.
struct Stored(Vec<Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

impl Stored {
    fn push(&mut self, n: u64, leaf: &[u8]) {
        let hashes = stored_hashes(n, leaf, self).unwrap();
        self.0.extend(hashes);
    }
}

fn filled<S: Storage>(storage: S) -> Journal<S> {
    let (mut journal, _) = Journal::open(storage).unwrap();
    for n in 0..SIZE {
        journal.push(KIND, Timestamp::from_nanos(n as i64), &body(n)).unwrap();
    }
    journal
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append/1000x64B@2^20");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20);
    let mut memory = filled(twinguard::integrity::storage::Memory::default());
    group.bench_function("twinguard memory, receipt with root", |b| {
        b.iter(|| {
            for n in 0..BATCH {
                black_box(memory.append(KIND, Timestamp::from_nanos(n as i64), &body(n)).unwrap());
            }
        })
    });
    let mut memory = filled(twinguard::integrity::storage::Memory::default());
    group.bench_function("twinguard memory, bulk", |b| {
        b.iter(|| {
            for n in 0..BATCH {
                black_box(memory.push(KIND, Timestamp::from_nanos(n as i64), &body(n)).unwrap());
            }
        })
    });
    let mut nowhere = filled(Nowhere);
    group.bench_function("twinguard kept nowhere, bulk", |b| {
        b.iter(|| {
            for n in 0..BATCH {
                black_box(nowhere.push(KIND, Timestamp::from_nanos(n as i64), &body(n)).unwrap());
            }
        })
    });
    let mut frontier = Frontier::default();
    (0..SIZE).for_each(|n| frontier.push(leaf_hash(&[body(n), body(n)].concat()[..64])));
    let leaf = [0x5a; 64];
    group.bench_function("twinguard tree alone", |b| {
        b.iter(|| (0..BATCH).for_each(|_| frontier.push(leaf_hash(black_box(&leaf)))))
    });
    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    (0..SIZE).for_each(|n| tree.push([body(n), body(n)].concat()[..64].to_vec()));
    group.bench_function("ct-merkle tree alone", |b| {
        b.iter(|| (0..BATCH).for_each(|_| tree.push(black_box(leaf).to_vec())))
    });
    let mut stored = Stored(Vec::new());
    (0..SIZE).for_each(|n| stored.push(n, &[body(n), body(n)].concat()[..64]));
    let mut next = SIZE;
    group.bench_function("tlog_tiles tree alone", |b| {
        b.iter(|| {
            for _ in 0..BATCH {
                stored.push(next, black_box(&leaf));
                next += 1;
            }
        })
    });
    group.finish();

    // Group commit: 1,000 entries, then the device is waited for once.
    let mut group = c.benchmark_group("append/1000x64B, then sync");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20);
    for (name, durability) in [("process", Durability::Process), ("power", Durability::Power)] {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(Directory::open(folder.path(), durability).unwrap()).unwrap();
        group.bench_function(format!("twinguard disk, {name}"), |b| {
            b.iter(|| {
                for n in 0..BATCH {
                    journal.push(KIND, Timestamp::from_nanos(n as i64), &body(n)).unwrap();
                }
                journal.sync().unwrap();
            })
        });
    }
    group.finish();
}

fn proofs(c: &mut Criterion) {
    let key = SigningKey::from_seed("bench.example", &[7; 32]).unwrap();
    let mut journal = filled(twinguard::integrity::storage::Memory::default());
    journal.checkpoint(&key).unwrap();
    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let leaves: Vec<Vec<u8>> = (0..SIZE).map(|n| n.to_be_bytes().to_vec()).collect();
    leaves.iter().for_each(|leaf| tree.push(leaf.clone()));
    let mut group = c.benchmark_group("inclusion@2^20");
    let mut at = 0;
    let mut next = || {
        at = (at + 7_919 * 127) % SIZE;
        at
    };
    group.bench_function("generate/twinguard from tiles", |b| {
        b.iter(|| journal.inclusion_proof(next(), SIZE).unwrap())
    });
    group.bench_function("generate/ct-merkle", |b| b.iter(|| tree.prove_inclusion(next() as usize)));
    let (index, root) = (700_001, journal.root());
    let proof = journal.inclusion_proof(index, SIZE).unwrap();
    let archive = journal::Archive::open(journal.storage(), key.public()).unwrap();
    let leaf = leaf_hash(&archive.entry(index).unwrap());
    group.bench_function("verify/twinguard", |b| {
        b.iter(|| merkle::verify_inclusion(index, SIZE, black_box(&leaf), &proof, &root).unwrap())
    });
    let (proof, root) = (tree.prove_inclusion(index as usize), tree.root());
    let leaf = &leaves[index as usize];
    group.bench_function("verify/ct-merkle", |b| {
        b.iter(|| root.verify_inclusion(black_box(leaf), index, &proof).unwrap())
    });
    let mut stored = Stored(Vec::new());
    leaves.iter().zip(0..).for_each(|(leaf, n)| stored.push(n, leaf));
    let (root, leaf) = (tree_hash(SIZE, &stored).unwrap(), record_hash(leaf));
    let proof = prove_record(SIZE, index, &stored).unwrap();
    group.bench_function("verify/tlog_tiles", |b| {
        b.iter(|| check_record(&proof, SIZE, root, index, black_box(leaf)).unwrap())
    });
    group.finish();

    let mut group = c.benchmark_group("verify the whole journal@2^20");
    group.throughput(Throughput::Elements(SIZE)).sample_size(10);
    group.bench_function("twinguard", |b| {
        b.iter(|| journal::verify(journal.storage(), key.public()).unwrap())
    });
    group.finish();
}

/// What the fastest plain reader does: the same bytes through BLAKE3, no paths, no checks.
fn plain(folder: &Path) {
    let mut chunk = vec![0; 64 << 10];
    for entry in fs::read_dir(folder).unwrap() {
        let mut file = fs::File::open(entry.unwrap().path()).unwrap();
        let mut hasher = blake3::Hasher::new();
        while let Ok(read @ 1..) = file.read(&mut chunk) {
            hasher.update(&chunk[..read]);
        }
        black_box(hasher.finalize());
    }
}

fn seals(c: &mut Criterion) {
    let key = SigningKey::from_seed("bench.example", &[7; 32]).unwrap();
    for (name, files, length) in [("1x64MiB", 1, 64 << 20), ("1000x50KiB", 1000, 50 << 10)] {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..files {
            fs::write(folder.path().join(format!("file-{n}.bin")), vec![n as u8; length]).unwrap();
        }
        let sealed =
            seal::create(source::entries(folder.path(), &Limits::default()).unwrap(), "bench", 1, &key)
                .unwrap();
        let mut group = c.benchmark_group(format!("seal/{name}"));
        group.throughput(Throughput::Bytes((files * length) as u64)).sample_size(20);
        group.bench_function("twinguard verify", |b| {
            b.iter(|| {
                let manifest = seal::verify(&sealed, key.public()).unwrap();
                manifest.check(source::entries(folder.path(), &Limits::default()).unwrap()).unwrap();
            })
        });
        group.bench_function("plain blake3", |b| b.iter(|| plain(folder.path())));
        group.finish();
    }
    let entries = |n: u32| {
        let entry = |n: u32| {
            let path = twinguard::integrity::PortablePath::new(&format!("data/file-{n:05}.bin")).unwrap();
            twinguard::integrity::Entry::of(path, &n.to_be_bytes())
        };
        (0..n).map(entry).collect::<Vec<_>>()
    };
    let sealed = seal::create(entries(10_000), "bench", 1, &key).unwrap();
    eprintln!("a seal of 10,000 files takes {:.1} bytes a file", sealed.len() as f64 / 1e4);
    let mut group = c.benchmark_group("seal/10000 entries");
    group.bench_function("create", |b| {
        b.iter_batched(
            || entries(10_000),
            |e| seal::create(e, "bench", 1, &key).unwrap(),
            BatchSize::LargeInput,
        )
    });
    group.bench_function("verify signature and parse", |b| {
        b.iter(|| seal::verify(&sealed, key.public()).unwrap())
    });
    group.finish();
}

criterion_group!(benches, append, proofs, seals);
criterion_main!(benches);
