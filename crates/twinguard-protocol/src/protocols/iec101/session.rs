//! What one line keeps: which address lengths fit its frames, and the frame count bits (IEC 60870-5-2 §5.1.2).

use twinguard_types::{Oddity, Timestamp};

use super::view::{Control, Form, Parameters, View};

/// Stations whose frame count bit is followed; a further one takes the place of the oldest.
pub const STATIONS_MAX: usize = 16;

/// The state of one line.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// A bit for each of [`Parameters::ALL`] under which every frame so far was legal.
    possible: u64,
    stations: [Option<(u16, bool)>; STATIONS_MAX],
    oldest: u8,
}

const ALL: u64 = (1 << Parameters::ALL.len()) - 1;

impl Default for Session {
    fn default() -> Self {
        Self { possible: ALL, stations: [None; STATIONS_MAX], oldest: 0 }
    }
}

impl Session {
    /// The address lengths that are likeliest by the frames so far.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        let place = self.possible.trailing_zeros() as usize;
        Parameters::ALL.get(place).copied().unwrap_or(Parameters::SMALL)
    }

    /// Reads a frame by the lengths that fit, and takes note of it.
    pub(super) fn read<'a>(&mut self, bytes: &'a [u8], at: Timestamp) -> Option<View<'a>> {
        if self.possible.count_ones() > 1 {
            self.narrow(bytes);
        }
        let mut view = View::new(bytes, self.parameters(), at)?;
        if !view.oddities().is_empty() && view.form() != Form::Single {
            // Were the lengths guessed wrong? Then others fit.
            let fitting = legal_under(bytes);
            if fitting != 0 {
                self.possible = fitting;
                view = View::new(bytes, self.parameters(), at)?;
            }
        }
        if let (Some(control), true) = (view.control(), view.oddities().is_empty()) {
            self.count(control, &mut view);
        }
        Some(view)
    }

    fn narrow(&mut self, bytes: &[u8]) {
        let left = self.possible & legal_under(bytes);
        if left != 0 {
            self.possible = left;
        }
    }

    /// A primary station changes its frame count bit with each new frame; the same bit again repeats the last one.
    fn count(&mut self, control: Control, view: &mut View<'_>) {
        if !control.is_primary() {
            return;
        }
        let station = view.address().unwrap_or_default();
        let held = self.stations.iter().position(|held| held.is_some_and(|(known, _)| known == station));
        // A reset of the link starts over with 0.
        let reset = control.function() == 0;
        if !reset && !control.frame_count_valid() {
            return;
        }
        let bit = !reset && control.frame_count();
        let place = held.unwrap_or(usize::from(self.oldest) % STATIONS_MAX);
        if held.is_none() {
            self.oldest = (place as u8 + 1) % STATIONS_MAX as u8;
        }
        let Some(slot) = self.stations.get_mut(place) else { return };
        if held.is_some() && !reset && *slot == Some((station, bit)) {
            view.oddities.push(Oddity::DuplicateTransaction, if view.form() == Form::Fixed { 1 } else { 4 });
        }
        *slot = Some((station, bit));
    }
}

/// A bit for each of [`Parameters::ALL`] under which the frame is legal.
pub(super) fn legal_under(bytes: &[u8]) -> u64 {
    let legal = |parameters: &Parameters| {
        View::new(bytes, *parameters, Timestamp::ZERO).is_some_and(|view| view.oddities().is_empty())
    };
    let all = Parameters::ALL.iter().enumerate().filter(|(_, parameters)| legal(parameters));
    all.fold(0, |bits, (place, _)| bits | 1 << place)
}

#[cfg(test)]
mod tests {
    use super::super::Repr;
    use super::*;
    use crate::iec60870::{AsduBuffer, Cause, TypeId};

    #[test]
    fn lengths_are_found_by_what_is_legal() {
        for parameters in Parameters::ALL {
            let mut session = Session::default();
            let objects: [(u32, &[u8]); 3] = [(7, &[1]), (9, &[0]), (200, &[1])];
            let frames: Vec<_> = (1..=3)
                .map(|count| {
                    let cause = Cause::new(3);
                    let asdu = AsduBuffer::new(parameters.layout, TypeId(1), cause, 0, 17, &objects[..count])
                        .unwrap();
                    Repr::variable(parameters, Control(0x08), if parameters.link == 0 { 0 } else { 17 }, asdu)
                        .unwrap()
                        .emit()
                })
                .collect();
            let mut last = None;
            for frame in &frames {
                last = session.read(frame.as_bytes(), Timestamp::ZERO);
            }
            let asdu = *last.as_ref().unwrap().asdu().unwrap();
            let held: Vec<_> = asdu.objects().map(|object| object.as_bytes().len()).collect();
            assert_eq!(held, [usize::from(parameters.layout.object) + 1; 3], "{parameters:?}");
        }
    }

    #[test]
    fn a_frame_count_bit_that_stays_repeats() {
        let mut session = Session::default();
        let mut say = |control: u8| {
            let frame = Repr::fixed(Parameters::SMALL, Control(control), 3).unwrap().emit();
            session.read(frame.as_bytes(), Timestamp::ZERO).unwrap().oddities().is_empty()
        };
        assert!(say(0x40), "reset");
        assert!(say(0x7b) && say(0x5a) && say(0x7b));
        assert!(!say(0x7b), "the same again");
        assert!(say(0x49), "status of the link does not count");
    }
}
