//! The text of an answer while it is still being written: the string under `"text"` at the start of
//! a JSON object that has not ended.

/// What can be read so far. Half an escape, and half a pair of surrogates, wait for their other half.
pub(super) fn text_so_far(json: &str) -> Option<String> {
    let rest = json[json.find('{')? + 1..].trim_start();
    let rest = rest.strip_prefix("\"text\"")?.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let whole = rest.get(..whole_characters(rest))?;
    serde_json::from_str(&format!("\"{whole}\"")).ok()
}

/// Up to where a JSON string holds whole characters: its end, or that of what has come.
fn whole_characters(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'"' {
        let length = match (bytes[at], bytes.get(at + 1)) {
            (b'\\', Some(b'u')) => match rest.get(at + 2..at + 6).map(|digits| u16::from_str_radix(digits, 16)) {
                // The first of a pair.
                Some(Ok(0xD800..=0xDBFF)) => 12,
                _ => 6,
            },
            (b'\\', _) => 2,
            _ => 1,
        };
        if at + length > bytes.len() {
            break;
        }
        at += length;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_gives_a_beginning_of_the_text() {
        let text = "Hi \"Zoë\" 👩‍🚀\n\\ done";
        let plain = format!("```json\n{}", serde_json::json!({"text": text}));
        let escaped = r#"{ "text" : "Hi \"Zo\u00eb\" \ud83d\udc69\u200d\ud83d\ude80\n\\ done", "actions": []}"#;
        for json in [plain.as_str(), escaped] {
            let mut longest = 0;
            for (end, _) in json.char_indices() {
                let Some(part) = text_so_far(&json[..end]) else { continue };
                assert!(text.starts_with(&part), "{part:?} of {:?}", &json[..end]);
                assert!(part.len() >= longest);
                longest = part.len();
            }
            assert_eq!(text_so_far(json).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_answer_has_no_text() {
        for json in ["", "{", "Hello", r#"{"actions": []"#, r#"{"text": 1"#, r#"["text"#] {
            assert_eq!(text_so_far(json), None, "{json}");
        }
    }
}
