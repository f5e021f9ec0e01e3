//! Another plant file for a running pair of twin and detectors.

use twinguard_twin::plant::{Dynamics, Plant};
use twinguard_types::SignalId;

use super::{Phase, Senses};

/// Whether a twin of the one can go on as a twin of the other; the model's parameters the twin compares itself.
fn same_dynamics(before: &Plant, after: &Plant) -> bool {
    let numbers = |it: &Dynamics| {
        [&it.input_defaults, &it.input_sigma, &it.output_sigma, &it.process_sigma, &it.parameter_sigma]
            .map(Clone::clone)
    };
    let same = |a: &Dynamics, b: &Dynamics| numbers(a) == numbers(b) && a.step == b.step;
    match (&before.dynamics, &after.dynamics) {
        (Some(a), Some(b)) => same(a, b) && before.time == after.time,
        (None, None) => true,
        _ => false,
    }
}

impl Senses {
    /// What stays of the twin, the detectors and the incident under another plant file with the same signals. `fresh` is
    /// made of that file. A twin of another model starts anew, without the signals that are not believed, and what it is off by is unknown
    /// again. Whether that was so.
    pub(crate) fn go_on_as(
        &mut self,
        mut fresh: Self,
        [before, after]: [&Plant; 2],
        distrusted: impl Iterator<Item = SignalId>,
    ) -> bool {
        let mut anew = false;
        if let Some(twin) = &mut fresh.twin {
            let goes_on = same_dynamics(before, after)
                && self.twin.as_ref().is_some_and(|running| twin.restore(&running.snapshot()).is_ok());
            anew = !goes_on;
            if anew {
                self.settled = (0, 0);
                self.confidence.reset();
                if let Phase::Watching { bank, .. } = &mut self.phase {
                    bank.remodelled();
                }
                distrusted.for_each(|signal| twin.exclude(signal, true));
                let compared = self.instruments.iter().filter(|(_, instrument)| instrument.is_compared());
                compared.for_each(|(signal, _)| twin.exclude(*signal, true));
            }
            // What a model misses is learnt with it; until another one has been learnt with, the last is the best known.
            if let Some(running) = &self.twin {
                twin.set_model_errors(running.model_errors());
            }
        }
        self.twin = fresh.twin;
        self.dynamics = fresh.dynamics;
        self.sigma = fresh.sigma;
        self.horizon = fresh.horizon;
        self.binding = fresh.binding;
        self.patience = fresh.patience;
        anew
    }
}
