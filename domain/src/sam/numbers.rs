//! Numbers in a text, in digits and in words, and whether they seem to be money or times of day.

use crate::money::Price;

const MINUTES_OF_DAY: u32 = 24 * 60;
/// Words behind a number that make it money, and codes before it.
const MONEY: [&str; 50] = [
    "usd",
    "eur",
    "gbp",
    "aud",
    "cad",
    "chf",
    "jpy",
    "inr",
    "brl",
    "nzd",
    "sek",
    "nok",
    "dkk",
    "czk",
    "dollar",
    "dollars",
    "euro",
    "euros",
    "pound",
    "pounds",
    "cent",
    "cents",
    "buck",
    "bucks",
    "quid",
    "yen",
    "yuan",
    "franc",
    "francs",
    "rupee",
    "rupees",
    "rs",
    "peso",
    "pesos",
    "reais",
    "ruble",
    "rubles",
    "руб",
    "рублей",
    "lira",
    "zloty",
    "złoty",
    "zł",
    "kr",
    "krona",
    "kronor",
    "krone",
    "kroner",
    "koruna",
    "kč",
];
/// So many of the former may stand before a number too.
const CODES: usize = 14;
const SCALES: [&str; 6] = ["k", "m", "hundred", "thousand", "million", "millions"];
const UNITS: [&str; 7] = ["min", "mins", "minute", "minutes", "h", "hr", "hour"];
const NUMBERS: [&str; 30] = [
    "half",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "thousand",
];

/// A text as it reads: in lower case, with plain digits and signs, and without what shows nothing.
pub(super) fn plain(text: &str) -> String {
    /// The zeros of digits that are used in running text: Arabic, Persian, Devanagari, Bengali, Thai.
    const ZEROS: [char; 5] = ['\u{660}', '\u{6F0}', '\u{966}', '\u{9E6}', '\u{E50}'];
    let visible = |c: &char| !matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}');
    let fold = |c: char| match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{A0}' | '\u{202F}' => ' ',
        '’' => '\'',
        _ => {
            let digit = |zero: &char| char::from_digit(u32::from(c).checked_sub(u32::from(*zero))?, 10);
            ZEROS.iter().find_map(digit).unwrap_or(c)
        }
    };
    text.chars().filter(visible).map(fold).flat_map(char::to_lowercase).collect()
}

/// A number in a text, and what stands around it.
#[derive(Debug)]
pub(super) struct Number<'a> {
    /// Digits, with points and commas between them.
    digits: &'a str,
    /// The digits behind a colon, or an `h`.
    minutes: Option<u32>,
    before: &'a str,
    after: &'a str,
}

impl Number<'_> {
    /// What it may mean as an amount: a comma may group thousands or begin the fraction.
    pub(super) fn amounts(&self) -> Vec<i64> {
        if SCALES.contains(&first_word(self.after).as_str()) {
            return Vec::new();
        }
        let readings = [self.digits.replace(',', ""), self.digits.replace('.', "").replace(',', ".")];
        let hundredths = |text: &String| text.parse::<Price>().ok().map(Price::hundredths);
        readings.iter().filter_map(hundredths).collect()
    }

    /// The minutes of the day it may mean; none where it is no time.
    pub(super) fn times(&self) -> Vec<u32> {
        let word = first_word(self.after);
        let afternoon = match word.as_str() {
            "am" => Some(false),
            "pm" => Some(true),
            _ => None,
        };
        let is_clock = matches!(word.as_str(), "uhr" | "oclock");
        if self.minutes.is_none() && afternoon.is_none() && !is_clock {
            return Vec::new();
        }
        let (hour, fraction) = self.digits.split_once('.').unwrap_or((self.digits, ""));
        let hour = hour.parse::<u32>().unwrap_or(MINUTES_OF_DAY);
        let minutes = self.minutes.or_else(|| fraction.parse().ok()).unwrap_or(0);
        let time = hour.saturating_mul(60).saturating_add(minutes);
        match afternoon {
            Some(afternoon) => vec![(hour % 12) * 60 + minutes + if afternoon { MINUTES_OF_DAY / 2 } else { 0 }],
            None if hour < 12 => vec![time, time + MINUTES_OF_DAY / 2],
            None => vec![time],
        }
    }

    pub(super) fn is_money(&self) -> bool {
        let before = self.before.trim_end_matches([' ', '-', '+']);
        let last: String = before.chars().rev().take_while(|c| c.is_alphabetic()).collect();
        let last: String = last.chars().rev().collect();
        let after = self.after.trim_start();
        let word = first_word(after);
        let behind_scale = if SCALES.contains(&word.as_str()) { after[word.len()..].trim_start() } else { after };
        before.ends_with(is_sign)
            || behind_scale.starts_with(is_sign)
            || MONEY[..CODES].contains(&last.as_str())
            || MONEY.contains(&first_word(behind_scale).as_str())
            || is_by_time(after)
    }
}

/// `/min`, `per hour`, `a minute`: what is so many of them is a rate.
fn is_by_time(after: &str) -> bool {
    let behind = ["/", "per ", "a ", "an "].iter().find_map(|sign| after.strip_prefix(sign));
    behind.is_some_and(|unit| UNITS.contains(&first_word(unit).as_str()))
}

fn is_sign(c: char) -> bool {
    matches!(c, '$' | '¢'..='¥' | '֏' | '؋' | '৲' | '৳' | '฿' | '៛' | '\u{20A0}'..='\u{20CF}' | '﷼' | '円' | '元' | '원')
}

/// The word that comes, without points and apostrophes.
fn first_word(text: &str) -> String {
    let text = text.trim_start_matches([' ', '-']);
    text.chars().take_while(|c| c.is_alphabetic() || ['.', '\''].contains(c)).filter(|c| c.is_alphabetic()).collect()
}

/// The numbers of a plain text that are in digits.
pub(super) fn numbers(text: &str) -> Vec<Number<'_>> {
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(|c: char| c.is_ascii_digit()).map(|start| at + start) {
        let tail = &text[start..];
        let end = tail.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(tail.len());
        let digits = tail[..end].trim_end_matches(['.', ',']);
        let mut after = &tail[digits.len()..];
        let pair = after.strip_prefix([':', 'h']).and_then(|text| text.get(..2));
        let minutes =
            pair.filter(|pair| pair.bytes().all(|byte| byte.is_ascii_digit())).and_then(|pair| pair.parse().ok());
        if minutes.is_some() {
            after = &after[3..];
        }
        numbers.push(Number { digits, minutes, before: &text[at..start], after });
        at = text.len() - after.len();
    }
    numbers
}

/// Amounts and times of a plain text that are in words, and which minute of the day they are, if it can be told.
pub(super) fn spelled(text: &str) -> Vec<(String, Option<u32>)> {
    let words: Vec<_> =
        text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty()).collect();
    let counts = |word: &str| MONEY.contains(&word) || matches!(word, "am" | "pm" | "o'clock" | "oclock" | "uhr");
    let pairs = words.windows(2).filter(|pair| NUMBERS.contains(&pair[0]) && counts(pair[1]));
    let pairs = pairs.map(|pair| (pair.join(" "), None));
    let named = words.iter().filter_map(|word| match *word {
        "noon" | "midday" => Some(((*word).to_owned(), Some(MINUTES_OF_DAY / 2))),
        "midnight" => Some(((*word).to_owned(), Some(0))),
        _ => None,
    });
    pairs.chain(named).collect()
}
