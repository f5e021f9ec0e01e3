//! Bytes and texts of fields as strangers write them.
//!
//! Source: RFC 4180; ISO 80000-1 §7.3.2 (the decimal sign is a comma or a point); bytes that are no UTF-8 are ISO 8859-1, where each byte is one
//! character.

use std::{borrow::Cow, io::Read};

use twinguard_types::Value;

/// The bytes of the next line with its line feed, at most 4 MiB.
pub(super) fn line(input: &mut impl Read) -> std::io::Result<Vec<u8>> {
    const LIMIT: usize = 4 << 20;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LIMIT && input.read(&mut byte)? == 1 {
        line.extend_from_slice(&byte);
        if byte == *b"\n" {
            break;
        }
    }
    Ok(line)
}

/// The text of a field.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// A value; `None` for a missing one, an error for what is no value. `comma`: fields are not divided by commas, so that one may be a decimal sign.
pub(super) fn value(text: &str, comma: bool) -> Result<Option<Value>, ()> {
    if text.is_empty() || text.eq_ignore_ascii_case("null") || text.eq_ignore_ascii_case("na") {
        return Ok(None);
    }
    if let Ok(number) = text.parse::<f64>() {
        return Ok(Value::real(number).ok());
    }
    if comma && text.matches(',').count() == 1 {
        // Points before the comma divide thousands.
        let number: String =
            text.chars().filter(|c| *c != '.').map(|c| if c == ',' { '.' } else { c }).collect();
        if let Ok(number) = number.parse::<f64>() {
            return Ok(Value::real(number).ok());
        }
    }
    match text {
        "true" | "True" | "TRUE" => Ok(Some(Value::Boolean(true))),
        "false" | "False" | "FALSE" => Ok(Some(Value::Boolean(false))),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_notations_and_bytes_as_latin_1() {
        let number = |text, comma| value(text, comma).unwrap().map(|value| value.as_f64());
        assert_eq!(number("1,5", true), Some(1.5));
        assert_eq!(number("-1.234,5", true), Some(-1234.5));
        assert_eq!(number("1.5", true), Some(1.5));
        assert_eq!(number("NaN", true), None);
        assert!(value("1,5", false).is_err() && value("1,2,3", true).is_err() && value("bad", true).is_err());
        assert_eq!(decode(b"\xb0C"), "°C");
        assert_eq!(decode("°C".as_bytes()), "°C");
        assert_eq!(line(&mut "a\nb".as_bytes()).unwrap(), b"a\n");
    }
}
