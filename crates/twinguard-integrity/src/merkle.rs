//! The Merkle tree of transparency logs: hashes, the growing frontier, proofs and their verification.
//!
//! Sources: RFC 6962 §2.1 (hashes, `0x00` before leaves and `0x01` before nodes), RFC 9162 §2.1.3 and §2.1.4 (generation
//! and verification of inclusion and consistency proofs); draft-ietf-plants-merkle-tree-certs-03 §4 (subtrees); FIPS 180-4
//! (SHA-256).

use core::ops::Range;

use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};
use twinguard_types::Digest;

use crate::Error;

/// Hash of a leaf: `SHA-256(0x00 || data)`.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Digest {
    // The message with its padding, written down as for a node: most entries are short, and a hasher's bookkeeping is half the cost.
    let mut blocks = [[0_u8; 64]; LEAF_BLOCKS];
    let Some(needed) = blocks.get_mut(..(1 + data.len() + 1 + 8).div_ceil(64)) else {
        return Digest(Sha256::new().chain_update([0]).chain_update(data).finalize().into());
    };
    // At least ten bytes longer than the data, so all three have room.
    let (_, message) = needed.as_flattened_mut().split_at_mut(1);
    let (content, padding) = message.split_at_mut(data.len());
    content.copy_from_slice(data);
    if let Some(bit) = padding.first_mut() {
        *bit = 0x80;
    }
    if let Some(end) = padding.last_chunk_mut() {
        *end = (8 * (1 + data.len() as u64)).to_be_bytes();
    }
    digest_of(needed)
}

/// Blocks of the longest leaf that is hashed in place.
const LEAF_BLOCKS: usize = 4;

/// SHA-256 of padded blocks.
fn digest_of(blocks: &[[u8; 64]]) -> Digest {
    let mut state = INITIAL;
    compress256(&mut state, blocks);
    let mut hash = [0; 32];
    for (slot, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *slot = word.to_be_bytes();
    }
    Digest(hash)
}

/// Hash of a node: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    // The padded message is always two blocks: written down here, it costs two compressions and no more. The root of a
    // growing journal is made of these alone.
    let mut blocks = [NODE, PADDING];
    let (_, message) = blocks.as_flattened_mut().split_at_mut(1);
    let (l, rest) = message.split_at_mut(32);
    let (r, _) = rest.split_at_mut(32);
    l.copy_from_slice(&left.0);
    r.copy_from_slice(&right.0);
    digest_of(&blocks)
}

/// First block of a node: the domain byte, then 63 bytes of the children.
const NODE: [u8; 64] = {
    let mut block = [0; 64];
    block[0] = 1;
    block
};
/// Second block: the last byte of the children, a set bit, the length of 65 bytes in bits (FIPS 180-4 §5.1.1).
const PADDING: [u8; 64] = {
    let mut block = [0; 64];
    block[1] = 0x80;
    block[62] = 2;
    block[63] = 8;
    block
};
/// Initial hash value of SHA-256 (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Root of the tree without leaves: `SHA-256("")`.
#[must_use]
pub fn empty_root() -> Digest {
    Digest(Sha256::digest([]).into())
}

/// What must be kept of a tree to let it grow: the roots of its complete subtrees, at most one per height.
///
/// Adding a leaf costs two hashes on average, the root at most one per height; nothing is allocated.
///
/// ```
/// use twinguard_integrity::merkle::{Frontier, leaf_hash, node_hash};
///
/// let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
/// let mut tree = Frontier::default();
/// tree.push(a);
/// tree.push(b);
/// assert_eq!(tree.root(), node_hash(&a, &b));
/// ```
#[derive(Clone, Debug)]
pub struct Frontier {
    size: u64,
    /// Root of the complete subtree of 2^height leaves; stands where `size` has that bit.
    peaks: [Digest; 64],
}

impl Default for Frontier {
    fn default() -> Self {
        Self { size: 0, peaks: [Digest::default(); 64] }
    }
}

