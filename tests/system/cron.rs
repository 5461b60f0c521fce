//! Scheduled jobs: when they run, over what, and where their answers go.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, State, millis, pause, wait};

/// The sandbox's own channel.
const CHAT: &str = "channel:900000000000000010";

/// Does what the message says.
const PROGRAM: &str = r#"
IFS= read -r message || true
case $message in
*'"text":"once'*)
    case $message in *'"attempt":0'*) echo $$ > main.pid; sleep 600 ;; esac
    echo 'answered at last' ;;
*'"text":"fail'*) echo 'no luck' >&2; exit 7 ;;
*'"text":"slow'*) sleep 3; echo 'slow but sure' ;;
*'"text":"nothing'*) echo NO_REPLY ;;
*) printf 'said %s' "$(printf %s "$message" | sed 's/.*"text":"\([^"]*\)".*/\1/')" ;;
esac
"#;

/// A gateway with that program for an agent, and further keys of the file.
fn gateway(sandbox: &Sandbox, more: &Value) -> Gateway {
    let gateway = Gateway::with(&sandbox.api, |dir, plan| {
        let program = dir.file("agent.sh", PROGRAM);
        let work = dir.0.join("work");
        std::fs::create_dir_all(&work).unwrap();
        let agent = json!({
            "kind": "exec", "command": ["sh", program], "workspace": work, "timeout": 60,
        });
        let mut config = json!({ "agents": { "defaults": agent } });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &config.to_string()))
    });
    gateway.await_channel("connected");
    gateway
}

/// What `cron.add` wants, of a job that says `message` each day.
fn daily(name: &str, message: &str) -> Value {
    json!({
        "name": name,
        "schedule": {"kind": "cron", "expr": "30 2 * * *", "tz": "Europe/Berlin"},
        "sessionTarget": "isolated",
        "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": message},
        "delivery": {"mode": "announce", "channel": "discord", "to": CHAT},
    })
}

fn with(mut job: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        job[key] = value.clone();
    }
    job
}

fn add(gateway: &Gateway, job: &Value) -> String {
    gateway.told("cron.add", job)["id"].as_str().unwrap().to_owned()
}

/// How often the bot has said `text`.
fn said(state: &State, text: &str) -> usize {
    state.messages().iter().filter(|m| m["bot"] == true && m["content"] == text).count()
}

fn runs(gateway: &Gateway, id: &str) -> Vec<Value> {
    let answer = gateway.told("cron.runs", &json!({"id": id}));
    answer["entries"].as_array().unwrap().clone()
}

/// Runs a job now, and waits for its end.
fn run(gateway: &Gateway, id: &str) -> Value {
    let answer = gateway.told("cron.run", &json!({"id": id, "mode": "force"}));
    let run = answer["runId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    wait("the end of the run", PATIENCE, || {
        let answer = gateway.told("cron.runs", &json!({"id": id, "runId": run}));
        answer["entries"].get(0).cloned()
    })
}

/// The published keys of a job (`CronJob`), of its state, and of a run (`CronRunLogEntry`): others
/// would break strict clients.
const JOB: &[&str] = &[
    "id",
    "declarationKey",
    "displayName",
    "owner",
    "agentId",
    "sessionKey",
    "name",
    "description",
    "enabled",
    "deleteAfterRun",
    "createdAtMs",
    "updatedAtMs",
    "configRevision",
    "schedule",
    "sessionTarget",
    "wakeMode",
    "payload",
    "delivery",
    "failureAlert",
    "state",
    "nextRunAtMs",
    "lastRunAtMs",
    "lastRunStatus",
    "lastRunError",
    "lastDelivered",
    "lastDeliveryStatus",
    "lastDeliveryError",
    "deliverySuppressionReason",
];
const STATE: &[&str] = &[
    "nextRunAtMs",
    "runningAtMs",
    "lastRunAtMs",
    "lastRunStatus",
    "lastStatus",
    "lastError",
    "lastDurationMs",
    "consecutiveErrors",
    "consecutiveSkipped",
    "lastDelivered",
    "lastDeliveryStatus",
    "lastDeliveryError",
    "deliverySuppressionReason",
    "lastFailureAlertAtMs",
];
const ENTRY: &[&str] = &[
    "ts",
    "jobId",
    "jobName",
    "action",
    "status",
    "completionStatus",
    "error",
    "summary",
    "delivered",
    "deliveryStatus",
    "deliveryError",
    "deliverySuppressionReason",
    "delivery",
    "sessionKey",
    "runId",
    "runAtMs",
    "durationMs",
];

