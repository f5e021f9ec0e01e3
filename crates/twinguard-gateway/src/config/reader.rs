//! Reads TOML key by key and goes on after a mistake, so that all mistakes are told at once.

use core::cell::RefCell;
use core::ops::Range;
use std::collections::BTreeSet;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use twinguard::twin::problem::{Located, Place, Problem};

/// A text with the mistakes found in it so far.
pub(super) struct Reader<'a> {
    file: Arc<str>,
    text: &'a str,
    problems: RefCell<Vec<Located>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &str, text: &'a str) -> Self {
        Self { file: file.into(), text, problems: RefCell::default() }
    }

    /// The whole text as a table; what TOML itself refuses is a problem as well.
    pub(super) fn parse(&self) -> DeTable<'a> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let reason = error.message().to_owned();
            self.problem(error.span().map_or(0, |span| span.start), Problem::Syntax { reason });
        }
        table.into_inner()
    }

    pub(super) fn problem(&self, at: usize, problem: Problem) {
        self.problems.borrow_mut().push(Located { place: self.place(at), problem });
    }

    pub(super) fn place(&self, at: usize) -> Place {
        Place::of(&self.file, self.text, at)
    }

    pub(super) fn refuse(&self, at: usize, key: &str, reason: impl Into<String>) {
        self.problem(at, Problem::Value { key: key.to_owned(), reason: reason.into() });
    }

    /// Whether there is a mistake.
    pub(super) fn is_wrong(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    pub(super) fn into_problems(self) -> Vec<Located> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|it| (it.place.file.clone(), it.place.line, it.place.column));
        problems
    }
}

/// One table of the text; [`Table::finish`] tells of keys that nobody asked for.
pub(super) struct Table<'r, 'a> {
    reader: &'r Reader<'a>,
    /// As in `[api]`; empty for the file.
    name: String,
    at: usize,
    table: &'r DeTable<'a>,
    asked: RefCell<BTreeSet<&'static str>>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

impl<'r, 'a> Table<'r, 'a> {
    pub(super) fn root(reader: &'r Reader<'a>, table: &'r DeTable<'a>) -> Self {
        Self { reader, name: "the file".to_owned(), at: 0, table, asked: RefCell::default() }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) const fn reader(&self) -> &'r Reader<'a> {
        self.reader
    }

    fn get(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn wrong<T>(&self, key: &str, expected: &str, found: &Spanned<DeValue<'_>>) -> Option<T> {
        let (expected, kind) = (expected.to_owned(), found.get_ref().type_str());
        let problem = Problem::WrongType { key: key.to_owned(), expected, found: kind };
        self.reader.problem(found.span().start, problem);
        None
    }

    fn missing<T>(&self, key: &str) -> Option<T> {
        let problem = Problem::MissingKey { key: key.to_owned(), table: self.name.clone() };
        self.reader.problem(self.at, problem);
        None
    }

    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// Where a key's value stands, or the table where it is not there.
    pub(super) fn place_of(&self, key: &'static str) -> usize {
        self.get(key).map_or(self.at, |value| value.span().start)
    }

    pub(super) fn text(&self, key: &'static str) -> Option<At<String>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: text.to_string(), at: value.span().start }),
            _ => self.wrong(key, "text", value),
        }
    }

    pub(super) fn must_text(&self, key: &'static str) -> Option<At<String>> {
        if self.has(key) { self.text(key) } else { self.missing(key) }
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            self.unknown("choice", &text, choices.iter().map(|(word, _)| *word));
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn must_choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        if self.has(key) {
            return self.choice(key, choices);
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        self.reader.refuse(self.at, key, format!("is missing: it is {}", words.join(" or ")));
        None
    }

    /// Tells that a word names nothing, and what comes nearest.
    pub(super) fn unknown<'w>(
        &self,
        what: &'static str,
        word: &At<String>,
        valid: impl Iterator<Item = &'w str>,
    ) {
        let nearest = nearest(&word.value, valid);
        self.reader.problem(word.at, Problem::Unknown { what, name: word.value.clone(), nearest });
    }

    pub(super) fn flag(&self, key: &'static str) -> bool {
        let Some(value) = self.get(key) else { return false };
        match value.get_ref() {
            DeValue::Boolean(flag) => *flag,
            _ => self.wrong::<()>(key, "true or false", value).is_some(),
        }
    }

