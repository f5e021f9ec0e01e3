//! One condition of a rule and the expression that says it: the mapping, in both directions.
//!
//! Comparisons are written in the form that Cedar's parser keeps (`<` and `<=`; `>` and `>=` become those on reading).

use core::net::IpAddr;
use std::sync::Arc;

use cedar_policy::pst::{BinaryOp, EntityUID, Expr, Literal, PatternElem, SmolStr, UnaryOp, Var};
use twinguard_twin::plant::{Network, Verb, Window};
use twinguard_types::Range;

use super::{ACTION, PARTY, ROLE, SIGNAL, entity, is_type};
use crate::Error;

/// Largest magnitude of a bound: far inside what Cedar's decimal holds.
const LARGEST: f64 = 1e12;
const WEEK: u8 = 0b111_1111;

/// What one term of a disjunction asks of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    /// `principal in [Role::"a", …]`
    Roles(Vec<String>),
    /// `context.zones.containsAny(["a", …])`
    Zones(Vec<String>),
    /// `principal == Party::"a"`
    Party(String),
    /// The sender's address lies in a network.
    From(Network),
    /// `resource.path like "a.*"`, or `resource == Signal::"a"`
    Path(String),
    /// `["run", …].contains(context.mode)`
    Modes(Vec<String>),
    /// `action != Action::"write"`
    NotWrite,
    /// The value lies in a range.
    Value(Range),
    /// The value is this one: a thing that no rule can say.
    Is(f64),
    /// On these days, from a minute on.
    Starts(u8, u16),
    /// On these days, before a minute.
    Ends(u8, u16),
    /// On these days, between two minutes.
    Within(u8, u16, u16),
    /// `context.exhausted.contains("rule")`
    Exhausted(String),
    /// A fact of the channel.
    Channel(&'static str),
}

fn arc(expr: Expr) -> Arc<Expr> {
    Arc::new(expr)
}

fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { op, left: arc(left), right: arc(right) }
}

fn text(text: &str) -> Expr {
    Expr::Literal(Literal::String(text.into()))
}

fn long(number: i64) -> Expr {
    Expr::Literal(Literal::Long(number))
}

fn literal(uid: EntityUID) -> Expr {
    Expr::Literal(Literal::EntityUID(uid))
}

fn fact(attr: &str) -> Expr {
    Expr::GetAttr { expr: arc(Expr::Var(Var::Context)), attr: attr.into() }
}

fn has(attr: &str) -> Expr {
    let attrs = cedar_policy::pst::NonEmpty::new(SmolStr::from(attr));
    Expr::HasAttr { expr: arc(Expr::Var(Var::Context)), attrs }
}

fn texts(list: &[String]) -> Expr {
    Expr::Set(list.iter().map(|it| arc(text(it))).collect())
}

fn days(days: u8) -> Expr {
    let listed = (0..7).filter(|day| days >> day & 1 == 1).map(|day| arc(long(day)));
    binary(BinaryOp::Contains, Expr::Set(listed.collect()), fact("weekday"))
}

fn extension(op: UnaryOp, argument: &str) -> Expr {
    Expr::UnaryOp { op, expr: arc(text(argument)) }
}

/// All of them; `true` where there are none.
pub(super) fn all(terms: impl IntoIterator<Item = Expr>) -> Expr {
    join(BinaryOp::And, terms).unwrap_or(Expr::Literal(Literal::Bool(true)))
}

/// One of them; `false` where there are none.
pub(super) fn any(terms: impl IntoIterator<Item = Expr>) -> Expr {
    join(BinaryOp::Or, terms).unwrap_or(Expr::Literal(Literal::Bool(false)))
}

fn join(op: BinaryOp, terms: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    terms.into_iter().reduce(|left, right| binary(op, left, right))
}

/// A window as terms of a disjunction: one that runs over midnight ends on the next day.
pub(super) fn window(window: &Window) -> Vec<Term> {
    if window.from < window.to {
        return vec![Term::Within(window.days & WEEK, window.from, window.to)];
    }
    vec![Term::Starts(window.days & WEEK, window.from), Term::Ends(next_day(window.days), window.to)]
}

/// The days after these.
const fn next_day(days: u8) -> u8 {
    (days << 1 | days >> 6 & 1) & WEEK
}