fn assert_published(value: &Value, keys: &[&str]) {
    for key in value.as_object().unwrap().keys() {
        assert!(keys.contains(&key.as_str()), "{key} is not published: {value}");
    }
}

#[test]
fn a_job_runs_when_it_is_due_and_its_answer_arrives_once() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox, &json!({}));
    let added = gateway.cli(&[
        "cron",
        "add",
        "--at",
        "2s",
        "--message",
        "good morning",
        "--name",
        "morning",
        "--to",
        CHAT,
        "--json",
    ]);
    let added: Value = serde_json::from_str(&added.stdout()).unwrap();
    let id = added["id"].as_str().unwrap();
    assert_eq!(added["deleteAfterRun"], true);
    sandbox.until("the words of the job", PATIENCE, |state| {
        (said(state, "said good morning") == 1).then_some(())
    });
    let entry = wait("the end of the run", PATIENCE, || runs(&gateway, id).first().cloned());
    assert_eq!((&entry["status"], &entry["deliveryStatus"]), (&json!("ok"), &json!("delivered")));
    assert_eq!(entry["summary"], "said good morning");
    assert_published(&entry, ENTRY);
    // It was due once, went well, and is gone.
    let list = gateway.told("cron.list", &json!({"includeDisabled": true}));
    assert_eq!(list["jobs"], json!([]));
    let shown = gateway.cli(&["cron", "runs", id]);
    assert!(shown.stdout().contains("morning"), "{}", shown.output());
    // What the bot said tells the job that said it.
    let state = sandbox.state();
    let message = state.messages().into_iter().find(|m| m["content"] == "said good morning");
    let number = message.unwrap()["id"].as_str().unwrap().to_owned();
    let why = gateway.cli(&["why", &number]);
    assert!(why.stdout().contains("morning"), "{}", why.output());
    pause(millis(1500));
    assert_eq!(said(&sandbox.state(), "said good morning"), 1);
}

#[test]
fn a_run_that_a_crash_interrupted_is_run_again_and_says_its_words_once() {
    let sandbox = Sandbox::start();
    let mut gateway = gateway(&sandbox, &json!({}));
    let id = add(&gateway, &daily("nightly", "once more"));
    gateway.told("cron.run", &json!({"id": id}));
    let pid = gateway.dir.0.join("work/main.pid");
    wait("the agent", PATIENCE, || std::fs::read_to_string(&pid).ok());
    gateway.again();
    sandbox.until("the words of the job", PATIENCE, |state| {
        (said(state, "answered at last") == 1).then_some(())
    });
    let entry = wait("the end of the run", PATIENCE, || runs(&gateway, &id).first().cloned());
    assert_eq!((&entry["status"], &entry["delivered"]), (&json!("ok"), &json!(true)), "{entry}");
    // Killed at once, it is known that this run is over.
    gateway.again();
    gateway.await_channel("connected");
    pause(millis(1500));
    assert_eq!(said(&sandbox.state(), "answered at last"), 1);
    assert_eq!(runs(&gateway, &id).len(), 1);
}

