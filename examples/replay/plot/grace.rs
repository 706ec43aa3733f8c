//! The picture of all traces: pages held at the peak by length of grace period, a panel per trace.

use std::{error::Error, ops::Range, path::Path};

use plotters::{coord::Shift, prelude::*};

use super::STYLES;
use crate::figures::{GraceFigures, PolicyFigures, TraceFigures};

/// What the file has in the place of a trace's name, which is therefore no trace's.
pub(crate) const NAME: &str = "grace";

/// Width and height of a panel.
const PANEL: (u32, u32) = (400, 330);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Writes the picture. The panels make up a square as nearly as they can, and behind the last stands the
/// legend of all.
pub(crate) fn write(path: &Path, traces: &[TraceFigures]) -> Result<(), Box<dyn Error>> {
    let cells = traces.len() + 1;
    let columns = (1..cells).find(|n| n * n >= cells).unwrap_or(cells);
    let rows = cells.div_ceil(columns);
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32 + 40);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let title = "Pages held at the peak, by length of grace period";
    let areas = root.titled(title, ("sans-serif", 22))?.split_evenly((rows, columns));
    for (area, trace) in areas.iter().zip(traces) {
        panel(area, trace)?;
    }
    if let (Some(area), Some(GraceFigures { policies, .. })) =
        (areas.get(traces.len()), traces.first().and_then(|trace| trace.grace_periods.first()))
    {
        legend(area, policies)?;
    }
    root.present()?;
    Ok(())
}

fn panel(area: &Area<'_>, trace: &TraceFigures) -> Result<(), Box<dyn Error>> {
    let ms = |us: u64| us as f64 / 1e3;
    // Where nothing is held the logarithm has no place for it.
    let shown = |policy: &PolicyFigures| (policy.pages_peak as f64).max(0.8);
    let peaks = || trace.grace_periods.iter().flat_map(|grace| grace.policies.iter().map(shown));
    let (low, high) = (peaks().fold(f64::INFINITY, f64::min), peaks().fold(0.8, f64::max));
    let end = trace.grace_periods.iter().map(|grace| ms(grace.us)).fold(1e-3, f64::max);
    let pages = low / 1.3..high * 1.3;
    let marks = marks(&pages);
    let mut chart = ChartBuilder::on(area)
        .caption(&trace.name, ("sans-serif", 18))
        .margin(8)
        .margin_right(20)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end * 1.02, pages.log_scale().with_key_points(marks))?;
    chart
        .configure_mesh()
        .x_desc("grace period (ms)")
        .y_desc("pages (logarithmic)")
        .x_labels(6)
        .max_light_lines(0)
        .bold_line_style(BLACK.mix(0.12))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .x_label_formatter(&|x| short(*x))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    for (nth, (colour, width)) in STYLES.into_iter().enumerate() {
        let points: Vec<_> = trace
            .grace_periods
            .iter()
            .filter_map(|grace| Some((ms(grace.us), shown(grace.policies.get(nth)?))))
            .collect();
        let dots = points.clone().into_iter();
        chart.draw_series(LineSeries::new(points, colour.stroke_width(width)))?;
        chart.draw_series(dots.map(|at| Circle::new(at, 2 + width / 2, colour.filled())))?;
    }
    Ok(())
}

/// What the logarithmic axis is marked with: 1, 2 and 5 of each power of ten, which leaves room between
/// the labels.
fn marks(pages: &Range<f64>) -> Vec<f64> {
    let powers = (0..20).map(|n| 10_f64.powi(n));
    let all = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|mark| mark * power));
    all.filter(|mark| pages.contains(mark)).collect()
}

/// Milliseconds with as many decimals as they need, to the microsecond.
fn short(ms: f64) -> String {
    let text = format!("{ms:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A piece of each policy's line, and its name.
fn legend(area: &Area<'_>, policies: &[PolicyFigures]) -> Result<(), Box<dyn Error>> {
    for (nth, (policy, (colour, width))) in policies.iter().zip(STYLES).enumerate() {
        let y = 60 + 28 * nth as i32;
        let line = [(56, y), (92, y)];
        area.draw(&PathElement::new(line, colour.stroke_width(width)))?;
        area.draw(&Circle::new((74, y), 2 + width / 2, colour.filled()))?;
        let label = format!("{} (pages of {} bytes)", policy.name, policy.page_bytes);
        area.draw(&Text::new(label, (104, y - 8), ("sans-serif", 15)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(traces: usize, lengths: &[u64]) -> String {
        let policy = |name, pages_peak| PolicyFigures {
            name,
            page_bytes: 4096,
            pages_peak,
            pages_mean: 0.0,
            pages_taken: 0,
            lock_acquisitions: 0,
            rcu_calls: 0,
            reused: 0,
        };
        let graces = lengths.iter().map(|&us| {
            let policies = vec![policy("first", 0), policy("second", 1 + us % 1000)];
            GraceFigures { us, policies }
        });
        let graces: Vec<_> = graces.collect();
        let trace = |n| TraceFigures::new(format!("trace-{n}"), 1, graces.clone());
        let traces: Vec<_> = (0..traces).map(trace).collect();
        let name = format!("ptfrag-grace-{}-{}.svg", std::process::id(), traces.len());
        let path = std::env::temp_dir().join(name);
        write(&path, &traces).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        text
    }

    #[test]
    fn a_panel_for_each_trace_and_one_legend() {
        for traces in 1..=6 {
            let text = picture(traces, &[0, 1000]);
            let count = |what: &str| text.matches(what).count();
            assert_eq!(count("trace-"), traces);
            assert_eq!(count("grace period (ms)"), traces);
            assert_eq!((count("first (pages of"), count("second (pages of")), (1, 1));
            // Each of two lines has a dot for each length, and one in the legend.
            assert_eq!(count("<circle"), 2 * (2 * traces + 1));
        }
    }

    #[test]
    fn labels() {
        assert_eq!(marks(&(45.0..1500.0)), [50.0, 100.0, 200.0, 500.0, 1000.0]);
        assert_eq!([0.0, 0.015, 1.5, 100.0].map(short), ["0", "0.015", "1.5", "100"]);
    }

    #[test]
    fn lengths_without_end() {
        assert!(picture(7, &[0, u64::MAX]).contains("trace-6"));
    }
}
