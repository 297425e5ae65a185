//! The converter of PDF as native code: converts the files on the command line, passes over those
//! it cannot convert, and prints the CPU seconds it took. What the sandbox costs is the difference.
#![expect(
    clippy::print_stdout,
    reason = "the figure is what this program is for"
)]

use std::time::Instant;

use kbhost_guest::MemoryFiles;

#[path = "../src/convert.rs"]
mod convert;
#[path = "../src/options.rs"]
mod options;
#[path = "../src/pages.rs"]
mod pages;
#[path = "../src/pictures.rs"]
mod pictures;
#[path = "../src/title.rs"]
mod title;
#[path = "../src/tree.rs"]
mod tree;

fn main() {
    let start = cpu_seconds();
    let wall = Instant::now();
    for path in std::env::args_os().skip(1) {
        if let Ok(bytes) = std::fs::read(path) {
            let options = options::Options::of(&[]);
            drop(convert::convert_bytes(
                bytes,
                &options,
                &mut MemoryFiles::default(),
            ));
        }
    }
    let seconds = match (start, cpu_seconds()) {
        (Some(start), Some(end)) => end - start,
        _ => wall.elapsed().as_secs_f64(),
    };
    println!("{seconds:.3}");
}

/// CPU seconds of this process so far, where the system tells them.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanoseconds: f64 = stat.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
