//! Every Modbus capture at hand against the reference data beside it: messages, functions, kinds, ends, header fields,
//! points with their raw bytes. What differs and is right by the standard stands in `waivers/modbus.tsv`.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use twinguard_protocol::capture::Reader;
use twinguard_protocol::stack::{Config, Item, Stack};

const FAMILY: &str = "modbus";
const CORE: &[&str] = &[
    "mbtcp.trans_id",
    "mbtcp.unit_id",
    "modbus.func_code",
    "modbus.reference_num",
    "modbus.word_cnt",
    "modbus.bit_cnt",
    "modbus.byte_cnt",
    "modbus.exception_code",
    "modbus.diagnostic_code",
    "modbus.and_mask",
    "modbus.or_mask",
];

fn main() {
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let truths = root.join("captures/truth").join(FAMILY);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&truths).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut trials: Vec<_> = files
        .into_iter()
        .filter_map(|truth| {
            let name = truth.file_name()?.to_str()?.strip_suffix(".jsonl.gz")?.to_owned();
            let capture = root.join("captures").join(FAMILY).join(&name);
            Some(Trial::test(format!("{FAMILY}/{name}"), move || check(&name, &capture, &truth)))
        })
        .collect();
    if trials.is_empty() {
        trials.push(Trial::test("captures with reference data", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// One message, from either side.
#[derive(Debug, Default, PartialEq)]
struct Row {
    function: String,
    kind: String,
    ends: (String, String),
    fields: BTreeMap<String, Vec<String>>,
    points: BTreeMap<(String, String), u64>,
    advisory: bool,
}

type Rows = BTreeMap<u64, Vec<Row>>;

/// Found and wanted.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    equal: u64,
    all: u64,
}

impl Share {
    fn add(&mut self, equal: u64, all: u64) {
        self.equal += equal;
        self.all += all;
    }
}

fn check(name: &str, capture: &Path, truth: &Path) -> Result<(), Failed> {
    let (truth, ours) = (truth_rows(truth)?, our_rows(capture)?);
    let waivers = waivers(name);
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    let mut differences = Vec::new();
    let mut used = BTreeSet::new();
    let mut differ = |what: &'static str, frame: u64, detail: String| {
        let waived = waivers.contains_key(&(frame, what.to_owned()));
        if waived {
            used.insert((frame, what.to_owned()));
        } else {
            differences.push(format!("frame {frame} {what}: {detail}"));
        }
        u64::from(waived)
    };
    for (frame, rows) in &truth {
        let mine = ours.get(frame).map(Vec::as_slice).unwrap_or_default();
        for (index, row) in rows.iter().enumerate() {
            if row.advisory {
                continue;
            }
            let Some(own) = mine.get(index) else {
                let waived = differ("missing", *frame, row.function.clone());
                shares.entry("messages").or_default().add(waived, 1);
                continue;
            };
            shares.entry("messages").or_default().add(1, 1);
            for (what, equal) in [
                ("function", row.function == own.function),
                ("kind", row.kind == own.kind),
                ("ends", row.ends == own.ends),
            ] {
                let share =
                    u64::from(equal) + if equal { 0 } else { differ(what, *frame, format!("{own:?}")) };
                shares.entry(what).or_default().add(share, 1);
            }
            for core in CORE {
                let Some(wanted) = row.fields.get(*core) else { continue };
                let equal = own.fields.get(*core) == Some(wanted);
                let detail = || format!("{core} {wanted:?} {:?}", own.fields.get(*core));
                let share = u64::from(equal) + if equal { 0 } else { differ("fields", *frame, detail()) };
                shares.entry("fields").or_default().add(share, 1);
            }
            let all: u64 = row.points.values().sum();
            let both = |(key, count): (&(String, String), &u64)| {
                own.points.get(key).map_or(0, |own| *own.min(count))
            };
            let equal: u64 = row.points.iter().map(both).sum();
            let waived = if equal < all { differ("points", *frame, format!("{equal} of {all}")) } else { 0 };
            shares.entry("points").or_default().add(if waived == 1 { all } else { equal }, all);
        }
    }
    for (frame, mine) in &ours {
        let known = truth.get(frame).map_or(0, Vec::len);
        for _ in known..mine.len() {
            let waived = differ("extra", *frame, String::new());
            shares.entry("messages").or_default().add(waived, 1);
        }
    }
    let stale: Vec<_> = waivers.keys().filter(|key| !used.contains(*key)).collect();
    assert!(stale.is_empty(), "waivers without a difference: {stale:?}");
    let low: Vec<_> = shares
        .iter()
        .filter(|(_, share)| share.all > 0 && (share.equal as f64) < 0.999 * share.all as f64)
        .collect();
    if !low.is_empty() {
        differences.truncate(20);
        return Err(format!("{low:?}\n{}", differences.join("\n")).into());
    }
    Ok(())
}

/// `capture  frame  what  reason` by frame and what.
fn waivers(capture: &str) -> BTreeMap<(u64, String), String> {
    let lines = include_str!("waivers/modbus.tsv").lines().filter(|line| !line.starts_with('#'));
    let fields = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    fields
        .filter(|fields| fields.first() == Some(&capture))
        .map(|fields| {
            let [_, frame, what, reason] = fields[..] else { panic!("a waiver has four fields: {fields:?}") };
            assert!(reason.len() > 20, "a waiver says why: {fields:?}");
            ((frame.parse().unwrap(), what.to_owned()), reason.to_owned())
        })
        .collect()
}

fn our_rows(capture: &Path) -> Result<Rows, Failed> {
    let file = fs::read(capture)?;
    let mut reader = Reader::new(file.as_slice())?;
    let mut stack = Stack::new(Config::default());
    let mut rows = Rows::new();
    while let Some(frame) = reader.next_frame()? {
        stack.handle(&frame);
        while let Some(item) = stack.poll() {
            let Item::Message(message) = item else { continue };
            let mut row = Row {
                function: message.header.function.to_string(),
                kind: message.header.kind.as_str().to_owned(),
                ends: (message.source.to_string(), message.destination.to_string()),
                ..Row::default()
            };
            message.pdu.fields(&mut |name, field| {
                row.fields.entry(name.to_owned()).or_default().push(number(&field.to_string()));
            });
            for point in message.points() {
                let key = (message.family().show_tag(point.tag).to_string(), point.raw.to_string());
                *row.points.entry(key).or_default() += 1;
            }
            rows.entry(message.frame).or_default().push(row);
        }
    }
    Ok(rows)
}

fn truth_rows(path: &Path) -> Result<Rows, Failed> {
    let mut rows = Rows::new();
    for line in BufReader::new(GzDecoder::new(File::open(path)?)).lines() {
        let value: Value = serde_json::from_str(&line?)?;
        if value["p"] != FAMILY {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut row = Row {
            function: number(&text(&value["fn"])),
            kind: text(&value["kind"]),
            ends: (text(&value["src"]), text(&value["dst"])),
            advisory: !value["err"].is_null(),
            ..Row::default()
        };
        for (name, shown) in value["fld"].as_object().into_iter().flatten() {
            let shown = shown.as_array().into_iter().flatten();
            row.fields.insert(name.clone(), shown.map(|shown| number(&text(shown))).collect());
        }
        for point in value["pts"].as_array().into_iter().flatten() {
            *row.points.entry((text(&point["tag"]), text(&point["raw"]))).or_default() += 1;
        }
        rows.entry(value["n"].as_u64().unwrap()).or_default().push(row);
    }
    Ok(rows)
}

/// Hexadecimal numbers in decimal, so that numbers are compared by value.
fn number(text: &str) -> String {
    match text.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16)) {
        Some(Ok(number)) => number.to_string(),
        _ => text.to_owned(),
    }
}
