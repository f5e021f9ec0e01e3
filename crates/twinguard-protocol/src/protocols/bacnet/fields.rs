//! Header fields under Wireshark's names.

use super::Message;
use super::service::{Step, Walk};
use super::tag;
use super::view::{Apdu, Link, Npdu, Remote, pdu};
use crate::protocol::Field;

type Put<'p> = &'p mut dyn FnMut(&'static str, Field<'_>);

fn number(number: u8) -> Field<'static> {
    Field::Number(u64::from(number))
}

pub(super) fn list(message: &Message<'_>, put: Put<'_>) {
    let view = &message.view;
    match view.link() {
        Link::Ip(function) => {
            put("bvlc.type", Field::Hex(0x81, 2));
            put("bvlc.function", Field::Hex(u64::from(function), 2));
            // The reference counts the header alone where a network layer follows.
            let length = match function {
                4 => 10,
                9.. => 4,
                _ => view.length(),
            };
            put("bvlc.length", Field::Number(u64::from(length)));
        }
        Link::Mstp(kind) => {
            put("mstp.frame_type", number(kind));
            put("mstp.len", Field::Number(u64::from(view.length())));
        }
    }
    if let Some(npdu) = view.npdu() {
        network(&npdu, put);
    }
    if let Some(apdu) = view.apdu() {
        application(&apdu, put);
        for step in Walk::new(apdu.kind, apdu.choice, message.body) {
            parameter(&step, put);
        }
    }
}

fn network(npdu: &Npdu<'_>, put: Put<'_>) {
    put("bacnet.version", number(1));
    put("bacnet.control", Field::Hex(u64::from(npdu.control), 2));
    let remote = |remote: &Remote<'_>, names: [&'static str; 3], put: Put<'_>| {
        let [network, length, station] = names;
        put(network, Field::Number(u64::from(remote.network)));
        put(length, Field::Number(remote.address.len() as u64));
        if let [address] = remote.address {
            put(station, number(*address));
        }
    };
    if let Some(destination) = &npdu.destination {
        remote(destination, ["bacnet.dnet", "bacnet.dlen", "bacnet.dadr_mstp"], put);
    }
    if let Some(source) = &npdu.source {
        remote(source, ["bacnet.snet", "bacnet.slen", "bacnet.sadr_mstp"], put);
    }
    if let Some(hops) = npdu.hops {
        put("bacnet.hopc", number(hops));
    }
    if let Some(message) = npdu.message {
        put("bacnet.mesgtyp", Field::Hex(u64::from(message), 2));
    }
}

fn application(apdu: &Apdu<'_>, put: Put<'_>) {
    put("bacapp.type", number(apdu.kind));
    let confirmed = matches!(apdu.kind, pdu::CONFIRMED_REQUEST | pdu::COMPLEX_ACK);
    if confirmed {
        put("bacapp.segmented_request", number(apdu.flags >> 3 & 1));
        put("bacapp.more_segments", number(apdu.flags >> 2 & 1));
    }
    if apdu.kind == pdu::CONFIRMED_REQUEST {
        put("bacapp.SA", number(apdu.flags >> 1 & 1));
        put("bacapp.response_segments", number(apdu.accepts >> 4 & 7));
        put("bacapp.max_adpu_size", number(apdu.accepts & 0xf));
    }
    if matches!(apdu.kind, pdu::SEGMENT_ACK | pdu::ABORT) {
        put("bacapp.SRV", number(apdu.flags & 1));
    }
    if apdu.kind != pdu::UNCONFIRMED_REQUEST && apdu.kind <= pdu::ABORT {
        put("bacapp.invoke_id", number(apdu.invoke));
    }
    if let Some((sequence, window)) = apdu.segment {
        put("bacapp.sequence_number", number(sequence));
        put("bacapp.window_size", number(window));
    }
    match apdu.kind {
        pdu::CONFIRMED_REQUEST | pdu::SIMPLE_ACK | pdu::COMPLEX_ACK | pdu::ERROR => {
            put("bacapp.confirmed_service", number(apdu.choice));
        }
        pdu::UNCONFIRMED_REQUEST => put("bacapp.unconfirmed_service", number(apdu.choice)),
        pdu::REJECT => put("bacapp.reject_reason", number(apdu.choice)),
        pdu::ABORT => put("bacapp.abort_reason", number(apdu.choice)),
        _ => {}
    }
}

fn parameter(step: &Step<'_>, put: Put<'_>) {
    let object = match step {
        Step::Object(object) => Some(*object),
        Step::Value { number: 12, content, .. } => tag::object(content),
        _ => None,
    };
    if let Some(object) = object {
        put("bacapp.objectType", Field::Number(u64::from(object >> 22)));
        put("bacapp.instance_number", Field::Number(u64::from(object & 0x3f_ffff)));
    }
    match step {
        Step::Property(property) => put("bacapp.property_identifier", Field::Number(u64::from(*property))),
        Step::Index(index) => put("bacapp.property_array_index", Field::Number(u64::from(*index))),
        Step::Priority(priority) => put("bacapp.priority", number(*priority)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::decode;
    use super::*;

    #[test]
    fn fields_come_under_known_names() {
        let mut text = String::new();
        let put = &mut |name: &str, field: Field<'_>| {
            text += &format!("{}={field} ", name.rsplit('.').next().unwrap())
        };
        // ReadProperty of the present value of analog input 5 (F.3.5).
        let bytes = [0x81, 0x0a, 0, 17, 1, 4, 0, 0, 1, 12, 0x0c, 0, 0, 0, 5, 0x19, 0x55];
        decode(&bytes, |message| list(message, put));
        assert_eq!(
            text.trim_end(),
            "type=0x81 function=0x0a length=4 version=1 control=0x04 type=0 segmented_request=0 more_segments=0 SA=0 \
             response_segments=0 max_adpu_size=0 invoke_id=1 confirmed_service=12 objectType=0 instance_number=5 \
             property_identifier=85"
        );
    }
}
