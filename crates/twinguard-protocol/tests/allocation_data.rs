//! No message costs an allocation once its conversation has warmed up: every message of every capture at hand is read
//! again in the same session, header, oddities, values and all.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use twinguard_protocol::capture::Reader;
use twinguard_protocol::protocol::Raw;
use twinguard_protocol::{Address, Context, Family, Item, Session, Shared, Stack, stack::Config};

fn main() {
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let mut folders = entries(&root.join("captures"));
    folders.retain(|folder| folder.is_dir() && !folder.ends_with("truth"));
    let mut trials: Vec<_> = folders
        .into_iter()
        .filter_map(|folder| {
            let name = folder.file_name()?.to_str()?.to_owned();
            Some(Trial::test(name, move || check(&folder)))
        })
        .collect();
    if trials.is_empty() {
        trials.push(Trial::test("captures", || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// A message and how it came.
struct Kept {
    context: Context,
    bytes: Vec<u8>,
}

/// Family and ends, the lower first.
type Key = (Family, Address, Address);

fn check(folder: &Path) -> Result<(), Failed> {
    let mut tallies: BTreeMap<Family, (u64, u64)> = BTreeMap::new();
    for capture in entries(folder) {
        let mut conversations: BTreeMap<Key, Vec<Kept>> = BTreeMap::new();
        let file = fs::read(&capture)?;
        let Ok(mut reader) = Reader::new(file.as_slice()) else { continue };
        let mut stack = Stack::new(Config::default());
        while let Ok(Some(frame)) = reader.next_frame() {
            stack.handle(&frame);
            while let Some(item) = stack.poll() {
                let Item::Message(message) = item else { continue };
                let (source, destination) = (*message.source, *message.destination);
                let key = (message.family(), source.min(destination), source.max(destination));
                let context = Context { sender: message.sender, at: message.at, source, destination };
                conversations.entry(key).or_default().push(Kept { context, bytes: message.bytes.to_vec() });
            }
        }
        let mut shared = Shared::default();
        for ((family, ..), messages) in &conversations {
            let mut session = family.session();
            read(&mut session, &mut shared, messages);
            let used = allocation_counter::measure(|| read(&mut session, &mut shared, messages));
            let tally = tallies.entry(*family).or_default();
            tally.0 += messages.len() as u64;
            tally.1 += used.count_total;
        }
    }
    let mut wrong = String::new();
    for (family, (messages, allocations)) in tallies {
        println!("{family}: {allocations} allocations for {messages} messages");
        if allocations > 0 {
            wrong += &format!("{family}: {allocations} allocations for {messages} messages\n");
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.into()) }
}

fn read(session: &mut Session, shared: &mut Shared, messages: &[Kept]) {
    let mut request = None;
    let mut values = 0u64;
    for Kept { context, bytes } in messages {
        let Some(pdu) = session.decode(shared, context, bytes) else { continue };
        let header = pdu.header();
        values += u64::from(!pdu.oddities().is_empty());
        for point in pdu.blocks(request.as_ref()).flat_map(twinguard_protocol::protocol::Block::points) {
            values += u64::from(!matches!(point.raw, Raw::Bytes([])));
        }
        if header.key.is_some() {
            request = Some(pdu.memo());
        }
    }
    assert!(values < u64::MAX);
}
