//! `add`: files and folders become documents.

use std::sync::{Arc, Mutex, PoisonError};

use super::args::{AddArgs, ConversionArgs};
use super::error::CommandError;
use super::exit::Exit;
use super::password;
use super::plugin::stale::Present;
use super::report::{Reporter, Summary};
use super::settings::{Settings, cloud_workers, workers};
use super::signals::Signals;
use super::ui::Ui;
use super::{cloud, dry_run, engine};
use crate::commit::{self, SerialOwner, StopCause};
use crate::enumerate::{self, Filter, Inputs, Kind, Met};
use crate::kb::config::{Config, converter_options};
use crate::kb::registry::Catalogue;
use crate::kb::{ContentHash, KbRoot, layout};
use crate::mutation::{AcquireError, MutationError, Owner, OwnerOptions};
use crate::plugin::{Allowance, Listener, Password, PluginSet};
use crate::prepare::{self, Asked, Preparations, StagingRoot};

/// Adds what `args` names.
///
/// # Errors
/// If nothing could be started. What happens to single inputs, and trouble on the way, is told and
/// becomes the exit code.
pub(super) fn run(ui: &mut Ui, settings: &Settings, args: &AddArgs) -> Result<Exit, CommandError> {
    let root = Arc::new(KbRoot::resolve(&settings.candidates)?);
    let config = Config::read(&root)?;
    let ids = cloud::ids(&args.from_pageindex_cloud)?;
    let plugins = Arc::new(engine::plugins(args.plugin.as_deref())?);
    let password = password::read(args.password.password_file.as_deref(), &plugins)?;
    let is_cloud = args.via.is_some() || !ids.is_empty();
    // What is sent is what was meant: no other kind of file goes through the service.
    let via = match (is_cloud, args.dry_run) {
        (true, false) => Some(cloud::connect(&plugins, Some(&root))?),
        _ => None,
    };
    let inputs = if ids.is_empty() {
        files(args, &plugins, &root, password.as_ref())?
    } else {
        Inputs::of_remote(&ids)
    };
    let threshold = args
        .pageindex_threshold
        .unwrap_or(config.pageindex_threshold);
    let present = Present {
        plugins: Arc::clone(&plugins),
        options: converter_options(threshold),
    };
    let catalogue = Catalogue::open(&root)?;
    let allowance = engine::allowance(ui, config.limits);
    let other_kinds = inputs.skipped_unsupported;
    let accepted = match &via {
        Some(via) => via.plugin.extensions(),
        None => plugins.extensions(),
    };
    let mut reporter = Reporter::new(ui, &inputs, accepted, args.dry_run);
    if args.dry_run {
        let bytes_max = allowance.input_bytes_max();
        let reconvert = args.reconvert.then_some(&present);
        dry_run::tell(inputs, &catalogue, bytes_max, reconvert, &mut reporter)?;
        return Ok(exit(&reporter.finish(other_kinds, None), None, None));
    }
    let jobs = match &via {
        Some(_) => cloud_workers(args.jobs, config.jobs),
        None => workers(args.jobs, config.jobs),
    };
    let signals = Signals::install().map_err(CommandError::Signals)?;
    let run = Run {
        owner: OwnerOptions {
            lock: settings.lock(args.lock, &signals.cancel),
            clock: settings.clock.clone(),
            command: "add",
            config,
        },
        signals,
        jobs,
        conversion: args.conversion,
        password,
        allowance,
        reconvert: args.reconvert,
        via,
        root,
        present,
    };
    let stop = run.run(inputs, catalogue, &mut reporter)?;
    let summary = reporter.finish(other_kinds, stop.as_ref());
    Ok(exit(&summary, stop.as_ref(), run.signals.exit()))
}

/// An `add` that is ready to start.
struct Run {
    root: Arc<KbRoot>,
    present: Present,
    signals: Signals,
    jobs: usize,
    conversion: ConversionArgs,
    password: Option<Arc<Password>>,
    allowance: Allowance,
    reconvert: bool,
    via: Option<prepare::Via>,
    owner: OwnerOptions,
}

impl Run {
    /// Prepares and commits, and tells what happens meanwhile. Returns what stopped it, if
    /// something did.
    fn run(
        &self,
        inputs: Inputs,
        catalogue: Catalogue,
        reporter: &mut Reporter<'_>,
    ) -> Result<Option<CommandError>, CommandError> {
        let total = inputs.total();
        if total == 0 {
            return Ok(None);
        }
        let preparations = self.start(inputs, catalogue, reporter.listener())?;
        let mut owner = Owner::new(Arc::clone(&self.root), self.owner.clone());
        let cancel = &self.signals.cancel;
        let on_event = &mut |event| reporter.event(event);
        let end = tracing::info_span!("commit", total)
            .in_scope(|| commit::drive(&preparations, total, &mut owner, cancel, on_event));
        // Waits for the workers: what nobody will commit is gone from staging after this.
        drop(preparations);
        if let Err(error) = owner.finish() {
            reporter.warn(&error.into());
        }
        Ok(end.stop.and_then(|cause| self.stopped(cause)))
    }

