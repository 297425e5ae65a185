//! The service that is called, and where it lies.

use url::Url;

use super::error::EgressError;
use super::key::ApiKey;
use super::origin::Origin;
use crate::kb::SafeLine;

/// The endpoint of the service.
pub(super) const PAGEINDEX: &str = "pageindex";

/// An endpoint of images is named by this, a colon, and its host.
const IMAGES: &str = "pageindex-images";

/// Where the service lies, unless the user's environment says otherwise.
const PAGEINDEX_URL: &str = "https://api.pageindex.ai";

/// Moves the service: read from the environment alone, since who may set it gets the documents and the key.
const URL_VARIABLE: &str = "KBHOST_PAGEINDEX_URL";

/// Hosts or origins of images, with commas between.
const IMAGE_HOSTS_VARIABLE: &str = "KBHOST_PAGEINDEX_IMAGE_HOSTS";

/// Where image hosts stand in the user's policy, for messages.
const IMAGE_HOSTS_SETTING: &str = "`pageindex.image_hosts` in policy.toml";

/// A service stores images at one or two places; each is compared with every address that it gives.
const IMAGE_HOSTS_MAX: usize = 32;

/// An endpoint of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Images {
    /// The endpoint's id.
    pub(super) id: String,
    /// Where it lies.
    pub(super) origin: Origin,
}

/// The service and the hosts that may be called on its account.
#[derive(Clone, Debug)]
pub struct Service {
    origin: Origin,
    /// The path before every path of a call: empty, or `/` and segments, without a slash at its end.
    prefix: String,
    images: Vec<Images>,
    account: [u8; 32],
}

impl Service {
    /// PageIndex Cloud, or what the user's environment names in its stead, with the image hosts that
    /// environment and policy grant.
    ///
    /// # Errors
    /// If an address makes no sense, or the policy cannot be read.
    pub fn pageindex() -> Result<Self, EgressError> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let granted = crate::userdir::policy::pageindex_image_hosts()
            .map_err(|error| EgressError::Policy(error.to_string()))?;
        Self::from_values(
            variable(URL_VARIABLE).as_deref(),
            variable(IMAGE_HOSTS_VARIABLE).as_deref(),
            &granted,
        )
    }

    /// A service at `origin`, which also has the images: not PageIndex Cloud, and nothing of the user's.
    ///
    /// # Errors
    /// If `origin` makes no sense.
    pub(crate) fn on_trial(origin: &str) -> Result<Self, EgressError> {
        Self::from_values(Some(origin), Some(origin), &[])
    }

    /// The endpoint's id.
    #[must_use]
    pub fn id(&self) -> &str {
        PAGEINDEX
    }

    /// Names the account that is used: a digest over origin and key that tells nothing of the key. All
    /// zeroes before a client was started with one.
    #[must_use]
    pub fn account(&self) -> [u8; 32] {
        self.account
    }

    /// As [`Self::pageindex`], of the values themselves.
    pub(super) fn from_values(
        url: Option<&str>,
        image_hosts: Option<&str>,
        granted: &[String],
    ) -> Result<Self, EgressError> {
        let url = url.unwrap_or(PAGEINDEX_URL);
        let (origin, prefix) = base(url).map_err(|reason| bad(URL_VARIABLE, url, reason))?;
        let mut service = Self {
            origin,
            prefix,
            images: Vec::new(),
            account: [0; 32],
        };
        for host in image_hosts.unwrap_or_default().split(',').map(str::trim) {
            if !host.is_empty() {
                service.grant(IMAGE_HOSTS_VARIABLE, host, true)?;
            }
        }
        for host in granted {
            service.grant(IMAGE_HOSTS_SETTING, host, false)?;
        }
        Ok(service)
    }

    /// The service as `key` opens it.
    pub(super) fn with_account(mut self, key: &ApiKey) -> Self {
        self.account = key.account(&format!("{}{}", self.origin.as_str(), self.prefix));
        self
    }

    /// The address of `path`, which starts with a slash.
    pub(super) fn address(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin.as_str(), self.prefix)
    }

    /// Where it lies.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The endpoints of images.
    pub(super) fn images(&self) -> &[Images] {
        &self.images
    }

    fn grant(&mut self, place: &str, host: &str, may_loopback: bool) -> Result<(), EgressError> {
        let origin = Origin::parse(host).map_err(|reason| bad(place, host, reason))?;
        if origin.is_loopback() && !may_loopback {
            return Err(bad(
                place,
                host,
                "only the environment may name a loopback host",
            ));
        }
        let images = Images {
            id: format!("{IMAGES}:{}", origin.authority()),
            origin,
        };
        if self.images.iter().any(|known| known.id == images.id) {
            return Ok(());
        }
        if self.images.len() == IMAGE_HOSTS_MAX {
            return Err(bad(place, host, "there are more than 32 image hosts"));
        }
        self.images.push(images);
        Ok(())
    }
}

