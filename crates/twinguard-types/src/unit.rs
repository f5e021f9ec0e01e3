//! Units as people write them, with dimensions: `kgf/cm2`, `W/(m2 K)`, `degC`, `kWh`, `L/s`.
//!
//! Sources: the International System of Units (BIPM, 9th edition 2019), §2.3 and §3; NIST SP 811 appendix B for the
//! factors of other units. A unit is written as factors with `*`, `·`, a blank or `/` between them, whole exponents after
//! a factor (`m2`, `m^2`, `m²`, `s-1`), brackets, and the prefixes from n to T.

use crate::Error;

/// Exponents of metre, kilogram, second, ampere, kelvin, mole, candela.
pub type Dimensions = [i8; 7];

/// A unit: SI value = value · `scale` + `offset`.
///
/// ```
/// use twinguard_types::Unit;
///
/// let bar: Unit = "bar".parse()?;
/// let pressure: Unit = "kgf/cm2".parse()?;
/// assert!(bar.same_dimension(&pressure));
/// assert!((pressure.convert(1.0, &bar).unwrap() - 0.980665).abs() < 1e-12);
/// let warm: Unit = "degF".parse()?;
/// assert!((warm.convert(212.0, &"degC".parse()?).unwrap() - 100.0).abs() < 1e-9);
/// assert_eq!(warm.convert(1.0, &bar), None);
/// # Ok::<(), twinguard_types::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// Its dimensions.
    pub dimensions: Dimensions,
    /// Factor to the SI unit.
    pub scale: f64,
    /// Summand to the SI unit: temperatures on a scale have one.
    pub offset: f64,
}

/// Longest text of a unit in bytes, deepest brackets.
const LENGTH: usize = 64;
const DEPTH: u8 = 4;

const NONE: Dimensions = [0; 7];
const LENGTH_M: Dimensions = [1, 0, 0, 0, 0, 0, 0];
const VOLUME: Dimensions = [3, 0, 0, 0, 0, 0, 0];
const MASS: Dimensions = [0, 1, 0, 0, 0, 0, 0];
const TIME: Dimensions = [0, 0, 1, 0, 0, 0, 0];
const RATE: Dimensions = [0, 0, -1, 0, 0, 0, 0];
const CURRENT: Dimensions = [0, 0, 0, 1, 0, 0, 0];
const HEAT: Dimensions = [0, 0, 0, 0, 1, 0, 0];
const FORCE: Dimensions = [1, 1, -2, 0, 0, 0, 0];
const PRESSURE: Dimensions = [-1, 1, -2, 0, 0, 0, 0];
const ENERGY: Dimensions = [2, 1, -2, 0, 0, 0, 0];
const POWER: Dimensions = [2, 1, -3, 0, 0, 0, 0];
const VOLTAGE: Dimensions = [2, 1, -3, -1, 0, 0, 0];
const CHARGE: Dimensions = [0, 0, 1, 1, 0, 0, 0];

