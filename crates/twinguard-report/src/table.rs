//! Tables that become label and value rows on phones and stay tables for a screen reader: `display: block` drops the
//! roles, so they are written out.

use maud::{Markup, html};

/// A column: heading, and the classes of its cells.
pub(crate) struct Column {
    pub(crate) head: Markup,
    /// Plain heading for the phone row.
    pub(crate) label: &'static str,
    pub(crate) class: &'static str,
}

/// A column with a plain heading.
pub(crate) fn column(label: &'static str, class: &'static str) -> Column {
    Column { head: html! { (label) }, label, class }
}

/// A table of cells; each row may have an anchor.
pub(crate) fn table(columns: &[Column], rows: &[(Option<String>, Vec<Markup>)]) -> Markup {
    html! {
        table.stack role="table" {
            thead role="rowgroup" { tr role="row" {
                @for column in columns { th.(column.class) role="columnheader" scope="col" { (column.head) } }
            } }
            tbody role="rowgroup" {
                @for (id, cells) in rows {
                    tr role="row" id=[id.as_deref()] {
                        @for (column, cell) in columns.iter().zip(cells) {
                            td.(column.class) role="cell" data-h=(column.label) { div { (cell) } }
                        }
                    }
                }
            }
        }
    }
}
