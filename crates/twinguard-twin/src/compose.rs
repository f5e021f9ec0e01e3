//! Models put together: outputs of one feed inputs of another, as assets feed and act on each other.
//!
//! Source: interconnection of state-space systems, Zhou, Doyle, Glover, *Robust and Optimal Control*, 1996, §3.4; the chain
//! rule for its exact Jacobians. Parts whose outputs answer to their inputs at once must not feed each other in a circle
//! (an algebraic loop): that is refused. All parts are continuous, or all discrete with one step.

use std::sync::Arc;

use crate::problem::Problem;
use crate::{Model, TimeBase};

/// Output `output` of part `from` drives input `input` of part `to`; parts and names as given to [`Composed::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Name of the part that drives.
    pub from: String,
    /// Its output.
    pub output: String,
    /// Name of the part that is driven.
    pub to: String,
    /// Its input.
    pub input: String,
}

/// Where an input of a part comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    /// Input of the whole.
    Outside(usize),
    /// Output of a part.
    Part(usize, usize),
}

#[derive(Clone)]
struct Part {
    model: Arc<dyn Model>,
    feeds: Vec<Feed>,
    /// Where its states and outputs begin in the whole's.
    state: usize,
    output: usize,
    states: usize,
    outputs: usize,
}

/// Several models as one. Names are `part.name`; driven inputs are no inputs of the whole.
#[derive(Clone)]
pub struct Composed {
    parts: Vec<Part>,
    /// Parts in an order in which each comes after those whose outputs it shows at once.
    order: Vec<usize>,
    base: TimeBase,
    states: Vec<String>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    parameters: Vec<(String, f64)>,
}

impl core::fmt::Debug for Composed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Composed")
            .field("states", &self.states)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

