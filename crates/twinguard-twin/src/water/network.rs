//! What a water network is made of: plain data, in feet and cubic feet per second, as the importer leaves it.
//!
//! Source: EPANET 2.2 Users Manual, chapter 3 (the network model) and appendix C.2 (input file format).

use super::units::Units;

/// A node, by place: the junctions first, then the stores (reservoirs and tanks).
pub type NodeId = usize;
/// A link, by place in [`Network::links`].
pub type LinkId = usize;
/// A pattern, by place in [`Network::patterns`].
pub type PatternId = usize;
/// A curve, by place in [`Network::curves`].
pub type CurveId = usize;

/// A whole network with its options, times and controls.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Nodes without storage.
    pub junctions: Vec<Junction>,
    /// Reservoirs and tanks, in the file's order.
    pub stores: Vec<Store>,
    /// Pipes, pumps and valves, in the file's order.
    pub links: Vec<Link>,
    /// Series of multipliers; none is empty.
    pub patterns: Vec<Pattern>,
    /// Functions by points; none is empty, and x grows.
    pub curves: Vec<Curve>,
    /// Simple controls, in the file's order.
    pub controls: Vec<Control>,
    /// Rule-based controls, in the file's order.
    pub rules: Vec<Rule>,
    /// Hydraulic options.
    pub options: Options,
    /// Time steps and durations.
    pub times: Times,
    /// The units of the file that this came from.
    pub units: Units,
}

impl Network {
    /// Junctions, reservoirs and tanks.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.junctions.len() + self.stores.len()
    }

    /// The name of a node.
    #[must_use]
    pub fn node_name(&self, node: NodeId) -> Option<&str> {
        match self.junctions.get(node) {
            Some(junction) => Some(&junction.name),
            None => self.stores.get(node - self.junctions.len()).map(|store| store.name.as_str()),
        }
    }

    /// Elevation of a node in feet (a reservoir's head).
    #[must_use]
    pub fn elevation_ft(&self, node: NodeId) -> Option<f64> {
        match self.junctions.get(node) {
            Some(junction) => Some(junction.elevation_ft),
            None => self.stores.get(node - self.junctions.len()).map(|store| store.elevation_ft),
        }
    }

    /// The node of this name; a search over all, for set-up and tests.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeId> {
        (0..self.node_count()).find(|node| self.node_name(*node) == Some(name))
    }

    /// The link of this name; a search over all, for set-up and tests.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<LinkId> {
        self.links.iter().position(|link| link.name == name)
    }
}

/// A node where pipes meet and water may leave.
#[derive(Clone, Debug, PartialEq)]
pub struct Junction {
    /// Its name in the file.
    pub name: String,
    /// Elevation.
    pub elevation_ft: f64,
    /// What is drawn here, by category.
    pub demands: Vec<Demand>,
    /// Head loss coefficient of its emitter, ft / cfs^n with n = [`Options::emitter_power`]; zero without one.
    pub emitter: f64,
}

/// One category of demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Base demand.
    pub base_cfs: f64,
    /// Its pattern; none means constant.
    pub pattern: Option<PatternId>,
}

/// A node whose head is given: a reservoir, or a tank at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Its name in the file.
    pub name: String,
    /// Head of a reservoir, bottom of a tank.
    pub elevation_ft: f64,
    /// Multipliers of a reservoir's head.
    pub pattern: Option<PatternId>,
    /// Present for a tank.
    pub tank: Option<Tank>,
}

/// What a tank has beside its bottom; heads are absolute.
#[derive(Clone, Debug, PartialEq)]
pub struct Tank {
    /// Head at the start.
    pub start_ft: f64,
    /// Lowest head.
    pub lowest_ft: f64,
    /// Highest head.
    pub highest_ft: f64,
    /// Cross-section, of a cylinder or nominal.
    pub area_ft2: f64,
    /// Volume at the lowest head.
    pub lowest_ft3: f64,
    /// Volume at the highest head.
    pub highest_ft3: f64,
    /// Volume at the start.
    pub start_ft3: f64,
    /// Volume (file units) over level (file units), when it is no cylinder.
    pub volume: Option<CurveId>,
    /// Whether a full tank spills instead of closing its inlets.
    pub overflows: bool,
}

