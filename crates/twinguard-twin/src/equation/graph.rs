//! Expressions as a graph in which equal subexpressions are one node, with exact derivatives.
//!
//! Source: forward-mode differentiation over the graph (Griewank, Walther, *Evaluating Derivatives*, 2nd ed., ch. 3),
//! done once, on symbols: the derivative is again a graph, so that a Jacobian is an ordinary program.
//! Derivatives at a kink (`abs`, `min`, `max`, `sign`, `if`) are those of the branch that the value takes; where both
//! branches of `min` or `max` are equal and one is constant, zero.

use std::collections::BTreeMap;

use crate::problem::Problem;

/// A node's number; operands always have smaller ones.
pub(super) type Id = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unary {
    Neg,
    Exp,
    Ln,
    Log10,
    Sqrt,
    Sin,
    Cos,
    Tan,
    Tanh,
    Atan,
    Abs,
    Sign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    Less,
    LessEqual,
    Equal,
}

impl Unary {
    /// Transcendental functions come from `libm`, so that all machines agree to the bit.
    #[inline]
    pub(super) fn apply(self, a: f64) -> f64 {
        match self {
            Self::Neg => -a,
            Self::Exp => libm::exp(a),
            Self::Ln => libm::log(a),
            Self::Log10 => libm::log10(a),
            Self::Sqrt => a.sqrt(),
            Self::Sin => libm::sin(a),
            Self::Cos => libm::cos(a),
            Self::Tan => libm::tan(a),
            Self::Tanh => libm::tanh(a),
            Self::Atan => libm::atan(a),
            Self::Abs => a.abs(),
            Self::Sign if a > 0.0 => 1.0,
            Self::Sign if a < 0.0 => -1.0,
            Self::Sign => a,
        }
    }
}

impl Binary {
    /// NaN in, NaN out, comparisons included: nothing is decided on a number that does not exist.
    #[inline]
    pub(super) fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Pow => libm::pow(a, b),
            Self::Min if a.is_nan() || a <= b => a,
            Self::Max if a.is_nan() || a >= b => a,
            Self::Min | Self::Max => b,
            Self::Less | Self::LessEqual | Self::Equal if a.is_nan() || b.is_nan() => f64::NAN,
            Self::Less => f64::from(u8::from(a < b)),
            Self::LessEqual => f64::from(u8::from(a <= b)),
            Self::Equal => f64::from(u8::from(a == b)),
        }
    }
}

/// `a` where the condition holds, `b` where it does not, NaN where nobody knows.
#[inline]
pub(super) fn choose(condition: f64, a: f64, b: f64) -> f64 {
    if condition.is_nan() {
        f64::NAN
    } else if condition == 0.0 {
        b
    } else {
        a
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// Bits of an `f64`.
    Constant(u64),
    Time,
    State(u32),
    Input(u32),
    Unary(Unary, Id),
    Binary(Binary, Id, Id),
    Select(Id, Id, Id),
}

impl Node {
    pub(super) fn operands(self) -> [Option<Id>; 3] {
        match self {
            Self::Unary(_, a) => [Some(a), None, None],
            Self::Binary(_, a, b) => [Some(a), Some(b), None],
            Self::Select(c, a, b) => [Some(c), Some(a), Some(b)],
            _ => [None; 3],
        }
    }
}

/// Most nodes of one model, derivatives included.
const NODES: usize = 1 << 18;

#[derive(Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    ids: BTreeMap<Node, Id>,
    full: bool,
}

impl Graph {
    pub(super) fn node(&self, id: Id) -> Node {
        self.nodes.get(id as usize).copied().unwrap_or(Node::Constant(0))
    }

