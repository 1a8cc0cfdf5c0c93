//! What the model says: whole, and as far as it has come.

use humanchat_domain::testing::{read_answer, text_so_far};

/// The longest text of an answer, and how many actions it may have.
const MOST: (usize, usize) = (4000, 6);

/// An answer's JSON. The model's look-ups found one free half hour at noon, which costs nothing.
///
/// # Panics
/// Where more is taken than an answer may hold, or another text is streamed than the answer's.
pub fn sam_answer(input: &[u8]) {
    let Ok(json) = std::str::from_utf8(input) else { return };
    let whole = text_so_far(json);
    let mut streamed = String::new();
    for (end, _) in json.char_indices().take(300) {
        let Some(text) = text_so_far(&json[..end]) else { continue };
        assert!(text.starts_with(&streamed), "{streamed:?} was told before {text:?}");
        streamed = text;
    }
    if let Some(whole) = &whole {
        assert!(whole.starts_with(&streamed), "{streamed:?} was told before {whole:?}");
    }
    let Some(answer) = read_answer(json) else { return };
    assert!(answer.text.chars().count() <= MOST.0 && !answer.text.contains('\0'), "{:?}", answer.text);
    assert!(answer.actions <= MOST.1 && answer.dropped >= 0, "{answer:?}");
    assert!(!answer.text.contains("://"), "a link that nobody looked up: {:?}", answer.text);
    assert!(whole.is_none_or(|whole| whole == answer.text), "another text was told before {:?}", answer.text);
}
