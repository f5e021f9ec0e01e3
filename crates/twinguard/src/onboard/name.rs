//! What the name of a signal says of its unit and its role.
//!
//! Source: ISA-5.1 (first letter: what is measured; later ones: what the instrument does), and the usual words and endings of tag names. A word
//! is evidence, not knowledge: whoever uses it says so.

use twinguard_types::{Role, Unit};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Temperature.
    Temperature,
    /// Pressure, or a head.
    Pressure,
    /// Flow.
    Flow,
    /// Level.
    Level,
    /// Speed of something that turns or moves.
    Speed,
    /// Vibration.
    Vibration,
    /// Electric current.
    Current,
    /// Electric voltage.
    Voltage,
    /// Power.
    Power,
    /// Energy.
    Energy,
    /// Frequency.
    Frequency,
    /// Humidity.
    Humidity,
    /// Concentration, conductivity, pH and the like.
    Analysis,
    /// Opening or position.
    Position,
    /// Mass or weight.
    Weight,
}

/// Words by what they say is measured; a token that begins with one counts, if the word has at least four letters, else one that equals it.
const WORDS: &[(&str, Quantity)] = &[
    ("temperature", Quantity::Temperature),
    ("temp", Quantity::Temperature),
    ("thermocouple", Quantity::Temperature),
    ("pressure", Quantity::Pressure),
    ("press", Quantity::Pressure),
    ("flow", Quantity::Flow),
    ("level", Quantity::Level),
    ("speed", Quantity::Speed),
    ("rpm", Quantity::Speed),
    ("vibration", Quantity::Vibration),
    ("accelero", Quantity::Vibration),
    ("current", Quantity::Current),
    ("voltage", Quantity::Voltage),
    ("power", Quantity::Power),
    ("energy", Quantity::Energy),
    ("freq", Quantity::Frequency),
    ("humid", Quantity::Humidity),
    ("conductivity", Quantity::Analysis),
    ("turbidity", Quantity::Analysis),
    ("chlorine", Quantity::Analysis),
    ("ph", Quantity::Analysis),
    ("position", Quantity::Position),
    ("opening", Quantity::Position),
    ("weight", Quantity::Weight),
];

/// Endings of names that are units, and how a plant file writes them.
const ENDINGS: &[(&str, &str)] = &[
    ("degC", "degC"),
    ("degF", "degF"),
    ("celsius", "degC"),
    ("kPa", "kPa"),
    ("MPa", "MPa"),
    ("Pa", "Pa"),
    ("bar", "bar"),
    ("mbar", "mbar"),
    ("psi", "psi"),
    ("rpm", "rpm"),
    ("Hz", "Hz"),
    ("kW", "kW"),
    ("MW", "MW"),
    ("kWh", "kWh"),
    ("MWh", "MWh"),
    ("kV", "kV"),
    ("mV", "mV"),
    ("mA", "mA"),
    ("kA", "kA"),
    ("mm", "mm"),
    ("cm", "cm"),
    ("m3", "m3"),
    ("m3h", "m3/h"),
    ("lps", "L/s"),
    ("gpm", "gpm"),
    ("GPM", "GPM"),
    ("pct", "%"),
    ("percent", "%"),
    ("ppm", "ppm"),
    ("Nm", "Nm"),
    ("kN", "kN"),
    ("ms", "ms"),
];

/// Words by what they say a signal is for. A command of a valve is what drives, its state is measured.
const COMMANDS: &[&str] = &["cmd", "command", "op"];
const SETPOINTS: &[&str] = &["sp", "setpoint", "spt", "target"];
const STATES: &[&str] =
    &["status", "state", "feedback", "fb", "pv", "actual", "meas", "measured", "sensor", "run", "running"];

/// A guess with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Guess<T> {
    /// What is guessed.
    pub value: T,
    /// Why, in words.
    pub evidence: String,
}

impl<T> Guess<T> {
    pub(super) fn new(value: T, evidence: impl Into<String>) -> Self {
        Self { value, evidence: evidence.into() }
    }
}

