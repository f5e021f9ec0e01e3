//! What is asked, as Cedar is asked it.

use core::net::IpAddr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, Response,
    RestrictedExpression,
};
use twinguard_twin::plant::Verb;
use twinguard_types::{Principal, PrincipalKind, SignalId, Timestamp};

use super::condition::{address_text, value_text};
use super::{ACTION, GUARD, PARTY, ROLE, SIGNAL, Translation, ZONE, refuse};
use crate::Error;
use crate::policy::{Channel, Zone};

/// A request with everything that rules may look at.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// From which address.
    pub from: Option<IpAddr>,
    /// When.
    pub at: Timestamp,
    /// The target.
    pub signal: SignalId,
    /// What is to be done to it.
    pub verb: Verb,
    /// The value, of a write.
    pub value: f64,
    /// The plant's mode.
    pub mode: &'a str,
    /// By which channel it comes.
    pub channel: Channel,
    /// Names of the rules whose commands of this minute are used up.
    pub exhausted: &'a [&'a str],
}

impl Translation {
    /// The request and the entities that go with it.
    ///
    /// # Errors
    /// [`Error::UnknownSignal`] for a signal that the catalogue does not have; [`Error::Cedar`] when Cedar takes a name,
    /// an address or a value for none.
    pub fn request(&self, asked: &Asked<'_>) -> Result<(Request, Entities), Error> {
        let bad = |error: &dyn core::fmt::Display| refuse("request", error);
        let path =
            self.path(asked.signal).ok_or_else(|| Error::UnknownSignal { rule: "request".to_owned() })?;
        let kind = if asked.principal.kind == PrincipalKind::Guard { GUARD } else { PARTY };
        let principal = uid(kind, &asked.principal.name)?;
        let roles: &[_] = if kind == PARTY { &asked.principal.roles } else { &[] };
        let roles = roles.iter().map(|role| uid(ROLE, role)).collect::<Result<_, Error>>()?;
        let party = Entity::new_no_attrs(principal.clone(), roles);
        let entities =
            self.entities.clone().upsert_entities([party], Some(&self.schema)).map_err(|it| bad(&it))?;

        let (weekday, minute) = clock(asked.at);
        let set = |names: &mut dyn Iterator<Item = &str>| {
            RestrictedExpression::new_set(names.map(|name| RestrictedExpression::new_string(name.to_owned())))
        };
        let inside = |zone: &&Zone| {
            asked.from.is_some_and(|from| zone.networks.iter().any(|network| network.contains(from)))
        };
        let mut facts = vec![
            ("weekday", RestrictedExpression::new_long(weekday)),
            ("minute", RestrictedExpression::new_long(minute)),
            ("mode", RestrictedExpression::new_string(asked.mode.to_owned())),
            ("zones", set(&mut self.zones.iter().filter(inside).map(|zone| zone.name.as_str()))),
            ("authenticated", RestrictedExpression::new_bool(asked.channel.authenticated)),
            ("encrypted", RestrictedExpression::new_bool(asked.channel.encrypted)),
            ("exhausted", set(&mut asked.exhausted.iter().copied())),
        ];
        if let Some(from) = asked.from {
            facts.push(("from", RestrictedExpression::new_ip(address_text(from.to_canonical()))));
        }
        if let (Verb::Write, Some(value)) = (asked.verb, value_text(asked.value)) {
            facts.push(("value", RestrictedExpression::new_decimal(value)));
        }
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value));
        let context = Context::from_pairs(facts).map_err(|it| bad(&it))?;
        let action = uid(ACTION, asked.verb.word())?;
        let request = Request::new(principal, action, uid(SIGNAL, path)?, context, Some(&self.schema))
            .map_err(|it| bad(&it))?;
        Ok((request, entities))
    }

    /// What Cedar's authorizer answers, with the policies that decided by their ids.
    ///
    /// # Errors
    /// As [`Translation::request`].
    pub fn response(&self, asked: &Asked<'_>) -> Result<Response, Error> {
        let (request, entities) = self.request(asked)?;
        Ok(Authorizer::new().is_authorized(&request, self.policies(), &entities))
    }

    /// What Cedar's authorizer decides.
    ///
    /// # Errors
    /// As [`Translation::request`].
    pub fn decide(&self, asked: &Asked<'_>) -> Result<Decision, Error> {
        Ok(self.response(asked)?.decision())
    }
}

pub(super) fn uid(kind: &str, id: &str) -> Result<EntityUid, Error> {
    let kind: EntityTypeName = kind.parse().map_err(|error| refuse(kind, error))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// A signal as an entity: its path, and the zone that it lies in.
pub(super) fn signal(path: &str, zone: Option<&str>) -> Result<Entity, Error> {
    let path_of = [("path".to_owned(), RestrictedExpression::new_string(path.to_owned()))];
    let zone = zone.into_iter().map(|zone| uid(ZONE, zone)).collect::<Result<_, Error>>()?;
    Entity::new(uid(SIGNAL, path)?, path_of.into_iter().collect(), zone).map_err(|error| refuse(path, error))
}

/// Weekday (Monday is 0) and minute of the day, UTC, as [`twinguard_twin::plant::Window::contains`] counts them:
/// 1970-01-01 was a Thursday.
fn clock(at: Timestamp) -> (i64, i64) {
    let minutes = at.as_nanos().div_euclid(60_000_000_000);
    ((minutes.div_euclid(1440) + 3).rem_euclid(7), minutes.rem_euclid(1440))
}

#[cfg(test)]
mod tests {
    use twinguard_twin::plant::Window;

    use super::*;

    #[test]
    fn the_clock_is_that_of_windows() {
        for minute in -10_080..10_080 {
            let at = Timestamp::from_secs(minute * 60 + 59);
            let (day, of_day) = clock(at);
            let window = Window { days: 1 << day, from: of_day as u16, to: of_day as u16 + 1 };
            assert!(window.contains(at), "minute {minute}");
        }
    }
}
