//! The classes of the Digital Twins Definition Language: which properties each has, and what they hold.
//!
//! Sources: Azure/opendigitaltwins-dtdl, `DTDL.v2.md`, `DTDL.v3.md`, `DTDL.v4.md` (metamodel classes, primitive and geospatial schemas,
//! limits) and `DTDL.quantitativeTypes.v1.md`.

/// What a property holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Holds {
    /// Text of at most so many characters.
    Text(usize),
    /// A name of at most so many characters.
    Name(usize),
    /// Text by language, of at most so many characters each.
    Languages(usize),
    /// True or false.
    Truth,
    /// A whole number from here to there.
    Whole(i64, Option<i64>),
    /// The identifier of anything.
    Target,
    /// A whole number or a text.
    Scalar,
    /// One of these values, as a term or under this kind of identifier.
    OneOf(&'static [&'static str], &'static str),
    /// A primitive or geospatial schema, or an element of a schema class.
    Schema,
    /// One element of these classes.
    Element(&'static [&'static str]),
    /// Any number of elements of these classes, up to a limit.
    Elements(&'static [&'static str], usize),
}

/// Complex schema classes.
pub(super) const SCHEMAS: &[&str] = &["Array", "Enum", "Map", "Object"];

/// Classes that an element need not name where no other can stand.
pub(super) const IMPLICIT: &[&str] =
    &["CommandRequest", "CommandResponse", "EnumValue", "MapKey", "MapValue", "Field"];

/// A class: its name, its own properties, and which of them must be there.
pub(super) struct Class {
    pub(super) name: &'static str,
    properties: &'static [(&'static str, Holds)],
    pub(super) required: &'static [&'static str],
}

const NAME: (&str, Holds) = ("name", Holds::Name(512));
const SCHEMA: (&str, Holds) = ("schema", Holds::Schema);
const WRITABLE: (&str, Holds) = ("writable", Holds::Truth);
const NULLABLE: (&str, Holds) = ("nullable", Holds::Truth);
/// What every class has.
const COMMON: [(&str, Holds); 3] = [
    ("comment", Holds::Text(512)),
    ("description", Holds::Languages(512)),
    ("displayName", Holds::Languages(512)),
];
/// Most elements where no smaller limit is set: what a reader should take.
const MANY: usize = 100_000;

static CLASSES: [Class; 16] = [
    Class { name: "Array", properties: &[("elementSchema", Holds::Schema)], required: &["elementSchema"] },
    Class {
        name: "Command",
        properties: &[
            NAME,
            ("request", Holds::Element(&["CommandRequest"])),
            ("response", Holds::Element(&["CommandResponse"])),
            ("commandType", Holds::OneOf(&["asynchronous", "synchronous"], "CommandType")),
        ],
        required: &["name"],
    },
    Class { name: "CommandRequest", properties: &[NAME, SCHEMA, NULLABLE], required: &["name", "schema"] },
    Class { name: "CommandResponse", properties: &[NAME, SCHEMA, NULLABLE], required: &["name", "schema"] },
    Class {
        name: "Component",
        properties: &[NAME, ("schema", Holds::Element(&["Interface"]))],
        required: &["name", "schema"],
    },
    Class {
        name: "Enum",
        properties: &[
            ("enumValues", Holds::Elements(&["EnumValue"], 100)),
            ("valueSchema", Holds::OneOf(&["integer", "string"], "Schema")),
        ],
        required: &["valueSchema"],
    },
    Class {
        name: "EnumValue",
        properties: &[NAME, ("enumValue", Holds::Scalar)],
        required: &["name", "enumValue"],
    },
    Class { name: "Field", properties: &[NAME, SCHEMA], required: &["name", "schema"] },
    Class {
        name: "Interface",
        properties: &[
            (
                "contents",
                Holds::Elements(&["Command", "Component", "Property", "Relationship", "Telemetry"], MANY),
            ),
            ("extends", Holds::Elements(&["Interface"], 1_024)),
            ("schemas", Holds::Elements(SCHEMAS, MANY)),
        ],
        required: &[],
    },
    Class {
        name: "Map",
        properties: &[("mapKey", Holds::Element(&["MapKey"])), ("mapValue", Holds::Element(&["MapValue"]))],
        required: &["mapKey", "mapValue"],
    },
    Class {
        name: "MapKey",
        properties: &[NAME, ("schema", Holds::OneOf(&["string"], "Schema"))],
        required: &["name", "schema"],
    },
    Class { name: "MapValue", properties: &[NAME, SCHEMA], required: &["name", "schema"] },
    Class { name: "Object", properties: &[("fields", Holds::Elements(&["Field"], MANY))], required: &[] },
    Class { name: "Property", properties: &[NAME, SCHEMA, WRITABLE], required: &["name", "schema"] },
    Class {
        name: "Relationship",
        properties: &[
            NAME,
            ("maxMultiplicity", Holds::Whole(1, None)),
            ("minMultiplicity", Holds::Whole(0, Some(0))),
            ("properties", Holds::Elements(&["Property"], MANY)),
            ("target", Holds::Target),
            WRITABLE,
        ],
        required: &["name"],
    },
    Class { name: "Telemetry", properties: &[NAME, SCHEMA], required: &["name", "schema"] },
];

