//! The classes of the Asset Administration Shell: which properties each has, of which type, and which must be there.
//!
//! Source: IDTA-01001-3-0, *Specification of the Asset Administration Shell, Part 1: Metamodel*, clause 5, and IDTA-01003-a-3-0, *Part 3a: Data
//! Specification – IEC 61360*, clause 3; the table has one class a line in the order of the standard.

use std::{collections::BTreeMap, sync::LazyLock};

/// `Name + property:type property!:type …`: `+` when objects name their class, `!` when the property has to be there,
/// `[type]` for lists; `@Mixin` brings the properties of an abstract class.
const TABLE: &str = "
@Extensible extensions:[Extension]
@Semantics semanticId:Reference supplementalSemanticIds:[Reference]
@DataSpec embeddedDataSpecifications:[EmbeddedDataSpecification]
@Referable @Extensible category:name idShort:idshort displayName:[LangStringNameType] description:[LangStringTextType]
@Identifiable @Referable administration:AdministrativeInformation id!:identifier
@Element @Referable @Semantics qualifiers:[Qualifier] @DataSpec
Environment - assetAdministrationShells:[AssetAdministrationShell] submodels:[Submodel] conceptDescriptions:[ConceptDescription]
Extension - @Semantics name!:name valueType:xsd value:text refersTo:[Reference]
AdministrativeInformation - @DataSpec version:version revision:version creator:Reference templateId:identifier
Qualifier - @Semantics kind:QualifierKind type!:name valueType!:xsd value:text valueId:Reference
AssetAdministrationShell + @Identifiable @DataSpec derivedFrom:Reference assetInformation!:AssetInformation submodels:[Reference]
AssetInformation - assetKind!:AssetKind globalAssetId:identifier specificAssetIds:[SpecificAssetId] assetType:identifier defaultThumbnail:Resource
Resource - path!:identifier contentType:mime
SpecificAssetId - @Semantics name!:label value!:identifier externalSubjectId:Reference
Submodel + @Identifiable kind:ModellingKind @Semantics qualifiers:[Qualifier] @DataSpec submodelElements:[SubmodelElement]
RelationshipElement + @Element first!:Reference second!:Reference
AnnotatedRelationshipElement + @Element first!:Reference second!:Reference annotations:[DataElement]
SubmodelElementList + @Element orderRelevant:bool semanticIdListElement:Reference typeValueListElement!:AasSubmodelElements valueTypeListElement:xsd value:[SubmodelElement]
SubmodelElementCollection + @Element value:[SubmodelElement]
Property + @Element valueType!:xsd value:text valueId:Reference
MultiLanguageProperty + @Element value:[LangStringTextType] valueId:Reference
Range + @Element valueType!:xsd min:text max:text
ReferenceElement + @Element value:Reference
Blob + @Element value:base64 contentType!:mime
File + @Element value:identifier contentType!:mime
Entity + @Element statements:[SubmodelElement] entityType!:EntityType globalAssetId:identifier specificAssetIds:[SpecificAssetId]
EventPayload - source!:Reference sourceSemanticId:Reference observableReference!:Reference observableSemanticId:Reference topic:topic subjectId:Reference timeStamp!:utc payload:base64
BasicEventElement + @Element observed!:Reference direction!:Direction state!:StateOfEvent messageTopic:topic messageBroker:Reference lastUpdate:utc minInterval:duration maxInterval:duration
Operation + @Element inputVariables:[OperationVariable] outputVariables:[OperationVariable] inoutputVariables:[OperationVariable]
OperationVariable - value!:SubmodelElement
Capability + @Element
ConceptDescription + @Identifiable @DataSpec isCaseOf:[Reference]
Reference - type!:ReferenceTypes referredSemanticId:Reference keys!:[Key]
Key - type!:KeyTypes value!:identifier
LangStringNameType - language!:language text!:name
LangStringTextType - language!:language text!:longtext
LangStringPreferredNameTypeIec61360 - language!:language text!:middletext
LangStringShortNameTypeIec61360 - language!:language text!:shorttext
LangStringDefinitionTypeIec61360 - language!:language text!:longtext
EmbeddedDataSpecification - dataSpecification!:Reference dataSpecificationContent!:DataSpecificationIec61360
DataSpecificationIec61360 + preferredName!:[LangStringPreferredNameTypeIec61360] shortName:[LangStringShortNameTypeIec61360] unit:nonempty unitId:Reference sourceOfDefinition:nonempty symbol:nonempty dataType:DataTypeIec61360 definition:[LangStringDefinitionTypeIec61360] valueFormat:nonempty valueList:ValueList value:identifier levelType:LevelType
LevelType - min!:bool nom!:bool typ!:bool max!:bool
ValueList - valueReferencePairs!:[ValueReferencePair]
ValueReferencePair - value!:identifier valueId!:Reference
";

