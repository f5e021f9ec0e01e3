//! Bank and judge together on a simulated plant: who is named, when, and how often for nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "plant/mod.rs"]
mod plant;

use plant::Plant;
use twinguard_anomaly::{Asked, Bank, Judge, JudgeConfig, registry};
use twinguard_types::{Event, Finding, FindingKind, FindingState, Suspect, View};

struct Guard {
    bank: Bank,
    judge: Judge,
    findings: Vec<Finding>,
}

impl Guard {
    fn learn(plant: &mut Plant, seconds: usize) -> Self {
        let recording = plant.run(seconds);
        let catalogue = plant::catalogue();
        let bank = Bank::fit(registry::all(), &recording.history(), &catalogue, &Asked::default()).unwrap();
        let judge = Judge::new(JudgeConfig::default(), &bank, &catalogue);
        Self { bank, judge, findings: Vec::new() }
    }

    fn handle(&mut self, event: &Event<'_>) {
        self.judge.note(event);
        let judge = &mut self.judge;
        self.bank.observe(event, |seen| judge.weigh(seen));
        self.findings.extend(judge.poll(event.at()));
    }

    fn run(&mut self, plant: &mut Plant, seconds: usize) {
        for _ in 0..seconds {
            plant.step(|event| self.handle(event));
        }
    }

    fn last(&self) -> &Finding {
        self.findings.last().expect("a finding")
    }
}

#[test]
fn the_main_scenario_accuses_replay_and_command_path_and_never_the_plant() {
    for seed in 0..3 {
        let mut plant = Plant::new(100 + seed);
        let mut guard = Guard::learn(&mut plant, 8_000);
        guard.run(&mut plant, 600);
        assert!(guard.findings.is_empty(), "seed {seed}: {:#?}", guard.findings);
        let start = plant.now();
        plant.replay(1200);
        plant.intruder = Some(0.05);
        guard.run(&mut plant, 160);
        let first = &guard.findings[0];
        assert!(
            (first.raised_at - start).as_secs_f64() <= 30.0,
            "raised after {:?}",
            first.raised_at - start
        );
        for finding in &guard.findings {
            assert!(!finding.suspect_set.contains(&Suspect::Fault), "{finding:#?}");
        }
        let by_then = |finding: &&Finding| (finding.at - first.raised_at).as_secs_f64() <= 101.0;
        let named = guard.findings.iter().rfind(by_then).unwrap();
        assert_eq!(named.suspect_set, [Suspect::CommandPath, Suspect::Network], "{named:#?}");
        assert_eq!(named.kind, FindingKind::Attack);
        assert!((start - named.onset).as_secs_f64().abs() < 15.0);
        assert!(named.title.chars().count() <= 60);
        assert!(guard.findings.iter().all(|finding| finding.id == first.id), "one incident, one finding");
        let revisions: Vec<u32> = guard.findings.iter().map(|finding| finding.revision).collect();
        assert!(revisions.iter().enumerate().all(|(k, revision)| *revision == k as u32), "{revisions:?}");
        if seed == 0 {
            println!("{named:#?}");
        }
    }
}

fn main_suspect(seed: u64, harm: impl FnOnce(&mut Plant), seconds: usize) -> Finding {
    let mut plant = Plant::new(seed);
    let mut guard = Guard::learn(&mut plant, 8_000);
    guard.run(&mut plant, 300);
    assert!(guard.findings.is_empty(), "{:#?}", guard.findings);
    harm(&mut plant);
    guard.run(&mut plant, seconds);
    guard.last().clone()
}

#[test]
fn each_harm_is_laid_at_the_right_door() {
    let sensor = main_suspect(7, |plant| plant.bias[0] = 4.0, 200);
    assert!(sensor.suspect_set.contains(&Suspect::Sensor), "{sensor:#?}");
    let frozen = main_suspect(8, |plant| plant.freeze(3), 200);
    assert_eq!(frozen.suspect, Suspect::Sensor);
    assert_eq!(frozen.suspect_element.as_deref(), Some("flow"));
    let display = main_suspect(9, |plant| plant.display_frozen = true, 200);
    assert_eq!(display.suspect, Suspect::Twin, "{display:#?}");
    let network = main_suspect(10, |plant| plant.latency *= 3.0, 200);
    assert_eq!(network.suspect, Suspect::Network, "{network:#?}");
    let writer = main_suspect(11, |plant| plant.intruder = Some(0.45), 100);
    assert_eq!(writer.suspect, Suspect::CommandPath);
    assert_eq!(writer.suspect_element.as_deref(), Some("10.0.0.66"));
    for finding in [sensor, frozen, display, network, writer] {
        let sum: f64 = finding.confidence.iter().map(|it| it.probability).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert!(!finding.evidence.is_empty() && finding.inputs_count > 0 && !finding.summary.is_empty());
        assert_eq!(finding.missing, [View::Access]);
    }
}

#[test]
fn a_load_change_is_no_attack() {
    for seed in 0..4 {
        let mut plant = Plant::new(300 + seed);
        let mut guard = Guard::learn(&mut plant, 8_000);
        plant.load_step = 0.15;
        guard.run(&mut plant, 3_000);
        for finding in &guard.findings {
            assert_ne!(finding.kind, FindingKind::Attack, "{finding:#?}");
        }
    }
}

#[test]
fn an_incident_closes_after_quiet() {
    let mut plant = Plant::new(20);
    let mut guard = Guard::learn(&mut plant, 8_000);
    plant.freeze(3);
    guard.run(&mut plant, 60);
    plant.heal();
    guard.run(&mut plant, 700);
    assert_eq!(guard.last().state, FindingState::Closed, "{:#?}", guard.last());
    assert!(!guard.judge.is_open());
}

#[test]
fn normal_running_is_quiet() {
    // 12 plants, six hours of history each, then an hour: at 0.1 a day, 0.05 alarms are expected
    let mut alarms = Vec::new();
    for seed in 0..12 {
        let mut plant = Plant::new(500 + seed);
        let mut guard = Guard::learn(&mut plant, 21_600);
        guard.run(&mut plant, 3_600);
        if let Some(finding) = guard.findings.first() {
            alarms.push((seed, format!("{:?}", finding.evidence), format!("{:?}", guard.bank.calibration())));
        }
    }
    assert!(alarms.len() <= 1, "{alarms:#?}");
}
