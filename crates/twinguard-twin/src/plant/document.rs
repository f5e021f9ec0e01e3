//! TOML or JSON to one tree whose every key and value knows its place.
//!
//! Sources: TOML 1.0/1.1 as read by the `toml` crate, JSON (RFC 8259) as read by `serde_json`.

use core::fmt;
use std::{borrow::Cow, sync::Arc};

use serde_json::value::RawValue;
use toml::de::{DeTable, DeValue};

use crate::problem::{Located, Place, Problem};

/// Largest plant file in bytes.
pub(super) const FILE_LIMIT: usize = 8 << 20;
/// Deepest nesting of tables and lists.
const DEPTH: usize = 32;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Byte offset of the value.
    pub(super) at: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    Boolean(bool),
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<Entry>),
    /// Something a plant file has no use for: a date, null.
    Other(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Byte offset of the key.
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// The elements of a list; none for anything else.
    pub(super) fn list(&self) -> &[Node] {
        match &self.value {
            Value::List(list) => list,
            _ => &[],
        }
    }

    /// The entries of a table; none for anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "text",
            Value::Number(_) => "a number",
            Value::Boolean(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
        }
    }
}

/// A file's text with its name: makes offsets places.
pub(super) struct Source<'a> {
    pub(super) file: Arc<str>,
    pub(super) text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn located(&self, at: usize, problem: Problem) -> Located {
        Located { place: Place::of(&self.file, self.text, at), problem }
    }

    /// Where the content of a text value starts in the file, if it stands there letter by letter.
    pub(super) fn content(&self, node: &Node) -> Option<usize> {
        let content = node.text()?;
        let rest = self.text.get(node.at..)?;
        let quotes = ["\"\"\"\r\n", "'''\r\n", "\"\"\"\n", "'''\n", "\"\"\"", "'''", "\"", "'"];
        let quote = quotes.into_iter().find(|quote| rest.starts_with(quote))?;
        rest.get(quote.len()..)?.starts_with(content).then_some(node.at + quote.len())
    }

    /// The tree. A text whose first visible character is `{` is JSON, any other TOML.
    pub(super) fn parse(&self) -> Result<Node, Located> {
        let whole =
            |problem| Located { place: Place { file: self.file.clone(), line: 0, column: 0 }, problem };
        if self.text.len() > FILE_LIMIT {
            let (what, count) = ("bytes of a plant file", self.text.len());
            return Err(whole(Problem::TooMuch { what, count, limit: FILE_LIMIT }));
        }
        if self.text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).starts_with('{') {
            self.json()
        } else {
            self.toml()
        }
    }

    fn toml(&self) -> Result<Node, Located> {
        let table = DeTable::parse(self.text).map_err(|error| {
            let reason = error.message().to_owned();
            self.located(error.span().map_or(0, |span| span.start), Problem::Syntax { reason })
        })?;
        self.table_node(table.get_ref(), 0, 0)
    }

    fn table_node(&self, table: &DeTable<'_>, at: usize, depth: usize) -> Result<Node, Located> {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let node = self.value_node(value.get_ref(), value.span().start, depth + 1)?;
            entries.push(Entry { at: key.span().start, key: key.get_ref().to_string(), node });
        }
        entries.sort_by_key(|entry| entry.at);
        Ok(Node { at, value: Value::Table(entries) })
    }

    fn value_node(&self, value: &DeValue<'_>, at: usize, depth: usize) -> Result<Node, Located> {
        self.deep(at, depth)?;
        let number = |text: Option<f64>| text.map_or(Value::Other("a number out of range"), Value::Number);
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => {
                number(i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|i| i as f64))
            }
            DeValue::Float(float) => number(float.as_str().parse().ok()),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(_) => Value::Other("a date or time"),
            DeValue::Array(array) => {
                let convert = |value: &toml::Spanned<DeValue<'_>>| {
                    self.value_node(value.get_ref(), value.span().start, depth + 1)
                };
                Value::List(array.iter().map(convert).collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => return self.table_node(table, at, depth),
        };
        Ok(Node { at, value })
    }

    fn deep(&self, at: usize, depth: usize) -> Result<(), Located> {
        if depth > DEPTH {
            let problem = Problem::TooMuch { what: "nesting", count: depth, limit: DEPTH };
            return Err(self.located(at, problem));
        }
        Ok(())
    }

    fn json(&self) -> Result<Node, Located> {
        let text = self.text.trim_start_matches('\u{feff}');
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
            let line =
                text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
            let skipped = self.text.len() - text.len();
            let message = error.to_string();
            let reason = message.split(" at line ").next().unwrap_or_default().to_owned();
            self.located(skipped + line + error.column().saturating_sub(1), Problem::Syntax { reason })
        })?;
        self.raw_node(raw, 0)
    }

    /// Byte offset of a piece of the text within it.
    fn offset(&self, piece: &str) -> usize {
        piece.as_ptr().addr().saturating_sub(self.text.as_ptr().addr())
    }

    fn raw_node(&self, raw: &'a RawValue, depth: usize) -> Result<Node, Located> {
        let text = raw.get();
        let at = self.offset(text);
        self.deep(at, depth)?;
        let refuse =
            |error: serde_json::Error| self.located(at, Problem::Syntax { reason: error.to_string() });
        let value = match text.as_bytes().first() {
            Some(b'{') => {
                let pairs: Pairs<'a> = serde_json::from_str(text).map_err(refuse)?;
                let mut entries = Vec::with_capacity(pairs.0.len());
                let mut seen = std::collections::BTreeSet::new();
                for (key, value) in pairs.0 {
                    let at = self.offset(key.get());
                    let name: Cow<'a, str> =
                        serde_json::from_str::<String>(key.get()).map_err(refuse)?.into();
                    if !seen.insert(name.clone()) {
                        let name = name.into_owned();
                        return Err(self.located(at, Problem::Duplicate { what: "key", name }));
                    }
                    entries.push(Entry {
                        at,
                        key: name.into_owned(),
                        node: self.raw_node(value, depth + 1)?,
                    });
                }
                Value::Table(entries)
            }
            Some(b'[') => {
                let list: Vec<&'a RawValue> = serde_json::from_str(text).map_err(refuse)?;
                let nodes = list.into_iter().map(|value| self.raw_node(value, depth + 1));
                Value::List(nodes.collect::<Result<_, _>>()?)
            }
            Some(b'"') => Value::Text(serde_json::from_str(text).map_err(refuse)?),
            Some(b't') => Value::Boolean(true),
            Some(b'f') => Value::Boolean(false),
            Some(b'n') => Value::Other("null"),
            _ => Value::Number(serde_json::from_str(text).map_err(refuse)?),
        };
        Ok(Node { at, value })
    }
}

