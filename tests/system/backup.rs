//! A backup of a gateway that is at work, and another gateway that goes on from it.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Plan, Sandbox, Signal, millis, path_text, pause, wait};

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Of what was configured.
const CONFIG: &str =
    "{ channels: { discord: { dmPolicy: \"pairing\", groupPolicy: \"open\" } } } // mine\n";

/// Takes backups while people write; gives what they wrote.
fn backups_while_messages_flow(sandbox: &Sandbox, gateway: &Gateway) -> Vec<String> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flow = scope.spawn(|| {
            let mut asked: Vec<String> = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                asked.push(sandbox.ask(&format!("at work, {}", asked.len())));
                pause(millis(40));
            }
            asked
        });
        for n in 0..5 {
            let file = path_text(&gateway.dir.0.join(format!("{n}.tar.gz")));
            let mut taken =
                gateway.cli(&["backup", "create", "--output", &file, "--verify", "--json"]);
            assert_eq!(taken.code(), 0, "{}", taken.output());
            let told = document(&taken.stdout());
            assert_eq!(told["verified"], true, "{told}");
            assert_eq!(gateway.cli(&["backup", "verify", &file]).code(), 0);
        }
        stop.store(true, Ordering::Relaxed);
        flow.join().unwrap()
    })
}

#[test]
fn a_backup_taken_at_work_is_whole_and_another_gateway_resumes_from_it() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::configured(&sandbox.api, CONFIG);
    gateway.await_channel("connected");
    // Somebody is let in, which only the state knows.
    sandbox.direct("zoe", "may I?");
    let code = wait("a code", PATIENCE, || {
        let list = gateway.told("pairing.list", &json!({}));
        Some(list["requests"][0]["code"].as_str()?.to_owned())
    });
    assert_eq!(gateway.cli(&["pairing", "approve", &code]).code(), 0);
    let job = ["cron", "add", "--name", "noon", "--cron", "0 12 * * *", "--message", "lunch"];
    let mut added = gateway.cli(&job);
    assert_eq!(added.code(), 0, "{}", added.output());
    let asked = backups_while_messages_flow(&sandbox, &gateway);
    for id in &asked {
        sandbox.answer(id);
    }
    let file = path_text(&gateway.dir.0.join("last.tar.gz"));
    let mut taken = gateway.cli(&["backup", "create", "--output", &file]);
    assert_eq!(taken.code(), 0, "{}", taken.output());
    assert!(taken.stdout().contains("secrets"), "{}", taken.stdout());
    assert!(!taken.output().contains(gateway.plan.token()), "{}", taken.output());
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // While it runs, nothing is put under it.
    let mut early = gateway.cli(&["backup", "restore", &file, "--force"]);
    assert_eq!(early.code(), 75, "{}", early.output());
    gateway.run.kill();
    // Another place, with nothing in it.
    let config = path_text(&gateway.dir.0.join("new/b.json5"));
    let plan = gateway.plan_beside().env("BARNACLE_CONFIG", &config);
    let mut dry = plan.beside(&["backup", "restore", &file, "--dry-run"]);
    assert_eq!(dry.code(), 0, "{}", dry.output());
    assert!(!gateway.dir.0.join("other-state").exists());
    let mut restored = plan.beside(&["backup", "restore", &file]);
    assert_eq!(restored.code(), 0, "{}", restored.output());
    assert!(restored.stdout().contains("one host only"), "{}", restored.stdout());
    assert_eq!(std::fs::read_to_string(&config).unwrap(), CONFIG);
    gateway.plan = plan;
    gateway.again();
    gateway.run.line("connected: session resumed");
    assert_eq!(sandbox.state().number("/ready"), 1, "no new session was needed");
    let list = gateway.told("pairing.list", &json!({}));
    assert_eq!(list["approved"][0]["user"]["name"], "zoe", "{list}");
    assert!(gateway.cli(&["cron", "list"]).stdout().contains("noon"), "the job is there");
    sandbox.exactly_one_answer(&sandbox.direct("zoe", "still in?"));
    let state = sandbox.state();
    assert!(asked.iter().all(|id| state.answers(id).len() == 1), "each is answered once");
}

#[test]
fn a_file_that_is_no_whole_backup_changes_nothing() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let file = path_text(&gateway.dir.0.join("b.tar.gz"));
    assert_eq!(gateway.cli(&["backup", "create", "--output", &file]).code(), 0);
    assert_eq!(gateway.stop(), 0);
    let whole = std::fs::read(&file).unwrap();
    let before = listing(&gateway.plan);
    let torn = path_text(&gateway.dir.0.join("torn.tar.gz"));
    for (bytes, words) in [
        (&whole[..whole.len() / 2], "cut off"),
        (b"hello", "too short"),
        (&[whole.as_slice(), b"more"].concat(), "follows its end"),
    ] {
        std::fs::write(&torn, bytes).unwrap();
        for args in [&["backup", "verify", &torn][..], &["backup", "restore", &torn, "--force"]] {
            let mut run = gateway.plan.beside(args);
            assert_eq!(run.code(), 65, "{args:?}: {}", run.output());
            assert!(run.stderr().contains(words), "{}", run.stderr());
        }
        assert_eq!(listing(&gateway.plan), before);
    }
    // Over what is there only by force, and then it is kept.
    let mut run = gateway.plan.beside(&["backup", "restore", &file]);
    assert_eq!(run.code(), 64, "{}", run.output());
    let mut run = gateway.plan.beside(&["backup", "restore", &file, "--force"]);
    assert_eq!(run.code(), 0, "{}", run.output());
    assert!(gateway.dir.0.join("state.before-restore").exists());
    gateway.again();
    gateway.await_channel("connected");
    gateway.run.signal(Signal::TERM);
    assert_eq!(gateway.run.code(), 0);
}

/// What is in the state directory, and how long it is.
fn listing(plan: &Plan) -> Vec<(String, u64)> {
    let dir = &plan.env["BARNACLE_STATE_DIR"];
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut all: Vec<(String, u64)> = entries
        .map(|e| (e.file_name().into_string().unwrap(), e.metadata().unwrap().len()))
        .collect();
    all.sort();
    all
}
