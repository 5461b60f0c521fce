//! The verbs that need no account: demo, drill, sandbox, invite-url, help.

use serde_json::{Value, json};

use crate::harness::{Dir, Run, Sandbox, Signal, http};

fn barnacle(args: &[&str]) -> Run {
    let mut run = Run::start(args, &[]);
    run.end_input();
    run
}

#[test]
fn a_demo_answers_what_is_piped_into_it_and_heals_what_is_broken() {
    let mut demo = Run::start(&["demo"], &[]);
    demo.line("Connected in");
    demo.write("hello there\n");
    demo.line("bot: hello there");
    demo.write("/drop\n");
    demo.line("RESUMED: the same session, nothing missed");
    // Without a terminal a key is a line.
    demo.write("7\n");
    demo.line("fault op7");
    demo.write("still there? \u{1b}[31mred\n");
    demo.end_input();
    assert_eq!(demo.code(), 0);
    let said = demo.stdout();
    assert!(said.contains("bot: still there?"), "what was asked is answered: {said}");
    assert!(said.ends_with("Leaving.\n") && !said.contains('\u{1b}'), "{said}");
    assert_eq!(demo.stderr(), "");
}

#[test]
fn a_demo_ends_by_its_own_word_and_by_ctrl_c_and_leaves_nothing_behind() {
    let dir = Dir::new();
    let tmp = crate::harness::path_text(&dir.0);
    for end in ["/quit\n", ""] {
        let mut demo = Run::start(&["demo"], &[("TMPDIR", &tmp)]);
        demo.line("Connected in");
        assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 1);
        if end.is_empty() {
            demo.signal(Signal::INT);
        }
        demo.write(end);
        assert_eq!(demo.code(), 0);
        assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 0);
    }
}

#[test]
fn drills_are_listed_played_and_guessed() {
    let mut list = barnacle(&["drill", "--list"]);
    assert_eq!(list.code(), 0);
    for name in ["drop", "black-hole", "resume-close", "rest-cut"] {
        assert!(list.stdout().lines().any(|line| line.starts_with(&format!("{name} "))));
    }
    let mut drill = barnacle(&["drill", "drop", "--json"]);
    assert_eq!(drill.code(), 0, "{}", drill.output());
    let told: Value = serde_json::from_str(&drill.stdout()).unwrap();
    assert_eq!((&told["name"], &told["kept"]), (&json!("drop"), &json!(true)));
    assert!(told["seconds"].as_f64().is_some_and(|seconds| seconds < 2.0), "{told}");
    let mut drill = barnacle(&["drill", "op7"]);
    assert_eq!(drill.code(), 0);
    assert!(drill.stdout().starts_with("op7 ") && drill.stdout().contains("promised: 1 s"));
    for (name, cure) in [("dorp", "did you mean drop?"), ("nonsense", "barnacle drill --list")] {
        let mut drill = barnacle(&["drill", name]);
        assert_eq!(drill.code(), 64);
        assert!(drill.stderr().contains(cure), "{}", drill.stderr());
    }
}

#[test]
fn the_sandbox_is_steered_by_lines_as_well_as_by_http() {
    let mut sandbox = Sandbox::start();
    assert_eq!(sandbox.command("state")["heartbeat_ms"], 4000);
    assert_eq!(sandbox.command("refuse seconds=1")["fault"], "refuse");
    assert_eq!(sandbox.state().0["armed"], json!(["refuse"]));
    assert_eq!(sandbox.command("clear")["ok"], true);
    assert_eq!(sandbox.state().0["armed"], json!([]));
    assert!(sandbox.command("nonsense")["error"].as_str().unwrap().contains("no fault"));
    sandbox.run.write("help\n");
    sandbox.run.line("flood [KEY=VALUE ..]");
    // When nobody types any more it runs on, for those who steer it by HTTP.
    sandbox.run.end_input();
    assert!(sandbox.say(&json!({"text": "hello"})).parse::<u64>().is_ok());
    sandbox.run.signal(Signal::TERM);
    assert_eq!(sandbox.run.code(), 0);
}

#[test]
fn an_invitation_names_the_bot_and_the_permissions_it_needs() {
    let sandbox = Sandbox::start();
    let env = [("DISCORD_BOT_TOKEN", "any.token"), ("DISCORD_API_URL", sandbox.api.as_str())];
    let mut run = Run::start(&["invite-url"], &env);
    assert_eq!(run.code(), 0, "{}", run.output());
    let link = run.stdout();
    assert!(link.starts_with("https://discord.com/oauth2/authorize?client_id=7"), "{link}");
    assert!(link.contains("scope=bot+applications.commands&permissions=309237763136"), "{link}");
    let args = ["invite-url", "--application", "42", "--permissions", "68608"];
    let mut run = Run::start(&args, &[]);
    assert_eq!(run.code(), 0);
    assert!(run.stdout().contains("client_id=42") && run.stdout().contains("permissions=68608"));
    let mut run = Run::start(&["invite-url"], &[]);
    assert_eq!(run.code(), 78);
    assert!(run.stderr().contains("DISCORD_BOT_TOKEN"), "{}", run.stderr());
    let bad = [("DISCORD_BOT_TOKEN", "bad.token"), ("DISCORD_API_URL", sandbox.api.as_str())];
    let mut run = Run::start(&["invite-url"], &bad);
    assert_eq!(run.code(), 78);
    assert!(run.stderr().contains("refuses the token"), "{}", run.stderr());
}

#[test]
fn version_names_the_commit_and_help_every_verb() {
    let mut run = barnacle(&["--version"]);
    assert_eq!(run.code(), 0);
    let version = run.stdout();
    let words: Vec<&str> = version.split_whitespace().collect();
    assert_eq!(words[..2], ["barnacle", env!("CARGO_PKG_VERSION")]);
    let commit = words[2].trim_matches(['(', ')']);
    let commit = commit.strip_suffix("-modified").unwrap_or(commit);
    assert!(commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{version}");
    let help = barnacle_said(&["help"]);
    for verb in ["gateway", "status", "health", "logs", "demo", "drill", "sandbox", "invite-url"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is not in:\n{help}");
        assert!(barnacle_said(&[verb, "--help"]).contains("Flags"), "{verb}");
    }
    for topic in ["config", "environment", "exit-codes"] {
        assert!(barnacle_said(&["help", topic]).lines().count() > 5, "{topic}");
    }
    let mut run = barnacle(&["gatway"]);
    assert_eq!(run.code(), 64);
    assert!(run.stderr().contains("did you mean gateway?"), "{}", run.stderr());
}

fn barnacle_said(args: &[&str]) -> String {
    let mut run = barnacle(args);
    assert_eq!(run.code(), 0, "{args:?}: {}", run.output());
    run.stdout()
}

#[test]
fn the_sandbox_listens_on_this_host_alone() {
    let sandbox = Sandbox::start();
    let port = sandbox.api.split(':').nth(2).unwrap().split('/').next().unwrap().parse().unwrap();
    assert_eq!(http(port, "GET /_sandbox/state", &[], None).unwrap().status, 200);
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    // Local address 127.0.0.1, state LISTEN (0A).
    let row = format!(" 0100007F:{port:04X} 00000000:0000 0A ");
    assert!(sockets.contains(&row), "not bound to loopback alone");
}
