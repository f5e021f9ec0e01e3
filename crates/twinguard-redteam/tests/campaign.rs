//! A campaign against a defender that knows addresses and digests alone: whole boards, without a guard.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Mutex;

use twinguard_protocol::{Item, Stack, stack};
use twinguard_redteam::campaign::{Board, Campaign, Cell, Plan, Progress, Sight, Trainer};
use twinguard_redteam::{Defender, Ground, Range, Reaction, Stimulus};
use twinguard_types::{
    Confidence, Digest, Finding, FindingId, FindingKind, FindingState, Severity, SignalId, Suspect, Timestamp,
};

/// Raises one finding when somebody speaks whom the history does not know.
#[derive(Debug)]
struct Porter {
    stack: Stack,
    known: BTreeSet<IpAddr>,
    learning: bool,
    waiting: Vec<Reaction>,
    raised: bool,
}

impl Porter {
    fn new(known: BTreeSet<IpAddr>, learning: bool) -> Self {
        Self {
            stack: Stack::new(stack::Config::default()),
            known,
            learning,
            waiting: Vec::new(),
            raised: false,
        }
    }
}

fn finding(at: Timestamp) -> Finding {
    Finding {
        id: FindingId(1),
        revision: 0,
        at,
        raised_at: at,
        onset: at,
        severity: Severity::High,
        title: "A stranger speaks".to_owned(),
        summary: String::new(),
        suspect: Suspect::Identity,
        suspect_element: None,
        suspect_set: vec![Suspect::Identity],
        kind: FindingKind::Attack,
        confidence: vec![Confidence { suspect: Suspect::Identity, probability: 0.9 }],
        surprise: 9.0,
        threshold: 6.0,
        attribution: Vec::new(),
        evidence: Vec::new(),
        reasons: Vec::new(),
        techniques: Vec::new(),
        next_step: String::new(),
        missing: Vec::new(),
        inputs: Digest::default(),
        inputs_count: 0,
        state: FindingState::Open,
    }
}

impl Defender for Porter {
    type Error = Infallible;

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), Infallible> {
        let Stimulus::Frame(frame) = stimulus else { return Ok(()) };
        self.stack.handle(frame);
        while let Some(item) = self.stack.poll() {
            let Item::Exchange(exchange) = item else { continue };
            let client = exchange.client.ip();
            if self.learning {
                self.known.insert(client);
            } else if !self.known.contains(&client) && !std::mem::replace(&mut self.raised, true) {
                self.waiting.push(Reaction::Finding(finding(now)));
            }
        }
        Ok(())
    }

    fn poll(&mut self) -> Option<Reaction> {
        self.waiting.pop()
    }

    fn estimate(&self, _signal: SignalId) -> Option<(f64, f64)> {
        None
    }
}

struct School;

impl Trainer for School {
    type Defender = Porter;
    type Learnt = BTreeSet<IpAddr>;

    fn learn(
        &self,
        _: &Ground,
        _: Sight,
        history: &mut Range,
        samples: u64,
    ) -> Result<BTreeSet<IpAddr>, String> {
        let mut porter = Porter::new(BTreeSet::new(), true);
        for _ in 0..samples {
            history.step(&mut porter).map_err(|error| error.to_string())?;
        }
        Ok(porter.known)
    }

    fn defender(&self, _: &Ground, _: Sight, learnt: &BTreeSet<IpAddr>) -> Result<Porter, String> {
        Ok(Porter::new(learnt.clone(), false))
    }
}

fn plan() -> Plan {
    let text = r#"
format = 1
plants = ["quadruple_tank", "conveyor"]
attacks = ["bias", "command_injection", "scan", "covert", "mode_change"]
seeds = 2
learn = 2000
before = 60
attack = 240
quiet = 300
"#;
    Plan::parse(text, "plan.toml").unwrap()
}

fn run(plan: Plan, done: Vec<Cell>) -> (Board, Vec<Cell>) {
    let fresh = Mutex::new(Vec::new());
    let board = Campaign::new(plan)
        .unwrap()
        .run(&School, done, Vec::new(), &|progress| {
            if let Progress::Cell(cell) = progress {
                fresh.lock().unwrap().push(cell.clone());
            }
        })
        .unwrap();
    (board, fresh.into_inner().unwrap())
}

fn text(board: &Board) -> String {
    serde_json::to_string(board).unwrap()
}

#[test]
fn a_board_repeats_whether_made_at_once_or_taken_up_again() {
    let (whole, cells) = run(plan(), Vec::new());
    let half: Vec<Cell> = cells.iter().take(cells.len() / 2).cloned().collect();
    // As a file keeps them.
    let half = half.iter().map(|cell| serde_json::from_str(&serde_json::to_string(cell).unwrap()).unwrap());
    let (again, fresh) = run(plan(), half.collect());
    assert_eq!(fresh.len(), cells.len() - cells.len() / 2, "what was done is not done again");
    assert_eq!(text(&whole), text(&again));
}

#[cfg(feature = "rayon")]
#[test]
fn a_board_is_the_same_on_any_number_of_threads() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| text(&run(plan(), Vec::new()).0))
    };
    let one = on(1);
    assert!([2, 5].into_iter().all(|threads| on(threads) == one));
}

#[test]
fn cells_say_what_was_declared_and_what_came() {
    let (board, _) = run(plan(), Vec::new());
    let cells = |attack: &str| {
        board.cells.iter().filter(|cell| cell.key.attack == attack).cloned().collect::<Vec<Cell>>()
    };
    let seen = cells("command_injection");
    assert_eq!(seen.len(), 4);
    for cell in &seen {
        assert!(cell.detected && cell.feasible && cell.detectable, "{cell:?}");
        assert!(cell.ttd_s.is_some_and(|seconds| seconds < 5.0), "{cell:?}");
        assert_eq!((cell.suspect, cell.kind), (Some(Suspect::Identity), Some(FindingKind::Attack)));
        assert!(cell.max_deviation > 0.0);
    }
    assert!(
        cells("bias").iter().all(|cell| !cell.detected && cell.missed.is_some()),
        "the porter reads no values"
    );
    assert!(cells("covert").iter().all(|cell| cell.feasible && !cell.detectable && cell.missed.is_none()));
    assert!(cells("mode_change").iter().all(|cell| !cell.feasible && !cell.detected));
    let summary = &board.summaries[0];
    assert_eq!((summary.detected.hits, summary.detected.of), (8, 12), "injection and scan of three");
    assert_eq!(summary.undetectable_with_finding.hits, 0);
    assert_eq!((summary.party_right.hits, summary.party_right.of), (8, 8));
    assert_eq!(board.quiet.len(), 2);
    assert!(board.quiet.iter().all(|quiet| quiet.alarms == 0));
    assert!(
        board
            .cells
            .iter()
            .any(|cell| cell.key.attack == "fault:leak" && cell.kind_true == FindingKind::Fault)
    );
    // Whoever writes 9 V to a pump overflows a tank.
    let tank = seen.iter().find(|cell| cell.key.plant == "quadruple_tank").unwrap();
    assert!(tank.damage_s.is_some_and(|seconds| seconds < 120.0), "{tank:?}");
    assert_eq!(tank.damage_prevented, Some(0.0), "and the porter does nothing about it");
}
