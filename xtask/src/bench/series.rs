//! Figures of one thing, one per round: their median, and from where to where they go.

use std::fmt;

/// Figures in the order of their rounds; at least one.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Series(Vec<f64>);

impl Series {
    /// Those that are known.
    #[cfg(test)]
    pub(super) fn of(figures: &[f64]) -> Self {
        Self(figures.to_vec())
    }

    /// Adds the figure of the next round.
    pub(super) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The one in the middle.
    pub(super) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        let upper = sorted.get(middle).copied().unwrap_or(f64::NAN);
        if sorted.len() % 2 == 1 {
            return upper;
        }
        let lower = sorted.get(middle.wrapping_sub(1)).copied();
        lower.map_or(f64::NAN, |lower| f64::midpoint(lower, upper))
    }

    /// Each figure over the other's of the same round: what disturbed one disturbed both.
    pub(super) fn over(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(ours, theirs)| ours / theirs).collect())
    }

    /// Each figure so many times.
    pub(super) fn scaled(&self, times: f64) -> Self {
        Self(self.0.iter().map(|figure| figure * times).collect())
    }

    /// The least.
    pub(super) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The greatest.
    pub(super) fn greatest(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

impl fmt::Display for Series {
    /// `19.4 [18.0..23.1]`, with as many digits behind the point as the precision says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(1);
        let (median, least, greatest) = (self.median(), self.least(), self.greatest());
        write!(
            f,
            "{median:.digits$} [{least:.digits$}..{greatest:.digits$}]"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Series::of(&[9.0, 1.0, 2.0]).to_string(), "2.0 [1.0..9.0]");
        assert_eq!(
            format!("{:.2}", Series::of(&[4.0, 1.0])),
            "2.50 [1.00..4.00]"
        );
    }

    #[test]
    fn ratios_are_of_one_round() {
        let ratio = Series::of(&[10.0, 30.0]).over(&Series::of(&[20.0, 60.0]));
        assert_eq!(ratio, Series::of(&[0.5, 0.5]));
    }
}
