//! The sandbox against a guest that does its worst: every limit fires, nothing gets out.
//!
//! The guest is `tests/guests/hostile`; the first line of its input says what it does. A test that
//! expects a refusal fails if the guest reports an escape.

#![expect(
    clippy::disallowed_methods,
    reason = "fixtures in a temporary directory"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use wasmtime::component::Component;

use super::engine::Runtime;
use super::workshop::describe;
use super::*;
use crate::enumerate::{Kind, Met};
use crate::kb::ContentHash;

const MIB: u64 = 1 << 20;

fn hostile_file() -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/prebuilt/hostile.wasm");
    assert!(
        file.exists(),
        "{} is missing: run `cargo xtask guests`",
        file.display()
    );
    file
}

/// The hostile converter, compiled once for all tests.
fn hostile() -> Plugin {
    static SET: LazyLock<PluginSet> =
        LazyLock::new(|| PluginSet::new(Some(&hostile_file()), &CacheDir(None)).unwrap());
    SET.converters("text/x-hostile").pop().unwrap()
}

/// A staging directory with one input.
struct Rig {
    temporary: tempfile::TempDir,
    job: Job,
}

impl Rig {
    fn new(input: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let (input_dir, output_dir) = (temporary.path().join("in"), temporary.path().join("out"));
        std::fs::create_dir(&input_dir).unwrap();
        std::fs::create_dir(&output_dir).unwrap();
        std::fs::write(input_dir.join("input.hostile"), input).unwrap();
        std::fs::write(temporary.path().join("secret"), "secret").unwrap();
        let job = Job {
            password: None,
            input_dir,
            output_dir,
            input: Input {
                original_name: "a.hostile".to_owned(),
                guest_name: "input.hostile".to_owned(),
                media_type: "text/x-hostile".to_owned(),
                size: input.len() as u64,
                hash: ContentHash::of(input.as_bytes()),
            },
            remote: None,
            service: None,
            listener: None,
            assets: Vec::new(),
            options: Vec::new(),
            surroundings: Surroundings::default(),
            limits: Limits {
                cpu_max: Duration::from_secs(10),
                memory_bytes_max: 64 * MIB,
                output_bytes_max: 4 * MIB,
                output_files_max: 100,
                input_bytes_max: MIB,
            },
            cancel: Arc::new(AtomicBool::new(false)),
            resume: None,
            checkpoints: None,
        };
        Self { temporary, job }
    }

    fn limit(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.job.limits);
        self
    }

    fn convert(&self) -> (Result<Converted, JobFailure>, JobReport) {
        let (result, report) = hostile().convert(&self.job);
        (result.map_err(|error| error.failure), report)
    }

    fn failure(&self) -> JobFailure {
        self.convert().0.expect_err("the job must fail")
    }

    fn assets(&self) -> Result<Vec<String>, JobFailure> {
        hostile().assets(&self.job).0.map_err(|error| error.failure)
    }

    /// The page of a conversion that must succeed.
    fn page(&self) -> String {
        let converted = self.convert().0.unwrap();
        assert_eq!(converted.files[0].path, "main.md");
        std::fs::read_to_string(self.job.output_dir.join("main.md")).unwrap()
    }
}

#[test]
fn a_page_comes_back() {
    let rig = Rig::new("ok # Hello");
    let (converted, report) = rig.convert();
    let converted = converted.unwrap();
    assert_eq!(converted.files.len(), 1);
    assert_eq!(converted.files[0].role, OutputRole::Main);
    assert_eq!(
        std::fs::read_to_string(rig.job.output_dir.join("main.md")).unwrap(),
        "# Hello"
    );
    assert!(
        report.memory_bytes_peak >= MIB,
        "the initial memory counts: {report:?}"
    );
    assert_eq!(report.denied, []);
    assert_eq!(report.log, [""; 0]);
}

