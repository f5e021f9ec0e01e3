use std::collections::BTreeMap;

use crate::{AssetId, Error, SignalId};

/// What a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Role {
    /// A sensor reads it.
    Measurement,
    /// It drives the plant.
    Actuator,
    /// A controller follows it.
    Setpoint,
    /// It configures a device or a model.
    Parameter,
}

/// A closed range of finite numbers, lower end below upper end.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Range {
    min: f64,
    max: f64,
}

impl Range {
    /// A range.
    ///
    /// # Errors
    /// [`Error::NotFinite`], or [`Error::EmptyRange`] when `min` is not below `max`.
    pub fn new(min: f64, max: f64) -> Result<Self, Error> {
        if !(min.is_finite() && max.is_finite()) {
            return Err(Error::NotFinite);
        }
        if min < max { Ok(Self { min, max }) } else { Err(Error::EmptyRange { min, max }) }
    }

    /// Lower end.
    #[must_use]
    pub const fn min(&self) -> f64 {
        self.min
    }

    /// Upper end.
    #[must_use]
    pub const fn max(&self) -> f64 {
        self.max
    }

    /// Upper minus lower end.
    #[must_use]
    pub fn span(&self) -> f64 {
        self.max - self.min
    }

    /// Whether the number lies within, ends included.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.min..=self.max).contains(&value)
    }
}

/// What is known of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its unique path, for example `cooler.oil.temperature`.
    pub path: Box<str>,
    /// Its unit as written by the plant's author, for example `degC`; empty when dimensionless or unknown.
    pub unit: Box<str>,
    /// What it is for.
    pub role: Role,
    /// The values it can take.
    pub range: Option<Range>,
    /// Largest change per second that the plant can make, in the signal's unit per second.
    pub rate: Option<f64>,
    /// Standard deviation of its measurement noise, in the signal's unit.
    pub sigma: Option<f64>,
}

impl Signal {
    /// A signal without unit, range, rate or noise.
    #[must_use]
    pub fn new(path: impl Into<Box<str>>, role: Role) -> Self {
        Self { path: path.into(), unit: "".into(), role, range: None, rate: None, sigma: None }
    }

    /// Sets the unit.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<Box<str>>) -> Self {
        self.unit = unit.into();
        self
    }

    /// Sets the range.
    ///
    /// # Errors
    /// As [`Range::new`].
    pub fn range(mut self, min: f64, max: f64) -> Result<Self, Error> {
        self.range = Some(Range::new(min, max)?);
        Ok(self)
    }

    /// Sets the standard deviation of the measurement noise.
    ///
    /// # Errors
    /// [`Error::NotFinite`] when it is not a finite number; [`Error::EmptyRange`] when it is negative.
    pub fn sigma(mut self, sigma: f64) -> Result<Self, Error> {
        self.sigma = Some(positive(sigma)?);
        Ok(self)
    }

    /// Sets the largest change per second.
    ///
    /// # Errors
    /// [`Error::NotFinite`] when it is not a finite number; [`Error::EmptyRange`] when it is negative.
    pub fn rate(mut self, rate: f64) -> Result<Self, Error> {
        self.rate = Some(positive(rate)?);
        Ok(self)
    }
}

fn positive(value: f64) -> Result<f64, Error> {
    if !value.is_finite() {
        return Err(Error::NotFinite);
    }
    if value < 0.0 { Err(Error::EmptyRange { min: 0.0, max: value }) } else { Ok(value) }
}

/// A thing of the plant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its unique path, for example `plant/cooler/pump-1`.
    pub path: Box<str>,
}

/// What an edge between two assets means, read "from … to".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum EdgeKind {
    /// Containment.
    Contains,
    /// Material or energy flows.
    Feeds,
    /// A controller acts on it.
    Controls,
}

/// A directed relation between two assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Edge {
    /// From.
    pub from: AssetId,
    /// To.
    pub to: AssetId,
    /// Meaning.
    pub kind: EdgeKind,
}

/// What a signal is to an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum TieKind {
    /// The asset's own quantity, or a reading of an instrument that the asset is.
    Measures,
    /// The asset does what the signal says.
    Commands,
}

/// A relation between an asset and a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tie {
    /// The asset.
    pub asset: AssetId,
    /// The signal.
    pub signal: SignalId,
    /// Meaning.
    pub kind: TieKind,
}

