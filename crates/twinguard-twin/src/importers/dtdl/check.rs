//! Whether a set of models keeps the rules of its language version.
//!
//! Source: Azure/opendigitaltwins-dtdl, `DTDL.v3.md` and `DTDL.v4.md`: contexts, identifiers, types, properties of each metamodel
//! class, literals, references, limits of depth.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    Refused, Undefined,
    model::{ADDITIONAL, ADDITIONAL_PROPERTIES, EXTENSIONS, Holds, IMPLICIT, SCHEMAS, class, is_primitive},
    words::{is_any_identifier, is_identifier, is_language, is_name, is_term},
};

/// An element that keeps the rules.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) class: &'static str,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) writable: bool,
    pub(super) place: String,
    pub(super) children: Vec<(&'static str, Child)>,
    version: u32,
}

/// What stands in a property: an element, or the name of one.
#[derive(Debug)]
pub(super) enum Child {
    Inside(Element),
    Reference(String),
}

impl Child {
    /// The element.
    pub(super) fn resolve<'a>(&'a self, by_id: &BTreeMap<&str, &'a Element>) -> Option<&'a Element> {
        match self {
            Self::Inside(element) => Some(element),
            Self::Reference(id) => by_id.get(id.as_str()).copied(),
        }
    }
}

/// What is in force where an element stands.
#[derive(Clone, Copy)]
struct Scope {
    version: u32,
    /// Whether an extension that is not defined here is in force.
    foreign: bool,
    /// Whether an extension of the language is in force.
    extended: bool,
    /// Number of the interface around.
    interface: usize,
}

/// A reference, to be looked up when all is read.
struct Wanted {
    id: String,
    classes: &'static [&'static str],
    place: String,
    interface: usize,
}

struct Checker {
    undefined: Undefined,
    /// Class and interface of each identifier.
    known: BTreeMap<String, (&'static str, usize)>,
    wanted: Vec<Wanted>,
    interfaces: usize,
}

fn refuse<T>(place: &str, reason: impl Into<String>) -> Result<T, Refused> {
    let place = if place.is_empty() { "/".to_owned() } else { place.to_owned() };
    Err(Refused { place, reason: reason.into() })
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Checks models and returns their top-level elements.
pub(super) fn check(values: &[Value], undefined: Undefined) -> Result<Vec<Element>, Refused> {
    let mut checker = Checker { undefined, known: BTreeMap::new(), wanted: Vec::new(), interfaces: 0 };
    let mut elements = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let place = if values.len() > 1 { format!("/{at}") } else { String::new() };
        match value {
            Value::Object(object) => elements.push(checker.top(object, &place)?),
            Value::Array(list) => {
                for (at, value) in list.iter().enumerate() {
                    let place = format!("{place}/{at}");
                    let Value::Object(object) = value else { return refuse(&place, "not an object") };
                    elements.push(checker.top(object, &place)?);
                }
            }
            _ => return refuse(&place, "neither an object nor an array"),
        }
    }
    checker.references()?;
    Depths::new(&elements).check(&elements)?;
    Ok(elements)
}

impl Checker {
    fn top(&mut self, object: &Map<String, Value>, place: &str) -> Result<Element, Refused> {
        let Some(context) = object.get("@context") else { return refuse(place, "no @context") };
        let scope = self.context(context, None, &format!("{place}/@context"))?;
        self.element(object, &["Interface"], scope, place, true)
    }

