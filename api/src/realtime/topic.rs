//! One channel's listeners in this process, and how far each has been told.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::extract::ws::Utf8Bytes;

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
}

#[derive(Debug, Default)]
struct State {
    /// The newest number that listeners were told; unknown before the first of them.
    newest: Option<i64>,
    live: HashMap<SocketId, Listener>,
    /// Sockets between asking to listen and being told where the channel stands.
    joining: usize,
    /// Somebody is reading what was missed.
    catching_up: bool,
}

#[derive(Debug)]
struct Listener {
    outbox: Outbox,
    /// The newest number this one has: a replay may be ahead of the topic.
    told: i64,
}

impl Topic {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells listeners something unnumbered.
    pub(super) fn pass(&self, frame: &Utf8Bytes) {
        for listener in self.state().live.values() {
            listener.outbox.push(frame.clone());
        }
    }

    /// Tells listeners a numbered frame if it is the next one.
    pub(super) fn hear(&self, seq: i64, frame: &Utf8Bytes) -> Heard {
        let mut state = self.state();
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

    pub(super) fn begin_joining(&self) {
        self.state().joining += 1;
    }

    pub(super) fn end_joining(&self) {
        self.state().joining -= 1;
    }

    /// Lets a socket that has everything up to `told` hear what follows. False when the topic is
    /// further by now: read on first.
    pub(super) fn go_live(&self, socket: SocketId, outbox: &Outbox, told: i64) -> bool {
        let mut state = self.state();
        if *state.newest.get_or_insert(told) > told {
            return false;
        }
        state.live.insert(socket, Listener { outbox: outbox.clone(), told });
        true
    }

    /// Whether the socket was listening.
    pub(super) fn leave(&self, socket: SocketId) -> bool {
        self.state().live.remove(&socket).is_some()
    }

    /// Whether nobody needs the topic any more.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        state.live.is_empty() && state.joining == 0
    }

    /// True for the one who should catch up now.
    pub(super) fn begin_catching_up(&self) -> bool {
        !std::mem::replace(&mut self.state().catching_up, true)
    }

    pub(super) fn end_catching_up(&self) {
        self.state().catching_up = false;
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
        let (early, mut early_frames) = Outbox::new();
        let (ahead, mut ahead_frames) = Outbox::new();
        assert_eq!(topic.hear(3, &frame(3)), Heard::InOrder, "nobody listens");
        assert!(topic.go_live(1, &early, 3));
        // A replay read up to 5 before the bells of 4 and 5 rang.
        assert!(topic.go_live(2, &ahead, 5));
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
        assert!(!topic.go_live(3, &early, 5), "6 would be missed");
    }
}
