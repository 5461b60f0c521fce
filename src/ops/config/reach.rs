//! What agents may reach outside: pages of the web, programs, servers of tools.

use std::path::PathBuf;
use std::time::Duration;

use super::Weight;
use super::agents::{command, is_header, is_variable, pairs, web_address};
use super::check::Sources;
use super::raw::Node;
use super::read::{Entry, Reader};
use crate::base::{Secret, limits};
use crate::core::argv::{Kind, Shape, Slot};
use crate::core::web::{self, Rule, Rules};

const ALLOW: &str = "tools.web.fetch.allow";
const NEAR: &str = "tools.web.fetch.allowPrivate";
const HOSTS: &str = "tools.web.fetch.hosts";
const HOST: &str = "tools.web.fetch.hosts.*";
const PROGRAMS: &str = "tools.run.programs";
const PROGRAM: &str = "tools.run.programs.*";
const PARAMETERS: &str = "tools.run.programs.*.parameters";
const PARAMETER: &str = "tools.run.programs.*.parameters.#";
const SERVERS: &str = "mcp.servers";
const SERVER: &str = "mcp.servers.*";

/// All of it.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Outside {
    /// `tools.web.fetch`, if it allows anything.
    pub(crate) fetch: Option<Fetch>,
    /// `tools.run.programs`.
    pub(crate) programs: Vec<Program>,
    /// `mcp.servers`.
    pub(crate) servers: Vec<Server>,
}

/// `tools.web.fetch`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Fetch {
    /// What may be fetched.
    pub(crate) rules: Rules,
    /// Headers that go along, each with what it goes to.
    pub(crate) headers: Vec<(Rule, Vec<(String, Secret)>)>,
    /// `maxChars`.
    pub(crate) chars_max: usize,
    /// `timeoutSeconds`.
    pub(crate) deadline: Duration,
    /// `maxRedirects`.
    pub(crate) hops_max: u32,
    /// `userAgent`.
    pub(crate) user_agent: Option<String>,
}

/// What a program may touch.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Walls {
    /// `confine`: whether there are any.
    pub(crate) confine: bool,
    /// `network`.
    pub(crate) network: bool,
    /// `readable`.
    pub(crate) readable: Vec<PathBuf>,
    /// `writable`.
    pub(crate) writable: Vec<PathBuf>,
}

/// One of `tools.run.programs`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Program {
    /// Its key.
    pub(crate) name: String,
    /// `command`.
    pub(crate) command: Vec<String>,
    /// `description`.
    pub(crate) about: String,
    /// `args`.
    pub(crate) args: Shape,
    /// `stdin`.
    pub(crate) takes_input: bool,
    /// `timeout`.
    pub(crate) deadline: Duration,
    /// `env`.
    pub(crate) env: Vec<(String, Secret)>,
    /// `workspace`.
    pub(crate) workspace: Option<PathBuf>,
    /// What it may touch.
    pub(crate) walls: Walls,
}

/// One of `mcp.servers`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Server {
    /// Its key.
    pub(crate) name: String,
    /// How it is reached.
    pub(crate) way: Way,
    /// `timeout`: how long a call may take.
    pub(crate) deadline: Duration,
}

/// How a server of tools is reached.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Way {
    /// It is a program.
    Program {
        /// `command` and `args`.
        command: Vec<String>,
        /// `env`.
        env: Vec<(String, Secret)>,
        /// `cwd`.
        dir: Option<PathBuf>,
        /// What it may touch.
        walls: Walls,
    },
    /// It is asked by HTTP.
    Http {
        /// `url`.
        url: String,
        /// `headers`.
        headers: Vec<(String, Secret)>,
    },
}

impl Outside {
    /// How many programs walls are to be around.
    pub(crate) fn confined(&self) -> usize {
        let programs = self.programs.iter().map(|program| &program.walls);
        let servers = self.servers.iter().filter_map(|server| match &server.way {
            Way::Program { walls, .. } => Some(walls),
            Way::Http { .. } => None,
        });
        programs.chain(servers).filter(|walls| walls.confine).count()
    }

