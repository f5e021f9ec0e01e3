//! Header fields under Wireshark's names.

use super::property::{CONTENT_TYPE, Properties, PropertyValue, TOPIC_ALIAS};
use super::view::{Connect, Packet, Publish, Version, View, kind};
use super::{Message, sparkplug::NAMESPACE};
use crate::protocol::Field;

type Put<'p> = &'p mut dyn FnMut(&'static str, Field<'_>);

pub(super) fn list(message: &Message<'_>, put: Put<'_>) {
    let view = &message.view;
    let (head, kind) = (view.head(), view.kind());
    put("mqtt.hdrflags", Field::Hex(u64::from(head), 2));
    put("mqtt.msgtype", number(kind));
    let old =
        view.version() == Version::V31 && matches!(kind, kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE);
    if kind == kind::PUBLISH || old {
        put("mqtt.dupflag", number(head >> 3 & 1));
        put("mqtt.qos", number(head >> 1 & 3));
        put(if old { "mqtt.retain_reserved" } else { "mqtt.retain" }, number(head & 1));
    } else if kind != 0 {
        put("mqtt.hdr_reserved", number(head & 0xf));
    }
    put("mqtt.len", Field::Number(u64::from(view.remaining())));
    packet(view, put);
    if let Some(topic) = message.sparkplug() {
        put("sparkplugb.namespace", Field::Text(NAMESPACE));
        put("sparkplugb.groupid", Field::Text(topic.group));
        put("sparkplugb.messagetype", Field::Text(topic.kind.as_bytes()));
        put("sparkplugb.edgenodeid", Field::Text(topic.node()));
        if let Some(device) = topic.device() {
            put("sparkplugb.deviceid", Field::Text(device));
        }
    }
}

fn number(number: u8) -> Field<'static> {
    Field::Number(u64::from(number))
}

fn packet(view: &View<'_>, put: Put<'_>) {
    let five = view.version() == Version::V5;
    match &view.packet() {
        Packet::Connect(message) => connect(message, put),
        Packet::ConnAck { flags, code, properties } => {
            put("mqtt.conack.flags", Field::Hex(u64::from(*flags), 2));
            put("mqtt.conack.flags.sp", number(flags & 1));
            put(if five { "mqtt.connack.reason_code" } else { "mqtt.conack.val" }, number(*code));
            list_properties(properties, five, put);
        }
        Packet::Publish(Publish { topic, id, properties, payload, .. }) => {
            text("mqtt.topic_len", "mqtt.topic", topic, put);
            if let Some(id) = id {
                put("mqtt.msgid", Field::Number(u64::from(*id)));
            }
            list_properties(properties, five, put);
            if !payload.is_empty() {
                put("mqtt.msg", Field::Bytes(payload));
            }
        }
        Packet::Ack { kind, id, reason, properties } => {
            put("mqtt.msgid", Field::Number(u64::from(*id)));
            if let Some(reason) = reason {
                let name = match *kind {
                    kind::PUBACK => "mqtt.puback.reason_code",
                    kind::PUBREC => "mqtt.pubrec.reason_code",
                    kind::PUBREL => "mqtt.pubrel.reason_code",
                    _ => "mqtt.pubcomp.reason_code",
                };
                put(name, number(*reason));
            }
            list_properties(properties, !properties.as_bytes().is_empty(), put);
        }
        Packet::Subscribe { id, properties, filters } => {
            put("mqtt.msgid", Field::Number(u64::from(*id)));
            list_properties(properties, five, put);
            for (filter, options) in filters.iter() {
                text("mqtt.topic_len", "mqtt.topic", filter, put);
                if !filters.has_options() {
                    continue;
                }
                if five {
                    put("mqtt.subscription_options", Field::Hex(u64::from(options), 2));
                    put("mqtt.subscription_options_qos", number(options & 3));
                } else {
                    put("mqtt.sub.qos", number(options & 3));
                }
            }
        }
        Packet::SubAck { kind, id, properties, codes } => {
            put("mqtt.msgid", Field::Number(u64::from(*id)));
            list_properties(properties, five, put);
            let name = match (*kind, five) {
                (kind::SUBACK, false) => "mqtt.suback.qos",
                (kind::SUBACK, true) => "mqtt.suback.reason_code",
                _ => "mqtt.unsuback.reason_code",
            };
            codes.iter().for_each(|code| put(name, number(*code)));
        }
        Packet::End { kind, reason, properties } => {
            if let Some(reason) = reason {
                let disconnect = *kind == kind::DISCONNECT;
                put(
                    if disconnect { "mqtt.disconnect.reason_code" } else { "mqtt.auth.reason_code" },
                    number(*reason),
                );
            }
            list_properties(properties, !properties.as_bytes().is_empty(), put);
        }
        Packet::Ping { .. } | Packet::Opaque { .. } => {}
    }
}

