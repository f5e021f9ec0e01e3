//! Rules against rules.

use std::collections::BTreeSet;

use twinguard_twin::Plant;
use twinguard_twin::plant::{Effect, Rule, Window};

use super::Found;
use crate::policy::{Clause, Source};

/// An empty list restricts nothing.
fn list_covers<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|it| wide.contains(it)))
}

fn lists_meet<T: PartialEq>(a: &[T], b: &[T]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|it| b.contains(it))
}

fn who_covers(wide: &Rule, narrow: &Rule) -> bool {
    let anybody = |rule: &Rule| rule.principals.is_empty() && rule.networks.is_empty();
    let named = anybody(wide)
        || (!anybody(narrow)
            && narrow.principals.iter().all(|it| wide.principals.contains(it))
            && narrow.networks.iter().all(|it| wide.networks.contains(it)));
    named && list_covers(&wide.zones, &narrow.zones) && list_covers(&wide.roles, &narrow.roles)
}

fn who_meets(a: &Rule, b: &Rule) -> bool {
    let anybody = |rule: &Rule| rule.principals.is_empty() && rule.networks.is_empty();
    // A network may hold anybody; one who has several roles or addresses meets both rules.
    let named = anybody(a)
        || anybody(b)
        || !a.networks.is_empty()
        || !b.networks.is_empty()
        || lists_meet(&a.principals, &b.principals);
    named && lists_meet(&a.zones, &b.zones) && lists_meet(&a.roles, &b.roles)
}

fn minutes(windows: &[Window]) -> BTreeSet<u32> {
    let mut set = BTreeSet::new();
    for window in windows {
        for day in (0..7u32).filter(|day| window.days >> day & 1 == 1) {
            let end = if window.from < window.to { window.to } else { window.to + 1440 };
            set.extend((window.from..end).map(|minute| (day * 1440 + u32::from(minute)) % 10_080));
        }
    }
    set
}

fn hours_cover(wide: &[Window], narrow: &[Window]) -> bool {
    wide.is_empty()
        || wide == narrow
        || (!narrow.is_empty() && minutes(narrow).is_subset(&minutes(wide)))
        || minutes(wide).len() == 10_080
}

fn hours_meet(a: &[Window], b: &[Window]) -> bool {
    a.is_empty() || b.is_empty() || a == b || !minutes(a).is_disjoint(&minutes(b))
}

fn bounds(rule: &Rule) -> (f64, f64) {
    rule.range.map_or((f64::NEG_INFINITY, f64::INFINITY), |range| (range.min(), range.max()))
}

fn targets_cover(wide: &Rule, narrow: &Rule) -> bool {
    narrow.signals.iter().all(|signal| wide.signals.binary_search(signal).is_ok())
        && narrow.verbs.iter().all(|verb| wide.verbs.contains(verb))
}

fn targets_meet(a: &Rule, b: &Rule) -> bool {
    a.signals.iter().any(|signal| b.signals.binary_search(signal).is_ok())
        && a.verbs.iter().any(|verb| b.verbs.contains(verb))
}

/// Whether everything that fits `narrow` fits `wide`.
pub(super) fn covers(wide: &Rule, narrow: &Rule) -> bool {
    let (low, high) = bounds(wide);
    let (from, to) = bounds(narrow);
    targets_cover(wide, narrow)
        && low <= from
        && to <= high
        && who_covers(wide, narrow)
        && list_covers(&wide.modes, &narrow.modes)
        && hours_cover(&wide.windows, &narrow.windows)
}

/// Whether something may fit both.
fn meets(a: &Rule, b: &Rule) -> bool {
    let ((low, high), (from, to)) = (bounds(a), bounds(b));
    targets_meet(a, b)
        && low <= to
        && from <= high
        && who_meets(a, b)
        && lists_meet(&a.modes, &b.modes)
        && hours_meet(&a.windows, &b.windows)
}

/// Whether `wide` lets through at least as easily.
fn as_easy(wide: &Clause, narrow: &Clause) -> bool {
    (!wide.rule.two_person || (narrow.rule.two_person && wide.approvers == narrow.approvers))
        && match (wide.rule.commands_per_minute, narrow.rule.commands_per_minute) {
            (None, _) => true,
            (Some(_), None) => false,
            // Rates of two rules add up: the narrow one gives something, unless it is the same rule again.
            (Some(wide_rate), Some(rate)) => wide_rate >= rate && wide.rule.signals == narrow.rule.signals,
        }
}

pub(super) fn shadowed(source: &Source, _: &Plant, found: &mut Found) {
    for (at, clause) in source.clauses.iter().enumerate() {
        let by = source.clauses.iter().enumerate().find(|(other, wide)| {
            let same = wide.rule.effect == clause.rule.effect;
            let easy = clause.rule.effect == Effect::Forbid || as_easy(wide, clause);
            // Of two that say the same the later one is the superfluous one.
            let twins = || covers(&clause.rule, &wide.rule) && as_easy(clause, wide);
            *other != at && same && easy && covers(&wide.rule, &clause.rule) && (*other < at || !twins())
        });
        if let Some((_, wide)) = by {
            let text = format!("rule `{}` does nothing that `{}` does not", clause.rule.name, wide.rule.name);
            found.push((clause.place.clone(), text));
        }
    }
}

pub(super) fn conflicting(source: &Source, _: &Plant, found: &mut Found) {
    let of = |effect| source.clauses.iter().filter(move |clause| clause.rule.effect == effect);
    for allow in of(Effect::Allow) {
        for forbid in of(Effect::Forbid) {
            let exception = covers(&allow.rule, &forbid.rule) || covers(&forbid.rule, &allow.rule);
            if meets(&allow.rule, &forbid.rule) && !exception {
                let text = format!(
                    "rule `{}` allows part of what `{}` forbids, and the other way round",
                    allow.rule.name, forbid.rule.name
                );
                found.push((allow.place.clone(), text));
            }
        }
    }
}