#[test]
fn killed_while_its_words_are_on_their_way_they_arrive_once() {
    let sandbox = Sandbox::start();
    let mut gateway = gateway(&sandbox, &json!({}));
    let id = add(&gateway, &daily("nightly", "hello there"));
    // The message is posted, and the answer to that never comes.
    sandbox.fault("rest-cut", json!({}));
    gateway.told("cron.run", &json!({"id": id}));
    sandbox.until("the words of the job", PATIENCE, |state| {
        (said(state, "said hello there") == 1).then_some(())
    });
    gateway.again();
    let entry = wait("the end of the run", PATIENCE, || runs(&gateway, &id).first().cloned());
    assert_eq!((&entry["status"], &entry["delivered"]), (&json!("ok"), &json!(true)), "{entry}");
    pause(millis(1500));
    assert_eq!(said(&sandbox.state(), "said hello there"), 1);
}

/// Writes a record behind the others in the file of jobs, as a gateway would.
fn append(file: &Path, record: &Value) {
    let text = record.to_string();
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length);
    sum.update(text.as_bytes());
    let mut bytes = length.to_vec();
    bytes.extend(sum.finalize().to_le_bytes());
    bytes.extend(text.as_bytes());
    let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(&bytes).unwrap();
}

#[test]
fn what_was_missed_while_it_was_down_follows_the_jobs_own_rule() {
    let sandbox = Sandbox::start();
    let mut gateway = gateway(&sandbox, &json!({}));
    // Each is due half an hour ago, and half an hour from now.
    let probe = gateway.told("cron.add", &daily("probe", "probe"));
    let now = probe["createdAtMs"].as_u64().unwrap();
    let anchor = now % 3_600_000 + 1_800_000;
    let hourly = |name: &str, policy: Value| {
        let schedule = json!({"kind": "every", "everyMs": 3_600_000, "anchorMs": anchor});
        with(daily(name, name), &json!({"schedule": schedule, "policy": policy}))
    };
    let jobs = [
        ("run", json!({"missed": "run"})),
        ("skip", json!({"missed": "skip"})),
        ("wide", json!({"missed": "window", "windowMs": 3_600_000})),
        ("narrow", json!({"missed": "window", "windowMs": 60_000})),
    ]
    .map(|(name, policy)| (name, add(&gateway, &hourly(name, policy))));
    assert_eq!(gateway.stop(), 0);
    // As if it had been away since five hours ago.
    let file = gateway.dir.0.join("state/cron.log");
    let done = now - 5 * 3_600_000;
    for (_, id) in &jobs {
        let progress = json!({"done": done, "since": done});
        append(&file, &json!({"state": {"id": id, "progress": progress, "tally": {}}}));
    }
    gateway.again();
    for (name, id) in &jobs {
        let entries = wait("what became of it", PATIENCE, || {
            let entries = runs(&gateway, id);
            let wanted = if matches!(*name, "run" | "wide") { 2 } else { 1 };
            (entries.len() == wanted).then_some(entries)
        });
        let errors: Vec<&str> =
            entries.iter().filter_map(|entry| entry["error"].as_str()).collect();
        let word = if matches!(*name, "run" | "wide") { "4 runs" } else { "5 runs" };
        assert!(errors[0].starts_with(word), "{name}: {errors:?}");
        let has_run = entries.iter().any(|entry| entry["status"] == "ok");
        assert_eq!(has_run, matches!(*name, "run" | "wide"), "{name}: {entries:?}");
    }
    let state = sandbox.state();
    for (name, times) in [("run", 1), ("skip", 0), ("wide", 1), ("narrow", 0)] {
        assert_eq!(said(&state, &format!("said {name}")), times, "{name}");
    }
    // Once more: nothing of it comes again.
    gateway.again();
    gateway.await_channel("connected");
    pause(millis(1500));
    for (name, id) in &jobs {
        let count = if matches!(*name, "run" | "wide") { 2 } else { 1 };
        assert_eq!(runs(&gateway, id).len(), count, "{name}");
    }
}