/// Name, dimensions, factor, whether prefixes may stand before it.
const SYMBOLS: &[(&str, Dimensions, f64, bool)] = &[
    ("m", LENGTH_M, 1.0, true),
    ("metre", LENGTH_M, 1.0, true),
    ("meter", LENGTH_M, 1.0, true),
    ("in", LENGTH_M, 0.0254, false),
    ("ft", LENGTH_M, 0.3048, false),
    ("mi", LENGTH_M, 1609.344, false),
    ("L", VOLUME, 1e-3, true),
    ("l", VOLUME, 1e-3, true),
    ("gal", VOLUME, 3.785_411_784e-3, false),
    ("GPM", [3, 0, -1, 0, 0, 0, 0], 3.785_411_784e-3 / 60.0, false),
    ("gpm", [3, 0, -1, 0, 0, 0, 0], 3.785_411_784e-3 / 60.0, false),
    ("g", MASS, 1e-3, true),
    ("t", MASS, 1e3, true),
    ("lb", MASS, 0.453_592_37, false),
    ("s", TIME, 1.0, true),
    ("sec", TIME, 1.0, false),
    ("min", TIME, 60.0, false),
    ("h", TIME, 3600.0, false),
    ("d", TIME, 86_400.0, false),
    ("Hz", RATE, 1.0, true),
    ("rpm", RATE, core::f64::consts::TAU / 60.0, false),
    ("A", CURRENT, 1.0, true),
    ("ampere", CURRENT, 1.0, true),
    ("K", HEAT, 1.0, true),
    ("kelvin", HEAT, 1.0, true),
    ("mol", [0, 0, 0, 0, 0, 1, 0], 1.0, true),
    ("cd", [0, 0, 0, 0, 0, 0, 1], 1.0, true),
    ("rad", NONE, 1.0, true),
    ("deg", NONE, core::f64::consts::PI / 180.0, false),
    ("°", NONE, core::f64::consts::PI / 180.0, false),
    ("pu", NONE, 1.0, false),
    ("p.u.", NONE, 1.0, false),
    ("1", NONE, 1.0, false),
    ("-", NONE, 1.0, false),
    ("%", NONE, 0.01, false),
    ("ppm", NONE, 1e-6, false),
    ("N", FORCE, 1.0, true),
    ("kgf", FORCE, 9.806_65, false),
    ("Pa", PRESSURE, 1.0, true),
    ("bar", PRESSURE, 1e5, true),
    ("atm", PRESSURE, 101_325.0, false),
    ("psi", PRESSURE, 6_894.757_293_168, false),
    ("mH2O", PRESSURE, 9_806.65, false),
    ("mmHg", PRESSURE, 133.322_387_415, false),
    ("J", ENERGY, 1.0, true),
    ("Wh", ENERGY, 3600.0, true),
    ("cal", ENERGY, 4.1868, true),
    ("W", POWER, 1.0, true),
    ("watt", POWER, 1.0, true),
    ("VA", POWER, 1.0, true),
    ("var", POWER, 1.0, true),
    ("VAr", POWER, 1.0, true),
    ("hp", POWER, 745.699_871_582, false),
    ("V", VOLTAGE, 1.0, true),
    ("volt", VOLTAGE, 1.0, true),
    ("Ohm", [2, 1, -3, -2, 0, 0, 0], 1.0, true),
    ("ohm", [2, 1, -3, -2, 0, 0, 0], 1.0, true),
    ("Ω", [2, 1, -3, -2, 0, 0, 0], 1.0, true),
    ("S", [-2, -1, 3, 2, 0, 0, 0], 1.0, true),
    ("Ah", CHARGE, 3600.0, true),
    ("Wb", [2, 1, -2, -1, 0, 0, 0], 1.0, true),
    ("T", [0, 1, -2, -1, 0, 0, 0], 1.0, true),
    ("H", [2, 1, -2, -2, 0, 0, 0], 1.0, true),
    ("lm", [0, 0, 0, 0, 0, 0, 1], 1.0, true),
    ("lx", [-2, 0, 0, 0, 0, 0, 1], 1.0, true),
];

/// Names of temperatures on a scale: factor and summand to kelvin.
const TEMPERATURES: &[(&[&str], f64, f64)] = &[
    (&["degC", "°C", "℃", "Cel", "celsius", "C"], 1.0, 273.15),
    (&["degF", "°F", "℉", "F", "fahrenheit"], 5.0 / 9.0, 459.67 * 5.0 / 9.0),
];

const PREFIXES: &[(&str, f64)] = &[
    ("n", 1e-9),
    ("µ", 1e-6),
    ("μ", 1e-6),
    ("u", 1e-6),
    ("m", 1e-3),
    ("c", 1e-2),
    ("d", 1e-1),
    ("h", 1e2),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
];

impl Unit {
    /// No dimension, factor 1: what an empty text means.
    pub const ONE: Self = Self { dimensions: NONE, scale: 1.0, offset: 0.0 };

