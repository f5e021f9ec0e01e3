//! Numbers that everybody draws alike from a public seed: the extendable output of BLAKE3 (its specification §2.6).

/// An endless list of numbers of a seed and a purpose.
pub(super) struct Draws(blake3::OutputReader);

impl Draws {
    pub(super) fn new(purpose: &str, seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("twinguard public draws v1");
        hasher.update(&seed.to_le_bytes()).update(purpose.as_bytes());
        Self(hasher.finalize_xof())
    }

    /// Between 0 and `below` − 1, each alike but for 2⁻³² (a 96-bit product).
    pub(super) fn below(&mut self, below: u64) -> u64 {
        let mut bytes = [0; 12];
        self.0.fill(&mut bytes);
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        let high = u128::from(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        let low = u128::from(u32::from_le_bytes([i, j, k, l]));
        let wide = high << 32 | low;
        // below ≤ 2³² here, so the product stays within 128 bits
        ((wide * u128::from(below.min(1 << 32))) >> 96) as u64
    }
}
