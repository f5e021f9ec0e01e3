//! One measured value changed by a law: what most attacks on telemetry are.

use crate::{Attack, Place, Reading, Target, Window};

/// A law gets the seconds since the window opened (`None` before) and the raw number, and gives the number to show. What
/// it gives before the window is not shown: then it only listens.
pub(crate) struct Falsify<F> {
    window: Window,
    place: Place,
    law: F,
}

impl<F: FnMut(Option<f64>, f64) -> f64 + Send> Attack for Falsify<F> {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        if reading.at >= self.window.end {
            return;
        }
        let since = self.window.since(reading.at);
        let law = &mut self.law;
        self.place.change(reading, |number| {
            let shown = law(since, number);
            if since.is_some() { shown } else { number }
        });
    }
}

impl Target {
    /// The aimed measurement follows a law.
    pub(crate) fn falsify<F>(&self, law: F) -> Vec<Box<dyn Attack>>
    where
        F: FnMut(Option<f64>, f64) -> f64 + Send + 'static,
    {
        vec![Box::new(Falsify { window: self.window, place: self.sensor.clone(), law })]
    }
}
