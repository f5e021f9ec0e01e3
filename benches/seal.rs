//! Sealed models: hashing files, one group of a large file up to its root, one parameter of many, hybrid signatures, a sweep over
//! what runs, evidence and cosignatures; plain `blake3` with the reads of `b3sum --no-mmap`, `bao`, and signatures alone
//! (`ed25519-dalek`, which we use, and `ed25519-compact`) beside us.
//!
//! `cargo bench -p benches --bench seal`. CPU time of the thread, not wall time: these figures compare programs, not how busy a
//! machine is. `SEAL_BENCH_MIB` sets the size of the one large file (64), `SEAL_BENCH_FILES` the number of files of 50 KiB
//! (1,000); both lie in the page cache.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use twinguard::integrity::attest::Running;
use twinguard::integrity::mldsa::{MlDsaSigningKey, ParameterSet};
use twinguard::integrity::source::{self, Limits, OneFile, Seen};
use twinguard::integrity::tree::{Audit, Group, Tree};
use twinguard::integrity::witness::Request;
use twinguard::integrity::{
    Attestor, Cosigner, Entry, EvidenceBundle, Holder, Journal, Manifest, Parameter, ParameterValue,
    Parameters, PortablePath, Role, Signer, SigningKey, Witness, epoch, journal, seal,
};
use twinguard::types::{Label, Timestamp};

/// CPU time of the thread that measures.
struct Cpu;

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl Measurement for Cpu {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        now()
    }

    fn end(&self, start: Duration) -> Duration {
        now() - start
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// As `b3sum --no-mmap --num-threads 1` reads.
fn plain(path: &Path, buffer: &mut [u8]) -> blake3::Hash {
    let (mut file, mut hasher) = (File::open(path).unwrap(), blake3::Hasher::new());
    loop {
        match file.read(buffer).unwrap() {
            0 => return hasher.finalize(),
            read => hasher.update(&buffer[..read]),
        };
    }
}

fn files(c: &mut Criterion<Cpu>) {
    let folder = tempfile::tempdir().unwrap();
    let (mib, count) = (setting("SEAL_BENCH_MIB", 64), setting("SEAL_BENCH_FILES", 1000));
    let large = folder.path().join("large.bin");
    fs::write(&large, random(0, mib << 20)).unwrap();
    let many = folder.path().join("many");
    for n in 0..count {
        let path = many.join(format!("d{}/f{n}.bin", n / 100));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, random(n as u64 + 1, 50 << 10)).unwrap();
    }
    let limits = Limits { files: 1 << 20, bytes: u64::MAX };
    let mut buffer = vec![0; 64 << 10];

    let mut group = c.benchmark_group("one file");
    group.sample_size(10).throughput(Throughput::Bytes((mib << 20) as u64));
    group.bench_function("blake3, read", |b| b.iter(|| plain(black_box(&large), &mut buffer)));
    group.bench_function("entries", |b| b.iter(|| source::entries(&OneFile::new(&large), &limits).unwrap()));
    let bytes = fs::read(&large).unwrap();
    group.bench_function("blake3, in memory", |b| b.iter(|| blake3::hash(black_box(&bytes))));
    group.bench_function("tree of 64 KiB groups, in memory", |b| {
        b.iter(|| Tree::of(black_box(&bytes), Group::KIB_64))
    });
    group.finish();

    let mut group = c.benchmark_group("many files of 50 KiB");
    group.sample_size(10).throughput(Throughput::Elements(count as u64));
    group.bench_function("blake3, read", |b| {
        b.iter(|| {
            for n in 0..count {
                black_box(plain(&many.join(format!("d{}/f{n}.bin", n / 100)), &mut buffer));
            }
        });
    });
    group.bench_function("entries", |b| b.iter(|| source::entries(&many, &limits).unwrap()));
    let mut seen = Seen::default();
    seen.entries(&many, &limits, &|_| false).unwrap();
    let mut turn = 0u8;
    group.bench_function("entries again after one change, trusting what stat says", |b| {
        b.iter(|| {
            turn = turn.wrapping_add(1);
            fs::write(many.join("d0/f0.bin"), [turn; 50 << 10]).unwrap();
            assert_eq!(seen.entries(&many, &limits, &|_| false).unwrap().read, 1);
        });
    });
    group.finish();

    let mut group = c.benchmark_group("a group of 64 KiB");
    let tree = Tree::of(&bytes, Group::KIB_64);
    let (proof, root) = (tree.prove(7).unwrap(), tree.root());
    let part = &bytes[7 << 16..8 << 16];
    group.bench_function("up to the root", |b| b.iter(|| proof.check(black_box(part), &root).unwrap()));
    let mut changed = tree.clone();
    group.bench_function("replaced", |b| b.iter(|| changed.update(7, black_box(part)).unwrap()));
    let (outboard, hash) = bao::encode::outboard(&bytes);
    let mut extractor = bao::encode::SliceExtractor::new_outboard(
        Cursor::new(&bytes),
        Cursor::new(&outboard),
        7 << 16,
        1 << 16,
    );
    let mut slice = Vec::new();
    extractor.read_to_end(&mut slice).unwrap();
    group.bench_function("bao, its slice decoded", |b| {
        b.iter(|| {
            let mut out = Vec::with_capacity(1 << 16);
            let mut decoder = bao::decode::SliceDecoder::new(black_box(&*slice), &hash, 7 << 16, 1 << 16);
            decoder.read_to_end(&mut out).unwrap()
        });
    });
    group.bench_function("bao, its slice extracted and decoded", |b| {
        b.iter(|| {
            let (file, tree) = (Cursor::new(&bytes), Cursor::new(&outboard));
            let extractor = bao::encode::SliceExtractor::new_outboard(file, tree, 7 << 16, 1 << 16);
            let mut out = Vec::with_capacity(1 << 16);
            bao::decode::SliceDecoder::new(extractor, &hash, 7 << 16, 1 << 16).read_to_end(&mut out).unwrap()
        });
    });
    group.finish();

    let mut group = c.benchmark_group("sample of 64 groups of 16 KiB");
    let tree = Tree::of(&bytes, Group::KIB_16);
    let mut seed = [0_u8; 32];
    group.bench_function("audit", |b| {
        b.iter(|| {
            seed[0] = seed[0].wrapping_add(1);
            let read =
                |range: std::ops::Range<u64>| Ok(bytes[range.start as usize..range.end as usize].to_vec());
            Audit::run(&tree, 64, &seed, read).unwrap()
        });
    });
    group.finish();
}

