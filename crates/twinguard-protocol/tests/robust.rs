//! Every capture at hand, spoilt: cut frames, turned bits, frames in another order, frames lost. Nothing panics, memory
//! stays under its bound, the stack goes on, and what was spoilt is told. A table of figures follows the tests.
//!
//! `TWINGUARD_FLIPS` is the number of turned bits over all captures (20 000; `.ci/long/bitflips` turns a million). Without
//! captures those of the fuzzing corpus stand in, which are generated.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use libtest_mimic::{Arguments, Failed, Trial};
use twinguard_protocol::capture::Reader;
use twinguard_protocol::checksum::{self, Checksum};
use twinguard_protocol::stack::{Checksums, Config};
use twinguard_protocol::{Frame, Item, LinkType, PointMap, Stack};
use twinguard_types::{Oddity, Timestamp};

/// Frames of a capture that are spoilt.
const FRAMES_MAX: usize = 300;
/// What a stack and a point map may hold at most on a capture, in bytes.
const MEMORY_MAX: u64 = 96 << 20;

fn main() {
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let mut captures: Vec<PathBuf> = Vec::new();
    for folder in entries(&root.join("captures")).into_iter().filter(|folder| !folder.ends_with("truth")) {
        captures.extend(entries(&folder));
    }
    if captures.is_empty() {
        captures = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/capture"));
    }
    let flips: usize =
        std::env::var("TWINGUARD_FLIPS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let each = flips.div_ceil(captures.len().max(1));
    let mut trials: Vec<_> = captures
        .into_iter()
        .filter_map(|path| {
            let folder = path.parent()?.file_name()?.to_str()?;
            let name = format!("{folder}/{}", path.file_name()?.to_str()?);
            Some(Trial::test(name, move || check(&path, each)))
        })
        .collect();
    if trials.is_empty() {
        trials.push(Trial::test("spoilt captures", || Ok(())).with_ignored_flag(true));
    }
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    println!("{:#?}", SUMS.lock().unwrap().take().unwrap_or_default());
    conclusion.exit();
}

/// What was done to all captures, and what became of it.
#[derive(Debug, Default)]
struct Sums {
    captures: u64,
    /// Frames cut at each of their bytes, and the cuts.
    cut_frames: u64,
    cuts: u64,
    /// The cut was told: a flagged message, an event, a frame that could not be read.
    cuts_told: u64,
    /// All messages came nevertheless: padding was cut off.
    cuts_harmless: u64,
    /// Neither.
    cuts_untold: u64,
    flips: u64,
    /// Turned bits that the checksums of IP, TCP or UDP show.
    flips_in_checksum: u64,
    /// Runs with sixteen turned bits, and those in which something was told that is not told of the capture as it is.
    flip_runs: u64,
    flip_runs_told: u64,
    /// Runs with frames lost and out of order, likewise.
    shuffled_runs: u64,
    shuffled_runs_told: u64,
    /// The most bytes that a stack and a point map held.
    bytes_most: u64,
}

static SUMS: Mutex<Option<Sums>> = Mutex::new(None);

impl Sums {
    fn add(&mut self, other: &Self) {
        self.captures += other.captures;
        self.cut_frames += other.cut_frames;
        self.cuts += other.cuts;
        self.cuts_told += other.cuts_told;
        self.cuts_harmless += other.cuts_harmless;
        self.cuts_untold += other.cuts_untold;
        self.flips += other.flips;
        self.flips_in_checksum += other.flips_in_checksum;
        self.flip_runs += other.flip_runs;
        self.flip_runs_told += other.flip_runs_told;
        self.shuffled_runs += other.shuffled_runs;
        self.shuffled_runs_told += other.shuffled_runs_told;
        self.bytes_most = self.bytes_most.max(other.bytes_most);
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[derive(Clone, Debug)]
struct Recorded {
    at: Timestamp,
    link: LinkType,
    bytes: Vec<u8>,
}

/// A small generator (Marsaglia, "Xorshift RNGs", 2003): the same spoiling on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn check(path: &Path, flips: usize) -> Result<(), Failed> {
    let file = fs::read(path)?;
    let Ok(mut reader) = Reader::new(file.as_slice()) else { return Ok(()) };
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        frames.push(Recorded { at: frame.at, link: frame.link, bytes: frame.bytes.to_vec() });
        if frames.len() == FRAMES_MAX {
            break;
        }
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ file.len() as u64);
    let mut most = 0;
    let mut run = |frames: &[Recorded]| {
        let mut told = Told::default();
        let used = allocation_counter::measure(|| told = feed(frames));
        most = most.max(used.bytes_max);
        told
    };
    let mut sums = Sums { captures: 1, ..Sums::default() };

    // Some frames, cut at every byte, behind those before them.
    for sample in 0..6.min(frames.len()) {
        let index = sample * frames.len() / 6;
        let before = index.saturating_sub(12);
        let mut part = frames[before..=index].to_vec();
        let (without, whole) = (run(&part[..index - before]), run(&part));
        sums.cut_frames += 1;
        for len in 0..frames[index].bytes.len().min(600) {
            part.last_mut().unwrap().bytes.truncate(0);
            part.last_mut().unwrap().bytes.extend_from_slice(&frames[index].bytes[..len]);
            let told = run(&part);
            sums.cuts += 1;
            if told.odd > without.odd {
                sums.cuts_told += 1;
            } else if told.messages >= whole.messages {
                sums.cuts_harmless += 1;
            } else {
                sums.cuts_untold += 1;
            }
        }
    }
    // Turned bits, sixteen at a time.
    let whole = run(&frames);
    let mut left = flips;
    while left > 0 && !frames.is_empty() {
        let mut spoilt = frames.clone();
        for _ in 0..left.min(16) {
            let frame = &mut spoilt[random.below(frames.len())];
            if !frame.bytes.is_empty() {
                let (at, bit) = (random.below(frame.bytes.len()), random.below(8));
                let before = checksum::check(frame.link, &frame.bytes);
                frame.bytes[at] ^= 1 << bit;
                let after = checksum::check(frame.link, &frame.bytes);
                let shows = |before, after| before == Checksum::Right && after == Checksum::Wrong;
                sums.flips += 1;
                sums.flips_in_checksum +=
                    u64::from(shows(before.ip, after.ip) || shows(before.transport, after.transport));
            }
        }
        left = left.saturating_sub(16);
        let told = run(&spoilt);
        sums.flip_runs += 1;
        sums.flip_runs_told += u64::from(told.odd + told.wrong > whole.odd + whole.wrong);
    }
    // Lost frames, and neighbours in the wrong order.
    for _ in 0..4 {
        let mut spoilt: Vec<_> = frames.iter().filter(|_| random.below(8) != 0).cloned().collect();
        for index in 1..spoilt.len() {
            if random.below(8) == 0 {
                spoilt.swap(index - 1, index);
            }
        }
        let told = run(&spoilt);
        sums.shuffled_runs += 1;
        sums.shuffled_runs_told += u64::from(told.odd > whole.odd);
    }
    sums.bytes_most = most;
    SUMS.lock().unwrap().get_or_insert_default().add(&sums);
    if most > MEMORY_MAX {
        return Err(format!("{most} bytes were held").into());
    }
    if sums.cuts_untold > 0 {
        return Err(format!("{} of {} cuts were not told", sums.cuts_untold, sums.cuts).into());
    }
    Ok(())
}

/// What a stack told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    messages: u64,
    /// Events, messages with flags.
    odd: u64,
    /// Packets with a wrong checksum.
    wrong: u64,
}

/// Everything that a guard does with frames, short of judging.
fn feed(frames: &[Recorded]) -> Told {
    let mut stack = Stack::new(Config { checksums: Checksums::Tell, ..Config::default() });
    let mut map = PointMap::discover(1000);
    let (mut events, mut told) = (Vec::new(), Told::default());
    for (index, frame) in frames.iter().enumerate() {
        let Recorded { at, link, bytes } = frame;
        let original_len = bytes.len() as u32;
        stack.handle(&Frame { index: index as u64 + 1, at: *at, link: *link, bytes, original_len });
        while let Some(item) = stack.poll() {
            match &item {
                Item::Message(message) => {
                    message.pdu.fields(&mut |_, _| {});
                    told.messages += 1;
                    told.odd += u64::from(!message.oddities.is_empty());
                }
                Item::Malformed(malformed) => told.odd += u64::from(malformed.oddity != Oddity::BadChecksum),
                Item::Exchange(_) => {}
            }
            map.bind(&item, &mut events);
            events.clear();
        }
    }
    told.wrong = stack.counters().checksums_wrong;
    told
}
