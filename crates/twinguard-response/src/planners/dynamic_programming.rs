//! The oracle of a task with one module: exact dynamic programming on its discretised belief space.
//!
//! Sources: Bellman, *Dynamic Programming* (1957), ch. III; Åström, "Optimal control of Markov processes with incomplete state
//! information", *J. Math. Anal. Appl.* 10 (1965), for the belief as state; Davies, "Multidimensional triangulation and
//! interpolation for reinforcement learning", *NIPS* (1996), §3, for values between grid points.
//!
//! State: temperature (61 points), belief in log-odds (19 points), isolated or not and for how long. The disturbance is averaged over
//! 12 midpoints, attack and alarm over their probabilities; costs are discounted by 0.99 a step until no value moves by more than
//! a thousandth. When it lies: between grid points, for attackers that come and go otherwise than the task says, and where
//! measurements have errors or alarms are late, because the belief is then no full account of the past.

use crate::Error;
use crate::planner::{Planner, told};
use crate::task::{Isolation, Setting, Task, View};

const HEATS: usize = 61;
const BELIEFS: usize = 19;
const NOISES: usize = 12;
const DISCOUNT: f64 = 0.99;
const MOST_SWEEPS: usize = 3000;
const COLDEST: f64 = -0.4;
const HOTTEST: f64 = 1.2;
/// The filter's own bounds on a belief.
const SURE: f64 = 0.999;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamicProgramming {
    /// By phase, heat, belief: cost to come when the module is left open next, and when it is isolated.
    table: Vec<[f64; 2]>,
    phases: usize,
}

fn odds(belief: f64) -> f64 {
    libm::log(belief / (1.0 - belief))
}

/// Grid point below, and the share of the next one.
fn between(value: f64, points: usize) -> (usize, f64) {
    let at = value.clamp(0.0, (points - 1) as f64);
    let below = (at as usize).min(points - 2);
    (below, at - below as f64)
}

fn heat_place(share: f64) -> (usize, f64) {
    between((share - COLDEST) / (HOTTEST - COLDEST) * (HEATS - 1) as f64, HEATS)
}

fn belief_place(belief: f64) -> (usize, f64) {
    let span = odds(SURE);
    between((odds(belief.clamp(1.0 - SURE, SURE)) + span) / (2.0 * span) * (BELIEFS - 1) as f64, BELIEFS)
}

/// One way a step can go: how likely, and where to.
struct Branch {
    weight: f32,
    corner: u32,
    heat: f32,
    belief: f32,
}

fn mix(values: &[f64], corner: usize, heat: f64, belief: f64) -> f64 {
    let low = values[corner] + belief * (values[corner + 1] - values[corner]);
    let up = corner + BELIEFS;
    let high = values[up] + belief * (values[up + 1] - values[up]);
    low + heat * (high - low)
}

impl DynamicProgramming {
    /// Solves a task with one module, one price, exact measurements, alarms in time.
    ///
    /// # Errors
    /// [`Error::Task`] for any other task.
    pub fn solve(task: &Task) -> Result<Self, Error> {
        let s = task.setting();
        if s.modules != 1 || s.delay != 0 || s.error != 0.0 || s.peak.0 != 1.0 {
            return Err(Error::Task {
                reason: "one module, exact measurements, alarms in time and one price",
            });
        }
        // Phase 0 is open, 1 + age isolated.
        let phases = s.evict as usize + 2;
        let cells = HEATS * BELIEFS;
        let span = odds(SURE);
        let mut branches: Vec<Branch> = Vec::with_capacity(phases * cells * 4 * NOISES);
        let mut harm = vec![0.0; phases * cells];
        for (cell, harm) in harm.iter_mut().enumerate() {
            let (phase, heat, belief) = (cell / cells, cell / BELIEFS % HEATS, cell % BELIEFS);
            let share = COLDEST + (HOTTEST - COLDEST) * heat as f64 / (HEATS - 1) as f64;
            let belief = 1.0 / (1.0 + libm::exp(span - 2.0 * span * belief as f64 / (BELIEFS - 1) as f64));
            *harm = branch(s, phase, share * s.limit, belief, &mut branches);
        }
        let mut values = vec![0.0; phases * cells];
        let mut table = vec![[0.0; 2]; phases * cells];
        let value = s.value.first().copied().unwrap_or(1.0);
        for _ in 0..MOST_SWEEPS {
            let mut moved = 0.0f64;
            for cell in 0..phases * cells {
                let phase = cell / cells;
                let isolated = phase > 0;
                let mut ahead = [0.0; 2];
                for branch in &branches[cell * 4 * NOISES..(cell + 1) * 4 * NOISES] {
                    for (isolate, ahead) in ahead.iter_mut().enumerate() {
                        let next = if isolate == 0 {
                            0
                        } else if isolated {
                            (phase + 1).min(phases - 1)
                        } else {
                            1
                        };
                        let corner = next * cells + branch.corner as usize;
                        *ahead += f64::from(branch.weight)
                            * mix(&values, corner, f64::from(branch.heat), f64::from(branch.belief));
                    }
                }
                let now = harm[cell] + if isolated { value } else { 0.0 };
                let start = if isolated { 0.0 } else { s.start_cost };
                table[cell] = [now + DISCOUNT * ahead[0], now + start + DISCOUNT * ahead[1]];
                let best = table[cell][0].min(table[cell][1]);
                moved = moved.max((best - values[cell]).abs());
                values[cell] = best;
            }
            if moved < 1e-3 {
                break;
            }
        }
        Ok(Self { table, phases })
    }

