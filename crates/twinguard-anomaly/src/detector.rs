//! The one trait of the detectors, and what a fitted one says.

use core::net::IpAddr;

use twinguard_types::{
    Attribution, Catalogue, DetectorId, Event, Label, Oddity, Residual, Score, SignalId, Symptom, Timestamp,
    View,
};

use crate::{Error, History, Reader, Tail, Writer};

/// What a detector may know when it is fitted.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Its place in the bank.
    pub id: DetectorId,
    /// What is known of the signals.
    pub catalogue: &'a Catalogue,
    /// Seed of whatever it draws at random.
    pub seed: u64,
}

impl Context<'_> {
    /// A deviation as far as it is believed: no less than a ten thousandth of the signal's range.
    pub(crate) fn believed(&self, signal: SignalId, deviation: f64) -> f64 {
        let range = self.catalogue.signal(signal).and_then(|signal| signal.range);
        deviation.max(range.map_or(1e-9, |range| 1e-4 * range.span()))
    }
}

/// A kind of detector: learns what is normal.
///
/// A detector that lacks its view or its history yields a fitted form that stays silent and says so in its coverage.
pub trait Detector: Send + Sync {
    /// Its name, unique in the registry.
    fn name(&self) -> &'static str;

    /// What it looks for.
    fn symptom(&self) -> Symptom;

    /// The view without which it has nothing to say.
    fn needs(&self) -> Option<View> {
        None
    }

    /// Whether one score above the threshold is enough; otherwise the judge waits for a second within three.
    ///
    /// To be true for facts, and for detectors that speak of one signal at a time: their scores interleave.
    fn at_once(&self) -> bool {
        false
    }

    /// Learns from a history of normal operation.
    ///
    /// # Errors
    /// An [`Error`] for a history or a catalogue that cannot be used at all; a poor one only lowers the coverage.
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error>;

    /// Reads back what [`Fitted::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when the bytes are not valid.
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error>;
}

/// A fitted detector with its state: causal, bounded, without allocation.
pub trait Fitted: Send {
    /// Looks at an event; `None` when the event is not its business.
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>>;

    /// A signal has another instrument from now on: what was added up of it starts anew, what was learnt stays. For those
    /// that add up nothing signal by signal there is nothing to do.
    fn forget(&mut self, _signal: SignalId) {}

    /// The model has just started and still has to find the plant: what it says may excuse, but accuses nobody. For those that do
    /// not ask it before they accuse there is nothing to do.
    fn unsettled(&mut self, _residual: &Residual<'_>) -> Option<Observation<'_>> {
        None
    }

    /// The model is another from now on: what it is off by is unknown again, and what was added up of the one before says nothing
    /// of it. What was learnt stays.
    fn remodelled(&mut self) {}

    /// Nobody listened for a while, and knows it: the silence up to here says nothing.
    fn missed(&mut self) {}

    /// What its scores rest on.
    fn coverage(&self) -> Coverage;

    /// Writes what it learnt and its state; the restored one continues bit by bit.
    fn save(&self, writer: &mut Writer);
}

/// What a detector's scores rest on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Coverage {
    /// Calibrated on normal history.
    Calibrated {
        /// Number of samples.
        samples: usize,
        /// Independent excursions behind the tail (the least of its channels).
        excursions: usize,
    },
    /// Physical limits or assumed rates: no history.
    Assumed,
    /// Nothing to go on.
    Silent(&'static str),
}

/// A score and what it saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation<'a> {
    /// The score.
    pub score: Score<'a>,
    /// What was seen, for the sentence.
    pub detail: Detail,
    /// When the abnormality began, where the detector can tell.
    pub onset: Option<Timestamp>,
}

