//! One line of `strace -f -y -xx`, taken apart. What does not read as expected is a failure.

use std::path::{Component, Path, PathBuf};

/// One system call that returned.
pub(super) struct Call<'a> {
    pub(super) line: &'a str,
    pub(super) name: &'a str,
    pub(super) arguments: Vec<&'a str>,
    pub(super) result: i64,
    /// The path that `-y` gives for a returned descriptor.
    pub(super) returned: Option<PathBuf>,
    /// Effects when it began: what a sync covers for sure.
    pub(super) begun_at: usize,
}

impl<'a> Call<'a> {
    pub(super) fn parse(line: &'a str, begun_at: usize) -> Self {
        let parts = || {
            let (name, rest) = line.split_once('(')?;
            let (arguments, result) = rest.rsplit_once(") = ").or_else(|| {
                let (arguments, result) = rest.rsplit_once(" = ")?;
                Some((arguments.trim_end().strip_suffix(')')?, result))
            })?;
            let end = result.find(['<', ' ']).unwrap_or(result.len());
            let number = match result[..end].strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16).ok()?,
                None => result[..end].parse().ok()?,
            };
            Some((name, arguments, number, &result[end..]))
        };
        let (name, arguments, result, rest) =
            parts().unwrap_or_else(|| panic!("not understood: {line}"));
        Self {
            line,
            name,
            arguments: split(arguments),
            result,
            returned: annotation(rest),
            begun_at,
        }
    }

    pub(super) fn descriptor(&self) -> u32 {
        u32::try_from(self.result).unwrap()
    }

    /// The path at an argument, beneath the directory at another.
    pub(super) fn path(&self, argument: usize, dir: Option<usize>) -> PathBuf {
        let text = strings(self.arguments[argument]).concat();
        let text = String::from_utf8(text).unwrap();
        let base = dir.and_then(|dir| annotation(self.arguments[dir]));
        // A relative name without a descriptor is none of the KB's: the rig names it absolutely.
        normal(&base.unwrap_or_default().join(text))
    }

    pub(super) fn number(&self, argument: usize) -> usize {
        self.arguments[argument]
            .parse()
            .unwrap_or_else(|_| panic!("no number: {}", self.line))
    }

    pub(super) fn octal(&self, argument: usize) -> u32 {
        octal(self.arguments[argument])
    }
}

pub(super) fn octal(text: &str) -> u32 {
    u32::from_str_radix(text, 8).unwrap_or_else(|_| panic!("no mode: {text}"))
}

pub(super) fn descriptor(argument: &str) -> u32 {
    let end = argument.find('<').unwrap_or(argument.len());
    argument[..end]
        .parse()
        .unwrap_or_else(|_| panic!("no descriptor: {argument}"))
}

/// The path in angle brackets behind a descriptor.
pub(super) fn annotation(argument: &str) -> Option<PathBuf> {
    let (_, rest) = argument.split_once('<')?;
    let (path, _) = rest.split_once('>')?;
    Some(PathBuf::from(
        String::from_utf8_lossy(&unescape(path)).into_owned(),
    ))
}

/// The strings in an argument. With `-xx` they hold neither quotes nor commas.
pub(super) fn strings(argument: &str) -> Vec<Vec<u8>> {
    assert!(!argument.contains("\"..."), "cut off: {argument:.200}");
    argument
        .split('"')
        .skip(1)
        .step_by(2)
        .map(unescape)
        .collect()
}

/// A byte as `-xx` writes it.
pub(super) fn escape(byte: &u8) -> String {
    format!("\\x{byte:02x}")
}

/// Bytes from `\x..` escapes.
fn unescape(text: &str) -> Vec<u8> {
    if !text.contains('\\') {
        return text.as_bytes().to_vec();
    }
    let hex = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("no escape: {text:.200}"),
    };
    text.as_bytes()
        .chunks(4)
        .map(|escape| match escape {
            [b'\\', b'x', high, low] => hex(*high) << 4 | hex(*low),
            _ => panic!("no escape: {text:.200}"),
        })
        .collect()
}

/// Arguments, split at the commas that are in no braces or brackets.
fn split(arguments: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, byte) in arguments.bytes().enumerate() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(arguments[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(arguments[start..].trim());
    parts
}

/// Resolves `.` and `..` by name.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}
