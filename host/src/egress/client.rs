//! The client of one service: the connections, the thread that drives them, the credential.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use reqwest::redirect;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::error::EgressError;
use super::fault;
use super::key::ApiKey;
use super::limits::Times;
use super::resolve::Checked;
use super::scan::Scanner;
use super::service::Service;
use super::session::Session;

/// Connections that are kept for the next call; as many jobs as anybody runs at once.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// Servers close earlier than this or tell.
const IDLE_TIME_MAX: Duration = Duration::from_secs(20);

/// Names that are looked up at once: a resolver that hangs must not take a thread for every job.
const LOOKUPS_MAX: usize = 8;

/// Calls one service with one key. Clones share connections and the thread, which ends with the last of
/// them and their sessions.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Shared>);

/// What the sessions of a client share.
pub(super) struct Shared {
    pub(super) service: Service,
    pub(super) key: ApiKey,
    pub(super) scanner: Scanner,
    pub(super) http: reqwest::Client,
    pub(super) times: Times,
    pub(super) driver: Handle,
    /// Its end stops the thread.
    _running: oneshot::Sender<()>,
}

impl Client {
    /// Starts a client of `service` that opens it with `key`. Nothing is connected yet.
    ///
    /// # Errors
    /// If there are no certificates to trust, or no thread.
    pub fn start(service: Service, key: ApiKey) -> Result<Self, EgressError> {
        Self::start_with(service, key, Times::of_process(), Checked::of_system())
    }

    /// What is called; knows the account.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.0.service
    }

    /// Whether the key stands in `bytes` in any form: what a converter made of an answer is looked through
    /// as the answer was, since it may have joined what stood apart.
    #[must_use]
    pub fn is_told_in(&self, bytes: &[u8]) -> bool {
        !fault::has_hole("credential") && self.0.scanner.finds(bytes)
    }

    /// The calls of one job: they end when `cancel` is set; a form may send the file `input`.
    #[must_use]
    pub fn session(&self, cancel: Arc<AtomicBool>, input: Option<PathBuf>) -> Session {
        Session::new(self.clone(), cancel, input)
    }

    /// The same, with less time: for a call, and for all calls and pauses of a job.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn start_within(
        service: Service,
        key: ApiKey,
        call_max: Duration,
        session_max: Duration,
    ) -> Result<Self, EgressError> {
        let times = Times::default().within(call_max, session_max);
        Self::start_with(service, key, times, Checked::of_system())
    }

    pub(super) fn start_with(
        service: Service,
        key: ApiKey,
        times: Times,
        resolver: Checked,
    ) -> Result<Self, EgressError> {
        let http = http(&service, times, resolver)?;
        let scanner = Scanner::new(&key)?;
        let (running, stopped) = oneshot::channel();
        let driver = drive(stopped)?;
        Ok(Self(Arc::new(Shared {
            service: service.with_account(&key),
            key,
            scanner,
            http,
            times,
            driver,
            _running: running,
        })))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = &self.0.service;
        f.debug_struct("Client")
            .field("service", service)
            .finish_non_exhaustive()
    }
}

/// Starts the one thread that runs async code of ours, until `stopped` comes.
fn drive(stopped: oneshot::Receiver<()>) -> Result<Handle, EgressError> {
    let failed = |error: std::io::Error| EgressError::Client(error.to_string());
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(LOOKUPS_MAX)
        .build()
        .map_err(failed)?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("kbhost-egress".to_owned())
        .spawn(move || {
            // It comes as an error: nothing is sent, the other end goes.
            drop(runtime.block_on(stopped));
            // A lookup that hangs holds nobody up.
            runtime.shutdown_background();
        })
        .map_err(failed)?;
    Ok(handle)
}

fn http(
    service: &Service,
    times: Times,
    resolver: Checked,
) -> Result<reqwest::Client, EgressError> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(service)?)
        .dns_resolver(Arc::new(resolver))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .http1_only()
        .connect_timeout(times.connect_max)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .pool_idle_timeout(IDLE_TIME_MAX)
        .user_agent(concat!("kbhost/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(|error| EgressError::Client(error.without_url().to_string()))
}

/// TLS with the certificates that the system trusts, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn tls(service: &Service) -> Result<ClientConfig, EgressError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a certificate of the system's cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 && service.origin().is_tls() {
        let reason =
            "the system has no certificates that it trusts; name a file of them in SSL_CERT_FILE";
        return Err(EgressError::Client(reason.to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EgressError::Client(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
