//! Asset Administration Shells, version 3: environments as JSON and as XML.
//!
//! Source: IDTA-01001-3-0 (metamodel) and its annexes on the serialisations; verdicts are compared with the cases of
//! aas-core3.0-testgen.

mod check;
mod metamodel;
mod words;
mod xml;
mod xsd;

use serde_json::Value;
use twinguard_types::{Asset, AssetId, Edge, EdgeKind, Role, Signal};

use super::{Imported, Importer, Refused, json, place, tree};

/// The importer's entry in the registry.
pub(crate) static AAS: Importer = Importer { name: "aas", recognises, import: aas };

fn recognises(_: &str, bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 16)];
    let has = |word: &[u8]| head.windows(word.len()).any(|part| part == word);
    head.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
        && (has(b"\"assetAdministrationShells\"") || has(b"\"submodels\"") || has(b"\"conceptDescriptions\""))
}

/// The same for XML.
pub(crate) static AAS_XML: Importer =
    Importer { name: "aas_xml", recognises: recognises_xml, import: aas_xml };

/// The namespace of version 3; its last part is a minor version.
const NAMESPACE: &str = "https://admin-shell.io/aas/3/";

fn recognises_xml(_: &str, bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 16)];
    head.windows(NAMESPACE.len()).any(|part| part == NAMESPACE.as_bytes())
        && head
            .iter()
            .find(|byte| !byte.is_ascii_whitespace())
            .is_some_and(|byte| *byte == b'<' || *byte == 0xEF)
}

/// Reads an environment in XML and checks it as [`aas`] does.
///
/// # Errors
/// The first thing that is wrong: with line and column for the form, with a JSON pointer for the content.
pub fn aas_xml(bytes: &[u8]) -> Result<Imported, Refused> {
    environment(&value_of_xml(bytes)?)
}

fn value_of_xml(bytes: &[u8]) -> Result<Value, Refused> {
    let text = super::xml(bytes)?;
    let tree = tree(&text)?;
    let root = tree.root_element();
    let known = root.tag_name().namespace().is_some_and(|namespace| namespace.starts_with(NAMESPACE));
    if root.tag_name().name() != "environment" || !known {
        return Err(Refused { place: place(&root), reason: "not an environment of version 3".to_owned() });
    }
    xml::object(&root, "Environment", 0)
}

/// Reads an environment and checks it.
///
/// Shells and submodels become assets, properties and ranges signals: constants and parameters parameters, the rest
/// measurements.
///
/// # Errors
/// The first thing that is wrong, with its place as a JSON pointer.
pub fn aas(bytes: &[u8]) -> Result<Imported, Refused> {
    environment(&json(bytes)?)
}

/// Checks a value that is parsed already against a class of the metamodel.
///
/// # Errors
/// As [`aas`].
pub fn aas_verdict(value: &Value, class: &str) -> Result<(), Refused> {
    check::check(value, class)
}

fn environment(value: &Value) -> Result<Imported, Refused> {
    let mut imported = Imported::new("aas");
    add(&mut imported, value)?;
    Ok(imported)
}

/// Adds what an environment in JSON or XML says to what was read before.
pub(super) fn add_environment(imported: &mut Imported, bytes: &[u8]) -> Result<(), Refused> {
    let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    add(imported, &if is_json { json(bytes)? } else { value_of_xml(bytes)? })
}

