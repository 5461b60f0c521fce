//! The verbs that keep the set-up: accounts, agents, the service, reports, what others could get
//! at. Whatever systemd would do is written down by a stand-in.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::harness::{Dir, Gateway, Plan, Run, Sandbox, path_text};

fn document(run: &Run) -> Value {
    serde_json::from_str(&run.stdout()).unwrap_or_else(|error| panic!("{error}: {}", run.output()))
}

fn told(plan: &Plan, args: &[&str], code: i32) -> Run {
    let mut run = plan.beside(args);
    run.end_input();
    assert_eq!(run.code(), code, "{args:?}: {}", run.output());
    run
}

#[test]
fn accounts_and_agents_are_changed_in_the_file_and_taken_up_at_once() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::configured(&sandbox.api, "{\n  // mine\n}\n");
    gateway.await_channel("connected");
    let cli = |args: &[&str]| {
        let mut run = gateway.cli(args);
        assert_eq!(run.code(), 0, "{args:?}: {}", run.output());
        assert!(!run.output().contains("second.token"), "{}", run.output());
        run.stdout()
    };
    let add = ["channels", "add", "discord", "--account", "work", "--token", "a.second.token.work"];
    let said = cli(&add);
    assert!(said.contains("taken it up") && said.contains("work"), "{said}");
    assert!(cli(&["channels", "list"]).contains("discord work"));
    let text = std::fs::read_to_string(gateway.dir.0.join("b.json5")).unwrap();
    assert!(text.contains("// mine") && text.contains("a.second.token.work"), "{text}");
    cli(&["channels", "remove", "--channel", "discord", "--account", "work"]);
    assert!(cli(&["channels", "list"]).contains("discord work     disabled"));
    cli(&["channels", "remove", "--account", "work", "--delete"]);
    assert!(!cli(&["channels", "list"]).contains("work"));
    cli(&["agents", "add", "ops", "--command", "/bin/cat", "--bind", "discord:default"]);
    assert!(cli(&["agents", "bindings"]).contains("ops  discord, account default"));
    cli(&["agents", "unbind", "--agent", "ops", "--all"]);
    assert!(cli(&["agents", "bindings"]).contains("nothing is bound"));
    cli(&["agents", "bind", "--agent", "ops", "--bind", "discord"]);
    cli(&["agents", "delete", "ops"]);
    let text = std::fs::read_to_string(gateway.dir.0.join("b.json5")).unwrap();
    assert!(text.contains("// mine") && !text.contains("ops"), "{text}");
    for (args, code) in [
        (&["channels", "add", "discord", "--account", "x"][..], 64),
        (&["channels", "add", "irc", "--token", "x"], 64),
        (&["channels", "remove", "--account", "nobody"], 64),
        (&["agents", "bind", "--agent", "nobody", "--bind", "discord"], 64),
        (&["channels", "dead-letters", "resubmit", "1"], 65),
    ] {
        let mut run = gateway.cli(args);
        assert_eq!(run.code(), code, "{args:?}: {}", run.output());
    }
}

#[test]
fn a_channel_is_looked_into_and_its_log_read() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    for (args, words) in [
        (&["channels", "capabilities"][..], "everything that is used is permitted"),
        (&["channels", "resolve", "#general", "77"], "77"),
        (&["channels", "login"], "--token -"),
        (&["channels", "logs", "--lines", "50"], "connected: new session"),
        (&["channels", "dead-letters", "list"], "nothing was dropped"),
        (&["gateway", "probe"], "ready"),
        (&["status", "--deep"], "proof of life"),
        (&["status", "--all"], "bootId"),
        (&["system", "presence"], ""),
        (&["system", "heartbeat", "last"], ""),
        (&["message", "send", "-t", "1", "-m", "hello", "--dry-run"], "dryRun     true"),
    ] {
        let mut run = gateway.cli(args);
        assert_eq!(run.code(), 0, "{args:?}: {}", run.output());
        assert!(run.stdout().contains(words), "{args:?}: {}", run.stdout());
        let run = gateway.cli(&[args, &["--json"]].concat());
        document(&run);
    }
    let mut run = gateway.cli(&["channels", "resolve", "#no-such-channel"]);
    assert_eq!(run.code(), 65, "{}", run.output());
    let logs = gateway.cli(&["channels", "logs", "--channel", "discord"]).stdout();
    assert!(logs.lines().all(|line| line.contains("[discord")), "{logs}");
}

