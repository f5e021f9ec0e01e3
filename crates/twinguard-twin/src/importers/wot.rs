//! Things of the Web of Things: Thing Descriptions and Thing Models.
//!
//! Source: W3C Recommendation *Web of Things: Thing Description 1.1* (2023), §5 (information model), §10 (Thing Models), with the
//! allowed values of §5.3.3 (security), §5.3.4.2 (operations) and the JSON Schema of appendix B. Models that a
//! description refers to are elsewhere and not looked at.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use twinguard_types::{Asset, Role, Signal};

use super::{Imported, Importer, Refused, json};

/// The importer's entry in the registry.
pub(crate) static WOT: Importer = Importer { name: "wot", recognises, import: wot };

/// Contexts of versions 1.0 and 1.1.
const CONTEXTS: [&str; 4] = [
    "https://www.w3.org/2022/wot/td/v1.1",
    "https://www.w3.org/2019/wot/td/v1",
    "http://www.w3.org/ns/td",
    "https://www.w3.org/ns/wot-next/td",
];

const SCHEMES: [&str; 10] =
    ["nosec", "auto", "combo", "basic", "digest", "apikey", "bearer", "psk", "oauth2", "cert"];

const TYPES: [&str; 7] = ["boolean", "integer", "number", "string", "object", "array", "null"];

/// Kinds of interaction, with the operations that their forms may name.
const AFFORDANCES: [(&str, &[&str]); 3] = [
    ("properties", &["readproperty", "writeproperty", "observeproperty", "unobserveproperty"]),
    ("actions", &["invokeaction", "queryaction", "cancelaction"]),
    ("events", &["subscribeevent", "unsubscribeevent"]),
];

const ROOT_OPERATIONS: [&str; 9] = [
    "readallproperties",
    "writeallproperties",
    "readmultipleproperties",
    "writemultipleproperties",
    "observeallproperties",
    "unobserveallproperties",
    "queryallactions",
    "subscribeallevents",
    "unsubscribeallevents",
];

type Object = Map<String, Value>;

fn recognises(_: &str, bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 16)];
    CONTEXTS.iter().any(|context| head.windows(context.len()).any(|part| part == context.as_bytes()))
}

fn refuse<T>(place: &str, reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { place: if place.is_empty() { "/" } else { place }.to_owned(), reason: reason.into() })
}

/// Reads and checks a description or model: properties become measurements (set-points if they can be written), actions
/// actuators, events measurements.
fn wot(bytes: &[u8]) -> Result<Imported, Refused> {
    let value = json(bytes)?;
    check(&value)?;
    let mut imported = Imported::new("wot");
    let refused = |reason: String| Refused { place: "/".to_owned(), reason };
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let thing: String = text("title").or_else(|| text("id")).unwrap_or("thing").chars().take(200).collect();
    imported.asset(Asset { path: thing.as_str().into() }).map_err(refused)?;
    for (kind, _) in AFFORDANCES {
        for (name, affordance) in value.get(kind).and_then(Value::as_object).into_iter().flatten() {
            let read_only = affordance.get("readOnly") == Some(&Value::Bool(true));
            let writes = || {
                let forms = affordance.get("forms").and_then(Value::as_array).into_iter().flatten();
                forms.filter_map(|form| form.get("op")).any(|op| op.to_string().contains("writeproperty"))
            };
            let role = match kind {
                "actions" => Role::Actuator,
                "properties" if !read_only && writes() => Role::Setpoint,
                _ => Role::Measurement,
            };
            let unit = affordance.get("unit").and_then(Value::as_str).unwrap_or_default();
            let mut signal = Signal::new(format!("{thing}.{name}"), role).unit(unit);
            let bound = |key: &str| affordance.get(key).and_then(Value::as_f64);
            if let (Some(least), Some(most)) = (bound("minimum"), bound("maximum")) {
                let place = format!("/{kind}/{name}");
                signal = signal
                    .range(least, most)
                    .map_err(|error| Refused { place, reason: error.to_string() })?;
            }
            imported.signal(signal).map_err(refused)?;
        }
    }
    Ok(imported)
}

/// Whether a text is a description or model that keeps the rules.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn wot_verdict(bytes: &[u8]) -> Result<(), Refused> {
    check(&json(bytes)?)
}