    /// What must never be shown.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let fetch = self.fetch.iter().flat_map(|fetch| &fetch.headers);
        let mut all: Vec<&(String, Secret)> = fetch.flat_map(|(_, headers)| headers).collect();
        all.extend(self.programs.iter().flat_map(|program| &program.env));
        for server in &self.servers {
            match &server.way {
                Way::Program { env: pairs, .. } | Way::Http { headers: pairs, .. } => {
                    all.extend(pairs);
                }
            }
        }
        all.into_iter().map(|(_, secret)| secret.clone()).collect()
    }
}

/// What the file says of it.
pub(super) fn outside(read: &mut Reader<'_, '_>, sources: &Sources<'_>) -> Outside {
    Outside {
        fetch: fetch(read),
        programs: programs(read, sources),
        servers: servers(read, sources),
    }
}

fn fetch(read: &mut Reader<'_, '_>) -> Option<Fetch> {
    let is_on = read.flag("tools.web.fetch.enabled").unwrap_or(true);
    let mut rules = Rules::default();
    for text in texts(read, ALLOW) {
        match Rule::parse(&text) {
            Ok(rule) => rules.list.push(rule),
            Err(why) => tell(read, ALLOW, &text, why),
        }
    }
    for text in texts(read, NEAR) {
        match web::near(&text) {
            Ok(near) => rules.near.push(near),
            Err(why) => tell(read, NEAR, &text, why),
        }
    }
    let mut headers = Vec::new();
    let entries = read.entries(HOSTS);
    for entry in entries.iter().filter(|entry| matches!(entry.value, Node::Map(_))) {
        let mut rule = match Rule::parse(entry.key()) {
            Ok(rule) => rule,
            Err(why) => {
                let text = format!("it is left out: {why}");
                read.note_at(Weight::Warning, entry, &text, "write a host, as in example.org");
                continue;
            }
        };
        let (post, own) = read.within(HOST, entry, |read| {
            let path = "tools.web.fetch.hosts.*.headers";
            let own = pairs(read, path, "tools.web.fetch.hosts.*.headers.*", is_header);
            (read.flag("tools.web.fetch.hosts.*.post").unwrap_or(false), own)
        });
        if rule.is_for_all() && !own.is_empty() {
            let text = "headers for every host go to none of them";
            read.note_at(Weight::Warning, entry, text, "name the host that they are for");
        } else if !own.is_empty() {
            headers.push((rule.clone(), own));
        }
        rule.post = post;
        rules.list.push(rule);
    }
    if rules.list.len() > limits::FETCH_RULES_MAX {
        let text = format!("only the first {} are used", limits::FETCH_RULES_MAX);
        read.note(Weight::Warning, ALLOW, &text, "*.example.org is for all that is below it");
        rules.list.truncate(limits::FETCH_RULES_MAX);
    }
    let chars = read.whole("tools.web.fetch.maxChars").unwrap_or(limits::FETCH_CHARS);
    let hops = read.whole("tools.web.fetch.maxRedirects").and_then(|hops| hops.try_into().ok());
    let fetch = Fetch {
        headers,
        chars_max: usize::try_from(chars).unwrap_or(usize::MAX),
        deadline: read.span("tools.web.fetch.timeoutSeconds").unwrap_or(limits::FETCH_DEADLINE),
        hops_max: hops.unwrap_or(limits::FETCH_HOPS_MAX),
        user_agent: read.text("tools.web.fetch.userAgent").filter(|agent| is_header("x", agent)),
        rules,
    };
    Some(fetch).filter(|fetch| is_on && !fetch.rules.list.is_empty())
}

fn tell(read: &mut Reader<'_, '_>, path: &str, text: &str, why: &str) {
    let text = format!("\"{text}\" is left out: {why}");
    read.note(Weight::Warning, path, &text, "");
}

/// The texts of a list, or a text alone.
fn texts(read: &mut Reader<'_, '_>, path: &'static str) -> Vec<String> {
    let text = |value: &Node<'_>| match value {
        Node::Text(text) => Some(text.trim().to_owned()),
        _ => None,
    };
    let list = read.own(path, |value| match value {
        Node::List(list) => list.iter().map(text).collect::<Option<Vec<String>>>(),
        single => text(single).map(|text| vec![text]),
    });
    list.unwrap_or_default()
}

