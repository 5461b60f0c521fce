//! A crowd of clients that mean no good: those who were let in are served all the while, the bot's
//! heartbeats are on time, and what the crowd costs is bounded.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::control::{Client, port, socket};
use crate::harness::{Gateway, PATIENCE, Sandbox, millis, now, pause, seconds};

/// Of them all, those of each kind being as many.
const CROWD: usize = 200;
/// What the crowd may cost: the buffers of as many connections as there may be, and no more.
const GROWTH_KIB_MAX: u64 = 24 * 1024;
/// Connections of both doors, and what the gateway has open anyway.
const DESCRIPTORS_MAX: usize = 2 * 64 + 40;
/// Later than that a heartbeat would be called missing.
const LATE_MS_MAX: u64 = 4000;
/// How long a member's question may take on a machine that the crowd itself keeps busy.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// One round of what a hostile client does, on a connection of its own.
type Kind = fn(&mut TcpStream, &Crowd) -> io::Result<()>;

const KINDS: [(&str, Kind); 10] = [
    ("silent", silent),
    ("never-ending head", endless_head),
    ("head by the byte", slow_head),
    ("body by the byte", slow_body),
    ("huge frames", huge_frames),
    ("garbage", garbage),
    ("wrong token", wrong_token),
    ("half a handshake", half_handshake),
    ("asks and never reads", greedy),
    ("ping flood", ping_flood),
];

struct Crowd {
    is_over: AtomicBool,
    /// Connections of each kind.
    rounds: [AtomicUsize; KINDS.len()],
}

impl Crowd {
    fn lasts(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Comes again and again, as `kind`.
    fn haunt(&self, port: u16, kind: usize) {
        while self.lasts() {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
                self.rounds[kind].fetch_add(1, Ordering::Relaxed);
                let _ = stream.set_read_timeout(Some(millis(200)));
                let _ = stream.set_write_timeout(Some(millis(200)));
                // Being cut off is what it deserves.
                let _ = KINDS[kind].1(&mut stream, self);
                let _ = stream.shutdown(Shutdown::Both);
            }
            pause(millis(20));
        }
    }