/// A pipe, pump or valve.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Its name in the file.
    pub name: String,
    /// Flow is positive away from here.
    pub from: NodeId,
    /// Flow is positive towards here.
    pub to: NodeId,
    /// Diameter (zero for a pump).
    pub diameter_ft: f64,
    /// Minor loss, ft / cfs².
    pub minor_loss: f64,
    /// What it is.
    pub kind: LinkKind,
    /// Status at the start.
    pub status: Status,
    /// A pump's speed or a valve's setting at the start (internal units); none for a valve fixed open or closed.
    pub setting: Option<f64>,
}

/// What a link is.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkKind {
    /// A pipe, perhaps with a check valve.
    Pipe {
        /// Length.
        length_ft: f64,
        /// Roughness: C of Hazen–Williams, ε in feet of Darcy–Weisbach, n of Chezy–Manning.
        roughness: f64,
        /// Whether flow is one way.
        check_valve: bool,
    },
    /// A pump.
    Pump {
        /// Head over flow.
        curve: PumpCurve,
        /// Multipliers that become its speed.
        pattern: Option<PatternId>,
    },
    /// A valve.
    Valve(ValveKind),
}

/// How a pump lifts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PumpCurve {
    /// Constant power.
    Power {
        /// Horsepower.
        power_hp: f64,
    },
    /// h = shutoff − r qⁿ at full speed.
    Law {
        /// Head at no flow.
        shutoff_ft: f64,
        /// r.
        resistance: f64,
        /// n.
        exponent: f64,
        /// Design flow: where the iteration starts.
        design_cfs: f64,
    },
    /// Straight pieces of a curve in the file's units.
    Points {
        /// The curve.
        curve: CurveId,
        /// Where the iteration starts.
        design_cfs: f64,
        /// Head at the first point.
        shutoff_ft: f64,
    },
}

/// What a valve does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValveKind {
    /// Holds a pressure downstream.
    PressureReducing,
    /// Holds a pressure upstream.
    PressureSustaining,
    /// Takes a given head away.
    PressureBreaker,
    /// Limits the flow.
    FlowControl,
    /// Has a given loss coefficient.
    Throttle,
    /// Has a head loss curve.
    General {
        /// The curve, head loss over flow in the file's units.
        curve: CurveId,
    },
}

/// What a link does at an instant; the order is that of how much it lets through.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Status {
    /// A pump that cannot lift as much as is asked.
    CannotLift,
    /// Closed until its tank allows it.
    TankClosed,
    /// Closed.
    Closed,
    /// Open.
    Open,
    /// A valve that regulates.
    Active,
    /// A flow control valve that cannot reach its flow.
    CannotFlow,
    /// A pressure valve that cannot hold its pressure.
    CannotPress,
}

impl Status {
    /// Whether nothing flows.
    #[must_use]
    pub fn is_closed(self) -> bool {
        self <= Self::Closed
    }

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CannotLift => "cannot_lift",
            Self::TankClosed => "tank_closed",
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Active => "active",
            Self::CannotFlow => "cannot_flow",
            Self::CannotPress => "cannot_press",
        }
    }
}

/// Multipliers, one for each pattern step, over and over.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// Its name in the file.
    pub name: String,
    /// The multipliers.
    pub factors: Vec<f64>,
}

impl Pattern {
    /// The multiplier of a period.
    pub(crate) fn at(&self, period: i64) -> f64 {
        let length = i64::try_from(self.factors.len()).unwrap_or(i64::MAX).max(1);
        let place = usize::try_from(period.rem_euclid(length)).unwrap_or(0);
        self.factors.get(place).copied().unwrap_or(1.0)
    }
}

/// A function by points, in the file's units.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the file.
    pub name: String,
    /// x, growing.
    pub x: Vec<f64>,
    /// y.
    pub y: Vec<f64>,
}

