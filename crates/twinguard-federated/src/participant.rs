//! A site's side of a round, as a state machine: messages and time in, messages and questions to the site out.
//!
//! Write [`Participant::save`] down before what [`Participant::poll`] gives is sent. A site answers a question that comes again with the
//! very bytes of its first answer: noise is drawn once.

use std::collections::VecDeque;

use twinguard_anomaly::{Archive, Reader, Writer};
use twinguard_integrity::{PublicKey, SigningKey};
use twinguard_types::{Digest, Timestamp};

use crate::Error;
use crate::message::{Body, Candidate, Contribution, Message, Terms, model_digest};
use crate::transcript::Transcript;
use crate::wire::Fields;

/// On what terms a site takes part. What does not hold is declined, whatever the coordinator says.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Names the federation.
    pub federation: Digest,
    /// What is counted and learnt.
    pub schema: Digest,
    /// The model that rounds start from; zeros for none.
    pub base: Digest,
    /// Fewest sites among which a contribution may be hidden.
    pub min_sites: u32,
    /// Fewest rows among which a row may be hidden.
    pub min_rows: u64,
    /// Highest price in billionths of ρ: what is left of the budget.
    pub most_price: u64,
}

/// What a site is asked, or told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Send these bytes to the coordinator.
    Send(Vec<u8>),
    /// Count, and call [`Participant::contribute`].
    Contribute(Terms),
    /// Judge by your own normal rows, and call [`Participant::vote`].
    Judge(Candidate),
    /// The round ended with this model.
    Published {
        /// The signed transcript, for the journal.
        transcript: Vec<u8>,
        /// The model's bytes.
        model: Vec<u8>,
    },
    /// The round ended without a model for this site.
    Ended {
        /// Why.
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Joined,
    Counting,
    Contributed,
    Judging,
    Voted,
    Done,
}

const PHASES: [Phase; 7] = [
    Phase::Idle,
    Phase::Joined,
    Phase::Counting,
    Phase::Contributed,
    Phase::Judging,
    Phase::Voted,
    Phase::Done,
];

/// Takes part in rounds.
pub struct Participant {
    key: SigningKey,
    coordinator: PublicKey,
    policy: Policy,
    phase: Phase,
    round: u64,
    sequence: u64,
    seen: u64,
    terms: Option<Terms>,
    contribution: Option<Contribution>,
    candidate: Option<(u32, Digest)>,
    vote: Option<bool>,
    out: VecDeque<Event>,
}

impl Participant {
    /// Of the federation of this coordinator.
    ///
    /// # Errors
    /// [`Error::Setting`] for a policy of fewer than two sites.
    pub fn new(key: SigningKey, coordinator: PublicKey, policy: Policy) -> Result<Self, Error> {
        if policy.min_sites < 2 {
            return Err(Error::Setting {
                name: "min_sites",
                value: policy.min_sites.into(),
                must: "2 or more",
            });
        }
        Ok(Self {
            key,
            coordinator,
            policy,
            phase: Phase::Idle,
            round: 0,
            sequence: 0,
            seen: 0,
            terms: None,
            contribution: None,
            candidate: None,
            vote: None,
            out: VecDeque::new(),
        })
    }

