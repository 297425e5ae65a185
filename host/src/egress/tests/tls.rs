//! Certificates: who is believed. What the user trusts is read from the environment, which a test cannot change for
//! itself; so each case runs this test binary once more.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{answer, client_of, get, times, write};
use crate::egress::call::CallError;

/// Where the child finds the server.
const URL: &str = "KBHOST_TEST_TLS_URL";

/// What the child says of a call that succeeded, and of one that failed.
const ACCEPTED: &str = "the call was answered";
const REFUSED: &str = "the call failed";

/// A server with a certificate for `name` that nobody signed but itself; its port, and the certificate as text.
fn server(name: &str) -> (u16, String) {
    let signed = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            // A client that does not believe the certificate hangs up.
            if stream.read(&mut [0; 4096]).is_ok() {
                drop(stream.write_all(answer("200 OK", "", "{}").as_bytes()));
            }
        }
    });
    (port, signed.cert.pem())
}

fn child(port: u16, certificates: &std::path::Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "egress::tests::tls::the_child",
            "--ignored",
            "--nocapture",
        ])
        .env(URL, format!("https://localhost:{port}"))
        .env("SSL_CERT_FILE", certificates)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
#[ignore = "the other test's child"]
#[expect(clippy::print_stderr, reason = "tells the parent")]
fn the_child() {
    let url = std::env::var(URL).unwrap();
    let mut session = client_of(&url, None, times()).session(Arc::default(), None);
    match session.call(get("/docs/")) {
        Ok(_) => eprintln!("{ACCEPTED}"),
        Err(CallError::Network(reason)) => eprintln!("{REFUSED}: {reason}"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_certificate_that_the_user_does_not_trust_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (port, own) = server("localhost");
    let (_, others) = server("localhost");
    let (wrong_port, wrong_name) = server("other.example");
    let trust = |name: &str, text: &str| {
        let path = dir.path().join(name);
        write(&path, text);
        path
    };
    let said = child(port, &trust("others", &others));
    assert!(
        said.contains(REFUSED) && said.contains("certificate"),
        "{said}"
    );
    let said = child(wrong_port, &trust("wrong", &wrong_name));
    assert!(
        said.contains(REFUSED) && said.contains("certificate"),
        "{said}"
    );
    let said = child(port, &trust("own", &own));
    assert!(said.contains(ACCEPTED), "{said}");
}
