//! The figures that matter most, each beside whoever comes closest.

use ptfrag_benches::{
    allocator::Sharing,
    who::Geometry,
    work::{Order, latency::Latencies},
};

use crate::{
    callgrind::{CELLS, Instructions},
    everything::Everything,
    matrix::{ORDERS, Samples},
    row::Row,
    series::{LATENCY, Series},
    stats::{ratio, summary},
    tables::{at, digits, find, order_name, spread, table, threads_name},
};

/// A figure of every round.
type Rounds = Vec<Option<f64>>;

/// Somebody's figures.
type Figures = (String, Rounds);

const ONE: (usize, Sharing) = (1, Sharing::OneMm);
const TWO: (usize, Sharing) = (2, Sharing::OneMm);

/// The whole table.
pub(crate) fn glance(all: &Everything) -> String {
    let mut rows = Vec::new();
    for geometry in [Geometry::G16x256, Geometry::G2x2048] {
        for (ours, threads) in [(Row::OURS, ONE), (Row::OURS, TWO), (Row::SECTION, TWO)] {
            rows.extend(against_peers(&all.pairs, ours, geometry, threads));
        }
    }
    rows.extend(crossing(&all.cross));
    rows.extend(rare_retirements(&all.latencies));
    rows.extend(instructions(&all.instructions));
    let header = ["what", "ptfrag", "beside", "its figure", "ratio"];
    table(&header, rows)
}

/// A line of the table.
fn line(what: String, ours: &Rounds, (name, theirs): Figures) -> Option<Vec<String>> {
    let mine = summary(ours)?;
    Some(vec![
        what,
        spread(Some(mine)),
        name,
        spread(summary(&theirs)),
        spread(ratio(ours, &theirs)),
    ])
}

/// Whose median is the least.
fn least(all: impl Iterator<Item = Figures>) -> Option<Figures> {
    let with = all.filter_map(|figures| Some((summary(&figures.1)?.median, figures)));
    with.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, figures)| figures)
}

fn peers(geometry: Geometry) -> impl Iterator<Item = Row> {
    Row::all(geometry).filter(|row| row.is_peer())
}

fn pair_name(
    ours: Row,
    geometry: Geometry,
    order: (Order, usize),
    threads: (usize, Sharing),
) -> String {
    let pair = if ours == Row::SECTION { "pair with a section" } else { "pair" };
    let order = order_name(order.0, order.1);
    format!("{pair}, {geometry}, {}, {order}, ns", threads_name(threads.0, threads.1))
}

/// A line for each order, with 64 blocks held.
fn each_order<'a>(
    all: &'a [Samples],
    ours: Row,
    geometry: Geometry,
    threads: (usize, Sharing),
    beside: impl Fn((Order, usize)) -> Option<Figures> + 'a,
) -> impl Iterator<Item = Vec<String>> + 'a {
    ORDERS.into_iter().filter(|&(_, live)| live == 64).filter_map(move |order| {
        let figures = find(all, ours, geometry, order, threads)?;
        line(pair_name(ours, geometry, order, threads), &figures.ns, beside(order)?)
    })
}

fn against_peers(
    all: &[Samples],
    ours: Row,
    geometry: Geometry,
    threads: (usize, Sharing),
) -> impl Iterator<Item = Vec<String>> + '_ {
    each_order(all, ours, geometry, threads, move |order| {
        least(peers(geometry).filter_map(|row| {
            Some((row.to_string(), find(all, row, geometry, order, threads)?.ns.clone()))
        }))
    })
}

/// A series' figures of a row.
fn rounds<T>(
    all: &[Series<T>],
    row: Row,
    geometry: Geometry,
    figure: impl Fn(&T) -> f64,
) -> Option<Rounds> {
    let series = all.iter().find(|series| (series.row, series.geometry) == (row, geometry))?;
    Some(series.rounds.iter().map(|round| round.as_ref().map(&figure)).collect())
}

/// A line for each geometry against the best peer.
fn by_geometry<'a, T>(
    all: &'a [Series<T>],
    name: impl Fn(Geometry) -> String + 'a,
    figure: fn(&T) -> f64,
) -> impl Iterator<Item = Vec<String>> + 'a {
    Geometry::ALL.into_iter().filter_map(move |geometry| {
        let of = |row| rounds(all, row, geometry, figure);
        let best = least(peers(geometry).filter_map(|row| Some((row.to_string(), of(row)?))))?;
        line(name(geometry), &of(Row::OURS)?, best)
    })
}

fn crossing(all: &[Series<f64>]) -> impl Iterator<Item = Vec<String>> + '_ {
    by_geometry(all, |geometry| format!("from thread to thread, {geometry}, ns"), |&ns| ns)
}

fn rare_retirements(all: &[Series<Latencies>]) -> impl Iterator<Item = Vec<String>> + '_ {
    let (order, live) = LATENCY;
    let how = format!("{}, {}", threads_name(TWO.0, TWO.1), order_name(order, live));
    let name = move |geometry| format!("p99.99 of a retirement, {geometry}, {how}, ns");
    by_geometry(all, name, |latencies| at(&latencies.retire, 0.9999))
}

/// Counted once only, as nothing wanders.
fn instructions(all: &[Instructions]) -> impl Iterator<Item = Vec<String>> + '_ {
    let cells = CELLS.into_iter().filter(|cell| cell.0 == Geometry::G16x256);
    cells.filter_map(move |(geometry, order, live)| {
        let of = |row| {
            let found = |i: &&Instructions| {
                (i.row, i.geometry, i.order, i.live) == (row, geometry, order, live)
            };
            all.iter().find(found)?.per_pair
        };
        let ours = of(Row::OURS)?;
        let best = peers(geometry).filter_map(|row| Some((row, of(row)?)));
        let (row, theirs) = best.min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(vec![
            format!("instructions of a pair, {geometry}, 1 thread, {}", order_name(order, live)),
            digits(ours),
            row.to_string(),
            digits(theirs),
            digits(ours / theirs),
        ])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_median_is_found_and_divided_by() {
        let figures = |name: &str, of: [f64; 3]| (name.to_owned(), of.map(Some).to_vec());
        // One lucky round does not make anybody the fastest.
        let all = [figures("a", [9.0, 8.0, 1.0]), figures("b", [4.0, 5.0, 10.0])];
        let best = least(all.into_iter()).unwrap();
        assert_eq!(best.0, "b");
        assert!(least([("c".to_owned(), vec![None])].into_iter()).is_none());
        let ours = [2.0, 2.0, 2.0].map(Some).to_vec();
        let line = line("pair".to_owned(), &ours, best).unwrap();
        let expected = ["pair", "2.00 (2.00-2.00)", "b", "5.00 (4.00-10.0)", "0.40 (0.20-0.50)"];
        assert_eq!(line, expected);
    }
}