#[test]
fn a_report_holds_what_a_helper_needs_and_no_secret() {
    let sandbox = Sandbox::start();
    let text = json!({
        "gateway": { "auth": { "token": "the-control-ports-own-token" } },
        "agents": { "entries": { "one": {
            "kind": "http", "url": "http://127.0.0.1:9/hook?key=query-secret",
            "headers": { "X-Any": "header-secret" },
        }, "two": {
            "kind": "exec", "command": ["/bin/cat", "--pass=argument-secret"],
            "env": { "WHATEVER": "variable-secret" },
        } } },
    });
    let text = format!("// an old one: comment-secret\n{text}");
    let gateway = Gateway::configured(&sandbox.api, &text);
    gateway.await_channel("connected");
    let file = gateway.dir.0.join("report.json");
    let args = ["gateway", "diagnostics", "export", "--output", &path_text(&file)];
    let mut run = gateway.cli(&args);
    assert_eq!(run.code(), 0, "{}", run.output());
    let report = std::fs::read_to_string(&file).unwrap();
    for secret in [
        "the-control-ports-own-token",
        "query-secret",
        "header-secret",
        "argument-secret",
        "variable-secret",
        "comment-secret",
        gateway.plan.token(),
    ] {
        assert!(!report.contains(secret), "{secret} is in the report");
    }
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["status"]["status"], "ok", "{report:#}");
    assert_eq!(report["config"]["agents"]["entries"]["one"]["kind"], "http");
    assert!(report["log"].as_array().is_some_and(|lines| lines.len() > 3));
    assert!(report["doctor"]["checks"].is_array() && report["history"].is_object());
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut again = gateway.cli(&args);
    assert_eq!(again.code(), 73, "nothing is overwritten: {}", again.output());
}

/// A stand-in for systemctl that writes down what it is asked.
fn stand_in(dir: &Dir) -> (Plan, String) {
    let bin = dir.0.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let log = path_text(&dir.0.join("systemctl.log"));
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {log}\ncase \"$*\" in *is-active*) echo active ;; esac\n"
    );
    let file = dir.file("bin/systemctl", &script);
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", path_text(&bin));
    (Plan::new(dir, "http://127.0.0.1:1").env("PATH", &path), log)
}

#[test]
fn a_service_is_installed_started_shown_and_removed() {
    let dir = Dir::new();
    let (plan, log) = stand_in(&dir);
    let unit = dir.0.join("home/.config/systemd/user/barnacle.service");
    let run = told(&plan, &["gateway", "start"], 69);
    assert!(run.stderr().contains("gateway install"), "{}", run.stderr());
    let run = told(&plan, &["gateway", "install", "--port", "18999"], 0);
    assert!(run.stdout().contains("barnacle.env"), "the shell's token: {}", run.stdout());
    let text = std::fs::read_to_string(&unit).unwrap();
    for part in ["Type=notify\n", "gateway --port 18999\n", "/barnacle.env\n", "WantedBy=default"] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert!(!text.contains('@'), "{text}");
    told(&plan, &["gateway", "install", "--port", "18999"], 0);
    let run = told(&plan, &["gateway", "install"], 64);
    assert!(run.stderr().contains("--force"), "{}", run.stderr());
    told(&plan, &["gateway", "install", "--force"], 0);
    told(&plan, &["gateway", "start"], 0);
    let run = told(&plan, &["gateway", "status", "--no-probe"], 0);
    assert_eq!(run.stdout(), "service  barnacle.service: active\n");
    told(&plan, &["gateway", "uninstall"], 0);
    assert!(!unit.exists());
    told(&plan, &["gateway", "uninstall"], 0);
    let asked = std::fs::read_to_string(log).unwrap();
    for words in [
        "--user daemon-reload",
        "--user enable --now barnacle.service",
        "--user restart barnacle.service",
        "--user start barnacle.service",
        "--user disable --now barnacle.service",
    ] {
        assert!(asked.lines().any(|line| line == words), "{words:?} of:\n{asked}");
    }
    let run = told(&plan, &["--profile", "two", "gateway", "install"], 0);
    assert!(run.stdout().contains("barnacle-two.service"), "{}", run.stdout());
    let unit = dir.0.join("home/.config/systemd/user/barnacle-two.service");
    assert!(std::fs::read_to_string(unit).unwrap().contains(" --profile two gateway\n"));
    // Without systemd nothing is written.
    let bare = plan.clone().env("PATH", &path_text(&dir.0));
    std::fs::remove_dir_all(dir.0.join("home")).unwrap();
    let run = told(&bare, &["gateway", "install"], 69);
    assert!(run.stderr().contains("no systemd"), "{}", run.stderr());
    assert!(!dir.0.join("home").exists());
}

