//! Address spaces of OPC UA as `NodeSet2` files.
//!
//! Source: OPC 10000-6 (OPC Unified Architecture, Part 6: Mappings), annex F (`UANodeSet.xsd`); node identifiers by clause 5.3.1.10; access
//! levels by OPC 10000-3, clause 8.57 (bit 1: writable).

use std::collections::BTreeMap;

use roxmltree::Node;
use twinguard_types::{Asset, AssetId, Edge, EdgeKind, Role, Signal};

use super::{Imported, Importer, Refused, place, tree, xml};

/// The importer's entry in the registry.
pub(crate) static NODESET: Importer = Importer { name: "nodeset", recognises, import: nodeset };

/// Deepest chain of parents that is written as a path.
const DEPTH_LIMIT: usize = 32;

const CLASSES: [&str; 8] = [
    "UADataType",
    "UAMethod",
    "UAObject",
    "UAObjectType",
    "UAReferenceType",
    "UAVariable",
    "UAVariableType",
    "UAView",
];

fn recognises(_: &str, bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 16)];
    head.windows(10).any(|part| part == b"<UANodeSet")
}

fn refuse<T>(node: &Node<'_, '_>, reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { place: place(node), reason: reason.into() })
}

/// A node as it stands in the file.
struct Entry<'a, 'b> {
    node: Node<'a, 'b>,
    name: &'a str,
    parent: Option<&'a str>,
}

/// Reads a node set: objects become assets that contain each other, variables measurements (set-points if they can be
/// written), methods actuators; types are passed over.
fn nodeset(bytes: &[u8]) -> Result<Imported, Refused> {
    let text = xml(bytes)?;
    let tree = tree(&text)?;
    let root = tree.root_element();
    if root.tag_name().name() != "UANodeSet" {
        return refuse(&root, "not a UANodeSet");
    }
    let aliases: BTreeMap<&str, &str> = root
        .children()
        .filter(|node| node.tag_name().name() == "Aliases")
        .flat_map(|list| list.children())
        .filter_map(|alias| Some((alias.attribute("Alias")?, alias.text()?.trim())))
        .collect();
    let mut entries: BTreeMap<&str, Entry<'_, '_>> = BTreeMap::new();
    for node in root.children().filter(|node| CLASSES.contains(&node.tag_name().name())) {
        let Some(id) = node.attribute("NodeId") else { return refuse(&node, "`NodeId` is missing") };
        if !is_node_id(id) {
            return refuse(&node, format!("`{}` is not a node identifier", short(id)));
        }
        let Some(name) = node.attribute("BrowseName") else {
            return refuse(&node, "`BrowseName` is missing");
        };
        // A namespace's number may stand before the name.
        let name = name
            .split_once(':')
            .filter(|(number, _)| number.parse::<u16>().is_ok())
            .map_or(name, |(_, name)| name);
        let parent = node.attribute("ParentNodeId").or_else(|| parent_of(&node, &aliases));
        if entries.insert(id, Entry { node, name, parent }).is_some() {
            return refuse(&node, format!("a second node `{}`", short(id)));
        }
    }
    let mut imported = Imported::new("nodeset");
    let mut assets: BTreeMap<&str, AssetId> = BTreeMap::new();
    for (id, entry) in &entries {
        let kind = entry.node.tag_name().name();
        if !["UAObject", "UAVariable", "UAMethod"].contains(&kind) || !is_instance(entry, &entries) {
            continue;
        }
        let path = path(entry, &entries);
        let refused = |reason: String| Refused { place: place(&entry.node), reason };
        match kind {
            "UAObject" => {
                let asset = imported.asset(Asset { path: path.as_str().into() }).map_err(refused)?;
                assets.insert(id, asset);
            }
            "UAMethod" => add(&mut imported, &entry.node, path, Role::Actuator)?,
            _ => {
                let access =
                    entry.node.attribute("AccessLevel").or_else(|| entry.node.attribute("UserAccessLevel"));
                let Some(access) = access.map_or(Some(1), |access| access.parse::<u32>().ok()) else {
                    return refuse(&entry.node, "`AccessLevel` is not a number");
                };
                add(
                    &mut imported,
                    &entry.node,
                    path,
                    if access & 2 == 2 { Role::Setpoint } else { Role::Measurement },
                )?;
            }
        }
    }
    for (id, to) in &assets {
        let parent = entries.get(id).and_then(|entry| entry.parent);
        if let Some(from) = parent.and_then(|parent| assets.get(parent)).filter(|from| *from != to) {
            let edge = Edge { from: *from, to: *to, kind: EdgeKind::Contains };
            imported.edge(edge).map_err(|reason| Refused { place: "edges".to_owned(), reason })?;
        }
    }
    Ok(imported)
}

/// Adds a signal; of two nodes with one path the second is told apart by its identifier.
fn add(imported: &mut Imported, node: &Node<'_, '_>, path: String, role: Role) -> Result<(), Refused> {
    let path = match imported.catalogue.id(&path) {
        None => path,
        Some(_) => format!("{path} ({})", node.attribute("NodeId").unwrap_or_default()),
    };
    imported
        .signal(Signal::new(path, role))
        .map(|_| ())
        .map_err(|reason| Refused { place: place(node), reason })
}