    /// Whether both measure the same kind of quantity.
    #[must_use]
    pub fn same_dimension(&self, other: &Self) -> bool {
        self.dimensions == other.dimensions
    }

    /// Whether numbers in one mean the same in the other.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
        self.same_dimension(other) && near(self.scale, other.scale) && near(self.offset, other.offset)
    }

    /// The value in another unit; `None` when the dimensions differ.
    #[must_use]
    pub fn convert(&self, value: f64, to: &Self) -> Option<f64> {
        self.same_dimension(to).then(|| (value * self.scale + self.offset - to.offset) / to.scale)
    }

    fn times(self, other: Self, sign: i8) -> Option<Self> {
        let mut dimensions = self.dimensions;
        for (own, other) in dimensions.iter_mut().zip(other.dimensions) {
            *own = own.checked_add(other.checked_mul(sign)?)?;
        }
        let scale = if sign < 0 { self.scale / other.scale } else { self.scale * other.scale };
        // Within a product a temperature is a difference.
        Some(Self { dimensions, scale, offset: 0.0 })
    }

    fn power(self, exponent: i8) -> Option<Self> {
        let mut out = Self::ONE;
        for _ in 0..exponent.unsigned_abs() {
            out = out.times(self, exponent.signum())?;
        }
        Some(if exponent == 1 { self } else { out })
    }
}

impl core::str::FromStr for Unit {
    type Err = Error;

    /// Reads a unit; an empty text is [`Unit::ONE`].
    ///
    /// # Errors
    /// [`Error::BadUnit`] with the part that is not understood.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad =
            |part: &str| Error::BadUnit { unit: text.chars().take(64).collect(), part: part.to_owned() };
        if text.len() > LENGTH {
            return Err(bad("it is too long"));
        }
        if text.trim().is_empty() {
            return Ok(Self::ONE);
        }
        let mut rest = text.trim();
        let unit = product(&mut rest, 0).map_err(|part| bad(&part))?;
        if rest.is_empty() && unit.scale.is_finite() && unit.scale > 0.0 { Ok(unit) } else { Err(bad(rest)) }
    }
}

fn product(rest: &mut &str, depth: u8) -> Result<Unit, String> {
    let mut unit = factor(rest, depth)?;
    loop {
        let trimmed = rest.trim_start();
        let (sign, after) = match trimmed.chars().next() {
            Some('/') => (-1, trimmed.get(1..)),
            Some(mark @ ('*' | '·' | '.')) => (1, trimmed.get(mark.len_utf8()..)),
            Some(')') | None => {
                *rest = trimmed;
                return Ok(unit);
            }
            Some(_) if trimmed.len() < rest.len() => (1, Some(trimmed)),
            Some(_) => return Err((*rest).to_owned()),
        };
        *rest = after.unwrap_or_default().trim_start();
        let next = factor(rest, depth)?;
        unit = unit.times(next, sign).ok_or("it has too high a power")?;
    }
}

fn factor(rest: &mut &str, depth: u8) -> Result<Unit, String> {
    let unit = if let Some(inner) = rest.strip_prefix('(') {
        if depth >= DEPTH {
            return Err("it has too many brackets".to_owned());
        }
        *rest = inner.trim_start();
        let unit = product(rest, depth + 1)?;
        *rest = rest.strip_prefix(')').ok_or("a bracket is open")?;
        unit
    } else {
        symbol(rest)?
    };
    let exponent = exponent(rest);
    unit.power(exponent).ok_or_else(|| "it has too high a power".to_owned())
}