const ENUMERATIONS: &str = "
QualifierKind ConceptQualifier TemplateQualifier ValueQualifier
AssetKind Type Instance NotApplicable
ModellingKind Template Instance
EntityType CoManagedEntity SelfManagedEntity
Direction input output
StateOfEvent on off
ReferenceTypes ExternalReference ModelReference
DataTypeIec61360 DATE STRING STRING_TRANSLATABLE INTEGER_MEASURE INTEGER_COUNT INTEGER_CURRENCY REAL_MEASURE REAL_COUNT REAL_CURRENCY BOOLEAN IRI IRDI RATIONAL RATIONAL_MEASURE TIME TIMESTAMP FILE HTML BLOB
AasSubmodelElements DataElement EventElement SubmodelElement AnnotatedRelationshipElement BasicEventElement Blob Capability Entity File MultiLanguageProperty Operation Property Range ReferenceElement RelationshipElement SubmodelElementCollection SubmodelElementList
KeyTypes DataElement EventElement SubmodelElement AnnotatedRelationshipElement BasicEventElement Blob Capability Entity File MultiLanguageProperty Operation Property Range ReferenceElement RelationshipElement SubmodelElementCollection SubmodelElementList AssetAdministrationShell ConceptDescription FragmentReference GlobalReference Identifiable Referable Submodel
";

/// Elements that carry data.
pub(super) const DATA_ELEMENTS: [&str; 6] =
    ["Blob", "File", "MultiLanguageProperty", "Property", "Range", "ReferenceElement"];

/// Elements of a submodel that are no data elements.
const OTHER_ELEMENTS: [&str; 8] = [
    "AnnotatedRelationshipElement",
    "BasicEventElement",
    "Capability",
    "Entity",
    "Operation",
    "RelationshipElement",
    "SubmodelElementCollection",
    "SubmodelElementList",
];

/// Whether a class is a submodel element.
pub(super) fn is_submodel_element(class: &str) -> bool {
    DATA_ELEMENTS.contains(&class) || OTHER_ELEMENTS.contains(&class)
}

/// Type of a property.
#[derive(Clone, Copy, Debug)]
pub(super) struct Property {
    pub(super) kind: &'static str,
    pub(super) list: bool,
    pub(super) required: bool,
}

/// A class.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// Whether its objects name it as `modelType`.
    pub(super) named: bool,
    pub(super) properties: BTreeMap<&'static str, Property>,
}

static CLASSES: LazyLock<BTreeMap<&'static str, Class>> = LazyLock::new(|| {
    let mut mixins: BTreeMap<&str, Vec<(&str, Property)>> = BTreeMap::new();
    let mut classes = BTreeMap::new();
    for line in TABLE.lines() {
        let mut words = line.split(' ');
        let Some(name) = words.next().filter(|name| !name.is_empty()) else { continue };
        let is_mixin = name.starts_with('@');
        let named = !is_mixin && words.next() == Some("+");
        let mut properties = Vec::new();
        for word in words {
            if let Some((name, kind)) = word.split_once(':') {
                let element = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']'));
                let property = Property {
                    kind: element.unwrap_or(kind),
                    list: element.is_some(),
                    required: name.ends_with('!'),
                };
                properties.push((name.trim_end_matches('!'), property));
            } else {
                properties.extend(mixins.get(word).into_iter().flatten().copied());
            }
        }
        if is_mixin {
            mixins.insert(name, properties);
        } else {
            classes.insert(name, Class { named, properties: properties.into_iter().collect() });
        }
    }
    classes
});

static VALUES: LazyLock<BTreeMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let lines = ENUMERATIONS.lines().map(|line| line.split(' '));
    lines
        .filter_map(|mut words| Some((words.next().filter(|name| !name.is_empty())?, words.collect())))
        .collect()
});

/// The class of this name.
pub(super) fn class(name: &str) -> Option<&'static Class> {
    CLASSES.get(name)
}

/// The values of the enumeration of this name.
pub(super) fn enumeration(name: &str) -> Option<&'static [&'static str]> {
    VALUES.get(name).map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        const SCALARS: [&str; 19] = [
            "base64",
            "bool",
            "duration",
            "identifier",
            "idshort",
            "label",
            "language",
            "longtext",
            "middletext",
            "mime",
            "name",
            "nonempty",
            "shorttext",
            "text",
            "topic",
            "utc",
            "version",
            "xsd",
            "SubmodelElement",
        ];
        for (name, class) in CLASSES.iter() {
            for (property, Property { kind, .. }) in &class.properties {
                let known = SCALARS.contains(kind)
                    || *kind == "DataElement"
                    || super::class(kind).is_some()
                    || enumeration(kind).is_some();
                assert!(known, "{name}.{property} is a {kind}");
            }
        }
        assert_eq!(CLASSES.len(), 38);
        assert!(
            class("Property").unwrap().named && class("Property").unwrap().properties["valueType"].required
        );
        assert!(class("Submodel").unwrap().properties.contains_key("idShort"), "from a mixin of a mixin");
        assert!(is_submodel_element("Range") && !is_submodel_element("Submodel"));
    }
}
