use proptest::prelude::*;
use twinguard_types::{Endpoint, Mac, Oddity};

use super::*;
use crate::ber;
use crate::iec61850::UtcTime;
use crate::protocol::Data;

const POSITION: ObjectName<'_> = ObjectName { scope: 1, domain: b"LD0", item: b"XCBR1$ST$Pos" };

fn nested(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ber::put(tag, content, &mut out);
    out
}

fn told(pdu: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    cotp::Repr::Data { last: true, data: &lower::wrap(pdu) }.emit(&mut out).unwrap();
    out
}

fn say(session: &mut Session, sender: Sender, bytes: &[u8]) -> (Header, Vec<String>, Option<u8>) {
    let ends = [Address::Mac(Mac([1; 6])), Address::Mac(Mac([2; 6]))];
    let [client, server] = ends;
    let (source, destination) = if sender == Sender::Server { (server, client) } else { (client, server) };
    let context = Context { source, destination, ..Context::of(sender) };
    assert!(!session.absorb(&source, bytes));
    let view = session.decode(&context, bytes).unwrap();
    assert!(view.oddities().is_empty(), "{:?}", view.oddities());
    let blocks = Mms::blocks(&view, None).map(|block| {
        let Data::Scalar { value, .. } = block.data else { panic!("{block:?}") };
        let tag = fmt::from_fn(|f| Mms::write_tag(&block.tag, f));
        format!("{tag} {value} {:?} {:?}", block.access, block.quality)
    });
    (Mms::header(&view), blocks.collect(), view.refusal())
}

#[test]
fn answers_to_reads_have_their_places() {
    let mut session = Session::default();
    let mut request = Vec::new();
    let version = ObjectName { scope: 0, domain: b"", item: b"Version" };
    Repr::Read { invoke: 9, names: &[POSITION, version] }.emit(&mut request).unwrap();
    assert_eq!(Mms::probe(&request), Some(Sender::Client));
    let (asked, values, _) = say(&mut session, Sender::Client, &request);
    assert!(values.is_empty() && asked.kind == Kind::Request && asked.function == 4);
    let mut results = Vec::new();
    let bad: &[_] = &[Entry::Bits(&[0x40], 2), Entry::Bits(&[0x40, 0], 13), Entry::Time(UtcTime([0; 8]))];
    Entry::Structure(bad).emit(&mut results).unwrap();
    results.extend([0x80, 1, 10]);
    let body = [vec![2, 1, 9], nested(0xa4, &nested(0xa1, &results))].concat();
    let response = told(&nested(0xa1, &body));
    let (answer, values, refusal) = say(&mut session, Sender::Server, &response);
    assert_eq!((answer.key, answer.kind, refusal), (asked.key, Kind::Response, None));
    assert_eq!(values[0], "LD0/XCBR1$ST$Pos/0 1 Read Bad");
    assert_eq!(values.len(), 3, "the other one failed");
    // Its names are forgotten now.
    assert_eq!(say(&mut session, Sender::Server, &response).1[0], "? 1 Read Bad");
}

#[test]
fn reports_name_their_list() {
    let name = nested(0xa1, &[nested(0x1a, b"LD0"), nested(0x1a, b"Events")].concat());
    let results = nested(0xa0, &[0x85, 1, 5, 0x83, 1, 1]);
    let report = nested(0xa3, &nested(0xa0, &[nested(0xa1, &name), results].concat()));
    let (header, values, _) = say(&mut Session::default(), Sender::Server, &told(&report));
    assert_eq!((header.kind, header.function, header.key), (Kind::Event, 0, None));
    assert_eq!(values, ["LD0/Events#0/0 5 Read Good", "LD0/Events#1/0 1 Read Good"]);
}

#[test]
fn refusals_are_told() {
    let check = |pdu: &[u8], kind, expect| {
        let (header, _, refusal) = say(&mut Session::default(), Sender::Server, &told(pdu));
        assert_eq!((header.kind, refusal), (kind, expect));
    };
    // Access error (class 7), object does not exist (2).
    let error = nested(0xa2, &nested(0xa0, &[0x87, 1, 2]));
    check(&nested(0xa2, &[vec![0x80, 1, 9], error].concat()), Kind::Exception, Some(0x72));
    check(&nested(0xa1, &[2, 1, 9, 0xa5, 3, 0x80, 1, 3]), Kind::Response, Some(3));
    check(&nested(0xa1, &[2, 1, 9, 0xa5, 2, 0x81, 0]), Kind::Response, None);
    check(&nested(0xa1, &[2, 1, 9, 0xa4, 5, 0xa1, 3, 0x80, 1, 10]), Kind::Response, Some(10));
}

#[test]
fn dangerous_services_are_actions() {
    let check = |pdu: &[u8], expect| {
        let view = View::new(pdu, 0, Sender::Client);
        assert_eq!(Mms::action(&Mms::memo(&view)), expect);
    };
    check(&[0xa0, 5, 2, 1, 1, 0xa4, 0], None);
    check(&nested(0xa0, &[2, 1, 1, 0xbf, 76, 0]), Some(Action::Delete));
    check(&nested(0xa0, &[2, 1, 1, 0xba, 0]), Some(Action::Download));
    check(&nested(0xa0, &[2, 1, 1, 0xbf, 41, 0]), Some(Action::Stop));
    check(&nested(0xa1, &[2, 1, 1, 0xbf, 41, 0]), None);
    check(&[0xa8, 0], Some(Action::Connect));
    check(&[0x8b, 0], Some(Action::Disconnect));
}

