//! The recoveries that are promised by their figures, at heartbeats of 4 s, and what must not
//! happen on the way: a second socket, an IDENTIFY that was not needed, memory that grows.

use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};

use crate::harness::{
    Dir, Gateway, PATIENCE, SLACK, Sandbox, State, millis, now, pause, seconds, wait,
};

/// What the peak of a process may differ by from one run to the next.
const PEAK_KIB_MAX: u64 = 1024;
/// How late a heartbeat may come on a machine that is busy with other tests, too.
const LATE_MAX: Duration = Duration::from_millis(500);

/// A gateway that was connected when the fault `name` hit it, and the time of that.
fn hit(name: &str, args: Value) -> (Sandbox, Gateway, u64) {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let ms = sandbox.fault(name, args);
    (sandbox, gateway, ms)
}

/// RESUMED within `promise`, and no session was given up for it.
fn resumes(name: &str, args: Value, promise: Duration) {
    let (sandbox, _gateway, ms) = hit(name, args);
    sandbox.recovery(ms, "resumed", promise);
    let state = sandbox.state();
    assert_eq!(state.number("/identifies"), 1, "the session was burnt");
    state.assert_clean();
}

/// READY within `promise`, by one more IDENTIFY.
fn starts_afresh(name: &str, args: Value, promise: Duration) -> Gateway {
    let (sandbox, gateway, ms) = hit(name, args);
    sandbox.recovery(ms, "ready", promise);
    let state = sandbox.state();
    assert_eq!(state.number("/identifies"), 2);
    state.assert_clean();
    gateway
}

#[test]
fn a_plain_drop_is_resumed_within_1_s() {
    resumes("drop", json!({}), seconds(1));
}

#[test]
fn resume_refused_for_ever_ends_in_a_new_session_within_15_s() {
    let gateway = starts_afresh("resume-close", json!({"code": 1006}), seconds(15));
    let warning = gateway.run.line("session abandoned after 3 failed resumes");
    assert!(warning.contains(" WARN ") && warning.contains("fresh IDENTIFY"), "{warning}");
}

#[test]
fn resumed_swallowed_for_ever_ends_in_a_new_session_within_25_s() {
    starts_afresh("no-resumed", json!({}), seconds(25));
}

#[test]
fn a_zombie_is_replaced_within_9_s_and_never_by_a_second_socket() {
    resumes("no-ack", json!({}), seconds(9));
}

#[test]
fn a_zombie_that_still_sends_events_is_replaced_within_9_s_too() {
    resumes("no-ack-events", json!({}), seconds(9));
}

#[test]
fn a_black_hole_is_left_within_9_s_and_never_for_a_second_socket() {
    resumes("black-hole", json!({}), seconds(9));
}

/// The longest wait between two tries may begin just before the server is back.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

#[test]
fn refused_for_15_s_burns_no_session() {
    resumes("refuse", json!({"seconds": 15}), seconds(15) + BACKOFF_MAX);
}

#[test]
fn a_502_for_15_s_burns_no_session() {
    resumes("upgrade-502", json!({"seconds": 15}), seconds(15) + BACKOFF_MAX);
}

