//! Ends what may no longer be: sockets whose login ended, whose user was suspended or has another
//! role, and subscriptions of people who no longer take part in a conversation.

use std::{collections::HashMap, time::Duration};

use humanchat_domain::{auth, error::Result, event::Channel, realtime};

use super::{Hub, outbox::code, protocol::ServerFrame};

/// How often. A socket may be opened on a login remembered for three seconds, and still has to end
/// within five.
const REVIEW_EVERY: Duration = Duration::from_millis(1500);

/// Reviews sockets and subscriptions until the process ends.
pub(super) async fn review_sockets(hub: Hub) {
    loop {
        tokio::time::sleep(REVIEW_EVERY).await;
        if let Err(error) = review_logins(&hub).await {
            tracing::warn!(%error, "the logins behind sockets could not be checked");
        }
        if let Err(error) = review_participants(&hub).await {
            tracing::warn!(%error, "the listeners of conversations could not be checked");
        }
    }
}

async fn review_logins(hub: &Hub) -> Result<()> {
    let asked = hub.logins();
    if asked.is_empty() {
        return Ok(());
    }
    let logins: Vec<_> = asked.iter().copied().collect();
    let living: HashMap<_, _> = auth::authorities(hub.store(), &logins).await?.into_iter().collect();
    // Whoever came meanwhile was not asked about.
    hub.close_where(code::LOGGED_OUT, |member| {
        asked.contains(&member.login_id) && !living.contains_key(&member.login_id)
    });
    hub.close_where(code::ROLE_CHANGED, |member| {
        living.get(&member.login_id).is_some_and(|authority| authority.role != member.role)
    });
    Ok(())
}

async fn review_participants(hub: &Hub) -> Result<()> {
    let mut listeners = Vec::new();
    for channel in hub.channels() {
        if let (Channel::Conversation(id), Some(topic)) = (channel, hub.topic(channel)) {
            listeners.extend(topic.people().into_iter().map(|user_id| (user_id, id)));
        }
    }
    for (user_id, id) in realtime::strangers(hub.store(), &listeners).await? {
        let channel = Channel::Conversation(id);
        if let Some(topic) = hub.topic(channel) {
            let now = hub.store().clock().now();
            topic.remove(user_id, &ServerFrame::Unsubscribed { channel }.text(now));
            hub.drop_if_idle(channel);
        }
    }
    Ok(())
}