fn check(value: &Value) -> Result<(), Refused> {
    let Some(thing) = value.as_object() else { return refuse("", "not an object") };
    let model = words(thing.get("@type")).contains(&"tm:ThingModel");
    context(thing)?;
    if !model {
        for key in ["title", "security", "securityDefinitions"] {
            if !thing.contains_key(key) {
                return refuse("", format!("`{key}` is missing"));
            }
        }
    } else {
        placeholders(value, "")?;
        optional(thing)?;
    }
    security(thing, model)?;
    if let Some(version) = thing.get("version") {
        let key = if model { "model" } else { "instance" };
        if version.get(key).and_then(Value::as_str).is_none() {
            return refuse("/version", format!("`{key}` is missing"));
        }
    }
    links(thing)?;
    for (kind, operations) in AFFORDANCES {
        let Some(group) = thing.get(kind) else { continue };
        let place = format!("/{kind}");
        let Some(group) = group.as_object() else { return refuse(&place, "not an object") };
        for (name, affordance) in group {
            let place = format!("{place}/{name}");
            let Some(affordance) = affordance.as_object() else { return refuse(&place, "not an object") };
            match affordance.get("forms") {
                None if model => {}
                None => return refuse(&place, "`forms` is missing"),
                Some(list) => forms(list, operations, thing, model, &place)?,
            }
            match kind {
                "properties" => schema(affordance, &place, 0)?,
                "actions" => inner(affordance, &["input", "output"], &place)?,
                _ => inner(affordance, &["subscription", "data", "cancellation", "dataResponse"], &place)?,
            }
            if let Some(variables) = affordance.get("uriVariables").and_then(Value::as_object) {
                for (name, variable) in variables {
                    let place = format!("{place}/uriVariables/{name}");
                    let Some(variable) = variable.as_object() else { return refuse(&place, "not an object") };
                    schema(variable, &place, 0)?;
                }
            }
        }
    }
    if let Some(list) = thing.get("forms") {
        forms(list, &ROOT_OPERATIONS, thing, model, "")?;
    }
    Ok(())
}

