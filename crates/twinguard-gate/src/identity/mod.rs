//! Who speaks: the plant file's parties and zones, found by network address.
//!
//! Source: NIST SP 800-207 §3.1 (identity is established per request, not per segment); IEC 62443-3-3 SR 1.2
//! (identification of software processes and devices). An address is the weakest identity there is: it is what a
//! passive tap can see, and nothing more is claimed for it.

#[cfg(feature = "biscuit")]
pub mod biscuit;
mod credential;
mod token;
mod trust;

use core::net::IpAddr;

use twinguard_twin::plant::{Network, Plant};
use twinguard_types::{Principal, PrincipalKind};

pub use credential::{Credential, Credentials, Expiry, Proof, Standing};
pub use token::{Caveat, Token, TokenKey, Use};
pub use trust::{Demand, Trust, TrustConfig};

/// The table of known parties and zones.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    named: Vec<Principal>,
    parties: Vec<(Network, Principal)>,
    zones: Vec<(Network, String)>,
}

impl Identities {
    /// The parties and zones of a plant file.
    #[must_use]
    pub fn from_plant(plant: &Plant) -> Self {
        let parties = plant
            .parties
            .iter()
            .flat_map(|party| party.networks.iter().map(|network| (*network, party.principal.clone())))
            .collect();
        let zones = plant
            .zones
            .iter()
            .flat_map(|zone| zone.networks.iter().map(|network| (*network, zone.name.clone())))
            .collect();
        let named = plant.parties.iter().map(|party| party.principal.clone()).collect();
        Self { named, parties, zones }
    }

    /// Who speaks from an address: the party with the narrowest network that holds it, else the address itself.
    #[must_use]
    pub fn identify(&self, address: IpAddr) -> Principal {
        self.parties
            .iter()
            .filter(|(network, _)| network.contains(address))
            .max_by_key(|(network, _)| network.prefix())
            .map_or_else(
                || Principal::new(address.to_string()).kind(PrincipalKind::Unknown),
                |(_, party)| party.clone(),
            )
    }

    /// The party of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Principal> {
        self.named.iter().find(|party| &*party.name == name)
    }

    /// The zones that an address lies in.
    pub fn zones(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        self.zones.iter().filter(move |(network, _)| network.contains(address)).map(|(_, zone)| zone.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_network_names_the_party() {
        let text = r#"
            format = 1
            name = "p"
            [[principal]]
            name = "plc"
            kind = "device"
            roles = ["controller"]
            addresses = ["10.0.0.10"]
            [[principal]]
            name = "cell"
            addresses = ["10.0.0.0/24"]
        "#;
        let plant = Plant::parse(text, "plant.toml").unwrap();
        let identities = Identities::from_plant(&plant);
        assert_eq!(&*identities.identify("10.0.0.10".parse().unwrap()).name, "plc");
        assert_eq!(&*identities.identify("10.0.0.11".parse().unwrap()).name, "cell");
        assert_eq!(&*identities.identify("10.0.1.1".parse().unwrap()).name, "10.0.1.1");
    }
}
