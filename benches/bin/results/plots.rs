//! The pictures.

use std::{error::Error, path::Path};

use plotters::{coord::Shift, prelude::*};
use ptfrag_benches::{
    allocator::Sharing,
    who::{Geometry, Who},
    work::{
        Order,
        latency::Latencies,
        stalled::{Course, Sample},
    },
};

use crate::{
    matrix::Samples,
    row::{Malloc, Row},
    series::Series,
    stats::{Summary, summary},
    tables::at,
};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

/// A row's colour: one for each who, paler under glibc where there are two.
fn colour(row: Row) -> RGBAColor {
    let colour = match row.who {
        Who::PtfragLocal => RGBColor(200, 0, 0),
        Who::PtfragLocalSection => RGBColor(240, 120, 130),
        Who::PtfragBare => RGBColor(0, 0, 0),
        Who::PtfragLanes => RGBColor(90, 90, 90),
        Who::Sdd => RGBColor(0, 114, 178),
        Who::CrossbeamEpoch => RGBColor(213, 94, 0),
        Who::Seize => RGBColor(0, 150, 110),
        Who::Liburcu => RGBColor(190, 90, 160),
        Who::Powerpc => RGBColor(220, 160, 0),
        Who::S390 => RGBColor(86, 180, 233),
        Who::Sheaves => RGBColor(100, 140, 0),
        Who::Bpf => RGBColor(110, 70, 200),
        Who::UmaSmr => RGBColor(0, 160, 180),
        Who::Mutex => RGBColor(130, 80, 40),
        Who::Floor => RGBColor(150, 150, 150),
    };
    let pale = row.who.uses_malloc() && row.who != Who::Liburcu && row.malloc == Malloc::Glibc;
    colour.mix(if pale { 0.4 } else { 1.0 })
}

/// A box with a row's name, below each other at the right.
fn legend(area: &Area<'_>, rows: &[Row]) -> Drawn {
    for (nth, &row) in rows.iter().enumerate() {
        let y = 40 + 24 * nth as i32;
        area.draw(&Rectangle::new([(4, y), (22, y + 12)], colour(row).filled()))?;
        area.draw(&Text::new(row.to_string(), (30, y - 2), ("sans-serif", 15)))?;
    }
    Ok(())
}

/// Pair cost by threads: bars in groups, on a logarithmic scale.
pub(crate) fn threads(path: &Path, all: &[Samples]) -> Drawn {
    let root = SVGBackend::new(path, (1160, 1000)).into_drawing_area();
    root.fill(&WHITE)?;
    let (plots, side) = root.split_horizontally(950);
    let rows: Vec<_> = Row::all(Geometry::G2x2048).collect();
    legend(&side, &rows)?;
    let groups = [
        (1, Sharing::OneMm, "1 thread"),
        (2, Sharing::OneMm, "2 threads, one mm"),
        (2, Sharing::TwoMms, "2 threads, two mms"),
        (8, Sharing::OneMm, "8 threads"),
    ];
    let pictures = [(Geometry::G16x256, Order::Random), (Geometry::G2x2048, Order::Fifo)];
    for (area, (geometry, order)) in plots.split_evenly((2, 1)).iter().zip(pictures) {
        let of = |row, threads, sharing| {
            let found = |samples: &&Samples| {
                let cell = samples.cell;
                samples.row == row
                    && (cell.geometry, cell.order, cell.live) == (geometry, order, 64)
                    && (cell.threads, cell.sharing) == (threads, sharing)
            };
            all.iter().find(found).and_then(|samples| summary(&samples.ns))
        };
        let width = rows.len() as f64 + 2.0;
        let top = rows
            .iter()
            .flat_map(|&row| groups.map(|(threads, sharing, _)| of(row, threads, sharing)))
            .flatten()
            .fold(10.0, |top: f64, summary| top.max(summary.max));
        let caption = format!("{geometry} bytes, {order} order, 64 blocks held by each thread");
        let mut chart = ChartBuilder::on(area)
            .caption(caption, ("sans-serif", 20))
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..width * groups.len() as f64, (1.0..top * 1.3).log_scale())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .y_desc("core time per pair, ns (median; line: least to most)")
            .y_label_formatter(&|y| format!("{y:.0}"))
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 14))
            .light_line_style(BLACK.mix(0.06))
            .draw()?;
        for (nth, (threads, sharing, name)) in groups.into_iter().enumerate() {
            let left = width * nth as f64 + 1.0;
            for (place, &row) in rows.iter().enumerate() {
                let Some(Summary { median, min, max }) = of(row, threads, sharing) else {
                    continue;
                };
                let x = left + place as f64;
                let bar = [(x + 0.1, 1.0), (x + 0.9, median.max(1.0))];
                chart.draw_series([Rectangle::new(bar, colour(row).filled())])?;
                let line = [(x + 0.5, min.max(1.0)), (x + 0.5, max.max(1.0))];
                chart.draw_series([PathElement::new(line, BLACK.mix(0.5))])?;
            }
            let middle = chart.backend_coord(&(left + rows.len() as f64 / 2.0, 1.0));
            let style = TextStyle::from(("sans-serif", 15).into_font()).pos(
                plotters::style::text_anchor::Pos::new(
                    plotters::style::text_anchor::HPos::Center,
                    plotters::style::text_anchor::VPos::Top,
                ),
            );
            root.draw(&Text::new(name, (middle.0, middle.1 + 8), style))?;
        }
    }
    root.present()?;
    Ok(())
}

