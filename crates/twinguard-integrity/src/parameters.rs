//! Parameters of a model: named values with a unit and a type, as a tree of their own.
//!
//! A value is its bits, never a decimal text: −0 is not 0, and a NaN is the NaN that it is. One parameter is proved or changed
//! with as many hashes as the tree is high.
//!
//! A parameter as bytes, integers big-endian, in ascending order of path and name:
//! ```text
//! u16 length, path of the file that holds it (UTF-8, portable)
//! u16 length, name (UTF-8)       u16 length, unit (UTF-8, may be empty)
//! u8  type: 1 f64, 2 f32, 3 i64, 4 u64, 5 bool, 6 text
//! the value: 8, 4, 8, 8, 1 bytes; for a text u16 length, UTF-8
//! ```
//! Leaves are BLAKE3 in key-derivation mode over these bytes, nodes are its parent nodes in the same mode, the root is one over
//! the number of parameters and the one or two topmost nodes: a leaf cannot be taken for a node, nor a tree for a smaller one.
//!
//! Sources: BLAKE3 specification §2.1, §2.3 (modes); IEEE 754-2019 §3.4 (interchange formats).

use core::fmt;

use blake3::hazmat::{ContextKey, HasherExt as _, Mode, hash_derive_key_context, merge_subtrees_non_root};
use twinguard_types::Digest;

use crate::cursor::Cursor;
use crate::levels::{Levels, Value, climb};
use crate::{Error, PortablePath};

const LEAF_CONTEXT: &str = "twinguard 2026-11 parameter leaf";
const ROOT_CONTEXT: &str = "twinguard 2026-11 parameter root";

/// A parameter's value, as its bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ParameterValue {
    /// The bits of an IEEE 754 double.
    F64(u64),
    /// The bits of an IEEE 754 single.
    F32(u32),
    /// A signed whole number.
    I64(i64),
    /// A whole number.
    U64(u64),
    /// True or false.
    Bool(bool),
    /// A text of at most 65,535 bytes.
    Text(Box<str>),
}

impl ParameterValue {
    /// The name of its type.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::F64(_) => "f64",
            Self::F32(_) => "f32",
            Self::I64(_) => "i64",
            Self::U64(_) => "u64",
            Self::Bool(_) => "bool",
            Self::Text(_) => "text",
        }
    }

    /// Reads a text as a value of the named type; decimal texts become the nearest double or single.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an unknown type, or a text that is none of its values.
    pub fn parse(kind: &str, text: &str) -> Result<Self, Error> {
        let value = match kind {
            "f64" => text.parse::<f64>().ok().map(|value| Self::F64(value.to_bits())),
            "f32" => text.parse::<f32>().ok().map(|value| Self::F32(value.to_bits())),
            "i64" => text.parse().ok().map(Self::I64),
            "u64" => text.parse().ok().map(Self::U64),
            "bool" => text.parse().ok().map(Self::Bool),
            "text" => (text.len() <= usize::from(u16::MAX)).then(|| Self::Text(text.into())),
            _ => None,
        };
        value.ok_or_else(|| refused(text, "it is no value of its type"))
    }
}

impl From<f64> for ParameterValue {
    fn from(value: f64) -> Self {
        Self::F64(value.to_bits())
    }
}

impl fmt::Display for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The sign of zero and the bits of a NaN are part of the value.
            Self::F64(bits) if f64::from_bits(*bits).is_nan() => write!(f, "NaN ({bits:#018x})"),
            Self::F64(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Self::F32(bits) if f32::from_bits(*bits).is_nan() => write!(f, "NaN ({bits:#010x})"),
            Self::F32(bits) => write!(f, "{:?}", f32::from_bits(*bits)),
            Self::I64(value) => write!(f, "{value}"),
            Self::U64(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
        }
    }
}

/// A named value with its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    path: PortablePath,
    name: Box<str>,
    unit: Box<str>,
    value: ParameterValue,
}

impl Parameter {
    /// Longest name, and longest unit, in bytes.
    pub const MAX_NAME: usize = 1024;

    /// A parameter of the file at `path`.
    ///
    /// # Errors
    /// [`Error::Path`]; [`Error::Parameter`] for an empty or too long name, control characters, a text beyond 65,535 bytes.
    pub fn new(path: &str, name: &str, unit: &str, value: ParameterValue) -> Result<Self, Error> {
        let path = PortablePath::new(path)?;
        let control = |text: &str| text.chars().any(char::is_control);
        if name.is_empty() || name.len() > Self::MAX_NAME || unit.len() > Self::MAX_NAME {
            return Err(refused(name, "its name is empty, or name or unit are longer than 1024 bytes"));
        }
        if control(name) || control(unit) {
            return Err(refused(name, "its name or unit holds a control character"));
        }
        if matches!(&value, ParameterValue::Text(text) if text.len() > usize::from(u16::MAX)) {
            return Err(refused(name, "its text is longer than 65535 bytes"));
        }
        Ok(Self { path, name: name.into(), unit: unit.into(), value })
    }

