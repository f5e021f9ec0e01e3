//! The board for people: attacks by plants, then what was missed, then the figures.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use twinguard::redteam::campaign::{Board, Cell, Share, Sight, Summary};
use twinguard::types::FindingKind;

/// What stands in a square: of the cells of one attack on one plant.
pub fn square(cells: &[&Cell]) -> String {
    let Some(first) = cells.first() else { return String::new() };
    if cells.iter().all(|cell| !cell.feasible) {
        return "–".to_owned();
    }
    let launched: Vec<&Cell> = cells.iter().copied().filter(|cell| cell.launched).collect();
    let cells = launched.as_slice();
    if cells.is_empty() {
        return "…".to_owned();
    }
    let seen = cells.iter().filter(|cell| cell.detected).count();
    if first.kind_true == FindingKind::Benign {
        return if seen == 0 { "quiet".to_owned() } else { format!("!{seen}/{}", cells.len()) };
    }
    if cells.iter().all(|cell| !cell.detectable) {
        return "∅".to_owned();
    }
    if seen < cells.len() {
        return format!("✕{}/{}", cells.len() - seen, cells.len());
    }
    let mut times: Vec<f64> = cells.iter().filter_map(|cell| cell.ttd_s).collect();
    times.sort_by(f64::total_cmp);
    let late = if cells.iter().any(|cell| !cell.in_time()) { "▲" } else { "" };
    let wrong = cells.iter().any(|cell| {
        !cell.naming().is_some_and(|naming| naming.is_right(&cell.suspect_true, &cell.ambiguity))
    });
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    format!("{late}{}{}", seconds(median), if wrong { "?" } else { "" })
}

fn seconds(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.1}s"),
        value if value < 600.0 => format!("{value:.0}s"),
        value if value < 36_000.0 => format!("{:.0}m", value / 60.0),
        value => format!("{:.0}h", value / 3_600.0),
    }
}

/// Rows in the order of the board.
pub fn rows(board: &Board, view: Sight) -> Vec<(String, BTreeMap<&str, Vec<&Cell>>)> {
    let mut rows: Vec<(String, BTreeMap<&str, Vec<&Cell>>)> = Vec::new();
    for cell in board.cells.iter().filter(|cell| cell.key.view == view) {
        let at = rows.iter().position(|(name, _)| *name == cell.key.attack).unwrap_or_else(|| {
            rows.push((cell.key.attack.clone(), BTreeMap::new()));
            rows.len() - 1
        });
        rows[at].1.entry(&cell.key.plant).or_default().push(cell);
    }
    rows.sort_by_key(|(_, cells)| cells.values().flatten().map(|cell| cell.family).next());
    rows
}

pub fn show(out: &mut impl Write, board: &Board) -> Result<()> {
    for summary in &board.summaries {
        if board.summaries.len() > 1 {
            writeln!(out, "\nView: {}", summary.view.as_str())?;
        }
        grid(out, board, summary.view)?;
        figures(out, summary)?;
    }
    views(out, board)?;
    quiet(out, board)?;
    misses(out, board)
}

