//! A decision of the gate: 1 000 signals, 100 and 10 000 rules, guards, no what-if; sender and policy known.
//!
//! `cargo bench -p benches --bench gate`. Criterion's mean comes with the quantiles of 200 000 single decisions, each timed
//! alone (the clock costs some 20 to 40 ns of it).
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

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

const SIGNALS: u32 = 1_000;

fn gate(rules: usize) -> Gate {
    let mut plant = "format = 1\nname = \"p\"\n".to_owned();
    for signal in 0..SIGNALS {
        write!(plant, "[[signal]]\npath = \"cell{}.valve{signal}\"\nrole = \"actuator\"\n", signal / 10)
            .unwrap();
    }
    let plant = Plant::parse(&plant, "plant.toml").unwrap();
    let mut policy = "format = 1\n".to_owned();
    for rule in 0..rules {
        // Nine of ten allow, each for one role, one cell and a range; the signals are spread evenly.
        let effect = if rule % 10 == 9 { "forbid" } else { "allow" };
        writeln!(
            policy,
            "[[rule]]\nname = \"rule {rule}\"\neffect = \"{effect}\"\nroles = [\"role{}\"]\nsignals = [\"cell{}.*\"]\n\
             range = [0.0, 1.0]\ncommands_per_minute = 60000000\nwindows = [{{ from = \"00:00\", to = \"24:00\" }}]",
            rule / 100,
            rule % 100
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
    who: Principal,
    count: u64,
}

impl Asker {
    fn new(rules: usize) -> Self {
        Self { gate: gate(rules), who: Principal::new("anna").role("role0"), count: 0 }
    }

    /// One decision; one of five commands is refused.
    fn ask(&mut self) -> Decision {
        self.count += 1;
        let now = Timestamp::from_secs(1) + Duration::from_micros(self.count as i64);
        let value = if self.count % 5 == 4 { 2.0 } else { (self.count % 3) as f64 * 0.1 };
        let command = Command {
            id: CommandId(self.count),
            principal: PrincipalId(3),
            signal: SignalId((self.count * 7 % u64::from(SIGNALS)) as u32),
            value: Value::real(value).unwrap(),
            at: now,
            origin: CommandOrigin::Platform,
            from: None,
        };
        let asking = Asking { sequence: Some(self.count), ..Asking::of(&self.who) };
        self.gate.judge(now, &command, &asking, None).decision
    }
}

fn decisions(c: &mut Criterion) {
    let mut group = c.benchmark_group("gate/decision");
    group.throughput(Throughput::Elements(1));
    for rules in [100, 10_000] {
        let mut asker = Asker::new(rules);
        let allowed = (0..10_000).filter(|_| asker.ask() == Decision::Allow).count();
        assert!((1_000..9_500).contains(&allowed), "{allowed} of 10 000 allowed");
        let mut times: Vec<u64> = (0..200_000)
            .map(|_| {
                let begun = Instant::now();
                black_box(asker.ask());
                begun.elapsed().as_nanos() as u64
            })
            .collect();
        times.sort_unstable();
        let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize];
        println!(
            "gate/decision/{rules} rules: p50 {} ns, p99 {} ns, p99.9 {} ns",
            at(0.5),
            at(0.99),
            at(0.999)
        );
        group.bench_function(format!("{rules}_rules"), |b| b.iter(|| asker.ask()));
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
