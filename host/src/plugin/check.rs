//! The imports rule: what a component file may be and ask for, judged before anything of it is
//! compiled.

use std::path::Path;

use wasmparser::{Parser, Payload};

use super::PluginError;
use super::bindings::{CONVERTER, WORLD};
use super::stdio;
use super::wasi::INTERFACES;

/// Size of a component. Compiled languages have a few megabytes, one that carries the interpreter of
/// Python 18, with libraries some 40; compiling takes time and memory in proportion.
pub(crate) const COMPONENT_BYTES_MAX: u64 = 64 << 20;

/// Refused imports that a message lists.
const LISTED_MAX: usize = 20;

/// Exports of a component: the converter, and what a toolchain adds.
const EXPORTS_MAX: usize = 64;

/// Interfaces of the contract that a converter may import, without their patch version.
const CONTRACT: &[&str] = &["kbhost:converter/job@0.1", "kbhost:converter/types@0.1"];

/// What a component that passed asks for and offers, as its binary says; safe lines, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interfaces {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
}

/// Accepts a component of the file-converter world, by its binary alone, and returns its
/// interfaces. `path` is for messages.
///
/// # Errors
/// If it is no component, imports what no world offers, or does not export a converter.
pub(super) fn check(path: &Path, bytes: &[u8]) -> Result<Interfaces, PluginError> {
    let not = |reason: String| PluginError::NotAComponent {
        path: path.to_owned(),
        reason,
    };
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(not(
            "it is precompiled code, which is never accepted from a file".to_owned(),
        ));
    }
    if !Parser::is_component(bytes) {
        return Err(not(if Parser::is_core_wasm(bytes) {
            "it is a core module, not a component".to_owned()
        } else {
            "it is no WebAssembly component".to_owned()
        }));
    }
    let mut surface = Surface::read(bytes)
        .map_err(|error| not(stdio::line(&format!("it is malformed: {error}"))))?;
    if !surface.refused.is_empty() {
        return Err(PluginError::Imports {
            path: path.to_owned(),
            imports: surface.listed(),
        });
    }
    if !surface.exports_converter {
        return Err(PluginError::World {
            path: path.to_owned(),
            expected: WORLD,
        });
    }
    if surface.exports.len() > EXPORTS_MAX {
        return Err(not(format!("it has more than {EXPORTS_MAX} exports")));
    }
    for names in [&mut surface.imports, &mut surface.exports] {
        names.sort_unstable();
        names.dedup();
    }
    Ok(Interfaces {
        imports: surface.imports,
        exports: surface.exports,
    })
}

/// What a component asks for and offers at its outermost level.
#[derive(Default)]
struct Surface {
    refused: Vec<String>,
    imports: Vec<String>,
    exports: Vec<String>,
    exports_converter: bool,
}

impl Surface {
    /// Parses the whole binary, nested modules and components included.
    fn read(bytes: &[u8]) -> wasmparser::Result<Self> {
        let mut surface = Self::default();
        // Nested binaries report their own sections; only those at depth 0 are the component's.
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        let name = import?.name.name;
                        let names = if is_offered(name) {
                            &mut surface.imports
                        } else {
                            &mut surface.refused
                        };
                        names.push(stdio::line(name));
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        let name = export?.name.name;
                        surface.exports_converter |= is_version_of(name, CONVERTER);
                        if surface.exports.len() <= EXPORTS_MAX {
                            surface.exports.push(stdio::line(name));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(surface)
    }

    fn listed(mut self) -> Vec<String> {
        let more = self.refused.len().saturating_sub(LISTED_MAX);
        self.refused.truncate(LISTED_MAX);
        if more > 0 {
            self.refused.push(format!("and {more} more"));
        }
        self.refused
    }
}

/// Whether some world of ours offers the import.
fn is_offered(name: &str) -> bool {
    if CONTRACT
        .iter()
        .any(|interface| is_version_of(name, interface))
    {
        return true;
    }
    let Some((package, interface)) = name.split_once('/') else {
        return false;
    };
    INTERFACES
        .iter()
        .filter(|(known, _)| *known == package)
        .flat_map(|(_, interfaces)| *interfaces)
        .any(|known| is_version_of(interface, &format!("{known}@0.2")))
}

/// Whether `name` is `versioned` (`package/interface@MAJOR.MINOR`) with some patch version.
fn is_version_of(name: &str, versioned: &str) -> bool {
    name.strip_prefix(versioned)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Result<Interfaces, PluginError> {
        check(Path::new("x.wasm"), &wat::parse_str(text).unwrap())
    }

    fn component(imports: &str) -> String {
        format!(
            r#"(component {imports}
                (instance $empty)
                (export "kbhost:converter/converter@0.1.0" (instance $empty)))"#
        )
    }

