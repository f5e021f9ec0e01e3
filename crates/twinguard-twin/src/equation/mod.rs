//! Equations as people write them, compiled once to flat programs with exact Jacobians.
//!
//! One equation a line (or after `;`; inside brackets lines go on), `#` starts a comment, any order:
//!
//! | form | meaning |
//! |---|---|
//! | `d(x)/dt = …` | derivative of state `x`, per second |
//! | `x' = …`, `next(x) = …` | next value of state `x` |
//! | `y = …` | an output, if `y` is declared as one, else an intermediate |
//!
//! `+ - * / ^`, unary minus (`-a^b` is `-(a^b)`, `a^b^c` is `a^(b^c)`), comparisons `< <= > >= == !=` (1 or 0),
//! `abs atan cos exp if(condition, then, else) ln log10 max min pow sign sin sqrt tan tanh`, `pi`, and `t`, the time
//! in seconds, unless something else is called so. An output that carries a state's or an input's name needs no
//! equation. Transcendental functions are those of `libm`: all machines agree to the bit.
//!
//! ```
//! use twinguard_twin::{Model, TimeBase, equation::Source};
//!
//! let tank = Source {
//!     text: "d(h)/dt = (q - out) / area\n out = c * sqrt(max(h, 0))".into(),
//!     base: TimeBase::Continuous,
//!     states: vec!["h".into()],
//!     inputs: vec!["q".into()],
//!     outputs: vec!["h".into()],
//!     parameters: vec![("area".into(), 2.0), ("c".into(), 0.5)],
//! }
//! .compile(&[])?;
//! let mut rate = [0.0];
//! tank.dynamics(0.0, &[4.0], &[1.5], &mut rate);
//! assert_eq!(rate, [0.25]);
//! let (mut by_state, mut by_input) = ([0.0], [0.0]);
//! tank.dynamics_jacobian(0.0, &[4.0], &[1.5], &mut by_state, &mut by_input);
//! assert_eq!((by_state, by_input), ([-0.0625], [0.5]));
//! # Ok::<(), twinguard_twin::equation::Flaw>(())
//! ```

mod graph;
mod lexer;
mod parser;
mod program;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::{
    graph::{Binary, Graph, Id, Node},
    parser::{Item, Statement, Target},
    program::{Program, Store, reachable},
};
use crate::{
    Model, TimeBase,
    problem::{Problem, nearest},
};

/// Equations with the names they may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The equations.
    pub text: String,
    /// Whether they give derivatives or next values.
    pub base: TimeBase,
    /// States, in order.
    pub states: Vec<String>,
    /// Inputs, in order.
    pub inputs: Vec<String>,
    /// Outputs, in order.
    pub outputs: Vec<String>,
    /// Parameters with their values, in order.
    pub parameters: Vec<(String, f64)>,
}

/// Why equations cannot be compiled, and where in their text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct Flaw {
    /// Byte offset in the text; `None` where a declaration is at fault, not the text.
    pub offset: Option<usize>,
    /// What is wrong.
    pub problem: Problem,
}

impl Flaw {
    fn syntax(offset: usize, reason: String) -> Self {
        Self { offset: Some(offset), problem: Problem::Syntax { reason } }
    }
}

impl From<Problem> for Flaw {
    fn from(problem: Problem) -> Self {
        Self { offset: None, problem }
    }
}

/// Most bytes of equations.
pub const TEXT_LIMIT: usize = 256 * 1024;
/// Most states, inputs, outputs (each) of one model in equations.
pub const NAME_LIMIT: usize = 512;

impl Source {
    /// Compiles the equations. `overrides` replace parameters, and intermediates that are constant, by name.
    ///
    /// Cost: linear in the text for the values; the Jacobians cost up to (states + inputs) times as much, once.
    ///
    /// # Errors
    /// [`Flaw`] with the place: syntax, an unknown or doubly defined symbol, a state without equation, equations in a
    /// circle, more than a bound allows.
    pub fn compile(&self, overrides: &[(&str, f64)]) -> Result<Compiled, Flaw> {
        if self.text.len() > TEXT_LIMIT {
            let problem =
                Problem::TooMuch { what: "bytes of equations", count: self.text.len(), limit: TEXT_LIMIT };
            return Err(problem.into());
        }
        for (what, names) in [("states", &self.states), ("inputs", &self.inputs), ("outputs", &self.outputs)]
        {
            if names.len() > NAME_LIMIT {
                return Err(Problem::TooMuch { what, count: names.len(), limit: NAME_LIMIT }.into());
            }
        }
        let tokens = lexer::tokens(&self.text)?;
        let statements = parser::statements(&tokens, self.text.len())?;
        let mut lowering = Lowering::new(self, overrides)?;
        lowering.sort(&statements)?;
        lowering.lower(&statements)?;
        lowering.finish(&statements)
    }
}