#[test]
fn a_file_that_is_torn_or_damaged_costs_what_lies_behind_and_is_said() {
    let sandbox = Sandbox::start();
    let mut gateway = gateway(&sandbox, &json!({}));
    let id = add(&gateway, &daily("kept", "kept"));
    gateway.run.kill();
    let file = gateway.dir.0.join("state/cron.log");
    let whole = std::fs::read(&file).unwrap();
    let mut torn = whole.clone();
    torn.extend([40, 0, 0, 0, 1, 2, 3, 4, b'{']);
    let mut damaged = whole.clone();
    damaged.extend(vec![40; 100_000]);
    for (bytes, is_said) in [(torn, false), (damaged, true)] {
        std::fs::write(&file, bytes).unwrap();
        gateway.again();
        let list = gateway.told("cron.list", &json!({}));
        assert_eq!(list["jobs"][0]["id"], *id, "{list}");
        assert_eq!(gateway.run.count("was damaged and put aside") > 0, is_said);
        gateway.run.kill();
    }
    // Where the file cannot be had at all, all else works, and nothing is half-done.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    gateway.again();
    let refused = gateway.rpc("cron.add", &daily("new", "new")).unwrap_err();
    assert!(refused.contains("nothing was changed"), "{refused}");
    assert_eq!(gateway.told("cron.list", &json!({}))["jobs"], json!([]));
    assert!(gateway.told("cron.status", &json!({}))["problem"].is_string());
    gateway.await_channel("connected");
    let asked = sandbox.ask("are you there?");
    assert!(sandbox.answer(&asked).contains("are you there?"));
}

#[test]
fn who_is_told_of_failures_is_told_once_for_several() {
    let sandbox = Sandbox::start();
    let alert = json!({"cron": {"failureAlert": {"after": 2, "to": CHAT}}});
    let gateway = gateway(&sandbox, &alert);
    let id = add(
        &gateway,
        &with(daily("backup", "fail please"), &json!({"delivery": {"mode": "none"}})),
    );
    for count in 1..=4_u64 {
        let entry = run(&gateway, &id);
        assert_eq!(entry["status"], "error", "{entry}");
        let job = gateway.told("cron.get", &json!({"id": id}));
        assert_eq!(job["state"]["consecutiveErrors"], count);
    }
    let alerts = |state: &State| {
        let is_it =
            |m: &&Value| m["content"].as_str().is_some_and(|t| t.contains("failed 2 times"));
        state.messages().into_iter().filter(is_it).count()
    };
    sandbox.until("the alert", PATIENCE, |state| (alerts(state) == 1).then_some(()));
    pause(millis(1000));
    let state = sandbox.state();
    let list = gateway.told("cron.list", &json!({}));
    assert_published(&list["jobs"][0], JOB);
    assert_published(&list["jobs"][0]["state"], STATE);
    for entry in runs(&gateway, &id) {
        assert_published(&entry, ENTRY);
    }
    let told = state
        .messages()
        .into_iter()
        .filter(|m| m["content"].as_str().is_some_and(|text| text.contains("\"backup\" failed")));
    assert_eq!(told.count(), 1, "the third and the fourth are within the cooldown");
    let shown = gateway.cli(&["cron", "list"]);
    assert!(shown.stdout().contains("error (4x)"), "{}", shown.output());
}

