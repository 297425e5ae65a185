//! How fast documents come from a service that takes its time for each answer.

use std::time::{Duration, Instant};

use kbhost_cloud_server::{Script, Server};

use super::report::{Goal, Report};
use super::rig::Rig;
use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::Repo;

/// The key of the service: nobody else's.
const KEY: &str = "pi-bench-5d0a97e3c4f1";

/// Documents, and what the service takes for each answer: three answers and a picture a document.
const FULL: (usize, Duration) = (200, Duration::from_millis(200));
const QUICK: (usize, Duration) = (40, Duration::from_millis(50));

/// How much faster eight workers have to be than one.
const GOAL: f64 = 5.0;

/// Measures nothing else, and prints.
///
/// # Errors
/// If a command of kbhost fails, or there is no loopback.
pub(crate) fn run(repo: &Repo, quick: bool) -> Result<()> {
    println!("Building kbhost (release) ...");
    repo.build_release()?;
    let rig = Rig::new(repo.release_binary(), repo.target().join("bench-cloud"))?;
    let mut report = Report::default();
    measure(&rig, quick, &mut report)?;
    println!("\n{}", report.table());
    Ok(())
}

/// Imports the same documents with one worker and with eight.
///
/// # Errors
/// If a command of kbhost fails, or there is no loopback.
pub(super) fn measure(rig: &Rig, quick: bool, report: &mut Report) -> Result<()> {
    let (documents, delay) = if quick { QUICK } else { FULL };
    let ids: Vec<_> = (1..=documents)
        .map(|number| format!("pi-{number:04}"))
        .collect();
    let mut seconds = [0.0; 2];
    for (at, jobs) in ["1", "8"].into_iter().enumerate() {
        let kb = rig.fresh_kb("kb-cloud")?;
        let script = Script::new(KEY).with_reports(documents).with_delay(delay);
        let server = Server::start(script)
            .map_err(|error| Failure::new(format!("failed to serve on loopback: {error}")))?;
        let mut command = rig.kbhost(&["add", "--quiet", "--jobs", jobs, "--from-pageindex-cloud"]);
        command
            .args(&ids)
            .env("KBHOST_KB", &kb)
            .envs(server.variables());
        let started = Instant::now();
        process::capture(&mut command)?;
        seconds[at] = started.elapsed().as_secs_f64();
    }
    let what = format!(
        "cloud: {documents} documents at {} ms a call",
        delay.as_millis()
    );
    for (at, jobs) in ["1", "8"].into_iter().enumerate() {
        let rate = documents as f64 / seconds[at];
        let measured = format!("{rate:.1} documents/s ({:.1} s)", seconds[at]);
        report.figure(format!("{what}, --jobs {jobs}"), measured);
    }
    let speed_up = seconds[0] / seconds[1];
    report.goal(
        format!("{what}: speed-up --jobs 8"),
        speed_up,
        "x",
        Goal::AtLeast(GOAL),
    );
    Ok(())
}
