//! What people read on the terminal: our own lines on stderr, the product's lines on stdout.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};

/// Says something about what we do. A closed terminal is no reason to fail.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints one process' lines behind its name.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    text: String,
}

impl Prefix {
    /// A prefix for `name`, padded to `width`; the `number` picks a colour.
    pub(crate) fn new(name: &str, width: usize, number: usize) -> Self {
        const COLOURS: [&str; 5] = ["36", "35", "33", "32", "34"];
        let coloured = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let padded = format!("{name:width$} |");
        let text = match COLOURS.get(number % COLOURS.len()) {
            Some(colour) if coloured => format!("\u{1b}[{colour}m{padded}\u{1b}[0m"),
            _ => padded,
        };
        Self { text }
    }

    /// Prints `line`.
    pub(crate) fn print(&self, line: &str) {
        let _ = writeln!(io::stdout(), "{} {line}", self.text);
    }
}