fn parameters(c: &mut Criterion<Cpu>) {
    let count = 131_072;
    let one = |n: usize| Parameter::new("p.toml", &format!("p{n:06}"), "m", (n as f64).into()).unwrap();
    let mut all = Parameters::new((0..count).map(one).collect()).unwrap();
    let root = all.root();
    let proof = all.prove_at(77_777);
    let parameter = all.all()[77_777].clone();
    let mut group = c.benchmark_group("one of 131,072 parameters");
    group.bench_function("value and proof to root", |b| {
        b.iter(|| proof.check(black_box(&parameter), &root).unwrap())
    });
    group.bench_function("proof", |b| b.iter(|| all.prove_at(black_box(77_777))));
    let mut n = 0u64;
    group.bench_function("update to root", |b| {
        b.iter(|| {
            n += 1;
            all.set_at(77_777, (n as f64).into()).unwrap();
            all.root()
        });
    });
    group.finish();
}

fn signatures(c: &mut Criterion<Cpu>) {
    let manifest = Manifest::new("pump", 1, vec![Entry::of(PortablePath::new("a").unwrap(), b"x")]).unwrap();
    let old = SigningKey::from_seed("vendor.example", &[1; 32]).unwrap();
    let new = MlDsaSigningKey::from_seed(ParameterSet::MlDsa44, &[2; 32]);
    let role = |keys: &[&dyn Signer]| {
        Role::new([Holder::new(keys.iter().map(|key| key.verifying_key())).unwrap()], 1).unwrap()
    };
    let mut group = c.benchmark_group("seal of one file");
    let (one, both): (&[&dyn Signer], &[&dyn Signer]) = (&[&old], &[&old, &new]);
    for (name, keys) in [("Ed25519", one), ("Ed25519 and ML-DSA-44", both)] {
        let (sealed, role) = (seal::sign(&manifest, keys).unwrap(), role(keys));
        group.bench_function(format!("{name}, sign"), |b| {
            b.iter(|| seal::sign(black_box(&manifest), keys).unwrap())
        });
        group.bench_function(format!("{name}, verify"), |b| {
            b.iter(|| seal::verify_role(black_box(&sealed), &role).unwrap())
        });
    }
    // Signatures alone, over as many bytes as a seal of one file signs.
    let message = [0x5a; 160];
    let dalek = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let (public, signature) = (dalek.verifying_key(), ed25519_dalek::Signer::sign(&dalek, &message));
    group.bench_function("ed25519-dalek alone, verify", |b| {
        b.iter(|| public.verify_strict(black_box(&message), &signature).unwrap())
    });
    let compact = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([1; 32]));
    let signature = compact.sk.sign(message, None);
    group.bench_function("ed25519-compact alone, verify", |b| {
        b.iter(|| compact.pk.verify(black_box(message), &signature).unwrap())
    });
    group.finish();
}

