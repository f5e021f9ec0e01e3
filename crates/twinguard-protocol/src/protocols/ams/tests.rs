//! Conversations, message by message. Source of the layouts: *TwinCAT ADS/AMS Specification*, "ADS Commands".

use proptest::prelude::*;
use twinguard_types::{Endpoint, Oddity};

use super::*;
use crate::protocol::{Access, Block, Change};

const PLC: AmsAddress = AmsAddress { net: [5, 13, 117, 96, 1, 1], port: 851 };
const PANEL: AmsAddress = AmsAddress { net: [192, 168, 1, 99, 1, 1], port: 32808 };

fn ask(command: u16, invoke: u32, body: Body<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let repr = Repr { target: PLC, source: PANEL, command, flags: COMMAND, error: 0, invoke, body };
    repr.emit(&mut bytes).unwrap();
    bytes
}

fn answer(command: u16, invoke: u32, body: Body<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let flags = COMMAND | RESPONSE;
    Repr { target: PANEL, source: PLC, command, flags, error: 0, invoke, body }.emit(&mut bytes).unwrap();
    bytes
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The values of each message of one connection in turn.
fn tell(session: &mut Session, bytes: &[u8]) -> String {
    let mut shared = ();
    let view = Ams::decode(session, &mut shared, &Context::of(Sender::Unknown), bytes).unwrap();
    assert!(view.oddities().is_empty(), "{:?}", view.oddities());
    let points = Ams::blocks(&view, None).flat_map(Block::points).map(|point| {
        let sign = match point.access {
            Access::Read => "=",
            Access::Write => ":=",
            _ => "~",
        };
        let at = point.at.map_or(String::new(), |at| format!("@{}", at.as_nanos()));
        format!("{}{sign}{}{at}", fmt::from_fn(|f| Ams::write_tag(&point.tag, f)), point.raw)
    });
    points.collect::<Vec<_>>().join(" ")
}

#[test]
fn memories_are_told_by_group_and_offset() {
    let mut session = Session::default();
    let mut tell = |bytes: &[u8]| tell(&mut session, bytes);
    assert_eq!(tell(&ask(2, 1, Body::Read { group: 0x4020, offset: 12, len: 2 })), "");
    assert_eq!(tell(&answer(2, 1, Body::Data { result: 0, data: &[7, 1] })), "851/0x4020/12=0701");
    assert_eq!(tell(&answer(2, 1, Body::Data { result: 0, data: &[7, 1] })), "851/?=0701", "not asked for");
    assert_eq!(tell(&ask(3, 2, Body::Write { group: 0x4020, offset: 4, data: &[9] })), "851/0x4020/4:=09");
    assert_eq!(
        tell(&ask(9, 3, Body::ReadWrite { group: 1, offset: 2, read: 1, data: &[5] })),
        "851/0x1/2:=05"
    );
    assert_eq!(tell(&answer(9, 3, Body::Data { result: 0, data: &[6] })), "851/0x1/2=06");
}

#[test]
fn symbols_are_told_by_name() {
    let mut session = Session::default();
    let mut tell = |bytes: &[u8]| tell(&mut session, bytes);
    let find = Body::ReadWrite { group: 0xf003, offset: 0, read: 4, data: b"MAIN.fTemp\0" };
    assert_eq!(tell(&ask(9, 1, find)), "");
    assert_eq!(tell(&answer(9, 1, Body::Data { result: 0, data: &[0x42, 0, 0, 0] })), "");
    tell(&ask(2, 2, Body::Read { group: 0xf005, offset: 0x42, len: 4 }));
    let value = 36.5f32.to_le_bytes();
    assert_eq!(tell(&answer(2, 2, Body::Data { result: 0, data: &value })), "851/MAIN.fTemp=00001242");
    assert_eq!(
        tell(&ask(3, 3, Body::Write { group: 0xf005, offset: 0x42, data: &[1] })),
        "851/MAIN.fTemp:=01"
    );
    assert_eq!(tell(&ask(3, 3, Body::Write { group: 0xf005, offset: 7, data: &[1] })), "851/0xf005/7:=01");
    tell(&ask(9, 4, Body::ReadWrite { group: 0xf004, offset: 0, read: 1, data: b"GVL.bRun" }));
    assert_eq!(tell(&answer(9, 4, Body::Data { result: 0, data: &[1] })), "851/GVL.bRun=01");
    // Notifications, of a memory and of a symbol.
    let notify =
        |group, offset| Body::Notify { group, offset, len: 1, mode: 4, max_delay: 0, cycle: 100_000 };
    tell(&ask(6, 5, notify(0xf005, 0x42)));
    tell(&answer(6, 5, Body::Handle { result: 0, handle: 9 }));
    let mut data = 116_444_736_000_000_010i64.to_le_bytes().to_vec();
    data.extend(words(&[2, 9, 1]));
    data.push(3);
    data.extend(words(&[8, 1]));
    data.push(4);
    let notes = Repr {
        target: PANEL,
        source: PLC,
        command: 8,
        flags: COMMAND,
        error: 0,
        invoke: 0,
        body: Body::Notes { stamps: 1, data: &data },
    };
    let mut bytes = Vec::new();
    notes.emit(&mut bytes).unwrap();
    assert_eq!(tell(&bytes), "851/MAIN.fTemp=03@1000 851/?=04@1000");
    assert_eq!(
        Ams::header(&View::new(&bytes).unwrap()),
        Header { kind: Kind::Event, unit: 851, function: 8, key: None }
    );
}

#[test]
fn lists_are_told_one_by_one() {
    let mut session = Session::default();
    let mut tell = |bytes: &[u8]| tell(&mut session, bytes);
    let list = words(&[0x4020, 0, 2, 0x4020, 8, 1]);
    assert_eq!(tell(&ask(9, 1, Body::ReadWrite { group: 0xf080, offset: 2, read: 11, data: &list })), "");
    let data = [words(&[0, 0x703]), vec![1, 2, 3]].concat();
    let told = tell(&answer(9, 1, Body::Data { result: 0, data: &data }));
    assert_eq!(told, "851/0x4020/0=0102 851/0x4020/8~03");
    let list = [words(&[0x4020, 0, 2, 0x4020, 8, 1]), vec![1, 2, 3]].concat();
    let told = tell(&ask(9, 2, Body::ReadWrite { group: 0xf081, offset: 2, read: 8, data: &list }));
    assert_eq!(told, "851/0x4020/0:=0102 851/0x4020/8:=03");
    let flood = ask(9, 3, Body::ReadWrite { group: 0xf081, offset: u32::MAX, read: 8, data: &list });
    assert_eq!(tell(&flood), "");
}

#[test]
fn states_are_set_and_refused() {
    let action = |command, body| Ams::action(&Ams::memo(&View::new(&ask(command, 1, body)).unwrap()));
    assert_eq!(action(5, Body::Control { ads: 6, device: 0, data: &[] }), Some(Action::Stop));
    assert_eq!(action(5, Body::Control { ads: 5, device: 0, data: &[] }), Some(Action::Start));
    assert_eq!(action(5, Body::Control { ads: 2, device: 0, data: &[] }), Some(Action::Restart));
    assert_eq!(action(1, Body::Empty), Some(Action::Browse));
    assert_eq!(action(2, Body::Read { group: 0x4020, offset: 0, len: 1 }), None);
    let (request, refused) = (
        ask(5, 7, Body::Control { ads: 6, device: 0, data: &[] }),
        answer(5, 7, Body::Result { result: 0x70b }),
    );
    let (request, refused) = (View::new(&request).unwrap(), View::new(&refused).unwrap());
    assert_eq!(Ams::header(&request).key, Ams::header(&refused).key);
    assert_eq!((Ams::header(&refused).kind, Ams::refusal(&refused)), (Kind::Exception, Some(0x0b)));
    assert_eq!(Ams::fit(&Ams::memo(&request), &refused), Fit::Exact);
}

fn odd(bytes: &[u8], expect: (Oddity, u32)) {
    assert_eq!(View::new(bytes).unwrap().oddities().iter().next(), Some(expect), "{bytes:02x?}");
    assert_eq!(Ams::probe(bytes), None);
}

#[test]
fn what_is_odd_is_named_with_its_place() {
    let good = ask(2, 1, Body::Read { group: 1, offset: 2, len: 3 });
    assert_eq!(Ams::probe(&good), Some(Sender::Client));
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    odd(&with(2, 9), (Oddity::LengthMismatch, 2));
    odd(&with(26, 9), (Oddity::LengthMismatch, 26));
    odd(&with(22, 10), (Oddity::UnknownFunction, 22));
    odd(&with(24, 0), (Oddity::BadValue, 24));
    odd(&with(22, 9), (Oddity::Truncated, 50));
    odd(&with(22, 7), (Oddity::TrailingBytes, 42));
    odd(&answer(3, 1, Body::Result { result: 1 })[..41], (Oddity::LengthMismatch, 2));
}

#[test]
fn streams_are_cut_by_the_length_field() {
    let message = ask(4, 1, Body::Empty);
    for len in 0..message.len() {
        assert!(matches!(Ams::cut(&message[..len]), Cut::More(more) if more > len), "{len}");
        assert_eq!(Ams::probe(&message[..len]), None);
    }
    assert_eq!(Ams::cut(&message.repeat(2)), Cut::Message(message.len()));
    assert_eq!(Ams::cut(&[0, 0, 31, 0, 0, 0]), Cut::Foreign);
    assert_eq!(Ams::cut(b"GET / "), Cut::Foreign);
    let router = [0, 0x10, 2, 0, 0, 0, 0x10, 0x27];
    assert_eq!(Ams::cut(&router), Cut::Message(8));
    assert!(Ams::absorb(&mut Session::default(), &Context::of(Sender::Client).source, &router));
}

#[test]
fn a_tag_is_written_in_one_way() {
    let show = |text| Ams::parse_tag(text).map(|tag| fmt::from_fn(|f| Ams::write_tag(&tag, f)).to_string());
    for good in ["851/0x4020/0", "10000/0x0/4294967295", "851/MAIN.a[3].b", "851/_x@8"] {
        assert_eq!(show(good).as_deref(), Some(good));
    }
    for bad in [
        "",
        "851",
        "851/",
        "851/0x04/1",
        "851/0X4/1",
        "851/0x4",
        "65536/a",
        "851/a@0",
        "851/a b",
        "851/1a",
        "851/a@1@2",
    ] {
        assert_eq!(show(bad), None, "{bad}");
    }
}

#[test]
fn a_command_is_a_write() {
    let tag = Ams::parse_tag("851/0x4020/12").unwrap();
    let change = Change::Words { bytes: [1, 2, 0, 0, 0, 0, 0, 0], len: 2 };
    let write = Write { family: Ams::FAMILY, endpoint: Endpoint::Any, tag, change };
    let mut bytes = Vec::new();
    Ams::command(&write, 5, &mut bytes).unwrap();
    assert_eq!(tell(&mut Session::default(), &bytes), "851/0x4020/12:=0102");
    let symbol = Write { tag: Ams::parse_tag("851/MAIN.a").unwrap(), ..write };
    assert_eq!(Ams::command(&symbol, 5, &mut bytes), None, "its handle is the session's");
}

proptest! {
    #[test]
    fn emitted_messages_read_back(command in 0..11u16, response: bool, error in 0..2u32, numbers: [u32; 6], which in 0..15usize,
        data in proptest::collection::vec(any::<u8>(), 0..40)) {
        let [group, offset, len, mode, max_delay, cycle] = numbers;
        let data = &data[..];
        let body = [
            Body::Empty,
            Body::DeviceInfo { result: group, version: offset.to_le_bytes(), name: b"Plc30 App\0\0\0\0\0\0\0" },
            Body::Read { group, offset, len },
            Body::Data { result: group, data },
            Body::Write { group, offset, data },
            Body::Result { result: group },
            Body::State { result: group, ads: offset as u16, device: len as u16 },
            Body::Control { ads: offset as u16, device: len as u16, data },
            Body::Notify { group, offset, len, mode, max_delay, cycle },
            Body::Handle { result: group, handle: offset },
            Body::Unnotify { handle: offset },
            Body::Notes { stamps: group, data },
            Body::ReadWrite { group, offset, read: len, data },
            Body::Opaque { data },
            Body::Opaque { data: &[] },
        ][which];
        let flags = COMMAND | u16::from(response);
        let repr = Repr { target: PLC, source: PANEL, command, flags, error, invoke: cycle, body };
        let mut bytes = vec![9];
        if repr.emit(&mut bytes).is_ok() {
            let view = View::new(&bytes[1..]).unwrap();
            prop_assert_eq!(Repr::try_from(&view), Ok(repr));
            prop_assert_eq!(Ams::cut(&bytes[1..]), Cut::Message(bytes.len() - 1));
        } else {
            prop_assert_eq!(bytes, [9]);
        }
    }

    #[test]
    fn no_bytes_panic(mut head: [u8; 38], command in 0..12u8, flags in 0..8u8, data in proptest::collection::vec(any::<u8>(), 0..80)) {
        (head[22], head[24]) = (command, flags);
        let bytes = [&head[..], &data].concat();
        let mut session = Session::default();
        for _ in 0..2 {
            let mut shared = ();
            let view = Ams::decode(&mut session, &mut shared, &Context::of(Sender::Unknown), &bytes).unwrap();
            let _ = (Ams::header(&view), Ams::memo(&view), Ams::refusal(&view));
            Ams::fields(&view, &mut |_, field| assert!(field.to_string().len() < 200));
            prop_assert!(Ams::blocks(&view, None).count() <= bytes.len());
        }
    }
}
