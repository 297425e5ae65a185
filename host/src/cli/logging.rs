//! What the rooms tell through `tracing`, on stderr: warnings always, the time of each stage with
//! `-v`, more with `-vv`.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::args::LogFormat;
use super::error::CommandError;
use super::settings::Logging;

/// Starts the subscriber of this process.
///
/// # Errors
/// If `KBHOST_LOG` is no filter.
pub(super) fn start(logging: &Logging) -> Result<(), CommandError> {
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(logging.colour);
    // Building a filter from text costs more than all the rest of a short command.
    let Some(directives) = directives(logging) else {
        let builder = builder.with_max_level(LevelFilter::WARN).without_time();
        return match logging.format {
            LogFormat::Text => install(builder.with_target(false).finish()),
            LogFormat::Json => install(builder.json().finish()),
        };
    };
    let filter = EnvFilter::builder()
        .parse(&directives)
        .map_err(|error| CommandError::Usage {
            message: format!("read the filter `{directives}` of KBHOST_LOG: {error}"),
            hint: "write it like `KBHOST_LOG=warn,kbhost=debug`".to_owned(),
        })?;
    let builder = builder
        .with_span_events(FmtSpan::CLOSE)
        .with_env_filter(filter);
    match logging.format {
        LogFormat::Text => install(builder.finish()),
        LogFormat::Json => install(builder.json().finish()),
    }
}

/// The filter in the words of `EnvFilter`; `None` for warnings only. Other crates stay at warnings
/// under `-v`: the WebAssembly compiler alone would drown everything else.
fn directives(logging: &Logging) -> Option<String> {
    if let Some(filter) = &logging.filter {
        return Some(filter.clone());
    }
    match logging.verbosity {
        0 => None,
        1 => Some("warn,kbhost=info".to_owned()),
        2 => Some("warn,kbhost=debug".to_owned()),
        _ => Some("info,kbhost=trace".to_owned()),
    }
}

fn install(subscriber: impl tracing::Subscriber + Send + Sync) -> Result<(), CommandError> {
    tracing::subscriber::set_global_default(subscriber)
        .expect("BUG: a process starts its subscriber once");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbosity_becomes_a_filter() {
        let check = |verbosity, filter: Option<&str>, expected: Option<&str>| {
            let logging = Logging {
                verbosity,
                format: LogFormat::Text,
                filter: filter.map(str::to_owned),
                colour: false,
            };
            assert_eq!(directives(&logging).as_deref(), expected);
        };
        check(0, None, None);
        check(1, None, Some("warn,kbhost=info"));
        check(2, None, Some("warn,kbhost=debug"));
        check(9, None, Some("info,kbhost=trace"));
        check(0, Some("trace"), Some("trace"));
    }
}
