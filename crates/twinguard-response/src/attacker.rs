//! Who attacks the modules of a [`Task`](crate::task::Task): where, how hard, for how long.
//!
//! Source: the switching and held-out opponents that Wolk et al., "Beyond CAGE: investigating generalization of learned
//! autonomous network defense policies" (arXiv 2211.15557), §4 finds learned defenders to break on.

/// A way to attack. One module at a time, at most as hard as the task declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attacker {
    /// Stays on one module at one intensity.
    Steady,
    /// Six steps on, six off, on one module.
    Pulse,
    /// Moves on by itself now and then, and often when it is isolated.
    Switcher,
    /// Works quietly for a while, then as hard as it can.
    Burst,
    /// Goes for the hottest module as hard as it can.
    Hottest,
    /// Flees to the next module as soon as it is isolated.
    Evader,
}

/// Attackers that planners may learn from and be tuned on.
pub const SEEN: &[Attacker] = &[Attacker::Steady, Attacker::Pulse, Attacker::Switcher];

/// Attackers that are kept for the test.
pub const UNSEEN: &[Attacker] = &[Attacker::Burst, Attacker::Hottest, Attacker::Evader];

/// An attack under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Foothold {
    pub(crate) module: usize,
    pub(crate) intensity: f64,
    pub(crate) age: u32,
}

/// What an attacker sees when it chooses where to go on.
pub(crate) struct Ground<'a> {
    pub(crate) temperatures: &'a [f64],
    pub(crate) isolated: bool,
    pub(crate) most: f64,
}

impl Attacker {
    /// Heat added in this step; moves the foothold on. `luck` and `place` are uniform in 0…1.
    pub(crate) fn act(self, hold: &mut Foothold, ground: &Ground<'_>, luck: f64, place: f64) -> f64 {
        let modules = ground.temperatures.len();
        hold.age += 1;
        let elsewhere = |from: usize| {
            // A uniform choice among the others; with one module it stays.
            let step = 1 + (place * (modules - 1) as f64) as usize;
            (from + step.min(modules.max(2) - 1)) % modules
        };
        match self {
            Self::Steady => hold.intensity,
            Self::Pulse => {
                if (hold.age / 6).is_multiple_of(2) {
                    hold.intensity
                } else {
                    0.0
                }
            }
            Self::Switcher => {
                if luck < if ground.isolated { 0.15 } else { 0.03 } {
                    hold.module = elsewhere(hold.module);
                }
                hold.intensity
            }
            Self::Burst => {
                if hold.age > 20 {
                    ground.most
                } else {
                    0.5 * hold.intensity
                }
            }
            Self::Hottest => {
                if hold.age.is_multiple_of(10) {
                    let hotter = |a: usize, b: usize| {
                        if ground.temperatures[b] > ground.temperatures[a] { b } else { a }
                    };
                    hold.module = (0..modules).fold(hold.module, hotter);
                }
                ground.most
            }
            Self::Evader => {
                if ground.isolated && luck < 0.5 {
                    hold.module = elsewhere(hold.module);
                }
                hold.intensity
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attackers_do_what_they_are_named_for() {
        let temperatures = [1.0, 9.0, 3.0];
        let run = |attacker: Attacker, isolated: bool| {
            let mut hold = Foothold { module: 0, intensity: 1.0, age: 0 };
            let ground = Ground { temperatures: &temperatures, isolated, most: 1.5 };
            let heat: Vec<f64> = (0..40)
                .map(|step| attacker.act(&mut hold, &ground, f64::from(step % 10) / 10.0, 0.3))
                .collect();
            (heat, hold.module)
        };
        assert_eq!(run(Attacker::Steady, true), (vec![1.0; 40], 0));
        let (pulse, _) = run(Attacker::Pulse, false);
        assert!(pulse.contains(&0.0) && pulse.contains(&1.0));
        let (burst, _) = run(Attacker::Burst, false);
        assert_eq!((burst[0], burst[39]), (0.5, 1.5));
        assert_eq!(run(Attacker::Hottest, false), (vec![1.5; 40], 1));
        assert_eq!(run(Attacker::Evader, false).1, 0);
        assert_ne!(run(Attacker::Evader, true).1, 0);
        assert_ne!(run(Attacker::Switcher, false).1, 0);
        for attacker in SEEN.iter().chain(UNSEEN) {
            let mut hold = Foothold { module: 0, intensity: 1.0, age: 0 };
            let ground = Ground { temperatures: &[0.0], isolated: true, most: 1.5 };
            for _ in 0..50 {
                let heat = attacker.act(&mut hold, &ground, 0.0, 0.999);
                assert!(hold.module == 0 && (0.0..=1.5).contains(&heat), "one module is all there is");
            }
        }
        assert!(SEEN.iter().all(|attacker| !UNSEEN.contains(attacker)));
    }
}
