//! Whether an object keeps the rules of its class.
//!
//! Source: IDTA-01001-3-0, clause 5 (classes, types, lengths, patterns) and its constraints AASd-014 to AASd-131; the number of each stands in
//! the reason of a refusal.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    Refused,
    metamodel::{DATA_ELEMENTS, Property, class, enumeration, is_submodel_element},
    words::{is_language, is_media_type},
    xsd::{is_base64, is_duration, is_type, is_utc, is_value},
};

type Object = Map<String, Value>;

/// Deepest nesting of objects.
const DEPTH_LIMIT: usize = 100;

fn refuse<T>(place: &str, reason: impl Into<String>) -> Result<T, Refused> {
    let place = if place.is_empty() { "/".to_owned() } else { place.to_owned() };
    Err(Refused { place, reason: reason.into() })
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The text of a property.
fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// The objects of a list property.
fn objects<'a>(object: &'a Object, name: &str) -> impl Iterator<Item = &'a Object> {
    object.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Where an element stands among others.
#[derive(Clone, Copy, PartialEq)]
enum Among {
    Nothing,
    Named,
    Numbered,
}

/// Checks a value against a class.
pub(super) fn check(value: &Value, class: &str) -> Result<(), Refused> {
    object(value, class, "", Among::Nothing, 0)
}

fn object(value: &Value, of: &str, place: &str, among: Among, depth: usize) -> Result<(), Refused> {
    if depth > DEPTH_LIMIT {
        return refuse(place, "nested too deeply");
    }
    let Some(object) = value.as_object() else {
        return refuse(place, format!("not an object of class {of}"));
    };
    let model_type = text(object, "modelType");
    let name = match of {
        "SubmodelElement" | "DataElement" => match model_type {
            Some(name)
                if is_submodel_element(name)
                    && (of == "SubmodelElement" || DATA_ELEMENTS.contains(&name)) =>
            {
                name
            }
            Some(name) => return refuse(place, format!("`{}` is no {of}", short(name))),
            None => return refuse(place, "`modelType` is missing"),
        },
        of => of,
    };
    let Some(class) = class(name) else {
        return refuse(place, format!("class `{}` is not known", short(name)));
    };
    if class.named && model_type != Some(name) {
        return refuse(place, format!("`modelType` is not {name}"));
    }
    for (key, value) in object {
        if class.named && key == "modelType" {
            continue;
        }
        let Some(property) = class.properties.get(key.as_str()) else {
            return refuse(place, format!("`{}` is not a property of {name}", short(key)));
        };
        property_value(value, property, name, &format!("{place}/{key}"), depth)?;
    }
    if let Some((missing, _)) =
        class.properties.iter().find(|(key, property)| property.required && !object.contains_key(**key))
    {
        return refuse(place, format!("`{missing}` is missing"));
    }
    let has_id_short = object.contains_key("idShort");
    match among {
        Among::Named if !has_id_short => return refuse(place, "AASd-117: no idShort"),
        Among::Numbered if has_id_short => return refuse(place, "AASd-120: an idShort in a list"),
        _ => {}
    }
    if object.contains_key("supplementalSemanticIds") && !object.contains_key("semanticId") {
        return refuse(place, "AASd-118: supplemental semantic identifiers without a main one");
    }
    differ(object, "extensions", "name", place, "AASd-077")?;
    differ(object, "qualifiers", "type", place, "AASd-021")?;
    constraints(object, name, place)
}

/// Whether a property of the objects of a list differs.
fn differ(object: &Object, list: &str, key: &str, place: &str, rule: &str) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    for value in objects(object, list).filter_map(|object| text(object, key)) {
        if !seen.insert(value.to_lowercase()) {
            return refuse(&format!("{place}/{list}"), format!("{rule}: a second `{}`", short(value)));
        }
    }
    Ok(())
}