/// Lower-case words of a name: letters and digits stay together, a capital after a small letter begins a word.
fn tokens(name: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut before = ' ';
    for mark in name.chars() {
        if !mark.is_alphanumeric() || (mark.is_uppercase() && before.is_lowercase()) {
            tokens.push(String::new());
        }
        if mark.is_alphanumeric()
            && let Some(last) = tokens.last_mut()
        {
            last.extend(mark.to_lowercase());
        }
        before = mark;
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

/// Letters and number of a tag as ISA-5.1 writes it: `PIT-301`, `TIC101.SP`.
fn instrument(name: &str) -> Option<&str> {
    let letters = name.len() - name.trim_start_matches(|c: char| c.is_ascii_uppercase()).len();
    let (letters, rest) = name.split_at_checked(letters).filter(|(own, _)| (2..=4).contains(&own.len()))?;
    let rest = rest.trim_start_matches(['-', '_', ' ']);
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    // The second letter says what the instrument does.
    let function = |mark: char| "ACEGIKLQRSTVXYZHD".contains(mark);
    ((1..=5).contains(&digits) && letters.chars().skip(1).all(function)).then_some(letters)
}

/// What a name says is measured.
pub(super) fn quantity(name: &str, description: &str) -> Option<Guess<Quantity>> {
    for (text, what) in [(name, "name"), (description, "description")] {
        let words = tokens(text);
        for (word, quantity) in WORDS {
            let hit =
                |token: &&String| if word.len() >= 4 { token.starts_with(word) } else { *token == word };
            if let Some(token) = words.iter().find(hit) {
                return Some(Guess::new(*quantity, format!("`{token}` in its {what}")));
            }
        }
    }
    let letters = instrument(name)?;
    let quantity = match letters.chars().next()? {
        'T' => Quantity::Temperature,
        'P' => Quantity::Pressure,
        'F' => Quantity::Flow,
        'L' => Quantity::Level,
        'S' => Quantity::Speed,
        'V' => Quantity::Vibration,
        'E' => Quantity::Voltage,
        'I' => Quantity::Current,
        'J' => Quantity::Power,
        'W' => Quantity::Weight,
        'Z' => Quantity::Position,
        'A' => Quantity::Analysis,
        _ => return None,
    };
    Some(Guess::new(quantity, format!("`{letters}` as ISA-5.1 reads it")))
}

/// The unit that a name states, or that a quantity has when its values lie between `least` and `most`.
pub(super) fn unit(
    name: &str,
    quantity: Option<&Guess<Quantity>>,
    seen: Option<(f64, f64)>,
) -> Option<Guess<String>> {
    for (open, close) in [('[', ']'), ('(', ')')] {
        let inner = name.rfind(open).and_then(|from| name.get(from + 1..)?.split(close).next());
        if let Some(inner) =
            inner.map(str::trim).filter(|inner| !inner.is_empty() && inner.parse::<Unit>().is_ok())
        {
            return Some(Guess::new(inner.to_owned(), format!("`{inner}` in brackets in its name")));
        }
    }
    let mut parts = name.split(['_', '.', ' ', '/', '-']).filter(|part| !part.is_empty());
    if let (Some(_), Some(last)) = (parts.next(), parts.next_back())
        && let Some((ending, unit)) = ENDINGS.iter().find(|(ending, _)| *ending == last)
    {
        return Some(Guess::new((*unit).to_owned(), format!("its name ends in `{ending}`")));
    }
    let (quantity, (least, most)) = (quantity?, seen?);
    let within = |low: f64, high: f64| least >= low && most <= high;
    let unit = match quantity.value {
        Quantity::Temperature if within(-60.0, 400.0) => "degC",
        Quantity::Humidity if within(0.0, 100.0) && most > 1.5 => "%",
        Quantity::Position if within(0.0, 100.0) && most > 1.5 => "%",
        Quantity::Frequency if within(45.0, 65.0) => "Hz",
        Quantity::Voltage => "V",
        Quantity::Current => "A",
        _ => return None,
    };
    let why = format!("{}, values between {least:.4} and {most:.4}", quantity.evidence);
    Some(Guess::new(unit.to_owned(), why))
}

/// What a name says a signal is for.
pub(super) fn role(name: &str, description: &str) -> Option<Guess<Role>> {
    for (text, what) in [(name, "name"), (description, "description")] {
        let words = tokens(text);
        let found =
            |known: &[&str]| words.iter().find(|token| known.iter().any(|word| word == token)).cloned();
        for (known, role) in
            [(STATES, Role::Measurement), (SETPOINTS, Role::Setpoint), (COMMANDS, Role::Actuator)]
        {
            if let Some(word) = found(known) {
                return Some(Guess::new(role, format!("`{word}` in its {what}")));
            }
        }
    }
    let letters = instrument(name)?;
    let role = if letters.ends_with('V') { Role::Actuator } else { Role::Measurement };
    Some(Guess::new(role, format!("`{letters}` as ISA-5.1 reads it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_quantity_unit_and_role() {
        let unit_of =
            |name: &str, seen| unit(name, quantity(name, "").as_ref(), seen).map(|guess| guess.value);
        for (name, seen, expected) in [
            ("Druck [kPa]", None, Some("kPa")),
            ("oil_degC", None, Some("degC")),
            ("Temperature", Some((20.0, 80.0)), Some("degC")),
            ("Temperature", Some((500.0, 900.0)), None),
            ("TI-101", Some((20.0, 80.0)), Some("degC")),
            ("PIT301", Some((1.0, 2.0)), None),
            ("level (old)", None, None),
            ("bar", None, None),
            ("L_T1", Some((0.0, 4.0)), None),
        ] {
            assert_eq!(unit_of(name, seen).as_deref(), expected, "{name}");
        }
        for (name, expected) in [
            ("CMD_10", Some(Role::Actuator)),
            ("valve.position.setpoint", Some(Role::Setpoint)),
            ("pumpStatus", Some(Role::Measurement)),
            ("LCV-7", Some(Role::Actuator)),
            ("TIT-7", Some(Role::Measurement)),
            ("F_PU1", None),
        ] {
            assert_eq!(role(name, "").map(|guess| guess.value), expected, "{name}");
        }
        assert_eq!(quantity("x", "Flow to tank").unwrap().evidence, "`flow` in its description");
        assert_eq!(quantity("", ""), None);
    }
}
