//! Through an HTTP proxy: a network that lets nothing out but through one.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::harness::{Dir, Gateway, PATIENCE, Plan, Sandbox, State, wait};

/// The name that nobody but the proxy can resolve.
const NAME: &str = "discord.test";
/// `bot:swordfish`, as it goes over the wire.
const LOGIN: &str = "Proxy-Authorization: Basic Ym90OnN3b3JkZmlzaA==";
/// The same in its URL.
const PASSWORD: &str = "swordfish";

/// A proxy that knows one name, and one password.
struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Where it was asked for the way to.
    asked: Mutex<Vec<String>>,
    streams: Mutex<Vec<TcpStream>>,
    /// Whether it refuses everybody's password.
    refuses: AtomicBool,
    over: AtomicBool,
}

impl Proxy {
    fn start(port: u16) -> Proxy {
        let listener =
            wait("the proxy's port", PATIENCE, || TcpListener::bind(("127.0.0.1", port)).ok());
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if own.over.load(Ordering::SeqCst) {
                    return;
                }
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        Proxy { port, shared, thread: Some(thread) }
    }

    fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Cuts everything that goes through it, and listens no more.
    fn kill(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.cut();
    }

    fn cut(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Shared {
    fn serve(&self, mut near: TcpStream) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if near.read_exact(&mut byte).is_err() {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        if self.refuses.load(Ordering::SeqCst) || !head.contains(LOGIN) {
            let _ = near.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
            return;
        }
        self.asked.lock().unwrap().push(target.clone());
        let port = target.strip_prefix(NAME).and_then(|port| port.strip_prefix(':'));
        let port: u16 = port.unwrap_or("0").parse().unwrap();
        let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)) else {
            let _ = near.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
            return;
        };
        near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        let (mut near_in, mut far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        self.streams.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut near_in, &mut far_out);
            let _ = far_out.shutdown(Shutdown::Write);
        });
        let _ = std::io::copy(&mut far, &mut near);
        let _ = near.shutdown(Shutdown::Write);
    }
}

/// A sandbox that speaks TLS under a name, and the authority that vouches for it.
fn sandbox(dir: &Dir) -> (Sandbox, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([NAME.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let ca = dir.file("ca.pem", &authority.pem());
    let cert = dir.file("cert.pem", &certificate.pem());
    let key = dir.file("key.pem", &key.serialize_pem());
    let args = ["--heartbeat", "4000", "--host", NAME, "--cert", &cert, "--key", &key];
    (Sandbox::with(&args), ca)
}

/// All that the sandbox knows; it is asked on its standard input, since it speaks TLS.
fn state(sandbox: &mut Sandbox) -> State {
    State(sandbox.command("state"))
}

fn await_number(sandbox: &mut Sandbox, pointer: &str, least: u64) {
    wait(pointer, PATIENCE, || (state(sandbox).number(pointer) >= least).then_some(()));
}

/// A person asks, and is answered.
fn ask(sandbox: &mut Sandbox, text: &str) {
    let said = sandbox.command(&format!("ask {text}"));
    let id = said["id"].as_str().unwrap().to_owned();
    wait("an answer", PATIENCE, || state(sandbox).answers(&id).pop());
}

/// A gateway that trusts `ca`, its further configuration in `discord`.
fn gateway(sandbox: &Sandbox, ca: &str, discord: &str, env: &[(&str, &str)]) -> Gateway {
    let text = format!("{{net: {{caFile: \"{ca}\"}}, channels: {{discord: {{{discord}}}}}}}");
    Gateway::with(&sandbox.api, |dir, plan: Plan| {
        let plan = plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &text)).level("info");
        env.iter().fold(plan, |plan, (name, value)| plan.env(name, value))
    })
}

/// The ports of the sandbox: REST, gateway, and that for RESUME.
fn ports(sandbox: &mut Sandbox) -> [String; 3] {
    let state = state(sandbox).0;
    ["api", "gateway", "resume"].map(|url| {
        let url = state[url].as_str().unwrap();
        url.split('/').nth(2).unwrap().to_owned()
    })
}