impl Term {
    /// The expression that says it; the error says what cannot be said.
    pub(super) fn expr(&self) -> Result<Expr, Error> {
        Ok(match self {
            Self::Roles(roles) => {
                let roles: Result<Vec<_>, Error> =
                    roles.iter().map(|role| Ok(arc(literal(entity(ROLE, role)?)))).collect();
                binary(BinaryOp::In, Expr::Var(Var::Principal), Expr::Set(roles?))
            }
            Self::Zones(zones) => binary(BinaryOp::ContainsAny, fact("zones"), texts(zones)),
            Self::Party(name) => {
                binary(BinaryOp::Eq, Expr::Var(Var::Principal), literal(entity(PARTY, name)?))
            }
            Self::From(network) => {
                let network = extension(UnaryOp::Ip, &network_text(network));
                all([has("from"), binary(BinaryOp::IsInRange, fact("from"), network)])
            }
            Self::Path(pattern) => {
                let letter = |it: char| if it == '*' { PatternElem::Wildcard } else { PatternElem::Char(it) };
                let path = Expr::GetAttr { expr: arc(Expr::Var(Var::Resource)), attr: "path".into() };
                Expr::Like { expr: arc(path), pattern: pattern.chars().map(letter).collect() }
            }
            Self::Modes(modes) => binary(BinaryOp::Contains, texts(modes), fact("mode")),
            Self::NotWrite => {
                let write = literal(entity(ACTION, "write")?);
                let is = binary(BinaryOp::Eq, Expr::Var(Var::Action), write);
                Expr::UnaryOp { op: UnaryOp::Not, expr: arc(is) }
            }
            Self::Value(range) => {
                let bound = |op, bound: f64| -> Result<Expr, Error> {
                    let bound = extension(UnaryOp::Decimal, &bound_text(bound)?);
                    Ok(binary(op, fact("value"), bound))
                };
                let low = bound(BinaryOp::DecimalGreaterEq, range.min())?;
                all([has("value"), low, bound(BinaryOp::DecimalLessEq, range.max())?])
            }
            Self::Is(value) => {
                let value = extension(UnaryOp::Decimal, &bound_text(*value)?);
                all([has("value"), binary(BinaryOp::Eq, fact("value"), value)])
            }
            Self::Starts(on, from) => all([days(*on), not_before(*from)]),
            Self::Ends(on, to) => all([days(*on), before(*to)]),
            Self::Within(on, from, to) => all([days(*on), not_before(*from), before(*to)]),
            Self::Exhausted(rule) => binary(BinaryOp::Contains, fact("exhausted"), text(rule)),
            Self::Channel(name) => fact(name),
        })
    }

    /// The term that some of these conjuncts, from the first on, say, and how many: the longest that is one.
    fn read(conjuncts: &[&Expr]) -> Option<(Self, usize)> {
        (1..=3.min(conjuncts.len())).rev().find_map(|count| {
            let read = match conjuncts.get(..count)? {
                [first] => Self::single(first),
                [first, second] => Self::pair(first, second),
                [first, second, third] => Self::triple(first, second, third),
                _ => None,
            };
            Some((read?, count))
        })
    }

