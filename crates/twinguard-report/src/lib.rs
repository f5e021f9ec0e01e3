//! A run of a guard as one self-contained HTML page that opens offline.
//!
//! ```
//! use twinguard_report::{Headline, Limit, Outcome, Plot, Quantity, RunReport, Speaker, TimeAxis, Trace, render};
//! use twinguard_types::Timestamp;
//!
//! let mut report = RunReport::new("cooling_loop", TimeAxis::new(Timestamp::ZERO, 60.0));
//! let margin = Quantity::new(23.0, "degC").resolution(0.1);
//! report.headline = Headline::Attack { what: "The cooling was cut.".into(), outcome: Some(Outcome::below(margin)) };
//! let reported = Trace::new(Speaker::Reported, (0..60).map(|t| (f64::from(t), 72.0)));
//! let estimate = Trace::new(Speaker::Estimate, (0..60).map(|t| (f64::from(t), 71.0, 0.2)));
//! report.plots.push(
//!     Plot::new("Asset temperature", "degC").trace(reported).trace(estimate).limit(Limit::above(95.0, "damage")),
//! );
//! let page = render(&report);
//! assert!(page.contains("The asset stayed 23.0\u{202f}K below its limit."));
//! ```
//!
//! [`RunReport`] is plain data: fill it (the constructors beside it turn findings, verdicts and actions into rows), then
//! [`render`] it, or serialise it (feature `serde`): the JSON twin of the page is the same structure, so the two cannot
//! disagree. The page is a pure function of it; nothing here reads a clock, a file or a socket, and nothing can fail:
//! whatever cannot be drawn becomes a sentence. Foreign strings are escaped and made visible.
//!
//! | here | |
//! |---|---|
//! | [`RunReport`], [`render`] | the run report: headline, plots, who lies, findings, verdicts, actions, evidence |
//! | [`Scoreboard`], [`render_scoreboard`] | attacks by plants, who was named, what was missed and why |
//! | [`OnboardingPage`], [`render_onboarding`] | what was guessed of a plant, how good its model is, what is missing |
//! | [`Coverage`], [`render_coverage`] | what the meters of a plant cover, from its file alone |
//! | [`navigator::layer`], [`navigator::coverage`] | techniques of findings, or seen and missed ones, for ATT&CK Navigator |
//!
//! Not here: the live operations page, the integrity page; plots in the scoreboard; STIX, OCSF and CEF.

mod axis;
mod budget;
#[cfg(test)]
mod colour;
mod coverage;
mod data;
mod decimate;
mod fill;
mod headline;
mod icon;
mod lanes;
pub mod navigator;
mod number;
mod onboarding;
mod page;
mod plot;
mod scoreboard;
mod sections;
mod table;
mod text;
mod tokens;

pub use coverage::{Coverage, CoverageRow, render_coverage};
pub use data::{
    ActionRow, CommandRow, Consequence, Detection, Evidence, FindingCard, Focus, Headline, KeyFigure, Limit,
    Meta, Outcome, Plot, Quantity, RunReport, Sample, Side, SourceRow, Speaker, Tag, TimeAxis, Trace,
    Verification, Window,
};
pub use number::duration_text;
pub use onboarding::{GapRow, OnboardingPage, SignalRow, render_onboarding};
pub use page::render;
pub use scoreboard::{
    Confusion, MissRow, QuietRow, Scoreboard, Square, SquareGroup, SquareRow, SquareState, ViewRow,
    render_scoreboard,
};
