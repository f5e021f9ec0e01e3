//! Playbooks in exchange form: OASIS CACAO Security Playbooks 2.0.
//!
//! Source: *CACAO Security Playbooks Version 2.0*, OASIS Committee Specification 01, 27 November 2023: §3 (playbook), §4 (workflow steps),
//! §5.10 (manual command), §7 (agents), §9 (extension definitions), §10.17 (variables); conditions are comparisons of STIX 2.1 Patterning §9.
//!
//! Each [`Play`] is an `if-condition` step in front of its measures, each measure an `action` step: to a person a manual command in words, to
//! us the measure's name in a step extension. Read are `start`, `end`, `action` and `if-condition` steps; whatever else a workflow holds
//! (parallel branches, loops, other playbooks, commands without our extension) is refused with its step, because a playbook of which a part
//! was left out would do something else than it says. The structures are for any format of serde; the files are JSON.
//!
//! ```
//! use twinguard_response::{Play, cacao::Playbook};
//! use twinguard_types::Timestamp;
//!
//! let file = Playbook::of(&Play::usual(), "usual containment", Timestamp::from_secs(1_773_480_000));
//! assert_eq!(file.plays()?, Play::usual());
//! # Ok::<(), twinguard_response::Error>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use twinguard_types::{Suspect, Timestamp};

use crate::{Error, Measure, Play};

const TYPE: &str = "playbook";
const VERSION: &str = "cacao-2.0";
/// Steps that a playbook may have.
const MOST_STEPS: usize = 1_024;
/// What a condition may speak of.
const SUSPECT: &str = "__suspect__:value";
const REACH: &str = "__limit_within_reach__:value";

/// A playbook; properties that we do not use are passed over when it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Playbook {
    /// `playbook`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `cacao-2.0`.
    pub spec_version: String,
    /// `playbook--` and a UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What kind it is, for example `mitigation`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub playbook_types: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When, RFC 3339.
    pub created: String,
    /// When it was last changed.
    pub modified: String,
    /// Whether it no longer counts.
    #[serde(default)]
    pub revoked: bool,
    /// What conditions speak of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub playbook_variables: BTreeMap<String, Variable>,
    /// The first step.
    pub workflow_start: String,
    /// The steps by their ids.
    pub workflow: BTreeMap<String, Step>,
    /// Who carries steps out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agent_definitions: BTreeMap<String, Agent>,
    /// Extensions of the standard.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extension_definitions: BTreeMap<String, Definition>,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether its value comes from outside.
    #[serde(default)]
    pub external: bool,
}

/// A step of a workflow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `start`, `end`, `action`, `if-condition`; others are refused.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The step after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_completion: Option<String>,
    /// The step after it where it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    /// The step after it where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// Of an `if-condition`: what is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Of an `if-condition`: the step where it is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_true: Option<String>,
    /// Of an `if-condition`: the step where it is not so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_false: Option<String>,
    /// Of an `action`: what is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
    /// Of an `action`: who does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What extensions add.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub step_extensions: BTreeMap<String, Extension>,
}

/// A command of an action step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// `manual`, `bash`, `openc2-http` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// The command; base64 in `command_b64` is not looked at.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
}

/// What our extension says of a step; of other extensions nothing is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extension {
    /// A [`Measure`] by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
}

/// Who carries steps out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// `organization`, `individual` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// An extension of the standard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// `extension-definition`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Who made it.
    pub created_by: String,
    /// Where its form is described.
    pub schema: String,
    /// Its version.
    pub version: String,
}

fn refuse<T>(step: &str, reason: impl Into<String>) -> Result<T, Error> {
    let step = step.chars().take(120).collect();
    Err(Error::Exchange { step, reason: reason.into() })
}

/// An id of CACAO: equal words give an equal id. The bits of a UUID of version 4 (RFC 9562 §5.4) come from a digest.
fn id(kind: &str, words: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("twinguard 2026 cacao identifier v1");
    for word in words {
        hasher.update(word.as_bytes()).update(&[0]);
    }
    let mut bits = u128::from_be_bytes(*hasher.finalize().as_bytes().first_chunk().unwrap_or(&[0; 16]));
    bits = bits & !(0xf << 76) | 0x4 << 76;
    bits = bits & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let parts =
        [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default().to_owned());
    format!("{kind}--{}", parts.join("-"))
}

