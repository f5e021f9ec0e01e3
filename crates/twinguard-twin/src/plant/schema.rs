//! The one table of what a plant file may say: the parser checks by it, the JSON Schema and the manual are made of it.
//!
//! Source: `docs/src/plant-file.md`; JSON Schema 2020-12 for [`json_schema`].

use serde_json::{Map, Value as Json, json};

use super::document::{Node, Source, Value};
use crate::problem::{Located, Problem, nearest};

/// What a value may be.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    /// A finite number within these bounds.
    Number(Bound),
    Boolean,
    /// One of these words.
    Word(&'static [&'static str]),
    List(&'static Shape),
    /// Two numbers, the lower one first.
    Range,
    /// Any keys, values of this shape.
    Map(&'static Shape),
    Table(&'static Section),
    /// The first that has the value's type.
    Either(&'static [Shape]),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Bound {
    Any,
    Positive,
    NotNegative,
    NotZero,
    One,
}

pub(super) struct Section {
    /// As in "key … is missing in …".
    pub(super) name: &'static str,
    pub(super) keys: &'static [Key],
}

pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
    pub(super) about: &'static str,
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, required: false, about }
}

const fn required(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, required: true, about }
}

const NUMBER: Shape = Shape::Number(Bound::Any);
const POSITIVE: Shape = Shape::Number(Bound::Positive);
const NOT_NEGATIVE: Shape = Shape::Number(Bound::NotNegative);
const TEXTS: Shape = Shape::List(&Shape::Text);
const NUMBERS: Shape = Shape::List(&NUMBER);
const MATRIX: Shape = Shape::List(&NUMBERS);

pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The whole file.
pub(super) static PLANT: Section = Section {
    name: "the plant file",
    keys: &[
        required("format", Shape::Number(Bound::One), "version of this form: 1"),
        required("name", Shape::Text, "the plant's name"),
        key("signal", Shape::List(&Shape::Table(&SIGNAL)), "what is measured, driven, set or configured"),
        key("point", Shape::List(&Shape::Table(&POINT)), "where a signal is found on the wire"),
        key("asset", Shape::List(&Shape::Table(&ASSET)), "things of the plant and how they hang together"),
        key("dynamics", Shape::Table(&DYNAMICS), "how the plant moves"),
        key("limit", Shape::List(&Shape::Table(&LIMIT)), "what must not be crossed"),
        key("safe_state", Shape::Map(&NUMBER), "signal = value: where actuators go when in doubt"),
        key("time", Shape::Table(&TIME), "clock and sampling"),
        key("detection", Shape::Table(&DETECTION), "how detection is tuned"),
        key("zone", Shape::List(&Shape::Table(&ZONE)), "network zones"),
        key("principal", Shape::List(&Shape::Table(&PRINCIPAL)), "who is known"),
        key("rule", Shape::List(&Shape::Table(&RULE)), "who may send what; what no rule allows is denied"),
    ],
};

static SIGNAL: Section = Section {
    name: "[[signal]]",
    keys: &[
        required("path", Shape::Text, "unique, for example `cooler.oil.temperature`"),
        key("unit", Shape::Text, "for example `degC`; empty when dimensionless or unknown"),
        key(
            "role",
            Shape::Word(&["measurement", "actuator", "setpoint", "parameter"]),
            "what it is for; `measurement` when absent",
        ),
        key("range", Shape::Range, "the values it can take"),
        key("rate", NOT_NEGATIVE, "largest change per second that the plant can make"),
        key("sigma", NOT_NEGATIVE, "standard deviation of its measurement noise"),
    ],
};

