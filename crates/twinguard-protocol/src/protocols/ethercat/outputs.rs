//! Which logical addresses slaves take from the master, learnt from the settings that the master writes into them
//! (ETG.1000.4: fieldbus memory management units, registers 0x0600 to 0x06ff).

use super::frame::{AL_CONTROL, Addressing, Datagram, Range, View};

/// The registers of the first unit; each has 16 bytes.
const UNITS: u16 = 0x0600;
/// Behind the last of them.
const UNITS_END: u16 = 0x0700;
/// Ranges that are kept; neighbouring ones are one.
pub const OUTPUTS_MAX: usize = 256;

/// The logical addresses of one segment's outputs, in order.
#[derive(Debug, Default)]
pub struct Outputs(Vec<Range>);

impl Outputs {
    /// All ranges.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }

    /// Takes note of a frame, and tells it what is known.
    #[must_use]
    pub fn follow<'a>(&'a mut self, mut view: View<'a>) -> View<'a> {
        if !view.is_returned() {
            for datagram in view.datagrams() {
                if self.note(&datagram).is_none() {
                    view.drop_setting();
                }
            }
        }
        view.with(self.ranges())
    }

    /// Takes note of a datagram on its way out; `None` when there is no room for what it sets.
    fn note(&mut self, datagram: &Datagram<'_>) -> Option<()> {
        let physical = !matches!(datagram.command.addressing(), Addressing::Logical | Addressing::None);
        if !physical || !datagram.command.writes() {
            return Some(());
        }
        let all = datagram.command.addressing() == Addressing::Broadcast;
        // Every slave back to init: the master begins anew.
        if all && datagram.offset() == AL_CONTROL && datagram.data.first().is_some_and(|to| to & 15 == 1) {
            self.0.clear();
        }
        if all || !(UNITS..UNITS_END).contains(&datagram.offset()) || !datagram.offset().is_multiple_of(16) {
            return Some(());
        }
        let (units, _) = datagram.data.as_chunks::<16>();
        for [s0, s1, s2, s3, l0, l1, _, _, _, _, _, direction, active, ..] in units {
            // Bit 0 of the activation, bit 1 of the direction: the slave's memory is written.
            if active & 1 == 0 || direction & 2 == 0 {
                continue;
            }
            let start = u32::from_le_bytes([*s0, *s1, *s2, *s3]);
            let end = start.saturating_add(u32::from(u16::from_le_bytes([*l0, *l1])));
            self.add(Range { start, end })?;
        }
        Some(())
    }

    fn add(&mut self, new: Range) -> Option<()> {
        let first = self.0.partition_point(|held| held.end < new.start);
        let last = self.0.partition_point(|held| held.start <= new.end);
        let touched = self.0.get(first..last).unwrap_or_default();
        let start = touched.first().map_or(new.start, |held| held.start.min(new.start));
        let end = touched.last().map_or(new.end, |held| held.end.max(new.end));
        if touched.is_empty() && self.0.len() >= OUTPUTS_MAX {
            return None;
        }
        self.0.splice(first..last, [Range { start, end }]);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, Repr};
    use super::*;

    fn unit(start: u32, len: u16, direction: u8, active: u8) -> Vec<u8> {
        let ([s0, s1, s2, s3], [l0, l1]) = (start.to_le_bytes(), len.to_le_bytes());
        vec![s0, s1, s2, s3, l0, l1, 0, 7, 0, 0x11, 0, direction, active, 0, 0, 0]
    }

    #[test]
    fn outputs_are_learnt_merged_and_forgotten() {
        let mut outputs = Outputs::default();
        let both = [unit(0x1000, 8, 2, 1), unit(0x2000, 8, 1, 1)].concat();
        for data in [both, unit(0x1008, 4, 2, 1), unit(0x3000, 4, 2, 0), unit(0x0ff0, 4, 3, 1)] {
            outputs.note(&Repr::station(Command::FPWR, 1001, 0x0600, &data)).unwrap();
        }
        let want = [Range { start: 0x0ff0, end: 0x0ff4 }, Range { start: 0x1000, end: 0x100c }];
        assert_eq!(outputs.ranges(), want);
        outputs.note(&Repr::station(Command(8), 0, 0x0120, &[0x11, 0])).unwrap();
        assert_eq!(outputs.ranges(), []);
        for index in 0..OUTPUTS_MAX as u32 {
            outputs.add(Range { start: index * 4, end: index * 4 + 2 }).unwrap();
        }
        assert_eq!(outputs.add(Range { start: 1 << 20, end: 1 << 21 }), None, "bounded");
        assert_eq!(outputs.add(Range { start: 0, end: 1 << 19 }), Some(()));
        assert_eq!(outputs.ranges().len(), 1);
    }
}
