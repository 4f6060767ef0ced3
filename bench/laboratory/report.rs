//! The report of a run: a page, a table for the terminal, and the raw data. It knows only what was
//! measured; whoever takes it in has `data` beside it.

#[path = "report/agree.rs"]
pub(crate) mod agree;
#[path = "report/axis.rs"]
pub(crate) mod axis;
#[path = "report/costs.rs"]
pub(crate) mod costs;
#[path = "report/csv.rs"]
pub(crate) mod csv;
#[path = "report/json.rs"]
pub(crate) mod json;
#[path = "report/lines.rs"]
pub(crate) mod lines;
#[path = "report/numbers.rs"]
pub(crate) mod numbers;
#[path = "report/paced.rs"]
pub(crate) mod paced;
#[path = "report/page.rs"]
pub(crate) mod page;
#[path = "report/panels.rs"]
pub(crate) mod panels;
#[path = "report/plots.rs"]
pub(crate) mod plots;
#[path = "report/rows.rs"]
pub(crate) mod rows;
#[path = "report/search.rs"]
pub(crate) mod search;
#[path = "report/sentences.rs"]
pub(crate) mod sentences;
#[path = "report/svg.rs"]
pub(crate) mod svg;
#[path = "report/tables.rs"]
pub(crate) mod tables;
#[path = "report/view.rs"]
pub(crate) mod view;

use super::data::{self, Results};

/// One page that needs nothing else: drawings, what is seen in them, and all figures.
pub(crate) fn html(results: &Results) -> String {
    page::page(results)
}

/// The raw values, one line for each round.
pub(crate) fn csv(results: &Results) -> String {
    csv::csv(results)
}

/// The raw values with the distributions, for [`read`].
pub(crate) fn json(results: &Results) -> String {
    json::json(results)
}

/// What [`json`] has written; or why it is no such data.
pub(crate) fn read(text: &str) -> Result<Results, String> {
    json::read(text)
}

/// Plain text for the terminal: a block for each load, with a line for each entrant.
pub(crate) fn table(results: &Results) -> String {
    tables::text(results)
}
