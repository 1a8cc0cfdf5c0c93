//! What pgbench runs: the statements that the product runs for a request, as scripts.
//!
//! They are the product's own words; a test holds each against `.sqlx`. Where the product always says
//! null, so does the script, for pgbench has no null to bind. What varies from request to request is
//! looked up once in a hundred times, so that it costs next to nothing.

/// A request, and what it comes down to in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `POST /api/conversations/{id}/messages`.
    PostMessage,
    /// `GET /api/conversations/{id}/messages?limit=50`.
    GetMessages,
    /// `GET /api/conversations`.
    GetConversations,
}

/// What is said in every message that is sent.
pub const CONTENT: &str = "Shall we talk about it on Thursday, when the bees have settled? I have a new hive to show.";

impl Operation {
    /// All, in the order they are measured: what writes comes last.
    pub const ALL: [Self; 3] = [Self::GetMessages, Self::GetConversations, Self::PostMessage];

    /// The request in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::PostMessage => "POST message",
            Self::GetMessages => "GET 50 messages",
            Self::GetConversations => "GET conversations",
        }
    }

    /// The script for pgbench.
    pub fn script(self) -> &'static str {
        match self {
            Self::PostMessage => include_str!("scripts/post_message.sql"),
            Self::GetMessages => include_str!("scripts/get_messages.sql"),
            Self::GetConversations => include_str!("scripts/get_conversations.sql"),
        }
    }

    /// Values for the script's variables, besides those it looks up itself.
    pub fn variables(self, targets: usize) -> Vec<String> {
        let mut variables = vec!["started=0".to_owned(), format!("targets={targets}")];
        match self {
            Self::PostMessage => variables.extend([
                format!("content={CONTENT}"),
                "type=user_text".to_owned(),
                "none=[]".to_owned(),
                "types={message.created}".to_owned(),
                format!("payloads={{\"{}\"}}", payload().replace('"', "\\\"")),
            ]),
            // One more than asked for tells whether there is a next page.
            Self::GetMessages => variables.push("limit=51".to_owned()),
            Self::GetConversations => variables.extend(["limit=21".to_owned(), "unread=false".to_owned()]),
        }
        variables
    }
}

/// What the product stores as the event of such a message.
fn payload() -> String {
    serde_json::json!({
        "messageId": 1234, "conversationId": "conv_01jd8t6ze5fkxrv8q3w2m9n7ab", "senderId": "user_01jd8t6ze5fkxrv8q3w2m9n7ab",
        "origin": "human", "type": "user_text", "content": CONTENT, "attachments": [], "actions": [],
        "timestamp": 1_731_709_200_000_i64,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::{one_line, products_statements};

    /// The script's statements, without what it does to choose.
    fn statements(script: &str) -> Vec<String> {
        let (_, deed) = script.split_once("\\endif\n").unwrap();
        deed.split(';').map(one_line).filter(|statement| !statement.is_empty()).collect()
    }

    /// Whether these are the same words but for parameters, `$1` here, `:name` or `null` there. To pgbench
    /// each is another one, so that it may have to name a type once more.
    fn same(product: &str, script: &str) -> bool {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut rest = script;
        for (index, part) in product.split('$').enumerate() {
            let words = if index == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) };
            if index > 0 {
                let parameter = rest.strip_prefix(':').map(|rest| rest.trim_start_matches(is_name));
                let Some(behind) = parameter.or_else(|| rest.strip_prefix("null")) else { return false };
                let cast = behind.strip_prefix("::").filter(|_| !words.starts_with("::"));
                rest = cast.map_or(behind, |cast| cast.trim_start_matches(is_name));
            }
            let Some(behind) = rest.strip_prefix(words) else { return false };
            rest = behind;
        }
        rest.is_empty()
    }

    #[test]
    fn scripts_are_the_products_own_statements() {
        let known = products_statements();
        for operation in Operation::ALL {
            let mut statements = statements(operation.script());
            if operation == Operation::PostMessage {
                assert_eq!((statements.remove(0), statements.pop()), ("begin".to_owned(), Some("commit".to_owned())));
            }
            assert_eq!(statements.len(), if operation == Operation::GetMessages { 1 } else { 2 });
            for statement in statements {
                assert!(known.iter().any(|product| same(product, &statement)), "not the product's: {statement}");
            }
        }
    }

    #[test]
    fn other_words_are_noticed() {
        assert!(same("a = $1 and b = $2", "a = :x and b = null"));
        assert!(same("a = $1 and b = $2", "a = :x::uuid and b = :x"));
        assert!(!same("a = $1::text", "a = :x"));
        assert!(!same("a = $1 and b = $2", "a = :x and b = 7"));
        assert!(!same("a = $1", "a = :x limit 1"));
        assert!(!same("a = $1 limit 1", "a = :x"));
        assert!(!same("a = $1 limit 1", "a = :x limit 2"));
    }
}
