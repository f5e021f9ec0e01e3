//! Device and asset models in the Digital Twins Definition Language, versions 2 to 4.
//!
//! Source: Azure/opendigitaltwins-dtdl, `DTDL.v2.md`, `DTDL.v3.md`, `DTDL.v4.md`; verdicts are compared with its conformance cases.
//! Semantic co-types of extensions outside the language can only be taken on trust: [`Undefined`] says whether they are.

mod check;
mod model;
mod words;

use std::collections::BTreeMap;

use serde_json::Value;
use twinguard_types::{Asset, Edge, EdgeKind, Role, Signal};

use super::{Imported, Importer, Refused, json};
use check::{Child, Element};

/// The importer's entry in the registry.
pub(crate) static DTDL: Importer =
    Importer { name: "dtdl", recognises, import: |bytes| dtdl(bytes, Undefined::Refused) };

/// What becomes of terms from extensions that are not defined here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Undefined {
    /// The model is refused.
    Refused,
    /// They are allowed where such an extension's context stands.
    Allowed,
}

/// Most signals that one set of models may make.
const SIGNAL_LIMIT: usize = 1_000_000;

/// Most interfaces that are visited, over and over, while their contents are put together.
const VISIT_LIMIT: usize = 1_000_000;

fn recognises(_: &str, bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 16)];
    head.windows(18).any(|part| part == b"dtmi:dtdl:context;")
}

/// Reads a model, or an array of models, and checks it.
///
/// Telemetry and read-only properties become measurements, writable ones set-points, commands actuators; interfaces
/// become assets, components assets that theirs contain.
///
/// # Errors
/// The first thing that is wrong, with its place as a JSON pointer.
pub fn dtdl(bytes: &[u8], undefined: Undefined) -> Result<Imported, Refused> {
    models(std::slice::from_ref(&json(bytes)?), undefined)
}

/// The same for values that are parsed already, each a model or an array of models that may refer to each other.
///
/// # Errors
/// As [`dtdl`].
pub fn models(values: &[Value], undefined: Undefined) -> Result<Imported, Refused> {
    let elements = check::check(values, undefined)?;
    let by_id: BTreeMap<&str, &Element> = {
        let mut map = BTreeMap::new();
        let mut waiting: Vec<&Element> = elements.iter().collect();
        while let Some(element) = waiting.pop() {
            if let Some(id) = &element.id {
                map.insert(id.as_str(), element);
            }
            waiting.extend(element.children.iter().filter_map(|(_, child)| match child {
                Child::Inside(element) => Some(element),
                Child::Reference(_) => None,
            }));
        }
        map
    };
    let mut imported = Imported::new("dtdl");
    let mut visits = VISIT_LIMIT;
    for element in by_id.values().filter(|element| element.class == "Interface") {
        let Some(id) = &element.id else { continue };
        contents(&mut imported, element, &by_id, &path(id), 0, &mut visits)?;
    }
    Ok(imported)
}

/// `dtmi:com:example:Pump;1` as a path.
fn path(id: &str) -> String {
    id.trim_start_matches("dtmi:").split(';').next().unwrap_or_default().replace(':', ".")
}

/// Adds what an interface holds, and what it takes over from others, under a path.
fn contents(
    imported: &mut Imported,
    interface: &Element,
    by_id: &BTreeMap<&str, &Element>,
    prefix: &str,
    depth: usize,
    visits: &mut usize,
) -> Result<(), Refused> {
    // Inheritance was bounded by the check.
    const DEPTH_LIMIT: usize = 16;
    if depth > DEPTH_LIMIT {
        return Ok(());
    }
    let refused = |reason: String| Refused { place: interface.place.clone(), reason };
    *visits = visits.saturating_sub(1);
    if *visits == 0 {
        return Err(refused("interfaces lead on for too long".to_owned()));
    }
    let asset = imported.asset(Asset { path: prefix.into() }).map_err(refused)?;
    for (property, child) in &interface.children {
        let Some(child) = child.resolve(by_id) else { continue };
        if *property == "extends" {
            contents(imported, child, by_id, prefix, depth + 1, visits)?;
            continue;
        }
        if *property != "contents" {
            continue;
        }
        let Some(name) = &child.name else { continue };
        let place = format!("{prefix}.{name}");
        let role = match child.class {
            "Telemetry" => Role::Measurement,
            "Property" if child.writable => Role::Setpoint,
            "Property" => Role::Measurement,
            "Command" => Role::Actuator,
            "Component" => {
                let part = imported.asset(Asset { path: place.as_str().into() }).map_err(refused)?;
                imported.edge(Edge { from: asset, to: part, kind: EdgeKind::Contains }).map_err(refused)?;
                let schema = child.children.iter().find(|(property, _)| *property == "schema");
                if let Some(schema) = schema.and_then(|(_, schema)| schema.resolve(by_id)) {
                    contents(imported, schema, by_id, &place, depth + 1, visits)?;
                }
                continue;
            }
            _ => continue,
        };
        signals(imported, child, by_id, &place, role, 0)?;
    }
    Ok(())
}

/// Adds a content, field by field where its schema is an object.
fn signals(
    imported: &mut Imported,
    element: &Element,
    by_id: &BTreeMap<&str, &Element>,
    place: &str,
    role: Role,
    depth: usize,
) -> Result<(), Refused> {
    const DEPTH_LIMIT: usize = 8;
    let refused = |reason: String| Refused { place: element.place.clone(), reason };
    if imported.catalogue.len() >= SIGNAL_LIMIT {
        return Err(refused(format!("more than {SIGNAL_LIMIT} signals")));
    }
    let schema = element.children.iter().find(|(property, _)| *property == "schema");
    let object =
        schema.and_then(|(_, schema)| schema.resolve(by_id)).filter(|schema| schema.class == "Object");
    let fields =
        object.into_iter().flat_map(|object| &object.children).filter(|(property, _)| *property == "fields");
    let mut any = false;
    if depth < DEPTH_LIMIT {
        for field in fields.filter_map(|(_, field)| field.resolve(by_id)) {
            let Some(name) = &field.name else { continue };
            any = true;
            signals(imported, field, by_id, &format!("{place}.{name}"), role, depth + 1)?;
        }
    }
    if !any {
        let unit = element.unit.clone().unwrap_or_default();
        imported.signal(Signal::new(place, role).unit(unit)).map_err(refused)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
