//! Numbers, units and times as text: decimals from the uncertainty, minus U+2212, narrow no-break space U+202F.

use twinguard_types::Timestamp;

use crate::data::Quantity;

/// Narrow no-break space.
pub(crate) const NNBSP: char = '\u{202f}';
/// What stands where there is no number.
pub(crate) const ABSENT: &str = "–";

/// The number with this many decimals; “–” when it is not finite.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return ABSENT.into();
    }
    if value != 0.0 && (value.abs() >= 1e15 || value.abs() < 5e-7) {
        return format!("{value:.2e}").replace('-', "\u{2212}");
    }
    let text = format!("{:.*}", decimals, value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('\u{2212}');
    }
    group(whole, 5, &mut out);
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

fn group(digits: &str, from: usize, out: &mut String) {
    for (index, digit) in digits.chars().enumerate() {
        if digits.len() >= from && index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(NNBSP);
        }
        out.push(digit);
    }
}

/// A count, in groups of three from 1 000 up.
pub(crate) fn count(n: u64) -> String {
    let mut out = String::new();
    group(&n.to_string(), 4, &mut out);
    out
}

/// “no findings”, “1 finding”, “2 findings”.
pub(crate) fn counted(n: usize, noun: &str) -> String {
    match n {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", count(n as u64)),
    }
}

/// Decimals such that σ keeps one significant digit, two if it starts with 1.
pub(crate) fn decimals(sigma: f64) -> usize {
    if !(sigma.is_finite() && sigma > 0.0) {
        return 1;
    }
    let (mut decimals, mut scaled) = (0, sigma);
    while scaled < 0.95 && decimals < 6 {
        scaled *= 10.0;
        decimals += 1;
    }
    if scaled < 1.95 && decimals < 6 { decimals + 1 } else { decimals }
}

/// Decimals of a measurement with this smallest step.
pub(crate) fn step_decimals(step: f64) -> usize {
    let (mut decimals, mut scaled) = (0, step);
    while scaled.is_finite() && scaled > 0.0 && scaled < 0.999 && decimals < 6 {
        scaled *= 10.0;
        decimals += 1;
    }
    decimals
}

/// The unit as people write it.
pub(crate) fn unit(unit: &str) -> String {
    match unit {
        "degC" | "deg C" | "celsius" => "°C".into(),
        "degF" => "°F".into(),
        "percent" => "%".into(),
        "1" | "-" => String::new(),
        "m3/h" => "m³/h".into(),
        "m3/s" => "m³/s".into(),
        "m3" => "m³".into(),
        other => crate::text::visible(other, 24),
    }
}

/// The unit of a difference: °C become K.
pub(crate) fn difference_unit(of: &str) -> String {
    match unit(of).as_str() {
        "°C" => "K".into(),
        other => other.into(),
    }
}

/// Number and unit.
pub(crate) fn with_unit(value: f64, decimals: usize, of: &str) -> String {
    let (number, unit) = (fixed(value, decimals), unit(of));
    if unit.is_empty() || number == ABSENT { number } else { format!("{number}{NNBSP}{unit}") }
}

/// Probability in whole per cent, never 0 or 100.
pub(crate) fn percent(p: f64) -> String {
    if !p.is_finite() {
        ABSENT.into()
    } else if p < 0.01 {
        format!("<1{NNBSP}%")
    } else if p > 0.99 {
        format!(">99{NNBSP}%")
    } else {
        format!("{:.0}{NNBSP}%", p * 100.0)
    }
}

/// A span or an instant in seconds: `14.2 s`, `10 min 14.2 s`, `2 h 05 min`, `3 d 4 h`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return ABSENT.into();
    }
    let s = NNBSP;
    let sign = if seconds <= -0.05 { "\u{2212}" } else { "" };
    let tenths = (seconds.abs() * 10.0).round();
    if tenths >= 1e15 {
        return format!("{sign}{:.1e}{s}s", seconds.abs());
    }
    let tenths = tenths as u64;
    let rest = |tenths: u64| {
        if tenths.is_multiple_of(10) {
            format!("{}", tenths / 10)
        } else {
            format!("{}.{}", tenths / 10, tenths % 10)
        }
    };
    if tenths < 600 {
        return format!("{sign}{}{s}s", rest(tenths));
    }
    if tenths < 36_000 {
        let (minutes, left) = (tenths / 600, tenths % 600);
        return if left == 0 {
            format!("{sign}{minutes}{s}min")
        } else {
            format!("{sign}{minutes}{s}min{s}{}{s}s", rest(left))
        };
    }
    let minutes = (tenths + 300) / 600;
    if minutes < 1440 {
        return match (minutes / 60, minutes % 60) {
            (hours, 0) => format!("{sign}{hours}{s}h"),
            (hours, left) => format!("{sign}{hours}{s}h{s}{left:02}{s}min"),
        };
    }
    let hours = (minutes + 30) / 60;
    match (hours / 24, hours % 24) {
        (days, 0) => format!("{sign}{days}{s}d"),
        (days, left) => format!("{sign}{days}{s}d{s}{left}{s}h"),
    }
}

