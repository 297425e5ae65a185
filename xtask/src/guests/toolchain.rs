//! Finds, or makes, a compiler for `wasm32-wasip2`, and says exactly which one it is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::manifest::{Component, FORMAT, Manifest};
use super::{GuestError, Result};
use crate::sources_digest::sha256_hex;

/// The target of all guests.
pub(super) const TARGET: &str = "wasm32-wasip2";
/// Names a compiler that has the target.
const RUSTC_VARIABLE: &str = "KBHOST_WASM_RUSTC";
/// What to do without a toolchain.
pub(super) const HOW_TO_GET: &str = "no compiler here has the target wasm32-wasip2; \
    run `rustup target add wasm32-wasip2`, or on Debian, as root, \
    `apt-get install rustc-web cargo-web rust-web-src` and `tools/wasm-toolchain.sh`, \
    or name a compiler in KBHOST_WASM_RUSTC";
/// Debian's compiler with the source of its library.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
/// How the stamp of a toolchain ends that `tools/wasm-toolchain.sh` of this checkout makes.
const STAMP: &str = "wasm32-wasip2 v2";
/// Settings of the caller that would change the bytes: removed when a name begins so.
const CLEARED_PREFIXES: [&str; 4] = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "RUSTC_"];
/// Likewise, whole names.
const CLEARED: [&str; 5] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "RUSTC",
    "RUSTUP_TOOLCHAIN",
];

/// Whether guests can be built here.
#[derive(Debug)]
pub(super) enum Availability {
    /// With this.
    Ready(Toolchain),
    /// After installing Debian's compiler and building its library for the target.
    CanBeMade,
    /// Not, unless a person does something.
    Missing,
}

/// A compiler that has the target.
#[derive(Debug)]
pub(super) struct Toolchain {
    rustc: OsString,
    sysroot: PathBuf,
    /// First line of `rustc -vV`.
    version: String,
    /// Digest of the standard library.
    std: String,
    /// Digest of `libc.a`.
    libc: String,
    linker: String,
}

/// Looks for a compiler: the named one, the usual one, the cached one.
///
/// # Errors
/// If a compiler is named that has not the target.
pub(super) fn availability(root: &Path) -> Result<Availability> {
    if let Some(named) = std::env::var_os(RUSTC_VARIABLE) {
        return match Toolchain::of(&named) {
            Some(toolchain) => Ok(Availability::Ready(toolchain)),
            None => {
                let named = named.display();
                let message = format!("{RUSTC_VARIABLE} names `{named}`, which lacks {TARGET}");
                Err(GuestError::new(message))
            }
        };
    }
    let found = Toolchain::of("rustc".as_ref()).or_else(|| Toolchain::of(cached_rustc()?.as_ref()));
    Ok(match found {
        Some(toolchain) => Availability::Ready(toolchain),
        None if can_make(root) => Availability::CanBeMade,
        None => Availability::Missing,
    })
}

/// The compiler to build with; made where that is possible and needed.
///
/// # Errors
/// If there is none and none can be made.
pub(super) fn obtain(root: &Path) -> Result<Toolchain> {
    match availability(root)? {
        Availability::Ready(toolchain) => Ok(toolchain),
        Availability::CanBeMade => make(root),
        Availability::Missing => Err(GuestError::new(HOW_TO_GET)),
    }
}

fn cached_toolchain() -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let cache = std::env::var_os("XDG_CACHE_HOME").and_then(absolute);
    let cache = cache.or_else(|| Some(absolute(std::env::var_os("HOME")?)?.join(".cache")))?;
    Some(cache.join("kbhost/wasm-toolchain"))
}

/// The cached compiler, unless an earlier form of the script made it.
fn cached_rustc() -> Option<PathBuf> {
    let folder = cached_toolchain()?;
    let stamp = std::fs::read_to_string(folder.join("stamp")).ok()?;
    stamp
        .trim_end()
        .ends_with(STAMP)
        .then(|| folder.join("bin/rustc"))
}

fn can_make(root: &Path) -> bool {
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    is_root
        && Path::new("/etc/debian_version").exists()
        && root.join("tools/wasm-toolchain.sh").exists()
        && cached_toolchain().is_some()
}

fn make(root: &Path) -> Result<Toolchain> {
    let destination = cached_toolchain().expect("can_make looked for it");
    println!(
        "making a compiler for {TARGET} in {}",
        destination.display()
    );
    if !Path::new("/usr/bin/rustc").exists() || !Path::new("/usr/bin/cargo").exists() {
        must_run(Command::new("apt-get").args(["-qq", "update"]))?;
        let mut install = Command::new("apt-get");
        install
            .args(["-qq", "install", "-y", "--no-install-recommends"])
            .args(DEBIAN_PACKAGES);
        if !has_linker() {
            install.arg("lld-22");
        }
        must_run(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    must_run(Command::new(root.join("tools/wasm-toolchain.sh")).arg(&destination))?;
    let rustc = destination.join("bin/rustc");
    Toolchain::of(rustc.as_os_str())
        .ok_or_else(|| GuestError::new(format!("`{}` lacks {TARGET}", rustc.display())))
}

/// Whether the usual compiler brings a linker for WebAssembly; Debian's does not.
fn has_linker() -> bool {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"])).unwrap_or_default();
    let tools = Path::new(sysroot.trim_end()).join("lib/rustlib");
    let hosts = std::fs::read_dir(tools).into_iter().flatten().flatten();
    hosts
        .map(|host| host.path().join("bin/gcc-ld/wasm-ld"))
        .any(|linker| linker.exists())
}

fn must_run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(GuestError::new(format!("`{program}` ended with {status}"))),
        Err(error) => Err(GuestError::new(format!(
            "failed to run `{program}`: {error}"
        ))),
    }
}

