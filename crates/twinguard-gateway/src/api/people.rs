//! People who come with a token of an identity provider instead of a secret of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use twinguard::types::{Duration, Timestamp};

use crate::Error;
use crate::config::{IdentityProvider, Right, oidc_keys};
use crate::core::oidc::{Person, Provider, Refused};

/// The providers, by the files that were read last.
#[derive(Debug, Default)]
pub(crate) struct People(Vec<(Provider, BTreeMap<String, BTreeSet<Right>>)>);

impl People {
    /// Reads the keys.
    ///
    /// # Errors
    /// [`Error::Io`] with the file that cannot be used.
    pub(crate) fn read(providers: &[IdentityProvider]) -> Result<Self, Error> {
        let span =
            |it: std::time::Duration| Duration::from_nanos(i64::try_from(it.as_nanos()).unwrap_or(i64::MAX));
        let provider = |it: &IdentityProvider| {
            let keys = oidc_keys(&it.keys).map_err(|reason| {
                let (name, source) = (it.keys.display().to_string(), io::Error::other(reason));
                Error::Io { what: "cannot use", name, source }
            })?;
            let roles = it.groups.iter().filter_map(|group| Some((group.name.clone(), group.role.clone()?)));
            let rights = it.groups.iter().map(|group| (group.name.clone(), group.may.clone()));
            let provider = Provider {
                issuer: it.issuer.clone(),
                audiences: it.audiences.clone(),
                algorithms: it.algorithms.clone(),
                leeway: span(it.leeway),
                max_age: it.max_age.map(span),
                authorized_parties: it.authorized_parties.clone(),
                name_claim: it.name_claim.clone(),
                prefix: it.prefix.clone(),
                groups_claim: it.groups_claim.clone(),
                roles: roles.collect(),
                keys,
            };
            Ok((provider, rights.collect()))
        };
        providers.iter().map(provider).collect::<Result<_, Error>>().map(Self)
    }

    /// Who a token names, and what they may.
    ///
    /// # Errors
    /// What is wrong with it, where it could have been one of these providers.
    pub(super) fn verify(
        &self,
        now: Timestamp,
        token: &str,
    ) -> Result<(Person, BTreeSet<Right>), Option<String>> {
        // Anything else is a secret that nobody holds.
        if token.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return Err(None);
        }
        let mut reason: Option<Refused> = None;
        for (provider, rights) in &self.0 {
            match provider.verify(now, token, None) {
                Ok(person) => {
                    let may = person.groups.iter().filter_map(|group| rights.get(group)).flatten();
                    let may = may.copied().collect();
                    return Ok((person, may));
                }
                // The provider that comes nearest says most.
                Err(refused) if refused.tells_more() || reason.is_none() => reason = Some(refused),
                Err(_) => {}
            }
        }
        Err(reason.map(|it| it.to_string()))
    }
}