/// Date and clock in UTC.
pub(crate) fn clock(at: Timestamp) -> String {
    at.to_string().replace('T', " ").replace('Z', " UTC")
}

impl Quantity {
    /// A quantity of unknown uncertainty.
    #[must_use]
    pub fn new(value: f64, unit: impl Into<String>) -> Self {
        Self { value, unit: unit.into(), sigma: None, resolution: None }
    }

    /// Sets the standard deviation.
    #[must_use]
    pub const fn sigma(mut self, sigma: f64) -> Self {
        self.sigma = Some(sigma);
        self
    }

    /// Sets the smallest step of the measurement.
    #[must_use]
    pub const fn resolution(mut self, resolution: f64) -> Self {
        self.resolution = Some(resolution);
        self
    }

    /// Decimals: from σ, else from the resolution, else three significant digits.
    pub(crate) fn decimals(&self) -> usize {
        match (self.sigma, self.resolution) {
            (Some(sigma), _) if sigma > 0.0 => decimals(sigma),
            (_, Some(step)) if step > 0.0 => step_decimals(step),
            _ => significant(self.value),
        }
    }

    /// The number alone.
    pub(crate) fn number(&self) -> String {
        fixed(self.value, self.decimals())
    }

    /// Number and unit.
    #[must_use]
    pub fn text(&self) -> String {
        with_unit(self.value, self.decimals(), &self.unit)
    }
}

/// Decimals that leave about three significant digits.
pub(crate) fn significant(value: f64) -> usize {
    let size = value.abs();
    if size == 0.0 || !size.is_finite() || size >= 1000.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        step_decimals(size / 100.0).min(6)
    }
}

/// A duration as people read it: `14.2 s`, `10 min 14.2 s`, `2 h 05 min`, `3 d 4 h`.
#[must_use]
pub fn duration_text(seconds: f64) -> String {
    duration(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: String) -> String {
        text.replace(NNBSP, " ")
    }

    #[test]
    fn numbers() {
        let check = |value, decimals, expect: &str| assert_eq!(plain(fixed(value, decimals)), expect);
        check(72.0, 1, "72.0");
        check(-4.06, 1, "−4.1");
        check(-0.01, 1, "0.0");
        check(9999.0, 0, "9999");
        check(-1234567.8, 1, "−1 234 567.8");
        check(f64::NAN, 1, "–");
        check(f64::INFINITY, 1, "–");
        check(1e300, 0, "1.00e300");
        check(1e-9, 3, "1.00e−9");
        assert_eq!(plain(count(1874)), "1 874");
        assert_eq!(counted(0, "finding"), "no findings");
        assert_eq!(counted(1, "finding"), "1 finding");
    }

    #[test]
    fn decimals_follow_sigma() {
        for (sigma, expect) in
            [(0.2, 1), (0.14, 2), (0.96, 1), (3.0, 0), (1.4, 1), (19.0, 0), (0.004, 3), (0.0, 1)]
        {
            assert_eq!(decimals(sigma), expect, "{sigma}");
        }
        assert_eq!(step_decimals(0.1), 1);
        assert_eq!(step_decimals(0.05), 2);
        assert_eq!(step_decimals(1.0), 0);
        assert_eq!(plain(Quantity::new(71.6, "degC").sigma(0.2).text()), "71.6 °C");
        assert_eq!(plain(Quantity::new(0.0312, "").text()), "0.0312");
        assert_eq!(plain(Quantity::new(1.5, "m").text()), "1.50 m");
    }

    #[test]
    fn times() {
        let check = |seconds, expect: &str| assert_eq!(plain(duration(seconds)), expect);
        check(0.0, "0 s");
        check(14.2, "14.2 s");
        check(59.96, "1 min");
        check(614.2, "10 min 14.2 s");
        check(-5.0, "−5 s");
        check(7500.0, "2 h 05 min");
        check(86_399.0, "1 d");
        check(3.0 * 86_400.0 + 4.0 * 3600.0, "3 d 4 h");
        check(f64::NAN, "–");
        assert_eq!(clock(Timestamp::from_secs(1_772_443_200)), "2026-03-02 09:20:00 UTC");
        assert_eq!(clock(Timestamp::from_secs(-1)), "1969-12-31 23:59:59 UTC");
        assert_eq!(clock(Timestamp::from_secs(951_782_400)), "2000-02-29 00:00:00 UTC");
    }

    #[test]
    fn probabilities_never_reach_the_ends() {
        assert_eq!(plain(percent(0.0)), "<1 %");
        assert_eq!(plain(percent(1.0)), ">99 %");
        assert_eq!(plain(percent(0.974)), "97 %");
        assert_eq!(difference_unit("degC"), "K");
    }
}
