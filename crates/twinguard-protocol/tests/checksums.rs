//! What a stack does about checksums: nothing, tell, refuse; and the captures at hand, counted.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs;
use std::path::{Path, PathBuf};

use twinguard_protocol::capture::Reader;
use twinguard_protocol::emit::{self, Connection};
use twinguard_protocol::protocols::modbus::Repr;
use twinguard_protocol::stack::{Checksums, Config, Counters};
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Frame, Item, LinkType, Stack};
use twinguard_types::{Oddity, Timestamp};

/// Messages, wrong checksums that were told, counters.
fn run(frames: &[Vec<u8>], checksums: Checksums) -> (u64, usize, Counters) {
    let mut stack = Stack::new(Config { checksums, ..Config::default() });
    let (mut messages, mut told) = (0, 0);
    for (index, bytes) in frames.iter().enumerate() {
        let (index, at) = (index as u64 + 1, Timestamp::from_secs(index as i64));
        stack.handle(&Frame { index, at, link: LinkType::Ethernet, bytes, original_len: bytes.len() as u32 });
        while let Some(item) = stack.poll() {
            match item {
                Item::Message(_) => messages += 1,
                Item::Malformed(odd) => told += usize::from(odd.oddity == Oddity::BadChecksum),
                Item::Exchange(_) => {}
            }
        }
    }
    (messages, told, *stack.counters())
}

/// Requests over TCP; those of odd numbers spoilt by `spoil`.
fn requests(count: u16, spoil: impl Fn(&mut Vec<u8>)) -> Vec<Vec<u8>> {
    let (client, server) = ("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:502".parse().unwrap());
    let mut connection = Connection::new(client, server).unwrap();
    let mut frames = connection.open().to_vec();
    for number in 0..count {
        let mut frame = Vec::new();
        let request = Repr::write_register(number, 1, 7, number).unwrap().emit();
        let mut ahead = connection.clone();
        ahead.say(End::First, request.as_bytes(), &mut frame).unwrap();
        if number % 2 == 1 {
            // Inserted: the receiver drops it, and the client goes on as if it had not been sent.
            spoil(&mut frame);
        } else {
            connection = ahead;
        }
        frames.push(frame);
    }
    frames
}

#[test]
fn an_inserted_segment_is_read_told_or_refused() {
    let spoilt = requests(6, |frame| *frame.last_mut().unwrap() ^= 0x40);
    let (messages, told, counters) = run(&spoilt, Checksums::Ignore);
    assert_eq!((told, counters.checksums_wrong), (0, 0));
    assert!(messages >= 3);
    let (_, told, counters) = run(&spoilt, Checksums::Tell);
    assert_eq!((told, counters.checksums_wrong, counters.checksums_offloaded), (1, 3, 0));
    let (messages, told, counters) = run(&spoilt, Checksums::Refuse);
    assert_eq!((messages, told, counters.checksums_wrong), (3, 1, 3), "what the receiver took");
}

#[test]
fn what_a_card_computes_is_never_refused() {
    let (source, destination) = ("10.0.0.1:502".parse().unwrap(), "10.0.0.2:502".parse().unwrap());
    let mut frame = Vec::new();
    emit::datagram(source, destination, Repr::read(1, 1, 3, 0, 1).unwrap().emit().as_bytes(), &mut frame)
        .unwrap();
    // Nothing in the header, the sum of the pseudo-header in the datagram.
    frame[24..26].fill(0);
    let sum = [10u32 << 8, 1, 10 << 8, 2, 17, frame.len() as u32 - 34].into_iter().sum::<u32>() as u16;
    frame[40..42].copy_from_slice(&sum.to_be_bytes());
    let (messages, told, counters) = run(&[frame], Checksums::Refuse);
    assert_eq!((messages, told, counters.checksums_wrong, counters.checksums_offloaded), (1, 0, 0, 1));
}

/// A table of the captures at hand: nothing to compare with, but wrong ones should be the exception.
#[test]
fn captures_at_hand() {
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let (mut files, mut frames, mut wrong, mut offloaded, mut mostly) = (0u64, 0u64, 0u64, 0u64, 0u64);
    for folder in fs::read_dir(root.join("captures")).into_iter().flatten().flatten() {
        for path in fs::read_dir(folder.path()).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let Ok(file) = fs::read(&path) else { continue };
            let Ok(mut reader) = Reader::new(file.as_slice()) else { continue };
            let mut stack = Stack::new(Config { checksums: Checksums::Tell, ..Config::default() });
            while let Ok(Some(frame)) = reader.next_frame() {
                stack.handle(&frame);
                while stack.poll().is_some() {}
            }
            let counters = stack.counters();
            files += 1;
            frames += counters.frames;
            wrong += counters.checksums_wrong;
            offloaded += counters.checksums_offloaded;
            if 2 * counters.checksums_wrong > counters.frames {
                mostly += 1;
                println!("{}: {} of {} wrong", path.display(), counters.checksums_wrong, counters.frames);
            }
        }
    }
    println!(
        "{files} captures, {frames} frames: {wrong} wrong, {offloaded} left to the card; mostly wrong: {mostly}"
    );
    assert!(files == 0 || 4 * wrong < frames, "{wrong} of {frames}");
}
