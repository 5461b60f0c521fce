//! A restart leaves no gap: whoever connects meanwhile waits, and is served by the next process.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde_json::{Value, json};

use crate::harness::{
    Dir, Gateway, PATIENCE, Plan, Run, Sandbox, Signal, binary, http, millis, pause, port, wait,
};

/// Calls of the one test about them, and restarts meanwhile.
const CALLS: usize = 1000;
const RESTARTS: usize = 20;
/// Those who call at a time.
const CALLERS: usize = 4;

/// A command beside the gateway, run to its end without any ado: the exit code and what it said.
fn call(gateway: &Gateway, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command.args(args).env_clear().envs(&gateway.plan.env).stdin(Stdio::null());
    command.env("BARNACLE_GATEWAY_PORT", gateway.port.to_string());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_thousand_calls_during_twenty_restarts_all_succeed() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let (called, probed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let is_over = AtomicBool::new(false);
    let port = gateway.port.to_string();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (called, is_over, gateway, port) = (&called, &is_over, &gateway, &port);
            scope.spawn(move || {
                // By the socket and by the port.
                let by_port = ["cron", "list", "--json", "--port", port];
                let args = if caller % 2 == 0 { &by_port[..3] } else { &by_port[..] };
                while called.fetch_add(1, Ordering::Relaxed) < CALLS
                    || !is_over.load(Ordering::Relaxed)
                {
                    let (code, said) = call(gateway, args);
                    assert_eq!(code, Some(0), "{said}\n{}", gateway.run.output());
                }
            });
        }
        // One that does not try again.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let answer = http(gateway.port, "GET /healthz", &[], None);
                let answer = answer.unwrap_or_else(|| panic!("{}", gateway.run.output()));
                assert_eq!(answer.status, 200);
                probed.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut boots = std::collections::BTreeSet::new();
        for _ in 0..RESTARTS {
            let (code, said) = call(&gateway, &["gateway", "restart", "--wait", "60s", "--json"]);
            assert_eq!(code, Some(0), "{said}\n{}", gateway.run.output());
            let told: Value = serde_json::from_str(&said).unwrap();
            assert!(boots.insert(told["new"]["bootId"].to_string()), "the same boot twice");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(called.into_inner() >= CALLS && probed.into_inner() > RESTARTS);
    let state = sandbox.state();
    assert_eq!(state.number("/identifies"), 1, "each of them resumed");
    state.assert_clean();
}

#[test]
fn who_calls_while_the_old_process_drains_is_served_by_the_new_one() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"cpuMs": 2000}}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let before = gateway.told("status", &json!({}))["bootId"].clone();
    let id = sandbox.ask("what will you say?");
    gateway.run.line("the agent is at work");
    gateway.told("gateway.restart.request", &json!({"reason": "test"}));
    gateway.run.line("restarting: finishing");
    let (code, said) = call(&gateway, &["status", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let status: Value = serde_json::from_str(&said).unwrap();
    assert_ne!(status["bootId"], before, "the old one accepts no more");
    sandbox.exactly_one_answer(&id);
}

#[test]
fn two_restarts_at_a_time_both_tell_the_truth() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let restart = || call(&gateway, &["gateway", "restart", "--wait", "60s", "--json"]);
    let told = std::thread::scope(|scope| {
        let other = scope.spawn(restart);
        [restart(), other.join().unwrap()]
    });
    let status: Value = serde_json::from_str(&call(&gateway, &["status", "--json"]).1).unwrap();
    let mut is_last = false;
    for (code, said) in told {
        assert_eq!(code, Some(0), "{said}");
        let told: Value = serde_json::from_str(&said).unwrap();
        assert_ne!(told["old"]["bootId"], told["new"]["bootId"]);
        is_last |= told["new"]["bootId"] == status["bootId"];
    }
    assert!(is_last, "one of them names the gateway that runs now");
    assert_eq!(sandbox.state().number("/identifies"), 1);
}

/// A service manager that keeps what it is given.
struct Manager {
    socket: UnixDatagram,
    path: String,
    kept: Vec<(String, OwnedFd)>,
}

impl Manager {
    fn new(dir: &Dir) -> Manager {
        let path = dir.0.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager { socket, path: path.to_str().unwrap().to_owned(), kept: Vec::new() }
    }