    fn single(expr: &Expr) -> Option<Self> {
        if let Some(minute) = minute_from(expr) {
            return Some(Self::Starts(WEEK, minute));
        }
        if let Some(minute) = minute_before(expr) {
            return Some(Self::Ends(WEEK, minute));
        }
        if let Some(days) = weekdays(expr) {
            return Some(Self::Within(days, 0, 1440));
        }
        match expr {
            Expr::UnaryOp { op: UnaryOp::Not, expr } => match &**expr {
                Expr::BinaryOp { op: BinaryOp::Eq, left, right } => {
                    is_write(left, right).then_some(Self::NotWrite)
                }
                _ => None,
            },
            Expr::Like { expr, pattern } => {
                let path = Expr::GetAttr { expr: arc(Expr::Var(Var::Resource)), attr: "path".into() };
                if **expr != path {
                    return None;
                }
                let letter = |it: &PatternElem| match it {
                    PatternElem::Wildcard => Some('*'),
                    // A star that stands for itself: no pattern of ours says that.
                    PatternElem::Char(it) => (*it != '*').then_some(*it),
                };
                pattern.iter().map(letter).collect::<Option<String>>().map(Self::Path)
            }
            Expr::BinaryOp { op, left, right } => match (op, &**left, &**right) {
                (BinaryOp::NotEq, left, right) if is_write(left, right) => Some(Self::NotWrite),
                (BinaryOp::In, Expr::Var(Var::Principal), Expr::Set(list)) => {
                    let ids: Option<Vec<_>> = list.iter().map(|it| entity_id(it, ROLE)).collect();
                    ids.filter(|ids| !ids.is_empty()).map(Self::Roles)
                }
                (BinaryOp::In, Expr::Var(Var::Principal), role) => {
                    entity_id(role, ROLE).map(|id| Self::Roles(vec![id]))
                }
                (BinaryOp::Eq, Expr::Var(Var::Principal), party) => entity_id(party, PARTY).map(Self::Party),
                (BinaryOp::Eq, Expr::Var(Var::Resource), signal) => {
                    entity_id(signal, SIGNAL).filter(|id| !id.contains('*')).map(Self::Path)
                }
                (BinaryOp::Eq, mode, name) if *mode == fact("mode") => {
                    string(name).map(|it| Self::Modes(vec![it]))
                }
                (BinaryOp::ContainsAny, zones, list) if *zones == fact("zones") => {
                    strings(list).map(Self::Zones)
                }
                (BinaryOp::Contains, zones, zone) if *zones == fact("zones") => {
                    string(zone).map(|it| Self::Zones(vec![it]))
                }
                (BinaryOp::Contains, rules, rule) if *rules == fact("exhausted") => {
                    string(rule).map(Self::Exhausted)
                }
                (BinaryOp::Contains, list, mode) if *mode == fact("mode") => strings(list).map(Self::Modes),
                _ => None,
            },
            _ => None,
        }
    }

    fn pair(first: &Expr, second: &Expr) -> Option<Self> {
        if let Some(days) = weekdays(first) {
            return minute_from(second)
                .map(|minute| Self::Starts(days, minute))
                .or_else(|| minute_before(second).map(|minute| Self::Ends(days, minute)));
        }
        if let (Some(from), Some(to)) = (minute_from(first), minute_before(second)) {
            return (from < to).then_some(Self::Within(WEEK, from, to));
        }
        let Expr::BinaryOp { op: BinaryOp::IsInRange, left, right } = second else { return None };
        if *first != has("from") || **left != fact("from") {
            return None;
        }
        argument(right, UnaryOp::Ip)?.parse().ok().map(Self::From)
    }

    fn triple(first: &Expr, second: &Expr, third: &Expr) -> Option<Self> {
        if let (Some(days), Some(from), Some(to)) =
            (weekdays(first), minute_from(second), minute_before(third))
        {
            return (from < to).then_some(Self::Within(days, from, to));
        }
        let bound = |expr: &Expr, op: BinaryOp| {
            let Expr::BinaryOp { op: found, left, right } = expr else { return None };
            let number = argument(right, UnaryOp::Decimal)?;
            (*found == op && **left == fact("value")).then(|| number.parse::<f64>().ok())?
        };
        if *first != has("value") {
            return None;
        }
        let range =
            Range::new(bound(second, BinaryOp::DecimalGreaterEq)?, bound(third, BinaryOp::DecimalLessEq)?)
                .ok()?;
        // Bounds that a value shown to Cedar could fall on the wrong side of are nobody's.
        (bound_text(range.min()).is_ok() && bound_text(range.max()).is_ok()).then_some(Self::Value(range))
    }
}

/// A condition as lists of terms: all of the lists have to hold, of each list one term. `None`: it says something else.
///
/// Two levels and no more: `(a || b) && c`. Chains of any length are walked, not descended into.
pub(super) fn read(expr: &Expr) -> Option<Vec<Vec<Term>>> {
    let mut lists = Vec::new();
    let conjuncts = chain(expr, BinaryOp::And);
    let mut rest = conjuncts.as_slice();
    while let Some(first) = rest.first() {
        if matches!(first, Expr::BinaryOp { op: BinaryOp::Or, .. }) {
            let mut list = Vec::new();
            for disjunct in chain(first, BinaryOp::Or) {
                let conjuncts = chain(disjunct, BinaryOp::And);
                let (term, count) = Term::read(&conjuncts)?;
                if count < conjuncts.len() {
                    return None;
                }
                list.push(term);
            }
            lists.push(list);
            rest = rest.get(1..)?;
        } else {
            let (term, count) = Term::read(rest)?;
            lists.push(vec![term]);
            rest = rest.get(count..)?;
        }
    }
    Some(lists)
}

