//! One site: its own rows, its own keys, its own process.

use std::io::BufRead;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use twinguard::anomaly::statistic::{
    Covariance, Gram, Plan, Quantise, Scorer, Statistic, Subspace, Tally, Threshold,
};
use twinguard::federated::privacy::{Ledger, Release, Rho, Stream, release};
use twinguard::federated::{
    Contribution, Event, Participant, Policy, contribution, message::model_digest, vote::Judgement,
};
use twinguard::types::Digest;

use crate::channel::Channel;
use crate::job::{
    DELTA, Job, MIN_ROWS, MIN_SITES, Mode, federation, first, now, plan, read, replace, second, sharing,
};
use crate::plant::{Dice, Plant, SENSORS};

/// Rows that judge and are never contributed.
const HELD_OUT: usize = 1000;
/// How much worse than its own directions a candidate may be for this site.
const TOLERANCE: f64 = 2.0;
const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    job: Job,
    rows: Vec<[f64; SENSORS]>,
    held_out: Covariance,
    channel: Channel,
}

/// Runs a site until the rounds are over.
pub(crate) fn run() -> Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let job = Job::from_line(&line)?;
    let mut own = Plant::new(job.seed).site(job.number.into(), job.shift, 0.0);
    let mut dice = Dice::new(job.seed, 1_000_000 + u64::from(job.number));
    let rows =
        (0..job.rows).map(|_| own.row(if job.poisoned { 20.0 * dice.normal() } else { 0.0 })).collect();
    let mut judge = Tally::new(plan(job.epsilon.is_some())?);
    for _ in 0..HELD_OUT {
        judge.observe(&own.row(0.0))?;
    }
    let stream =
        TcpStream::connect((Ipv4Addr::LOCALHOST, job.port)).context("the coordinator does not answer")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let channel = Channel::call(stream, job.number, &job.secret, &job.hub_public)?;
    let mut site = Site { held_out: Covariance::of(&judge)?, rows, channel, job };
    let task = first(site.job.mode, site.job.epsilon.is_some())?;
    let Some(model) = site.round(1, task.schema(), Digest::default(), None)? else { return Ok(()) };
    if site.job.has_second() {
        site.round(2, second(site.job.mode)?.schema(), model_digest(&model), Some(&read(&model)?))?;
    }
    Ok(())
}

impl Site {
    fn state(&self, stage: u8) -> PathBuf {
        PathBuf::from(&self.job.folder).join(format!("site-{}-{stage}.state", self.job.number))
    }

    /// Takes part in one round, from where it was if it was interrupted; the model, if there is one.
    fn round(
        &mut self,
        stage: u8,
        schema: Digest,
        base: Digest,
        model: Option<&Subspace>,
    ) -> Result<Option<Vec<u8>>> {
        let price = self.price()?;
        let policy = Policy {
            federation: federation(&self.job.run, stage),
            schema,
            base,
            min_sites: MIN_SITES,
            min_rows: MIN_ROWS,
            most_price: price.billionths(),
        };
        let (key, hub) = (self.job.signing.parse()?, self.job.hub.parse()?);
        let mut participant = match std::fs::read(self.state(stage)) {
            Ok(bytes) => Participant::restore(key, hub, policy, &bytes)?,
            Err(_) => Participant::new(key, hub, policy)?,
        };
        participant.resume()?;
        self.tell_helper(stage)?;
        loop {
            // written down first, sent afterwards
            self.keep(stage, &participant)?;
            while let Some(event) = participant.poll() {
                match event {
                    Event::Send(bytes) => self.channel.send(&bytes)?,
                    Event::Contribute(_) => {
                        // after a restart the first answer stands
                        let _ = participant.contribute(self.count(stage, model)?);
                    }
                    Event::Judge(candidate) => {
                        let good = match stage {
                            1 => Judgement::of(&read(&candidate.model)?, &self.held_out)?.accepts(TOLERANCE),
                            _ => read::<Threshold>(&candidate.model).is_ok(),
                        };
                        participant.vote(good != self.job.poisoned)?;
                    }
                    Event::Published { model, .. } => return Ok(Some(model)),
                    Event::Ended { .. } => return Ok(None),
                }
                self.keep(stage, &participant)?;
            }
            let bytes = self.channel.receive()?;
            // a refused message changes nothing: the next one may be good
            let _ = participant.handle(now(), &bytes);
        }
    }

