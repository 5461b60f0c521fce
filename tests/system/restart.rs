//! Ends and new beginnings: crashes, signals, and what a session survives.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Dir, Gateway, PATIENCE, Plan, Run, Sandbox, Signal, State, millis, now, pause, seconds,
};

/// Crashes of the one test about them.
const CRASHES: u64 = 100;
/// People who write during the crashes. Discord takes five posts per five seconds in each chat.
const PEOPLE: u64 = 20;

/// Waits until the sandbox has sent RESUMED `count` times.
fn resumed(sandbox: &Sandbox, count: u64) -> State {
    let what = format!("RESUMED number {count}");
    sandbox.until(&what, PATIENCE, |state| {
        (state.number("/resumed") >= count).then(|| State(state.0.clone()))
    })
}

/// Numbers that look random and are the same in every run.
fn dice(seed: &mut u64, sides: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % sides
}

#[test]
fn a_hundred_kills_lose_nothing_answer_nothing_twice_and_cost_no_identify() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let (mut seed, mut asked) = (1, Vec::new());
    for crash in 1..=CRASHES {
        let author = format!("person-{}", dice(&mut seed, PEOPLE));
        // Before, around and after the crash.
        let id = sandbox.direct(&author, &format!("number {crash}"));
        asked.push((id, crash));
        pause(millis(dice(&mut seed, 120)));
        gateway.run.kill();
        if crash % 3 == 0 {
            let id = sandbox.direct(&author, &format!("number {}", 1000 + crash));
            asked.push((id, 1000 + crash));
        }
        gateway.run = gateway.plan.run();
        resumed(&sandbox, crash);
        pause(millis(dice(&mut seed, 200)));
    }
    for (id, number) in &asked {
        assert_eq!(sandbox.answer(id), format!("number {number}"));
    }
    // What would come twice would come now.
    pause(seconds(3));
    let state = sandbox.state();
    for (id, number) in &asked {
        let answers = state.answers(id);
        assert_eq!(answers.len(), 1, "number {number} was answered so: {answers:?}");
    }
    assert_eq!((state.number("/identifies"), state.number("/op9")), (1, 0));
    assert_eq!(state.number("/resumes"), CRASHES);
    state.assert_clean();
}

#[test]
fn sigterm_drains_and_the_next_start_resumes() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"cpuMs": 1500}}});
    let mut gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let id = sandbox.ask("what will you say?");
    gateway.run.line("the agent is at work");
    assert_eq!(gateway.stop(), 0, "{}", gateway.run.output());
    let state = sandbox.state();
    assert_eq!(state.answers(&id).len(), 1, "what was being answered is answered");
    assert_eq!(state.bot()["left"], json!({"4000": 1}), "by 4000 the session lives on");
    gateway.again();
    let state = resumed(&sandbox, 1);
    assert_eq!(state.number("/identifies"), 1);
    pause(seconds(2));
    assert_eq!(sandbox.state().answers(&id).len(), 1, "answered twice");
    sandbox.state().assert_clean();
}

#[test]
fn ctrl_c_ends_like_sigterm() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    gateway.run.signal(Signal::INT);
    assert_eq!(gateway.run.code(), 0);
    assert_eq!(sandbox.state().bot()["left"], json!({"4000": 1}));
}

#[test]
fn a_second_sigterm_ends_at_once() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"cpuMs": 30_000}}});
    let mut gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    sandbox.ask("think for half a minute");
    gateway.run.line("the agent is at work");
    gateway.run.signal(Signal::TERM);
    gateway.run.line("stopping");
    pause(millis(500));
    assert!(gateway.run.is_running(), "it drains for 8 s");
    let asked = now();
    gateway.run.signal(Signal::TERM);
    gateway.run.exit(PATIENCE);
    assert!(asked.elapsed() < seconds(2), "it took {:?}", asked.elapsed());
}

#[test]
fn an_agent_that_does_not_finish_cannot_hold_up_the_end() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"cpuMs": 30_000}}});
    let mut gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    sandbox.ask("think for half a minute");
    gateway.run.line("the agent is at work");
    let asked = now();
    assert_eq!(gateway.stop(), 0);
    let took = asked.elapsed();
    assert!(took < seconds(8) + Duration::from_secs(5), "the drain of 8 s took {took:?}");
}

#[test]
fn what_was_not_answered_before_the_end_is_answered_after_the_next_start() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    assert_eq!(gateway.stop(), 0);
    let id = sandbox.ask("said while you were away");
    gateway.again();
    assert!(sandbox.exactly_one_answer(&id).ends_with("said while you were away"));
    assert_eq!(sandbox.state().number("/identifies"), 1);
}