/// The windows that terms say, where all of them are about the time of the week.
pub(super) fn windows(terms: &[Term]) -> Option<Vec<Window>> {
    let mut windows = Vec::new();
    let mut rest = terms;
    while !rest.is_empty() {
        let (window, count) = match rest {
            [Term::Starts(days, from), Term::Ends(next, to), ..]
                if *next == next_day(*days) && to <= from =>
            {
                (Window { days: *days, from: *from, to: *to }, 2)
            }
            [Term::Within(days, from, to), ..] => (Window { days: *days, from: *from, to: *to }, 1),
            [Term::Starts(days, from), ..] => (Window { days: *days, from: *from, to: 1440 }, 1),
            [Term::Ends(days, to), ..] => (Window { days: *days, from: 0, to: *to }, 1),
            _ => return None,
        };
        windows.push(window);
        rest = rest.get(count..)?;
    }
    Some(windows)
}

/// What a chain of one operator joins, left to right.
fn chain(expr: &Expr, of: BinaryOp) -> Vec<&Expr> {
    let (mut found, mut open) = (Vec::new(), vec![expr]);
    while let Some(expr) = open.pop() {
        match expr {
            Expr::BinaryOp { op, left, right } if *op == of => open.extend([&**right, &**left]),
            other => found.push(other),
        }
    }
    found
}

/// `left < right` or `left <= right` (`true`), whichever way round it is written.
fn comparison(expr: &Expr) -> Option<(&Expr, bool, &Expr)> {
    match expr {
        Expr::BinaryOp { op, left, right } => match op {
            BinaryOp::Less => Some((left, false, right)),
            BinaryOp::LessEq => Some((left, true, right)),
            BinaryOp::Greater => Some((right, false, left)),
            BinaryOp::GreaterEq => Some((right, true, left)),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOp::Not, expr } => match &**expr {
            Expr::BinaryOp { op: BinaryOp::Less, left, right } => Some((right, true, left)),
            Expr::BinaryOp { op: BinaryOp::LessEq, left, right } => Some((right, false, left)),
            _ => None,
        },
        _ => None,
    }
}

fn not_before(minute: u16) -> Expr {
    binary(BinaryOp::LessEq, long(minute.into()), fact("minute"))
}

fn before(minute: u16) -> Expr {
    binary(BinaryOp::Less, fact("minute"), long(minute.into()))
}

/// The minute from which on an expression holds.
fn minute_from(expr: &Expr) -> Option<u16> {
    let (low, equal, high) = comparison(expr)?;
    let Expr::Literal(Literal::Long(minute)) = low else { return None };
    let minute = u16::try_from(*minute).ok()?.checked_add(u16::from(!equal))?;
    (*high == fact("minute") && minute < 1440).then_some(minute)
}

/// The minute before which an expression holds.
fn minute_before(expr: &Expr) -> Option<u16> {
    let (low, equal, high) = comparison(expr)?;
    let Expr::Literal(Literal::Long(minute)) = high else { return None };
    let minute = u16::try_from(*minute).ok()?.checked_add(u16::from(equal))?;
    (*low == fact("minute") && (1..=1440).contains(&minute)).then_some(minute)
}

fn weekdays(expr: &Expr) -> Option<u8> {
    let Expr::BinaryOp { op: BinaryOp::Contains, left, right } = expr else { return None };
    let Expr::Set(list) = &**left else { return None };
    let mut days = 0u8;
    for day in list {
        match &**day {
            Expr::Literal(Literal::Long(day @ 0..=6)) => days |= 1 << day,
            _ => return None,
        }
    }
    (**right == fact("weekday") && days != 0).then_some(days)
}

fn is_write(left: &Expr, right: &Expr) -> bool {
    *left == Expr::Var(Var::Action) && entity_id(right, ACTION).as_deref() == Some("write")
}

