//! Who is known by which number.

use twinguard_gate::Identities;
use twinguard_twin::Plant;
use twinguard_types::{Command, Principal, PrincipalId, PrincipalKind, Principals};

use super::Guard;
use crate::Error;

/// Name under which our own commands are issued.
const OWN_NAME: &str = "twinguard";
/// Addresses beyond the limit share one number.
const STRANGERS: &str = "*";
/// Principals that are known one by one.
const LIMIT: usize = 16_384;

/// The guard itself, the plant file's parties, whom the platform names, who was met on the wire.
#[derive(Clone, Debug)]
pub(super) struct Parties {
    table: Principals,
    own: PrincipalId,
    strangers: PrincipalId,
}

impl Parties {
    pub(super) fn of(plant: &Plant) -> Result<Self, Error> {
        Self::new(plant.parties.iter().map(|party| party.principal.clone()))
    }

    /// These, after the guard itself and those who are not known one by one.
    pub(super) fn new(parties: impl IntoIterator<Item = Principal>) -> Result<Self, Error> {
        let mut table = Principals::new();
        let full = |_| Error::Principals { limit: LIMIT };
        let own = table.intern(Principal::new(OWN_NAME).kind(PrincipalKind::Guard)).map_err(full)?;
        let strangers = table.intern(Principal::new(STRANGERS)).map_err(full)?;
        let mut parties_of = Self { table, own, strangers };
        for party in parties {
            parties_of.enter(party)?;
        }
        Ok(parties_of)
    }

    pub(super) const fn own(&self) -> PrincipalId {
        self.own
    }

    /// Enters somebody; a known name keeps its number.
    fn enter(&mut self, principal: Principal) -> Result<PrincipalId, Error> {
        let known = self.table.id(&principal.name);
        if known.is_none() && self.table.iter().len() >= LIMIT {
            return Err(Error::Principals { limit: LIMIT });
        }
        self.table.intern(principal).map_err(|_| Error::Principals { limit: LIMIT })
    }

    /// Enters somebody whose kind and roles are from now on these.
    fn revise(&mut self, principal: Principal) -> Result<PrincipalId, Error> {
        if self.table.id(&principal.name).is_none() {
            return self.enter(principal);
        }
        self.table.revise(principal).map_err(|_| Error::Principals { limit: LIMIT })
    }

    /// The number of somebody who was met on the wire.
    pub(super) fn met(&mut self, principal: Principal) -> PrincipalId {
        self.enter(principal).unwrap_or(self.strangers)
    }

    pub(super) fn all(&self) -> impl ExactSizeIterator<Item = (PrincipalId, &Principal)> {
        self.table.iter()
    }
}

impl Guard {
    /// The number of a principal, for [`Command::principal`], [`Approval`](crate::Approval) and
    /// [`Access`](twinguard_types::Access); one that is new is entered.
    ///
    /// The plant file's parties are known from the start, and what the file says of their kind and roles counts. Of
    /// anybody else it counts what was said here last: whoever calls this has to know who logged in. Without roles it is only a name,
    /// and what is known of it stays.
    ///
    /// ```
    /// use twinguard::{Guard, twin::Plant, types::Principal};
    ///
    /// let plant = Plant::parse("format = 1\nname = \"tank\"\n[[signal]]\npath = \"level\"\n", "plant.toml")?;
    /// let mut guard = Guard::builder_unsealed(plant).build()?;
    /// let anna = guard.principal(Principal::new("anna").role("operator"))?;
    /// assert_eq!(guard.principal(Principal::new("anna"))?, anna);
    /// # Ok::<(), twinguard::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Principals`] for more than a guard tells apart, [`Error::Reserved`] for the guard's own name or kind.
    pub fn principal(&mut self, principal: Principal) -> Result<PrincipalId, Error> {
        if principal.kind == PrincipalKind::Guard || [OWN_NAME, STRANGERS].contains(&&*principal.name) {
            return Err(Error::Reserved { name: principal.name.into() });
        }
        if principal.roles.is_empty() || self.identities().named(&principal.name).is_some() {
            return self.parties.enter(principal);
        }
        self.parties.revise(principal)
    }

    /// The number of somebody whose kind and roles were proved just now, by a token of an identity provider for one: they count from
    /// now on, none as well as some. Of the plant file's parties what that file says counts.
    ///
    /// ```
    /// use twinguard::{Guard, twin::Plant, types::{Principal, PrincipalKind}};
    ///
    /// let plant = Plant::parse("format = 1\nname = \"tank\"\n[[signal]]\npath = \"level\"\n", "plant.toml")?;
    /// let mut guard = Guard::builder_unsealed(plant).build()?;
    /// let sam = || Principal::new("sam").kind(PrincipalKind::User);
    /// let id = guard.proved_principal(sam().role("operator"))?;
    /// assert_eq!(guard.proved_principal(sam())?, id);
    /// assert!(guard.principals().all(|(_, known)| !known.has_role("operator")));
    /// assert!(guard.proved_principal(Principal::new("sam").kind(PrincipalKind::Device)).is_err());
    /// # Ok::<(), twinguard::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Guard::principal`], and [`Error::Reserved`] for a name that is known as another kind's: a person is no device because they
    /// are called like one.
    pub fn proved_principal(&mut self, principal: Principal) -> Result<PrincipalId, Error> {
        let of_plant = self.identities().named(&principal.name).map(|party| party.kind);
        let met = self.parties.table.id(&principal.name).and_then(|id| self.parties.table.get(id));
        let known = of_plant.or_else(|| met.map(|party| party.kind));
        if known.is_some_and(|kind| kind != principal.kind) {
            return Err(Error::Reserved { name: principal.name.into() });
        }
        let id = self.principal(principal.clone())?;
        if of_plant.is_none() { self.parties.revise(principal) } else { Ok(id) }
    }

    /// Everybody who is known, with their numbers.
    pub fn principals(&self) -> impl ExactSizeIterator<Item = (PrincipalId, &Principal)> {
        self.parties.all()
    }

    /// The one behind a number that the platform gave, unless it is the guard itself; of the plant file's parties what
    /// the file in force says of them.
    pub(super) fn known(&self, id: PrincipalId) -> Option<Principal> {
        let known = self
            .parties
            .table
            .get(id)
            .filter(|_| ![self.parties.own, self.parties.strangers].contains(&id))?;
        Some(self.identities().named(&known.name).unwrap_or(known).clone())
    }

    /// Who commands. What a channel proves says more than an address, and an address more than a number that anybody may
    /// choose.
    pub(super) fn commander(&self, command: &Command) -> Principal {
        if let Some(channel) = self.channel_of(command) {
            return self.peer(channel);
        }
        match command.from {
            Some(from) => self.identities().identify(from.ip()),
            None => self.known(command.principal).unwrap_or_else(|| Principal::new("unknown")),
        }
    }

    pub(super) fn own_principal() -> Principal {
        Principal::new(OWN_NAME).kind(PrincipalKind::Guard)
    }

    fn identities(&self) -> &Identities {
        self.gate.identities()
    }
}
