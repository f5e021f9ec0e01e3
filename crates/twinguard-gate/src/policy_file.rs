//! The policy file: TOML, every mistake with line, column and the nearest valid word.
//!
//! `[[rule]]` reads as in the plant file; zones, conduits, pipelines and guards are this file's own.

mod write;

use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use twinguard_twin::plant::{Effect, Network, Plant, Rule, Verb, Window};
use twinguard_twin::problem::{Located, Place, Problem};
use twinguard_types::{Duration, Range};

use crate::Error;
use crate::policy::{
    Clause, Condition, Conduit, GuardSpec, Pipeline, SecurityLevels, Source, ZONES, Zone, resolve,
};

/// Largest policy file in bytes.
const FILE_LIMIT: usize = 16 << 20;
/// Most rules, zones, conduits, pipelines or guards.
const LIMIT: usize = 100_000;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Spanned<u32>,
    #[serde(default)]
    zone: Vec<ZoneText>,
    #[serde(default)]
    conduit: Vec<ConduitText>,
    #[serde(default)]
    pipeline: Vec<PipelineText>,
    #[serde(default)]
    rule: Vec<RuleText>,
    #[serde(default)]
    guard: Vec<GuardText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneText {
    name: Text,
    networks: Vec<Text>,
    #[serde(default)]
    assets: Vec<Text>,
    #[serde(default)]
    security_level: Option<Spanned<Vec<u8>>>,
    #[serde(default)]
    plain_text: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConduitText {
    name: Text,
    from: Text,
    to: Text,
    #[serde(default)]
    security_level: Option<Spanned<Vec<u8>>>,
    #[serde(default)]
    authenticated: bool,
    #[serde(default)]
    encrypted: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineText {
    name: Text,
    from: Text,
    to: Text,
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    authenticated: bool,
    #[serde(default)]
    encrypted: bool,
    #[serde(default)]
    verbs: Vec<VerbText>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VerbText {
    Read,
    Write,
    Configure,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EffectText {
    Allow,
    Forbid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    name: Text,
    effect: EffectText,
    #[serde(default)]
    zones: Vec<Text>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    principals: Vec<Text>,
    #[serde(default)]
    verbs: Vec<VerbText>,
    signals: Vec<Text>,
    #[serde(default)]
    range: Option<Spanned<[f64; 2]>>,
    #[serde(default)]
    commands_per_minute: Option<Spanned<f64>>,
    #[serde(default)]
    windows: Vec<WindowText>,
    #[serde(default)]
    modes: Vec<String>,
    #[serde(default)]
    two_person: bool,
    #[serde(default)]
    approvers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowText {
    #[serde(default)]
    days: Vec<Text>,
    #[serde(default)]
    from: Option<Text>,
    #[serde(default)]
    to: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionText {
    signal: Text,
    range: Spanned<[f64; 2]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuardText {
    kind: Text,
    name: Text,
    #[serde(default)]
    signals: Vec<Text>,
    #[serde(default)]
    range: Option<Spanned<[f64; 2]>>,
    #[serde(default)]
    when: Vec<ConditionText>,
    #[serde(default)]
    within_s: Option<Spanned<f64>>,
    #[serde(default)]
    period_s: Option<Spanned<f64>>,
    #[serde(default)]
    most: Option<Spanned<f64>>,
    #[serde(default)]
    gain: Option<Spanned<f64>>,
    #[serde(default)]
    windows: Vec<WindowText>,
    #[serde(default)]
    roles: Vec<String>,
}

impl Source {
    /// Reads a policy file about a plant. `file` is the name shown in errors. Principals, signals and zones of the plant
    /// file are known; rules of the plant file are not part of the answer ([`Source::and`] joins them).
    ///
    /// ```
    /// use twinguard_gate::policy::Source;
    /// use twinguard_twin::Plant;
    ///
    /// let plant = Plant::parse("format = 1\nname = \"p\"\n[[signal]]\npath = \"valve\"\nrole = \"actuator\"\n", "plant.toml")?;
    /// let text = "format = 1\n[[rule]]\nname = \"r\"\neffect = \"allow\"\nsignals = [\"valve\"]\nmode = [\"run\"]\n";
    /// let error = Source::parse(text, "policy.toml", &plant).unwrap_err();
    /// assert_eq!(error.to_string(), "policy.toml:6:1: unknown key `mode`, did you mean `modes`?");
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Policy`] with the place of the first mistake.
    pub fn parse(text: &str, file: &str, plant: &Plant) -> Result<Self, Error> {
        let reader = Reader { file: file.into(), text, plant };
        reader.read().map_err(Error::Policy)
    }
}

struct Reader<'a> {
    file: Arc<str>,
    text: &'a str,
    plant: &'a Plant,
}

impl Reader<'_> {
    fn place(&self, at: usize) -> Place {
        Place::of(&self.file, self.text, at)
    }

    fn at<T>(&self, spanned: &Spanned<T>, problem: Problem) -> Located {
        Located { place: self.place(spanned.span().start), problem }
    }

    fn refuse<T>(&self, spanned: &Spanned<T>, key: &str, reason: impl Into<String>) -> Located {
        self.at(spanned, Problem::Value { key: key.to_owned(), reason: reason.into() })
    }

    fn read(&self) -> Result<Source, Located> {
        let whole =
            |problem| Located { place: Place { file: self.file.clone(), line: 0, column: 0 }, problem };
        if self.text.len() > FILE_LIMIT {
            let (what, count) = ("bytes of a policy file", self.text.len());
            return Err(whole(Problem::TooMuch { what, count, limit: FILE_LIMIT }));
        }
        let file: File = toml::from_str(self.text).map_err(|error| self.syntax(&error))?;
        if *file.format.get_ref() != 1 {
            return Err(self.refuse(&file.format, "format", "must be 1"));
        }
        for (what, count, limit) in [
            ("zones", file.zone.len() + self.plant.zones.len(), ZONES),
            ("conduits", file.conduit.len(), LIMIT),
            ("pipelines", file.pipeline.len(), LIMIT),
            ("rules", file.rule.len(), LIMIT),
            ("guards", file.guard.len(), LIMIT),
        ] {
            if count > limit {
                return Err(whole(Problem::TooMuch { what, count, limit }));
            }
        }
        self.unique("zone", file.zone.iter().map(|it| &it.name))?;
        self.unique("conduit", file.conduit.iter().map(|it| &it.name))?;
        self.unique("pipeline", file.pipeline.iter().map(|it| &it.name))?;
        self.unique("rule", file.rule.iter().map(|it| &it.name))?;
        self.unique("guard", file.guard.iter().map(|it| &it.name))?;
        let mut zones: Vec<&str> = self.plant.zones.iter().map(|zone| zone.name.as_str()).collect();
        zones.extend(file.zone.iter().map(|zone| zone.name.get_ref().as_str()));
        let known = |zone: &Text| self.known("zone", zone, &zones);
        let mut source = Source {
            principals: self.plant.parties.iter().map(|it| it.principal.name.to_string()).collect(),
            ..Source::default()
        };
        for zone in &file.zone {
            source.zones.push(self.zone(zone)?);
        }
        for it in &file.conduit {
            source.conduits.push(Conduit {
                name: it.name.get_ref().clone(),
                from: known(&it.from)?,
                to: known(&it.to)?,
                target: self.levels(it.security_level.as_ref())?,
                authenticated: it.authenticated,
                encrypted: it.encrypted,
                place: Some(self.place(it.name.span().start)),
            });
        }
        for it in &file.pipeline {
            source.pipelines.push(Pipeline {
                name: it.name.get_ref().clone(),
                from: known(&it.from)?,
                to: known(&it.to)?,
                protocol: it.protocol.clone(),
                authenticated: it.authenticated,
                encrypted: it.encrypted,
                verbs: verbs(&it.verbs),
                place: Some(self.place(it.name.span().start)),
            });
        }
        for rule in &file.rule {
            source.clauses.push(self.clause(rule, &zones)?);
        }
        for guard in &file.guard {
            source.guards.push(self.guard(guard)?);
        }
        Ok(source)
    }

    /// The parser's word, in our own terms where it names a key or a choice.
    fn syntax(&self, error: &toml::de::Error) -> Located {
        let place = self.place(error.span().map_or(0, |span| span.start));
        let message = error.message();
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let problem = match quoted.split_first() {
            Some((key, valid)) if message.starts_with("unknown field") => {
                Problem::UnknownKey { key: (*key).to_owned(), nearest: nearest(key, valid.iter().copied()) }
            }
            Some((name, valid)) if message.starts_with("unknown variant") => Problem::Unknown {
                what: "choice",
                name: (*name).to_owned(),
                nearest: nearest(name, valid.iter().copied()),
            },
            _ => Problem::Syntax { reason: message.to_owned() },
        };
        Located { place, problem }
    }

    fn unique<'t>(&self, what: &'static str, names: impl Iterator<Item = &'t Text>) -> Result<(), Located> {
        let mut seen = std::collections::BTreeSet::new();
        for name in names {
            if !seen.insert(name.get_ref()) {
                return Err(self.at(name, Problem::Duplicate { what, name: name.get_ref().clone() }));
            }
        }
        Ok(())
    }

    fn known(&self, what: &'static str, name: &Text, valid: &[&str]) -> Result<String, Located> {
        let text = name.get_ref();
        if valid.contains(&text.as_str()) {
            return Ok(text.clone());
        }
        let nearest = nearest(text, valid.iter().copied());
        Err(self.at(name, Problem::Unknown { what, name: text.clone(), nearest }))
    }

    fn levels(&self, levels: Option<&Spanned<Vec<u8>>>) -> Result<SecurityLevels, Located> {
        let Some(spanned) = levels else { return Ok(SecurityLevels::default()) };
        match <[u8; 7]>::try_from(spanned.get_ref().as_slice()) {
            Ok(levels) if levels.iter().all(|level| *level <= 4) => Ok(SecurityLevels(levels)),
            _ => Err(self.refuse(
                spanned,
                "security_level",
                "must be seven levels from 0 to 4, for FR 1 to FR 7",
            )),
        }
    }

    fn zone(&self, zone: &ZoneText) -> Result<Zone, Located> {
        let mut networks = Vec::new();
        for address in &zone.networks {
            let network: Network = address.get_ref().parse().map_err(|_| {
                self.refuse(
                    address,
                    "networks",
                    format!("`{}` is not an address or a CIDR block", address.get_ref()),
                )
            })?;
            networks.push(network);
        }
        for pattern in &zone.assets {
            self.signals(core::slice::from_ref(pattern))?;
        }
        Ok(Zone {
            name: zone.name.get_ref().clone(),
            networks,
            assets: zone.assets.iter().map(|pattern| pattern.get_ref().clone()).collect(),
            target: self.levels(zone.security_level.as_ref())?,
            plain_text: zone.plain_text,
            place: Some(self.place(zone.name.span().start)),
        })
    }

    /// The signals of patterns, each of which has to match one.
    fn signals(&self, patterns: &[Text]) -> Result<Vec<twinguard_types::SignalId>, Located> {
        let catalogue = &self.plant.catalogue;
        for pattern in patterns {
            if resolve([pattern.get_ref().as_str()], catalogue).is_empty() {
                let name = pattern.get_ref().clone();
                let nearest = nearest(&name, catalogue.iter().map(|(_, signal)| &*signal.path));
                return Err(self.at(pattern, Problem::Unknown { what: "signal", name, nearest }));
            }
        }
        Ok(resolve(patterns.iter().map(|pattern| pattern.get_ref().as_str()), catalogue))
    }

    fn range(&self, key: &str, range: &Spanned<[f64; 2]>) -> Result<Range, Located> {
        let [low, high] = *range.get_ref();
        Range::new(low, high)
            .map_err(|_| self.refuse(range, key, "must be two finite numbers, the lower one first"))
    }

    fn positive(&self, key: &str, number: Option<&Spanned<f64>>) -> Result<Option<f64>, Located> {
        let Some(number) = number else { return Ok(None) };
        let value = *number.get_ref();
        if value.is_finite() && value > 0.0 {
            return Ok(Some(value));
        }
        Err(self.refuse(number, key, "must be a positive number"))
    }

    fn seconds(&self, key: &str, number: Option<&Spanned<f64>>) -> Result<Option<Duration>, Located> {
        let (Some(value), Some(at)) = (self.positive(key, number)?, number) else { return Ok(None) };
        let span = Duration::from_secs_f64(value);
        span.map(Some).map_err(|_| self.refuse(at, key, "is longer than time can be told"))
    }

    fn clause(&self, text: &RuleText, zones: &[&str]) -> Result<Clause, Located> {
        let zones: Vec<String> =
            text.zones.iter().map(|zone| self.known("zone", zone, zones)).collect::<Result<_, _>>()?;
        let (mut principals, mut networks) = (Vec::new(), Vec::new());
        let parties: Vec<&str> = self.plant.parties.iter().map(|party| &*party.principal.name).collect();
        for name in &text.principals {
            match name.get_ref().parse() {
                Ok(network) if !parties.contains(&name.get_ref().as_str()) => networks.push(network),
                _ => principals.push(self.known("principal", name, &parties)?),
            }
        }
        let rule = Rule {
            name: text.name.get_ref().clone(),
            effect: match text.effect {
                EffectText::Allow => Effect::Allow,
                EffectText::Forbid => Effect::Forbid,
            },
            zones,
            roles: text.roles.clone(),
            principals,
            networks,
            verbs: verbs(&text.verbs),
            patterns: text.signals.iter().map(|pattern| pattern.get_ref().clone()).collect(),
            signals: self.signals(&text.signals)?,
            range: text.range.as_ref().map(|range| self.range("range", range)).transpose()?,
            commands_per_minute: self.positive("commands_per_minute", text.commands_per_minute.as_ref())?,
            windows: text.windows.iter().map(|window| self.window(window)).collect::<Result<_, _>>()?,
            modes: text.modes.clone(),
            two_person: text.two_person || !text.approvers.is_empty(),
        };
        Ok(Clause {
            rule,
            approvers: text.approvers.clone(),
            place: Some(self.place(text.name.span().start)),
        })
    }

    fn window(&self, window: &WindowText) -> Result<Window, Located> {
        let minute = |key: &str, text: Option<&Text>, absent: u16, most: u16| {
            let Some(text) = text else { return Ok(absent) };
            let parse = |text: &str| {
                let (hours, minutes) = text.split_once(':')?;
                let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
                (hours <= 24 && minutes < 60).then(|| hours * 60 + minutes).filter(|minute| *minute <= most)
            };
            parse(text.get_ref())
                .ok_or_else(|| self.refuse(text, key, format!("must be `HH:MM`, not `{}`", text.get_ref())))
        };
        let mut days = 0;
        for day in &window.days {
            let name = self.known("day", day, &DAYS)?;
            days |= DAYS.iter().position(|known| *known == name).map_or(0, |at| 1u8 << at);
        }
        Ok(Window {
            days: if days == 0 { 0b111_1111 } else { days },
            from: minute("from", window.from.as_ref(), 0, 1439)?,
            to: minute("to", window.to.as_ref(), 1440, 1440)?,
        })
    }

    fn guard(&self, text: &GuardText) -> Result<GuardSpec, Located> {
        let kinds: Vec<&str> = crate::guards::kinds().collect();
        let kind = self.known("guard", &text.kind, &kinds)?;
        let condition = |it: &ConditionText| -> Result<Condition, Located> {
            let path = it.signal.get_ref();
            let signal = self.plant.catalogue.id(path).ok_or_else(|| {
                let nearest = nearest(path, self.plant.catalogue.iter().map(|(_, signal)| &*signal.path));
                self.at(&it.signal, Problem::Unknown { what: "signal", name: path.clone(), nearest })
            })?;
            Ok(Condition { signal, range: self.range("range", &it.range)? })
        };
        let spec = GuardSpec {
            kind,
            name: text.name.get_ref().clone(),
            signals: self.signals(&text.signals)?,
            range: text.range.as_ref().map(|range| self.range("range", range)).transpose()?,
            when: text.when.iter().map(condition).collect::<Result<_, _>>()?,
            within: self.seconds("within_s", text.within_s.as_ref())?,
            period: self.seconds("period_s", text.period_s.as_ref())?,
            most: self.positive("most", text.most.as_ref())?,
            gain: self.positive("gain", text.gain.as_ref())?,
            windows: text.windows.iter().map(|window| self.window(window)).collect::<Result<_, _>>()?,
            roles: text.roles.clone(),
            place: Some(self.place(text.name.span().start)),
        };
        match crate::guards::missing(&spec) {
            Some(key) => Err(self.at(
                &text.name,
                Problem::MissingKey {
                    key: key.to_owned(),
                    table: format!("[[guard]] of kind `{}`", spec.kind),
                },
            )),
            None => Ok(spec),
        }
    }
}

fn verbs(written: &[VerbText]) -> Vec<Verb> {
    let verb = |verb: &VerbText| match verb {
        VerbText::Read => Verb::Read,
        VerbText::Write => Verb::Write,
        VerbText::Configure => Verb::Configure,
    };
    if written.is_empty() { vec![Verb::Write] } else { written.iter().map(verb).collect() }
}

/// The candidate that is most similar, if near enough to be a slip of the pen: at most a third of the letters differ.
fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if name.len() > 128 {
        return None;
    }
    let name = name.to_lowercase();
    let limit = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(4096)
        .map(|candidate| (strsim::osa_distance(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANT: &str = r#"
        format = 1
        name = "p"
        [[signal]]
        path = "cell.valve"
        role = "actuator"
        [[zone]]
        name = "office"
        networks = ["10.1.0.0/16"]
        [[principal]]
        name = "anna"
        roles = ["operator"]
    "#;

    #[test]
    fn every_mistake_has_a_place_and_the_nearest_valid_word() {
        let plant = Plant::parse(PLANT, "plant.toml").unwrap();
        let rule = |line: &str| {
            format!(
                "format = 1\n[[rule]]\nname = \"r\"\neffect = \"allow\"\nsignals = [\"cell.*\"]\n{line}\n"
            )
        };
        let guard = |line: &str| format!("format = 1\n[[guard]]\nname = \"g\"\n{line}\n");
        for (text, expected) in [
            ("format = 2\n".to_owned(), "policy.toml:1:10: `format` must be 1"),
            (
                "format = 1\n[[ruel]]\n".to_owned(),
                "policy.toml:2:3: unknown key `ruel`, did you mean `rule`?",
            ),
            (rule("rolls = [\"x\"]"), "policy.toml:6:1: unknown key `rolls`, did you mean `roles`?"),
            (rule("zones = [\"offce\"]"), "policy.toml:6:10: unknown zone `offce`, did you mean `office`?"),
            (
                rule("principals = [\"ana\"]"),
                "policy.toml:6:15: unknown principal `ana`, did you mean `anna`?",
            ),
            (rule("verbs = [\"wirte\"]"), "policy.toml:6:10: unknown choice `wirte`, did you mean `write`?"),
            (
                rule("range = [1.0, 0.0]"),
                "policy.toml:6:9: `range` must be two finite numbers, the lower one first",
            ),
            (
                rule("windows = [{ from = \"25:00\" }]"),
                "policy.toml:6:21: `from` must be `HH:MM`, not `25:00`",
            ),
            (
                rule("windows = [{ days = [\"mun\"] }]"),
                "policy.toml:6:22: unknown day `mun`, did you mean `mon`?",
            ),
            (
                rule("").replace("cell.*", "cel.valve"),
                "policy.toml:5:12: unknown signal `cel.valve`, did you mean `cell.valve`?",
            ),
            (
                guard("kind = \"rates\"\nsignals = [\"*\"]"),
                "policy.toml:4:8: unknown guard `rates`, did you mean `rate`?",
            ),
            (
                guard("kind = \"rate\"\nsignals = [\"*\"]"),
                "policy.toml:3:8: key `most` is missing in [[guard]] of kind `rate`",
            ),
            (
                "format = 1\n[[zone]]\nname = \"z\"\nnetworks = []\nsecurity_level = [1, 2]\n".to_owned(),
                "policy.toml:5:18: `security_level` must be seven levels from 0 to 4, for FR 1 to FR 7",
            ),
            (
                "format = 1\n[[conduit]]\nname = \"c\"\nfrom = \"office\"\nto = \"z\"\n".to_owned(),
                "policy.toml:5:6: unknown zone `z`",
            ),
        ] {
            let error = Source::parse(&text, "policy.toml", &plant).unwrap_err().to_string();
            assert_eq!(error, expected, "{text}");
        }
    }

    #[test]
    fn a_rule_reads_as_in_the_plant_file() {
        let rule = "[[rule]]\nname = \"r\"\neffect = \"forbid\"\nzones = [\"office\"]\nroles = [\"operator\"]\n\
                    principals = [\"anna\", \"10.0.0.0/8\"]\nverbs = [\"write\", \"read\"]\nsignals = [\"cell.*\"]\n\
                    range = [0.0, 1.0]\ncommands_per_minute = 3\nmodes = [\"run\"]\ntwo_person = true\n\
                    windows = [{ days = [\"mon\"], from = \"22:00\", to = \"06:00\" }]\n";
        let whole = Plant::parse(&format!("{PLANT}\n{rule}"), "plant.toml").unwrap();
        let plant = Plant::parse(PLANT, "plant.toml").unwrap();
        let source = Source::parse(&format!("format = 1\n{rule}"), "policy.toml", &plant).unwrap();
        assert_eq!(source.clauses.len(), 1);
        assert_eq!(source.clauses[0].rule, whole.rules[0]);
    }
}
