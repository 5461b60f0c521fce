//! What a person sees on a terminal, and what a pipe gets instead: a real pseudo-terminal, the real
//! binary.

use std::fs::File;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::harness::{Dir, Gateway, PATIENCE, Plan, Sandbox, binary, wait};

/// A command on a terminal of its own.
struct Terminal {
    child: Child,
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    fn start(plan: &Plan, args: &[&str], columns: u16) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let window = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, window).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        let side = || Stdio::from(slave.try_clone().unwrap());
        let mut command = Command::new(binary());
        command.args(args).env_clear().envs(&plan.env);
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&said);
        let mut master = File::from(master);
        // Its end is an error of the terminal's, once nobody has the other side open.
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = master.read(&mut bytes) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Terminal { child, said, reader: Some(reader) }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    fn end(&mut self) -> ExitStatus {
        let status = wait("the command's end", PATIENCE, || self.child.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is left on the terminal's lines once all of `text` is written: a return begins a line anew,
/// and the wiping of a line empties it.
fn shown(text: &str) -> Vec<String> {
    let lines = text.split('\n').map(|line| {
        let line = line.trim_end_matches('\r').replace("\u{1b}[K", "\u{0}");
        let mut kept = String::new();
        for part in line.split('\r') {
            match part.split_once('\u{0}') {
                Some(("", rest)) => kept = rest.replace('\u{0}', ""),
                _ if part.is_empty() => {}
                _ => kept = part.replace('\u{0}', ""),
            }
        }
        kept
    });
    lines.collect()
}

#[test]
fn a_terminal_gets_titles_colours_and_lines_that_fit_and_a_pipe_gets_words() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let port = gateway.port.to_string();
    let plan = gateway.plan.clone().env("BARNACLE_GATEWAY_PORT", &port).env("TERM", "xterm");
    let on_terminal = |plan: &Plan, args: &[&str]| {
        let mut terminal = Terminal::start(plan, args, 60);
        assert!(terminal.end().success(), "{}", terminal.said());
        terminal.said()
    };
    let coloured = on_terminal(&plan, &["channels", "status"]);
    assert!(coloured.contains("\u{1b}[32mconnected"), "{coloured:?}");
    assert!(coloured.contains("ACCOUNT") && coloured.contains("STATE"), "{coloured:?}");
    for (plan, args) in [
        (plan.clone(), &["channels", "status", "--no-color"][..]),
        (plan.clone().env("NO_COLOR", "1"), &["channels", "status"]),
        (plan.clone().env("TERM", "dumb"), &["channels", "status"]),
        (plan.clone().env("FORCE_COLOR", "1").env("NO_COLOR", "1"), &["channels", "status"]),
    ] {
        let shown = on_terminal(&plan, args);
        assert!(!shown.contains('\u{1b}') && shown.contains("ACCOUNT"), "{shown:?}");
        for line in shown.lines() {
            assert!(line.trim_end().chars().count() <= 60, "{line:?}");
        }
    }
    let piped = gateway.cli(&["channels", "status"]).stdout();
    assert!(!piped.contains(['\u{1b}', '\t']) && !piped.contains("ACCOUNT"), "{piped:?}");
    assert!(piped.starts_with("discord default  connected, proof of life"), "{piped:?}");
    let mut forced = plan.clone().env("CLICOLOR_FORCE", "1").beside(&["channels", "status"]);
    assert_eq!(forced.code(), 0);
    assert!(forced.stdout().contains("\u{1b}[32mconnected"), "{}", forced.stdout());
    let document = on_terminal(&plan, &["channels", "status", "--json"]);
    assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok(), "{document:?}");
}

/// A gateway that takes connections and never says a word.
fn silence() -> (Dir, Plan, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let dir = Dir::new();
    let plan = Plan::new(&dir, "http://127.0.0.1:1").env("BARNACLE_GATEWAY_PORT", &port);
    (dir, plan.env("TERM", "xterm"), listener)
}

#[test]
fn who_waits_sees_a_sign_that_is_gone_in_the_end() {
    let (_dir, plan, _listener) = silence();
    let args = ["health", "--timeout", "1500", "--token", "x"];
    let mut terminal = Terminal::start(&plan, &args, 80);
    assert_eq!(terminal.end().code(), Some(69), "{}", terminal.said());
    let said = terminal.said();
    assert!(said.contains("waiting for the gateway"), "{said:?}");
    let left = shown(&said);
    assert!(left.iter().all(|line| !line.contains("waiting")), "{left:?}");
    assert!(left[0].starts_with("barnacle: 127.0.0.1:"), "{left:?}");
    // Nothing of it where nobody looks.
    let mut run = plan.beside(&args);
    assert_eq!(run.code(), 69);
    let said = run.output();
    assert!(!said.contains(['\u{1b}', '\r']) && !said.contains("waiting"), "{said:?}");
}

#[test]
fn ctrl_c_wipes_the_sign_and_ends_by_its_signal() {
    let (_dir, plan, _listener) = silence();
    let args = ["health", "--timeout", "60000", "--token", "x"];
    let mut terminal = Terminal::start(&plan, &args, 80);
    wait("the sign", PATIENCE, || {
        terminal.said().contains("waiting for the gateway").then_some(())
    });
    kill_process(Pid::from_child(&terminal.child), Signal::INT).unwrap();
    let status = terminal.end();
    assert_eq!(status.signal(), Some(2), "{status}: {}", terminal.said());
    let left = shown(&terminal.said());
    assert!(left.iter().all(|line| !line.contains("waiting")), "{left:?}");
}

#[test]
fn a_failure_is_one_document_too() {
    let (_dir, plan, listener) = silence();
    drop(listener);
    for (args, kind, code) in [
        (&["health", "--timeout", "400"][..], "unavailable", 69),
        (&["channels", "list", "--timeout", "400"], "unavailable", 69),
        (&["channels", "liist"], "usage", 64),
        (&["config", "get", "nothing.here"], "usage", 64),
        (&["backup", "verify", "/nonexistent"], "refused", 65),
    ] {
        let mut run = plan.beside(&[args, &["--json"]].concat());
        assert_eq!(run.code(), code, "{args:?}: {}", run.output());
        let told: serde_json::Value = serde_json::from_str(&run.stdout()).unwrap();
        assert_eq!(told["ok"], false, "{told}");
        assert_eq!(told["error"]["type"], kind, "{told}");
        assert_eq!(told["error"]["exitCode"], code, "{told}");
        assert!(!run.stderr().is_empty(), "people read it too");
    }
    // What has its document already gets no second one.
    let mut run = plan.beside(&["doctor", "--json", "--timeout", "300"]);
    assert_ne!(run.code(), 0);
    assert!(serde_json::from_str::<serde_json::Value>(&run.stdout()).is_ok(), "{}", run.stdout());
}
