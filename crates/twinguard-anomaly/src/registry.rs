//! The list of detectors, alphabetical; a new one is a file in `detectors/` and a line here.

use crate::{Detector, Error, detectors};

/// Whether the default bank has it. The others find what others of the bank find as well on the plants at hand, or cost more than they
/// add there; they are for banks of one's own.
#[derive(Clone, Copy, PartialEq)]
enum Bank {
    Default,
    Asked,
}

fn list() -> Vec<(Bank, Box<dyn Detector>)> {
    use Bank::{Asked, Default};
    vec![
        (Asked, Box::new(detectors::Automatic)),
        (Asked, Box::new(detectors::Changes)),
        (Asked, Box::new(detectors::Clock)),
        (Default, Box::new(detectors::Cusum)),
        (Asked, Box::new(detectors::Cva)),
        (Asked, Box::new(detectors::Divergence)),
        (Default, Box::new(detectors::Ewma)),
        (Asked, Box::new(detectors::Federated::default())),
        (Asked, Box::new(detectors::Forest)),
        (Default, Box::new(detectors::Freeze)),
        (Asked, Box::new(detectors::Glr)),
        (Asked, Box::new(detectors::Hours)),
        (Default, Box::new(detectors::Identity)),
        (Asked, Box::new(detectors::Logins)),
        (Default, Box::new(detectors::Malformed)),
        (Asked, Box::new(detectors::Marginals)),
        (Asked, Box::new(detectors::Modes)),
        (Default, Box::new(detectors::Nis)),
        (Default, Box::new(detectors::Noise)),
        (Default, Box::new(detectors::Novelty)),
        (Asked, Box::new(detectors::Pasad)),
        (Asked, Box::new(detectors::Profile)),
        (Default, Box::new(detectors::Provenance)),
        (Default, Box::new(detectors::Range)),
        (Default, Box::new(detectors::Rate)),
        (Asked, Box::new(detectors::Reads)),
        (Default, Box::new(detectors::Redundancy)),
        (Default, Box::new(detectors::Replay)),
        (Asked, Box::new(detectors::Roles)),
        (Default, Box::new(detectors::Seal)),
        (Asked, Box::new(detectors::Sequence)),
        (Default, Box::new(detectors::Timing)),
        (Default, Box::new(detectors::Unanswered)),
        (Default, Box::new(detectors::Vendor)),
    ]
}

fn of(bank: Bank) -> Vec<Box<dyn Detector>> {
    list().into_iter().filter(|(held, _)| *held == bank).map(|(_, detector)| detector).collect()
}

/// The detectors of the default bank, alphabetical by name.
#[must_use]
pub fn all() -> Vec<Box<dyn Detector>> {
    of(Bank::Default)
}

/// The detectors that the default bank does without, alphabetical by name.
#[must_use]
pub fn others() -> Vec<Box<dyn Detector>> {
    of(Bank::Asked)
}

/// The detectors of these names, whether the default bank has them or not.
///
/// # Errors
/// [`Error::UnknownDetector`] for a name that is not in the registry.
pub fn named(names: &[&str]) -> Result<Vec<Box<dyn Detector>>, Error> {
    names
        .iter()
        .map(|name| {
            list()
                .into_iter()
                .map(|(_, detector)| detector)
                .find(|detector| detector.name() == *name)
                .ok_or_else(|| Error::UnknownDetector { name: name.chars().take(120).collect() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        let names: Vec<&str> = list().iter().map(|(_, detector)| detector.name()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        assert_eq!(all().len() + others().len(), names.len());
        assert_eq!(named(&["glr", "nis"]).unwrap().len(), 2);
        assert!(matches!(named(&["nope"]), Err(Error::UnknownDetector { .. })));
    }
}
