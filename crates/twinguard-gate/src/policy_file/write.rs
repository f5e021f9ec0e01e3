//! A policy as a file again.
//!
//! Source: TOML 1.0; values are written by the TOML crate, each on its line.

use core::fmt::Write as _;

use toml::Value;
use twinguard_twin::plant::{Effect, Verb, Window};
use twinguard_types::{Catalogue, Duration, Range, SignalId};

use super::DAYS;
use crate::policy::{Clause, GuardSpec, SecurityLevels, Source};

impl Source {
    /// The policy as a file: [`Source::parse`] about the same plant reads the same policy from it, places apart. What a plant file
    /// alone says, its parties and the values of its safe state, is not in it. Guards name their signals one by one.
    ///
    /// ```
    /// use twinguard_gate::policy::Source;
    /// use twinguard_twin::Plant;
    ///
    /// let plant = Plant::parse("format = 1\nname = \"p\"\n[[signal]]\npath = \"valve\"\nrole = \"actuator\"\n", "plant.toml")?;
    /// let text = "format = 1\n\n[[rule]]\nname = \"r\"\neffect = \"allow\"\nverbs = [\"write\"]\nsignals = [\"valve\"]\n";
    /// assert_eq!(Source::parse(text, "policy.toml", &plant)?.to_toml(&plant.catalogue), text);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_toml(&self, catalogue: &Catalogue) -> String {
        let mut out = Writer { text: "format = 1\n".to_owned() };
        for zone in &self.zones {
            out.section("zone", &zone.name);
            out.line("networks", texts(&zone.networks));
            out.some("assets", texts(&zone.assets));
            out.levels(&zone.target);
            out.flag("plain_text", zone.plain_text);
        }
        for conduit in &self.conduits {
            out.section("conduit", &conduit.name);
            out.line("from", conduit.from.as_str());
            out.line("to", conduit.to.as_str());
            out.levels(&conduit.target);
            out.flag("authenticated", conduit.authenticated);
            out.flag("encrypted", conduit.encrypted);
        }
        for pipeline in &self.pipelines {
            out.section("pipeline", &pipeline.name);
            out.line("from", pipeline.from.as_str());
            out.line("to", pipeline.to.as_str());
            out.line("protocol", pipeline.protocol.as_str());
            out.flag("authenticated", pipeline.authenticated);
            out.flag("encrypted", pipeline.encrypted);
            out.some("verbs", verbs(&pipeline.verbs));
        }
        self.clauses.iter().for_each(|clause| out.clause(clause));
        self.guards.iter().for_each(|guard| out.guard(guard, catalogue));
        out.text
    }
}

struct Writer {
    text: String,
}

impl Writer {
    fn section(&mut self, table: &str, name: &str) {
        let _ = write!(self.text, "\n[[{table}]]\n");
        self.line("name", name);
    }

    fn line(&mut self, key: &str, value: impl Into<Value>) {
        let _ = writeln!(self.text, "{key} = {}", value.into());
    }

    fn some(&mut self, key: &str, list: Vec<Value>) {
        if !list.is_empty() {
            self.line(key, list);
        }
    }

    fn flag(&mut self, key: &str, flag: bool) {
        if flag {
            self.line(key, true);
        }
    }

    fn optional(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }

    fn levels(&mut self, levels: &SecurityLevels) {
        if *levels != SecurityLevels::default() {
            self.line("security_level", levels.0.map(i64::from).to_vec());
        }
    }

    fn clause(&mut self, clause: &Clause) {
        let rule = &clause.rule;
        self.section("rule", &rule.name);
        self.line(
            "effect",
            match rule.effect {
                Effect::Allow => "allow",
                Effect::Forbid => "forbid",
            },
        );
        self.some("zones", texts(&rule.zones));
        self.some("roles", texts(&rule.roles));
        self.some("principals", [texts(&rule.principals), texts(&rule.networks)].concat());
        self.line("verbs", verbs(&rule.verbs));
        self.line("signals", texts(&rule.patterns));
        self.optional("range", rule.range.map(range));
        self.optional("commands_per_minute", rule.commands_per_minute);
        self.some("windows", windows(&rule.windows));
        self.some("modes", texts(&rule.modes));
        self.flag("two_person", rule.two_person);
        self.some("approvers", texts(&clause.approvers));
    }

