//! The table, in Markdown.

/// What one server has cost in one row, round by round.
pub(crate) struct Cell<'a> {
    pub(crate) server: &'a str,
    pub(crate) costs: &'a [f64],
}

/// The name of the server that all others are compared with.
pub(crate) const LIMIT: &str = "limit";

/// One line: the median of each server, and how many times that of the limit program it is, with
/// half the distance between the quartiles of that.
pub(crate) fn line(says: &str, cells: &[Cell<'_>]) -> String {
    let limit = cells.iter().find(|cell| cell.server == LIMIT).map(|cell| cell.costs);
    let mut line = format!("| {says} |");
    for cell in cells {
        if cell.costs.is_empty() {
            line.push_str(" – |");
            continue;
        }
        let cost = short(median(cell.costs));
        let part = match limit {
            Some(limit) if cell.server != LIMIT => {
                let ratios: Vec<f64> =
                    cell.costs.iter().zip(limit).map(|(own, limit)| own / limit).collect();
                format!(" {cost} · **{:.2}** ± {:.2} |", median(&ratios), spread(&ratios))
            }
            Some(_) | None => {
                let percent = 100.0 * spread(cell.costs) / median(cell.costs);
                format!(" {cost} ± {percent:.0} % |")
            }
        };
        line.push_str(&part);
    }
    line
}

/// The two lines above it.
pub(crate) fn head(first: &str, servers: &[&str]) -> String {
    format!("| {first} | {} |\n|---|{}", servers.join(" | "), "---|".repeat(servers.len()))
}

/// A number with three digits that count.
pub(crate) fn short(value: f64) -> String {
    let places = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.places$}")
}

pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Half the distance between the quartiles.
pub(crate) fn spread(values: &[f64]) -> f64 {
    (quantile(values, 0.75) - quantile(values, 0.25)) / 2.0
}

/// The value below which the part `share` of all lies, between its two neighbours.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_precision_loss, reason = "a handful of rounds")]
    let at = share * (sorted.len().saturating_sub(1)) as f64;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index below the length"
    )]
    let below = at as usize;
    match (sorted.get(below), sorted.get(below + 1)) {
        (Some(low), Some(high)) => low + (high - low) * at.fract(),
        (Some(only), None) => *only,
        (None, _) => f64::NAN,
    }
}
