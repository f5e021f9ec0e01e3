//! Sender and receiver against each other, with everything between them that a line can do.

use std::collections::BTreeSet;

use proptest::prelude::*;
use twinguard::types::{Duration, Timestamp};

use super::seal::Sealer;
use super::*;
use crate::core::PointText;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

fn key() -> Key {
    Key::new(&[7; 32])
}

fn points(first: usize, count: usize) -> Vec<PointText> {
    let point = |n: usize| PointText {
        signal: format!("plant.area{}.signal{n}", n % 7),
        value: (!n.is_multiple_of(5)).then(|| (n as f64 / 3.0).into()),
        quality: Default::default(),
        source: None,
        at_s: Some(1.7e9 + n as f64 / 7.0),
    };
    (first..first + count).map(point).collect()
}

fn sender(stream: u8, began: i64, data: u8, parity: u8) -> Sender {
    let settings = Settings { data, parity, ..Settings::default() };
    Sender::new(&key(), StreamId([stream; 16]), at(began), settings)
}

fn receiver(state: Option<State>) -> Receiver {
    Receiver::new(&key(), state, Waits::default())
}

/// A block of each of these batches.
fn blocks(sender: &mut Sender, sizes: &[usize]) -> Vec<Vec<Vec<u8>>> {
    let mut first = 0;
    let mut blocks = Vec::new();
    for size in sizes {
        assert!(sender.push(at(0), &points(first, *size)).unwrap().is_empty(), "one block holds it");
        blocks.push(sender.close(at(0)));
        first += size;
    }
    blocks
}

fn batches(told: &[Told]) -> Vec<&[PointText]> {
    told.iter()
        .filter_map(|it| if let Told::Batch(points) = it { Some(points.as_slice()) } else { None })
        .collect()
}