/// What a detector saw, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Detail {
    /// Nothing beyond the score.
    #[default]
    None,
    /// A signal is off its expectation.
    Level {
        /// The signal.
        signal: SignalId,
        /// As seen, in the signal's unit (or in σ for whitened residuals).
        seen: f64,
        /// As expected, in the same unit.
        expected: f64,
    },
    /// A value stood still.
    Frozen {
        /// The signal.
        signal: SignalId,
        /// Number of equal samples.
        samples: u32,
    },
    /// Earlier rows came again.
    Repeat {
        /// How long ago they were seen first, seconds.
        lag_s: f64,
        /// Number of rows so far.
        rows: u32,
        /// Number of signals.
        signals: u32,
    },
    /// All signals together run unlike the history, this one most.
    Unlike {
        /// The signal.
        signal: SignalId,
        /// Its share in what is off.
        share: f64,
    },
    /// Noise changed by this factor (of its variance).
    Noise {
        /// The signal.
        signal: SignalId,
        /// Variance now over variance in normal operation.
        factor: f64,
        /// Share of channels with changed noise.
        share: f64,
    },
    /// Writes that nobody says they sent.
    Unsent {
        /// How many in this run.
        writes: u32,
        /// The last one's signal.
        signal: SignalId,
        /// The last one's value.
        value: f64,
        /// Where the last one came from.
        from: Option<IpAddr>,
    },
    /// A writer that was not seen before.
    NewWriter {
        /// What it wrote.
        signal: SignalId,
        /// Where it came from.
        from: Option<IpAddr>,
    },
    /// A value or an order of commands that was not seen before.
    NewCommand {
        /// The signal.
        signal: SignalId,
        /// The value.
        value: f64,
    },
    /// A service that a client did not use before.
    NewFunction {
        /// The client.
        client: IpAddr,
        /// The function code.
        function: u16,
    },
    /// A client that was not seen before.
    NewClient {
        /// The client.
        client: IpAddr,
        /// The function code that it used.
        function: u16,
    },
    /// The vendor's values differ from the field's.
    Vendor {
        /// The signal that differs most.
        signal: SignalId,
        /// Vendor minus field, in the signal's unit.
        offset: f64,
        /// Number of signals that differ.
        off: u32,
        /// Number of signals compared.
        of: u32,
        /// Whether the shown value stands still while the field moves.
        frozen: bool,
        /// Whether the difference grew so slowly that a filter follows it: it may as well be the field that lies.
        slowly: bool,
        /// Whether the field has left the model as well, to the other side: then it is the field that moved.
        field: bool,
    },
    /// Traffic between two peers changed.
    Traffic {
        /// The client.
        client: IpAddr,
        /// The server.
        server: IpAddr,
        /// Seen latency or interval, seconds.
        seen_s: f64,
        /// Normal latency or interval, seconds.
        normal_s: f64,
        /// Whether it is the latency.
        latency: bool,
    },
    /// Requests stayed without an answer.
    Unanswered {
        /// The client.
        client: IpAddr,
        /// The server.
        server: IpAddr,
        /// How many in this run.
        requests: u32,
    },
    /// A number of unusual or refused accesses.
    Count {
        /// How many in this burst.
        count: u32,
        /// The peer, where one is known.
        from: Option<IpAddr>,
    },
    /// A number of odd messages of one kind.
    Odd {
        /// How many in this burst.
        count: u32,
        /// The last one's protocol family or layer.
        family: Label,
        /// What is odd about them.
        oddity: Oddity,
        /// The last one's sender, where one is known.
        from: Option<IpAddr>,
    },
}

/// Statistics of one kind over several signals, on one scale.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    id: DetectorId,
    pub(crate) signals: Vec<SignalId>,
    pub(crate) tails: Vec<Tail>,
    price: f64,
    surprise: Vec<f64>,
    shares: Vec<Attribution>,
}

crate::archived!(Channels { id, signals, tails, price, surprise, shares });

/// Most signals that a score names.
const NAMED: usize = 8;

impl Channels {
    /// Where a signal stands among them.
    pub(crate) fn places(&self, signal: SignalId) -> impl Iterator<Item = usize> {
        self.signals.iter().enumerate().filter(move |(_, held)| **held == signal).map(|(place, _)| place)
    }

    /// One tail per signal. The number of channels that speak is paid for (Bonferroni).
    pub(crate) fn new(context: &Context<'_>, signals: Vec<SignalId>, tails: Vec<Tail>) -> Self {
        let live = tails.iter().filter(|tail| tail.speaks()).count().max(1);
        let n = signals.len();
        Self {
            id: context.id,
            signals,
            tails,
            price: libm::log10(live as f64),
            surprise: vec![0.0; n],
            shares: vec![Attribution { signal: SignalId(0), share: 0.0 }; NAMED],
        }
    }

    /// What the number of channels costs each surprise.
    pub(crate) const fn price(&self) -> f64 {
        self.price
    }

    pub(crate) fn coverage(&self, what: &'static str) -> Coverage {
        let speaking = || self.tails.iter().filter(|tail| tail.speaks());
        let samples = speaking().map(Tail::samples).max();
        match (samples, speaking().map(Tail::excursions).min()) {
            (Some(samples), Some(excursions)) => Coverage::Calibrated { samples, excursions },
            _ => Coverage::Silent(what),
        }
    }

