//! A decision of the gate: 1 000 signals, 100 and 10 000 rules, guards, no what-if; sender and policy known.
//!
//! `cargo bench -p benches --bench gate`; with `--features peers` Cedar, casbin and regorus are asked the same under the same
//! rules, in the same run. Criterion's mean comes with the quantiles of single decisions, each timed alone (the clock costs some
//! 20 to 40 ns of it). The peers have the rules alone; the gate has its guards, rates and hours beside them.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stdout
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use twinguard::gate::policy::Source;
use twinguard::gate::{Asking, Gate, GateConfig};
use twinguard::twin::Plant;
use twinguard::types::{
    Command, CommandId, CommandOrigin, Decision, Duration, Principal, PrincipalId, SignalId, Timestamp, Value,
};

#[cfg(feature = "peers")]
mod peers;

const SIGNALS: u32 = 1_000;
/// Who asks, and in which role.
const ASKERS: [(&str, Option<u32>); 3] = [("anna", Some(0)), ("ben", Some(42)), ("carl", None)];

fn cell(signal: u32) -> u32 {
    signal / 10
}

fn path(signal: u32) -> String {
    format!("cell{}.valve{signal}", cell(signal))
}

/// A rule about one role, one cell and a range of values in thousandths.
struct Rule {
    allow: bool,
    role: u32,
    cell: u32,
    low: i32,
    high: i32,
}

/// Nine of ten allow, spread evenly over the cells and, beyond a hundred, over the roles.
fn rules(count: u32) -> Vec<Rule> {
    let rule = |at: u32| Rule { allow: at % 10 != 9, role: at / 100, cell: at % 100, low: 0, high: 1_000 };
    (0..count).map(rule).collect()
}

/// What is asked.
#[derive(Clone, Copy)]
struct Ask {
    asker: usize,
    signal: u32,
    thousandths: i32,
}

/// One of five is refused for its value.
fn ask(count: u64) -> Ask {
    let thousandths = if count % 5 == 4 { 2_000 } else { (count % 3) as i32 * 100 };
    Ask { asker: 0, signal: (count * 7 % u64::from(SIGNALS)) as u32, thousandths }
}

fn gate(rules: &[Rule]) -> Gate {
    let mut plant = "format = 1\nname = \"p\"\n".to_owned();
    for signal in 0..SIGNALS {
        write!(plant, "[[signal]]\npath = \"{}\"\nrole = \"actuator\"\n", path(signal)).unwrap();
    }
    let plant = Plant::parse(&plant, "plant.toml").unwrap();
    let mut policy = "format = 1\n".to_owned();
    for (at, rule) in rules.iter().enumerate() {
        let effect = if rule.allow { "allow" } else { "forbid" };
        writeln!(
            policy,
            "[[rule]]\nname = \"rule {at}\"\neffect = \"{effect}\"\nroles = [\"role{}\"]\nsignals = [\"cell{}.*\"]\n\
             range = [{:?}, {:?}]\ncommands_per_minute = 60000000\nwindows = [{{ from = \"00:00\", to = \"24:00\" }}]",
            rule.role,
            rule.cell,
            f64::from(rule.low) / 1e3,
            f64::from(rule.high) / 1e3
        )
        .unwrap();
    }
    policy.push_str(
        "[[guard]]\nkind = \"cumulative\"\nname = \"c\"\nsignals = [\"*\"]\nmost = 5\nwithin_s = 60\n\
         [[guard]]\nkind = \"freshness\"\nname = \"f\"\nsignals = [\"*\"]\nwithin_s = 5\n\
         [[guard]]\nkind = \"travel\"\nname = \"t\"\nsignals = [\"*\"]\nmost = 1e12\nperiod_s = 60\n",
    );
    let source = Source::parse(&policy, "policy.toml", &plant).unwrap();
    Gate::with_policy(&plant, GateConfig::default(), source).unwrap()
}

struct Asker {
    gate: Gate,
    who: Vec<Principal>,
    count: u64,
    now: Timestamp,
    /// Between two commands.
    pause: Duration,
}

