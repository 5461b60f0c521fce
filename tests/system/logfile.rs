//! The log in a file: for those who grep one, and for watchdogs that restart on what they find.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Gateway, PATIENCE, Sandbox, Signal, path_text, wait};

/// A gateway that also logs into `file` below its directory.
fn gateway(sandbox: &Sandbox, file: &str, level: &str) -> Gateway {
    let gateway = Gateway::with(&sandbox.api, |dir, plan| {
        let text = config(&dir.0.join(file));
        plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &text)).level(level)
    });
    gateway.await_channel("connected");
    gateway
}

fn config(file: &Path) -> String {
    format!("{{logging: {{file: \"{}\", maxFileBytes: 65536}}}}", path_text(file))
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn before(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}.1", path_text(file)))
}

/// Waits for a line with `needle` in the file.
fn await_line(file: &Path, needle: &str) {
    wait(needle, PATIENCE, || read(file).contains(needle).then_some(()));
}

#[test]
fn the_file_has_what_standard_error_has_and_is_its_owners_alone() {
    let sandbox = Sandbox::start();
    let mut gateway = gateway(&sandbox, "logs/deep/gateway.log", "connection-debug");
    let file = gateway.dir.0.join("logs/deep/gateway.log");
    sandbox.fault("close-1005", json!({}));
    await_line(&file, "session resumed");
    assert_eq!(gateway.stop(), 0);
    let (written, said) = (read(&file), gateway.run.stderr());
    assert_eq!(written, said, "the same lines, to the last");
    assert!(written.contains("closed with code 1005") && written.ends_with("stopped\n"));
    assert!(!written.contains(gateway.plan.token()) && !written.contains('\u{1b}'));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_watchdog_that_greps_it_and_restarts_does_not_find_the_same_line_again() {
    let sandbox = Sandbox::start();
    let mut gateway = gateway(&sandbox, "gateway.log", "info");
    let file = gateway.dir.0.join("gateway.log");
    sandbox.fault("close-1005", json!({}));
    await_line(&file, "closed with code 1005");
    gateway.again();
    gateway.await_channel("connected");
    await_line(&file, "session resumed");
    assert!(!read(&file).contains("closed with code 1005"), "{}", read(&file));
    assert!(read(&before(&file)).contains("closed with code 1005"));
}

#[test]
fn it_never_takes_more_than_twice_its_cap() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox, "gateway.log", "discord=trace,trace");
    let file = gateway.dir.0.join("gateway.log");
    sandbox.post("flood", &json!({"count": 3000, "rate": 0}));
    wait("a full file", PATIENCE, || {
        let (now, before) = (read(&file).len(), read(&before(&file)).len());
        assert!(now <= 65536 && before <= 65536, "{now} and {before}");
        (before > 60_000).then_some(())
    });
    sandbox.answer(&sandbox.ask("still there?"));
    // For a moment, the one has become the other and is not made anew yet.
    wait("the two files", PATIENCE, || {
        let names: Vec<String> = fs::read_dir(&gateway.dir.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("gateway.log"))
            .collect();
        assert!(names.len() <= 2, "{names:?}");
        (names.len() == 2).then_some(())
    });
}

#[test]
fn a_file_that_cannot_be_written_is_said_once_and_costs_nothing_else() {
    let sandbox = Sandbox::start();
    // A directory of the same name, a file in the place of one, and what is no file at all.
    for place in ["taken", "b.json5/gateway.log", "full"] {
        let gateway = Gateway::with(&sandbox.api, |dir, plan| {
            fs::create_dir(dir.0.join("taken")).unwrap();
            let file = if place == "full" { "/dev/full".into() } else { dir.0.join(place) };
            plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &config(&file))).level("info")
        });
        gateway.await_channel("connected");
        gateway.run.line("the log cannot be written to");
        sandbox.answer(&sandbox.ask("hello"));
        assert_eq!(gateway.run.count("cannot be written"), 1, "{}", gateway.run.output());
    }
}

#[test]
fn a_second_gateway_leaves_the_file_of_the_first_alone() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox, "gateway.log", "info");
    let file = gateway.dir.0.join("gateway.log");
    let mut second = gateway.plan_beside().run();
    assert_eq!(second.code(), 75);
    assert!(second.output().contains("another process writes its log there"));
    sandbox.fault("close-1005", json!({}));
    await_line(&file, "closed with code 1005");
    assert!(read(&file).contains("listening on") && !before(&file).exists());
}

#[test]
fn another_file_is_taken_up_without_a_restart() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox, "first.log", "info");
    let second = gateway.dir.0.join("second.log");
    gateway.dir.file("b.json5", &config(&second));
    gateway.run.signal(Signal::HUP);
    gateway.run.line("the configuration has changed");
    let connected = sandbox.state().connects(0);
    sandbox.fault("close-1005", json!({}));
    await_line(&second, "closed with code 1005");
    assert!(!read(&gateway.dir.0.join("first.log")).contains("1005"));
    assert_eq!(connected, 1, "and nothing else was touched");
}
