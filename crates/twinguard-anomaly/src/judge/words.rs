//! Sentences: plain, past tense, who did what, numbers with units.

use core::fmt::Write as _;

use twinguard_types::{Catalogue, Cause, Explanation, Oddity, SignalId, Symptom, Timestamp};

use super::causes::E;
use crate::Detail;

/// Narrow no-break space between a number and its unit.
const THIN: char = '\u{202f}';

/// A number with as many decimals as its size asks for, with its unit.
pub(crate) fn quantity(value: f64, unit: &str) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ => 2,
    };
    digits(value, decimals, unit)
}

fn digits(value: f64, decimals: usize, unit: &str) -> String {
    let unit = match unit {
        "degC" => "°C",
        other => other,
    };
    let mut text = format!("{value:.decimals$}").replace('-', "−");
    if !unit.is_empty() {
        let _ = write!(text, "{THIN}{unit}");
    }
    text
}

/// Two numbers of one unit, with as many decimals as it takes to tell them apart.
pub(crate) fn pair(a: f64, b: f64, unit: &str) -> (String, String) {
    let (first, second) = (quantity(a, unit), quantity(b, unit));
    if first != second || a == b {
        return (first, second);
    }
    let gap = (a - b).abs().max(1e-9);
    let decimals = (1.0 - libm::log10(gap)).ceil().clamp(0.0, 9.0) as usize;
    (digits(a, decimals, unit), digits(b, decimals, unit))
}

/// A span of seconds.
pub(crate) fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0);
    if whole < 1.0 {
        format!("{:.0}{THIN}ms", whole * 1e3)
    } else if whole < 120.0 {
        format!("{whole:.0}{THIN}s")
    } else if whole < 7200.0 {
        format!("{:.0}{THIN}min", whole / 60.0)
    } else if whole < 172_800.0 {
        format!("{:.1}{THIN}h", whole / 3600.0)
    } else {
        format!("{:.1}{THIN}d", whole / 86_400.0)
    }
}

/// A path as a stranger may have chosen it: short, without control or bidirectional characters.
pub(crate) fn clean(text: &str) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().take(120).map(|c| if odd(c) { '\u{fffd}' } else { c }).collect()
}

/// The text cut to this many characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// What a detail says, as a sentence without its full stop.
pub(crate) fn detail(
    detail: &Detail,
    symptom: Symptom,
    catalogue: &Catalogue,
    began: Option<(Timestamp, Timestamp)>,
) -> String {
    let path = |signal: SignalId| clean(catalogue.path(signal));
    let unit = |signal: SignalId| catalogue.signal(signal).map_or("", |signal| &signal.unit);
    let from = |from: &Option<core::net::IpAddr>| {
        from.map_or_else(|| "an unknown address".to_owned(), |address| address.to_string())
    };
    let ago = began
        .map_or_else(String::new, |(since, now)| format!(", for {}", span(now.since(since).as_secs_f64())));
    match detail {
        Detail::None => String::new(),
        Detail::Level { signal, seen, expected } => {
            let bound = if seen < expected { "at least" } else { "at most" };
            let (seen, expected) = pair(*seen, *expected, unit(*signal));
            let path = path(*signal);
            match symptom {
                Symptom::Rate => format!("{path} jumped from {expected} to {seen}, faster than it ever did"),
                Symptom::Range => format!("{path} read {seen}, usual is {bound} {expected}"),
                _ => {
                    // younger than that, it says nothing
                    let old = began.is_some_and(|(since, now)| now.since(since).as_secs_f64() >= 10.0);
                    let ago = if old { &*ago } else { "" };
                    format!("{path} read {seen} where the other signals say {expected}{ago}")
                }
            }
        }
        Detail::Frozen { signal, samples } => {
            format!("{} repeated one value {samples} times{ago}", path(*signal))
        }
        Detail::Repeat { lag_s, rows, signals } => {
            let values = if *signals == 1 { "one signal".to_owned() } else { format!("{signals} signals") };
            format!("{values} repeated {rows} rows from {} earlier to the last digit", span(*lag_s))
        }
        Detail::Unlike { signal, share } => {
            let percent = (100.0 * share).round();
            format!("the signals run unlike the history, {} most ({percent} % of it){ago}", path(*signal))
        }
        Detail::Noise { signal, factor, .. } => {
            format!(
                "the noise variance of {} changed by a factor of {}",
                path(*signal),
                quantity(*factor, "")
            )
        }
        Detail::Unsent { writes, signal, value, from: address } => {
            let writes = if *writes == 1 { "one write".to_owned() } else { format!("{writes} writes") };
            let value = quantity(*value, unit(*signal));
            format!(
                "{} got {writes} (last {value}, from {}) that the controller never sent",
                path(*signal),
                from(address)
            )
        }
        Detail::NewWriter { signal, from: address } => {
            format!("{} wrote {}, which it never did before", from(address), path(*signal))
        }
        Detail::NewCommand { signal, value } => {
            let value = quantity(*value, unit(*signal));
            format!("{} was set to {value}, a value or an order not seen before", path(*signal))
        }
        Detail::NewFunction { client, function } => {
            format!("{client} used function {function}, which it never did before")
        }
        Detail::NewClient { client, function } => {
            format!("{client} spoke for the first time (function {function})")
        }
        Detail::Vendor { signal, offset, off, of, frozen, .. } => {
            let how = if *frozen { "stood still while the field moved" } else { "differed from the field" };
            let offset = quantity(*offset, unit(*signal));
            format!("the vendor's {} {how} ({offset} off; {off} of {of} signals)", path(*signal))
        }
        Detail::Traffic { client, server, seen_s, normal_s, latency } => {
            let what = if *latency { "answers took" } else { "the interval was" };
            format!("between {client} and {server} {what} {} instead of {}", span(*seen_s), span(*normal_s))
        }
        Detail::Unanswered { client, server, requests } => {
            let requests =
                if *requests == 1 { "one request".to_owned() } else { format!("{requests} requests") };
            format!("{server} left {requests} of {client} unanswered{ago}")
        }
        Detail::Count { count: 1, from: address } => {
            format!("one unusual or refused access, from {}", from(address))
        }
        Detail::Count { count, from: address } => {
            format!("{count} unusual or refused accesses, the last from {}", from(address))
        }
        Detail::Odd { count, family, oddity, from: address } => {
            let messages =
                if *count == 1 { "one odd message".to_owned() } else { format!("{count} odd messages") };
            format!(
                "{messages} ({}: {}), the last from {}",
                clean(family.as_str()),
                odd(*oddity),
                from(address)
            )
        }
    }
}