/// A sandbox that serves TLS, with a certificate of `dir`'s own. It is steered by its standard
/// input, since the harness speaks no TLS.
fn secure(dir: &Dir) -> Sandbox {
    let names = ["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let cert = dir.file("cert.pem", &cert.pem());
    let key = dir.file("key.pem", &signing_key.serialize_pem());
    let args = ["--heartbeat", "4000", "--host", "localhost", "--cert", &cert, "--key", &key];
    let sandbox = Sandbox::with(&args);
    assert!(sandbox.api.starts_with("https://localhost:"), "{}", sandbox.api);
    sandbox
}

#[test]
fn tls_that_stalls_for_12_s_connects_all_the_same() {
    let dir = Dir::new();
    let mut sandbox = secure(&dir);
    let config = json!({"net": {"caFile": dir.0.join("cert.pem")}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    assert_eq!(sandbox.command("stall seconds=12")["ok"], true);
    gateway.run.line("disconnected");
    gateway.run.line("connected: session resumed");
    let state = State(sandbox.command("state"));
    let [armed, resumed] = ["armed", "resumed"].map(|what| state.after(0, what)[0].ms);
    // A first dial that ran out of time, and a second one with more of it.
    assert!((12_000..60_000).contains(&(resumed - armed)), "{} ms", resumed - armed);
    assert_eq!(state.number("/identifies"), 1);
    state.assert_clean();
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_talked_to() {
    let dir = Dir::new();
    let mut sandbox = secure(&dir);
    let gateway = Gateway::start(&sandbox.api);
    gateway.run.line("cannot connect: TLS handshake failed");
    assert_eq!(State(sandbox.command("state")).number("/identifies"), 0);
    assert_eq!(gateway.channel(), "connecting");
}

/// The peak of a run with `guild_bytes` of a guild, if any, and some talk.
fn peak_kib(guild_bytes: Option<u64>) -> u64 {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    for text in ["one", "two", "three"] {
        sandbox.answer(&sandbox.ask(text));
    }
    if let Some(bytes) = guild_bytes {
        sandbox.fault("big-guild", json!({"bytes": bytes}));
        // What is answered after it has come after it.
        sandbox.answer(&sandbox.ask("four"));
        assert_eq!(sandbox.state().after(0, "resume").len(), 0);
    }
    // A beat and its ACK after all that.
    let beats = sandbox.state().number("/heartbeats/count");
    sandbox.until("two heartbeats", PATIENCE, |state| {
        (state.number("/heartbeats/count") >= beats + 2).then_some(())
    });
    gateway.run.memory_kib("VmHWM")
}

#[test]
fn a_guild_of_20_mb_leaves_no_trace_in_peak_memory() {
    let usual = peak_kib(None);
    let with_guild = peak_kib(Some(20_000_000));
    println!("peak memory: {usual} KiB, with the guild {with_guild} KiB");
    assert!(with_guild <= usual + PEAK_KIB_MAX, "{usual} KiB became {with_guild} KiB");
}

#[test]
fn a_header_of_2_to_the_40_bytes_and_garbage_leave_it_running() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let before = gateway.run.memory_kib("VmHWM");
    let odd = ["huge-header", "garbage-text", "garbage-binary", "invalid-utf8", "masked"];
    for name in odd {
        gateway.await_channel("connected");
        sandbox.fault(name, json!({}));
        assert!(sandbox.answer(&sandbox.ask(name)).ends_with(name));
    }
    assert!(gateway.run.is_running());
    let grown = gateway.run.memory_kib("VmHWM").saturating_sub(before);
    assert!(grown < 2 * PEAK_KIB_MAX, "it grew by {grown} KiB");
    let state = sandbox.state();
    assert_eq!(state.number("/identifies"), 1, "no session was burnt");
    state.assert_clean();
}

/// Fatal codes: status and cure in words, and the server is left alone.
fn parks(code: u16, status: &str, cure: &str) {
    let sandbox = Sandbox::start();
    // From the first IDENTIFY on, for ever.
    sandbox.fault("identify-close", json!({"code": code, "cleared": true}));
    let gateway = Gateway::start(&sandbox.api);
    gateway.await_channel(status);
    let line = gateway.run.line("parked");
    assert!(line.contains(" ERROR [discord] "), "{line}");
    assert!(line.contains(&format!("code {code}")) && line.contains(cure), "{line}");
    // Longer than any of the first waits.
    pause(seconds(3));
    let connects = sandbox.state().connects(0);
    assert!(connects <= 2, "{connects} connects");
    assert_eq!(gateway.channel(), status);
    assert_eq!(gateway.run.count(" ERROR "), 1, "{}", gateway.run.output());
}

#[test]
fn fatal_codes_park_with_the_cure_in_words() {
    std::thread::scope(|scope| {
        scope.spawn(|| parks(4004, "auth_required", "Reset Token"));
        scope.spawn(|| parks(4010, "error", "channels.discord.shard"));
        scope.spawn(|| parks(4011, "error", "channels.discord.shard"));
        scope.spawn(|| parks(4012, "error", "newer barnacle"));
        scope.spawn(|| parks(4013, "error", "channels.discord.intents"));
        scope.spawn(|| parks(4014, "error", "Privileged Gateway Intents"));
    });
}

#[test]
fn heartbeats_are_on_time_while_an_agent_burns_cpu() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"kind": "echo", "cpuMs": 4000}}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let start = now();
    let ids: Vec<_> = ["ann", "ben", "cleo"]
        .iter()
        .flat_map(|author| [1, 2].map(|n| sandbox.direct(author, &format!("think {n}"))))
        .collect();
    for id in &ids {
        sandbox.answer(id);
    }
    assert!(start.elapsed() > seconds(4), "nothing was computed");
    let beats = sandbox.state().number("/heartbeats/count");
    assert!(beats >= 2, "{beats} heartbeats");
    let late = millis(sandbox.state().number("/heartbeats/late_ms_max"));
    let own = gateway.status()["heartbeat"]["lateMaxMs"].as_f64().unwrap();
    let own = Duration::from_secs_f64(own / 1000.0);
    println!("{beats} heartbeats, {late:?} late at most; by our own count {own:?}");
    assert!(late < LATE_MAX && own < LATE_MAX);
    assert_eq!(sandbox.state().after(0, "resume").len(), 0);
}

#[test]
fn a_flood_of_events_delays_neither_heartbeats_nor_answers() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    sandbox.post("flood", &json!({"count": 15_000, "bytes": 1000, "rate": 1500}));
    let start = now();
    while start.elapsed() < seconds(9) {
        let asked = now();
        // Other words each time: the same ones so soon after would be one message.
        sandbox.answer(&sandbox.ask(&format!("still there after {:?}?", start.elapsed())));
        assert!(asked.elapsed() < seconds(2) * SLACK, "an answer took {:?}", asked.elapsed());
        pause(millis(1500));
    }
    let late = millis(sandbox.state().number("/heartbeats/late_ms_max"));
    assert!(late < LATE_MAX, "heartbeats were {late:?} late");
    wait("the flood to be heard", PATIENCE, || {
        let heard = gateway.status()["events"]["delivered"].as_u64()?;
        (heard > 15_000).then_some(())
    });
    sandbox.state().assert_clean();
}

#[test]
fn a_token_that_rest_refuses_parks_the_account() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    sandbox.fault("rest-401", json!({"cleared": true, "route": "all"}));
    sandbox.ask("are you there?");
    gateway.await_channel("auth_required");
    let line = gateway.run.line("parked");
    assert!(line.contains("Reset Token"), "{line}");
}

#[test]
fn what_is_not_compressed_is_read_as_well() {
    let sandbox = Sandbox::start();
    let config = json!({"channels": {"discord": {"compress": false}}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let odd = ["garbage-text", "invalid-utf8", "garbage-binary", "fragments", "drip", "data-first"];
    for name in odd {
        sandbox.fault(name, json!({}));
        assert!(sandbox.answer(&sandbox.ask(name)).ends_with(name));
        // Five posts in five seconds is what Discord takes.
        pause(seconds(1));
    }
    sandbox.fault("big-guild", json!({"bytes": 5_000_000}));
    assert_eq!(sandbox.answer(&sandbox.ask("and a guild")), "and a guild");
    sandbox.state().assert_clean();
}
