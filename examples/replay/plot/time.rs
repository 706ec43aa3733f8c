//! A trace's picture: pages held over time, a line per policy.

use std::{error::Error, path::Path};

use plotters::prelude::*;

use super::STYLES;
use crate::{
    report::level_names,
    run::Outcome,
    trace::{Level, Trace},
};

/// The time axis is cut into this many pieces, of which at most four points each are drawn.
const PIECES: u64 = 450;

/// Writes the picture of one trace.
pub(crate) fn write(
    path: &Path,
    trace: &Trace,
    levels: &[Level],
    outcomes: &[Outcome],
) -> Result<(), Box<dyn Error>> {
    let start = trace.events[0].time;
    let end = trace.events[trace.events.len() - 1].time;
    let seconds = |time: u64| (time - start) as f64 / 1e6;
    let top = outcomes.iter().map(|outcome| outcome.pages_peak).max().unwrap_or(0).max(1);

    let root = SVGBackend::new(path, (960, 540)).into_drawing_area();
    root.fill(&WHITE)?;
    let caption = format!("{}: pages that hold {} tables", trace.name, level_names(levels));
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 22))
        .margin(12)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..seconds(end).max(1e-6), (0.8..top as f64 * 1.6).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("time (s)")
        .y_desc("pages held (logarithmic)")
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 16))
        .x_label_formatter(&|x| format!("{x:.1}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .light_line_style(BLACK.mix(0.05))
        .draw()?;
    for (outcome, (colour, width)) in outcomes.iter().zip(STYLES) {
        let line = thin(&outcome.curve, end)
            .into_iter()
            .map(|(time, held)| (seconds(time), (held as f64).max(0.8)));
        let label = format!("{} (pages of {} bytes)", outcome.name, outcome.page_bytes);
        chart.draw_series(LineSeries::new(line, colour.stroke_width(width)))?.label(label).legend(
            move |(x, y)| {
                PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(width.max(3)))
            },
        );
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .margin(14)
        .legend_area_size(30)
        .label_font(("sans-serif", 15))
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

/// The corners of the steps of `curve` up to `end`, thinned: of each piece of the time axis the
/// first, the lowest, the highest and the last point remain, so that no peak is lost.
fn thin(curve: &[(u64, u64)], end: u64) -> Vec<(u64, u64)> {
    let Some(&(start, _)) = curve.first() else { return Vec::new() };
    let mut corners = Vec::with_capacity(2 * curve.len());
    for &(time, held) in curve.iter().take_while(|&&(time, _)| time <= end) {
        if let Some(&(_, before)) = corners.last() {
            corners.push((time, before));
        }
        corners.push((time, held));
    }
    let width = ((end - start) / PIECES).max(1);
    let mut kept = Vec::new();
    for piece in corners.chunk_by(|a, b| (a.0 - start) / width == (b.0 - start) / width) {
        let by_held = |&i: &usize| piece[i].1;
        let all = 0..piece.len();
        let mut picks = [
            0,
            all.clone().min_by_key(by_held).unwrap_or(0),
            all.max_by_key(by_held).unwrap_or(0),
            piece.len() - 1,
        ];
        picks.sort_unstable();
        kept.extend(picks.map(|i| piece[i]));
    }
    kept.dedup();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_curves_keep_every_corner() {
        let corners = thin(&[(0, 0), (0, 1), (50_000, 2)], 100_000);
        assert_eq!(corners, [(0, 0), (0, 1), (50_000, 1), (50_000, 2)]);
    }

    #[test]
    fn long_curves_keep_their_peaks() {
        let mut curve: Vec<_> = (0..100_000).map(|i| (i, i % 7)).collect();
        curve[31_415].1 = 99;
        let corners = thin(&curve, 100_000);
        assert!(corners.len() <= 4 * (PIECES as usize + 1));
        assert_eq!(corners.iter().filter(|&&(_, held)| held == 99).count(), 1);
        assert!(corners.is_sorted_by_key(|&(time, _)| time));
    }
}