    /// Refused once more nodes were wanted than may be; what was built then is not to be used.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.full {
            return Err(Problem::TooMuch { what: "operations of a model", count: NODES + 1, limit: NODES });
        }
        Ok(())
    }

    pub(super) fn leaf(&mut self, node: Node) -> Id {
        if let Some(id) = self.ids.get(&node) {
            return *id;
        }
        if self.nodes.len() >= NODES {
            self.full = true;
            return 0;
        }
        let id = self.nodes.len() as Id;
        self.nodes.push(node);
        self.ids.insert(node, id);
        id
    }

    pub(super) fn number(&mut self, value: f64) -> Id {
        self.leaf(Node::Constant(value.to_bits()))
    }

    pub(super) fn constant(&self, id: Id) -> Option<f64> {
        match self.node(id) {
            Node::Constant(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    fn is(&self, id: Id, value: f64) -> bool {
        self.constant(id) == Some(value)
    }

    pub(super) fn unary(&mut self, operator: Unary, a: Id) -> Id {
        if let Some(value) = self.constant(a) {
            return self.number(operator.apply(value));
        }
        match (operator, self.node(a)) {
            (Unary::Neg, Node::Unary(Unary::Neg, inner)) => inner,
            _ => self.leaf(Node::Unary(operator, a)),
        }
    }

    pub(super) fn binary(&mut self, operator: Binary, a: Id, b: Id) -> Id {
        if let (Some(x), Some(y)) = (self.constant(a), self.constant(b)) {
            return self.number(operator.apply(x, y));
        }
        match operator {
            Binary::Add | Binary::Sub if self.is(b, 0.0) => a,
            Binary::Add if self.is(a, 0.0) => b,
            Binary::Sub if self.is(a, 0.0) => self.unary(Unary::Neg, b),
            Binary::Mul | Binary::Div if self.is(b, 1.0) => a,
            Binary::Mul if self.is(a, 1.0) => b,
            Binary::Mul | Binary::Div if self.is(b, -1.0) => self.unary(Unary::Neg, a),
            Binary::Mul if self.is(a, -1.0) => self.unary(Unary::Neg, b),
            Binary::Pow => self.power(a, b),
            Binary::Add | Binary::Mul | Binary::Equal => {
                self.leaf(Node::Binary(operator, a.min(b), a.max(b)))
            }
            _ => self.leaf(Node::Binary(operator, a, b)),
        }
    }

    /// Small whole and half exponents are products and roots: faster, and right for negative bases. A power of a positive
    /// constant is one of e, (eˣ)ᵏ is eᵏˣ: a third of the time, and off by |exponent of e| units in the last place at most.
    fn power(&mut self, a: Id, b: Id) -> Id {
        let exponent = self.constant(b);
        if let Some(base) = self.constant(a).filter(|base| base.is_normal() && *base > 0.0) {
            let log = self.number(libm::log(base));
            let power = self.binary(Binary::Mul, b, log);
            return self.unary(Unary::Exp, power);
        }
        let square = |graph: &mut Self| graph.binary(Binary::Mul, a, a);
        match exponent {
            Some(0.0) => self.number(1.0),
            Some(1.0) => a,
            Some(2.0) => square(self),
            Some(3.0) => {
                let square = square(self);
                self.binary(Binary::Mul, square, a)
            }
            Some(4.0) => {
                let square = square(self);
                self.binary(Binary::Mul, square, square)
            }
            Some(-1.0) => {
                let one = self.number(1.0);
                self.binary(Binary::Div, one, a)
            }
            Some(0.5) => self.unary(Unary::Sqrt, a),
            Some(-0.5) => {
                let (one, root) = (self.number(1.0), self.unary(Unary::Sqrt, a));
                self.binary(Binary::Div, one, root)
            }
            Some(_) if let Node::Unary(Unary::Exp, inner) = self.node(a) => {
                let power = self.binary(Binary::Mul, inner, b);
                self.unary(Unary::Exp, power)
            }
            _ => self.leaf(Node::Binary(Binary::Pow, a, b)),
        }
    }

    pub(super) fn select(&mut self, condition: Id, a: Id, b: Id) -> Id {
        match self.constant(condition) {
            Some(value) if value.is_nan() => self.number(f64::NAN),
            Some(0.0) => b,
            Some(_) => a,
            None if a == b => a,
            None => self.leaf(Node::Select(condition, a, b)),
        }
    }

    /// A product in which a zero is structural: it removes the other factor, and a branch that is zero stays zero
    /// (d √max(h, 0) at h < 0 is 0, not ∞ · 0).
    fn chain(&mut self, factor: Id, inner: Id) -> Id {
        if self.is(factor, 0.0) || self.is(inner, 0.0) {
            return self.number(0.0);
        }
        for (select, other) in [(inner, factor), (factor, inner)] {
            if let Node::Select(condition, a, b) = self.node(select)
                && (self.is(a, 0.0) || self.is(b, 0.0))
            {
                let (a, b) = (self.chain(other, a), self.chain(other, b));
                return self.select(condition, a, b);
            }
        }
        self.binary(Binary::Mul, factor, inner)
    }

    /// d(node)/d(variable) for each of `nodes` (sorted by number, operands included); zero where it is no variable's.
    pub(super) fn derivatives(&mut self, nodes: &[Id], variable: Node) -> BTreeMap<Id, Id> {
        let mut derivative: BTreeMap<Id, Id> = BTreeMap::new();
        for &id in nodes {
            let node = self.node(id);
            if node == variable {
                let one = self.number(1.0);
                derivative.insert(id, one);
                continue;
            }
            let of = |operand: Option<Id>| operand.and_then(|operand| derivative.get(&operand)).copied();
            let [a, b, c] = node.operands().map(of);
            if a.is_none() && b.is_none() && c.is_none() {
                continue;
            }
            let zero = self.number(0.0);
            let [a, b, c] = [a, b, c].map(|known| known.unwrap_or(zero));
            let result = match node {
                Node::Unary(operator, x) => self.by_unary(operator, id, x, a),
                Node::Binary(operator, x, y) => self.by_binary(operator, id, [x, y], [a, b]),
                Node::Select(condition, ..) => self.select(condition, b, c),
                _ => zero,
            };
            if !self.is(result, 0.0) {
                derivative.insert(id, result);
            }
            if self.full {
                break;
            }
        }
        derivative
    }

    fn by_unary(&mut self, operator: Unary, value: Id, x: Id, dx: Id) -> Id {
        let one = self.number(1.0);
        let factor = match operator {
            Unary::Neg => return self.unary(Unary::Neg, dx),
            Unary::Exp => value,
            Unary::Ln => return self.binary(Binary::Div, dx, x),
            Unary::Log10 => {
                let ln_10 = self.number(core::f64::consts::LN_10);
                let scaled = self.binary(Binary::Mul, x, ln_10);
                self.binary(Binary::Div, one, scaled)
            }
            Unary::Sqrt => {
                let half = self.number(0.5);
                self.binary(Binary::Div, half, value)
            }
            Unary::Sin => self.unary(Unary::Cos, x),
            Unary::Cos => {
                let sin = self.unary(Unary::Sin, x);
                self.unary(Unary::Neg, sin)
            }
            Unary::Tan => {
                let square = self.binary(Binary::Mul, value, value);
                self.binary(Binary::Add, one, square)
            }
            Unary::Tanh => {
                let square = self.binary(Binary::Mul, value, value);
                self.binary(Binary::Sub, one, square)
            }
            Unary::Atan => {
                let square = self.binary(Binary::Mul, x, x);
                let below = self.binary(Binary::Add, one, square);
                self.binary(Binary::Div, one, below)
            }
            Unary::Abs => self.unary(Unary::Sign, x),
            Unary::Sign => return self.number(0.0),
        };
        self.chain(factor, dx)
    }

    fn by_binary(&mut self, operator: Binary, value: Id, [x, y]: [Id; 2], [dx, dy]: [Id; 2]) -> Id {
        match operator {
            Binary::Add | Binary::Sub => self.binary(operator, dx, dy),
            Binary::Mul => {
                let (left, right) = (self.chain(y, dx), self.chain(x, dy));
                self.binary(Binary::Add, left, right)
            }
            Binary::Div => {
                let one = self.number(1.0);
                let inverse = self.binary(Binary::Div, one, y);
                let moved = self.chain(value, dy);
                let above = self.binary(Binary::Sub, dx, moved);
                if self.constant(y).is_some() || matches!(self.node(above), Node::Constant(_)) {
                    return self.binary(Binary::Div, above, y);
                }
                self.chain(inverse, above)
            }
            Binary::Pow => {
                let one = self.number(1.0);
                let less = self.binary(Binary::Sub, y, one);
                let power = self.binary(Binary::Pow, x, less);
                let factor = self.binary(Binary::Mul, y, power);
                let base = self.chain(factor, dx);
                if self.is(dy, 0.0) {
                    return base;
                }
                // 0^y · ln 0 is 0 in the limit.
                let zero = self.number(0.0);
                let log = self.unary(Unary::Ln, x);
                let grown = self.binary(Binary::Mul, value, log);
                let at_zero = self.binary(Binary::Equal, x, zero);
                let factor = self.select(at_zero, zero, grown);
                let exponent = self.chain(factor, dy);
                self.binary(Binary::Add, base, exponent)
            }
            // At a tie the derivative that is zero counts: √max(h, 0) at 0 has slope 0, not ∞.
            Binary::Min | Binary::Max => {
                let (low, high) = if operator == Binary::Min { (x, y) } else { (y, x) };
                if self.is(dx, 0.0) {
                    let second = self.binary(Binary::Less, high, low);
                    return self.select(second, dy, dx);
                }
                let operator = if self.is(dy, 0.0) { Binary::Less } else { Binary::LessEqual };
                let first = self.binary(operator, low, high);
                self.select(first, dx, dy)
            }
            Binary::Less | Binary::LessEqual | Binary::Equal => self.number(0.0),
        }
    }
}
