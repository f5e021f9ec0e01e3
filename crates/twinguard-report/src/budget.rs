//! How much of a run is drawn.

/// Less when the page would grow too large, and then the page says so.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    /// Columns of a plot.
    pub(crate) columns: usize,
    /// Close views.
    pub(crate) focus: usize,
    /// Findings as cards.
    pub(crate) cards: usize,
    /// Rows of a table.
    pub(crate) rows: usize,
}

impl Budget {
    pub(crate) const FULL: Self = Self { columns: 500, focus: 12, cards: 40, rows: 200 };
    pub(crate) const HALVED: Self = Self { columns: 250, ..Self::FULL };
    pub(crate) const LEAST: Self = Self { focus: 0, cards: 20, rows: 100, ..Self::HALVED };
}
