//! The calls of one job: judged, bounded, tried again, looked through.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use tokio::task::JoinHandle;

use super::call::{Body, CallError, FormValue, Location, Request, Response, Usage};
use super::client::Client;
use super::fault;
use super::limits::{ANSWER_BYTES_MAX, ANSWERS_BYTES_MAX, CALLS_MAX, PAUSE_MAX, TRIES_MAX};
use super::policy::{self, Admitted};
use super::retry::{self, Ended};
use super::seen::Seen;
use super::send::{self, Answer, Failure, InputFile};
use crate::kb::SafeLine;

/// How soon a cancellation is noticed, at the latest.
const POLL: Duration = Duration::from_millis(10);

/// A header that is longer is not handed on.
const HEADER_BYTES_MAX: usize = 1 << 10;

/// Refused calls are counted under this name.
const CALL: &str = "kbhost:cloud/endpoint.call";

/// Answers that held the credential.
const CREDENTIAL_IN_ANSWER: &str = "kbhost:cloud/endpoint.credential-in-answer";

/// Addresses that lead nowhere.
const LOCATE: &str = "kbhost:cloud/endpoint.locate";

/// The calls of one job. Blocks the thread that uses it; nothing of a call outlives it.
#[derive(Debug)]
pub struct Session {
    client: Client,
    cancel: Arc<AtomicBool>,
    input: Option<PathBuf>,
    pub(super) usage: Usage,
    seen: Seen,
    refusals: Vec<(&'static str, u64)>,
}

/// A task of the client's thread that ends with this value.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    pub(super) fn new(client: Client, cancel: Arc<AtomicBool>, input: Option<PathBuf>) -> Self {
        Self {
            client,
            cancel,
            input,
            usage: Usage::default(),
            seen: Seen::default(),
            refusals: Vec::new(),
        }
    }

    /// Makes one call, tried again as far as that is harmless. An answer is an answer whatever its status; no
    /// redirect is followed.
    ///
    /// # Errors
    /// If it is refused or bounded, the service cannot be reached, the job shall end, or the answer holds the credential.
    pub fn call(&mut self, request: Request) -> Result<Response, CallError> {
        let result = self.checked(&request);
        match &result {
            Err(CallError::Refused(reason)) => {
                tracing::debug!(reason, "refused a call");
                self.count(CALL);
            }
            Err(CallError::Tainted) => self.count(CREDENTIAL_IN_ANSWER),
            _ => {}
        }
        result
    }

    /// Where an address leads that stood in an answer to this job.
    pub fn locate(&mut self, address: &str) -> Option<Location> {
        let location = self.seen.locate(address).cloned();
        if location.is_none() {
            self.count(LOCATE);
        }
        location
    }

    /// Waits, at most a minute.
    ///
    /// # Errors
    /// If the job shall end, or has waited long enough.
    pub fn pause(&mut self, wait: Duration) -> Result<(), CallError> {
        self.sleep(Self::pause_of(wait))
    }

    /// What is waited of a pause that is asked for.
    pub(super) fn pause_of(wait: Duration) -> Duration {
        wait.min(PAUSE_MAX)
    }

    /// As [`Client::is_told_in`].
    #[must_use]
    pub fn is_told_in(&self, bytes: &[u8]) -> bool {
        self.client.is_told_in(bytes)
    }

    /// What was used so far.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Time in calls and pauses: no time of the converter's own.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.usage.waited
    }

    /// What was refused and how often, sorted by name.
    #[must_use]
    pub fn refusals(&self) -> &[(&'static str, u64)] {
        &self.refusals
    }

    fn count(&mut self, name: &'static str) {
        match self.refusals.binary_search_by_key(&name, |(name, _)| name) {
            Ok(at) => self.refusals[at].1 += 1,
            Err(at) => self.refusals.insert(at, (name, 1)),
        }
    }

    fn checked(&mut self, request: &Request) -> Result<Response, CallError> {
        let refused = |reason: &str| CallError::Refused(reason.to_owned());
        let admitted =
            policy::admit(&self.client.0.service, &self.seen, request).map_err(refused)?;
        if self.input.is_none() && sends_file(request) {
            return Err(refused("this job has no input file"));
        }
        if self.usage.calls >= CALLS_MAX {
            return Err(CallError::Exhausted(format!("a job may make {CALLS_MAX}")));
        }
        self.usage.calls += 1;
        let authority = authority(&admitted);
        if let Err(at) = self.usage.hosts.binary_search(&authority) {
            self.usage.hosts.insert(at, authority);
        }
        let answer = self.tried(&admitted, request)?;
        self.accepted(&admitted, answer)
    }

    /// Tries until there is an answer or a failure that stays.
    fn tried(&mut self, admitted: &Admitted, request: &Request) -> Result<Answer, CallError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = self.one_try(admitted, request)?;
            let (ended, asked) = match &outcome {
                Ok(answer) => (Ended::Status(answer.status), asked(&answer.headers)),
                Err(Failure::Unconnected(_)) => (Ended::Unconnected, None),
                Err(Failure::Broken(_)) => (Ended::Broken, None),
                Err(_) => return self.failed(admitted, outcome),
            };
            let again = tries < TRIES_MAX && retry::is_tried_again(request.method, ended);
            let backoff = self.client.0.times.backoff;
            match retry::pause(tries, backoff, asked, retry::random()) {
                Some(pause) if again && pause < self.left() => {
                    tracing::debug!(?ended, ?pause, "trying a call again");
                    self.sleep(pause)?;
                    self.usage.retries += 1;
                }
                _ => return self.failed(admitted, outcome),
            }
        }
    }

    fn one_try(
        &mut self,
        admitted: &Admitted,
        request: &Request,
    ) -> Result<Result<Answer, Failure>, CallError> {
        let unreadable =
            |error| CallError::Network(line(&format!("the input cannot be read: {error}")));
        let file = match &self.input {
            Some(input) if sends_file(request) => Some(InputFile::open(input).map_err(unreadable)?),
            _ => None,
        };
        let shared = Arc::clone(&self.client.0);
        let time_max = shared
            .times
            .try_with(file.as_ref().map_or(0, |file| file.bytes));
        let built = send::build(&shared.http, &shared.key, admitted, request, file);
        let built = built.map_err(|reason| self.network(&reason))?;
        let length = built.headers().get(CONTENT_LENGTH);
        let of_form = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let of_bytes = built
            .body()
            .and_then(|body| Some(body.as_bytes()?.len() as u64));
        self.usage.sent_bytes += of_bytes.or(of_form).unwrap_or(0);
        let bytes_max = self.answer_bytes_max();
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        let http = shared.http.clone();
        let sending = async move { send::send(http, built, bytes_max, &counter).await };
        let outcome = self.run(sending, time_max);
        self.usage.received_bytes += received.load(Ordering::Relaxed);
        outcome
    }

    /// What may still be taken in one answer.
    fn answer_bytes_max(&self) -> u64 {
        ANSWER_BYTES_MAX.min(ANSWERS_BYTES_MAX.saturating_sub(self.usage.received_bytes))
    }

    /// What may still be spent in calls and pauses.
    fn left(&self) -> Duration {
        self.client
            .0
            .times
            .session_max
            .saturating_sub(self.usage.waited)
    }

    fn failed(
        &self,
        admitted: &Admitted,
        outcome: Result<Answer, Failure>,
    ) -> Result<Answer, CallError> {
        let host = authority(admitted);
        outcome.map_err(|failure| match failure {
            Failure::NotAdmitted => {
                CallError::Refused(line(&format!("`{host}` has no public address")))
            }
            Failure::Unconnected(reason) => {
                self.network(&format!("cannot connect to `{host}`: {reason}"))
            }
            Failure::Broken(reason) => self.network(&format!("`{host}` broke off: {reason}")),
            Failure::Encoded => self.network(&format!(
                "`{host}` answered in an encoding that was not asked for"
            )),
            Failure::TooLarge => {
                CallError::TooLarge(match self.answer_bytes_max() < ANSWER_BYTES_MAX {
                    true => format!(
                        "all answers to a job may have {} MiB",
                        ANSWERS_BYTES_MAX >> 20
                    ),
                    false => format!("an answer may have {} MiB", ANSWER_BYTES_MAX >> 20),
                })
            }
        })
    }

    /// An error of the network in one line, which the credential never is in.
    fn network(&self, reason: &str) -> CallError {
        CallError::Network(match self.client.0.scanner.finds(reason.as_bytes()) {
            true => "the connection failed".to_owned(),
            false => line(reason),
        })
    }

    /// Hands an answer on, if the credential is nowhere in it.
    fn accepted(&mut self, admitted: &Admitted, answer: Answer) -> Result<Response, CallError> {
        let scanner = &self.client.0.scanner;
        let mut headers = Vec::new();
        for (name, value) in &answer.headers {
            headers.extend_from_slice(name.as_str().as_bytes());
            headers.push(b':');
            headers.extend_from_slice(value.as_bytes());
            headers.push(b';');
        }
        let is_tainted = scanner.finds(&headers) || scanner.finds(&answer.body);
        if is_tainted && !fault::has_hole("credential") {
            return Err(CallError::Tainted);
        }
        if admitted.is_service {
            self.seen
                .gather(&answer.body, self.client.0.service.images());
        }
        Ok(Response {
            status: answer.status,
            headers: handed_on(&answer.headers),
            body: answer.body,
        })
    }

    /// Drives `work` on the client's thread and waits for it, for `time_max` or what is left of the job's time.
    fn run<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
        time_max: Duration,
    ) -> Result<T, CallError> {
        let started = Instant::now();
        let result = self.driven(work, started + time_max.min(self.left()));
        self.usage.waited += started.elapsed();
        result
    }

    fn driven<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        deadline: Instant,
    ) -> Result<T, CallError> {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        self.tick(deadline)?;
        let task = self.client.0.driver.spawn(async move {
            // Nobody listens any more after a cancellation.
            drop(sender.send(work.await));
        });
        let _task = Task(task);
        loop {
            match receiver.recv_timeout(POLL) {
                Ok(outcome) => return Ok(outcome),
                Err(RecvTimeoutError::Timeout) => self.tick(deadline)?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(CallError::Network("the client has stopped".to_owned()));
                }
            }
        }
    }

    fn sleep(&mut self, wait: Duration) -> Result<(), CallError> {
        let started = Instant::now();
        let deadline = started + self.left();
        let result = loop {
            if let Err(error) = self.tick(deadline) {
                break Err(error);
            }
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                break Ok(());
            }
            thread::sleep(left.min(POLL));
        };
        self.usage.waited += started.elapsed();
        result
    }

    fn tick(&self, deadline: Instant) -> Result<(), CallError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(CallError::Cancelled);
        }
        match Instant::now() >= deadline {
            true => Err(CallError::Timeout),
            false => Ok(()),
        }
    }
}

fn line(text: &str) -> String {
    SafeLine::new(text).to_string()
}

fn sends_file(request: &Request) -> bool {
    let is_file = |(_, value): &(String, FormValue)| matches!(value, FormValue::InputFile(_));
    matches!(&request.body, Body::Form(fields) if fields.iter().any(is_file))
}

/// Host and port as they were called.
fn authority(admitted: &Admitted) -> String {
    let host = admitted.url.host_str().unwrap_or_default();
    match admitted.url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn asked(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    retry::asked(value, jiff::Timestamp::now())
}

fn handed_on(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |name: HeaderName| {
        let value = headers.get(&name)?.to_str().ok()?;
        (value.len() <= HEADER_BYTES_MAX).then(|| (name.as_str().to_owned(), value.to_owned()))
    };
    [CONTENT_TYPE, RETRY_AFTER]
        .into_iter()
        .filter_map(text)
        .collect()
}
