//! Each rule of the machine, by promise. Whole lives of it are in `tests/sim`.
#![allow(clippy::unchecked_time_subtraction, reason = "a test that underflows fails, as it should")]

use std::fmt::Write as _;

use super::*;
use crate::base::end::{DialFault, Phase};

const INTERVAL: Duration = Duration::from_millis(41_250);
const WALL: Wall = Wall(1_774_085_213_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The machine on a bench: what it put out since last asked, and helpers that play its port.
struct Bench {
    gateway: Gateway,
    now: Instant,
    out: Vec<Output>,
    story: String,
}

impl Bench {
    fn with(config: Config, saved: Saved, seed: u64) -> Bench {
        Bench {
            gateway: Gateway::new(config, saved, Rng::new(seed)),
            now: Instant(0) + secs(1000),
            out: Vec::new(),
            story: String::new(),
        }
    }

    fn new() -> Bench {
        Bench::with(Config::new(Secret::new("token")), Saved::default(), 1)
    }

    /// One that was started, and is live by IDENTIFY.
    fn live() -> Bench {
        let mut bench = Bench::new();
        bench.start();
        bench.info(1000);
        bench.greet();
        bench.ready();
        bench
    }

    /// A live one that has proven itself.
    fn proven() -> Bench {
        let mut bench = Bench::live();
        bench.run(secs(61), true);
        assert!(bench.told("proven"));
        bench.forget();
        bench
    }

    fn collect(&mut self) {
        while let Some(output) = self.gateway.poll() {
            if let Output::Tell(tell) = &output {
                let _ = writeln!(self.story, "{tell}");
            }
            self.out.push(output);
        }
        assert!(self.gateway.deadline().is_none_or(|due| due > self.now), "{:?}", self.gateway);
        assert_eq!(self.gateway.status().counters.outputs_lost, 0);
    }

    fn give(&mut self, input: Input<'_>) {
        self.gateway.handle(self.now, input);
        self.collect();
    }

    fn hear(&mut self, signal: Signal<'_>) {
        self.give(Input::Heard(signal));
    }

    fn event(&mut self, seq: u64) {
        self.hear(Signal::Dispatch { seq, event: Dispatch::Other });
    }

    /// Lets time go by; answers heartbeats at once if `acks`. Stops where the port must act.
    fn run(&mut self, span: Duration, acks: bool) {
        let end = self.now + span;
        while let Some(due) = self.gateway.deadline().filter(|&due| due <= end) {
            self.now = due;
            let seen = self.out.len();
            self.gateway.expire(self.now);
            self.collect();
            let new = || self.out.iter().skip(seen);
            if acks && new().any(is_beat) {
                self.hear(Signal::Ack);
            }
            if self.out.iter().skip(seen).any(|output| *output == Output::Drain) {
                self.give(Input::Drained);
            }
            let waits = |output: &Output| matches!(output, Output::Dial { .. } | Output::Fetch);
            if self.out.iter().skip(seen).any(waits) {
                return;
            }
        }
        self.now = end;
        self.gateway.expire(self.now);
        self.collect();
    }

    fn start(&mut self) {
        self.give(Input::Start { wall: WALL });
    }

    fn info(&mut self, remaining: u32) {
        assert!(self.put(&Output::Fetch));
        let url = "wss://gateway.discord.gg";
        let reset_after = secs(3600);
        self.give(Input::Gateway(GatewayInfo { url, remaining, total: 1000, reset_after }));
    }

    /// The dial that was asked for succeeds.
    fn greet(&mut self) {
        self.dialed();
        self.forget();
        self.give(Input::Open);
        self.hear(Signal::Hello { interval: INTERVAL });
    }

    fn ready(&mut self) {
        assert_eq!(self.said(), ["IDENTIFY"]);
        self.hear(Signal::Dispatch {
            seq: 1,
            event: Dispatch::Ready {
                session_id: "s1",
                resume_url: "wss://resume.discord.gg",
                user: 1,
                application: 2,
                flags: 3,
            },
        });
        assert_eq!(self.state(), State::Connected);
    }

    fn resumed(&mut self, seq: u64) {
        self.hear(Signal::Dispatch { seq, event: Dispatch::Resumed });
        assert_eq!(self.state(), State::Connected);
    }

    fn end(&mut self, end: End) {
        self.give(Input::Ended(end));
    }

    /// Ends the connection and lets the wait pass; how long that was, and where the dial went.
    fn redial(&mut self, end: End) -> (Duration, String) {
        self.forget();
        self.end(end);
        self.until_dial()
    }

    fn until_dial(&mut self) -> (Duration, String) {
        let from = self.now;
        while !self.out.iter().any(|output| matches!(output, Output::Dial { .. })) {
            if self.put(&Output::Fetch) {
                self.forget();
                self.give(Input::GatewayUnknown);
            } else {
                self.run(secs(3600), false);
            }
        }
        (self.now.since(from), self.dialed().0)
    }

    /// After the machine has asked for a close: it got it.
    fn closed(&mut self, code: u16) {
        let close = Output::Close { code };
        let after = self.out.iter().skip_while(|&output| *output != close);
        assert!(after.clone().next().is_some(), "{:?}", self.out);
        assert!(!after.clone().any(|output| matches!(output, Output::Dial { .. })));
        self.forget();
        self.end(End::Asked);
    }

    fn put(&self, output: &Output) -> bool {
        self.out.contains(output)
    }

    fn dialed(&self) -> (String, Duration) {
        let mut dials = self.out.iter().rev().filter_map(|output| match output {
            Output::Dial { url, deadline } => Some((url.to_string(), *deadline)),
            _ => None,
        });
        dials.next().expect("a dial")
    }

    /// What was sent, but for heartbeats.
    fn said(&self) -> Vec<String> {
        let payloads = self.out.iter().filter_map(|output| match output {
            Output::Send(payload) if !is_beat(output) => Some(payload.bytes()),
            _ => None,
        });
        payloads
            .map(|bytes| {
                let value: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
                match value["op"].as_u64() {
                    Some(2) => "IDENTIFY".into(),
                    Some(6) => format!("RESUME {}", value["d"]["seq"]),
                    _ => value.to_string(),
                }
            })
            .collect()
    }

    fn beats(&self) -> usize {
        self.out.iter().filter(|output| is_beat(output)).count()
    }

    fn deliveries(&self) -> usize {
        self.out.iter().filter(|&output| *output == Output::Deliver).count()
    }

    fn told(&self, words: &str) -> bool {
        self.story.contains(words)
    }

    fn state(&self) -> State {
        self.gateway.status().state
    }

    fn counters(&self) -> &Counters {
        &self.gateway.status().counters
    }

    fn strikes(&self) -> u32 {
        self.gateway.saved().strikes
    }

    fn forget(&mut self) {
        self.out.clear();
    }
}

fn is_beat(output: &Output) -> bool {
    matches!(output, Output::Send(payload) if payload.bytes().starts_with(br#"{"op":1,"#))
}

fn saved_session() -> Saved {
    Saved {
        session: Some(Session {
            id: SessionId::try_from("s0").expect("short"),
            resume_url: Url::try_from("wss://resume.discord.gg").ok(),
            seq: 40,
            at: WALL,
        }),
        ..Saved::default()
    }
}

// ---- Coming up ---------------------------------------------------------------------------------

#[test]
fn a_first_start_asks_for_the_gateway_and_identifies() {
    let mut bench = Bench::new();
    assert_eq!(bench.state(), State::Disconnected);
    bench.start();
    assert_eq!(bench.state(), State::Connecting);
    bench.info(900);
    let (url, deadline) = bench.dialed();
    assert_eq!(url, "wss://gateway.discord.gg/?v=10&encoding=json&compress=zlib-stream");
    assert_eq!(deadline, limits::DIAL_DEADLINE_FIRST);
    bench.greet();
    bench.ready();
    assert_eq!(bench.deliveries(), 1);
    let status = bench.gateway.status();
    assert_eq!(status.me, Some(Me { user: 1, application: 2, flags: 3 }));
    assert_eq!(status.budget.map(|budget| budget.remaining), Some(899));
    assert!(bench.put(&Output::State(State::Connected)));
}

#[test]
fn without_an_answer_of_rest_it_goes_on_with_what_it_knows() {
    let url = Url::try_from("wss://gateway-eu.discord.gg").ok();
    for silent in [false, true] {
        let saved = Saved { url: url.clone(), ..Saved::default() };
        let mut bench = Bench::with(Config::new(Secret::new("token")), saved, 1);
        bench.start();
        if silent {
            bench.run(limits::GATEWAY_INFO_DEADLINE, false);
        } else {
            bench.give(Input::GatewayUnknown);
        }
        assert!(bench.dialed().0.starts_with("wss://gateway-eu.discord.gg/"));
    }
}

#[test]
fn a_saved_session_is_resumed_from_its_durable_sequence() {
    let mut bench = Bench::with(Config::new(Secret::new("token")), saved_session(), 1);
    bench.start();
    assert!(bench.dialed().0.starts_with("wss://resume.discord.gg/"));
    bench.greet();
    assert_eq!(bench.said(), ["RESUME 40"]);
    for seq in [39, 40, 41, 43, 43] {
        bench.event(seq);
    }
    bench.resumed(44);
    assert_eq!((bench.deliveries(), bench.counters().duplicates), (3, 3));
    assert_eq!(bench.counters().identifies, 0);
}

#[test]
fn a_session_with_strikes_or_past_its_ttl_is_not_resumed_by_a_new_process() {
    let token = || Config::new(Secret::new("token"));
    let struck = Saved { strikes: 1, ..saved_session() };
    let mut stale = saved_session();
    stale.session.as_mut().expect("there").at = Wall(WALL.0 - 301_000);
    let ttl = Config { session_ttl: Some(secs(300)), ..token() };
    let never = Config { resume: false, ..token() };
    for (config, saved) in
        [(token(), struck), (ttl.clone(), stale.clone()), (never, saved_session())]
    {
        let mut bench = Bench::with(config, saved, 1);
        bench.start();
        assert!(bench.put(&Output::Fetch));
        assert_eq!(bench.gateway.saved().session, None);
    }
    for (config, saved) in [(token(), stale), (ttl, saved_session())] {
        let mut bench = Bench::with(config, saved, 1);
        bench.start();
        assert!(bench.dialed().0.contains("resume"));
    }
}

#[test]
fn the_durable_sequence_is_what_resume_asks_from() {
    let mut bench = Bench::live();
    for seq in 2..=9 {
        bench.event(seq);
    }
    bench.give(Input::Durable(7));
    bench.give(Input::Durable(5));
    bench.give(Input::Durable(90));
    bench.forget();
    bench.run(limits::HOT_SAVE, true);
    let saves = bench.out.iter().filter_map(|output| match output {
        Output::Save(Urgency::Soon, saved) => saved.session.as_ref().map(|session| session.seq),
        _ => None,
    });
    assert_eq!(saves.collect::<Vec<_>>(), [7]);
    bench.redial(End::Wire);
    bench.greet();
    assert_eq!(bench.said(), ["RESUME 7"]);
    bench.event(8);
    bench.event(10);
    assert_eq!(bench.deliveries(), 1, "8 was delivered before, and is on its way to the disk");
}

#[test]
fn duplicates_are_not_delivered_and_jumps_are() {
    let mut bench = Bench::live();
    bench.forget();
    for seq in [2, 2, 1, 7, 3, 8] {
        bench.event(seq);
    }
    assert_eq!(bench.deliveries(), 3);
    assert_eq!(bench.counters().duplicates, 3);
}

// ---- Deadlines of the beginning -----------------------------------------------------------------

#[test]
fn dial_deadlines_grow_on_timeouts_only() {
    let mut bench = Bench::proven();
    let mut deadlines = Vec::new();
    bench.redial(End::Wire);
    for end in [
        End::Silence(Phase::Tcp),
        End::Silence(Phase::Tls),
        End::Silence(Phase::Resolve),
        End::Dial(DialFault::Refused),
        End::Silence(Phase::Tcp),
    ] {
        deadlines.push(bench.dialed().1.as_secs());
        bench.redial(end);
    }
    assert_eq!(deadlines, [10, 20, 30, 30, 30]);
    bench.greet();
    bench.redial(End::Wire);
    assert_eq!(bench.dialed().1.as_secs(), 10);
}

#[test]
fn hello_ready_and_resumed_have_deadlines() {
    let mut bench = Bench::new();
    bench.start();
    bench.info(1000);
    bench.give(Input::Open);
    bench.run(limits::HELLO_DEADLINE - ms(1), false);
    assert!(!bench.put(&Output::Drain));
    bench.run(ms(1), false);
    bench.closed(4000);
    assert!(bench.told("no answer in time (HELLO)"));
    bench.until_dial();
    bench.greet();
    bench.run(limits::READY_DEADLINE, true);
    bench.closed(4000);
    assert!(bench.told("no answer in time (READY or RESUMED)"));

    let mut bench = Bench::proven();
    bench.redial(End::Wire);
    bench.greet();
    bench.run(limits::RESUMED_DEADLINE, true);
    bench.closed(4000);
    assert_eq!(bench.counters().resumes.swallowed, 1);
}

#[test]
fn a_replay_extends_the_deadline_of_resumed_but_not_for_ever() {
    let mut bench = Bench::proven();
    bench.redial(End::Wire);
    bench.greet();
    let written = bench.now;
    for seq in 2.. {
        bench.run(limits::RESUMED_DEADLINE - ms(1), true);
        if bench.put(&Output::Close { code: 4000 }) {
            break;
        }
        bench.event(seq);
    }
    let lasted = bench.now.since(written);
    assert!(lasted > limits::REPLAY_MAX - limits::RESUMED_DEADLINE);
    assert!(lasted < limits::REPLAY_MAX + limits::RESUMED_DEADLINE);
}

// ---- The heartbeat -----------------------------------------------------------------------------

#[test]
fn the_first_beat_is_jittered_and_the_rest_keep_the_grid() {
    let mut firsts = Vec::new();
    for seed in 0..200 {
        let mut bench = Bench::with(Config::new(Secret::new("token")), saved_session(), seed);
        bench.start();
        bench.greet();
        bench.resumed(41);
        let (hello, mut beats) = (bench.now, Vec::new());
        while beats.len() < 5 {
            let due = bench.gateway.deadline().expect("a beat is due");
            bench.forget();
            // The driver is a little late each time; it must not add up.
            bench.now = due + ms(3);
            bench.gateway.expire(bench.now);
            bench.collect();
            if bench.beats() > 0 {
                beats.push(bench.now.since(hello).saturating_sub(ms(3)));
                bench.hear(Signal::Ack);
            }
        }
        assert!(beats[0] < INTERVAL);
        assert!(beats.windows(2).all(|pair| pair[1] - pair[0] == INTERVAL), "{beats:?}");
        assert_eq!(bench.gateway.status().counters.beats.late_max, ms(3));
        firsts.push(beats[0]);
    }
    let mean = firsts.iter().sum::<Duration>() / 200;
    assert!(mean > INTERVAL * 2 / 5 && mean < INTERVAL * 3 / 5, "{mean:?}");
}

#[test]
fn a_beat_names_the_last_sequence_received() {
    let mut bench = Bench::live();
    bench.event(6);
    bench.forget();
    bench.hear(Signal::Beat);
    let Some(Output::Send(payload)) = bench.out.first() else { panic!("{:?}", bench.out) };
    assert_eq!(payload.bytes(), br#"{"op":1,"d":6}"#);

    let mut bench = Bench::new();
    bench.start();
    bench.info(1000);
    bench.greet();
    bench.forget();
    bench.hear(Signal::Beat);
    let Some(Output::Send(payload)) = bench.out.first() else { panic!("{:?}", bench.out) };
    assert_eq!(payload.bytes(), br#"{"op":1,"d":null}"#);
}

#[test]
fn op_1_is_answered_at_once_and_leaves_the_schedule_alone() {
    let mut bench = Bench::proven();
    let due = bench.gateway.deadline();
    bench.hear(Signal::Beat);
    assert_eq!(bench.beats(), 1);
    bench.hear(Signal::Ack);
    assert_eq!(bench.gateway.deadline(), due);
}

#[test]
fn a_missing_ack_closes_within_its_deadline_but_only_after_the_socket_was_read() {
    for (interval, patience) in [(INTERVAL, secs(10)), (secs(4), secs(3))] {
        let mut bench = Bench::new();
        bench.start();
        bench.info(1000);
        bench.give(Input::Open);
        bench.hear(Signal::Hello { interval });
        bench.hear(Signal::Dispatch {
            seq: 1,
            event: Dispatch::Ready {
                session_id: "s",
                resume_url: "wss://r.discord.gg",
                user: 1,
                application: 1,
                flags: 0,
            },
        });
        while bench.beats() == 0 {
            bench.now = bench.gateway.deadline().expect("a beat is due");
            bench.gateway.expire(bench.now);
            bench.collect();
        }
        bench.now += patience;
        bench.gateway.expire(bench.now);
        bench.collect();
        assert!(bench.put(&Output::Drain));
        // Whatever the socket holds, events are no proof that we are heard.
        bench.event(2);
        assert!(!bench.put(&Output::Close { code: 4000 }));
        bench.give(Input::Drained);
        bench.closed(4000);
        assert!(bench.told("no answer in time (heartbeat ACK)"));
        bench.until_dial();
        bench.greet();
        assert_eq!(bench.said(), ["RESUME 1"]);
    }
}

#[test]
fn after_a_late_wake_up_an_ack_in_the_socket_counts() {
    let mut bench = Bench::proven();
    while bench.beats() == 0 {
        bench.now = bench.gateway.deadline().expect("a beat is due");
        bench.gateway.expire(bench.now);
        bench.collect();
    }
    bench.forget();
    bench.now += secs(300);
    bench.gateway.expire(bench.now);
    bench.collect();
    assert!(bench.put(&Output::Drain));
    assert_eq!(bench.beats(), 1, "one beat, however many were missed");
    bench.hear(Signal::Ack);
    bench.give(Input::Drained);
    assert_eq!(bench.state(), State::Connected);
    assert!(!bench.put(&Output::Close { code: 4000 }));
    // And the schedule is the old one.
    let next = bench.gateway.deadline().expect("a beat is due");
    assert!(bench.now.until(next) <= INTERVAL);
}

#[test]
fn nothing_is_sent_into_a_closing_or_closed_socket() {
    let mut bench = Bench::proven();
    bench.hear(Signal::Reconnect);
    bench.forget();
    bench.hear(Signal::Beat);
    bench.event(50);
    bench.give(Input::Send(b"{}"));
    bench.run(secs(100), false);
    assert!(bench.out.iter().all(|output| matches!(output, Output::Tell(_))), "{:?}", bench.out);
    bench.end(End::Asked);
    bench.hear(Signal::Beat);
    assert_eq!(bench.beats(), 0);
}

#[test]
fn sends_of_others_never_cost_a_heartbeat() {
    let mut bench = Bench::live();
    bench.forget();
    for _ in 0..200 {
        bench.give(Input::Send(b"{\"op\":3}"));
        bench.hear(Signal::Beat);
        bench.hear(Signal::Ack);
    }
    let sends = bench.out.iter().filter(|output| matches!(output, Output::Send(_))).count();
    assert_eq!(sends + 1, limits::GATEWAY_SENDS_MAX - 2);
    assert!(bench.told("not sent: too many sends"));
    bench.forget();
    bench.run(INTERVAL, true);
    assert_eq!(bench.beats(), 1, "the schedule's own beat finds its place");
    bench.give(Input::Send(&[b' '; limits::GATEWAY_SEND_BYTES_MAX + 1]));
    assert!(bench.told("the payload is too long"));
}

// ---- Ends, strikes, waits ----------------------------------------------------------------------

#[test]
fn a_plain_drop_is_resumed_within_300_ms() {
    for end in
        [End::Wire, End::Server(1005), End::Server(1006), End::Server(4000), End::Garbage(1002)]
    {
        let mut bench = Bench::proven();
        let (wait, url) = bench.redial(end);
        assert!(wait <= ms(300), "{wait:?}");
        assert!(url.starts_with("wss://resume.discord.gg/"));
        bench.greet();
        assert_eq!(bench.said(), ["RESUME 1"]);
        assert_eq!(bench.state(), State::Reconnecting);
        bench.now += ms(70);
        bench.resumed(2);
        assert_eq!(bench.gateway.status().recovered_in, Some(wait + ms(70)));
    }
}

#[test]
fn a_failure_before_resume_never_burns_the_session() {
    let mut bench = Bench::proven();
    bench.redial(End::Wire);
    for round in 0..200 {
        match round % 7 {
            0 => bench.redial(End::Dial(DialFault::Dns)),
            1 => bench.redial(End::Dial(DialFault::Status(502, 0))),
            2 => bench.redial(End::Silence(Phase::Tls)),
            3 => {
                bench.give(Input::Open);
                bench.redial(End::Server(4009))
            }
            4 => {
                bench.give(Input::Open);
                bench.redial(End::Server(1001))
            }
            5 => {
                bench.forget();
                bench.give(Input::Open);
                bench.hear(Signal::InvalidSession { resumable: false });
                bench.closed(4000);
                bench.until_dial()
            }
            _ => {
                bench.forget();
                bench.give(Input::Open);
                bench.hear(Signal::Reconnect);
                bench.closed(4000);
                bench.until_dial()
            }
        };
    }
    assert_eq!(bench.strikes(), 0);
    bench.greet();
    assert_eq!(bench.said(), ["RESUME 1"]);
}

#[test]
fn refusals_count_one_and_silence_two_and_three_strikes_are_out() {
    let mut bench = Bench::proven();
    bench.redial(End::Wire);
    for strikes in 1..=2 {
        bench.greet();
        bench.redial(End::Server(1005));
        assert_eq!(bench.strikes(), strikes);
    }
    bench.greet();
    bench.forget();
    bench.end(End::Wire);
    assert!(bench.told("session abandoned after 3 failed resumes"));
    assert!(bench.gateway.saved().session.is_none());
    bench.until_dial();
    bench.greet();
    assert_eq!(bench.said(), ["IDENTIFY"]);

    let mut bench = Bench::proven();
    bench.redial(End::Wire);
    for strikes in [2, 0] {
        bench.greet();
        bench.run(limits::RESUMED_DEADLINE, true);
        bench.closed(4000);
        assert_eq!(bench.strikes(), strikes);
        bench.until_dial();
    }
    assert!(bench.told("session abandoned after 2 failed resumes"));
}

#[test]
fn the_number_of_strikes_is_configured() {
    let config = Config { strikes_max: 5, ..Config::new(Secret::new("token")) };
    let mut bench = Bench::with(config, saved_session(), 1);
    bench.start();
    for _ in 0..5 {
        bench.greet();
        assert_eq!(bench.said(), ["RESUME 40"]);
        bench.redial(End::Server(1005));
    }
    bench.greet();
    assert_eq!(bench.said(), ["IDENTIFY"]);
    assert!(bench.told("after 5 failed resumes"));
}

#[test]
fn a_refused_resume_ends_in_ready_within_15_s() {
    for seed in 0..100 {
        let mut bench = Bench::with(Config::new(Secret::new("token")), saved_session(), seed);
        bench.start();
        let from = bench.now;
        for _ in 0..3 {
            bench.greet();
            bench.redial(End::Server(1005));
        }
        assert!(bench.now.since(from) < secs(15));
        bench.greet();
        bench.ready();
    }
}

#[test]
fn codes_that_end_the_session_identify_at_once() {
    for code in [4003, 4005, 4007, 4009] {
        let mut bench = Bench::proven();
        let (wait, url) = bench.redial(End::Server(code));
        assert!(wait <= ms(300) && url.starts_with("wss://gateway.discord.gg/"), "{code}");
        bench.greet();
        assert_eq!(bench.said(), ["IDENTIFY"], "{code}");
    }
}

#[test]
fn a_normal_close_gets_one_resume() {
    for code in [1000, 1001] {
        let mut bench = Bench::proven();
        bench.redial(End::Server(code));
        bench.greet();
        assert_eq!(bench.said(), ["RESUME 1"]);
        bench.redial(End::Server(code));
        bench.greet();
        assert_eq!(bench.said(), ["IDENTIFY"]);
    }
}

#[test]
fn too_fast_is_resumed_but_not_at_once() {
    let mut bench = Bench::proven();
    let (wait, _) = bench.redial(End::Server(4008));
    assert!(wait >= secs(1));
    bench.greet();
    assert_eq!(bench.said(), ["RESUME 1"]);
}

#[test]
fn op_9_false_identifies_after_1_to_5_s_on_the_base_url() {
    for resuming in [false, true] {
        let mut bench = Bench::proven();
        if resuming {
            bench.redial(End::Wire);
            bench.greet();
        }
        bench.forget();
        bench.hear(Signal::InvalidSession { resumable: false });
        bench.closed(4000);
        let (wait, url) = bench.until_dial();
        assert!((secs(1)..=secs(5)).contains(&wait), "{wait:?}");
        assert!(url.starts_with("wss://gateway.discord.gg/"));
        bench.greet();
        assert_eq!(bench.said(), ["IDENTIFY"]);
    }
}

#[test]
fn op_9_true_resumes_after_1_to_5_s_and_is_a_strike() {
    let mut bench = Bench::proven();
    for strikes in 1..=2 {
        bench.forget();
        bench.hear(Signal::InvalidSession { resumable: true });
        bench.closed(4000);
        assert_eq!(bench.strikes(), strikes);
        assert!(bench.until_dial().0 >= secs(1));
        bench.greet();
        assert_eq!(bench.said(), ["RESUME 1"]);
    }
    bench.forget();
    bench.hear(Signal::InvalidSession { resumable: true });
    bench.closed(4000);
    bench.until_dial();
    bench.greet();
    assert_eq!(bench.said(), ["IDENTIFY"]);
}

#[test]
fn op_7_resumes_at_once_and_also_in_place_of_hello() {
    let mut bench = Bench::proven();
    bench.hear(Signal::Reconnect);
    bench.closed(4000);
    assert!(bench.until_dial().0 <= ms(300));
    bench.forget();
    bench.give(Input::Open);
    bench.hear(Signal::Reconnect);
    bench.closed(4000);
    assert!(bench.until_dial().0 <= ms(300));
    bench.greet();
    assert_eq!(bench.said(), ["RESUME 1"]);
}

/// Plays connections that end as `spoil` does, and returns when each was dialled, and what was
/// said on each.
fn cycles(count: usize, spoil: impl Fn(&mut Bench)) -> (Vec<Instant>, Vec<String>) {
    let mut bench = Bench::proven();
    let (mut dials, mut said) = (Vec::new(), Vec::new());
    bench.redial(End::Wire);
    for _ in 0..count {
        dials.push(bench.now);
        bench.greet();
        said.extend(bench.said());
        if bench.said() == ["IDENTIFY"] {
            bench.ready();
        } else {
            bench.resumed(1_000_000);
        }
        bench.forget();
        spoil(&mut bench);
        bench.until_dial();
    }
    (dials, said)
}

#[test]
fn connections_that_do_not_last_escalate() {
    let drop = |bench: &mut Bench| bench.end(End::Wire);
    let storm = |bench: &mut Bench| {
        bench.hear(Signal::Reconnect);
        bench.closed(4000);
    };
    for (dials, said) in [cycles(40, drop), cycles(40, storm)] {
        let lasted = dials[39].since(dials[0]);
        assert!(lasted > secs(10 * 60), "40 cycles took {lasted:?}");
        let identified: Vec<_> =
            (0..40).filter(|&cycle| said[cycle] == "IDENTIFY").map(|cycle| cycle + 1).collect();
        assert_eq!(identified, [5, 9, 17, 33], "after 4, and after each doubling");
    }
}

#[test]
fn strikes_and_backoff_are_forgiven_after_proof_only() {
    for by_ack in [false, true] {
        let mut bench = Bench::proven();
        bench.redial(End::Wire);
        for _ in 0..2 {
            bench.greet();
            bench.redial(End::Wire);
        }
        bench.greet();
        bench.resumed(2);
        assert_eq!(bench.strikes(), 2, "RESUMED alone proves nothing");
        if by_ack {
            // The ACK of a beat that was sent before a full interval has gone by does not count.
            bench.now += INTERVAL - ms(1);
            bench.hear(Signal::Beat);
            bench.hear(Signal::Ack);
            assert_eq!(bench.strikes(), 2);
            bench.now += ms(1);
            bench.hear(Signal::Beat);
            bench.hear(Signal::Ack);
        } else {
            bench.run(secs(59), true);
            assert!(bench.told("heartbeat acknowledged"));
            bench.run(secs(1), true);
        }
        assert_eq!(bench.strikes(), 0);
        assert!(bench.redial(End::Wire).0 <= ms(300));
    }
}

#[test]
fn waits_grow_to_a_minute_and_hello_resets_those_for_reaching_the_server() {
    let mut bench = Bench::proven();
    bench.redial(End::Wire);
    let mut waits: Vec<_> =
        (0..200).map(|_| bench.redial(End::Dial(DialFault::Refused)).0).collect();
    assert!(waits[0] <= ms(300));
    waits.drain(..10);
    assert!(waits.iter().all(|&wait| wait >= secs(3) && wait <= secs(60)));
    assert!(waits.iter().any(|&wait| wait < secs(15)) && waits.iter().any(|&w| w > secs(45)));
    bench.greet();
    bench.resumed(2);
    bench.run(secs(61), true);
    assert!(bench.redial(End::Wire).0 <= ms(300));
    assert!(bench.redial(End::Dial(DialFault::Refused)).0 <= ms(300));
}

#[test]
fn a_server_that_asks_for_patience_gets_it_within_reason() {
    let mut bench = Bench::proven();
    bench.redial(End::Wire);
    assert!(bench.redial(End::Dial(DialFault::Status(429, 90))).0 >= secs(90));
    let (wait, _) = bench.redial(End::Dial(DialFault::Status(429, u32::MAX)));
    assert_eq!(wait, limits::RETRY_AFTER_MAX);
}

#[test]
fn configured_retries_slow_down_and_alert_but_never_end() {
    let config = Config { retries_max: Some(3), ..Config::new(Secret::new("token")) };
    let mut bench = Bench::with(config, saved_session(), 1);
    bench.start();
    let waits: Vec<_> = (0..6).map(|_| bench.redial(End::Dial(DialFault::Refused)).0).collect();
    assert!(waits[..2].iter().all(|&wait| wait < secs(2)));
    assert!(waits[2..].iter().all(|&wait| wait == limits::SLOW_RETRY));
    assert_eq!(bench.story.matches("3 tries have failed").count(), 1);
    bench.greet();
    bench.resumed(41);
}

// ---- Where to -----------------------------------------------------------------------------------

#[test]
fn a_dead_resume_url_is_left_for_the_base_url() {
    let refused = End::Dial(DialFault::Refused);
    let mut bench = Bench::proven();
    assert!(bench.redial(End::Wire).1.contains("//resume."));
    assert!(bench.redial(refused).1.contains("//resume."));
    assert!(bench.redial(refused).1.contains("//gateway."), "two failures");
    bench.greet();
    assert_eq!(bench.said(), ["RESUME 1"]);
    bench.resumed(2);
    assert!(bench.redial(End::Wire).1.contains("//gateway."), "it was dead, this one works");
    assert!(bench.redial(refused).1.contains("//resume."), "neither works: the network is out");

    let mut bench = Bench::proven();
    bench.redial(End::Wire);
    let (_, url) = bench.redial(End::Silence(Phase::Tcp));
    assert!(url.contains("//gateway."), "one that hangs has cost enough");
}

#[test]
fn a_server_cannot_send_the_token_elsewhere() {
    let mut bench = Bench::new();
    bench.start();
    let url = "wss://evil.example";
    let reset_after = DAY;
    bench.give(Input::Gateway(GatewayInfo { url, remaining: 900, total: 1000, reset_after }));
    assert!(bench.dialed().0.starts_with("wss://gateway.discord.gg/"));
    assert!(bench.told("not a place to connect to: wss://evil.example"));
    bench.greet();
    bench.hear(Signal::Dispatch {
        seq: 1,
        event: Dispatch::Ready {
            session_id: "s1",
            resume_url: url,
            user: 1,
            application: 1,
            flags: 0,
        },
    });
    assert!(bench.redial(End::Wire).1.starts_with("wss://gateway.discord.gg/"));

    let mut saved = saved_session();
    saved.url = Url::try_from(url).ok();
    saved.session.as_mut().expect("there").resume_url = Url::try_from(url).ok();
    let bench = Bench::with(Config::new(Secret::new("token")), saved, 1);
    assert_eq!(bench.gateway.saved().url, None);
}

#[test]
fn a_session_that_cannot_be_named_is_not_resumed() {
    let mut bench = Bench::new();
    bench.start();
    bench.info(1000);
    bench.greet();
    bench.hear(Signal::Dispatch {
        seq: 1,
        event: Dispatch::Ready {
            session_id: &"s".repeat(limits::SESSION_ID_BYTES_MAX + 1),
            resume_url: "wss://r.discord.gg",
            user: 1,
            application: 1,
            flags: 0,
        },
    });
    assert_eq!(bench.state(), State::Connected);
    bench.redial(End::Wire);
    bench.greet();
    assert_eq!(bench.said(), ["IDENTIFY"]);
}

// ---- The budget of IDENTIFYs --------------------------------------------------------------------

#[test]
fn identifies_keep_their_distance_over_processes_too() {
    let mut bench = Bench::live();
    bench.end(End::Server(4009));
    let (wait, _) = bench.until_dial();
    assert!(wait >= limits::IDENTIFY_SPACING && wait < limits::IDENTIFY_SPACING + ms(2));

    let saved = bench.gateway.saved().clone();
    assert_eq!(saved.session, None);
    let mut bench = Bench::with(Config::new(Secret::new("token")), saved, 1);
    bench.give(Input::Start { wall: WALL + secs(2) });
    let (wait, _) = bench.until_dial();
    assert_eq!(wait, limits::IDENTIFY_SPACING - secs(2));
}

#[test]
fn an_identify_is_written_down_before_it_is_spent() {
    let mut bench = Bench::new();
    bench.start();
    bench.info(700);
    bench.greet();
    let saved = bench.out.iter().position(|output| {
        matches!(output, Output::Save(Urgency::Now, saved)
            if saved.identifies.len() == 1 && saved.budget.is_some_and(|b| b.remaining == 699))
    });
    let sent = bench.out.iter().position(|output| matches!(output, Output::Send(_)));
    assert!(saved.expect("saved") < sent.expect("sent"));
}

#[test]
fn a_low_budget_holds_until_its_reset() {
    let mut bench = Bench::new();
    bench.start();
    bench.info(50);
    assert_eq!(bench.state(), State::Reconnecting);
    assert!(bench.told("Discord allows only 50 more today"));
    bench.forget();
    bench.run(secs(3600) - ms(1), false);
    assert_eq!(bench.out, []);
    bench.run(ms(1), false);
    bench.info(1000);
    bench.greet();
    bench.ready();
}

#[test]
fn a_hold_is_never_shorter_than_a_minute_nor_longer_than_a_day() {
    for (reset_after, hold) in [(Duration::ZERO, limits::IDENTIFY_HOLD_MIN), (DAY * 400, DAY)] {
        let mut bench = Bench::new();
        bench.start();
        let url = GATEWAY_URL;
        bench.give(Input::Gateway(GatewayInfo { url, remaining: 0, total: 1000, reset_after }));
        let next = bench.gateway.status().next_try.expect("a time");
        assert_eq!(bench.now.until(next), hold);
    }
}

#[test]
fn two_hundred_identifies_of_our_own_hold_for_the_rest_of_the_day() {
    let mut saved = Saved::default();
    for n in 0..200 {
        saved.identifies.push(WALL + secs(60 * n)).expect("room");
    }
    let mut bench = Bench::with(Config::new(Secret::new("token")), saved, 1);
    bench.give(Input::Start { wall: WALL + secs(12_100) });
    bench.info(1000);
    assert!(bench.told("200 were made in 24 hours"));
    let next = bench.gateway.status().next_try.expect("a time");
    assert_eq!(bench.now.until(next), DAY - secs(12_100));
}

#[test]
fn a_clock_that_was_set_back_does_not_hold_for_years() {
    let mut saved = Saved::default();
    for n in 0..200 {
        saved.identifies.push(WALL + DAY * 4000 + secs(n)).expect("room");
    }
    let mut bench = Bench::with(Config::new(Secret::new("token")), saved, 1);
    bench.start();
    bench.run(limits::IDENTIFY_SPACING, false);
    bench.info(1000);
    let next = bench.gateway.status().next_try.expect("a time");
    assert_eq!(bench.now.until(next), DAY - limits::IDENTIFY_SPACING);
    bench.forget();
    bench.give(Input::Wall(WALL + DAY));
    assert!(bench.put(&Output::Fetch), "set right, it ends at once");
}

// ---- Parks and wishes ---------------------------------------------------------------------------

#[test]
fn fatal_codes_park_with_the_cure_until_something_changes() {
    for code in [4004, 4010, 4011, 4012, 4013, 4014] {
        let mut bench = Bench::new();
        bench.start();
        bench.info(1000);
        bench.greet();
        bench.end(End::Server(code));
        let state = if code == 4004 { State::AuthRequired } else { State::Error };
        assert_eq!((bench.state(), bench.gateway.status().parked), (state, Some(code)));
        assert!(bench.told(super::super::close::of(code).advice));
        bench.forget();
        bench.give(Input::Ask(Ask::Restart { fresh: true }));
        bench.run(DAY, false);
        bench.start();
        assert!(bench.out.iter().all(|output| matches!(output, Output::Tell(_))));
        bench.forget();
        bench.give(Input::Ask(Ask::Resume));
        bench.until_dial();
        bench.greet();
        bench.ready();
    }
}

#[test]
fn a_401_parks_before_anything_is_dialled() {
    let mut bench = Bench::new();
    bench.start();
    bench.give(Input::Unauthorized);
    assert_eq!(bench.state(), State::AuthRequired);
    assert_eq!(bench.gateway.deadline(), None);
    let mut bench = Bench::live();
    bench.give(Input::Unauthorized);
    bench.closed(4000);
    assert_eq!(bench.state(), State::AuthRequired);
}

#[test]
fn a_token_that_cannot_be_one_parks() {
    let mut bench = Bench::with(Config::new(Secret::new(&"t".repeat(5000))), Saved::default(), 1);
    bench.start();
    bench.info(1000);
    bench.greet();
    bench.closed(4000);
    assert_eq!(bench.state(), State::AuthRequired);
}

#[test]
fn stop_ends_the_session_and_leave_keeps_it() {
    let mut bench = Bench::proven();
    bench.give(Input::Ask(Ask::Stop));
    bench.closed(1000);
    assert_eq!((bench.state(), bench.gateway.deadline()), (State::Disconnected, None));
    assert_eq!(bench.gateway.saved().session, None);

    let mut bench = Bench::proven();
    bench.give(Input::Ask(Ask::Leave));
    let Some(Output::Save(Urgency::Now, saved)) =
        bench.out.iter().find(|output| matches!(output, Output::Save(..)))
    else {
        panic!("{:?}", bench.out)
    };
    assert!(saved.session.is_some());
    bench.closed(4000);
    assert_eq!((bench.state(), bench.gateway.deadline()), (State::Disconnected, None));
}

#[test]
fn a_cursor_that_moves_while_leaving_is_still_kept() {
    let mut bench = Bench::proven();
    bench.event(2);
    bench.give(Input::Ask(Ask::Leave));
    bench.closed(4000);
    bench.forget();
    bench.give(Input::Durable(2));
    bench.run(limits::HOT_SAVE, false);
    assert!(matches!(bench.out[..], [Output::Save(Urgency::Soon, _)]));
}

#[test]
fn a_stop_during_a_dial_cuts_it_short_and_a_start_is_not_lost() {
    let mut bench = Bench::proven();
    bench.redial(End::Wire);
    bench.give(Input::Ask(Ask::Stop));
    assert!(bench.put(&Output::Close { code: 1000 }));
    bench.forget();
    bench.give(Input::Start { wall: WALL + secs(1000) });
    assert!(!bench.out.iter().any(|output| matches!(output, Output::Dial { .. })));
    bench.end(End::Asked);
    assert!(bench.until_dial().0 >= ms(1));
}

#[test]
fn a_restart_resumes_unless_asked_for_a_fresh_session() {
    for fresh in [false, true] {
        let mut bench = Bench::proven();
        bench.give(Input::Ask(Ask::Restart { fresh }));
        bench.closed(4000);
        assert!(bench.until_dial().0 <= ms(300));
        bench.greet();
        assert_eq!(bench.said(), [if fresh { "IDENTIFY" } else { "RESUME 1" }]);
    }
}

#[test]
fn what_stood_in_the_way_is_gone_and_only_whoever_waits_tries_at_once() {
    let mut bench = Bench::proven();
    bench.forget();
    bench.give(Input::Ask(Ask::Hurry));
    assert!(bench.out.iter().all(|output| matches!(output, Output::Tell(_))), "{:?}", bench.out);
    assert_eq!(bench.state(), State::Connected);
    bench.redial(End::Wire);
    // Waits that have grown long.
    for _ in 0..12 {
        bench.redial(End::Dial(DialFault::NoRoute));
    }
    bench.forget();
    bench.end(End::Dial(DialFault::NoRoute));
    assert!(bench.gateway.deadline().unwrap() > bench.now + limits::RESTART_SPACING * 2);
    bench.run(limits::RESTART_SPACING * 2, false);
    bench.give(Input::Ask(Ask::Hurry));
    let (wait, _) = bench.until_dial();
    assert!(wait <= ms(1), "{wait:?}");
    // Once more at once: it keeps its distance.
    bench.forget();
    bench.end(End::Dial(DialFault::NoRoute));
    bench.give(Input::Ask(Ask::Hurry));
    let (wait, _) = bench.until_dial();
    assert!(wait <= limits::RESTART_SPACING && wait > ms(1), "{wait:?}");
    bench.end(End::Server(4004));
    bench.forget();
    bench.give(Input::Ask(Ask::Hurry));
    bench.run(DAY, false);
    assert!(bench.out.iter().all(|output| matches!(output, Output::Tell(_))), "{:?}", bench.out);
}

#[test]
fn a_restart_after_a_refused_resume_identifies() {
    let mut bench = Bench::proven();
    bench.redial(End::Wire);
    bench.greet();
    bench.forget();
    bench.end(End::Server(1005));
    bench.give(Input::Ask(Ask::Restart { fresh: false }));
    bench.until_dial();
    bench.greet();
    assert_eq!(bench.said(), ["IDENTIFY"]);
}

#[test]
fn however_often_somebody_restarts_dials_keep_their_distance() {
    let mut bench = Bench::proven();
    let mut dials = 0;
    for second in 0..600 {
        let ask = match second % 3 {
            0 => Ask::Restart { fresh: false },
            1 => Ask::Stop,
            _ => Ask::Resume,
        };
        bench.forget();
        bench.give(Input::Ask(ask));
        if bench.out.iter().any(|output| matches!(output, Output::Close { .. })) {
            bench.end(End::Asked);
        }
        bench.run(secs(1), false);
        if bench.put(&Output::Fetch) {
            bench.give(Input::GatewayUnknown);
        }
        let dialed = |output: &Output| matches!(output, Output::Dial { .. });
        dials += bench.out.iter().filter(|&output| dialed(output)).count();
    }
    assert!((1..=130).contains(&dials), "{dials}");
}

// ---- What people see ----------------------------------------------------------------------------

#[test]
fn the_story_has_the_lines_that_people_grep_for() {
    let mut bench = Bench::proven();
    bench.redial(End::Server(1005));
    bench.greet();
    bench.redial(End::Wire);
    let story = &bench.story;
    assert!(story.contains("WebSocket connection closed with code 1005\n"), "{story}");
    assert!(story.contains("WebSocket connection closed with code 1006\n"), "{story}");
    let attempts = story.lines().filter_map(|line| {
        line.strip_prefix("Attempting resume with backoff: ")?.strip_suffix("ms")
    });
    assert_eq!(attempts.filter(|millis| millis.parse::<u64>().is_ok()).count(), 2);
    let lost: Vec<_> = story.lines().filter(|line| line.contains("disconnect")).collect();
    assert_eq!(lost.len(), 2, "once per connection: {lost:?}");
    assert_eq!(lost[0], "disconnected (code 1005: closed without a code): discord");
    assert!(lost.iter().all(|line| line.split_whitespace().last() == Some("discord")));
    assert_eq!(bench.counters().closes.total(), 2);
}

#[test]
fn a_bug_of_ours_is_an_alert() {
    let mut bench = Bench::proven();
    bench.redial(End::Server(4002));
    assert!(bench.told("code 4002: decode error. Nothing for you to do; please report it"));
}

#[test]
fn garbage_is_counted_and_told_once_a_connection() {
    let mut bench = Bench::live();
    for _ in 0..1000 {
        bench.hear(Signal::Unreadable);
        bench.hear(Signal::Unknown { op: 99 });
        bench.hear(Signal::Hello { interval: secs(1) });
    }
    assert_eq!(bench.counters().unreadable, 2000);
    assert_eq!(bench.counters().unknown_ops, 1000);
    assert_eq!(bench.story.matches("cannot be read").count(), 1);
    assert_eq!(bench.state(), State::Connected);
}

#[test]
fn absurd_heartbeat_intervals_are_brought_within_reason() {
    for interval in [Duration::ZERO, Duration::MAX] {
        let mut bench = Bench::new();
        bench.start();
        bench.info(1000);
        bench.give(Input::Open);
        bench.hear(Signal::Hello { interval });
        bench.ready();
        bench.run(secs(3600), true);
        let beats = bench.beats();
        assert!((30..=3600).contains(&beats), "{beats}");
    }
}

#[test]
fn neither_tokens_nor_sessions_are_in_the_story_or_in_debug() {
    let config = Config::new(Secret::new("hunter2"));
    let mut bench = Bench::with(config, saved_session(), 1);
    bench.start();
    bench.greet();
    bench.resumed(41);
    assert!(!format!("{:?} {:?} {}", bench.gateway, bench.out, bench.story).contains("hunter2"));
}

#[test]
fn inputs_out_of_place_do_no_harm() {
    let inputs = [
        Input::Open,
        Input::Ended(End::Wire),
        Input::Drained,
        Input::Durable(7),
        Input::GatewayUnknown,
        Input::Heard(Signal::Ack),
        Input::Heard(Signal::Hello { interval: INTERVAL }),
        Input::Ask(Ask::Stop),
        Input::Ask(Ask::Leave),
    ];
    let mut bench = Bench::new();
    for input in inputs {
        bench.give(input);
    }
    assert_eq!((bench.state(), bench.gateway.deadline()), (State::Disconnected, None));
    let mut bench = Bench::proven();
    bench.give(Input::Open);
    bench.give(Input::Drained);
    bench.give(Input::GatewayUnknown);
    bench.give(Input::Start { wall: WALL });
    bench.give(Input::Ask(Ask::Resume));
    assert_eq!(bench.state(), State::Connected);
    assert!(!bench.out.iter().any(|output| matches!(output, Output::Close { .. })));
}
