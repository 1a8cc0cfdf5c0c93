//! One channel's listeners in this process, and how far each has been told.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::extract::ws::Utf8Bytes;
use humanchat_domain::{id::UserId, users::Status};
use tokio::sync::{SetOnce, watch};

use super::outbox::Outbox;

/// A socket of this process.
pub(super) type SocketId = u64;

/// What a topic makes of a numbered frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was the next, or an old one: all is well.
    InOrder,
    /// Some before it were missed: read them from the database.
    Gap,
}

#[derive(Debug, Default)]
pub(super) struct Topic {
    state: Mutex<State>,
    /// Set once this process hears the channel's bells.
    audible: SetOnce<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest number that listeners were told; unknown before the first of them.
    newest: Option<i64>,
    /// The newest number that anybody spoke of.
    rumoured: watch::Sender<i64>,
    live: HashMap<SocketId, Listener>,
    /// Where the channel's person stands, on a status channel.
    status: Option<(Status, Utf8Bytes)>,
    /// Sockets between asking to listen and being told where the channel stands.
    joining: usize,
    catching_up: CatchingUp,
}

/// Whether somebody reads what was missed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum CatchingUp {
    #[default]
    No,
    Yes,
    /// More was missed since they last looked.
    Again,
}

#[derive(Debug)]
struct Listener {
    outbox: Outbox,
    /// The newest number this one has: a replay may be ahead of the topic.
    told: i64,
}

impl State {
    fn take_note(&self, seq: i64) {
        self.rumoured.send_if_modified(|rumoured| {
            let is_news = seq > *rumoured;
            *rumoured = seq.max(*rumoured);
            is_news
        });
    }
}

impl Topic {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that the channel's bells reach this process.
    pub(super) fn set_audible(&self) {
        // It may be so again after a loss.
        self.audible.set(()).ok();
    }

    /// Waits until the channel's bells reach this process.
    pub(super) async fn audible(&self) {
        self.audible.wait().await;
    }

    /// Tells listeners something unnumbered, but for the sockets of whom it is from.
    pub(super) fn pass(&self, frame: &Utf8Bytes, from: Option<UserId>) {
        for listener in self.state().live.values().filter(|listener| Some(listener.outbox.user_id()) != from) {
            listener.outbox.push(frame.clone());
        }
    }

    /// Tells listeners where the channel's person stands now, if that is news.
    pub(super) fn learn(&self, status: Status, frame: Utf8Bytes) {
        let mut state = self.state();
        if state.status.as_ref().is_some_and(|(known, _)| *known == status) {
            return;
        }
        for listener in state.live.values() {
            listener.outbox.push(frame.clone());
        }
        state.status = Some((status, frame));
    }

    /// Tells listeners a numbered frame if it is the next one.
    pub(super) fn hear(&self, seq: i64, frame: &Utf8Bytes) -> Heard {
        let mut state = self.state();
        state.take_note(seq);
        let Some(newest) = state.newest else { return Heard::InOrder };
        if seq <= newest {
            return Heard::InOrder;
        }
        if seq > newest + 1 {
            return Heard::Gap;
        }
        state.newest = Some(seq);
        for listener in state.live.values_mut().filter(|listener| listener.told < seq) {
            listener.told = seq;
            listener.outbox.push(frame.clone());
        }
        Heard::InOrder
    }

    /// Takes note of a number that the database has.
    pub(super) fn hear_of(&self, seq: i64) -> Heard {
        let state = self.state();
        state.take_note(seq);
        if state.newest.is_some_and(|newest| newest < seq) { Heard::Gap } else { Heard::InOrder }
    }

    /// Jumps over numbers that no longer exist.
    pub(super) fn skip_to(&self, seq: i64) {
        let mut state = self.state();
        if state.newest.is_some_and(|newest| newest < seq) {
            state.newest = Some(seq);
        }
    }

    /// Where listeners stand; `None` when nobody listens.
    pub(super) fn newest(&self) -> Option<i64> {
        self.state().newest
    }

    /// Tells of every newer number that anybody speaks of.
    pub(super) fn rumours(&self) -> watch::Receiver<i64> {
        self.state().rumoured.subscribe()
    }

    pub(super) fn begin_joining(&self) {
        self.state().joining += 1;
    }

    pub(super) fn end_joining(&self) {
        self.state().joining -= 1;
    }