/// The table of signals and assets: paths to dense ids, so that no string is compared on a hot path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    signals: Vec<Signal>,
    by_path: BTreeMap<Box<str>, SignalId>,
    assets: Vec<Asset>,
    assets_by_path: BTreeMap<Box<str>, AssetId>,
    edges: Vec<Edge>,
    ties: Vec<Tie>,
}

impl Catalogue {
    /// An empty catalogue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of the signal, entering it when its path is new.
    ///
    /// # Errors
    /// [`Error::BadPath`], [`Error::Conflict`] when the path stands with other properties, [`Error::Full`].
    pub fn intern(&mut self, signal: Signal) -> Result<SignalId, Error> {
        if let Some(id) = self.id(&signal.path) {
            return if self.signal(id) == Some(&signal) {
                Ok(id)
            } else {
                Err(Error::Conflict { path: signal.path.into() })
            };
        }
        check_path(&signal.path)?;
        let id = SignalId(u32::try_from(self.signals.len()).map_err(|_| Error::Full)?);
        self.by_path.insert(signal.path.clone(), id);
        self.signals.push(signal);
        Ok(id)
    }

    /// The id of a path.
    #[must_use]
    pub fn id(&self, path: &str) -> Option<SignalId> {
        self.by_path.get(path).copied()
    }

    /// The signal behind an id.
    #[must_use]
    pub fn signal(&self, id: SignalId) -> Option<&Signal> {
        self.signals.get(id.index())
    }

    /// The path behind an id; `?` for an id of another catalogue.
    #[must_use]
    pub fn path(&self, id: SignalId) -> &str {
        self.signal(id).map_or("?", |signal| &signal.path)
    }

    /// All signals in order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (SignalId, &Signal)> {
        self.signals.iter().enumerate().map(|(index, signal)| (SignalId(index as u32), signal))
    }

    /// Number of signals.
    #[must_use]
    pub fn len(&self) -> usize {
        self.signals.len()
    }

    /// Whether there is no signal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty()
    }

    /// The id of the asset, entering it when its path is new.
    ///
    /// # Errors
    /// [`Error::BadPath`], [`Error::Full`].
    pub fn intern_asset(&mut self, asset: Asset) -> Result<AssetId, Error> {
        if let Some(id) = self.assets_by_path.get(&asset.path) {
            return Ok(*id);
        }
        check_path(&asset.path)?;
        let id = AssetId(u32::try_from(self.assets.len()).map_err(|_| Error::Full)?);
        self.assets_by_path.insert(asset.path.clone(), id);
        self.assets.push(asset);
        Ok(id)
    }

    /// The asset behind an id.
    #[must_use]
    pub fn asset(&self, id: AssetId) -> Option<&Asset> {
        self.assets.get(id.index())
    }

    /// The id of an asset's path.
    #[must_use]
    pub fn asset_id(&self, path: &str) -> Option<AssetId> {
        self.assets_by_path.get(path).copied()
    }

    /// Number of assets; their ids count from 0.
    #[must_use]
    pub fn assets(&self) -> usize {
        self.assets.len()
    }

    /// Adds a relation between two assets of this catalogue.
    ///
    /// # Errors
    /// [`Error::UnknownId`] when one end is not of this catalogue.
    pub fn connect(&mut self, edge: Edge) -> Result<(), Error> {
        for id in [edge.from, edge.to] {
            self.asset(id).ok_or(Error::UnknownId { id: id.0 })?;
        }
        if let Err(place) = self.edges.binary_search(&edge) {
            self.edges.insert(place, edge);
        }
        Ok(())
    }

    /// Adds many relations between assets at once: in n log n for all, where one by one would take n each.
    ///
    /// # Errors
    /// [`Error::UnknownId`] when one end of one is not of this catalogue; none is added then.
    pub fn connect_all(&mut self, edges: impl IntoIterator<Item = Edge>) -> Result<(), Error> {
        let known = self.edges.len();
        for edge in edges {
            if let Some(id) = [edge.from, edge.to].into_iter().find(|id| self.asset(*id).is_none()) {
                self.edges.truncate(known);
                return Err(Error::UnknownId { id: id.0 });
            }
            self.edges.push(edge);
        }
        self.edges.sort_unstable();
        self.edges.dedup();
        Ok(())
    }

    /// Adds a relation between an asset and a signal of this catalogue.
    ///
    /// # Errors
    /// [`Error::UnknownId`] when one of them is not of this catalogue.
    pub fn tie(&mut self, tie: Tie) -> Result<(), Error> {
        self.tie_all([tie])
    }

    /// Adds many relations between assets and signals at once.
    ///
    /// # Errors
    /// [`Error::UnknownId`] when an end of one is not of this catalogue; none is added then.
    pub fn tie_all(&mut self, ties: impl IntoIterator<Item = Tie>) -> Result<(), Error> {
        let known = self.ties.len();
        for tie in ties {
            let unknown = match (self.asset(tie.asset), self.signal(tie.signal)) {
                (Some(_), Some(_)) => None,
                (None, _) => Some(tie.asset.0),
                (_, None) => Some(tie.signal.0),
            };
            if let Some(id) = unknown {
                self.ties.truncate(known);
                return Err(Error::UnknownId { id });
            }
            self.ties.push(tie);
        }
        self.ties.sort_unstable();
        self.ties.dedup();
        Ok(())
    }

    /// All relations between assets and signals, sorted.
    #[must_use]
    pub fn ties(&self) -> &[Tie] {
        &self.ties
    }

    /// All relations, sorted.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }
}

