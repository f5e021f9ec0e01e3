//! Names of object types, properties and services (clause 21).

/// Object types, by number (21, `BACnetObjectType`).
const OBJECTS: [&str; 60] = [
    "analogInput",
    "analogOutput",
    "analogValue",
    "binaryInput",
    "binaryOutput",
    "binaryValue",
    "calendar",
    "command",
    "device",
    "eventEnrollment",
    "file",
    "group",
    "loop",
    "multiStateInput",
    "multiStateOutput",
    "notificationClass",
    "program",
    "schedule",
    "averaging",
    "multiStateValue",
    "trendLog",
    "lifeSafetyPoint",
    "lifeSafetyZone",
    "accumulator",
    "pulseConverter",
    "eventLog",
    "globalGroup",
    "trendLogMultiple",
    "loadControl",
    "structuredView",
    "accessDoor",
    "timer",
    "accessCredential",
    "accessPoint",
    "accessRights",
    "accessUser",
    "accessZone",
    "credentialDataInput",
    "networkSecurity",
    "bitstringValue",
    "characterstringValue",
    "datepatternValue",
    "dateValue",
    "datetimepatternValue",
    "datetimeValue",
    "integerValue",
    "largeAnalogValue",
    "octetstringValue",
    "positiveIntegerValue",
    "timepatternValue",
    "timeValue",
    "notificationForwarder",
    "alertEnrollment",
    "channel",
    "lightingOutput",
    "binaryLightingOutput",
    "networkPort",
    "elevatorGroup",
    "escalator",
    "lift",
];

/// Properties in common use (21, `BACnetPropertyIdentifier`); the others go by their numbers.
const PROPERTIES: [(u32, &str); 45] = [
    (12, "applicationSoftwareVersion"),
    (22, "covIncrement"),
    (25, "deadband"),
    (28, "description"),
    (31, "deviceType"),
    (36, "eventState"),
    (44, "firmwareRevision"),
    (45, "highLimit"),
    (46, "inactiveText"),
    (56, "localDate"),
    (57, "localTime"),
    (58, "location"),
    (59, "lowLimit"),
    (62, "maxApduLengthAccepted"),
    (65, "maxPresValue"),
    (69, "minPresValue"),
    (70, "modelName"),
    (74, "numberOfStates"),
    (75, "objectIdentifier"),
    (76, "objectList"),
    (77, "objectName"),
    (79, "objectType"),
    (81, "outOfService"),
    (84, "polarity"),
    (85, "presentValue"),
    (87, "priorityArray"),
    (93, "proportionalConstant"),
    (96, "protocolObjectTypesSupported"),
    (97, "protocolServicesSupported"),
    (98, "protocolVersion"),
    (103, "reliability"),
    (104, "relinquishDefault"),
    (106, "resolution"),
    (107, "segmentationSupported"),
    (108, "setpoint"),
    (110, "stateText"),
    (111, "statusFlags"),
    (112, "systemStatus"),
    (117, "units"),
    (119, "utcOffset"),
    (120, "vendorIdentifier"),
    (121, "vendorName"),
    (131, "logBuffer"),
    (139, "protocolRevision"),
    (371, "propertyList"),
];

/// Confirmed services, by number (21, `BACnetConfirmedServiceChoice`).
const CONFIRMED: [&str; 32] = [
    "acknowledge alarm",
    "confirmed cov notification",
    "confirmed event notification",
    "get alarm summary",
    "get enrollment summary",
    "subscribe cov",
    "atomic read file",
    "atomic write file",
    "add list element",
    "remove list element",
    "create object",
    "delete object",
    "read property",
    "read property conditional",
    "read property multiple",
    "write property",
    "write property multiple",
    "device communication control",
    "confirmed private transfer",
    "confirmed text message",
    "reinitialize device",
    "vt open",
    "vt close",
    "vt data",
    "authenticate",
    "request key",
    "read range",
    "life safety operation",
    "subscribe cov property",
    "get event information",
    "subscribe cov property multiple",
    "confirmed cov notification multiple",
];

/// The name of an object type.
pub(super) fn object(number: u32) -> Option<&'static str> {
    OBJECTS.get(number as usize).copied()
}

/// The object type of a name.
pub(super) fn object_type(name: &str) -> Option<u32> {
    OBJECTS.iter().position(|known| *known == name).map(|place| place as u32)
}

/// The name of a property.
pub(super) fn property(number: u32) -> Option<&'static str> {
    let place = PROPERTIES.binary_search_by_key(&number, |(known, _)| *known).ok()?;
    PROPERTIES.get(place).map(|(_, name)| *name)
}

/// The property of a name.
pub(super) fn property_number(name: &str) -> Option<u32> {
    PROPERTIES.iter().find(|(_, known)| *known == name).map(|(number, _)| *number)
}

/// The name of a confirmed service; unconfirmed ones share their numbers.
pub(super) fn service(number: u16) -> &'static str {
    CONFIRMED.get(usize::from(number)).copied().unwrap_or("undefined")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_numbers() {
        assert!(PROPERTIES.is_sorted_by_key(|(number, _)| *number));
        for number in 0..60 {
            assert_eq!(object(number).and_then(object_type), Some(number));
        }
        for number in 0..512 {
            assert_eq!(property(number).and_then(property_number), property(number).map(|_| number));
        }
        assert_eq!(
            (object(2), object(19), object(59)),
            (Some("analogValue"), Some("multiStateValue"), Some("lift"))
        );
        assert_eq!((service(12), service(15), service(99)), ("read property", "write property", "undefined"));
    }
}