    /// Lets a socket that has everything up to `told` hear what follows, and where the channel's
    /// person stands. Refused with a number past
    /// `read`, up to which the database has been read: read on first.
    pub(super) fn go_live(&self, socket: SocketId, outbox: &Outbox, told: i64, read: i64) -> Result<(), i64> {
        let mut state = self.state();
        let known = (*state.rumoured.borrow()).max(state.newest.unwrap_or(told));
        if known > read.max(told) {
            return Err(known);
        }
        state.newest.get_or_insert(told);
        state.live.insert(socket, Listener { outbox: outbox.clone(), told });
        if let Some((_, status)) = &state.status {
            outbox.push(status.clone());
        }
        Ok(())
    }

    /// Whether the socket was listening.
    pub(super) fn leave(&self, socket: SocketId) -> bool {
        self.state().live.remove(&socket).is_some()
    }

    /// Whether the socket is listening.
    pub(super) fn has(&self, socket: SocketId) -> bool {
        self.state().live.contains_key(&socket)
    }

    /// Whether anybody is listening.
    pub(super) fn is_live(&self) -> bool {
        !self.state().live.is_empty()
    }

    /// Whose sockets are listening.
    pub(super) fn people(&self) -> HashSet<UserId> {
        self.state().live.values().map(|listener| listener.outbox.user_id()).collect()
    }

    /// Takes somebody's sockets out, with a last word.
    pub(super) fn remove(&self, user_id: UserId, last_word: &Utf8Bytes) {
        self.state().live.retain(|_, listener| {
            let stays = listener.outbox.user_id() != user_id;
            if !stays {
                listener.outbox.push(last_word.clone());
            }
            stays
        });
    }

    /// Whether nobody needs the topic any more.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        state.live.is_empty() && state.joining == 0
    }

    /// True for the one who should catch up now; whoever is at it already will look once more.
    pub(super) fn begin_catching_up(&self) -> bool {
        let mut state = self.state();
        let idle = state.catching_up == CatchingUp::No;
        state.catching_up = if idle { CatchingUp::Yes } else { CatchingUp::Again };
        idle
    }

    /// False when more was missed meanwhile: look again.
    pub(super) fn end_catching_up(&self) -> bool {
        let mut state = self.state();
        let ended = state.catching_up != CatchingUp::Again;
        state.catching_up = if ended { CatchingUp::No } else { CatchingUp::Yes };
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(seq: i64) -> Utf8Bytes {
        seq.to_string().into()
    }

    #[test]
    fn listeners_are_told_each_number_once_and_in_order() {
        let topic = Topic::default();
        let (early, mut early_frames) = Outbox::new(UserId::new());
        let (ahead, mut ahead_frames) = Outbox::new(UserId::new());
        assert_eq!(topic.hear(3, &frame(3)), Heard::InOrder, "nobody listens");
        assert_eq!(topic.go_live(1, &early, 3, 3), Ok(()));
        // A replay read up to 5 before the bells of 4 and 5 rang.
        assert_eq!(topic.go_live(2, &ahead, 5, 5), Ok(()));
        assert_eq!(topic.hear(3, &frame(3)), Heard::InOrder);
        assert_eq!(topic.hear(5, &frame(5)), Heard::Gap);
        for seq in [4, 5, 4, 6] {
            assert_eq!(topic.hear(seq, &frame(seq)), Heard::InOrder);
        }
        let told = |frames: &mut tokio::sync::mpsc::UnboundedReceiver<Utf8Bytes>| {
            std::iter::from_fn(|| frames.try_recv().ok()).map(|frame| frame.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(told(&mut early_frames), ["4", "5", "6"]);
        assert_eq!(told(&mut ahead_frames), ["6"]);
        assert_eq!(topic.go_live(3, &early, 5, 5), Err(6), "6 would be missed");
    }

    #[test]
    fn what_rang_while_the_first_listener_read_is_not_missed() {
        let topic = Topic::default();
        let (outbox, _frames) = Outbox::new(UserId::new());
        assert_eq!(topic.hear(4, &frame(4)), Heard::InOrder);
        assert_eq!(topic.go_live(1, &outbox, 3, 3), Err(4));
        assert_eq!(topic.hear_of(5), Heard::InOrder);
        assert_eq!(topic.go_live(1, &outbox, 4, 4), Err(5));
        assert_eq!(topic.go_live(1, &outbox, 4, 5), Ok(()), "5 was looked for and is gone");
        assert_eq!(topic.hear_of(6), Heard::Gap);
    }

    #[test]
    fn a_gap_noticed_while_another_is_read_is_read_too() {
        let topic = Topic::default();
        assert!(topic.begin_catching_up());
        assert!(!topic.begin_catching_up());
        assert!(!topic.end_catching_up());
        assert!(topic.end_catching_up());
        assert!(topic.begin_catching_up());
    }
}
