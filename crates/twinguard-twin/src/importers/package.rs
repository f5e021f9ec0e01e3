//! Packages: Asset Administration Shells in AASX, and functional mock-up units, whose parts somebody has unpacked already.
//!
//! Sources: IDTA-01005-3-0 (AASX: the relations `aasx-origin`, `aas-spec` and `aas-spec-split`); ISO/IEC 29500-2 (Open Packaging
//! Conventions: clause 8.2.3 on comparing part names, 8.3 on relations; RFC 3986 §5.2 on their targets); FMI 2.0.4 and 3.0.1, chapter 2.5
//! (`modelDescription.xml` at the root). Archives are inflated elsewhere, under a budget: this module sees a [`Bundle`] of parts.
//! Supplementary files (pictures, documents) are passed over, and the code of a unit is never loaded.

use twinguard_types::Bundle;

use super::{Imported, Refused, aas, fmi, place, tree, xml};

/// Most parts that an origin may name as environments.
const SPEC_LIMIT: usize = 1_000;
/// The ends of the relations' types; what comes before changed between editions (`http://www.admin-shell.io`, `http://admin-shell.io`).
const ORIGIN: &str = "admin-shell.io/aasx/relationships/aasx-origin";
const SPECS: [&str; 2] = [
    "admin-shell.io/aasx/relationships/aas-spec",
    // A part of an environment: all parts of a package are brought together anyway.
    "admin-shell.io/aasx/relationships/aas-spec-split",
];

/// Reads the environments of an AASX package, or the model description of a functional mock-up unit.
///
/// What several environments of one package say is brought together; a signal that two of them describe differently is refused.
///
/// ```
/// use twinguard_types::{Bundle, Digest};
/// use twinguard_twin::importers::package;
///
/// let mut parts = Bundle::new(Digest::default());
/// let relation = |kind: &str, target: &str| {
///     format!("<Relationships><Relationship Id='a' Type='http://admin-shell.io/aasx/relationships/{kind}' Target='{target}'/></Relationships>")
/// };
/// parts.insert("_rels/.rels", relation("aasx-origin", "/aasx/aasx-origin").into());
/// parts.insert("aasx/_rels/aasx-origin.rels", relation("aas-spec", "pump/pump.aas.json").into());
/// parts.insert("aasx/aasx-origin", vec![]);
/// parts.insert(
///     "aasx/pump/pump.aas.json",
///     br#"{"submodels":[{"modelType":"Submodel","id":"urn:data","idShort":"Data","submodelElements":[
///         {"modelType":"Property","idShort":"Speed","valueType":"xs:double","value":"1480.5"}]}]}"#.to_vec(),
/// );
/// assert!(package(&parts)?.catalogue.id("Data.Speed").is_some());
/// # Ok::<(), twinguard_twin::importers::Refused>(())
/// ```
///
/// # Errors
/// [`Refused`] with the part's name before the place within it: a package without an origin or without an environment, a relation
/// to a part that is not there or outside of the package, and whatever the part's own importer refuses.
pub fn package(parts: &Bundle) -> Result<Imported, Refused> {
    if let Some(description) = parts.get("modelDescription.xml") {
        return (fmi::FMI.import)(description).map_err(|refused| within("modelDescription.xml", refused));
    }
    let origin = related(parts, "", &[ORIGIN])?;
    let [origin] = origin.as_slice() else {
        return refuse("_rels/.rels", format!("{} origins of shells, one is needed", origin.len()));
    };
    let specs = related(parts, origin, &SPECS)?;
    let list = relations_of(origin);
    if specs.is_empty() {
        return refuse(&list, "no environment of shells");
    }
    if specs.len() > SPEC_LIMIT {
        return refuse(&list, format!("{} environments, at most {SPEC_LIMIT} are read", specs.len()));
    }
    let mut imported = Imported::new("aasx");
    for spec in &specs {
        // `related` gives names of parts that are there.
        let bytes = parts.get(spec).unwrap_or_default();
        aas::add_environment(&mut imported, bytes).map_err(|refused| within(spec, refused))?;
    }
    Ok(imported)
}

