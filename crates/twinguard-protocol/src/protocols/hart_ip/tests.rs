//! The family by itself: values with unit, quality and time, actions, emitted messages.

use proptest::prelude::*;
use twinguard_types::{Endpoint, Oddity, Quality, Value};

use super::*;
use crate::protocol::{Access, Block};

const DEVICE: Device = Device::Unique(0x26_95eb_27b8);

fn pdu(bytes: &[u8], at: Timestamp) -> Pdu<'_> {
    let context = Context { at, ..Context::of(Sender::Unknown) };
    HartIp::decode(Box::leak(Box::new(())), Box::leak(Box::new(())), &context, bytes).unwrap()
}

fn show(block: Block<'_>) -> String {
    let place = fmt::from_fn(|f| HartIp::write_place(&block.tag, block.variant, f));
    let access = match block.access {
        Access::Read => "r",
        Access::Write => "w",
        _ => "e",
    };
    let quality = match block.quality {
        Quality::Good => "",
        Quality::Bad => "!",
        Quality::Substituted => "*",
        _ => "?",
    };
    let value = match block.data {
        crate::protocol::Data::Scalar { value, .. } => value.to_string(),
        _ => String::new(),
    };
    format!("{place}={value}{access}{quality}")
}

fn values(content: Content<'_>) -> String {
    let bytes = Repr::new(7, content).unwrap().emit();
    let pdu = pdu(&bytes, Timestamp::ZERO);
    assert!(HartIp::oddities(&pdu).is_empty());
    HartIp::blocks(&pdu, None).map(show).collect::<Vec<_>>().join(" ").replace("2695eb27b8/", "")
}

fn ask(command: u16, data: &[u8]) -> Content<'_> {
    Content::Request { device: DEVICE, command, data }
}

fn tell(command: u16, status: [u8; 2], data: &[u8]) -> Content<'_> {
    Content::Response { device: DEVICE, published: false, command, status, data }
}

