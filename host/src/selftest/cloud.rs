//! The hostile cloud converter, with a service on loopback and a key that is a canary.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::SelftestError;
use super::loopback::Loopback;
use crate::egress::{ApiKey, Client, Service};
use crate::kb::{PathError, RemoteId};
use crate::plugin::{Allowance, JobError, Plugin, RemoteCatalog};

/// Calls of a job whose end is that of its time.
const SHORT: Duration = Duration::from_millis(200);

/// Time enough for any other on a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// The latest end of a case whose end is that of its time, on a slow machine.
pub(super) const ENDED_MAX: Duration = Duration::from_secs(20);

/// The converter and what it may, and must not, call.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) plugin: Plugin,
    loopback: Loopback,
}

impl Cloud {
    /// Listens.
    ///
    /// # Errors
    /// If this machine has no loopback.
    pub(super) fn open(plugin: Plugin) -> Result<Self, SelftestError> {
        let loopback =
            Loopback::listen().map_err(|error| PathError::new("listen on", "127.0.0.1", error))?;
        Ok(Self { plugin, loopback })
    }

    /// A client of the service that knows the key.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub(super) fn client(&self, is_short: bool) -> Result<Client, SelftestError> {
        let key = ApiKey::new(Loopback::key()).expect("the kit's key is a plain word");
        let time = if is_short { SHORT } else { LONG };
        let service = Service::on_trial(&self.loopback.origin())?;
        Ok(Client::start_within(service, key, time, time)?)
    }

    /// What the converter is told: a word, and the host that it must not reach.
    pub(super) fn line(&self, word: &str) -> String {
        format!("{word} {}", self.loopback.elsewhere())
    }

    /// Has it list documents, or tell of one.
    pub(super) fn ask(
        &self,
        id: Option<&str>,
        service: &Client,
        allowance: &Allowance,
        cancel: &Arc<AtomicBool>,
    ) -> Result<String, Box<JobError>> {
        let catalog = RemoteCatalog {
            plugin: &self.plugin,
            service,
            allowance,
            cancel,
        };
        let Some(id) = id else {
            let (documents, _) = catalog.documents(0)?;
            return Ok(format!("{} documents", documents.len()));
        };
        let id = RemoteId::new(id).expect("the kit asks for plain ids");
        Ok(catalog.status(&id)?.name.to_string())
    }

    /// What is wrong after a case, `told` being all that came of it.
    pub(super) fn traces(&self, told: &[String]) -> Vec<String> {
        let mut traces = self.loopback.wrongly_asked();
        let key = Loopback::key();
        if told.iter().any(|text| text.contains(&key)) {
            traces.push("it has read the key".to_owned());
        }
        traces
    }
}
