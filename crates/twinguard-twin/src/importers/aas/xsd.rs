//! Lexical forms of the data types that property values may have.
//!
//! Sources: W3C XML Schema 1.0 Part 2 (datatypes), clause 3, and RFC 3987 (`anyURI`); IDTA-01001-3-0, clause 5.3.11 (which types). Year -0001 is
//! the year before 0001, as in that version.

/// A reader of one text.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn eat(&mut self, word: &str) -> bool {
        let rest = self.0.strip_prefix(word);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// As many digits as there are.
    fn digits(&mut self) -> &'a str {
        let end = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        digits
    }

    /// Two digits within a range.
    fn two(&mut self, least: u32, most: u32) -> Option<u32> {
        let two = self.0.get(..2).filter(|two| two.bytes().all(|byte| byte.is_ascii_digit()))?;
        self.0 = &self.0[2..];
        two.parse().ok().filter(|value| (least..=most).contains(value))
    }

    /// A year, and whether it is a leap year.
    fn year(&mut self) -> Option<bool> {
        let before = self.eat("-");
        let digits = self.digits();
        if digits.len() < 4 || (digits.len() > 4 && digits.starts_with('0')) {
            return None;
        }
        // Only the last digits matter; 400 divides 10000.
        let mut year: u32 = digits[digits.len() - 4..].parse().ok()?;
        if before {
            // The year before 0001 counts as 0, which is a leap year.
            year = (year + 9_999) % 10_000;
        }
        Some(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)))
    }

    fn date(&mut self) -> Option<()> {
        let leap = self.year()?;
        let month = self.eat("-").then(|| self.two(1, 12))??;
        let day = self.eat("-").then(|| self.two(1, 31))??;
        (day <= days(month, leap)).then_some(())
    }

    fn time(&mut self) -> Option<()> {
        let hour = self.two(0, 24)?;
        let minute = self.eat(":").then(|| self.two(0, 59))??;
        let second = self.eat(":").then(|| self.two(0, 59))??;
        let fraction =
            if self.eat(".") { Some(self.digits()).filter(|digits| !digits.is_empty())? } else { "" };
        let midnight = minute == 0 && second == 0 && fraction.bytes().all(|digit| digit == b'0');
        (hour < 24 || midnight).then_some(())
    }

    /// Nothing but an optional time zone is left.
    fn zone(mut self) -> bool {
        if self.0.is_empty() || self.0 == "Z" {
            return true;
        }
        if !(self.eat("+") || self.eat("-")) {
            return false;
        }
        let (hours, minutes) = (self.two(0, 14), self.eat(":").then(|| self.two(0, 59)).flatten());
        self.0.is_empty() && matches!((hours, minutes), (Some(0..=13), Some(_)) | (Some(14), Some(0)))
    }

    /// `[+-]? digits [. digits]` with at least one digit.
    fn decimal(&mut self, signed: bool) -> bool {
        if signed && !self.eat("+") {
            self.eat("-");
        }
        let whole = self.digits();
        let fraction = if self.eat(".") { self.digits() } else { "" };
        !whole.is_empty() || !fraction.is_empty()
    }
}