    /// A flag that is on when absent.
    pub(super) fn flag_on(&self, key: &'static str) -> bool {
        !self.has(key) || self.flag(key)
    }

    pub(super) fn number(&self, key: &'static str, range: Range<f64>, default: f64) -> f64 {
        let Some(value) = self.get(key) else { return default };
        let number = match value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse::<f64>().ok(),
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            _ => return self.wrong(key, "a number", value).unwrap_or(default),
        };
        match number.filter(|number| number.is_finite() && range.contains(number)) {
            Some(number) => number,
            None => {
                let reason = format!("must lie from {} to below {}", range.start, range.end);
                self.reader.refuse(value.span().start, key, reason);
                default
            }
        }
    }

    pub(super) fn count(&self, key: &'static str, range: Range<u32>, default: u32) -> u32 {
        let Some(value) = self.get(key) else { return default };
        let DeValue::Integer(integer) = value.get_ref() else {
            return self.wrong(key, "a whole number", value).unwrap_or(default);
        };
        match u32::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|it| range.contains(it)) {
            Some(number) => number,
            None => {
                let reason = format!("must lie from {} to {}", range.start, range.end.saturating_sub(1));
                self.reader.refuse(value.span().start, key, reason);
                default
            }
        }
    }

    pub(super) fn texts(&self, key: &'static str) -> Vec<At<String>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong::<()>(key, "a list of texts", value);
            return Vec::new();
        };
        let text = |item: &Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::String(text) => Some(At { value: text.to_string(), at: item.span().start }),
            _ => self.wrong(key, "a list of texts", item),
        };
        list.iter().filter_map(text).collect()
    }

    pub(super) fn counts(&self, key: &'static str, range: Range<u32>) -> Vec<u32> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong::<()>(key, "a list of whole numbers", value);
            return Vec::new();
        };
        let mut numbers = Vec::new();
        for item in list.iter() {
            let number = match item.get_ref() {
                DeValue::Integer(it) => u32::from_str_radix(it.as_str(), it.radix()).ok(),
                _ => None,
            };
            match number.filter(|number| range.contains(number)) {
                Some(number) => numbers.push(number),
                None => {
                    let reason = format!("must hold numbers from {} to {}", range.start, range.end - 1);
                    self.reader.refuse(item.span().start, key, reason);
                }
            }
        }
        numbers
    }

    pub(super) fn table(&self, key: &'static str) -> Option<Table<'r, 'a>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => {
                // The file's own name is no part of what stands in it.
                let parent = self.name.trim_matches(['[', ']']);
                let name = if parent == self.name { key.to_owned() } else { format!("{parent}.{key}") };
                Some(self.inner(format!("[{name}]"), value.span().start, table))
            }
            _ => self.wrong(key, "a table", value),
        }
    }

    pub(super) fn tables(&self, key: &'static str) -> Vec<Table<'r, 'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong::<()>(key, "a list of tables", value);
            return Vec::new();
        };
        let table = |item: &'r Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::Table(table) => Some(self.inner(format!("[[{key}]]"), item.span().start, table)),
            _ => self.wrong(key, "a list of tables", item),
        };
        list.iter().filter_map(table).collect()
    }

    fn inner(&self, name: String, at: usize, table: &'r DeTable<'a>) -> Table<'r, 'a> {
        Table { reader: self.reader, name, at, table, asked: RefCell::default() }
    }

    /// Tells of keys that this table does not have.
    pub(super) fn finish(self) {
        let asked = self.asked.into_inner();
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref();
            if !asked.contains(name) {
                let nearest = nearest(name, asked.iter().copied());
                let problem = Problem::UnknownKey { key: name.to_owned(), nearest };
                self.reader.problem(key.span().start, problem);
            }
        }
    }
}

/// The most similar of the valid words, if one is near.
pub(super) fn nearest<'w>(word: &str, valid: impl Iterator<Item = &'w str>) -> Option<String> {
    let near = (word.chars().count() / 3).max(2);
    let distance = |valid: &'w str| (strsim::osa_distance(word, valid), valid);
    valid.map(distance).filter(|(distance, _)| *distance <= near).min().map(|(_, word)| word.to_owned())
}