fn grid(out: &mut impl Write, board: &Board, view: Sight) -> Result<()> {
    write!(out, "{:<26}", "")?;
    for plant in &board.plan.plants {
        let short: String = plant.chars().take(10).collect();
        write!(out, "{short:>11}")?;
    }
    writeln!(out)?;
    for (name, cells) in rows(board, view) {
        write!(out, "{name:<26}")?;
        for plant in &board.plan.plants {
            let text = cells.get(plant.as_str()).map(|cells| square(cells)).unwrap_or_default();
            write!(out, "{}{text}", " ".repeat(11_usize.saturating_sub(text.chars().count())))?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "\nMedian time to detect. ✕ missed n of N · ▲ seen after the damage · ? suspect wrong · ∅ nothing could be seen, by \
         theory · – not feasible · … waited in vain · ! everyday event that raised an alarm\n"
    )?;
    Ok(())
}

fn share(share: &Share) -> String {
    match (share.value(), share.interval()) {
        (Some(value), Some((low, high))) => format!(
            "{:.1} % ({} of {}; 95 %: {:.0} to {:.0} %)",
            100.0 * value,
            share.hits,
            share.of,
            100.0 * low,
            100.0 * high
        ),
        _ => "none".to_owned(),
    }
}

fn figures(out: &mut impl Write, it: &Summary) -> Result<()> {
    let lines = [
        ("attacks seen", share(&it.detected)),
        ("attacks seen before damage", share(&it.detected_in_time)),
        ("faults seen", share(&it.faults_detected)),
        ("party right, 30 samples after", share(&it.party_right_30)),
        ("party right, 100 samples after", share(&it.party_right)),
        ("named outright", share(&it.named)),
        ("right when named outright", share(&it.right_when_named)),
        ("calibration error", format!("{:.3}", it.calibration_error)),
        ("attack told (timing, identity)", share(&it.kind_right_traces)),
        ("fault or attack (no such trace)", share(&it.kind_right_no_traces)),
        ("  of these left open", share(&it.kind_open_no_traces)),
        ("everyday events with an alarm", share(&it.benign_alarmed)),
        ("everyday events called attack", share(&it.benign_called_attack)),
        ("undetectable, yet a finding", share(&it.undetectable_with_finding)),
        ("made worse by the response", share(&it.made_worse)),
        ("techniques seen", share(&it.techniques)),
        ("false alarms before attacks", format!("{} in {:.1} h", it.false_alarms, it.quiet_hours)),
    ];
    for (label, value) in lines {
        writeln!(out, "{label:<33} {value}")?;
    }
    Ok(())
}

/// A share as a whole percentage.
pub fn percent(share: &Share) -> String {
    share.value().map_or_else(|| "–".to_owned(), |value| format!("{:.0} %", 100.0 * value))
}

/// What each view is worth, side by side.
fn views(out: &mut impl Write, board: &Board) -> Result<()> {
    if board.summaries.len() < 2 {
        return Ok(());
    }
    writeln!(
        out,
        "\n{:<12}{:>14}{:>10}{:>10}{:>10}{:>13}{:>8}{:>10}",
        "view", "could be seen", "in time", "faults", "party", "when named", "told", "everyday"
    )?;
    for it in &board.summaries {
        writeln!(
            out,
            "{:<12}{:>14}{:>10}{:>10}{:>10}{:>13}{:>8}{:>10}",
            it.view.as_str(),
            it.detectable,
            percent(&it.detected_in_time),
            percent(&it.faults_detected),
            percent(&it.party_right),
            percent(&it.right_when_named),
            percent(&it.kind_right_traces),
            percent(&it.benign_alarmed)
        )?;
    }
    Ok(())
}

fn quiet(out: &mut impl Write, board: &Board) -> Result<()> {
    if board.quiet.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWithout any attack")?;
    for quiet in &board.quiet {
        let (rate, bound) = quiet.per_week();
        writeln!(
            out,
            "{:<26} {:>9.1} h  {:>3} alarms  {rate:.2} a week, 95 % below {bound:.2}",
            quiet.plant, quiet.hours, quiet.alarms
        )?;
        for alarm in quiet.first.iter().take(3) {
            writeln!(out, "    {alarm}")?;
        }
    }
    Ok(())
}

fn misses(out: &mut impl Write, board: &Board) -> Result<()> {
    let mut causes: BTreeMap<(String, String), (u32, String)> = BTreeMap::new();
    for cell in &board.cells {
        if let Some(why) = &cell.missed {
            let key = (cell.key.plant.clone(), cell.key.attack.clone());
            causes.entry(key).or_insert((0, why.clone())).0 += 1;
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nMissed, and why")?;
    for ((plant, attack), (count, why)) in causes {
        writeln!(out, "{plant:<26} {attack:<26} {count:>2} × {why}")?;
    }
    Ok(())
}