impl Curve {
    /// Height and slope of the straight piece that holds `x` (the first and last pieces go on outside), or nothing for
    /// fewer than two points.
    pub(crate) fn piece(&self, x: f64) -> Option<(f64, f64)> {
        let last = self.x.len().checked_sub(1)?;
        let upper = self.x.partition_point(|point| *point < x).clamp(1, last.max(1));
        let (x1, x2, y1, y2) =
            (self.x.get(upper - 1)?, self.x.get(upper)?, self.y.get(upper - 1)?, self.y.get(upper)?);
        let slope = (y2 - y1) / (x2 - x1);
        Some((y1 - slope * x1, slope))
    }
}

/// Linear interpolation, constant outside; `x` grows.
pub(crate) fn interpolate(x: &[f64], y: &[f64], at: f64) -> f64 {
    let (Some(first), Some(last)) = (y.first(), y.last()) else { return 0.0 };
    let upper = x.partition_point(|point| *point < at);
    if upper == 0 {
        return *first;
    }
    match (x.get(upper - 1), x.get(upper), y.get(upper - 1), y.get(upper)) {
        (Some(x1), Some(x2), Some(y1), Some(y2)) if x2 - x1 > 0.0 => y1 + (at - x1) / (x2 - x1) * (y2 - y1),
        (_, Some(_), _, Some(y2)) => *y2,
        _ => *last,
    }
}

/// Head loss formulas.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadLoss {
    /// Hazen–Williams.
    HazenWilliams,
    /// Darcy–Weisbach.
    DarcyWeisbach,
    /// Chezy–Manning.
    ChezyManning,
}

/// Hydraulic options.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Formula of friction.
    pub head_loss: HeadLoss,
    /// Kinematic viscosity, ft²/s.
    pub viscosity: f64,
    /// Most iterations.
    pub trials: u32,
    /// Relative change of flow that ends the iteration.
    pub accuracy: f64,
    /// Largest head loss error that ends the iteration.
    pub head_error_ft: Option<f64>,
    /// Largest change of a flow that ends the iteration.
    pub flow_change_cfs: Option<f64>,
    /// What to do when the iteration does not end: nothing means stop, a number means go on after as many more trials
    /// with every status frozen.
    pub extra_trials: Option<u32>,
    /// Multiplies every demand.
    pub demand_multiplier: f64,
    /// n of an emitter's head loss k qⁿ: one over the file's exponent.
    pub emitter_power: f64,
    /// Pressure-driven demands; none means that demands are always met.
    pub pressure_driven: Option<PressureDriven>,
    /// Heads closer than this are equal.
    pub head_tolerance_ft: f64,
    /// Flows smaller than this do not flow backwards.
    pub flow_tolerance_cfs: f64,
    /// Smallest gradient of head loss, ft/cfs.
    pub least_gradient: f64,
    /// Iterations between checks of status.
    pub check_every: u32,
    /// Last iteration with such a check.
    pub check_until: u32,
    /// Relative change of flow below which steps are damped and valves are checked; none means no damping.
    pub damp_below: Option<f64>,
}

/// Demand that falls with pressure: q = q₀ ((p − p₀)/(p₁ − p₀))^e between p₀ and p₁.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PressureDriven {
    /// p₀: no demand below.
    pub least_ft: f64,
    /// p₁: all demand above.
    pub required_ft: f64,
    /// e.
    pub exponent: f64,
}

/// Durations and steps, in whole seconds; steps are positive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Times {
    /// Length of the run; zero means one steady state.
    pub duration_s: i64,
    /// Longest hydraulic step.
    pub hydraulic_step_s: i64,
    /// Step of patterns.
    pub pattern_step_s: i64,
    /// Where in the patterns the run starts.
    pub pattern_start_s: i64,
    /// Step of reports, which hydraulic steps do not cross.
    pub report_step_s: i64,
    /// How often rules are looked at.
    pub rule_step_s: i64,
    /// Clock time at the start.
    pub clock_start_s: i64,
}