/// Those that can be used of the programs or servers at `path`.
fn named<'r, 't>(
    read: &mut Reader<'r, 't>,
    path: &'static str,
    most: usize,
    name_max: usize,
) -> Vec<Entry<'r, 't>> {
    let mut entries = read.entries(path);
    entries.retain(|entry| matches!(entry.value, Node::Map(_)));
    if entries.len() > most {
        read.note(Weight::Warning, path, &format!("only the first {most} are used"), "");
        entries.truncate(most);
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_name = |entry: &Entry<'_, '_>| {
        let name = entry.key();
        (1..=name_max).contains(&name.len()) && name.chars().all(is_plain)
    };
    let (good, bad): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_name);
    for entry in &bad {
        let text = "it is left out for its name";
        let cure = format!("call it by at most {name_max} letters, digits, - and _");
        read.note_at(Weight::Warning, entry, text, &cure);
    }
    good
}

fn programs(read: &mut Reader<'_, '_>, sources: &Sources<'_>) -> Vec<Program> {
    let mut programs = Vec::new();
    for entry in named(read, PROGRAMS, limits::PROGRAMS_MAX, 64) {
        let program = read.within(PROGRAM, &entry, |read| {
            let name = entry.key().to_owned();
            let command = read.own("tools.run.programs.*.command", command);
            let (path, each) = ("tools.run.programs.*.env", "tools.run.programs.*.env.*");
            let args = shape(read);
            let deadline = read.span("tools.run.programs.*.timeout");
            let workspace = read.text("tools.run.programs.*.workspace");
            let walls = Walls {
                confine: read.flag("tools.run.programs.*.confine").unwrap_or(true),
                network: read.flag("tools.run.programs.*.network").unwrap_or(false),
                readable: paths(read, sources, "tools.run.programs.*.readable"),
                writable: paths(read, sources, "tools.run.programs.*.writable"),
            };
            let about = read.text("tools.run.programs.*.description").unwrap_or_default();
            let takes_input = read.flag("tools.run.programs.*.stdin").unwrap_or(false);
            let env = pairs(read, path, each, is_variable);
            Some(Program {
                name,
                command: command.filter(|command| !command.is_empty())?,
                about,
                args: args?,
                takes_input,
                deadline: deadline.unwrap_or(limits::PROGRAM_DEADLINE),
                env,
                workspace: workspace.map(|path| sources.home(&path)),
                walls,
            })
        });
        if program.is_none() {
            let cure = "write command: [\"/path/to/program\"], and the name and the type, or the \
                        enum, of each of its parameters";
            read.note_at(Weight::Warning, &entry, "the program is left out", cure);
        }
        programs.extend(program);
    }
    programs
}

pub(super) fn paths(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    path: &'static str,
) -> Vec<PathBuf> {
    texts(read, path).iter().map(|text| sources.home(text)).collect()
}

/// What arguments the model may add; nothing if it is not clear what they may be.
fn shape(read: &mut Reader<'_, '_>) -> Option<Shape> {
    let takes_any = read.flag("tools.run.programs.*.args").unwrap_or(false);
    let mut slots = Vec::new();
    for entry in read.entries(PARAMETERS) {
        slots.push(read.within(PARAMETER, &entry, slot)?);
    }
    let is_whole = slots.len() <= limits::PROGRAM_ARGS_MAX;
    let shape = match slots.is_empty() {
        true if takes_any => Shape::Any,
        true => Shape::None,
        // What is named is what is meant.
        false => Shape::Slots(slots),
    };
    Some(shape).filter(|_| is_whole)
}

/// One argument. What it may be has to be said: what is misspelt must not be taken for no limit.
fn slot(read: &mut Reader<'_, '_>) -> Option<Slot> {
    const ENUM: &str = "tools.run.programs.*.parameters.#.enum";
    let whole = |value: &Node<'_>| match value {
        Node::Whole(number) => Some(*number),
        _ => None,
    };
    let kind = read.word("tools.run.programs.*.parameters.#.type");
    let words = read.own(ENUM, |value| match value {
        Node::List(list) => list.iter().map(word).collect::<Option<Vec<String>>>(),
        _ => None,
    });
    let least = read.own("tools.run.programs.*.parameters.#.minimum", whole);
    let most = read.own("tools.run.programs.*.parameters.#.maximum", whole);
    let chars = read.whole("tools.run.programs.*.parameters.#.maxLength");
    let name = read.text("tools.run.programs.*.parameters.#.name");
    let about = read.text("tools.run.programs.*.parameters.#.description");
    let optional = read.flag("tools.run.programs.*.parameters.#.optional");
    let kind = match (words, kind) {
        (Some(words), _) => Kind::Choice(words),
        (None, _) if read.has(ENUM) => return None,
        (None, Some("integer")) => Kind::Whole(least.unwrap_or(i64::MIN), most.unwrap_or(i64::MAX)),
        (None, Some(_)) => {
            let most = limits::PROGRAM_ARG_BYTES_MAX;
            Kind::Text(chars.and_then(|chars| chars.try_into().ok()).unwrap_or(most))
        }
        (None, None) => return None,
    };
    Some(Slot {
        name: name?,
        about: about.unwrap_or_default(),
        kind,
        optional: optional.unwrap_or(false),
    })
}

