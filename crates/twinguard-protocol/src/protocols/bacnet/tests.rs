//! Messages of Annex F, routed and segmented ones, MS/TP, tags and commands (ANSI/ASHRAE 135-2020).

use proptest::prelude::*;
use twinguard_types::{Endpoint, Finite, Quality};

use super::*;
use crate::protocol::{Access, Data};

/// Reads one message by itself.
pub(super) fn decode(bytes: &[u8], look: impl FnOnce(&Message<'_>)) {
    let mut session = Session::default();
    look(&Bacnet::decode(&mut session, &mut (), &Context::of(Sender::Unknown), bytes).unwrap());
}

fn show(message: &Message<'_>) -> String {
    let mut text = String::new();
    for block in Bacnet::blocks(message, None) {
        let Data::Scalar { value, .. } = block.data else { panic!() };
        let place = fmt::from_fn(|f| Bacnet::write_place(&block.tag, block.variant, f));
        let mark = match (block.access, block.quality) {
            (Access::Write, _) => "!",
            (_, Quality::Good) => "",
            (_, Quality::Bad) => "?",
            _ => "~",
        };
        text += &format!("{place}={value}{mark} ");
    }
    for (oddity, _) in message.view.oddities().iter() {
        text += &format!("{oddity:?} ");
    }
    text.trim_end().to_owned()
}

/// An APDU in an NPDU with this control octet and what follows it, in BACnet/IP.
fn wrap(npdu: &[u8], apdu: &[u8]) -> Vec<u8> {
    let len = 5 + npdu.len() + apdu.len();
    [&[0x81, 0x0a, 0, len as u8, 1], npdu, apdu].concat()
}

fn check(apdu: &[u8], expect: &str) {
    decode(&wrap(&[0], apdu), |message| assert_eq!(show(message), expect));
}

#[test]
fn the_examples_of_annex_f_have_their_values() {
    // F.3.5: ReadProperty of analog input 5 and its answer.
    check(&[0x00, 0x00, 1, 12, 0x0c, 0, 0, 0, 5, 0x19, 0x55], "");
    check(
        &[0x30, 1, 12, 0x0c, 0, 0, 0, 5, 0x19, 0x55, 0x3e, 0x44, 0x42, 0x90, 0x99, 0x9a, 0x3f],
        "analogInput:5/presentValue=72.30000305175781",
    );
    // F.3.7: ReadPropertyMultiple of analog input 16.
    check(
        &[
            0x30, 241, 14, 0x0c, 0, 0, 0, 16, 0x1e, 0x29, 0x55, 0x4e, 0x44, 0x42, 0x90, 0x99, 0x9a, 0x4f,
            0x29, 0x67, 0x4e, 0x91, 0, 0x4f, 0x1f,
        ],
        "analogInput:16/presentValue=72.30000305175781 analogInput:16/reliability=0",
    );
    // F.3.9: WriteProperty of analog value 1.
    check(
        &[0, 4, 89, 15, 0x0c, 0, 0x80, 0, 1, 0x19, 0x55, 0x3e, 0x44, 0x43, 0x34, 0, 0, 0x3f],
        "analogValue:1/presentValue=180!",
    );
    // F.3.10: WritePropertyMultiple of three analog values.
    check(
        &[
            0, 4, 1, 16, 0x0c, 0, 0x80, 0, 5, 0x1e, 0x09, 0x55, 0x2e, 0x44, 0x42, 0x86, 0, 0, 0x2f, 0x1f,
            0x0c, 0, 0x80, 0, 6, 0x1e, 0x09, 0x55, 0x2e, 0x44, 0x42, 0x86, 0, 0, 0x2f, 0x39, 8, 0x1f,
        ],
        "analogValue:5/presentValue=67! analogValue:6/presentValue@8=67!",
    );
    // F.1.3: UnconfirmedCOVNotification of analog input 10: value and status flags.
    check(
        &[
            0x10, 2, 0x09, 18, 0x1c, 0x02, 0, 0, 4, 0x2c, 0, 0, 0, 10, 0x39, 0, 0x4e, 0x09, 0x55, 0x2e, 0x44,
            0x42, 0x82, 0, 0, 0x2f, 0x09, 0x6f, 0x2e, 0x82, 4, 0, 0x2f, 0x4f,
        ],
        "analogInput:10/presentValue=65 analogInput:10/statusFlags.0=0 analogInput:10/statusFlags.1=0 \
         analogInput:10/statusFlags.2=0 analogInput:10/statusFlags.3=0",
    );
}

#[test]
fn status_flags_are_the_quality_of_their_object() {
    let notify = |flags: u8| {
        let mut apdu =
            vec![0x10, 2, 0x09, 18, 0x1c, 0x02, 0, 0, 4, 0x2c, 0, 0, 0, 10, 0x39, 0, 0x4e, 0x09, 0x55, 0x2e];
        apdu.extend([0x21, 7, 0x2f, 0x09, 0x6f, 0x2e, 0x82, 4, flags, 0x2f, 0x4f]);
        let mut quality = None;
        decode(&wrap(&[0], &apdu), |message| {
            quality = Bacnet::blocks(message, None).next().map(|block| block.quality)
        });
        quality.unwrap()
    };
    assert_eq!(notify(0x00), Quality::Good);
    assert_eq!(notify(0x80), Quality::Good, "in alarm is a fact about the value, not a doubt");
    assert_eq!(notify(0x40), Quality::Bad);
    assert_eq!(notify(0x20), Quality::Substituted);
    assert_eq!(notify(0x10), Quality::Substituted);
}

#[test]
fn arrays_and_lists_are_numbered() {
    let array = |index: &[u8]| {
        let head = [&[0x30, 1, 12, 0x0c, 0, 0x40, 0, 1, 0x19, 87][..], index].concat();
        [&head[..], &[0x3e, 0, 0x44, 0x3f, 0x80, 0, 0, 0x3f]].concat()
    };
    check(&array(&[]), "analogOutput:1/priorityArray[1]=? analogOutput:1/priorityArray[2]=1");
    let one = [0x30, 1, 12, 0x0c, 0, 0x40, 0, 1, 0x19, 87, 0x29, 8, 0x3e, 0x44, 0x3f, 0x80, 0, 0, 0x3f];
    check(&one, "analogOutput:1/priorityArray[8]=1");
}

#[test]
fn devices_behind_routers_have_places_of_their_own() {
    let answer = [0x30, 1, 12, 0x0c, 0, 0, 0, 5, 0x19, 0x55, 0x3e, 0x21, 7, 0x3f];
    decode(&wrap(&[0x08, 0, 13, 1, 0x3d], &answer), |message| {
        assert_eq!(show(message), "13:3d/analogInput:5/presentValue=7");
        assert_eq!(Bacnet::header(message).unit, 13);
    });
    let ask = [0, 4, 1, 12, 0x0c, 0, 0, 0, 5, 0x19, 0x55];
    let key = |bytes: &[u8], reversed| {
        let mut key = None;
        decode(bytes, |message| key = Bacnet::header(&Message { reversed, ..*message }).key);
        key.unwrap()
    };
    let asked = key(&wrap(&[0x24, 0, 13, 1, 0x3d, 255], &ask), false);
    assert_eq!(asked, key(&wrap(&[0x08, 0, 13, 1, 0x3d], &answer), true));
    assert_ne!(asked, key(&wrap(&[0x08, 0, 13, 1, 0x3e], &answer), true));
}

#[test]
fn segments_make_one_message() {
    let whole = [0x0c, 0, 0, 0, 5, 0x19, 0x55, 0x3e, 0x21, 7, 0x3f];
    let (mut session, context) = (Session::default(), Context::of(Sender::Server));
    let mut say = |flags: u8, sequence: u8, body: &[u8]| {
        let bytes = wrap(&[0], &[&[0x30 | flags, 9, sequence, 4, 12], body].concat());
        let mut shared = ();
        let message = Bacnet::decode(&mut session, &mut shared, &context, &bytes).unwrap();
        (show(&message), Bacnet::header(&message).key.is_some())
    };
    assert_eq!(say(0x0c, 0, &whole[..4]), (String::new(), false));
    assert_eq!(say(0x0c, 1, &whole[4..9]), (String::new(), false));
    assert_eq!(say(0x08, 2, &whole[9..]), ("analogInput:5/presentValue=7".to_owned(), true));
    assert_eq!(say(0x08, 2, &whole[9..]).0, "Gap");
}

#[test]
fn mstp_frames_carry_the_same() {
    let npdu = [1, 0, 0x30, 1, 12, 0x0c, 0, 0, 0, 5, 0x19, 0x55, 0x3e, 0x21, 7, 0x3f];
    let mut bytes = Vec::new();
    mstp::Frame::emit(mstp::DATA_NOT_EXPECTING_REPLY, 1, 5, &npdu, &mut bytes).unwrap();
    decode(&bytes, |message| assert_eq!(show(message), "analogInput:5/presentValue=7"));
    bytes[12] ^= 1;
    decode(&bytes, |message| assert!(message.view.oddities().contains(Oddity::BadChecksum)));
    let mut token = Vec::new();
    mstp::Frame::emit(0, 0x10, 0x05, &[], &mut token).unwrap();
    decode(&token, |message| assert_eq!(Bacnet::header(message).kind, Kind::Control));
}

#[test]
fn what_is_done_to_devices_is_told() {
    let check = |apdu: &[u8], expect| {
        decode(&wrap(&[0], apdu), |message| assert_eq!(Bacnet::memo(message).action, expect, "{apdu:02x?}"));
    };
    // F.4.1, F.4.4, F.4.7, F.4.9.
    check(
        &[0, 4, 5, 17, 0x09, 5, 0x19, 1, 0x2d, 8, 0, 0x23, 0x65, 0x67, 0x62, 0x64, 0x66, 0x21],
        Some(Action::Stop),
    );
    check(&[0, 4, 5, 17, 0x19, 0], Some(Action::Start));
    check(
        &[0, 4, 2, 20, 0x09, 1, 0x1d, 8, 0, 0x41, 0x62, 0x43, 0x64, 0x45, 0x66, 0x47],
        Some(Action::Restart),
    );
    check(&[0x10, 6, 0xa4, 92, 11, 17, 2, 0xb4, 22, 45, 30, 70], Some(Action::SetTime));
    check(&[0x10, 8], Some(Action::Browse));
    check(&[0, 4, 1, 12, 0x0c, 0, 0, 0, 5, 0x19, 0x55], None);
    // Password failure (18: class 4, code 26).
    decode(&wrap(&[0], &[0x50, 2, 20, 0x91, 4, 0x91, 26]), |message| {
        assert_eq!(Bacnet::refusal(message), Some(26))
    });
    decode(&wrap(&[0], &[0x60, 2, 9]), |message| assert_eq!(Bacnet::refusal(message), Some(9)));
}

#[test]
fn only_whole_legal_messages_are_recognised_without_their_port() {
    let probe = |apdu: &[u8]| Bacnet::probe(&wrap(&[0], apdu));
    assert_eq!(probe(&[0x10, 8]), Some(Sender::Client));
    assert_eq!(probe(&[0, 4, 1, 12, 0x0c, 0, 0, 0, 5, 0x19, 0x55]), Some(Sender::Client));
    assert_eq!(probe(&[0x20, 1, 15]), Some(Sender::Server));
    assert_eq!(probe(&[0x20, 1, 1]), Some(Sender::Client));
    assert_eq!(probe(&[0, 4, 1, 12, 0x0c, 0, 0]), None);
    assert_eq!(probe(&[0x90, 4]), None);
    assert_eq!(Bacnet::probe(&[0x81; 64]), None);
    assert_eq!(Bacnet::cut(&[0x81, 0x0a, 0, 9, 1]), Cut::More(9));
    assert_eq!(Bacnet::cut(&[0x81, 0x0a, 0, 3, 1]), Cut::Foreign);
}

#[test]
fn a_tag_is_written_in_one_way() {
    let show = |tag| fmt::from_fn(|f| Bacnet::write_tag(&tag, f)).to_string();
    for good in [
        "analogInput:3/presentValue",
        "analogOutput:1/priorityArray[8]",
        "analogOutput:1/priorityArray[0]",
        "binaryInput:7/statusFlags.1",
        "13:3d/device:4194303/objectName",
        "13:0a000001bac0/999:1/4000000[2].3",
    ] {
        assert_eq!(show(Bacnet::parse_tag(good).unwrap()), good);
    }
    assert_eq!(
        Bacnet::parse_tag("analogInput:3/presentValue@8"),
        Bacnet::parse_tag("analogInput:3/presentValue")
    );
    for bad in [
        "",
        "analogInput:3",
        "analogInput/presentValue",
        "nonsense:3/presentValue",
        "analogInput:4194304/presentValue",
        "1024:1/presentValue",
        "analogInput:3/presentValue[x]",
        "analogInput:3/presentValue@17",
        "13/analogInput:3/presentValue",
        "13:3/analogInput:3/presentValue",
        "/analogInput:3/presentValue",
        "analogInput:03/presentValue",
    ] {
        assert_eq!(Bacnet::parse_tag(bad), None, "{bad}");
    }
}

#[test]
fn commands_come_back_as_they_were_meant() {
    let check = |tag: &str, value, encoding, expect: &str| {
        let change = Change::Scalar { value, encoding };
        let write = Write {
            family: Bacnet::FAMILY,
            endpoint: Endpoint::Any,
            tag: Bacnet::parse_tag(tag).unwrap(),
            change,
        };
        let mut out = Vec::new();
        assert_eq!(Bacnet::command(&write, 7, &mut out).is_some(), !expect.is_empty(), "{tag}");
        if !expect.is_empty() {
            decode(&out, |message| {
                assert_eq!(show(message), format!("{tag}={expect}!"));
                assert_eq!(Bacnet::header(message).kind, Kind::Request);
            });
            assert_eq!(Bacnet::probe(&out), Some(Sender::Client));
        }
    };
    let real = |number| Value::Real(Finite::new(number).unwrap());
    check("analogValue:1/presentValue", real(21.5), Encoding::Native, "21.5");
    check("13:3d/analogValue:1/presentValue", real(21.5), Encoding::Native, "21.5");
    check("binaryOutput:1/presentValue", Value::Boolean(true), Encoding::Native, "1");
    check("multiStateValue:1/presentValue", Value::Integer(300), Encoding::Native, "300");
    check("integerValue:1/presentValue", Value::Integer(-129), Encoding::Native, "-129");
    check("analogOutput:1/priorityArray[8]", real(2.0), Encoding::F32, "2");
    check("device:1/512", Value::Integer(70_000), Encoding::U32, "70000");
    check("binaryOutput:1/presentValue", Value::Integer(2), Encoding::Native, "");
    check("analogValue:1/statusFlags.1", Value::Boolean(true), Encoding::Native, "");
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        object in any::<u32>(), property in 0..512u32, index in prop::option::of(0..20u32), invoke in any::<u8>(),
        number in any::<i32>(), text in "[a-z ]{0,300}", (which, priority) in (0..6usize, prop::option::of(1..=16u8)),
        remote in prop::option::of((1..65535u16, prop::collection::vec(any::<u8>(), 0..8))),
    ) {
        let reference = Reference { object, property, index };
        let value = [
            Primitive::Boolean(number > 0), Primitive::Unsigned(number as u32), Primitive::Signed(number),
            Primitive::Real(number as f32), Primitive::Double(f64::from(number)), Primitive::Text(&text),
        ][which];
        let expect = match value {
            Primitive::Boolean(state) => u8::from(state).to_string(),
            Primitive::Unsigned(number) => number.to_string(),
            Primitive::Signed(number) => number.to_string(),
            Primitive::Real(number) => f64::from(number).to_string(),
            Primitive::Double(number) => number.to_string(),
            _ => text.clone(),
        };
        let remote = remote.as_ref().map(|(network, address)| (*network, address.as_slice()));
        let repr = Repr::new(invoke, remote, Service::WriteProperty(reference, value, priority)).unwrap();
        let mut bytes = Vec::new();
        repr.emit(&mut bytes);
        prop_assert_eq!(Bacnet::probe(&bytes), Some(Sender::Client));
        decode(&bytes, |message| {
            assert!(message.view.oddities().is_empty());
            let blocks: Vec<_> = Bacnet::blocks(message, None).collect();
            let [block] = blocks[..] else { panic!("{blocks:?}") };
            let Data::Scalar { value, .. } = block.data else { panic!() };
            assert_eq!(value.to_string(), expect);
            assert_eq!(block.variant, u32::from(priority.unwrap_or(0)));
            assert_eq!(unpack(block.tag.space), (object, property, 0));
            assert_eq!(block.tag.address, Some(index.map_or(0, |index| index + 1)));
            let shown = fmt::from_fn(|f| Bacnet::write_tag(&block.tag, f)).to_string();
            assert_eq!(Bacnet::parse_tag(&shown), Some(block.tag));
        });
    }

    #[test]
    fn anything_is_read_without_harm(apdu in prop::collection::vec(any::<u8>(), 1..120), control in any::<u8>()) {
        if let Some(view) = View::new(&wrap(&[control], &apdu)) {
            let _ = view.oddities();
        }
        decode(&wrap(&[0], &apdu), |message| {
            assert!(Bacnet::blocks(message, None).count() <= 8 * apdu.len());
        });
    }
}