static POINT: Section = Section {
    name: "[[point]]",
    keys: &[
        required("signal", Shape::Text, "path of the signal"),
        required("protocol", Shape::Text, "family, for example `modbus`"),
        key("endpoint", Shape::Text, "`address:port`, `address` or `any` (when absent)"),
        required("tag", Shape::Text, "the family's address, 0-based, for example `u1/hr/0`"),
        key(
            "type",
            Shape::Text,
            "`u16` (when absent) `i16` `u32` `i32` `u64` `i64` `f32` `f64` `bit:0` … `bit:15` `bcd:4` `bcd:8` `bcd:16`",
        ),
        key(
            "order",
            Shape::Word(&["ABCD", "CDAB", "BADC", "DCBA"]),
            "how `0xAABBCCDD` comes; `ABCD` when absent",
        ),
        key("scale", Shape::Number(Bound::NotZero), "physical = raw × scale + offset; 1 when absent"),
        key("offset", NUMBER, "0 when absent"),
        key(
            "direction",
            Shape::Word(&["read", "write"]),
            "whether writes to it are commands; `read` when absent",
        ),
    ],
};

static ASSET: Section = Section {
    name: "[[asset]]",
    keys: &[
        required("path", Shape::Text, "unique, for example `plant/cooler/pump`"),
        key("contains", TEXTS, "assets that are parts of it"),
        key("feeds", TEXTS, "assets that get material or energy from it"),
        key("controls", TEXTS, "assets that it acts on"),
        key("measures", TEXTS, "signals that are its quantities"),
        key("commands", TEXTS, "signals that it does what they say"),
    ],
};

static DYNAMICS: Section = Section {
    name: "[dynamics]",
    keys: &[
        key("model", Shape::Text, "name of a built-in model; else `kind`"),
        key(
            "kind",
            Shape::Word(&["differential", "difference", "linear", "learnt", "water"]),
            "equations, matrices, learnt from history, or a water network",
        ),
        key("equations", Shape::Either(&[Shape::Text, TEXTS]), "one a line; see the page on equations"),
        key(
            "network",
            Shape::Either(&[Shape::Text, TEXTS]),
            "water: an EPANET input file, its text or its lines",
        ),
        key("A", MATRIX, "linear: states × states, by rows"),
        key("B", MATRIX, "linear: states × inputs"),
        key("C", MATRIX, "linear: outputs × states"),
        key("D", MATRIX, "linear: outputs × inputs; zero when absent"),
        key(
            "operating_point",
            Shape::Table(&OPERATING_POINT),
            "linear: the equilibrium that the matrices are about",
        ),
        key(
            "sampling_s",
            POSITIVE,
            "period of difference equations and water networks; of a linear model, which is continuous without it",
        ),
        key("step_s", POSITIVE, "largest step of integration; 1 when absent"),
        key("parameters", Shape::Map(&Shape::Either(&[NUMBER, Shape::Table(&PARAMETER)])), "name = value"),
        key(
            "states",
            Shape::Either(&[TEXTS, Shape::Map(&Shape::Table(&STATE))]),
            "names, or name = where it starts",
        ),
        key(
            "inputs",
            Shape::Either(&[TEXTS, Shape::Map(&Shape::Either(&[Shape::Text, NUMBER, Shape::Table(&INPUT)]))]),
            "names, or name = signal that feeds it, or name = constant",
        ),
        key(
            "outputs",
            Shape::Either(&[TEXTS, Shape::Map(&Shape::Either(&[Shape::Text, Shape::Table(&OUTPUT)]))]),
            "names, or name = signal that shows it",
        ),
    ],
};

static OPERATING_POINT: Section = Section {
    name: "`operating_point`",
    keys: &[key("x", NUMBERS, "state"), key("u", NUMBERS, "input"), key("y", NUMBERS, "output")],
};

static PARAMETER: Section = Section {
    name: "a parameter",
    keys: &[
        required("value", NUMBER, "its value"),
        key("sigma", NOT_NEGATIVE, "standard deviation of what is known of it"),
    ],
};

static STATE: Section = Section {
    name: "a state",
    keys: &[
        key("initial", NUMBER, "where it starts; the built-in model's value, or 0"),
        key("sigma", NOT_NEGATIVE, "standard deviation of that; the built-in model's value, or 1"),
        key(
            "process_sigma",
            NOT_NEGATIVE,
            "process noise per √second; the built-in model's value, or sigma / 1000",
        ),
    ],
};

