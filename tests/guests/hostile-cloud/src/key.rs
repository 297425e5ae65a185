//! Looks for the key: in answers that hold it, in its environment, its files and its own memory.

use std::fs;
use std::io::{self, Read as _};

use crate::bindings::exports::kbhost::converter::converter::{ConvertError, Document};
use crate::bindings::kbhost::cloud::endpoint::CloudError;
use crate::{escaped, get, page};

/// What veils the words that are looked for: the memory that is searched must not hold them itself.
const VEIL: u8 = 0x5a;

/// How the keys of the tests and of the kit begin, veiled.
const BEGINNINGS: [&[u8]; 2] = [
    &veiled(b"pi-4fd8e1a09b7c46d2"),
    &veiled(b"kbhost-canary-key"),
];

/// The first page of a memory of 64 KiB pages is read from here on.
const MEMORY_START: usize = 1_024;

const fn veiled<const N: usize>(text: &[u8; N]) -> [u8; N] {
    let mut veiled = *text;
    let mut at = 0;
    while at < N {
        veiled[at] ^= VEIL;
        at += 1;
    }
    veiled
}

/// Whether a key begins at the place that `byte` counts from.
fn begins(byte: impl Fn(usize) -> Option<u8>) -> bool {
    BEGINNINGS.iter().any(|beginning| {
        let mut bytes = beginning.iter().enumerate();
        bytes.all(|(at, veiled)| byte(at).is_some_and(|byte| byte ^ VEIL == *veiled))
    })
}

fn holds(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|start| begins(|at| bytes.get(start + at).copied()))
}

/// Length of the linear memory; there is none where this is only checked and never run.
fn memory_bytes() -> usize {
    #[cfg(target_arch = "wasm32")]
    {
        core::arch::wasm32::memory_size::<0>() << 16
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        0
    }
}

/// Everything that the host handed over lies, or lay, here.
fn memory_holds() -> bool {
    let end = memory_bytes();
    // SAFETY: linear memory is readable up to its size, and nobody writes meanwhile.
    let byte = |at: usize| (at < end).then(|| unsafe { (at as *const u8).read_volatile() });
    (MEMORY_START..end).any(|start| begins(|at| byte(start + at)))
}

pub(crate) fn look() -> Result<Document, ConvertError> {
    let mut told = String::new();
    let mut tainted = 0_u32;
    for path in [
        "/doc/echo/metadata/",
        "/doc/echo/?type=ocr",
        "/doc/echo/?type=tree",
        "/doc/plain/metadata/",
        "/docs/",
    ] {
        match get(path) {
            Ok(answer) => {
                told.push_str(&format!("{:?} ", answer.headers));
                told.push_str(&String::from_utf8_lossy(&answer.body));
            }
            Err(CloudError::Tainted) => tainted += 1,
            Err(other) => told.push_str(&format!("{other:?}")),
        }
    }
    for (name, value) in std::env::vars_os() {
        told.push_str(&format!("{name:?}={value:?} "));
    }
    for argument in std::env::args_os() {
        told.push_str(&format!("{argument:?} "));
    }
    let mut typed = Vec::new();
    // A stream that is closed tells nothing either.
    if io::stdin().read_to_end(&mut typed).is_ok() {
        told.push_str(&String::from_utf8_lossy(&typed));
    }
    for dir in ["/", "/in", "/out", "/proc/self", "/etc"] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let read = fs::read(entry.path()).unwrap_or_default();
            told.push_str(&format!("{:?}: ", entry.path()));
            told.push_str(&String::from_utf8_lossy(&read));
        }
    }
    let (in_words, in_memory) = (holds(told.as_bytes()), memory_holds());
    if in_words || in_memory {
        return Err(escaped(&format!(
            "the key; in what it was told: {in_words}, in its memory: {in_memory}: {told}"
        )));
    }
    page(&format!(
        "no key: {tainted} answers withheld\n\n```\n{told}\n```\n"
    ))
}
