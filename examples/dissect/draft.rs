//! `--draft`: a plant file to start from, each place with what speaks for its type.

use std::path::Path;

use twinguard::protocol::protocol::Width;
use twinguard::protocol::protocols::modbus::Place as ModbusPlace;
use twinguard::protocol::survey::Place;
use twinguard::types::{ByteOrder, Encoding};

/// A plant file with all places.
pub(crate) fn plant(places: &[Place<'_>], capture: &Path) -> String {
    let file = capture.file_name().unwrap_or_default().to_string_lossy();
    let mut text = format!(
        "# Draft from {file}: every place that was read or written, with the type that its values suggest.\n\
         # To do: names, units, scale and offset, ranges, which set-points are actuators, limits.\n\
         format = 1\nname = {}\n\n",
        quoted(&capture.file_stem().unwrap_or_default().to_string_lossy()),
    );
    let (signals, points): (String, String) =
        places.iter().map(|place| (signal(place), point(place))).unzip();
    text += &signals;
    text += &points;
    text
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn signal(place: &Place<'_>) -> String {
    let Place { reads, writes, least, most, evidence, .. } = place;
    let rate = place.per_second.map(|rate| format!(", {rate:.3} a second")).unwrap_or_default();
    let role = if *writes > 0 { "setpoint" } else { "measurement" };
    let why = if evidence.is_empty() { String::new() } else { format!("# {evidence}\n") };
    format!(
        "# read {reads} times, written {writes} times{rate}; seen {least} to {most}\n{why}\
         [[signal]]\npath = {}\nunit = \"\"\nrole = \"{role}\"\n\n",
        quoted(place.path),
    )
}

fn point(place: &Place<'_>) -> String {
    let tag = place.family.parse_tag(place.tag);
    // What manuals call the place.
    let manual = tag
        .and_then(|tag| ModbusPlace::of(&tag).filter(|_| place.family.cell(&tag).width != Width::Scalar))
        .and_then(|place| Some(place.table.manual(place.address?)));
    let manual = manual
        .filter(|_| place.family.to_string() == "modbus")
        .map(|manual| format!(" # manual {manual:05}"));
    let order = match place.order {
        ByteOrder::Abcd => "",
        ByteOrder::Cdab => "order = \"CDAB\"\n",
        ByteOrder::Badc => "order = \"BADC\"\n",
        ByteOrder::Dcba => "order = \"DCBA\"\n",
    };
    format!(
        "[[point]]\nsignal = {path}\nprotocol = \"{}\"\nendpoint = \"{}\"\ntag = {}{}\ntype = \"{}\"\n{order}direction = \"{}\"\n\n",
        place.family,
        place.server,
        quoted(place.tag),
        manual.unwrap_or_default(),
        encoding(place.encoding),
        if place.writes > 0 { "write" } else { "read" },
        path = quoted(place.path),
    )
}

/// As plant files write it.
pub(crate) fn encoding(encoding: Encoding) -> String {
    match encoding {
        Encoding::Bit(bit) => format!("bit:{bit}"),
        Encoding::Bcd(digits) => format!("bcd:{digits}"),
        plain => format!("{plain:?}").to_lowercase(),
    }
}
