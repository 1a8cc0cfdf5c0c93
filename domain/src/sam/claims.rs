//! What words may say: no amount of money and no time of day but those that were looked up or that the
//! user wrote, and nothing that leads elsewhere. Cards with people and times carry the facts.

use std::collections::BTreeSet;

use chrono::{DateTime, Timelike, Utc};
use chrono_tz::Tz;

use crate::money::Price;

const MINUTES_OF_DAY: u32 = 24 * 60;
const SIGNS: [char; 5] = ['$', '€', '£', '¥', '₹'];
const WORDS: [&str; 28] = [
    "usd", "eur", "gbp", "aud", "cad", "chf", "jpy", "inr", "brl", "nzd", "sek", "nok", "dkk", "czk", "dollar",
    "dollars", "euro", "euros", "pound", "pounds", "cent", "cents", "buck", "bucks", "yen", "franc", "francs",
    "rupees",
];

/// The amounts and times that may be named.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// In hundredths, so that equal ones are found.
    amounts: BTreeSet<i64>,
    /// Minutes since midnight, in any zone that matters.
    times: BTreeSet<u32>,
}

impl Claims {
    /// Allows what somebody who may name it has named.
    pub(super) fn allow_words(&mut self, text: &str) {
        for number in numbers(text) {
            self.amounts.extend(number.amounts());
            self.times.extend(number.times());
        }
    }

    pub(super) fn allow_price(&mut self, price: Price) {
        self.amounts.insert(price.hundredths());
    }

    pub(super) fn allow_moment(&mut self, moment: DateTime<Utc>, zones: &[Tz]) {
        for zone in zones {
            let local = moment.with_timezone(zone);
            self.times.insert(local.hour() * 60 + local.minute());
        }
    }

    /// Whether a text keeps to what may be said.
    pub(super) fn hold_in(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        let leads_away = ["://", "www.", "user_", "act_", "run_", "@"].iter().any(|sign| lower.contains(sign));
        !leads_away && numbers(text).iter().all(|number| self.covers(number))
    }

    fn covers(&self, number: &Number) -> bool {
        let is_known = |times: &[u32]| times.is_empty() || times.iter().any(|time| self.times.contains(time));
        is_known(&number.times())
            && (!number.is_money || number.amounts().iter().any(|amount| self.amounts.contains(amount)))
    }
}

/// A number in a text, and what stands around it.
#[derive(Debug)]
struct Number {
    /// Digits, with points and commas between them.
    digits: String,
    /// The digits behind a colon.
    minutes: Option<u32>,
    /// `am` is false, `pm` is true.
    afternoon: Option<bool>,
    is_money: bool,
}

impl Number {
    /// What it may mean as an amount: a comma may group thousands or begin the fraction.
    fn amounts(&self) -> Vec<i64> {
        let readings = [self.digits.replace(',', ""), self.digits.replace('.', "").replace(',', ".")];
        let hundredths = |text: &String| text.parse::<Price>().ok().map(Price::hundredths);
        readings.iter().filter_map(hundredths).collect()
    }

    /// The minutes of the day it may mean; none where it is no time.
    fn times(&self) -> Vec<u32> {
        if self.minutes.is_none() && self.afternoon.is_none() {
            return Vec::new();
        }
        let hour = self.digits.parse::<u32>().unwrap_or(MINUTES_OF_DAY);
        let time = hour * 60 + self.minutes.unwrap_or(0);
        match self.afternoon {
            Some(afternoon) => vec![(hour % 12) * 60 + self.minutes.unwrap_or(0) + if afternoon { 720 } else { 0 }],
            None if hour < 12 => vec![time, time + 720],
            None => vec![time],
        }
    }
}

fn numbers(text: &str) -> Vec<Number> {
    let mut numbers = Vec::new();
    let mut rest = text;
    let mut before = String::new();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        before.push_str(&rest[..start]);
        let tail = &rest[start..];
        let end = tail.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(tail.len());
        let digits = tail[..end].trim_end_matches(['.', ',']);
        let mut after = &tail[digits.len()..];
        let mut minutes = None;
        if let Some(pair) = after.strip_prefix(':').and_then(|text| text.get(..2)).and_then(|pair| pair.parse().ok()) {
            minutes = Some(pair);
            after = &after[3..];
        }
        numbers.push(Number {
            digits: digits.to_owned(),
            minutes,
            afternoon: half_of_day(after),
            is_money: is_money(&before, after),
        });
        tail[..tail.len() - after.len()].clone_into(&mut before);
        rest = after;
    }
    numbers
}

fn first_word(text: &str) -> String {
    let text = text.trim_start_matches([' ', '\u{A0}', '-']);
    text.chars().take_while(|c| c.is_alphabetic() || *c == '.').filter(|c| *c != '.').collect::<String>().to_lowercase()
}

fn half_of_day(after: &str) -> Option<bool> {
    match first_word(after).as_str() {
        "am" => Some(false),
        "pm" => Some(true),
        _ => None,
    }
}

fn is_money(before: &str, after: &str) -> bool {
    let before = before.trim_end_matches([' ', '\u{A0}', '-', '+']);
    let last_word: String = before.chars().rev().take_while(|c| c.is_alphabetic()).collect();
    let last_word: String = last_word.chars().rev().collect::<String>().to_lowercase();
    before.ends_with(SIGNS)
        || after.trim_start_matches([' ', '\u{A0}']).starts_with(SIGNS)
        || WORDS[..14].contains(&last_word.as_str())
        || WORDS.contains(&first_word(after).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let mut claims = Claims::default();
        claims.allow_words("Somebody under $5 a minute, at 9am?");
        claims.allow_price("12.5".parse().unwrap());
        claims.allow_price("1200".parse().unwrap());
        let berlin = chrono_tz::Europe::Berlin;
        claims.allow_moment("2026-11-23T14:30:00Z".parse().unwrap(), &[Tz::UTC, berlin]);
        claims
    }

    #[test]
    fn what_was_looked_up_or_asked_may_be_said() {
        for text in [
            "I found 3 people for you.",
            "She charges $12.50 a minute, below your 5 dollars? No.",
            "It is 12,50 € for that, or USD 1,200.",
            "They are there at 14:30, which is 3:30 pm for you (15:30).",
            "Your 9 a.m. works too.",
            "Born in 1984, 10 years of bees, 24/7!",
        ] {
            assert!(claims().hold_in(text), "{text}");
        }
    }

    #[test]
    fn what_nobody_supplied_may_not() {
        for text in [
            "It costs $1.",
            "Only 13 usd!",
            "Just 2 € now",
            "eur 900 please",
            "for 99 cents",
            "at 16:30",
            "come at 4pm",
            "See https://evil.example",
            "www.evil.example",
            "mail me@evil.example",
            "ask user_01jd8t6ze5fkxrv8q3w2m9n7ab",
            "$ 12.51",
            "12:31",
        ] {
            assert!(!claims().hold_in(text), "{text}");
        }
    }
}
