//! The feed of the vendor's twin is poisoned: it follows values that the wire never carried.
//!
//! Source: MITRE ATT&CK for ICS T0856 behind the tap, T0832: a broker or historian between wire and platform is taken.

use crate::profile::FALSE_TWIN;
use crate::{Attack, Entry, Place, Reading, Window};

struct Feed {
    window: Window,
    place: Place,
    bias: f64,
}

impl Attack for Feed {
    fn on_feed(&mut self, reading: &mut Reading<'_>) {
        if self.window.contains(reading.at) {
            self.place.change(reading, |number| number + self.bias);
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "feed_poison",
    story: "the feed of the vendor's twin carries a false value",
    techniques: &["T0856", "T0832"],
    build: |target| {
        let (window, place, bias) = (target.window, target.sensor.clone(), 2.0 * target.bias);
        vec![Box::new(Feed { window, place, bias })]
    },
    ..FALSE_TWIN
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn the_wire_stays_clean() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.error(30), 0);
        assert_eq!(played.fed[30][0] - played.shown[30][0], -100);
    }
}