fn add(imported: &mut Imported, value: &Value) -> Result<(), Refused> {
    check::check(value, "Environment")?;
    let list = |name: &str| value.get(name).and_then(Value::as_array).into_iter().flatten();
    for (at, shell) in list("assetAdministrationShells").enumerate() {
        let refused = |reason| Refused { place: format!("/assetAdministrationShells/{at}"), reason };
        imported.asset(Asset { path: name(shell).into() }).map_err(refused)?;
    }
    for (at, submodel) in list("submodels").enumerate() {
        let place = format!("/submodels/{at}");
        let refused = |reason| Refused { place: place.clone(), reason };
        let path = name(submodel);
        let asset = imported.asset(Asset { path: path.as_str().into() }).map_err(refused)?;
        // A shell that refers to the submodel contains it.
        let id = submodel.get("id");
        let refers = |shell: &&Value| {
            let references = shell.get("submodels").and_then(Value::as_array).into_iter().flatten();
            references
                .filter_map(|reference| reference.get("keys")?.get(0)?.get("value"))
                .any(|value| Some(value) == id)
        };
        for shell in list("assetAdministrationShells").filter(refers) {
            let from = imported.asset(Asset { path: name(shell).into() }).map_err(refused)?;
            if from != asset {
                imported.edge(Edge { from, to: asset, kind: EdgeKind::Contains }).map_err(refused)?;
            }
        }
        let place = format!("{place}/submodelElements");
        elements(imported, submodel.get("submodelElements"), &path, asset, &place)?;
    }
    Ok(())
}

/// The short name, else the identifier.
fn name(value: &Value) -> String {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    text("idShort").or_else(|| text("id")).unwrap_or("unnamed").chars().take(200).collect()
}