/// A region and parameters that do not change, as a twin would hold them.
struct Still {
    region: Vec<u8>,
    values: Vec<ParameterValue>,
}

impl Running for Still {
    fn parameter(&self, index: usize) -> Option<ParameterValue> {
        self.values.get(index).cloned()
    }
    fn region(&self, _: usize, range: Range<u64>, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&self.region[range.start as usize..range.end as usize]);
        true
    }
}

fn attestation(c: &mut Criterion<Cpu>) {
    let mib = setting("SEAL_BENCH_MIB", 64);
    let running = Still { region: random(7, mib << 20), values: Vec::new() };
    let mut attestor = Attestor::new("bench", Parameters::default());
    attestor.register("region", &running.region, Group::KIB_64);
    let mut group = c.benchmark_group("sweep of one region");
    group.sample_size(10).throughput(Throughput::Bytes((mib << 20) as u64));
    group.bench_function("blake3, in memory", |b| b.iter(|| blake3::hash(black_box(&running.region))));
    group.bench_function("whole sweep, in looks of 1 MiB", |b| {
        b.iter(|| while !attestor.sweep(&running, 1 << 20).complete {});
    });
    group.finish();

    let count = 131_072;
    let one = |n: usize| Parameter::new("p.toml", &format!("p{n:06}"), "m", (n as f64).into()).unwrap();
    let parameters = Parameters::new((0..count).map(one).collect()).unwrap();
    let values = parameters.all().iter().map(|parameter| parameter.value().clone()).collect();
    let running = Still { region: Vec::new(), values };
    let mut attestor = Attestor::new("bench", parameters);
    let key = SigningKey::from_seed("bench.example", &[1; 32]).unwrap();
    let mut group = c.benchmark_group("131,072 parameters");
    group.sample_size(10);
    group.bench_function("whole sweep", |b| b.iter(|| attestor.sweep(&running, u64::MAX)));
    group.bench_function("answer to a challenge", |b| {
        b.iter(|| attestor.respond(&[7; 32], Timestamp::ZERO, &running, &key, None).unwrap())
    });
    group.finish();
}

fn logs(c: &mut Criterion<Cpu>) {
    let key = SigningKey::from_seed("bench.example", &[1; 32]).unwrap();
    let mut journal = Journal::in_memory();
    let fill = |journal: &mut Journal, until: u64| {
        for n in journal.size()..until {
            journal.push(Label::literal("verdict"), Timestamp::from_secs(n as i64), &[0x5a; 48]).unwrap();
        }
    };
    fill(&mut journal, 100_000);
    let first = journal.checkpoint(&key).unwrap();
    fill(&mut journal, 131_072);
    let second = journal.checkpoint(&key).unwrap();
    let archive = journal::Archive::open(journal.storage(), key.public()).unwrap();
    let file = archive.bundle(&[70_001]).unwrap().to_string();
    let proof = archive.consistency_proof(100_000).unwrap();
    let requests = [
        Request { old: 0, proof: vec![], checkpoint: first }.to_string(),
        Request { old: 100_000, proof, checkpoint: second }.to_string(),
    ];
    let cosigner = Cosigner::ed25519("witness.example", &[2; 32]).unwrap();
    let mut group = c.benchmark_group("131,072 leaves");
    group.bench_function("evidence of one leaf, read and verified", |b| {
        b.iter(|| black_box(&file).parse::<EvidenceBundle>().unwrap().verify(key.public()).unwrap())
    });
    group.bench_function("two requests to a new witness", |b| {
        b.iter(|| {
            let mut witness = Witness::new([cosigner.clone()]);
            witness.add_log("bench.example", [key.public().clone()]);
            requests.iter().for_each(|request| drop(witness.add_checkpoint(request, 1, |_| Ok(())).unwrap()));
        });
    });
    group.sample_size(10).bench_function("verified from the first key on", |b| {
        b.iter(|| epoch::verify(journal.storage(), key.public()).unwrap())
    });
    group.finish();
}

criterion_group! {
    name = all;
    config = Criterion::default().with_measurement(Cpu);
    targets = files, parameters, signatures, attestation, logs
}
criterion_main!(all);