/// Longest path in bytes.
const PATH_LIMIT: usize = 512;

fn check_path(path: &str) -> Result<(), Error> {
    let refuse = |reason| Err(Error::BadPath { path: path.chars().take(120).collect(), reason });
    if path.is_empty() {
        return refuse("it is empty");
    }
    if path.len() > PATH_LIMIT {
        return refuse("it is longer than 512 bytes");
    }
    if path.chars().any(char::is_control) {
        return refuse("it holds control characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_interned_once() {
        let mut catalogue = Catalogue::new();
        let oil = catalogue.intern(Signal::new("oil", Role::Measurement).unit("degC")).unwrap();
        assert_eq!(catalogue.intern(Signal::new("oil", Role::Measurement).unit("degC")), Ok(oil));
        assert_eq!(
            catalogue.intern(Signal::new("oil", Role::Actuator)),
            Err(Error::Conflict { path: "oil".into() })
        );
        assert_eq!(catalogue.path(oil), "oil");
        assert_eq!(catalogue.path(SignalId(9)), "?");
    }

    #[test]
    fn impossible_signals_cannot_be_made() {
        assert!(matches!(Range::new(2.0, 1.0), Err(Error::EmptyRange { .. })));
        assert_eq!(Range::new(0.0, f64::NAN), Err(Error::NotFinite));
        assert!(Signal::new("a", Role::Measurement).sigma(-1.0).is_err());
        for bad in ["", "a\nb", &"x".repeat(600)] {
            assert!(matches!(
                Catalogue::new().intern(Signal::new(bad, Role::Setpoint)),
                Err(Error::BadPath { .. })
            ));
        }
    }

    #[test]
    fn edges_stay_inside_the_catalogue() {
        let mut catalogue = Catalogue::new();
        let plant = catalogue.intern_asset(Asset { path: "plant".into() }).unwrap();
        let edge = Edge { from: plant, to: AssetId(1), kind: EdgeKind::Contains };
        assert_eq!(catalogue.connect(edge), Err(Error::UnknownId { id: 1 }));
        let pump = catalogue.intern_asset(Asset { path: "plant/pump".into() }).unwrap();
        let edge = Edge { to: pump, ..edge };
        catalogue.connect(edge).unwrap();
        catalogue.connect(edge).unwrap();
        assert_eq!(catalogue.edges(), [edge]);
        let lost = Edge { to: AssetId(7), ..edge };
        assert!(catalogue.connect_all([edge, lost]).is_err());
        assert_eq!(catalogue.edges(), [edge]);

        let tie = Tie { asset: pump, signal: SignalId(0), kind: TieKind::Commands };
        assert_eq!(catalogue.tie(tie), Err(Error::UnknownId { id: 0 }));
        catalogue.intern(Signal::new("on", Role::Actuator)).unwrap();
        catalogue.tie_all([tie, tie]).unwrap();
        assert_eq!(catalogue.ties(), [tie]);
        assert_eq!((catalogue.asset_id("plant/pump"), catalogue.assets()), (Some(pump), 2));
    }
}
