//! Starts the real binary and watches it from outside. Every process is ended by its own id.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How often something that will come is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// For what must come at all, however slow the machine is.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The time, for measuring recoveries from outside.
#[allow(clippy::disallowed_methods, reason = "the tests watch real processes in real time")]
pub fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "a test thread has nothing else to do")]
pub fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Looks until `found` gives something, or says what was waited for.
pub fn wait<T>(what: &str, patience: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let start = now();
    loop {
        if let Some(thing) = found() {
            return thing;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain for {what}");
        pause(LOOK);
    }
}

/// A directory of the test's own, gone with it.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Dir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "barnacle-test-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One run of the binary.
pub struct Run {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    /// What it was started with, for failure messages.
    name: String,
}

impl Run {
    pub fn start(args: &[&str], env: &[(&str, &str)]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barnacle"));
        command.args(args).env_clear().stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        for (key, value) in env {
            command.env(key, value);
        }
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().unwrap(), &lines);
        collect(child.stderr.take().unwrap(), &lines);
        Run { child, lines, name: args.join(" ") }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn output(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    pub fn count(&self, needle: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(needle)).count()
    }

    /// Waits for a line with `needle` in it.
    pub fn line(&self, needle: &str) -> String {
        let start = now();
        loop {
            let lines = self.lines.lock().unwrap();
            if let Some(line) = lines.iter().find(|line| line.contains(needle)) {
                return line.clone();
            }
            assert!(
                start.elapsed() < PATIENCE,
                "`{}` never said {needle:?}; it said:\n{}",
                self.name,
                lines.join("\n")
            );
            drop(lines);
            pause(LOOK);
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub fn exit(&mut self, patience: Duration) -> ExitStatus {
        let start = now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // The readers of its pipes need a moment for the last lines.
                pause(LOOK);
                return status;
            }
            assert!(
                start.elapsed() < patience,
                "`{}` did not end; it said:\n{}",
                self.name,
                self.output()
            );
            pause(LOOK);
        }
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// `kill -9`, and reaped.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// A figure of /proc/PID/status in KiB, such as `VmHWM`.
    pub fn memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- `{}` said:\n{}", self.name, self.output());
        }
    }
}

fn collect(pipe: impl Read + Send + 'static, into: &Arc<Mutex<Vec<String>>>) {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            into.lock().unwrap().push(line);
        }
    });
}

/// A small HTTP/1.1 request over loopback; status and body.
pub fn http(
    method: &str,
    port: u16,
    path: &str,
    bearer: Option<&str>,
    body: &str,
) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let auth = bearer.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{auth}Connection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The sandbox, run by its verb of the binary.
pub struct Sandbox {
    pub run: Run,
    pub api: String,
    port: u16,
}

impl Sandbox {
    /// With heartbeats each 4 s, as the recovery promises assume.
    pub fn start() -> Sandbox {
        Sandbox::with(&["--heartbeat", "4000"])
    }

    pub fn with(args: &[&str]) -> Sandbox {
        let mut all = vec!["sandbox", "--port", "0"];
        all.extend(args);
        let run = Run::start(&all, &[]);
        let line = run.line("DISCORD_API_URL=");
        let api = line.split_once("DISCORD_API_URL=").unwrap().1.trim().to_owned();
        let authority = api.split('/').nth(2).unwrap();
        let port = authority.rsplit(':').next().unwrap().parse().unwrap();
        Sandbox { run, api, port }
    }

    pub fn state(&self) -> Value {
        let (status, body) = http("GET", self.port, "/_sandbox/state", None, "").unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/_sandbox/{path}");
        let (status, answer) = http("POST", self.port, &path, None, &body.to_string()).unwrap();
        assert!(status < 300, "{path} {body}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or(Value::Null)
    }

    /// Injects a fault; `args` is its object without the name.
    pub fn fault(&self, name: &str, args: &Value) {
        let mut body = args.clone();
        body["name"] = name.into();
        self.post("fault", &body);
    }
}

/// `barnacle gateway` against a sandbox, with a state directory of its own.
pub struct Gateway {
    pub run: Run,
    pub port: u16,
    pub dir: Dir,
    env: BTreeMap<String, String>,
}

impl Gateway {
    pub fn start(api: &str) -> Gateway {
        Gateway::with(api, &[])
    }

    pub fn with(api: &str, more: &[(&str, &str)]) -> Gateway {
        let dir = Dir::new();
        let port = free_port();
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in [
            ("DISCORD_BOT_TOKEN", format!("test-token-{port}").as_str()),
            ("DISCORD_API_URL", api),
            ("BARNACLE_STATE_DIR", &path(&dir.0.join("state"))),
            ("XDG_RUNTIME_DIR", &path(&dir.0)),
            ("HOME", &path(&dir.0)),
        ] {
            env.insert(key.into(), value.into());
        }
        for (key, value) in more {
            env.insert((*key).into(), (*value).into());
        }
        let run = launch(port, &env);
        Gateway { run, port, dir, env }
    }

    /// Starts it once more, with the same state.
    pub fn again(&mut self) {
        self.run.kill();
        self.run = launch(self.port, &self.env);
    }

    pub fn set(&mut self, key: &str, value: &str) {
        self.env.insert(key.into(), value.into());
    }

    /// `/health/detail`, if it answers.
    pub fn detail(&self) -> Option<Value> {
        let (_, body) = http("GET", self.port, "/health/detail", None, "")?;
        serde_json::from_str(&body).ok()
    }

    pub fn channel(&self) -> String {
        self.detail()
            .and_then(|detail| Some(detail["channels"]["discord"].as_str()?.to_owned()))
            .unwrap_or_default()
    }

    pub fn await_channel(&self, status: &str) {
        let what = format!("discord to be {status}; it is {}", self.channel());
        wait(&what, PATIENCE, || (self.channel() == status).then_some(()));
    }

    /// What `barnacle ARGS` prints and returns when run beside this gateway.
    pub fn cli(&self, args: &[&str]) -> (ExitStatus, String) {
        let mut env: Vec<(&str, &str)> =
            self.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let port = self.port.to_string();
        env.push(("BARNACLE_GATEWAY_PORT", &port));
        let mut run = Run::start(args, &env);
        let status = run.exit(PATIENCE);
        (status, run.output())
    }
}

fn launch(port: u16, env: &BTreeMap<String, String>) -> Run {
    let port = port.to_string();
    let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    Run::start(&["gateway", "--port", &port, "--log-level", "connection-debug"], &env)
}

pub fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
