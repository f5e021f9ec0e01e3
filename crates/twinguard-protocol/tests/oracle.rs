//! Every capture at hand against the reference data beside it: messages, functions, kinds, ends, header fields, points
//! with their raw bytes, family by family. What differs and is right by the standard stands in `waivers/<family>.tsv`.
//!
//! `cargo test -p twinguard-protocol --test oracle` prints a table over all captures, without waivers and how many there
//! are; `-- dnp3` runs one folder alone.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use flate2::read::GzDecoder;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use twinguard_protocol::capture::Reader;
use twinguard_protocol::protocol::Header;
use twinguard_protocol::stack::{Config, Item, Stack};
use twinguard_protocol::{Error, Family};
use twinguard_types::Duration;
use twinguard_types::{Malformed, Oddity};

/// Families whose tags are the reference's, so that places are compared as well as bytes.
const TAGGED: &[&str] = &["modbus", "dnp3", "iec104", "goose", "sv"];
/// Families whose header fields and points have to agree to 99.5 %; the others to 98 %.
const STRICT: &[&str] = &["modbus", "dnp3", "iec104", "s7comm", "enip", "goose", "sv", "synphasor", "mqtt"];

fn main() {
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let captures = root.join("captures");
    let mut folders: Vec<PathBuf> = entries(&captures.join("truth"));
    folders.retain(|folder| folder.is_dir());
    let mut trials: Vec<_> = folders
        .into_iter()
        .filter_map(|truths| {
            let folder = truths.file_name()?.to_str()?.to_owned();
            let captures = captures.join(&folder);
            Some(Trial::test(folder.clone(), move || check(&folder, &captures, &truths)))
        })
        .collect();
    if trials.is_empty() {
        trials.push(Trial::test("captures with reference data", || Ok(())).with_ignored_flag(true));
    }
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    print_table();
    conclusion.exit();
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// One message, from either side.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    function: String,
    kind: String,
    ends: (String, String),
    fields: BTreeMap<String, Vec<String>>,
    points: BTreeMap<(String, String), u64>,
    advisory: bool,
    /// Whether bytes before it were never seen: the reference, told to put segments in order, reads nothing more of
    /// such a direction.
    behind_gap: bool,
}

/// By family and frame.
type Rows = BTreeMap<String, BTreeMap<u64, Vec<Row>>>;

/// Found and wanted.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    equal: u64,
    waived: u64,
    all: u64,
}

impl Share {
    fn percent(self) -> f64 {
        if self.all == 0 { 100.0 } else { 100.0 * (self.equal + self.waived) as f64 / self.all as f64 }
    }
}

/// What one family's comparison found.
#[derive(Debug, Default)]
struct Tally {
    shares: BTreeMap<&'static str, Share>,
    extra: Extra,
    differences: Vec<String>,
    used: BTreeSet<(String, u64, String)>,
}

/// Messages of ours that the reference does not see.
#[derive(Clone, Copy, Debug, Default)]
struct Extra {
    alone: u64,
    waived: u64,
    /// Behind bytes that the tap lost: the reference, told to put segments in order, reads nothing more there.
    behind_gap: u64,
}

/// Messages of ours alone, in per cent of the reference's.
const EXTRA_MAX: f64 = 0.5;

