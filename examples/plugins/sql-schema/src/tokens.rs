//! The tokens of a statement, without white space and comments, and a cursor over them.

use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::dialect::Flavour;

/// Longest identifier that is kept, in characters: databases allow 63 to 128.
const IDENTIFIER_CHARS_MAX: usize = 200;

/// Parts of a qualified name.
const NAME_PARTS_MAX: usize = 4;

/// A possibly qualified name, such as `public.users`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) Vec<String>);

impl Name {
    /// The name without what qualifies it.
    pub(crate) fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// As it is shown.
    pub(crate) fn shown(&self) -> String {
        self.0.join(".")
    }

    /// Equal for names that differ in case only.
    pub(crate) fn folded(&self) -> String {
        self.0.join("\0").to_lowercase()
    }
}

/// Tokens of `text`, by the first dialect that can.
pub(crate) fn tokenize(text: &str, flavour: Flavour) -> Result<Vec<TokenWithSpan>, String> {
    let mut first_error = None;
    for dialect in flavour.dialects() {
        match Tokenizer::new(dialect, text).tokenize_with_location() {
            Ok(mut tokens) => {
                tokens.retain(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
                return Ok(tokens);
            }
            Err(error) => first_error = first_error.or(Some(error.to_string())),
        }
    }
    Err(first_error.unwrap_or_default())
}

/// A place in a run of tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [TokenWithSpan],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(rest: &'a [TokenWithSpan]) -> Self {
        Self { rest }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The line of the next token within the statement, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.rest.first().map_or(1, |token| token.span.start.line)
    }

    fn word_at(&self, at: usize) -> Option<&'a str> {
        match &self.rest.get(at)?.token {
            Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
            _ => None,
        }
    }

    /// Whether the next words are these, in any case.
    pub(crate) fn sees(&self, words: &[&str]) -> bool {
        let mut words = words.iter().enumerate();
        words.all(|(at, word)| {
            self.word_at(at)
                .is_some_and(|next| next.eq_ignore_ascii_case(word))
        })
    }

    /// Goes past these words, if they are next.
    pub(crate) fn eats(&mut self, words: &[&str]) -> bool {
        let seen = self.sees(words);
        if seen {
            self.rest = &self.rest[words.len()..];
        }
        seen
    }

    pub(crate) fn sees_token(&self, token: &Token) -> bool {
        self.rest.first().is_some_and(|next| next.token == *token)
    }

    pub(crate) fn eats_token(&mut self, token: &Token) -> bool {
        let seen = self.sees_token(token);
        if seen {
            self.rest = &self.rest[1..];
        }
        seen
    }

    pub(crate) fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Skips to the first of `words` outside of brackets and goes past it; false if there is none.
    pub(crate) fn seeks(&mut self, word: &str) -> bool {
        let mut depth = 0usize;
        while let Some(token) = self.rest.first() {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ if depth == 0 && self.eats(&[word]) => return true,
                _ => {}
            }
            self.skip();
        }
        false
    }

    /// An identifier, quoted in any way.
    pub(crate) fn identifier(&mut self) -> Option<String> {
        let name = match &self.rest.first()?.token {
            Token::Word(word) => &word.value,
            Token::DoubleQuotedString(text) | Token::SingleQuotedString(text) => text,
            _ => return None,
        };
        self.skip();
        Some(identifier(name))
    }

    /// A name such as `a.b`.
    pub(crate) fn name(&mut self) -> Option<Name> {
        let mut parts = vec![self.identifier()?];
        while parts.len() < NAME_PARTS_MAX && self.eats_token(&Token::Period) {
            parts.push(self.identifier()?);
        }
        Some(Name(parts))
    }

    /// A string literal.
    pub(crate) fn string(&mut self) -> Option<&'a str> {
        let text = match &self.rest.first()?.token {
            Token::SingleQuotedString(text)
            | Token::DoubleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::NationalStringLiteral(text) => text,
            Token::DollarQuotedString(text) => &text.value,
            _ => return None,
        };
        self.skip();
        Some(text)
    }

    /// What is between the brackets that open here; the cursor goes past them. `None` if none opens
    /// here or it does not close.
    pub(crate) fn bracketed(&mut self) -> Option<&'a [TokenWithSpan]> {
        if !self.sees_token(&Token::LParen) {
            return None;
        }
        let mut depth = 0usize;
        for (at, token) in self.rest.iter().enumerate() {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let inner = &self.rest[1..at];
                self.rest = &self.rest[at + 1..];
                return Some(inner);
            }
        }
        None
    }
}

/// An identifier of bounded length.
pub(crate) fn identifier(name: &str) -> String {
    name.chars().take(IDENTIFIER_CHARS_MAX).collect()
}

/// Parts of `tokens` that commas outside of brackets separate; empty ones are left out.
pub(crate) fn by_commas(tokens: &[TokenWithSpan]) -> impl Iterator<Item = &[TokenWithSpan]> {
    let mut depth = 0i64;
    let parts = tokens.split(move |token| {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth -= 1,
            _ => {}
        }
        depth == 0 && token.token == Token::Comma
    });
    parts.filter(|part| !part.is_empty())
}

/// The text of `tokens`, with a space where there was white space.
pub(crate) fn text(tokens: &[TokenWithSpan]) -> String {
    let mut text = String::new();
    let mut end = None;
    for token in tokens {
        if end.is_some_and(|end| end != token.span.start) {
            text.push(' ');
        }
        match &token.token {
            Token::SingleQuotedString(string) => {
                text.push('\'');
                text.push_str(&string.replace('\'', "''"));
                text.push('\'');
            }
            other => text.push_str(&other.to_string()),
        }
        end = Some(token.span.end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_text() {
        let tokens = tokenize(
            "a int DEFAULT f(1,2),\n\"b\"  text 'it''s', , ",
            Flavour::Postgres,
        );
        let tokens = tokens.unwrap();
        let parts: Vec<String> = by_commas(&tokens).map(text).collect();
        assert_eq!(parts, ["a int DEFAULT f(1,2)", "\"b\" text 'it''s'"]);
        let second = by_commas(&tokens).nth(1).unwrap();
        assert_eq!(Cursor::new(second).line(), 2);
    }

    #[test]
    fn a_cursor_reads_names_and_brackets() {
        let tokens = tokenize(
            "IF not EXISTS public.\"Order Items\" (a (b), c) z (",
            Flavour::Postgres,
        );
        let tokens = tokens.unwrap();
        let mut cursor = Cursor::new(&tokens);
        assert!(cursor.eats(&["IF", "NOT", "EXISTS"]));
        assert_eq!(cursor.name().unwrap().shown(), "public.Order Items");
        assert_eq!(text(cursor.bracketed().unwrap()), "a (b), c");
        assert!(!cursor.sees(&["y"]));
        assert!(cursor.eats(&["Z"]));
        assert!(cursor.bracketed().is_none());
    }
}