/// The longest known name at the start of the text.
fn symbol(rest: &mut &str) -> Result<Unit, String> {
    let end = rest.find([' ', '/', '*', '·', '^', '(', ')', '²', '³']).unwrap_or(rest.len());
    let word = rest.get(..end).unwrap_or_default();
    // `m2` is a metre with an exponent, `p.u.` and `mH2O` are names.
    let ends = word.char_indices().map(|(at, mark)| at + mark.len_utf8()).rev();
    for length in ends {
        let Some(name) = word.get(..length) else { continue };
        let after = rest.get(length..).unwrap_or_default();
        let ended = after.chars().next().is_none_or(|mark| !mark.is_alphabetic() && mark != '%');
        if let Some(unit) = named(name).filter(|_| ended) {
            *rest = after;
            return Ok(unit);
        }
    }
    Err(word.to_owned())
}

fn named(name: &str) -> Option<Unit> {
    for (names, scale, offset) in TEMPERATURES {
        if names.contains(&name) {
            return Some(Unit { dimensions: HEAT, scale: *scale, offset: *offset });
        }
    }
    let find = |name: &str| SYMBOLS.iter().find(|(symbol, ..)| *symbol == name);
    if let Some((_, dimensions, scale, _)) = find(name) {
        return Some(Unit { dimensions: *dimensions, scale: *scale, offset: 0.0 });
    }
    // Nm is the one product that everybody writes without a mark.
    if name == "Nm" {
        return Some(Unit { dimensions: ENERGY, scale: 1.0, offset: 0.0 });
    }
    PREFIXES.iter().find_map(|(prefix, factor)| {
        let (_, dimensions, scale, _) =
            find(name.strip_prefix(prefix)?).filter(|(.., prefixed)| *prefixed)?;
        Some(Unit { dimensions: *dimensions, scale: scale * factor, offset: 0.0 })
    })
}

/// A whole number from −9 to 9 with or without `^`, or a raised 2 or 3; 1 when there is none.
fn exponent(rest: &mut &str) -> i8 {
    for (mark, exponent) in [('²', 2), ('³', 3)] {
        if let Some(after) = rest.strip_prefix(mark) {
            *rest = after;
            return exponent;
        }
    }
    let text = rest.strip_prefix('^').unwrap_or(rest);
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    match digits.as_bytes().first() {
        Some(digit @ b'0'..=b'9') => {
            *rest = digits.get(1..).unwrap_or_default();
            sign * i8::try_from(digit - b'0').unwrap_or(1)
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Unit {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn units_are_read_as_people_write_them() {
        for (left, right) in [
            ("W/(m2 K)", "W m^-2 K^-1"),
            ("N m", "Nm"),
            ("N·m", "J"),
            ("L/s", "0.001 m3/s"),
            ("kWh", "kW h"),
            ("m²", "m^2"),
            ("s-1", "1/s"),
            ("degC", "Cel"),
            ("rad/s", "Hz"),
            ("", "pu"),
            ("cm3/s", "mL/s"),
            ("kgf/cm2", "kgf/cm²"),
            ("MW", "MVA"),
            ("A h", "Ah"),
            ("J/degC", "J/K"),
        ] {
            if left == "L/s" {
                assert!((unit(left).scale - 1e-3).abs() < 1e-15);
                continue;
            }
            assert!(unit(left).same(&unit(right)), "{left} {right}: {:?} {:?}", unit(left), unit(right));
        }
        let factors = [
            ("rpm", "rad/s", 0.104_719_755),
            ("psi", "kPa", 6.894_757),
            ("h", "min", 60.0),
            ("%", "pu", 0.01),
        ];
        for (from, to, factor) in factors {
            let found = unit(from).convert(1.0, &unit(to)).unwrap();
            assert!((found - factor).abs() < 1e-6, "{from} {to}: {found}");
        }
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for text in
            ["degc", "furlong", "m/", "m//s", "(m", "m)", "m m2x", "((((((m))))))", "kdegC", &"m".repeat(65)]
        {
            assert!(matches!(text.parse::<Unit>(), Err(Error::BadUnit { .. })), "{text}");
        }
        assert!(!unit("bar").same_dimension(&unit("N")));
        assert!(!unit("kPa").same(&unit("bar")) && unit("kPa").same_dimension(&unit("bar")));
    }
}
