//! Compiles a stranger's component in a child process: this very program, started with
//! [`COMPILE_ARGUMENT`], with no environment, no handle but three pipes, and limits of CPU time,
//! address space and time that the parent enforces.
//!
//! A compiler's time and memory on hostile code are outside of what wasmtime promises; a child can be
//! killed. What it sends back is machine code: it is believed because the sender is this program, by
//! its own path, and it goes through the engine's own checks as an entry of the compile cache does.
//!
//! A component that comes with the program is compiled in this process.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wasmtime::Engine;

use super::check::COMPONENT_BYTES_MAX;
use super::machine_code::MachineCode;
use super::{engine, stdio};

/// The only argument of a process that compiles.
pub(crate) const COMPILE_ARGUMENT: &str = "__compile-component";

/// Wall time of a compilation. The largest known components, of some 40 MB, take half a minute of
/// an ordinary core.
const WALL_MAX: Duration = Duration::from_secs(300);

/// Between two looks at the child: short beside any compilation.
const POLL: Duration = Duration::from_millis(2);

/// CPU time of all threads of a compilation.
const CPU_SECONDS_MAX: u64 = 600;

/// Address space of a compilation: some hundred times the largest component.
const ADDRESS_SPACE_BYTES_MAX: u64 = 8 << 30;

/// Compiled code of one component: some ten times the largest component.
const CODE_BYTES_MAX: u64 = 1 << 30;

/// What the compiler says of code it does not take.
const MESSAGE_BYTES_MAX: u64 = 64 << 10;

/// Lowers [`ADDRESS_SPACE_BYTES_MAX`] in a rig; handed on to the child, which binds itself.
#[cfg(feature = "fault-points")]
const MEMORY_VARIABLE: &str = "KBHOST_TEST_COMPILE_MIB";

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Lets compilations run in children of this program from now on. Without it, as in tests of this
/// library, they run in this process.
pub(crate) fn use_children() {
    match std::env::current_exe() {
        Ok(program) => drop(PROGRAM.set(program)),
        Err(error) => tracing::warn!(%error, "components are compiled without a child process"),
    }
}

/// Compiles a component to code for this engine: in this process if it is `trusted`, as what comes
/// with the program is, else in a child.
///
/// # Errors
/// What the compiler said, or which limit ended it.
pub(super) fn compile(engine: &Engine, wasm: &[u8], trusted: bool) -> Result<MachineCode, String> {
    let code = match PROGRAM.get() {
        Some(program) if !trusted => {
            CompileLimits::current().run(Command::new(program).arg(COMPILE_ARGUMENT), wasm)
        }
        _ => engine
            .precompile_component(wasm)
            .map_err(|error| format!("{error:#}")),
    };
    code.map(MachineCode::vouched_for)
}