fn property_value(
    value: &Value,
    property: &Property,
    of: &str,
    place: &str,
    depth: usize,
) -> Result<(), Refused> {
    let kind = property.kind;
    if property.list {
        let Some(list) = value.as_array() else { return refuse(place, "not a list") };
        if list.is_empty() {
            return refuse(place, "an empty list");
        }
        let is_element = kind == "SubmodelElement" || kind == "DataElement";
        let among = match (is_element, of) {
            (false, _) => Among::Nothing,
            (true, "SubmodelElementList") => Among::Numbered,
            (true, _) => Among::Named,
        };
        for (at, value) in list.iter().enumerate() {
            object(value, kind, &format!("{place}/{at}"), among, depth + 1)?;
        }
        let mut seen = BTreeSet::new();
        let key = if kind.starts_with("LangString") { "language" } else { "idShort" };
        if key == "language" || is_element {
            for text in list.iter().filter_map(|value| value.get(key)?.as_str()) {
                if !seen.insert(text.to_lowercase()) {
                    let rule = if is_element { "AASd-022: " } else { "" };
                    return refuse(place, format!("{rule}a second `{}`", short(text)));
                }
            }
        }
        if kind == "LangStringPreferredNameTypeIec61360"
            && !seen.iter().any(|tag| tag == "en" || tag.starts_with("en-"))
        {
            return refuse(place, "AASc-3a-002: no preferred name in English");
        }
        return Ok(());
    }
    if class(kind).is_some() || kind == "SubmodelElement" {
        return object(value, kind, place, Among::Nothing, depth + 1);
    }
    if kind == "bool" {
        return if value.is_boolean() { Ok(()) } else { refuse(place, "neither true nor false") };
    }
    let Some(text) = value.as_str() else { return refuse(place, "not a text") };
    if !text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)) {
        return refuse(place, "characters that no XML text may hold");
    }
    if let Some(values) = enumeration(kind) {
        return if values.contains(&text) {
            Ok(())
        } else {
            refuse(place, format!("`{}` is no {kind}", short(text)))
        };
    }
    let most = match kind {
        "name" | "idshort" => 128,
        "label" => 64,
        "version" => 4,
        "identifier" => 2_000,
        "mime" => 100,
        "topic" | "middletext" => 255,
        "shorttext" => 18,
        "longtext" => 1_023,
        _ => usize::MAX,
    };
    if text.is_empty() && !["text", "base64"].contains(&kind) {
        return refuse(place, "empty");
    }
    if text.chars().count() > most {
        return refuse(place, format!("longer than {most} characters"));
    }
    let good = match kind {
        "idshort" => {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
        "version" => is_count(text),
        "mime" => is_media_type(text),
        "base64" => is_base64(text),
        "utc" => is_utc(text),
        "duration" => is_duration(text),
        "language" => is_language(text),
        "xsd" => is_type(text),
        _ => true,
    };
    if good { Ok(()) } else { refuse(place, format!("`{}` is not of type {kind}", short(text))) }
}

/// A number without leading zeros.
fn is_count(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.is_empty()
        && (text == "0" || !text.starts_with('0'))
}