    /// The score of all statistics at one time, and the channel that is most surprising.
    pub(crate) fn score(
        &mut self,
        at: Timestamp,
        symptom: Symptom,
        statistics: &[f64],
        present: &[bool],
    ) -> (Score<'_>, usize) {
        let (mut best, mut most) = (0, 0.0);
        for place in 0..self.signals.len() {
            let surprise = if present[place] { self.tails[place].surprise(statistics[place]) } else { 0.0 };
            self.surprise[place] = surprise;
            if surprise > most {
                (best, most) = (place, surprise);
            }
        }
        let total = (most - self.price).max(0.0);
        let named = if total >= 1.0 { self.share(most) } else { 0 };
        (Score { at, detector: self.id, symptom, surprise: total, attribution: &self.shares[..named] }, best)
    }

    /// The score of one channel.
    pub(crate) fn single(
        &mut self,
        at: Timestamp,
        symptom: Symptom,
        place: usize,
        statistic: f64,
    ) -> Score<'_> {
        let surprise = (self.tails[place].surprise(statistic) - self.price).max(0.0);
        self.fixed(at, symptom, place, surprise)
    }

    /// A given surprise on one channel.
    pub(crate) fn fixed(
        &mut self,
        at: Timestamp,
        symptom: Symptom,
        place: usize,
        surprise: f64,
    ) -> Score<'_> {
        self.shares[0] = Attribution { signal: self.signals[place], share: 1.0 };
        let named = usize::from(surprise >= 1.0);
        Score { at, detector: self.id, symptom, surprise, attribution: &self.shares[..named] }
    }

    /// Shares of the surprise among the channels that come near the largest, at most eight.
    fn share(&mut self, most: f64) -> usize {
        let mut count = 0;
        while count < NAMED {
            let next = (0..self.signals.len())
                .filter(|place| self.surprise[*place] > 0.5 * most)
                .filter(|place| !self.shares[..count].iter().any(|held| held.signal == self.signals[*place]))
                .max_by(|a, b| self.surprise[*a].total_cmp(&self.surprise[*b]).then(b.cmp(a)));
            let Some(next) = next else { break };
            self.shares[count] = Attribution { signal: self.signals[next], share: self.surprise[next] };
            count += 1;
        }
        let sum: f64 = self.shares[..count].iter().map(|held| held.share).sum();
        self.shares[..count].iter_mut().for_each(|held| held.share /= sum);
        count
    }
}

/// A number whose square still is one: no physical quantity is larger.
pub(crate) fn tame(value: f64) -> f64 {
    if value.is_finite() { value.clamp(-1e100, 1e100) } else { 0.0 }
}

/// What no transmitter is believed to be better than, as a share of its reading (class 0.2, IEC 60770).
pub(crate) const ACCURACY: f64 = 0.002;

/// Decimals that it takes to write a value, at most nine.
pub(crate) fn decimals(value: f64) -> u8 {
    let mut scaled = value.abs();
    let mut places = 0;
    while places < 9 && scaled < 1e15 && (scaled - scaled.round()).abs() > 1e-6 {
        scaled *= 10.0;
        places += 1;
    }
    places
}

/// Samples apart that make two excursions of a slow statistic: five minutes at one a second, less for short histories.
pub(crate) fn gap(samples: usize) -> usize {
    (samples / 60).clamp(30, 300)
}

/// One tail per list of samples.
pub(crate) fn transpose(samples: &[Vec<f64>], gap: usize, floor: f64) -> Vec<Tail> {
    samples.iter().map(|samples| Tail::fit(samples, gap, floor)).collect()
}

macro_rules! details {
    ($($tag:literal $name:ident { $($field:ident),* },)*) => {
        impl crate::Archive for Detail {
            fn save(&self, writer: &mut Writer) {
                match self {
                    Self::None => 0u8.save(writer),
                    $(Self::$name { $($field),* } => {
                        ($tag as u8).save(writer);
                        $($field.save(writer);)*
                    })*
                }
            }
            fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
                Ok(match u8::load(reader)? {
                    0 => Self::None,
                    $($tag => Self::$name { $($field: crate::Archive::load(reader)?),* },)*
                    _ => return Err(reader.refuse("an unknown detail")),
                })
            }
        }
    };
}

details! {
    1 Level { signal, seen, expected },
    2 Frozen { signal, samples },
    3 Repeat { lag_s, rows, signals },
    4 Noise { signal, factor, share },
    5 Unsent { writes, signal, value, from },
    6 NewWriter { signal, from },
    7 NewCommand { signal, value },
    8 NewFunction { client, function },
    9 Vendor { signal, offset, off, of, frozen, slowly, field },
    10 Traffic { client, server, seen_s, normal_s, latency },
    11 Count { count, from },
    12 Odd { count, family, oddity, from },
    13 Unlike { signal, share },
    14 NewClient { client, function },
    15 Unanswered { client, server, requests },
}