    /// The file that holds it.
    #[must_use]
    pub fn path(&self) -> &PortablePath {
        &self.path
    }

    /// Its name, unique within its file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its unit; empty for none.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> &ParameterValue {
        &self.value
    }

    fn key(&self) -> (&str, &str) {
        (self.path.as_str(), &self.name)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.encode_with(&self.value, out);
    }

    /// Its bytes, had it this value.
    fn encode_with(&self, value: &ParameterValue, out: &mut Vec<u8>) {
        let text = |out: &mut Vec<u8>, text: &str| {
            // Lengths were checked where the parameter was made.
            out.extend_from_slice(&(text.len() as u16).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        };
        text(out, self.path.as_str());
        text(out, &self.name);
        text(out, &self.unit);
        match value {
            ParameterValue::F64(bits) => {
                out.push(1);
                out.extend_from_slice(&bits.to_be_bytes());
            }
            ParameterValue::F32(bits) => {
                out.push(2);
                out.extend_from_slice(&bits.to_be_bytes());
            }
            ParameterValue::I64(value) => {
                out.push(3);
                out.extend_from_slice(&value.to_be_bytes());
            }
            ParameterValue::U64(value) => {
                out.push(4);
                out.extend_from_slice(&value.to_be_bytes());
            }
            ParameterValue::Bool(value) => out.extend_from_slice(&[5, u8::from(*value)]),
            ParameterValue::Text(value) => {
                out.push(6);
                text(out, value);
            }
        }
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let start = cursor.offset();
        let bad = |reason| Error::Seal { offset: start, reason };
        fn text<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
            let length = cursor.u16()?;
            cursor.take(length.into()).and_then(|bytes| str::from_utf8(bytes).ok())
        }
        const SHORT: &str = "a parameter ends early or is not UTF-8";
        let path = text(cursor).ok_or(bad(SHORT))?;
        let name = text(cursor).ok_or(bad(SHORT))?;
        let unit = text(cursor).ok_or(bad(SHORT))?;
        let value = match cursor.u8() {
            Some(1) => cursor.u64().map(ParameterValue::F64),
            Some(2) => cursor.u32().map(ParameterValue::F32),
            Some(3) => cursor.u64().map(|bits| ParameterValue::I64(bits as i64)),
            Some(4) => cursor.u64().map(ParameterValue::U64),
            Some(5) => match cursor.u8() {
                Some(0) => Some(ParameterValue::Bool(false)),
                Some(1) => Some(ParameterValue::Bool(true)),
                _ => return Err(bad("a parameter is neither true nor false")),
            },
            Some(6) => text(cursor).map(|text| ParameterValue::Text(text.into())),
            Some(_) => return Err(bad("a parameter's type is not known")),
            None => None,
        };
        Self::new(path, name, unit, value.ok_or(bad(SHORT))?)
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.unit.is_empty() { "" } else { " " };
        write!(f, "{}{space}{}", self.value, self.unit)
    }
}

/// Least bytes of a parameter: a path and a name of one byte, no unit, a truth value.
pub(crate) const LEAST_BYTES: usize = 10;

/// Parameters in order, with the tree over them.
///
/// ```
/// use twinguard_integrity::{Parameter, Parameters};
///
/// let area = Parameter::new("plant.toml", "tank.area", "m2", 2.5.into())?;
/// let mut parameters = Parameters::new(vec![area])?;
/// let (sealed, proof) = (parameters.root(), parameters.prove("plant.toml", "tank.area")?);
/// proof.check(&parameters.all()[0], &sealed)?;
/// parameters.set("plant.toml", "tank.area", 2.6.into())?;
/// assert!(proof.check(&parameters.all()[0], &sealed).is_err());
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Parameters {
    all: Vec<Parameter>,
    levels: Levels,
    keys: Keys,
}

/// The two modes' keys: computed once.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Keys {
    leaf: ContextKey,
    root: ContextKey,
}

impl Keys {
    fn new() -> Self {
        Self { leaf: hash_derive_key_context(LEAF_CONTEXT), root: hash_derive_key_context(ROOT_CONTEXT) }
    }

    fn leaf(&self, parameter: &Parameter, scratch: &mut Vec<u8>) -> Value {
        self.leaf_with(parameter, &parameter.value, scratch)
    }

