//! The same inputs give the same answers and the same journal, bit for bit, however they are cut.

use std::sync::OnceLock;

use proptest::prelude::*;
use twinguard::types::{Digest, Duration, Timestamp};
use twinguard::{Guard, Input, Output};

use crate::shared::Shared;
use crate::site::{self, ATTACK_S, ORIGIN, Recorded, Told, attacked, config, findings, guard, plant, poll};

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

#[test]
fn ticks_in_between_change_nothing() {
    let mut last = attacked().told[0].0;
    check(|guard, now, told| {
        let middle = Timestamp::from_nanos(last.as_nanos().midpoint(now.as_nanos()));
        guard.handle(middle, Input::Tick).unwrap();
        last = now;
        told.tell(guard, now).unwrap();
        guard.handle(now, Input::Tick).unwrap();
    });
}

#[test]
fn whoever_comes_back_at_each_deadline_hears_the_same_earlier() {
    let tape = attacked();
    let mut guard = guard(config());
    let mut said = Vec::new();
    for (now, told) in &tape.told {
        let mut deadlines = 0;
        while let Some(at) = guard.next_deadline().filter(|at| at < now) {
            guard.handle(at, Input::Tick).unwrap();
            said.extend(poll(&mut guard));
            deadlines += 1;
            assert!(deadlines < 100, "the deadline {at:?} does not pass");
        }
        told.tell(&mut guard, *now).unwrap();
        said.extend(poll(&mut guard));
    }
    assert_eq!(guard.evidence().root(), tape.root);
    assert!(said == tape.said);
}

/// The stretch in which everything happens, and where it begins.
struct Late {
    state: Vec<u8>,
    journal: Shared,
    told: usize,
}

fn late() -> &'static Late {
    static LATE: OnceLock<Late> = OnceLock::new();
    LATE.get_or_init(|| {
        let tape = attacked();
        let from = ORIGIN + Duration::from_secs(ATTACK_S - 20);
        let told = tape.told.iter().position(|(now, _)| *now >= from).unwrap();
        let journal = Shared::default();
        let mut guard = resumed(site::learnt(), &journal);
        tape.told.iter().take(told).for_each(|(now, told)| told.tell(&mut guard, *now).unwrap());
        Late { state: guard.snapshot().unwrap(), journal, told }
    })
}

fn resumed(state: &[u8], journal: &Shared) -> Guard {
    Guard::builder_unsealed(plant()).config(config()).journal(journal.clone()).restore(state).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_the_same_input_gives_the_same_journal(
        cuts in prop::collection::vec(any::<u8>(), 3..200),
        save in 0usize..40,
    ) {
        let (tape, late) = (attacked(), late());
        let journal = late.journal.copy();
        let mut guard = resumed(&late.state, &journal);
        let mut cuts = cuts.iter().cycle();
        let mut cut = || usize::from(*cuts.next().unwrap_or(&0));
        let (mut last, mut seconds) = (tape.told[late.told].0, 0);
        for (now, told) in tape.told.iter().skip(late.told) {
            if cut() < 64 {
                let between = last.as_nanos() + (now.as_nanos() - last.as_nanos()) / 256 * cut() as i64;
                guard.handle(Timestamp::from_nanos(between), Input::Tick).unwrap();
            }
            last = *now;
            match told {
                Told::Frame(index, at, link, bytes) if bytes.len() > 54 + 2 && cut() < 128 => {
                    for piece in pieces(bytes, 1 + cut() % (bytes.len() - 54 - 1)) {
                        Told::Frame(*index, *at, *link, piece).tell(&mut guard, *now).unwrap();
                    }
                }
                Told::Points(points) => {
                    let mut points = &points[..];
                    while !points.is_empty() {
                        let (piece, rest) = points.split_at(1 + cut() % points.len());
                        points = rest;
                        guard.handle(*now, Input::Points(piece)).unwrap();
                    }
                }
                Told::Tick => {
                    told.tell(&mut guard, *now).unwrap();
                    // Between polls: what is half said on the wire is not kept.
                    if seconds == save {
                        let state = guard.snapshot().unwrap();
                        guard = resumed(&state, &journal);
                    }
                    seconds += 1;
                }
                other => other.tell(&mut guard, *now).unwrap(),
            }
        }
        prop_assert_eq!(guard.evidence().root(), tape.root);
    }
}

/// A guard that was restored after this many of the stimuli and `half` of the next, and was told two minutes more.
fn restarted(told: usize, half: bool) -> (Guard, Vec<Output>) {
    let tape = attacked();
    let mut before = guard(config());
    tape.told.iter().take(told).for_each(|(now, it)| it.tell(&mut before, *now).unwrap());
    let mut rest = tape.told.iter().skip(told);
    let mut second = None;
    if half && let Some((now, Told::Frame(index, at, link, bytes))) = rest.next() {
        let [one, two] = pieces(bytes, 5);
        Told::Frame(*index, *at, *link, one).tell(&mut before, *now).unwrap();
        second = Some((*now, Told::Frame(*index, *at, *link, two)));
    }
    poll(&mut before);
    let mut guard =
        Guard::builder_unsealed(plant()).config(config()).restore(&before.snapshot().unwrap()).unwrap();
    let end = tape.told[told].0 + Duration::from_secs(120);
    for (now, it) in second.iter().chain(rest.take_while(|(now, _)| *now < end)) {
        it.tell(&mut guard, *now).unwrap();
    }
    let said = poll(&mut guard);
    (guard, said)
}

#[test]
fn a_restart_amid_a_conversation_is_held_against_nobody() {
    let tape = attacked();
    let port = |told: &Told, at: usize| match told {
        Told::Frame(_, _, _, bytes) if bytes.len() > 60 => {
            bytes.get(at..at + 2) == Some(&502_u16.to_be_bytes())
        }
        _ => false,
    };
    let from = tape.told.iter().position(|(now, _)| *now >= ORIGIN + Duration::from_secs(300)).unwrap();
    let place =
        |is: &dyn Fn(&Told) -> bool| from + tape.told[from..].iter().position(|(_, it)| is(it)).unwrap();
    let (request, response) = (place(&|it| port(it, 36)), place(&|it| port(it, 34)));
    // Before an answer; in the middle of a question; in the middle of an answer.
    for (told, half) in [(response, false), (request, true), (response, true)] {
        let (guard, said) = restarted(told, half);
        assert_eq!(guard.counters().malformed, 0, "{told} {half}");
        let raised: Vec<_> = findings(&said).map(|it| &it.title).collect();
        assert!(raised.is_empty(), "{told} {half}: {raised:?}");
    }
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
