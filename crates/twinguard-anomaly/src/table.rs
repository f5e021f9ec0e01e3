//! A map with a fixed number of places, kept as a sorted list: no allocation after it is made, fixed order.

use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};

/// A bounded map. When it is full, new keys are refused, so memory stays what it was.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    entries: Vec<(K, V)>,
    capacity: usize,
}

impl<K: Ord + Copy, V> Table<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity), capacity }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|place| &self.entries[place].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(key).ok().map(|place| &mut self.entries[place].1)
    }

    /// The value of the key, made when it is new; `None` when the table is full.
    pub(crate) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> Option<&mut V> {
        let place = match self.place(&key) {
            Ok(place) => place,
            Err(_) if self.entries.len() >= self.capacity => return None,
            Err(place) => {
                self.entries.insert(place, (key, make()));
                place
            }
        };
        Some(&mut self.entries[place].1)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn place(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(held, _)| held.cmp(key))
    }
}

impl<K: Archive, V: Archive> Archive for Table<K, V> {
    fn save(&self, writer: &mut Writer) {
        self.capacity.save(writer);
        self.entries.len().save(writer);
        for (key, value) in &self.entries {
            key.save(writer);
            value.save(writer);
        }
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let capacity = usize::load(reader)?;
        let loaded = Vec::<(K, V)>::load(reader)?;
        if capacity > 1 << 20 || loaded.len() > capacity {
            return Err(reader.refuse("a table is larger than its bound"));
        }
        let mut entries = Vec::with_capacity(capacity);
        entries.extend(loaded);
        Ok(Self { entries, capacity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_refuses_new_keys_and_keeps_old_ones() {
        let mut table = Table::new(2);
        *table.entry(5, || 0).unwrap() += 1;
        *table.entry(1, || 10).unwrap() += 1;
        assert!(table.entry(3, || 0).is_none());
        assert_eq!((table.get(&5), table.get(&1), table.get(&3)), (Some(&1), Some(&11), None));
    }
}