    /// Loads the converters and starts the workers.
    fn start(
        &self,
        inputs: Inputs,
        catalogue: Catalogue,
        listener: Option<Listener>,
    ) -> Result<Preparations, CommandError> {
        if self.via.is_none() {
            engine::load(&self.present.plugins, &inputs.sources)?;
        }
        let staging = Arc::new(open_staging(&self.root)?);
        let catalogue = Arc::new(Mutex::new(catalogue));
        let resumed = Arc::clone(&catalogue);
        let reconvert = self.reconvert.then(|| self.present.clone());
        let options = prepare::Options {
            jobs: self.jobs,
            allowance: self.allowance.clone(),
            converter_options: self.present.options.clone(),
            password: self.password.clone(),
            via: self.via.clone(),
            // Who waits for a service wants to know what for; other conversions take seconds.
            listener: listener.filter(|_| self.via.is_some()),
            cache: engine::prepare_cache(self.conversion),
            strict: self.conversion.strict,
            again: self.reconvert,
            is_known: Box::new(move |asked| is_known(&catalogue, asked, reconvert.as_ref())),
            resume: Box::new(move |key| {
                let catalogue = resumed.lock().unwrap_or_else(PoisonError::into_inner);
                catalogue.checkpoint(key)
            }),
            cancel: Arc::clone(&self.signals.cancel),
        };
        let plugins = Arc::clone(&self.present.plugins);
        Ok(prepare::start(inputs, plugins, staging, options))
    }

    /// The error of a run that was stopped. A user who ended the wait for the lock knows why.
    fn stopped(&self, cause: StopCause) -> Option<CommandError> {
        match cause {
            StopCause::Mutation(MutationError::Acquire(AcquireError::Cancelled)) => None,
            StopCause::Mutation(error) => Some(error.into()),
            StopCause::Prepare(error) => Some(CommandError::Prepare {
                display: self.root.path().display().to_string(),
                error: Box::new(error),
                accepted: Vec::new(),
            }),
        }
    }
}

/// Opens the directory in which this run prepares.
fn open_staging(root: &KbRoot) -> Result<StagingRoot, CommandError> {
    let dir = layout::prepare_dir();
    // A KB may come from a stranger: listing it through the root's handle refuses a symbolic link
    // that would lead the staging out of the KB.
    root.list_dir(&dir)?;
    Ok(StagingRoot::open(&root.path().join(dir.as_str()))?)
}

/// Under which digest the registry had an input when the run began, and, if others than `reconvert`
/// are not to be left at that, whether they made the document. When it cannot be read the
/// document is prepared, and the owner finds out under the lock.
fn is_known(
    catalogue: &Mutex<Catalogue>,
    asked: Asked<'_>,
    reconvert: Option<&Present>,
) -> Option<ContentHash> {
    let catalogue = catalogue.lock().unwrap_or_else(PoisonError::into_inner);
    match asked {
        Asked::Remote(id) => Some(catalogue.by_remote_id(id).ok()??.hash),
        Asked::Bytes(hash, media_type) => {
            let row = catalogue.by_hash(hash).ok()??;
            let is_settled = reconvert
                .is_none_or(|present| present.made(&catalogue, &row, media_type).unwrap_or(false));
            is_settled.then_some(row.hash)
        }
    }
}

/// The files that `args` names.
fn files(
    args: &AddArgs,
    plugins: &PluginSet,
    root: &KbRoot,
    password: Option<&Arc<Password>>,
) -> Result<Inputs, CommandError> {
    let _span = tracing::info_span!("enumerate").entered();
    let sent = args.via.map(|_| plugins.cloud()).transpose()?;
    let filter = Filter {
        kind_of: &|met| {
            let kind = plugins.kind_of(met);
            match (&kind, &sent) {
                (Kind::Taken { media_type, .. }, Some(sent)) => match sent.takes(media_type) {
                    true if is_pdf(met) => kind,
                    // What leaves the machine is what it is called, or it stays.
                    true => Kind::Misnamed("no PDF"),
                    false => Kind::Other,
                },
                _ => kind,
            }
        },
        kb: Some(root),
        secret: password.map(|password| password.file()),
    };
    Ok(enumerate::sources(&args.paths, &filter))
}

/// Whether a file begins as PDFs do, junk before the mark allowed for.
fn is_pdf(met: &Met<'_>) -> bool {
    const MARK: &[u8] = b"%PDF-";
    let head = (met.head)(PDF_HEAD_BYTES);
    head.windows(MARK.len()).any(|window| window == MARK)
}

/// Where readers of PDFs look for the mark.
const PDF_HEAD_BYTES: usize = 1 << 10;

/// The exit code of a run: trouble of the KB, else a signal that left something undone, else
/// failed inputs.
fn exit(summary: &Summary, stop: Option<&CommandError>, signal: Option<Exit>) -> Exit {
    match (stop, signal) {
        (Some(error), _) => error.exit(),
        (None, Some(signal)) if summary.not_tried > 0 => signal,
        (None, _) if summary.failed > 0 => Exit::Failed,
        (None, _) => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_by_weight() {
        let check = |failed, not_tried, stop: Option<MutationError>, signal, expected| {
            let summary = Summary {
                failed,
                not_tried,
                ..Summary::default()
            };
            let stop = stop.map(CommandError::from);
            assert_eq!(exit(&summary, stop.as_ref(), signal), expected);
        };
        let signal = Some(Exit::Signal(2));
        let bug = || Some(MutationError::Acquire(AcquireError::Nested));
        check(0, 0, None, None, Exit::Done);
        check(1, 0, None, None, Exit::Failed);
        check(1, 3, None, signal, Exit::Signal(2));
        // The signal came when everything was done.
        check(0, 0, None, signal, Exit::Done);
        check(1, 0, None, signal, Exit::Failed);
        check(1, 3, bug(), signal, Exit::Bug);
    }
}
