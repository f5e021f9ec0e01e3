use super::*;

const PUMP: &str = r#"[{"@context": ["dtmi:dtdl:context;3", "dtmi:dtdl:extension:quantitativeTypes;1"], "@id": "dtmi:com:example:Pump;1",
    "@type": "Interface", "extends": "dtmi:com:example:Machine;1", "contents": [
      {"@type": ["Telemetry", "Temperature"], "name": "casing", "schema": "double", "unit": "degreeCelsius"},
      {"@type": "Property", "name": "speed", "schema": "double", "writable": true},
      {"@type": "Property", "name": "state", "schema": {"@type": "Object", "fields": [{"name": "a", "schema": "long"}, {"name": "b", "schema": "long"}]}},
      {"@type": "Command", "name": "stop"},
      {"@type": "Component", "name": "motor", "schema": "dtmi:com:example:Motor;1"}]},
   {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:com:example:Machine;1", "@type": "Interface",
    "contents": {"@type": "Telemetry", "name": "hours", "schema": "double"}},
   {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:com:example:Motor;1", "@type": "Interface",
    "contents": {"@type": "Telemetry", "name": "current", "schema": "double"}}]"#;

fn refuse(text: &str, place: &str, reason: &str) {
    let refused = dtdl(text.as_bytes(), Undefined::Refused).unwrap_err();
    assert_eq!((refused.place.as_str(), refused.reason.as_str()), (place, reason));
}

#[test]
fn models_become_assets_and_signals() {
    assert!(recognises("", PUMP.as_bytes()));
    let imported = dtdl(PUMP.as_bytes(), Undefined::Refused).unwrap();
    let role = |path: &str| {
        let id = imported.catalogue.id(path).unwrap_or_else(|| panic!("no {path}"));
        imported.catalogue.signal(id).map(|signal| (signal.role, signal.unit.to_string())).unwrap()
    };
    assert_eq!(role("com.example.Pump.casing"), (Role::Measurement, "degreeCelsius".into()));
    assert_eq!(role("com.example.Pump.speed").0, Role::Setpoint);
    assert_eq!(role("com.example.Pump.state.b").0, Role::Measurement);
    assert_eq!(role("com.example.Pump.stop").0, Role::Actuator);
    assert_eq!(role("com.example.Pump.hours").0, Role::Measurement, "taken over");
    assert_eq!(role("com.example.Pump.motor.current").0, Role::Measurement);
    assert_eq!(imported.catalogue.edges().len(), 1);
}

#[test]
fn refusals_name_their_place() {
    refuse("{", "line 1, column 1", "EOF while parsing an object");
    refuse("{}", "/", "no @context");
    let with = |contents: &str| {
        format!(
            r#"{{"@context":"dtmi:dtdl:context;3","@id":"dtmi:a:b;1","@type":"Interface","contents":[{contents}]}}"#
        )
    };
    refuse(
        &with(r#"{"@type":"Telemetry","name":"1x","schema":"double"}"#),
        "/contents/0/name",
        "`1x` is not a name",
    );
    refuse(&with(r#"{"@type":"Telemetry","name":"x"}"#), "/contents/0", "`schema` is missing");
    refuse(
        &with(r#"{"@type":"Telemetry","name":"x","schema":"dtmi:no;1"}"#),
        "/contents/0/schema",
        "nothing has the identifier `dtmi:no;1`",
    );
    refuse(
        &with(r#"{"@type":"Telemetry","name":"x","schema":"double","why":1}"#),
        "/contents/0",
        "`why` is not a property of Telemetry",
    );
    refuse(
        &with(
            r#"{"@type":"Telemetry","name":"x","schema":"double"},{"@type":"Telemetry","name":"x","schema":"double"}"#,
        ),
        "/contents/1",
        "a second `x`",
    );
    let cycle =
        r#"{"@context":"dtmi:dtdl:context;3","@id":"dtmi:a:b;1","@type":"Interface","extends":"dtmi:a:b;1"}"#;
    refuse(cycle, "/", "`dtmi:a:b;1` extends itself");
}

#[test]
fn extensions_are_trusted_only_when_asked() {
    let text = r#"{"@context":["dtmi:dtdl:context;3","dtmi:x:y;1"],"@id":"dtmi:a:b;1","@type":["Interface","Odd"],"oddness":3}"#;
    assert!(dtdl(text.as_bytes(), Undefined::Refused).is_err());
    assert!(dtdl(text.as_bytes(), Undefined::Allowed).is_ok());
}