impl Frontier {
    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Digest) {
        self.push_subtree(0, leaf);
    }

    /// Adds a leaf, and gives the root of the complete subtree of 2^height leaves that ends with it, if one does: it is computed on
    /// the way, and need not be again.
    pub(crate) fn push_ending(&mut self, leaf: Digest, height: usize) -> Option<Digest> {
        let (mut hash, mut ended) = (leaf, None);
        for (at, peak) in self.peaks.iter_mut().enumerate() {
            if at == height {
                ended = Some(hash);
            }
            if self.size >> at & 1 == 0 {
                *peak = hash;
                break;
            }
            hash = node_hash(peak, &hash);
        }
        self.size = self.size.saturating_add(1);
        ended
    }

    /// Adds a complete subtree of 2^height leaves; the tree's size must be a multiple of that.
    pub(crate) fn push_subtree(&mut self, height: u32, root: Digest) {
        let mut hash = root;
        for (at, peak) in self.peaks.iter_mut().enumerate().skip(height as usize) {
            if self.size >> at & 1 == 0 {
                *peak = hash;
                break;
            }
            hash = node_hash(peak, &hash);
        }
        self.size = self.size.saturating_add(1u64.checked_shl(height).unwrap_or_default());
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut peaks =
            self.peaks.iter().enumerate().filter(|(at, _)| self.size >> at & 1 == 1).map(|(_, peak)| peak);
        let Some(lowest) = peaks.next() else { return empty_root() };
        peaks.fold(*lowest, |right, left| node_hash(left, &right))
    }
}

/// Root over some hashes that stand side by side at one height.
pub(crate) fn root_of(hashes: &[Digest]) -> Digest {
    let mut frontier = Frontier::default();
    hashes.iter().for_each(|hash| frontier.push(*hash));
    frontier.root()
}

/// Where the nodes of a tree come from, for proofs.
pub trait Nodes {
    /// Root of the complete subtree of 2^`height` leaves that begins at leaf `index` × 2^`height`.
    ///
    /// # Errors
    /// Whatever keeps the node from being read.
    fn node(&self, height: u32, index: u64) -> Result<Digest, Error>;

    /// Root over the first `size` leaves.
    ///
    /// # Errors
    /// As [`Nodes::node`].
    fn root_at(&self, size: u64) -> Result<Digest, Error> {
        if size == 0 { Ok(empty_root()) } else { self.range(0, size) }
    }

    /// Root over the leaves from `start` up to `end`, a subtree as RFC 6962 divides it.
    ///
    /// # Errors
    /// As [`Nodes::node`].
    fn range(&self, start: u64, end: u64) -> Result<Digest, Error> {
        // From the right: each bit of the length is one complete subtree.
        let length = end.saturating_sub(start);
        let mut root = None;
        for height in (0..64).filter(|height| length >> height & 1 == 1) {
            let index = ((start + (length >> height << height)) >> height) - 1;
            let left = self.node(height, index)?;
            root = Some(match root {
                None => left,
                Some(right) => node_hash(&left, &right),
            });
        }
        Ok(root.unwrap_or_else(empty_root))
    }
}

/// Largest power of two below `n`, for `n` ≥ 2.
fn split(n: u64) -> u64 {
    1 << (63 - n.saturating_sub(1).max(1).leading_zeros())
}

/// The audit path of a leaf, from the leaf's sibling up.
///
/// # Errors
/// [`Error::OutOfRange`] for a leaf beyond the tree; as [`Nodes::node`].
pub fn inclusion_proof(nodes: &(impl Nodes + ?Sized), index: u64, size: u64) -> Result<Vec<Digest>, Error> {
    if index >= size {
        return Err(Error::OutOfRange { asked: index, size });
    }
    audit_path(nodes, index, 0..size)
}

