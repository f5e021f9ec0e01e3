//! What detectors of rows have in common: rows in deviations, statistics on the one scale. A detector brings a [`RowModel`]; the macro
//! [`row_detector`](crate::row_detector) makes it a [`Detector`](crate::Detector).
//!
//! The model learns from the first three fifths of the history, its tails from the rest, which it did not see.

use twinguard_types::{Event, Row, SignalId, Symptom};

use crate::{
    Archive, Context, Coverage, Detail, Error, Fitted, History, Observation, Reader, Writer,
    detector::{Channels, gap, tame, transpose},
    whiten::clipped_moments,
};

/// Rows of fewer than this teach nothing.
const FEWEST: usize = 300;
const MOST_SIGNALS: usize = 64;
/// Deviations beyond which a value is not taken to be further off.
const FAR: f64 = 30.0;

/// Rows of normal operation in deviations.
pub(crate) struct Standard<'a> {
    pub(crate) channels: usize,
    /// Row by row.
    pub(crate) values: &'a [f64],
    pub(crate) seed: u64,
}

impl Standard<'_> {
    pub(crate) fn rows(&self) -> usize {
        self.values.len() / self.channels.max(1)
    }

    pub(crate) fn row(&self, t: usize) -> &[f64] {
        &self.values[t * self.channels..(t + 1) * self.channels]
    }

    pub(crate) fn column(&self, channel: usize) -> Vec<f64> {
        self.values.iter().skip(channel).step_by(self.channels).copied().collect()
    }
}

/// From rows to statistics, larger for what is odder.
pub(crate) trait RowModel: Archive + Send + 'static {
    /// `None` when the rows cannot teach it.
    fn learn(rows: &Standard<'_>) -> Option<Self>;

    /// Number of statistics: one per channel, in their order, or some of the whole row.
    fn statistics(&self) -> usize;

    /// Computes the statistics of the next row; the channel that stands out most, where they are of the whole row. False while it has not
    /// seen enough rows.
    fn step(&mut self, z: &[f64], out: &mut [f64]) -> Option<usize>;

    /// A series begins.
    fn begin(&mut self);

    /// A signal has another instrument.
    fn forget(&mut self, _channel: usize) {
        self.begin();
    }
}

/// A fitted model with its tails.
pub(crate) struct RowState<M> {
    symptom: Symptom,
    layout: Vec<SignalId>,
    places: Vec<usize>,
    mean: Vec<f64>,
    scale: Vec<f64>,
    z: Vec<f64>,
    model: Option<M>,
    channels: Channels,
    statistics: Vec<f64>,
    present: Vec<bool>,
}

impl<M: RowModel> RowState<M> {
    pub(crate) fn fit(history: &History<'_>, context: &Context<'_>, symptom: Symptom) -> Self {
        let (layout, rows) = history.rows_alike();
        let count = rows.len();
        let mut state = Self {
            symptom,
            places: Vec::new(),
            mean: Vec::new(),
            scale: Vec::new(),
            z: Vec::new(),
            model: None,
            channels: Channels::new(context, Vec::new(), Vec::new()),
            statistics: Vec::new(),
            present: Vec::new(),
            layout: layout.clone(),
        };
        if count < FEWEST {
            return state;
        }
        for place in 0..layout.len() {
            let usable = rows.iter().filter(|row| row.qualities[place].is_usable());
            let column: Vec<f64> = usable.map(|row| tame(row.values[place])).collect();
            let (mean, deviation) = clipped_moments(&column);
            let (low, high) = column.iter().fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
            if column.len() * 2 < count || deviation <= 1e-9 * (1.0 + mean.abs()) {
                continue;
            }
            if state.places.len() == MOST_SIGNALS {
                break;
            }
            state.places.push(place);
            state.mean.push(mean);
            // rare binaries and spikes must not own the scale
            state.scale.push(deviation.max(0.1 * (high - low)));
        }
        let m = state.places.len();
        state.z = vec![0.0; m];
        state.present = vec![true; m];
        let mut values = Vec::with_capacity(count * m);
        for row in &rows {
            state.standardise(row);
            values.extend_from_slice(&state.z);
        }
        let cut = count * 3 / 5;
        let learnt = (m > 0)
            .then(|| M::learn(&Standard { channels: m, values: &values[..cut * m], seed: context.seed }))
            .flatten();
        let Some(mut model) = learnt else { return state };
        let n = model.statistics();
        let mut out = vec![0.0; n];
        let mut samples = vec![Vec::with_capacity(count - cut); n];
        model.begin();
        for (t, z) in values.chunks_exact(m).enumerate() {
            if model.step(z, &mut out).is_some() && t >= cut {
                samples.iter_mut().zip(&out).for_each(|(list, value)| list.push(*value));
            }
        }
        model.begin();
        let tails = transpose(&samples, gap(count - cut), 0.01);
        let signal = |place: usize| layout[state.places[if n == m { place } else { 0 }]];
        state.channels = Channels::new(context, (0..n).map(signal).collect(), tails);
        (state.statistics, state.present) = (out, vec![true; n.max(m)]);
        state.z.fill(0.0);
        state.model = Some(model);
        state
    }

