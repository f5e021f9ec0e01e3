//! Incidents as the wire saw them: real messages in order, to whoever takes the frames, in this process or into a file.
//!
//! Source: the procedure texts of MITRE ATT&CK for ICS, one software or campaign each. Nothing here opens a socket.

use core::net::SocketAddrV4;

use twinguard_protocol::{emit::Connection, tcp::End};
use twinguard_twin::simulator::Noise;
use twinguard_types::{Duration, Timestamp};

use crate::Error;

/// Who takes a frame and when it was on the wire: a guard, a writer of captures.
pub type Take<'a> = dyn FnMut(Timestamp, &[u8]) + 'a;

/// An incident as a sequence of messages.
#[derive(Clone, Copy)]
pub struct Playbook {
    /// Its name.
    pub name: &'static str,
    /// When and where it was, with its number in MITRE ATT&CK.
    pub incident: &'static str,
    /// What the wire saw, in words.
    pub story: &'static str,
    /// Techniques of ATT&CK for ICS that show on the wire.
    pub techniques: &'static [&'static str],
    /// The protocol families that it speaks, by their names in the registry of protocols.
    pub families: &'static [&'static str],
    pub(crate) script: fn(&mut Stage<'_>) -> Result<(), Error>,
}

impl core::fmt::Debug for Playbook {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Playbook").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Playbook {
    /// Performs it from an instant on: same seed, same frames. Returns when the last one was sent.
    ///
    /// ```
    /// use twinguard_redteam::Playbook;
    /// use twinguard_types::Timestamp;
    ///
    /// let playbook = Playbook::named("industroyer2").ok_or("no such playbook")?;
    /// let mut frames = 0;
    /// playbook.perform(Timestamp::ZERO, 1, &mut |_, _| frames += 1)?;
    /// assert!(frames > 50);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Range`] when a message is not legal, which those that ship are.
    pub fn perform(&self, start: Timestamp, seed: u64, take: &mut Take<'_>) -> Result<Timestamp, Error> {
        let mut stage = Stage { at: start, chance: Noise::new(seed, 70), take, frame: Vec::new() };
        (self.script)(&mut stage)?;
        Ok(stage.at)
    }
}

/// A connection between two parties of an incident.
pub(crate) struct Link {
    connection: Connection,
}

/// Where an incident is performed.
pub(crate) struct Stage<'a> {
    at: Timestamp,
    chance: Noise,
    take: &'a mut Take<'a>,
    frame: Vec<u8>,
}

pub(crate) fn illegal(error: impl core::fmt::Display) -> Error {
    Error::Range { reason: error.to_string() }
}

impl Stage<'_> {
    /// Time passes: so many milliseconds, a tenth more or less.
    pub(crate) fn wait(&mut self, milliseconds: f64) {
        let scattered = milliseconds * self.chance.between(0.9, 1.1);
        self.at = self.at + Duration::from_micros((1_000.0 * scattered) as i64);
    }

    /// A client connects to a server.
    pub(crate) fn connect(&mut self, client: SocketAddrV4, server: SocketAddrV4) -> Link {
        let mut connection = Connection::ipv4(client, server);
        for frame in connection.open() {
            self.wait(0.3);
            (self.take)(self.at, &frame);
        }
        Link { connection }
    }

    /// The client says something.
    pub(crate) fn ask(&mut self, link: &mut Link, bytes: &[u8]) -> Result<(), Error> {
        self.say(link, End::First, 2.0, bytes)
    }

    /// The server says something.
    pub(crate) fn answer(&mut self, link: &mut Link, bytes: &[u8]) -> Result<(), Error> {
        self.say(link, End::Second, 4.0, bytes)
    }

    fn say(&mut self, link: &mut Link, from: End, after: f64, bytes: &[u8]) -> Result<(), Error> {
        self.wait(after);
        let mut frame = core::mem::take(&mut self.frame);
        link.connection.say(from, bytes, &mut frame).map_err(illegal)?;
        (self.take)(self.at, &frame);
        self.frame = frame;
        Ok(())
    }

    /// The client goes.
    pub(crate) fn close(&mut self, mut link: Link) {
        for frame in link.connection.close(End::First) {
            self.wait(0.3);
            (self.take)(self.at, &frame);
        }
    }
}