fn extension() -> String {
    id("extension-definition", &["measure"])
}

fn maker() -> String {
    id("identity", &["twinguard"])
}

impl Playbook {
    /// A table in exchange form.
    #[must_use]
    pub fn of(plays: &[Play], name: &str, created: Timestamp) -> Self {
        let (agent, at) = (id("organization", &["platform"]), format!("{created:.3}"));
        let step = |kind: &str, words: &[&str]| id(kind, &[&[name], words].concat());
        let (start, end) = (step("start", &[]), step("end", &[]));
        let mut workflow = BTreeMap::new();
        workflow.insert(end.clone(), Step { kind: "end".to_owned(), ..Step::default() });
        // From the last to the first: each knows the one after it.
        let mut next = end;
        for (place, play) in plays.iter().enumerate().rev() {
            let after = next.clone();
            for (turn, measure) in play.measures.iter().enumerate().rev() {
                let action = step("action", &[&place.to_string(), &turn.to_string()]);
                let command = Command { kind: "manual".to_owned(), command: measure.words().to_owned() };
                let said = Extension { measure: Some(measure.as_str().to_owned()) };
                let of = Step {
                    kind: "action".to_owned(),
                    name: Some(measure.as_str().to_owned()),
                    on_completion: Some(next),
                    commands: vec![command],
                    agent: Some(agent.clone()),
                    step_extensions: BTreeMap::from([(extension(), said)]),
                    ..Step::default()
                };
                workflow.insert(action.clone(), of);
                next = action;
            }
            if !play.always() {
                let choice = step("if-condition", &[&place.to_string()]);
                let of = Step {
                    kind: "if-condition".to_owned(),
                    condition: Some(condition(play)),
                    on_true: Some(next),
                    on_false: Some(after),
                    ..Step::default()
                };
                workflow.insert(choice.clone(), of);
                next = choice;
            }
        }
        workflow.insert(
            start.clone(),
            Step { kind: "start".to_owned(), on_completion: Some(next), ..Step::default() },
        );
        let variable = |description: &str| Variable {
            kind: "string".to_owned(),
            description: description.to_owned(),
            external: true,
        };
        Self {
            kind: TYPE.to_owned(),
            spec_version: VERSION.to_owned(),
            id: id(TYPE, &[name, &at]),
            name: name.to_owned(),
            description: "What is done about a finding, by who is accused. Two independent kinds of evidence, leave to act and room in the \
                          budgets decide whether it is done or recommended."
                .to_owned(),
            playbook_types: vec!["mitigation".to_owned()],
            created_by: maker(),
            created: at.clone(),
            modified: at,
            revoked: false,
            playbook_variables: BTreeMap::from([
                ("__suspect__".to_owned(), variable("each party that the finding accuses")),
                (
                    "__limit_within_reach__".to_owned(),
                    variable("true when a limit can be reached within its horizon"),
                ),
            ]),
            workflow_start: start,
            workflow,
            agent_definitions: BTreeMap::from([(
                agent,
                Agent { kind: "organization".to_owned(), name: "platform".to_owned() },
            )]),
            extension_definitions: BTreeMap::from([(
                extension(),
                Definition {
                    kind: "extension-definition".to_owned(),
                    name: "twinguard measure".to_owned(),
                    created_by: maker(),
                    schema: "one property, measure: isolate, substitute, verify, safe_state, revert or notify".to_owned(),
                    version: "1.0.0".to_owned(),
                },
            )]),
        }
    }

