//! What agents may reach outside, as far as somebody should know of it.

use super::{Finding, Severity};
use crate::core::argv::Shape;
use crate::ops::config::{AgentKind, Config, Fetch, Outside, Program, Server, Way};
use crate::rt::confine;

/// Looks.
pub(super) fn look(outside: &Outside, findings: &mut Vec<Finding>) {
    let mut found = |id, severity, text: String, cure: &str| {
        findings.push(Finding { id, severity, text, cure: cure.to_owned() });
    };
    if let Some(fetch) = &outside.fetch {
        pages(fetch, &mut found);
    }
    for program in &outside.programs {
        one(program, &mut found);
    }
    for server in &outside.servers {
        served(server, &mut found);
    }
    if outside.confined() > 0 && !confine::is_supported() {
        found(
            "tools.confine.kernel",
            Severity::Warn,
            "this kernel has no Landlock: programs of agents can read all that this user can"
                .to_owned(),
            "use a kernel with landlock in its lsm= list",
        );
    }
}

/// Looks at who may have that used: everybody whom an agent answers is more than most people mean.
pub(super) fn permitted(config: &Config, findings: &mut Vec<Finding>) {
    let permits = config.permits();
    for agent in &config.agents {
        let AgentKind::Model(_) = agent.kind else { continue };
        let tools = config.tools_outside(&agent.id);
        let open: Vec<&str> =
            permits.open_to_all(&agent.id, tools.iter().map(String::as_str)).collect();
        if open.is_empty() {
            continue;
        }
        findings.push(Finding {
            id: "tools.open",
            severity: Severity::Warn,
            text: format!(
                "whoever is answered by the agent \"{}\" somewhere may have it use what acts \
                 outside the chat: {}",
                agent.id,
                open.join(", ")
            ),
            cure:
                "take it out of tools.allow and tools.alsoAllow (of agents, servers and channels, \
                   too), and name who may have it used: tools.toolsBySender: {\"id:USER\": \
                   {alsoAllow: [..]}}"
                    .to_owned(),
        });
    }
}

fn pages(fetch: &Fetch, found: &mut impl FnMut(&'static str, Severity, String, &str)) {
    for (host, port) in &fetch.rules.near {
        found(
            "tools.web.fetch.private",
            Severity::Warn,
            format!("http_fetch may reach {host}:{port} in a private network or on this machine"),
            "be sure that it gives nothing away, and does nothing, when it is merely read",
        );
    }
    if fetch.rules.list.iter().any(crate::core::web::Rule::is_for_all) {
        found(
            "tools.web.fetch.all",
            Severity::Info,
            "http_fetch may fetch from every public host: what a model knows can be told to any \
             of them in an address"
                .to_owned(),
            "name the hosts in tools.web.fetch.allow",
        );
    }
    if fetch.headers.iter().any(|(rule, _)| rule.is_plain()) {
        found(
            "tools.web.fetch.plain",
            Severity::Warn,
            "headers with secrets go to a host by http, for everybody on the way to read"
                .to_owned(),
            "write the host without http:// in tools.web.fetch.hosts",
        );
    }
}

fn one(program: &Program, found: &mut impl FnMut(&'static str, Severity, String, &str)) {
    let name = &program.name;
    if !program.walls.confine {
        found(
            "tools.run.unconfined",
            Severity::Warn,
            format!("the program {name} of the tool run may touch all that this user may"),
            "remove confine: false, and name what it needs as readable and writable",
        );
    }
    if program.args == Shape::Any {
        found(
            "tools.run.args",
            Severity::Info,
            format!("a model may give the program {name} whatever arguments it likes"),
            "name its parameters instead of args: true",
        );
    }
}

fn served(server: &Server, found: &mut impl FnMut(&'static str, Severity, String, &str)) {
    let Way::Program { walls, .. } = &server.way else { return };
    if !walls.confine {
        found(
            "mcp.unconfined",
            Severity::Warn,
            format!("the server {} of tools may touch all that this user may", server.name),
            "remove confine: false, and name what it needs as readable and writable",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::config::{self, Env};

    #[test]
    fn tools_that_everybody_may_have_used_are_found_by_agent() {
        let found = |tools: &str, agents: &str| {
            let text = format!(
                "{{models: {{providers: {{p: {{baseUrl: 'http://127.0.0.1:9/v1',
                     models: [{{id: 'm'}}]}}}}}},
                  agents: {{defaults: {{model: 'p/m'}}, list: [{agents}]}},
                  mcp: {{servers: {{s: {{command: 's'}}}}}},
                  tools: {{web: {{fetch: {{allow: ['example.org']}}}},
                    run: {{programs: {{p: {{command: ['p']}}}}}}, {tools}}}}}"
            );
            let (config, _) = config::parse(&text, &Env::default()).expect("a file");
            let is_model = |agent: &config::Agent| matches!(agent.kind, AgentKind::Model(_));
            assert!(config.agents.iter().any(is_model), "{text}");
            let mut findings = Vec::new();
            permitted(&config, &mut findings);
            findings.into_iter().map(|finding| finding.text).collect::<Vec<_>>()
        };
        let one = "{id: 'a'}";
        assert_eq!(found("", one), [""; 0], "nobody may by default");
        assert_eq!(found("toolsBySender: {'id:7': {alsoAllow: ['run']}}", one), [""; 0]);
        assert_eq!(found("alsoAllow: ['run'], deny: ['run']", one), [""; 0]);
        let all = found("alsoAllow: ['run', 'group:web', 's__look']", one);
        assert!(all.len() == 1 && all[0].ends_with(": http_fetch, run, s__look"), "{all:?}");
        let any = found("toolsBySender: {'*': {alsoAllow: ['s__*']}}", one);
        assert!(any.len() == 1 && any[0].ends_with(": s__*"), "{any:?}");
        let two = found("", "{id: 'a'}, {id: 'b', tools: {alsoAllow: ['run']}}");
        assert!(two.len() == 1 && two[0].contains("\"b\"") && two[0].ends_with(": run"), "{two:?}");
    }

    #[test]
    fn what_is_open_is_found_and_what_is_not_is_not() {
        let ids = |text: &str| {
            let (config, _) = config::parse(text, &Env::default()).expect("a file");
            let mut findings = Vec::new();
            look(&config.outside, &mut findings);
            findings.retain(|finding| finding.id != "tools.confine.kernel");
            findings.into_iter().map(|finding| finding.id).collect::<Vec<_>>()
        };
        let open = "{tools: {web: {fetch: {allow: ['*', 'http://nas:80'], allowPrivate: ['nas:80'],
                        hosts: {'http://nas': {headers: {A: 'b'}}}}},
                     run: {programs: {p: {command: ['p'], confine: false, args: true}}}},
                     mcp: {servers: {s: {command: 's', confine: false}}}}";
        let expected = [
            "tools.web.fetch.private",
            "tools.web.fetch.all",
            "tools.web.fetch.plain",
            "tools.run.unconfined",
            "tools.run.args",
            "mcp.unconfined",
        ];
        assert_eq!(ids(open), expected);
        let shut = "{tools: {web: {fetch: {allow: ['example.org']}},
                     run: {programs: {p: {command: ['p']}}}}, mcp: {servers: {s: {command: 's'}}}}";
        assert_eq!(ids(shut), [""; 0]);
    }
}
