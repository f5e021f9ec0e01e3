//! Earlier values come again, exactly: repeated noise.
//!
//! Source: absence of fresh noise as the mark of a replay (Mo, Sinopoli, Allerton 2009, motivate it; the passive test here is a search for
//! repeated k-grams with a hash per signal, as Karp, Rabin, IBM Journal of Research and Development 31, 1987). For every signal the
//! probability c that a *change* of value coincides with an earlier one, given that the value before did, is learnt from random lags of the normal
//! history, and likewise for a run of four where the history has enough of them; a match at a lag adds −log₁₀ c, an unchanged value adds nothing, so stuck, coarse and few-valued signals say little; where coincidences at meaningless lags become more common than in the history, they say less. The
//! number of lags searched is paid for. What the history itself repeats scales the surprise down.
//! Signals count one by one: a replay of some of them, with the others alive, is found as well.
//! Memory: six hours at one row a second, at most sixteen signals. It lies for replays older than that, and noise added to a replay hides it.

use twinguard_types::{Attribution, DetectorId, Event, Row, Score, SignalId, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived,
};

/// Rows remembered.
const WINDOW: usize = 21_600;
/// Places per signal in the index, a power of two above the window.
const PLACES: usize = 32_768;
const MOST_SIGNALS: usize = 16;
/// Shorter lags are stillness or oscillation, not replay.
const LEAST_LAG: u32 = 30;
const LEAST_ROWS: u32 = 8;
const LAGS: usize = 8;
/// Most decades that one row adds, so that dependent signals do not claim too much.
const ROW_DECADES: f64 = 6.0;
const LOUDEST: f64 = 40.0;

/// Exact repeats of many-valued signals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replay;

#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    /// Place in the row.
    place: usize,
    signal: u32,
    decades: f64,
    gram: usize,
    /// Changes lately, and how many coincided with the value at a lag that means nothing.
    changes: f64,
    met: f64,
}

archived!(Channel { place, signal, decades, gram, changes, met });

impl Channel {
    /// What a coincidence says now: no more than in the history, less where the signal has become coarser.
    fn decades(&self) -> f64 {
        const PRIOR: f64 = 5.0;
        let learnt = libm::pow(10.0, -self.decades);
        let chance = (self.met + PRIOR * learnt) / (self.changes + PRIOR);
        self.decades.min(-libm::log10(chance))
    }

    fn decoy(&mut self, coincided: bool) {
        const KEEP: f64 = 0.995;
        self.changes = KEEP * self.changes + 1.0;
        self.met = KEEP * self.met + f64::from(u8::from(coincided));
    }
}

#[derive(Clone, Debug, Default)]
struct Lag {
    lag: u32,
    since: u32,
    began: Timestamp,
    decades: Vec<f64>,
}

archived!(Lag { lag, since, began, decades });

impl Lag {
    fn total(&self, now: u32) -> f64 {
        let rows = f64::from(now.saturating_sub(self.since) + 1);
        self.decades.iter().sum::<f64>().min(ROW_DECADES * rows).min(LOUDEST)
    }
}

struct State {
    id: DetectorId,
    layout: Vec<SignalId>,
    channels: Vec<Channel>,
    period_s: f64,
    price: f64,
    scale: f64,
    samples: usize,
    now: u32,
    prints: Vec<u32>,
    index: Vec<u32>,
    lags: Vec<Lag>,
    shares: Vec<Attribution>,
}

archived!(State { id, layout, channels, period_s, price, scale, samples, now, prints, index, lags, shares });

/// Fingerprint of a value; 0 is kept for "no value".
fn print(value: f64) -> u32 {
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    let mut hash = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((hash ^ (hash >> 31)) as u32).max(1)
}