/// A model compiled from equations: four flat programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    states: Vec<String>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    parameters: Vec<(String, f64)>,
    base: TimeBase,
    dynamics: Program,
    output: Program,
    dynamics_jacobian: Program,
    output_jacobian: Program,
}

impl Compiled {
    /// Number of instructions of f, h and their Jacobians: a measure of cost.
    #[must_use]
    pub fn sizes(&self) -> [usize; 4] {
        [&self.dynamics, &self.output, &self.dynamics_jacobian, &self.output_jacobian].map(Program::len)
    }
}

impl Model for Compiled {
    fn state_names(&self) -> &[String] {
        &self.states
    }

    fn input_names(&self) -> &[String] {
        &self.inputs
    }

    fn output_names(&self) -> &[String] {
        &self.outputs
    }

    fn time_base(&self) -> TimeBase {
        self.base
    }

    fn dynamics(&self, time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        self.dynamics.run(time_s, state, input, out, &mut []);
    }

    fn output(&self, time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        self.output.run(time_s, state, input, out, &mut []);
    }

    fn dynamics_jacobian(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        self.dynamics_jacobian.run(time_s, state, input, by_state, by_input);
    }

    fn output_jacobian(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        self.output_jacobian.run(time_s, state, input, by_state, by_input);
    }

    /// The declared parameters, then the intermediates that are constant, in the order of the text.
    fn parameters(&self) -> &[(String, f64)] {
        &self.parameters
    }
}

/// What a name means.
#[derive(Clone, Copy)]
enum Symbol {
    State(u32),
    Input(u32),
    Parameter(f64),
    /// The statement of this number.
    Equation(usize),
}

struct Lowering<'a> {
    source: &'a Source,
    overrides: BTreeMap<&'a str, f64>,
    symbols: BTreeMap<&'a str, Symbol>,
    /// Statements in an order in which each comes after what it needs.
    order: Vec<usize>,
    graph: Graph,
    /// Root node of each statement.
    roots: Vec<Id>,
    /// Values that overridden intermediates would have had.
    parameters: Vec<(String, f64)>,
}