    /// The table that a playbook holds.
    ///
    /// # Errors
    /// [`Error::Exchange`] for a playbook of another version, a revoked one, and a step that cannot be carried out here, with its id.
    pub fn plays(&self) -> Result<Vec<Play>, Error> {
        if self.kind != TYPE || self.spec_version != VERSION {
            return refuse("spec_version", format!("`{}`, read is {VERSION}", self.spec_version));
        }
        if self.revoked {
            return refuse("revoked", "it is revoked");
        }
        if self.workflow.len() > MOST_STEPS {
            return refuse("workflow", format!("it has more than {MOST_STEPS} steps"));
        }
        let mut seen = BTreeSet::new();
        let (start, first) = self.enter(&self.workflow_start, &mut seen)?;
        if first.kind != "start" {
            return refuse(start, "the workflow does not start with a step of type `start`");
        }
        let mut plays = Vec::new();
        let mut at = self.after(start, first)?;
        loop {
            let (id, step) = self.enter(at, &mut seen)?;
            at = match step.kind.as_str() {
                "end" => return Ok(plays),
                "action" => {
                    let (play, next) = self.actions(id, None, &mut seen)?;
                    plays.push(play);
                    next
                }
                "if-condition" => {
                    let question = step.condition.as_deref().unwrap_or_default();
                    let mut play = asked(id, question)?;
                    let no = target(id, "on_false", step.on_false.as_deref())?;
                    let yes = target(id, "on_true", step.on_true.as_deref())?;
                    if yes != no {
                        let (id, _) = self.enter(yes, &mut seen)?;
                        play.measures = self.actions(id, Some(no), &mut seen)?.0.measures;
                    }
                    plays.push(play);
                    no
                }
                _ => return self.unknown(id, step),
            };
        }
    }

    /// Measures from an action step on, until what is no action, or `until`.
    fn actions<'a>(
        &'a self,
        first: &'a str,
        until: Option<&'a str>,
        seen: &mut BTreeSet<&'a str>,
    ) -> Result<(Play, &'a str), Error> {
        let mut play = Play::default();
        let mut id = first;
        loop {
            let Some(step) = self.workflow.get(id) else { return refuse(id, "there is no such step") };
            if step.kind != "action" {
                return self.unknown(id, step);
            }
            let ours = step.step_extensions.get(&extension()).and_then(|it| it.measure.as_deref());
            let known = |name: &str| Measure::ALL.into_iter().find(|measure| measure.as_str() == name);
            match ours.map(|name| (name, known(name))) {
                Some((_, Some(measure))) => play.measures.push(measure),
                Some((name, None)) => return refuse(id, format!("`{name}` is no measure")),
                None => return refuse(id, "its commands are not ours to run: it names no measure"),
            }
            let next = self.after(id, step)?;
            let is_action = self.workflow.get(next).is_some_and(|step| step.kind == "action");
            match until {
                Some(until) if next == until => return Ok((play, next)),
                None if !is_action => return Ok((play, next)),
                _ => id = self.enter(next, seen)?.0,
            }
        }
    }

    /// The step of an id, once.
    fn enter<'a>(&'a self, id: &str, seen: &mut BTreeSet<&'a str>) -> Result<(&'a str, &'a Step), Error> {
        let Some((id, step)) = self.workflow.get_key_value(id) else {
            return refuse(id, "there is no such step");
        };
        if !seen.insert(id) {
            return refuse(id, "the workflow comes back to it");
        }
        Ok((id, step))
    }

    /// What comes after a step, however it ends: none of ours fails.
    fn after<'a>(&self, id: &str, step: &'a Step) -> Result<&'a str, Error> {
        match (&step.on_completion, &step.on_success, &step.on_failure) {
            (Some(next), None, None) => Ok(next),
            (None, Some(next), failure) if failure.as_ref().is_none_or(|failure| failure == next) => Ok(next),
            (None, Some(_), Some(_)) => refuse(id, "it goes on elsewhere where it failed"),
            _ => refuse(id, "it does not say what comes after it"),
        }
    }

    fn unknown<T>(&self, id: &str, step: &Step) -> Result<T, Error> {
        refuse(
            id,
            format!("steps of type `{}` are not carried out", step.kind.chars().take(60).collect::<String>()),
        )
    }
}

fn target<'a>(id: &str, name: &str, step: Option<&'a str>) -> Result<&'a str, Error> {
    step.map_or_else(|| refuse(id, format!("it has no `{name}`")), Ok)
}

fn condition(play: &Play) -> String {
    let named: Vec<String> = play.accused.iter().map(|suspect| format!("'{}'", suspect.as_str())).collect();
    let accused = (!named.is_empty()).then(|| format!("{SUSPECT} IN ({})", named.join(", ")));
    let near = play.limit_within_reach.then(|| format!("{REACH} = 'true'"));
    accused.into_iter().chain(near).collect::<Vec<_>>().join(" OR ")
}

