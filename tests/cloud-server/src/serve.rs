//! Listeners, their connections, and what was seen.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::answer::{Answer, Wire};
use crate::api::{self, Asked, Live};
use crate::http::{Connection, Part, Request, sha256_hex};
use crate::script::{Call, Doc, Fault, FaultAt, Script};
use crate::stop::Stop;

/// Connections at a time, of each listener; further ones are closed at once.
const CONNECTIONS_MAX: usize = 256;
/// Requests that are remembered.
const SEEN_MAX: usize = 100_000;

/// A request that was answered, or is being answered.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What it asked for.
    pub call: Call,
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, and values; the one of `api_key` is left out.
    pub headers: Vec<(String, String)>,
    /// Whether it came with the right key in the header `api_key`.
    pub has_key: bool,
    /// Whether the key stood anywhere else, or at all in a request for a picture.
    pub leaks_key: bool,
    /// Length of the body in bytes.
    pub body_bytes: u64,
    /// Lower-case hexadecimal SHA-256 of the body.
    pub body_sha256: String,
    /// The parts of an upload.
    pub parts: Vec<Part>,
    /// When it was read, since the server started.
    pub at: Duration,
    /// How many requests were being answered then, this one included.
    pub concurrent: usize,
    /// The status of the answer, before a fault changed it.
    pub status: u16,
}

/// What happened to the script.
#[derive(Debug)]
struct State {
    documents: BTreeMap<String, Live>,
    uploads: usize,
    seen: Vec<Seen>,
    /// Calls that met each fault: those of the script, then of documents by id.
    met: BTreeMap<(String, usize), u32>,
}

#[derive(Debug)]
struct Shared {
    script: Script,
    state: Mutex<State>,
    answering: AtomicUsize,
    stop: Stop,
    started: Instant,
    image_host: SocketAddr,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Api,
    Pictures,
}

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Server {
    api: SocketAddr,
    shared: Arc<Shared>,
    listeners: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts it on two free ports of 127.0.0.1.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn start(script: Script) -> io::Result<Self> {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (api, pictures) = (listen()?, listen()?);
        let documents = script.documents.iter().map(|(id, doc)| {
            let doc = doc.clone();
            (id.clone(), Live { doc, polls: 0 })
        });
        let state = State {
            documents: documents.collect(),
            uploads: 0,
            seen: Vec::new(),
            met: BTreeMap::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            script,
            answering: AtomicUsize::new(0),
            stop: Stop::default(),
            started: Instant::now(),
            image_host: pictures.local_addr()?,
        });
        let address = api.local_addr()?;
        let sides = [(api, Side::Api), (pictures, Side::Pictures)];
        let listeners = sides.map(|(listener, side)| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || listen_on(&listener, side, &shared))
        });
        Ok(Self {
            api: address,
            shared,
            listeners: listeners.into(),
        })
    }

    /// The base of the API: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// The host of presigned pictures: `127.0.0.1:PORT`.
    #[must_use]
    pub fn image_host(&self) -> String {
        self.shared.image_host.to_string()
    }

    /// What tells kbhost where the service is, with the key for it.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 3] {
        let images = format!("http://{}", self.image_host());
        [
            ("PAGEINDEX_API_KEY", self.shared.script.key.clone()),
            ("KBHOST_PAGEINDEX_URL", self.url()),
            ("KBHOST_PAGEINDEX_IMAGE_HOSTS", images),
        ]
    }

    /// What was asked so far, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// How many requests of this kind came.
    #[must_use]
    pub fn count(&self, call: Call) -> usize {
        let state = self.shared.state();
        let of_kind = |seen: &&Seen| call == Call::Any || seen.call == call;
        state.seen.iter().filter(of_kind).count()
    }

    /// How many documents were uploaded.
    #[must_use]
    pub fn uploads(&self) -> usize {
        self.shared.state().uploads
    }

    /// The most requests that were answered at the same time.
    #[must_use]
    pub fn concurrent_max(&self) -> usize {
        let state = self.shared.state();
        let concurrent = state.seen.iter().map(|seen| seen.concurrent);
        concurrent.max().unwrap_or_default()
    }

    /// Adds or replaces a document.
    pub fn put(&self, id: &str, doc: Doc) {
        let live = Live { doc, polls: 0 };
        self.shared.state().documents.insert(id.to_owned(), live);
    }

    /// Removes a document, as somebody else with the same account might.
    pub fn remove(&self, id: &str) {
        self.shared.state().documents.remove(id);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.set();
        for address in [self.api, self.shared.image_host] {
            // Wakes the thread that waits for connections.
            drop(TcpStream::connect(address));
        }
        for listener in self.listeners.drain(..) {
            // A thread that panicked has told so already.
            drop(listener.join());
        }
    }
}

fn listen_on(listener: &TcpListener, side: Side, shared: &Arc<Shared>) {
    let mut connections: Vec<JoinHandle<()>> = Vec::new();
    for stream in listener.incoming() {
        if shared.stop.is_set() {
            break;
        }
        connections.retain(|connection| !connection.is_finished());
        let Ok(stream) = stream else { continue };
        if connections.len() == CONNECTIONS_MAX {
            continue;
        }
        let shared = Arc::clone(shared);
        let serve = move || {
            // What breaks a connection is the client's business.
            drop(shared.serve(stream, side));
        };
        connections.push(std::thread::spawn(serve));
    }
    for connection in connections {
        drop(connection.join());
    }
}

/// Counts a request as long as it is being answered.
struct Answering<'a>(&'a AtomicUsize, usize);