    /// The name under which it signs.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.public().name()
    }

    /// The round it is in, from 1; 0 before the first.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.round
    }

    /// Other terms from the next invitation on: another model to start from, another schema, what is left of the budget.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Takes a message in.
    ///
    /// # Errors
    /// Whatever makes the message one to refuse; then nothing has changed.
    pub fn handle(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), Error> {
        let (_, message) = Message::open(bytes, core::slice::from_ref(&self.coordinator))?;
        if message.federation != self.policy.federation {
            return Err(Error::OtherFederation);
        }
        if message.sequence <= self.seen {
            let name = self.coordinator.name().to_owned();
            return Err(Error::Replayed { name, found: message.sequence, last: self.seen });
        }
        // an invitation opens a round; the end of one that we slept through is told as well
        let opens = matches!(message.body, Body::Invite { .. } | Body::Publish { .. } | Body::Abort { .. });
        if message.round < self.round || (message.round > self.round && !opens) {
            return Err(Error::OtherRound { found: message.round, expected: self.round });
        }
        let sequence = message.sequence;
        match message.body {
            Body::Invite { terms, until } => self.invited(now, message.round, terms, until),
            Body::Begin { sites } => self.begun(sites),
            Body::Candidate(candidate) => self.proposed(candidate),
            Body::Publish { transcript, model } => self.published(message.round, transcript, model),
            Body::Abort { reason } => {
                if self.phase != Phase::Done || message.round > self.round {
                    self.turn(message.round);
                    self.finish(Event::Ended { reason });
                }
                Ok(())
            }
            _ => Err(Error::Unexpected { reason: "only a site says this" }),
        }?;
        self.seen = sequence;
        Ok(())
    }

    /// A round begins afresh, if it is another one.
    fn turn(&mut self, round: u64) {
        if round > self.round {
            self.round = round;
            (self.phase, self.terms, self.contribution) = (Phase::Idle, None, None);
            (self.candidate, self.vote) = (None, None);
        }
    }

    fn finish(&mut self, event: Event) {
        self.phase = Phase::Done;
        // the payload has served; what is asked of a finished round is not answered
        self.contribution = None;
        self.out.push_back(event);
    }

    fn invited(&mut self, now: Timestamp, round: u64, terms: Terms, until: Timestamp) -> Result<(), Error> {
        if now > until {
            return Err(Error::Unexpected { reason: "the invitation is over" });
        }
        if self.phase == Phase::Done && round == self.round {
            return Err(Error::Unexpected { reason: "this site has left the round" });
        }
        self.turn(round);
        let policy = &self.policy;
        let refusal = if terms.schema != policy.schema {
            Some("another schema")
        } else if terms.base != policy.base {
            Some("another model to start from")
        } else if terms.min_sites < policy.min_sites {
            Some("too few sites to hide among")
        } else if terms.price > policy.most_price {
            Some("the price exceeds what is left of the budget")
        } else {
            None
        };
        if let Some(reason) = refusal {
            self.say(Body::Decline { reason: reason.to_owned() })?;
            self.finish(Event::Ended { reason: reason.to_owned() });
            return Ok(());
        }
        let digest = terms.digest();
        self.terms = Some(terms);
        if self.phase == Phase::Idle {
            self.phase = Phase::Joined;
        }
        self.say(Body::Join { terms: digest })
    }

    fn begun(&mut self, sites: Vec<String>) -> Result<(), Error> {
        let least = self.policy.min_sites as usize;
        let mut names = sites.clone();
        names.sort_unstable();
        names.dedup();
        if names.len() != sites.len() || !names.iter().any(|name| name == self.name()) {
            return Err(Error::Unexpected { reason: "the list of sites is not right" });
        }
        match (self.phase, &self.terms) {
            (Phase::Joined, Some(terms)) => {
                if names.len() < least {
                    self.say(Body::Leave)?;
                    let error = Error::TooFewSites { sites: names.len(), least };
                    self.finish(Event::Ended { reason: error.to_string() });
                    return Ok(());
                }
                let terms = terms.clone();
                self.phase = Phase::Counting;
                self.out.push_back(Event::Contribute(terms));
                Ok(())
            }
            (Phase::Counting, Some(terms)) => {
                // asked again: the answer may have been lost with us
                let terms = terms.clone();
                self.out.push_back(Event::Contribute(terms));
                Ok(())
            }
            (Phase::Contributed, _) => self.repeat(),
            _ => Err(Error::Unexpected { reason: "this site has not joined" }),
        }
    }

    fn repeat(&mut self) -> Result<(), Error> {
        match self.contribution.clone() {
            Some(contribution) => self.say(Body::Contribute(contribution)),
            None => Ok(()),
        }
    }

    fn proposed(&mut self, candidate: Candidate) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Contributed | Phase::Judging | Phase::Voted) {
            return Err(Error::Unexpected { reason: "this site has not contributed" });
        }
        let named = (candidate.attempt, candidate.digest());
        match (self.candidate, self.vote) {
            (Some((attempt, _)), _) if candidate.attempt < attempt => {
                return Err(Error::Unexpected { reason: "a later candidate was proposed" });
            }
            (Some(held), _) if candidate.attempt == held.0 && held != named => return Err(Error::Tampered),
            (Some(held), Some(accept)) if held == named => {
                return self.say(Body::Vote { attempt: named.0, model: named.1, accept });
            }
            _ => {}
        }
        self.candidate = Some(named);
        self.vote = None;
        self.phase = Phase::Judging;
        let ours = self.contribution.as_ref().map(Contribution::digest);
        let own = candidate.entries.iter().find(|entry| entry.name == self.name());
        let enough = candidate.entries.len() >= self.policy.min_sites as usize;
        if own.map(|entry| entry.digest) != ours || !enough {
            // not what we sent, or not hidden among enough: we are against it
            return self.vote(false);
        }
        self.out.push_back(Event::Judge(candidate));
        Ok(())
    }

    fn published(&mut self, round: u64, signed: Vec<u8>, model: Vec<u8>) -> Result<(), Error> {
        if self.phase == Phase::Done && round == self.round {
            return Ok(()); // told again
        }
        let transcript = Transcript::open(&signed, &self.coordinator)?;
        let digest = model_digest(&model);
        let differ = |what, here, there| Err(Error::Disagreement { what, here, there });
        if transcript.model != digest {
            return differ("models", digest, transcript.model);
        }
        if transcript.federation != self.policy.federation || transcript.round != round {
            return Err(Error::OtherRound { found: transcript.round, expected: round });
        }
        if transcript.terms.schema != self.policy.schema {
            return differ("schemas", self.policy.schema, transcript.terms.schema);
        }
        let (sites, least) = (transcript.entries.len(), self.policy.min_sites as usize);
        if sites < least {
            return Err(Error::TooFewSites { sites, least });
        }
        if 2 * transcript.votes.iter().filter(|(_, accept)| *accept).count() <= sites {
            return Err(Error::Unexpected { reason: "no majority is behind it" });
        }
        if round == self.round {
            let own = transcript.entries.iter().find(|entry| entry.name == self.name());
            let ours = self.contribution.as_ref().map(Contribution::digest);
            if own.is_some_and(|entry| Some(entry.digest) != ours) {
                return Err(Error::Tampered);
            }
        }
        self.turn(round);
        self.finish(Event::Published { transcript: signed, model });
        Ok(())
    }

    /// Answers [`Event::Contribute`]. Told a second time, the first answer stands.
    ///
    /// # Errors
    /// [`Error::TooFewRows`]: the site leaves the round; [`Error::Unexpected`] when it was not asked.
    pub fn contribute(&mut self, contribution: Contribution) -> Result<(), Error> {
        let Some(terms) = self.terms.as_ref().filter(|_| self.phase == Phase::Counting) else {
            return Err(Error::Unexpected { reason: "no contribution was asked for" });
        };
        let (rows, least) = (contribution.rows, terms.min_rows.max(self.policy.min_rows));
        if rows < least {
            self.leave()?;
            return Err(Error::TooFewRows { rows, least });
        }
        self.contribution = Some(contribution);
        self.phase = Phase::Contributed;
        self.repeat()
    }

    /// Answers [`Event::Judge`].
    ///
    /// # Errors
    /// [`Error::Unexpected`] when it was not asked.
    pub fn vote(&mut self, accept: bool) -> Result<(), Error> {
        let Some((attempt, model)) = self.candidate.filter(|_| self.phase == Phase::Judging) else {
            return Err(Error::Unexpected { reason: "no judgement was asked for" });
        };
        self.phase = Phase::Voted;
        self.vote = Some(accept);
        self.say(Body::Vote { attempt, model, accept })
    }

    /// Leaves the running round: what was contributed and is in no candidate yet will not be used.
    ///
    /// # Errors
    /// [`Error::Integrity`] for a key that cannot sign.
    pub fn leave(&mut self) -> Result<(), Error> {
        self.say(Body::Leave)?;
        self.finish(Event::Ended { reason: "this site left".to_owned() });
        Ok(())
    }

    /// After a loss: asks the coordinator where the round is.
    ///
    /// # Errors
    /// [`Error::Integrity`] for a key that cannot sign.
    pub fn resume(&mut self) -> Result<(), Error> {
        self.say(Body::Resume)
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Event> {
        self.out.pop_front()
    }

    fn say(&mut self, body: Body) -> Result<(), Error> {
        self.sequence += 1;
        let (federation, round, sequence) = (self.policy.federation, self.round, self.sequence);
        let bytes = Message { federation, round, sequence, body }.seal(&self.key)?;
        self.out.push_back(Event::Send(bytes));
        Ok(())
    }

    /// Everything that a restart has to know, what is still to be sent included. Questions are left out: they are asked again.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        VERSION.save(&mut writer);
        self.policy.federation.save(&mut writer);
        (PHASES.iter().position(|phase| *phase == self.phase).unwrap_or_default() as u8).save(&mut writer);
        (self.round, self.sequence, self.seen).save(&mut writer);
        let terms = self.terms.as_ref().map(|terms| {
            let mut bytes = Vec::new();
            terms.write(&mut bytes);
            bytes
        });
        terms.save(&mut writer);
        let contribution = self.contribution.as_ref();
        contribution.map(|held| (held.rows, held.payload.clone())).save(&mut writer);
        self.candidate.save(&mut writer);
        self.vote.save(&mut writer);
        let kept = self.out.iter().filter_map(|event| match event {
            Event::Send(bytes) => Some((bytes.clone(), Vec::new(), String::new())),
            Event::Published { transcript, model } => {
                Some((transcript.clone(), model.clone(), String::new()))
            }
            Event::Ended { reason } => Some((Vec::new(), Vec::new(), reason.clone())),
            Event::Contribute(_) | Event::Judge(_) => None,
        });
        kept.collect::<Vec<_>>().save(&mut writer);
        writer.finish()
    }

    /// A participant that goes on where one was saved; call [`Participant::resume`] next.
    ///
    /// # Errors
    /// As [`Participant::new`]; [`Error::Statistic`] for bytes that were not saved; [`Error::Unreadable`] for another federation.
    pub fn restore(
        key: SigningKey,
        coordinator: PublicKey,
        policy: Policy,
        bytes: &[u8],
    ) -> Result<Self, Error> {
        let mut new = Self::new(key, coordinator, policy)?;
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        if u8::load(reader)? != VERSION || Digest::load(reader)? != new.policy.federation {
            return Err(Error::Unreadable { reason: "it was saved by another version or federation" });
        }
        let phase = PHASES.get(usize::from(u8::load(reader)?));
        new.phase = *phase.ok_or(Error::Unreadable { reason: "an unknown step" })?;
        (new.round, new.sequence, new.seen) = Archive::load(reader)?;
        if let Some(bytes) = Option::<Vec<u8>>::load(reader)? {
            new.terms = Some(Terms::read(&mut Fields::new(&bytes)?)?);
        }
        let contribution = Option::<(u64, Vec<u8>)>::load(reader)?;
        new.contribution = contribution.map(|(rows, payload)| Contribution { rows, payload });
        new.candidate = Archive::load(reader)?;
        new.vote = Archive::load(reader)?;
        let kept = Vec::<(Vec<u8>, Vec<u8>, String)>::load(reader)?;
        let event =
            |(bytes, model, reason): (Vec<u8>, Vec<u8>, String)| match (bytes.is_empty(), model.is_empty()) {
                (true, _) => Event::Ended { reason },
                (false, true) => Event::Send(bytes),
                (false, false) => Event::Published { transcript: bytes, model },
            };
        new.out = kept.into_iter().map(event).collect();
        reader.end()?;
        Ok(new)
    }
}

const VERSION: u8 = 1;