type Sums = (BTreeMap<&'static str, Share>, Extra);

/// The sums over all folders, by family.
static SUMS: Mutex<BTreeMap<String, Sums>> = Mutex::new(BTreeMap::new());

fn print_table() {
    println!(
        "| family | messages | missing | extra | function | kind | ends | core fields | printed | points | waived |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (family, (shares, extra)) in &*SUMS.lock().unwrap() {
        let share = |what| shares.get(what).copied().unwrap_or_default();
        let percent = |what| {
            let Share { equal, all, .. } = share(what);
            let text = format!("{:.2} %", (1e4 * equal as f64 / all as f64).floor() / 100.0);
            if all == 0 { "–".to_owned() } else { text.replace("100.00 %", "all") }
        };
        let messages = share("messages");
        let Extra { alone, waived, behind_gap } = *extra;
        let all_waived: u64 = shares.values().map(|share| share.waived).sum();
        println!(
            "| `{family}` | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            messages.all,
            messages.all - messages.equal,
            if behind_gap > 0 {
                format!("{} and {behind_gap} behind gaps", alone + waived)
            } else {
                (alone + waived).to_string()
            },
            percent("function"),
            percent("kind"),
            percent("ends"),
            percent("fields"),
            percent("cover"),
            percent("points"),
            all_waived + waived,
        );
    }
}

/// The frame number of a waiver for a whole capture.
const EVERY_FRAME: u64 = u64::MAX;

/// `capture, frame, what` and why.
type Waivers = BTreeMap<(String, u64, String), String>;

impl Tally {
    /// Counts a message that the reference does not see.
    fn extra(&mut self, waivers: &Waivers, capture: &str, frame: u64, detail: impl FnOnce() -> String) {
        let keys = [frame, EVERY_FRAME].map(|frame| (capture.to_owned(), frame, "messages".to_owned()));
        if let Some(key) = keys.into_iter().find(|key| waivers.contains_key(key)) {
            self.used.insert(key);
            self.extra.waived += 1;
        } else {
            self.extra.alone += 1;
            if self.differences.len() < 25 {
                self.differences.push(format!("{capture} frame {frame}: {}", detail()));
            }
        }
    }

    /// Counts a comparison of `all` things of which `equal` agree.
    fn count(
        &mut self,
        waivers: &Waivers,
        place: (&str, u64, &'static str),
        (equal, all): (u64, u64),
        detail: impl FnOnce() -> String,
    ) {
        let (capture, frame, what) = place;
        let mut key = (capture.to_owned(), frame, what.to_owned());
        let mut waived = 0;
        if equal < all {
            if !waivers.contains_key(&key) {
                key.1 = EVERY_FRAME;
            }
            if waivers.contains_key(&key) {
                self.used.insert(key);
                waived = all - equal;
            } else if self.differences.len() < 25 {
                self.differences.push(format!("{capture} frame {frame} {what}: {}", detail()));
            }
        }
        let share = self.shares.entry(what).or_default();
        share.equal += equal;
        share.waived += waived;
        share.all += all;
    }
}

fn check(folder: &str, captures: &Path, truths: &Path) -> Result<(), Failed> {
    let core = core_fields();
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut all_waivers: BTreeMap<String, Waivers> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for truth in entries(truths) {
        let Some(name) = truth.file_name().and_then(|name| name.to_str()?.strip_suffix(".jsonl.gz")) else {
            continue;
        };
        names.insert(name.to_owned());
        let (truth, ours) = (truth_rows(&truth)?, our_rows(&captures.join(name))?);
        let known: BTreeSet<_> = truth.keys().chain(ours.keys()).cloned().collect();
        for family in known {
            let none = BTreeMap::new();
            let (truth, ours) = (truth.get(&family).unwrap_or(&none), ours.get(&family).unwrap_or(&none));
            // Messages of a family that the reference cannot read are no difference.
            if family.parse::<Family>().is_err() || !core.contains_key(&family) && truth.is_empty() {
                continue;
            }
            let waivers = all_waivers.entry(family.clone()).or_insert_with(|| waivers(&family));
            let fields = core.get(&family).map(Vec::as_slice).unwrap_or_default();
            compare(&family, name, fields, truth, ours, waivers, tallies.entry(family.clone()).or_default());
        }
    }
    let mut failures = String::new();
    for (family, tally) in &tallies {
        let mut line = format!("{folder}/{family}:");
        for (what, share) in &tally.shares {
            line += &format!("  {what} {}+{} of {}", share.equal, share.waived, share.all);
        }
        println!("{line}  {:?}", tally.extra);
        let least = |what: &str| match what {
            "messages" | "function" | "kind" | "ends" => 99.9,
            _ if STRICT.contains(&family.as_str()) => 99.5,
            "cover" => 90.0,
            _ => 98.0,
        };
        for (what, share) in &tally.shares {
            if share.percent() < least(what) {
                failures += &format!("{family} {what}: {:.3} % {share:?}\n", share.percent());
            }
        }
        if !failures.is_empty() {
            failures += &tally.differences.join("\n");
            failures.push('\n');
        }
        let messages = tally.shares.get("messages").map_or(0, |share| share.all);
        if tally.extra.alone as f64 > EXTRA_MAX / 100.0 * messages as f64 {
            failures += &format!("{family}: {:?} beside {messages} messages\n", tally.extra);
            failures += &tally.differences.join("\n");
            failures.push('\n');
        }
        let mut sums = SUMS.lock().unwrap();
        let (shares, extra) = sums.entry(family.clone()).or_default();
        extra.alone += tally.extra.alone;
        extra.waived += tally.extra.waived;
        extra.behind_gap += tally.extra.behind_gap;
        for (what, share) in &tally.shares {
            let sum = shares.entry(*what).or_default();
            sum.equal += share.equal;
            sum.waived += share.waived;
            sum.all += share.all;
        }
        drop(sums);
        let waivers = all_waivers.get(family).into_iter().flatten();
        let here = waivers.filter(|((capture, ..), _)| names.contains(capture));
        let stale: Vec<_> = here.map(|(key, _)| key).filter(|key| !tally.used.contains(*key)).collect();
        if !stale.is_empty() {
            failures += &format!("waivers without a difference: {stale:?}\n");
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.into()) }
}

fn compare(
    family: &str,
    name: &str,
    core: &[String],
    truth: &BTreeMap<u64, Vec<Row>>,
    ours: &BTreeMap<u64, Vec<Row>>,
    waivers: &Waivers,
    tally: &mut Tally,
) {
    let tagged = TAGGED.contains(&family);
    let mut ours = ours.clone();
    for (frame, mine) in &mut ours {
        let seen =
            |row: &Row| truth.get(frame).is_some_and(|rows| rows.iter().any(|own| own.ends == row.ends));
        let before = mine.len();
        mine.retain(|row| !row.behind_gap || seen(row));
        tally.extra.behind_gap += (before - mine.len()) as u64;
    }
    for (frame, rows) in truth {
        let mine = ours.get(frame).map(Vec::as_slice).unwrap_or_default();
        for (index, row) in rows.iter().enumerate() {
            if row.advisory {
                continue;
            }
            let own = mine.get(index);
            tally.count(waivers, (name, *frame, "messages"), (u64::from(own.is_some()), 1), || {
                format!("missing {row:?}")
            });
            let Some(own) = own else { continue };
            for (what, equal, pair) in [
                (
                    "function",
                    row.function.is_empty() || row.function == own.function,
                    format!("{} / {}", row.function, own.function),
                ),
                // The reference knows no kind of some families, and no function of encrypted messages.
                ("kind", row.kind.is_empty() || row.kind == own.kind, format!("{} / {}", row.kind, own.kind)),
                ("ends", row.ends == own.ends, format!("{:?} / {:?}", row.ends, own.ends)),
            ] {
                // The reference has neither for some families and frames.
                if what == "function" && row.function.is_empty() || what == "kind" && row.kind.is_empty() {
                    continue;
                }
                tally.count(waivers, (name, *frame, what), (u64::from(equal), 1), || pair);
            }
            for field in core {
                let Some(wanted) = row.fields.get(field) else { continue };
                let found = own.fields.get(field);
                tally.count(waivers, (name, *frame, "cover"), (u64::from(found.is_some()), 1), || {
                    field.clone()
                });
                let Some(found) = found else { continue };
                tally.count(waivers, (name, *frame, "fields"), (u64::from(found == wanted), 1), || {
                    format!("{field}: {wanted:?} / {found:?}")
                });
            }
            let all: u64 = row.points.values().sum();
            let equal = common(&row.points, &own.points, tagged);
            tally.count(waivers, (name, *frame, "points"), (equal, all), || {
                let left: Vec<_> =
                    row.points.iter().filter(|(key, _)| !own.points.contains_key(*key)).take(3).collect();
                let mine: Vec<_> =
                    own.points.iter().filter(|(key, _)| !row.points.contains_key(*key)).take(3).collect();
                format!("{equal} of {all}; {left:?} / {mine:?}")
            });
        }
    }
    for (frame, mine) in &ours {
        let known = truth.get(frame).map_or(0, Vec::len);
        for extra in mine.iter().skip(known) {
            tally.extra(waivers, name, *frame, || format!("extra {extra:?}"));
        }
    }
}

/// How many of the reference's points are among ours; without tags the reference's bytes may carry a type before ours.
fn common(
    truth: &BTreeMap<(String, String), u64>,
    ours: &BTreeMap<(String, String), u64>,
    tagged: bool,
) -> u64 {
    let mut equal = 0;
    let (mut left, mut mine) = (Vec::new(), ours.clone());
    for (key, count) in truth {
        let own = mine.get(key).copied().unwrap_or(0).min(*count);
        equal += own;
        if let Some(held) = mine.get_mut(key) {
            *held -= own;
        }
        left.extend((own..*count).map(|_| &key.1));
    }
    if tagged {
        return equal;
    }
    for wanted in left {
        let fits = |(key, count): &(&(String, String), &mut u64)| {
            **count > 0 && !key.1.is_empty() && wanted.ends_with(&key.1)
        };
        if let Some((_, count)) = mine.iter_mut().find(fits) {
            *count -= 1;
            equal += 1;
        }
    }
    equal
}

fn core_fields() -> BTreeMap<String, Vec<String>> {
    let lines = include_str!("oracle/core_fields.txt").lines().filter(|line| !line.starts_with('#'));
    let split = lines.map(|line| line.split_whitespace().map(str::to_owned));
    split.filter_map(|mut words| Some((words.next()?, words.collect()))).collect()
}

/// Lines of `capture  frame  what  reason`; `*` stands for every frame.
fn waivers(family: &str) -> Waivers {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/waivers").join(format!("{family}.tsv"));
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            let [capture, frame, what, reason] = fields[..] else {
                panic!("a waiver has four fields: {fields:?}")
            };
            assert!(reason.len() > 20, "a waiver says why: {fields:?}");
            let frame = if frame == "*" { EVERY_FRAME } else { frame.parse().unwrap() };
            ((capture.to_owned(), frame, what.to_owned()), reason.to_owned())
        })
        .collect()
}

