use proptest::prelude::*;
use twinguard_types::{Mac, Oddity, Quality, Timestamp};

use super::*;
use crate::iec61850::{Entry, UtcTime};

const ENTRIES: &[Entry<'_>] = &[
    Entry::Boolean(true),
    Entry::Bits(&[0x40, 0], 13),
    Entry::Structure(&[
        Entry::Float(2.5),
        Entry::Bits(&[0, 0], 13),
        Entry::Time(UtcTime([0, 0, 0, 5, 0, 0, 0, 0])),
    ]),
];

fn repr(state_number: u32, sequence_number: u32) -> Repr<'static> {
    Repr {
        app_id: 0x3001,
        simulation: false,
        control_block: "LD0/LLN0$GO$gcb",
        time_allowed_to_live: 2000,
        data_set: "LD0/LLN0$Trips",
        id: Some("trips"),
        time: UtcTime([0; 8]),
        state_number,
        sequence_number,
        revision: 1,
        needs_commissioning: false,
        entries: ENTRIES,
    }
}

fn odd(bytes: &[u8]) -> Vec<Oddity> {
    View::new(bytes).unwrap().oddities().iter().map(|(oddity, _)| oddity).collect()
}

#[test]
fn values_have_their_quality_and_time() {
    let bytes = repr(1, 0).emit().unwrap();
    let view = View::new(&bytes).unwrap();
    let blocks: Vec<_> = Goose::blocks(&view, None).collect();
    assert_eq!(blocks.len(), 5);
    assert_eq!(blocks[0].quality, Quality::Bad);
    assert_eq!((blocks[2].quality, blocks[2].at), (Quality::Good, Some(Timestamp::from_secs(5))));
    let texts: Vec<_> =
        blocks.iter().map(|b| fmt::from_fn(|f| Goose::write_tag(&b.tag, f)).to_string()).collect();
    assert_eq!(texts[4], "LD0/LLN0$GO$gcb/4");
    assert_eq!(Goose::header(&view).function, 1);
    assert_eq!(
        Goose::header(&View::new(&repr(70_000, 0).emit().unwrap()).unwrap()).function,
        Header::NO_FUNCTION
    );
}

#[test]
fn what_is_odd_is_flagged() {
    let good = repr(1, 0).emit().unwrap();
    assert_eq!(odd(&good), []);
    assert_eq!(odd(&[good.clone(), vec![0; 20]].concat()), [], "padding");
    let mut wrong = good.clone();
    wrong[3] += 4;
    assert_eq!(odd(&wrong)[0], Oddity::LengthMismatch);
    assert!(odd(&good[..good.len() - 3]).contains(&Oddity::Truncated));
    let mut wrong = good.clone();
    let count = wrong.windows(3).position(|window| window == [0x8a, 1, 3]).unwrap();
    wrong[count + 2] = 9;
    assert_eq!(odd(&wrong), [Oddity::BadQuantity]);
    let mut wrong = good;
    wrong[8] = 0x60;
    assert_eq!(odd(&wrong), [Oddity::UnknownFunction]);
    assert!(View::new(&[0; 7]).is_none());
}

#[test]
fn numbers_are_followed_whoever_sends() {
    let mut shared = Shared::default();
    let mut say = |source: u8, millis, state, sequence, entries| {
        let bytes = Repr { entries, ..repr(state, sequence) }.emit().unwrap();
        let context = Context {
            at: Timestamp::from_millis(millis),
            source: Address::Mac(Mac([source; 6])),
            ..Context::of(Sender::Unknown)
        };
        let view = Goose::decode(Box::leak(Box::new(())), &mut shared, &context, &bytes).unwrap();
        let mut found = view.oddities().iter().map(|(oddity, _)| oddity);
        (found.next(), found.next())
    };
    let other: &[_] = &[Entry::Boolean(false)];
    assert_eq!(say(1, 0, 5, 7, ENTRIES), (None, None), "joined in the middle");
    assert_eq!(say(1, 10, 5, 8, ENTRIES), (None, None));
    assert_eq!(say(1, 20, 6, 0, other), (None, None), "a new state");
    assert_eq!(say(9, 30, 6, 0, ENTRIES), (Some(Oddity::DuplicateTransaction), None), "forged elsewhere");
    assert_eq!(say(1, 40, 6, 1, other), (None, None), "which changes nothing");
    assert_eq!(say(9, 50, 6, 2, ENTRIES), (Some(Oddity::BadValue), None), "another value, the same state");
    assert_eq!(say(1, 60, 6, 5, ENTRIES), (Some(Oddity::Gap), None));
    assert_eq!(say(9, 70, 4000, 0, other), (Some(Oddity::Gap), None), "a high number");
    assert_eq!(
        say(1, 80, 6, 6, other),
        (Some(Oddity::DuplicateTransaction), None),
        "now its victim lags behind"
    );
    assert_eq!(say(1, 90_000, 7, 0, other), (Some(Oddity::Gap), None), "until the high number has lapsed");
    assert_eq!(say(1, 90_010, 1, 1, other), (Some(Oddity::Gap), None), "it begins anew");
}

