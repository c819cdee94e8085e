//! The straight line that fits samples best.

/// A line through points of seconds and MB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    /// MB an hour.
    pub(crate) slope: f64,
    /// Two standard errors of it, in MB an hour.
    pub(crate) uncertainty: f64,
    /// Seconds from the first point to the last.
    pub(crate) seconds: f64,
}

impl Line {
    /// By least squares.
    pub(crate) fn through(points: &[(f64, f64)]) -> Self {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return Self::default() };
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
        let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if points.len() < 3 || spread == 0.0 {
            return Self { seconds: last.0 - first.0, ..Self::default() };
        }
        let slope = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / spread;
        let off = |(x, y): &(f64, f64)| (y - mean_y - slope * (x - mean_x)).powi(2);
        let error = (points.iter().map(off).sum::<f64>() / (count - 2.0) / spread).sqrt();
        Self { slope: slope * 3600.0, uncertainty: 2.0 * error * 3600.0, seconds: last.0 - first.0 }
    }
}

#[test]
fn a_line_is_found_again() {
    let line =
        Line::through(&(0..100).map(|x| (f64::from(x), 7.0 + f64::from(x) / 3600.0)).collect::<Vec<_>>());
    assert!((line.slope - 1.0).abs() < 1e-6 && line.uncertainty < 1e-3, "{line:?}");
}