/// A server that answers with these statuses, one after the other, and keeps what it was sent.
fn server(statuses: &'static [u16]) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = heard.clone();
    std::thread::spawn(move || {
        for (status, stream) in statuses.iter().zip(listener.incoming()) {
            let Ok(mut stream) = stream else { return };
            let mut text = String::new();
            let mut buffer = [0; 4096];
            loop {
                let count = stream.read(&mut buffer).unwrap_or(0);
                text.push_str(&String::from_utf8_lossy(&buffer[..count]));
                let lower = text.to_lowercase();
                let length = lower
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split("\r\n").next()?.trim().parse::<usize>().ok());
                let body = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
                if count == 0 || length.is_some_and(|length| body >= length) {
                    break;
                }
            }
            into.lock().unwrap().push(text);
            let answer =
                format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, heard)
}

#[test]
fn a_webhook_gets_the_run_and_is_tried_again_under_the_same_key() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox, &json!({}));
    let (port, heard) = server(&[503, 200]);
    let url = format!("http://127.0.0.1:{port}/hook?secret=abc");
    let to = json!({"delivery": {"mode": "webhook", "to": url}});
    let id = add(&gateway, &with(daily("report", "all is well"), &to));
    let entry = run(&gateway, &id);
    assert_eq!((&entry["status"], &entry["delivered"]), (&json!("ok"), &json!(true)), "{entry}");
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 2, "{heard:?}");
    let key = |text: &str| {
        let lines = text.lines().map(str::to_lowercase);
        lines.filter(|line| line.starts_with("idempotency-key: ")).collect::<Vec<_>>()
    };
    assert_eq!(key(&heard[0]), key(&heard[1]));
    assert_eq!(key(&heard[0]).len(), 1);
    let body: Value = serde_json::from_str(heard[1].split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["action"], "finished");
    assert_eq!((&body["jobId"], &body["summary"]), (&json!(id), &json!("said all is well")));
    // One that refuses is not asked again, and that is a failure; its address stays ours.
    let (port, heard) = server(&[400, 200]);
    let url = format!("http://127.0.0.1:{port}/hook?secret=abc");
    gateway.told("cron.update", &json!({"id": id, "patch": {"delivery": {"to": url}}}));
    let entry = run(&gateway, &id);
    assert_eq!(entry["status"], "error", "{entry}");
    let error = entry["deliveryError"].as_str().unwrap();
    assert!(error.contains("HTTP 400") && !error.contains("secret"), "{error}");
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[test]
fn an_agent_that_has_nothing_to_say_says_nothing_and_the_last_chat_is_the_one_answered() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox, &json!({}));
    let last = json!({"delivery": {"mode": "announce", "channel": "last"}});
    let id = add(&gateway, &with(daily("last", "to the last"), &last));
    let entry = run(&gateway, &id);
    assert_eq!(entry["status"], "error", "nobody has been answered yet: {entry}");
    assert!(entry["error"].as_str().unwrap().contains("no chat has been answered yet"), "{entry}");
    let asked = sandbox.direct("ann", "hello");
    sandbox.answer(&asked);
    let entry = run(&gateway, &id);
    assert_eq!(entry["status"], "ok", "{entry}");
    let direct = sandbox.state();
    let message = direct.messages().into_iter().find(|m| m["content"] == "said to the last");
    assert!(message.is_some(), "it is in the chat of the one who asked");
    let quiet = add(&gateway, &daily("quiet", "nothing new"));
    let entry = run(&gateway, &quiet);
    assert_eq!((&entry["status"], &entry["delivered"]), (&json!("ok"), &json!(false)), "{entry}");
    assert!(entry["deliverySuppressionReason"].is_string());
}