    /// Reads a context; the scope inside.
    fn context(&self, value: &Value, outer: Option<Scope>, place: &str) -> Result<Scope, Refused> {
        let list = match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut words = Vec::with_capacity(list.len());
        for value in list {
            let Value::String(word) = value else { return refuse(place, "not a text or a list of texts") };
            words.push(word.as_str());
        }
        let mut scope = outer.unwrap_or(Scope { version: 0, foreign: false, extended: false, interface: 0 });
        let mut at = 0;
        // The language's own contexts come first.
        while let Some(word) = words.get(at).and_then(|word| word.strip_prefix("dtmi:dtdl:context;")) {
            let (number, part) = word.split_once('#').map_or((word, ""), |(number, part)| (number, part));
            let version = number.parse().ok().filter(|version| (2..=4).contains(version));
            let Some(version) = version else {
                return refuse(place, "not a version of the language that is read here");
            };
            if outer.is_some_and(|outer| version > outer.version) {
                return refuse(place, "a later version of the language than around");
            }
            match part {
                "" => {}
                "limitless" if version >= 4 => {
                    // Limits of an organisation, or the language's own, have to follow at once.
                    let next = words.get(at + 1).copied().unwrap_or_default();
                    let limits = next == format!("dtmi:dtdl:context;{version}#limits")
                        || next == format!("dtmi:dtdl:context;{version}")
                        || (next.starts_with("dtmi:dtdl:limits:") && is_identifier(next));
                    if !limits {
                        return refuse(place, "limits have to follow a context without limits");
                    }
                    at += 1;
                }
                _ => return refuse(place, format!("`{}` cannot stand here", short(words[at]))),
            }
            scope.version = version;
            at += 1;
        }
        if scope.version == 0 {
            return refuse(place, "the first context is not the language's");
        }
        for word in &words[at..] {
            let stem = word.split([';', '#']).next().unwrap_or_default();
            if stem == "dtmi:dtdl:context" || stem.starts_with("dtmi:dtdl:limits:") {
                return refuse(place, format!("`{}` has to come first", short(word)));
            }
            if !is_any_identifier(word) || !word.contains(';') {
                return refuse(place, format!("`{}` is not an identifier with a version", short(word)));
            }
            let extension = stem.strip_prefix("dtmi:dtdl:extension:");
            if extension.is_some_and(|name| EXTENSIONS.contains(&name)) || stem == "dtmi:iotcentral:context" {
                scope.extended = true;
            } else if self.undefined == Undefined::Allowed {
                scope.foreign = true;
            } else {
                return refuse(place, format!("extension `{}` is not defined", short(word)));
            }
        }
        Ok(scope)
    }

    fn element(
        &mut self,
        object: &Map<String, Value>,
        classes: &'static [&'static str],
        outer: Scope,
        place: &str,
        needs_id: bool,
    ) -> Result<Element, Refused> {
        let mut scope = outer;
        // The outermost context has been read.
        if let Some(context) = object.get("@context").filter(|_| outer.interface > 0) {
            scope = self.context(context, Some(outer), &format!("{place}/@context"))?;
        }
        if let Some(key) = object
            .keys()
            .find(|key| key.starts_with('@') && !["@context", "@id", "@type"].contains(&key.as_str()))
        {
            return refuse(place, format!("keyword `{}` has no place in a model", short(key)));
        }
        let id = self.identifier(object, classes, place, needs_id)?;
        let (name_of_class, additional) = self.types(object.get("@type"), classes, scope, place)?;
        if name_of_class == "Interface" {
            self.interfaces += 1;
            scope.interface = self.interfaces;
        }
        if let Some(id) = &id
            && self.known.insert(id.clone(), (name_of_class, scope.interface)).is_some()
        {
            return refuse(place, format!("a second element `{}`", short(id)));
        }
        let Some(metaclass) = class(name_of_class) else { return refuse(place, "no class") };
        let mut element = Element {
            class: name_of_class,
            id,
            name: None,
            unit: object.get("unit").and_then(Value::as_str).map(str::to_owned),
            writable: false,
            place: if place.is_empty() { "/".to_owned() } else { place.to_owned() },
            children: Vec::new(),
            version: scope.version,
        };
        let mut seen = BTreeSet::new();
        for (key, value) in object.iter().filter(|(key, _)| !key.starts_with('@')) {
            let by_identifier = identified(key, "dtmi:dtdl:property:", scope.version);
            let known = metaclass.property(by_identifier.unwrap_or(key), scope.version);
            if let Some((name, holds)) = known {
                if !seen.insert(name) {
                    return refuse(place, format!("`{name}` stands twice"));
                }
                self.property(&mut element, name, holds, value, scope, &format!("{place}/{key}"))?;
                continue;
            }
            if !(is_any_identifier(key) || is_term(key)) {
                return refuse(place, format!("`{}` is neither a term nor an identifier", short(key)));
            }
            let brought = additional && (scope.foreign || ADDITIONAL_PROPERTIES.contains(&key.as_str()));
            if !brought {
                return refuse(place, format!("`{}` is not a property of {name_of_class}", short(key)));
            }
        }
        let is_empty =
            |name: &str| object.get(name).is_some_and(|value| value.as_array().is_some_and(Vec::is_empty));
        if let Some(missing) = metaclass.required.iter().find(|name| !seen.contains(*name) || is_empty(name))
        {
            return refuse(place, format!("`{missing}` is missing"));
        }
        if name_of_class == "Enum" {
            enumeration(object, scope.version, place)?;
        }
        Ok(element)
    }