impl Composed {
    /// Puts named parts together.
    ///
    /// ```
    /// use twinguard_twin::{Model, compose::{Composed, Wire}, registry};
    ///
    /// // A motor whose voltage comes from nowhere, and a battery cell that feeds it.
    /// let [cell, motor] = ["battery", "dc_motor"].map(|name| registry::model(name).ok_or("no such model"));
    /// let parts = vec![("cell".to_owned(), cell?.model(&[])?), ("motor".to_owned(), motor?.model(&[])?)];
    /// let wire = |from: &str, output: &str, to: &str, input: &str| {
    ///     let [from, output, to, input] = [from, output, to, input].map(str::to_owned);
    ///     Wire { from, output, to, input }
    /// };
    /// let wires = [wire("cell", "voltage_V", "motor", "voltage_V"), wire("motor", "current_A", "cell", "current_A")];
    /// let whole = Composed::new(parts, &wires)?;
    /// assert_eq!(whole.state_names().len(), 9);
    /// assert!(!whole.input_names().contains(&"motor.voltage_V".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Problem`]: unknown or doubled names, an input that is driven twice, parts of different time bases, a circle of
    /// parts that show their inputs at once.
    pub fn new(parts: Vec<(String, Arc<dyn Model>)>, wires: &[Wire]) -> Result<Self, Problem> {
        let names: Vec<String> = parts.iter().map(|(name, _)| name.clone()).collect();
        for (at, name) in names.iter().enumerate() {
            if names.iter().take(at).any(|earlier| earlier == name) {
                return Err(Problem::Duplicate { what: "part", name: name.clone() });
            }
        }
        let base = parts.first().map(|(_, model)| model.time_base());
        let base =
            base.ok_or_else(|| Problem::Missing { what: "part", name: "of a composition".to_owned() })?;
        if let Some((name, _)) = parts.iter().find(|(_, model)| model.time_base() != base) {
            let reason = "has another time base than the first part".to_owned();
            return Err(Problem::Value { key: name.clone(), reason });
        }
        let find = |what: &'static str, list: &[String], name: &str| {
            let nearest = || crate::problem::nearest(name, list.iter().map(String::as_str));
            let unknown = || Problem::Unknown { what, name: name.to_owned(), nearest: nearest() };
            list.iter().position(|own| own == name).ok_or_else(unknown)
        };
        let mut driven: Vec<Vec<Option<Feed>>> =
            parts.iter().map(|(_, model)| vec![None; model.input_names().len()]).collect();
        for wire in wires {
            let (from, to) = (find("part", &names, &wire.from)?, find("part", &names, &wire.to)?);
            let model = |at: usize| parts.get(at).map(|(_, model)| model);
            let (Some(source), Some(sink)) = (model(from), model(to)) else { continue };
            let output = find("output", source.output_names(), &wire.output)?;
            let input = find("input", sink.input_names(), &wire.input)?;
            if let Some(slot) = driven.get_mut(to).and_then(|feeds| feeds.get_mut(input)) {
                if slot.is_some() {
                    return Err(Problem::Duplicate {
                        what: "driven input",
                        name: format!("{}.{}", wire.to, wire.input),
                    });
                }
                *slot = Some(Feed::Part(from, output));
            }
        }
        let (mut states, mut inputs, mut outputs, mut parameters) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut built = Vec::with_capacity(parts.len());
        for ((name, model), feeds) in parts.into_iter().zip(driven) {
            let feeds = feeds.into_iter().zip(model.input_names()).map(|(feed, input)| {
                feed.unwrap_or_else(|| {
                    inputs.push(format!("{name}.{input}"));
                    Feed::Outside(inputs.len() - 1)
                })
            });
            let feeds = feeds.collect();
            let (state, output) = (states.len(), outputs.len());
            let named = |own: &String| format!("{name}.{own}");
            states.extend(model.state_names().iter().map(named));
            outputs.extend(model.output_names().iter().map(named));
            parameters.extend(model.parameters().iter().map(|(own, value)| (named(own), *value)));
            let (n, p) = (model.state_names().len(), model.output_names().len());
            built.push(Part { feeds, state, output, states: n, outputs: p, model });
        }
        let order = order(&built, &names)?;
        Ok(Self { parts: built, order, base, states, inputs, outputs, parameters })
    }

    /// All outputs of all parts.
    fn show(&self, time_s: f64, state: &[f64], input: &[f64], shown: &mut [f64]) {
        for at in &self.order {
            let Some(part) = self.parts.get(*at) else { continue };
            let fed = self.fed(part, input, shown);
            let Some(own) = state.get(part.state..part.state + part.states) else { continue };
            if let Some(out) = shown.get_mut(part.output..part.output + part.outputs) {
                part.model.output(time_s, own, &fed, out);
            }
        }
    }

    fn fed(&self, part: &Part, input: &[f64], shown: &[f64]) -> Vec<f64> {
        let value = |feed: &Feed| match feed {
            Feed::Outside(at) => input.get(*at),
            Feed::Part(from, output) => {
                self.parts.get(*from).and_then(|from| shown.get(from.output + output))
            }
        };
        part.feeds.iter().map(|feed| value(feed).copied().unwrap_or_default()).collect()
    }

    /// Outputs with their derivatives by all states, then all inputs: rows of `states + inputs`.
    fn slopes(&self, time_s: f64, state: &[f64], input: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let width = self.states.len() + self.inputs.len();
        let mut shown = vec![0.0; self.outputs.len()];
        self.show(time_s, state, input, &mut shown);
        let mut slopes = vec![0.0; self.outputs.len() * width];
        for at in &self.order {
            let Some(part) = self.parts.get(*at) else { continue };
            let Some(own) = state.get(part.state..part.state + part.states) else { continue };
            let fed = self.fed(part, input, &shown);
            let mut by_state = vec![0.0; part.outputs * part.states];
            let mut by_input = vec![0.0; part.outputs * fed.len()];
            part.model.output_jacobian(time_s, own, &fed, &mut by_state, &mut by_input);
            for row in 0..part.outputs {
                let line = self.chain(part, row, &by_state, &by_input, &slopes);
                if let Some(target) =
                    slopes.get_mut((part.output + row) * width..(part.output + row + 1) * width)
                {
                    target.copy_from_slice(&line);
                }
            }
        }
        (shown, slopes)
    }

    /// One row of a part's Jacobians as a row of the whole's.
    fn chain(&self, part: &Part, row: usize, by_state: &[f64], by_input: &[f64], slopes: &[f64]) -> Vec<f64> {
        let (n, width) = (self.states.len(), self.states.len() + self.inputs.len());
        let mut line = vec![0.0; width];
        let own = by_state.get(row * part.states..(row + 1) * part.states).unwrap_or_default();
        for (slot, value) in line.iter_mut().skip(part.state).zip(own) {
            *slot += value;
        }
        let count = part.feeds.len();
        let inputs = by_input.get(row * count..(row + 1) * count).unwrap_or_default();
        for (feed, factor) in part.feeds.iter().zip(inputs).filter(|(_, factor)| **factor != 0.0) {
            match feed {
                Feed::Outside(at) => {
                    if let Some(slot) = line.get_mut(n + at) {
                        *slot += factor;
                    }
                }
                Feed::Part(from, output) => {
                    let Some(from) = self.parts.get(*from) else { continue };
                    let at = (from.output + output) * width;
                    let through = slopes.get(at..at + width).unwrap_or_default();
                    line.iter_mut().zip(through).for_each(|(slot, through)| *slot += factor * through);
                }
            }
        }
        line
    }

    fn split(&self, lines: impl Iterator<Item = Vec<f64>>, by_state: &mut [f64], by_input: &mut [f64]) {
        let (n, m) = (self.states.len(), self.inputs.len());
        for (row, line) in lines.enumerate() {
            let (first, second) = line.split_at(n.min(line.len()));
            if let Some(out) = by_state.get_mut(row * n..(row + 1) * n) {
                out.copy_from_slice(first);
            }
            if let Some(out) = by_input.get_mut(row * m..(row + 1) * m) {
                out.copy_from_slice(second);
            }
        }
    }
}