impl Asker {
    fn new(rules: &[Rule], pause: Duration) -> Self {
        let who = ASKERS.iter().map(|(name, role)| {
            role.iter().fold(Principal::new(*name), |who, role| who.role(format!("role{role}")))
        });
        Self { gate: gate(rules), who: who.collect(), count: 0, now: Timestamp::from_secs(1), pause }
    }

    fn decide(&mut self, ask: Ask) -> Decision {
        self.count += 1;
        self.now = self.now + self.pause;
        let command = Command {
            id: CommandId(self.count),
            principal: PrincipalId(3),
            signal: SignalId(ask.signal),
            value: Value::real(f64::from(ask.thousandths) / 1e3).unwrap(),
            at: self.now,
            origin: CommandOrigin::Platform,
            from: None,
        };
        let asking = Asking { sequence: Some(self.count), ..Asking::of(&self.who[ask.asker]) };
        self.gate.judge(self.now, &command, &asking, None).decision
    }

    fn ask(&mut self) -> Decision {
        self.decide(ask(self.count))
    }
}

/// Quantiles of so many calls, or of those that fit into five seconds.
fn quantiles(name: &str, rules: usize, most: usize, mut call: impl FnMut()) {
    let begun = Instant::now();
    let mut times: Vec<u64> = Vec::with_capacity(most);
    while times.len() < most && begun.elapsed().as_secs() < 5 {
        let begun = Instant::now();
        call();
        times.push(begun.elapsed().as_nanos() as u64);
    }
    times.sort_unstable();
    let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize];
    println!(
        "gate/decision/{rules} rules/{name}: p50 {} ns, p99 {} ns, p99.9 {} ns of {}",
        at(0.5),
        at(0.99),
        at(0.999),
        times.len()
    );
}

fn decisions(c: &mut Criterion) {
    // As a test it only has to run.
    let most = if std::env::args().any(|it| it == "--bench") { 200_000 } else { 100 };
    let mut group = c.benchmark_group("gate/decision");
    group.throughput(Throughput::Elements(1));
    for count in [100, 10_000] {
        let rules = rules(count);
        let mut asker = Asker::new(&rules, Duration::from_micros(1));
        let allowed = (0..10_000).filter(|_| asker.ask() == Decision::Allow).count();
        assert!((1_000..9_500).contains(&allowed), "{allowed} of 10 000 allowed");
        quantiles("twinguard", rules.len(), most, || {
            black_box(asker.ask());
        });
        group.bench_function(format!("{count}_rules/twinguard"), |b| b.iter(|| asker.ask()));
        #[cfg(feature = "peers")]
        beside(&mut group, &rules, most);
    }
}

/// The peers: first whether they decide as the gate does, then how fast.
#[cfg(feature = "peers")]
fn beside(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    rules: &[Rule],
    most: usize,
) {
    // With an hour between two commands no guard has anything to say, and the rules decide alone.
    let mut asker = Asker::new(rules, Duration::from_secs(3_600));
    let sample = (0..600_u32).map(|at| Ask {
        asker: at as usize % ASKERS.len(),
        signal: at * 367 % SIGNALS,
        thousandths: [0, 500, 1_000, 1_001, -1][at as usize / 3 % 5],
    });
    let sample: Vec<_> = sample.collect();
    let ours: Vec<_> = sample.iter().map(|ask| asker.decide(*ask) == Decision::Allow).collect();
    let allowed = ours.iter().filter(|allowed| **allowed).count();
    assert!((60..540).contains(&allowed), "{allowed} of {} allowed", ours.len());
    for mut peer in peers::all(rules, &sample) {
        for (at, expected) in ours.iter().enumerate() {
            assert_eq!(peer.allows(at), *expected, "{} on request {at}", peer.name());
        }
    }

    let asked: Vec<_> = (0..u64::from(SIGNALS) * 15).map(ask).collect();
    for mut peer in peers::all(rules, &asked) {
        let name = peer.name();
        let mut next = (0..asked.len()).cycle();
        let mut call = || {
            black_box(peer.allows(next.next().unwrap_or_default()));
        };
        quantiles(name, rules.len(), most, &mut call);
        group.bench_function(format!("{}_rules/{name}", rules.len()), |b| b.iter(&mut call));
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
