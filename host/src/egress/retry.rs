//! Whether a call is tried again, and when.

use std::time::Duration;

use super::call::Method;
use super::limits::RETRY_AFTER_MAX;

/// How one try ended that gave no answer worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// No connection was made: nothing was sent.
    Unconnected,
    /// Broken off: the service may have acted on the request.
    Broken,
    /// With this status.
    Status(u16),
}

/// Whether to try again: always if the service cannot have acted on the request, else if it only reads.
pub(super) fn is_tried_again(method: Method, ended: Ended) -> bool {
    match ended {
        Ended::Unconnected | Ended::Status(429 | 503) => true,
        Ended::Broken | Ended::Status(500 | 502 | 504) => method == Method::Get,
        Ended::Status(_) => false,
    }
}

/// What to wait before the try after the `tries`-th; `None` if the service wants more time than is waited
/// here. `random` spreads the waits of many jobs.
pub(super) fn pause(
    tries: u32,
    backoff: Duration,
    asked: Option<Duration>,
    random: u8,
) -> Option<Duration> {
    let doubled = backoff * 2_u32.saturating_pow(tries.saturating_sub(1));
    let spread = backoff * u32::from(random) / 1024;
    match asked {
        None => Some(doubled + spread),
        Some(asked) if asked > RETRY_AFTER_MAX => None,
        Some(asked) => Some(asked + spread),
    }
}

/// What `retry-after` asks for: seconds, or a date of HTTP (RFC 9110, sections 10.2.3 and 5.6.7).
pub(super) fn asked(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are for ever.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    // A date that has passed is now.
    Some(Duration::try_from(date.timestamp().duration_since(now)).unwrap_or_default())
}

/// A number that differs between jobs.
pub(super) fn random() -> u8 {
    let mut byte = [0];
    let filled = rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::empty());
    // Without randomness the waits are equal, which does no harm.
    filled.map_or(0, |_| byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_repeated_only_if_nothing_was_done() {
        for (ended, get, post) in [
            (Ended::Unconnected, true, true),
            (Ended::Broken, true, false),
            (Ended::Status(429), true, true),
            (Ended::Status(503), true, true),
            (Ended::Status(500), true, false),
            (Ended::Status(502), true, false),
            (Ended::Status(504), true, false),
            (Ended::Status(501), false, false),
            (Ended::Status(404), false, false),
            (Ended::Status(200), false, false),
            (Ended::Status(302), false, false),
        ] {
            assert_eq!(is_tried_again(Method::Get, ended), get, "{ended:?}");
            assert_eq!(is_tried_again(Method::Post, ended), post, "{ended:?}");
        }
    }

    #[test]
    fn waits_double_and_spread() {
        let second = Duration::from_secs(1);
        assert_eq!(pause(1, second, None, 0), Some(second));
        assert_eq!(pause(2, second, None, 0), Some(2 * second));
        assert_eq!(pause(3, second, None, 0), Some(4 * second));
        let spread = pause(1, second, None, 255).unwrap();
        assert!(spread > second && spread < 2 * second);
        assert_eq!(pause(1, second, Some(60 * second), 0), Some(60 * second));
        assert_eq!(pause(1, second, Some(61 * second), 0), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: jiff::Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        for (value, seconds) in [
            ("0", Some(0)),
            (" 17 ", Some(17)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 29 Nov 2026 12:00:30 GMT", Some(30)),
            ("Sun, 29 Nov 2026 11:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(
                asked(value, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