/// Memory and calls in flight over time, while a reader stalls.
pub(crate) fn stalled(path: &Path, all: &[Series<Course>]) -> Drawn {
    let root = SVGBackend::new(path, (1160, 1350)).into_drawing_area();
    root.fill(&WHITE)?;
    let (plots, side) = root.split_horizontally(950);
    let rows: Vec<_> = all.iter().map(|series| series.row).collect();
    legend_glibc(&side, &rows)?;
    type Figure = (&'static str, &'static str, fn(&Sample) -> f64);
    let figures: [Figure; 3] = [
        ("Blocks or pages held while a reader stalls", "KiB", |s| s.held as f64 / 1024.0),
        ("Bookkeeping while a reader stalls", "KiB beside the blocks or pages", |s| {
            s.beside as f64 / 1024.0
        }),
        ("Calls that wait for the reader", "calls in flight", |s| s.in_flight as f64),
    ];
    for (area, (caption, unit, figure)) in plots.split_evenly((3, 1)).iter().zip(figures) {
        let first = |series: &Series<Course>| series.rounds.iter().flatten().next().cloned();
        let courses: Vec<_> =
            all.iter().filter_map(|series| Some((series.row, first(series)?))).collect();
        let samples = || courses.iter().flat_map(|(_, course)| &course.samples);
        let end = f64::from(samples().map(|sample| sample.at).max().unwrap_or(1));
        let top = samples().map(figure).fold(1.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .caption(caption, ("sans-serif", 20))
            .margin(10)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..end, (1.0..top * 1.3).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("time, ms")
            .y_desc(unit)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 15))
            .light_line_style(BLACK.mix(0.06))
            .draw()?;
        for (row, course) in &courses {
            let points = course.samples.iter().map(|s| (f64::from(s.at), figure(s).max(1.0)));
            let style = colour_glibc(*row).stroke_width(if *row == Row::OURS { 4 } else { 2 });
            chart.draw_series(LineSeries::new(points, style))?;
        }
    }
    root.present()?;
    Ok(())
}

/// Where there is one allocator only, nobody is pale.
fn colour_glibc(row: Row) -> RGBAColor {
    colour(Row { malloc: Malloc::Mimalloc, ..row })
}

fn legend_glibc(area: &Area<'_>, rows: &[Row]) -> Drawn {
    for (nth, &row) in rows.iter().enumerate() {
        let y = 40 + 24 * nth as i32;
        area.draw(&Rectangle::new([(4, y), (22, y + 12)], colour_glibc(row).filled()))?;
        area.draw(&Text::new(row.who.to_string(), (30, y - 2), ("sans-serif", 15)))?;
    }
    Ok(())
}

/// The fractions on the latency plot's axis, evenly spaced.
const SHOWN: [(f64, &str); 7] = [
    (0.5, "50"),
    (0.9, "90"),
    (0.95, "95"),
    (0.99, "99"),
    (0.999, "99.9"),
    (0.9999, "99.99"),
    (1.0, "100"),
];

/// Latency percentiles with two threads.
pub(crate) fn latencies(path: &Path, all: &[Series<Latencies>]) -> Drawn {
    let root = SVGBackend::new(path, (1160, 1000)).into_drawing_area();
    root.fill(&WHITE)?;
    let (plots, side) = root.split_horizontally(950);
    let geometry = Geometry::G16x256;
    let rows: Vec<_> = Row::all(geometry).collect();
    legend(&side, &rows)?;
    for (area, allocate) in plots.split_evenly((2, 1)).iter().zip([true, false]) {
        let of = |row: Row, fraction| {
            let series = all.iter().find(|s| (s.row, s.geometry) == (row, geometry))?;
            let value =
                |l: &Latencies| at(if allocate { &l.allocate } else { &l.retire }, fraction);
            Summary::of(series.rounds.iter().flatten().map(value)).map(|summary| summary.median)
        };
        let values = rows.iter().flat_map(|&row| SHOWN.map(|(at, _)| of(row, at)));
        let top = values.flatten().fold(100.0, f64::max);
        let what = if allocate { "Allocating" } else { "Retiring" };
        let caption = format!("{what}: {geometry} bytes, 2 threads on one mm, random order");
        let mut chart = ChartBuilder::on(area)
            .caption(caption, ("sans-serif", 20))
            .margin(10)
            .margin_right(30)
            .x_label_area_size(44)
            .y_label_area_size(84)
            .build_cartesian_2d(0.0..(SHOWN.len() - 1) as f64, (10.0..top * 1.5).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("percent of the operations that take at most so long")
            .y_desc("ns, the clock's own 20 to 30 included")
            .x_labels(SHOWN.len())
            .x_label_formatter(&|x| SHOWN[x.round() as usize % SHOWN.len()].1.to_owned())
            .y_label_formatter(&|y| format!("{y:.0}"))
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 15))
            .light_line_style(BLACK.mix(0.06))
            .draw()?;
        for &row in &rows {
            let points = SHOWN.iter().enumerate();
            let points =
                points.filter_map(|(x, (at, _))| Some((x as f64, of(row, *at)?.max(10.0))));
            let style = colour(row).stroke_width(if row == Row::OURS { 4 } else { 2 });
            chart.draw_series(LineSeries::new(points, style))?;
        }
    }
    root.present()?;
    Ok(())
}
