//! The sockets of this process: whose they are, and by which login.

use std::collections::{HashMap, HashSet};

use humanchat_domain::{
    auth::Role,
    bus::TabOpened,
    id::{LoginId, UserId},
};

use super::{
    outbox::{Outbox, code},
    topic::SocketId,
};

/// A socket, as the hub knows it.
#[derive(Debug)]
pub(super) struct Member {
    pub user_id: UserId,
    pub login_id: LoginId,
    pub role: Role,
    /// The browser tab, if it has a name, and the socket's own, which grows with time.
    pub tab: Option<TabOpened>,
    pub outbox: Outbox,
}

impl Member {
    fn is_replaced_by(&self, other: &TabOpened) -> bool {
        self.tab
            .as_ref()
            .is_some_and(|own| own.user_id == other.user_id && own.tab == other.tab && own.socket < other.socket)
    }
}

/// All of them, found by user too: a storm of tabs looks for its predecessors.
#[derive(Debug, Default)]
pub(super) struct Members {
    by_id: HashMap<SocketId, Member>,
    by_user: HashMap<UserId, HashSet<SocketId>>,
}

impl Members {
    pub(super) fn insert(&mut self, id: SocketId, member: Member) {
        self.by_user.entry(member.user_id).or_default().insert(id);
        self.by_id.insert(id, member);
    }

    pub(super) fn remove(&mut self, id: SocketId) -> Option<Member> {
        let member = self.by_id.remove(&id)?;
        if let Some(ids) = self.by_user.get_mut(&member.user_id) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_user.remove(&member.user_id);
            }
        }
        Some(member)
    }

    pub(super) fn count(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values()
    }

    /// Closes what a tab had before its new socket.
    pub(super) fn replace_tab(&self, opened: &TabOpened) {
        let ids = self.by_user.get(&opened.user_id).into_iter().flatten();
        for member in ids.filter_map(|id| self.by_id.get(id)).filter(|member| member.is_replaced_by(opened)) {
            member.outbox.close(code::REPLACED);
        }
    }
}