fn constraints(object: &Object, name: &str, place: &str) -> Result<(), Refused> {
    if DATA_ELEMENTS.contains(&name)
        && text(object, "category")
            .is_some_and(|category| !["CONSTANT", "PARAMETER", "VARIABLE"].contains(&category))
    {
        return refuse(place, "AASd-090: a data element is CONSTANT, PARAMETER or VARIABLE");
    }
    match name {
        "Property" | "Extension" | "Qualifier" | "Range" => {
            let kind = text(object, "valueType").unwrap_or("xs:string");
            for key in ["value", "min", "max"] {
                if let Some(value) = text(object, key)
                    && is_value(kind, value) != Some(true)
                {
                    let reason = format!("AASd-020: `{}` is not a value of {}", short(value), short(kind));
                    return refuse(&format!("{place}/{key}"), reason);
                }
            }
            Ok(())
        }
        "Reference" => reference(object, place),
        "SubmodelElementList" => list(object, place),
        "Entity" => {
            let has_id = object.contains_key("globalAssetId") || object.contains_key("specificAssetIds");
            match text(object, "entityType") == Some("SelfManagedEntity") {
                true if !has_id => {
                    refuse(place, "AASd-014: a self-managed entity without an asset identifier")
                }
                false if has_id => refuse(place, "AASd-014: a co-managed entity with an asset identifier"),
                _ => Ok(()),
            }
        }
        "AssetInformation"
            if !object.contains_key("globalAssetId") && !object.contains_key("specificAssetIds") =>
        {
            refuse(place, "AASd-131: neither a global nor a specific asset identifier")
        }
        "DataSpecificationIec61360" if object.contains_key("value") && object.contains_key("valueList") => {
            refuse(place, "AASc-3a-010: both a value and a list of values")
        }
        "BasicEventElement"
            if text(object, "direction") == Some("input") && object.contains_key("maxInterval") =>
        {
            refuse(place, "a largest interval of an input event")
        }
        "Submodel" => {
            let template = objects(object, "qualifiers")
                .any(|qualifier| text(qualifier, "kind") == Some("TemplateQualifier"));
            if template && text(object, "kind") != Some("Template") {
                return refuse(place, "AASd-119: a template qualifier outside of a template");
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Which keys may follow each other.
fn reference(object: &Object, place: &str) -> Result<(), Refused> {
    const IDENTIFIABLE: [&str; 4] =
        ["AssetAdministrationShell", "ConceptDescription", "Identifiable", "Submodel"];
    let keys: Vec<(&str, &str)> = objects(object, "keys")
        .map(|key| (text(key, "type").unwrap_or_default(), text(key, "value").unwrap_or_default()))
        .collect();
    let (Some((first, _)), Some((last, _))) = (keys.first(), keys.last()) else { return Ok(()) };
    let place = format!("{place}/keys");
    if text(object, "type") == Some("ExternalReference") {
        if *first != "GlobalReference" {
            return refuse(&place, "AASd-122: an external reference begins with a global key");
        }
        if !["GlobalReference", "FragmentReference"].contains(last) {
            return refuse(&place, "AASd-124: an external reference ends with a global key or a fragment");
        }
        return Ok(());
    }
    if !IDENTIFIABLE.contains(first) {
        return refuse(&place, "AASd-123: a model reference begins with something identifiable");
    }
    for (at, pair) in keys.windows(2).enumerate() {
        let [(before, _), (kind, value)] = pair else { continue };
        let inner = ["DataElement", "EventElement", "SubmodelElement", "FragmentReference"].contains(kind);
        if !(inner || is_submodel_element(kind)) {
            return refuse(&place, "AASd-125: a key that nothing contains");
        }
        if *kind == "FragmentReference" && at + 2 < keys.len() {
            return refuse(&place, "AASd-126: a fragment that is not the last key");
        }
        if *kind == "FragmentReference" && !["File", "Blob"].contains(before) {
            return refuse(&place, "AASd-127: a fragment of what is neither a file nor a blob");
        }
        if *before == "SubmodelElementList" && !is_count(value) {
            return refuse(&place, "AASd-128: a place in a list that is no number");
        }
    }
    Ok(())
}

/// Elements of a list are of one type and meaning.
fn list(object: &Object, place: &str) -> Result<(), Refused> {
    let kind = text(object, "typeValueListElement").unwrap_or_default();
    let value_kind = text(object, "valueTypeListElement");
    let typed = kind == "Property" || kind == "Range";
    if typed && value_kind.is_none() {
        return refuse(place, "AASd-109: a list of values without their type");
    }
    let keys = |value: Option<&Value>| value.and_then(|reference| reference.get("keys")).cloned();
    let wanted = keys(object.get("semanticIdListElement"));
    let mut seen = None;
    for (at, element) in objects(object, "value").enumerate() {
        let place = format!("{place}/value/{at}");
        let own = text(element, "modelType").unwrap_or_default();
        let fits = match kind {
            "SubmodelElement" => true,
            "DataElement" => DATA_ELEMENTS.contains(&own),
            "EventElement" => own == "BasicEventElement",
            "RelationshipElement" => own == kind || own == "AnnotatedRelationshipElement",
            kind => own == kind,
        };
        if !fits {
            return refuse(&place, format!("AASd-108: not a {kind}"));
        }
        if typed && text(element, "valueType") != value_kind {
            return refuse(&place, "AASd-109: a value of another type than the list's");
        }
        if let Some(own) = keys(element.get("semanticId")) {
            if wanted.as_ref().is_some_and(|wanted| *wanted != own) {
                return refuse(&place, "AASd-107: another meaning than the list's");
            }
            if seen.get_or_insert_with(|| own.clone()) != &own {
                return refuse(&place, "AASd-114: another meaning than its neighbours'");
            }
        }
    }
    Ok(())
}
