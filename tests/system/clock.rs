//! A board without a battery starts with the time of its last shutdown, or of 1970.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::harness::{Dir, Gateway, PATIENCE, SLACK, Sandbox, State, now, seconds, wait};

/// What makes a program believe in another time (the package `faketime`).
fn faketime() -> PathBuf {
    let dirs = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib/faketime"];
    let files = dirs.map(|dir| Path::new(dir).join("faketime/libfaketime.so.1"));
    let found = files.into_iter().find(|file| file.exists());
    found.expect("libfaketime is there: `tests/run system` installs it")
}

/// A sandbox that serves TLS with a certificate of 2024 on.
fn secure(dir: &Dir) -> Sandbox {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2024, 1, 1);
    let cert = dir.file("cert.pem", &params.self_signed(&key).unwrap().pem());
    let key = dir.file("key.pem", &key.serialize_pem());
    Sandbox::with(&["--host", "localhost", "--cert", &cert, "--key", &key])
}

#[test]
fn a_clock_that_was_never_set_is_named_and_once_it_is_set_the_bot_is_there_within_seconds() {
    let dir = Dir::new();
    let mut sandbox = secure(&dir);
    let time = dir.file("time", "@2014-03-01 12:00:00\n");
    // A wait that only a reason can make shorter.
    let config = json!({
        "net": {"caFile": dir.0.join("cert.pem")},
        "connection": {"backoff": {"initialDelay": 120_000, "maxDelay": 120_000}},
    });
    let gateway = Gateway::with(&sandbox.api, |home, plan| {
        plan.env("BARNACLE_CONFIG", &home.file("b.json5", &config.to_string()))
            .env("LD_PRELOAD", faketime().to_str().unwrap())
            .env("FAKETIME_TIMESTAMP_FILE", &time)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    });
    gateway.run.line("the clock is wrong: 2014-03-01T");
    gateway.run.line("cannot connect: certificate not valid now");
    let whole =
        || -> Value { serde_json::from_str(&gateway.cli(&["status", "--json"]).stdout()).unwrap() };
    let status = whole();
    let lacks = status["lacks"].as_str().unwrap();
    assert!(lacks.starts_with("the clock is wrong: 2014-03-01T12:0"), "{lacks}");
    assert!(lacks.ends_with("waiting for time sync"), "{lacks}");
    assert_eq!(gateway.run.count("TLS"), 0, "{}", gateway.run.output());
    let told = gateway.cli(&["status"]);
    told.line("host  the clock is wrong: 2014-03-01T");
    let doctor = gateway.cli(&["doctor"]);
    doctor.line("the clock is wrong: 2014-03-01T");
    wait("a long wait", PATIENCE, || {
        gateway.status()["nextTryIn"].as_f64().filter(|&next| next > 60.0)
    });
    let set = now();
    dir.file("time", "+0\n");
    gateway.run.line("the right time is back");
    gateway.await_channel("connected");
    assert!(set.elapsed() < seconds(15) * SLACK, "{:?}", set.elapsed());
    assert_eq!(whole()["lacks"], json!(null));
    State(sandbox.command("state")).assert_clean();
}