/// What is odd about bytes.
fn odd(oddity: Oddity) -> &'static str {
    match oddity {
        Oddity::LengthMismatch => "length does not fit",
        Oddity::BadQuantity => "quantity not allowed",
        Oddity::BadValue => "value not allowed",
        Oddity::BadAddress => "addresses beyond the last one",
        Oddity::BadProtocolId => "wrong protocol number",
        Oddity::UnknownFunction => "unknown function",
        Oddity::Truncated => "cut short",
        Oddity::TrailingBytes => "bytes after the end",
        Oddity::BadChecksum => "checksum does not match",
        Oddity::UnmatchedResponse => "answer to no question",
        Oddity::UnansweredRequest => "question without an answer",
        Oddity::DuplicateTransaction => "transaction number used twice",
        Oddity::ResponseMismatch => "answer does not fit its question",
        Oddity::NotThisProtocol => "another protocol on its port",
        Oddity::Gap => "bytes missing",
        Oddity::ConflictingOverlap => "bytes sent twice, and not the same",
        Oddity::Dropped => "more than can be kept",
        _ => "odd bytes",
    }
}

/// What physics holds to be off, by how much and since when, as a sentence without its full stop.
pub(crate) fn explanation(
    held: &Explanation,
    catalogue: &Catalogue,
    parameters: &[String],
    now: Timestamp,
) -> String {
    let since = span(now.since(held.since).as_secs_f64());
    if let Cause::FaultMode(number) = held.cause {
        let Some(name) = parameters.get(number as usize) else { return String::new() };
        let (name, size) = (clean(name), quantity(held.magnitude.abs(), ""));
        let side = if held.magnitude < 0.0 { "lower" } else { "higher" };
        return format!("the plant behaves as if {name} were {size} {side}, for {since} or longer");
    }
    let (signal, what) = match held.cause {
        Cause::SensorBias(signal) => (signal, "reads"),
        Cause::ActuatorOffset(signal) => (signal, "acts as if commanded"),
        Cause::Disturbance(signal) => (signal, "acts as if it were"),
        _ => return String::new(),
    };
    let unit = catalogue.signal(signal).map_or("", |signal| &signal.unit);
    let side = match (held.cause, held.magnitude < 0.0) {
        (Cause::SensorBias(_), true) => "too low",
        (Cause::SensorBias(_), false) => "too high",
        (_, true) => "lower",
        (_, false) => "higher",
    };
    let size = quantity(held.magnitude.abs(), unit);
    format!("{} {what} {size} {side} by the model, for {since} or longer", clean(catalogue.path(signal)))
}

