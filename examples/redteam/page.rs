//! The board as files: a page, its JSON twin, a layer for ATT&CK Navigator.

use std::collections::BTreeMap;
use std::fs::{create_dir_all, write as write_file};
use std::path::Path;

use anyhow::{Context, Result};
use twinguard::redteam::Family;
use twinguard::redteam::campaign::{Board, Cell, Share, Sight, Summary};
use twinguard::report::{
    Confusion, KeyFigure, MissRow, QuietRow, Scoreboard, Square, SquareGroup, SquareRow, SquareState,
    ViewRow, navigator, render_scoreboard,
};
use twinguard::types::FindingKind;

use crate::table;

pub fn write(dir: &Path, board: &Board) -> Result<()> {
    create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let put = |name: &str, text: String| {
        let path = dir.join(name);
        write_file(&path, text).with_context(|| path.display().to_string())
    };
    put("board.json", serde_json::to_string(board)?)?;
    let techniques: Vec<(&str, u64, u64)> =
        board.techniques().into_iter().map(|(id, (seen, missed))| (id, seen, missed)).collect();
    put("layer.navigator.json", navigator::coverage("twinguard red team", &techniques))?;
    put("scoreboard.html", render_scoreboard(&scoreboard(board)))
}

fn scoreboard(board: &Board) -> Scoreboard {
    let view = board.plan.views.first().copied().unwrap_or_default();
    let plan = &board.plan;
    Scoreboard {
        campaign: format!(
            "{} plants · {} attacks · seeds {} to {} · {} samples of attack after {} · view {}",
            plan.plants.len(),
            plan.attacks.len(),
            plan.first_seed,
            plan.first_seed + plan.seeds.saturating_sub(1),
            plan.attack,
            plan.before,
            view.as_str()
        ),
        headline: headline(board),
        key_figures: key_figures(board),
        plants: plan.plants.clone(),
        groups: groups(board, view),
        views: board.summaries.iter().map(view_row).collect(),
        misses: misses(board),
        confusion: confusion(board, view),
        quiet: board.quiet.iter().map(quiet).collect(),
        unknowns: vec![
            "Attackers and defender were written by the same people: an attacker who knows this guard would leave \
             fewer traces."
                .to_owned(),
            "Plants are simulated; every plant speaks Modbus TCP.".to_owned(),
        ],
    }
}

fn headline(board: &Board) -> String {
    let Some(summary) = board.summaries.first() else { return "Nothing was run.".to_owned() };
    let share = summary.detected_in_time;
    let cells: std::collections::BTreeSet<(&str, &str)> = board
        .cells
        .iter()
        .filter(|cell| cell.missed.is_some())
        .map(|cell| (cell.key.plant.as_str(), cell.key.attack.as_str()))
        .collect();
    let missed = match cells.len() {
        0 => "None was missed.".to_owned(),
        1 => "One attack at one plant was missed.".to_owned(),
        n => format!("{n} pairs of attack and plant were missed at least once."),
    };
    match share.value() {
        Some(value) => {
            format!("{:.1} % of detectable attacks were seen before damage. {missed}", 100.0 * value)
        }
        None => "No attack that could be seen was run.".to_owned(),
    }
}

fn key_figures(board: &Board) -> Vec<KeyFigure> {
    let Some(it) = board.summaries.first() else { return Vec::new() };
    let figure = |label: &str, share: &Share, goal: f64| {
        let value = share.value().map_or_else(|| "–".to_owned(), |value| format!("{:.1}", 100.0 * value));
        let interval = share.interval().map_or_else(String::new, |(low, high)| {
            format!("{:.0} to {:.0}; goal {goal:.0}", 100.0 * low, 100.0 * high)
        });
        KeyFigure {
            label: label.to_owned(),
            value,
            unit: "%".to_owned(),
            note: interval,
            beyond_limit: share.value().is_some_and(|value| 100.0 * value < goal),
        }
    };
    let worst = board
        .quiet
        .iter()
        .map(|quiet| quiet.per_week().0)
        .fold(None, |worst: Option<f64>, rate| Some(worst.map_or(rate, |worst| worst.max(rate))));
    vec![
        figure("Seen before damage", &it.detected_in_time, 95.0),
        figure("Suspect right", &it.party_right, 90.0),
        figure("Right when named", &it.right_when_named, 97.0),
        figure("Named outright", &it.named, 75.0),
        figure("Attack told by its traces", &it.kind_right_traces, 90.0),
        figure("Fault or attack without traces", &it.kind_right_no_traces, 80.0),
        KeyFigure {
            label: "False alarms".to_owned(),
            value: worst.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}")),
            unit: String::new(),
            note: "a week at the worst plant; goal 1".to_owned(),
            beyond_limit: worst.is_some_and(|rate| rate > 1.0),
        },
        KeyFigure {
            label: "Techniques seen".to_owned(),
            value: it.techniques.hits.to_string(),
            unit: format!("of {}", it.techniques.of),
            note: "layer.navigator.json".to_owned(),
            beyond_limit: false,
        },
    ]
}

fn view_row(it: &Summary) -> ViewRow {
    ViewRow {
        view: it.view.as_str().replace('_', " "),
        detectable: it.detectable,
        in_time: table::percent(&it.detected_in_time),
        faults: table::percent(&it.faults_detected),
        right: table::percent(&it.party_right),
        told: table::percent(&it.kind_right_traces),
        everyday: table::percent(&it.benign_alarmed),
    }
}

