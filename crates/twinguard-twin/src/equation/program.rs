//! A graph as a flat list of instructions over registers, run without allocation.
//!
//! Source: linear-scan register allocation (Poletto, Sarkar, ACM TOPLAS 21(5), 1999) over straight-line code.
//! Cost: one pass over the instructions; registers live on the stack in one of four sizes.

use std::collections::BTreeMap;

use super::graph::{Binary, Graph, Id, Node, Unary, choose};
use crate::problem::Problem;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Unary(Unary),
    Binary(Binary),
    /// `c` is the condition.
    Select,
    /// Register `a` goes to slot `to` of the first output …
    StoreFirst,
    /// … or of the second.
    StoreSecond,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Instruction {
    operation: Operation,
    to: u32,
    a: u16,
    b: u16,
    c: u16,
}

/// A slot of one of two outputs, and the node that fills it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Store {
    pub(super) second: bool,
    pub(super) slot: u32,
    pub(super) node: Id,
}

/// Most registers: a program needs one for the time, each state, input and distinct constant, and for what is alive.
const REGISTERS: usize = 4096;

/// Straight-line code from time, state and input to two outputs. Slots that nothing fills are zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Program {
    states: usize,
    inputs: usize,
    constants: Vec<f64>,
    /// Output slots that never change.
    fixed: Vec<(bool, u32, f64)>,
    code: Vec<Instruction>,
    registers: usize,
}

impl Program {
    pub(super) fn build(
        graph: &Graph,
        states: usize,
        inputs: usize,
        stores: &[Store],
    ) -> Result<Self, Problem> {
        let mut program = Self { states, inputs, ..Self::default() };
        let (constant, moving): (Vec<Store>, Vec<Store>) =
            stores.iter().partition(|store| graph.constant(store.node).is_some());
        let value = |store: &Store| graph.constant(store.node).unwrap_or_default();
        program.fixed = constant.iter().map(|store| (store.second, store.slot, value(store))).collect();
        let nodes = reachable(graph, moving.iter().map(|store| store.node));

        // Who is used last where, and which stores follow which node.
        let mut last: BTreeMap<Id, Id> = BTreeMap::new();
        for &id in &nodes {
            for operand in graph.node(id).operands().into_iter().flatten() {
                last.insert(operand, id);
            }
        }
        let mut follow: BTreeMap<Id, Vec<Store>> = BTreeMap::new();
        for store in moving {
            follow.entry(store.node).or_default().push(store);
        }

        let mut place: BTreeMap<Id, u16> = BTreeMap::new();
        for &id in &nodes {
            let register = match graph.node(id) {
                Node::Constant(bits) => {
                    program.constants.push(f64::from_bits(bits));
                    states + inputs + program.constants.len()
                }
                Node::Time => 0,
                Node::State(index) => 1 + index as usize,
                Node::Input(index) => 1 + states + index as usize,
                _ => continue,
            };
            place.insert(id, short(register)?);
        }
        let base = 1 + states + inputs + program.constants.len();
        program.registers = base;
        let mut free: Vec<u16> = Vec::new();
        for &id in &nodes {
            let node = graph.node(id);
            let at = |operand: Id| place.get(&operand).copied().unwrap_or_default();
            let code = match node {
                Node::Unary(operator, a) => Some((Operation::Unary(operator), [at(a), 0, 0])),
                Node::Binary(operator, a, b) => Some((Operation::Binary(operator), [at(a), at(b), 0])),
                Node::Select(c, a, b) => Some((Operation::Select, [at(a), at(b), at(c)])),
                _ => None,
            };
            if let Some((operation, [a, b, c])) = code {
                let mut operands: Vec<Id> = node.operands().into_iter().flatten().collect();
                operands.sort_unstable();
                operands.dedup();
                for operand in operands {
                    if last.get(&operand) == Some(&id) && usize::from(at(operand)) >= base {
                        free.push(at(operand));
                    }
                }
                let to = match free.pop() {
                    Some(register) => register,
                    None => {
                        program.registers += 1;
                        short(program.registers - 1)?
                    }
                };
                program.code.push(Instruction { operation, to: u32::from(to), a, b, c });
                place.insert(id, to);
            }
            let a = place.get(&id).copied().unwrap_or_default();
            for store in follow.remove(&id).unwrap_or_default() {
                let operation = if store.second { Operation::StoreSecond } else { Operation::StoreFirst };
                program.code.push(Instruction { operation, to: store.slot, a, b: 0, c: 0 });
            }
            if code.is_some() && !last.contains_key(&id) {
                free.push(a);
            }
        }
        if program.registers > REGISTERS {
            return Err(too_many(program.registers));
        }
        Ok(program)
    }