/// What was seen, for a title before anybody is named.
pub(crate) fn seen(symptom: Symptom) -> &'static str {
    match symptom {
        Symptom::Residual => "Readings left what the model expects",
        Symptom::Redundancy => "Readings contradict each other",
        Symptom::Range => "A reading left its usual range",
        Symptom::Rate => "A reading jumped",
        Symptom::Freeze => "A reading stands still",
        Symptom::Noise => "A reading's noise changed",
        Symptom::Novelty => "Commands of a kind not seen before",
        Symptom::Timing => "Traffic is late or missing",
        Symptom::Malformed => "Odd messages on the network",
        Symptom::Identity => "Unusual access",
        Symptom::VendorOffset => "The vendor's twin left the field",
        Symptom::Repeat => "Earlier readings came again",
        Symptom::Provenance => "Commands nobody sent",
        Symptom::Seal => "The model differs from its seal",
        Symptom::Journal => "A set-point without an order",
        _ => "Something unusual",
    }
}

/// What a piece of evidence says, present or absent.
pub(crate) fn evidence(evidence: E, present: bool) -> &'static str {
    match (evidence, present) {
        (E::Unsent, true) => "writes on the wire that the controller never sent",
        (E::Unsent, false) => "every write seen was also journalled by its sender",
        (E::NewWriter, true) => "a writer that was never seen before",
        (E::NewWriter, false) => "all writers were known",
        (E::NewClient, true) => "a client that never spoke before",
        (E::NewClient, false) => "all clients were known",
        (E::VendorSlow, true) => "the difference grew as slowly as a filter follows",
        (E::VendorSlow, false) => "the difference did not grow slowly",
        (E::NewCommand, true) => "a command value, order or function not seen before",
        (E::NewCommand, false) => "all commands were of a known kind",
        (E::Seal, true) => "the model no longer matched its seal",
        (E::Seal, false) => "no broken seal was seen",
        (E::Journal, true) => "a set-point that the operator's journal does not hold",
        (E::Journal, false) => "no set-point without an order was seen",
        (E::Repeat, true) => "earlier values came again to the last digit",
        (E::Repeat, false) => "the values' noise was fresh",
        (E::Freeze, true) => "a value stood still",
        (E::Freeze, false) => "no value stood still",
        (E::Noise, true) => "noise changed",
        (E::Noise, false) => "noise was as usual",
        (E::VendorOff, true) => "the vendor's values differed from the field",
        (E::VendorOff, false) => "no difference between vendor and field was seen",
        (E::VendorFrozenOrMost, true) => "the vendor's values were frozen or most of them off",
        (E::VendorFrozenOrMost, false) => "the vendor's values moved",
        (E::VendorFew, true) => "only few of the vendor's values were off",
        (E::VendorFew, false) => "not just a few of the vendor's values were off",
        (E::Network, true) => "traffic was late, missing or malformed",
        (E::Network, false) => "traffic was on time and well formed",
        (E::Timing, true) => "timing shifted at the same time",
        (E::Timing, false) => "timing did not shift",
        (E::Identity, true) => "unusual or refused access came with it",
        (E::Identity, false) => "no unusual access came with it",
        (E::Level, true) => "a value left its range",
        (E::Level, false) => "all values were within their ranges",
        (E::Jump, true) => "a value jumped faster than the plant can move",
        (E::Jump, false) => "no value jumped",
        (E::OneSensor, true) => "one signal alone disagreed with the rest",
        (E::OneSensor, false) => "more than one signal disagreed",
        (E::ManySignals, true) => "several signals disagreed together",
        (E::ManySignals, false) => "only one signal disagreed",
        (E::FromStart, true) => "it was so from the first readings on",
        (E::FromStart, false) => "it was not so from the start",
        (E::CheckDiffers, true) => "the spot check found another value at the sensor than on the wire",
        (E::CheckDiffers, false) => "no spot check contradicted the wire",
        (E::CheckAgrees, true) => "the spot check found the same value at the sensor as on the wire",
        (E::CheckAgrees, false) => "no spot check confirmed the wire",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_units_and_no_more_digits_than_needed() {
        assert_eq!(quantity(-3.1449, "degC"), "−3.14\u{202f}°C");
        assert_eq!(quantity(322.4, "L/min"), "322\u{202f}L/min");
        assert_eq!(pair(2.9812, 2.9801, ""), ("2.9812".to_owned(), "2.9801".to_owned()));
        assert_eq!(span(0.02), "20\u{202f}ms");
        assert_eq!(span(754.0), "13\u{202f}min");
        assert_eq!(span(3312.0 * 3600.0), "138.0\u{202f}d");
    }

    #[test]
    fn foreign_text_is_made_harmless() {
        assert_eq!(clean("a\nb\u{202e}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
