//! Numbers in words of others. The standard library takes a sign as well, which
//! no number here has: what begins with one is another word.

use std::str::{self, FromStr};

/// Whether the word is one or more ASCII digits, nothing else.
pub(crate) fn are_digits(word: impl AsRef<[u8]>) -> bool {
    let word = word.as_ref();
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

/// The number that the word is; None for what has no digits alone, or too many.
pub(crate) fn digits<T: FromStr>(word: impl AsRef<[u8]>) -> Option<T> {
    let word = word.as_ref();
    are_digits(word).then(|| str::from_utf8(word).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_alone_are_a_number() {
        assert_eq!(digits("0"), Some(0_u8));
        assert_eq!(digits(b"0255"), Some(255_u8));
        for word in ["", "256", "+1", "-1", " 1", "1 ", "1x", "\u{661}"] {
            assert_eq!(digits::<u8>(word), None, "{word:?}");
        }
        assert!(are_digits("99999999999999999999999") && !are_digits("") && !are_digits("+1"));
    }
}
