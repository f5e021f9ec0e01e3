//! Break-glass: when rules stand in the way of saving the plant, two people together may set them aside, for a while, for
//! named signals, and everybody hears of it.
//!
//! It outweighs policy, guards and what-if; the what-if still runs and says what it thinks. It does not outweigh isolation,
//! revocation or an expired certificate: who may break the glass is who they are. Source: IEC 62443-3-3 SR 2.1 RE 3
//! (supervisor override) and RE 4 (dual approval).

use twinguard_types::{Command, CommandId, Duration, Principal, SignalId, Timestamp};

use super::Gate;
use crate::Error;

/// Longest time that the glass stays broken.
const LONGEST: Duration = Duration::from_secs(4 * 3_600);
/// How long the second person has.
const AGREE_WITHIN: Duration = Duration::from_secs(300);
/// Capabilities at one time.
const LIMIT: usize = 16;
/// Notices that wait to be taken; the oldest are dropped beyond, and the next one says so by its number.
const NOTICES: usize = 1_024;

/// A capability that sets the rules aside.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BreakGlass {
    /// Its number.
    pub id: u64,
    /// Who asked for it, and alone may use it.
    pub by: String,
    /// The second person; `None` while it waits for one.
    pub agreed: Option<String>,
    /// The signals that it is for.
    pub signals: Vec<SignalId>,
    /// Why.
    pub reason: String,
    /// When it ends; while it waits, when it is given up.
    pub until: Timestamp,
    /// How long it will last once agreed.
    pub lasting: Duration,
    /// Commands that it let through.
    pub used: u64,
}

/// What happened to a capability: to be entered in the journal, and told to everybody.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Notice {
    /// Somebody asks for it.
    Asked(BreakGlass),
    /// A second person agreed: it is in force.
    Opened(BreakGlass),
    /// A command passed by it.
    Used {
        /// The capability's number.
        id: u64,
        /// The command.
        command: CommandId,
        /// Its signal.
        signal: SignalId,
        /// When.
        at: Timestamp,
    },
    /// It is over.
    Closed(BreakGlass),
}

impl Gate {
    /// Somebody asks to set the rules aside for these signals. Nothing changes before [`Gate::agree_to_break_glass`].
    ///
    /// # Errors
    /// [`Error::BreakGlass`] when nobody may, this one may not, too many are open, it would last more than four hours, or
    /// no reason is given.
    pub fn ask_to_break_glass(
        &mut self,
        now: Timestamp,
        by: &Principal,
        signals: &[SignalId],
        lasting: Duration,
        reason: &str,
    ) -> Result<u64, Error> {
        self.close_glass(now);
        self.may_break_glass(by)?;
        let refuse = |reason| Err(Error::BreakGlass { reason });
        if self.glass.len() >= LIMIT {
            return refuse("too many are open");
        }
        if lasting <= Duration::ZERO || lasting > LONGEST {
            return refuse("it may last four hours at most");
        }
        if reason.trim().is_empty() || signals.is_empty() {
            return refuse("it needs a reason and the signals that it is for");
        }
        let id = self.next_glass;
        self.next_glass += 1;
        let glass = BreakGlass {
            id,
            by: by.name.to_string(),
            agreed: None,
            signals: signals.to_vec(),
            reason: reason.chars().take(200).collect(),
            until: now + AGREE_WITHIN,
            lasting,
            used: 0,
        };
        self.glass.push(glass.clone());
        self.notice(Notice::Asked(glass));
        Ok(id)
    }

    /// The second person agrees; from now on it counts, until it has lasted.
    ///
    /// # Errors
    /// [`Error::BreakGlass`] when there is no such request any more, the person may not, or is the one who asked.
    pub fn agree_to_break_glass(&mut self, now: Timestamp, id: u64, second: &Principal) -> Result<(), Error> {
        self.close_glass(now);
        self.may_break_glass(second)?;
        let waiting = self.glass.iter_mut().find(|glass| glass.id == id && glass.agreed.is_none());
        let Some(glass) = waiting else {
            return Err(Error::BreakGlass { reason: "nobody asks for it, or not any more" });
        };
        if *glass.by == *second.name {
            return Err(Error::BreakGlass { reason: "a second person is needed" });
        }
        glass.agreed = Some(second.name.to_string());
        glass.until = now + glass.lasting;
        let glass = glass.clone();
        self.notice(Notice::Opened(glass));
        Ok(())
    }

    /// Ends it at once; whether it was there.
    pub fn mend_glass(&mut self, id: u64) -> bool {
        let Some(at) = self.glass.iter().position(|glass| glass.id == id) else { return false };
        let glass = self.glass.remove(at);
        self.notice(Notice::Closed(glass));
        true
    }

    /// What is broken or asked for.
    pub fn broken_glass(&self) -> impl ExactSizeIterator<Item = &BreakGlass> {
        self.glass.iter()
    }

    /// What happened to it since this was last called, oldest first: for the journal.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.drain(..).collect()
    }

    fn may_break_glass(&self, principal: &Principal) -> Result<(), Error> {
        let entitled = self.config.break_glass.iter().any(|role| principal.has_role(role));
        if entitled && !self.credentials.is_revoked(&principal.name) {
            return Ok(());
        }
        Err(Error::BreakGlass { reason: "this person may not" })
    }

    /// The capability that lets a command of somebody through.
    pub(super) fn glass_for(&self, now: Timestamp, principal: &Principal, signal: SignalId) -> Option<u64> {
        let fits = |glass: &&BreakGlass| {
            glass.agreed.is_some()
                && now < glass.until
                && *glass.by == *principal.name
                && glass.signals.contains(&signal)
        };
        self.glass.iter().find(fits).map(|glass| glass.id)
    }

    pub(super) fn use_glass(&mut self, now: Timestamp, id: u64, command: &Command) {
        if let Some(glass) = self.glass.iter_mut().find(|glass| glass.id == id) {
            glass.used += 1;
        }
        self.notice(Notice::Used { id, command: command.id, signal: command.signal, at: now });
    }

    pub(super) fn glass_words(&self, id: u64) -> String {
        let Some(glass) = self.glass.iter().find(|glass| glass.id == id) else {
            return format!("break-glass {id}");
        };
        let second = glass.agreed.as_deref().unwrap_or_default();
        format!("BREAK-GLASS {id} by `{}` and `{second}` until {}: {}", glass.by, glass.until, glass.reason)
    }

    pub(super) fn close_glass(&mut self, now: Timestamp) {
        while let Some(at) = self.glass.iter().position(|glass| glass.until <= now) {
            let glass = self.glass.remove(at);
            self.notice(Notice::Closed(glass));
        }
    }

    pub(super) fn next_glass_end(&self) -> Option<Timestamp> {
        self.glass.iter().map(|glass| glass.until).min()
    }

    fn notice(&mut self, notice: Notice) {
        if self.notices.len() >= NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }
}