    /// Listens until a message with `word` in it has come.
    fn hear(&mut self, word: &str) {
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut bytes = [0; 1024];
            let length = rustix::net::recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            );
            let length = length.unwrap_or_else(|error| panic!("no {word}: {error}")).bytes;
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
            if text.contains("FDSTOREREMOVE=1") {
                self.kept.retain(|(kept, _)| Some(kept.as_str()) != name);
            }
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = message {
                    assert!(text.contains("FDSTORE=1"), "{text}");
                    self.kept.extend(fds.map(|fd| (name.unwrap().to_owned(), fd)));
                }
            }
            if text.contains(word) {
                return;
            }
        }
    }

    /// Starts the gateway with what is kept, as systemd does: from descriptor 3 on.
    fn start(&self, plan: &Plan) -> Run {
        let script = "exec 3<&0 4>&1 </dev/null >&2; \
            LISTEN_PID=$$ LISTEN_FDS=$KEPT exec \"$0\" \"$@\"";
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(binary()).args(&plan.args);
        command.env_clear().envs(&plan.env).env("KEPT", self.kept.len().to_string());
        let names: Vec<&str> = self.kept.iter().map(|(name, _)| name.as_str()).collect();
        command.env("LISTEN_FDNAMES", names.join(":"));
        let mut fds = self.kept.iter().map(|(_, fd)| Stdio::from(fd.try_clone().unwrap()));
        let nothing = || Stdio::from(File::open("/dev/null").unwrap());
        command.stdin(fds.next().unwrap_or_else(nothing));
        command.stdout(fds.next().unwrap_or_else(nothing));
        command.stderr(Stdio::piped());
        Run::watch(command, "gateway under a manager".into())
    }
}

#[test]
fn a_service_manager_keeps_the_sockets_over_restarts_and_crashes_and_drops_them_at_a_stop() {
    let sandbox = Sandbox::start();
    let dir = Dir::new();
    let mut manager = Manager::new(&dir);
    let plan = Plan::new(&dir, &sandbox.api).env("NOTIFY_SOCKET", &manager.path);
    let run = manager.start(&plan);
    manager.hear("READY=1");
    assert_eq!(manager.kept.len(), 2, "the port and the socket");
    let mut gateway = Gateway { port: port(&run), run, plan, dir };
    gateway.await_channel("connected");
    for round in 0..3 {
        if round == 1 {
            gateway.run.kill();
        } else {
            gateway.run.signal(Signal::TERM);
            manager.hear("STOPPING=1");
            assert_eq!(gateway.run.code(), 0);
        }
        // Nobody runs; who connects now waits.
        let mut early = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        early.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", gateway.port);
        write!(early, "{head}Connection: close\r\n\r\n").unwrap();
        let plan = gateway.plan.clone();
        let mut waiting = plan.beside(&["status", "--json"]);
        pause(millis(300));
        assert!(waiting.is_running(), "{}", waiting.output());
        gateway.run = manager.start(&gateway.plan);
        manager.hear("READY=1");
        assert_eq!(port(&gateway.run), gateway.port, "the same socket");
        assert_eq!(manager.kept.len(), 2, "and each once");
        let mut answer = String::new();
        early.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(waiting.code(), 0, "{}", waiting.output());
        gateway.await_channel("connected");
    }
    // Another address is another socket, which is kept instead.
    gateway.run.signal(Signal::TERM);
    manager.hear("STOPPING=1");
    assert_eq!(gateway.run.code(), 0);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    gateway.run = manager.start(&gateway.plan.clone().port(free));
    manager.hear("READY=1");
    assert_eq!((port(&gateway.run), manager.kept.len()), (free, 2));
    let old = gateway.port;
    gateway.port = free;
    let (code, said) = call(&gateway, &["gateway", "stop"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(gateway.run.code(), 0);
    manager.hear("FDSTOREREMOVE=1\nFDNAME=control-socket");
    assert_eq!(manager.kept.len(), 0);
    for port in [old, free] {
        // A child of another test that has not begun yet may hold it for a moment.
        wait("the port to be closed", PATIENCE, || TcpStream::connect(("127.0.0.1", port)).err());
    }
}