    fn guard(&mut self, guard: &GuardSpec, catalogue: &Catalogue) {
        let path = |signal: SignalId| Value::from(catalogue.path(signal));
        self.section("guard", &guard.name);
        self.line("kind", guard.kind.as_str());
        self.some("signals", guard.signals.iter().map(|signal| path(*signal)).collect());
        self.optional("range", guard.range.map(range));
        let when = guard.when.iter().map(|condition| {
            let pair = [("signal", path(condition.signal)), ("range", range(condition.range).into())];
            Value::Table(pair.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
        });
        self.some("when", when.collect());
        self.optional("within_s", guard.within.map(Duration::as_secs_f64));
        self.optional("period_s", guard.period.map(Duration::as_secs_f64));
        self.optional("most", guard.most);
        self.optional("gain", guard.gain);
        self.some("windows", windows(&guard.windows));
        self.some("roles", texts(&guard.roles));
    }
}

fn texts(list: &[impl ToString]) -> Vec<Value> {
    list.iter().map(|text| Value::from(text.to_string())).collect()
}

fn verbs(list: &[Verb]) -> Vec<Value> {
    list.iter().map(|verb| Value::from(verb.word())).collect()
}

fn range(range: Range) -> Vec<f64> {
    vec![range.min(), range.max()]
}

fn windows(list: &[Window]) -> Vec<Value> {
    let minute = |minute: u16| Value::from(format!("{:02}:{:02}", minute / 60, minute % 60));
    let window = |window: &Window| {
        let mut pairs = toml::Table::new();
        if window.days != 0b111_1111 {
            let days = DAYS.iter().enumerate().filter(|(at, _)| window.days >> at & 1 == 1);
            pairs
                .insert("days".to_owned(), days.map(|(_, day)| Value::from(*day)).collect::<Vec<_>>().into());
        }
        pairs.insert("from".to_owned(), minute(window.from));
        pairs.insert("to".to_owned(), minute(window.to));
        Value::Table(pairs)
    };
    list.iter().map(window).collect()
}

#[cfg(test)]
mod tests {
    use twinguard_twin::Plant;

    use super::*;

    #[test]
    fn every_key_is_read_back() {
        let plant = "format = 1\nname = \"p\"\n[[signal]]\npath = \"a.valve\"\nrole = \"actuator\"\n[[signal]]\npath = \"a.flow\"\n\
                     [[principal]]\nname = \"anna\"\nroles = [\"operator\"]\n";
        let plant = Plant::parse(plant, "plant.toml").unwrap();
        let text = r#"
            format = 1
            [[zone]]
            name = "control"
            networks = ["10.0.0.0/24", "fd00::1"]
            assets = ["a.*"]
            security_level = [2, 2, 2, 2, 1, 1, 4]
            plain_text = true
            [[zone]]
            name = "a \"quoted\"\n\\ 'name' é"
            networks = []
            [[conduit]]
            name = "c"
            from = "control"
            to = "control"
            security_level = [0, 0, 0, 1, 0, 0, 0]
            authenticated = true
            encrypted = true
            [[pipeline]]
            name = "scada"
            from = "control"
            to = "control"
            protocol = "modbus"
            authenticated = true
            encrypted = true
            verbs = ["read", "configure"]
            [[rule]]
            name = "r"
            effect = "forbid"
            zones = ["control"]
            roles = ["operator", "it's"]
            principals = ["anna", "10.1.0.0/16", "fd00::/8"]
            verbs = ["read", "write", "configure"]
            signals = ["a.*", "*flow"]
            range = [-1e-300, 1.7976931348623157e308]
            commands_per_minute = 0.1
            windows = [{ days = ["mon", "sun"], from = "22:05", to = "06:00" }, { from = "00:00", to = "24:00" }]
            modes = ["run", ""]
            two_person = true
            approvers = ["supervisor"]
            [[guard]]
            kind = "interlock"
            name = "i"
            signals = ["a.valve"]
            range = [0.1, 1.0]
            when = [{ signal = "a.flow", range = [0.0, 0.5] }]
            windows = [{ days = ["tue"], to = "00:00" }]
            roles = ["fitter"]
            [[guard]]
            kind = "energy"
            name = "e"
            signals = ["*"]
            within_s = 0.1
            period_s = 86400
            most = 5
            gain = 0.3
        "#;
        let source = Source::parse(text, "policy.toml", &plant).unwrap();
        let written = source.to_toml(&plant.catalogue);
        let mut again = Source::parse(&written, "policy.toml", &plant)
            .unwrap_or_else(|error| panic!("{error}\n{written}"));
        let mut source = source;
        for policy in [&mut source, &mut again] {
            policy.zones.iter_mut().for_each(|it| it.place = None);
            policy.conduits.iter_mut().for_each(|it| it.place = None);
            policy.pipelines.iter_mut().for_each(|it| it.place = None);
            policy.clauses.iter_mut().for_each(|it| it.place = None);
            policy.guards.iter_mut().for_each(|it| it.place = None);
        }
        assert_eq!(again, source, "{written}");
        assert_eq!(again.to_toml(&plant.catalogue), written);
    }
}