    fn identifier(
        &self,
        object: &Map<String, Value>,
        classes: &[&str],
        place: &str,
        needed: bool,
    ) -> Result<Option<String>, Refused> {
        let Some(value) = object.get("@id") else {
            return if needed { refuse(place, "no @id") } else { Ok(None) };
        };
        let place = format!("{place}/@id");
        let Value::String(id) = value else { return refuse(&place, "not a text") };
        let most = if classes == ["Interface"] { 128 } else { 2_048 };
        if !is_identifier(id) || id.len() > most {
            return refuse(&place, format!("`{}` is not an identifier", short(id)));
        }
        if id.starts_with("dtmi:dtdl:") || id.starts_with("dtmi:standard:") {
            return refuse(&place, format!("`{}` is reserved", short(id)));
        }
        Ok(Some(id.clone()))
    }

    /// The class of an element, and whether it has additional types.
    fn types(
        &self,
        value: Option<&Value>,
        classes: &'static [&'static str],
        scope: Scope,
        place: &str,
    ) -> Result<(&'static str, bool), Refused> {
        let Some(value) = value else {
            return match classes {
                [only] if IMPLICIT.contains(only) => Ok((only, false)),
                _ => refuse(place, "no @type"),
            };
        };
        let place = format!("{place}/@type");
        let list = match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        let (mut found, mut additional) = (None, false);
        for value in list {
            let Value::String(word) = value else { return refuse(&place, "not a text or a list of texts") };
            let name = identified(word, "dtmi:dtdl:class:", scope.version).unwrap_or(word);
            if let Some(class) = class(name) {
                if found.is_some_and(|found| found != class.name) {
                    return refuse(&place, "two classes at once");
                }
                found = Some(class.name);
                continue;
            }
            if !(is_any_identifier(word) || is_term(word)) {
                return refuse(&place, format!("`{}` is neither a term nor an identifier", short(word)));
            }
            let known = (scope.extended || scope.version == 2) && ADDITIONAL.contains(&word.as_str());
            if !known && !scope.foreign {
                return refuse(&place, format!("type `{}` is not defined", short(word)));
            }
            additional = true;
        }
        match found {
            Some(found) if classes.contains(&found) => Ok((found, additional)),
            Some(found) => refuse(&place, format!("{found} cannot stand here, only {}", classes.join(", "))),
            None => refuse(&place, "no class of the language"),
        }
    }

    fn property(
        &mut self,
        element: &mut Element,
        name: &'static str,
        holds: Holds,
        value_of: &Value,
        scope: Scope,
        place: &str,
    ) -> Result<(), Refused> {
        let empty = value_of.as_array().is_some_and(Vec::is_empty);
        match holds {
            Holds::Languages(most) => return languages(value_of, most, place),
            Holds::Elements(classes, most) => {
                let list = match value_of {
                    Value::Array(list) => list.as_slice(),
                    one => std::slice::from_ref(one),
                };
                if list.len() > most {
                    return refuse(place, format!("more than {most} elements"));
                }
                let mut names = BTreeSet::new();
                for (at, value) in list.iter().enumerate() {
                    let place = if value_of.is_array() { format!("{place}/{at}") } else { place.to_owned() };
                    let needs_id = name == "schemas" || name == "extends";
                    let child = self.child(value, classes, scope, &place, needs_id)?;
                    if let Child::Inside(Element { name: Some(name), .. }) = &child
                        && !names.insert(name.clone())
                    {
                        return refuse(&place, format!("a second `{name}`"));
                    }
                    element.children.push((name, child));
                }
                return Ok(());
            }
            // Nothing is as good as absent.
            _ if empty => return Ok(()),
            _ => {}
        }
        let value = only(value_of, place)?;
        match holds {
            Holds::Text(most) => limited(text(value, place)?, most, place)?,
            Holds::Name(most) => {
                let text = text(value, place)?;
                limited(text, most, place)?;
                if !is_name(text) {
                    return refuse(place, format!("`{}` is not a name", short(text)));
                }
                element.name = Some(text.to_owned());
            }
            Holds::Truth => {
                let value = literal(value, "boolean", place)?;
                let Value::Bool(truth) = value else { return refuse(place, "not true or false") };
                if name == "writable" {
                    element.writable = *truth;
                }
            }
            Holds::Whole(least, most) => {
                let whole = literal(value, "integer", place)?.as_i64();
                let within = |whole: &i64| *whole >= least && most.is_none_or(|most| *whole <= most);
                if whole.filter(within).is_none() {
                    return refuse(place, "not a whole number in its range");
                }
            }
            Holds::Scalar => scalar(value, place).map(|_| ())?,
            Holds::Target => {
                let id = reference(value).filter(|id| is_identifier(id));
                if id.is_none() {
                    return refuse(place, "not an identifier");
                }
            }
            Holds::OneOf(words, kind) => {
                let word = reference(value).unwrap_or_default();
                let prefix = format!("dtmi:dtdl:instance:{kind}:");
                if !words.contains(&identified(word, &prefix, scope.version).unwrap_or(word)) {
                    return refuse(place, format!("not one of {}", words.join(", ")));
                }
            }
            Holds::Schema => {
                if let Value::String(word) = value {
                    let name = identified(word, "dtmi:dtdl:instance:Schema:", scope.version)
                        .or_else(|| identified(word, "dtmi:standard:schema:geospatial:", scope.version));
                    if is_primitive(name.unwrap_or(word), scope.version) {
                        return Ok(());
                    }
                }
                let child = self.child(value, SCHEMAS, scope, place, false)?;
                element.children.push((name, child));
            }
            Holds::Element(classes) => {
                let child = self.child(value, classes, scope, place, classes == ["Interface"])?;
                element.children.push((name, child));
            }
            Holds::Languages(_) | Holds::Elements(..) => {}
        }
        Ok(())
    }

    fn child(
        &mut self,
        value: &Value,
        classes: &'static [&'static str],
        scope: Scope,
        place: &str,
        needs_id: bool,
    ) -> Result<Child, Refused> {
        if let Some(id) = reference(value) {
            if !is_identifier(id) {
                return refuse(place, format!("`{}` is not an identifier", short(id)));
            }
            let place = place.to_owned();
            self.wanted.push(Wanted { id: id.to_owned(), classes, place, interface: scope.interface });
            return Ok(Child::Reference(id.to_owned()));
        }
        let Value::Object(object) = value else {
            return refuse(place, "neither an element nor an identifier");
        };
        Ok(Child::Inside(self.element(object, classes, scope, place, needs_id)?))
    }

    /// Whether all references lead to something of the right class; only interfaces are seen from outside of theirs.
    fn references(&self) -> Result<(), Refused> {
        for Wanted { id, classes, place, interface } in &self.wanted {
            match self.known.get(id) {
                None => return refuse(place, format!("nothing has the identifier `{}`", short(id))),
                Some((class, _)) if !classes.contains(class) => {
                    return refuse(place, format!("`{}` is a {class}, which cannot stand here", short(id)));
                }
                Some((class, inside)) if *class != "Interface" && inside != interface => {
                    return refuse(place, format!("`{}` belongs to another interface", short(id)));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// The term that an identifier of the language stands for.
fn identified<'a>(word: &'a str, prefix: &str, version: u32) -> Option<&'a str> {
    let (name, number) = word.strip_prefix(prefix)?.split_once(';')?;
    let number: u32 = number.parse().ok()?;
    (2..=version).contains(&number).then_some(name)
}

/// The value itself, or the only one of a list.
fn only<'a>(value: &'a Value, place: &str) -> Result<&'a Value, Refused> {
    match value {
        Value::Array(list) => match list.as_slice() {
            [only] => Ok(only),
            _ => refuse(place, "more than one value"),
        },
        one => Ok(one),
    }
}

