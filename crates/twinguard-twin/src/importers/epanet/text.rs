//! Lines, words and numbers of an input file.
//!
//! Source: EPANET 2.2 Users Manual, appendix C.2: sections in brackets, `;` begins a comment, words are told by their first
//! letters without regard to case, times are decimal hours, `hours:minutes:seconds`, or a number with a unit.

use super::{EpanetError, Problem};

/// Longest line; the format allows 1023 characters.
const LINE_LIMIT: usize = 16_384;
/// Most lines.
const COUNT_LIMIT: usize = 4_000_000;

/// Sections, by the letters that name them, and whether they matter here.
pub(super) const SECTIONS: [(&str, &str); 30] = [
    ("TITL", "TITLE"),
    ("JUNC", "JUNCTIONS"),
    ("RESE", "RESERVOIRS"),
    ("TANK", "TANKS"),
    ("PIPE", "PIPES"),
    ("PUMP", "PUMPS"),
    ("VALV", "VALVES"),
    ("CONT", "CONTROLS"),
    ("RULE", "RULES"),
    ("DEMA", "DEMANDS"),
    ("SOUR", "SOURCES"),
    ("EMIT", "EMITTERS"),
    ("PATT", "PATTERNS"),
    ("CURV", "CURVES"),
    ("QUAL", "QUALITY"),
    ("STAT", "STATUS"),
    ("ROUG", "ROUGHNESS"),
    ("ENER", "ENERGY"),
    ("REAC", "REACTIONS"),
    ("MIXI", "MIXING"),
    ("REPO", "REPORT"),
    ("TIME", "TIMES"),
    ("OPTI", "OPTIONS"),
    ("COOR", "COORDINATES"),
    ("VERT", "VERTICES"),
    ("LABE", "LABELS"),
    ("BACK", "BACKDROP"),
    ("TAGS", "TAGS"),
    ("LEAK", "LEAKAGE"),
    ("END", "END"),
];

/// Whether a word begins with a keyword.
pub(super) fn is(word: &str, keyword: &str) -> bool {
    word.get(..keyword.len()).is_some_and(|start| start.eq_ignore_ascii_case(keyword))
}

/// One line with content.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub(super) number: u32,
    /// The section that it stands in.
    pub(super) section: &'static str,
    /// Its words.
    pub(super) words: Vec<&'a str>,
}

impl<'a> Line<'a> {
    /// An error in this line.
    pub(super) fn error(&self, problem: Problem) -> EpanetError {
        EpanetError { line: self.number, section: self.section, problem }
    }

    /// A word that has to be there.
    pub(super) fn word(&self, at: usize) -> Result<&'a str, EpanetError> {
        self.words.get(at).copied().ok_or_else(|| self.error(Problem::TooShort { words: self.words.len() }))
    }

    /// A word that may be there; `*` stands for none.
    pub(super) fn optional(&self, at: usize) -> Option<&'a str> {
        self.words.get(at).copied().filter(|word| *word != "*")
    }

    /// The last word.
    pub(super) fn last(&self) -> &'a str {
        self.words.last().copied().unwrap_or_default()
    }

    /// A number that has to be there.
    pub(super) fn number(&self, at: usize) -> Result<f64, EpanetError> {
        let word = self.word(at)?;
        number(word).ok_or_else(|| self.error(Problem::NotANumber { word: short(word) }))
    }

    /// A number that has to be there and may not be negative.
    pub(super) fn size(&self, at: usize) -> Result<f64, EpanetError> {
        let value = self.number(at)?;
        if value < 0.0 {
            Err(self.error(Problem::OutOfRange { word: short(self.word(at)?) }))
        } else {
            Ok(value)
        }
    }

    /// A number that has to be there and has to be positive.
    pub(super) fn positive(&self, at: usize) -> Result<f64, EpanetError> {
        let value = self.number(at)?;
        if value > 0.0 {
            Ok(value)
        } else {
            Err(self.error(Problem::OutOfRange { word: short(self.word(at)?) }))
        }
    }

    /// The error for a word that is not among those that may stand there.
    pub(super) fn unknown(&self, at: usize) -> EpanetError {
        self.error(Problem::UnknownWord { word: short(self.words.get(at).copied().unwrap_or_default()) })
    }
}

