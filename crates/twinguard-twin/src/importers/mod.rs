//! Importers: what vendors already have, brought into the same structures. One file each.
//!
//! Every importer takes bytes, answers with a catalogue of assets and signals or with a reason and its place, allocates no
//! more than a multiple of what it reads, and never panics. [`crate::registry::importers`] lists them.

mod aas;
mod ditto;
mod dtdl;
mod epanet;
mod fmi;
mod matpower;
mod nodeset;
mod package;
#[cfg(feature = "parquet")]
mod parquet;
mod tag_list;
mod telemetry;
mod wot;

use serde_json::Value;
use twinguard_types::{Asset, AssetId, Catalogue, Edge, Signal, SignalId};

pub(crate) use self::{
    aas::{AAS, AAS_XML},
    ditto::DITTO,
    dtdl::DTDL,
    epanet::EPANET,
    fmi::FMI,
    nodeset::NODESET,
    wot::WOT,
};
pub use self::{
    aas::{aas, aas_verdict, aas_xml},
    dtdl::{Undefined, dtdl, models as dtdl_models},
    epanet::{EpanetError, Problem as EpanetProblem, epanet},
    matpower::Matpower,
    package::package,
    tag_list::{Tag, tag_list},
    telemetry::{Telemetry, TelemetryError, TelemetryOptions, TelemetryRow},
    wot::wot_verdict,
};

/// Why something is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Refused {
    /// A JSON pointer, a line and column, or a section.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The importer's name.
    pub format: &'static str,
    /// Assets and signals.
    pub catalogue: Catalogue,
}

impl Imported {
    fn new(format: &'static str) -> Self {
        Self { format, catalogue: Catalogue::new() }
    }

    fn asset(&mut self, asset: Asset) -> Result<AssetId, String> {
        self.catalogue.intern_asset(asset).map_err(|error| error.to_string())
    }

    fn edge(&mut self, edge: Edge) -> Result<(), String> {
        self.catalogue.connect(edge).map_err(|error| error.to_string())
    }

    fn signal(&mut self, signal: Signal) -> Result<SignalId, String> {
        self.catalogue.intern(signal).map_err(|error| error.to_string())
    }
}

/// A format that can be imported.
#[derive(Debug)]
pub struct Importer {
    /// Its name.
    pub name: &'static str,
    /// Whether a file of this name with these bytes looks like one.
    pub recognises: fn(&str, &[u8]) -> bool,
    /// Reads it.
    pub import: fn(&[u8]) -> Result<Imported, Refused>,
}

/// Parses JSON; nesting is limited to 128, and a name that stands twice in an object is refused: readers differ in
/// which of the two counts.
fn json(bytes: &[u8]) -> Result<Value, Refused> {
    serde_json::from_slice::<strict::Strict>(bytes).map(|strict::Strict(value)| value).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
        Refused { place, reason }
    })
}

/// Parses XML; nesting, entities and text are limited by the parser.
fn xml(bytes: &[u8]) -> Result<String, Refused> {
    let refused = |reason: &str| Refused { place: "line 1".to_owned(), reason: reason.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| refused("not UTF-8"))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// The tree of an XML text.
fn tree(text: &str) -> Result<roxmltree::Document<'_>, Refused> {
    let options =
        roxmltree::ParsingOptions { allow_dtd: false, nodes_limit: 4_000_000, ..Default::default() };
    roxmltree::Document::parse_with_options(text, options).map_err(|error| {
        let position = error.pos();
        let place = format!("line {}, column {}", position.row, position.col);
        Refused { place, reason: error.to_string() }
    })
}

/// Where an element stands.
fn place(node: &roxmltree::Node<'_, '_>) -> String {
    let position = node.document().text_pos_at(node.range().start);
    format!("line {}, column {}", position.row, position.col)
}

mod strict {
    use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
    use serde_json::{Map, Value};

    /// A value without doubled names.
    pub(super) struct Strict(pub(super) Value);

    impl<'de> Deserialize<'de> for Strict {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Reader).map(Self)
        }
    }

    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Value;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a JSON value")
        }

        fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
            Ok(value.into())
        }

        fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
            Ok(value.into())
        }

        fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
            Ok(value.into())
        }

        fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
            Ok(value.into())
        }

        fn visit_str<E>(self, value: &str) -> Result<Value, E> {
            Ok(value.into())
        }

        fn visit_unit<E>(self) -> Result<Value, E> {
            Ok(Value::Null)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
            let mut values = Vec::new();
            while let Some(Strict(value)) = list.next_element()? {
                values.push(value);
            }
            Ok(values.into())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
            let mut object = Map::new();
            while let Some(name) = map.next_key::<String>()? {
                let Strict(value) = map.next_value()?;
                if object.contains_key(&name) {
                    let name: String = name.chars().take(60).collect();
                    return Err(A::Error::custom(format_args!("`{name}` stands twice in one object")));
                }
                object.insert(name, value);
            }
            Ok(object.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_names_are_refused_with_their_place() {
        assert_eq!(json(br#"{"a":[1,-2,3.5,null,true,"x"]}"#).unwrap()["a"][1], -2);
        let refused = json(b"{\"a\":1,\n\"a\":2}").unwrap_err();
        assert_eq!(refused.to_string(), "line 2, column 6: `a` stands twice in one object");
        assert!(json("[".repeat(1_000).as_bytes()).is_err());
    }

    #[test]
    fn trees_have_places_and_no_entities_of_their_own() {
        let text = xml(b"<a>\n <b/>\n</a>").unwrap();
        let tree = tree(&text).unwrap();
        assert_eq!(place(&tree.root_element().first_element_child().unwrap()), "line 2, column 2");
        assert!(super::tree("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>").is_err());
        assert!(super::tree("<a>").unwrap_err().place.starts_with("line 1"));
    }
}