/// A text, or an object that is nothing but an identifier.
fn reference(value: &Value) -> Option<&str> {
    match value {
        Value::String(id) => Some(id),
        Value::Object(object) if object.len() == 1 => object.get("@id")?.as_str(),
        _ => None,
    }
}

/// A literal, plain or as an object with its value and perhaps its type.
fn literal<'a>(value: &'a Value, kind: &str, place: &str) -> Result<&'a Value, Refused> {
    let Value::Object(object) = value else { return Ok(value) };
    if let Some(key) = object.keys().find(|key| *key != "@value" && *key != "@type") {
        return refuse(place, format!("`{}` has no place in a literal", short(key)));
    }
    if let Some(given) = object.get("@type") {
        let right = |word: &str| {
            word.strip_prefix("xsd:").or_else(|| word.strip_prefix("http://www.w3.org/2001/XMLSchema#"))
                == Some(kind)
        };
        if !only(given, place)?.as_str().is_some_and(right) {
            return refuse(place, format!("not a literal of type {kind}"));
        }
    }
    object.get("@value").map_or_else(|| refuse(place, "a literal without @value"), Ok)
}

fn text<'a>(value: &'a Value, place: &str) -> Result<&'a str, Refused> {
    literal(value, "string", place)?.as_str().map_or_else(|| refuse(place, "not a text"), Ok)
}

