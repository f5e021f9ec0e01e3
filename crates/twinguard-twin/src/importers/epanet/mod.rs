//! Water networks as EPANET input files (`.inp`).
//!
//! Source: EPANET 2.2 Users Manual (EPA/600/R-20/133), appendix C.2, and the error numbers of appendix B. Everything that affects
//! hydraulics is read; what belongs to water quality, energy, reports and maps is passed over. Sections may come in any order;
//! among nodes and among links the file's order is kept, since results are listed in it.

mod controls;
mod elements;
mod settings;
mod text;

use std::collections::BTreeMap;

use text::Line;
use twinguard_types::{Asset, Edge, EdgeKind, Role, Signal};

use super::{Imported, Importer, Refused};
use crate::water::{LinkKind, Network, Units, ValveKind};

/// The importer's entry in the registry.
pub(crate) static EPANET: Importer = Importer { name: "epanet", recognises, import };

fn recognises(name: &str, bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 16)]).to_uppercase();
    name.to_lowercase().ends_with(".inp")
        || (head.contains("[JUNC") && !head.trim_start().starts_with(['{', '<']))
}

/// Nodes and links as assets that feed each other; pressures, levels, flows, commands and settings as signals.
fn import(bytes: &[u8]) -> Result<Imported, Refused> {
    let network = epanet(bytes).map_err(|error| Refused {
        place: format!("line {}, [{}]", error.line, error.section),
        reason: error.problem.to_string(),
    })?;
    let mut imported = Imported::new("epanet");
    let refused = |reason: String| Refused { place: "names".to_owned(), reason };
    let units = &network.units;
    let flow = units.flow_unit.name();
    let mut nodes = Vec::with_capacity(network.node_count());
    for node in 0..network.node_count() {
        let name = network.node_name(node).unwrap_or_default();
        let store = node.checked_sub(network.junctions.len()).and_then(|at| network.stores.get(at));
        let (kind, what, unit) = match store.map(|store| store.tank.is_some()) {
            None => ("junction", "pressure", units.pressure_unit.name()),
            Some(true) => ("tank", "level", units.length_name()),
            Some(false) => ("reservoir", "head", units.length_name()),
        };
        let path = format!("{kind}.{name}");
        nodes.push(imported.asset(Asset { path: path.as_str().into() }).map_err(refused)?);
        imported
            .signal(Signal::new(format!("{path}.{what}"), Role::Measurement).unit(unit))
            .map_err(refused)?;
    }
    for link in &network.links {
        let (kind, command) = match &link.kind {
            LinkKind::Pipe { .. } => ("pipe", None),
            LinkKind::Pump { .. } => ("pump", Some(("speed", Role::Actuator, ""))),
            LinkKind::Valve(ValveKind::General { .. }) => ("valve", Some(("open", Role::Actuator, ""))),
            LinkKind::Valve(ValveKind::FlowControl) => ("valve", Some(("setting", Role::Setpoint, flow))),
            LinkKind::Valve(ValveKind::Throttle) => ("valve", Some(("setting", Role::Setpoint, ""))),
            LinkKind::Valve(_) => ("valve", Some(("setting", Role::Setpoint, units.pressure_unit.name()))),
        };
        let path = format!("{kind}.{}", link.name);
        let own = imported.asset(Asset { path: path.as_str().into() }).map_err(refused)?;
        for (from, to) in [(nodes[link.from], own), (own, nodes[link.to])] {
            imported.edge(Edge { from, to, kind: EdgeKind::Feeds }).map_err(refused)?;
        }
        imported
            .signal(Signal::new(format!("{path}.flow"), Role::Measurement).unit(flow))
            .map_err(refused)?;
        if let Some((what, role, unit)) = command {
            imported.signal(Signal::new(format!("{path}.{what}"), role).unit(unit)).map_err(refused)?;
        }
    }
    Ok(imported)
}

