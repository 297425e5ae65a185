//! What a service has, as its converter tells: read in a sandbox like a conversion, validated like one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::answer;
use super::bindings::{CloudConverterPre, catalog};
use super::call::Sandbox;
use super::converter::without_key;
use super::stdio;
use super::{Allowance, ConvertError, JobError, JobFailure, Plugin, Surroundings};
use crate::egress::Client;
use crate::kb::{RemoteId, SafeLine};

/// Documents asked for at once: what the services of this kind give in one answer.
pub const LISTED_MAX: u32 = 100;

/// Characters of a description that are kept: one sentence for a list.
const DESCRIPTION_CHARS_MAX: usize = 1_000;

/// How far a service is with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteState {
    /// It waits.
    Queued,
    /// It is worked on.
    Processing,
    /// It can be imported.
    Completed,
    /// It cannot.
    Failed,
    /// The service says something else.
    Unknown,
}

/// A document of a service.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RemoteDocument {
    /// Its id.
    pub id: RemoteId,
    /// Its file name there.
    pub name: SafeLine,
    /// How far the service is with it.
    pub state: RemoteState,
    /// Pages, if it is known.
    pub pages: Option<u32>,
    /// What the service says of it.
    pub description: Option<SafeLine>,
    /// When it came there, as the service writes it.
    pub created: Option<SafeLine>,
}

/// Asks a converter of the cloud world what its service has.
#[derive(Debug)]
pub struct RemoteCatalog<'a> {
    /// The converter.
    pub plugin: &'a Plugin,
    /// The service.
    pub service: &'a Client,
    /// What bounds each call.
    pub allowance: &'a Allowance,
    /// Set to end a call.
    pub cancel: &'a Arc<AtomicBool>,
}

impl RemoteCatalog<'_> {
    /// The documents from `offset` on, at most [`LISTED_MAX`]: those with an id that can be asked for,
    /// and how many the service gave.
    ///
    /// # Errors
    /// If the service or its converter fails.
    pub fn documents(&self, offset: u32) -> Result<(Vec<RemoteDocument>, u32), Box<JobError>> {
        let documents = self.run(|guest, store| {
            guest
                .kbhost_cloud_catalog()
                .call_documents(store, offset, LISTED_MAX)
        })?;
        let given = u32::try_from(documents.len()).unwrap_or(u32::MAX);
        if given > LISTED_MAX {
            let why = format!("{given} documents; asked for {LISTED_MAX} at most");
            return Err(self.error(JobFailure::InvalidOutput(why)));
        }
        let documents: Vec<_> = documents.into_iter().filter_map(validated).collect();
        documents
            .iter()
            .try_for_each(|document| self.look_through(document))?;
        Ok((documents, given))
    }

    /// One document.
    ///
    /// # Errors
    /// If the service or its converter fails, or answers with another document.
    pub fn status(&self, id: &RemoteId) -> Result<RemoteDocument, Box<JobError>> {
        let document =
            self.run(|guest, store| guest.kbhost_cloud_catalog().call_status(store, id.as_str()))?;
        let document = validated(document).filter(|document| document.id == *id);
        let document = document.ok_or_else(|| {
            let why = "the answer is about another document".to_owned();
            self.error(JobFailure::InvalidOutput(why))
        })?;
        self.look_through(&document)?;
        Ok(document)
    }

    /// What is told of a document does not hold the key.
    fn look_through(&self, document: &RemoteDocument) -> Result<(), Box<JobError>> {
        let texts = [
            Some(&document.name),
            document.description.as_ref(),
            document.created.as_ref(),
        ];
        let mut texts = texts.into_iter().flatten().map(SafeLine::as_str);
        let is_told = |text: &str| self.service.is_told_in(text.as_bytes());
        match texts.any(is_told) || is_told(document.id.as_str()) {
            true => {
                let why = ConvertError::KEY_IN_ANSWER.to_owned();
                Err(self.error(ConvertError::Upstream(why).into()))
            }
            false => Ok(()),
        }
    }

    fn run<R>(
        &self,
        function: impl FnOnce(
            &super::bindings::CloudConverter,
            &mut wasmtime::Store<super::state::JobState>,
        )
            -> wasmtime::Result<Result<R, super::bindings::types::ConvertError>>,
    ) -> Result<R, Box<JobError>> {
        let pre = CloudConverterPre::new(self.plugin.pre().instance_pre().clone());
        let pre = pre.map_err(|error| {
            let why = stdio::line(&format!("it has no catalog: {error:#}"));
            self.error(JobFailure::Host(why))
        })?;
        let limits = self.plugin.limits(self.allowance);
        let sandbox = Sandbox {
            input: None,
            output: None,
            staged: None,
            seed: &[0; 32],
            surroundings: &Surroundings::default(),
            limits: &limits,
            cancel: self.cancel,
            service: Some(self.service),
            checkpoints: None,
            is_secret: false,
            listener: None,
        };
        let (result, report) = sandbox.run_in(pre.engine(), |store| {
            let guest = pre.instantiate(&mut *store)?;
            function(&guest, store)
        });
        report.tell();
        let answer = result.map_err(|failure| self.error(failure))?;
        answer.map_err(|error| self.error(answer::refusal(error, None).into()))
    }

    fn error(&self, failure: JobFailure) -> Box<JobError> {
        let failure = without_key(failure, Some(self.service));
        Box::new(JobError {
            plugin: self.plugin.identity().clone(),
            failure,
        })
    }
}

/// One entry; `None` if its id is none.
fn validated(document: catalog::RemoteDocument) -> Option<RemoteDocument> {
    let text = |text: Option<String>| {
        let text = SafeLine::with_max(&text?, DESCRIPTION_CHARS_MAX);
        (!text.is_empty()).then_some(text)
    };
    Some(RemoteDocument {
        id: RemoteId::new(&document.id)?,
        name: SafeLine::new(&document.name),
        state: match document.state {
            catalog::State::Queued => RemoteState::Queued,
            catalog::State::Processing => RemoteState::Processing,
            catalog::State::Completed => RemoteState::Completed,
            catalog::State::Failed => RemoteState::Failed,
            catalog::State::Unknown => RemoteState::Unknown,
        },
        pages: document.pages.filter(|pages| *pages > 0),
        description: text(document.description),
        created: text(document.created),
    })
}