fn group_name(family: Family) -> &'static str {
    match family {
        Family::Telemetry => "Readings",
        Family::Timing => "Time and order",
        Family::Frames => "Frames of a stranger",
        Family::Commands => "Commands and control",
        Family::Twin => "Vendor’s twin",
        Family::Model => "Model",
        Family::Identity => "Identity",
        Family::Theory => "From the plant’s own model",
        Family::Combined => "Combined",
        Family::Fault => "Plain faults (must not be called attacks)",
        Family::Benign => "Everyday events (must raise no alarm)",
    }
}

fn groups(board: &Board, view: Sight) -> Vec<SquareGroup> {
    let mut groups: Vec<SquareGroup> = Vec::new();
    for (name, cells) in table::rows(board, view) {
        let Some(family) = cells.values().flatten().map(|cell| cell.family).next() else { continue };
        let group = group_name(family);
        if groups.last().is_none_or(|last| last.name != group) {
            groups.push(SquareGroup { name: group.to_owned(), rows: Vec::new() });
        }
        let row = row(board, &name, &cells);
        groups.last_mut().into_iter().for_each(|group| group.rows.push(row.clone()));
    }
    groups
}

fn row(board: &Board, name: &str, cells: &BTreeMap<&str, Vec<&Cell>>) -> SquareRow {
    let squares: Vec<Square> = board
        .plan
        .plants
        .iter()
        .map(|plant| cells.get(plant.as_str()).map_or_else(Square::default, |cells| square(cells)))
        .collect();
    let counted = |of: &&Vec<&Cell>| of.iter().any(|cell| cell.counts());
    let all = cells.values().filter(counted).count();
    let in_time = cells.values().filter(counted).filter(|of| of.iter().all(|cell| cell.in_time())).count();
    let in_time = if all == 0 { "–".to_owned() } else { format!("{in_time} of {all}") };
    SquareRow { name: name.to_owned(), squares, in_time }
}

fn square(cells: &[&Cell]) -> Square {
    let text = table::square(cells).trim_end_matches('?').to_owned();
    let launched: Vec<&Cell> = cells.iter().copied().filter(|cell| cell.launched).collect();
    let cells = launched.as_slice();
    let seen: Vec<&&Cell> = cells.iter().filter(|cell| cell.detected).collect();
    let wrong = seen.iter().filter(|cell| {
        !cell.naming().is_some_and(|naming| naming.is_right(&cell.suspect_true, &cell.ambiguity))
    });
    let benign = cells.iter().all(|cell| cell.kind_true == FindingKind::Benign);
    let slowest = seen.iter().filter_map(|cell| cell.ttd_s).fold(0.0, f64::max);
    let state = if cells.iter().all(|cell| !cell.feasible) {
        SquareState::Infeasible
    } else if benign {
        if seen.is_empty() { SquareState::Quiet } else { SquareState::Late }
    } else if cells.iter().all(|cell| !cell.detectable) {
        SquareState::Undetectable
    } else if seen.len() < cells.len() {
        SquareState::Missed
    } else if cells.iter().any(|cell| !cell.in_time()) {
        SquareState::Late
    } else if slowest < 10.0 {
        SquareState::Fast
    } else if slowest < 60.0 {
        SquareState::Soon
    } else {
        SquareState::Slow
    };
    let counts = !benign && cells.iter().any(|cell| cell.counts());
    Square { text, state, wrong: counts && 10 * wrong.count() > seen.len() }
}

fn misses(board: &Board) -> Vec<MissRow> {
    let mut found: BTreeMap<(&str, &str), Vec<&Cell>> = BTreeMap::new();
    for cell in board.cells.iter().filter(|cell| cell.counts()) {
        found.entry((&cell.key.attack, &cell.key.plant)).or_default().push(cell);
    }
    let row = |((attack, plant), cells): ((&str, &str), Vec<&Cell>)| {
        let first = cells.iter().find(|cell| cell.missed.is_some())?;
        let missed = cells.iter().filter(|cell| cell.missed.is_some()).count();
        let name = attack.split(':').next_back().unwrap_or(attack);
        let choose = if attack.contains(':') { "none" } else { name };
        Some(MissRow {
            attack: attack.to_owned(),
            plant: plant.to_owned(),
            runs: format!("{missed} of {}", cells.len()),
            why: first.missed.clone().unwrap_or_default(),
            again: format!("redteam --plants {plant} --attacks {choose} --seeds {}", first.key.seed),
        })
    };
    found.into_iter().filter_map(row).collect()
}

fn confusion(board: &Board, view: Sight) -> Confusion {
    let found = board.confusion(view);
    let mut parties: Vec<&str> = found.keys().flat_map(|(truth, said)| [*truth, *said]).collect();
    parties.sort_unstable();
    parties.dedup();
    let count = |truth: &str, said: &str| found.get(&(truth, said)).copied().unwrap_or(0);
    let counts =
        parties.iter().map(|truth| parties.iter().map(|said| count(truth, said)).collect()).collect();
    Confusion { parties: parties.iter().map(|party| (*party).to_owned()).collect(), counts }
}

fn quiet(it: &twinguard::redteam::campaign::Quiet) -> QuietRow {
    let (per_week, bound) = it.per_week();
    QuietRow { plant: it.plant.clone(), hours: it.hours, alarms: it.alarms, per_week, bound }
}
