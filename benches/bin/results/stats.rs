//! Medians and spread.

use serde::Serialize;

/// Where samples lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Of what is there; `None` if that is nothing.
    pub(crate) fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<_> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Some(Self { median, min, max })
    }
}

/// The summary of `a / b`, round by round, where both were measured.
pub(crate) fn ratio(a: &[Option<f64>], b: &[Option<f64>]) -> Option<Summary> {
    Summary::of(a.iter().zip(b).filter_map(|(a, b)| Some((*a)? / (*b)?)))
}

/// The summary of all rounds that were measured.
pub(crate) fn summary(samples: &[Option<f64>]) -> Option<Summary> {
    Summary::of(samples.iter().copied().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(Summary::of([]), None);
        let three = Summary::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((three.median, three.min, three.max), (2.0, 1.0, 3.0));
        assert_eq!(Summary::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let a = [Some(10.0), None, Some(30.0), Some(8.0)];
        let b = [Some(5.0), Some(1.0), Some(10.0), None];
        assert_eq!(ratio(&a, &b).unwrap(), Summary { median: 2.5, min: 2.0, max: 3.0 });
        assert_eq!(ratio(&a, &[None; 4]), None);
    }
}
