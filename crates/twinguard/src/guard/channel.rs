//! Channels whose peers have proved who they are.

use core::net::SocketAddr;

use twinguard_gate::identity::{Credential, Proof};
use twinguard_types::{Command, Principal, PrincipalId, Timestamp};

use super::Guard;
use crate::Error;

/// Channels that are open at one time.
const CHANNEL_LIMIT: usize = 65_536;

/// An open channel.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    peer: Principal,
    number: PrincipalId,
    pub(super) proof: Proof,
}

/// What the journal holds of it.
#[derive(serde::Serialize)]
struct Opened<'a> {
    from: SocketAddr,
    peer: &'a str,
    role: Option<&'a str>,
    credentials: &'a [Credential],
    not_after: Option<Timestamp>,
    encrypted: bool,
}

impl Guard {
    /// A channel from this endpoint is open, and whoever built it has verified what its peer showed: commands from this
    /// endpoint are the peer's from now on, whatever its address, as long as what it showed is valid. The journal says so.
    ///
    /// Of a party of the plant file what that file says of its kind and roles counts, and the role of its certificate
    /// beside it; of anybody else what `peer` says. Channels are no part of a snapshot: after a restart they are opened anew.
    ///
    /// ```
    /// use twinguard::gate::identity::{Credential, Proof};
    /// use twinguard::{Guard, twin::Plant, types::{Digest, Principal, Timestamp}};
    ///
    /// let plant = Plant::parse("format = 1\nname = \"tank\"\n[[signal]]\npath = \"level\"\n", "plant.toml")?;
    /// let mut guard = Guard::builder_unsealed(plant).build()?;
    /// let from = "10.0.0.7:50000".parse()?;
    /// let proof = Proof {
    ///     credentials: vec![Credential::Certificate(Digest([7; 32]))],
    ///     not_after: Some(Timestamp::from_secs(1_000)),
    ///     encrypted: true,
    ///     ..Proof::default()
    /// };
    /// guard.open_channel(Timestamp::ZERO, from, Principal::new("plc"), proof)?;
    /// assert!(guard.close_channel(from) && !guard.close_channel(from));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Principals`], [`Error::Reserved`] as [`Guard::principal`]; [`Error::Channels`] for more than a guard keeps.
    /// Whoever is at the endpoint is then known by their address alone: let them not command.
    pub fn open_channel(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        peer: Principal,
        proof: Proof,
    ) -> Result<(), Error> {
        if self.channels.len() >= CHANNEL_LIMIT && !self.channels.contains_key(&from) {
            return Err(Error::Channels { limit: CHANNEL_LIMIT });
        }
        let number = self.principal(peer.clone())?;
        self.close_channel(from);
        for credential in &proof.credentials {
            self.gate.credentials_mut().bind(credential.clone(), peer.clone(), proof.not_after);
        }
        let now = self.clamp(now);
        let opened = Opened {
            from,
            peer: &peer.name,
            role: proof.modbus_role.as_deref(),
            credentials: &proof.credentials,
            not_after: proof.not_after,
            encrypted: proof.encrypted,
        };
        self.word(now, "channel", &opened);
        self.channels.insert(from, Channel { peer, number, proof });
        Ok(())
    }

    /// The channel from this endpoint is closed; whether it was open.
    pub fn close_channel(&mut self, from: SocketAddr) -> bool {
        let Some(closed) = self.channels.remove(&from) else { return false };
        for credential in &closed.proof.credentials {
            let shown = |channel: &Channel| channel.proof.credentials.contains(credential);
            if !self.channels.values().any(shown) {
                self.gate.credentials_mut().unbind(credential);
            }
        }
        true
    }

    pub(super) fn channel_of(&self, command: &Command) -> Option<&Channel> {
        self.channels.get(&command.from?)
    }

    /// The peer of a channel, with what the plant file in force and its certificate say of it.
    pub(super) fn peer(&self, channel: &Channel) -> Principal {
        let named = self.gate.identities().named(&channel.peer.name).unwrap_or(&channel.peer).clone();
        match &channel.proof.modbus_role {
            Some(role) => named.role(role.as_str()),
            None => named,
        }
    }

    /// The command with the number of whoever proved to have sent it.
    pub(super) fn signed(&self, command: Command) -> Command {
        let number = self.channel_of(&command).map_or(command.principal, |channel| channel.number);
        Command { principal: number, ..command }
    }
}