/// Cuts a text into lines with content.
pub(super) fn lines(text: &str) -> Result<Vec<Line<'_>>, EpanetError> {
    let mut section = "";
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let at = |problem| EpanetError { line: number, section, problem };
        if line.len() > LINE_LIMIT || number as usize > COUNT_LIMIT {
            return Err(at(Problem::TooLong));
        }
        let words = words(line);
        let Some(first) = words.first() else { continue };
        if let Some(name) = first.strip_prefix('[') {
            let known = SECTIONS.iter().find(|(letters, _)| is(name, letters));
            section = known.ok_or_else(|| at(Problem::UnknownSection { word: short(first) }))?.1;
            if section == "END" {
                break;
            }
        } else if section.is_empty() {
            return Err(at(Problem::OutsideSections));
        } else {
            lines.push(Line { number, section, words });
        }
    }
    Ok(lines)
}

/// Words of a line: between blanks, or between quotes; a comment ends them.
fn words(line: &str) -> Vec<&str> {
    let mut rest = line.split(';').next().unwrap_or_default().trim();
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((rest, "")),
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// A finite number.
pub(super) fn number(word: &str) -> Option<f64> {
    word.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Hours of a time with an optional unit or AM, PM.
pub(super) fn hours(time: &str, unit: &str) -> Option<f64> {
    let mut parts = [0.0; 3];
    let mut count = 0;
    for part in time.split(':') {
        *parts.get_mut(count)? = number(part)?;
        count += 1;
    }
    let [mut hours, minutes, seconds] = parts;
    if count == 1 && !(is(unit, "AM") || is(unit, "PM")) {
        let factor = match unit {
            "" => 1.0,
            _ if is(unit, "SEC") => 1.0 / 3_600.0,
            _ if is(unit, "MIN") => 1.0 / 60.0,
            _ if is(unit, "HOU") => 1.0,
            _ if is(unit, "DAY") => 24.0,
            _ => return None,
        };
        return Some(hours * factor);
    }
    hours += minutes / 60.0 + seconds / 3_600.0;
    match unit {
        "" => Some(hours),
        _ if is(unit, "AM") && hours < 13.0 => Some(if hours >= 12.0 { hours - 12.0 } else { hours }),
        _ if is(unit, "PM") && hours < 13.0 => Some(if hours >= 12.0 { hours } else { hours + 12.0 }),
        _ => None,
    }
}

/// Whole seconds of hours, if they fit.
pub(super) fn seconds(hours: f64) -> Option<i64> {
    const LONGEST_H: f64 = 1e6;
    if !(0.0..=LONGEST_H).contains(&hours) {
        return None;
    }
    // Within the range just checked, so the conversion is exact.
    Some((hours * 3_600.0 + 0.5) as i64)
}

/// A word for an error message.
pub(super) fn short(word: &str) -> String {
    word.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_comments() {
        assert_eq!(words(" a\tb  c ;d e"), ["a", "b", "c"]);
        assert_eq!(words("x \"two words\" y"), ["x", "two words", "y"]);
        assert_eq!(words("x \"open"), ["x", "open"]);
        assert!(words(" ; nothing").is_empty());
    }

    #[test]
    fn times() {
        assert_eq!(hours("24", ""), Some(24.0));
        assert_eq!(hours("24:30", ""), Some(24.5));
        assert_eq!(hours("0:00:36", ""), Some(0.01));
        assert_eq!(hours("90", "MINUTES"), Some(1.5));
        assert_eq!(hours("2", "days"), Some(48.0));
        assert_eq!(hours("12", "am"), Some(0.0));
        assert_eq!(hours("12:30", "PM"), Some(12.5));
        assert_eq!(hours("1:00", "pm"), Some(13.0));
        assert_eq!(hours("13", "pm"), None);
        assert_eq!(hours("5", "weeks"), None);
        assert_eq!(hours("1:2:3:4", ""), None);
        assert_eq!(seconds(1.5), Some(5_400));
        assert_eq!(seconds(-1.0), None);
        assert_eq!(seconds(f64::NAN), None);
    }

    #[test]
    fn sections() {
        let text = "[junctions]\n a 1\n[TIMES]\nDuration 24\n[END]\nnot read";
        let lines = lines(text).unwrap();
        let seen: Vec<_> = lines.iter().map(|line| (line.number, line.section)).collect();
        assert_eq!(seen, [(2, "JUNCTIONS"), (4, "TIMES")]);
        assert_eq!(super::lines("a 1\n").unwrap_err().problem, Problem::OutsideSections);
        assert!(matches!(super::lines("[XX]\n").unwrap_err().problem, Problem::UnknownSection { .. }));
    }
}