fn our_rows(capture: &Path) -> Result<Rows, Failed> {
    let file = fs::read(capture)?;
    let mut reader = Reader::new(file.as_slice())?;
    // The reference tells a packet as often as it was captured.
    let mut stack = Stack::new(Config { duplicates_within: Duration::ZERO, ..Config::default() });
    let (mut rows, mut gaps) = (Rows::new(), BTreeSet::new());
    loop {
        let frame = match reader.next_frame() {
            Ok(Some(frame)) => frame,
            // What is cut off at the end of a capture is cut off for the reference as well.
            Ok(None) | Err(Error::TruncatedCapture { .. }) => break,
            Err(error) => return Err(error.into()),
        };
        stack.handle(&frame);
        while let Some(item) = stack.poll() {
            let message = match item {
                Item::Message(message) => message,
                Item::Malformed(Malformed { oddity: Oddity::Gap, source, destination, .. }) => {
                    gaps.insert((source, destination));
                    continue;
                }
                _ => continue,
            };
            let family = message.family().to_string();
            let tagged = TAGGED.contains(&family.as_str());
            let mut row = Row {
                function: match message.header.function {
                    Header::NO_FUNCTION => String::new(),
                    function => message.family().show_function(function).to_string(),
                },
                kind: message.header.kind.as_str().to_owned(),
                ends: (message.source.to_string(), message.destination.to_string()),
                behind_gap: gaps.contains(&(message.source.socket(), message.destination.socket())),
                ..Row::default()
            };
            message.pdu.fields(&mut |name, field| {
                row.fields.entry(name.to_owned()).or_default().push(number(&field.to_string()));
            });
            for point in message.points() {
                let raw = point.raw.to_string();
                if tagged || !raw.is_empty() {
                    let tag =
                        if tagged { message.family().show_place(&point).to_string() } else { String::new() };
                    *row.points.entry((tag, raw)).or_default() += 1;
                }
            }
            rows.entry(family).or_default().entry(message.frame).or_default().push(row);
        }
    }
    Ok(rows)
}

fn truth_rows(path: &Path) -> Result<Rows, Failed> {
    let mut rows = Rows::new();
    for line in BufReader::new(GzDecoder::new(File::open(path)?)).lines() {
        let value: Value = serde_json::from_str(&line?)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let family = text(&value["p"]);
        let tagged = TAGGED.contains(&family.as_str());
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
            let raw = text(&point["raw"]).to_lowercase().replace(':', "");
            if tagged || !raw.is_empty() {
                let tag = if tagged { text(&point["tag"]) } else { String::new() };
                *row.points.entry((tag, raw)).or_default() += 1;
            }
        }
        rows.entry(family).or_default().entry(value["n"].as_u64().unwrap()).or_default().push(row);
    }
    Ok(rows)
}

/// Hexadecimal numbers and states in decimal, so that they are compared by value.
fn number(text: &str) -> String {
    match text.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16)) {
        Some(Ok(number)) => number.to_string(),
        _ => match text {
            "True" | "true" => "1".to_owned(),
            "False" | "false" => "0".to_owned(),
            _ => text.to_owned(),
        },
    }
}