fn entity_id(expr: &Expr, kind: &str) -> Option<String> {
    match expr {
        Expr::Literal(Literal::EntityUID(uid)) if is_type(&uid.ty, kind) => Some(uid.eid.to_string()),
        _ => None,
    }
}

fn string(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(Literal::String(text)) => Some(text.to_string()),
        _ => None,
    }
}

fn strings(expr: &Expr) -> Option<Vec<String>> {
    let Expr::Set(list) = expr else { return None };
    list.iter().map(|it| string(it)).collect::<Option<Vec<_>>>().filter(|list| !list.is_empty())
}

/// The text that an extension's constructor is given.
fn argument(expr: &Expr, constructor: UnaryOp) -> Option<String> {
    match expr {
        Expr::UnaryOp { op, expr } if *op == constructor => string(expr),
        _ => None,
    }
}

/// The verb of an action.
pub(super) fn verb(uid: &EntityUID) -> Option<Verb> {
    Verb::ALL.into_iter().find(|verb| is_type(&uid.ty, ACTION) && uid.eid == verb.word())
}

/// An address as Cedar reads it: it takes no IPv4 inside IPv6.
pub(super) fn address_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|part| format!("{part:x}")).join(":"),
    }
}

fn network_text(network: &Network) -> String {
    let text = network.to_string();
    let (address, prefix) = text.split_once('/').map_or((text.as_str(), None), |(a, p)| (a, Some(p)));
    let address = address.parse().map_or_else(|_| address.to_owned(), address_text);
    prefix.map_or(address.clone(), |prefix| format!("{address}/{prefix}"))
}

/// A bound in decimals; the error's reason says why it has none.
pub(super) fn bound_text(bound: f64) -> Result<String, Error> {
    let text = value_text(bound).unwrap_or_default();
    if bound.abs() <= LARGEST && text.ends_with('0') {
        return Ok(text);
    }
    Err(super::refuse("", format!("`{bound}` has more than three decimals or is beyond ±{LARGEST}")))
}

/// A value in four decimals, such that it compares with every bound of [`bound_text`] as the value itself does: what lies
/// between two thousandths is shown halfway, what is beyond every bound just beyond. The shortest decimals of two numbers
/// are ordered as the numbers are.
pub(super) fn value_text(value: f64) -> Option<String> {
    if value.is_nan() {
        return None;
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let magnitude = value.abs().min(LARGEST + 1.0).to_string();
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((&magnitude, ""));
    let (thousandths, rest) = fraction.split_at_checked(3).unwrap_or((fraction, ""));
    let half = if rest.is_empty() { '0' } else { '5' };
    Some(format!("{sign}{whole}.{thousandths:0<3}{half}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_compare_with_bounds_as_numbers_do() {
        let decimal = |text: &str| text.replace('.', "").parse::<i64>().unwrap();
        let bounds = [-1e12_f64, -2.5, -0.301, -0.3, -0.001, 0.0, 0.001, 0.3, 0.301, 7.0, 1e12];
        let mut values: Vec<f64> =
            vec![f64::NEG_INFINITY, f64::INFINITY, -1e300, 1e13, 0.1 + 0.2, -0.1 - 0.2, 1e-300, -1e-300];
        for bound in bounds {
            values.extend([bound, bound.next_up(), bound.next_down()]);
        }
        for value in values {
            let shown = value_text(value).unwrap();
            for bound in bounds {
                let limit = bound_text(bound).unwrap();
                let expected = value.partial_cmp(&bound).unwrap();
                assert_eq!(
                    decimal(&shown).cmp(&decimal(&limit)),
                    expected,
                    "{value} as {shown} with {limit}"
                );
            }
        }
        assert_eq!(value_text(f64::NAN), None);
        assert!(bound_text(0.0001).is_err() && bound_text(2e12).is_err() && bound_text(f64::NAN).is_err());
    }

    #[test]
    fn addresses_are_written_without_ipv4_inside() {
        assert_eq!(address_text("::ffff:10.0.0.1".parse().unwrap()), "0:0:0:0:0:ffff:a00:1");
        assert_eq!(network_text(&"fe80::/10".parse().unwrap()), "fe80:0:0:0:0:0:0:0/10");
        assert_eq!(network_text(&"10.0.0.0/8".parse().unwrap()), "10.0.0.0/8");
    }
}