    /// Discounted cost to come: when the module is left open next, and when it is isolated.
    #[must_use]
    pub fn costs(&self, view: &View<'_>) -> [f64; 2] {
        let phase = if view.queued.contains(0) { (1 + view.age[0] as usize).min(self.phases - 1) } else { 0 };
        let (heat, heat_share) = heat_place(view.measured[0] / view.task.setting().limit);
        let (belief, belief_share) = belief_place(view.belief[0]);
        let corner = phase * HEATS * BELIEFS + heat * BELIEFS + belief;
        core::array::from_fn(|isolate| {
            let at = |cell: usize| self.table[cell][isolate];
            let low = at(corner) + belief_share * (at(corner + 1) - at(corner));
            let up = corner + BELIEFS;
            let high = at(up) + belief_share * (at(up + 1) - at(up));
            low + heat_share * (high - low)
        })
    }
}

/// Adds the ways that a step from here can go; gives the cost of its heat.
fn branch(s: &Setting, phase: usize, x: f64, belief: f64, branches: &mut Vec<Branch>) -> f64 {
    let isolated = phase > 0;
    let gone = isolated && phase > s.evict as usize;
    let kept = if gone { 0.0 } else { belief * (1.0 - s.leave) };
    let prior = kept + (1.0 - kept) * s.entry;
    let strength = 0.5 * (s.attack.0 + s.attack.1);
    let mut harm = 0.0;
    for attacked in [false, true] {
        for alarmed in [false, true] {
            let hit = if attacked { s.alarm.0 } else { s.alarm.1 };
            let weight = if attacked { prior } else { 1.0 - prior } * if alarmed { hit } else { 1.0 - hit };
            let (if_attacked, if_not) = if alarmed { s.alarm } else { (1.0 - s.alarm.0, 1.0 - s.alarm.1) };
            let updated = prior * if_attacked / (prior * if_attacked + (1.0 - prior) * if_not).max(1e-12);
            for at in 0..NOISES {
                let noise = s.disturbance * (2.0 * (at as f64 + 0.5) / NOISES as f64 - 1.0);
                let rise = noise + if attacked && !isolated { strength } else { 0.0 };
                let next = if isolated { s.keep_isolated } else { s.keep } * x + rise;
                let told = if isolated {
                    updated
                } else if rise > s.disturbance {
                    SURE
                } else if rise < s.attack.0 - s.disturbance {
                    updated.min(1.0 - SURE)
                } else {
                    updated
                };
                let weight = weight / NOISES as f64;
                let over = if next > s.limit { s.unsafe_cost } else { 0.0 };
                harm += weight * (over + s.wear_at(next));
                let ((heat, heat_share), (belief, belief_share)) =
                    (heat_place(next / s.limit), belief_place(told));
                branches.push(Branch {
                    weight: weight as f32,
                    corner: (heat * BELIEFS + belief) as u32,
                    heat: heat_share as f32,
                    belief: belief_share as f32,
                });
            }
        }
    }
    harm
}

impl Planner for DynamicProgramming {
    fn name(&self) -> &'static str {
        "dynamic_programming"
    }

    fn plan(&self, view: &View<'_>) -> Isolation {
        let [open, isolate] = self.costs(view);
        if isolate < open { Isolation(1) } else { Isolation::NONE }
    }

    fn explain(&self, view: &View<'_>) -> String {
        let [open, isolate] = self.costs(view);
        told(
            view,
            self.plan(view),
            &format!("expected cost {open:.1} if left open, {isolate:.1} if isolated"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::Attacker;

    #[test]
    fn the_plan_is_monotone_where_it_has_to_be() {
        let task = Task::single();
        let plan = DynamicProgramming::solve(&task).unwrap();
        let episode = task.episode(1, 0, &[Attacker::Steady]);
        let view = episode.view();
        let gain = |x: f64, belief: f64| {
            let (measured, belief) = ([x], [belief]);
            let [open, isolate] = plan.costs(&View { measured: &measured, belief: &belief, ..view });
            (open - isolate, open.min(isolate))
        };
        assert!(gain(36.0, 0.99).0 > 0.0 && gain(-5.0, 0.001).0 < 0.0);
        let worth: Vec<f64> = [5.0, 15.0, 25.0, 35.0].iter().map(|x| gain(*x, 0.99).1).collect();
        assert!(worth.is_sorted(), "hotter costs more: {worth:?}");
        assert!(DynamicProgramming::solve(&Task::multi().unwrap()).is_err());
    }
}
