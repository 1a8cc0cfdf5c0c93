//! Calendar files: RFC 5545 text of one event. Pure: times, names and addresses are the caller's.

use chrono::{DateTime, Utc};
use icalendar::{Calendar, Component, Event, EventLike, EventStatus, Property};

/// What a calendar is to do with the event (RFC 5546).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Show it: a file that somebody downloads.
    Publish,
    /// Put it in, or change it where it is: a mail.
    Request,
    /// Take it out: a mail.
    Cancel,
}

impl Method {
    /// As it is written in the file and in the mail's media type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "PUBLISH",
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// Somebody in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendee {
    /// Shown name.
    pub name: String,
    /// Where mail goes. `None` for whom the reader knows by name only.
    pub address: Option<String>,
}

/// An event as one of its people gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarEvent {
    /// The same for all files about one event, for ever.
    pub uid: String,
    /// Grows with each change of the event.
    pub sequence: u32,
    /// When this was written.
    pub stamp: DateTime<Utc>,
    /// When it begins.
    pub start: DateTime<Utc>,
    /// When it ends.
    pub end: DateTime<Utc>,
    /// One line.
    pub summary: String,
    /// Any text.
    pub description: String,
    /// Where to look it up.
    pub url: String,
    /// Who calls it in: the service, so that nobody's address is told.
    pub organizer: Attendee,
    /// Its people. Only the reader's address is given.
    pub attendees: Vec<Attendee>,
    /// What to do with it.
    pub method: Method,
    /// Whether it was called off.
    pub cancelled: bool,
}

impl CalendarEvent {
    /// The file: UTC times, lines of at most 75 octets that end with CRLF.
    pub fn to_ics(&self) -> String {
        let mut event = Event::with_uid(&self.uid);
        event
            .timestamp(self.stamp)
            .sequence(self.sequence)
            .starts(self.start)
            .ends(self.end)
            .summary(&plain(&self.summary))
            .description(&plain(&self.description))
            .url(&self.url)
            .status(if self.cancelled { EventStatus::Cancelled } else { EventStatus::Confirmed })
            .append_property(self.organizer.property("ORGANIZER"));
        for attendee in &self.attendees {
            let mut property = attendee.property("ATTENDEE");
            property.add_parameter("PARTSTAT", if self.cancelled { "DECLINED" } else { "ACCEPTED" });
            event.append_multi_property(property);
        }
        let mut calendar = Calendar::empty();
        for (key, value) in [
            ("VERSION", "2.0"),
            ("PRODID", "-//HumanChat//HumanChat//EN"),
            ("CALSCALE", "GREGORIAN"),
            ("METHOD", self.method.as_str()),
        ] {
            calendar.append_property((key, value));
        }
        // The crate's last line of a fold may have an octet too many.
        fold(&calendar.push(event.done()).to_string().replace("\r\n ", ""))
    }
}

impl Attendee {
    fn property(&self, key: &str) -> Property {
        let address = self.address.as_ref().map_or_else(|| "invalid:nomail".to_owned(), |it| format!("mailto:{it}"));
        let mut property = Property::new(key, address);
        // A parameter can't hold a double quote in any way, and one that begins and ends with them
        // would be written as it stands.
        property.add_parameter("CN", &plain(&self.name).replace('"', "'").replace('\n', " "));
        property
    }
}

/// Breaks lines of more than 75 octets between characters (RFC 5545 §3.1).
fn fold(lines: &str) -> String {
    const OCTETS: usize = 75;
    let mut folded = String::with_capacity(lines.len() + lines.len() / 25);
    let mut octets = 0;
    for c in lines.chars() {
        if octets + c.len_utf8() > OCTETS && !matches!(c, '\r' | '\n') {
            folded.push_str("\r\n ");
            octets = 1;
        }
        folded.push(c);
        octets = if c == '\n' { 0 } else { octets + c.len_utf8() };
    }
    folded
}