/// An order in which every part comes after those that it shows at once; Kahn's algorithm.
fn order(parts: &[Part], names: &[String]) -> Result<Vec<usize>, Problem> {
    // Which inputs a part shows at once: by its Jacobian at three states, none of them special.
    let at_once = |part: &Part| -> Vec<bool> {
        let count = part.feeds.len();
        let mut found = vec![false; count];
        let mut by_state = vec![0.0; part.outputs * part.states];
        let mut by_input = vec![0.0; part.outputs * count];
        for round in [0.3, 1.1, 2.7] {
            let spread =
                |length: usize| -> Vec<f64> { (0..length).map(|at| round + 0.1 * at as f64).collect() };
            part.model.output_jacobian(
                0.0,
                &spread(part.states),
                &spread(count),
                &mut by_state,
                &mut by_input,
            );
            for (at, value) in by_input.iter().enumerate() {
                if let Some(found) = found.get_mut(at % count.max(1)).filter(|_| *value != 0.0) {
                    *found = true;
                }
            }
        }
        found
    };
    let waits: Vec<Vec<usize>> = parts
        .iter()
        .map(|part| {
            let shown = part.feeds.iter().zip(at_once(part)).filter(|(_, at_once)| *at_once);
            shown
                .filter_map(|(feed, _)| if let Feed::Part(from, _) = feed { Some(*from) } else { None })
                .collect()
        })
        .collect();
    let mut order: Vec<usize> = Vec::with_capacity(parts.len());
    while order.len() < parts.len() {
        let ready = (0..parts.len()).find(|at| {
            let waits = waits.get(*at).map(Vec::as_slice).unwrap_or_default();
            !order.contains(at) && waits.iter().all(|from| order.contains(from))
        });
        match ready {
            Some(at) => order.push(at),
            None => {
                let left = names.iter().enumerate().filter(|(at, _)| !order.contains(at));
                return Err(Problem::Circle { names: left.map(|(_, name)| name.clone()).collect() });
            }
        }
    }
    Ok(order)
}

