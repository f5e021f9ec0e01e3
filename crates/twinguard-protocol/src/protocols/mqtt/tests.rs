//! Conversations of MQTT 3.1.1 and 5.0 and of Sparkplug 3.0.0: values, aliases, handshakes, tags, commands.

use super::*;
use crate::protocol::Address;
use twinguard_types::{Endpoint, Finite, Mac};

/// Reads one packet by itself.
pub(super) fn decode(bytes: &[u8], look: impl FnOnce(&Message<'_>)) {
    let (mut session, mut shared) =
        (Session { version: Version::V311, ..Session::default() }, Shared::default());
    look(&Mqtt::decode(&mut session, &mut shared, &Context::of(Sender::Client), bytes).unwrap());
}

#[derive(Default)]
struct Talk(Session, Shared);

impl Talk {
    /// What one end says, as places and values, then what is odd.
    fn say(&mut self, sender: Sender, bytes: &[u8]) -> String {
        let context = Context {
            source: Address::Mac(Mac([u8::from(sender == Sender::Server); 6])),
            ..Context::of(sender)
        };
        let message = Mqtt::decode(&mut self.0, &mut self.1, &context, bytes).unwrap();
        let mut text = String::new();
        for block in Mqtt::blocks(&message, None) {
            let place = fmt::from_fn(|f| Mqtt::write_place(&block.tag, block.variant, f));
            let (Data::Scalar { value, .. } | Data::Number { value, .. }) = block.data else { panic!() };
            text += &format!("{place}={value}");
            for (shown, mark) in [
                (block.access == Access::Write, "!"),
                (block.access == Access::Echo, "~"),
                (block.quality != Quality::Good, "?"),
            ] {
                text += if shown { mark } else { "" };
            }
            text += &block.at.map_or(" ".to_owned(), |at| format!("@{} ", at.as_nanos() / 1_000_000));
        }
        for (oddity, _) in message.view.oddities().iter() {
            text += &format!("{oddity:?} ");
        }
        text.trim_end().to_owned()
    }

    fn publish(&mut self, sender: Sender, version: Version, publish: Publish<'_>) -> String {
        let mut bytes = Vec::new();
        Repr::new(version, Packet::Publish(publish)).unwrap().emit(&mut bytes);
        self.0.version = version;
        self.say(sender, &bytes)
    }

    fn spark(&mut self, sender: Sender, topic: &str, sequence: Option<u8>, metrics: &[Metric<'_>]) -> String {
        let mut payload = Vec::new();
        sparkplug::emit(Some(1000), sequence, metrics, &mut payload);
        let publish = Publish { topic: topic.as_bytes(), payload: &payload, ..Publish::default() };
        self.publish(sender, Version::V311, publish)
    }
}

#[test]
fn payloads_that_are_a_number_a_state_or_a_text_have_values() {
    for (payload, expect) in [
        ("21.5", Scalar::Float(21.5)),
        (" -3\n", Scalar::Signed(-3)),
        ("18446744073709551615", Scalar::Unsigned(u64::MAX)),
        ("1e3", Scalar::Float(1000.0)),
        ("true", Scalar::Boolean(true)),
        ("False", Scalar::Boolean(false)),
        ("\"open\"", Scalar::Text(b"open")),
        ("ON", Scalar::Text(b"ON")),
        ("nan", Scalar::Text(b"nan")),
        ("{\"a\":1}", Scalar::Text(b"{\"a\":1}")),
        ("-", Scalar::Text(b"-")),
    ] {
        assert_eq!(text_value(payload.as_bytes()), expect, "{payload}");
    }
    assert_eq!(text_value(&[0xff, 0]), Scalar::Opaque);
}

#[test]
fn births_explain_aliases_and_types() {
    use Sender::{Client, Server};
    let mut talk = Talk::default();
    let number = |name, alias, data_type, raw| Metric {
        name,
        alias: Some(alias),
        data_type,
        value: Some((10, Wire::Varint(raw))),
        ..Metric::default()
    };
    let birth = number(b"flow/in", 7, data_type::INT16, 0xfffe);
    assert_eq!(
        talk.spark(Client, "spBv1.0/g/DBIRTH/e/d", Some(1), &[birth]),
        "spBv1.0/g/e/d/flow/in=-2@1000"
    );
    let data = Metric { timestamp: Some(2000), ..number(b"", 7, 0, 0xffff) };
    assert_eq!(talk.spark(Client, "spBv1.0/g/DDATA/e/d", Some(2), &[data]), "spBv1.0/g/e/d/flow/in=-1@2000");
    assert_eq!(
        talk.spark(Client, "spBv1.0/g/DDATA/e/d", Some(4), &[number(b"", 8, 0, 1)]),
        "spBv1.0/g/e/d/?8=1@1000 Gap"
    );
    assert_eq!(
        talk.spark(Client, "spBv1.0/g/DDATA/e/d", Some(5), &[number(b"flow/in", 7, 0, 0xffff)]),
        "spBv1.0/g/e/d/flow/in=-1@1000"
    );
    assert_eq!(
        talk.spark(Client, "spBv1.0/g/DCMD/e/d", None, &[number(b"", 7, 0, 5)]),
        "spBv1.0/g/e/d/flow/in=5!@1000"
    );
    assert_eq!(
        talk.spark(Server, "spBv1.0/g/DCMD/e/d", None, &[number(b"", 7, 0, 5)]),
        "spBv1.0/g/e/d/flow/in=5~@1000"
    );
    assert_eq!(
        talk.spark(Server, "spBv1.0/g/DCMD/e/d", None, &[number(b"", 7, 0, 5)]),
        "spBv1.0/g/e/d/flow/in=5!@1000",
        "once more: not what was passed on"
    );
    let null = Metric { is_null: true, value: None, ..data };
    assert_eq!(talk.spark(Client, "spBv1.0/g/DDATA/e/d", Some(6), &[null]), "spBv1.0/g/e/d/flow/in=?@2000");
    let control = Metric {
        value: Some((14, Wire::Varint(1))),
        ..number(b"Node Control/Rebirth", 1, data_type::BOOLEAN, 0)
    };
    assert_eq!(
        talk.spark(Client, "spBv1.0/g/NCMD/e", None, &[control]),
        "spBv1.0/g/e//Node Control/Rebirth=1!@1000"
    );
}

#[test]
fn topics_may_hide_behind_aliases() {
    use Sender::Client;
    let mut talk = Talk::default();
    let aliased = |topic, payload| Publish {
        topic,
        payload,
        properties: Properties::new(&[0x23, 0, 5]),
        ..Publish::default()
    };
    assert_eq!(talk.publish(Client, Version::V5, aliased(b"", b"1")), "?=1 BadAddress");
    assert_eq!(talk.publish(Client, Version::V5, aliased(b"a/b", b"2")), "a/b=2");
    assert_eq!(talk.publish(Client, Version::V5, aliased(b"", b"3")), "a/b=3");
    assert_eq!(
        talk.publish(Sender::Server, Version::V5, aliased(b"", b"4")),
        "?=4 BadAddress",
        "each direction has its own"
    );
    let kept = Publish { topic: b"a/b", payload: b"9", retain: true, ..Publish::default() };
    assert_eq!(talk.publish(Sender::Server, Version::V5, kept), "a/b=9?");
}

#[test]
fn versions_show_without_connect() {
    let mut talk = Talk::default();
    assert_eq!(talk.say(Sender::Server, b"\x20\x03\0\0\0"), "");
    assert_eq!(talk.0.version, Version::V5);
    let mut talk = Talk::default();
    assert_eq!(talk.say(Sender::Server, b"\x20\x02\0\0"), "");
    assert_eq!(talk.0.version, Version::V311);
    let mut talk = Talk::default();
    assert_eq!(talk.say(Sender::Client, b"\x82\x0a\0\x01\0\0\x04spB/\x01"), "");
    assert_eq!(talk.0.version, Version::V5);
}

#[test]
fn handshakes_pair_by_identifier_and_direction() {
    let part = |sender, bytes: &[u8]| {
        let (mut session, mut shared) =
            (Session { version: Version::V5, ..Session::default() }, Shared::default());
        let context = Context {
            source: Address::Mac(Mac([u8::from(sender == Sender::Server); 6])),
            ..Context::of(sender)
        };
        let message = Mqtt::decode(&mut session, &mut shared, &context, bytes).unwrap();
        (Mqtt::part(&message), Mqtt::header(&message).key)
    };
    use Sender::{Client, Server};
    for (ask, tell, expect) in [
        (&b"\x32\x06\0\x01a\0\x09\0"[..], &b"\x40\x02\0\x09"[..], Kind::Response),
        (b"\x34\x06\0\x01a\0\x09\0", b"\x50\x03\0\x09\x97", Kind::Exception),
        (b"\x62\x02\0\x09", b"\x70\x02\0\x09", Kind::Response),
        (b"\x82\x07\0\x09\0\0\x01a\0", b"\x90\x04\0\x09\0\0", Kind::Response),
        (b"\xa2\x06\0\x09\0\0\x01a", b"\xb0\x04\0\x09\0\x80", Kind::Exception),
        (b"\xc0\0", b"\xd0\0", Kind::Response),
    ] {
        let (asks, tells) = (part(Client, ask), part(Server, tell));
        assert_eq!((asks.0, tells.0), (Kind::Request, expect), "{ask:02x?}");
        assert_eq!(asks.1, tells.1, "{ask:02x?}");
        assert_ne!(asks.1, part(Server, ask).1, "the other end counts for itself");
    }
    assert_eq!(part(Client, b"\x30\x04\0\x01a\0"), (Kind::Event, None));
    assert_eq!(part(Client, b"\x3a\x06\0\x01a\0\x09\0"), (Kind::Event, None), "a repetition");
}

#[test]
fn only_whole_legal_packets_are_recognised_without_their_port() {
    let connect = b"\x10\x0d\0\x04MQTT\x04\x02\0\x0a\0\x01a";
    assert_eq!(Mqtt::probe(connect), Some(Sender::Client));
    assert_eq!(Mqtt::probe(b"\x30\x09\0\x05a/b/c21"), Some(Sender::Unknown));
    assert_eq!(Mqtt::probe(b"\x82\x08\0\x0a\0\x03a/b\x01"), Some(Sender::Client));
    assert_eq!(Mqtt::probe(&[&b"\xc0\0"[..], b"\x30\x09\0\x05a/b/c21"].concat()), Some(Sender::Client));
    for bad in [
        &connect[..14],
        b"\xc0\0",
        b"\x40\x02\0\x09",
        b"\x20\x02\0\0",
        b"\x30\x04\0\x02\x01\x02",
        b"GET / HTTP/1.1",
        &[0; 64],
    ] {
        assert_eq!(Mqtt::probe(bad), None, "{bad:02x?}");
    }
    assert_eq!(Mqtt::cut(&connect[..1]), Cut::More(2));
    assert_eq!(Mqtt::cut(&connect[..9]), Cut::More(15));
    assert_eq!(Mqtt::cut(connect), Cut::Message(15));
    assert_eq!(Mqtt::cut(&[0x30, 0xff, 0xff, 0xff, 0xff, 1]), Cut::Foreign);
}

#[test]
fn what_is_asked_of_devices_and_servers_is_told() {
    let check =
        |bytes: &[u8], expect| decode(bytes, |message| assert_eq!(Mqtt::memo(message).action, expect));
    check(b"\x10\x0d\0\x04MQTT\x04\x02\0\x0a\0\x01a", Some(Action::Connect));
    check(b"\x10\x12\0\x04MQTT\x04\x82\0\x0a\0\x01a\0\x03bob", Some(Action::Login));
    check(b"\x82\x06\0\x0a\0\x01#\0", Some(Action::Browse));
    check(b"\x82\x06\0\x0a\0\x01a\0", None);
    check(b"\xe0\0", Some(Action::Disconnect));
    let mut payload = Vec::new();
    let reboot =
        Metric { name: b"Node Control/Reboot", value: Some((14, Wire::Varint(1))), ..Metric::default() };
    sparkplug::emit(None, None, &[reboot], &mut payload);
    let mut bytes = Vec::new();
    let publish = Publish { topic: b"spBv1.0/g/NCMD/e", payload: &payload, ..Publish::default() };
    Repr::new(Version::V311, Packet::Publish(publish)).unwrap().emit(&mut bytes);
    check(&bytes, Some(Action::Restart));
}

#[test]
fn a_tag_is_written_in_one_way() {
    let show = |tag| fmt::from_fn(|f| Mqtt::write_tag(&tag, f)).to_string();
    for good in
        ["a/b", "spBv1.0/STATE/host", "spBv1.0/g/e/d/m", "spBv1.0/g/e//m/with/levels", "spBv1.0/g/e/d//", "/"]
    {
        assert_eq!(show(Mqtt::parse_tag(good).unwrap()), good);
    }
    for bad in ["", "a/#", "spBv1.0/g/e/d/", "spBv1.0//e/d/m", "spBv1.0/g//d/m"] {
        assert_eq!(Mqtt::parse_tag(bad), None, "{bad}");
    }
    assert_eq!(
        Mqtt::parse_tag("spBv1.0/g/e//a+b").unwrap().name.parts()[2],
        b"a+b",
        "names of metrics are free"
    );
}

#[test]
fn commands_come_back_as_they_were_meant() {
    let check = |tag: &str, value, encoding, expect: &str| {
        let write = Write {
            family: Mqtt::FAMILY,
            endpoint: Endpoint::Any,
            tag: Mqtt::parse_tag(tag).unwrap(),
            change: Change::Scalar { value, encoding },
        };
        let mut out = Vec::new();
        let done = Mqtt::command(&write, 0, &mut out);
        assert_eq!(done.is_some(), !expect.is_empty(), "{tag}");
        if done.is_some() {
            assert_eq!(Talk::default().say(Sender::Client, &out), format!("{tag}={expect}"));
        }
    };
    let real = |number| Value::Real(Finite::new(number).unwrap());
    check("a/b", real(21.5), Encoding::Native, "21.5");
    check("a/b", Value::Boolean(true), Encoding::Native, "1");
    check("spBv1.0/g/e//m", real(21.5), Encoding::Native, "21.5!");
    check("spBv1.0/g/e/d/m", real(21.5), Encoding::F32, "21.5!");
    check("spBv1.0/g/e/d/m", Value::Integer(-3), Encoding::I8, "-3!");
    check("spBv1.0/g/e/d/m", Value::Integer(-3), Encoding::I32, "-3!");
    check("spBv1.0/g/e/d/m", Value::Integer(-3), Encoding::Native, "-3!");
    check("spBv1.0/g/e/d/m", Value::Boolean(true), Encoding::Bit(0), "1!");
    check("spBv1.0/g/e/d/m", Value::Integer(300), Encoding::U8, "");
    check("spBv1.0/g/e/d/m", Value::Integer(3), Encoding::Bcd(4), "");
}