/// Text without control characters: a lone CR would end the line.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use icalendar::parser::{read_calendar, unfold};
    use proptest::prelude::*;

    use super::*;

    fn event() -> CalendarEvent {
        let at = |text: &str| text.parse().unwrap();
        CalendarEvent {
            uid: "sess_01jd68t6hbfgyrwktgc5s87555@talk.example".to_owned(),
            sequence: 2,
            stamp: at("2026-11-22T12:00:00Z"),
            start: at("2026-11-22T18:00:00Z"),
            end: at("2026-11-22T18:30:00Z"),
            summary: "Talk with River, about bees; and \\ honey".to_owned(),
            description: "Line one\nLine two, with 👩‍🚀 and 養蜂: \"quoted\"\r\nLine three".repeat(3),
            url: "https://talk.example/sessions/sess_01jd68t6hbfgyrwktgc5s87555".to_owned(),
            organizer: Attendee { name: "HumanChat".to_owned(), address: Some("noreply@talk.example".to_owned()) },
            attendees: vec![
                Attendee { name: "Casey".to_owned(), address: Some("casey@example.com".to_owned()) },
                Attendee { name: "\"River\";X=1:\"".to_owned(), address: None },
            ],
            method: Method::Request,
            cancelled: false,
        }
    }

    /// Every line of the file, unfolded, after a look at how it is folded.
    fn lines(ics: &str) -> Vec<String> {
        assert!(ics.ends_with("\r\n"));
        for line in ics.trim_end_matches("\r\n").split("\r\n") {
            assert!(line.len() <= 75, "{} octets: {line}", line.len());
            assert!(!line.contains(['\r', '\n']), "{line:?}");
        }
        ics.replace("\r\n ", "").trim_end().split("\r\n").map(ToOwned::to_owned).collect()
    }

    /// A value of the event, read by the rules of RFC 5545 §3.3.11 and by nothing of the crate's.
    fn text(ics: &str, key: &str) -> String {
        let prefix = format!("{key}:");
        let line = lines(ics).into_iter().find(|line| line.starts_with(&prefix)).unwrap();
        let mut chars = line[prefix.len()..].chars();
        let mut text = String::new();
        while let Some(c) = chars.next() {
            text.push(match c {
                '\\' => match chars.next().unwrap() {
                    'n' | 'N' => '\n',
                    escaped => escaped,
                },
                ';' | ',' => panic!("not escaped: {line}"),
                c => c,
            });
        }
        text
    }

    #[test]
    fn the_file_says_what_the_event_is() {
        let ics = event().to_ics();
        let lines = lines(&ics);
        for line in [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "METHOD:REQUEST",
            "UID:sess_01jd68t6hbfgyrwktgc5s87555@talk.example",
            "SEQUENCE:2",
            "DTSTAMP:20261122T120000Z",
            "DTSTART:20261122T180000Z",
            "DTEND:20261122T183000Z",
            "STATUS:CONFIRMED",
            "ORGANIZER;CN=HumanChat:mailto:noreply@talk.example",
            "ATTENDEE;CN=Casey;PARTSTAT=ACCEPTED:mailto:casey@example.com",
            "ATTENDEE;CN=\"'River';X=1:'\";PARTSTAT=ACCEPTED:invalid:nomail",
        ] {
            assert_eq!(lines.iter().filter(|it| *it == line).count(), 1, "{line} in {lines:#?}");
        }
        assert_eq!(text(&ics, "SUMMARY"), event().summary);
        assert_eq!(text(&ics, "DESCRIPTION"), event().description.replace("\r\n", "\n"));
    }

    #[test]
    fn a_cancelled_event_says_so() {
        let lines = lines(&CalendarEvent { method: Method::Cancel, cancelled: true, ..event() }.to_ics());
        for line in ["METHOD:CANCEL", "STATUS:CANCELLED"] {
            assert!(lines.iter().any(|it| it == line), "{line} in {lines:#?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_in_its_place(summary in "\\PC{0,200}", description in any::<String>(), name in any::<String>()) {
            let attendees = vec![Attendee { name, address: None }];
            let ics = CalendarEvent { summary: summary.clone(), description, attendees, ..event() }.to_ics();
            let lines = lines(&ics);
            let keys: Vec<_> = lines.iter().map(|line| line.split([':', ';']).next().unwrap()).collect();
            prop_assert_eq!(keys.iter().filter(|key| **key == "BEGIN").count(), 2);
            prop_assert_eq!(keys.iter().filter(|key| **key == "ATTENDEE").count(), 1);
            prop_assert_eq!(lines.len(), 19, "{:#?}", lines);
            prop_assert_eq!(text(&ics, "SUMMARY"), summary);
            let unfolded = unfold(&ics);
            prop_assert!(read_calendar(&unfolded).is_ok());
        }
    }
}
