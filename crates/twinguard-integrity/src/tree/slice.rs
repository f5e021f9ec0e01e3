//! Trees and parts of files as bytes, in the format of bao.
//!
//! Eight bytes of length, little-endian, then the tree in pre-order: each parent as its two children's values, each group as its
//! bytes. An outboard tree has no groups; a slice only has what covers its range, the last group always included when the range
//! lies behind the end.
//!
//! Source: bao 0.13 `docs/spec.md`, "Combined Encoding Format", "Outboard Encoding Format", "Slice Format"; BLAKE3
//! specification §2.1.

use blake3::hazmat::left_subtree_len;
use core::ops::Range;
use twinguard_types::Digest;

use super::{Group, Tree, bad, group_value, merge, merge_root};
use crate::Error;
use crate::cursor::Cursor;
use crate::levels::Value;

/// Deeper than any tree of 2⁶⁴ bytes.
const MOST_DEPTH: u8 = 64;

/// The range as its slice covers it: at least one byte, and within the file where it has any.
fn clamp(range: Range<u64>, length: u64) -> Range<u64> {
    let start = range.start.min(length.saturating_sub(1));
    start..range.end.max(range.start.saturating_add(1)).max(start.saturating_add(1))
}

/// Where the left child of a subtree ends. Subtrees begin at multiples of their own size, so lengths alone tell.
fn left_of(length: u64) -> u64 {
    left_subtree_len(length)
}

impl Tree {
    /// The tree without the file, in bao's outboard format. With `rest` of the file it verifies, see [`super::Verified`].
    #[must_use]
    pub fn to_outboard(&self) -> Vec<u8> {
        let mut out = self.length.to_le_bytes().to_vec();
        self.parents(0..self.length, &mut |pair| out.extend_from_slice(pair.as_flattened()));
        out
    }

    fn parents(&self, span: Range<u64>, show: &mut dyn FnMut(&[Value; 2])) {
        let length = span.end - span.start;
        if length <= self.group.bytes() as u64 {
            return;
        }
        let middle = span.start + left_of(length);
        if let (Some(left), Some(right)) = (self.value(span.start..middle), self.value(middle..span.end)) {
            show(&[left, right]);
        }
        self.parents(span.start..middle, show);
        self.parents(middle..span.end, show);
    }

    /// The value of a subtree: in the row of its height, where a node without a partner moves up unchanged.
    fn value(&self, span: Range<u64>) -> Option<Value> {
        let groups = self.group.count(span.end - span.start);
        let row = groups.next_power_of_two().trailing_zeros();
        let index = (span.start >> self.group.0) >> row;
        self.node(row as usize, usize::try_from(index).ok()?).copied()
    }

    /// Reads an outboard tree, and believes it as far as it leads to the root.
    ///
    /// # Errors
    /// [`Error::Slice`] when it ends early or late or does not lead to the root. A tree of one group has no node: its group's
    /// content is then checked with the root alone.
    pub fn from_outboard(bytes: &[u8], group: Group, root: &Digest) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        let length = cursor.array().map(u64::from_le_bytes).ok_or(bad("it ends early"))?;
        // Two values stand for each parent: a false length cannot make us reserve more than the input's own size.
        let groups = group.count(length);
        if (groups - 1).checked_mul(64) != Some(cursor.rest().len() as u64) {
            return Err(bad("its length is not that of its tree"));
        }
        if groups == 1 {
            let levels = crate::levels::Levels::new(vec![root.0], merge);
            return Ok(Self { group, length, levels, root: *root });
        }
        let mut leaves = Vec::with_capacity(usize::try_from(groups).unwrap_or_default());
        read_parents(&mut cursor, group, length, None, root, &mut leaves, MOST_DEPTH)?;
        Ok(Self::from_values(leaves, length, group))
    }
}

fn parent(cursor: &mut Cursor<'_>, expected: Option<&Value>, root: &Digest) -> Result<[Value; 2], Error> {
    let left: Value = cursor.array().ok_or(bad("it ends early"))?;
    let right: Value = cursor.array().ok_or(bad("it ends early"))?;
    let same = match expected {
        Some(expected) => merge(&left, &right) == *expected,
        None => merge_root(&left, &right) == *root,
    };
    if same { Ok([left, right]) } else { Err(bad("a node does not lead to the root")) }
}

fn read_parents(
    cursor: &mut Cursor<'_>,
    group: Group,
    length: u64,
    expected: Option<&Value>,
    root: &Digest,
    leaves: &mut Vec<Value>,
    depth: u8,
) -> Result<(), Error> {
    if length <= group.bytes() as u64 {
        leaves.push(expected.copied().unwrap_or(root.0));
        return Ok(());
    }
    let below = depth.checked_sub(1).ok_or(bad("it is too deep"))?;
    let [left, right] = parent(cursor, expected, root)?;
    let middle = left_of(length);
    read_parents(cursor, group, middle, Some(&left), root, leaves, below)?;
    read_parents(cursor, group, length - middle, Some(&right), root, leaves, below)
}

/// The part of a file that covers `range`, with what proves it; `0..u64::MAX` gives the whole file, bao's combined encoding.
///
/// # Errors
/// [`Error::Slice`] when `file` is not of the tree's length.
pub fn slice(tree: &Tree, file: &[u8], range: Range<u64>) -> Result<Vec<u8>, Error> {
    if file.len() as u64 != tree.length {
        return Err(bad("the file is not of its tree's length"));
    }
    let mut out = tree.length.to_le_bytes().to_vec();
    write(tree, file, 0..tree.length, &clamp(range, tree.length), &mut out);
    Ok(out)
}

