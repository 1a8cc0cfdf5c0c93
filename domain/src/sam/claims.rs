//! What words may say: no amount of money and no time of day but those that were looked up or that the
//! user wrote, and nothing that leads elsewhere. There are more ways to say a number than are known here: cards with
//! people and times carry the facts.

use std::collections::BTreeSet;

use chrono::{DateTime, Timelike, Utc};
use chrono_tz::Tz;

use super::numbers::{numbers, plain, spelled};
use crate::money::Price;

/// The amounts and times that may be named.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// In hundredths, so that equal ones are found.
    amounts: BTreeSet<i64>,
    /// Minutes since midnight, in any zone that matters.
    times: BTreeSet<u32>,
    /// Amounts and times in words, and names of places on the net, as the user wrote them.
    words: BTreeSet<String>,
}

impl Claims {
    /// Allows what somebody who may name it has named.
    pub(super) fn allow_words(&mut self, text: &str) {
        let text = plain(text);
        for number in numbers(&text) {
            self.amounts.extend(number.amounts());
            self.times.extend(number.times());
        }
        self.words.extend(spelled(&text).into_iter().map(|(words, _)| words));
        self.words.extend(sites(&text).map(str::to_owned));
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
        let text = plain(text);
        let is_said = |(words, time): (String, Option<u32>)| {
            self.words.contains(&words) || time.is_some_and(|time| self.times.contains(&time))
        };
        !leads_away(&text)
            && sites(&text).all(|site| self.words.contains(site))
            && spelled(&text).into_iter().all(is_said)
            && numbers(&text).iter().all(|number| {
                let times = number.times();
                (times.is_empty() || times.iter().any(|time| self.times.contains(time)))
                    && (!number.is_money() || number.amounts().iter().any(|amount| self.amounts.contains(amount)))
            })
    }
}

/// Whether there is a link, an address, an id or a telephone number.
fn leads_away(text: &str) -> bool {
    let is_id = |word: &str| {
        word.rsplit_once('_')
            .is_some_and(|(_, id)| id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    ["://", "www.", "@"].iter().any(|sign| text.contains(sign))
        || text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(is_id)
        || text
            .split('+')
            .skip(1)
            .any(|after| digits(after.split(is_no_part_of_telephones).next().unwrap_or_default()) >= 7)
        || text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= 9)
        || text.split(is_no_part_of_telephones).any(|run| digits(run) >= 10 && !begins_with_year(run))
}

fn is_no_part_of_telephones(c: char) -> bool {
    !c.is_ascii_digit() && !" -().".contains(c)
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Whether digits seem to be dates.
fn begins_with_year(run: &str) -> bool {
    let run = run.trim_start_matches(|c: char| !c.is_ascii_digit());
    let first = run.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    first.len() == 4 && (first.starts_with("19") || first.starts_with("20"))
}

/// What looks like a place on the net, such as `evil.example` or `10.0.0.1`.
fn sites(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '.' && c != '-');
    words.map(|word| word.trim_matches(['.', '-'])).filter(|word| {
        let labels: Vec<_> = word.split('.').collect();
        let (Some(last), true) = (labels.last(), labels.len() > 1 && labels.iter().all(|label| !label.is_empty()))
        else {
            return false;
        };
        // No domain ends so, and libraries do.
        let is_name = last.chars().count() > 1 && last.chars().all(char::is_alphabetic) && *last != "js";
        is_name || (labels.len() == 4 && labels.iter().all(|label| label.bytes().all(|byte| byte.is_ascii_digit())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let mut claims = Claims::default();
        claims.allow_words("Somebody under $5 a minute, at 9am? Not five dollars, like at bees.example.");
        claims.allow_price("12.5".parse().unwrap());
        claims.allow_price("1200".parse().unwrap());
        let berlin = chrono_tz::Europe::Berlin;
        claims.allow_moment("2026-11-23T14:30:00Z".parse().unwrap(), &[Tz::UTC, berlin]);
        claims.allow_moment("2026-11-23T12:00:00Z".parse().unwrap(), &[Tz::UTC, berlin]);
        claims
    }

    #[test]
    fn what_was_looked_up_or_asked_may_be_said() {
        for text in [
            "I found 3 people for you.",
            "She charges $12.50 a minute, below your 5 dollars? No.",
            "It is 12,50 € for that, or USD 1,200.",
            "It is ١٢٠٠ usd, ＄1200, 12.50/min.",
            "They are there at 14:30, which is 3:30 pm for you (15:30), 14.30 Uhr, 15h30, 12 o'clock, noon.",
            "Your 9 a.m. works too, and so do your five dollars, e.g. at bees.example.",
            "Born in 1984, 10 years of bees, 24/7! Dr. Stone, Ph.D., knows Node.js, i.e. code.",
            "One of five people in the U.S. has 30 minutes. See you... soon.",
            "Good at 3 languages, at 24 countries. 10 years. Euro trips. Half the people; five to ten of them.",
            "On 2026-11-23 14:30, in 2019 - 2021 and 2023. It takes 3時間 or 2시간, within 24h.",
            "Es gibt zwei am Montag, und um 12.50 Euro geht es.",
            "14:30, 14h30, 14時30分, 15時半 for you, at 3:30 or 12.",
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
            "500円",
            "5k dollars",
            "$5k",
            "$5 hundred",
            "R$ 7",
            "7₽",
            "３ ＵＳＤ",
            "$\u{200B}3",
            "7 zł",
            "only 3 a minute",
            "3/min",
            "7 per hour",
            "twenty bucks",
            "one Dollar",
            "at 16:30",
            "come at 4pm",
            "at 4 o'clock",
            "um 16 Uhr",
            "à 16h45",
            "at four pm",
            "at midnight",
            "12:31",
            "See https://evil.example",
            "www.evil.example",
            "pay at evil.example",
            "Pay at Evil.Example/now.",
            "evil\u{200B}.example",
            "on 10.0.0.1",
            "mail me@evil.example",
            "ask user_01jd8t6ze5fkxrv8q3w2m9n7ab",
            "rp_01jd8t6ze5fkxrv8q3w2m9n7ab",
            "Call +49 (30) 123-4567",
            "Call 0301234567",
            "$ 12.51",
            "It's 6 US dollars",
            "13 Australian dollars",
            "three canadian dollars",
            "5万円",
            "3千 円",
            "zwanzig Euro",
            "vingt euros",
            "à 16h",
            "16時",
            "16時半",
            "16時30分",
            "下午4点",
            "오후 4시",
            "at 4",
            "come at 4, please",
            "um 16",
            "half past four",
            "quarter to 5",
            "Call 555-123-4567",
            "(555) 123.4567",
            "055 1234 5678",
        ] {
            assert!(!claims().hold_in(text), "{text}");
        }
    }
}
