//! What agents may reach outside, as far as somebody should know of it.

use super::{Finding, Severity};
use crate::core::argv::Shape;
use crate::ops::config::{Fetch, Outside, Program, Server, Way};
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
