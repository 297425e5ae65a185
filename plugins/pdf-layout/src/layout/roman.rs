//! Roman numbers, as items, headings and pages have them.

/// The value of a Roman number up to 89 that is written the usual way, in capitals or not.
#[must_use]
pub fn value(text: &str) -> Option<u32> {
    let text = text.to_ascii_lowercase();
    (1..90)
        .find(|n| {
            let tens = ["", "x", "xx", "xxx", "xl", "l", "lx", "lxx", "lxxx"];
            let ones = ["", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"];
            let tens = tens.get(n / 10).copied().unwrap_or_default();
            text.strip_prefix(tens) == ones.get(n % 10).copied()
        })
        .and_then(|n| u32::try_from(n).ok())
}
