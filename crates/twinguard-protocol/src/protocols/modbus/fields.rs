//! Header fields under Wireshark's names (`mbtcp.*`, `modbus.*`), in order of appearance.

use super::body::Body;
use super::view::View;
use crate::protocol::{Field, Sender};

/// Names every field of the message.
pub(super) fn list(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    put("mbtcp.trans_id", Field::Number(u64::from(view.transaction_id())));
    put("mbtcp.len", Field::Number(u64::from(view.length())));
    put("mbtcp.unit_id", Field::Number(u64::from(view.unit_id())));
    body(view, put);
}

/// Names the fields from the function code on.
pub(crate) fn body(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let data = view.data();
    let word = |value: u16| Field::Number(u64::from(value));
    let byte = |value: u8| Field::Number(u64::from(value));
    let count = |at: usize| data.get(at).map_or(Field::Bytes(&[]), |value| Field::Number(u64::from(*value)));
    put("modbus.func_code", byte(view.function().0));
    let quantity = match view.function().0 {
        1 | 2 | 15 => "modbus.bit_cnt",
        _ => "modbus.word_cnt",
    };
    match view.body() {
        Body::Read { start, quantity: number } | Body::Written { start, quantity: number } => {
            put("modbus.reference_num", word(start));
            put(quantity, word(number));
        }
        Body::Bits(bits) => {
            put("modbus.byte_cnt", count(0));
            put("modbus.data", Field::Bytes(bits.as_bytes()));
        }
        Body::Registers(registers) => {
            put("modbus.byte_cnt", count(0));
            put("modbus.data", Field::Bytes(registers.as_bytes()));
        }
        Body::WriteCoil { address, .. } | Body::WriteRegister { address, .. } => {
            put("modbus.reference_num", word(address));
            put("modbus.data", Field::Bytes(data.get(2..).unwrap_or_default()));
        }
        Body::Empty => {}
        Body::ExceptionStatus { .. } => put("modbus.data", Field::Bytes(data)),
        Body::Diagnostics { sub_function, data } => {
            put("modbus.diagnostic_code", word(sub_function));
            put("modbus.data", Field::Bytes(data));
        }
        Body::EventCounter { status, count } => {
            put("modbus.ev_status", Field::Hex(u64::from(status), 4));
            put("modbus.ev_count", word(count));
        }
        Body::EventLog { status, events, messages, log } => {
            put("modbus.byte_cnt", count(0));
            put("modbus.ev_status", Field::Hex(u64::from(status), 4));
            put("modbus.ev_count", word(events));
            put("modbus.ev_msg_count", word(messages));
            put("modbus.data", Field::Bytes(log));
        }
        Body::WriteCoils { start, quantity: number, bits } => {
            put("modbus.reference_num", word(start));
            put(quantity, word(number));
            put("modbus.byte_cnt", count(4));
            put("modbus.data", Field::Bytes(bits.as_bytes()));
        }
        Body::WriteRegisters { start, quantity: number, registers } => {
            put("modbus.reference_num", word(start));
            put(quantity, word(number));
            put("modbus.byte_cnt", count(4));
            put("modbus.data", Field::Bytes(registers.as_bytes()));
        }
        Body::ServerId { data } => put("modbus.data", Field::Bytes(data)),
        Body::ReadFile(reads) => {
            put("modbus.byte_cnt", count(0));
            for read in reads.iter() {
                put("modbus.reference_type", byte(read.reference));
                put(
                    "modbus.reference_num_32",
                    Field::Number(u64::from(read.file) << 16 | u64::from(read.record)),
                );
                put("modbus.word_cnt", word(read.length));
            }
        }
        Body::FileData(answers) => {
            put("modbus.byte_cnt", count(0));
            for (reference, registers) in answers.iter() {
                put("modbus.reference_type", byte(reference));
                put("modbus.data", Field::Bytes(registers.as_bytes()));
            }
        }
        Body::WriteFile(writes) => {
            put("modbus.byte_cnt", count(0));
            for (place, registers) in writes.iter() {
                put("modbus.reference_type", byte(place.reference));
                put(
                    "modbus.reference_num_32",
                    Field::Number(u64::from(place.file) << 16 | u64::from(place.record)),
                );
                put("modbus.word_cnt", word(place.length));
                put("modbus.data", Field::Bytes(registers.as_bytes()));
            }
        }
        Body::MaskWrite { address, and, or } => {
            put("modbus.reference_num", word(address));
            put("modbus.and_mask", Field::Hex(u64::from(and), 4));
            put("modbus.or_mask", Field::Hex(u64::from(or), 4));
        }
        Body::ReadWrite { read_start, read_quantity, write_start, write_quantity, registers } => {
            put("modbus.read_reference_num", word(read_start));
            put("modbus.read_word_cnt", word(read_quantity));
            put("modbus.write_reference_num", word(write_start));
            put("modbus.write_word_cnt", word(write_quantity));
            put("modbus.byte_cnt", count(8));
            put("modbus.data", Field::Bytes(registers.as_bytes()));
        }
        Body::ReadFifo { address } => put("modbus.reference_num", word(address)),
        Body::Fifo { count, registers } => {
            let [high, low] = data.first_chunk().copied().unwrap_or_default();
            put("modbus.byte_cnt_16", word(u16::from_be_bytes([high, low])));
            put("modbus.word_cnt", word(count));
            put("modbus.data", Field::Bytes(registers.as_bytes()));
        }
        Body::ReadDeviceId { code, object } => {
            put("modbus.mei", byte(14));
            put("modbus.read_device_id", byte(code));
            put("modbus.object_id", byte(object));
        }
        Body::DeviceId { code, conformity, more, next, count, objects } => {
            put("modbus.mei", byte(14));
            put("modbus.read_device_id", byte(code));
            put("modbus.conformity_level", Field::Hex(u64::from(conformity), 2));
            put("modbus.more_follows", Field::Hex(u64::from(more), 2));
            put("modbus.next_object_id", byte(next));
            put("modbus.num_objects", byte(count));
            for (id, value) in objects.iter() {
                put("modbus.object_id", byte(id));
                put("modbus.objects_len", Field::Number(value.len() as u64));
                put("modbus.object_str_value", Field::Text(value));
            }
        }
        Body::Encapsulated { kind, data } => {
            put("modbus.mei", byte(kind));
            put("modbus.data", Field::Bytes(data));
        }
        Body::Exception { code } => put("modbus.exception_code", byte(code)),
        Body::Opaque { data } | Body::Short { data } => {
            // The exception bit in a request: tools show the code that it would carry.
            if view.is_exception() && view.sender() == Sender::Server && data.is_empty() {
                return;
            }
            put("modbus.data", Field::Bytes(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(adu: &[u8], sender: Sender, expect: &str) {
        let view = View::new(adu, sender).unwrap();
        let mut text = String::new();
        list(&view, &mut |name, field| text += &format!("{}={field} ", name.rsplit('.').next().unwrap()));
        assert_eq!(text.trim_end(), expect);
    }

    #[test]
    fn fields_come_under_known_names() {
        let head = "trans_id=1 len=8 unit_id=4 func_code=";
        check(
            &[0, 1, 0, 0, 0, 8, 4, 22, 0, 10, 0xde, 0xad, 0, 0],
            Sender::Client,
            &format!("{head}22 reference_num=10 and_mask=0xdead or_mask=0x0000"),
        );
        check(
            &[0, 1, 0, 0, 0, 8, 4, 15, 0, 19, 0, 3, 1, 5],
            Sender::Client,
            &format!("{head}15 reference_num=19 bit_cnt=3 byte_cnt=1 data=05"),
        );
        check(
            &[0, 1, 0, 0, 0, 3, 4, 0x83, 2],
            Sender::Server,
            "trans_id=1 len=3 unit_id=4 func_code=3 exception_code=2",
        );
    }
}