fn gaps(told: &[Told]) -> Vec<(u64, u64)> {
    let gap = |it: &Told| match it {
        Told::Gap(gap) => Some((gap.from, gap.to)),
        _ => None,
    };
    told.iter().filter_map(gap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_loss_within_the_parity_any_order_and_repetition_give_the_same_batches_once(
        sizes in prop::collection::vec(1_usize..100, 1..12),
        data in 8_u8..12,
        parity in 0_u8..6,
        dice in prop::collection::vec((any::<u32>(), any::<u32>(), 1_usize..3), 12 * 18),
    ) {
        let mut sent = Vec::new();
        let mut dice = dice.iter().cycle();
        for block in blocks(&mut sender(1, 0, data, parity), &sizes) {
            // As many are lost as may be.
            let mut drawn: Vec<_> = block.into_iter().map(|it| (dice.next().unwrap(), it)).collect();
            drawn.sort_by_key(|(dice, _)| dice.0);
            for ((_, order, times), datagram) in drawn.into_iter().skip(usize::from(parity)) {
                sent.extend((0..*times).map(|n| (order.rotate_left(7 * n as u32), datagram.clone())));
            }
        }
        sent.sort();
        let mut receiver = receiver(None);
        let told: Vec<Told> = sent.iter().flat_map(|(_, it)| receiver.take(at(1), it)).collect();
        prop_assert_eq!(gaps(&told), []);
        let expected: Vec<_> = sizes.iter().scan(0, |first, size| {
            *first += size;
            Some(points(*first - size, *size))
        }).collect();
        prop_assert_eq!(batches(&told), expected);
        let counts = receiver.counts();
        prop_assert_eq!((counts.lost, counts.blocks, counts.forged), (0, sizes.len() as u64, 0));
    }

    #[test]
    fn one_more_loss_than_the_parity_is_a_gap_and_nothing_else(
        sizes in prop::collection::vec(1_usize..60, 3..10),
        parity in 0_usize..4,
        which in any::<prop::sample::Index>(),
    ) {
        let mut sender = sender(1, 0, 8, parity as u8);
        let broken = which.index(sizes.len() - 1);
        let mut receiver = receiver(None);
        let mut told = Vec::new();
        for (number, block) in blocks(&mut sender, &sizes).iter().enumerate() {
            let lost = if number == broken { parity + 1 } else { 0 };
            told.extend(block.iter().skip(lost).flat_map(|it| receiver.take(at(1), it)));
        }
        prop_assert_eq!(batches(&told).len(), broken, "those behind it wait");
        told.extend(receiver.tick(at(1) + Waits::default().patience));
        prop_assert_eq!(gaps(&told), [(broken as u64, broken as u64 + 1)]);
        prop_assert_eq!(batches(&told).len(), sizes.len() - 1);
        prop_assert!(matches!(told[broken], Told::Gap(_)), "in its place");
        prop_assert_eq!(receiver.counts().lost, 1);
    }

    #[test]
    fn bytes_of_anybody_change_nothing(
        bytes in prop::collection::vec(any::<u8>(), 0..1_400),
        headed in any::<bool>(),
    ) {
        let mut sender = sender(1, 0, 8, 3);
        let first = blocks(&mut sender, &[5]).remove(0);
        let mut bytes = bytes;
        if headed && bytes.len() > HEADER {
            bytes[..HEADER].copy_from_slice(&first[0][..HEADER]);
        }
        let mut receiver = receiver(None);
        prop_assert_eq!(receiver.take(at(0), &bytes), []);
        let counts = receiver.counts();
        prop_assert_eq!((counts.malformed + counts.forged, counts.datagrams), (1, 0));
        prop_assert_eq!((receiver.state(), receiver.heard()), (None, None));
    }

    #[test]
    fn whatever_a_holder_of_the_key_sends_is_bounded(
        headers in prop::collection::vec((0_u64..60, any::<u8>(), 0_u8..70, 0_u8..70, 1_usize..40, any::<bool>()), 0..80),
        bytes in prop::collection::vec(any::<u8>(), 80),
    ) {
        let sealer = Sealer::new(&key());
        let mut receiver = receiver(None);
        for (sequence, (block, place, data, parity, half, late)) in (0..).zip(headers) {
            let header = Header { stream: StreamId([1; 16]), began: at(0), sequence, block, place, data, parity };
            let datagram = sealer.seal(&header, &bytes[..2 * half]).unwrap();
            receiver.take(at(if late { 3_000 } else { 0 }), &datagram);
            prop_assert!(receiver.waiting().0 <= WINDOW as usize);
        }
        receiver.tick(at(9_000));
        prop_assert_eq!(receiver.waiting(), (0, 0));
    }
}

#[test]
fn every_bit_of_a_datagram_counts_and_so_does_the_key() {
    let block = blocks(&mut sender(1, 0, 8, 3), &[3]).remove(0);
    let mut receiver = receiver(None);
    let datagram = &block[0];
    for bit in 0..datagram.len() * 8 {
        let mut altered = datagram.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(receiver.take(at(1), &altered), [], "bit {bit}");
    }
    for cut in 0..datagram.len() {
        assert_eq!(receiver.take(at(1), &datagram[..cut]), [], "{cut} bytes");
    }
    let counts = receiver.counts();
    assert_eq!((counts.forged + counts.malformed, counts.datagrams), (datagram.len() as u64 * 9, 0));
    assert_eq!(receiver.state(), None);
    assert_eq!(batches(&receiver.take(at(1), datagram)), [points(0, 3)]);
    let mut other = Receiver::new(&Key::new(&[8; 32]), None, Waits::default());
    assert_eq!((other.take(at(1), datagram), other.counts().forged), (vec![], 1));
}

#[test]
fn datagrams_are_short_and_no_nonce_comes_twice() {
    let mut sender = sender(1, 0, 8, 3);
    let mut datagrams = Vec::new();
    for first in 0..50 {
        datagrams.extend(sender.push(at(0), &points(first * 1_000, 400)).unwrap());
    }
    datagrams.extend(sender.close(at(0)));
    assert!(datagrams.iter().all(|it| it.len() <= LARGEST));
    assert!(datagrams.iter().any(|it| it.len() > LARGEST - 100), "and are used");
    let nonce = |it: &Vec<u8>| Header::read(it).map(|(it, _)| (it.stream, it.sequence)).unwrap();
    assert_eq!(datagrams.iter().map(nonce).collect::<BTreeSet<_>>().len(), datagrams.len());
    let mut receiver = receiver(None);
    let told: Vec<Told> = datagrams.iter().flat_map(|it| receiver.take(at(1), it)).collect();
    let arrived: Vec<PointText> = batches(&told).concat();
    let expected: Vec<PointText> = (0..50).flat_map(|first| points(first * 1_000, 400)).collect();
    assert_eq!(arrived, expected, "what is longer than a block comes as several batches");
}

/// The form of a datagram is one that other versions read.
#[test]
fn the_header_has_its_bytes_in_their_places() {
    let header = Header {
        stream: StreamId(core::array::from_fn(|n| n as u8)),
        began: Timestamp::from_nanos(0x0102_0304_0506_0708),
        sequence: 0x1112,
        block: 0x2122,
        place: 9,
        data: 8,
        parity: 3,
    };
    let bytes = header.to_bytes();
    let expected = [
        b"TGOW\x01\x09\x08\x03".as_slice(),
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        &[1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 0, 0, 0, 0, 0, 0x11, 0x12],
        &[0, 0, 0, 0, 0, 0, 0x21, 0x22],
    ];
    assert_eq!(bytes.as_slice(), expected.concat());
    let check = |place: usize, value: u8, expect| {
        let mut datagram = bytes.to_vec();
        datagram.extend_from_slice(&[0; TAG + 2]);
        datagram[place] = value;
        assert_eq!(Header::read(&datagram).map(|(it, _)| it), expect, "{value} at {place}");
    };
    check(5, 9, Ok(header));
    check(0, b'X', Err(Malformed::Foreign));
    check(4, 2, Err(Malformed::Version));
    check(5, 11, Err(Malformed::Place));
    check(6, 0, Err(Malformed::Place));
    check(6, PIECES + 1, Err(Malformed::Place));
    check(7, PIECES + 1, Err(Malformed::Place));
}

#[test]
fn telemetry_is_held_for_a_while_and_silence_is_broken() {
    let settings = Settings::default();
    let mut sender = sender(1, 0, 8, 3);
    assert!(sender.push(at(0), &points(0, 1)).unwrap().is_empty());
    assert!(sender.push(at(100), &points(1, 1)).unwrap().is_empty());
    assert_eq!(sender.next_deadline(), at(0) + settings.hold);
    assert!(sender.tick(at(199)).is_empty());
    let datagrams = sender.tick(at(200));
    assert_eq!(datagrams.len(), 4);
    assert!(datagrams[0].len() < 300, "no longer than what it holds");
    assert_eq!(sender.next_deadline(), at(200) + settings.beat);
    let beat = sender.tick(at(2_200));
    let mut receiver = receiver(None);
    assert_eq!(batches(&receiver.take(at(200), &datagrams[3])), [points(0, 1), points(1, 1)]);
    assert_eq!(receiver.take(at(2_200), &beat[0]), [], "an empty block says nothing more");
    assert_eq!(receiver.counts().blocks, 2);
    assert_eq!(receiver.next_deadline(), Some(at(12_200)));
    assert_eq!(receiver.tick(at(12_199)), []);
    assert_eq!(receiver.tick(at(12_200)), [Told::Silent { since: at(2_200) }]);
    assert_eq!((receiver.tick(at(60_000)), receiver.next_deadline()), (vec![], None), "once");
    let next = sender.tick(at(60_000));
    assert_eq!(receiver.take(at(60_000), &next[0]), [Told::Heard]);
    assert_eq!(receiver.tick(at(70_000)), [Told::Silent { since: at(60_000) }]);
    // It was silent for long enough before anybody looked.
    let next = sender.tick(at(72_000));
    assert_eq!(receiver.take(at(72_000), &next[0]), [Told::Heard]);
    let next = sender.tick(at(90_000));
    assert_eq!(receiver.take(at(90_000), &next[0]), [Told::Silent { since: at(72_000) }, Told::Heard]);
    let mut deaf = self::receiver(None);
    assert_eq!((deaf.tick(at(0)), deaf.tick(at(10_000))), (vec![], vec![Told::Silent { since: at(0) }]));
}

#[test]
fn what_was_lost_at_the_end_is_seen_by_the_next_empty_block() {
    let mut sender = sender(1, 0, 8, 3);
    let mut receiver = receiver(None);
    let lost = blocks(&mut sender, &[5]);
    assert_eq!(lost.len(), 1);
    let beat = sender.tick(at(2_000));
    assert_eq!(receiver.take(at(2_000), &beat[1]), []);
    assert_eq!(receiver.next_deadline(), Some(at(4_000)));
    assert_eq!(gaps(&receiver.tick(at(4_000))), [(0, 1)]);
}

#[test]
fn an_old_stream_is_refused_after_a_restart_of_either_side() {
    let first: Vec<_> = blocks(&mut sender(1, 0, 8, 3), &[3, 4]).concat();
    let mut newer = sender(2, 1_000, 8, 3);
    let second: Vec<_> = blocks(&mut newer, &[5]).concat();
    let mut receiver = receiver(None);
    let take = |receiver: &mut Receiver, datagrams: &[Vec<u8>]| -> Vec<Told> {
        datagrams.iter().flat_map(|it| receiver.take(at(2), it)).collect()
    };
    assert_eq!(batches(&take(&mut receiver, &first)).len(), 2);
    assert_eq!(take(&mut receiver, &first), [], "again");
    assert_eq!(batches(&take(&mut receiver, &second)), [points(0, 5)]);
    assert_eq!((take(&mut receiver, &first), receiver.counts().old), (vec![], first.len() as u64));
    // The receiver starts again from what was kept of it.
    let state: State = receiver.state().unwrap().to_string().parse().unwrap();
    let mut receiver = self::receiver(Some(state));
    assert_eq!((take(&mut receiver, &first), take(&mut receiver, &second)), (vec![], vec![]));
    let third = blocks(&mut newer, &[6]).concat();
    assert_eq!(batches(&take(&mut receiver, &third)), [points(0, 6)]);
    // Two starts at one time: the one that was heard first is the stream.
    let twin = blocks(&mut sender(3, 1_000, 8, 3), &[1]).concat();
    assert_eq!(take(&mut receiver, &twin), []);
    assert_eq!(receiver.counts().old, (first.len() + twin.len()) as u64);
}

#[test]
fn a_new_stream_ends_the_one_before_and_what_it_lacked_is_told() {
    let first = blocks(&mut sender(1, 0, 8, 1), &[3, 4, 5]);
    let second = blocks(&mut sender(2, 1, 8, 1), &[6]);
    let mut receiver = receiver(None);
    assert_eq!(receiver.take(at(0), &first[1][0]), []);
    let told = receiver.take(at(0), &second[0][0]);
    assert_eq!(gaps(&told), [(0, 1)]);
    assert_eq!(batches(&told), [points(3, 4), points(0, 6)]);
}

#[test]
fn memory_is_bounded_and_a_long_loss_is_one_gap() {
    let mut sender = sender(1, 0, 8, 3);
    let mut receiver = receiver(None);
    let mut told = Vec::new();
    let count = 2_000_u64;
    for block in blocks(&mut sender, &[90; 2_000]) {
        // One of the eleven comes through.
        assert!(block.len() > 8);
        told.extend(receiver.take(at(0), &block[0]));
        assert!(receiver.waiting().0 <= WINDOW as usize);
    }
    told.extend(receiver.tick(at(60_000)));
    assert_eq!(gaps(&told).iter().map(|(from, to)| to - from).sum::<u64>(), count);
    assert_eq!((receiver.counts().lost, batches(&told).len()), (count, 0));
    // A hole of any length costs one step.
    let header = Header {
        stream: StreamId([1; 16]),
        began: at(0),
        sequence: u64::MAX,
        block: u64::MAX - 1,
        place: 0,
        data: 1,
        parity: 0,
    };
    let far = Sealer::new(&key()).seal(&header, &[0, 0]).unwrap();
    let mut told = receiver.take(at(60_000), &far);
    told.extend(receiver.tick(at(70_000)));
    assert_eq!(gaps(&told), [(count, u64::MAX - WINDOW), (u64::MAX - WINDOW, u64::MAX - 1)]);
    assert_eq!(receiver.state().unwrap().next, u64::MAX);
}

#[test]
fn what_is_no_list_of_points_is_not_read() {
    let sealer = Sealer::new(&key());
    let mut receiver = receiver(None);
    let mut send = |number: u64, batches: &[&str]| {
        let mut block = Vec::new();
        batches.iter().for_each(|it| super::block::put(&mut block, it.as_bytes()));
        block.resize(block.len().next_multiple_of(2).max(2), 0);
        let (stream, began) = (StreamId([1; 16]), at(0));
        let header = Header { stream, began, sequence: number, block: number, place: 0, data: 1, parity: 0 };
        receiver.take(at(0), &sealer.seal(&header, &block).unwrap())
    };
    let point = "[{\"signal\": \"tank.level\", \"value\": 1}]";
    assert_eq!(batches(&send(0, &[point, point])).len(), 2);
    let command = "{\"signal\": \"tank.pump\", \"value\": 1, \"principal\": {\"name\": \"plc\"}}";
    assert_eq!(send(1, &[command]), [Told::Unreadable { block: 1 }]);
    let told = send(2, &["[{\"signal\": \"tank.pump\", \"value\": 1, \"principal\": {}}]", point]);
    assert!(matches!(told[..], [Told::Batch(_), Told::Unreadable { block: 2 }]), "{told:?}");
    assert_eq!(receiver.counts().unreadable, 2);
    assert_eq!(super::block::batches(&[0, 0, 0, 9, 1]), None, "longer than the block");
    assert_eq!(super::block::batches(&[0, 0, 0, 0, 1]), None, "something behind the end");
}

#[test]
fn a_point_is_no_longer_than_a_block() {
    let mut sender = sender(1, 0, 1, 0);
    let mut long = points(0, 2);
    long[1].signal = "x".repeat(2_000);
    assert_eq!(sender.push(at(0), &long), Err(TooLong { room: PIECE - 4 }));
    assert_eq!(sender.next_deadline(), at(0) + Settings::default().beat, "nothing of it waits");
    assert!(sender.push(at(0), &[]).unwrap().is_empty());
    let bounds = Settings { data: 0, parity: 255, ..Settings::default() };
    let mut odd = Sender::new(&key(), StreamId([1; 16]), at(0), bounds);
    odd.push(at(0), &points(0, 1)).unwrap();
    assert_eq!(odd.close(at(0)).len(), 1 + usize::from(PIECES));
}

#[test]
fn keys_and_states_are_read_in_one_way() {
    assert!(Key::parse(&"g".repeat(64)).is_none() && Key::parse(&"é".repeat(32)).is_none());
    assert_eq!(format!("{:?}", key()), "Key");
    for bad in ["", "twinguard one-way 1", "twinguard one-way 1 zz 1 1", "twinguard one-way 1 1 1 1 1"] {
        assert_eq!(bad.parse::<State>(), Err(NoState), "{bad}");
    }
    assert_eq!(Duration::from_secs(2), Waits::default().patience);
}
