//! The same inputs give the same answers and the same journal, bit for bit, however they are cut.

use twinguard::types::{Digest, Finding, Timestamp};
use twinguard::{Guard, Input, Output};

use crate::site::{Recorded, Told, attacked, config, findings, guard, poll};

/// What is left of a run when it is told again, cut in another way.
struct Again {
    said: Vec<Output>,
    size: u64,
    root: Digest,
}

fn again(tape: &Recorded, mut tell: impl FnMut(&mut Guard, Timestamp, &Told)) -> Again {
    let mut guard = guard(config());
    let mut said = Vec::new();
    for (now, told) in &tape.told {
        tell(&mut guard, *now, told);
        said.extend(poll(&mut guard));
    }
    Again { said, size: guard.evidence().size(), root: guard.evidence().root() }
}

fn check(tell: impl FnMut(&mut Guard, Timestamp, &Told)) {
    let tape = attacked();
    assert!(findings(&tape.said).count() > 2);
    let again = again(tape, tell);
    for (place, (then, now)) in tape.said.iter().zip(&again.said).enumerate() {
        assert_eq!(then, now, "answer {place}");
    }
    assert_eq!(again.said.len(), tape.said.len());
    assert_eq!((again.size, again.root), (tape.size, tape.root));
}

#[test]
fn equal_inputs_give_equal_answers_and_an_equal_journal() {
    check(|guard, now, told| told.tell(guard, now).unwrap());
}

#[test]
fn answers_may_wait() {
    let tape = attacked();
    let mut guard = guard(config());
    tape.told.iter().for_each(|(now, told)| told.tell(&mut guard, *now).unwrap());
    assert_eq!(poll(&mut guard), tape.said);
    assert_eq!(guard.evidence().root(), tape.root);
}

#[test]
fn a_batch_is_its_points_one_by_one() {
    check(|guard, now, told| match told {
        Told::Points(points) => {
            points.iter().for_each(|point| guard.handle(now, Input::Points(&[*point])).unwrap())
        }
        other => other.tell(guard, now).unwrap(),
    });
}

#[test]
fn empty_batches_say_nothing() {
    check(|guard, now, told| {
        guard.handle(now, Input::Points(&[])).unwrap();
        told.tell(guard, now).unwrap();
        guard.handle(now, Input::Points(&[])).unwrap();
    });
}

#[test]
fn messages_may_come_in_pieces() {
    check(|guard, now, told| match told {
        Told::Frame(index, at, link, bytes) if bytes.len() > 54 + 2 => {
            for cut in pieces(bytes, 2 + *index as usize % (bytes.len() - 54 - 2)) {
                Told::Frame(*index, *at, *link, cut).tell(guard, now).unwrap();
            }
        }
        other => other.tell(guard, now).unwrap(),
    });
}

/// Where a tick falls decides when the judge looks, so revisions may differ; what is found and who is accused may not.
#[test]
fn ticks_in_between_change_no_judgement() {
    let tape = attacked();
    let mut last = tape.told[0].0;
    let again = again(tape, |guard, now, told| {
        let middle = Timestamp::from_nanos(last.as_nanos().midpoint(now.as_nanos()));
        guard.handle(middle, Input::Tick).unwrap();
        last = now;
        told.tell(guard, now).unwrap();
    });
    let essence = |said: &[Output]| -> Vec<_> {
        let ids = findings(said).filter(|finding| finding.revision == 0).map(|finding| finding.id);
        ids.map(|id| {
            let last: &Finding = findings(said).filter(|finding| finding.id == id).last().unwrap();
            (id, last.onset, last.suspect, last.suspect_set.clone(), last.kind, last.severity)
        })
        .collect()
    };
    assert_eq!(essence(&again.said), essence(&tape.said));
}

/// Cuts the payload of an Ethernet, IPv4, TCP frame without options in two segments.
fn pieces(frame: &[u8], place: usize) -> [Vec<u8>; 2] {
    let (head, payload) = frame.split_at(54);
    let (first, second) = payload.split_at(place);
    let mut pieces = [[head, first].concat(), [head, second].concat()];
    let sequence = u32::from_be_bytes(head[38..42].try_into().unwrap()).wrapping_add(place as u32);
    pieces[1][38..42].copy_from_slice(&sequence.to_be_bytes());
    for piece in &mut pieces {
        let total = (piece.len() - 14) as u16;
        piece[16..18].copy_from_slice(&total.to_be_bytes());
        piece[24..26].fill(0);
        let sum = checksum(0, &piece[14..34]);
        piece[24..26].copy_from_slice(&sum.to_be_bytes());
        piece[50..52].fill(0);
        let pseudo =
            piece[26..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
        let sum = checksum(pseudo + 6 + u32::from(total - 20), &piece[34..]);
        piece[50..52].copy_from_slice(&sum.to_be_bytes());
    }
    pieces
}

fn checksum(start: u32, bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum = start + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