fn limited(text: &str, most: usize, place: &str) -> Result<(), Refused> {
    if text.chars().count() > most { refuse(place, format!("longer than {most} characters")) } else { Ok(()) }
}

/// A whole number or a text.
fn scalar<'a>(value: &'a Value, place: &str) -> Result<&'a Value, Refused> {
    let found = literal(value, "integer", place).or_else(|_| literal(value, "string", place))?;
    match found {
        Value::String(text) => limited(text, 512, place).map(|()| found),
        Value::Number(number) if number.is_i64() => Ok(found),
        _ => refuse(place, "neither a whole number nor a text"),
    }
}

/// Texts by language: one text, an object by language, or a list of texts and objects with their language.
fn languages(value: &Value, most: usize, place: &str) -> Result<(), Refused> {
    let code = |code: &str| {
        if is_language(code) { Ok(()) } else { refuse(place, format!("`{}` is not a language", short(code))) }
    };
    match value {
        Value::String(text) => limited(text, most, place),
        Value::Object(object) => {
            for (language, text) in object {
                code(language)?;
                let Value::String(text) = text else { return refuse(place, "not a text") };
                limited(text, most, place)?;
            }
            Ok(())
        }
        Value::Array(list) => {
            let mut seen = BTreeSet::new();
            for value in list {
                let (language, text) = match value {
                    Value::String(text) => ("en", text),
                    Value::Object(object) => {
                        if object.keys().any(|key| key != "@value" && key != "@language") {
                            return refuse(place, "more than @value and @language");
                        }
                        let language = match object.get("@language") {
                            None => "en",
                            Some(Value::String(language)) => language,
                            Some(_) => return refuse(place, "a language that is no text"),
                        };
                        code(language)?;
                        let Some(Value::String(text)) = object.get("@value") else {
                            return refuse(place, "no text as @value");
                        };
                        (language, text)
                    }
                    _ => return refuse(place, "neither a text nor an object"),
                };
                if !seen.insert(language) {
                    return refuse(place, format!("a second text in `{}`", short(language)));
                }
                limited(text, most, place)?;
            }
            Ok(())
        }
        _ => refuse(place, "neither a text nor texts by language"),
    }
}

/// Values of an enumeration are of its type and differ.
fn enumeration(object: &Map<String, Value>, version: u32, place: &str) -> Result<(), Refused> {
    let find = |object: &'_ Map<String, Value>, name: &str| {
        object
            .iter()
            .find(|(key, _)| *key == name || identified(key, "dtmi:dtdl:property:", version) == Some(name))
            .map(|(_, value)| value.clone())
    };
    let schema = find(object, "valueSchema");
    let whole = schema
        .as_ref()
        .and_then(|schema| only(schema, place).ok())
        .and_then(reference)
        .is_some_and(|word| word.contains("integer"));
    let values = find(object, "enumValues").unwrap_or_default();
    let list = match &values {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut seen = BTreeSet::new();
    for value in list.iter().filter_map(Value::as_object) {
        let Some(value) = find(value, "enumValue") else { continue };
        let value = scalar(only(&value, place)?, place)?;
        if value.is_number() != whole {
            return refuse(place, "a value of another type than the enumeration's");
        }
        if !seen.insert(value.to_string()) {
            return refuse(place, format!("a second value {}", short(&value.to_string())));
        }
    }
    Ok(())
}

