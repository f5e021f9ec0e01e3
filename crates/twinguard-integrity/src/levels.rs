//! Rows of a binary hash tree, each half as long as the one below: what a change, a proof and a root need.
//!
//! A row's last node without a partner moves up as it is. With that rule the tree over n leaves is the one in which every left
//! subtree is the largest power of two below n: the tree of BLAKE3 (specification §2.1) and of RFC 9162 §2.1.1.

/// A node's value.
pub(crate) type Value = [u8; 32];

/// All rows, from the leaves up to the row of at most two nodes. What the root makes of those is its owner's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Levels(Vec<Vec<Value>>);

impl Default for Levels {
    /// No leaf.
    fn default() -> Self {
        Self(vec![Vec::new()])
    }
}

impl Levels {
    pub(crate) fn new(leaves: Vec<Value>, merge: impl Fn(&Value, &Value) -> Value) -> Self {
        let mut rows = vec![leaves];
        while let Some(row) = rows.last().filter(|row| row.len() > 2) {
            let above = row.chunks(2).map(|pair| match pair {
                [left, right] => merge(left, right),
                [alone] => *alone,
                _ => Value::default(),
            });
            let above = above.collect();
            rows.push(above);
        }
        Self(rows)
    }

    /// How many leaves.
    pub(crate) fn len(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    pub(crate) fn leaf(&self, index: usize) -> Option<&Value> {
        self.0.first()?.get(index)
    }

    /// The one or two nodes below the root.
    pub(crate) fn top(&self) -> &[Value] {
        self.0.last().map(Vec::as_slice).unwrap_or_default()
    }

    /// A node of a row, counted from the leaves.
    pub(crate) fn node(&self, row: usize, index: usize) -> Option<&Value> {
        self.0.get(row)?.get(index)
    }

    /// Replaces a leaf and what stands above it. `false` when there is no such leaf.
    pub(crate) fn set(
        &mut self,
        mut index: usize,
        leaf: Value,
        merge: impl Fn(&Value, &Value) -> Value,
    ) -> bool {
        let mut value = leaf;
        for row in 0..self.0.len() {
            let Some(nodes) = self.0.get_mut(row) else { return false };
            match nodes.get_mut(index) {
                Some(slot) => *slot = value,
                None => return false,
            }
            let pair = (nodes.get(index & !1), nodes.get(index | 1));
            value = match pair {
                (Some(left), Some(right)) => merge(left, right),
                _ => value,
            };
            index /= 2;
        }
        true
    }

    /// The nodes beside the way from a leaf to the top, from below.
    pub(crate) fn siblings(&self, mut index: usize) -> Vec<Value> {
        let mut siblings = Vec::with_capacity(self.0.len());
        for row in &self.0 {
            siblings.extend(row.get(index ^ 1));
            index /= 2;
        }
        siblings
    }
}

/// The one or two nodes below the root that a leaf and its siblings lead to; `None` for too few or too many siblings.
pub(crate) fn climb(
    mut index: u64,
    mut count: u64,
    leaf: Value,
    siblings: &[Value],
    merge: impl Fn(&Value, &Value) -> Value,
) -> Option<(Value, Option<Value>)> {
    if index >= count {
        return None;
    }
    let mut siblings = siblings.iter();
    let mut value = leaf;
    while count > 2 {
        if index % 2 == 1 {
            value = merge(siblings.next()?, &value);
        } else if index + 1 < count {
            value = merge(&value, siblings.next()?);
        }
        index /= 2;
        count = count.div_ceil(2);
    }
    let top = match (count, index) {
        (1, _) => (value, None),
        (_, 0) => (value, Some(*siblings.next()?)),
        _ => (*siblings.next()?, Some(value)),
    };
    siblings.next().is_none().then_some(top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn merge(left: &Value, right: &Value) -> Value {
        *blake3::hash(&[left.as_slice(), right].concat()).as_bytes()
    }

    proptest! {
        #[test]
        fn every_leaf_leads_to_the_top_and_changes_are_those_of_a_new_tree(count in 1usize..70, at in 0usize..70) {
            let at = at % count;
            let mut leaves: Vec<Value> = (0..count).map(|n| [n as u8; 32]).collect();
            let mut levels = Levels::new(leaves.clone(), merge);
            let found = climb(at as u64, count as u64, leaves[at], &levels.siblings(at), merge).unwrap();
            let top = levels.top();
            prop_assert_eq!(found, (top[0], top.get(1).copied()));
            prop_assert!(climb(at as u64, count as u64, leaves[at], &[levels.siblings(at), vec![[0; 32]]].concat(), merge).is_none());
            leaves[at] = [255; 32];
            prop_assert!(levels.set(at, [255; 32], merge));
            prop_assert_eq!(levels, Levels::new(leaves, merge));
        }
    }
}
