//! Header fields under Wireshark's names (`enip.*`, `cip.*`), in order of appearance.

use super::cip::{Service, service_name};
use super::path::{Logical, Path, Segment};
use super::view::{Body, View, command, item};
use crate::bytes::{le16, le32};
use crate::protocol::Field;

/// Names the fields of the message; those of a response's request path too, as tools show them.
pub(super) fn list(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let hex = |value: u32, digits: u8| Field::Hex(u64::from(value), digits);
    if let Some(head) = view.head() {
        put("enip.command", hex(u32::from(head.command), 4));
        put("enip.length", Field::Number(u64::from(head.length)));
        put("enip.session", hex(head.session, 8));
        put("enip.status", hex(head.status, 8));
        put("enip.context", Field::Bytes(&head.context));
        put("enip.options", hex(head.options, 8));
        let data = view.as_bytes().get(super::HEADER_LEN..).unwrap_or_default();
        match head.command {
            command::SEND_RR_DATA | command::SEND_UNIT_DATA => {
                let rr = head.command == command::SEND_RR_DATA;
                if let Some(interface) = le32(data, 0) {
                    put(if rr { "enip.srrd.iface" } else { "enip.sud.iface" }, hex(interface, 8));
                }
            }
            command::REGISTER_SESSION => {
                if let (Some(version), Some(flags)) = (le16(data, 0), le16(data, 2)) {
                    put("enip.rs.version", Field::Number(u64::from(version)));
                    put("enip.rs.flags", hex(u32::from(flags), 4));
                }
            }
            _ => {}
        }
    }
    if let Some(count) = view.item_count() {
        put("enip.cpf.itemcount", Field::Number(u64::from(count)));
    }
    for held in view.items() {
        put("enip.cpf.typeid", hex(u32::from(held.kind), 4));
        put("enip.cpf.length", Field::Number(held.data.len() as u64));
        match (held.kind, le32(held.data, 0)) {
            (item::CONNECTED_ADDRESS, Some(id)) => {
                put("enip.cpf.cai.connid", hex(id, 8));
                put("cip.connid", hex(id, 8));
            }
            (item::SEQUENCED_ADDRESS, Some(id)) => {
                put("enip.cpf.sai.connid", hex(id, 8));
                put("cip.connid", hex(id, 8));
                if let Some(sequence) = le32(held.data, 4) {
                    put("enip.cpf.sai.seq", Field::Number(u64::from(sequence)));
                }
            }
            (item::IDENTITY, _) => identity(held.data, put),
            _ => {}
        }
    }
    match view.body() {
        Body::Service { connected, message, service: Some(service) } => {
            if let Some((_, count)) = connected {
                put("cip.seq", Field::Number(u64::from(count)));
            }
            visit(message, &mut |service| {
                put("cip.sc", hex(u32::from(service.code), 2));
                if service.response {
                    put("cip.genstat", hex(u32::from(service.status), 2));
                    put("cip.addstat_size", Field::Number(service.additional.len() as u64 / 2));
                    if let Some(extended) = service.extended() {
                        put("cip.addstat", hex(u32::from(extended), 4));
                    }
                }
            });
            let asked = if service.response {
                view.request.map_or(&[][..], |request| request.message)
            } else {
                message
            };
            visit(asked, &mut |service| path(service.path, put));
        }
        Body::Io { data, .. } => put("cipio.data", Field::Bytes(data)),
        _ => {}
    }
}

/// What a device says of itself (V2 table 2-4.4).
fn identity(data: &[u8], put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let number = |at: usize| le16(data, at).map(|value| Field::Number(u64::from(value)));
    for (name, at) in [
        ("enip.encapver", 0),
        ("enip.lir.vendor", 18),
        ("enip.lir.devtype", 20),
        ("enip.lir.prodcode", 22),
        ("enip.lir.status", 26),
    ] {
        if let Some(field) = number(at) {
            put(name, field);
        }
    }
    if let Some(serial) = le32(data, 28) {
        put("enip.lir.serial", Field::Hex(u64::from(serial), 8));
    }
    if let Some((len, rest)) = data.get(32..).and_then(<[u8]>::split_first)
        && let Some((name, behind)) = rest.split_at_checked(usize::from(*len))
    {
        put("enip.lir.namelen", Field::Number(u64::from(*len)));
        put("enip.lir.name", Field::Text(name));
        if let Some(state) = behind.first() {
            put("enip.lir.state", Field::Hex(u64::from(*state), 2));
        }
    }
}

/// Every service of a message, wrapping ones first.
fn visit(message: &[u8], each: &mut dyn FnMut(&Service<'_>)) {
    let Some(mut service) = Service::new(message) else { return };
    each(&service);
    if let Some((inner, _)) = service.forwarded() {
        let Some(inner) = Service::new(inner) else { return };
        each(&inner);
        service = inner;
    }
    for leaf in service.multiple().into_iter().flatten() {
        if leaf != Service::default() {
            each(&leaf);
        }
    }
}

fn path(path: &[u8], put: &mut dyn FnMut(&'static str, Field<'_>)) {
    for segment in Path(path) {
        match segment {
            Segment::Logical { kind, number } => {
                let (name, digits) = match kind {
                    Logical::Class => ("cip.class", 2),
                    Logical::Instance => ("cip.instance", 2),
                    Logical::Member => ("cip.member", 2),
                    Logical::Point => ("cip.connpoint", 2),
                    Logical::Attribute => {
                        put("cip.attribute", Field::Number(u64::from(number)));
                        continue;
                    }
                    Logical::Service => continue,
                };
                put(name, Field::Hex(u64::from(number), digits));
            }
            Segment::Symbol(name) => put("cip.symbol", Field::Text(name)),
            _ => {}
        }
    }
}

/// The name of a service or a command. Their numbers overlap at 1 and 4.
pub(super) const fn function_name(function: u16) -> &'static str {
    match function {
        0x04 => "Set_Attribute_List or ListServices",
        0x63 => "ListIdentity",
        0x64 => "ListInterfaces",
        0x65 => "RegisterSession",
        0x66 => "UnRegisterSession",
        0x6f => "SendRRData",
        0x70 => "SendUnitData",
        0xffff => "I/O data",
        code => service_name(if code > 0x7f { 0x80 } else { code as u8 }),
    }
}
