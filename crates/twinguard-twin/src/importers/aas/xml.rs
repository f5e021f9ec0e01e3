//! Environments as XML, brought into the form of JSON by the metamodel's own table.
//!
//! Source: IDTA-01001-3-0, annex on the XML serialisation: one namespace, an element a property, list members in elements named
//! after their class, everything else as in JSON.

use roxmltree::Node;
use serde_json::{Map, Value};

use super::{
    Refused,
    metamodel::{Property, class, is_submodel_element},
};
use crate::importers::place;

/// Deepest nesting of elements.
const DEPTH_LIMIT: usize = 200;

fn refuse<T>(node: &Node<'_, '_>, reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { place: place(node), reason: reason.into() })
}

/// An object of a class.
pub(super) fn object(node: &Node<'_, '_>, name: &str, depth: usize) -> Result<Value, Refused> {
    if depth > DEPTH_LIMIT {
        return refuse(node, "nested too deeply");
    }
    let Some(class) = class(name) else { return refuse(node, format!("class `{name}` is not known")) };
    let mut object = Map::new();
    if class.named {
        object.insert("modelType".to_owned(), name.into());
    }
    for child in node.children().filter(Node::is_element) {
        let key = child.tag_name().name();
        let Some(property) = class.properties.get(key) else {
            let key: String = key.chars().take(60).collect();
            return refuse(&child, format!("`{key}` is not a property of {name}"));
        };
        if object.contains_key(key) {
            return refuse(&child, format!("`{key}` stands twice"));
        }
        object.insert(key.to_owned(), value(&child, property, depth)?);
    }
    Ok(object.into())
}

fn value(node: &Node<'_, '_>, property: &Property, depth: usize) -> Result<Value, Refused> {
    if property.list {
        let members = node.children().filter(Node::is_element);
        let list: Result<Vec<Value>, Refused> =
            members.map(|member| member_of(&member, property.kind, depth)).collect();
        return list.map(Value::from);
    }
    if ["SubmodelElement", "DataElement"].contains(&property.kind)
        || property.kind == "DataSpecificationIec61360"
    {
        // An abstract class: the element inside says which.
        return match node.first_element_child() {
            Some(member) => member_of(&member, property.kind, depth),
            None => refuse(node, "empty"),
        };
    }
    if class(property.kind).is_some() {
        return object(node, property.kind, depth + 1);
    }
    let text = node.text().unwrap_or_default();
    Ok(match (property.kind, text.trim()) {
        ("bool", "true" | "1") => true.into(),
        ("bool", "false" | "0") => false.into(),
        _ => text.into(),
    })
}

/// A member of a list, in an element named after its class.
fn member_of(node: &Node<'_, '_>, kind: &str, depth: usize) -> Result<Value, Refused> {
    let mut letters = node.tag_name().name().chars();
    let name: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    let fits = match kind {
        "SubmodelElement" | "DataElement" => is_submodel_element(&name),
        kind => name == kind,
    };
    if fits { object(node, &name, depth + 1) } else { refuse(node, format!("not a {kind}")) }
}