    fn keep(&self, stage: u8, participant: &Participant) -> Result<()> {
        Ok(replace(&self.state(stage), &participant.save())?)
    }

    fn price(&self) -> Result<Rho> {
        Ok(self.job.epsilon.map(|epsilon| Rho::for_epsilon(epsilon, DELTA)).transpose()?.unwrap_or_default())
    }

    fn count(&self, stage: u8, model: Option<&Subspace>) -> Result<Contribution> {
        if let Some(model) = model {
            let (mut tally, mut scorer) = (Tally::new(Threshold::plan()?), Scorer::new(model));
            for row in &self.rows {
                if let Some(score) = scorer.observe(row)? {
                    tally.observe(&[score])?;
                }
            }
            return self.finish(stage, tally);
        }
        let mut tally: Tally<Gram> = Tally::new(plan(self.job.epsilon.is_some())?);
        for row in &self.rows {
            tally.observe(row)?;
        }
        self.finish(stage, tally)
    }

    /// Adds noise where it was asked for, after the ledger has agreed.
    fn finish<P: Plan>(&self, stage: u8, tally: Tally<P>) -> Result<Contribution> {
        let rho = self.price()?;
        if self.job.mode == Mode::Secure {
            return self.split(stage, &tally);
        }
        if rho == Rho::default() {
            return Ok(contribution(&tally));
        }
        let file = PathBuf::from(&self.job.folder).join(format!("site-{}.ledger", self.job.number));
        let mut ledger = match std::fs::read(&file) {
            Ok(bytes) => Ledger::decode(&bytes)?,
            Err(_) => Ledger::new(rho),
        };
        if stage != 1 {
            bail!("the second round is not paid for");
        }
        ledger.spend(Release { federation: federation(&self.job.run, stage), round: 1, rho })?;
        replace(&file, &ledger.encode())?;
        // the same seed for the same round: an answer that is made again has the same noise
        let mut rng = Stream::new(&self.job.noise_seed, &federation(&self.job.run, stage).0);
        debug_assert!(tally.rows() >= MIN_ROWS);
        Ok(contribution(&release(tally, rho, &mut rng)?))
    }

    /// Splits the cells between the two aggregators. The helper's part is written down first: it is sent again after a loss.
    fn split<P: Plan>(&self, stage: u8, tally: &Tally<P>) -> Result<Contribution> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| anyhow!("no randomness: {error}"))?;
        let shares = sharing(&self.job.run, stage)?.shard(tally.cells(), nonce)?;
        let mut message = vec![stage];
        message.extend_from_slice(&shares.for_helper().encode());
        replace(&self.for_helper(stage), &message)?;
        self.tell_helper(stage)?;
        Ok(shares.contribution(tally.rows()))
    }

    fn for_helper(&self, stage: u8) -> PathBuf {
        PathBuf::from(&self.job.folder).join(format!("site-{}-{stage}.share", self.job.number))
    }

    /// Sends what was written down for the helper, if there is anything.
    fn tell_helper(&self, stage: u8) -> Result<()> {
        let Some((port, public)) = &self.job.helper else { return Ok(()) };
        let Ok(message) = std::fs::read(self.for_helper(stage)) else { return Ok(()) };
        let stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).context("the helper does not answer")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let channel = Channel::call(stream, self.job.number, &self.job.secret, public)?;
        channel.send(&message)?;
        channel.receive().map(drop)
    }
}
