//! Words and sentences of plain text, in scripts with and without spaces.

/// Whether `c` belongs to a script that is written without spaces: ideographs and kana.
pub(super) fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

/// Whether `c` can be part of a word.
pub(super) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c)
}

/// The words of `text` in lower case; runs of a script without spaces give their pairs of
/// characters, by which such texts can be compared.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for run in text.split(|c| !is_word_char(c) && c != '\'' && c != '’') {
        let run = run.trim_matches(['\'', '’']);
        if run.is_empty() {
            continue;
        }
        if !run.chars().any(is_cjk) {
            found.push(run.to_lowercase());
            continue;
        }
        let chars: Vec<char> = run.chars().collect();
        if chars.len() == 1 {
            found.push(run.to_owned());
        }
        found.extend(
            chars
                .windows(2)
                .map(|pair| pair.iter().collect::<String>().to_lowercase()),
        );
    }
    found
}

/// Counts words as a reader would: runs between spaces, and each character of a script without
/// spaces.
pub(super) fn count(text: &str) -> u64 {
    let mut words = 0;
    let mut inside = false;
    for c in text.chars() {
        if is_cjk(c) {
            words += 1;
            inside = false;
        } else if is_word_char(c) {
            words += u64::from(!inside);
            inside = true;
        } else if c.is_whitespace() {
            inside = false;
        }
    }
    words
}

/// Before their full stop no sentence ends.
const ABBREVIATIONS: [&str; 36] = [
    "al", "approx", "art", "bzw", "ca", "cf", "ch", "co", "dr", "ed", "eds", "eq", "esp", "etc",
    "fig", "figs", "inc", "jr", "ltd", "mr", "mrs", "ms", "no", "nr", "op", "p", "pp", "prof",
    "ref", "resp", "sec", "sr", "st", "vgl", "vol", "vs",
];

/// Splits plain text into sentences, each with its end mark; what follows the last mark is a
/// sentence of its own.
pub(super) fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let wide = matches!(c, '。' | '！' | '？' | '｡');
        if !wide && !matches!(c, '.' | '!' | '?' | '।' | '؟' | '۔' | '…') {
            continue;
        }
        let mut end = at + c.len_utf8();
        while let Some((next_at, next)) = chars.peek().copied() {
            if !is_closing(next) {
                break;
            }
            end = next_at + next.len_utf8();
            chars.next();
        }
        let rest = &text[end..];
        let ends = wide
            || (c != '.' && starts_next(rest))
            || (starts_next(rest) && !is_abbreviated(&text[start..at]));
        if ends {
            found.push(text[start..end].trim());
            start = end;
        }
    }
    found.push(text[start..].trim());
    found.retain(|sentence| !sentence.is_empty());
    found
}

/// Marks that belong to the sentence they close.
fn is_closing(c: char) -> bool {
    matches!(
        c,
        '.' | '!'
            | '?'
            | '。'
            | '！'
            | '？'
            | '"'
            | '\''
            | '”'
            | '’'
            | '»'
            | ')'
            | ']'
            | '」'
            | '』'
            | '）'
    )
}

/// Whether `rest`, the text behind a full stop, begins as a sentence does.
fn starts_next(rest: &str) -> bool {
    if rest.is_empty() {
        return true;
    }
    let Some(next) = rest.trim_start().chars().next() else {
        return true;
    };
    rest.starts_with(char::is_whitespace) && !next.is_lowercase()
}

/// Whether the last word before a full stop is an abbreviation or an initial.
fn is_abbreviated(before: &str) -> bool {
    let word = before
        .rsplit(|c: char| c.is_whitespace() || c == '(')
        .next()
        .unwrap_or(before);
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    // `J.`, `e.g.`, `U.S.`: single letters with dots. A digit before a full stop ends a sentence.
    let initials = letters > 0 && word.split('.').all(|part| part.chars().count() <= 1);
    initials || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_split_into_sentences() {
        let check = |text: &str, expected: &[&str]| assert_eq!(sentences(text), expected);
        check("One. Two! Three? Four", &["One.", "Two!", "Three?", "Four"]);
        check(
            "Dr. J. Smith et al. Found it, e.g. Here. Yes.",
            &["Dr. J. Smith et al. Found it, e.g. Here.", "Yes."],
        );
        check(
            "Version 1.5 is out. It works.",
            &["Version 1.5 is out.", "It works."],
        );
        check(
            "It was 1999. Then came more.",
            &["It was 1999.", "Then came more."],
        );
        check(
            "He said \"no.\" She left.",
            &["He said \"no.\"", "She left."],
        );
        check(
            "日本語です。「はい。」次！終",
            &["日本語です。", "「はい。」", "次！", "終"],
        );
        check("see foo.bar for more", &["see foo.bar for more"]);
        check("", &[]);
    }

    #[test]
    fn words_of_all_scripts_are_counted() {
        let check = |text: &str, expected: u64| assert_eq!(count(text), expected, "{text}");
        check("three little words", 3);
        check("it's e.g. well-known", 3);
        check("日本 x", 3);
        check(" - * ", 0);
        assert_eq!(words("The API's 日本語"), ["the", "api's", "日本", "本語"]);
    }
}
