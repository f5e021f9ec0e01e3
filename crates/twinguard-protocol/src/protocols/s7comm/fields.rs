//! Header fields under Wireshark's names (`s7comm.*`), in order of appearance.
//!
//! Sources: as `view.rs`; field names by `tshark -G fields`.

use super::item::{DataItem, Item, Items};
use super::view::{Turn, View, function, group, rosctr};
use crate::protocol::Field;

/// Names every field of the message.
pub(super) fn list(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let pdu = view.as_bytes();
    let be = |at: usize| u64::from(crate::bytes::be16(pdu, at).unwrap_or_default());
    let (parameters, data) = (view.parameters(), view.data());
    put("s7comm.header.protid", hex(pdu.first().copied().unwrap_or_default()));
    put("s7comm.header.rosctr", number(view.rosctr()));
    put("s7comm.header.redid", Field::Hex(be(2), 4));
    put("s7comm.header.pduref", Field::Number(be(4)));
    put("s7comm.header.parlg", Field::Number(be(6)));
    put("s7comm.header.datlg", Field::Number(be(8)));
    if matches!(view.rosctr(), rosctr::ACK | rosctr::ACK_DATA) {
        put("s7comm.header.errcls", hex((view.error() >> 8) as u8));
        put("s7comm.header.errcod", hex(view.error() as u8));
    }
    match (view.rosctr(), parameters) {
        (rosctr::JOB | rosctr::ACK_DATA, [code, rest @ ..]) => {
            put("s7comm.param.func", hex(*code));
            match (view.rosctr(), *code, rest) {
                (rosctr::JOB, function::READ | function::WRITE, [count, items @ ..]) => {
                    put("s7comm.param.itemcount", number(*count));
                    Items::new(items, *count).for_each(|named| item(named, put));
                    view.values().items().for_each(|value| data_item(value, put));
                }
                (rosctr::ACK_DATA, function::READ, [count, ..]) => {
                    put("s7comm.param.itemcount", number(*count));
                    view.values().items().for_each(|value| data_item(value, put));
                }
                (rosctr::ACK_DATA, function::WRITE, [count, ..]) => {
                    put("s7comm.param.itemcount", number(*count));
                    let codes = data.iter().take(usize::from(*count));
                    codes.for_each(|code| put("s7comm.data.returncode", hex(*code)));
                }
                (_, function::SETUP, [_, a1, a0, b1, b0, l1, l0, ..]) => {
                    put("s7comm.param.maxamq_calling", Field::Number(word(*a1, *a0)));
                    put("s7comm.param.maxamq_called", Field::Number(word(*b1, *b0)));
                    put("s7comm.param.pdu_length", Field::Number(word(*l1, *l0)));
                }
                _ => {}
            }
        }
        (rosctr::USERDATA, _) => userdata(view, put),
        _ => {}
    }
}

fn userdata(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let (Some(userdata), data) = (view.userdata(), view.data()) else { return };
    put("s7comm.param.userdata.funcgroup", number(userdata.group));
    put("s7comm.param.userdata.subfunc", number(userdata.subfunction));
    put("s7comm.param.userdata.seq_num", number(userdata.sequence));
    if view.parameters().len() >= 12 {
        put("s7comm.param.userdata.dataunitref", number(userdata.unit));
        put("s7comm.param.userdata.lastdataunit", hex(u8::from(userdata.more)));
        put("s7comm.param.errcod", Field::Hex(u64::from(userdata.error), 4));
    }
    let [code, transport, l1, l0, rest @ ..] = data else { return };
    put("s7comm.data.returncode", hex(*code));
    put("s7comm.data.transportsize", hex(*transport));
    put("s7comm.data.length", Field::Number(word(*l1, *l0)));
    view.table_codes().iter().for_each(|code| put("s7comm.data.returncode", hex(*code)));
    // Answer to a query of alarms: function, number of objects, then a head of its own.
    if let (group::CPU, 0x13, Turn::Response, [_, _, code, transport, ..]) =
        (userdata.group, userdata.subfunction, userdata.turn, rest)
    {
        put("s7comm.data.returncode", hex(*code));
        put("s7comm.data.transportsize", hex(*transport));
    }
    let values = view.values();
    if values.access.is_some() {
        if userdata.group == group::CYCLIC
            && let [c1, c0, ..] = rest
        {
            put("s7comm.param.itemcount", Field::Number(word(*c1, *c0)));
        }
        values.items().for_each(|value| data_item(value, put));
    } else if let (group::CYCLIC, 1 | 5 | 7, Turn::Request, [_, count, _, _, items @ ..]) =
        (userdata.group, userdata.subfunction, userdata.turn, rest)
    {
        put("s7comm.param.itemcount", number(*count));
        Items::new(items, *count).for_each(|named| item(named, put));
    }
}

fn item(named: Item<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let [spec, len, ..] = named.as_bytes() else { return };
    put("s7comm.param.item.varspec", hex(*spec));
    put("s7comm.param.item.varspec_length", number(*len));
    if let Some(syntax) = named.syntax() {
        put("s7comm.param.item.syntaxid", hex(syntax));
    }
    if let Some(any) = named.any() {
        put("s7comm.param.item.transp_size", number(any.transport));
        put("s7comm.param.item.length", Field::Number(u64::from(any.length)));
        put("s7comm.param.item.db", Field::Number(u64::from(any.block)));
        put("s7comm.param.item.area", hex(any.area));
        put("s7comm.param.item.address", Field::Hex(u64::from(any.address), 6));
    }
}

fn data_item(value: DataItem<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    put("s7comm.data.returncode", hex(value.code));
    put("s7comm.data.transportsize", hex(value.transport));
    put("s7comm.data.length", Field::Number(u64::from(value.length)));
    if !value.data.is_empty() {
        put("s7comm.resp.data", Field::Bytes(value.data));
    }
}

fn number(value: u8) -> Field<'static> {
    Field::Number(u64::from(value))
}

fn hex(value: u8) -> Field<'static> {
    Field::Hex(u64::from(value), 2)
}

fn word(high: u8, low: u8) -> u64 {
    u64::from(u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sender;

    #[test]
    fn a_read_names_its_item() {
        let pdu = b"\x32\x01\0\0\0\x05\0\x0e\0\0\x04\x01\x12\x0a\x10\x02\0\x04\0\x01\x84\0\0\x50";
        let mut text = String::new();
        list(&View::new(pdu, Sender::Client), &mut |name, field| {
            if name.starts_with("s7comm.param") {
                text += &format!("{}={field} ", name.trim_start_matches("s7comm.param."));
            }
        });
        assert_eq!(
            text,
            "func=0x04 itemcount=1 item.varspec=0x12 item.varspec_length=10 item.syntaxid=0x10 \
             item.transp_size=2 item.length=4 item.db=1 item.area=0x84 item.address=0x000050 "
        );
    }
}
