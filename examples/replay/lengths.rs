//! The compact table of a trace: what the length of grace periods changes, a column per length.

use std::fmt::Write;

use crate::figures::{GraceFigures, PolicyFigures};

/// The policies that fill pages with tables of one mm, in pages of one size.
const FILLING: [&str; 3] = ["powerpc", "ptfrag", "ptfrag, per CPU"];

/// A part of the table: what is in it, its figure, and whether it is only of the policies that
/// are [`FILLING`] pages. With the others nothing but the peak depends on grace periods.
type Part = (&'static str, fn(&PolicyFigures) -> u64, bool);

const PARTS: [Part; 3] = [
    ("pages: peak", |policy| policy.pages_peak, false),
    ("pages: taken", |policy| policy.pages_taken, true),
    ("RCU calls", |policy| policy.rcu_calls, true),
];

/// A length as people write it.
pub(crate) fn name(us: u64) -> String {
    match us {
        0 => "0".to_owned(),
        _ if us % 1000 == 0 => format!("{} ms", us / 1000),
        _ => format!("{us} us"),
    }
}

/// The table. Where there is only one length, the large table has all of it, and this is empty.
pub(crate) fn table(graces: &[GraceFigures]) -> String {
    let (Some(GraceFigures { policies, .. }), 2..) = (graces.first(), graces.len()) else {
        return String::new();
    };
    let mut text = String::new();
    let mut row = |part: &str, policy: &str, cells: &mut dyn Iterator<Item = String>| {
        write!(text, "  {part:<13} {policy:<18}").expect("a string takes everything");
        for cell in cells {
            write!(text, " {cell:>8}").expect("a string takes everything");
        }
        text.push('\n');
    };
    row("grace periods", "", &mut graces.iter().map(|grace| name(grace.us)));
    for (part, figure, filling) in PARTS {
        let mut part = part;
        for (nth, policy) in policies.iter().enumerate() {
            if filling && !FILLING.contains(&policy.name) {
                continue;
            }
            let cell = |grace: &GraceFigures| figure(&grace.policies[nth]).to_string();
            // What the part is called stands on its first line only.
            row(std::mem::take(&mut part), policy.name, &mut graces.iter().map(cell));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let names = [0, 1, 999, 1000, 1500, 100_000].map(name);
        assert_eq!(names, ["0", "1 us", "999 us", "1 ms", "1500 us", "100 ms"]);
    }
}