fn elements(
    imported: &mut Imported,
    list: Option<&Value>,
    path: &str,
    asset: AssetId,
    place: &str,
) -> Result<(), Refused> {
    for (at, element) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let place = format!("{place}/{at}");
        let refused = |reason| Refused { place: place.clone(), reason };
        let own =
            element.get("idShort").and_then(Value::as_str).map_or_else(|| at.to_string(), str::to_owned);
        let path = format!("{path}.{own}");
        match element.get("modelType").and_then(Value::as_str).unwrap_or_default() {
            "Property" | "Range" => {
                let numeric = element.get("valueType").and_then(Value::as_str).is_some_and(is_numeric);
                if numeric {
                    let fixed = ["CONSTANT", "PARAMETER"];
                    let category = element.get("category").and_then(Value::as_str);
                    let fixed = category.is_some_and(|category| fixed.contains(&category));
                    let role = if fixed { Role::Parameter } else { Role::Measurement };
                    imported.signal(Signal::new(path, role)).map_err(refused)?;
                }
            }
            "SubmodelElementCollection" | "SubmodelElementList" => {
                elements(imported, element.get("value"), &path, asset, &format!("{place}/value"))?;
            }
            "Entity" => {
                let part = imported.asset(Asset { path: path.as_str().into() }).map_err(refused)?;
                imported.edge(Edge { from: asset, to: part, kind: EdgeKind::Contains }).map_err(refused)?;
                elements(imported, element.get("statements"), &path, part, &format!("{place}/statements"))?;
            }
            "Operation" => {
                imported.signal(Signal::new(path, Role::Actuator)).map_err(refused)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a type's values are numbers or truth values.
fn is_numeric(kind: &str) -> bool {
    const NUMERIC: [&str; 5] = ["xs:boolean", "xs:decimal", "xs:double", "xs:float", "xs:integer"];
    NUMERIC.contains(&kind)
        || (xsd::is_value(kind, "1") == Some(true)
            && xsd::is_value(kind, "x") == Some(false)
            && xsd::is_value(kind, "") == Some(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUMP: &str = r#"{"assetAdministrationShells":[{"modelType":"AssetAdministrationShell","id":"urn:shell","idShort":"Pump",
        "assetInformation":{"assetKind":"Instance","globalAssetId":"urn:pump"},
        "submodels":[{"type":"ModelReference","keys":[{"type":"Submodel","value":"urn:data"}]}]}],
      "submodels":[{"modelType":"Submodel","id":"urn:data","idShort":"Data","submodelElements":[
        {"modelType":"Property","idShort":"Speed","valueType":"xs:double","value":"1480.5"},
        {"modelType":"Property","idShort":"Maker","valueType":"xs:string","value":"x"},
        {"modelType":"SubmodelElementCollection","idShort":"Limits","value":[
          {"modelType":"Range","idShort":"Pressure","valueType":"xs:float","min":"0","max":"16"},
          {"modelType":"Property","idShort":"Poles","category":"CONSTANT","valueType":"xs:int","value":"4"}]},
        {"modelType":"Operation","idShort":"Stop"}]}]}"#;

    #[test]
    fn environments_become_assets_and_signals() {
        assert!(recognises("", PUMP.as_bytes()));
        let imported = aas(PUMP.as_bytes()).unwrap();
        let role = |path: &str| {
            imported.catalogue.id(path).and_then(|id| imported.catalogue.signal(id)).map(|signal| signal.role)
        };
        assert_eq!(role("Data.Speed"), Some(Role::Measurement));
        assert_eq!(role("Data.Maker"), None, "texts are no signals");
        assert_eq!(role("Data.Limits.Pressure"), Some(Role::Measurement));
        assert_eq!(role("Data.Limits.Poles"), Some(Role::Parameter));
        assert_eq!(role("Data.Stop"), Some(Role::Actuator));
        assert_eq!(imported.catalogue.edges().len(), 1);
    }

    #[test]
    fn xml_says_the_same() {
        let text = r#"<environment xmlns="https://admin-shell.io/aas/3/0"><submodels><submodel><idShort>Data</idShort><id>urn:data</id>
<submodelElements><property><idShort>Speed</idShort><valueType>xs:double</valueType><value>1480.5</value></property>
<submodelElementCollection><idShort>Limits</idShort><value><range><idShort>P</idShort><valueType>xs:int</valueType></range></value>
</submodelElementCollection></submodelElements></submodel></submodels></environment>"#;
        assert!(recognises_xml("", text.as_bytes()));
        let imported = aas_xml(text.as_bytes()).unwrap();
        assert!(
            imported.catalogue.id("Data.Speed").is_some() && imported.catalogue.id("Data.Limits.P").is_some()
        );
        let refuse = |from: &str, to: &str, expected: &str| {
            assert_eq!(aas_xml(text.replacen(from, to, 1).as_bytes()).unwrap_err().to_string(), expected);
        };
        refuse(
            "1480.5",
            "fast",
            "/submodels/0/submodelElements/0/value: AASd-020: `fast` is not a value of xs:double",
        );
        refuse("<value>1480.5</value>", "<why/>", "line 2, column 85: `why` is not a property of Property");
        refuse("aas/3/0", "aas/2/0", "line 1, column 1: not an environment of version 3");
    }

    #[test]
    fn refusals_name_their_place() {
        let refuse = |from: &str, to: &str, place: &str, reason: &str| {
            let refused = aas(PUMP.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert_eq!((refused.place.as_str(), refused.reason.as_str()), (place, reason));
        };
        refuse(
            "1480.5",
            "fast",
            "/submodels/0/submodelElements/0/value",
            "AASd-020: `fast` is not a value of xs:double",
        );
        refuse(
            "\"idShort\":\"Maker\"",
            "\"idShort\":\"speed\"",
            "/submodels/0/submodelElements",
            "AASd-022: a second `speed`",
        );
        refuse("\"idShort\":\"Maker\",", "", "/submodels/0/submodelElements/1", "AASd-117: no idShort");
        refuse(
            "\"globalAssetId\":\"urn:pump\"",
            "\"assetType\":\"x\"",
            "/assetAdministrationShells/0/assetInformation",
            "AASd-131: neither a global nor a specific asset identifier",
        );
        refuse(
            "Instance",
            "Thing",
            "/assetAdministrationShells/0/assetInformation/assetKind",
            "`Thing` is no AssetKind",
        );
        assert_eq!(aas(b"[]").unwrap_err().place, "/");
        assert!(aas(b"{").unwrap_err().place.starts_with("line 1"));
    }
}
