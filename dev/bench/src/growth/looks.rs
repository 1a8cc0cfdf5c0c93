//! What is asked for, again and again.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    resume,
    seed::{Place, Target},
};
use crate::http::request;

/// Something that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The newest page of the conversation that grows.
    Latest,
    /// A page far back in it.
    Older,
    /// A caller's twenty conversations, with what is unread in each.
    Conversations,
    /// The same of somebody who has never read anything.
    NeverRead,
    /// The numbers for staff.
    Metrics,
    /// A word that ten people have.
    Search,
    /// A socket that missed a hundred events.
    Resume,
    /// A message, in each of the conversations in turn.
    Send,
}

impl Look {
    /// All, what writes last.
    pub const ALL: [Self; 8] = [
        Self::Latest,
        Self::Older,
        Self::Conversations,
        Self::NeverRead,
        Self::Metrics,
        Self::Search,
        Self::Resume,
        Self::Send,
    ];

    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Latest => "GET the last 50 messages",
            Self::Older => "GET 50 older messages",
            Self::Conversations => "GET conversations",
            Self::NeverRead => "GET conversations, all unread",
            Self::Metrics => "GET metrics",
            Self::Search => "GET users by a word",
            Self::Resume => "a socket resumes, 100 events",
            Self::Send => "POST message",
        }
    }

    /// Asks so often, one after the other; says how long each took, in milliseconds.
    ///
    /// # Errors
    /// When an answer isn't a success.
    pub async fn take(self, place: &Place, times: usize) -> Result<Vec<f64>> {
        const WARM_UP: usize = 10;
        let mut millis = Vec::with_capacity(WARM_UP + times);
        if self == Self::Resume {
            let longest: Vec<_> = longest(place).collect();
            for number in 0..WARM_UP + times {
                millis.push(resume::resume(place, longest[number % longest.len()]).await?);
            }
        } else {
            let requests = self.requests(place);
            ensure!(!requests.is_empty(), "nothing to ask for");
            let mut connection = place.api.connect().await?;
            for number in 0..WARM_UP + times {
                let asked = Instant::now();
                connection.exchange(&requests[number % requests.len()]).await?;
                millis.push(asked.elapsed().as_secs_f64() * 1e3);
            }
        }
        Ok(millis.split_off(WARM_UP))
    }

    fn requests(self, place: &Place) -> Vec<Vec<u8>> {
        let get = |path: &str, caller: usize| request("GET", path, Some(&place.callers[caller].token), None);
        let messages = |target: &Target| format!("/api/conversations/{}/messages", target.id);
        let last = place.callers.len() - 1;
        let older = |target: &Target| {
            let cursor = target.far_back.as_ref()?;
            Some(get(&format!("{}?limit=50&cursor={cursor}", messages(target)), target.caller))
        };
        match self {
            Self::Latest => longest(place).map(|at| get(&format!("{}?limit=50", messages(at)), at.caller)).collect(),
            Self::Older => longest(place).filter_map(older).collect(),
            Self::Conversations => (0..last).map(|caller| get("/api/conversations", caller)).collect(),
            Self::NeverRead => vec![get("/api/conversations", last)],
            Self::Metrics => vec![request("GET", "/api/admin/metrics", Some(&place.admin.token), None)],
            Self::Search => (0..last).map(|caller| get("/api/users?q=celestial+navigation", caller)).collect(),
            Self::Send => {
                let message = json!({"content": "Shall we talk about it on Thursday?", "type": "user_text"});
                let token = |target: &Target| Some(place.callers[target.caller].token.as_str());
                let targets = place.targets.iter();
                targets.map(|target| request("POST", &messages(target), token(target), Some(&message))).collect()
            }
            Self::Resume => Vec::new(),
        }
    }
}

/// The conversations that grow.
fn longest(place: &Place) -> impl Iterator<Item = &Target> {
    place.targets.iter().filter(|target| target.is_longest)
}