    /// Writes this over and over.
    fn pour(&self, stream: &mut TcpStream, bytes: &[u8], rest: Duration) -> io::Result<()> {
        while self.lasts() {
            match stream.write(bytes) {
                Ok(_) => pause(rest),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn upgrade(stream: &mut TcpStream) -> io::Result<()> {
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    stream.read_exact(&mut [0; 64])
}

/// A text frame of a client, masked by zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let head = [&[0x81, 0xfe][..], &length.to_be_bytes(), &[0; 4]].concat();
    [head, text.as_bytes().to_vec()].concat()
}

fn silent(stream: &mut TcpStream, crowd: &Crowd) -> io::Result<()> {
    while crowd.lasts() {
        match stream.read(&mut [0; 1024]) {
            Ok(0) => break,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn endless_head(stream: &mut TcpStream, crowd: &Crowd) -> io::Result<()> {
    stream.write_all(b"GET / HTTP/1.1\r\n")?;
    crowd.pour(stream, "x-more: and more\r\n".repeat(20).as_bytes(), millis(5))
}

fn slow_head(stream: &mut TcpStream, crowd: &Crowd) -> io::Result<()> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nx: ")?;
    crowd.pour(stream, b"y", millis(100))
}

fn slow_body(stream: &mut TcpStream, crowd: &Crowd) -> io::Result<()> {
    stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")?;
    crowd.pour(stream, b"z", millis(100))
}

fn huge_frames(stream: &mut TcpStream, crowd: &Crowd) -> io::Result<()> {
    upgrade(stream)?;
    stream.write_all(&[&[0x81, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat())?;
    crowd.pour(stream, &[b'x'; 4096], millis(5))
}

fn garbage(stream: &mut TcpStream, crowd: &Crowd) -> io::Result<()> {
    let noise: Vec<u8> =
        (0..997_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    crowd.pour(stream, &noise, millis(5))
}

fn wrong_token(stream: &mut TcpStream, _: &Crowd) -> io::Result<()> {
    upgrade(stream)?;
    let connect = json!({"type": "req", "id": "1", "method": "connect", "params": {
        "minProtocol": 4, "maxProtocol": 4, "role": "operator", "auth": {"token": "a guess"},
        "client": {"id": "cli", "version": "1", "platform": "x", "mode": "cli"}}});
    stream.write_all(&frame(&connect.to_string()))?;
    while stream.read(&mut [0; 4096])? > 0 {}
    Ok(())
}

fn half_handshake(stream: &mut TcpStream, crowd: &Crowd) -> io::Result<()> {
    upgrade(stream)?;
    silent(stream, crowd)
}

fn greedy(stream: &mut TcpStream, crowd: &Crowd) -> io::Result<()> {
    let ask = "GET /health/detail HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(16);
    crowd.pour(stream, ask.as_bytes(), millis(5))
}

fn ping_flood(stream: &mut TcpStream, crowd: &Crowd) -> io::Result<()> {
    upgrade(stream)?;
    let ping = [&[0x89, 0x80 | 0x64][..], &[0; 4], &[b'p'; 100]].concat();
    crowd.pour(stream, &ping.repeat(8), millis(2))
}

/// How long a member waited for its answers.
#[derive(Default)]
struct Waits(Vec<Duration>);

impl Waits {
    fn ask(&mut self, client: &mut Client) {
        let asked: Instant = now();
        assert_eq!(client.ask("health", &json!({}))["ok"], true);
        self.0.push(asked.elapsed());
    }

    fn print(&mut self, who: &str) {
        self.0.sort();
        let of = |percent: usize| self.0[(self.0.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        let (half, most, all) = (of(50), of(99), of(100));
        println!(
            "{who:28} {:5} answers, ms p50 {half:.1} p99 {most:.1} max {all:.1}",
            self.0.len()
        );
    }
}

fn descriptors(gateway: &Gateway) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gateway.run.pid())).unwrap().count()
}

#[test]
fn two_hundred_hostile_clients_cost_little_and_keep_nobody_waiting() {
    let span = std::env::var("HOSTILE_SECONDS").ok().and_then(|text| text.parse().ok());
    let span = seconds(span.unwrap_or(30));
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let mut by_port = Client::known(&gateway, port(&gateway));
    let mut by_socket = Client::known(&gateway, socket(&gateway));
    let before = gateway.run.memory_kib("VmRSS");
    let crowd = Crowd { is_over: AtomicBool::new(false), rounds: Default::default() };
    let (mut port_waits, mut socket_waits) = (Waits::default(), Waits::default());
    let mut new_waits = Waits::default();
    let mut most = (0, 0);
    std::thread::scope(|scope| {
        for number in 0..CROWD {
            let (crowd, port) = (&crowd, gateway.port);
            scope.spawn(move || crowd.haunt(port, number % KINDS.len()));
        }
        let begun = now();
        let mut round = 0;
        while begun.elapsed() < span {
            port_waits.ask(&mut by_port);
            socket_waits.ask(&mut by_socket);
            if round % 16 == 0 {
                // A new one, and one who writes in a chat.
                let asked = now();
                let mut new = Client::known(&gateway, socket(&gateway));
                assert_eq!(new.ask("status", &json!({}))["ok"], true);
                new_waits.0.push(asked.elapsed());
                let id = sandbox.ask(&format!("round {round}"));
                assert!(sandbox.answer(&id).contains("round"));
            }
            most = (most.0.max(descriptors(&gateway)), most.1.max(gateway.run.memory_kib("VmRSS")));
            pause(millis(10));
            round += 1;
        }
        crowd.is_over.store(true, Ordering::Relaxed);
    });
    println!("{CROWD} hostile clients for {span:?}");
    for ((name, _), rounds) in KINDS.iter().zip(&crowd.rounds) {
        let rounds = rounds.load(Ordering::Relaxed);
        println!("  {name:26} {rounds:5} connections");
        assert!(rounds > 0, "{name} never got in");
    }
    port_waits.print("member by the port");
    socket_waits.print("member by the socket");
    new_waits.print("newcomer by the socket");
    println!("memory KiB {before} -> {}, descriptors at most {}", most.1, most.0);
    let state = sandbox.state();
    let (late, beats) =
        (state.number("/heartbeats/late_ms_max"), state.number("/heartbeats/count"));
    println!("{beats} heartbeats, at most {late} ms late");
    for waits in [port_waits, socket_waits, new_waits] {
        assert!(waits.0.last().is_some_and(|longest| *longest < ANSWER_MAX), "{:?}", waits.0);
    }
    assert!(most.1 < before + GROWTH_KIB_MAX, "from {before} KiB to {} KiB", most.1);
    assert!(most.0 < DESCRIPTORS_MAX, "{} descriptors", most.0);
    assert!(beats > 0 && late < LATE_MS_MAX, "{late} ms late");
    assert_eq!(state.connects(0), 1, "the connection was up all the while");
    // When they are gone, the port is as open as before.
    let begun = now();
    while gateway.get("/healthz", &[]).status != 200 {
        assert!(begun.elapsed() < PATIENCE);
    }
    state.assert_clean();
}
