//! The list of detectors, alphabetical; a new one is a file in `detectors/` and a line here.

use crate::{Detector, Error, detectors};

/// All detectors, alphabetical by name.
#[must_use]
pub fn all() -> Vec<Box<dyn Detector>> {
    vec![
        Box::new(detectors::Cusum),
        Box::new(detectors::Ewma),
        Box::new(detectors::Freeze),
        Box::new(detectors::Identity),
        Box::new(detectors::Malformed),
        Box::new(detectors::Nis),
        Box::new(detectors::Noise),
        Box::new(detectors::Novelty),
        Box::new(detectors::Provenance),
        Box::new(detectors::Range),
        Box::new(detectors::Rate),
        Box::new(detectors::Redundancy),
        Box::new(detectors::Replay),
        Box::new(detectors::Seal),
        Box::new(detectors::Timing),
        Box::new(detectors::Vendor),
    ]
}

/// The detectors of these names.
///
/// # Errors
/// [`Error::UnknownDetector`] for a name that is not in the registry.
pub fn named(names: &[&str]) -> Result<Vec<Box<dyn Detector>>, Error> {
    names
        .iter()
        .map(|name| {
            all()
                .into_iter()
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
        let names: Vec<&str> = all().iter().map(|detector| detector.name()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        assert_eq!(named(&["nis", "seal"]).unwrap().len(), 2);
        assert!(matches!(named(&["nope"]), Err(Error::UnknownDetector { .. })));
    }
}