fn floats(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

const ONE: [u8; 4] = [0x3f, 0x80, 0, 0];
const TWO: [u8; 4] = [0x40, 0, 0, 0];
const ABSENT: [u8; 4] = [0x7f, 0xa0, 0, 0];

#[test]
fn values_carry_unit_and_quality() {
    assert_eq!(values(tell(1, [0, 0], &floats(&[&[39], &ONE]))), "pv@39=1r");
    assert_eq!(values(tell(2, [0, 0], &floats(&[&TWO, &ONE]))), "loop=2r range=1r");
    let dynamic = floats(&[&TWO, &[39], &ONE, &[57], &TWO, &[250], &ABSENT]);
    assert_eq!(values(tell(3, [0, 0], &dynamic)), "loop=2r pv@39=1r sv@57=2r tv@250=NaNr!");
    let slots =
        floats(&[&[0], &[0, 0, 75], &ONE, &[0xc0], &[246, 0, 39], &TWO, &[0x80], &[3, 0, 1], &TWO, &[0x40]]);
    assert_eq!(values(tell(9, [0, 0x10], &slots)), "dv0@75=1r pv@39=2r* dv3@1=2r?");
    assert_eq!(values(tell(33, [0, 0], &floats(&[&[5, 32], &ONE]))), "dv5@32=1r");
    assert_eq!(values(tell(48, [0, 0], &[1, 2])), "st0=1r st1=2r");
    let range = floats(&[&[0, 0, 12], &TWO, &ONE, &ONE, &[0]]);
    assert_eq!(values(tell(15, [0, 0], &range)), "upper@12=2r lower@12=1r damping=1r");
    // Device status: malfunction; primary variable out of limits; loop current fixed.
    assert_eq!(values(tell(1, [0, 0x80], &floats(&[&[39], &ONE]))), "pv@39=1r!");
    assert_eq!(values(tell(1, [0, 0x01], &floats(&[&[39], &ONE]))), "pv@39=1r?");
    assert_eq!(values(tell(2, [0, 0x08], &floats(&[&TWO, &ONE]))), "loop=2r? range=1r?");
    // An error on the line carries no values; neither does a question.
    assert_eq!(values(tell(1, [0x84, 0], &floats(&[&[39], &ONE]))), "");
    assert_eq!(values(ask(9, &[0, 1, 2])), "");
}

#[test]
fn what_is_written_is_told_and_repeated() {
    assert_eq!(values(ask(40, &ONE)), "loop=1w");
    assert_eq!(values(tell(40, [0, 0], &ONE)), "loop=1e");
    assert_eq!(values(ask(34, &TWO)), "damping=2w");
    assert_eq!(values(ask(35, &floats(&[&[12], &TWO, &ONE]))), "upper@12=2w lower@12=1w");
    assert_eq!(values(ask(79, &floats(&[&[3, 1, 32], &TWO, &[0]]))), "dv3@32=2w");
    let direct = Content::Request { device: Device::Server, command: 79, data: &[0, 1, 250, 0, 0, 0, 0, 0] };
    assert_eq!(values(direct), "self/dv0@250=0w");
    let polled = Content::Request { device: Device::Polling(3), command: 40, data: &ONE };
    assert_eq!(values(polled), "#3/loop=1w");
}

#[test]
fn device_time_is_completed_where_the_clock_is_set() {
    // 12:00:00 of the day, in 1/32 ms.
    let noon = 12 * 3600 * 1000 * 32u32;
    let data = floats(&[&[0, 0, 0, 75], &ONE, &[0xc0], &noon.to_be_bytes()]);
    let bytes = Repr::new(7, tell(9, [0, 0], &data)).unwrap().emit();
    let at = |now: i64| HartIp::blocks(&pdu(&bytes, Timestamp::from_secs(now)), None).next().unwrap().at;
    let day = 20_000 * 86_400;
    assert_eq!(at(day + 43_201), Some(Timestamp::from_secs(day + 43_200)));
    assert_eq!(at(day + 50_000), None, "hours apart: never set");
}

#[test]
fn commands_are_actions_and_answers_refuse() {
    let action = |content| {
        let bytes = Repr::new(7, content).unwrap().emit();
        HartIp::action(&HartIp::memo(&pdu(&bytes, Timestamp::ZERO)))
    };
    assert_eq!(action(ask(42, &[])), Some(Action::Restart));
    assert_eq!(action(ask(89, &[0; 8])), Some(Action::SetTime));
    assert_eq!(action(ask(44, &[12])), Some(Action::Configure));
    assert_eq!(action(ask(1, &[])), None);
    assert_eq!(action(Content::Initiate { timeout: 1000 }), Some(Action::Connect));
    assert_eq!(action(Content::Close), Some(Action::Disconnect));
    let refusal = |code| {
        let bytes = Repr::new(7, tell(1, [code, 0], &[])).unwrap().emit();
        HartIp::refusal(&pdu(&bytes, Timestamp::ZERO))
    };
    assert_eq!(refusal(0), None);
    assert_eq!(refusal(8), None, "a warning");
    assert_eq!(refusal(7), Some(7), "write protected");
    assert_eq!(refusal(0x84), Some(0x84));
}

#[test]
fn messages_are_cut_and_recognised() {
    let asks = Repr::new(7, ask(1, &[])).unwrap().emit();
    let tells = Repr::new(7, tell(533, [0, 0], &[1, 2])).unwrap().emit();
    for len in 0..asks.len() {
        assert!(matches!(HartIp::cut(&asks[..len]), Cut::More(more) if more > len));
        assert_eq!(HartIp::probe(&asks[..len]), None);
    }
    assert_eq!(HartIp::cut(&[&asks[..], &tells].concat()), Cut::Message(asks.len()));
    assert_eq!(HartIp::probe(&asks), Some(Sender::Client));
    assert_eq!(HartIp::probe(&tells), Some(Sender::Server));
    assert_eq!(HartIp::probe(&[&asks[..], &tells].concat()), None);
    assert_eq!(HartIp::cut(b"\x16\x03\x01\x02\x00\x01\x00\x01"), Cut::Foreign, "TLS");
    assert_eq!(HartIp::probe(&[0; 32]), None);
    let mut spoilt = asks.clone();
    spoilt[10] ^= 1;
    assert!(View::new(&spoilt).unwrap().oddities().contains(Oddity::BadChecksum));
    let header = HartIp::header(&pdu(&tells, Timestamp::ZERO));
    assert_eq!((header.kind, header.function), (Kind::Response, 31));
    assert_eq!(View::new(&tells).unwrap().commands().next().unwrap().number, 533);
}

#[test]
fn a_tag_is_written_in_one_way() {
    let show = |tag| fmt::from_fn(|f| HartIp::write_tag(&tag, f)).to_string();
    for good in [
        "2695eb27b8/pv",
        "#0/sv",
        "self/tv",
        "#63/qv",
        "self/loop",
        "self/range",
        "self/dv3",
        "self/damping",
        "self/upper",
        "self/lower",
        "self/st24",
    ] {
        assert_eq!(HartIp::parse_tag(good).map(show).as_deref(), Some(good));
    }
    assert_eq!(HartIp::parse_tag("#0/pv@39"), HartIp::parse_tag("#0/pv"), "units are no part of the place");
    for bad in [
        "",
        "pv",
        "#64/pv",
        "f695eb27b8/pv",
        "2695EB27B8/pv",
        "self/dv246",
        "self/dv",
        "self/xx",
        "self/pv@x",
    ] {
        assert_eq!(HartIp::parse_tag(bad), None, "{bad}");
    }
}

#[test]
fn a_change_becomes_a_message() {
    let check = |tag: &str, expect: &str| {
        let tag = HartIp::parse_tag(tag).unwrap();
        let change = Change::Scalar { value: Value::real(2.0).unwrap(), encoding: Encoding::Native };
        let write = Write { family: HartIp::FAMILY, endpoint: Endpoint::Any, tag, change };
        let mut out = Vec::new();
        let made = HartIp::command(&write, 5, &mut out);
        let text = made
            .map(|()| HartIp::blocks(&pdu(&out, Timestamp::ZERO), None).map(self::show).collect::<String>());
        assert_eq!(text.as_deref().unwrap_or("none"), expect);
    };
    check("2695eb27b8/loop", "2695eb27b8/loop=2w");
    check("self/dv3", "self/dv3@250=2w");
    check("#1/damping", "#1/damping=2w");
    check("self/pv", "none");
}

proptest! {
    #[test]
    fn emitted_messages_read_back(sequence: u16, command: u16, status: [u8; 2], data in proptest::collection::vec(any::<u8>(), 0..100), address in 0..1u64 << 38, which in 0..3, form in 0..3) {
        let device = match which {
            0 => Device::Unique(address),
            1 => Device::Polling(address as u8 & 63),
            _ => Device::Server,
        };
        let content = match form {
            0 => Content::Request { device, command, data: &data },
            published => Content::Response { device, published: published == 2, command, status, data: &data },
        };
        let bytes = Repr::new(sequence, content).unwrap().emit();
        let view = View::new(&bytes).unwrap();
        prop_assert!(view.oddities().is_empty());
        prop_assert_eq!((view.sequence(), view.device()), (sequence, device));
        let expect = Command {
            number: command,
            code: (form != 0).then_some(status[0]),
            status: if form == 0 { 0 } else { status[1] },
            data: &data,
        };
        prop_assert_eq!(view.commands().collect::<Vec<_>>(), vec![expect]);
        prop_assert!(HartIp::probe(&bytes).is_some());
    }

    #[test]
    fn any_bytes_are_shown(body in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..3u8, id in 0..7u8) {
        let mut bytes = vec![1, kind, id, 0, 0, 1, 0, body.len() as u8 + 8];
        bytes.extend(&body);
        let pdu = pdu(&bytes, Timestamp::ZERO);
        let mut fields = 0;
        HartIp::fields(&pdu, &mut |_, _| fields += 1);
        prop_assert!(HartIp::blocks(&pdu, None).count() <= bytes.len());
        let _ = (HartIp::header(&pdu), HartIp::memo(&pdu), HartIp::refusal(&pdu), HartIp::probe(&bytes));
    }
}
