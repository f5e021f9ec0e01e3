//! Checked access to big-endian fields.

/// The first `N` bytes from `at`.
#[inline(always)]
pub(crate) fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}

/// The big-endian 16-bit number at `at`.
#[inline(always)]
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    chunk(bytes, at).map(|field| u16::from_be_bytes(*field))
}

/// The big-endian 32-bit number at `at`.
#[inline(always)]
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    chunk(bytes, at).map(|field| u32::from_be_bytes(*field))
}

/// The little-endian 16-bit number at `at`.
#[inline(always)]
pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    chunk(bytes, at).map(|field| u16::from_le_bytes(*field))
}

/// The little-endian 32-bit number at `at`.
#[inline(always)]
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    chunk(bytes, at).map(|field| u32::from_le_bytes(*field))
}
