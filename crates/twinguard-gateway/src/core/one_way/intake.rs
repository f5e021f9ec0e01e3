//! What a receiver tells, on its way to the guard: the same intake as that of points that a platform tells.

use serde::Serialize;
use twinguard::types::{Point, Timestamp};
use twinguard::{Input, LineReport, LineStanding};

use super::receiver::{Gap, Told};
use crate::core::page::LineRow;
use crate::core::{Core, PointText};

/// How a line stands.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::core) struct Line {
    silent_since: Option<Timestamp>,
    blocks_lost: u64,
    points: u64,
}

impl Line {
    pub(in crate::core) fn row(&self, name: &str) -> LineRow {
        LineRow {
            name: name.to_owned(),
            silent_since_s: self.silent_since.map(Timestamp::as_secs_f64),
            blocks_lost: self.blocks_lost,
            points: self.points,
        }
    }
}

/// What became of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Points that the guard was told.
    pub taken: u64,
    /// Points of signals that the plant file does not name, or of no value that can be.
    pub refused: u64,
}

#[derive(Serialize)]
struct GapRow<'a> {
    line: &'a str,
    at_s: f64,
    stream: String,
    from_block: u64,
    to_block: u64,
}

#[derive(Serialize)]
struct UnreadableRow<'a> {
    line: &'a str,
    at_s: f64,
    block: u64,
}

#[derive(Serialize)]
struct SilenceRow<'a> {
    line: &'a str,
    since_s: f64,
}

#[derive(Serialize)]
struct HeardRow<'a> {
    line: &'a str,
    at_s: f64,
}

impl Core {
    /// Takes what the receiver of a line tells. What is not understood of a batch is left out and counted; gaps, silence and what cannot
    /// be read are news, gaps and silence stand in the health, and the guard makes findings of them.
    ///
    /// Points are all that comes this way: there is no other word in it.
    pub fn one_way(&mut self, now: Timestamp, line: &str, told: &[Told]) -> Taken {
        let at_s = now.as_secs_f64();
        let mut came = Taken::default();
        let mut state = self.lines.get(line).copied().unwrap_or_default();
        for it in told {
            match it {
                Told::Batch(points) => {
                    let batch = self.batch(now, points);
                    came.taken += batch.taken;
                    came.refused += batch.refused;
                }
                Told::Gap(Gap { stream, from, to }) => {
                    state.blocks_lost = state.blocks_lost.saturating_add(to.saturating_sub(*from));
                    let stream = stream.to_string();
                    self.say("gap", &GapRow { line, at_s, stream, from_block: *from, to_block: *to });
                    self.report(now, line, LineStanding::Lost { pieces: state.blocks_lost });
                }
                Told::Unreadable { block } => {
                    self.say("unreadable", &UnreadableRow { line, at_s, block: *block });
                }
                Told::Silent { since } => {
                    state.silent_since = Some(*since);
                    self.say("silence", &SilenceRow { line, since_s: since.as_secs_f64() });
                    self.report(now, line, LineStanding::Silent { since: *since });
                }
                Told::Heard => {
                    state.silent_since = None;
                    self.say("heard", &HeardRow { line, at_s });
                    self.report(now, line, LineStanding::Heard);
                }
            }
        }
        state.points += came.taken;
        self.lines.insert(line.to_owned(), state);
        came
    }

    fn report(&mut self, now: Timestamp, name: &str, standing: LineStanding) {
        self.tell(now, Input::Line(LineReport { name, standing }));
    }

    fn batch(&mut self, now: Timestamp, texts: &[PointText]) -> Taken {
        let points: Vec<Point> = texts.iter().filter_map(|text| self.point(now, text).ok()).collect();
        let taken = self.take_points(now, &points).map_or(0, |taken| taken as u64);
        Taken { taken, refused: texts.len() as u64 - taken }
    }
}
