//! The coordinator's side of a round, as a state machine: messages and time in, messages out.
//!
//! ```text
//! idle ─open─► gathering ─enough joined─► collecting ─all in, or late ones dropped─► voting ─majority─► published
//!                  └────────── too few ───────────┴──────── no candidate accepted ──────┴──────────────► aborted
//! ```
//!
//! Write [`Coordinator::save`] down before what [`Coordinator::poll`] gives is sent: then a coordinator that is lost at any message goes on
//! where it was. What was not answered is asked again. Nothing leaves before it is whole: a candidate is made of all contributions that are
//! named in it, and it is published when more than half of those sites voted for it.

use std::collections::VecDeque;

use twinguard_anomaly::{Archive, Reader, Writer};
use twinguard_integrity::{PublicKey, SigningKey};
use twinguard_types::{Digest, Duration, Timestamp};

use crate::Error;
use crate::message::{Body, Candidate, Contribution, Entry, Message, Terms, model_digest};
use crate::task::Task;
use crate::transcript::Transcript;

/// How a coordinator runs its rounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names the federation.
    pub federation: Digest,
    /// Fewest sites behind an aggregate, two at least.
    pub min_sites: u32,
    /// Fewest rows behind a contribution.
    pub min_rows: u64,
    /// Price for each site, in billionths of ρ.
    pub price: u64,
    /// How long each step waits for those who are silent.
    pub patience: Duration,
    /// After how long the silent ones are asked again.
    pub retry: Duration,
}

/// What the coordinator wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes to this site.
    Send {
        /// The site.
        to: String,
        /// A signed message.
        bytes: Vec<u8>,
    },
    /// The round ended with a model: keep the signed transcript in a journal.
    Published {
        /// The signed transcript.
        transcript: Vec<u8>,
        /// The model's bytes.
        model: Vec<u8>,
    },
    /// The round ended without one.
    Aborted {
        /// Why.
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Gathering,
    Collecting,
    Voting,
    Published,
    Aborted,
}

const PHASES: [Phase; 6] =
    [Phase::Idle, Phase::Gathering, Phase::Collecting, Phase::Voting, Phase::Published, Phase::Aborted];

/// What is known of a site on the roster.
#[derive(Clone, Debug, Default)]
struct Site {
    /// Last sequence number seen; kept over rounds.
    seen: u64,
    /// `None` until it answered the invitation.
    joined: Option<bool>,
    contribution: Option<Contribution>,
    vote: Option<bool>,
}

impl Site {
    fn takes_part(&self) -> bool {
        self.joined == Some(true)
    }
}

/// Runs rounds.
pub struct Coordinator<T> {
    task: T,
    key: SigningKey,
    roster: Vec<PublicKey>,
    settings: Settings,
    phase: Phase,
    round: u64,
    base: Digest,
    sequence: u64,
    deadline: Timestamp,
    again: Timestamp,
    sites: Vec<Site>,
    /// The contributions are fixed, and their sum is being made elsewhere.
    pending: bool,
    attempt: u32,
    rule: String,
    model: Vec<u8>,
    transcript: Vec<u8>,
    reason: String,
    out: VecDeque<Output>,
}

/// More sites than any federation here.
const MOST_SITES: usize = 4096;

impl<T: Task> Coordinator<T> {
    /// Of these sites, by their keys.
    ///
    /// # Errors
    /// [`Error::Setting`] for fewer sites than the least, a least below two, two keys of one name, or times that are not positive.
    pub fn new(task: T, key: SigningKey, roster: Vec<PublicKey>, settings: Settings) -> Result<Self, Error> {
        let refuse = |name, value, must| Err(Error::Setting { name, value, must });
        if settings.min_sites < 2 || roster.len() < settings.min_sites as usize || roster.len() > MOST_SITES {
            return refuse(
                "min_sites",
                settings.min_sites.into(),
                "2 or more, and no more than the roster has",
            );
        }
        if settings.patience.as_nanos() <= 0 || settings.retry.as_nanos() <= 0 {
            return refuse("patience", settings.patience.as_secs_f64(), "above zero, as `retry`");
        }
        let mut names: Vec<&str> = roster.iter().map(PublicKey::name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return refuse("roster", names.len() as f64, "of different names");
        }
        let sites = vec![Site::default(); roster.len()];
        let long_ago = Timestamp::from_nanos(0);
        Ok(Self {
            task,
            key,
            roster,
            settings,
            phase: Phase::Idle,
            round: 0,
            base: Digest::default(),
            sequence: 0,
            deadline: long_ago,
            again: long_ago,
            sites,
            pending: false,
            attempt: 0,
            rule: String::new(),
            model: Vec::new(),
            transcript: Vec::new(),
            reason: String::new(),
            out: VecDeque::new(),
        })
    }