fn days(month: u32, leap: bool) -> u32 {
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether a text is a value of a type `xs:…`; none for a type that is not known.
pub(super) fn is_value(kind: &str, text: &str) -> Option<bool> {
    let kind = kind.strip_prefix("xs:")?;
    let mut rest = Text(text);
    Some(match kind {
        "string" => true,
        "anyURI" => is_iri_reference(text),
        "boolean" => ["true", "false", "1", "0"].contains(&text),
        "decimal" => rest.decimal(true) && rest.0.is_empty(),
        "double" | "float" => {
            if ["INF", "-INF", "NaN"].contains(&text) {
                return Some(true);
            }
            let mantissa = rest.decimal(true);
            let exponent = if rest.eat("e") || rest.eat("E") {
                if !rest.eat("+") {
                    rest.eat("-");
                }
                !rest.digits().is_empty()
            } else {
                true
            };
            mantissa && exponent && rest.0.is_empty()
        }
        "hexBinary" => text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "base64Binary" => is_base64(text),
        "date" => rest.date().is_some() && rest.zone(),
        "dateTime" => rest.date().is_some() && rest.eat("T") && rest.time().is_some() && rest.zone(),
        "time" => rest.time().is_some() && rest.zone(),
        "duration" => is_duration(text),
        "gDay" => rest.eat("---") && rest.two(1, 31).is_some() && rest.zone(),
        "gMonth" => rest.eat("--") && rest.two(1, 12).is_some() && rest.zone(),
        "gMonthDay" => {
            let month = rest.eat("--").then(|| rest.two(1, 12)).flatten();
            let day = rest.eat("-").then(|| rest.two(1, 31)).flatten();
            month.zip(day).is_some_and(|(month, day)| day <= days(month, true)) && rest.zone()
        }
        "gYear" => rest.year().is_some() && rest.zone(),
        "gYearMonth" => rest.year().is_some() && rest.eat("-") && rest.two(1, 12).is_some() && rest.zone(),
        _ => return is_integer(kind, text),
    })
}

/// Whole numbers and their bounds, without a limit on digits.
fn is_integer(kind: &str, text: &str) -> Option<bool> {
    let bits = |bits: u32| Some(1_i128 << bits);
    let (least, most) = match kind {
        "integer" => (None, None),
        "nonNegativeInteger" => (Some(0), None),
        "positiveInteger" => (Some(1), None),
        "nonPositiveInteger" => (None, Some(0)),
        "negativeInteger" => (None, Some(-1)),
        "byte" => (bits(7).map(|bound| -bound), bits(7).map(|bound| bound - 1)),
        "short" => (bits(15).map(|bound| -bound), bits(15).map(|bound| bound - 1)),
        "int" => (bits(31).map(|bound| -bound), bits(31).map(|bound| bound - 1)),
        "long" => (bits(63).map(|bound| -bound), bits(63).map(|bound| bound - 1)),
        "unsignedByte" => (Some(0), bits(8).map(|bound| bound - 1)),
        "unsignedShort" => (Some(0), bits(16).map(|bound| bound - 1)),
        "unsignedInt" => (Some(0), bits(32).map(|bound| bound - 1)),
        "unsignedLong" => (Some(0), bits(64).map(|bound| bound - 1)),
        _ => return None,
    };
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(false);
    }
    // What does not fit is beyond every finite bound.
    let value: i128 = text.parse().unwrap_or(if text.starts_with('-') { i128::MIN } else { i128::MAX });
    Some(least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most))
}

/// Whether a text is a type that values may have.
pub(super) fn is_type(text: &str) -> bool {
    is_value(text, "").is_some()
}

/// A date and time in universal time.
pub(super) fn is_utc(text: &str) -> bool {
    let mut rest = Text(text);
    rest.date().is_some()
        && rest.eat("T")
        && rest.time().is_some()
        && ["Z", "+00:00", "-00:00"].contains(&rest.0)
}

/// `P1Y2M3DT4H5M6.7S`, at least one part, and one after a `T`.
pub(super) fn is_duration(text: &str) -> bool {
    let mut rest = Text(text);
    rest.eat("-");
    if !rest.eat("P") {
        return false;
    }
    let part = |rest: &mut Text<'_>, letters: &[char], fraction: bool| -> bool {
        let mut letters = letters.iter();
        let mut any = false;
        while rest.0.starts_with(|c: char| c.is_ascii_digit()) {
            rest.digits();
            let has_fraction = fraction && rest.0.starts_with('.');
            if has_fraction {
                rest.eat(".");
                if rest.digits().is_empty() {
                    return false;
                }
            }
            let Some(found) = letters.find(|letter| rest.0.starts_with(**letter)) else { return false };
            if has_fraction && *found != 'S' {
                return false;
            }
            rest.0 = &rest.0[1..];
            any = true;
        }
        any
    };
    let days = part(&mut rest, &['Y', 'M', 'D'], false);
    let times = !rest.eat("T") || part(&mut rest, &['H', 'M', 'S'], true);
    let after_t = text.contains('T');
    rest.0.is_empty() && times && (days || after_t)
}

/// Base 64 with padding, no stray bits; blanks between are allowed.
pub(super) fn is_base64(text: &str) -> bool {
    let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let (body, padding) = match bytes.as_slice() {
        [body @ .., b'=', b'='] => (body, 2),
        [body @ .., b'='] => (body, 1),
        body => (body, 0),
    };
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+' || *byte == b'/';
    let last = body.last().copied().unwrap_or_default();
    bytes.len().is_multiple_of(4)
        && body.iter().all(letter)
        && match padding {
            0 => true,
            1 => b"AEIMQUYcgkosw048".contains(&last),
            _ => b"AQgw".contains(&last),
        }
}