#[test]
fn sigusr1_restarts_the_channel_by_resume() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let pid = gateway.run.pid();
    gateway.run.signal(Signal::USR1);
    let state = resumed(&sandbox, 1);
    assert_eq!(state.bot()["left"], json!({"4000": 1}));
    assert_eq!(state.number("/identifies"), 1);
    gateway.await_channel("connected");
    assert_eq!(gateway.run.pid(), pid);
    sandbox.state().assert_clean();
}

#[test]
fn a_session_that_is_damaged_on_disk_costs_one_identify_and_no_more() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    assert_eq!(gateway.stop(), 0);
    for file in ["state/discord.session", "run/barnacle/discord.cursor"] {
        std::fs::write(gateway.dir.0.join(file), b"\0garbage\xff").unwrap();
    }
    // When the last IDENTIFY was is forgotten with the rest; they need 5 s between them.
    pause(seconds(6));
    gateway.again();
    gateway.await_channel("connected");
    assert_eq!(sandbox.state().number("/identifies"), 2);
    assert!(gateway.run.output().contains("put aside"), "{}", gateway.run.output());
}

#[test]
fn a_second_process_with_the_same_token_names_the_first_and_leaves() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let mut second = gateway.plan_beside().run();
    assert_eq!(second.code(), 75);
    let pid = format!("process {}", gateway.run.pid());
    assert!(second.stderr().contains(&pid), "{}", second.stderr());
    let state = sandbox.state();
    assert_eq!(state.number("/identifies"), 1);
    state.assert_clean();
}

#[test]
fn the_lock_is_free_again_when_its_holder_is_killed() {
    let sandbox = Sandbox::start();
    let mut first = Gateway::connected(&sandbox);
    first.run.kill();
    let second: Run = first.plan_beside().run();
    second.line("connected");
}

#[test]
fn identifys_keep_their_distance_over_restarts() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    // Each start finds its session refused, and wants a new one at once.
    sandbox.fault("resume-op9-false", json!({"cleared": true, "kick": false}));
    for identifies in 2..=3 {
        gateway.again();
        sandbox
            .until("READY", PATIENCE, |state| (state.number("/ready") >= identifies).then_some(()));
    }
    // The sandbox sees it if two are less than 5 s apart.
    sandbox.state().assert_clean();
}

#[test]
fn sighup_applies_what_it_can_without_a_new_connection_and_resumes_for_the_rest() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::configured(&sandbox.api, "{}");
    gateway.await_channel("connected");
    let id = sandbox.say(&json!({"text": "anybody?"}));
    gateway.run.line("it does not name us");
    gateway.dir.file("b.json5", "{channels: {discord: {groupPolicy: \"open\"}}}");
    gateway.run.signal(Signal::HUP);
    gateway.run.line("going on with it: default");
    let again = sandbox.say(&json!({"text": "and now?"}));
    assert_eq!(sandbox.answer(&again), "and now?");
    let state = sandbox.state();
    assert_eq!((state.answers(&id).len(), state.number("/identifies")), (0, 1));
    assert_eq!(state.connects(0), 1, "the socket had nothing to do with it");
    let other = "{channels: {discord: {groupPolicy: \"open\", compress: false}}}";
    gateway.dir.file("b.json5", other);
    gateway.run.signal(Signal::HUP);
    gateway.run.line("starting anew with it: default");
    resumed(&sandbox, 1);
    // What cannot be read changes nothing.
    gateway.dir.file("b.json5", "{channels: ");
    gateway.run.signal(Signal::HUP);
    gateway.run.line("nothing was changed");
    assert_eq!(sandbox.answer(&sandbox.say(&json!({"text": "still?"}))), "still?");
    sandbox.state().assert_clean();
}

#[test]
fn systemd_hears_ready_when_the_port_listens_then_the_watchdog_then_stopping() {
    let dir = Dir::new();
    let path = dir.0.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = |word: &str| loop {
        let mut message = [0; 1024];
        let length = socket.recv(&mut message).unwrap();
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        if text.lines().any(|line| line.starts_with(word)) {
            return text;
        }
    };
    // No channel is up, and READY never means that one is.
    let plan = Plan::new(&dir, "http://127.0.0.1:1/api/v10");
    let plan = plan.env("NOTIFY_SOCKET", path.to_str().unwrap()).env("WATCHDOG_USEC", "1500000");
    let mut gateway = Gateway::of(plan, dir);
    heard("READY=1");
    for _ in 0..4 {
        heard("WATCHDOG=1");
    }
    assert_eq!(gateway.channel(), "connecting");
    gateway.run.signal(Signal::TERM);
    heard("STOPPING=1");
    assert_eq!(gateway.run.code(), 0);
}
