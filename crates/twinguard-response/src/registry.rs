//! All responders and planners, one line each, in alphabetical order.

use crate::Error;
use crate::planner::Planner;
use crate::planners::{
    AlwaysIsolate, DoNothing, DynamicProgramming, FittedQ, MarginAware, NaivePlaybook, Predictive, Random,
    TabularQ, ThresholdPlaybook,
};
use crate::policy::Training;
use crate::task::Task;
use crate::trial::{Trial, tune};

/// Names of the responders that ship.
pub const RESPONDERS: &[&str] = &["playbook"];

/// On what planners are tuned and learn, before any test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct School {
    /// Whether a shield stands in front of them, as it will in the test.
    pub shielded: bool,
    /// Where grids are searched.
    pub tuning: Trial,
    /// Where learners learn; `fitted_q` takes one episode of a hundred.
    pub training: Training,
}

/// Makes a planner for a task; `None` where it is not for such a task.
pub type Make = fn(&Task, &School) -> Result<Option<Box<dyn Planner>>, Error>;

static PLANNERS: [(&str, Make); 10] = [
    ("always_isolate", |_, _| boxed(AlwaysIsolate)),
    ("do_nothing", |_, _| boxed(DoNothing)),
    ("dynamic_programming", |task, _| match DynamicProgramming::solve(task) {
        Err(Error::Task { .. }) => Ok(None),
        plan => boxed(plan?),
    }),
    ("fitted_q", |task, school| {
        let episodes = (school.training.episodes / 100).max(1);
        boxed(FittedQ::learn(task, &Training { episodes, ..school.training.clone() })?)
    }),
    ("margin_aware", |task, school| grid(task, school, &MarginAware::grid(task.setting().evict))),
    ("naive_playbook", |_, _| boxed(NaivePlaybook)),
    ("predictive", |task, school| grid(task, school, &Predictive::grid(task.setting().evict))),
    ("random", |_, _| boxed(Random { seed: 1 })),
    ("tabular_q", |task, school| boxed(TabularQ::learn(task, &school.training)?)),
    ("threshold_playbook", |task, school| grid(task, school, &ThresholdPlaybook::grid(task.setting().evict))),
];

/// All planners by name, and how each comes to be.
///
/// ```
/// use twinguard_response::attacker::SEEN;
/// use twinguard_response::policy::Training;
/// use twinguard_response::registry::{School, planners};
/// use twinguard_response::task::Task;
/// use twinguard_response::trial::{TEST, TRAINING, TUNING, Trial, run};
///
/// let task = Task::multi()?;
/// let school = School {
///     shielded: true,
///     tuning: Trial::new(TUNING, 1, 2, SEEN),
///     training: Training { seed: TRAINING, episodes: 20, attackers: SEEN.to_vec(), shielded: true },
/// };
/// let (_, make) = planners().iter().find(|(name, _)| *name == "do_nothing").ok_or("no such planner")?;
/// let planner = make(&task, &school)?.ok_or("not for this task")?;
/// let score = run(&task, &*planner, true, &Trial::new(TEST, 2, 5, SEEN))?;
/// assert_eq!(score.unsafe_steps, 0, "the shield alone");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn planners() -> &'static [(&'static str, Make)] {
    &PLANNERS
}

fn boxed(planner: impl Planner + 'static) -> Result<Option<Box<dyn Planner>>, Error> {
    Ok(Some(Box::new(planner)))
}

fn grid<P: Planner + Clone + 'static>(
    task: &Task,
    school: &School,
    candidates: &[P],
) -> Result<Option<Box<dyn Planner>>, Error> {
    boxed(tune(task, candidates, school.shielded, &school.tuning)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::SEEN;
    use crate::trial::{TRAINING, TUNING};

    #[test]
    fn every_planner_is_made_under_its_name_and_explains_itself() {
        let task = Task::multi().unwrap();
        let school = School {
            shielded: true,
            tuning: Trial::new(TUNING, 1, 1, SEEN),
            training: Training { seed: TRAINING, episodes: 12, attackers: SEEN.to_vec(), shielded: true },
        };
        let episode = task.episode(1, 0, SEEN);
        for (name, make) in planners() {
            let Some(planner) = make(&task, &school).unwrap() else {
                assert_eq!(*name, "dynamic_programming", "the oracle is for one module");
                continue;
            };
            assert_eq!(planner.name(), *name);
            let view = episode.view();
            assert!(planner.plan(&view).count() <= task.setting().budget);
            assert!(planner.explain(&view).starts_with("isolate"), "{}", planner.explain(&view));
        }
    }
}
