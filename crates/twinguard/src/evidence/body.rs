//! Records as deterministic CBOR, and back to JSON for people.

use serde::Serialize;
use serde_json::{Map, Number, Value};
use twinguard_integrity::cbor::{self, Item, write};
use twinguard_integrity::{Form, Leaf};

use crate::Error;

/// A record as one item: what its JSON form holds, a map's keys in the order of RFC 8949 §4.2.1.
pub(super) fn encode(record: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    put(&mut out, &serde_json::to_value(record)?);
    Ok(out)
}

fn put(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => write::null(out),
        Value::Bool(flag) => write::flag(out, *flag),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(value), ..) => write::unsigned(out, value),
            (_, Some(value), _) => write::integer(out, value),
            (_, _, Some(value)) => write::number(out, value),
            _ => write::null(out),
        },
        Value::String(text) => write::text(out, text),
        Value::Array(items) => {
            write::array(out, items.len());
            items.iter().for_each(|item| put(out, item));
        }
        Value::Object(pairs) => {
            let mut pairs: Vec<(&String, &Value)> = pairs.iter().collect();
            pairs.sort_by(|a, b| cbor::order(a.0, b.0));
            write::map(out, pairs.len());
            for (key, value) in pairs {
                write::text(out, key);
                put(out, value);
            }
        }
    }
}

pub(super) fn text(leaf: &Leaf<'_>) -> Result<String, Error> {
    let odd = || Error::Body { kind: leaf.kind };
    match leaf.form {
        Form::Bytes => {
            let text = core::str::from_utf8(leaf.body).map_err(|_| odd())?;
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| odd())?;
            Ok(text.to_owned())
        }
        Form::Item => {
            // How deep items may stand within items, the check has bounded.
            cbor::check(leaf.body)?;
            let mut rest = leaf.body;
            Ok(take(&mut rest).ok_or_else(odd)?.to_string())
        }
    }
}

fn take(rest: &mut &[u8]) -> Option<Value> {
    Some(match cbor::read(rest)? {
        Item::Unsigned(value) => Value::from(value),
        Item::Negative(value) => Value::from(value),
        Item::Text(text) => Value::from(text),
        Item::Flag(flag) => Value::from(flag),
        Item::Null => Value::Null,
        Item::Number(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
        Item::Array(items) => (0..items).map(|_| take(rest)).collect::<Option<Vec<_>>>()?.into(),
        Item::Map(pairs) => {
            let mut map = Map::new();
            for _ in 0..pairs {
                let Item::Text(key) = cbor::read(rest)? else { return None };
                map.insert(key.to_owned(), take(rest)?);
            }
            map.into()
        }
        Item::Bytes(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use twinguard_types::{Label, Timestamp};

    use super::*;

    fn leaf(form: Form, body: &[u8]) -> Leaf<'_> {
        Leaf { kind: Label::literal("word"), at: Timestamp::ZERO, form, body }
    }

    #[test]
    fn golden_body() {
        let record = json!({ "b": 1, "aa": 2.5, "a": [true, null, -1, "x", 1e300] });
        let bytes = encode(&record).unwrap();
        let wanted =
            b"\xa3\x61a\x85\xf5\xf6\x20\x61x\xfb\x7e\x37\xe4\x3c\x88\x00\x75\x9c\x61b\x01\x62aa\xf9\x41\x00";
        assert_eq!(bytes, wanted);
        let text = text(&leaf(Form::Item, &bytes)).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), record);
    }

    #[test]
    fn entries_of_format_1_are_read() {
        let old = r#"{"measured":"00ff","outcome":"differs"}"#;
        assert_eq!(text(&leaf(Form::Bytes, old.as_bytes())).unwrap(), old);
        assert!(text(&leaf(Form::Bytes, b"deny")).is_err());
        assert!(text(&leaf(Form::Item, &[0x41, 0x00])).is_err());
    }

    fn value() -> impl Strategy<Value = Value> {
        let plain = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e30..1e30).prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        plain.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_entered_is_deterministic_and_comes_back(record in value()) {
            let bytes = encode(&record).unwrap();
            let text = text(&leaf(Form::Item, &bytes)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), record);
        }
    }
}
