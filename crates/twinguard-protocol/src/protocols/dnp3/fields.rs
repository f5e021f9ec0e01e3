//! Header fields under Wireshark's names (`dnp3.*`), in order of appearance.

use super::View;
use super::application::{Fragment, Range};
use crate::protocol::Field;

/// The internal indications (IEEE 1815-2012 table 4-9), the first byte in the upper half.
const INDICATIONS: [(&str, u16); 14] = [
    ("dnp3.al.iin.rst", 0x8000),
    ("dnp3.al.iin.dt", 0x4000),
    ("dnp3.al.iin.dol", 0x2000),
    ("dnp3.al.iin.tsr", 0x1000),
    ("dnp3.al.iin.cls3d", 0x0800),
    ("dnp3.al.iin.cls2d", 0x0400),
    ("dnp3.al.iin.cls1d", 0x0200),
    ("dnp3.al.iin.bmsg", 0x0100),
    ("dnp3.al.iin.cc", 0x0020),
    ("dnp3.al.iin.oae", 0x0010),
    ("dnp3.al.iin.ebo", 0x0008),
    ("dnp3.al.iin.pioor", 0x0004),
    ("dnp3.al.iin.obju", 0x0002),
    ("dnp3.al.iin.fcni", 0x0001),
];

/// Names every field of the frame, and of the fragment that it completes.
pub(super) fn list(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let number = |value: u64| Field::Number(value);
    let bit = |byte: u8, mask: u8| Field::Number(u64::from(byte & mask != 0));
    let byte = |value: u8| Field::Hex(u64::from(value), 2);
    let (link, control) = (view.link(), view.link().control());
    put("dnp3.start", Field::Hex(0x0564, 4));
    put("dnp3.len", number(link.length().into()));
    put("dnp3.ctl", byte(control));
    put("dnp3.ctl.dir", bit(control, 0x80));
    put("dnp3.ctl.prm", bit(control, 0x40));
    if link.is_primary() {
        put("dnp3.ctl.fcb", bit(control, 0x20));
        put("dnp3.ctl.fcv", bit(control, 0x10));
        put("dnp3.ctl.prifunc", number(link.function().into()));
    } else {
        put("dnp3.ctl.dfc", bit(control, 0x10));
        put("dnp3.ctl.secfunc", number(link.function().into()));
    }
    put("dnp3.dst", number(link.destination().into()));
    put("dnp3.src", number(link.source().into()));
    put("dnp3.hdr.CRC", Field::Hex(link.header_crc().into(), 4));
    if let Some(transport) = link.transport() {
        put("dnp3.tr.ctl", byte(transport));
        put("dnp3.tr.fin", bit(transport, 0x80));
        put("dnp3.tr.fir", bit(transport, 0x40));
        put("dnp3.tr.seq", number(u64::from(transport & 0x3f)));
    }
    if let Some(fragment) = view.fragment() {
        application(fragment, put);
    }
}

fn application(fragment: &Fragment<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let number = |value: u32| Field::Number(u64::from(value));
    let bit = |set: bool| Field::Number(u64::from(set));
    put("dnp3.al.ctl", Field::Hex(fragment.control.into(), 2));
    put("dnp3.al.fir", bit(fragment.is_first()));
    put("dnp3.al.fin", bit(fragment.is_last()));
    put("dnp3.al.con", bit(fragment.wants_confirmation()));
    put("dnp3.al.uns", bit(fragment.is_unsolicited()));
    put("dnp3.al.seq", number(fragment.sequence().into()));
    put("dnp3.al.func", number(fragment.function.0.into()));
    if let Some(indications) = fragment.indications {
        put("dnp3.al.iin", Field::Hex(indications.into(), 4));
        for (name, mask) in INDICATIONS {
            put(name, bit(indications & mask != 0));
        }
    }
    for section in fragment.sections() {
        // The length of octet strings is not shown as a variation.
        let variation = if matches!(section.group, 110 | 111) { 0 } else { section.variation };
        put("dnp3.al.obj", Field::Hex(u64::from(section.group) << 8 | u64::from(variation), 4));
        put("dnp3.al.objq.prefix", number(u32::from(section.qualifier >> 4)));
        put("dnp3.al.objq.range", number(u32::from(section.qualifier & 0x0f)));
        match section.range {
            Range::Points { start, stop } | Range::Virtual { start, stop } => {
                put("dnp3.al.range.start", number(start));
                put("dnp3.al.range.stop", number(stop));
            }
            Range::Count(count) => put("dnp3.al.range.quantity", number(count)),
            Range::Free(count) => put("dnp3.al.range.quantity", number(count.into())),
            Range::All | Range::Unreadable => {}
        }
    }
}
