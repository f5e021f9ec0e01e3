//! A plant as text again: what is parsed from it is the same plant.
//!
//! Source: TOML 1.0; numbers in the shortest form that reads back to the same bits.

use core::fmt::Write;

use twinguard_types::{
    Binding, ByteOrder, Direction, EdgeKind, Endpoint, PrincipalKind, Range, Role, TieKind,
};

use super::{
    Detection, Dynamics, Effect, Form, LimitKind, Network, Plant, Rule, TimeSettings, Verb, Window,
    schema::DAYS,
};
use crate::TimeBase;

pub(super) fn toml(plant: &Plant) -> String {
    let mut out = Writer { text: format!("format = {}\nname = {}\n", plant.format, quote(&plant.name)) };
    out.signals(plant);
    for binding in &plant.bindings {
        out.binding(plant, binding);
    }
    out.assets(plant);
    if let Some(dynamics) = &plant.dynamics {
        out.dynamics(plant, dynamics);
    } else if plant.learn_dynamics {
        out.section("[dynamics]");
        out.text("kind", "learnt");
    }
    for limit in &plant.limits {
        out.section("[[limit]]");
        out.text("signal", plant.catalogue.path(limit.signal));
        out.optional("min", limit.min);
        out.optional("max", limit.max);
        out.optional("rate", limit.rate);
        out.text(
            "kind",
            match limit.kind {
                LimitKind::NeverExceed => "never_exceed",
                LimitKind::Operating => "operating",
                LimitKind::Interlock => "interlock",
            },
        );
        out.optional("horizon_s", Some(limit.horizon.as_secs_f64()));
    }
    if !plant.safe_state.is_empty() {
        out.section("[safe_state]");
        for (signal, value) in &plant.safe_state {
            out.optional(&quote(plant.catalogue.path(*signal)), Some(*value));
        }
    }
    out.time(&plant.time);
    out.detection(&plant.detection);
    out.policy(plant);
    out.text
}

struct Writer {
    text: String,
}

/// A basic string on one line: the one form that is legal for values and for keys.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\u{0}'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// Shortest form that reads back to the same bits; TOML wants a digit before an exponent and a point or exponent.
fn float(value: f64) -> String {
    format!("{value:?}")
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
}

fn numbers(values: &[f64]) -> String {
    list(values, |value| float(*value))
}

fn range(range: Range) -> String {
    numbers(&[range.min(), range.max()])
}

impl Writer {
    fn section(&mut self, header: &str) {
        let _ = write!(self.text, "\n{header}\n");
    }

    fn raw(&mut self, key: &str, value: impl core::fmt::Display) {
        let _ = writeln!(self.text, "{key} = {value}");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.raw(key, quote(value));
    }