#[test]
fn open_files_and_doors_are_audited_and_closed() {
    let dir = Dir::new();
    let plan = Plan::new(&dir, "http://127.0.0.1:1");
    let config = dir.file("b.json5", "{ channels: { discord: { dmPolicy: 'open' } } }");
    let plan = plan.env("BARNACLE_CONFIG", &config);
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o646)).unwrap();
    let run = told(&plan, &["security", "audit", "--json"], 78);
    let found = document(&run);
    assert_eq!(found["summary"]["critical"], 1, "{found:#}");
    let run = told(&plan, &["security", "audit", "--fix"], 0);
    assert!(run.stdout().contains("fixed: ") && run.stdout().contains("dmPolicy lets in"));
    let mode = std::fs::metadata(&config).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0o040 & mode, "closed to everybody");
    let run = told(&plan, &["update", "--json"], 65);
    assert!(!document(&run)["command"].as_str().unwrap().is_empty());
}

#[test]
fn a_profile_has_directories_and_a_gateway_of_its_own() {
    let dir = Dir::new();
    let home = path_text(&dir.0);
    let plan = Plan { env: [("HOME".to_owned(), home.clone())].into(), args: Vec::new() };
    let run = told(&plan, &["--profile", "two", "config", "init"], 0);
    assert!(run.stdout().contains(".config/barnacle-two/barnacle.json5"), "{}", run.stdout());
    let run = told(&plan, &["--dev", "config", "path", "--json"], 0);
    let tried = document(&run)["tried"].to_string();
    assert!(tried.contains("barnacle-dev/barnacle.json5") && !tried.contains("openclaw"));
    let run = told(&plan, &["--profile", "../up", "config", "path"], 64);
    assert!(run.stderr().contains("--profile does not take that"), "{}", run.stderr());
    let run = told(&plan, &["--dev", "status", "--timeout", "300"], 69);
    assert!(run.stderr().contains("127.0.0.1:19001"), "{}", run.stderr());
}

#[test]
fn the_command_line_says_who_may_connect_whatever_is_configured() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::with(&sandbox.api, |_, mut plan| {
        plan.args.extend(["--token", "from-the-command-line"].map(str::to_owned));
        plan
    });
    let port = gateway.port.to_string();
    for (token, code) in [("from-the-command-line", 0), ("another", 77)] {
        let mut run = gateway.cli(&["health", "--port", &port, "--token", token]);
        assert_eq!(run.code(), code, "{}", run.output());
    }
    let dir = Dir::new();
    let mut plan = Plan::new(&dir, "http://127.0.0.1:1");
    plan.args.extend(["--bind", "lan", "--auth", "none"].map(str::to_owned));
    let mut open = plan.run();
    assert_eq!(open.code(), 78, "{}", open.output());
    assert!(open.stderr().contains("other hosts"), "{}", open.stderr());
}
