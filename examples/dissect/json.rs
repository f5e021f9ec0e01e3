//! One line a message, in the schema of the reference data.

use std::io::{self, Write};

use twinguard::protocol::Family;
use twinguard::protocol::protocol::{Header, Raw, Scalar};
use twinguard::protocol::stack::Message;
use twinguard::types::{Oddity, Quality, Timestamp};

/// A function as the schema has it: messages without one say so.
fn function(family: Family, code: u16) -> String {
    match family.show_function(code).to_string() {
        text if text.is_empty() || code == Header::NO_FUNCTION => "null".to_owned(),
        text => format!("\"{text}\""),
    }
}

/// One message in the schema of the reference data.
pub(crate) fn line(out: &mut impl Write, message: &Message<'_>) -> io::Result<()> {
    let family = message.family();
    let nanos = message.at.as_nanos();
    let (secs, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    write!(
        out,
        r#"{{"n":{},"t":"{secs}.{nanos:09}","i":{},"p":"{family}","src":"{}","dst":"{}","fn":{},"kind":"{}","err":"#,
        message.frame,
        message.index,
        message.source,
        message.destination,
        function(family, message.header.function),
        message.header.kind.as_str(),
    )?;
    match message.oddities.iter().find(|(oddity, _)| *oddity == Oddity::Truncated) {
        Some((oddity, offset)) => write!(out, r#""{} at byte {offset}","fld":{{"#, word(oddity))?,
        None => out.write_all(br#"null,"fld":{"#)?,
    }
    let mut fields: Vec<(&'static str, Vec<String>)> = Vec::new();
    message.pdu.fields(&mut |name, field| {
        let text = field.to_string();
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, texts)) => texts.push(text),
            None => fields.push((name, vec![text])),
        }
    });
    for (index, (name, texts)) in fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, r#"{comma}"{name}":{}"#, serde_json::to_string(texts)?)?;
    }
    out.write_all(br#"},"pts":["#)?;
    for (index, point) in message.points().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let (tag, raw) = (family.show_place(&point).to_string(), point.raw);
        let tag = serde_json::to_string(&tag)?;
        write!(out, r#"{comma}{{"tag":{tag},"v":"#)?;
        match raw {
            Raw::Bit(bit) => write!(out, r#""{}""#, u8::from(bit))?,
            Raw::Word(word) => write!(out, r#""{}""#, u16::from_be_bytes(word))?,
            Raw::Scalar { value: Scalar::Opaque, .. } | Raw::Number { value: Scalar::Opaque, .. } => {
                out.write_all(b"null")?
            }
            Raw::Scalar { value, .. } | Raw::Number { value, .. } => {
                out.write_all(serde_json::to_string(&value.to_string())?.as_bytes())?
            }
            _ => out.write_all(b"null")?,
        }
        write!(out, r#","raw":"{raw}""#)?;
        if point.quality != Quality::Good {
            write!(out, r#","q":"{:?}""#, point.quality)?;
        }
        if let Some(at) = point.at {
            let nanos = at.as_nanos();
            let (secs, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
            write!(out, r#","ts":"{secs}.{nanos:09}""#)?;
        }
        out.write_all(b"}")?;
    }
    out.write_all(br#"],"odd":["#)?;
    for (index, (oddity, offset)) in message.oddities.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, r#"{comma}["{}",{offset}]"#, word(oddity))?;
    }
    out.write_all(b"]}\n")
}

/// `ResponseMismatch` as `response_mismatch`.
pub(crate) fn word(oddity: Oddity) -> String {
    let mut text = String::new();
    for letter in format!("{oddity:?}").chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// Seconds since 1970 with nine decimals.
pub(crate) fn seconds(at: Timestamp) -> String {
    let nanos = at.as_nanos();
    format!("{}.{:09}", nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000))
}
