//! The agents that the configuration names.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Call;
use super::print::{Printer, Table};
use crate::ops::config::{self, Agent, AgentKind, Binding, Config};
use crate::ops::exit::{Exit, Failure};

/// `barnacle agents list`: it asks no gateway.
pub(crate) fn list(call: &mut Call<'_>) -> Result<(), Failure> {
    let broken = |broken: config::Broken| {
        Failure::new(Exit::Config, broken.to_string(), "see `barnacle config check`")
    };
    let loaded = config::load(call.env, call.common.config.as_deref()).map_err(broken)?;
    let shows_bindings = call.parsed.has("bindings");
    let answer = described(&loaded.config, shows_bindings);
    call.answer(&answer, lines)
}

/// The agents, as OpenClaw's command prints them for programs.
fn described(config: &Config, shows_bindings: bool) -> Value {
    let permits = config.permits();
    let one = |(at, agent): (usize, &Agent)| {
        let tools = config.tools_of(agent);
        let had: Vec<&str> =
            permits.had_by_somebody(&agent.id, tools.iter().map(String::as_str)).collect();
        let bound = || config.bindings.iter().filter(|binding| binding.agent == agent.id);
        let mut value = json!({
            "id": agent.id,
            "name": agent.id,
            "kind": agent.kind.name(),
            "bindings": bound().count(),
            "tools": had,
            "isDefault": at == 0,
        });
        if let AgentKind::Exec { workspace: Some(workspace), .. } = &agent.kind {
            value["workspace"] = workspace.display().to_string().into();
        }
        if shows_bindings {
            value["bindingDetails"] = bound().map(place).collect::<Vec<_>>().into();
        }
        value
    };
    config.agents.iter().enumerate().map(one).collect::<Vec<_>>().into()
}

/// Where it holds, in OpenClaw's words.
fn place(binding: &Binding) -> String {
    let mut place = binding.channel.map_or("every channel", |channel| channel.name()).to_owned();
    let mut name = |what: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(place, " {what}={value}");
        }
    };
    name("accountId", binding.account.clone());
    name("peer", binding.peer.map(|id| id.to_string()));
    name("guild", binding.guild.map(|id| id.to_string()));
    let roles: Vec<String> = binding.roles.iter().map(u64::to_string).collect();
    name("roles", (!roles.is_empty()).then(|| roles.join(",")));
    place
}

fn lines(printer: &Printer, answer: &Value) -> String {
    let mut table = Table::new(&["AGENT", "KIND", "ANSWERS"]);
    for agent in answer.as_array().into_iter().flatten() {
        let text = |key: &str| agent[key].as_str().unwrap_or_default().to_owned();
        let count = agent["bindings"].as_u64().unwrap_or(0);
        let answers = match (agent["isDefault"] == true, count) {
            (true, 0) => "wherever no other is bound".to_owned(),
            (true, count) => format!("wherever no other is bound, and in {count} bindings"),
            (false, 0) => "nowhere: no binding names it".to_owned(),
            (false, 1) => "in 1 binding".to_owned(),
            (false, count) => format!("in {count} bindings"),
        };
        table.row([text("id").into(), text("kind").into(), answers.into()]);
        let tools = agent["tools"].as_array().into_iter().flatten();
        let tools: Vec<&str> = tools.filter_map(Value::as_str).collect();
        if !tools.is_empty() {
            table.note(format!("tools: {}", tools.join(", ")));
        }
        for place in agent["bindingDetails"].as_array().into_iter().flatten() {
            table.note(place.as_str().unwrap_or_default().to_owned());
        }
    }
    table.show(printer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::ChannelKind;
    use crate::ops::config::Env;

    #[test]
    fn agents_are_told_with_where_they_answer() {
        let mut config = Config::usual();
        let agent = Agent { id: "ops".into(), ..config.agents[0].clone() };
        config.agents.push(agent);
        let bound = Binding {
            agent: "ops".into(),
            channel: Some(ChannelKind::Discord),
            guild: Some(9),
            roles: vec![3, 4],
            ..Binding::default()
        };
        config.bindings.push(bound);
        let told = described(&config, true);
        assert_eq!((&told[0]["id"], &told[0]["isDefault"]), (&json!("main"), &json!(true)));
        assert_eq!(told[1]["bindingDetails"], json!(["discord guild=9 roles=3,4"]));
        let shown = lines(&Printer::plain(), &told);
        assert!(shown.contains("ops   echo  in 1 binding\n  discord guild=9"), "{shown}");
        assert_eq!(told[0]["tools"], json!([]), "an echo has none");
        assert!(described(&config, false)[1].get("bindingDetails").is_none());
    }

    #[test]
    fn the_tools_of_an_agent_are_those_that_somebody_may_have_used() {
        let text = "{models: {providers: {p: {baseUrl: 'http://127.0.0.1:9/v1',
                        models: [{id: 'm'}]}}},
                     agents: {defaults: {model: 'p/m'}, list: [{id: 'a'}]},
                     mcp: {servers: {s: {command: 's'}, t: {command: 't'}}},
                     tools: {web: {fetch: {allow: ['example.org']}},
                       run: {programs: {p: {command: ['p']}}}, deny: ['react'],
                       toolsBySender: {'id:7': {alsoAllow: ['run', 's__look']}}}}";
        let (config, _) = config::parse(text, &Env::default()).expect("a file");
        let told = described(&config, false);
        let tools: Vec<&str> =
            told[0]["tools"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let has = |name: &str| tools.contains(&name);
        assert!(has("remind") && has("run") && has("s__look"), "{tools:?}");
        assert!(!has("react") && !has("http_fetch") && !has("s__*") && !has("t__*"), "{tools:?}");
        let shown = lines(&Printer::plain(), &told);
        assert!(shown.contains("tools: reply_in_thread, "), "{shown}");
    }
}