/// Compiles what comes in on standard input, writes code to standard output: the child's whole work.
pub(crate) fn answer_compile() -> ExitCode {
    let compiled = CompileLimits::current().impose().and_then(|()| {
        let mut wasm = Vec::new();
        let mut input = std::io::stdin().take(COMPONENT_BYTES_MAX);
        input
            .read_to_end(&mut wasm)
            .map_err(|error| error.to_string())?;
        let engine = Engine::new(&engine::config()).map_err(|error| format!("{error:#}"))?;
        engine
            .precompile_component(&wasm)
            .map_err(|error| format!("{error:#}"))
    });
    let written = match &compiled {
        Ok(code) => std::io::stdout().write_all(code),
        Err(reason) => std::io::stderr().write_all(stdio::line(reason).as_bytes()),
    };
    if compiled.is_ok() && written.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Code of a component for this very engine: what a stranger could pass off as a component.
///
/// # Errors
/// What the compiler said.
pub(crate) fn machine_code(wasm: &[u8]) -> Result<Vec<u8>, String> {
    Engine::new(&engine::config())
        .and_then(|engine| engine.precompile_component(wasm))
        .map_err(|error| stdio::line(&format!("{error:#}")))
}

/// What a compilation may use.
#[derive(Clone, Copy, Debug)]
struct CompileLimits {
    wall: Duration,
    cpu_seconds: u64,
    address_space_bytes: u64,
}

impl CompileLimits {
    #[cfg(not(feature = "fault-points"))]
    fn current() -> Self {
        Self::standard()
    }

    /// A rig may lower them, so that they fire.
    #[cfg(feature = "fault-points")]
    fn current() -> Self {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let mut limits = Self::standard();
        if let Some(ms) = number("KBHOST_TEST_COMPILE_MS") {
            limits.wall = Duration::from_millis(ms);
        }
        if let Some(mib) = number(MEMORY_VARIABLE) {
            limits.address_space_bytes = mib << 20;
        }
        limits
    }

    fn standard() -> Self {
        Self {
            wall: WALL_MAX,
            cpu_seconds: CPU_SECONDS_MAX,
            address_space_bytes: ADDRESS_SPACE_BYTES_MAX,
        }
    }

    /// Binds this process. It writes no files and leaves no core.
    fn impose(self) -> Result<(), String> {
        let bounds = [
            (Resource::Cpu, self.cpu_seconds),
            (Resource::As, self.address_space_bytes),
            (Resource::Fsize, 0),
            (Resource::Core, 0),
        ];
        for (resource, most) in bounds {
            let most = getrlimit(resource)
                .maximum
                .map_or(most, |now| now.min(most));
            let limit = Rlimit {
                current: Some(most),
                maximum: Some(most),
            };
            setrlimit(resource, limit).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn run(self, command: &mut Command, wasm: &[u8]) -> Result<Vec<u8>, String> {
        command
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(feature = "fault-points")]
        command.envs(std::env::var_os(MEMORY_VARIABLE).map(|mib| (MEMORY_VARIABLE, mib)));
        let child = command
            .spawn()
            .map_err(|error| format!("the process that compiles cannot be started: {error}"))?;
        self.await_child(child, wasm)
    }

    /// Feeds the child and takes what it says; kills it when its time is over.
    fn await_child(self, mut child: Child, wasm: &[u8]) -> Result<Vec<u8>, String> {
        let (input, output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (status, code, message) = std::thread::scope(|scope| {
            // A child that dies does not read to the end; its exit status tells more.
            scope.spawn(|| drop(input.map(|mut pipe| pipe.write_all(wasm))));
            let code = scope.spawn(|| read(output, CODE_BYTES_MAX));
            let message = scope.spawn(|| read(errors, MESSAGE_BYTES_MAX));
            let status = self.end(&mut child);
            // The pipes end with the child.
            let joined = |reader: std::thread::ScopedJoinHandle<'_, Vec<u8>>| reader.join();
            (
                status,
                joined(code).unwrap_or_default(),
                joined(message).unwrap_or_default(),
            )
        });
        match status.map_err(|error| error.to_string())? {
            None => Err(format!("no end after {:?}", self.wall)),
            Some(status) if status.success() && code.len() as u64 <= CODE_BYTES_MAX => Ok(code),
            Some(status) if status.code() == Some(1) && !message.is_empty() => {
                Err(stdio::line(&String::from_utf8_lossy(&message)))
            }
            Some(status) => Err(format!(
                "the process that compiles ended with {status}; it may use {} MiB and {} s of CPU time",
                self.address_space_bytes >> 20,
                self.cpu_seconds
            )),
        }
    }

    /// Waits for the end of the child; `None` if it had to be killed.
    fn end(self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if started.elapsed() > self.wall {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Reads a pipe to its end, one byte more than allowed at most.
fn read(pipe: Option<impl Read>, bytes_max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe
        && let Err(error) = pipe.take(bytes_max + 1).read_to_end(&mut bytes)
    {
        tracing::debug!(%error, "the process that compiles cannot be heard");
    }
    bytes
}