#[test]
fn selects_are_not_writes() {
    let select = ObjectName { scope: 1, domain: b"LD0", item: b"XCBR1$CO$Pos$SBOw" };
    for (name, expect) in [(select, "Select"), (POSITION, "Write")] {
        let mut bytes = Vec::new();
        Repr::Write { invoke: 1, name, value: Entry::Boolean(true) }.emit(&mut bytes).unwrap();
        assert!(say(&mut Session::default(), Sender::Client, &bytes).1[0].contains(expect));
    }
}

#[test]
fn what_is_not_legal_is_not_written() {
    let long = [b'a'; NAME_MAX + 1];
    for name in [
        ObjectName { scope: 1, domain: b"", item: b"a" },
        ObjectName { scope: 0, domain: b"a", item: b"a" },
        ObjectName { scope: 3, domain: b"", item: b"a" },
        ObjectName { scope: 0, domain: b"", item: &long },
    ] {
        let mut bytes = Vec::new();
        assert_eq!(Repr::Read { invoke: 1, names: &[name] }.emit(&mut bytes), None);
        assert!(bytes.is_empty());
    }
    assert_eq!(Repr::Read { invoke: 1, names: &[] }.emit(&mut Vec::new()), None);
}

#[test]
fn what_is_odd_is_flagged() {
    let odd = |bytes: &[u8]| {
        View::new(bytes, 0, Sender::Unknown).oddities().iter().next().map(|(oddity, _)| oddity)
    };
    assert_eq!(odd(&[0xaf, 0]), Some(Oddity::UnknownFunction));
    assert_eq!(odd(&[0xa0, 9, 2, 1]), Some(Oddity::Truncated));
    assert_eq!(odd(&[0xa0, 0x80, 0, 0]), Some(Oddity::BadValue), "indefinite length");
    assert_eq!(odd(&[0x8b, 0, 0]), Some(Oddity::TrailingBytes));
    assert_eq!(odd(&[]), Some(Oddity::Truncated));
}

#[test]
fn open_reads_are_bounded() {
    let mut session = Session::default();
    for invoke in 0..100 {
        let mut bytes = Vec::new();
        Repr::Read { invoke, names: &[POSITION] }.emit(&mut bytes).unwrap();
        say(&mut session, Sender::Client, &bytes);
    }
    assert!(format!("{session:?}").matches("Open {").count() <= READS_MAX);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        invoke in any::<u32>(),
        scope in 0..3u8,
        (domain, item) in ("[A-Za-z][A-Za-z0-9_$]{0,20}", "[A-Za-z][A-Za-z0-9_$]{0,20}"),
        value in any::<i64>(),
        count in 1..9usize,
    ) {
        let domain = if scope == 1 { domain.as_bytes() } else { b"" };
        let name = ObjectName { scope, domain, item: item.as_bytes() };
        let names = vec![name; count];
        for repr in [Repr::Read { invoke, names: &names }, Repr::Write { invoke, name, value: Entry::Integer(value) }] {
            let mut bytes = Vec::new();
            repr.emit(&mut bytes).unwrap();
            prop_assert_eq!(Mms::probe(&bytes), Some(Sender::Client));
            let mut session = Session::default();
            let view = session.decode(&Context::of(Sender::Client), &bytes).unwrap();
            prop_assert!(view.oddities().is_empty());
            prop_assert_eq!(view.invoke(), Some(invoke));
            let mut found = Vec::new();
            view.names(|name| found.push(name));
            let writes = matches!(repr, Repr::Write { .. });
            prop_assert_eq!(found.len(), if writes { 1 } else { count });
            prop_assert!(found.iter().all(|found| *found == name));
            let blocks: Vec<_> = Mms::blocks(&view, None).collect();
            prop_assert_eq!(blocks.len(), usize::from(writes));
            for block in blocks {
                let text = fmt::from_fn(|f| Mms::write_tag(&block.tag, f)).to_string();
                prop_assert_eq!(Mms::parse_tag(&text), Some(block.tag));
                let change = Change::Scalar { value: Value::Integer(value), encoding: Encoding::I64 };
                let write = Write { family: Mms::FAMILY, endpoint: Endpoint::Any, tag: block.tag, change };
                let mut again = Vec::new();
                prop_assert_eq!(Mms::command(&write, invoke, &mut again), Some(()));
                prop_assert_eq!(&again, &bytes);
            }
        }
    }

    #[test]
    fn tags_come_back(scope in 0..3u8, domain in "[A-Za-z0-9_$]{1,9}", item in "[A-Za-z0-9_$]{1,9}", member in any::<Option<u16>>(), leaf in any::<u32>()) {
        let domain = if scope == 1 { domain.as_bytes() } else { b"" };
        let place = tag(ObjectName { scope, domain, item: item.as_bytes() }, member.map(u32::from), leaf);
        let text = fmt::from_fn(|f| Mms::write_tag(&place, f)).to_string();
        prop_assert_eq!(Mms::parse_tag(&text), Some(place));
    }

    #[test]
    fn any_bytes_are_shown(bytes in any::<Vec<u8>>(), kind in 0..14u8) {
        let view = View::new(&nested(0xa0 | u32::from(kind), &bytes), 0, Sender::Unknown).as_bytes().to_vec();
        let view = View::new(&view, 0, Sender::Unknown);
        Mms::blocks(&view, None).for_each(drop);
        Mms::fields(&view, &mut |_, field| drop(field.to_string()));
        let _ = (view.refusal(), Mms::header(&view));
        let _ = lower::content(&bytes);
    }
}