fn bad(place: &str, value: &str, reason: &'static str) -> EgressError {
    EgressError::BadUrl {
        place: place.to_owned(),
        value: SafeLine::new(&without_userinfo(value)).to_string(),
        reason,
    }
}

/// What is told of an address: a password in it is told to nobody.
fn without_userinfo(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => value.to_owned(),
    }
}

fn base(text: &str) -> Result<(Origin, String), &'static str> {
    let url = Url::parse(text).map_err(|_| "it is no address")?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment");
    }
    let origin = Origin::of(&url)?;
    let prefix = url.path().strip_suffix('/').unwrap_or(url.path());
    let is_plain = |segment: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        !segment.is_empty() && segment.bytes().all(plain)
    };
    if !prefix.split('/').skip(1).all(is_plain) {
        return Err("its path has other than plain segments");
    }
    Ok((origin, prefix.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_an_origin_with_a_plain_path() {
        for (url, base) in [
            ("https://api.example", Some("https://api.example/docs/")),
            ("https://api.example/", Some("https://api.example/docs/")),
            (
                "https://api.example/v1/x",
                Some("https://api.example/v1/x/docs/"),
            ),
            (
                "https://api.example/v1/",
                Some("https://api.example/v1/docs/"),
            ),
            (
                "https://api.example/a/../b",
                Some("https://api.example/b/docs/"),
            ),
            ("http://127.0.0.1:9", Some("http://127.0.0.1:9/docs/")),
            ("http://api.example", None),
            ("http://10.0.0.1", None),
            ("https://192.168.0.1", None),
            ("https://u:p@api.example", None),
            ("https://api.example?x", None),
            ("https://api.example/#x", None),
            ("https://api.example//x", None),
            ("https://api.example/%2e%2e%2fx", None),
            ("https://api.example/a b", None),
            ("api.example", None),
            ("file:///x", None),
        ] {
            let service = Service::from_values(Some(url), None, &[]);
            let address = service.ok().map(|service| service.address("/docs/"));
            assert_eq!(address.as_deref(), base, "{url}");
        }
    }

    #[test]
    fn image_hosts_come_from_two_places() {
        let granted = ["b.example".to_owned(), "a.example:8443".to_owned()];
        let hosts = Some("a.example:8443, https://c.example , http://127.0.0.1:7,");
        let service = Service::from_values(None, hosts, &granted).unwrap();
        let ids: Vec<_> = service.images().iter().map(|images| &images.id).collect();
        assert_eq!(
            ids,
            [
                "pageindex-images:a.example:8443",
                "pageindex-images:c.example",
                "pageindex-images:127.0.0.1:7",
                "pageindex-images:b.example"
            ]
        );
        let loopback = ["http://127.0.0.1:7".to_owned()];
        Service::from_values(None, None, &loopback).unwrap_err();
        Service::from_values(None, Some("http://c.example"), &[]).unwrap_err();
        Service::from_values(None, Some("*.example"), &[]).unwrap_err();
        let many: Vec<_> = (0..=IMAGE_HOSTS_MAX)
            .map(|n| format!("x{n}.example"))
            .collect();
        Service::from_values(None, None, &many).unwrap_err();
        Service::from_values(None, None, &many[1..]).unwrap();
    }

    #[test]
    fn errors_tell_no_password() {
        let error = Service::from_values(Some("https://u:hunter22@api.example"), None, &[]);
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("api.example") && !text.contains("hunter22"),
            "{text}"
        );
    }
}
