macro_rules! id {
    ($(#[$meta:meta])* $name:ident($inner:ty)) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
        pub struct $name(pub $inner);

        impl $name {
            /// The id as an index into a table that is ordered by id.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A signal, interned by a [`Catalogue`](crate::Catalogue): dense from 0.
    SignalId(u32)
);
id!(
    /// An asset, interned by a [`Catalogue`](crate::Catalogue): dense from 0.
    AssetId(u32)
);
id!(
    /// A principal, interned by [`Principals`](crate::Principals): dense from 0.
    PrincipalId(u32)
);
id!(
    /// A detector's place in its registry.
    DetectorId(u16)
);
id!(
    /// A command, unique within one guard.
    CommandId(u64)
);
id!(
    /// An action, unique within one guard.
    ActionId(u64)
);
id!(
    /// A finding, unique within one guard; revisions of one finding share it.
    FindingId(u64)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_index_and_print_as_numbers() {
        assert_eq!(SignalId(7).index(), 7);
        assert_eq!(CommandId(12).to_string(), "12");
    }
}