static INPUT: Section = Section {
    name: "an input",
    keys: &[
        key("signal", Shape::Text, "the signal that feeds it"),
        key("default", NUMBER, "its value before or without a signal"),
        key("sigma", NOT_NEGATIVE, "standard deviation around that; the signal's, or 0"),
    ],
};

static OUTPUT: Section = Section {
    name: "an output",
    keys: &[
        key("signal", Shape::Text, "the signal that shows it"),
        key("sigma", NOT_NEGATIVE, "standard deviation of the measurement; the signal's when absent"),
    ],
};

static LIMIT: Section = Section {
    name: "[[limit]]",
    keys: &[
        required("signal", Shape::Text, "path of the signal; it may be one that only the model knows"),
        key("min", NUMBER, "not below"),
        key("max", NUMBER, "not above"),
        key("rate", POSITIVE, "not faster, per second, either way"),
        key(
            "kind",
            Shape::Word(&["never_exceed", "operating", "interlock"]),
            "how grave a crossing is; `never_exceed` when absent",
        ),
        key("horizon_s", NOT_NEGATIVE, "how far ahead a command must keep clear of it; 0 when absent"),
    ],
};

static TIME: Section = Section {
    name: "[time]",
    keys: &[
        key("zone", Shape::Text, "IANA name, for people; `UTC` when absent"),
        key("sampling_s", POSITIVE, "how often a signal is usually sampled; 1 when absent"),
        key("stale_s", POSITIVE, "from which age on a value is stale"),
        key(
            "lateness_s",
            NOT_NEGATIVE,
            "how late a sample may come and still be used in order; 0 when absent",
        ),
    ],
};

static DETECTION: Section = Section {
    name: "[detection]",
    keys: &[
        key("false_alarms_per_day", POSITIVE, "how many the operator accepts; 0.1 when absent"),
        key("detectors", TEXTS, "names of the detectors to run; all when absent"),
        key("learn", Shape::Table(&LEARN), "what counts as normal history"),
    ],
};

static LEARN: Section = Section {
    name: "`learn`",
    keys: &[
        key("first_s", POSITIVE, "this much from the start, in seconds"),
        key("history", Shape::Text, "a file beside the plant file"),
    ],
};

static ZONE: Section = Section {
    name: "[[zone]]",
    keys: &[required("name", Shape::Text, "unique"), required("networks", TEXTS, "addresses or CIDR blocks")],
};

static PRINCIPAL: Section = Section {
    name: "[[principal]]",
    keys: &[
        required("name", Shape::Text, "unique: an account, a SPIFFE id, a device's name"),
        key("kind", Shape::Word(&["user", "service", "device", "guard", "unknown"]), "`unknown` when absent"),
        key("addresses", TEXTS, "addresses or CIDR blocks it speaks from; anywhere when absent"),
        key("roles", TEXTS, "roles it holds"),
    ],
};

static RULE: Section = Section {
    name: "[[rule]]",
    keys: &[
        required("name", Shape::Text, "unique, shown in verdicts"),
        required("effect", Shape::Word(&["allow", "forbid"]), "`forbid` outweighs every `allow`"),
        key("zones", TEXTS, "the sender is in one of these"),
        key("roles", TEXTS, "the sender holds one of these"),
        key("principals", TEXTS, "the sender is one of these: names, addresses, CIDR blocks"),
        key(
            "verbs",
            Shape::List(&Shape::Word(&["read", "write", "configure"])),
            "what is done; `write` when absent",
        ),
        required("signals", TEXTS, "patterns over signal paths; `*` stands for any text"),
        key("range", Shape::Range, "values that may be written; of `forbid`: that may not"),
        key("commands_per_minute", POSITIVE, "at most, over all its signals together"),
        key("windows", Shape::List(&Shape::Table(&WINDOW)), "times of the week, UTC"),
        key("modes", TEXTS, "operating modes in which it holds"),
        key("two_person", Shape::Boolean, "a second person has to agree; false when absent"),
    ],
};