/// The node that an inverse hierarchical reference leads to.
fn parent_of<'a>(node: &Node<'a, '_>, aliases: &BTreeMap<&str, &'a str>) -> Option<&'a str> {
    const HIERARCHICAL: [&str; 6] =
        ["HasComponent", "HasProperty", "Organizes", "HasOrderedComponent", "HasAddIn", "HasSubtype"];
    const NUMBERS: [&str; 6] = ["i=47", "i=46", "i=35", "i=49", "i=17604", "i=45"];
    let references = node.children().find(|node| node.tag_name().name() == "References")?;
    let inverse = references.children().find(|reference| {
        let kind = reference.attribute("ReferenceType").unwrap_or_default();
        reference.attribute("IsForward") == Some("false")
            && (HIERARCHICAL.contains(&kind)
                || NUMBERS.contains(&kind)
                || aliases.get(kind).is_some_and(|number| NUMBERS.contains(number)))
    })?;
    inverse.text().map(str::trim)
}

/// `ns=1;i=5`, `s=text`, `g=…`, `b=…`.
fn is_node_id(text: &str) -> bool {
    let rest = match text.strip_prefix("ns=").and_then(|rest| rest.split_once(';')) {
        Some((number, rest)) if number.parse::<u16>().is_ok() => rest,
        Some(_) => return false,
        None => text,
    };
    match rest.split_once('=') {
        Some(("i", number)) => number.parse::<u32>().is_ok(),
        Some(("s" | "g" | "b", rest)) => !rest.is_empty(),
        _ => false,
    }
}

/// Whether no type is above a node: what lies in a type is a pattern, not a thing.
fn is_instance(entry: &Entry<'_, '_>, entries: &BTreeMap<&str, Entry<'_, '_>>) -> bool {
    let mut at = entry;
    for _ in 0..DEPTH_LIMIT {
        let Some(parent) = at.parent.and_then(|parent| entries.get(parent)) else { return true };
        if parent.node.tag_name().name().ends_with("Type") {
            return false;
        }
        at = parent;
    }
    true
}

fn path(entry: &Entry<'_, '_>, entries: &BTreeMap<&str, Entry<'_, '_>>) -> String {
    let mut names = vec![entry.name];
    let mut at = entry;
    while let Some(parent) = at.parent.and_then(|parent| entries.get(parent)) {
        if names.len() >= DEPTH_LIMIT {
            break;
        }
        names.push(parent.name);
        at = parent;
    }
    names.reverse();
    let path = names.join(".");
    // The end tells more than the beginning.
    let skip = path.chars().count().saturating_sub(400);
    path.chars().skip(skip).collect()
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &str = r#"<UANodeSet xmlns="http://opcfoundation.org/UA/2011/03/UANodeSet.xsd"><Aliases><Alias Alias="HasComponent">i=47</Alias></Aliases>
<UAObject NodeId="ns=1;i=1" BrowseName="1:Pump"/>
<UAVariable NodeId="ns=1;i=2" BrowseName="1:Speed" ParentNodeId="ns=1;i=1" AccessLevel="3"/>
<UAVariable NodeId="ns=1;i=3" BrowseName="1:Flow"><References><Reference ReferenceType="HasComponent" IsForward="false">ns=1;i=1</Reference></References></UAVariable>
<UAObjectType NodeId="ns=1;i=4" BrowseName="1:PumpType"/>
<UAVariable NodeId="ns=1;i=5" BrowseName="1:Pattern" ParentNodeId="ns=1;i=4"/></UANodeSet>"#;

    #[test]
    fn objects_and_variables() {
        assert!(recognises("", SET.as_bytes()));
        let imported = nodeset(SET.as_bytes()).unwrap();
        let role = |path: &str| {
            imported.catalogue.id(path).and_then(|id| imported.catalogue.signal(id)).map(|signal| signal.role)
        };
        assert_eq!(role("Pump.Speed"), Some(Role::Setpoint));
        assert_eq!(role("Pump.Flow"), Some(Role::Measurement));
        assert_eq!(imported.catalogue.len(), 2, "nothing from types");
    }

    #[test]
    fn refusals_name_their_place() {
        let refuse = |from: &str, to: &str, expected: &str| {
            assert_eq!(nodeset(SET.replacen(from, to, 1).as_bytes()).unwrap_err().to_string(), expected);
        };
        refuse("ns=1;i=2", "ns=x;i=2", "line 3, column 1: `ns=x;i=2` is not a node identifier");
        refuse("NodeId=\"ns=1;i=2\"", "NodeId=\"ns=1;i=1\"", "line 3, column 1: a second node `ns=1;i=1`");
        refuse("AccessLevel=\"3\"", "AccessLevel=\"all\"", "line 3, column 1: `AccessLevel` is not a number");
        assert!(
            is_node_id("s=a b") && is_node_id("ns=3;g=09087e75") && !is_node_id("i=x") && !is_node_id("")
        );
    }
}
