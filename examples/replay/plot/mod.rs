//! The pictures, which have one look.

pub(crate) mod grace;
pub(crate) mod time;

use plotters::style::RGBColor;

/// How the policies' lines are drawn, one over the other: powerpc's is the broadest, and ptfrag's
/// with handles the thinnest, because these three often run on top of each other.
const STYLES: [(RGBColor, u32); 5] = [
    (RGBColor(140, 140, 140), 2),
    (RGBColor(245, 170, 100), 8),
    (RGBColor(0, 114, 178), 2),
    (RGBColor(70, 180, 110), 4),
    (RGBColor(110, 0, 90), 1),
];