    fn leaf_with(&self, parameter: &Parameter, value: &ParameterValue, scratch: &mut Vec<u8>) -> Value {
        scratch.clear();
        parameter.encode_with(value, scratch);
        *blake3::Hasher::new_from_context_key(&self.leaf).update(scratch).finalize().as_bytes()
    }

    fn merge(&self) -> impl Fn(&Value, &Value) -> Value {
        |left, right| merge_subtrees_non_root(left, right, Mode::DeriveKeyMaterial(&self.leaf))
    }

    fn root(&self, count: u64, top: &[Value]) -> Digest {
        let mut hasher = blake3::Hasher::new_from_context_key(&self.root);
        hasher.update(&count.to_be_bytes());
        for value in top {
            hasher.update(value);
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self { all: Vec::new(), levels: Levels::default(), keys: Keys::new() }
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parameters").field(&self.all).finish()
    }
}

impl Parameters {
    /// These parameters, put in order.
    ///
    /// # Errors
    /// [`Error::Parameter`] for two of one name in one file, or more than 2³² − 1.
    pub fn new(mut all: Vec<Parameter>) -> Result<Self, Error> {
        if u32::try_from(all.len()).is_err() {
            return Err(refused("", "there are more than 4294967295"));
        }
        all.sort_by(|a, b| a.key().cmp(&b.key()));
        if let Some(twin) = all.windows(2).find_map(|pair| match pair {
            [a, b] if a.key() == b.key() => Some(a),
            _ => None,
        }) {
            return Err(refused(&twin.name, "its file names it twice"));
        }
        let (keys, mut scratch) = (Keys::new(), Vec::new());
        let leaves = all.iter().map(|parameter| keys.leaf(parameter, &mut scratch)).collect();
        Ok(Self { levels: Levels::new(leaves, keys.merge()), all, keys })
    }

    /// All of them, in order of path and name.
    #[must_use]
    pub fn all(&self) -> &[Parameter] {
        &self.all
    }

    /// Digest over all of them.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.keys.root(self.all.len() as u64, self.levels.top())
    }

    /// The root over parameters of these names, units and types with the values that `value` gives, read one after the other:
    /// what runs now, whatever is kept here. `None` as soon as it has none.
    pub fn root_with(&self, mut value: impl FnMut(usize) -> Option<ParameterValue>) -> Option<Digest> {
        let mut scratch = Vec::with_capacity(128);
        let leaf = |(at, parameter)| Some(self.keys.leaf_with(parameter, &value(at)?, &mut scratch));
        let leaves = self.all.iter().enumerate().map(leaf).collect::<Option<Vec<_>>>()?;
        Some(self.keys.root(self.all.len() as u64, Levels::new(leaves, self.keys.merge()).top()))
    }

    /// Whether a value is that of the leaf at an index: its hash is compared, not what is kept beside it.
    pub(crate) fn holds(&self, index: usize, value: &ParameterValue, scratch: &mut Vec<u8>) -> bool {
        let parameter = self.all.get(index);
        parameter.is_some_and(|parameter| {
            self.levels.leaf(index) == Some(&self.keys.leaf_with(parameter, value, scratch))
        })
    }

    /// Where a parameter stands.
    #[must_use]
    pub fn index(&self, path: &str, name: &str) -> Option<usize> {
        self.all.binary_search_by(|parameter| parameter.key().cmp(&(path, name))).ok()
    }

    /// A parameter.
    #[must_use]
    pub fn get(&self, path: &str, name: &str) -> Option<&Parameter> {
        self.all.get(self.index(path, name)?)
    }

    /// Gives a parameter another value, and the tree what follows from it.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is not there or the value is of another type.
    pub fn set(&mut self, path: &str, name: &str, value: ParameterValue) -> Result<(), Error> {
        let index = self.index(path, name).ok_or_else(|| refused(name, "it is not there"))?;
        self.set_at(index, value)
    }

    /// [`Parameters::set`] of the parameter at an index.
    ///
    /// # Errors
    /// As [`Parameters::set`].
    pub fn set_at(&mut self, index: usize, value: ParameterValue) -> Result<(), Error> {
        let parameter = self.all.get_mut(index).ok_or_else(|| refused("", "it is not there"))?;
        if parameter.value.kind() != value.kind() {
            return Err(refused(&parameter.name, "its type would change"));
        }
        parameter.value = value;
        let leaf = self.keys.leaf(parameter, &mut Vec::with_capacity(128));
        self.levels.set(index, leaf, self.keys.merge());
        Ok(())
    }

    /// Proof that a parameter is one of these.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it is not there.
    pub fn prove(&self, path: &str, name: &str) -> Result<ParameterProof, Error> {
        let index = self.index(path, name).ok_or_else(|| refused(name, "it is not there"))?;
        Ok(self.prove_at(index))
    }