/// A text, or the texts of a list.
fn words(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn context(thing: &Object) -> Result<(), Refused> {
    let place = "/@context";
    match thing.get("@context") {
        None => refuse("", "`@context` is missing"),
        Some(Value::String(word)) if CONTEXTS.contains(&word.as_str()) => Ok(()),
        Some(Value::Array(list)) => {
            if !list.iter().all(|entry| entry.is_string() || entry.is_object()) {
                return refuse(place, "neither a text nor an object");
            }
            // A description of 1.1 may name the context of 1.0 before.
            if list.iter().take(2).filter_map(Value::as_str).any(|word| CONTEXTS.contains(&word)) {
                Ok(())
            } else {
                refuse(place, "the first context is not that of Thing Descriptions")
            }
        }
        Some(_) => refuse(place, "not the context of Thing Descriptions"),
    }
}

fn security(thing: &Object, model: bool) -> Result<(), Refused> {
    if let Some(definitions) = thing.get("securityDefinitions") {
        let place = "/securityDefinitions";
        let Some(definitions) = definitions.as_object() else { return refuse(place, "not an object") };
        if definitions.is_empty() {
            return refuse(place, "no definition");
        }
        for (name, definition) in definitions {
            let place = format!("{place}/{name}");
            let Some(scheme) = definition.get("scheme").and_then(Value::as_str) else {
                return refuse(&place, "`scheme` is missing");
            };
            // A name with a prefix belongs to an extension; a model may leave a gap.
            let gap = model && scheme.contains("{{");
            if !SCHEMES.contains(&scheme) && !scheme.contains(':') && !gap {
                return refuse(&place, format!("scheme `{}` is not known", short(scheme)));
            }
        }
    }
    match thing.get("security") {
        Some(value) => known_security(value, thing, model, "/security"),
        None => Ok(()),
    }
}

fn known_security(value: &Value, thing: &Object, model: bool, place: &str) -> Result<(), Refused> {
    let names = words(Some(value));
    if names.is_empty() {
        return refuse(place, "no security");
    }
    let definitions = thing.get("securityDefinitions").and_then(Value::as_object);
    for name in names {
        let known = definitions.is_some_and(|definitions| definitions.contains_key(name));
        let gap = model && name.contains("{{");
        if !known && !gap {
            return refuse(place, format!("`{}` is not among the security definitions", short(name)));
        }
    }
    Ok(())
}

fn links(thing: &Object) -> Result<(), Refused> {
    let Some(list) = thing.get("links") else { return Ok(()) };
    let Some(list) = list.as_array() else { return refuse("/links", "not a list") };
    let mut seen = BTreeSet::new();
    for (at, link) in list.iter().enumerate() {
        let place = format!("/links/{at}");
        if link.get("href").and_then(Value::as_str).is_none() {
            return refuse(&place, "`href` is missing");
        }
        let relation = link.get("rel").and_then(Value::as_str).unwrap_or_default();
        if ["type", "tm:extends"].contains(&relation) && !seen.insert(relation) {
            return refuse(&place, format!("a second link of relation `{relation}`"));
        }
    }
    Ok(())
}

fn forms(list: &Value, operations: &[&str], thing: &Object, model: bool, place: &str) -> Result<(), Refused> {
    let place = format!("{place}/forms");
    let Some(list) = list.as_array().filter(|list| !list.is_empty()) else {
        return refuse(&place, "not a list with forms");
    };
    for (at, form) in list.iter().enumerate() {
        let place = format!("{place}/{at}");
        if form.get("href").and_then(Value::as_str).is_none() && !model {
            return refuse(&place, "`href` is missing");
        }
        if let Some(operation) = form.get("op") {
            let place = format!("{place}/op");
            let names = words(Some(operation));
            if names.is_empty() {
                return refuse(&place, "no operation");
            }
            if let Some(name) = names.iter().find(|name| !operations.contains(name)) {
                return refuse(&place, format!("operation `{}` cannot stand here", short(name)));
            }
        }
        if let Some(security) = form.get("security") {
            known_security(security, thing, model, &format!("{place}/security"))?;
        }
    }
    Ok(())
}

/// Schemas in some members of an object.
fn inner(object: &Object, members: &[&str], place: &str) -> Result<(), Refused> {
    for member in members {
        if let Some(value) = object.get(*member) {
            let place = format!("{place}/{member}");
            let Some(value) = value.as_object() else { return refuse(&place, "not an object") };
            schema(value, &place, 0)?;
        }
    }
    Ok(())
}

fn schema(schema_of: &Object, place: &str, depth: usize) -> Result<(), Refused> {
    const DEPTH_LIMIT: usize = 64;
    if depth > DEPTH_LIMIT {
        return refuse(place, "nested too deeply");
    }
    let kind = match schema_of.get("type") {
        None => "",
        Some(Value::String(kind)) if TYPES.contains(&kind.as_str()) || kind.contains("{{") => kind,
        Some(kind) => {
            return refuse(&format!("{place}/type"), format!("{} is not a type", short(&kind.to_string())));
        }
    };
    if let Some(values) = schema_of.get("enum") {
        let place = format!("{place}/enum");
        let Some(values) = values.as_array().filter(|values| !values.is_empty()) else {
            return refuse(&place, "not a list with values");
        };
        let mut seen = BTreeSet::new();
        for value in values {
            if !seen.insert(value.to_string()) {
                return refuse(&place, format!("a second {}", short(&value.to_string())));
            }
            let fits = match kind {
                "string" => value.is_string(),
                "number" => value.is_number(),
                "integer" => value.as_f64().is_some_and(|value| value.fract() == 0.0),
                "boolean" => value.is_boolean(),
                "null" => value.is_null(),
                "array" => value.is_array(),
                "object" => value.is_object(),
                _ => true,
            };
            if !fits {
                return refuse(
                    &place,
                    format!("{} is not a value of type {kind}", short(&value.to_string())),
                );
            }
        }
    }
    if let (Some(least), Some(most)) =
        (schema_of.get("minimum").and_then(Value::as_f64), schema_of.get("maximum").and_then(Value::as_f64))
        && least > most
    {
        return refuse(place, "`minimum` is above `maximum`");
    }
    for key in ["readOnly", "writeOnly", "observable"] {
        if schema_of.get(key).is_some_and(|value| !value.is_boolean() && !value.is_string()) {
            return refuse(&format!("{place}/{key}"), "neither true nor false");
        }
    }
    let nested = |value: &Value, place: String| match value.as_object() {
        Some(value) => schema(value, &place, depth + 1),
        None => refuse(&place, "not a schema"),
    };
    for (name, value) in schema_of.get("properties").and_then(Value::as_object).into_iter().flatten() {
        nested(value, format!("{place}/properties/{name}"))?;
    }
    for key in ["items", "oneOf", "allOf", "anyOf"] {
        match schema_of.get(key) {
            Some(Value::Array(list)) => {
                for (at, value) in list.iter().enumerate() {
                    nested(value, format!("{place}/{key}/{at}"))?;
                }
            }
            Some(value) => nested(value, format!("{place}/{key}"))?,
            None => {}
        }
    }
    Ok(())
}

/// A model's gaps are written `{{NAME}}`.
fn placeholders(value: &Value, place: &str) -> Result<(), Refused> {
    match value {
        Value::String(text) => {
            let gaps = text.matches("{{").count();
            let single = text.replace("{{", "").replace("}}", "");
            let whole_word = text.starts_with('{') && text.ends_with('}') && gaps == 0;
            if gaps != text.matches("}}").count() || (whole_word && !single.is_empty()) {
                return refuse(place, format!("`{}` is not a placeholder", short(text)));
            }
            Ok(())
        }
        Value::Array(list) => {
            list.iter().enumerate().try_for_each(|(at, value)| placeholders(value, &format!("{place}/{at}")))
        }
        Value::Object(object) => {
            object.iter().try_for_each(|(key, value)| placeholders(value, &format!("{place}/{key}")))
        }
        _ => Ok(()),
    }
}

/// What a model makes optional is an interaction.
fn optional(thing: &Object) -> Result<(), Refused> {
    for pointer in words(thing.get("tm:optional")) {
        let mut parts = pointer.trim_start_matches('#').split('/');
        let empty = parts.next() == Some("");
        let kind = parts.next().is_some_and(|kind| AFFORDANCES.iter().any(|(own, _)| *own == kind));
        let name = parts.next().is_some_and(|name| !name.is_empty());
        if !(empty && kind && name && parts.next().is_none()) {
            return refuse("/tm:optional", format!("`{}` is not an interaction", short(pointer)));
        }
    }
    Ok(())
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAMP: &str = r#"{"@context":"https://www.w3.org/2022/wot/td/v1.1","title":"Lamp","securityDefinitions":{"none":{"scheme":"nosec"}},
        "security":"none","properties":{
          "level":{"type":"number","unit":"lm","minimum":0,"maximum":800,"forms":[{"href":"/level","op":["readproperty","writeproperty"]}]},
          "heat":{"type":"number","readOnly":true,"forms":[{"href":"/heat"}]}},
        "actions":{"toggle":{"forms":[{"href":"/toggle"}]}},"events":{"hot":{"data":{"type":"string"},"forms":[{"href":"/hot"}]}}}"#;

    #[test]
    fn interactions_become_signals() {
        assert!(recognises("", LAMP.as_bytes()));
        let imported = wot(LAMP.as_bytes()).unwrap();
        let signal =
            |path: &str| imported.catalogue.id(path).and_then(|id| imported.catalogue.signal(id)).unwrap();
        assert_eq!((signal("Lamp.level").role, &*signal("Lamp.level").unit), (Role::Setpoint, "lm"));
        assert_eq!(signal("Lamp.level").range.unwrap().max(), 800.0);
        assert_eq!(signal("Lamp.heat").role, Role::Measurement);
        assert_eq!(signal("Lamp.toggle").role, Role::Actuator);
    }

    #[test]
    fn refusals_name_their_place() {
        let refuse = |from: &str, to: &str, place: &str, reason: &str| {
            let refused = wot_verdict(LAMP.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert_eq!((refused.place.as_str(), refused.reason.as_str()), (place, reason));
        };
        refuse("\"title\":\"Lamp\",", "", "/", "`title` is missing");
        refuse("nosec", "magic", "/securityDefinitions/none", "scheme `magic` is not known");
        refuse(
            "\"security\":\"none\"",
            "\"security\":\"some\"",
            "/security",
            "`some` is not among the security definitions",
        );
        refuse(
            "writeproperty",
            "invokeaction",
            "/properties/level/forms/0/op",
            "operation `invokeaction` cannot stand here",
        );
        refuse("\"type\":\"string\"", "\"type\":\"text\"", "/events/hot/data/type", "\"text\" is not a type");
        refuse("{\"href\":\"/toggle\"}", "{}", "/actions/toggle/forms/0", "`href` is missing");
    }

    #[test]
    fn models_may_have_gaps() {
        let model = |title: &str, optional: &str| {
            format!(
                r#"{{"@context":["https://www.w3.org/2022/wot/td/v1.1"],"@type":"tm:ThingModel","title":"{title}","tm:optional":["{optional}"],"properties":{{"a":{{"type":"number"}}}}}}"#
            )
        };
        assert!(wot_verdict(model("{{NAME}}", "/properties/a").as_bytes()).is_ok());
        assert_eq!(wot_verdict(model("{NAME}", "/properties/a").as_bytes()).unwrap_err().place, "/title");
        assert_eq!(
            wot_verdict(model("x", "/properties/a/type").as_bytes()).unwrap_err().place,
            "/tm:optional"
        );
    }
}