    /// Runs it. Slices of other lengths than declared are cut or read as zero.
    pub(super) fn run(&self, time: f64, state: &[f64], input: &[f64], first: &mut [f64], second: &mut [f64]) {
        first.fill(0.0);
        second.fill(0.0);
        for &(in_second, slot, value) in &self.fixed {
            let out = if in_second { &mut *second } else { &mut *first };
            put(out, slot, value);
        }
        match self.registers {
            ..=64 => self.sized::<64>(time, state, input, first, second),
            65..=256 => self.sized::<256>(time, state, input, first, second),
            257..=1024 => self.sized::<1024>(time, state, input, first, second),
            _ => self.sized::<REGISTERS>(time, state, input, first, second),
        }
    }

    /// N is a power of two, so that the mask proves each index to be in bounds.
    fn sized<const N: usize>(
        &self,
        time: f64,
        state: &[f64],
        input: &[f64],
        first: &mut [f64],
        second: &mut [f64],
    ) {
        let mut register = [0.0; N];
        register[0] = time;
        load(&mut register, 1, self.states, state);
        load(&mut register, 1 + self.states, self.inputs, input);
        load(&mut register, 1 + self.states + self.inputs, self.constants.len(), &self.constants);
        for &Instruction { operation, to, a, b, c } in &self.code {
            let a = register[usize::from(a) & (N - 1)];
            let b = register[usize::from(b) & (N - 1)];
            register[to as usize & (N - 1)] = match operation {
                Operation::Unary(operator) => operator.apply(a),
                Operation::Binary(operator) => operator.apply(a, b),
                Operation::Select => choose(register[usize::from(c) & (N - 1)], a, b),
                Operation::StoreFirst => {
                    put(first, to, a);
                    continue;
                }
                Operation::StoreSecond => {
                    put(second, to, a);
                    continue;
                }
            };
        }
    }

    /// Number of instructions.
    pub(super) fn len(&self) -> usize {
        self.code.len()
    }
}

#[inline]
fn put(out: &mut [f64], slot: u32, value: f64) {
    if let Some(place) = out.get_mut(slot as usize) {
        *place = value;
    }
}

#[inline]
fn load(register: &mut [f64], from: usize, length: usize, values: &[f64]) {
    let length = length.min(values.len());
    if let (Some(to), Some(values)) = (register.get_mut(from..from + length), values.get(..length)) {
        to.copy_from_slice(values);
    }
}

fn short(register: usize) -> Result<u16, Problem> {
    if register < REGISTERS { Ok(register as u16) } else { Err(too_many(register + 1)) }
}

fn too_many(count: usize) -> Problem {
    Problem::TooMuch { what: "values alive at once in a model", count, limit: REGISTERS }
}

/// The nodes that `roots` need, by number: operands come before what uses them.
pub(super) fn reachable(graph: &Graph, roots: impl IntoIterator<Item = Id>) -> Vec<Id> {
    let mut seen = std::collections::BTreeSet::new();
    let mut open: Vec<Id> = roots.into_iter().collect();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(graph.node(id).operands().into_iter().flatten());
        }
    }
    seen.into_iter().collect()
}
