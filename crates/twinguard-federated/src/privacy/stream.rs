//! Randomness for noise from a secret seed and a purpose.
//!
//! The same seed and purpose give the same noise, so that an answer that is made again after a loss is the same answer: noise that is drawn
//! twice for one release could be averaged away. The generator is the extendable output of keyed BLAKE3 (its specification §2.6).

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// A secret stream: whoever knows the seed can take the noise off again.
pub struct Stream(blake3::OutputReader);

impl Stream {
    /// Of a secret seed from a good source of randomness, for one release.
    #[must_use]
    pub fn new(seed: &[u8; 32], purpose: &[u8]) -> Self {
        Self(blake3::Hasher::new_keyed(seed).update(purpose).finalize_xof())
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Stream {}

#[cfg(test)]
mod tests {
    use rand_core::Rng;

    use super::*;

    #[test]
    fn seeds_and_purposes_differ() {
        let first = |seed: u8, purpose: &[u8]| Stream::new(&[seed; 32], purpose).next_u64();
        assert_eq!(first(1, b"round 1"), first(1, b"round 1"));
        assert_ne!(first(1, b"round 1"), first(2, b"round 1"));
        assert_ne!(first(1, b"round 1"), first(1, b"round 2"));
    }
}