fn refuse<T>(place: &str, reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { place: place.to_owned(), reason: reason.into() })
}

fn within(part: &str, refused: Refused) -> Refused {
    Refused { place: format!("{part}: {}", refused.place), reason: refused.reason }
}

/// Where the relations of a part stand (ISO/IEC 29500-2, clause 8.3.4).
fn relations_of(part: &str) -> String {
    match part.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/_rels/{name}.rels"),
        None => format!("_rels/{part}.rels"),
    }
}

/// The parts that a part relates to in one of these ways, in order, each once; names as the package spells them.
fn related(parts: &Bundle, part: &str, kinds: &[&str]) -> Result<Vec<String>, Refused> {
    let list = relations_of(part);
    let Some((list, bytes)) = find(parts, &list) else { return refuse(&list, "this part is not there") };
    let text = xml(bytes).map_err(|refused| within(list, refused))?;
    let tree = tree(&text).map_err(|refused| within(list, refused))?;
    let mut found: Vec<String> = Vec::new();
    for node in tree.root_element().children().filter(|node| node.tag_name().name() == "Relationship") {
        let kind = node.attribute("Type").unwrap_or_default();
        let kind = ["http://www.", "http://", "https://"].iter().find_map(|scheme| kind.strip_prefix(scheme));
        if !kind.is_some_and(|kind| kinds.contains(&kind)) {
            continue;
        }
        let refused = |reason: String| within(list, Refused { place: place(&node), reason });
        let target = node.attribute("Target").unwrap_or_default();
        let shown: String = target.chars().take(200).collect();
        if node.attribute("TargetMode") == Some("External") {
            return Err(refused(format!("`{shown}` is not in the package")));
        }
        let name =
            resolve(part, target).ok_or_else(|| refused(format!("`{shown}` leads out of the package")))?;
        let (name, _) = find(parts, &name).ok_or_else(|| refused(format!("part `{shown}` is not there")))?;
        if !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

/// A part by its name; names that differ in the case of ASCII letters only are one name. Every part is looked at where the spelling
/// differs, so that a package costs no more than relations times parts, of which the archive's budget limits both.
fn find<'a>(parts: &'a Bundle, name: &str) -> Option<(&'a str, &'a [u8])> {
    let mut all = parts.iter();
    match parts.get(name) {
        Some(_) => all.find(|(part, _)| *part == name),
        None => all.find(|(part, _)| part.eq_ignore_ascii_case(name)),
    }
}

/// A target against the part that names it, without a leading slash; `None` where it leads out or is no plain path.
fn resolve(part: &str, target: &str) -> Option<String> {
    let folder = part.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (mut path, rest): (Vec<&str>, &str) = match target.strip_prefix('/') {
        Some(rest) => (Vec::new(), rest),
        None => (folder.split('/').filter(|segment| !segment.is_empty()).collect(), target),
    };
    if rest.is_empty() || rest.contains([':', '?', '#', '\\']) {
        return None;
    }
    for segment in rest.split('/') {
        match segment {
            "." => {}
            ".." => {
                path.pop()?;
            }
            "" => return None,
            segment => path.push(segment),
        }
    }
    Some(path.join("/"))
}

#[cfg(test)]
mod tests {
    use twinguard_types::Digest;

    use super::*;

    const SPEED: &str = r#"{"submodels":[{"modelType":"Submodel","id":"urn:data","idShort":"Data","submodelElements":[
        {"modelType":"Property","idShort":"Speed","valueType":"xs:double","value":"1480.5"}]}]}"#;
    const LEVEL: &str = r#"<environment xmlns="https://admin-shell.io/aas/3/0"><submodels><submodel><idShort>Tank</idShort><id>urn:tank</id>
        <submodelElements><property><idShort>Level</idShort><valueType>xs:double</valueType></property></submodelElements></submodel></submodels></environment>"#;

    fn relation(kind: &str, target: &str) -> String {
        format!("<Relationship Id=\"a\" Type=\"{kind}\" Target=\"{target}\"/>")
    }

    /// A package whose origin has these relations, with two environments in it.
    fn parts(relations: &str) -> Bundle {
        let mut parts = Bundle::new(Digest::default());
        let wrap = |list: &str| {
            format!(
                "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{list}</Relationships>"
            )
        };
        let origin =
            relation("http://www.admin-shell.io/aasx/relationships/aasx-origin", "/aasx/aasx-origin");
        parts.insert("_rels/.rels", wrap(&origin).into());
        parts.insert("aasx/aasx-origin", Vec::new());
        parts.insert("aasx/_rels/aasx-origin.rels", wrap(relations).into());
        parts.insert("aasx/speed.aas.json", SPEED.into());
        parts.insert("aasx/tank/Level.aas.xml", LEVEL.into());
        parts
    }

    /// The signals that are read, or why there are none.
    fn check(relations: &str, expected: &str) {
        let found = match package(&parts(relations)) {
            Ok(imported) => {
                imported.catalogue.iter().map(|(_, signal)| &*signal.path).collect::<Vec<_>>().join(" ")
            }
            Err(refused) => refused.to_string(),
        };
        assert_eq!(found, expected);
    }

    const SPEC: &str = "http://admin-shell.io/aasx/relationships/aas-spec";

    #[test]
    fn environments_are_found_by_their_relations_and_brought_together() {
        check(&relation(SPEC, "speed.aas.json"), "Data.Speed");
        let both = relation(SPEC, "/aasx/speed.aas.json")
            + &relation(&format!("{SPEC}-split"), "./tank/../tank/level.aas.xml");
        check(&both, "Data.Speed Tank.Level");
        check(&(relation(SPEC, "speed.aas.json") + &relation(SPEC, "/aasx/SPEED.aas.json")), "Data.Speed");
    }

    #[test]
    fn what_does_not_lead_to_a_part_is_refused_with_its_place() {
        let list = "aasx/_rels/aasx-origin.rels";
        check("", &format!("{list}: no environment of shells"));
        check(&relation("http://example.org/other", "x"), &format!("{list}: no environment of shells"));
        let at = format!("{list}: line 1, column 85");
        check(&relation(SPEC, "/aasx/gone.xml"), &format!("{at}: part `/aasx/gone.xml` is not there"));
        check(&relation(SPEC, "../../x.xml"), &format!("{at}: `../../x.xml` leads out of the package"));
        check(
            &relation(SPEC, "file:///etc/passwd"),
            &format!("{at}: `file:///etc/passwd` leads out of the package"),
        );
        let external = relation(SPEC, "speed.aas.json").replace("/>", " TargetMode=\"External\"/>");
        check(&external, &format!("{at}: `speed.aas.json` is not in the package"));
        let refused = package(&Bundle::new(Digest::default())).unwrap_err();
        assert_eq!(refused.to_string(), "_rels/.rels: this part is not there");
    }

    #[test]
    fn refusals_within_a_part_name_the_part() {
        let mut package_of = parts(&relation(SPEC, "speed.aas.json"));
        package_of.insert("aasx/speed.aas.json", SPEED.replace("1480.5", "fast").into());
        let refused = package(&package_of).unwrap_err();
        assert_eq!(refused.place, "aasx/speed.aas.json: /submodels/0/submodelElements/0/value");
        // Two environments that say different things of one signal.
        let mut package_of =
            parts(&(relation(SPEC, "speed.aas.json") + &relation(SPEC, "tank/level.aas.xml")));
        let other = LEVEL
            .replace("<idShort>Tank", "<idShort>Data")
            .replace("<idShort>Level", "<category>CONSTANT</category><idShort>Speed");
        package_of.insert("aasx/tank/Level.aas.xml", other.into());
        let refused = package(&package_of).unwrap_err();
        assert!(refused.place.starts_with("aasx/tank/Level.aas.xml: /submodels/0"), "{refused}");
    }

    #[test]
    fn a_unit_is_read_by_its_description() {
        let mut unit = Bundle::new(Digest::default());
        unit.insert("modelDescription.xml", b"<fmiModelDescription fmiVersion='1.0'/>".to_vec());
        assert_eq!(
            package(&unit).unwrap_err().to_string(),
            "modelDescription.xml: line 1, column 1: version `1.0` is not read here"
        );
    }
}
