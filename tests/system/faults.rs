//! Every fault that the sandbox knows, each with its promise, as `drill --list` prints them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Run, SLACK, Sandbox, State, millis, pause, seconds, wait};

/// Faults that are played at a time, each to a gateway of its own. They mostly wait.
const AT_ONCE: usize = 12;
/// Two heartbeats and a bit: whoever stays up for so long is up.
const LASTING: Duration = Duration::from_secs(9);
/// Connects after which a parked account has not parked.
const PARKED_CONNECTS_MAX: usize = 2;

struct Fault {
    name: String,
    promise: String,
    within: Duration,
}

#[test]
fn every_fault_is_healed_as_promised() {
    let mut faults = listed();
    let names: Vec<Value> = faults.iter().map(|fault| json!(fault.name)).collect();
    assert_eq!(Sandbox::start().get("faults"), json!(names), "what can be played is promised");
    // Those that take longest begin first.
    faults.sort_by_key(|fault| fault.within);
    let (waiting, broken) = (Mutex::new(faults), Mutex::new(Vec::new()));
    let work = || {
        while let Some(fault) = take(&waiting) {
            let Fault { name, promise, within } = &fault;
            match catch_unwind(AssertUnwindSafe(|| play(&fault))) {
                Ok(took) => {
                    println!("{name:17} {promise} {:.2} s of {within:?}", took.as_secs_f64());
                }
                Err(why) => {
                    println!("{name:17} {promise} {within:?}: BROKEN: {}", words(&*why));
                    broken.lock().unwrap().push(fault.name);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "broken promises: {}", broken.join(", "));
}

fn listed() -> Vec<Fault> {
    let mut list = Run::start(&["drill", "--list", "--json"], &[]);
    assert_eq!(list.code(), 0);
    let rows: Vec<Value> = serde_json::from_str(&list.stdout()).unwrap();
    let fault = |row: &Value| Fault {
        name: row["name"].as_str().unwrap().to_owned(),
        promise: row["promise"].as_str().unwrap().to_owned(),
        within: seconds(row["withinSeconds"].as_u64().unwrap()),
    };
    rows.iter().map(fault).collect()
}

fn take(waiting: &Mutex<Vec<Fault>>) -> Option<Fault> {
    waiting.lock().unwrap().pop()
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?")
}

/// Plays one fault to a gateway that is connected; how long the recovery took.
fn play(fault: &Fault) -> Duration {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let ms = sandbox.fault(&fault.name, json!({}));
    let took = match fault.promise.as_str() {
        "resumed within" => {
            let took = sandbox.recovery(ms, "resumed", fault.within);
            assert_eq!(sandbox.state().number("/identifies"), 1, "the session was burnt");
            took
        }
        "a new session within" => sandbox.recovery(ms, "ready", fault.within),
        "back for good within" => back_for_good(&sandbox, ms, fault.within),
        "parked" => return parked(&sandbox, &mut gateway, ms, fault.within),
        "answered once within" => answered_once(&sandbox, ms, fault.within),
        "answered without a disconnect within" => {
            let id = sandbox.ask("are you there?");
            let patience = fault.within * SLACK;
            let (at, _) = sandbox.until("an answer", patience, |state| state.answers(&id).pop());
            stays_up(&sandbox, ms, fault.within);
            assert_eq!(sandbox.state().answers(&id).len(), 1, "answered once");
            millis(at - ms)
        }
        "undisturbed for" => {
            let id = sandbox.ask("are you there?");
            stays_up(&sandbox, ms, fault.within);
            assert!(sandbox.state().answers(&id).is_empty(), "it was not to be tried again");
            fault.within
        }
        other => panic!("what is {other:?}?"),
    };
    assert!(sandbox.answer(&sandbox.ask("and now?")).ends_with("and now?"));
    assert!(gateway.run.is_running());
    assert_eq!(gateway.channel(), "connected");
    sandbox.state().assert_clean();
    took
}

/// Live, and that for longer than it takes a heartbeat to prove it.
fn back_for_good(sandbox: &Sandbox, ms: u64, within: Duration) -> Duration {
    let patience = within * SLACK + LASTING;
    let took = sandbox.until("a connection that lasts", patience, |state| {
        let is_live = |what: &str| matches!(what, "resumed" | "ready");
        let is_end = |what: &str| matches!(what, "closed" | "left");
        let events = state.events();
        let last = events.iter().rfind(|e| e.ms >= ms && (is_live(&e.what) || is_end(&e.what)));
        let last = last.filter(|event| is_live(&event.what))?;
        (millis(state.ms() - last.ms) > LASTING).then(|| millis(last.ms - ms))
    });
    assert!(took < within * SLACK, "took {took:?}");
    took
}

fn parked(sandbox: &Sandbox, gateway: &mut Gateway, ms: u64, look: Duration) -> Duration {
    let is_parked = |status: &str| matches!(status, "auth_required" | "error");
    let took = wait("the account to park", look * SLACK, || {
        is_parked(&gateway.channel()).then(|| millis(sandbox.state().ms() - ms))
    });
    pause(look.saturating_sub(took));
    let connects = sandbox.state().connects(ms);
    assert!(connects <= PARKED_CONNECTS_MAX, "{connects} connects");
    assert!(is_parked(&gateway.channel()) && gateway.run.is_running());
    sandbox.state().assert_clean();
    took
}

fn answered_once(sandbox: &Sandbox, ms: u64, within: Duration) -> Duration {
    let id = sandbox.ask("are you there?");
    let patience = within * SLACK;
    sandbox.until("an answer", patience, |state| state.answers(&id).pop());
    assert!(sandbox.exactly_one_answer(&id).ends_with("are you there?"));
    millis(sandbox.state().answers(&id)[0].0 - ms)
}

/// The connection that there was lives on until `within` after the fault.
fn stays_up(sandbox: &Sandbox, ms: u64, within: Duration) {
    let until = ms + u64::try_from(within.as_millis()).unwrap();
    let is_over = |state: &State| (state.ms() > until).then_some(());
    sandbox.until("time to pass", within + PATIENCE, is_over);
    let state = sandbox.state();
    let ends: Vec<_> = ["closed", "left"].iter().flat_map(|what| state.after(ms, what)).collect();
    assert!(ends.is_empty(), "the connection ended: {ends:?}");
}