fn write(tree: &Tree, file: &[u8], span: Range<u64>, range: &Range<u64>, out: &mut Vec<u8>) {
    let length = span.end - span.start;
    if length > 0 && (span.end <= range.start || span.start >= range.end) {
        return;
    }
    if length <= tree.group.bytes() as u64 {
        out.extend_from_slice(file.get(span.start as usize..span.end as usize).unwrap_or_default());
        return;
    }
    let middle = span.start + left_of(length);
    if let (Some(left), Some(right)) = (tree.value(span.start..middle), tree.value(middle..span.end)) {
        out.extend_from_slice([left, right].as_flattened());
    }
    write(tree, file, span.start..middle, range, out);
    write(tree, file, middle..span.end, range, out);
}

/// The bytes of `range` out of a slice, checked against the root; the file's length as well.
///
/// # Errors
/// [`Error::Slice`] for a slice that does not lead to the root, or is of another range.
pub fn open_slice(slice: &[u8], range: Range<u64>, group: Group, root: &Digest) -> Result<Vec<u8>, Error> {
    let mut cursor = Cursor::new(slice);
    let length = cursor.array().map(u64::from_le_bytes).ok_or(bad("it ends early"))?;
    let cover = clamp(range.clone(), length);
    let mut out = Vec::new();
    read(
        &mut cursor,
        group,
        0..length,
        &cover,
        None,
        root,
        &mut |start, bytes| {
            // What covers the range is cut to it.
            let from = range.start.saturating_sub(start).min(bytes.len() as u64);
            let to = range.end.saturating_sub(start).min(bytes.len() as u64);
            out.extend_from_slice(bytes.get(from as usize..to as usize).unwrap_or_default());
        },
        MOST_DEPTH,
    )?;
    if cursor.is_empty() { Ok(out) } else { Err(bad("bytes follow it")) }
}

#[expect(clippy::too_many_arguments, reason = "one recursion, its state spelled out")]
fn read(
    cursor: &mut Cursor<'_>,
    group: Group,
    span: Range<u64>,
    cover: &Range<u64>,
    expected: Option<&Value>,
    root: &Digest,
    show: &mut dyn FnMut(u64, &[u8]),
    depth: u8,
) -> Result<(), Error> {
    let length = span.end - span.start;
    if length > 0 && (span.end <= cover.start || span.start >= cover.end) {
        return Ok(());
    }
    if length <= group.bytes() as u64 {
        let bytes = cursor.take(length as usize).ok_or(bad("it ends early"))?;
        let same = match expected {
            Some(expected) => group_value(span.start, bytes) == *expected,
            None => *blake3::hash(bytes).as_bytes() == root.0,
        };
        if !same {
            return Err(Error::Slice { group: span.start >> group.0, reason: "its content was changed" });
        }
        show(span.start, bytes);
        return Ok(());
    }
    let below = depth.checked_sub(1).ok_or(bad("it is too deep"))?;
    let [left, right] = parent(cursor, expected, root)?;
    let middle = span.start + left_of(length);
    read(cursor, group, span.start..middle, cover, Some(&left), root, show, below)?;
    read(cursor, group, middle..span.end, cover, Some(&right), root, show, below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n * 7 % 253) as u8).collect()
    }

    #[test]
    fn no_bit_of_a_slice_or_outboard_can_be_flipped() {
        let file = file(5000);
        let tree = Tree::of(&file, Group::CHUNK);
        let bytes = slice(&tree, &file, 1500..2500).unwrap();
        assert_eq!(open_slice(&bytes, 1500..2500, Group::CHUNK, &tree.root()).unwrap(), file[1500..2500]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // The length is proved by the last group alone: a slice that lacks it does not prove the length.
            if let Ok(found) = open_slice(&flipped, 1500..2500, Group::CHUNK, &tree.root()) {
                assert!(bit < 64 && found == file[1500..2500], "bit {bit}");
            }
        }
        let outboard = tree.to_outboard();
        assert_eq!(Tree::from_outboard(&outboard, Group::CHUNK, &tree.root()).unwrap(), tree);
        for bit in 64..outboard.len() * 8 {
            let mut flipped = outboard.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Tree::from_outboard(&flipped, Group::CHUNK, &tree.root()).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn slices_hold_what_was_asked_for(length in 0usize..30_000, a in 0u64..40_000, b in 0u64..40_000, log in 10u8..15) {
            let (file, group) = (file(length), Group::new(log).unwrap());
            let tree = Tree::of(&file, group);
            let bytes = slice(&tree, &file, a..b).unwrap();
            let end = (b.max(a) as usize).min(length);
            prop_assert_eq!(open_slice(&bytes, a..b, group, &tree.root()).unwrap(), &file[(a as usize).min(end)..end]);
            prop_assert_eq!(&Tree::from_outboard(&tree.to_outboard(), group, &tree.root()).unwrap(), &tree);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Tree::from_outboard(&bytes, Group::CHUNK, &Digest([1; 32])).is_err() || bytes.len() == 8);
            prop_assert!(open_slice(&bytes, 0..100, Group::CHUNK, &Digest([1; 32])).is_err());
        }
    }
}
