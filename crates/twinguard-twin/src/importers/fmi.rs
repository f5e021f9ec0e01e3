//! Model descriptions of functional mock-up units, versions 2 and 3. The unit's code is never loaded.
//!
//! Source: *Functional Mock-up Interface for Model Exchange and Co-Simulation* 2.0.4, clause 2.2 (`modelDescription.xml`), and 3.0.1, clause 2.4.

use std::collections::BTreeSet;

use roxmltree::Node;
use twinguard_types::{Asset, Role, Signal};

use super::{Imported, Importer, Refused, place, tree, xml};

/// The importer's entry in the registry.
pub(crate) static FMI: Importer = Importer { name: "fmi", recognises, import: fmi };

fn recognises(_: &str, bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 16)];
    head.windows(20).any(|part| part == b"<fmiModelDescription")
}

fn refuse<T>(node: &Node<'_, '_>, reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { place: place(node), reason: reason.into() })
}

const CAUSALITIES: [&str; 7] =
    ["calculatedParameter", "independent", "input", "local", "output", "parameter", "structuralParameter"];
const VARIABILITIES: [&str; 5] = ["constant", "continuous", "discrete", "fixed", "tunable"];
const TYPES_3: [&str; 15] = [
    "Binary",
    "Boolean",
    "Clock",
    "Enumeration",
    "Float32",
    "Float64",
    "Int16",
    "Int32",
    "Int64",
    "Int8",
    "String",
    "UInt16",
    "UInt32",
    "UInt64",
    "UInt8",
];
const TYPES_2: [&str; 5] = ["Boolean", "Enumeration", "Integer", "Real", "String"];

/// Reads a description: outputs become measurements, inputs actuators, parameters parameters; local variables, texts and
/// clocks are left out.
fn fmi(bytes: &[u8]) -> Result<Imported, Refused> {
    let text = xml(bytes)?;
    let tree = tree(&text)?;
    let root = tree.root_element();
    if !root.has_tag_name("fmiModelDescription") {
        return refuse(&root, "not an fmiModelDescription");
    }
    let version = match root.attribute("fmiVersion") {
        Some("2.0") => 2,
        Some(version) if version.starts_with("3.") => 3,
        Some(version) => return refuse(&root, format!("version `{}` is not read here", short(version))),
        None => return refuse(&root, "`fmiVersion` is missing"),
    };
    let identity = if version == 2 { "guid" } else { "instantiationToken" };
    for attribute in ["modelName", identity] {
        if root.attribute(attribute).is_none() {
            return refuse(&root, format!("`{attribute}` is missing"));
        }
    }
    if !root
        .children()
        .any(|node| ["CoSimulation", "ModelExchange", "ScheduledExecution"].contains(&node.tag_name().name()))
    {
        return refuse(&root, "neither model exchange nor co-simulation");
    }
    let model: String = root.attribute("modelName").unwrap_or_default().chars().take(200).collect();
    let mut imported = Imported::new("fmi");
    let refused = |reason: String| Refused { place: place(&root), reason };
    imported.asset(Asset { path: model.as_str().into() }).map_err(refused)?;
    let Some(variables) = root.children().find(|node| node.has_tag_name("ModelVariables")) else {
        return refuse(&root, "`ModelVariables` is missing");
    };
    let mut names = BTreeSet::new();
    for variable in variables.children().filter(Node::is_element) {
        self::variable(&mut imported, &variable, version, &model, &mut names)?;
    }
    Ok(imported)
}