/// Decades per coincidence of each signal of the layout, from random lags of the history.
fn coincidence(history: &History<'_>, layout: &[SignalId], seed: u64) -> (Vec<f64>, usize) {
    let m = layout.len();
    let mut columns: Vec<Vec<u32>> = vec![Vec::new(); m];
    for row in history.rows().filter(|row| row.signals == layout) {
        for (place, column) in columns.iter_mut().enumerate() {
            column.push(if row.qualities[place].is_usable() { print(row.values[place]) } else { 0 });
        }
    }
    let n = columns.first().map_or(0, Vec::len);
    if n < 600 {
        return (vec![0.0; m], n);
    }
    let decades = columns
        .iter()
        .map(|column| {
            let changes = column.windows(2).filter(|pair| pair[0] != pair[1]).count();
            let mut values = column.clone();
            values.sort_unstable();
            values.dedup();
            if values.len() < 12 || changes * 20 < n {
                return 0.0;
            }
            let mut random = seed ^ 0x5851_f42d_4c95_7f2d;
            let (mut tries, mut hits, mut all, mut met) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
            let (mut run_tries, mut run_hits) = (0.0_f64, 0.0_f64);
            for _ in 0..150_000 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let now = 1 + ((random >> 33) as usize) % (n - 1);
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // near lags weigh more: slow signals are then at the same level
                let reach = if random & 1 == 0 { n } else { n.min(600) };
                let lag = LEAST_LAG as usize + ((random >> 33) as usize) % reach;
                if lag >= now || column[now] == column[now - 1] {
                    continue;
                }
                let equal = f64::from(u8::from(column[now] == column[now - lag]));
                all += 1.0;
                met += equal;
                if column[now - 1] == column[now - lag - 1] {
                    tries += 1.0;
                    hits += equal;
                    let run =
                        now > lag + 4 && (2..5).all(|back| column[now - back] == column[now - lag - back]);
                    run_tries += f64::from(u8::from(run));
                    run_hits += if run { equal } else { 0.0 };
                }
            }
            let chance = ((hits + 1.0) / (tries + 2.0)).max((met + 1.0) / (all + 2.0));
            let run = if run_tries < 30.0 { 0.0 } else { (run_hits + 1.0) / (run_tries + 2.0) };
            let chance = chance.max(run);
            (-libm::log10(chance)).clamp(0.0, 2.0)
        })
        .collect();
    (decades, n)
}

impl State {
    fn at(&self, row: u32, channel: usize) -> u32 {
        self.prints[(row as usize % WINDOW) * self.channels.len() + channel]
    }

    /// Whether signal and lag agree at this row, and how much that says.
    fn agreement(&self, row: u32, lag: u32, channel: usize) -> Option<f64> {
        let (here, there) = (self.at(row, channel), self.at(row - lag, channel));
        if here == 0 || here != there {
            return None;
        }
        let changed = here != self.at(row - 1, channel);
        Some(if changed { self.channels[channel].decades() } else { 0.0 })
    }

    /// Takes a row; the most surprising lag's total.
    fn step(&mut self, row: &Row<'_>) -> f64 {
        let m = self.channels.len();
        self.now = self.now.wrapping_add(1);
        let now = self.now;
        for channel in 0..m {
            let place = self.channels[channel].place;
            let value = if row.qualities[place].is_usable() { print(row.values[place]) } else { 0 };
            self.prints[(now as usize % WINDOW) * m + channel] = value;
            // a lag that changes with every row: no replay keeps to it
            let lag = LEAST_LAG + now.wrapping_mul(2_654_435_761) % 251;
            if now > lag && value != 0 && value != self.at(now - 1, channel) {
                let coincided = value == self.at(now - lag, channel);
                self.channels[channel].decoy(coincided);
            }
        }
        for slot in 0..LAGS {
            let lag = self.lags[slot].lag;
            if lag == 0 {
                continue;
            }
            let mut alive = false;
            for channel in 0..m {
                match self.agreement(now, lag, channel) {
                    Some(decades) => {
                        let sum = &mut self.lags[slot].decades[channel];
                        *sum = (*sum + decades).min(LOUDEST);
                        alive |= *sum > 0.0;
                    }
                    None => self.lags[slot].decades[channel] = 0.0,
                }
            }
            if !alive {
                self.lags[slot].lag = 0;
            }
        }
        for channel in 0..m {
            self.anchor(channel, row.at);
        }
        self.best().map_or(0.0, |slot| self.lags[slot].total(now))
    }

