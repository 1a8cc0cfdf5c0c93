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
/// Scales that stand right behind a number, before its currency.
const SCALE_SIGNS: [char; 7] = ['百', '千', '万', '萬', '億', '亿', '만'];
/// What stands behind the hour: Japanese and Chinese, and Korean. With another sign behind it, it counts hours.
const CLOCKS: [char; 4] = ['時', '点', '點', '시'];
const COUNTING: [char; 2] = ['間', '간'];
/// Words before a bare hour, and those that may follow it where it is one.
const AT: [&str; 6] = ["at", "by", "um", "gegen", "à", "às"];
const AFTER_HOURS: [&str; 12] =
    ["today", "tomorrow", "tonight", "sharp", "on", "in", "and", "or", "if", "would", "is", "works"];
const UNITS: [&str; 7] = ["min", "mins", "minute", "minutes", "h", "hr", "hour"];
/// Words before an hour that say how far it is from there.
const PARTS: [&str; 2] = ["half", "quarter"];
/// So many English ones, and then the commonest of German, French and Spanish.
const ENGLISH: usize = 30;
const NUMBERS: [&str; 76] = [
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
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "fünfzehn",
    "zwanzig",
    "dreißig",
    "vierzig",
    "fünfzig",
    "sechzig",
    "hundert",
    "tausend",
    "deux",
    "trois",
    "quatre",
    "cinq",
    "sept",
    "huit",
    "neuf",
    "dix",
    "quinze",
    "vingt",
    "trente",
    "quarante",
    "cinquante",
    "soixante",
    "cent",
    "mille",
    "dos",
    "tres",
    "cuatro",
    "cinco",
    "ocho",
    "diez",
    "veinte",
    "treinta",
    "cuarenta",
    "cincuenta",
    "cien",
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
    /// The digits behind a colon, an `h` or the like.
    minutes: Option<u32>,
    before: &'a str,
    after: &'a str,
}

impl Number<'_> {
    /// What it may mean as an amount: a comma may group thousands or begin the fraction.
    pub(super) fn amounts(&self) -> Vec<i64> {
        if SCALES.contains(&first_word(self.after).as_str()) || self.after.starts_with(SCALE_SIGNS) {
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
        let (hour, fraction) = self.digits.split_once('.').unwrap_or((self.digits, ""));
        let hour = hour.parse::<u32>().unwrap_or(MINUTES_OF_DAY);
        let behind_sign = self.after.trim_start().strip_prefix(CLOCKS).filter(|behind| !behind.starts_with(COUNTING));
        let is_hour = hour < 24 && (word == "h" || (AT.contains(&self.word_before()) && self.ends_at_hour()));
        let is_clock = matches!(word.as_str(), "uhr" | "oclock") || behind_sign.is_some() || is_hour;
        if self.minutes.is_none() && afternoon.is_none() && !is_clock {
            return Vec::new();
        }
        let half = behind_sign.filter(|behind| behind.starts_with('半')).map(|_| 30);
        let minutes = self.minutes.or(half).or_else(|| fraction.parse().ok()).unwrap_or(0);
        let time = hour.saturating_mul(60).saturating_add(minutes);
        match afternoon {
            Some(afternoon) => vec![(hour % 12) * 60 + minutes + if afternoon { MINUTES_OF_DAY / 2 } else { 0 }],
            None if hour < 12 => vec![time, time + MINUTES_OF_DAY / 2],
            None => vec![time],
        }
    }

    pub(super) fn is_money(&self) -> bool {
        let before = self.before.trim_end_matches([' ', '-', '+']);
        let after = self.after.trim_start();
        let word = first_word(after);
        let behind_scale = if SCALES.contains(&word.as_str()) { after[word.len()..].trim_start() } else { after };
        let behind_scale = behind_scale.trim_start_matches(SCALE_SIGNS).trim_start();
        before.ends_with(is_sign)
            || behind_scale.starts_with(is_sign)
            || MONEY[..CODES].contains(&self.word_before())
            || MONEY.contains(&first_word(behind_scale).as_str())
            || MONEY.contains(&second_word(behind_scale).as_str())
            || is_by_time(after)
    }

    /// The most that somebody wants to pay, where this says so: an amount of money behind words that set a bound.
    pub(super) fn bound(&self) -> Option<Price> {
        let words = self.before.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
        let mut words = words.rev().skip_while(|word| MONEY[..CODES].contains(word));
        let sets_bound = match words.next()? {
            "under" | "below" | "max" | "maximum" | "most" => true,
            "to" => words.next() == Some("up"),
            "than" => words.next() == Some("less"),
            _ => false,
        };
        let is_whole = sets_bound && self.is_money() && !self.amounts().is_empty();
        if is_whole { self.digits.parse().ok() } else { None }
    }

    /// The word that this follows, past signs.
    fn word_before(&self) -> &str {
        let before = self.before.trim_end_matches([' ', '-', '+']);
        before.rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default()
    }

    /// Whether nothing behind it says that it counts something.
    fn ends_at_hour(&self) -> bool {
        let word = first_word(self.after);
        if word.is_empty() { !self.after.starts_with(['%', '/', '+']) } else { AFTER_HOURS.contains(&word.as_str()) }
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

/// The word behind the next, where only a space is between them.
fn second_word(text: &str) -> String {
    let behind = text.trim_start_matches([' ', '-']).trim_start_matches(char::is_alphabetic);
    if behind.starts_with([' ', '-']) { first_word(behind) } else { String::new() }
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
        let behind_sign = after.strip_prefix([':', 'h']).or_else(|| after.strip_prefix(CLOCKS));
        let pair = behind_sign.and_then(|text| text.split_at_checked(2));
        let pair = pair.filter(|(pair, _)| pair.bytes().all(|byte| byte.is_ascii_digit()));
        let minutes = pair.and_then(|(pair, _)| pair.parse().ok());
        if let Some((_, behind)) = pair {
            after = behind;
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
    let counts = |word: &str| MONEY.contains(&word) || matches!(word, "o'clock" | "oclock" | "uhr");
    // "Zwei am Montag" are two on Monday.
    let is_half_day = |number: &str, word: &str| NUMBERS[..ENGLISH].contains(&number) && matches!(word, "am" | "pm");
    let is_said = |number: &str, word: &str| (NUMBERS.contains(&number) && counts(word)) || is_half_day(number, word);
    let pairs = words.windows(2).filter(|pair| is_said(pair[0], pair[1]));
    let pairs = pairs.map(|pair| (pair.join(" "), None));
    let is_hour = |word: &str| NUMBERS.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit());
    let says = |first: &str, middle: &str, last: &str| {
        (NUMBERS.contains(&first) && MONEY.contains(&last))
            || (PARTS.contains(&first) && matches!(middle, "past" | "to") && is_hour(last))
    };
    let triples = words.windows(3).filter(|three| says(three[0], three[1], three[2]));
    let pairs = pairs.chain(triples.map(|three| (three.join(" "), None)));
    let named = words.iter().filter_map(|word| match *word {
        "noon" | "midday" => Some(((*word).to_owned(), Some(MINUTES_OF_DAY / 2))),
        "midnight" => Some(((*word).to_owned(), Some(0))),
        _ => None,
    });
    pairs.chain(named).collect()
}