/// The entries of a JSON object, with the places of keys and values.
struct Pairs<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node, Located> {
        Source { file: "f".into(), text }.parse()
    }

    #[test]
    fn plant_documents_say_the_same_in_both_forms() {
        fn bare(node: &Node) -> String {
            match &node.value {
                Value::Table(entries) => {
                    let inner: Vec<_> =
                        entries.iter().map(|e| format!("{}={}", e.key, bare(&e.node))).collect();
                    format!("{{{}}}", inner.join(","))
                }
                Value::List(list) => format!("[{}]", list.iter().map(bare).collect::<Vec<_>>().join(",")),
                other => format!("{other:?}"),
            }
        }
        let toml = parse("z = 1\na = [1.5, \"x\"]\n[t]\nb = true\n").unwrap();
        let json = parse("\n{\"z\": 1, \"a\": [1.5, \"x\"], \"t\": {\"b\": true}}").unwrap();
        assert_eq!(bare(&toml), bare(&json));
        assert_eq!(json.get("a").unwrap().at, 15);
        assert_eq!(toml.get("a").unwrap().list()[1].at, 16);
    }

    #[test]
    fn plant_documents_name_the_place_of_a_slip() {
        for (text, place) in [
            ("a = \n", "f:1:"),
            ("a = 1\na = 2", "f:2:1"),
            ("{\"a\": 1,\n \"a\": 2}", "f:2:2"),
            ("{\"a\": 1,\n \"b\" 2}", "f:2:"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
        }
        for text in [
            format!("a = {}1{}", "[".repeat(60), "]".repeat(60)),
            "{\"a\":".repeat(60) + "1" + &"}".repeat(60),
        ] {
            assert!(parse(&text).is_err());
        }
    }
}
