//! What the service refused or got wrong, as the contract's errors.

use kbhost_guest::{ConvertError, one_line};

use crate::service::{CloudError, Response};

/// How much of an error's body a person is shown, in characters.
const BODY_CHARS_MAX: usize = 200;
/// Longest value of a header that is shown, in characters.
const HEADER_CHARS_MAX: usize = 64;
/// Longest text of the host that is handed on, in characters.
const REASON_CHARS_MAX: usize = 300;

/// An answer that is not what it should be: `what` was asked for, `how` it is wrong.
pub(crate) fn wrong(what: &str, how: &str) -> ConvertError {
    ConvertError::Upstream(format!("{what}: {how}"))
}

/// Why there is no answer.
pub(crate) fn of_call(error: CloudError) -> ConvertError {
    let line = |text: String| one_line(&text, REASON_CHARS_MAX);
    match error {
        // What this converter calls is what it declares: a refusal is its mistake.
        CloudError::Refused(reason) => ConvertError::Internal(line(reason)),
        CloudError::Network(reason) => ConvertError::Network(line(reason)),
        CloudError::Timeout => ConvertError::Timeout,
        CloudError::Cancelled => ConvertError::Cancelled,
        CloudError::TooLarge(reason) | CloudError::Exhausted(reason) => {
            ConvertError::TooLarge(line(reason))
        }
        CloudError::Tainted => ConvertError::Upstream(
            "the service's answer held the key; it was thrown away".to_owned(),
        ),
    }
}

/// What an answer with a status other than success means. `what` names what was asked for, `id` the
/// document, if it was one.
pub(crate) fn of_status(response: &Response, what: &str, id: Option<&str>) -> ConvertError {
    let status = response.status;
    let body = one_line(&String::from_utf8_lossy(&response.body), BODY_CHARS_MAX);
    let says = match body.is_empty() {
        true => format!("{what}: status {status}"),
        false => format!("{what}: status {status}: {body}"),
    };
    match (status, id) {
        (401 | 403, _) => ConvertError::Auth(says),
        (402, _) => ConvertError::Quota(says),
        (404, Some(id)) => ConvertError::NotFound(format!(
            "the service has no document `{}`",
            one_line(id, HEADER_CHARS_MAX)
        )),
        (429, _) => {
            let after = response.headers.iter();
            let mut after = after.filter(|(name, _)| name == "retry-after");
            let until = after.next().map(|(_, value)| {
                let value = one_line(value, HEADER_CHARS_MAX);
                let is_seconds = !value.is_empty() && value.bytes().all(|it| it.is_ascii_digit());
                let unit = if is_seconds { " seconds" } else { "" };
                format!("; it asks to try again after {value}{unit}")
            });
            ConvertError::Quota(says + &until.unwrap_or_default())
        }
        (300..=399, _) => ConvertError::Upstream(format!(
            "{what}: status {status}, a redirect; none is followed"
        )),
        _ => ConvertError::Upstream(says),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_errors_of_the_contract() {
        let check = |status, header: Option<&str>, body: &str, expected: ConvertError| {
            let headers = header.map(|value| ("retry-after".to_owned(), value.to_owned()));
            let response = Response {
                status,
                headers: headers.into_iter().collect(),
                body: body.as_bytes().to_vec(),
            };
            assert_eq!(of_status(&response, "pages", Some("d")), expected);
        };
        let text = str::to_owned;
        check(
            401,
            None,
            "bad\n key",
            ConvertError::Auth(text("pages: status 401: bad key")),
        );
        check(403, None, "", ConvertError::Auth(text("pages: status 403")));
        check(
            402,
            None,
            "pay",
            ConvertError::Quota(text("pages: status 402: pay")),
        );
        check(
            404,
            None,
            "x",
            ConvertError::NotFound(text("the service has no document `d`")),
        );
        check(
            429,
            Some("7"),
            "slow",
            ConvertError::Quota(text(
                "pages: status 429: slow; it asks to try again after 7 seconds",
            )),
        );
        check(
            429,
            Some("Mon, 01 Jan"),
            "",
            ConvertError::Quota(text(
                "pages: status 429; it asks to try again after Mon, 01 Jan",
            )),
        );
        check(
            429,
            None,
            "",
            ConvertError::Quota(text("pages: status 429")),
        );
        check(
            302,
            None,
            "x",
            ConvertError::Upstream(text("pages: status 302, a redirect; none is followed")),
        );
        check(
            500,
            None,
            "a\u{1b}[2Jb",
            ConvertError::Upstream(text("pages: status 500: a[2Jb")),
        );
        let long = "x".repeat(BODY_CHARS_MAX + 1);
        let cut = format!("pages: status 503: {}…", "x".repeat(BODY_CHARS_MAX));
        check(503, None, &long, ConvertError::Upstream(cut));
    }

    #[test]
    fn what_ends_a_call_is_an_error_of_the_contract() {
        let check = |error, expected| assert_eq!(of_call(error), expected);
        let text = || "why".to_owned();
        check(CloudError::Refused(text()), ConvertError::Internal(text()));
        check(CloudError::Network(text()), ConvertError::Network(text()));
        check(CloudError::Timeout, ConvertError::Timeout);
        check(CloudError::Cancelled, ConvertError::Cancelled);
        check(CloudError::TooLarge(text()), ConvertError::TooLarge(text()));
        check(
            CloudError::Exhausted(text()),
            ConvertError::TooLarge(text()),
        );
        check(
            CloudError::Tainted,
            ConvertError::Upstream(
                "the service's answer held the key; it was thrown away".to_owned(),
            ),
        );
    }
}
