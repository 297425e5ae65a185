//! Where a connection may lead: scheme, host and port that the user named.

use std::net::IpAddr;

use url::{Host, Url};

use super::address::Reach;

/// The one name that means this machine.
const LOCALHOST: &str = "localhost";

/// Scheme, host and port, checked: HTTPS, or HTTP to this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// `https://host` or `https://host:port`.
    text: String,
    /// `host` or `host:port`.
    authority: String,
    reach: Reach,
}

impl Origin {
    /// The origin of `url`.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(super) fn of(url: &Url) -> Result<Self, &'static str> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it names a user");
        }
        let host = url.host().ok_or("it names no host")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        if matches!(host, Host::Domain(name) if !name.bytes().all(plain)) {
            return Err("its host is no plain name");
        }
        let reach = reach_of(&host);
        match url.scheme() {
            "https" => {}
            "http" if reach == Reach::Loopback => {}
            "http" => return Err("only a loopback host may be called without TLS"),
            _ => return Err("it is no https address"),
        }
        let literal = match host {
            Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
            Host::Ipv6(v6) => Some(IpAddr::V6(v6)),
            Host::Domain(_) => None,
        };
        if literal.is_some_and(|address| !reach.admits(address)) {
            return Err("its address is not a public one");
        }
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        Ok(Self {
            text: format!("{}://{authority}", url.scheme()),
            authority,
            reach,
        })
    }

    /// Reads `host`, `host:port` or an origin with its scheme, as a person writes them into a list.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let full = match text.contains("://") {
            true => text.to_owned(),
            false => format!("https://{text}"),
        };
        let url = Url::parse(&full).map_err(|_| "it is no host")?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("it is more than a host");
        }
        Self::of(&url)
    }

    /// Scheme, host and port.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether it is called through TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// Whether it is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.reach == Reach::Loopback
    }
}

/// Which addresses the host `name` may have.
pub(super) fn reach_of_name(name: &str) -> Reach {
    match name == LOCALHOST {
        true => Reach::Loopback,
        false => Reach::Public,
    }
}

fn reach_of(host: &Host<&str>) -> Reach {
    let loopback = match host {
        Host::Domain(name) => return reach_of_name(name),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    match loopback {
        true => Reach::Loopback,
        false => Reach::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_https_or_this_machine() {
        for (text, origin) in [
            ("images.example", Some("https://images.example")),
            ("images.example:8443", Some("https://images.example:8443")),
            (
                "https://Images.Example:443/",
                Some("https://images.example"),
            ),
            ("http://127.0.0.1:80", Some("http://127.0.0.1")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("http://localhost:8080", Some("http://localhost:8080")),
            ("https://8.8.8.8", Some("https://8.8.8.8")),
            ("http://images.example", None),
            ("http://localhost.:8080", None),
            ("http://localhost.example", None),
            ("https://10.0.0.1", None),
            ("https://169.254.169.254", None),
            ("https://0x7f.1.2.3.4", None),
            ("https://2852039166", None),
            ("https://[fd00:ec2::254]", None),
            ("https://[::ffff:127.0.0.1]", None),
            ("https://user@images.example", None),
            ("https://:secret@images.example", None),
            ("https://images.example/path", None),
            ("https://images.example?q", None),
            ("https://images.example#f", None),
            ("ftp://images.example", None),
            ("*.example", None),
            ("a_b.example", None),
            ("file:///etc/passwd", None),
            ("", None),
            ("a b", None),
        ] {
            let parsed = Origin::parse(text);
            assert_eq!(parsed.ok().as_ref().map(Origin::as_str), origin, "{text}");
        }
    }
}