fn variable<'a>(
    imported: &mut Imported,
    node: &Node<'a, '_>,
    version: u32,
    model: &str,
    names: &mut BTreeSet<&'a str>,
) -> Result<(), Refused> {
    let attribute = |name: &str| node.attribute(name);
    let kind = if version == 2 {
        if !node.has_tag_name("ScalarVariable") {
            return refuse(node, format!("`{}` is not a variable", short(node.tag_name().name())));
        }
        node.children().find(|node| TYPES_2.contains(&node.tag_name().name()))
    } else {
        Some(*node).filter(|node| TYPES_3.contains(&node.tag_name().name()))
    };
    let Some(kind) = kind else { return refuse(node, "a variable of no known type") };
    let Some(name) = attribute("name") else { return refuse(node, "`name` is missing") };
    if !names.insert(name) {
        return refuse(node, format!("a second variable `{}`", short(name)));
    }
    if attribute("valueReference").is_none_or(|number| number.parse::<u32>().is_err()) {
        return refuse(node, "`valueReference` is not a number");
    }
    let causality = attribute("causality").unwrap_or("local");
    if !CAUSALITIES.contains(&causality) {
        return refuse(node, format!("causality `{}` is not known", short(causality)));
    }
    if let Some(variability) = attribute("variability")
        && !VARIABILITIES.contains(&variability)
    {
        return refuse(node, format!("variability `{}` is not known", short(variability)));
    }
    let role = match causality {
        "output" => Role::Measurement,
        "input" => Role::Actuator,
        "parameter" | "structuralParameter" => Role::Parameter,
        _ => return Ok(()),
    };
    if ["Binary", "Clock", "String"].contains(&kind.tag_name().name()) {
        return Ok(());
    }
    let mut signal =
        Signal::new(format!("{model}.{name}"), role).unit(kind.attribute("unit").unwrap_or_default());
    let bound = |name: &str| match kind.attribute(name).map(str::parse::<f64>) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => refuse(node, format!("`{name}` is not a number")),
    };
    if let (Some(least), Some(most)) = (bound("min")?, bound("max")?)
        && least < most
    {
        signal = signal
            .range(least, most)
            .map_err(|error| Refused { place: place(node), reason: error.to_string() })?;
    }
    imported.signal(signal).map_err(|reason| Refused { place: place(node), reason })?;
    Ok(())
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"<?xml version="1.0"?><fmiModelDescription fmiVersion="2.0" modelName="Pump" guid="x"><CoSimulation modelIdentifier="p"/>
<ModelVariables><ScalarVariable name="speed" valueReference="1" causality="input"><Real unit="rad/s" min="0" max="200"/></ScalarVariable>
<ScalarVariable name="flow" valueReference="2" causality="output"><Real/></ScalarVariable>
<ScalarVariable name="inner" valueReference="3"><Real/></ScalarVariable></ModelVariables></fmiModelDescription>"#;

    #[test]
    fn versions_two_and_three() {
        assert!(recognises("", TWO.as_bytes()));
        let imported = fmi(TWO.as_bytes()).unwrap();
        let signal =
            |path: &str| imported.catalogue.id(path).and_then(|id| imported.catalogue.signal(id)).unwrap();
        assert_eq!(
            (signal("Pump.speed").role, signal("Pump.speed").range.unwrap().max()),
            (Role::Actuator, 200.0)
        );
        assert_eq!(signal("Pump.flow").role, Role::Measurement);
        assert_eq!(imported.catalogue.len(), 2);
        let three = r#"<fmiModelDescription fmiVersion="3.0" modelName="M" instantiationToken="t"><ModelExchange/><ModelVariables>
            <Float64 name="y" valueReference="1" causality="output"/><Clock name="c" valueReference="2" causality="input"/></ModelVariables></fmiModelDescription>"#;
        assert_eq!(fmi(three.as_bytes()).unwrap().catalogue.len(), 1);
    }

    #[test]
    fn refusals_name_their_place() {
        let refuse = |from: &str, to: &str, expected: &str| {
            assert_eq!(fmi(TWO.replacen(from, to, 1).as_bytes()).unwrap_err().to_string(), expected);
        };
        refuse("name=\"flow\"", "name=\"speed\"", "line 3, column 1: a second variable `speed`");
        refuse(
            "valueReference=\"1\"",
            "valueReference=\"-1\"",
            "line 2, column 17: `valueReference` is not a number",
        );
        refuse(
            "causality=\"output\"",
            "causality=\"outward\"",
            "line 3, column 1: causality `outward` is not known",
        );
        assert!(fmi(b"<fmiModelDescription").unwrap_err().place.starts_with("line 1"));
    }
}