/// The class of this name.
pub(super) fn class(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.name == name)
}

impl Class {
    /// What a property of this class holds; names of version 2 are shorter, `nullable` came with version 4.
    pub(super) fn property(&self, name: &str, version: u32) -> Option<(&'static str, Holds)> {
        let own = self.properties.iter().chain(&COMMON).find(|(property, _)| *property == name)?;
        match own {
            ("nullable", _) if version < 4 => None,
            (name, Holds::Name(_)) if version == 2 => Some((name, Holds::Name(64))),
            own => Some(*own),
        }
    }
}

const PRIMITIVES: &[&str] =
    &["boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string", "time"];
const PRIMITIVES_4: &[&str] = &[
    "byte",
    "bytes",
    "decimal",
    "scaledDecimal",
    "short",
    "unsignedByte",
    "unsignedInteger",
    "unsignedLong",
    "unsignedShort",
    "uuid",
];
const GEOSPATIAL: &[&str] =
    &["lineString", "multiLineString", "multiPoint", "multiPolygon", "point", "polygon"];

/// Whether a word names a schema that needs no element.
pub(super) fn is_primitive(word: &str, version: u32) -> bool {
    PRIMITIVES.contains(&word) || GEOSPATIAL.contains(&word) || (version >= 4 && PRIMITIVES_4.contains(&word))
}

/// Extensions that come with the language.
pub(super) const EXTENSIONS: &[&str] =
    &["annotation", "historization", "mqtt", "overriding", "quantitativeTypes", "requirement", "streaming"];

/// Additional types of those extensions (semantic types are part of version 2 itself).
pub(super) const ADDITIONAL: &[&str] = &[
    "Acceleration",
    "Angle",
    "AngularAcceleration",
    "AngularVelocity",
    "ApparentEnergy",
    "ApparentPower",
    "Area",
    "Capacitance",
    "Concentration",
    "Current",
    "DataRate",
    "DataSize",
    "Density",
    "Distance",
    "ElectricCharge",
    "Energy",
    "EnergyRate",
    "Force",
    "Frequency",
    "Historized",
    "Humidity",
    "Illuminance",
    "Inductance",
    "Irradiance",
    "Latitude",
    "Length",
    "Longitude",
    "Luminance",
    "Luminosity",
    "LuminousFlux",
    "LuminousIntensity",
    "MagneticFlux",
    "MagneticInduction",
    "Mass",
    "MassFlowRate",
    "Override",
    "Power",
    "Pressure",
    "ReactiveEnergy",
    "ReactivePower",
    "RelativeDensity",
    "RelativeHumidity",
    "Resistance",
    "SoundPressure",
    "Temperature",
    "Thrust",
    "TimeSpan",
    "Torque",
    "ValueAnnotation",
    "Velocity",
    "Voltage",
    "Volume",
    "VolumeFlowRate",
];

/// Properties that those types bring.
pub(super) const ADDITIONAL_PROPERTIES: &[&str] = &["annotates", "overrides", "unit"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_properties_exist_and_classes_are_known() {
        for class in &CLASSES {
            for required in class.required {
                assert!(class.property(required, 3).is_some(), "{} {required}", class.name);
            }
            for (_, holds) in class.properties {
                let (Holds::Element(of) | Holds::Elements(of, _)) = holds else { continue };
                assert!(of.iter().all(|name| super::class(name).is_some()));
            }
        }
        assert_eq!(class("Field").unwrap().property("name", 2), Some(("name", Holds::Name(64))));
        assert_eq!(class("CommandRequest").unwrap().property("nullable", 3), None);
        assert!(is_primitive("uuid", 4) && !is_primitive("uuid", 3));
    }
}