#[test]
fn publishers_are_bounded() {
    let (mut shared, mut session) = (Shared::default(), ());
    for app_id in 0..PUBLISHERS_MAX as u16 + 9 {
        let bytes = Repr { app_id, ..repr(1, 0) }.emit().unwrap();
        assert!(Goose::decode(&mut session, &mut shared, &Context::of(Sender::Unknown), &bytes).is_some());
    }
    assert!(format!("{shared:?}").matches("Publisher {").count() <= PUBLISHERS_MAX);
}

#[test]
fn routed_messages_are_recognised() {
    let inner = repr(3, 0).emit().unwrap();
    let pdu = &inner[HEADER_LEN..];
    // IEC 61850-90-5 §8.3: common header of 20 bytes with its identifier and length, then length of the payload.
    let mut bytes = ROUTED.to_vec();
    bytes.push(24);
    bytes.extend([0x80, 22]);
    bytes.extend([0; 22]);
    bytes.extend(((pdu.len() + 6) as u32).to_be_bytes());
    bytes.extend([0x81, 0, 0x30, 1]);
    bytes.extend((pdu.len() as u16).to_be_bytes());
    bytes.extend(pdu);
    assert_eq!(Goose::probe(&bytes), Some(Sender::Server));
    assert_eq!(View::routed(&bytes).unwrap().app_id(), 0x3001);
    assert_eq!(Goose::probe(&bytes[..bytes.len() - 1]), None);
    assert_eq!(Goose::probe(&inner), None);
}

fn entry() -> impl Strategy<Value = Entry<'static>> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Entry::Boolean),
        any::<i64>().prop_map(Entry::Integer),
        any::<u64>().prop_map(Entry::Unsigned),
        (-1e6..1e6f32).prop_map(Entry::Float),
        (-1e9..1e9f64).prop_map(Entry::Double),
        any::<[u8; 8]>().prop_map(|bytes| Entry::Time(UtcTime(bytes))),
        Just(Entry::Bits(&[0x40], 2)),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(|entries| Entry::Structure(Vec::leak(entries)))
    })
}

fn count(entries: &[Entry<'_>]) -> usize {
    entries.iter().map(|entry| if let Entry::Structure(inside) = entry { count(inside) } else { 1 }).sum()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        (app_id, simulation, ttl) in any::<(u16, bool, u32)>(),
        (state, sequence, revision) in any::<(u32, u32, u32)>(),
        (block, set, id) in ("[A-Za-z0-9]{1,20}/LLN0[$]GO[$][a-z]{1,9}", "[A-Z]{1,20}", proptest::option::of("[a-z]{1,20}")),
        time in any::<[u8; 8]>(),
        entries in prop::collection::vec(entry(), 0..8),
    ) {
        let repr = Repr {
            app_id, simulation, control_block: &block, time_allowed_to_live: ttl, data_set: &set, id: id.as_deref(),
            time: UtcTime(time), state_number: state, sequence_number: sequence, revision,
            needs_commissioning: simulation, entries: &entries,
        };
        let bytes = repr.emit().unwrap();
        let view = View::new(&bytes).unwrap();
        prop_assert!(view.oddities().is_empty(), "{:?}", view.oddities());
        prop_assert_eq!((view.app_id(), view.is_simulated()), (app_id, simulation));
        prop_assert_eq!(view.control_block(), Some(block.as_bytes()));
        prop_assert_eq!((view.data_set(), view.id()), (Some(set.as_bytes()), id.as_deref().map(str::as_bytes)));
        prop_assert_eq!((view.state_number(), view.sequence_number()), (Some(state), Some(sequence)));
        prop_assert_eq!((view.revision(), view.time_allowed_to_live()), (Some(revision), Some(ttl)));
        prop_assert_eq!((view.time(), view.entries()), (Some(UtcTime(time)), Some(entries.len() as u32)));
        let mut again = Vec::new();
        entries.iter().for_each(|entry| entry.emit(&mut again).unwrap());
        prop_assert_eq!(view.data(), &again[..]);
        let blocks: Vec<_> = Goose::blocks(&view, None).collect();
        prop_assert_eq!(blocks.len(), count(&entries));
        for block in blocks {
            let text = fmt::from_fn(|f| Goose::write_tag(&block.tag, f)).to_string();
            prop_assert_eq!(Goose::parse_tag(&text), Some(block.tag));
        }
    }

    #[test]
    fn any_bytes_are_shown(bytes in any::<Vec<u8>>()) {
        if let Some(view) = View::new(&bytes) {
            Goose::blocks(&view, None).for_each(drop);
            Goose::fields(&view, &mut |_, field| drop(field.to_string()));
        }
        Goose::probe(&[&ROUTED[..], &bytes].concat());
    }
}