/// What a command prints, if it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// The first line of what `program --version` prints.
fn version_line(program: &Path) -> Option<String> {
    let text = output(Command::new(program).arg("--version"))?;
    Some(text.lines().next()?.trim().to_owned())
}

/// Digest of the libraries in a folder, by name and bytes.
fn library_digest(folder: &Path) -> Option<String> {
    let entries = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    let mut libraries: Vec<PathBuf> = entries
        .filter(|path| path.extension() == Some(OsStr::new("rlib")))
        .collect();
    libraries.sort();
    let mut lines = String::new();
    for library in libraries {
        let bytes = std::fs::read(&library).ok()?;
        let name = library.file_name()?.display().to_string();
        lines.push_str(&format!("{name}\0{}\n", sha256_hex(&bytes)));
    }
    (!lines.is_empty()).then(|| sha256_hex(lines.as_bytes()))
}

impl Toolchain {
    /// Examines a compiler; `None` if it does not run or has not the target.
    fn of(rustc: &OsStr) -> Option<Self> {
        let print = |what: &str| {
            let text = output(Command::new(rustc).args(["--print", what, "--target", TARGET]))?;
            Some(PathBuf::from(text.trim_end()))
        };
        let library = print("target-libdir").filter(|library| library.is_dir())?;
        let sysroot = print("sysroot")?;
        let verbose = output(Command::new(rustc).arg("-vV"))?;
        let host = verbose
            .lines()
            .find_map(|line| line.strip_prefix("host: "))?;
        let tools = sysroot.join("lib/rustlib").join(host).join("bin");
        let linkers = ["wasm-ld", "gcc-ld/wasm-ld", "rust-lld"].map(|name| tools.join(name));
        let linker = linkers.iter().find_map(|linker| version_line(linker));
        let component_linker = version_line(&tools.join("wasm-component-ld"));
        let [linker, component_linker] =
            [linker, component_linker].map(|version| version.unwrap_or("unknown".to_owned()));
        let libc = std::fs::read(library.join("self-contained/libc.a"));
        Some(Self {
            rustc: rustc.to_owned(),
            version: verbose.lines().next()?.to_owned(),
            std: library_digest(&library)?,
            libc: libc.map_or("unknown".to_owned(), |libc| sha256_hex(&libc)),
            linker: format!("{component_linker}; {linker}"),
            sysroot,
        })
    }

    /// The manifest of components built with this.
    pub(super) fn manifest(&self, components: Vec<Component>) -> Manifest {
        Manifest {
            format: FORMAT,
            rustc: self.version.clone(),
            std: self.std.clone(),
            wasi_libc: self.libc.clone(),
            linker: self.linker.clone(),
            components,
        }
    }

    /// A name of its own for the target directory: cargo does not notice when a compiler of the same
    /// version comes with another library.
    pub(super) fn short_name(&self) -> String {
        let identity = format!(
            "{}\n{}\n{}\n{}",
            self.version, self.std, self.libc, self.linker
        );
        sha256_hex(identity.as_bytes())[..12].to_owned()
    }

    /// Sets up a cargo command: this compiler, none of the caller's settings, no paths in the bytes.
    ///
    /// # Errors
    /// If a path is not UTF-8.
    pub(super) fn apply_to(&self, cargo: &mut Command, root: &Path) -> Result<()> {
        for (name, _) in std::env::vars_os() {
            let Some(text) = name.to_str() else {
                continue;
            };
            let begins = CLEARED_PREFIXES
                .iter()
                .any(|prefix| text.starts_with(prefix));
            if begins || CLEARED.contains(&text) {
                cargo.env_remove(&name);
            }
        }
        // An empty name is no wrapper, and stands above one from a configuration file.
        cargo
            .env("RUSTC_WRAPPER", "")
            .env("RUSTC_WORKSPACE_WRAPPER", "");
        cargo
            .env("RUSTC", &self.rustc)
            .env("CARGO_INCREMENTAL", "0");
        let flags = self.remapped_paths(root)?;
        let flags: Vec<String> = flags
            .into_iter()
            .map(|(from, to)| format!("--remap-path-prefix={from}={to}"))
            .collect();
        // Separated by a character that no path has, unlike RUSTFLAGS.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        Ok(())
    }

    /// Path prefixes and what stands for them in panic messages. The last one that fits counts.
    fn remapped_paths(&self, root: &Path) -> Result<Vec<(String, &'static str)>> {
        let text = |path: &Path| {
            let not_utf8 = || GuestError::new(format!("`{}` is not UTF-8", path.display()));
            path.to_str().map(str::to_owned).ok_or_else(not_utf8)
        };
        let mut remapped = vec![(text(root)?, "/kbhost"), (text(&self.sysroot)?, "/rustc")];
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
        let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
        // One folder for each registry, named by a hash of its address: a mirror has another one.
        let sources = cargo_home.map(|home| home.join("registry/src"));
        let registries = sources.and_then(|sources| std::fs::read_dir(sources).ok());
        let mut registries: Vec<PathBuf> = registries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        registries.sort();
        for registry in registries {
            remapped.push((text(&registry)?, "/registry"));
        }
        Ok(remapped)
    }
}
