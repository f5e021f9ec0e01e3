use std::collections::BTreeMap;

use crate::Digest;

/// The files of a model as they were read and, where a seal was checked, verified: path → bytes.
///
/// Whoever wants to build a plant or a model from files implements `TryFrom<&Bundle>`, so that the crate that
/// verifies and the crate that models need not know each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<Box<str>, Vec<u8>>,
    /// Digest over all paths and contents, as the seal states it; zero for a bundle that no seal covers.
    pub digest: Digest,
}

impl Bundle {
    /// An empty bundle with the digest that covers it.
    #[must_use]
    pub fn new(digest: Digest) -> Self {
        Self { files: BTreeMap::new(), digest }
    }

    /// Adds a file; an earlier one of the same path is given back.
    pub fn insert(&mut self, path: impl Into<Box<str>>, bytes: Vec<u8>) -> Option<Vec<u8>> {
        self.files.insert(path.into(), bytes)
    }

    /// The bytes of a file; paths are relative, separated by `/`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// All files in order of their paths.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (&**path, bytes.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_in_order_of_paths() {
        let mut bundle = Bundle::new(Digest::default());
        bundle.insert("plant.toml", b"b".to_vec());
        bundle.insert("history.csv", b"a".to_vec());
        assert_eq!(bundle.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["history.csv", "plant.toml"]);
        assert_eq!(bundle.get("plant.toml"), Some(&b"b"[..]));
    }
}