    fn optional(&mut self, key: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.raw(key, float(value));
        }
    }

    fn texts(&mut self, key: &str, values: &[impl AsRef<str>]) {
        if !values.is_empty() {
            self.raw(key, list(values, |value| quote(value.as_ref())));
        }
    }

    fn networks(&mut self, key: &str, networks: &[Network]) {
        let networks: Vec<String> = networks.iter().map(Network::to_string).collect();
        self.texts(key, &networks);
    }

    fn signals(&mut self, plant: &Plant) {
        for (_, signal) in plant.catalogue.iter() {
            self.section("[[signal]]");
            self.text("path", &signal.path);
            if !signal.unit.is_empty() {
                self.text("unit", &signal.unit);
            }
            self.text(
                "role",
                match signal.role {
                    Role::Measurement => "measurement",
                    Role::Actuator => "actuator",
                    Role::Setpoint => "setpoint",
                    Role::Parameter => "parameter",
                },
            );
            if let Some(own) = signal.range {
                self.raw("range", range(own));
            }
            self.optional("rate", signal.rate);
            self.optional("sigma", signal.sigma);
        }
    }

    fn binding(&mut self, plant: &Plant, binding: &Binding) {
        self.section("[[point]]");
        self.text("signal", plant.catalogue.path(binding.signal));
        self.text("protocol", binding.family.as_str());
        match binding.endpoint {
            Endpoint::Socket(socket) => self.text("endpoint", &socket.to_string()),
            Endpoint::Host(host) => self.text("endpoint", &host.to_string()),
            Endpoint::Mac(mac) => self.text("endpoint", &mac.to_string()),
            Endpoint::Any => {}
        }
        self.text("tag", &binding.tag);
        self.text("type", &binding.encoding.to_string());
        if binding.order != ByteOrder::default() {
            self.text("order", &binding.order.to_string());
        }
        self.optional("scale", Some(binding.scale).filter(|scale| *scale != 1.0));
        self.optional("offset", Some(binding.offset).filter(|offset| *offset != 0.0));
        if binding.direction == Direction::Write {
            self.text("direction", "write");
        }
    }

    fn assets(&mut self, plant: &Plant) {
        let catalogue = &plant.catalogue;
        for (index, asset) in
            (0..).map_while(|index| Some((index, catalogue.asset(twinguard_types::AssetId(index))?)))
        {
            self.section("[[asset]]");
            self.text("path", &asset.path);
            let kinds = [EdgeKind::Contains, EdgeKind::Feeds, EdgeKind::Controls];
            for (key, kind) in ["contains", "feeds", "controls"].into_iter().zip(kinds) {
                let edges = catalogue.edges().iter().filter(|edge| edge.from.0 == index && edge.kind == kind);
                let targets: Vec<&str> =
                    edges.filter_map(|edge| Some(&*catalogue.asset(edge.to)?.path)).collect();
                self.texts(key, &targets);
            }
            for (key, kind) in [("measures", TieKind::Measures), ("commands", TieKind::Commands)] {
                let ties = catalogue.ties().iter().filter(|tie| tie.asset.0 == index && tie.kind == kind);
                let signals: Vec<&str> = ties.map(|tie| catalogue.path(tie.signal)).collect();
                self.texts(key, &signals);
            }
        }
    }

    /// A text as a list of its lines.
    fn lines(&mut self, key: &str, text: &str) {
        let lines: Vec<String> = text.split('\n').map(|line| format!("    {},\n", quote(line))).collect();
        self.raw(key, format!("[\n{}]", lines.concat()));
    }

    fn dynamics(&mut self, plant: &Plant, dynamics: &Dynamics) {
        self.section("[dynamics]");
        let discrete = |base| match base {
            TimeBase::Continuous => None,
            TimeBase::Discrete { step_s } => Some(step_s),
        };
        let model = &*dynamics.model;
        match &dynamics.form {
            Form::BuiltIn { name, .. } => self.text("model", name),
            Form::Equations(source) => {
                let period = discrete(source.base);
                self.text("kind", if period.is_some() { "difference" } else { "differential" });
                self.optional("sampling_s", period);
                self.lines("equations", &source.text);
            }
            Form::Water(source) => {
                self.text("kind", "water");
                self.optional("sampling_s", Some(source.step_s));
                self.lines("network", &source.network);
            }
            Form::Linear(matrices) => {
                self.text("kind", "linear");
                self.optional("sampling_s", discrete(matrices.base));
                let all = [("A", &matrices.a), ("B", &matrices.b), ("C", &matrices.c), ("D", &matrices.d)];
                for (key, rows) in all.into_iter().filter(|(_, rows)| !rows.is_empty()) {
                    self.raw(key, list(rows, |row| numbers(row)));
                }
                let point = [("x", &matrices.x0), ("u", &matrices.u0), ("y", &matrices.y0)];
                let point = point.into_iter().filter(|(_, values)| !values.is_empty());
                let point: Vec<String> =
                    point.map(|(key, values)| format!("{key} = {}", numbers(values))).collect();
                if !point.is_empty() {
                    self.raw("operating_point", format!("{{ {} }}", point.join(", ")));
                }
            }
        }
        if model.time_base() == TimeBase::Continuous {
            self.optional("step_s", Some(dynamics.step.as_secs_f64()));
        }
        let parameters = match &dynamics.form {
            Form::BuiltIn { parameters, .. } => parameters.as_slice(),
            Form::Equations(source) => &source.parameters,
            Form::Linear(_) | Form::Water(_) => &[],
        };
        if !parameters.is_empty() {
            self.section("[dynamics.parameters]");
        }
        for (name, value) in parameters {
            let index = model.parameters().iter().position(|(known, _)| known == name);
            let sigma = index.and_then(|index| dynamics.parameter_sigma.get(index)).copied().unwrap_or(0.0);
            let value = float(*value);
            if sigma > 0.0 {
                self.raw(&quote(name), format!("{{ value = {value}, sigma = {} }}", float(sigma)));
            } else {
                self.raw(&quote(name), value);
            }
        }
        let at = |values: &[f64], index: usize| float(values.get(index).copied().unwrap_or_default());
        let path = |signals: &[Option<twinguard_types::SignalId>], index: usize| {
            let signal = signals.get(index).copied().flatten();
            signal.map_or(String::new(), |id| format!("signal = {}, ", quote(plant.catalogue.path(id))))
        };
        self.section("[dynamics.states]");
        for (index, name) in model.state_names().iter().enumerate() {
            let (initial, sigma) = (at(&dynamics.initial_state, index), at(&dynamics.initial_sigma, index));
            let process = at(&dynamics.process_sigma, index);
            let said = format!("{{ initial = {initial}, sigma = {sigma}, process_sigma = {process} }}");
            self.raw(&quote(name), said);
        }
        self.section("[dynamics.inputs]");
        for (index, name) in model.input_names().iter().enumerate() {
            let (signal, default) = (path(&dynamics.inputs, index), at(&dynamics.input_defaults, index));
            let sigma = at(&dynamics.input_sigma, index);
            self.raw(&quote(name), format!("{{ {signal}default = {default}, sigma = {sigma} }}"));
        }
        self.section("[dynamics.outputs]");
        for (index, name) in model.output_names().iter().enumerate() {
            let (signal, sigma) = (path(&dynamics.outputs, index), at(&dynamics.output_sigma, index));
            self.raw(&quote(name), format!("{{ {signal}sigma = {sigma} }}"));
        }
    }

    fn time(&mut self, time: &TimeSettings) {
        self.section("[time]");
        self.text("zone", &time.zone);
        self.optional("sampling_s", Some(time.sampling.as_secs_f64()));
        self.optional("stale_s", time.stale.map(|stale| stale.as_secs_f64()));
        self.optional("lateness_s", Some(time.lateness.as_secs_f64()));
    }

    fn detection(&mut self, detection: &Detection) {
        self.section("[detection]");
        self.optional("false_alarms_per_day", Some(detection.false_alarms_per_day));
        self.texts("detectors", &detection.detectors);
        if detection.learn_first.is_some() || detection.learn_from.is_some() {
            self.section("[detection.learn]");
            self.optional("first_s", detection.learn_first.map(|first| first.as_secs_f64()));
            if let Some(history) = &detection.learn_from {
                self.text("history", history);
            }
        }
    }

    fn policy(&mut self, plant: &Plant) {
        for zone in &plant.zones {
            self.section("[[zone]]");
            self.text("name", &zone.name);
            self.raw("networks", list(&zone.networks, |network| quote(&network.to_string())));
        }
        for party in &plant.parties {
            self.section("[[principal]]");
            self.text("name", &party.principal.name);
            let kind = match party.principal.kind {
                PrincipalKind::User => Some("user"),
                PrincipalKind::Service => Some("service"),
                PrincipalKind::Device => Some("device"),
                PrincipalKind::Guard => Some("guard"),
                _ => None,
            };
            if let Some(kind) = kind {
                self.text("kind", kind);
            }
            self.networks("addresses", &party.networks);
            self.texts("roles", &party.principal.roles);
        }
        for rule in &plant.rules {
            self.rule(rule);
        }
    }

    fn rule(&mut self, rule: &Rule) {
        self.section("[[rule]]");
        self.text("name", &rule.name);
        self.text("effect", if rule.effect == Effect::Forbid { "forbid" } else { "allow" });
        self.texts("zones", &rule.zones);
        self.texts("roles", &rule.roles);
        let networks = rule.networks.iter().map(Network::to_string);
        let principals: Vec<String> = rule.principals.iter().cloned().chain(networks).collect();
        self.texts("principals", &principals);
        let verb = |verb: &Verb| match verb {
            Verb::Read => "\"read\"".to_owned(),
            Verb::Write => "\"write\"".to_owned(),
            Verb::Configure => "\"configure\"".to_owned(),
        };
        self.raw("verbs", list(&rule.verbs, verb));
        self.raw("signals", list(&rule.patterns, |pattern| quote(pattern)));
        if let Some(own) = rule.range {
            self.raw("range", range(own));
        }
        self.optional("commands_per_minute", rule.commands_per_minute);
        if !rule.windows.is_empty() {
            let window = |window: &Window| {
                let days: Vec<&str> = DAYS
                    .into_iter()
                    .enumerate()
                    .filter(|(day, _)| window.days >> day & 1 == 1)
                    .map(|(_, name)| name)
                    .collect();
                let time = |minute: u16| format!("\"{:02}:{:02}\"", minute / 60, minute % 60);
                let days = list(&days, |day| quote(day));
                format!("{{ days = {days}, from = {}, to = {} }}", time(window.from), time(window.to))
            };
            self.raw("windows", list(&rule.windows, window));
        }
        self.texts("modes", &rule.modes);
        if rule.two_person {
            self.raw("two_person", true);
        }
    }
}