#[test]
fn the_converter_says_what_it_is() {
    let plugin = hostile();
    let identity = plugin.identity();
    assert_eq!(
        (identity.name.as_str(), identity.version.as_str()),
        ("hostile", "0.1.0")
    );
    assert_eq!(
        identity.digest.0,
        ContentHash::of(&std::fs::read(hostile_file()).unwrap())
    );
    assert_eq!(identity.world, "kbhost:converter@0.1.0/file-converter");
    assert_eq!(plugin.accepts()[0].media_type, "text/x-hostile");
    let (error, _) = plugin.convert(&Rig::new("refuse").job);
    assert_eq!(
        error.unwrap_err().to_string(),
        "convert it with plugin `hostile 0.1.0`"
    );
}

#[test]
fn nothing_outside_is_reached() {
    let check = |input: &str| {
        let page = Rig::new(input).page();
        assert!(page.starts_with("refused: "), "{input}: {page}");
    };
    check("read /etc/passwd");
    check("read /in/../secret");
    check("read /in/../../secret");
    check("read ../secret");
    check("read /proc/self/environ");
    check("read-up");
    check("write-in");
    assert_eq!(Rig::new("env").page(), "nothing to see");
    let rig = Rig::new("write-in");
    rig.page();
    let input = std::fs::read_to_string(rig.job.input_dir.join("input.hostile")).unwrap();
    assert_eq!(input, "write-in");
    assert_eq!(std::fs::read_dir(&rig.job.input_dir).unwrap().count(), 1);
}

#[test]
fn links_are_refused_and_counted() {
    let check = |input: &str, function: &str| {
        let (converted, report) = Rig::new(input).convert();
        assert_eq!(converted.unwrap().files.len(), 1, "{input}");
        assert_eq!(report.denied, [(function.to_owned(), 1)], "{input}");
    };
    check("symlink ../secret", "wasi:filesystem/symlink-at");
    check("symlink /etc/passwd", "wasi:filesystem/symlink-at");
    check("hardlink", "wasi:filesystem/link-at");
}

#[test]
fn names_and_places_are_bounded() {
    assert_eq!(Rig::new("names").page(), "refused: names");
    let page = Rig::new("rename-deep").page();
    assert_eq!(page, "refused: rename-deep after 0");
    let rig = Rig::new("truncate-in");
    assert_eq!(rig.page(), "refused: truncate: PermissionDenied");
    let input = std::fs::read(rig.job.input_dir.join("input.hostile")).unwrap();
    assert_eq!(input, b"truncate-in");
}

#[test]
fn files_tell_nothing_of_the_machine() {
    let first = Rig::new("files").page();
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(first, Rig::new("files").page());
    assert!(first.contains("/out/dir/q 1 SystemTime"), "{first}");
    assert!(first.ends_with("\"a\"\n\"b\"\n\"q\"\n\"z\"\n"), "{first}");
}

#[test]
fn room_that_is_given_back_is_free_again() {
    let (converted, report) = Rig::new("churn").convert();
    converted.unwrap();
    assert_eq!(
        (report.output_bytes_peak, report.output_files_peak),
        (MIB, 2)
    );
}

#[test]
fn sockets_refuse_and_are_counted() {
    let (converted, report) = Rig::new("socket").convert();
    converted.unwrap();
    assert_eq!(report.denied, [("wasi:sockets".to_owned(), 3)]);
}

