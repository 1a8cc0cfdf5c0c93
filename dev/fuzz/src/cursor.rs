//! Cursors: only those we gave are taken, in the very form in which we gave them.

use humanchat_domain::testing::{cursor_of, position_of};

use crate::SECRET;

/// A cursor; or a position, where it is JSON.
///
/// # Panics
/// Where a cursor is taken that we would have written otherwise, or one of ours isn't.
pub fn cursor(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(position) = position_of(text, SECRET) {
        assert_eq!(cursor_of(&position, SECRET).ok().as_deref(), Some(text), "a position has one cursor");
    }
    let Ok(position) = serde_json::from_str(text) else { return };
    let Ok(cursor) = cursor_of(&position, SECRET) else { return };
    assert_eq!(position_of(&cursor, SECRET).ok(), Some(position));
    assert!(position_of(&cursor, "another secret, also of 32 bytes").is_err(), "others' cursors are not ours");
}