#[test]
fn gateway_and_rest_lead_through_the_proxy_and_names_go_unresolved() {
    let dir = Dir::new();
    let (mut sandbox, ca) = sandbox(&dir);
    let proxy = Proxy::start(0);
    let url = format!("proxy: \"http://bot:{PASSWORD}@127.0.0.1:{}\"", proxy.port);
    let mut gateway = gateway(&sandbox, &ca, &url, &[]);
    gateway.await_channel("connected");
    let line = gateway.run.line("is reached through the proxy");
    let place = format!("http://127.0.0.1:{} (channels.discord.proxy)", proxy.port);
    assert!(line.contains(&place), "{line}");
    ask(&mut sandbox, "are you there?");
    assert!(sandbox.command("drop")["ok"] == true);
    await_number(&mut sandbox, "/resumed", 1);
    gateway.await_channel("connected");
    let asked = proxy.asked();
    for place in ports(&mut sandbox) {
        assert!(asked.contains(&place), "{place} is not in {asked:?}");
    }
    // Everything that the sandbox accepted came through it.
    let accepted = state(&mut sandbox).0["sockets"]["accepted"].as_u64().unwrap();
    let dialled = asked.iter().filter(|place| ports(&mut sandbox)[1..].contains(place)).count();
    assert_eq!(dialled as u64, accepted);
    let mut printed = gateway.cli(&["status", "--json"]).output();
    gateway.stop();
    printed += &gateway.run.output();
    assert!(!printed.contains(PASSWORD) && !printed.contains("Ym90On"), "{printed}");
}

#[test]
fn a_refused_password_is_named_and_heals_when_it_is_taken_again() {
    let dir = Dir::new();
    let (mut sandbox, ca) = sandbox(&dir);
    let proxy = Proxy::start(0);
    let url = format!("http://bot:{PASSWORD}@127.0.0.1:{}", proxy.port);
    let gateway = gateway(&sandbox, &ca, "", &[("https_proxy", &url)]);
    gateway.await_channel("connected");
    gateway.run.line("(https_proxy)");
    proxy.shared.refuses.store(true, Ordering::SeqCst);
    proxy.cut();
    gateway.await_channel("reconnecting");
    let line = gateway.run.line("the proxy refused");
    assert!(line.contains("the proxy refused: 407; look at the user and password"), "{line}");
    let end = gateway.status()["lastEnd"].as_str().unwrap().to_owned();
    assert!(end.contains("407"), "{end}");
    assert!(!gateway.run.output().contains(PASSWORD));
    proxy.shared.refuses.store(false, Ordering::SeqCst);
    gateway.await_channel("connected");
    ask(&mut sandbox, "and now?");
}

#[test]
fn the_death_of_the_proxy_is_survived_and_the_session_with_it() {
    let dir = Dir::new();
    let (mut sandbox, ca) = sandbox(&dir);
    let mut proxy = Proxy::start(0);
    let url = format!("proxy: \"http://bot:{PASSWORD}@127.0.0.1:{}\"", proxy.port);
    let gateway = gateway(&sandbox, &ca, &url, &[]);
    gateway.await_channel("connected");
    proxy.kill();
    gateway.run.line("the proxy refuses connections");
    gateway.await_channel("reconnecting");
    let _proxy = Proxy::start(proxy.port);
    await_number(&mut sandbox, "/resumed", 1);
    gateway.await_channel("connected");
    ask(&mut sandbox, "still there?");
    assert_eq!(state(&mut sandbox).number("/identifies"), 1, "it was resumed");
}

#[test]
fn who_is_exempt_goes_past_the_proxy_and_what_is_no_http_proxy_is_said() {
    let dir = Dir::new();
    let (sandbox, ca) = sandbox(&dir);
    let proxy = Proxy::start(0);
    let url = format!("http://bot:{PASSWORD}@127.0.0.1:{}", proxy.port);
    let exempt = gateway(&sandbox, &ca, "", &[("HTTPS_PROXY", &url), ("NO_PROXY", ".test")]);
    exempt.run.line("cannot connect: the name could not be resolved (DNS)");
    assert_eq!(proxy.asked(), Vec::<String>::new());
    let socks = gateway(&sandbox, &ca, "proxy: \"socks5://bot:swordfish@127.0.0.1:9050\"", &[]);
    let line = socks.run.line("channels.discord.proxy");
    assert!(line.contains(" WARN  [config] ") && line.contains("write http://"), "{line}");
    assert!(!line.contains(PASSWORD), "{line}");
    // Loopback needs no proxy, whatever the environment says.
    let plain = Sandbox::start();
    let near = Gateway::with(&plain.api, |_, plan| plan.env("ALL_PROXY", "http://127.0.0.1:1"));
    near.await_channel("connected");
}