    /// Looks the last k-gram of a signal up, and opens its lag when it was seen before.
    fn anchor(&mut self, channel: usize, at: Timestamp) {
        let (gram, now) = (self.channels[channel].gram, self.now);
        if gram == 0 || (now as usize) <= gram {
            return;
        }
        let (mut hash, mut changes) = (0xcbf2_9ce4_8422_2325_u64, 0);
        for back in 0..gram as u32 {
            let value = self.at(now - back, channel);
            if value == 0 {
                return;
            }
            changes += u32::from(value != self.at(now - back - 1, channel));
            hash = (hash ^ u64::from(value)).wrapping_mul(0x0100_0000_01b3);
            hash ^= hash >> 29;
        }
        if changes < 3 {
            return;
        }
        let place = channel * PLACES + (hash >> 20) as usize % PLACES;
        let before = core::mem::replace(&mut self.index[place], now);
        let lag = now.wrapping_sub(before);
        let known = self.lags.iter().any(|held| held.lag == lag);
        if before == 0 || known || lag < LEAST_LAG || lag as usize + 64 > WINDOW || before < 64 {
            return;
        }
        // how long, and on which signals, did the past match already?
        let slot = (0..LAGS).min_by(|a, b| self.value(*a).total_cmp(&self.value(*b))).unwrap_or(0);
        let mut longest = 0;
        for channel in 0..self.channels.len() {
            let (mut sum, mut run) = (0.0, 0);
            while run < 32
                && let Some(decades) = self.agreement(now - run, lag, channel)
            {
                sum += decades;
                run += 1;
            }
            self.lags[slot].decades[channel] = sum;
            longest = longest.max(run);
        }
        let held = &mut self.lags[slot];
        held.lag = lag;
        held.since = now + 1 - longest.max(1);
        held.began = at;
    }

    fn value(&self, slot: usize) -> f64 {
        if self.lags[slot].lag == 0 { -1.0 } else { self.lags[slot].total(self.now) }
    }

    fn best(&self) -> Option<usize> {
        let long = |slot: &usize| {
            self.lags[*slot].lag != 0 && self.now.saturating_sub(self.lags[*slot].since) + 1 >= LEAST_ROWS
        };
        (0..LAGS).filter(long).max_by(|a, b| self.value(*a).total_cmp(&self.value(*b)))
    }
}