static WINDOW: Section = Section {
    name: "a window",
    keys: &[
        key("days", Shape::List(&Shape::Word(&DAYS)), "weekdays on which it starts; all when absent"),
        key("from", Shape::Text, "`HH:MM`; `00:00` when absent"),
        key("to", Shape::Text, "`HH:MM`, up to `24:00` (when absent); not after `from`: on the next day"),
    ],
};

impl Shape {
    fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text | Self::Word(_), Value::Text(_))
            | (Self::Number(_), Value::Number(_))
            | (Self::Boolean, Value::Boolean(_))
            | (Self::List(_) | Self::Range, Value::List(_))
            | (Self::Map(_) | Self::Table(_), Value::Table(_)) => true,
            (Self::Either(shapes), value) => shapes.iter().any(|shape| shape.takes(value)),
            _ => false,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Number(Bound::Any | Bound::NotZero | Bound::One) => "a number".to_owned(),
            Self::Number(Bound::Positive) => "a positive number".to_owned(),
            Self::Number(Bound::NotNegative) => "a number, not negative".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Word(words) => format!("one of `{}`", words.join("`, `")),
            Self::List(Self::Table(_)) => "a list of tables".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Range => "a list of two numbers".to_owned(),
            Self::Map(_) | Self::Table(_) => "a table".to_owned(),
            Self::Either(shapes) => shapes.iter().map(|shape| shape.name()).collect::<Vec<_>>().join(" or "),
        }
    }

    /// Refuses what is not of this shape, with the place.
    pub(super) fn check(self, source: &Source<'_>, key: &str, node: &Node) -> Result<(), Located> {
        let refuse = |reason: &str| {
            let problem = Problem::Value { key: key.to_owned(), reason: reason.to_owned() };
            Err(source.located(node.at, problem))
        };
        if !self.takes(&node.value) {
            let problem =
                Problem::WrongType { key: key.to_owned(), expected: self.name(), found: node.kind() };
            return Err(source.located(node.at, problem));
        }
        match (self, &node.value) {
            (Self::Number(bound), Value::Number(number)) => match bound {
                _ if !number.is_finite() => refuse("is not a finite number"),
                Bound::Positive if *number <= 0.0 => refuse("must be above zero"),
                Bound::NotNegative if *number < 0.0 => refuse("must not be below zero"),
                Bound::NotZero if *number == 0.0 => refuse("must not be zero"),
                Bound::One if *number != 1.0 => refuse("must be 1: no other version is known"),
                _ => Ok(()),
            },
            (Self::Word(words), Value::Text(word)) if !words.contains(&word.as_str()) => {
                let what = "word";
                let nearest = nearest(word, words.iter().copied());
                if nearest.is_some() {
                    return Err(
                        source.located(node.at, Problem::Unknown { what, name: word.clone(), nearest })
                    );
                }
                refuse(&format!("must be {}", self.name()))
            }
            (Self::List(shape), Value::List(list)) => {
                list.iter().try_for_each(|element| shape.check(source, key, element))
            }
            (Self::Range, Value::List(list)) => {
                let [low, high] = list.as_slice() else { return refuse("must be two numbers") };
                for end in [low, high] {
                    Self::Number(Bound::Any).check(source, key, end)?;
                }
                if low.number() < high.number() {
                    return Ok(());
                }
                let (low, high) = (low.number().unwrap_or_default(), high.number().unwrap_or_default());
                refuse(&format!("is empty: `{low}` is not below `{high}`"))
            }
            (Self::Map(shape), Value::Table(entries)) => {
                entries.iter().try_for_each(|entry| shape.check(source, &entry.key, &entry.node))
            }
            (Self::Table(section), Value::Table(entries)) => {
                for entry in entries {
                    let Some(known) = section.keys.iter().find(|known| known.name == entry.key) else {
                        let nearest = nearest(&entry.key, section.keys.iter().map(|known| known.name));
                        let problem = Problem::UnknownKey { key: entry.key.clone(), nearest };
                        return Err(source.located(entry.at, problem));
                    };
                    known.shape.check(source, known.name, &entry.node)?;
                }
                match section.keys.iter().find(|key| key.required && node.get(key.name).is_none()) {
                    Some(missing) => {
                        let (key, table) = (missing.name.to_owned(), section.name.to_owned());
                        Err(source.located(node.at, Problem::MissingKey { key, table }))
                    }
                    None => Ok(()),
                }
            }
            (Self::Either(shapes), value) => {
                let shape = shapes.iter().find(|shape| shape.takes(value));
                shape.map_or(Ok(()), |shape| shape.check(source, key, node))
            }
            _ => Ok(()),
        }
    }

    fn json(self) -> Json {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Number(bound) => match bound {
                Bound::Any => json!({"type": "number"}),
                Bound::Positive => json!({"type": "number", "exclusiveMinimum": 0}),
                Bound::NotNegative => json!({"type": "number", "minimum": 0}),
                Bound::NotZero => json!({"type": "number", "not": {"const": 0}}),
                Bound::One => json!({"const": 1}),
            },
            Self::Boolean => json!({"type": "boolean"}),
            Self::Word(words) => json!({"enum": words}),
            Self::List(shape) => json!({"type": "array", "items": shape.json()}),
            Self::Range => {
                json!({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})
            }
            Self::Map(shape) => json!({"type": "object", "additionalProperties": shape.json()}),
            Self::Table(section) => section.json(),
            Self::Either(shapes) => {
                json!({"anyOf": shapes.iter().map(|shape| shape.json()).collect::<Vec<_>>()})
            }
        }
    }
}