/// Why a file is refused, and where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}{}: {problem}", if section.is_empty() { String::new() } else { format!(", [{section}]") })]
pub struct EpanetError {
    /// Line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// Section, empty before the first.
    pub section: &'static str,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A line or file beyond what is read.
    #[error("too long")]
    TooLong,
    /// Text before any section.
    #[error("text outside of any section")]
    OutsideSections,
    /// A section that the format does not know.
    #[error("`{word}` is not a section")]
    UnknownSection {
        /// The word.
        word: String,
    },
    /// A line with too few words.
    #[error("only {words} words, more are needed")]
    TooShort {
        /// How many there are.
        words: usize,
    },
    /// A word that may not stand there.
    #[error("`{word}` is not known here")]
    UnknownWord {
        /// The word.
        word: String,
    },
    /// A word that should be a number.
    #[error("`{word}` is not a number")]
    NotANumber {
        /// The word.
        word: String,
    },
    /// A word that should be a time.
    #[error("`{word}` is not a time")]
    NotATime {
        /// The word.
        word: String,
    },
    /// A number that may not stand there.
    #[error("`{word}` is out of range")]
    OutOfRange {
        /// The word.
        word: String,
    },
    /// A second element of one name.
    #[error("a second {what} `{name}`")]
    Duplicate {
        /// Node or link.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that nothing has.
    #[error("no {what} `{name}`")]
    Undefined {
        /// What it should name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A link from a node to itself.
    #[error("link `{name}` begins and ends at the same node")]
    Loop {
        /// The link.
        name: String,
    },
    /// A valve where it cannot be: at a tank, or against another valve.
    #[error("valve `{name}` cannot be {place}")]
    MisplacedValve {
        /// The valve.
        name: String,
        /// Where it is.
        place: &'static str,
    },
    /// Something that this kind of link cannot do.
    #[error("link `{name}` {reason}")]
    Impossible {
        /// The link.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A pump without a usable curve.
    #[error("pump `{name}` {reason}")]
    BadPump {
        /// The pump.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A curve whose x values do not grow.
    #[error("the x values of curve `{name}` do not grow")]
    BadCurve {
        /// The curve.
        name: String,
    },
    /// A tank whose levels contradict each other or its volume curve.
    #[error("the levels of tank `{name}` contradict each other or its volume curve")]
    BadTank {
        /// The tank.
        name: String,
    },
    /// A clause of a rule where none may stand.
    #[error("clause `{word}` out of place")]
    MisplacedClause {
        /// The clause's first word.
        word: String,
    },
    /// Fewer than two nodes.
    #[error("the network needs at least two nodes")]
    TooFewNodes,
    /// Neither tank nor reservoir.
    #[error("the network has neither a tank nor a reservoir")]
    NoStore,
    /// A node without any link.
    #[error("node `{name}` is not connected")]
    Unconnected {
        /// The node.
        name: String,
    },
}

/// Reads a network.
///
/// ```
/// let text = "[JUNCTIONS]\n a 10 100\n[RESERVOIRS]\n r 100\n[PIPES]\n p r a 1000 12 100\n[OPTIONS]\n UNITS GPM\n";
/// let network = twinguard_twin::importers::epanet(text.as_bytes())?;
/// assert_eq!(network.links[0].name, "p");
/// # Ok::<(), twinguard_twin::importers::EpanetError>(())
/// ```
///
/// # Errors
/// The first thing that is wrong, with its line and section.
pub fn epanet(bytes: &[u8]) -> Result<Network, EpanetError> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text::lines(&text)?;
    let in_sections =
        |names: &'static [&'static str]| lines.iter().filter(move |line| names.contains(&line.section));
    let settings = settings::read(in_sections(&["OPTIONS", "TIMES"]))?;
    let mut draft = Draft::new(&settings);
    for line in in_sections(&["PATTERNS", "CURVES"]) {
        draft.series(line)?;
    }
    draft.check_curves()?;
    settings.default_pattern(&mut draft);
    for line in in_sections(&["JUNCTIONS"]) {
        draft.junction(line)?;
    }
    for line in in_sections(&["RESERVOIRS", "TANKS"]) {
        draft.store(line)?;
    }
    for line in in_sections(&["PIPES", "PUMPS", "VALVES"]) {
        draft.link(line)?;
    }
    for line in in_sections(&["DEMANDS", "EMITTERS", "STATUS"]) {
        draft.adjust(line)?;
    }
    for line in in_sections(&["CONTROLS"]) {
        draft.control(line)?;
    }
    draft.rules(in_sections(&["RULES"]))?;
    draft.finish()
}

/// A network in the making, with the places of its names.
struct Draft<'a> {
    network: Network,
    nodes: BTreeMap<&'a str, usize>,
    links: BTreeMap<&'a str, usize>,
    patterns: BTreeMap<&'a str, usize>,
    curves: BTreeMap<&'a str, usize>,
    /// Lines of nodes and of curves, for errors that show later.
    node_lines: Vec<(u32, &'static str)>,
    curve_lines: Vec<u32>,
    /// Which junctions have demands of the DEMANDS section.
    has_demands: Vec<bool>,
    default_pattern: Option<usize>,
}

impl<'a> Draft<'a> {
    fn new(settings: &settings::Settings) -> Self {
        Self {
            network: Network {
                junctions: Vec::new(),
                stores: Vec::new(),
                links: Vec::new(),
                patterns: Vec::new(),
                curves: Vec::new(),
                controls: Vec::new(),
                rules: Vec::new(),
                options: settings.options.clone(),
                times: settings.times,
                units: settings.units,
            },
            nodes: BTreeMap::new(),
            links: BTreeMap::new(),
            patterns: BTreeMap::new(),
            curves: BTreeMap::new(),
            node_lines: Vec::new(),
            curve_lines: Vec::new(),
            has_demands: Vec::new(),
            default_pattern: None,
        }
    }

    fn units(&self) -> Units {
        self.network.units
    }

    fn find(
        line: &Line<'_>,
        map: &BTreeMap<&str, usize>,
        what: &'static str,
        name: &str,
    ) -> Result<usize, EpanetError> {
        map.get(name).copied().ok_or_else(|| line.error(Problem::Undefined { what, name: text::short(name) }))
    }

    fn node_at(&self, line: &Line<'_>, at: usize) -> Result<usize, EpanetError> {
        Self::find(line, &self.nodes, "node", line.word(at)?)
    }

    fn link_at(&self, line: &Line<'_>, at: usize) -> Result<usize, EpanetError> {
        Self::find(line, &self.links, "link", line.word(at)?)
    }

    fn pattern_at(&self, line: &Line<'_>, at: usize) -> Result<Option<usize>, EpanetError> {
        line.optional(at).map(|name| Self::find(line, &self.patterns, "pattern", name)).transpose()
    }

    fn curve_at(&self, line: &Line<'_>, at: usize) -> Result<usize, EpanetError> {
        Self::find(line, &self.curves, "curve", line.word(at)?)
    }

    /// What can only be checked at the end.
    fn finish(self) -> Result<Network, EpanetError> {
        let network = self.network;
        let whole = |problem| EpanetError { line: 0, section: "", problem };
        if network.node_count() < 2 {
            return Err(whole(Problem::TooFewNodes));
        }
        if network.stores.is_empty() {
            return Err(whole(Problem::NoStore));
        }
        let mut connected = vec![false; network.node_count()];
        for node in network.links.iter().flat_map(|link| [link.from, link.to]) {
            connected[node] = true;
        }
        if let Some(node) = connected.iter().position(|connected| !connected) {
            let (line, section) = self.node_lines.get(node).copied().unwrap_or((0, ""));
            let name = network.node_name(node).unwrap_or_default().to_owned();
            return Err(EpanetError { line, section, problem: Problem::Unconnected { name } });
        }
        Ok(network)
    }
}

#[cfg(test)]
mod tests;