/// What makes no sense in a job, and what is said to it.
fn nonsense() -> Vec<(Value, &'static str)> {
    let long = "x".repeat(17_000);
    vec![
        (json!({"name": ""}), "name must have"),
        (json!({"name": 5}), "invalid type"),
        (json!({"name": "x".repeat(201)}), "name must have"),
        (json!({"name": "a\u{1b}[2J"}), "control characters"),
        (json!({"surprise": 1}), "unknown field"),
        (json!({"schedule": {"kind": "cron", "expr": "61 * * * *"}}), "the minute"),
        (
            json!({"schedule": {"kind": "cron", "expr": "* * * * *", "tz": "Europe/Berlni"}}),
            "did you mean Europe/Berlin",
        ),
        (json!({"schedule": {"kind": "every", "everyMs": 5}}), "at least 1000"),
        (json!({"schedule": {"kind": "every", "everyMs": -5}}), "invalid value"),
        (json!({"schedule": {"kind": "at", "at": "2020-01-01T00:00:00Z"}}), "in the past"),
        (json!({"schedule": {"kind": "at", "at": "2999-01-01T00:00:00Z"}}), "too far"),
        (json!({"schedule": {"kind": "at", "at": "tomorrow"}}), "is no time"),
        (json!({"schedule": {"kind": "on-exit", "command": "true"}}), "at, every or cron"),
        (json!({"schedule": null}), "invalid type"),
        (json!({"payload": {"kind": "command", "argv": ["id"]}}), "never over the wire"),
        (json!({"payload": {"kind": "agentTurn", "message": " "}}), "says nothing"),
        (json!({"payload": {"kind": "agentTurn", "message": long}}), "longer than"),
        (json!({"sessionTarget": "main"}), "systemEvent"),
        (json!({"sessionTarget": "session:"}), "sessionTarget"),
        (json!({"wakeMode": "later"}), "unknown variant"),
        (json!({"agentId": "nobody"}), "there is no such agent"),
        (json!({"delivery": {"mode": "announce", "to": "#general"}}), "channel:ID"),
        (
            json!({"delivery": {"mode": "announce", "channel": "telegram"}}),
            "must be one of: discord",
        ),
        (json!({"delivery": {"mode": "announce", "accountId": "wrok"}}), "no account"),
        (json!({"delivery": {"mode": "webhook"}}), "webhook"),
        (json!({"delivery": {"mode": "webhook", "to": "ftp://x"}}), "http(s)"),
        (json!({"policy": {"missed": "window"}}), "windowMs"),
        (json!({"policy": {"missed": "never"}}), "unknown variant"),
        (json!({"failureAlert": true}), "failureAlert"),
        (json!({"trigger": {"script": "1"}}), "not supported"),
    ]
}

#[test]
fn what_makes_no_sense_is_refused_by_name_and_changes_nothing() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox, &json!({}));
    let id = add(&gateway, &daily("kept", "kept"));
    let before = gateway.told("cron.list", &json!({"includeDisabled": true}));
    for (change, hint) in nonsense() {
        let refused = gateway.rpc("cron.add", &with(daily("new", "new"), &change));
        let refused = refused.expect_err(&change.to_string());
        assert!(refused.contains(hint), "{change}: {refused}");
        assert!(refused.len() < 600 && !refused.contains('\u{1b}'), "{refused}");
        if change.get("surprise").is_none() {
            let refused = gateway.rpc("cron.update", &json!({"id": id, "patch": change}));
            assert!(refused.is_err() || change == json!({"schedule": null}), "{change}");
        }
    }
    for (method, params, hint) in [
        ("cron.get", json!({"id": "nope"}), "cron job not found: nope"),
        ("cron.remove", json!({"id": "nope"}), "Automation not found"),
        ("cron.run", json!({"id": "nope"}), "Automation not found"),
        ("cron.runs", json!({"id": "nope"}), "Automation not found"),
        ("cron.update", json!({"id": "nope", "patch": {}}), "Automation not found"),
        ("cron.update", json!({"id": id, "patch": 5}), "must be an object"),
        ("cron.update", json!({"patch": {}}), "missing id"),
        ("cron.list", json!({"limit": 0}), "limit must be from 1"),
        ("cron.list", json!({"limit": 201}), "limit must be from 1"),
        ("cron.list", json!({"sortBy": "luck"}), "sortBy must be one of"),
        ("cron.list", json!({"offset": -1}), "invalid"),
        ("cron.list", json!({"surprise": 1}), "unknown field"),
        ("cron.runs", json!({"scope": "job"}), "missing id"),
        ("cron.dance", json!({}), "unknown method"),
    ] {
        let refused = gateway.rpc(method, &params).expect_err(method);
        assert!(refused.contains(hint), "{method} {params}: {refused}");
    }
    let after = gateway.told("cron.list", &json!({"includeDisabled": true}));
    assert_eq!(before["jobs"], after["jobs"]);
}