    #[test]
    fn known_interfaces_pass() {
        let check = |name: &str| {
            check_text(&component(&format!(r#"(import "{name}" (instance))"#))).unwrap();
        };
        check("wasi:cli/environment@0.2.0");
        check("wasi:filesystem/types@0.2.12");
        check("wasi:sockets/tcp@0.2.3");
        check("kbhost:converter/job@0.1.0");
        check("kbhost:converter/types@0.1.7");
    }

    #[test]
    fn other_imports_are_refused_by_name() {
        let check = |name: &str, import: &str| match check_text(&component(import)) {
            Err(PluginError::Imports { imports, .. }) => assert_eq!(imports, [name]),
            other => panic!("{other:?} for {import}"),
        };
        for name in [
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:cli/environment@0.3.0",
            "wasi:cli/environment@0.2.0-rc-2023-11-10",
            "wasi:cli/run@0.2.0",
            "wasi:clocks/timezone@0.2.0",
            "wasi:clocks/wall-clock",
            "kbhost:converter/job@0.2.0",
            "kbhost:cloud/endpoint@0.1.0",
            "somebody:else/thing@1.0.0",
        ] {
            check(name, &format!(r#"(import "{name}" (instance))"#));
        }
        check("free-function", r#"(import "free-function" (func))"#);
        let two = r#"(import "wasi:http/types@0.2.0" (instance)) (import "a:b/c" (instance))"#;
        let error = check_text(&component(two)).unwrap_err().to_string();
        assert_eq!(
            error,
            "use `x.wasm` as a plugin: it imports wasi:http/types@0.2.0, a:b/c"
        );
    }

    #[test]
    fn imports_of_nested_components_are_their_own() {
        check_text(&component(
            r#"(component (import "wasi:http/types@0.2.0" (instance)))
               (core module (import "wasi:http" "x" (func)))"#,
        ))
        .unwrap();
        // What follows a nested binary is the component's own again.
        let after = r#"(core module) (component (core module)) (import "a:b/c" (instance))"#;
        assert!(matches!(
            check_text(&component(after)),
            Err(PluginError::Imports { .. })
        ));
    }

    #[test]
    fn a_list_of_refusals_is_bounded() {
        let imports: String = (0..100)
            .map(|n| format!(r#"(import "a:b/c{n}" (instance))"#))
            .collect();
        let Err(PluginError::Imports { imports, .. }) = check_text(&component(&imports)) else {
            panic!("accepted");
        };
        assert_eq!(imports.len(), LISTED_MAX + 1);
        assert_eq!(imports[LISTED_MAX], "and 80 more");
    }

    #[test]
    fn a_component_must_export_the_converter() {
        let check = |text: &str| {
            assert!(
                matches!(check_text(text), Err(PluginError::World { .. })),
                "{text}"
            );
        };
        check("(component)");
        check(
            r#"(component (instance $i) (export "kbhost:converter/converter@0.2.0" (instance $i)))"#,
        );
        check(
            r#"(component (component (instance $i)
                (export "kbhost:converter/converter@0.1.0" (instance $i))))"#,
        );
    }

    #[test]
    fn only_components_are_taken() {
        let check = |bytes: &[u8], expected: &str| match check(Path::new("x"), bytes) {
            Err(PluginError::NotAComponent { reason, .. }) => {
                assert!(reason.contains(expected), "{reason}");
            }
            other => panic!("{other:?} instead of {expected}"),
        };
        check(b"", "no WebAssembly");
        check(b"#!/bin/sh", "no WebAssembly");
        check(&wat::parse_str("(module)").unwrap(), "core module");
        let whole = wat::parse_str(component("(core module)")).unwrap();
        check(&whole[..whole.len() - 1], "malformed");
        let engine = wasmtime::Engine::default();
        let precompiled = engine.precompile_component(&whole).unwrap();
        check(&precompiled, "precompiled");
    }
}
