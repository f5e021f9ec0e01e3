use proptest::prelude::*;
use twinguard_types::{Oddity, Quality, Timestamp};

use super::*;
use crate::iec61850::UtcTime;

const CHANNELS: &[(i32, u32)] =
    &[(1224, 0), (-1224, 1), (0, 3), (8061, 0), (-1, 0), (1, 0), (2, 0), (3, 1 << 13)];

fn samples(sample: u16) -> Samples<'static> {
    Samples { id: "MU01", sample, revision: 1, time: None, synchronised: 2, channels: CHANNELS }
}

fn say(shared: &mut Shared, asdus: &[Samples<'_>]) -> Vec<Oddity> {
    let bytes = Repr { app_id: 0x4000, simulated: false, asdus }.emit().unwrap();
    let mut session = ();
    let view = Sv::decode(&mut session, shared, &Context::of(Sender::Unknown), &bytes).unwrap();
    view.oddities().iter().map(|(oddity, _)| oddity).collect()
}

#[test]
fn channels_become_values() {
    let time = Some(UtcTime::of(Timestamp::from_millis(2500), 0));
    let asdus = [samples(7), Samples { time, synchronised: 0, ..samples(8) }];
    let bytes = Repr { app_id: 0x4000, simulated: false, asdus: &asdus }.emit().unwrap();
    let view = View::new(&bytes).unwrap();
    let blocks: Vec<_> = Sv::blocks(&view, None).collect();
    assert_eq!(blocks.len(), 16);
    let value = Scalar::Signed(-1224);
    assert_eq!(blocks[1].data, Data::Scalar { raw: &(-1224i32).to_be_bytes(), value });
    let qualities: Vec<_> = blocks.iter().map(|block| block.quality).collect();
    assert_eq!(qualities[..4], [Quality::Good, Quality::Bad, Quality::Uncertain, Quality::Good]);
    assert_eq!(qualities[11], Quality::Uncertain, "no clock");
    assert_eq!((blocks[0].at, blocks[8].at), (None, Some(Timestamp::from_millis(2500))));
    let show =
        |block: &Block<'_>| fmt::from_fn(|f| Sv::write_place(&block.tag, block.variant, f)).to_string();
    assert_eq!((show(&blocks[3]), show(&blocks[8])), ("MU01/7/3".into(), "MU01/8/0".into()));
}

#[test]
fn all_ways_to_write_a_place_are_one() {
    let place = Some(tag(b"MU01", 4));
    for text in ["MU01/*/4", "MU01/3999/4", "MU01/4"] {
        assert_eq!(Sv::parse_tag(text), place, "{text}");
    }
    assert_eq!(Sv::parse_tag("LD/MU01/4"), Some(tag(b"LD/MU01", 4)));
    for text in ["", "4", "/4", "MU01/", "MU01/x", "MU01/04"] {
        assert_eq!(Sv::parse_tag(text), None, "{text}");
    }
}

#[test]
fn numbers_are_followed() {
    let mut shared = Shared::default();
    assert_eq!(say(&mut shared, &[samples(3998), samples(3999)]), []);
    assert_eq!(say(&mut shared, &[samples(0)]), []);
    assert_eq!(say(&mut shared, &[samples(0)]), [Oddity::DuplicateTransaction]);
    assert_eq!(say(&mut shared, &[samples(5)]), [Oddity::Gap]);
    assert_eq!(say(&mut shared, &[Samples { id: "MU02", ..samples(77) }]), []);
    assert_eq!(say(&mut shared, &[Samples { revision: 2, ..samples(6) }]), [Oddity::BadValue]);
}

#[test]
fn what_is_odd_is_flagged() {
    let bytes = Repr { app_id: 1, simulated: true, asdus: &[samples(1)] }.emit().unwrap();
    let odd = |bytes: &[u8]| {
        let (mut session, mut shared) = ((), Shared::default());
        let view = Sv::decode(&mut session, &mut shared, &Context::of(Sender::Unknown), bytes).unwrap();
        view.oddities().iter().map(|(oddity, _)| oddity).collect::<Vec<_>>()
    };
    assert_eq!(odd(&bytes), []);
    assert_eq!(odd(&[&bytes[..], &[0; 9]].concat()), [], "padding");
    let with = |at: usize, byte| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(odd(&with(3, 200)), [Oddity::LengthMismatch]);
    assert_eq!(odd(&with(8, 0x61)), [Oddity::UnknownFunction]);
    assert_eq!(odd(&with(12, 2)), [Oddity::BadQuantity]);
    assert!(odd(&bytes[..40]).contains(&Oddity::Truncated));
    assert!(View::new(&bytes[..7]).is_none());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        (app_id, simulated) in any::<(u16, bool)>(),
        id in "[A-Za-z0-9_/]{1,34}",
        asdus in prop::collection::vec((any::<(u16, u32, Option<[u8; 8]>)>(), 0..3u8, prop::collection::vec(any::<(i32, u32)>(), 0..9)), 1..4),
    ) {
        let asdus: Vec<_> = asdus.iter().map(|((sample, revision, time), synchronised, channels)| Samples {
            id: &id, sample: *sample, revision: *revision, time: time.map(UtcTime), synchronised: *synchronised, channels,
        }).collect();
        let bytes = Repr { app_id, simulated, asdus: &asdus }.emit().unwrap();
        let view = View::new(&bytes).unwrap();
        prop_assert!(view.oddities().is_empty());
        prop_assert_eq!((view.app_id(), view.is_simulated(), view.count()), (app_id, simulated, Some(asdus.len() as u16)));
        prop_assert_eq!(view.asdus().count(), asdus.len());
        for (asdu, sent) in view.asdus().zip(&asdus) {
            prop_assert_eq!(asdu.fault, None);
            prop_assert_eq!((asdu.id, asdu.sample), (Some(sent.id.as_bytes()), Some(sent.sample)));
            prop_assert_eq!((asdu.revision, asdu.time, asdu.synchronised), (Some(sent.revision), sent.time, Some(sent.synchronised)));
            prop_assert!(asdu.channels().map(|channel| channel.value).eq(sent.channels.iter().map(|(value, _)| *value)));
        }
        for block in Sv::blocks(&view, None) {
            let whole = fmt::from_fn(|f| Sv::write_tag(&block.tag, f)).to_string();
            let way = fmt::from_fn(|f| Sv::write_place(&block.tag, block.variant, f)).to_string();
            prop_assert_eq!(Sv::parse_tag(&whole), Some(block.tag));
            prop_assert_eq!(Sv::parse_tag(&way), Some(block.tag));
        }
    }

    #[test]
    fn any_bytes_are_shown(bytes: Vec<u8>) {
        if let Some(view) = View::new(&bytes) {
            Sv::blocks(&view, None).for_each(drop);
            Sv::fields(&view, &mut |_, field| drop(field.to_string()));
        }
    }
}