    /// What is missing is held.
    fn standardise(&mut self, row: &Row<'_>) {
        for (channel, place) in self.places.iter().enumerate() {
            if row.qualities[*place].is_usable() {
                let z = (tame(row.values[*place]) - self.mean[channel]) / self.scale[channel];
                self.z[channel] = z.clamp(-FAR, FAR);
            }
        }
    }

    pub(crate) fn load(reader: &mut Reader<'_>, symptom: Symptom) -> Result<Self, Error> {
        let state = Self {
            symptom,
            layout: Archive::load(reader)?,
            places: Archive::load(reader)?,
            mean: Archive::load(reader)?,
            scale: Archive::load(reader)?,
            z: Archive::load(reader)?,
            model: Archive::load(reader)?,
            channels: Archive::load(reader)?,
            statistics: Archive::load(reader)?,
            present: Archive::load(reader)?,
        };
        let m = state.places.len();
        let sound = state.places.iter().all(|place| *place < state.layout.len())
            && [&state.mean, &state.scale, &state.z].iter().all(|list| list.len() == m)
            && state.present.len() >= m.max(state.statistics.len())
            && state.channels.signals.len() == state.statistics.len()
            && state.model.as_ref().is_none_or(|model| model.statistics() == state.statistics.len());
        if sound { Ok(state) } else { Err(reader.refuse("a detector's parts do not belong together")) }
    }
}

impl<M: RowModel> Fitted for RowState<M> {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Row(row) = event else { return None };
        if row.signals != self.layout {
            return None;
        }
        self.standardise(row);
        let (whole, m) = (self.statistics.len() != self.z.len(), self.z.len());
        let most = self.model.as_mut()?.step(&self.z, &mut self.statistics)?.min(m - 1);
        if whole {
            // one statistic speaks for all signals: it is told of the one that stands out
            let signal = self.layout[self.places[most]];
            self.channels.signals.iter_mut().for_each(|held| *held = signal);
        }
        let (score, best) = self.channels.score(row.at, self.symptom, &self.statistics, &self.present);
        let channel = if whole { most } else { best };
        let detail = Detail::Level {
            signal: self.layout[self.places[channel]],
            seen: self.mean[channel] + self.scale[channel] * self.z[channel],
            expected: self.mean[channel],
        };
        Some(Observation { score, detail, onset: None })
    }
    fn forget(&mut self, signal: SignalId) {
        let Some(model) = &mut self.model else { return };
        for (channel, place) in self.places.iter().enumerate() {
            if self.layout[*place] == signal {
                model.forget(channel);
            }
        }
    }
    fn coverage(&self) -> Coverage {
        let what = "the rows of the history are too few";
        if self.model.is_some() { self.channels.coverage(what) } else { Coverage::Silent(what) }
    }
    fn save(&self, writer: &mut Writer) {
        self.layout.save(writer);
        self.places.save(writer);
        self.mean.save(writer);
        self.scale.save(writer);
        self.z.save(writer);
        self.model.save(writer);
        self.channels.save(writer);
        self.statistics.save(writer);
        self.present.save(writer);
    }
}

/// Makes a [`Detector`](crate::Detector) of a unit struct and its `RowModel`.
#[macro_export]
#[doc(hidden)]
macro_rules! row_detector {
    ($name:ident, $model:ty, $label:literal, $symptom:expr) => {
        impl $crate::Detector for $name {
            fn name(&self) -> &'static str {
                $label
            }
            fn symptom(&self) -> twinguard_types::Symptom {
                $symptom
            }
            fn needs(&self) -> Option<twinguard_types::View> {
                Some(twinguard_types::View::History)
            }
            fn fit(
                &self,
                history: &$crate::History<'_>,
                context: &$crate::Context<'_>,
            ) -> Result<Box<dyn $crate::Fitted>, $crate::Error> {
                Ok(Box::new($crate::rows::RowState::<$model>::fit(history, context, $symptom)))
            }
            fn restore(
                &self,
                reader: &mut $crate::Reader<'_>,
            ) -> Result<Box<dyn $crate::Fitted>, $crate::Error> {
                Ok(Box::new($crate::rows::RowState::<$model>::load(reader, $symptom)?))
            }
        }
    };
}