/// RFC 3987, rule IRI-reference: scheme, authority, path, query, fragment.
fn is_iri_reference(text: &str) -> bool {
    let (rest, fragment) =
        text.split_once('#').map_or((text, None), |(rest, fragment)| (rest, Some(fragment)));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    if !fragment.is_none_or(|fragment| characters(fragment, "/?:@", false))
        || !query.is_none_or(|query| characters(query, "/?:@", true))
    {
        return false;
    }
    let scheme = rest.split_once(':').filter(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    let rest = scheme.map_or(rest, |(_, rest)| rest);
    let path = match rest.strip_prefix("//") {
        None => {
            // Without a scheme the first part of a path has no colon.
            let first = rest.split('/').next().unwrap_or_default();
            if scheme.is_none() && first.contains(':') {
                return false;
            }
            rest
        }
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            let (host, port) = match host.rfind(']') {
                Some(end) => host.split_at(end + 1),
                None => host.split_at(host.find(':').unwrap_or(host.len())),
            };
            let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(address) => {
                    address.parse::<std::net::Ipv6Addr>().is_ok()
                        || (address.starts_with(['v', 'V']) && characters(address, ":", false))
                }
                None => characters(host, "", false),
            };
            let port = port.is_empty()
                || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
            if !(host && port && characters(user, ":", false)) {
                return false;
            }
            path
        }
    };
    characters(path, "/:@", false)
}

/// Unreserved characters, escapes, sub-delimiters, and some more.
fn characters(text: &str, more: &str, private: bool) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let code = u32::from(c);
        let good = match c {
            '%' => (0..2).all(|_| rest.next().is_some_and(|c| c.is_ascii_hexdigit())),
            _ if c.is_ascii() => {
                c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c) || more.contains(c)
            }
            _ => {
                let plane = code & 0xFFFF;
                matches!(code, 0xA0..=0xD7FF | 0xF900..=0xFDCF | 0xFDF0..=0xFFEF)
                    || ((0x1_0000..0xF_0000).contains(&code)
                        && plane <= 0xFFFD
                        && !(0xE_0000..0xE_1000).contains(&code))
                    || (private && (matches!(code, 0xE000..=0xF8FF) || (code >= 0xF_0000 && plane <= 0xFFFD)))
            }
        };
        if !good {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(is_value(kind, text), Some(true), "{kind} {text}");
        }
        for text in bad {
            assert_eq!(is_value(kind, text), Some(false), "{kind} {text}");
        }
    }

    #[test]
    fn numbers() {
        check("xs:byte", &["-128", "+127", "0000"], &["128", "", "1.0", "--1", "x"]);
        check("xs:unsignedLong", &["18446744073709551615"], &["18446744073709551616", "-1"]);
        check("xs:integer", &["99999999999999999999999999999999999999999999"], &["1e3"]);
        check("xs:negativeInteger", &["-1"], &["0"]);
        check("xs:decimal", &["1", "-1.", ".5", "+0.50"], &[".", "1e5", "INF"]);
        check("xs:double", &["1e5", "-1.5E-3", "INF", "-INF", "NaN"], &["+INF", "1e", "e5", "nan"]);
    }

    #[test]
    fn times() {
        check(
            "xs:date",
            &["2024-02-29", "-0001-02-29", "2022-12-31Z", "12022-01-01+14:00"],
            &["2023-02-29", "22-01-01", "2022-13-01", "02022-01-01", "2022-01-01+14:01"],
        );
        check(
            "xs:dateTime",
            &["2022-04-01T01:02:03", "2022-04-01T24:00:00.0Z", "2022-04-01T01:02:03.5-05:00"],
            &["2022-04-01", "2022-04-01T24:00:01", "2022-04-31T00:00:00", "2022-04-01T1:02:03"],
        );
        check("xs:gMonthDay", &["--02-29", "--12-31Z"], &["--02-30", "-02-29"]);
        check("xs:gYearMonth", &["2022-04"], &["2022-4", "2022"]);
        check(
            "xs:duration",
            &["P1Y2M3DT4H5M6.7S", "-P120D", "PT0S", "P1M"],
            &["P", "PT", "P1S", "P1.5Y", "1Y", "P1D2Y", "PT1.S"],
        );
        assert!(
            is_utc("2022-02-28T12:13:14Z")
                && !is_utc("2022-02-29T12:13:14Z")
                && !is_utc("2022-02-28T12:13:14+01:00")
        );
    }

    #[test]
    fn others() {
        check(
            "xs:anyURI",
            &["", "a/b", "http://x.y/z?q#f", "//[::1]:80/", "?\u{FE800}#/", "mailto:a@b"],
            &["http://x#a#b", "%rag", "``", "a b", "//[::1", "/\u{E006}", "\u{e2}\u{96}"],
        );
        check("xs:hexBinary", &["", "0aFF"], &["0", "0g"]);
        check("xs:base64Binary", &["", "AA==", "AAA=", "AAAA"], &["A", "AB==", "=AAA", "AA="]);
        check("xs:boolean", &["true", "0"], &["True", ""]);
        assert!(is_type("xs:int") && !is_type("xs:token") && !is_type("int"));
    }
}