    /// [`Parameters::prove`] of the parameter at an index; one that is not there proves nothing.
    #[must_use]
    pub fn prove_at(&self, index: usize) -> ParameterProof {
        let siblings = self.levels.siblings(index);
        ParameterProof { index: index as u64, count: self.all.len() as u64, siblings, keys: self.keys }
    }
}

/// That a parameter, with its value, is one of those under a root.
#[derive(Clone, PartialEq, Eq)]
pub struct ParameterProof {
    index: u64,
    count: u64,
    siblings: Vec<Value>,
    keys: Keys,
}

impl ParameterProof {
    /// Hashes the parameter up to the root.
    ///
    /// # Errors
    /// [`Error::Parameter`] when it does not lead there.
    pub fn check(&self, parameter: &Parameter, root: &Digest) -> Result<(), Error> {
        let leaf = self.keys.leaf(parameter, &mut Vec::with_capacity(128));
        let found = match climb(self.index, self.count, leaf, &self.siblings, self.keys.merge()) {
            Some((left, Some(right))) => self.keys.root(self.count, &[left, right]),
            Some((alone, None)) => self.keys.root(self.count, &[alone]),
            None => return Err(refused(&parameter.name, "its proof is not of the tree's height")),
        };
        if found == *root {
            Ok(())
        } else {
            Err(refused(&parameter.name, "it does not lead to the sealed root"))
        }
    }

    /// Bytes of the proof.
    #[must_use]
    pub fn size(&self) -> usize {
        self.siblings.len() * 32
    }
}

impl fmt::Debug for ParameterProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParameterProof({} of {})", self.index, self.count)
    }
}

fn refused(name: &str, reason: &'static str) -> Error {
    Error::Parameter { name: Error::shown(name), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parameters(count: usize) -> Parameters {
        let one =
            |n: usize| Parameter::new("plant.toml", &format!("p{n:05}"), "m", (n as f64).into()).unwrap();
        Parameters::new((0..count).map(one).collect()).unwrap()
    }

    #[test]
    fn bits_are_the_value() {
        let value =
            |value: f64| Parameters::new(vec![Parameter::new("a", "p", "", value.into()).unwrap()]).unwrap();
        assert_ne!(value(0.0).root(), value(-0.0).root());
        let other_nan = f64::from_bits(f64::NAN.to_bits() ^ 1);
        assert_ne!(value(f64::NAN).root(), value(other_nan).root());
        assert_eq!(ParameterValue::from(0.1).to_string(), "0.1");
        assert_eq!(ParameterValue::from(-0.0).to_string(), "-0.0");
        assert!(ParameterValue::parse("i64", "1.5").is_err() && ParameterValue::parse("f16", "1").is_err());
        // A name is not a unit, and a type not another: one length or tag away.
        let named = |name, unit, value| {
            Parameters::new(vec![Parameter::new("a", name, unit, value).unwrap()]).unwrap()
        };
        assert_ne!(
            named("ab", "c", ParameterValue::U64(1)).root(),
            named("a", "bc", ParameterValue::U64(1)).root()
        );
        assert_ne!(
            named("a", "", ParameterValue::U64(1)).root(),
            named("a", "", ParameterValue::I64(1)).root()
        );
    }

    #[test]
    fn trees_of_other_sizes_have_other_roots() {
        let roots: std::collections::BTreeSet<_> = (0..40).map(|count| parameters(count).root()).collect();
        assert_eq!(roots.len(), 40);
        let twice = [
            Parameter::new("a", "p", "", 1.0.into()).unwrap(),
            Parameter::new("a", "p", "", 2.0.into()).unwrap(),
        ];
        assert!(matches!(Parameters::new(twice.into()), Err(Error::Parameter { .. })));
        assert!(parameters(3).clone().set("plant.toml", "p00001", ParameterValue::U64(1)).is_err());
    }

    proptest! {
        #[test]
        fn every_parameter_is_proved_and_every_change_found(count in 1usize..80, at: usize, bit in 0u32..64) {
            let at = at % count;
            let mut parameters = parameters(count);
            let (root, proof) = (parameters.root(), parameters.prove_at(at));
            let sealed = parameters.all()[at].clone();
            prop_assert!(proof.check(&sealed, &root).is_ok());
            let changed = f64::from_bits((at as f64).to_bits() ^ (1 << bit));
            parameters.set_at(at, changed.into()).unwrap();
            prop_assert!(proof.check(&parameters.all()[at], &root).is_err());
            prop_assert_eq!(&Parameters::new(parameters.all().to_vec()).unwrap(), &parameters);
            parameters.set_at(at, sealed.value().clone()).unwrap();
            prop_assert_eq!(parameters.root(), root);
        }
    }
}
