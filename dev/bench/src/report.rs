//! The tables: on the terminal, and in `docs/benchmarks.md`.
//!
//! The document is generated whole. Its prose is `document.md` beside this file; each part's tables
//! stand between two comments, so that a run of one part leaves the others' as they were.

use std::fmt::Write as _;

use crate::measure::{Better, Row, Series};

/// The prose of the document, with a pair of comments for each part.
const DOCUMENT: &str = include_str!("document.md");

/// The parts, in the document's order.
const PARTS: [&str; 9] = ["queue", "scaling", "api", "growth", "sockets", "calendar", "payments", "staff", "sam"];

/// What was measured of one part.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Questions, grouped.
    pub tables: Vec<Table>,
    /// What to know about this run: peers that could not take part and why, say.
    pub notes: Vec<String>,
}

/// Questions that belong together.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// Its questions.
    pub rows: Vec<Row>,
}

impl Section {
    /// The section in Markdown. `origin` says where and how it was measured.
    pub fn markdown(&self, origin: &str) -> String {
        let mut text = format!("{origin}\n");
        for table in &self.tables {
            let _ = write!(text, "\n#### {}\n\n{}", table.title, table.markdown());
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}\n");
        }
        text
    }
}

impl Table {
    fn markdown(&self) -> String {
        let mut text = "| | contender | median | range | ours ÷ theirs | target | |\n\
                        |---|---|---:|---|---:|---|---|\n"
            .to_owned();
        for row in &self.rows {
            text.push_str(&row_markdown(row));
        }
        text
    }
}

fn row_markdown(row: &Row) -> String {
    let sign = if row.better == Better::Higher { "≥" } else { "≤" };
    let mut text = String::new();
    let fixed = row.targets.iter().find(|target| target.against.is_none());
    let (target, verdict) = match fixed.map(|target| (target.bound, row.verdict(target))) {
        Some((bound, verdict)) => (format!("{sign} {} {}", figure(bound), row.ours.unit), said(verdict)),
        None => (String::new(), ""),
    };
    line(&mut text, &row.what, &row.ours, &format!("**{}**", row.ours.name), "", &target, verdict);
    for peer in &row.peers {
        let ratio = row.ours.over(peer);
        let ratio = format!("{} [{}–{}]", two(ratio.median()), two(ratio.min()), two(ratio.max()));
        let target = row.targets.iter().find(|target| target.against.as_deref() == Some(&peer.name));
        let verdict = target.map_or("", |target| said(row.verdict(target)));
        let target = target.map_or_else(String::new, |target| format!("{sign} {}×", target.bound));
        line(&mut text, "", peer, &peer.name, &ratio, &target, verdict);
    }
    text
}

fn line(text: &mut String, what: &str, series: &Series, name: &str, ratio: &str, target: &str, verdict: &str) {
    let (median, min, max) = (figure(series.median()), figure(series.min()), figure(series.max()));
    let unit = series.unit;
    let _ = writeln!(text, "| {what} | {name} | {median} {unit} | {min}–{max} | {ratio} | {target} | {verdict} |");
}

fn said(verdict: Option<(f64, bool)>) -> &'static str {
    match verdict {
        None => "not measured",
        Some((_, true)) => "met",
        Some((_, false)) => "**missed**",
    }
}

/// A figure with three digits that count, thousands apart.
fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value < 100.0 {
        let decimals = if value < 10.0 { 2 } else { 1 };
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A round number in words.
pub(crate) fn thousands(number: usize) -> String {
    if number >= 1_000_000 { format!("{} million", number / 1_000_000) } else { format!("{} thousand", number / 1_000) }
}

fn two(value: f64) -> String {
    if value.is_finite() { format!("{value:.2}") } else { "–".to_owned() }
}

/// The document: today's prose, these parts' new sections, and the other parts' sections out of
/// `before`.
pub fn document(before: &str, sections: &[(&str, String)]) -> String {
    let mut text = DOCUMENT.to_owned();
    for part in PARTS {
        let new = sections.iter().find(|(name, _)| *name == part).map(|(_, section)| section.trim());
        let Some(section) = new.or_else(|| between(before, part).map(|(_, section, _)| section.trim())) else {
            continue;
        };
        if let Some((head, _, tail)) = between(&text, part) {
            text = format!("{head}\n{section}\n{tail}");
        }
    }
    text
}

/// What comes before, between and behind a part's comments, the comments outside.
fn between<'a>(text: &'a str, part: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (open, close) = (format!("<!-- part:{part} -->"), format!("<!-- end:{part} -->"));
    let start = text.find(&open)? + open.len();
    let end = start + text[start..].find(&close)?;
    Some((&text[..start], &text[start..end], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Target;

    fn series(name: &str, rounds: &[f64]) -> Series {
        Series { name: name.to_owned(), unit: "jobs/s", rounds: rounds.to_vec() }
    }

    #[test]
    fn a_table_tells_figures_ratios_and_verdicts() {
        let row = Row {
            what: "one process".to_owned(),
            better: Better::Higher,
            ours: series("ours", &[12_000.0, 10_000.0, 11_000.0]),
            peers: vec![series("fast", &[10_000.0, 10_000.0, 10_000.0]), series("slow", &[9.5, 9.4, 9.6])],
            targets: vec![Target::ratio("fast", 1.2), Target::fixed(10_000.0)],
        };
        let table = Table { title: "Drain".to_owned(), rows: vec![row] };
        let text = Section { tables: vec![table], notes: vec!["A note.".to_owned()] }.markdown("Here.");
        assert_eq!(
            text,
            "Here.\n\n#### Drain\n\n\
             | | contender | median | range | ours ÷ theirs | target | |\n\
             |---|---|---:|---|---:|---|---|\n\
             | one process | **ours** | 11,000 jobs/s | 10,000–12,000 |  | ≥ 10,000 jobs/s | met |\n\
             |  | fast | 10,000 jobs/s | 10,000–10,000 | 1.10 [1.00–1.20] | ≥ 1.2× | **missed** |\n\
             |  | slow | 9.50 jobs/s | 9.40–9.60 | 1145.83 [1063.83–1263.16] |  |  |\n\
             \nA note.\n"
        );
    }

    #[test]
    fn figures_have_three_digits_that_count() {
        let shown = [0.456, 9.994, 12.34, 99.96, 123.4, 1_234.5, 1_234_567.0].map(figure);
        assert_eq!(shown, ["0.46", "9.99", "12.3", "100.0", "123", "1,234", "1,234,567"]);
        assert_eq!(figure(f64::NAN), "–");
    }

    #[test]
    fn a_part_alone_leaves_the_others_as_they_were() {
        let first = document("", &[("queue", "old queue".to_owned()), ("api", "old api".to_owned())]);
        let second = document(&first, &[("queue", "new queue".to_owned())]);
        assert!(second.contains("<!-- part:queue -->\nnew queue\n<!-- end:queue -->"), "{second}");
        assert!(second.contains("<!-- part:api -->\nold api\n<!-- end:api -->"), "{second}");
        assert!(!second.contains("old queue"));
        let third = document(&second, &[]);
        assert_eq!(third, second, "writing it again changes nothing");
    }
}