    /// The terms of the running round.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            schema: self.task.schema(),
            base: self.base,
            mode: self.task.mode().to_owned(),
            min_sites: self.settings.min_sites,
            min_rows: self.settings.min_rows,
            price: self.settings.price,
        }
    }

    /// The running round, from 1; 0 before the first.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.round
    }

    /// The step that the running round is at: `gathering`, `collecting`, …
    #[must_use]
    pub fn phase(&self) -> &'static str {
        match self.phase {
            Phase::Idle => "idle",
            Phase::Gathering => "gathering",
            Phase::Collecting => "collecting",
            Phase::Voting => "voting",
            Phase::Published => "published",
            Phase::Aborted => "aborted",
        }
    }

    /// Invites all sites to a new round that starts from this model (zeros for none).
    ///
    /// # Errors
    /// [`Error::Unexpected`] while a round runs.
    pub fn open(&mut self, now: Timestamp, base: Digest) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Idle | Phase::Published | Phase::Aborted) {
            return Err(Error::Unexpected { reason: "a round is running" });
        }
        self.round += 1;
        self.base = base;
        for site in &mut self.sites {
            *site = Site { seen: site.seen, ..Site::default() };
        }
        (self.attempt, self.rule, self.model, self.transcript) = (0, String::new(), Vec::new(), Vec::new());
        self.reason = String::new();
        self.enter(now, Phase::Gathering)
    }

    /// Takes a message in.
    ///
    /// # Errors
    /// Whatever makes the message one to refuse; then nothing has changed, except that [`Error::Tampered`] and its like stay told.
    pub fn handle(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), Error> {
        let (place, message) = Message::open(bytes, &self.roster)?;
        if message.federation != self.settings.federation {
            return Err(Error::OtherFederation);
        }
        let name = || self.roster.get(place).map_or(String::new(), |key| key.name().to_owned());
        let Some(site) = self.sites.get(place) else { return Err(Error::Stranger { name: name() }) };
        if message.sequence <= site.seen {
            return Err(Error::Replayed { name: name(), found: message.sequence, last: site.seen });
        }
        let resumes = message.body == Body::Resume;
        if message.round != self.round && !resumes {
            return Err(Error::OtherRound { found: message.round, expected: self.round });
        }
        let mut next = site.clone();
        next.seen = message.sequence;
        self.take(&mut next, message.body)?;
        if let Some(site) = self.sites.get_mut(place) {
            *site = next;
        }
        if resumes {
            self.ask(place)?;
        }
        self.advance(now)
    }

    /// What a message does to its sender's part.
    fn take(&self, site: &mut Site, body: Body) -> Result<(), Error> {
        let late = Err(Error::Unexpected { reason: "the round has gone on" });
        match body {
            Body::Join { terms } => {
                let here = self.terms().digest();
                if terms != here {
                    return Err(Error::Disagreement { what: "terms", here, there: terms });
                }
                if self.phase != Phase::Gathering {
                    return late;
                }
                site.joined = Some(true);
            }
            Body::Decline { .. } if self.phase == Phase::Gathering => site.joined = Some(false),
            Body::Leave => match self.phase {
                // what is in a candidate cannot be taken back
                Phase::Gathering | Phase::Collecting if !self.pending => {
                    site.joined = Some(false);
                    site.contribution = None;
                }
                _ => return late,
            },
            Body::Contribute(contribution) => {
                if self.phase != Phase::Collecting || !site.takes_part() {
                    return late;
                }
                if site.contribution.as_ref().is_some_and(|held| *held != contribution) {
                    return Err(Error::Unexpected { reason: "a site contributes once" });
                }
                if contribution.rows < self.settings.min_rows {
                    return Err(Error::TooFewRows { rows: contribution.rows, least: self.settings.min_rows });
                }
                self.task.check(&contribution)?;
                site.contribution = Some(contribution);
            }
            // a majority was there before: the vote is late, and no fault
            Body::Vote { model, .. }
                if self.phase == Phase::Published && model == model_digest(&self.model) => {}
            Body::Vote { attempt, model, accept } => {
                if self.phase != Phase::Voting || site.contribution.is_none() || attempt != self.attempt {
                    return late;
                }
                let here = model_digest(&self.model);
                if model != here {
                    return Err(Error::Disagreement { what: "models", here, there: model });
                }
                if site.vote.is_some_and(|held| held != accept) {
                    return Err(Error::Unexpected { reason: "a site votes once" });
                }
                site.vote = Some(accept);
            }
            Body::Resume => {}
            Body::Decline { .. } => return late,
            _ => return Err(Error::Unexpected { reason: "only a coordinator says this" }),
        }
        Ok(())
    }

    /// Lets time pass: silent sites are asked again, then dropped.
    ///
    /// # Errors
    /// [`Error::Integrity`] for a key that cannot sign.
    pub fn tick(&mut self, now: Timestamp) -> Result<(), Error> {
        if matches!(self.phase, Phase::Idle | Phase::Published | Phase::Aborted) {
            return Ok(());
        }
        self.advance(now)?;
        if matches!(self.phase, Phase::Gathering | Phase::Collecting | Phase::Voting) && now >= self.again {
            self.again = now + self.settings.retry;
            for place in 0..self.sites.len() {
                if self.waits_for(place) {
                    self.ask(place)?;
                }
            }
        }
        Ok(())
    }

    /// What is learnt.
    pub fn task(&self) -> &T {
        &self.task
    }

    /// Whether the contributions are fixed and their sum is made elsewhere: see [`Error::Pending`]. Give it to the task, then let time pass.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending
    }

    /// The contributions so far, by site.
    pub fn contributions(&self) -> impl Iterator<Item = (&str, &Contribution)> {
        let held = self.roster.iter().zip(&self.sites);
        held.filter_map(|(key, site)| Some((key.name(), site.contribution.as_ref()?)))
    }

    /// Leaves a contribution out whose proof did not hold, while the sum is made.
    ///
    /// # Errors
    /// [`Error::Unexpected`] at any other time, or for a site that did not contribute.
    pub fn exclude(&mut self, name: &str) -> Result<(), Error> {
        let place = self.roster.iter().position(|key| key.name() == name);
        let site =
            place.and_then(|place| self.sites.get_mut(place)).filter(|site| site.contribution.is_some());
        let Some(site) = site.filter(|_| self.pending) else {
            return Err(Error::Unexpected { reason: "there is nothing to exclude" });
        };
        (site.joined, site.contribution) = (Some(false), None);
        if let Some(place) = place {
            self.ask(place)?;
        }
        let held = self.contributions().count();
        if held < self.settings.min_sites as usize {
            return self.abort(&format!("only {held} sites contributed"));
        }
        Ok(())
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn waits_for(&self, place: usize) -> bool {
        self.sites.get(place).is_some_and(|site| match self.phase {
            Phase::Gathering => site.joined.is_none(),
            Phase::Collecting => site.takes_part() && site.contribution.is_none(),
            Phase::Voting => site.contribution.is_some() && site.vote.is_none(),
            _ => false,
        })
    }

    fn advance(&mut self, now: Timestamp) -> Result<(), Error> {
        loop {
            let waiting = (0..self.sites.len()).any(|place| self.waits_for(place)) && now < self.deadline;
            match self.phase {
                Phase::Gathering if !waiting => {
                    let joined = self.sites.iter().filter(|site| site.takes_part()).count();
                    if joined < self.settings.min_sites as usize {
                        return self.abort(&format!("only {joined} sites joined"));
                    }
                    self.enter(now, Phase::Collecting)?;
                }
                Phase::Collecting if self.pending => {
                    if now >= self.deadline {
                        return self.abort("the sum did not come");
                    }
                    self.propose(now)?;
                    if self.phase == Phase::Collecting {
                        return Ok(());
                    }
                }
                Phase::Collecting if !waiting => {
                    for site in self.sites.iter_mut().filter(|site| site.contribution.is_none()) {
                        site.joined = Some(false);
                    }
                    let held = self.sites.iter().filter(|site| site.contribution.is_some()).count();
                    if held < self.settings.min_sites as usize {
                        return self.abort(&format!("only {held} sites contributed"));
                    }
                    self.propose(now)?;
                    if self.pending {
                        self.deadline = now + self.settings.patience;
                        return Ok(());
                    }
                }
                Phase::Voting => {
                    let votes = |wanted: Option<bool>| {
                        self.sites.iter().filter(|s| s.contribution.is_some() && s.vote == wanted).count()
                    };
                    let (yes, no, silent) = (votes(Some(true)), votes(Some(false)), votes(None));
                    let of = yes + no + silent;
                    if 2 * yes > of {
                        return self.publish();
                    }
                    if 2 * no < of && waiting {
                        return Ok(());
                    }
                    self.attempt += 1;
                    self.propose(now)?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Puts the next candidate to the vote, or ends the round when there is none.
    fn propose(&mut self, now: Timestamp) -> Result<(), Error> {
        let contributions: Vec<Contribution> =
            self.sites.iter().filter_map(|site| site.contribution.clone()).collect();
        loop {
            match self.task.propose(&contributions, self.attempt) {
                Ok(Some((rule, model))) => {
                    (self.rule, self.model) = (rule, model);
                    self.sites.iter_mut().for_each(|site| site.vote = None);
                    return self.enter(now, Phase::Voting);
                }
                Ok(None) => return self.abort("no candidate was accepted by a majority"),
                Err(Error::Pending) => {
                    self.pending = true;
                    return Ok(());
                }
                Err(_) if self.attempt < 64 => self.attempt += 1,
                Err(error) => return self.abort(&error.to_string()),
            }
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let held = self.roster.iter().zip(&self.sites);
        let entry = |(key, site): (&PublicKey, &Site)| {
            let contribution = site.contribution.as_ref()?;
            Some(Entry {
                name: key.name().to_owned(),
                digest: contribution.digest(),
                rows: contribution.rows,
            })
        };
        held.filter_map(entry).collect()
    }

    fn publish(&mut self) -> Result<(), Error> {
        let votes = self.roster.iter().zip(&self.sites);
        let votes = votes.filter_map(|(key, site)| Some((key.name().to_owned(), site.vote?)));
        let transcript = Transcript {
            federation: self.settings.federation,
            round: self.round,
            terms: self.terms(),
            rule: self.rule.clone(),
            entries: self.entries(),
            votes: votes.collect(),
            model: model_digest(&self.model),
        };
        self.transcript = transcript.seal(&self.key)?;
        self.phase = Phase::Published;
        self.out
            .push_back(Output::Published { transcript: self.transcript.clone(), model: self.model.clone() });
        self.tell_all()
    }

    fn abort(&mut self, reason: &str) -> Result<(), Error> {
        self.phase = Phase::Aborted;
        self.pending = false;
        self.reason = reason.to_owned();
        (self.model, self.rule) = (Vec::new(), String::new());
        self.sites.iter_mut().for_each(|site| (site.contribution, site.vote) = (None, None));
        self.out.push_back(Output::Aborted { reason: self.reason.clone() });
        self.tell_all()
    }

    fn enter(&mut self, now: Timestamp, phase: Phase) -> Result<(), Error> {
        self.phase = phase;
        self.pending = false;
        self.deadline = now + self.settings.patience;
        self.again = now + self.settings.retry;
        self.tell_all()
    }

    fn tell_all(&mut self) -> Result<(), Error> {
        (0..self.sites.len()).try_for_each(|place| self.ask(place))
    }

    /// Says to a site what it has to know or do now.
    fn ask(&mut self, place: usize) -> Result<(), Error> {
        let Some((key, site)) = self.roster.get(place).zip(self.sites.get(place)) else { return Ok(()) };
        let body = match self.phase {
            Phase::Idle => return Ok(()),
            Phase::Gathering if site.joined == Some(false) => return Ok(()),
            Phase::Gathering => Body::Invite { terms: self.terms(), until: self.deadline },
            Phase::Collecting if site.takes_part() => {
                let joined = self.roster.iter().zip(&self.sites).filter(|(_, site)| site.takes_part());
                let mut sites: Vec<String> = joined.map(|(key, _)| key.name().to_owned()).collect();
                sites.sort_unstable();
                Body::Begin { sites }
            }
            Phase::Voting if site.contribution.is_some() => Body::Candidate(Candidate {
                attempt: self.attempt,
                rule: self.rule.clone(),
                model: self.model.clone(),
                entries: self.entries(),
            }),
            Phase::Published => {
                Body::Publish { transcript: self.transcript.clone(), model: self.model.clone() }
            }
            Phase::Aborted => Body::Abort { reason: self.reason.clone() },
            Phase::Collecting | Phase::Voting => {
                Body::Abort { reason: "the round goes on without this site".to_owned() }
            }
        };
        self.sequence += 1;
        let (federation, round, sequence) = (self.settings.federation, self.round, self.sequence);
        let bytes = Message { federation, round, sequence, body }.seal(&self.key)?;
        self.out.push_back(Output::Send { to: key.name().to_owned(), bytes });
        Ok(())
    }

    /// Everything that a restart has to know, what is still to be sent included.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        VERSION.save(&mut writer);
        self.settings.federation.save(&mut writer);
        (PHASES.iter().position(|phase| *phase == self.phase).unwrap_or_default() as u8).save(&mut writer);
        (self.round, self.base, self.sequence).save(&mut writer);
        (self.deadline, self.again).save(&mut writer);
        self.sites.len().save(&mut writer);
        for site in &self.sites {
            (site.seen, site.joined, site.vote).save(&mut writer);
            let contribution = site.contribution.as_ref();
            contribution.map(|held| (held.rows, held.payload.clone())).save(&mut writer);
        }
        self.pending.save(&mut writer);
        (self.attempt, self.rule.clone(), self.model.clone()).save(&mut writer);
        (self.transcript.clone(), self.reason.clone()).save(&mut writer);
        self.out.len().save(&mut writer);
        for output in &self.out {
            match output {
                Output::Send { to, bytes } => (0_u8, to.clone(), bytes.clone()).save(&mut writer),
                Output::Published { transcript, model } => {
                    (1_u8, transcript.clone(), model.clone()).save(&mut writer);
                }
                Output::Aborted { reason } => (2_u8, reason.clone(), Vec::<u8>::new()).save(&mut writer),
            }
        }
        writer.finish()
    }

    /// A coordinator that goes on where one was saved.
    ///
    /// # Errors
    /// As [`Coordinator::new`]; [`Error::Statistic`] for bytes that were not saved; [`Error::Unreadable`] for another federation or roster.
    pub fn restore(
        task: T,
        key: SigningKey,
        roster: Vec<PublicKey>,
        settings: Settings,
        bytes: &[u8],
    ) -> Result<Self, Error> {
        let mut new = Self::new(task, key, roster, settings)?;
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        if u8::load(reader)? != VERSION || Digest::load(reader)? != new.settings.federation {
            return Err(Error::Unreadable { reason: "it was saved by another version or federation" });
        }
        let phase = PHASES.get(usize::from(u8::load(reader)?));
        new.phase = *phase.ok_or(Error::Unreadable { reason: "an unknown step" })?;
        (new.round, new.base, new.sequence) = Archive::load(reader)?;
        (new.deadline, new.again) = Archive::load(reader)?;
        if usize::load(reader)? != new.sites.len() {
            return Err(Error::Unreadable { reason: "it was saved with another roster" });
        }
        for site in &mut new.sites {
            (site.seen, site.joined, site.vote) = Archive::load(reader)?;
            let contribution = Option::<(u64, Vec<u8>)>::load(reader)?;
            site.contribution = contribution.map(|(rows, payload)| Contribution { rows, payload });
        }
        new.pending = bool::load(reader)?;
        (new.attempt, new.rule, new.model) = Archive::load(reader)?;
        (new.transcript, new.reason) = Archive::load(reader)?;
        for _ in 0..usize::load(reader)? {
            let output = match u8::load(reader)? {
                0 => Output::Send { to: String::load(reader)?, bytes: Vec::load(reader)? },
                1 => Output::Published { transcript: Vec::load(reader)?, model: Vec::load(reader)? },
                2 => {
                    let (reason, _) = <(String, Vec<u8>)>::load(reader)?;
                    Output::Aborted { reason }
                }
                _ => return Err(Error::Unreadable { reason: "an unknown output" }),
            };
            new.out.push_back(output);
        }
        reader.end()?;
        Ok(new)
    }
}

const VERSION: u8 = 1;
