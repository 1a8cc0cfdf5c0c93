//! Figures: one a round and contender, their median and range, and how ours compare.

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Rates.
    Higher,
    /// Durations, memory.
    Lower,
}

/// One contender's figures for one question.
#[derive(Debug, Clone)]
pub struct Series {
    /// Whose they are.
    pub name: String,
    /// What they count.
    pub unit: &'static str,
    /// One figure a round, in the rounds' order.
    pub rounds: Vec<f64>,
}

impl Series {
    /// A series without figures yet.
    pub fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self { name: name.into(), unit, rounds: Vec::new() }
    }

    /// The middle figure.
    pub fn median(&self) -> f64 {
        median(&self.rounds)
    }

    /// The smallest figure.
    pub fn min(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The largest figure.
    pub fn max(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::NAN, f64::max)
    }

    /// This one's figures through the other's, round by round. Both of a round were measured a moment
    /// apart, so that what slows the whole machine down cancels out.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Self { name: self.name.clone(), unit: "×", rounds: pairs.map(|(ours, theirs)| ours / theirs).collect() }
    }
}

/// What is hoped for.
#[derive(Debug, Clone)]
pub struct Target {
    /// Against whom: a peer's name, or nobody.
    pub against: Option<String>,
    /// Ours through the peer's, or ours as it is.
    pub bound: f64,
}

impl Target {
    /// Ours is at least (at most, where lower is better) `ratio` times the peer's.
    pub fn ratio(peer: impl Into<String>, ratio: f64) -> Self {
        Self { against: Some(peer.into()), bound: ratio }
    }

    /// Ours is at least (at most, where lower is better) `bound`.
    pub fn fixed(bound: f64) -> Self {
        Self { against: None, bound }
    }
}

/// One question, with everybody's figures.
#[derive(Debug, Clone)]
pub struct Row {
    /// The question.
    pub what: String,
    /// Which way is better.
    pub better: Better,
    /// The product's figures.
    pub ours: Series,
    /// The peers' and the limits'.
    pub peers: Vec<Series>,
    /// What is hoped for.
    pub targets: Vec<Target>,
}

impl Row {
    /// A question with its figures; the first of them are ours.
    ///
    /// # Panics
    /// When there are none.
    pub fn of(what: impl Into<String>, better: Better, mut series: Vec<Series>, targets: Vec<Target>) -> Self {
        let peers = series.split_off(1);
        Self { what: what.into(), better, ours: series.remove(0), peers, targets }
    }

    /// The figure that a target is about, and whether it is met; `None` when its peer was not measured.
    pub fn verdict(&self, target: &Target) -> Option<(f64, bool)> {
        let figure = match &target.against {
            None => self.ours.median(),
            Some(name) => self.ours.over(self.peers.iter().find(|peer| peer.name == *name)?).median(),
        };
        let met = match self.better {
            Better::Higher => figure >= target.bound,
            Better::Lower => figure <= target.bound,
        };
        figure.is_finite().then_some((figure, met))
    }
}

/// The contenders' order in a round: there and back again, so that nobody always runs in the wake of
/// the same other.
pub fn order(round: usize, contenders: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..contenders).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// The middle of some figures; not a number when there are none.
pub fn median(figures: &[f64]) -> f64 {
    percentile(figures, 0.5)
}

/// The figure below which `share` (0 to 1) of them lie, between two neighbours in proportion.
pub fn percentile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share.clamp(0.0, 1.0) * count(last);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last index")]
    let below = place as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - count(below))
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]
pub fn count(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, rounds: &[f64]) -> Series {
        Series { name: name.to_owned(), unit: "jobs/s", rounds: rounds.to_vec() }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "exact in binary")]
    fn percentiles_lie_between_neighbours() {
        let figures = [40.0, 10.0, 20.0, 30.0];
        assert_eq!(median(&figures), 25.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(percentile(&figures, 0.0), 10.0);
        assert_eq!(percentile(&figures, 1.0), 40.0);
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
        assert!(median(&[]).is_nan());
        let all = series("ours", &figures);
        assert_eq!((all.min(), all.max()), (10.0, 40.0));
    }

    #[test]
    fn ratios_are_of_figures_of_the_same_round() {
        // The machine was twice as slow in the second round: medians apart would say 1.5.
        let row = Row {
            what: "drain".to_owned(),
            better: Better::Higher,
            ours: series("ours", &[20.0, 10.0, 20.0]),
            peers: vec![series("peer", &[10.0, 5.0, 10.0])],
            targets: Vec::new(),
        };
        assert_eq!(row.verdict(&Target::ratio("peer", 2.0)), Some((2.0, true)));
        assert_eq!(row.verdict(&Target::ratio("peer", 2.1)), Some((2.0, false)));
        assert_eq!(row.verdict(&Target::ratio("skipped", 1.0)), None);
        assert_eq!(row.verdict(&Target::fixed(15.0)), Some((20.0, true)));
        let latency = Row { better: Better::Lower, ..row };
        assert_eq!(latency.verdict(&Target::fixed(15.0)), Some((20.0, false)));
        assert_eq!(latency.verdict(&Target::fixed(20.0)), Some((20.0, true)));
    }

    #[test]
    fn every_other_round_runs_backwards() {
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [2, 1, 0]);
        assert_eq!(order(2, 3), [0, 1, 2]);
    }
}
