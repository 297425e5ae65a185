//! Runs cases: each in a thread of its own that is called what it repeats with, so that a panic and an
//! exhausted stack name it, while another looks at the clock.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The stack of a case. What works with this much works with what a component has: frames of an
/// unoptimised build are several times as large.
const STACK_BYTES: usize = 4 << 20;

/// Violations that are looked at in one run.
const VIOLATIONS_MAX: usize = 10;

/// How long a case may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// CPU time.
    pub(crate) cpu_max: Duration,
    /// No end after this is a hang, however busy the machine is.
    pub(crate) wall_max: Duration,
}

/// What a case came to, in a word for the statistics; or what it violates.
pub(crate) type Verdict = Result<&'static str, String>;

/// Cases that are to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cases {
    pub(crate) seed: u64,
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// None is begun after this.
    pub(crate) until: Option<Instant>,
}

/// What ran.
#[derive(Debug, Default)]
pub(crate) struct Covered {
    pub(crate) cases: u64,
    pub(crate) verdicts: BTreeMap<&'static str, u64>,
    pub(crate) slowest: Duration,
    slowest_case: u64,
    /// Each with what repeats it.
    pub(crate) violations: Vec<String>,
}

impl Covered {
    /// In a line.
    pub(crate) fn told(&self, what: &str, seed: u64) -> String {
        let verdicts = self.verdicts.iter();
        let verdicts: Vec<String> = verdicts.map(|(name, n)| format!("{n} {name}")).collect();
        format!(
            "{} cases of `{what}` (seed {seed}): {}; the slowest took {:.2} s (case {})",
            self.cases,
            verdicts.join(", "),
            self.slowest.as_secs_f64(),
            self.slowest_case
        )
    }
}

/// Runs cases one after another, until one hangs.
pub(crate) fn run<F>(what: &str, cases: Cases, bounds: Bounds, check: F) -> Covered
where
    F: Fn(u64, u64) -> Verdict + Clone + Send + 'static,
{
    let mut covered = Covered::default();
    for case in cases.first..cases.first.saturating_add(cases.count) {
        let is_over = cases.until.is_some_and(|until| Instant::now() > until);
        if is_over || covered.violations.len() >= VIOLATIONS_MAX {
            break;
        }
        let seed = cases.seed;
        let name = format!("{what} --seed {seed} --case {case}");
        let ended = run_one(&name, bounds, {
            let check = check.clone();
            move || check(seed, case)
        });
        covered.cases += 1;
        if ended.cpu > covered.slowest {
            (covered.slowest, covered.slowest_case) = (ended.cpu, case);
        }
        match ended.verdict {
            Ok(verdict) if ended.cpu <= bounds.cpu_max => {
                *covered.verdicts.entry(verdict).or_default() += 1;
            }
            Ok(_) => {
                let took = ended.cpu.as_secs_f64();
                covered
                    .violations
                    .push(format!("{name}: {took:.1} s of CPU time"));
            }
            Err(violation) => covered.violations.push(format!("{name}: {violation}")),
        }
        if ended.is_hang {
            break;
        }
    }
    covered
}

struct Ended {
    verdict: Verdict,
    cpu: Duration,
    is_hang: bool,
}

fn run_one(name: &str, bounds: Bounds, check: impl FnOnce() -> Verdict + Send + 'static) -> Ended {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let verdict = check();
            // Nobody listens any more to one that was given up.
            done.send((verdict, cpu_of_thread())).ok();
        })
        .expect("a thread is to be had");
    let failed = |violation: String, is_hang| Ended {
        verdict: Err(violation),
        cpu: Duration::ZERO,
        is_hang,
    };
    match wait.recv_timeout(bounds.wall_max) {
        Ok((verdict, cpu)) => Ended {
            verdict,
            cpu,
            is_hang: false,
        },
        Err(RecvTimeoutError::Timeout) => failed(
            format!("no end after {} s", bounds.wall_max.as_secs_f64()),
            true,
        ),
        Err(RecvTimeoutError::Disconnected) => {
            let panic = thread.join().expect_err("it ended without a verdict");
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            failed(format!("panic: {}", said.unwrap_or_default()), false)
        }
    }
}

/// CPU time of this thread, where the system tells it.
fn cpu_of_thread() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split_whitespace().next();
    Duration::from_nanos(nanoseconds.and_then(|n| n.parse().ok()).unwrap_or_default())
}

mod tests {
    use super::*;

    const CASES: Cases = Cases {
        seed: 7,
        first: 0,
        count: 10,
        until: None,
    };
    const BOUNDS: Bounds = Bounds {
        cpu_max: Duration::from_millis(300),
        wall_max: Duration::from_secs(20),
    };

    /// The negative control: whatever goes wrong in a case is told with what repeats it.
    #[test]
    fn what_goes_wrong_is_caught() {
        let check = |bounds, what: &str, bad: fn() -> Verdict| {
            let covered = run("control", CASES, bounds, move |_, case| match case {
                3 => bad(),
                _ => Ok("fine"),
            });
            let told = covered.violations.join("; ");
            let expected = format!("control --seed 7 --case 3: {what}");
            assert!(told.starts_with(&expected), "{expected}: {told}");
            covered
        };
        let covered = check(BOUNDS, "panic: planted", || panic!("planted"));
        assert_eq!((covered.cases, covered.verdicts["fine"]), (10, 9));
        check(
            BOUNDS,
            "a mark is lost",
            || Err("a mark is lost".to_owned()),
        );
        if std::path::Path::new("/proc/thread-self/schedstat").is_file() {
            check(BOUNDS, "", || {
                let mut random = crate::random::Random::of_case(1, 1);
                while cpu_of_thread() < BOUNDS.cpu_max * 2 {
                    std::hint::black_box(random.next());
                }
                Ok("slow")
            });
        }
        let bounds = Bounds {
            wall_max: Duration::from_millis(200),
            ..BOUNDS
        };
        let covered = check(bounds, "no end after 0.2 s", || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        assert_eq!(covered.cases, 4, "nothing follows a hang");
    }
}