fn audit_path(nodes: &(impl Nodes + ?Sized), index: u64, leaves: Range<u64>) -> Result<Vec<Digest>, Error> {
    let Range { mut start, mut end } = leaves;
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(nodes.range(middle, end)?);
            end = middle;
        } else {
            path.push(nodes.range(start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Proof that the tree of `old` leaves is the beginning of the tree of `size` leaves.
///
/// # Errors
/// [`Error::OutOfRange`] for `old` of 0 or beyond `size`; as [`Nodes::node`].
pub fn consistency_proof(nodes: &(impl Nodes + ?Sized), old: u64, size: u64) -> Result<Vec<Digest>, Error> {
    subtree_consistency_proof(nodes, 0..old, size)
}

/// Whether leaves from `start` up to `end` are a subtree: not none, and `start` a multiple of the least power of two that is
/// not below their number (draft-ietf-plants-merkle-tree-certs-03 §4.1).
///
/// ```
/// use twinguard_integrity::merkle::is_subtree;
///
/// assert!(is_subtree(&(0..13)) && is_subtree(&(8..13)) && is_subtree(&(12..13)));
/// assert!(!is_subtree(&(4..13)) && !is_subtree(&(4..4)));
/// ```
#[must_use]
pub fn is_subtree(leaves: &Range<u64>) -> bool {
    let length = leaves.end.saturating_sub(leaves.start);
    length > 0
        && length
            .checked_next_power_of_two()
            .map_or(leaves.start == 0, |width| leaves.start.is_multiple_of(width))
}

/// The audit path of a leaf within a subtree.
///
/// # Errors
/// [`Error::OutOfRange`] for a leaf outside the subtree, or leaves that are none; as [`Nodes::node`].
pub fn subtree_inclusion_proof(
    nodes: &(impl Nodes + ?Sized),
    index: u64,
    subtree: Range<u64>,
) -> Result<Vec<Digest>, Error> {
    if !is_subtree(&subtree) || !subtree.contains(&index) {
        return Err(Error::OutOfRange { asked: index, size: subtree.end });
    }
    audit_path(nodes, index, subtree)
}

/// Proof that a subtree is one of the tree of `size` leaves (draft-ietf-plants-merkle-tree-certs-03 §4.4).
///
/// # Errors
/// [`Error::OutOfRange`] for leaves that are no subtree, or lie beyond `size`; as [`Nodes::node`].
pub fn subtree_consistency_proof(
    nodes: &(impl Nodes + ?Sized),
    subtree: Range<u64>,
    size: u64,
) -> Result<Vec<Digest>, Error> {
    if !is_subtree(&subtree) || subtree.end > size {
        return Err(Error::OutOfRange { asked: subtree.end, size });
    }
    let (mut start, mut end) = (0, size);
    let (mut first, mut whole) = (subtree.start, true);
    let mut path = Vec::new();
    while (start, end) != (first, subtree.end) {
        let middle = start + split(end - start);
        if subtree.end <= middle {
            path.push(nodes.range(middle, end)?);
            end = middle;
        } else {
            path.push(nodes.range(start, middle)?);
            start = middle;
            if first < middle {
                // The subtree begins here and goes on beyond: its left part is told by the path.
                (first, whole) = (middle, false);
            }
        }
    }
    if !whole {
        path.push(nodes.range(start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that a leaf stands at `index` of the tree of `size` leaves with this root (RFC 9162 §2.1.3.2).
///
/// # Errors
/// [`Error::Proof`] when it does not, or the proof has another length than this leaf's path.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Digest,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), Error> {
    let fail = |reason| Err(Error::Proof { what: "inclusion", reason });
    if index >= size {
        return fail("the leaf is beyond the tree");
    }
    let mut hash = *leaf;
    let climbed = climb(index, size - 1, proof, |sibling, side, _| {
        hash = match side {
            Side::Left => node_hash(sibling, &hash),
            Side::Right => node_hash(&hash, sibling),
        };
    });
    if let Err(reason) = climbed {
        return fail(reason);
    }
    if hash == *root { Ok(()) } else { fail("another root comes out") }
}

/// Checks that a leaf stands at `index` of the tree, within the subtree of these leaves that has this root.
///
/// # Errors
/// As [`verify_inclusion`]; [`Error::Proof`] for leaves that are no subtree, or another's.
pub fn verify_subtree_inclusion(
    index: u64,
    subtree: Range<u64>,
    leaf: &Digest,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), Error> {
    if !is_subtree(&subtree) || !subtree.contains(&index) {
        return Err(Error::Proof { what: "inclusion", reason: "the leaf is not in the subtree" });
    }
    verify_inclusion(index - subtree.start, subtree.end - subtree.start, leaf, proof, root)
}

/// On which side of the path a sibling stands.
enum Side {
    Left,
    Right,
}

/// From node `at` of a level whose last node is `last` up to the root, past each sibling, with the levels climbed so far
/// (RFC 9162 §2.1.3.2).
fn climb(
    mut at: u64,
    mut last: u64,
    proof: &[Digest],
    mut join: impl FnMut(&Digest, Side, u32),
) -> Result<(), &'static str> {
    let mut height = 0;
    for sibling in proof {
        if last == 0 {
            return Err("it is too long");
        }
        if at & 1 == 1 || at == last {
            join(sibling, Side::Left, height);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
                height += 1;
            }
        } else {
            join(sibling, Side::Right, height);
        }
        at >>= 1;
        last >>= 1;
        height += 1;
    }
    if last == 0 { Ok(()) } else { Err("it is too short") }
}

/// Checks that the tree of `old` leaves is the beginning of the tree of `size` leaves (RFC 9162 §2.1.4.2).
///
/// # Errors
/// [`Error::Proof`] when it is not, for an `old` of 0, and for a proof of another length.
pub fn verify_consistency(
    (old, old_root): (u64, &Digest),
    (size, root): (u64, &Digest),
    proof: &[Digest],
) -> Result<(), Error> {
    verify_subtree_consistency((0..old, old_root), (size, root), proof)
}

/// Checks that the subtree of these leaves with this root is one of the tree of `size` leaves
/// (draft-ietf-plants-merkle-tree-certs-03 §4.4.3).
///
/// # Errors
/// [`Error::Proof`] when it is not, for leaves that are no subtree of that tree, and for a proof of another length.
pub fn verify_subtree_consistency(
    (subtree, subtree_root): (Range<u64>, &Digest),
    (size, root): (u64, &Digest),
    proof: &[Digest],
) -> Result<(), Error> {
    let fail = |reason| Err(Error::Proof { what: "consistency", reason });
    match consistency_roots((subtree, subtree_root), size, proof) {
        Err(reason) => fail(reason),
        Ok((found, _)) if found != *subtree_root => fail("another old root comes out"),
        Ok((_, found)) if found != *root => fail("another root comes out"),
        Ok(_) => Ok(()),
    }
}

/// The roots of the subtree and of the tree that a consistency proof leads to. The first is the given one where the subtree is
/// itself a node of the tree: then it is not repeated in the proof.
pub(crate) fn consistency_roots(
    (subtree, subtree_root): (Range<u64>, &Digest),
    size: u64,
    proof: &[Digest],
) -> Result<(Digest, Digest), &'static str> {
    if !is_subtree(&subtree) || subtree.end > size {
        return Err("the leaves are no subtree of the tree");
    }
    let (first, last, end) = (subtree.start, subtree.end - 1, size - 1);
    // Up to where the subtree's last complete node stands alone, or to the whole subtree.
    let whole = u64::BITS - (first ^ last).leading_zeros();
    let up = if last == end { whole } else { whole.min(last.trailing_ones()) };
    let shifted = |n: u64| n.checked_shr(up).unwrap_or_default();
    let (first, last, end) = (shifted(first), shifted(last), shifted(end));
    let (begin, rest) = match first == last {
        true => (subtree_root, proof),
        false => proof.split_first().ok_or("it is too short")?,
    };
    let (mut inner, mut outer) = (*begin, *begin);
    climb(last, end, rest, |sibling, side, height| match side {
        Side::Left => {
            if first.checked_shr(height) < last.checked_shr(height) {
                inner = node_hash(sibling, &inner);
            }
            outer = node_hash(sibling, &outer);
        }
        Side::Right => outer = node_hash(&outer, sibling),
    })?;
    Ok((inner, outer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition of RFC 6962 §2.1, slow and obvious.
    fn mth(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let k = (1..).map(|bit| 1usize << bit).find(|k| *k >= leaves.len()).unwrap() / 2;
                node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
            }
        }
    }

    struct Leaves(Vec<Digest>);

    impl Nodes for Leaves {
        fn node(&self, height: u32, index: u64) -> Result<Digest, Error> {
            let start = (index << height) as usize;
            Ok(mth(&self.0[start..start + (1 << height)]))
        }
    }

    fn leaves(n: u64) -> Leaves {
        Leaves((0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect())
    }

    #[test]
    fn leaves_of_every_length_have_the_plain_hash() {
        let data: Vec<u8> = (0..600u32).map(|n| (n * 7) as u8).collect();
        for length in 0..data.len() {
            let plain = Sha256::new().chain_update([0]).chain_update(&data[..length]).finalize();
            assert_eq!(leaf_hash(&data[..length]).0, <[u8; 32]>::from(plain), "{length} bytes");
        }
    }

    #[test]
    fn a_full_subtree_is_given_when_its_last_leaf_comes() {
        let (mut frontier, leaves) = (Frontier::default(), leaves(40).0);
        for (leaf, n) in leaves.iter().zip(1..) {
            let ended = (n % 8 == 0).then(|| mth(&leaves[n - 8..n]));
            assert_eq!(frontier.push_ending(*leaf, 3), ended, "leaf {n}");
            assert_eq!(frontier.root(), mth(&leaves[..n]));
        }
    }

    #[test]
    fn roots_of_the_reference_tree() {
        // Inputs and roots of the reference implementation's tests (certificate-transparency, merkletree test data).
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Frontier::default();
        assert_eq!(tree.root().to_string(), roots[0]);
        for (input, root) in inputs.iter().zip(&roots[1..]) {
            tree.push(leaf_hash(input));
            assert_eq!(tree.root().to_string(), *root);
        }
    }

    #[test]
    fn every_proof_of_small_trees_verifies_and_no_other_does() {
        let all = leaves(33);
        for size in 1..=33 {
            let root = all.root_at(size).unwrap();
            assert_eq!(root, mth(&all.0[..size as usize]));
            for index in 0..size {
                let proof = inclusion_proof(&all, index, size).unwrap();
                let leaf = &all.0[index as usize];
                verify_inclusion(index, size, leaf, &proof, &root).unwrap();
                assert!(
                    verify_inclusion((index + 1) % size, size, leaf, &proof, &root).is_err() || size == 1
                );
                for cut in 0..proof.len() {
                    assert!(verify_inclusion(index, size, leaf, &proof[..cut], &root).is_err());
                }
                let longer = [&proof[..], &[root]].concat();
                assert!(verify_inclusion(index, size, leaf, &longer, &root).is_err());
            }
            for old in 1..=size {
                let old_root = all.root_at(old).unwrap();
                let proof = consistency_proof(&all, old, size).unwrap();
                verify_consistency((old, &old_root), (size, &root), &proof).unwrap();
                for at in 0..proof.len() {
                    let mut bad = proof.clone();
                    bad[at].0[7] ^= 1;
                    assert!(verify_consistency((old, &old_root), (size, &root), &bad).is_err());
                    assert!(verify_consistency((old, &old_root), (size, &root), &proof[..at]).is_err());
                }
            }
        }
    }

    #[test]
    fn every_subtree_of_small_trees_is_proved_and_no_other_root_is() {
        let all = leaves(21);
        for size in 1..=21u64 {
            let root = all.root_at(size).unwrap();
            for (start, end) in (0..size).flat_map(|start| (start..=size).map(move |end| (start, end))) {
                let proof = subtree_consistency_proof(&all, start..end, size);
                let (width, mut lowest) = (end - start, 1);
                while lowest < width {
                    lowest *= 2;
                }
                if width == 0 || start % lowest != 0 {
                    assert!(proof.is_err() && !is_subtree(&(start..end)));
                    continue;
                }
                let (proof, part) = (proof.unwrap(), mth(&all.0[start as usize..end as usize]));
                verify_subtree_consistency((start..end, &part), (size, &root), &proof).unwrap();
                let other = leaf_hash(b"other");
                assert!(verify_subtree_consistency((start..end, &other), (size, &root), &proof).is_err());
                assert!(verify_subtree_consistency((start..end, &part), (size, &other), &proof).is_err());
                for at in 0..proof.len() {
                    let mut bad = proof.clone();
                    bad[at].0[31] ^= 0x80;
                    assert!(verify_subtree_consistency((start..end, &part), (size, &root), &bad).is_err());
                    assert!(
                        verify_subtree_consistency((start..end, &part), (size, &root), &proof[..at]).is_err()
                    );
                }
                let longer = [&proof[..], &[root]].concat();
                assert!(verify_subtree_consistency((start..end, &part), (size, &root), &longer).is_err());
                for index in start..end {
                    let (path, leaf) =
                        (subtree_inclusion_proof(&all, index, start..end).unwrap(), &all.0[index as usize]);
                    verify_subtree_inclusion(index, start..end, leaf, &path, &part).unwrap();
                    assert!(verify_subtree_inclusion(index, start..end, &other, &path, &part).is_err());
                }
            }
        }
    }

    #[test]
    fn sizes_at_the_edge_do_not_overflow() {
        let root = empty_root();
        assert!(verify_inclusion(u64::MAX - 1, u64::MAX, &root, &[root; 64], &root).is_err());
        assert!(verify_consistency((u64::MAX - 1, &root), (u64::MAX, &root), &[root; 64]).is_err());
        assert!(verify_consistency((u64::MAX, &root), (u64::MAX, &root), &[]).is_ok());
        assert_eq!((split(2), split(3), split(4), split(5), split(u64::MAX)), (1, 2, 2, 4, 1 << 63));
    }

    proptest! {
        #[test]
        fn node_hash_equals_definition(left: [u8; 32], right: [u8; 32]) {
            let plain = Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize();
            prop_assert_eq!(node_hash(&Digest(left), &Digest(right)), Digest(plain.into()));
        }

        #[test]
        fn frontier_equals_definition(size in 0u64..200) {
            let all = leaves(size);
            let mut tree = Frontier::default();
            all.0.iter().for_each(|leaf| tree.push(*leaf));
            prop_assert_eq!(tree.root(), mth(&all.0));
        }
    }
}
