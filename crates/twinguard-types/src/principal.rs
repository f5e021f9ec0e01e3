use std::collections::BTreeMap;

use crate::{Error, PrincipalId};

/// What kind of actor a principal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program: the vendor's platform, a historian.
    Service,
    /// A controller or field device.
    Device,
    /// This guard.
    Guard,
    /// Known by its address alone.
    #[default]
    Unknown,
}

/// An actor that reads, writes or logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Principal {
    /// Its unique name: an account, a SPIFFE id, or an address where nothing better is known.
    pub name: Box<str>,
    /// What it is.
    pub kind: PrincipalKind,
    /// The roles it holds, sorted.
    pub roles: Vec<Box<str>>,
}

impl Principal {
    /// A principal of unknown kind without roles.
    #[must_use]
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), kind: PrincipalKind::Unknown, roles: Vec::new() }
    }

    /// Sets the kind.
    #[must_use]
    pub fn kind(mut self, kind: PrincipalKind) -> Self {
        self.kind = kind;
        self
    }

    /// Adds a role.
    #[must_use]
    pub fn role(mut self, role: impl Into<Box<str>>) -> Self {
        self.roles.push(role.into());
        self.roles.sort();
        self.roles.dedup();
        self
    }

    /// Whether it holds the role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| &**held == role)
    }
}

/// The table of principals: names to dense ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principals {
    entries: Vec<Principal>,
    by_name: BTreeMap<Box<str>, PrincipalId>,
}

impl Principals {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of the principal, entering it when its name is new. A known name keeps its kind and roles.
    ///
    /// # Errors
    /// [`Error::Full`] after 2³² principals.
    pub fn intern(&mut self, principal: Principal) -> Result<PrincipalId, Error> {
        if let Some(id) = self.by_name.get(&principal.name) {
            return Ok(*id);
        }
        let id = PrincipalId(u32::try_from(self.entries.len()).map_err(|_| Error::Full)?);
        self.by_name.insert(principal.name.clone(), id);
        self.entries.push(principal);
        Ok(id)
    }

    /// The id of the principal, whose kind and roles from now on are these; it is entered when its name is new.
    ///
    /// ```
    /// use twinguard_types::{Principal, Principals};
    ///
    /// let mut known = Principals::new();
    /// let anna = known.intern(Principal::new("anna").role("operator"))?;
    /// assert_eq!(known.revise(Principal::new("anna").role("auditor"))?, anna);
    /// assert!(!known.get(anna).unwrap().has_role("operator"));
    /// # Ok::<(), twinguard_types::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Principals::intern`].
    pub fn revise(&mut self, principal: Principal) -> Result<PrincipalId, Error> {
        if let Some(id) = self.by_name.get(&principal.name).copied() {
            if let Some(entry) = self.entries.get_mut(id.index()) {
                *entry = principal;
            }
            return Ok(id);
        }
        self.intern(principal)
    }

    /// The id of a name.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<PrincipalId> {
        self.by_name.get(name).copied()
    }

    /// The principal behind an id.
    #[must_use]
    pub fn get(&self, id: PrincipalId) -> Option<&Principal> {
        self.entries.get(id.index())
    }

    /// All principals in order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (PrincipalId, &Principal)> {
        self.entries.iter().enumerate().map(|(index, principal)| (PrincipalId(index as u32), principal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_keeps_its_id_and_roles() {
        let mut table = Principals::new();
        let id =
            table.intern(Principal::new("plc-1").kind(PrincipalKind::Device).role("controller")).unwrap();
        assert_eq!(table.intern(Principal::new("plc-1")).unwrap(), id);
        assert!(table.get(id).unwrap().has_role("controller"));
        assert_eq!(table.id("plc-2"), None);
    }
}
