//! Things of Eclipse Ditto.
//!
//! Source: Eclipse Ditto documentation, *Thing* and *Features*, and its JSON schema `thing_v2.json`: `thingId` of a namespace and a name,
//! `policyId`, `definition`, `attributes`, `features` with `properties` and `desiredProperties`.

use serde_json::{Map, Value};
use twinguard_types::{Asset, Edge, EdgeKind, Role, Signal};

use super::{Imported, Importer, Refused, json};

/// The importer's entry in the registry.
pub(crate) static DITTO: Importer = Importer { name: "ditto", recognises, import: ditto };

/// Deepest nesting of properties.
const DEPTH_LIMIT: usize = 32;

fn recognises(_: &str, bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 16)];
    let has = |word: &[u8]| head.windows(word.len()).any(|part| part == word);
    has(b"\"thingId\"") && !has(b"\"$schema\"")
}

fn refuse<T>(place: &str, reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { place: if place.is_empty() { "/" } else { place }.to_owned(), reason: reason.into() })
}

/// Reads a thing or a list of things: features become assets, numbers and truth values of their properties measurements,
/// those of desired properties set-points, those of attributes parameters.
fn ditto(bytes: &[u8]) -> Result<Imported, Refused> {
    let value = json(bytes)?;
    let mut imported = Imported::new("ditto");
    match &value {
        Value::Array(list) => {
            for (at, thing_of) in list.iter().enumerate() {
                thing(&mut imported, thing_of, &format!("/{at}"))?;
            }
        }
        one => thing(&mut imported, one, "")?,
    }
    Ok(imported)
}

fn thing(imported: &mut Imported, value: &Value, place: &str) -> Result<(), Refused> {
    const KEYS: [&str; 10] = [
        "thingId",
        "policyId",
        "definition",
        "attributes",
        "features",
        "_policy",
        "_revision",
        "_modified",
        "_created",
        "_metadata",
    ];
    let Some(object) = value.as_object() else { return refuse(place, "not an object") };
    if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str()) && !key.starts_with('_')) {
        return refuse(place, format!("`{}` is not a part of a thing", short(key)));
    }
    let Some(id) = object.get("thingId").and_then(Value::as_str) else {
        return refuse(place, "`thingId` is missing");
    };
    identifier(id, &format!("{place}/thingId"))?;
    if let Some(policy) = object.get("policyId") {
        let place = format!("{place}/policyId");
        let Some(policy) = policy.as_str() else { return refuse(&place, "not a text") };
        identifier(policy, &place)?;
    }
    let refused = |reason: String| Refused { place: place.to_owned(), reason };
    let own = imported.asset(Asset { path: id.into() }).map_err(refused)?;
    if let Some(attributes) = part(object, "attributes", place)? {
        let place = format!("{place}/attributes");
        numbers(imported, attributes, &format!("{id}.attributes"), Role::Parameter, &place, 0)?;
    }
    for (name, feature) in part(object, "features", place)?.into_iter().flatten() {
        let place = format!("{place}/features/{name}");
        if feature.is_null() {
            continue;
        }
        let Some(feature) = feature.as_object() else { return refuse(&place, "not an object") };
        let path = format!("{id}.{name}");
        let refused = |reason: String| Refused { place: place.clone(), reason };
        let asset = imported.asset(Asset { path: path.as_str().into() }).map_err(refused)?;
        imported.edge(Edge { from: own, to: asset, kind: EdgeKind::Contains }).map_err(refused)?;
        for (key, role) in [("properties", Role::Measurement), ("desiredProperties", Role::Setpoint)] {
            if let Some(properties) = part(feature, key, &place)? {
                let path = if role == Role::Setpoint { format!("{path}.desired") } else { path.clone() };
                numbers(imported, properties, &path, role, &format!("{place}/{key}"), 0)?;
            }
        }
        if let Some(definition) = feature.get("definition") {
            let texts = definition
                .as_array()
                .is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string));
            if !texts && !definition.is_null() {
                return refuse(&format!("{place}/definition"), "not a list of texts");
            }
        }
    }
    Ok(())
}

/// An object that may be absent or null.
fn part<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    place: &str,
) -> Result<Option<&'a Map<String, Value>>, Refused> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(part)) => Ok(Some(part)),
        Some(_) => refuse(&format!("{place}/{key}"), "not an object"),
    }
}

/// `namespace:name`: letters, digits and underscores between dots; anything but slashes and control characters.
fn identifier(id: &str, place: &str) -> Result<(), Refused> {
    let namespace = |text: &str| {
        text.is_empty()
            || text.split('.').all(|part| {
                part.starts_with(|c: char| c.is_ascii_alphabetic())
                    && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
            })
    };
    let good = id.len() <= 256
        && id.split_once(':').is_some_and(|(space, name)| {
            namespace(space) && !name.is_empty() && !name.contains('/') && !name.chars().any(char::is_control)
        });
    if good { Ok(()) } else { refuse(place, format!("`{}` is not an identifier", short(id))) }
}

fn numbers(
    imported: &mut Imported,
    object: &Map<String, Value>,
    path: &str,
    role: Role,
    place: &str,
    depth: usize,
) -> Result<(), Refused> {
    if depth > DEPTH_LIMIT {
        return refuse(place, "nested too deeply");
    }
    for (name, value) in object {
        let (path, place) = (format!("{path}.{name}"), format!("{place}/{name}"));
        match value {
            Value::Object(inner) => numbers(imported, inner, &path, role, &place, depth + 1)?,
            Value::Number(_) | Value::Bool(_) => {
                imported.signal(Signal::new(path, role)).map_err(|reason| Refused { place, reason })?;
            }
            _ => {}
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

    const PUMP: &str = r#"{"thingId":"org.plant:pump-1","policyId":"org.plant:policy","attributes":{"poles":4,"maker":"x"},
        "features":{"motor":{"properties":{"current":3.5,"state":{"on":true}},"desiredProperties":{"speed":1480}}}}"#;

    #[test]
    fn features_become_assets_and_properties_signals() {
        assert!(recognises("", PUMP.as_bytes()));
        let imported = ditto(PUMP.as_bytes()).unwrap();
        let role = |path: &str| {
            imported.catalogue.id(path).and_then(|id| imported.catalogue.signal(id)).map(|signal| signal.role)
        };
        assert_eq!(role("org.plant:pump-1.attributes.poles"), Some(Role::Parameter));
        assert_eq!(role("org.plant:pump-1.motor.state.on"), Some(Role::Measurement));
        assert_eq!(role("org.plant:pump-1.motor.desired.speed"), Some(Role::Setpoint));
        assert_eq!(imported.catalogue.edges().len(), 1);
    }

    #[test]
    fn refusals_name_their_place() {
        let refuse = |from: &str, to: &str, place: &str, reason: &str| {
            let refused = ditto(PUMP.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert_eq!((refused.place.as_str(), refused.reason.as_str()), (place, reason));
        };
        refuse("org.plant:pump-1", "pump", "/thingId", "`pump` is not an identifier");
        refuse("thingId", "thing", "/", "`thing` is not a part of a thing");
        refuse(
            "{\"current\":3.5,\"state\":{\"on\":true}}",
            "3",
            "/features/motor/properties",
            "not an object",
        );
    }
}
