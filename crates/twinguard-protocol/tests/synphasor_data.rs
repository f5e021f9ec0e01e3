//! Phasors, analog values and digital words of every data frame at hand against the reference, byte by byte. The
//! reference shows them as text alone, so that the comparison of points by fields does not see them.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use twinguard_protocol::capture::Reader;
use twinguard_protocol::stack::{Config, Item, Stack};
use twinguard_types::Duration;

/// Bytes of a sort of channels, by frame: every message of the frame, every unit, in order.
type Bytes = BTreeMap<u64, [String; 3]>;

#[test]
fn channels_carry_the_bytes_of_the_reference() {
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = root.join("captures/synphasor");
    let (mut all, mut equal) = (0, 0);
    for capture in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = capture.file_name().into_string().unwrap();
        let truth = truth(&root.join(format!("captures/truth/synphasor/{name}.jsonl.gz")));
        let ours = ours(&capture.path());
        for (frame, wanted) in &truth {
            all += 1;
            equal += u64::from(ours.get(frame) == Some(wanted));
        }
    }
    println!("synphasor: {equal} of {all} frames with equal phasors, analog values and digital words");
    assert!(equal * 1000 >= all * 995, "{equal} of {all}");
}

fn truth(path: &Path) -> Bytes {
    let mut bytes = Bytes::new();
    for line in BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines() {
        let value: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if value["fn"] != "0x0000" || !value["err"].is_null() {
            continue;
        }
        let held = bytes.entry(value["n"].as_u64().unwrap()).or_default();
        for label in value["lab"].as_array().into_iter().flatten() {
            let (text, raw) = (label[0].as_str().unwrap(), label[1].as_str().unwrap());
            let sorts = ["Phasors (", "Analog values (", "Digital status words ("];
            if let Some(sort) = sorts.iter().position(|sort| text.starts_with(sort)) {
                held[sort] += raw;
            }
        }
    }
    bytes
}

fn ours(path: &Path) -> Bytes {
    let file = fs::read(path).unwrap();
    let mut reader = Reader::new(file.as_slice()).unwrap();
    let mut stack = Stack::new(Config { duplicates_within: Duration::ZERO, ..Config::default() });
    let mut bytes = Bytes::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        stack.handle(&frame);
        while let Some(item) = stack.poll() {
            let Item::Message(message) = item else { continue };
            if message.family().to_string() != "synphasor" || message.header.function != 0 {
                continue;
            }
            let held = bytes.entry(message.frame).or_default();
            for point in message.points() {
                let place = message.family().show_place(&point).to_string();
                let channel = place.rsplit('/').next().unwrap();
                let sort = ["ph", "an", "dg"].iter().position(|sort| channel.starts_with(sort));
                if let Some(sort) = sort {
                    held[sort] += &point.raw.to_string();
                }
            }
        }
    }
    bytes
}