impl Detector for Replay {
    fn name(&self) -> &'static str {
        "replay"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Repeat
    }
    fn needs(&self) -> Option<View> {
        Some(View::History)
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let layout = history.rows().next().map(|row| row.signals.to_vec()).unwrap_or_default();
        let (decades, samples) = coincidence(history, &layout, context.seed);
        let mut ranked: Vec<usize> = (0..layout.len()).filter(|place| decades[*place] > 0.05).collect();
        ranked.sort_by(|a, b| decades[*b].total_cmp(&decades[*a]).then(layout[*a].cmp(&layout[*b])));
        ranked.truncate(MOST_SIGNALS);
        let channels: Vec<Channel> = ranked
            .iter()
            .map(|place| {
                let decades = decades[*place];
                let gram = ((libm::log10(WINDOW as f64) + 2.5) / decades).ceil().max(4.0) as usize;
                let gram = if gram > 24 { 0 } else { gram };
                Channel { place: *place, signal: layout[*place].0, decades, gram, changes: 0.0, met: 0.0 }
            })
            .collect();
        let m = channels.len();
        let span = history.rows().last().zip(history.rows().next());
        let period_s = span.map_or(1.0, |(last, first)| {
            (last.at - first.at).as_secs_f64() / (samples.saturating_sub(1).max(1) as f64)
        });
        let mut state = State {
            id: context.id,
            period_s,
            price: libm::log10((WINDOW * m.max(1)) as f64),
            scale: 1.0,
            samples,
            now: 0,
            prints: vec![0; WINDOW * m],
            index: vec![0; PLACES * m],
            lags: vec![Lag { decades: vec![0.0; m], ..Lag::default() }; LAGS],
            shares: vec![Attribution { signal: SignalId(0), share: 0.0 }; MOST_SIGNALS],
            layout,
            channels,
        };
        let mut most: f64 = 0.0;
        let layout = state.layout.clone();
        for row in history.rows().filter(|row| row.signals == layout && m > 0) {
            most = most.max(state.step(&row) - state.price);
        }
        state.lags.iter_mut().for_each(|lag| lag.lag = 0);
        state.channels.iter_mut().for_each(|channel| (channel.changes, channel.met) = (0.0, 0.0));
        // the loudest of n normal rows should be about log10 n
        let expected = libm::log10(samples.max(10) as f64);
        state.scale = if most > expected { expected / most } else { 1.0 };
        Ok(Box::new(state))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        let state = State::load(reader)?;
        let m = state.channels.len();
        if state.prints.len() != WINDOW * m
            || state.index.len() != PLACES * m
            || state.lags.len() != LAGS
            || state.lags.iter().any(|lag| lag.decades.len() != m || lag.lag > state.now)
            || state.shares.len() != MOST_SIGNALS
            || state.channels.iter().any(|channel| channel.place >= state.layout.len() || channel.gram > 24)
        {
            return Err(reader.refuse("the memory of rows does not fit its signals"));
        }
        Ok(Box::new(state))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Row(row) = event else { return None };
        if self.channels.is_empty() || row.signals != self.layout {
            return None;
        }
        let total = self.step(row);
        let surprise = ((total - self.price) * self.scale).max(0.0);
        let (mut detail, mut onset, mut named) = (Detail::None, None, 0);
        if let (true, Some(best)) = (surprise >= 1.0, self.best()) {
            let lag = &self.lags[best];
            let sum: f64 = lag.decades.iter().sum();
            for (channel, decades) in self.channels.iter().zip(&lag.decades) {
                if *decades > 0.0 {
                    self.shares[named] =
                        Attribution { signal: SignalId(channel.signal), share: decades / sum };
                    named += 1;
                }
            }
            self.shares[..named].sort_unstable_by(|a, b| b.share.total_cmp(&a.share));
            let rows = self.now.saturating_sub(lag.since) + 1;
            let back = twinguard_types::Duration::from_nanos((f64::from(rows) * self.period_s * 1e9) as i64);
            onset = Some(row.at - back);
            let lag_s = f64::from(lag.lag) * self.period_s;
            detail = Detail::Repeat { lag_s, rows, signals: named as u32 };
        }
        let attribution = &self.shares[..named];
        let (at, detector) = (row.at, self.id);
        let score = Score { at, detector, symptom: Symptom::Repeat, surprise, attribution };
        Some(Observation { score, detail, onset })
    }
    fn coverage(&self) -> Coverage {
        if self.channels.is_empty() {
            Coverage::Silent("no signal in the history has noise that could repeat")
        } else {
            Coverage::Calibrated { samples: self.samples, excursions: 0 }
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, Plant};

    #[test]
    fn a_replay_is_found_within_sixteen_rows() {
        let mut fitted = testing::fit(&super::Replay, Plant::new(1).run(6_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 5.0);
        plant.replay(600);
        assert!(testing::loudest(&mut *fitted, &mut plant, 16) > 8.0);
    }

    #[test]
    fn a_replay_of_two_signals_is_found_and_freezing_is_not_replay() {
        let mut fitted = testing::fit(&super::Replay, Plant::new(1).run(6_000));
        let mut plant = Plant::new(3);
        testing::loudest(&mut *fitted, &mut plant, 1_000);
        plant.freeze(0);
        plant.freeze(1);
        plant.freeze(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 300) < 5.0);
        plant.heal();
        plant.replay_only(600, &[0, 1]);
        assert!(testing::loudest(&mut *fitted, &mut plant, 40) > 8.0);
    }
}