#[test]
fn cpu_time_is_limited() {
    let check = |input: &str| {
        let limit = Duration::from_millis(100);
        let rig = Rig::new(input).limit(|limits| limits.cpu_max = limit);
        let start = Instant::now();
        let (result, report) = rig.convert();
        match result.unwrap_err() {
            JobFailure::Cpu { used, limit: told } => {
                assert_eq!(told, limit);
                assert!(used > limit && report.cpu >= used, "{used:?} {report:?}");
            }
            // A machine so busy that a tenth of a second of CPU takes five times as long.
            JobFailure::Wall { .. } => {}
            other => panic!("{other:?} for {input}"),
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{input}");
    };
    check("loop");
    check("sleep");
}

#[test]
fn work_within_the_limit_passes() {
    let (result, report) = Rig::new("busy-ms 50").convert();
    result.unwrap();
    assert!(report.cpu > Duration::from_millis(5), "{report:?}");
}

#[test]
fn a_sleeping_guest_does_not_sleep() {
    let start = Instant::now();
    assert_eq!(Rig::new("nap").page(), "slept 3600 s");
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn memory_is_limited() {
    let limited = |mib: u64| move |limits: &mut Limits| limits.memory_bytes_max = mib * MIB;
    let beyond = |mib: u64| JobFailure::Memory {
        limit_bytes: mib * MIB,
    };
    let rig = Rig::new("memory").limit(limited(32));
    let (result, report) = rig.convert();
    assert_eq!(result.unwrap_err(), beyond(32));
    assert!(report.memory_bytes_peak > 30 * MIB && report.memory_bytes_peak <= 32 * MIB);
    assert_eq!(
        Rig::new("memory-mib 40").limit(limited(32)).failure(),
        beyond(32)
    );
    Rig::new("memory-mib 16")
        .limit(limited(32))
        .convert()
        .0
        .unwrap();
    assert_eq!(
        Rig::new("ok x").limit(limited(1)).failure(),
        beyond(1),
        "its initial size"
    );
    assert_eq!(Rig::new("memory-careful").page(), "did without\n");
}

#[test]
fn output_is_limited() {
    let beyond = JobFailure::Output {
        limit_bytes: 4 * MIB,
        limit_files: 100,
    };
    for input in [
        "output-flood",
        "output-sparse",
        "hole",
        "unlinked-flood",
        "file-flood",
    ] {
        let rig = Rig::new(input);
        let (result, report) = rig.convert();
        assert_eq!(result.unwrap_err(), beyond, "{input}");
        assert!(
            report.output_bytes_peak <= 4 * MIB && report.output_files_peak <= 100,
            "{input}: not a byte or file more than allowed: {report:?}"
        );
        let entries = std::fs::read_dir(&rig.job.output_dir).unwrap();
        let lengths = entries.map(|entry| entry.unwrap().metadata().unwrap().len());
        let lengths: Vec<_> = lengths.collect();
        assert!(
            lengths.len() <= 100 && lengths.iter().sum::<u64>() <= 4 * MIB,
            "{input}"
        );
    }
    let deep =
        JobFailure::InvalidOutput("a path beneath `/out` with more than 12 names".to_owned());
    assert_eq!(Rig::new("deep").failure(), deep);
}

#[test]
fn traps_carry_the_guest_s_last_words() {
    let trap = |text: &str| JobFailure::Trap(text.to_owned());
    assert_eq!(
        Rig::new("panic now").failure(),
        trap("on purpose: now [31m[ [x] ]")
    );
    let failure = Rig::new("recursion").failure();
    assert_eq!(failure, trap("wasm trap: call stack exhausted"));
    assert_eq!(Rig::new("exit 7").failure(), JobFailure::Exit(1));
    assert_eq!(Rig::new("exit 0").failure(), JobFailure::Exit(0));
    for input in ["log-huge", "answer-huge"] {
        let JobFailure::Trap(reason) = Rig::new(input).failure() else {
            panic!("{input}: another failure");
        };
        assert!(reason.contains("fuel allocated for hostcalls"), "{reason}");
    }
}

#[test]
fn open_handles_are_limited() {
    match Rig::new("handles").convert().0 {
        Err(JobFailure::Trap(reason)) => {
            assert!(reason.contains("handle limit exceeded"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_converter_says_is_sanitised() {
    let corrupt = ConvertError::Corrupt("x [31m [ [x] ]".to_owned());
    assert_eq!(
        Rig::new("refuse x").failure(),
        JobFailure::Converter(corrupt)
    );
    let (converted, report) = Rig::new("ansi").convert();
    assert!(
        converted.unwrap().title.unwrap().contains('\x1b'),
        "the collector's to judge"
    );
    assert_eq!(report.log.len(), 5, "{:?}", report.log);
    for line in report.log {
        assert!(
            !line.contains(char::is_control) && !line.contains("[["),
            "{line:?}"
        );
    }
    let failure = Rig::new("many-warnings").failure();
    assert_eq!(
        failure,
        JobFailure::InvalidOutput("5000 warnings; the limit is 1000".to_owned())
    );
}

#[test]
fn logs_are_capped() {
    let (converted, report) = Rig::new("log x").convert();
    converted.unwrap();
    assert_eq!(report.log.len(), 200);
    assert_eq!(report.log[199], "info: line 199 x");
    assert_eq!(Rig::new("log x").page(), "checkpoint kept: false");
    let rig = Rig::new("stderr-flood");
    let (converted, report) = rig.convert();
    converted.unwrap();
    assert_eq!(report.log.len(), 2 * 101);
    assert_eq!(report.log[0], "line 0 of another");
    assert_eq!(report.log.last().unwrap(), "line 19999 of a flood [31m");
}

#[test]
fn a_cancelled_job_ends() {
    let rig = Rig::new("ok x");
    rig.job.cancel.store(true, Ordering::Relaxed);
    assert_eq!(rig.failure(), JobFailure::Cancelled);
    assert!(
        !rig.job.output_dir.join("main.md").exists(),
        "it did not even start"
    );
    for input in ["loop", "wait-cancel"] {
        let rig = Rig::new(input);
        let cancel = rig.job.cancel.clone();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            cancel.store(true, Ordering::Relaxed);
        });
        assert_eq!(rig.failure(), JobFailure::Cancelled, "{input}");
        canceller.join().unwrap();
    }
}

#[test]
fn time_and_chance_depend_on_the_input_alone() {
    let first = Rig::new("clock").page();
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(first, Rig::new("clock").page());
    assert!(first.starts_with("Ok(1000000000."), "{first}");
    assert_ne!(first, Rig::new("clock other").page(), "another seed");
}

#[test]
fn other_surroundings_are_seen() {
    let page = |input: &str, surroundings| {
        let mut rig = Rig::new(input);
        rig.job.surroundings = surroundings;
        rig.page()
    };
    let usual = Surroundings::default();
    let check = |input: &str, other: Surroundings| {
        assert_eq!(page(input, usual), page(input, usual), "{input}");
        assert_ne!(page(input, usual), page(input, other), "{input}");
    };
    let later = Surroundings {
        clock_ahead: Duration::from_secs(86_400),
        ..usual
    };
    check("tell-clock", later);
    check("files", later);
    check(
        "tell-random",
        Surroundings {
            random_salt: 1,
            ..usual
        },
    );
    check(
        "tell-order",
        Surroundings {
            reverse_listings: true,
            ..usual
        },
    );
}

#[test]
fn assets_are_bounded_and_see_the_input_alone() {
    assert_eq!(
        Rig::new("assets a.png b/c.png").assets().unwrap(),
        ["a.png", "b/c.png"]
    );
    assert_eq!(Rig::new("ok x").assets().unwrap(), [""; 0]);
    assert_eq!(
        Rig::new("assets-bad").assets().unwrap_err(),
        JobFailure::InvalidOutput("10007 asset references; the limit is 1000".to_owned())
    );
    assert!(matches!(
        Rig::new("assets-long").assets(),
        Err(JobFailure::InvalidOutput(_))
    ));
    let limit = Duration::from_millis(50);
    let rig = Rig::new("assets-loop").limit(|limits| limits.cpu_max = limit);
    let failure = rig.assets().unwrap_err();
    assert!(
        matches!(failure, JobFailure::Cpu { .. } | JobFailure::Wall { .. }),
        "{failure:?}"
    );
    assert_eq!(Rig::new("assets-out").assets().unwrap(), [""; 0]);
}

/// On rayon workers, as in production, and more of them than cores.
#[test]
fn a_hostile_job_fails_alone() {
    let inputs = [
        ("ok x", true),
        ("loop", false),
        ("nap", true),
        ("memory", false),
        ("panic x", false),
        ("recursion", false),
        ("output-flood", false),
        ("busy-ms 100", true),
    ];
    let plugin = hostile();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(8)
        .build()
        .unwrap();
    pool.scope_fifo(|scope| {
        for (input, passes) in inputs.into_iter().cycle().take(24) {
            let plugin = plugin.clone();
            scope.spawn_fifo(move |_| {
                let rig =
                    Rig::new(input).limit(|limits| limits.cpu_max = Duration::from_millis(500));
                let (result, _) = plugin.convert(&rig.job);
                assert_eq!(result.is_ok(), passes, "{input}: {result:?}");
            });
        }
    });
}

#[test]
fn a_missing_staging_directory_is_the_host_s_failure() {
    let mut rig = Rig::new("ok x");
    rig.job.input_dir = rig.temporary.path().join("nowhere");
    assert!(matches!(rig.failure(), JobFailure::Host(_)));
}

#[test]
fn a_forced_converter_takes_every_file() {
    let set = PluginSet::new(Some(&hostile_file()), &CacheDir(None)).unwrap();
    for name in ["a.hostile", "A.HOSTILE", "a.pdf", "a", ".hidden"] {
        let head = |_: usize| panic!("nothing is read for it");
        let met = Met {
            name,
            named: true,
            head: &head,
        };
        let expected = Kind::Taken {
            media_type: "text/x-hostile".to_owned(),
            misnamed_as: None,
        };
        assert_eq!(set.kind_of(&met), expected, "{name}");
    }
    set.load(&["application/pdf".to_owned()]).unwrap();
    assert_eq!(
        set.converters("application/pdf").remove(0).identity().name,
        "hostile"
    );
    assert_eq!(set.extensions(), ["hostile"]);
}

#[test]
fn without_one_only_known_extensions_are_taken() {
    let set = PluginSet::new(None, &CacheDir(None)).unwrap();
    for name in ["a.hostile", "a", ".md", "", "a."] {
        let met = Met {
            name,
            named: true,
            head: &|_| b"text".to_vec(),
        };
        assert_eq!(set.kind_of(&met), Kind::Other, "{name}");
    }
    assert!(set.converters("text/x-hostile").is_empty());
    set.load(&["text/x-hostile".to_owned()]).unwrap();
}

/// What is embedded must be what it says, or the table would choose converters by a lie.
#[test]
fn built_in_converters_are_as_described() {
    for builtin in builtin::BUILTIN {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("builtin.wasm");
        std::fs::write(&file, builtin.wasm).unwrap();
        if builtin.is_of_cloud() {
            let plugin = PluginSet::new(None, &CacheDir(None))
                .unwrap()
                .cloud()
                .unwrap();
            let (said, _) = describe(plugin.pre(), &Surroundings::default());
            let (name, version, accepts) = answer::description(said.unwrap()).unwrap();
            assert_eq!((&*name, &*version), (builtin.name, builtin.version));
            assert_eq!(accepts, builtin.accepted());
            continue;
        }
        let set = PluginSet::new(Some(&file), &CacheDir(None)).unwrap();
        let plugin = set.converters("").remove(0);
        let identity = plugin.identity();
        assert_eq!(identity.name, builtin.name);
        assert_eq!(identity.version, builtin.version);
        assert_eq!(identity.digest.0.to_hex(), builtin.digest);
        let accepts: Vec<_> = builtin
            .accepts
            .iter()
            .map(|(media_type, extensions)| AcceptedType {
                media_type: (*media_type).to_owned(),
                extensions: extensions.iter().map(ToString::to_string).collect(),
            })
            .collect();
        assert_eq!(plugin.accepts(), accepts);
    }
}

#[test]
fn a_description_is_asked_for_under_limits() {
    let check = |mode: &[u8; 4], expected: &str| {
        let mut wasm = std::fs::read(hostile_file()).unwrap();
        let marker = b"kbhost-hostile-describe:";
        let at = wasm
            .windows(marker.len())
            .position(|window| window == marker)
            .unwrap();
        wasm[at + marker.len()..][..4].copy_from_slice(mode);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.wasm");
        std::fs::write(&file, wasm).unwrap();
        match PluginSet::new(Some(&file), &CacheDir(None)) {
            Err(PluginError::Describe { reason, .. }) => {
                assert!(reason.contains(expected), "{reason}");
            }
            other => panic!("{other:?} instead of {expected}"),
        }
    };
    check(b"loop", "timeout");
    check(b"name", "`../ [31m` is no name");
    check(b"many", "more than 64");
}

#[test]
fn files_that_are_no_components_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, content: Option<&[u8]>| {
        let file = dir.path().join(name);
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        PluginSet::new(Some(&file), &CacheDir(None)).unwrap_err()
    };
    assert!(matches!(check("missing", None), PluginError::Path(_)));
    assert!(matches!(
        check("text", Some(b"x")),
        PluginError::NotAComponent { .. }
    ));
    assert!(matches!(
        check(".", None),
        PluginError::NotAComponent { .. }
    ));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    assert!(matches!(
        check("fifo", None),
        PluginError::NotAComponent { .. }
    ));
    let huge = dir.path().join("huge");
    std::fs::File::create(&huge)
        .unwrap()
        .set_len((64 << 20) + 1)
        .unwrap();
    assert!(matches!(
        check("huge", None),
        PluginError::NotAComponent { .. }
    ));
    // A converter in name alone: it exports the right instance with nothing in it.
    let hollow = r#"(component (instance $i)
        (export "kbhost:converter/converter@0.1.0" (instance $i)))"#;
    let hollow = wat::parse_str(hollow).unwrap();
    assert!(matches!(
        check("hollow", Some(&hollow)),
        PluginError::World { .. }
    ));
}

#[test]
fn proposals_that_are_off_stay_off() {
    let runtime = Runtime::start().unwrap();
    let compiles = |module: &str| {
        let text = format!("(component (core module {module}))");
        Component::new(runtime.engine(), wat::parse_str(text).unwrap()).is_ok()
    };
    assert!(compiles("(memory 1)"), "the rig itself");
    for module in [
        "(memory 1 2 shared)",
        "(memory i64 1)",
        "(memory 1) (memory 1)",
        "(type (struct))",
        "(tag)",
        "(type $f (func)) (type (cont $f))",
        "(func (param v128 v128 v128) (result v128)
            (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))",
    ] {
        assert!(!compiles(module), "{module}");
    }
}

#[test]
fn compiled_components_are_cached_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheDir(Some(dir.path().join("cache")));
    let entry = || {
        let mut entries = std::fs::read_dir(dir.path().join("cache/compiled")).unwrap();
        let entry = entries.next().unwrap().unwrap().path();
        assert!(entries.next().is_none(), "one entry");
        let modified = std::fs::metadata(&entry).unwrap().modified().unwrap();
        (entry, modified)
    };
    let load = || {
        let set = PluginSet::new(Some(&hostile_file()), &cache).unwrap();
        let rig = Rig::new("ok x");
        set.converters("").remove(0).convert(&rig.job).0.unwrap();
    };
    load();
    let (file, written) = entry();
    load();
    assert_eq!(
        entry(),
        (file.clone(), written),
        "taken from the cache, not written again"
    );
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    bad[1_000] ^= 1;
    std::fs::write(&file, &bad).unwrap();
    load();
    assert_eq!(std::fs::read(&file).unwrap().len(), good.len());
    assert_ne!(
        std::fs::read(&file).unwrap(),
        bad,
        "compiled again and written anew"
    );
}
