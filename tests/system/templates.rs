//! The files that `config init` writes: right as they stand, and what they promise works.

use serde_json::json;

use crate::attachments::{provider, say};
use crate::harness::{Dir, Gateway, Plan, Run, Sandbox, path_text};
use crate::voice::{Studio, attached, note};

/// Runs a command to its end; it must succeed.
fn succeed(plan: &Plan, args: &[&str]) -> String {
    let mut run: Run = plan.beside(args);
    run.end_input();
    assert_eq!(run.code(), 0, "{args:?}: {}", run.output());
    run.output()
}

/// A gateway with what `config init` writes for `template`, changed as a person would change it.
fn with(template: &str, sandbox: &Sandbox, changes: &[(&str, &str)]) -> Gateway {
    let dir = Dir::new();
    let file = path_text(&dir.0.join("barnacle.json5"));
    let plan = Plan::new(&dir, &sandbox.api).env("BARNACLE_CONFIG", &file);
    let plan = plan.env("DISCORD_BOT_TOKEN_RESEARCH", "test.token.of.another");
    succeed(&plan, &["config", "init", "--template", template]);
    succeed(&plan, &["config", "check", &file]);
    for (path, value) in changes {
        succeed(&plan, &["config", "set", path, value]);
    }
    succeed(&plan, &["config", "check", &file]);
    let gateway = Gateway::of(plan, dir);
    gateway.await_channel("connected");
    assert_eq!(gateway.run.count(" WARN  [config] "), 0, "{}", gateway.run.output());
    gateway
}

/// Whoever is asked for a code is not answered: here everybody is let in.
const OPEN: (&str, &str) = ("channels.discord.dmPolicy", "open");

#[test]
fn one_bot_and_several_answer_as_they_stand() {
    let sandbox = Sandbox::start();
    let gateway = with("single", &sandbox, &[]);
    assert_eq!(sandbox.exactly_one_answer(&sandbox.ask("hello")), "hello");
    drop(gateway);
    let sandbox = Sandbox::start();
    let gateway = with("multi", &sandbox, &[]);
    let bots = || sandbox.state().0["bots"].as_array().unwrap().clone();
    sandbox.until("both bots", crate::harness::PATIENCE, |_| {
        bots().iter().all(|bot| bot["ready"] == 1).then_some(()).filter(|()| bots().len() == 2)
    });
    for bot in bots() {
        let said = json!({"text": "hello", "mention": true, "bot": bot["id"], "author": bot["id"]});
        assert_eq!(sandbox.answer(&sandbox.say(&said)), "hello");
    }
    drop(gateway);
}

#[test]
fn the_one_with_a_voice_listens_and_speaks() {
    let (sandbox, studio) = (Sandbox::start(), Studio::start("can you hear me?"));
    let url = studio.url();
    let changes =
        [OPEN, ("tools.media.audio.baseUrl", &url), ("messages.tts.providers.home.baseUrl", &url)];
    let gateway = with("voice", &sandbox, &changes);
    let id = say(&sandbox, "", &json!([note()]));
    assert_eq!(sandbox.exactly_one_answer(&id), "[voice message] can you hear me?");
    assert_eq!(attached(&sandbox, &id)[0]["filename"], "answer.ogg");
    drop(gateway);
}

#[test]
fn the_one_with_ollama_asks_it_in_its_own_way() {
    let (sandbox, ollama) = (Sandbox::start(), provider());
    let url = ollama.url();
    let changes = [OPEN, ("models.providers.ollama.baseUrl", url.as_str())];
    let gateway = with("local-ollama", &sandbox, &changes);
    let id = say(&sandbox, "hello", &json!([]));
    assert_eq!(sandbox.exactly_one_answer(&id), "I see 0 pictures");
    let asked = ollama.asked().last().unwrap().clone();
    assert_eq!(asked["model"], "qwen3:4b");
    assert!(asked["messages"][0]["content"].as_str().unwrap().contains("Be brief."), "{asked}");
    drop(gateway);
}
