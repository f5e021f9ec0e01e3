//! The guard as the red team knows it, and how it is trained for a campaign.

use twinguard_redteam::campaign::{Sight, Trainer};
use twinguard_redteam::{Defender, Ground, Range, RangeError, Reaction, Stimulus};
use twinguard_response::Autonomy;
use twinguard_twin::Plant;
use twinguard_types::{SignalId, Timestamp};

use crate::{Artefact, Config, Error, Guard, Input, Output};

impl Defender for Guard {
    type Error = Error;

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), Error> {
        let input = match stimulus {
            Stimulus::Frame(frame) => Input::Frame(frame),
            Stimulus::Field(points) | Stimulus::Vendor(points) => Input::Points(points),
            Stimulus::Intent(intent) => Input::Intent(intent),
            Stimulus::Access(access) => Input::Access(access),
            Stimulus::Measured(measured) => Input::Artefact(Artefact { measured }),
            Stimulus::Outcome(outcome) => Input::Outcome(outcome),
            Stimulus::Running(parameters) => {
                self.attest_beside(now, parameters);
                return Ok(());
            }
            _ => Input::Tick,
        };
        match Guard::handle(self, now, input) {
            // What was done after nobody waited for it any more is done all the same.
            Err(Error::Response(twinguard_response::Error::NotPending { .. })) => Ok(()),
            told => told,
        }
    }

    fn poll(&mut self) -> Option<Reaction> {
        loop {
            return Some(match Guard::poll(self)? {
                Output::Finding(finding) => Reaction::Finding(finding),
                Output::Verdict(verdict) => Reaction::Verdict(verdict.verdict),
                Output::Action(action) => Reaction::Action(action),
                Output::Receipt(_) => continue,
            });
        }
    }

    fn estimate(&self, signal: SignalId) -> Option<(f64, f64)> {
        Guard::estimate(self, signal)
    }
}

/// Guards for a campaign of the red team: each plant is learnt once, every cell restores what was learnt.
///
/// ```no_run
/// use twinguard::Drill;
/// use twinguard::redteam::campaign::{Campaign, Plan};
///
/// let campaign = Campaign::new(Plan::parse("format = 1\nplants = [\"cooling_loop\"]\nseeds = 1\n", "plan.toml")?)?;
/// let board = campaign.run(&Drill::default(), Vec::new(), Vec::new(), &|_| {})?;
/// assert_eq!(board.cells.len(), campaign.cells());
/// # Ok::<(), twinguard::redteam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Drill {
    /// How the guards are tuned.
    pub config: Config,
}

impl Default for Drill {
    /// The defaults, with leave to act.
    fn default() -> Self {
        Self { config: Config { autonomy: Autonomy::FULL, ..Config::default() } }
    }
}

/// The plant as this defender knows it.
fn known(ground: &Ground, sight: Sight) -> Plant {
    let mut plant = ground.plant().clone();
    if sight == Sight::NoModel {
        plant.dynamics = None;
    }
    plant
}

impl Trainer for Drill {
    type Defender = Guard;
    type Learnt = Vec<u8>;

    fn learn(
        &self,
        ground: &Ground,
        sight: Sight,
        history: &mut Range,
        samples: u64,
    ) -> Result<Vec<u8>, String> {
        let mut broken = None;
        let teach = |guard: &mut Guard| {
            for _ in 0..samples {
                match history.step(guard) {
                    Ok(_) => {}
                    Err(RangeError::Defender(error)) => return Err(error),
                    Err(error) => broken = Some(error.to_string()),
                }
            }
            Ok(())
        };
        let builder = Guard::builder_unsealed(known(ground, sight)).config(self.config.clone());
        let guard =
            builder.learn(teach).and_then(crate::Builder::build).map_err(|error| error.to_string())?;
        match broken {
            Some(reason) => Err(reason),
            None => guard.snapshot().map_err(|error| error.to_string()),
        }
    }

    fn defender(&self, ground: &Ground, sight: Sight, learnt: &Vec<u8>) -> Result<Guard, String> {
        let builder = Guard::builder_unsealed(known(ground, sight)).config(self.config.clone());
        builder.restore(learnt).map_err(|error| error.to_string())
    }

    fn surprise(&self, defender: &Guard) -> Option<(f64, f64)> {
        Some(defender.surprise())
    }
}