/// A simple control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Control {
    /// The link that it moves.
    pub link: LinkId,
    /// The status that it sets; active when a valve gets a setting.
    pub status: Status,
    /// The setting that it sets (internal units); none fixes a valve open or closed.
    pub setting: Option<f64>,
    /// When.
    pub when: When,
}

/// The condition of a simple control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Head at or below.
    Below {
        /// Where.
        node: NodeId,
        /// The head.
        head_ft: f64,
    },
    /// Head at or above.
    Above {
        /// Where.
        node: NodeId,
        /// The head.
        head_ft: f64,
    },
    /// At a time of the run.
    Time {
        /// The time.
        at_s: i64,
    },
    /// At a time of day.
    Clock {
        /// Seconds after midnight.
        at_s: i64,
    },
}

/// A rule: premises, actions, a priority.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name in the file.
    pub name: String,
    /// The premises, in order.
    pub premises: Vec<Premise>,
    /// What to do when they hold.
    pub then: Vec<Action>,
    /// What to do when they do not.
    pub otherwise: Vec<Action>,
    /// Higher wins.
    pub priority: f64,
}

/// One premise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Premise {
    /// Joined to those before it by OR instead of AND.
    pub or: bool,
    /// What is looked at.
    pub subject: Subject,
    /// How it is compared.
    pub relation: Relation,
    /// With what (file units; seconds for times).
    pub value: Operand,
}

/// What a premise looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// Demand of all junctions.
    SystemDemand,
    /// Seconds since the start.
    Time,
    /// Seconds since midnight.
    ClockTime,
    /// Demand of a node.
    Demand(NodeId),
    /// Head of a node.
    Head(NodeId),
    /// Level above a node's elevation.
    Level(NodeId),
    /// Pressure of a node.
    Pressure(NodeId),
    /// Seconds until a tank is full.
    FillTime(NodeId),
    /// Seconds until a tank is empty.
    DrainTime(NodeId),
    /// Size of a link's flow.
    Flow(LinkId),
    /// Status of a link.
    Status(LinkId),
    /// Setting of a link.
    Setting(LinkId),
}

/// How a premise compares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Relation {
    /// =, IS
    Equal,
    /// <>, NOT
    Unequal,
    /// <=
    AtMost,
    /// >=
    AtLeast,
    /// <, BELOW
    Below,
    /// >, ABOVE
    Above,
}

/// What a premise compares with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    /// A number, in the file's units.
    Number(f64),
    /// Open, closed or active.
    Status(Status),
}

/// What a rule does to a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Action {
    /// The link.
    pub link: LinkId,
    /// What it becomes.
    pub to: ActionTo,
}

/// What an action makes of its link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActionTo {
    /// Open.
    Open,
    /// Closed.
    Closed,
    /// A speed or setting (internal units).
    Setting(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_go_round() {
        let pattern = Pattern { name: "p".into(), factors: vec![1.0, 2.0, 3.0] };
        assert_eq!([0, 1, 2, 3, 7].map(|period| pattern.at(period)), [1.0, 2.0, 3.0, 1.0, 2.0]);
        assert_eq!(Pattern { name: String::new(), factors: vec![] }.at(4), 1.0);
    }

    #[test]
    fn pieces_and_interpolation() {
        let curve = Curve { name: "c".into(), x: vec![0.0, 10.0, 20.0], y: vec![5.0, 3.0, 2.0] };
        let at = |x: f64| curve.piece(x).map(|(height, slope)| height + slope * x).unwrap();
        assert!(
            (at(5.0) - 4.0).abs() < 1e-12 && (at(10.0) - 3.0).abs() < 1e-12 && (at(30.0) - 1.0).abs() < 1e-12
        );
        assert_eq!(interpolate(&curve.x, &curve.y, 15.0), 2.5);
        assert_eq!(interpolate(&curve.x, &curve.y, -1.0), 5.0);
        assert_eq!(interpolate(&curve.x, &curve.y, 99.0), 2.0);
        assert_eq!(Curve { name: "d".into(), x: vec![1.0], y: vec![1.0] }.piece(1.0), None);
    }
}