impl<'a> Lowering<'a> {
    fn new(source: &'a Source, overrides: &'a [(&'a str, f64)]) -> Result<Self, Flaw> {
        let mut symbols = BTreeMap::new();
        let overrides: BTreeMap<&str, f64> = overrides.iter().copied().collect();
        let states = source.states.iter().zip(0..).map(|(name, index)| (name, Symbol::State(index)));
        let inputs = source.inputs.iter().zip(0..).map(|(name, index)| (name, Symbol::Input(index)));
        let parameters = source.parameters.iter().map(|(name, value)| {
            (name, Symbol::Parameter(overrides.get(name.as_str()).copied().unwrap_or(*value)))
        });
        for (name, symbol) in states.chain(inputs).chain(parameters) {
            if !is_name(name) {
                let reason = "is not a name (a letter or `_`, then letters, digits, `_`)".to_owned();
                return Err(Problem::Value { key: name.clone(), reason }.into());
            }
            if symbols.insert(name.as_str(), symbol).is_some() {
                return Err(Problem::Duplicate { what: "symbol", name: name.clone() }.into());
            }
        }
        for (at, name) in source.outputs.iter().enumerate() {
            if source.outputs.iter().take(at).any(|earlier| earlier == name) {
                return Err(Problem::Duplicate { what: "output", name: name.clone() }.into());
            }
        }
        for (name, value) in
            source.parameters.iter().map(|(name, value)| (name.as_str(), *value)).chain(overrides.clone())
        {
            if !value.is_finite() {
                let reason = "is not a finite number".to_owned();
                return Err(Problem::Value { key: name.to_owned(), reason }.into());
            }
        }
        Ok(Self {
            source,
            overrides,
            symbols,
            order: Vec::new(),
            graph: Graph::default(),
            roots: Vec::new(),
            parameters: Vec::new(),
        })
    }

    /// Enters the equations' names and finds an order; no circles.
    fn sort(&mut self, statements: &[Statement<'a>]) -> Result<(), Flaw> {
        let wanted = match self.source.base {
            TimeBase::Continuous => Target::Derivative,
            TimeBase::Discrete { .. } => Target::Next,
        };
        let mut driven = BTreeMap::new();
        for (number, statement) in statements.iter().enumerate() {
            let flaw = |problem| Flaw { offset: Some(statement.offset), problem };
            let name = statement.name;
            if statement.target == Target::Plain {
                if matches!(self.symbols.get(name), Some(Symbol::State(_))) {
                    let reason = match wanted {
                        Target::Derivative => "is a state: write `d(…)/dt = …`",
                        _ => "is a state: write `next(…) = …`",
                    };
                    return Err(flaw(Problem::Value { key: name.to_owned(), reason: reason.to_owned() }));
                }
                if self.symbols.insert(name, Symbol::Equation(number)).is_some() {
                    return Err(flaw(Problem::Duplicate { what: "symbol", name: name.to_owned() }));
                }
                continue;
            }
            if statement.target != wanted {
                let reason = match wanted {
                    Target::Derivative => "is of a differential equation: write `d(…)/dt = …`",
                    _ => "is of a difference equation: write `next(…) = …`",
                };
                return Err(flaw(Problem::Value { key: name.to_owned(), reason: reason.to_owned() }));
            }
            if !matches!(self.symbols.get(name), Some(Symbol::State(_))) {
                let nearest = nearest(name, self.source.states.iter().map(String::as_str));
                return Err(flaw(Problem::Unknown { what: "state", name: name.to_owned(), nearest }));
            }
            if driven.insert(name, number).is_some() {
                let what = "equation of state";
                return Err(flaw(Problem::Duplicate { what, name: name.to_owned() }));
            }
        }
        if let Some(name) = self.source.states.iter().find(|name| !driven.contains_key(name.as_str())) {
            return Err(Problem::Missing { what: "equation of state", name: name.clone() }.into());
        }
        let needs: Vec<Vec<usize>> =
            statements.iter().map(|statement| self.needs(statement)).collect::<Result<_, _>>()?;
        self.order = order(&needs).map_err(|circle| {
            let name = |number: usize| statements.get(number).map_or("?", |s| s.name).to_owned();
            let first = circle.first().copied().unwrap_or_default();
            let names = circle.iter().chain([&first]).map(|&number| name(number)).collect();
            Flaw { offset: statements.get(first).map(|s| s.offset), problem: Problem::Circle { names } }
        })?;
        Ok(())
    }

    fn needs(&self, statement: &Statement<'a>) -> Result<Vec<usize>, Flaw> {
        let mut needs = Vec::new();
        for item in &statement.items {
            if let Item::Name(offset, name) = item {
                match self.symbols.get(name) {
                    Some(Symbol::Equation(number)) => needs.push(*number),
                    Some(_) => {}
                    None if *name == "t" || *name == "pi" => {}
                    None => {
                        let nearest = nearest(name, self.symbols.keys().copied());
                        let problem = Problem::Unknown { what: "symbol", name: (*name).to_owned(), nearest };
                        return Err(Flaw { offset: Some(*offset), problem });
                    }
                }
            }
        }
        Ok(needs)
    }

    fn lower(&mut self, statements: &[Statement<'a>]) -> Result<(), Flaw> {
        self.roots = vec![0; statements.len()];
        let mut stack = Vec::new();
        for number in core::mem::take(&mut self.order) {
            let Some(statement) = statements.get(number) else { continue };
            stack.clear();
            for item in &statement.items {
                self.step(*item, &mut stack);
            }
            let mut root = stack.pop().unwrap_or_default();
            let at = |problem| Flaw { offset: Some(statement.offset), problem };
            self.graph.check().map_err(at)?;
            if let (Target::Plain, Some(value)) = (statement.target, self.overrides.get(statement.name)) {
                if self.graph.constant(root).is_none() {
                    let reason =
                        "is not constant: only parameters and constant intermediates can be replaced";
                    let key = statement.name.to_owned();
                    return Err(at(Problem::Value { key, reason: reason.to_owned() }));
                }
                root = self.graph.number(*value);
            }
            if let Some(slot) = self.roots.get_mut(number) {
                *slot = root;
            }
        }
        Ok(())
    }

    fn step(&mut self, item: Item<'a>, stack: &mut Vec<Id>) {
        let mut pop = || stack.pop().unwrap_or_default();
        let graph = &mut self.graph;
        let result = match item {
            Item::Number(value) => graph.number(value),
            Item::Name(_, name) => match self.symbols.get(name) {
                Some(Symbol::State(index)) => graph.leaf(Node::State(*index)),
                Some(Symbol::Input(index)) => graph.leaf(Node::Input(*index)),
                Some(Symbol::Parameter(value)) => graph.number(*value),
                Some(Symbol::Equation(number)) => self.roots.get(*number).copied().unwrap_or_default(),
                None if name == "t" => graph.leaf(Node::Time),
                None => graph.number(core::f64::consts::PI),
            },
            Item::Unary(operator) => {
                let a = pop();
                graph.unary(operator, a)
            }
            Item::Binary(operator) => {
                let (b, a) = (pop(), pop());
                graph.binary(operator, a, b)
            }
            Item::Swapped(operator) => {
                let (b, a) = (pop(), pop());
                graph.binary(operator, b, a)
            }
            Item::NotEqual => {
                let (b, a) = (pop(), pop());
                let equal = graph.binary(Binary::Equal, a, b);
                let (zero, one) = (graph.number(0.0), graph.number(1.0));
                graph.select(equal, zero, one)
            }
            Item::Select => {
                let (b, a, condition) = (pop(), pop(), pop());
                graph.select(condition, a, b)
            }
        };
        stack.push(result);
    }

    fn finish(mut self, statements: &[Statement<'a>]) -> Result<Compiled, Flaw> {
        let source = self.source;
        for (name, value) in &source.parameters {
            let value = self.overrides.get(name.as_str()).copied().unwrap_or(*value);
            self.parameters.push((name.clone(), value));
        }
        for (statement, root) in statements.iter().zip(&self.roots) {
            if let (Target::Plain, Some(value)) = (statement.target, self.graph.constant(*root)) {
                self.parameters.push((statement.name.to_owned(), value));
            }
        }
        if let Some(name) =
            self.overrides.keys().find(|name| !self.parameters.iter().any(|(known, _)| known == **name))
        {
            let nearest = nearest(name, self.parameters.iter().map(|(known, _)| known.as_str()));
            return Err(Problem::Unknown { what: "parameter", name: (*name).to_owned(), nearest }.into());
        }

        let mut dynamics = vec![0; source.states.len()];
        for (statement, root) in statements.iter().zip(&self.roots) {
            if let (Target::Derivative | Target::Next, Some(Symbol::State(index))) =
                (statement.target, self.symbols.get(statement.name))
                && let Some(slot) = dynamics.get_mut(*index as usize)
            {
                *slot = *root;
            }
        }
        let mut output = Vec::with_capacity(source.outputs.len());
        for name in &source.outputs {
            output.push(match self.symbols.get(name.as_str()) {
                Some(Symbol::State(index)) => self.graph.leaf(Node::State(*index)),
                Some(Symbol::Input(index)) => self.graph.leaf(Node::Input(*index)),
                Some(Symbol::Equation(number)) => self.roots.get(*number).copied().unwrap_or_default(),
                _ => return Err(Problem::Missing { what: "equation of output", name: name.clone() }.into()),
            });
        }

        let (states, inputs) = (source.states.len(), source.inputs.len());
        let value = |graph: &Graph, roots: &[Id]| {
            let stores: Vec<Store> = roots
                .iter()
                .zip(0..)
                .map(|(node, slot)| Store { second: false, slot, node: *node })
                .collect();
            Program::build(graph, states, inputs, &stores)
        };
        let dynamics_jacobian = self.jacobian(&dynamics)?;
        let output_jacobian = self.jacobian(&output)?;
        Ok(Compiled {
            dynamics: value(&self.graph, &dynamics)?,
            output: value(&self.graph, &output)?,
            dynamics_jacobian,
            output_jacobian,
            states: source.states.clone(),
            inputs: source.inputs.clone(),
            outputs: source.outputs.clone(),
            parameters: self.parameters,
            base: source.base,
        })
    }

    fn jacobian(&mut self, roots: &[Id]) -> Result<Program, Problem> {
        let (states, inputs) = (self.source.states.len(), self.source.inputs.len());
        let nodes = reachable(&self.graph, roots.iter().copied());
        let mut stores = Vec::new();
        let by_state = (0..states as u32).map(|column| (false, column, states, Node::State(column)));
        let by_input = (0..inputs as u32).map(|column| (true, column, inputs, Node::Input(column)));
        for (second, column, width, variable) in by_state.chain(by_input) {
            let derivative = self.graph.derivatives(&nodes, variable);
            self.graph.check()?;
            for (root, row) in roots.iter().zip(0_u32..) {
                if let Some(node) = derivative.get(root) {
                    stores.push(Store { second, slot: row * width as u32 + column, node: *node });
                }
            }
        }
        Program::build(&self.graph, states, inputs, &stores)
    }
}

/// Numbers 0..n such that each comes after those it needs; or a circle.
fn order(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut mark = vec![Mark::New; needs.len()];
    let mut order = Vec::with_capacity(needs.len());
    for start in 0..needs.len() {
        // The path from `start`, each with how many of its needs were looked at.
        let mut path = vec![(start, 0)];
        while let Some((number, looked)) = path.last_mut() {
            let number = *number;
            if mark[number] == Mark::Done {
                path.pop();
                continue;
            }
            mark[number] = Mark::Open;
            let Some(&need) = needs[number].get(*looked) else {
                mark[number] = Mark::Done;
                order.push(number);
                path.pop();
                continue;
            };
            *looked += 1;
            match mark[need] {
                Mark::New => path.push((need, 0)),
                Mark::Done => {}
                Mark::Open => {
                    return Err(path.iter().map(|(n, _)| *n).skip_while(|n| *n != need).collect());
                }
            }
        }
    }
    Ok(order)
}

fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && text.chars().all(|next| next.is_alphanumeric() || next == '_')
}