impl Section {
    fn json(&self) -> Json {
        let mut properties = Map::new();
        for key in self.keys {
            let mut shape = key.shape.json();
            if let Some(shape) = shape.as_object_mut() {
                shape.insert("description".to_owned(), key.about.into());
            }
            properties.insert(key.name.to_owned(), shape);
        }
        let required: Vec<&str> = self.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
        let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if let (false, Some(schema)) = (required.is_empty(), schema.as_object_mut()) {
            schema.insert("required".to_owned(), required.into());
        }
        schema
    }

    /// The reference tables of the manual, this section first.
    fn markdown(&self, out: &mut String) {
        out.push_str(&format!("\n### {}\n\n| key | value | meaning |\n|---|---|---|\n", self.name));
        let mut inner = Vec::new();
        for key in self.keys {
            let bold = if key.required { "**" } else { "" };
            out.push_str(&format!("| {bold}`{}`{bold} | {} | {} |\n", key.name, key.shape.name(), key.about));
            key.shape.sections(&mut inner);
        }
        inner.into_iter().for_each(|section| section.markdown(out));
    }
}

impl Shape {
    fn sections(self, out: &mut Vec<&'static Section>) {
        match self {
            Self::Table(section) => out.push(section),
            Self::List(shape) | Self::Map(shape) => shape.sections(out),
            Self::Either(shapes) => shapes.iter().for_each(|shape| shape.sections(out)),
            _ => {}
        }
    }
}

/// The JSON Schema (2020-12) of the plant file, as shipped in `schema/plant.schema.json`.
///
/// It knows every key, type, word and bound that the parser knows; names that refer to each other, units and
/// equations only the parser checks.
#[must_use]
pub fn json_schema() -> String {
    let mut schema = PLANT.json();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        schema.insert("title".to_owned(), "twinguard plant file, format 1".into());
    }
    format!("{schema:#}\n")
}

/// The tables of all keys in Markdown, as they stand in the manual.
#[must_use]
pub fn reference() -> String {
    let mut out = String::new();
    PLANT.markdown(&mut out);
    out
}