/// Reads a condition: comparisons with `=` or `IN`, joined by `OR`.
fn asked(id: &str, condition: &str) -> Result<Play, Error> {
    let no = || {
        refuse(id, format!("condition `{}` is none of ours", condition.chars().take(120).collect::<String>()))
    };
    let mut play = Play::default();
    for part in condition.split(" OR ") {
        let Some((name, values)) = part.trim().split_once(' ') else { return no() };
        let values = values.trim();
        let list = match (
            values.strip_prefix("= "),
            values.strip_prefix("IN (").and_then(|it| it.strip_suffix(')')),
        ) {
            (Some(one), _) => vec![one],
            (_, Some(list)) => list.split(',').collect(),
            _ => return no(),
        };
        for value in list {
            let quoted = value.trim().strip_prefix('\'').and_then(|it| it.strip_suffix('\''));
            match (name, quoted, quoted.and_then(suspect)) {
                (SUSPECT, _, Some(suspect)) => play.accused.push(suspect),
                (REACH, Some("true"), _) => play.limit_within_reach = true,
                _ => return no(),
            }
        }
    }
    if play.always() { no() } else { Ok(play) }
}

fn suspect(name: &str) -> Option<Suspect> {
    use Suspect::{Actuator, CommandPath, Fault, Feed, Identity, Model, Network, None, Sensor, Twin};
    [Sensor, Actuator, CommandPath, Network, Feed, Twin, Model, Identity, Fault, None]
        .into_iter()
        .find(|suspect| suspect.as_str() == name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn usual() -> Playbook {
        Playbook::of(&Play::usual(), "usual containment", Timestamp::from_secs(1_773_480_000))
    }

    /// What the specification demands of every playbook, step and identifier (§3.1, §4.1, §10.10), checked on the JSON itself.
    fn conforms(playbook: &Value) {
        let is_id = |id: &str, kind: &str| {
            let uuid = id.strip_prefix(kind).and_then(|rest| rest.strip_prefix("--")).unwrap_or_default();
            let parts: Vec<&str> = uuid.split('-').collect();
            parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
                && parts
                    .iter()
                    .all(|part| part.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it)))
        };
        assert_eq!((&playbook["type"], &playbook["spec_version"]), (&json!("playbook"), &json!("cacao-2.0")));
        assert!(is_id(playbook["id"].as_str().unwrap(), "playbook"));
        assert!(is_id(playbook["created_by"].as_str().unwrap(), "identity"));
        for time in ["created", "modified"] {
            let time = playbook[time].as_str().unwrap();
            assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
        }
        let workflow = playbook["workflow"].as_object().unwrap();
        let start = playbook["workflow_start"].as_str().unwrap();
        assert_eq!(workflow[start]["type"], "start");
        assert!(workflow.values().any(|step| step["type"] == "end"));
        for (id, step) in workflow {
            assert!(is_id(id, step["type"].as_str().unwrap()), "{id}");
            for next in ["on_completion", "on_success", "on_failure", "on_true", "on_false"] {
                if let Some(next) = step[next].as_str() {
                    assert!(workflow.contains_key(next), "{id} goes on to {next}");
                }
            }
            if step["type"] == "action" {
                assert!(!step["commands"].as_array().unwrap().is_empty());
                let agent = step["agent"].as_str().unwrap();
                assert!(playbook["agent_definitions"][agent]["name"].is_string());
                for extension in step["step_extensions"].as_object().into_iter().flatten() {
                    assert_eq!(
                        playbook["extension_definitions"][extension.0]["type"],
                        "extension-definition"
                    );
                }
            }
        }
        for name in playbook["playbook_variables"].as_object().into_iter().flatten() {
            assert!(name.0.starts_with("__") && name.0.ends_with("__"));
        }
    }

    #[test]
    fn what_is_written_conforms_and_comes_back() {
        let value = serde_json::to_value(usual()).unwrap();
        conforms(&value);
        let again: Playbook = serde_json::from_value(value).unwrap();
        assert_eq!(again, usual());
        assert_eq!(again.plays().unwrap(), Play::usual());
    }

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut value = serde_json::to_value(usual()).unwrap();
        change(&mut value);
        let playbook: Playbook = serde_json::from_value(value).unwrap();
        playbook.plays().unwrap_err().to_string()
    }

    fn of<'a>(value: &'a mut Value, kind: &str) -> (String, &'a mut Value) {
        let steps = value["workflow"].as_object_mut().unwrap();
        let (id, step) = steps.iter_mut().find(|(_, step)| step["type"] == kind).unwrap();
        (id.clone(), step)
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused_with_its_step() {
        for kind in ["parallel", "while-condition", "switch-condition", "playbook-action", "wait"] {
            let mut place = String::new();
            let error = refused(|value| {
                let (id, step) = of(value, "action");
                step["type"] = json!(kind);
                place = id;
            });
            assert_eq!(
                error,
                format!("playbook: step `{place}`: steps of type `{kind}` are not carried out")
            );
        }
        let foreign = refused(|value| {
            let (_, step) = of(value, "action");
            step["step_extensions"] = json!({});
            step["commands"] = json!([{ "type": "bash", "command": "iptables -F" }]);
        });
        assert!(foreign.contains("its commands are not ours to run"), "{foreign}");
        let loops = refused(|value| {
            let start = value["workflow_start"].clone();
            of(value, "action").1["on_completion"] = start;
        });
        assert!(loops.contains("comes back to it") || loops.contains("type `start`"), "{loops}");
        let nowhere = refused(|value| of(value, "start").1["on_completion"] = json!("action--none"));
        assert_eq!(nowhere, "playbook: step `action--none`: there is no such step");
        let odd = refused(|value| of(value, "if-condition").1["condition"] = json!("__cpu__:value > '90'"));
        assert!(odd.contains("condition `__cpu__:value > '90'` is none of ours"), "{odd}");
        let failing = refused(|value| {
            let (id, step) = of(value, "action");
            let next = step["on_completion"].take();
            (step["on_success"], step["on_failure"]) = (next, json!(id));
        });
        assert!(failing.contains("elsewhere where it failed"), "{failing}");
        assert!(refused(|value| value["spec_version"] = json!("cacao-1.0")).contains("read is cacao-2.0"));
        assert!(refused(|value| value["revoked"] = json!(true)).contains("it is revoked"));
    }

    /// The shape of the examples of the specification (appendix on playbook examples): properties of all kinds that we do not use, other
    /// commands, variables, targets. It is read as a file, and refused at the first step that is not ours.
    #[test]
    fn a_playbook_of_somebody_else_is_read_and_refused_at_the_first_foreign_step() {
        let text = r#"{
          "type": "playbook", "spec_version": "cacao-2.0",
          "id": "playbook--a0777575-5c4c-4710-9f01-15776103837f",
          "name": "Find Malware FuzzyPanda", "description": "This playbook will look for FuzzyPanda on the network",
          "playbook_types": ["investigation"], "playbook_activities": ["scan-system"],
          "created_by": "identity--5abe695c-7bd5-4c31-8824-2528696cdbf1",
          "created": "2023-03-04T15:56:00.123Z", "modified": "2023-03-04T15:56:00.123Z",
          "valid_from": "2023-03-04T15:56:00.123456Z", "valid_until": "2023-07-31T23:59:59.999999Z",
          "derived_from": ["playbook--00ee41a0-c2f0-4563-bd38-25e6a4d5a2d8"], "related_to": [],
          "priority": 3, "severity": 70, "impact": 5, "labels": ["malware", "fuzzypanda", "apt"],
          "external_references": [{ "name": "ACME Security FuzzyPanda Report", "url": "https://www.example.com/info/fuzzypanda.html" }],
          "markings": ["marking-statement--6424867b-0440-4885-bd0b-604d51786d06"],
          "playbook_variables": { "__data_exfil_site__": { "type": "ipv4-addr", "description": "where it goes", "value": "1.2.3.4", "constant": false } },
          "workflow_start": "start--07bea005-4a36-4a77-bd1f-79a6e4682a13",
          "workflow_exception": "end--37bf1bbb-f5a6-4a2c-8e8c-4a3d1fa1e5a1",
          "workflow": {
            "start--07bea005-4a36-4a77-bd1f-79a6e4682a13": { "type": "start", "on_completion": "action--a76dbc32-b739-427b-ae13-4ec703d5797e" },
            "action--a76dbc32-b739-427b-ae13-4ec703d5797e": {
              "type": "action", "name": "IMC assets", "description": "Check the critical assets", "delay": 0, "timeout": 60000,
              "step_variables": { "__asset__": { "type": "string" } }, "external_references": [],
              "commands": [{ "type": "ssh", "command": "last; netstat -n; ls -l -a /root" }],
              "agent": "ssh--d2e9b2f1-5a3b-4b7e-9a6d-6a2f4a5a3c11", "targets": ["linux--c1c2c3c4-0a1b-4c2d-8e3f-4a5b6c7d8e9f"],
              "in_args": ["__asset__"], "out_args": [], "on_completion": "end--37bf1bbb-f5a6-4a2c-8e8c-4a3d1fa1e5a1"
            },
            "end--37bf1bbb-f5a6-4a2c-8e8c-4a3d1fa1e5a1": { "type": "end" }
          },
          "agent_definitions": { "ssh--d2e9b2f1-5a3b-4b7e-9a6d-6a2f4a5a3c11": { "type": "ssh", "name": "server", "address": { "ipv4": ["192.0.2.1"] }, "port": "22" } },
          "target_definitions": {}, "authentication_info_definitions": {},
          "data_marking_definitions": { "marking-statement--6424867b-0440-4885-bd0b-604d51786d06": { "type": "marking-statement" } },
          "signatures": []
        }"#;
        conforms(&serde_json::from_str(text).unwrap());
        let playbook: Playbook = serde_json::from_str(text).unwrap();
        let error = playbook.plays().unwrap_err().to_string();
        let place = "action--a76dbc32-b739-427b-ae13-4ec703d5797e";
        assert_eq!(
            error,
            format!("playbook: step `{place}`: its commands are not ours to run: it names no measure")
        );
    }

    fn play() -> impl Strategy<Value = Play> {
        let accused = prop::collection::btree_set(0..9_usize, 1..4).prop_map(|places| {
            let all = [
                "sensor",
                "actuator",
                "command_path",
                "network",
                "feed",
                "twin",
                "model",
                "identity",
                "fault",
            ];
            places.into_iter().filter_map(|place| suspect(all[place])).collect()
        });
        let measures = prop::collection::vec(prop::sample::select(Measure::ALL.to_vec()), 1..4);
        (accused, any::<bool>(), measures).prop_map(|(accused, limit_within_reach, measures)| Play {
            accused,
            limit_within_reach,
            measures,
        })
    }

    proptest! {
        #[test]
        fn any_table_comes_back(plays in prop::collection::vec(play(), 0..6)) {
            let playbook = Playbook::of(&plays, "any", Timestamp::ZERO);
            conforms(&serde_json::to_value(&playbook).unwrap());
            prop_assert_eq!(playbook.plays().unwrap(), plays);
        }

        #[test]
        fn no_workflow_goes_on_for_ever(edges in prop::collection::vec((0..6_usize, 0..6_usize, 0..4_usize), 6)) {
            let name = |place: usize| format!("step--{place}");
            let steps = edges.iter().enumerate().map(|(place, (a, b, kind))| {
                let measure = Extension { measure: Some("notify".to_owned()) };
                let step = Step {
                    kind: ["action", "if-condition", "end", "action"][*kind].to_owned(),
                    on_completion: Some(name(*a)),
                    condition: Some("__suspect__:value = 'sensor'".to_owned()),
                    on_true: Some(name(*a)),
                    on_false: Some(name(*b)),
                    step_extensions: BTreeMap::from([(extension(), measure)]),
                    ..Step::default()
                };
                (name(place), step)
            });
            let mut playbook = usual();
            playbook.workflow = steps.collect();
            let start = Step { kind: "start".to_owned(), on_completion: Some(name(0)), ..Step::default() };
            playbook.workflow.insert("start--0".to_owned(), start);
            playbook.workflow_start = "start--0".to_owned();
            let _ = playbook.plays();
        }
    }
}
