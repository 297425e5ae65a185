//! The WASI surface, linked interface by interface: what a guest meets beneath each name of
//! `wasi:cli/imports`.
//!
//! The file system is our own over wasmtime's, which sees `/in` and `/out` and keeps the guest beneath
//! them. Environment, arguments, standard input and terminal are wasmtime's over nothing. Clocks,
//! randomness, standard output and error and whatever opens a socket are our own: see the modules of
//! these names.

use wasmtime::component::{HasData, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::sync;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sockets};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};

use super::fault;
use super::state::JobState;

/// Every interface that [`link`] offers, by package. The imports rule accepts exactly these.
pub(super) const INTERFACES: &[(&str, &[&str])] = &[
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks", &["monotonic-clock", "wall-clock"]),
    ("wasi:filesystem", &["types", "preopens"]),
    ("wasi:io", &["error", "poll", "streams"]),
    ("wasi:random", &["random", "insecure", "insecure-seed"]),
    (
        "wasi:sockets",
        &[
            "network",
            "instance-network",
            "ip-name-lookup",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// The streams and pollables live in the resource table alone.
struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

type Own = HasSelf<JobState>;

/// Links everything in [`INTERFACES`].
pub(super) fn link(linker: &mut Linker<JobState>) -> wasmtime::Result<()> {
    link_io(linker)?;
    link_own(linker)?;
    link_cli(linker)?;
    link_sockets(linker)?;
    if fault::has_hole("filesystem") {
        let view = WasiFilesystemView::filesystem;
        filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, view)?;
        return sync::filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, view);
    }
    filesystem::preopens::add_to_linker::<_, Own>(linker, |state| state)?;
    sync::filesystem::types::add_to_linker::<_, Own>(linker, |state| state)
}

fn link_io(linker: &mut Linker<JobState>) -> wasmtime::Result<()> {
    sync::io::error::add_to_linker::<_, Io>(linker, JobState::table)?;
    sync::io::poll::add_to_linker::<_, Io>(linker, JobState::table)?;
    sync::io::streams::add_to_linker::<_, Io>(linker, JobState::table)
}

/// The interfaces that `JobState` implements itself.
fn link_own(linker: &mut Linker<JobState>) -> wasmtime::Result<()> {
    clocks::wall_clock::add_to_linker::<_, Own>(linker, |state| state)?;
    clocks::monotonic_clock::add_to_linker::<_, Own>(linker, |state| state)?;
    random::random::add_to_linker::<_, Own>(linker, |state| state)?;
    random::insecure::add_to_linker::<_, Own>(linker, |state| state)?;
    random::insecure_seed::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::stdout::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::stderr::add_to_linker::<_, Own>(linker, |state| state)?;
    sockets::tcp_create_socket::add_to_linker::<_, Own>(linker, |state| state)?;
    sync::sockets::udp_create_socket::add_to_linker::<_, Own>(linker, |state| state)?;
    sockets::ip_name_lookup::add_to_linker::<_, Own>(linker, |state| state)
}

/// Environment, arguments, standard input and terminal: the context holds none of them.
fn link_cli(linker: &mut Linker<JobState>) -> wasmtime::Result<()> {
    cli::exit::add_to_linker::<_, WasiCli>(linker, JobState::cli)?;
    cli::environment::add_to_linker::<_, WasiCli>(linker, JobState::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(linker, JobState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, JobState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, JobState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, JobState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, JobState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, JobState::cli)
}

/// What works on sockets, of which there are none: only [`link_own`] could have made one.
fn link_sockets(linker: &mut Linker<JobState>) -> wasmtime::Result<()> {
    let options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<_, WasiSockets>(linker, &options, JobState::sockets)?;
    sockets::instance_network::add_to_linker::<_, WasiSockets>(linker, JobState::sockets)?;
    sync::sockets::tcp::add_to_linker::<_, WasiSockets>(linker, JobState::sockets)?;
    sync::sockets::udp::add_to_linker::<_, WasiSockets>(linker, JobState::sockets)
}