fn text(len: &'static str, name: &'static str, text: &[u8], put: Put<'_>) {
    put(len, Field::Number(text.len() as u64));
    put(name, Field::Text(text));
}

fn connect(connect: &Connect<'_>, put: Put<'_>) {
    let five = connect.level & 0x7f == 5;
    text("mqtt.proto_len", "mqtt.protoname", connect.protocol, put);
    put("mqtt.ver", number(connect.level & 0x7f));
    put("mqtt.kalive", Field::Number(u64::from(connect.keep_alive)));
    list_properties(&connect.properties, five, put);
    text("mqtt.clientid_len", "mqtt.clientid", connect.client_id, put);
    if let Some(will) = &connect.will {
        list_properties(&will.properties, five, put);
        text("mqtt.willtopic_len", "mqtt.willtopic", will.topic, put);
        put("mqtt.willmsg_len", Field::Number(will.payload.len() as u64));
        put("mqtt.willmsg", Field::Bytes(will.payload));
    }
    if let Some(user) = connect.user {
        text("mqtt.username_len", "mqtt.username", user, put);
    }
    if let Some(password) = connect.password {
        // Only how long it is: what a sensor writes down should open no door.
        put("mqtt.passwd_len", Field::Number(password.len() as u64));
    }
}

fn list_properties(properties: &Properties<'_>, shown: bool, put: Put<'_>) {
    if !shown {
        return;
    }
    put("mqtt.property_len", Field::Number(properties.as_bytes().len() as u64));
    for (id, value) in properties.iter() {
        put("mqtt.property_id", Field::Hex(u64::from(id), 2));
        match value {
            PropertyValue::Number(value) => {
                let name = if id == TOPIC_ALIAS { "mqtt.property.topic_alias" } else { "mqtt.prop_number" };
                put(name, Field::Number(u64::from(value)));
            }
            PropertyValue::Text(value) if id == CONTENT_TYPE => {
                put("mqtt.property.content_type", Field::Text(value));
            }
            PropertyValue::Text(value) | PropertyValue::Binary(value) => {
                text("mqtt.prop_string_len", "mqtt.prop_string", value, put);
            }
            PropertyValue::Pair(key, value) => {
                text("mqtt.prop_key_len", "mqtt.prop_key", key, put);
                text("mqtt.prop_value_len", "mqtt.prop_value", value, put);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::decode;
    use super::*;

    fn check(bytes: &[u8], expect: &str) {
        let mut text = String::new();
        let put = &mut |name: &str, field: Field<'_>| {
            text += &format!("{}={field} ", name.rsplit('.').next().unwrap())
        };
        decode(bytes, |message| list(message, put));
        assert_eq!(text.trim_end(), expect);
    }

    #[test]
    fn fields_come_under_known_names() {
        check(
            b"\x32\x09\0\x03a/b\0\x0a21",
            "hdrflags=0x32 msgtype=3 dupflag=0 qos=1 retain=0 len=9 topic_len=3 topic=a/b msgid=10 msg=32:31",
        );
        check(
            b"\x10\x17\0\x04MQTT\x04\xc2\0\x0a\0\x01a\0\x02me\0\x04sesa",
            "hdrflags=0x10 msgtype=1 hdr_reserved=0 len=23 proto_len=4 protoname=MQTT ver=4 kalive=10 clientid_len=1 clientid=a username_len=2 username=me passwd_len=4",
        );
        check(b"\x20\x02\0\x05", "hdrflags=0x20 msgtype=2 hdr_reserved=0 len=2 flags=0x00 sp=0 val=5");
        check(b"\xd0\0", "hdrflags=0xd0 msgtype=13 hdr_reserved=0 len=0");
    }
}