impl Model for Composed {
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
        let mut shown = vec![0.0; self.outputs.len()];
        self.show(time_s, state, input, &mut shown);
        for part in &self.parts {
            let span = part.state..part.state + part.states;
            if let (Some(own), Some(out)) = (state.get(span.clone()), out.get_mut(span)) {
                part.model.dynamics(time_s, own, &self.fed(part, input, &shown), out);
            }
        }
    }

    fn output(&self, time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        self.show(time_s, state, input, out);
    }

    fn dynamics_jacobian(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        let (shown, slopes) = self.slopes(time_s, state, input);
        let mut lines = Vec::with_capacity(self.states.len());
        for part in &self.parts {
            let own = state.get(part.state..part.state + part.states).unwrap_or_default();
            let fed = self.fed(part, input, &shown);
            let mut a = vec![0.0; part.states * part.states];
            let mut b = vec![0.0; part.states * fed.len()];
            part.model.dynamics_jacobian(time_s, own, &fed, &mut a, &mut b);
            lines.extend((0..part.states).map(|row| self.chain(part, row, &a, &b, &slopes)));
        }
        self.split(lines.into_iter(), by_state, by_input);
    }

    fn output_jacobian(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        let (_, slopes) = self.slopes(time_s, state, input);
        let width = (self.states.len() + self.inputs.len()).max(1);
        self.split(slopes.chunks(width).map(<[f64]>::to_vec), by_state, by_input);
    }

    fn parameters(&self) -> &[(String, f64)] {
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::equation::Source;

    fn part(text: &str, states: &[&str], inputs: &[&str], outputs: &[&str]) -> Arc<dyn Model> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let source = Source {
            text: text.to_owned(),
            base: TimeBase::Continuous,
            states: names(states),
            inputs: names(inputs),
            outputs: names(outputs),
            parameters: vec![("k".to_owned(), 2.0)],
        };
        Arc::new(source.compile(&[]).unwrap())
    }

    fn wire(text: &str) -> Wire {
        let mut names = text.split([' ', '.']).map(str::to_owned);
        let mut next = || names.next().unwrap();
        Wire { from: next(), output: next(), to: next(), input: next() }
    }

    /// Two tanks and a valve that answers at once, put together and written as one.
    #[test]
    fn the_whole_is_what_one_model_would_be() {
        let tank =
            || part("d(h)/dt = inflow - q\n q = k * sqrt(max(h, 0.01))", &["h"], &["inflow"], &["h", "q"]);
        let valve = part("q = k * open * head^2", &[], &["open", "head"], &["q"]);
        let parts =
            vec![("lower".to_owned(), tank()), ("valve".to_owned(), valve), ("upper".to_owned(), tank())];
        let wires = ["upper.h valve.head", "valve.q lower.inflow"].map(wire);
        let whole = Composed::new(parts, &wires).unwrap();
        assert_eq!(whole.input_names(), ["valve.open", "upper.inflow"]);
        let one = part(
            "d(lower)/dt = k * open * upper^2 - k * sqrt(max(lower, 0.01))
             d(upper)/dt = inflow - k * sqrt(max(upper, 0.01))
             a = k * sqrt(max(lower, 0.01))
             b = k * open * upper^2
             c = k * sqrt(max(upper, 0.01))",
            &["lower", "upper"],
            &["open", "inflow"],
            &["lower", "a", "b", "upper", "c"],
        );
        let (state, input) = ([0.7, 1.3], [0.4, 0.9]);
        let all = |model: &dyn Model| -> Vec<f64> {
            let (mut rate, mut shown) = (vec![0.0; 2], vec![0.0; 5]);
            model.dynamics(0.0, &state, &input, &mut rate);
            model.output(0.0, &state, &input, &mut shown);
            let [mut a, mut b, mut c, mut d] = [4, 4, 10, 10].map(|size| vec![0.0; size]);
            model.dynamics_jacobian(0.0, &state, &input, &mut a, &mut b);
            model.output_jacobian(0.0, &state, &input, &mut c, &mut d);
            [rate, shown, a, b, c, d].concat()
        };
        for (at, (ours, theirs)) in all(&whole).iter().zip(all(&*one)).enumerate() {
            assert!((ours - theirs).abs() < 1e-12, "{at}: {ours} {theirs}");
        }
        assert_eq!(whole.parameters()[0], ("lower.k".to_owned(), 2.0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let gain = || part("y = k * u", &[], &["u"], &["y"]);
        let two = || vec![("a".to_owned(), gain()), ("b".to_owned(), gain())];
        let refused = |parts, wires: &[Wire]| Composed::new(parts, wires).unwrap_err().to_string();
        let circle = ["a.y b.u", "b.y a.u"].map(wire);
        assert!(refused(two(), &circle).contains("circle"));
        assert!(refused(two(), &[wire("a.y c.u")]).contains("unknown part `c`"));
        assert!(refused(two(), &[wire("a.z b.u")]).contains("unknown output `z`"));
        assert!(refused(two(), &["a.y b.u", "a.y b.u"].map(wire)).contains("given twice"));
        assert!(
            refused(vec![("a".to_owned(), gain()), ("a".to_owned(), gain())], &[]).contains("given twice")
        );
        assert!(refused(vec![], &[]).contains("missing"));
    }
}
