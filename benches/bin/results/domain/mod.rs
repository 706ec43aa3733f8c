//! The built-in domain by itself: how long it makes others wait, in epochs and in time.

mod backlog;
mod flavours;
mod grace;
mod many;
mod waits;

use ptfrag_benches::work::{backlog::Shrinking, flavours::Sections, grace::Graces, waits::Waited};
use serde::Serialize;

use crate::{
    Effort,
    runner::{Runner, bar},
    stats::summary,
    tables::spread,
};

/// All figures of the page.
#[derive(Default, Serialize)]
pub(crate) struct OfDomain {
    waits: Vec<InTurn<waits::Load, Waited>>,
    backlogs: Vec<InTurn<backlog::Guards, Shrinking>>,
    many: Vec<InTurn<usize, f64>>,
    graces: Vec<InTurn<grace::Load, Graces>>,
    flavours: Vec<InTurn<flavours::Load, Sections>>,
}

/// Measures all of it.
pub(crate) fn domain(runner: &mut Runner, effort: Effort) -> OfDomain {
    OfDomain {
        waits: waits::measure(runner, effort),
        backlogs: backlog::measure(runner, effort),
        many: many::measure(runner, effort),
        graces: grace::measure(runner, effort),
        flavours: flavours::measure(runner, effort),
    }
}

impl OfDomain {
    /// What stands in the page in the place of `{{names}}`.
    pub(crate) fn fill(&self) -> Vec<(&'static str, String)> {
        let backlog = self.backlogs.first().map(|guards| guards.row.backlog.to_string());
        vec![
            ("backlog-count", backlog.unwrap_or_default()),
            ("waits", waits::table(&self.waits)),
            ("backlog", backlog::table(&self.backlogs)),
            ("many-domains", many::table(&self.many)),
            ("grace", grace::table(&self.graces)),
            ("flavours", flavours::table(&self.flavours)),
        ]
    }
}

/// A row, and what it gave round by round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct InTurn<R, T> {
    row: R,
    rounds: Vec<Option<T>>,
}

/// Measures rows in turn.
fn in_turn<R, T>(
    what: &'static str,
    effort: Effort,
    rows: impl IntoIterator<Item = R>,
    mut take: impl FnMut(&R) -> Option<T>,
) -> Vec<InTurn<R, T>> {
    let mut all: Vec<_> = rows.into_iter().map(|row| InTurn { row, rounds: Vec::new() }).collect();
    let progress = bar(what, effort.rounds * all.len());
    for _ in 0..effort.rounds {
        for InTurn { row, rounds } in &mut all {
            rounds.push(take(row));
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    eprintln!("{what}: {:.0} s", progress.elapsed().as_secs_f64());
    all
}

impl<R, T> InTurn<R, T> {
    /// A figure of each round.
    fn figures(&self, figure: impl Fn(&T) -> Option<f64>) -> Vec<Option<f64>> {
        self.rounds.iter().map(|round| round.as_ref().and_then(&figure)).collect()
    }

    /// The median of a figure, and its spread.
    fn cell(&self, figure: impl Fn(&T) -> Option<f64>) -> String {
        let figures = self.figures(figure);
        match summary(&figures) {
            None if self.rounds.iter().any(Option::is_some) => "none".to_owned(),
            found => spread(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        let row = |rounds: &[Option<f64>]| InTurn { row: (), rounds: rounds.to_vec() };
        let positive = |&figure: &f64| (figure > 0.0).then_some(figure);
        assert_eq!(row(&[Some(3.0), None, Some(1.0)]).cell(positive), "2.00 (1.00-3.00)");
        assert_eq!(row(&[Some(0.0), None]).cell(positive), "none");
        assert_eq!(row(&[None, None]).cell(positive), "failed");
    }
}
