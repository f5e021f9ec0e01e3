//! Responses whose latency scatters.
//!
//! Source: MITRE ATT&CK for ICS T0830: a relay adds its own processing time; D. Formby et al., "Who's in control of your
//! control system? Device fingerprinting for cyber-physical systems", NDSS 2016: response times as a fingerprint.

use twinguard_twin::simulator::Noise;
use twinguard_types::{Duration, Suspect};

use crate::attack::Transit;
use crate::profile::{Channel, FALSE_VALUE, Family, Knowledge, Resources, Trace, Visibility};
use crate::{Attack, Entry, Window};

struct Jitter {
    window: Window,
    chance: Noise,
}

impl Attack for Jitter {
    fn on_transit(&mut self, transit: &mut Transit) {
        if self.window.contains(transit.at) {
            // Up to six times as long, and never so long that the next message would come first.
            let times = self.chance.between(1.0, 6.0);
            transit.latency = Duration::from_nanos((transit.latency.as_nanos() as f64 * times) as i64);
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "jitter",
    story: "the device's responses take up to six times as long",
    family: Family::Timing,
    techniques: &["T0830", "T0884"],
    parties: &[Suspect::Network],
    needs: Resources { knowledge: Knowledge::None, disclosure: &[], disruption: &[Channel::Readings] },
    traces: &[Trace::Timing],
    visibility: Visibility::Facts,
    build: |target| vec![Box::new(Jitter { window: target.window, chance: target.chance(4) })],
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn every_response_takes_longer() {
        let played = trial::play(&super::ENTRY);
        let within = |nanos: i64| (4_000_000..=24_000_000).contains(&nanos);
        assert!(played.transits[20..40].iter().all(|transit| within(transit.latency.as_nanos())));
    }
}
