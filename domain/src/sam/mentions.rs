//! Whom answers may speak of, and how they lose the name of who has left.
//!
//! Cards show only people who were looked up, and words can't be told from names. So an answer is noted for everybody
//! who was looked up for it, and for those of earlier answers whose name comes back in it.

use super::{
    actions::{Action, Deed, Profile, ProfileStatus, Shown},
    queries::{self, Answer, Forgotten},
};
use crate::{
    error::Result,
    id::{ConversationId, UserId},
    tx::Tx,
};

/// How many answers lose a name at once.
const BATCH: i64 = 100;
/// Who has left, on a card.
const NAME: &str = "Deleted user";
/// What stands in place of words that may speak of somebody who has left.
const WORDS: &str = "This was about somebody who has left.";

/// An answer: its conversation, and where in it.
pub type Place = (ConversationId, i64);

/// Takes somebody who has left out of what Sam told others, some answers at a time. Says after which to go on; `None`
/// once there are no more.
///
/// # Errors
/// The database's.
pub(crate) async fn unname_some(tx: &mut Tx, person: UserId, after: Option<Place>) -> Result<Option<Place>> {
    let mut answers = queries::lock_answers_about(tx.conn(), person, after, BATCH).await?;
    let mut forgotten = Vec::new();
    for answer in &mut answers {
        // What can't be read any more can't be shown without the name.
        let actions = answer.actions.0.drain(..).filter_map(|action| serde_json::from_value(action).ok());
        let actions = actions.filter_map(|action| unnamed(action, person)).collect::<Vec<_>>();
        for action in &actions {
            if let Action::Proposed(proposal) = action {
                let (id, deed) = (proposal.action_id, proposal.deed.clone());
                forgotten.push(Forgotten { id, has_result: deed.person() != Some(person), deed });
            }
        }
        answer.actions.0 = actions.iter().map(serde_json::to_value).collect::<serde_json::Result<_>>()?;
    }
    queries::rewrite_answers(tx.conn(), &answers, WORDS).await?;
    queries::rewrite_actions(tx.conn(), &forgotten).await?;
    Ok(answers.last().map(Answer::place))
}

/// Forgets in which answers somebody was spoken of, once they aren't any more; false once there is nothing more.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_some(tx: &mut Tx, person: UserId) -> Result<bool> {
    Ok(queries::remove_mentions(tx.conn(), person, BATCH).await?)
}

/// What is left of an action without somebody, if anything is: terms and ids, not words.
fn unnamed(action: Action, person: UserId) -> Option<Action> {
    match action {
        Action::Shown(Shown::ShowProfiles { mut profiles }) => {
            for profile in profiles.iter_mut().filter(|profile| profile.user_id == person) {
                *profile = Profile {
                    user_id: person,
                    name: NAME.to_owned(),
                    headline: String::new(),
                    expertise: Vec::new(),
                    rate_per_minute: None,
                    currency: profile.currency.clone(),
                    status: ProfileStatus::Offline,
                };
            }
            Some(Action::Shown(Shown::ShowProfiles { profiles }))
        }
        Action::Shown(Shown::FollowUpPrompt { .. }) => None,
        shown @ Action::Shown(Shown::ShowSlots { .. } | Shown::SystemNotice { .. }) => Some(shown),
        Action::Proposed(mut proposal) => {
            match &mut proposal.deed {
                Deed::OfferCall { purpose, .. } => WORDS.clone_into(purpose),
                // To anybody else it may still be sent.
                Deed::SendRequest { target_user_id, message } if *target_user_id == person => WORDS.clone_into(message),
                Deed::SendRequest { .. } | Deed::CreateSession { .. } | Deed::UpdateProfile { .. } => {}
            }
            Some(Action::Proposed(proposal))
        }
    }
}

/// Notes whom an answer may speak of: `people` who were looked up for it, and those of the earlier answers that the
/// model was told, from `since` on, whose names come back in its `words`.
///
/// # Errors
/// The database's.
pub(super) async fn note(tx: &mut Tx, answer: Place, people: &[UserId], (since, words): (i64, &str)) -> Result<()> {
    Ok(queries::insert_mentions(tx.conn(), answer, people, (since, words)).await?)
}