/// Limits on how deep things lie, over references too.
struct Depths<'a> {
    by_id: BTreeMap<&'a str, &'a Element>,
    /// Steps left, so that no web of references takes long.
    budget: usize,
}

impl<'a> Depths<'a> {
    fn new(elements: &'a [Element]) -> Self {
        let mut by_id = BTreeMap::new();
        let mut waiting: Vec<&Element> = elements.iter().collect();
        while let Some(element) = waiting.pop() {
            if let Some(id) = &element.id {
                by_id.insert(id.as_str(), element);
            }
            for (_, child) in &element.children {
                if let Child::Inside(child) = child {
                    waiting.push(child);
                }
            }
        }
        Self { by_id, budget: 10_000_000 }
    }

    fn check(mut self, elements: &'a [Element]) -> Result<(), Refused> {
        let mut waiting: Vec<&Element> = elements.iter().collect();
        while let Some(element) = waiting.pop() {
            if element.class == "Interface" {
                self.inheritance(element, &mut Vec::new())?;
                for (property, child) in &element.children {
                    if let Some(child) = child.resolve(&self.by_id).filter(|_| *property != "extends") {
                        self.nesting(child, &mut Vec::new(), 0)?;
                    }
                }
            }
            if element.class == "Component" {
                self.plain(element)?;
            }
            for (_, child) in &element.children {
                if let Child::Inside(child) = child {
                    waiting.push(child);
                }
            }
        }
        Ok(())
    }

    fn spend(&mut self, element: &Element) -> Result<(), Refused> {
        self.budget = self.budget.saturating_sub(1);
        if self.budget == 0 { refuse(&element.place, "references lead on for too long") } else { Ok(()) }
    }

    /// No interface takes over from itself, nor over too many steps.
    fn inheritance(&mut self, element: &'a Element, path: &mut Vec<&'a str>) -> Result<(), Refused> {
        self.spend(element)?;
        let most = if element.version >= 4 { 12 } else { 10 };
        let id = element.id.as_deref().unwrap_or_default();
        if path.contains(&id) {
            return refuse(&element.place, format!("`{}` extends itself", short(id)));
        }
        if path.len() > most {
            return refuse(&element.place, format!("more than {most} interfaces above each other"));
        }
        path.push(id);
        for (_, child) in element.children.iter().filter(|(property, _)| *property == "extends") {
            if let Some(child) = child.resolve(&self.by_id) {
                self.inheritance(child, path)?;
            }
        }
        path.pop();
        Ok(())
    }

    /// No schema lies too deep in schemas, nor, before version 4, in itself.
    fn nesting(
        &mut self,
        element: &'a Element,
        path: &mut Vec<&'a str>,
        depth: usize,
    ) -> Result<(), Refused> {
        self.spend(element)?;
        if element.class == "Interface" {
            return Ok(());
        }
        if let Some(id) = &element.id {
            if path.contains(&id.as_str()) {
                let again = format!("`{}` holds itself", short(id));
                return if element.version >= 4 { Ok(()) } else { refuse(&element.place, again) };
            }
            path.push(id);
        }
        let most = if element.version >= 4 { 8 } else { 5 };
        let depth = depth + usize::from(SCHEMAS.contains(&element.class));
        if depth > most {
            return refuse(&element.place, format!("more than {most} schemas in each other"));
        }
        for (_, child) in &element.children {
            if let Some(child) = child.resolve(&self.by_id) {
                self.nesting(child, path, depth)?;
            }
        }
        if element.id.is_some() {
            path.pop();
        }
        Ok(())
    }

    /// A component's interface has no components.
    fn plain(&mut self, component: &'a Element) -> Result<(), Refused> {
        let mut waiting: Vec<&Element> = component
            .children
            .iter()
            .filter(|(property, _)| *property == "schema")
            .filter_map(|(_, child)| child.resolve(&self.by_id))
            .collect();
        let mut seen = BTreeSet::new();
        while let Some(interface) = waiting.pop() {
            self.spend(interface)?;
            if !seen.insert(interface.id.as_deref().unwrap_or_default()) {
                continue;
            }
            for (property, child) in &interface.children {
                let Some(child) = child.resolve(&self.by_id) else { continue };
                if *property == "contents" && child.class == "Component" {
                    return refuse(&component.place, "a component whose interface has components itself");
                }
                if *property == "extends" {
                    waiting.push(child);
                }
            }
        }
        Ok(())
    }
}
