//! A campaign against a defender that knows addresses and digests alone: whole boards, without a guard.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Mutex;

use twinguard_protocol::{Item, Stack, stack};
use twinguard_redteam::campaign::{
    Board, Campaign, Cell, Key, Plan, Progress, Scribe, Search, Sight, Trainer, regression,
};
use twinguard_redteam::{Defender, Ground, Range, Reaction, Sample, Stimulus};
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

/// A plan of one plant with these lines more.
fn tank(more: &str) -> Plan {
    let text = format!(
        "format = 1\nplants = [\"quadruple_tank\"]\nseeds = 1\nlearn = 600\nbefore = 60\nattack = 240\nincidents = false\n{more}"
    );
    Plan::parse(&text, "plan.toml").unwrap()
}

#[test]
fn an_attack_that_waits_is_counted_from_where_it_begins() {
    // The porter says nothing, so that after 160 samples without a word the stranger writes.
    let (board, _) = run(tank("attacks = [\"command_injection\"]\ntrigger = \"silence 160\""), Vec::new());
    let cell = &board.cells[0];
    assert!(cell.launched && cell.detected, "{cell:?}");
    assert!(cell.ttd_s.is_some_and(|seconds| (0.0..5.0).contains(&seconds)), "{cell:?}");
    let (board, _) =
        run(tank("attacks = [\"command_injection\"]\ntrigger = \"tank1.level > 1e6\""), Vec::new());
    let cell = &board.cells[0];
    assert!(!cell.launched && !cell.detected && !cell.counts() && cell.impact == 0.0, "{cell:?}");
    let missing = Campaign::new(tank("attacks = [\"bias\"]\ntrigger = \"tank9.level > 1\"")).unwrap_err();
    assert!(missing.to_string().starts_with("plant `quadruple_tank` has no register"), "{missing}");
}

#[test]
fn a_variant_does_less_or_more_than_the_standard_aim() {
    let variant = |name: &str, size: f64| {
        format!(
            "[[variant]]\nname = \"{name}\"\nplant = \"quadruple_tank\"\nattack = \"hidden_command\"\n\
             sensor = \"tank1.level\"\nactuator = \"pump1.voltage\"\nsize = {size}\nstart = 40\nlength = 100\n"
        )
    };
    let plan = tank(&format!("attacks = []\n{}{}", variant("little", 0.001), variant("much", 1.0)));
    let (board, _) = run(plan, Vec::new());
    let names: Vec<&str> = board.cells.iter().map(|cell| cell.key.attack.as_str()).collect();
    assert_eq!(names, ["variant:little", "variant:much"]);
    assert!(board.cells[1].impact > 10.0 * board.cells[0].impact, "{:?}", board.cells);
    let judged: Vec<bool> = board.cells.iter().map(|cell| cell.detectable).collect();
    assert_eq!(judged, [false, true], "what is too small for the meters is not held against a defender");
}

#[derive(Default)]
struct Notes {
    frames: usize,
    labels: Vec<bool>,
}

struct Note<'a>(&'a Mutex<Notes>);

impl Scribe for Note<'_> {
    fn frame(&mut self, _: Timestamp, bytes: &[u8]) {
        assert!(bytes.len() >= 54, "Ethernet, IPv4 and TCP at least");
        self.0.lock().unwrap().frames += 1;
    }

    fn sample(&mut self, sample: &Sample, attacked: bool) {
        assert!(sample.signals.iter().any(|(_, spoken)| spoken.truth.is_some()));
        self.0.lock().unwrap().labels.push(attacked);
    }
}

#[test]
fn a_cell_can_be_taken_down_and_is_the_same_for_it() {
    static NOTES: Mutex<Notes> = Mutex::new(Notes { frames: 0, labels: Vec::new() });
    let plan = || tank("attacks = [\"bias\"]");
    let scribes = |key: &Key, _: &Ground| -> Option<Box<dyn Scribe>> {
        (key.attack == "bias").then(|| Box::new(Note(&NOTES)) as Box<dyn Scribe>)
    };
    let campaign = Campaign::new(plan()).unwrap();
    let noted = campaign.run_recorded(&School, Vec::new(), Vec::new(), &|_| {}, &scribes).unwrap();
    assert_eq!(text(&noted), text(&run(plan(), Vec::new()).0));
    let notes = NOTES.lock().unwrap();
    assert!(notes.frames > 2 * 300, "a request and a response each sample at least: {}", notes.frames);
    let labelled: Vec<usize> =
        notes.labels.iter().enumerate().filter(|(_, label)| **label).map(|(at, _)| at).collect();
    assert_eq!((notes.labels.len(), labelled.first(), labelled.len()), (300, Some(&60), 240));
}

#[test]
fn a_search_finds_what_the_porter_does_not_see() {
    let search = Search { runs: 24, keep: 2, checks: 2, ..Search::default() };
    let plan = || tank("attacks = [\"command_injection\", \"hidden_command\", \"scan\"]");
    let hunt = || Campaign::new(plan()).unwrap().search(&School, &search, &|_| {}).unwrap();
    let found = hunt();
    assert_eq!(found.len(), 1, "a stranger's writes are seen, a scan moves nothing: {found:?}");
    let first = &found[0];
    assert_eq!((first.variant.attack.as_str(), first.held.hits, first.held.of), ("hidden_command", 2, 2));
    assert!(first.impact > 0.3 && first.detectable, "{first:?}");
    assert_eq!(found, hunt(), "the same search, the same find");
    // Run again from the file it is the same attack with the same end.
    let again = Plan::parse(&regression(&plan(), &found).unwrap(), "found.toml").unwrap();
    let (board, _) = run(again, Vec::new());
    assert!(!board.cells[0].detected);
    assert_eq!(board.cells[0].impact, first.impact);
}
