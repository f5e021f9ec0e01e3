//! Every capture at hand, spoilt: cut frames, turned bits, frames in another order, frames lost. Nothing panics, memory
//! stays under its bound, and the stack goes on.
//!
//! `TWINGUARD_FLIPS` is the number of turned bits over all captures (20 000; `.ci/long/robust` turns a million).
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use twinguard_protocol::capture::Reader;
use twinguard_protocol::{Frame, LinkType, PointMap, Stack, stack::Config};
use twinguard_types::Timestamp;

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
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
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
        let used = allocation_counter::measure(|| feed(frames));
        most = most.max(used.bytes_max);
    };

    // Some frames, cut at every byte, behind those before them.
    for sample in 0..6.min(frames.len()) {
        let index = sample * frames.len() / 6;
        let before = index.saturating_sub(12);
        let mut part = frames[before..=index].to_vec();
        for len in 0..frames[index].bytes.len().min(600) {
            part.last_mut().unwrap().bytes.truncate(0);
            part.last_mut().unwrap().bytes.extend_from_slice(&frames[index].bytes[..len]);
            run(&part);
        }
    }
    // Turned bits, sixteen at a time.
    let mut left = flips;
    while left > 0 && !frames.is_empty() {
        let mut spoilt = frames.clone();
        for _ in 0..left.min(16) {
            let index = random.below(spoilt.len());
            let len = spoilt[index].bytes.len();
            if len > 0 {
                let at = random.below(len);
                spoilt[index].bytes[at] ^= 1 << random.below(8);
            }
        }
        left = left.saturating_sub(16);
        run(&spoilt);
    }
    // Lost frames, and neighbours in the wrong order.
    for _ in 0..4 {
        let mut spoilt: Vec<_> = frames.iter().filter(|_| random.below(8) != 0).cloned().collect();
        for index in 1..spoilt.len() {
            if random.below(8) == 0 {
                spoilt.swap(index - 1, index);
            }
        }
        run(&spoilt);
    }
    if most > MEMORY_MAX {
        return Err(format!("{most} bytes were held").into());
    }
    Ok(())
}

/// Everything that a guard does with frames, short of judging.
fn feed(frames: &[Recorded]) {
    let mut stack = Stack::new(Config::default());
    let mut map = PointMap::discover(1000);
    let mut events = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let Recorded { at, link, bytes } = frame;
        let original_len = bytes.len() as u32;
        stack.handle(&Frame { index: index as u64 + 1, at: *at, link: *link, bytes, original_len });
        while let Some(item) = stack.poll() {
            if let twinguard_protocol::Item::Message(message) = &item {
                message.pdu.fields(&mut |_, _| {});
            }
            map.bind(&item, &mut events);
            events.clear();
        }
    }
}
