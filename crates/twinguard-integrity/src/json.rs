//! JSON as whoever signs it has to read and write it: no name twice, one text for one value.
//!
//! Reading is RFC 8259, with the rule of I-JSON (RFC 7493 §2.3) that names are unique; depth is bounded. Writing is the
//! JSON Canonicalization Scheme (RFC 8785): names in order of their UTF-16 units, numbers as ECMAScript writes them. Numbers
//! that a double cannot hold are refused there (§3.2.2.3, RFC 7493 §2.2), never rounded.

use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::Error;

/// Reads one JSON text, UTF-8, to the end.
///
/// ```
/// assert!(twinguard_integrity::json::parse(br#"{"a":[1,2.5]}"#).is_ok());
/// assert!(twinguard_integrity::json::parse(br#"{"a":1,"a":2}"#).is_err());
/// ```
///
/// # Errors
/// [`Error::Json`] with the place.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Strict.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| Error::Json { reason: error.to_string() })
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("name `{}` stands twice", Error::shown(&name))));
            }
            let value = members.next_value_seed(Strict)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

/// The one text of a value (RFC 8785), without a line feed at the end.
///
/// # Errors
/// [`Error::Json`] for an integer that no double holds exactly.
pub fn canonical(value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    write(value, &mut text)?;
    Ok(text)
}

fn write(value: &Value, out: &mut String) -> Result<(), Error> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&ecmascript(double(number)?)),
        Value::String(text) => quote(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quote(name, out);
                out.push(':');
                write(value, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn double(number: &Number) -> Result<f64, Error> {
    let exact = match (number.as_u64(), number.as_i64()) {
        (Some(whole), _) => (whole as f64 as u128 == u128::from(whole)).then_some(whole as f64),
        (_, Some(whole)) => (whole as f64 as i128 == i128::from(whole)).then_some(whole as f64),
        _ => number.as_f64(),
    };
    exact.ok_or_else(|| Error::Json { reason: format!("no double holds {number}") })
}

/// ECMAScript `Number::toString` (ECMA-262 §6.1.6.1.20) of a finite double.
fn ecmascript(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // Rust's exponent form has the shortest digits that read back as the same double. Where several texts of that length do,
    // ECMAScript takes the nearest, and of two as near the even one: rounding to that many digits.
    let shortest = format!("{:e}", value.abs());
    let count = shortest.split('e').next().map_or(0, |digits| digits.len().saturating_sub(2));
    let rounded = format!("{:.count$e}", value.abs());
    let shortest = if rounded.parse() == Ok(value.abs()) { rounded } else { shortest };
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits = mantissa.replace('.', "");
    let point = exponent.parse::<i32>().unwrap_or_default().saturating_add(1);
    let count = digits.len() as i32;
    let (head, tail) = digits.split_at(point.clamp(0, count) as usize);
    let zeros = |n: i32| "0".repeat(n.max(0) as usize);
    let text = match point {
        22.. | ..=-6 => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{first}{dot}{rest}e{:+}", point - 1)
        }
        _ if point >= count => format!("{digits}{}", zeros(point - count)),
        1.. => format!("{head}.{tail}"),
        _ => format!("0.{}{digits}", zeros(-point)),
    };
    if value < 0.0 { format!("-{text}") } else { text }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_rfc_8785_lists_them() {
        // RFC 8785, appendix B.
        for (bits, text) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        ] {
            assert_eq!(ecmascript(f64::from_bits(bits)), text);
        }
    }

    #[test]
    fn names_are_unique_and_depth_is_bounded() {
        for bad in [r#"{"a":1,"a":2}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#, "1 2", "", "[1e400]"] {
            assert!(matches!(parse(bad.as_bytes()), Err(Error::Json { .. })), "{bad}");
        }
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(canonical(&parse(b"[9007199254740993]").unwrap()).is_err());
    }
}
