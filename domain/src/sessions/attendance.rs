//! Who was there: evidence from sockets, presence, messages and deeds, as stretches of time.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Session, queries};
use crate::{availability::Span, error::Result, id::UserId, tx::Tx};

/// How long a sign of life without a socket counts.
pub(super) const ACT: TimeDelta = TimeDelta::seconds(45);

/// When the two people of a session were there, within some span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attendance {
    /// The host: in order, apart from each other.
    pub host: Vec<Span>,
    /// The guest, likewise.
    pub guest: Vec<Span>,
}

impl Attendance {
    fn of(session: &Session, stretches: Vec<(UserId, Span)>) -> Self {
        let mut attendance = Self::default();
        for (person, span) in stretches {
            let side = if person == session.host_user_id { &mut attendance.host } else { &mut attendance.guest };
            side.push(span);
        }
        attendance.host.sort_unstable();
        attendance.guest.sort_unstable();
        attendance
    }

    /// When both were there at once, in order.
    pub(crate) fn together(&self) -> Vec<Span> {
        let (mut host, mut guest) = (self.host.iter().peekable(), self.guest.iter().peekable());
        let mut together = Vec::new();
        while let (Some(a), Some(b)) = (host.peek(), guest.peek()) {
            let span = Span { start: a.start.max(b.start), end: a.end.min(b.end) };
            if span.start < span.end {
                together.push(span);
            }
            if a.end <= b.end {
                host.next();
            } else {
                guest.next();
            }
        }
        together
    }

    /// How long both were there, a begun minute counted whole.
    pub(crate) fn minutes(&self) -> i32 {
        let millis: i64 = self.together().iter().map(|span| (span.end - span.start).num_milliseconds()).sum();
        i32::try_from((millis + 59_999) / 60_000).unwrap_or(i32::MAX)
    }
}

/// What the evidence says of a span: sockets, presence by HTTP, messages in the conversation, the
/// host's start, the guest's payment.
pub(super) async fn observe(tx: &mut Tx, session: &Session, within: Span) -> Result<Attendance> {
    let stretches = queries::evidence(tx.conn(), session.id, within).await?;
    Ok(Attendance::of(session, stretches))
}

/// Keeps what was observed, for good.
pub(super) async fn keep(tx: &mut Tx, session: &Session, attendance: &Attendance) -> Result<()> {
    let people = [(session.host_user_id, &attendance.host), (session.guest_user_id, &attendance.guest)];
    let stretches: Vec<_> = people.iter().flat_map(|(id, spans)| spans.iter().map(|span| (*id, *span))).collect();
    queries::keep_attendance(tx.conn(), session.id, &stretches).await?;
    Ok(())
}

/// Who was there, and when, of a session that is over: the evidence its payment goes by.
pub(crate) async fn attendance(tx: &mut Tx, session: &Session) -> Result<Attendance> {
    Ok(Attendance::of(session, queries::kept_attendance(tx.conn(), session.id).await?))
}

/// When both were last there at once before `now`, if ever since `since`.
pub(super) fn last_together(attendance: &Attendance) -> Option<DateTime<Utc>> {
    attendance.together().last().map(|span| span.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: i64, end: i64) -> Span {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        Span { start: at(start), end: at(end) }
    }

    #[test]
    fn only_common_time_counts_and_begun_minutes_count_whole() {
        for (host, guest, together, minutes) in [
            (vec![], vec![span(0, 60)], vec![], 0),
            (vec![span(0, 60)], vec![span(60, 120)], vec![], 0),
            (vec![span(0, 60)], vec![span(0, 60)], vec![span(0, 60)], 1),
            (vec![span(0, 61)], vec![span(0, 600)], vec![span(0, 61)], 2),
            (
                vec![span(0, 100), span(200, 300)],
                vec![span(50, 250), span(290, 400)],
                vec![span(50, 100), span(200, 250), span(290, 300)],
                2,
            ),
            (vec![span(0, 1)], vec![span(0, 1)], vec![span(0, 1)], 1),
        ] {
            let attendance = Attendance { host, guest };
            assert_eq!(attendance.together(), together);
            assert_eq!(attendance.minutes(), minutes, "{together:?}");
        }
    }
}