#[test]
fn jobs_are_made_shown_changed_and_removed_by_the_command_line() {
    let sandbox = Sandbox::start();
    let mut gateway = gateway(&sandbox, &json!({}));
    let cli = |gateway: &Gateway, args: &[&str], code: i32| {
        let mut run = gateway.cli(&[&["cron"][..], args].concat());
        assert_eq!(run.code(), code, "{args:?}: {}", run.output());
        run.output()
    };
    cli(&gateway, &["add", "0 7 * * MON-FRI", "good morning", "--tz", "Europe/Berlin"], 0);
    cli(
        &gateway,
        &[
            "add",
            "--every",
            "1h30m",
            "--message",
            "look around",
            "--name",
            "look",
            "--missed",
            "window:10m",
            "--overlap",
            "queue",
            "--no-deliver",
            "--disabled",
        ],
        0,
    );
    cli(&gateway, &["add", "--at", "+20m", "--system-event", "wake up", "--keep-after-run"], 0);
    let list = cli(&gateway, &["list"], 0);
    assert!(list.contains("0 7 * * MON-FRI (Europe/Berlin)") && list.contains("in 19m"), "{list}");
    assert!(!list.contains("look"), "it is switched off: {list}");
    assert!(cli(&gateway, &["list", "--all"], 0).contains("disabled"));
    let shown = cli(&gateway, &["show", "look"], 0);
    assert!(shown.contains("every 1h30m") && shown.contains("window of 10m"), "{shown}");
    cli(&gateway, &["edit", "look", "--every", "2h", "--enable", "--missed", "skip"], 0);
    let shown = cli(&gateway, &["show", "look"], 0);
    assert!(shown.contains("every 2h") && shown.contains("if missed   skip"), "{shown}");
    assert!(shown.matches(':').count() > 3, "three times are shown: {shown}");
    // All of it is there after a crash.
    gateway.again();
    let document = gateway.cli(&["automations", "list", "--all", "--json"]);
    let document: Value = serde_json::from_str(&document.stdout()).unwrap();
    assert_eq!(document["total"], 3);
    for key in ["snapshotRevision", "offset", "limit", "hasMore", "nextOffset", "deliveryPreviews"]
    {
        assert!(document.get(key).is_some(), "{key}: {document}");
    }
    let job =
        document["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "look").unwrap();
    assert_eq!((&job["status"], &job["schedule"]["everyMs"]), (&json!("idle"), &json!(7_200_000)));
    let ran = cli(&gateway, &["run", "look", "--wait"], 0);
    assert!(ran.contains("said look around"), "{ran}");
    cli(&gateway, &["disable", "look"], 0);
    cli(&gateway, &["rm", "look"], 0);
    assert!(cli(&gateway, &["rm", "look"], 64).contains("there is no job"));
    assert!(cli(&gateway, &["add", "--at", "2020-01-01", "--message", "x"], 65).contains("past"));
    assert!(cli(&gateway, &["add", "--message", "x"], 64).contains("when is it due"));
    assert!(cli(&gateway, &["status"], 0).contains("jobs     2"));
}

#[test]
fn a_run_that_goes_on_makes_the_next_wait_or_be_left_out() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox, &json!({}));
    let often =
        json!({"schedule": {"kind": "every", "everyMs": 1000}, "delivery": {"mode": "none"}});
    let id = add(&gateway, &with(daily("often", "slow one"), &often));
    let entries = wait("a run and what was left out", PATIENCE, || {
        let entries = runs(&gateway, &id);
        let has = |status: &str| entries.iter().any(|entry| entry["status"] == status);
        (has("ok") && has("skipped")).then_some(entries)
    });
    let left_out = entries.iter().find(|entry| entry["status"] == "skipped").unwrap();
    assert!(left_out["error"].as_str().unwrap().contains("the run before still goes on"));
    let refused = gateway.told("cron.run", &json!({"id": id, "mode": "due"}));
    assert_eq!(refused["ran"], false);
    gateway.told("cron.remove", &json!({"id": id}));
}
