//! What characters tell about how they are written: direction, ideographs, accents.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::compose;

/// Whether a character is a letter that is read from right to left.
#[must_use]
pub fn is_right_to_left(c: char) -> bool {
    // Arabic digits are read from left to right.
    let is_digit = matches!(c, '\u{660}'..='\u{66c}' | '\u{6f0}'..='\u{6f9}');
    !is_digit
        && matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// Whether a character is of a script that is written without spaces between words: Chinese and
/// Japanese, with their punctuation; Korean has spaces.
#[must_use]
pub fn is_ideographic(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{2fdf}' | '\u{3000}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff00}'..='\u{ff65}' | '\u{20000}'..='\u{3ffff}')
}

/// Whether a character has no width of its own and says only how others are laid out.
#[must_use]
pub fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{202a}'..='\u{202e}')
}

/// The combining mark for a character that is an accent when it stands over a letter.
#[must_use]
pub fn mark_of(c: char) -> Option<char> {
    Some(match c {
        '`' | '\u{2cb}' => '\u{300}',
        '\u{b4}' | '\u{2ca}' => '\u{301}',
        '^' | '\u{2c6}' => '\u{302}',
        '~' | '\u{2dc}' => '\u{303}',
        '\u{af}' | '\u{2c9}' => '\u{304}',
        '\u{2d8}' => '\u{306}',
        '\u{2d9}' => '\u{307}',
        '\u{a8}' => '\u{308}',
        '\u{2da}' => '\u{30a}',
        '\u{2dd}' => '\u{30b}',
        '\u{2c7}' => '\u{30c}',
        '\u{b8}' => '\u{327}',
        '\u{2db}' => '\u{328}',
        _ if is_mark(c) => c,
        _ => return None,
    })
}

/// Whether a character is a combining mark.
#[must_use]
pub fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// A letter with a mark over or under it, as one character if there is one; else the letter, and the
/// mark is still to be written.
#[must_use]
pub fn with_mark(letter: char, mark: char) -> (char, Option<char>) {
    let letter = match letter {
        '\u{131}' => 'i',
        '\u{237}' => 'j',
        letter => letter,
    };
    match compose(letter, mark) {
        Some(both) => (both, None),
        None => (letter, Some(mark)),
    }
}

/// Adds a character the way it is typed: forms that letters take within words are the letters.
pub fn push_typed(c: char, text: &mut String) {
    match c {
        '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' => text.extend(std::iter::once(c).nfkc()),
        _ => text.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_letters_are_one_character() {
        assert_eq!(with_mark('e', '\u{301}'), ('é', None));
        assert_eq!(with_mark('\u{131}', '\u{308}'), ('ï', None));
        assert_eq!(with_mark('q', '\u{301}'), ('q', Some('\u{301}')));
    }

    #[test]
    fn forms_of_letters_are_letters() {
        let mut text = String::new();
        push_typed('\u{fefb}', &mut text);
        assert_eq!(text, "\u{644}\u{627}");
    }

    #[test]
    fn digits_are_read_from_left_to_right_everywhere() {
        assert!(is_right_to_left('א') && is_right_to_left('ب'));
        assert!(!is_right_to_left('٣') && !is_right_to_left('3'));
        assert!(is_ideographic('語') && !is_ideographic('한'));
    }
}