impl<'a> Answering<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        let before = count.fetch_add(1, Ordering::SeqCst);
        Self(count, before + 1)
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream, side: Side) -> io::Result<()> {
        let mut connection = Connection::new(stream, &self.stop)?;
        while let Some(request) = connection.request()? {
            let answering = Answering::begin(&self.answering);
            let (answer, fault) = self.answer(&request, side, answering.1);
            if self.stop.wait(self.script.delay) {
                break;
            }
            let mut wire = Wire {
                stream: &mut connection.stream,
                stop: &self.stop,
                key: &self.script.key,
                keep_alive: request.keep_alive,
            };
            if !wire.send(&answer, fault.as_ref())? {
                break;
            }
        }
        Ok(())
    }

    /// The right answer and the fault that strikes it; remembers the request.
    fn answer(&self, request: &Request, side: Side, concurrent: usize) -> (Answer, Option<Fault>) {
        let at = self.started.elapsed();
        let has_key = request.header("api_key") == Some(&self.script.key);
        let (asked, picture) = match side {
            Side::Api => (Asked::of(request), None),
            Side::Pictures => Asked::of_picture(request),
        };
        let parts = match asked.call {
            Call::Upload => request.parts().unwrap_or_default(),
            _ => Vec::new(),
        };
        let mut state = self.state();
        let fault = self.fault(&mut state, &asked);
        let answer = match side {
            Side::Api if !has_key => Answer::error(401, "Invalid API key"),
            Side::Api => self.answer_api(&mut state, &asked, &parts),
            Side::Pictures => {
                let id = asked.id.as_deref().unwrap_or_default();
                match state.documents.get(id) {
                    Some(live) => api::picture(id, picture, &asked, live),
                    None => Answer::error(404, "no such picture"),
                }
            }
        };
        if state.seen.len() < SEEN_MAX {
            state.seen.push(Seen {
                call: asked.call,
                method: request.method.clone(),
                target: request.target.clone(),
                headers: self.headers_without_key(request),
                has_key,
                leaks_key: self.leaks_key(request, side),
                body_bytes: request.body.len() as u64,
                body_sha256: sha256_hex(&request.body),
                parts,
                at,
                concurrent,
                status: answer.status,
            });
        }
        (answer, fault)
    }

    fn headers_without_key(&self, request: &Request) -> Vec<(String, String)> {
        let headers = request.headers.iter();
        let headers = headers.filter(|(name, _)| name != "api_key");
        let blanked = headers.map(|(name, value)| {
            let value = value.replace(&self.script.key, "[the key]");
            (name.clone(), value)
        });
        blanked.collect()
    }

    fn leaks_key(&self, request: &Request, side: Side) -> bool {
        let key = &self.script.key;
        let is_home = |name: &str| side == Side::Api && name == "api_key";
        let mut headers = request.headers.iter();
        let in_header = headers.any(|(name, value)| !is_home(name) && value.contains(key));
        let mut windows = request.body.windows(key.len().max(1));
        in_header || request.target.contains(key) || windows.any(|it| it == key.as_bytes())
    }

    fn answer_api(&self, state: &mut State, asked: &Asked, parts: &[Part]) -> Answer {
        match asked.call {
            Call::Upload => return self.upload(state, parts),
            Call::List => return api::list(asked, state.documents.iter()),
            Call::Any | Call::Image | Call::Unknown => return Answer::error(404, "Not Found"),
            Call::Tree | Call::Pages | Call::Metadata | Call::Delete => {}
        }
        let id = asked.id.as_deref().unwrap_or_default();
        let Some(live) = state.documents.get_mut(id) else {
            return Answer::error(404, "Document not found");
        };
        match asked.call {
            Call::Tree => api::tree(id, live, asked.value("summary") == Some("true")),
            Call::Pages if asked.value("format") == Some("page") => {
                api::pages(id, live, &self.image_host.to_string())
            }
            Call::Pages => Answer::error(422, "format must be page"),
            Call::Metadata => api::metadata(id, live),
            _ => {
                state.documents.remove(id);
                Answer::json(200, &json!({"message": "deleted"}))
            }
        }
    }

    fn upload(&self, state: &mut State, parts: &[Part]) -> Answer {
        let file = parts.iter().find(|part| part.name == "file");
        let Some(name) = file.and_then(|file| file.file_name.clone()) else {
            return Answer::error(422, "a form with a file is wanted");
        };
        state.uploads += 1;
        let id = format!("up-{:04}", state.uploads);
        let mut doc = self.script.upload.clone();
        doc.name = name;
        state.documents.insert(id.clone(), Live { doc, polls: 0 });
        Answer::json(200, &json!({ "doc_id": id }))
    }

    /// The fault that this call meets, if one strikes; counts it.
    fn fault(&self, state: &mut State, asked: &Asked) -> Option<Fault> {
        let id = asked.id.clone().unwrap_or_default();
        let of_doc = state.documents.get(&id).map(|live| live.doc.faults.clone());
        let of_doc = of_doc.unwrap_or_default();
        let script = self.script.faults.iter();
        let all = of_doc
            .iter()
            .enumerate()
            .map(|(at, fault)| ((id.clone(), at), fault))
            // No document is called so: ids come from paths.
            .chain(
                script
                    .enumerate()
                    .map(|(at, fault)| (("/".to_owned(), at), fault)),
            );
        for (
            place,
            FaultAt {
                on,
                after,
                times,
                fault,
            },
        ) in all
        {
            if *on != Call::Any && *on != asked.call {
                continue;
            }
            let met = state.met.entry(place).or_default();
            let before = *met;
            *met = met.saturating_add(1);
            if before >= *after && before - after < *times {
                return Some(fault.clone());
            }
        }
        None
    }
}
