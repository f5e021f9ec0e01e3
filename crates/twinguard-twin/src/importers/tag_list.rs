//! Tag lists: one row a tag, as engineering tools and spreadsheets export them.
//!
//! Source: RFC 4180 (comma, semicolon or tab, told from the header); there is no standard for the columns, so they are known by the usual
//! names of their heads. Only the tag itself is needed.

use twinguard_types::{Range, Role, Signal, Unit};

use super::Refused;

/// Most tags of a list.
const LIMIT: usize = 100_000;
/// Largest list in bytes.
const BYTES: usize = 64 << 20;

/// Heads of columns, in lower case, by what they hold; the first that a list has counts.
const TAG: &[&str] = &[
    "path", "tag", "tag name", "tagname", "tag_name", "name", "signal", "point", "id", "variable", "column",
];
const UNIT: &[&str] = &[
    "unit",
    "units",
    "eu",
    "eng unit",
    "eng units",
    "engineering unit",
    "engineering units",
    "uom",
    "einheit",
];
const ROLE: &[&str] = &["role", "type", "kind", "class", "direction", "io", "i/o"];
const WORDS: &[&str] = &["description", "desc", "descriptor", "comment", "text", "label", "beschreibung"];
const LOW: &[&str] = &["min", "low", "lo", "range_min", "range min", "zero", "eu low", "eu lo"];
const HIGH: &[&str] = &["max", "high", "hi", "range_max", "range max", "span", "eu high", "eu hi"];

/// A tag as its list describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    /// Path, unit, role and range, as far as the list says; the role is a measurement where it does not.
    pub signal: Signal,
    /// Whether the list says what the signal is for.
    pub role_known: bool,
    /// What it is, in the list's words; empty where it has none.
    pub description: String,
}

/// Reads a tag list.
///
/// ```
/// let tags = twinguard_twin::importers::tag_list(b"Tag;Description;EU\nTI-101;Oil temperature;degC\n")?;
/// assert_eq!((&*tags[0].signal.path, &*tags[0].signal.unit), ("TI-101", "degC"));
/// assert_eq!(tags[0].description, "Oil temperature");
/// # Ok::<(), twinguard_twin::importers::Refused>(())
/// ```
///
/// # Errors
/// [`Refused`] with the line: no column that could hold tags, a tag that cannot be a path or stands twice, too much of it.
pub fn tag_list(bytes: &[u8]) -> Result<Vec<Tag>, Refused> {
    let refused = |line: u64, reason: String| Refused { place: format!("line {line}"), reason };
    if bytes.len() > BYTES {
        return Err(refused(1, "longer than 64 MiB".to_owned()));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let head = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| head.iter().filter(|byte| **byte == delimiter).count();
    let delimiter = [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).flexible(true).from_reader(bytes);
    let decode = |bytes: &[u8]| match core::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    let heads = reader.byte_headers().map_err(|error| refused(1, error.to_string()))?;
    let heads: Vec<String> = heads.iter().map(|head| decode(head).to_lowercase()).collect();
    let column = |names: &[&str]| names.iter().find_map(|name| heads.iter().position(|head| head == name));
    // A list of one column needs no head that is known.
    let tag = column(TAG).or((heads.len() == 1).then_some(0));
    let tag =
        tag.ok_or_else(|| refused(1, format!("no column of tags: none is named {}", TAG.join(", "))))?;
    let (unit, role, words) = (column(UNIT), column(ROLE), column(WORDS));
    let (low, high) = (column(LOW), column(HIGH));
    let mut tags: Vec<Tag> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut record = csv::ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(tags),
            Err(error) => return Err(refused(reader.position().line(), error.to_string())),
        }
        let line = record.position().map_or(0, csv::Position::line);
        let field =
            |column: Option<usize>| column.and_then(|at| record.get(at)).map(decode).unwrap_or_default();
        let path = field(Some(tag));
        if path.is_empty() {
            continue;
        }
        if !seen.insert(path.clone()) {
            return Err(refused(line, format!("tag `{}` stands twice", short(&path))));
        }
        if tags.len() == LIMIT {
            return Err(refused(line, format!("more than {LIMIT} tags")));
        }
        let known = role_of(&field(role));
        let mut signal = Signal::new(path.as_str(), known.unwrap_or(Role::Measurement));
        let written = field(unit);
        // What is no unit is left for a person; the guard would refuse the file.
        if written.parse::<Unit>().is_ok() {
            signal.unit = written.into();
        }
        let number = |column| field(column).replace(',', ".").parse::<f64>().ok();
        signal.range = number(low).zip(number(high)).and_then(|(low, high)| Range::new(low, high).ok());
        tags.push(Tag { signal, role_known: known.is_some(), description: field(words) });
    }
}

/// What a word in a column of roles says; types of data say nothing.
fn role_of(word: &str) -> Option<Role> {
    let word = word.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|known| word == *known);
    if any(&["measurement", "sensor", "ai", "di", "input", "pv", "in", "read"]) {
        Some(Role::Measurement)
    } else if any(&["actuator", "ao", "do", "output", "out", "cv", "mv", "command", "write"]) {
        Some(Role::Actuator)
    } else if any(&["setpoint", "set-point", "sp", "reference"]) {
        Some(Role::Setpoint)
    } else if any(&["parameter", "param", "config", "constant"]) {
        Some(Role::Parameter)
    } else {
        None
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_many_hands_are_read() {
        let list = b"Name,Type,Engineering Units,Min,Max\nPIT301,AI,kPa,0,\"250,5\"\nMV101,DO,,,\n,,,,\n\xb5,x,%%,9,1\n";
        let tags = tag_list(list).unwrap();
        assert_eq!(tags.len(), 3);
        assert_eq!(tags[0].signal.range, Some(Range::new(0.0, 250.5).unwrap()));
        assert_eq!((tags[1].signal.role, tags[1].role_known), (Role::Actuator, true));
        let odd = &tags[2];
        assert_eq!(
            (&*odd.signal.path, &*odd.signal.unit, odd.signal.range, odd.role_known),
            ("µ", "", None, false)
        );
        assert_eq!(tag_list(b"whatever\nA\nB\n").unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_place() {
        let check = |list: &[u8], expected: &str| {
            let error = tag_list(list).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(b"a,b\n1,2\n", "line 1: no column of tags");
        check(b"tag\nA\nA\n", "line 3: tag `A` stands twice");
    }
}