fn word(value: &Node<'_>) -> Option<String> {
    match value {
        Node::Text(text) => Some(text.clone().into_owned()),
        Node::Whole(number) => Some(number.to_string()),
        _ => None,
    }
}

fn servers(read: &mut Reader<'_, '_>, sources: &Sources<'_>) -> Vec<Server> {
    let mut servers = Vec::new();
    for entry in named(read, SERVERS, limits::MCP_SERVERS_MAX, limits::MCP_SERVER_NAME_MAX) {
        let server = read.within(SERVER, &entry, |read| server(read, sources, entry.key()));
        match server {
            Ok(server) => servers.extend(server),
            Err((text, cure)) => read.note_at(Weight::Warning, &entry, text, cure),
        }
    }
    servers
}

/// A server; `None` if it is switched off.
fn server(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    name: &str,
) -> Result<Option<Server>, (&'static str, &'static str)> {
    let is_on = read.flag("mcp.servers.*.enabled").unwrap_or(true);
    let kind = read.word("mcp.servers.*.type").or(read.word("mcp.servers.*.transport"));
    let program = read.text("mcp.servers.*.command");
    let args = texts(read, "mcp.servers.*.args");
    let env = pairs(read, "mcp.servers.*.env", "mcp.servers.*.env.*", is_variable);
    let headers = pairs(read, "mcp.servers.*.headers", "mcp.servers.*.headers.*", is_header);
    let dir = read.text("mcp.servers.*.cwd").map(|path| sources.home(&path));
    let url = web_address(read, "mcp.servers.*.url");
    let deadline = read.span("mcp.servers.*.timeout").unwrap_or(limits::MCP_CALL_DEADLINE);
    let walls = Walls {
        confine: read.flag("mcp.servers.*.confine").unwrap_or(true),
        network: read.flag("mcp.servers.*.network").unwrap_or(true),
        readable: paths(read, sources, "mcp.servers.*.readable"),
        writable: paths(read, sources, "mcp.servers.*.writable"),
    };
    let way = match (program, url) {
        (Some(program), None) => {
            let command = [vec![program], args].concat();
            Way::Program { command, env, dir, walls }
        }
        (None, Some(url)) if kind == Some("sse") => {
            drop((url, headers));
            let text = "the server is left out: servers are spoken to by streamable-http";
            return Err((text, "most that speak sse offer streamable-http beside it"));
        }
        (None, Some(url)) => Way::Http { url, headers },
        (Some(_), Some(_)) => {
            return Err(("the server is left out: it has a command and a url", "remove one"));
        }
        (None, None) => {
            let cure = "write command: \"/path/to/program\", or url: \"https://…\"";
            return Err(("the server is left out: it has neither command nor url", cure));
        }
    };
    Ok(is_on.then(|| Server { name: name.to_owned(), way, deadline }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::web::{Method, Target};
    use crate::ops::config::env::Env;
    use crate::ops::config::{Mistake, files};

    fn read(text: &str) -> (Outside, Vec<Mistake>) {
        let (config, mistakes) = files::parse(text, &Env::of(&[("KEY", "hush")])).expect("a file");
        let shown = format!("{config:?}");
        assert!(!shown.contains("hush"), "{shown}");
        (config.outside, mistakes)
    }

    #[test]
    fn nothing_is_reached_unless_somebody_says_so() {
        assert_eq!(read("{}"), (Outside::default(), vec![]));
        let (outside, mistakes) = read("{tools: {web: {fetch: {enabled: true}}}}");
        assert_eq!((outside, mistakes), (Outside::default(), vec![]));
        let off = read("{tools: {web: {fetch: {enabled: false, allow: ['example.org']}}}}").0;
        assert_eq!(off.fetch, None);
    }

    #[test]
    fn what_may_be_fetched_is_as_the_file_says() {
        let (outside, mistakes) = read(
            r#"{tools: {web: {fetch: {
                allow: ["*.example.org", "http://nas.lan:8080", "ftp://x"],
                allowPrivate: ["nas.lan:8080", "nas.lan"],
                hosts: {"api.example.com": {post: true, headers: {Authorization: "Bearer ${KEY}"}},
                        "*": {headers: {X: "y"}}},
                maxChars: 500, timeoutSeconds: 5, maxRedirects: 1}}}}"#,
        );
        let said: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said.iter().any(|said| said.contains("ftp://x")), "{said:?}");
        assert!(said.iter().any(|said| said.contains("host:port")), "{said:?}");
        assert!(said.iter().any(|said| said.contains("every host")), "{said:?}");
        assert_eq!(outside.secrets().len(), 1);
        let fetch = outside.fetch.expect("something is allowed");
        let judge = |url: &str, method| {
            let target = Target::parse(url).expect(url);
            fetch.rules.judge(&target, method).map(|pass| pass.near).map_err(drop)
        };
        assert_eq!(judge("https://api.example.com/x", Method::Post), Ok(false));
        assert_eq!(judge("https://a.example.org/x", Method::Post), Err(()));
        assert_eq!(judge("http://nas.lan:8080/", Method::Get), Ok(true));
        assert_eq!((fetch.chars_max, fetch.hops_max, fetch.deadline.as_secs()), (500, 1, 5));
    }

    #[test]
    fn a_program_without_a_clear_shape_is_left_out() {
        let (outside, mistakes) = read(
            r#"{tools: {run: {programs: {
                light: {command: ["light", "set"], description: "the lamps", timeout: 5,
                        parameters: [{name: "room", enum: ["hall", 2]},
                               {name: "level", type: "integer", minimum: 0, maximum: 9},
                               {name: "note", type: "string", maxLength: 9, optional: true}],
                        env: {TOKEN: "${KEY}"}, workspace: "/srv/light", network: true,
                        readable: ["/srv/share"]},
                free: {command: "uptime", args: true, stdin: true, confine: false},
                "bad name": {command: ["x"]},
                unclear: {command: ["x"], parameters: [{name: "a", maxLength: 3}]},
                worse: {command: ["x"], parameters: [{name: "a", enum: 7, type: "string"}]},
                none: {description: "no command"},
            }}}}"#,
        );
        assert_eq!(mistakes.len(), 5, "{mistakes:?}");
        let names: Vec<&str> = outside.programs.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["light", "free"]);
        let light = &outside.programs[0];
        let Shape::Slots(slots) = &light.args else { panic!("{light:?}") };
        assert_eq!(slots[0].kind, Kind::Choice(vec!["hall".into(), "2".into()]));
        assert_eq!(slots[1].kind, Kind::Whole(0, 9));
        assert_eq!((&slots[2].kind, slots[2].optional), (&Kind::Text(9), true));
        assert!(light.walls.confine && light.walls.network && !light.takes_input);
        let free = &outside.programs[1];
        assert!(!free.walls.confine && !free.walls.network && free.takes_input);
        assert_eq!(
            (&free.args, free.command.as_slice()),
            (&Shape::Any, &["uptime".to_owned()][..])
        );
    }

    #[test]
    fn servers_are_read_as_openclaw_writes_them() {
        let (outside, mistakes) = read(
            r#"{mcp: {servers: {
                files: {command: "npx", args: ["-y", "server-files"], env: {A: "${KEY}"},
                        cwd: "/srv"},
                far: {url: "https://mcp.example/mcp", headers: {Authorization: "${KEY}"},
                      transport: "streamable-http"},
                off: {command: "x", enabled: false},
                old: {url: "https://mcp.example/sse", type: "sse"},
                both: {command: "x", url: "https://a.example/"},
                nothing: {},
            }}}"#,
        );
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
        let names: Vec<&str> = outside.servers.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["files", "far"]);
        let Way::Program { command, walls, .. } = &outside.servers[0].way else { panic!() };
        assert_eq!(command.join(" "), "npx -y server-files");
        assert!(walls.confine && walls.network);
        assert_eq!(outside.secrets().len(), 2);
    }
}
