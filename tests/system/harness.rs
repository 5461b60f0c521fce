//! Starts the real binary and watches it from outside. Every process is ended by its own id.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Pid;
pub(crate) use rustix::process::Signal;
use serde_json::{Value, json};

/// How often something that will come is looked for.
const LOOK: Duration = Duration::from_millis(25);
/// For what must come at all, however slow the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What a promise's figure is multiplied by: it was made for a machine that does nothing else.
pub(crate) const SLACK: u32 = 2;

/// The file that is tested: the one that is shipped, if `tests/run` names it.
pub(crate) fn binary() -> PathBuf {
    let named = std::env::var_os("BARNACLE_BIN");
    named.map_or_else(|| BUILT.into(), PathBuf::from)
}

/// The one that cargo has built beside the tests.
const BUILT: &str = env!("CARGO_BIN_EXE_barnacle");

/// The time, for bounding waits; recoveries are measured by the sandbox's own times.
#[allow(clippy::disallowed_methods, reason = "the tests watch real processes in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "a test thread has nothing else to do")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Looks until `found` gives something, or says what was waited for.
pub(crate) fn wait<T>(what: &str, patience: Duration, mut found: impl FnMut() -> Option<T>) -> T {
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
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new() -> Dir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("barnacle-test-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    /// Writes a file in it; gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path_text(&path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn path_text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Which of a process's two outputs a line came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pipe {
    Out,
    Err,
}

type Lines = Arc<Mutex<Vec<(Pipe, String)>>>;

/// One run of the binary.
pub(crate) struct Run {
    child: Child,
    lines: Lines,
    readers: Vec<JoinHandle<()>>,
    /// What it was started with, for failure messages.
    name: String,
}

impl Run {
    /// Runs it with exactly these variables.
    pub(crate) fn start(args: &[&str], env: &[(&str, &str)]) -> Run {
        // What is shipped may be static, and then lets no other library in.
        let is_given_a_library = env.iter().any(|&(key, _)| key == "LD_PRELOAD");
        let mut command = Command::new(if is_given_a_library { BUILT.into() } else { binary() });
        command.args(args).env_clear().envs(env.iter().copied());
        Run::of(command, args.join(" "))
    }

    /// Runs any command.
    pub(crate) fn of(mut command: Command, name: String) -> Run {
        command.stderr(Stdio::piped());
        Run::spawn(command, name)
    }

    /// Runs a command whose standard error goes where it says.
    pub(crate) fn spawn(mut command: Command, name: String) -> Run {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Run::watch(command, name)
    }

    /// Runs a command with all its descriptors as they are.
    pub(crate) fn watch(mut command: Command, name: String) -> Run {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = Lines::default();
        let out = child.stdout.take().map(|pipe| collect(pipe, Pipe::Out, &lines));
        let err = child.stderr.take().map(|pipe| collect(pipe, Pipe::Err, &lines));
        Run { child, lines, readers: out.into_iter().chain(err).collect(), name }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it has printed.
    pub(crate) fn output(&self) -> String {
        self.joined(|_| true)
    }

    pub(crate) fn stdout(&self) -> String {
        self.joined(|pipe| pipe == Pipe::Out)
    }

    pub(crate) fn stderr(&self) -> String {
        self.joined(|pipe| pipe == Pipe::Err)
    }

    fn joined(&self, wanted: impl Fn(Pipe) -> bool) -> String {
        let lines = self.lines.lock().unwrap();
        let wanted = lines.iter().filter(|(pipe, _)| wanted(*pipe));
        wanted.flat_map(|(_, line)| [line, "\n"]).collect()
    }

    /// How many lines have `needle` in them.
    pub(crate) fn count(&self, needle: &str) -> usize {
        self.output().lines().filter(|line| line.contains(needle)).count()
    }

    /// Waits for a line with `needle` in it.
    pub(crate) fn line(&self, needle: &str) -> String {
        self.line_after(0, needle)
    }

    /// The same, of the lines after the first `skip`.
    pub(crate) fn line_after(&self, skip: usize, needle: &str) -> String {
        let start = now();
        loop {
            let found = {
                let lines = self.lines.lock().unwrap();
                let mut lines = lines.iter().skip(skip).map(|(_, line)| line);
                lines.find(|line| line.contains(needle)).cloned()
            };
            if let Some(line) = found {
                return line;
            }
            let late = start.elapsed() > PATIENCE;
            assert!(!late, "`{}` never said {needle:?}; it said:\n{}", self.name, self.output());
            pause(LOOK);
        }
    }

    /// How many lines it has printed.
    pub(crate) fn length(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// Types to it.
    pub(crate) fn write(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Ends its standard input.
    pub(crate) fn end_input(&mut self) {
        self.child.stdin = None;
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, and for the last of its lines.
    pub(crate) fn exit(&mut self, patience: Duration) -> ExitStatus {
        let start = now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.readers.drain(..).for_each(|reader| reader.join().unwrap());
                return status;
            }
            let late = start.elapsed() > patience;
            assert!(!late, "`{}` did not end; it said:\n{}", self.name, self.output());
            pause(LOOK);
        }
    }

    /// Waits for its end; the exit code.
    pub(crate) fn code(&mut self) -> i32 {
        let status = self.exit(PATIENCE);
        status.code().unwrap_or_else(|| panic!("`{}`: {status}\n{}", self.name, self.output()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// `kill -9`, and reaped.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
    }

    /// A figure of /proc/PID/status in KiB, such as `VmHWM`.
    pub(crate) fn memory_kib(&self, field: &str) -> u64 {
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

fn collect(pipe: impl Read + Send + 'static, from: Pipe, into: &Lines) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            into.lock().unwrap().push((from, text));
            line.clear();
        }
    })
}

/// An HTTP answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A small HTTP/1.1 request over loopback; further headers, or another `Host`, are the caller's.
pub(crate) fn http(
    port: u16,
    what: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut request = format!("{what} HTTP/1.1\r\nConnection: close\r\n");
    if headers.iter().all(|(name, _)| *name != "Host") {
        let _ = write!(request, "Host: 127.0.0.1:{port}\r\n");
    }
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    let length = body.len();
    let _ = write!(request, "Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// Something that happened in the sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Milliseconds since the sandbox's start.
    pub(crate) ms: u64,
    pub(crate) what: String,
    /// Of a message.
    pub(crate) id: String,
}

impl Event {
    fn of(value: &Value) -> Event {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Event { ms: value["ms"].as_u64().unwrap(), what: text("what"), id: text("id") }
    }
}

/// All that the sandbox knows at one moment.
pub(crate) struct State(pub(crate) Value);

impl State {
    pub(crate) fn ms(&self) -> u64 {
        self.0["ms"].as_u64().unwrap()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.0["events"].as_array().unwrap().iter().map(Event::of).collect()
    }

    /// The events called `what` after `ms`.
    pub(crate) fn after(&self, ms: u64, what: &str) -> Vec<Event> {
        let is_meant = |event: &Event| event.ms >= ms && event.what == what;
        self.events().into_iter().filter(is_meant).collect()
    }

    /// What is known of the only bot.
    pub(crate) fn bot(&self) -> &Value {
        &self.0["bots"][0]
    }

    /// A number of the only bot's, by a JSON pointer; 0 if nothing is known yet.
    pub(crate) fn number(&self, pointer: &str) -> u64 {
        self.bot().pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }

    /// All messages of all channels.
    pub(crate) fn messages(&self) -> Vec<&Value> {
        let channels = self.0["channels"].as_array().unwrap();
        channels.iter().flat_map(|channel| channel["messages"].as_array().unwrap()).collect()
    }

    /// The answers to the message `id`: when they came, and what they say.
    pub(crate) fn answers(&self, id: &str) -> Vec<(u64, String)> {
        let events = self.events();
        let posted = |answer: &str| events.iter().find(|e| e.what == "posted" && e.id == answer);
        let answers = self
            .messages()
            .into_iter()
            .filter(|message| message["bot"] == true && message["reference"].as_str() == Some(id));
        let seen = answers.map(|message| {
            let at = posted(message["id"].as_str().unwrap()).map_or(0, |event| event.ms);
            (at, message["content"].as_str().unwrap().to_owned())
        });
        seen.collect()
    }

    /// Connects after `ms`.
    pub(crate) fn connects(&self, ms: u64) -> usize {
        self.after(ms, "connected").len()
    }

    /// That the client has kept all of Discord's rules, and to one socket.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.0["violations"], json!([]));
        assert!(self.0["sockets"]["open_max"] == 1, "two sockets: {}", self.bot());
    }
}

/// The sandbox, run by its verb of the binary.
pub(crate) struct Sandbox {
    pub(crate) run: Run,
    pub(crate) api: String,
    port: u16,
}

impl Sandbox {
    /// With heartbeats each 4 s, as the recovery promises assume.
    pub(crate) fn start() -> Sandbox {
        Sandbox::with(&["--heartbeat", "4000"])
    }

    pub(crate) fn with(args: &[&str]) -> Sandbox {
        let mut all = vec!["sandbox", "--port", "0"];
        all.extend(args);
        let run = Run::start(&all, &[]);
        let line = run.line("DISCORD_API_URL=");
        let api = line.split_once("DISCORD_API_URL=").unwrap().1.trim().to_owned();
        let authority = api.split('/').nth(2).unwrap();
        let port = authority.rsplit(':').next().unwrap().parse().unwrap();
        Sandbox { run, api, port }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = http(self.port, &format!("GET /_sandbox/{path}"), &[], None);
        let answer = answer.unwrap_or_else(|| panic!("no answer about {path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    pub(crate) fn state(&self) -> State {
        State(self.get("state"))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let answer = http(self.port, &format!("POST /_sandbox/{path}"), &[], Some(body));
        let answer = answer.unwrap_or_else(|| panic!("no answer to {path} {body}"));
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
        answer.json()
    }

    /// Injects a fault, `args` being its further fields; gives the time of it.
    pub(crate) fn fault(&self, name: &str, args: Value) -> u64 {
        let mut body = args;
        body["name"] = name.into();
        self.post("fault", &body);
        let armed = self.state().after(0, "armed");
        armed.last().unwrap().ms
    }

    pub(crate) fn clear(&self) {
        self.post("clear", &json!({}));
    }

    /// What it answers to a line on its standard input.
    pub(crate) fn command(&mut self, line: &str) -> Value {
        let skip = self.run.length();
        self.run.write(&format!("{line}\n"));
        let answer = self.run.line_after(skip, "{");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// A person says something; the id of the message.
    pub(crate) fn say(&self, fields: &Value) -> String {
        self.post("say", fields)["id"].as_str().unwrap().to_owned()
    }

    /// A person mentions the bot; the id of the message.
    pub(crate) fn ask(&self, text: &str) -> String {
        self.say(&json!({"text": text, "mention": true}))
    }

    /// A person writes to the bot directly; the id of the message.
    pub(crate) fn direct(&self, author: &str, text: &str) -> String {
        self.say(&json!({"text": text, "direct": true, "author": author}))
    }

    /// Looks at the state until `found` finds something in it.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        patience: Duration,
        mut found: impl FnMut(&State) -> Option<T>,
    ) -> T {
        wait(what, patience, || found(&self.state()))
    }

    /// Waits for an event called `what` after `ms`; how long after.
    pub(crate) fn recovery(&self, ms: u64, what: &str, promise: Duration) -> Duration {
        let patience = promise * SLACK + seconds(5);
        let event = self.until(what, patience, |state| state.after(ms, what).into_iter().next());
        let took = millis(event.ms - ms);
        assert!(took < promise * SLACK, "{what} took {took:?}, promised is {promise:?}");
        took
    }

    /// Waits for the first answer to message `id` that is not still being written.
    pub(crate) fn answer(&self, id: &str) -> String {
        let what = format!("an answer to {id}");
        let is_whole = |(_, text): &(u64, String)| !text.ends_with(" \u{2026}");
        self.until(&what, PATIENCE, |state| state.answers(id).pop().filter(is_whole)).1
    }

    /// Waits for the answer to `id`, and a while longer: there is exactly one.
    pub(crate) fn exactly_one_answer(&self, id: &str) -> String {
        let text = self.answer(id);
        pause(millis(1500));
        let answers = self.state().answers(id);
        assert_eq!(answers.len(), 1, "answers: {answers:?}");
        text
    }
}

/// How `barnacle gateway` is to be run.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) args: Vec<String>,
}

impl Plan {
    /// Against the API at `api`, all its directories below `dir`, with a token of its own.
    pub(crate) fn new(dir: &Dir, api: &str) -> Plan {
        let below = |name: &str| path_text(&dir.0.join(name));
        let token = format!("test.token.{}", dir.0.file_name().unwrap().to_str().unwrap());
        let env = [
            ("DISCORD_BOT_TOKEN", token),
            ("DISCORD_API_URL", api.to_owned()),
            ("BARNACLE_STATE_DIR", below("state")),
            ("XDG_RUNTIME_DIR", below("run")),
            ("HOME", below("home")),
        ];
        let args = ["gateway", "--port", "0", "--log-level", "connection-debug"];
        Plan {
            env: env.map(|(key, value)| (key.to_owned(), value)).into(),
            args: args.map(str::to_owned).into(),
        }
    }

    pub(crate) fn env(mut self, key: &str, value: &str) -> Plan {
        self.env.insert(key.into(), value.into());
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Plan {
        self.env.remove(key);
        self
    }

    /// With another log level.
    pub(crate) fn level(mut self, level: &str) -> Plan {
        *self.args.last_mut().unwrap() = level.into();
        self
    }

    /// With this control port.
    pub(crate) fn port(mut self, port: u16) -> Plan {
        self.args[2] = port.to_string();
        self
    }

    pub(crate) fn token(&self) -> &str {
        &self.env["DISCORD_BOT_TOKEN"]
    }

    pub(crate) fn run(&self) -> Run {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.beside(&args)
    }

    /// Runs it with `file` as standard error.
    pub(crate) fn with_stderr(&self, file: File) -> Run {
        let mut command = Command::new(binary());
        command.args(&self.args).env_clear().envs(&self.env).stderr(file);
        Run::spawn(command, self.args.join(" "))
    }

    /// Runs another command in the same environment.
    pub(crate) fn beside(&self, args: &[&str]) -> Run {
        let env: Vec<(&str, &str)> =
            self.env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Run::start(args, &env)
    }
}

/// `barnacle gateway`, up and listening.
pub(crate) struct Gateway {
    pub(crate) run: Run,
    pub(crate) port: u16,
    pub(crate) plan: Plan,
    pub(crate) dir: Dir,
}

impl Gateway {
    /// Against `sandbox`, and connected.
    pub(crate) fn connected(sandbox: &Sandbox) -> Gateway {
        let gateway = Gateway::start(&sandbox.api);
        gateway.await_channel("connected");
        gateway
    }

    pub(crate) fn start(api: &str) -> Gateway {
        Gateway::with(api, |_, plan| plan)
    }

    /// As `change` wants it to be run.
    pub(crate) fn with(api: &str, change: impl FnOnce(&Dir, Plan) -> Plan) -> Gateway {
        let dir = Dir::new();
        let plan = change(&dir, Plan::new(&dir, api));
        Gateway::of(plan, dir)
    }

    pub(crate) fn of(plan: Plan, dir: Dir) -> Gateway {
        let run = plan.run();
        let port = port(&run);
        Gateway { run, port, plan, dir }
    }

    /// With a configuration file.
    pub(crate) fn configured(api: &str, text: &str) -> Gateway {
        Gateway::with(api, |dir, plan| plan.env("BARNACLE_CONFIG", &dir.file("b.json5", text)))
    }

    /// The same bot, with directories of its own.
    pub(crate) fn plan_beside(&self) -> Plan {
        let state = path_text(&self.dir.0.join("other-state"));
        let hot = path_text(&self.dir.0.join("other-run"));
        self.plan.clone().env("BARNACLE_STATE_DIR", &state).env("XDG_RUNTIME_DIR", &hot)
    }

    /// Starts it once more, with the same state; the old one is killed if it still runs.
    pub(crate) fn again(&mut self) {
        self.run.kill();
        self.run = self.plan.run();
        self.port = port(&self.run);
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let answer = http(self.port, &format!("GET {path}"), headers, None);
        answer.unwrap_or_else(|| panic!("no answer about {path}:\n{}", self.run.output()))
    }

    /// The word for the channel in `/health/detail`.
    pub(crate) fn channel(&self) -> String {
        let detail = self.get("/health/detail", &[]).json();
        detail["channels"]["discord"].as_str().unwrap_or("missing").to_owned()
    }

    pub(crate) fn await_channel(&self, status: &str) {
        let start = now();
        loop {
            let channel = self.channel();
            if channel == status {
                return;
            }
            let late = start.elapsed() > PATIENCE;
            assert!(!late, "discord is {channel}, not {status}:\n{}", self.run.output());
            pause(LOOK);
        }
    }

    /// The control port's token, as our own command line reads it.
    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.dir.0.join("state/gateway.token")).unwrap()
    }

    /// What the gateway says of its Discord account.
    pub(crate) fn status(&self) -> Value {
        let bearer = format!("Bearer {}", self.token());
        let status = self.get("/api/status", &[("Authorization", &bearer)]).json();
        status["channels"]["discord"]["accounts"]["default"].clone()
    }

    /// Runs a command beside it, and waits for its end.
    pub(crate) fn cli(&self, args: &[&str]) -> Run {
        let port = self.port.to_string();
        let mut run = self.plan.clone().env("BARNACLE_GATEWAY_PORT", &port).beside(args);
        run.end_input();
        run.exit(PATIENCE);
        run
    }

    /// Ends it in order; the exit code.
    pub(crate) fn stop(&mut self) -> i32 {
        self.run.signal(Signal::TERM);
        self.run.code()
    }
}

/// The port that it says it listens on.
pub(crate) fn port(run: &Run) -> u16 {
    let line = run.line("listening on http://");
    line.rsplit(':').next().unwrap().trim().parse().unwrap()
}
