//! The keys of what agents may reach outside: pages, programs, and servers of tools.

use super::TURN;
use crate::base::limits;
use crate::ops::config::keys::{Key, Kind, key, later, moot};

const INTEGER: Kind = Kind::Own("a whole number");

/// All of them.
pub(super) const KEYS: &[Key] = &[
    key(
        "tools.web.fetch.enabled",
        Kind::Flag,
        "true where something is allowed",
        "whether http_fetch is there",
    ),
    key(
        "tools.web.fetch.allow",
        Kind::Own(
            "a list of hosts: example.org, *.example.org, http://nas.lan:8080, https://a.org/b/",
        ),
        "nothing",
        "what http_fetch may fetch: https on its usual port unless another is written; a path is \
         the beginning of a path, and * alone is every public host",
    ),
    key(
        "tools.web.fetch.allowPrivate",
        Kind::Own("a list of host:port"),
        "none",
        "hosts of those that may be on this machine or in a private network",
    ),
    key(
        "tools.web.fetch.hosts.*.post",
        Kind::Flag,
        "false",
        "whether something may be posted to that host, which is allowed by being here",
    ),
    key(
        "tools.web.fetch.hosts.*.headers.*",
        Kind::Secret,
        "none",
        "a header that goes to that host, and to no other that it redirects to",
    ),
    key(
        "tools.web.fetch.maxChars",
        Kind::Whole(100, limits::FETCH_CHARS_MAX),
        "16000",
        "how much of a page the model is told, in characters",
    ),
    key("tools.web.fetch.timeoutSeconds", TURN, "30", "how long a page may take"),
    key(
        "tools.web.fetch.maxRedirects",
        Kind::Whole(0, limits::FETCH_HOPS_MAX as u64),
        "5",
        "how many redirects are followed, each judged like the first address",
    ),
    key("tools.web.fetch.userAgent", Kind::Text, "barnacle/VERSION", "how we call ourselves"),
    moot("tools.web.fetch.maxCharsCap", "maxChars is the most there is"),
    moot("tools.web.fetch.readability", "the words of a page are told, whatever it is made of"),
    later("tools.web.fetch.cacheTtlMinutes"),
    later("tools.web.fetch.firecrawl"),
    later("tools.web.search"),
    key(
        "tools.run.programs.*.command",
        Kind::Own("a list: a program and its first arguments"),
        "none",
        "a program that the tool run may run by this name; no shell is between",
    ),
    key("tools.run.programs.*.description", Kind::Text, "none", "what it is for, for the model"),
    key(
        "tools.run.programs.*.args",
        Kind::Flag,
        "false",
        "whether the model may add whatever arguments it likes, options too",
    ),
    key(
        "tools.run.programs.*.parameters.#.name",
        Kind::Text,
        "none",
        "an argument that the model adds; they are added in the order of the list",
    ),
    key("tools.run.programs.*.parameters.#.description", Kind::Text, "none", "what it is for"),
    key(
        "tools.run.programs.*.parameters.#.type",
        Kind::Word(&["string", "integer"]),
        "none",
        "what it is; a string may not begin with -, since it would be an option",
    ),
    key(
        "tools.run.programs.*.parameters.#.enum",
        Kind::Own("a list of texts"),
        "none",
        "or all that it may be",
    ),
    key("tools.run.programs.*.parameters.#.minimum", INTEGER, "none", "the least integer"),
    key("tools.run.programs.*.parameters.#.maximum", INTEGER, "none", "the greatest"),
    key(
        "tools.run.programs.*.parameters.#.maxLength",
        Kind::Whole(1, limits::PROGRAM_ARG_BYTES_MAX as u64),
        "16384",
        "the length of a string, in characters",
    ),
    key(
        "tools.run.programs.*.parameters.#.optional",
        Kind::Flag,
        "false",
        "whether it, and all behind it, may be left out",
    ),
    key(
        "tools.run.programs.*.stdin",
        Kind::Flag,
        "false",
        "whether the model may give it something to read",
    ),
    key("tools.run.programs.*.timeout", TURN, "30", "how long it may take"),
    key("tools.run.programs.*.env.*", Kind::Secret, "none", "a variable that it gets"),
    key(
        "tools.run.programs.*.workspace",
        Kind::Text,
        "one of its own in the state directory",
        "the directory that it runs in, and may write to",
    ),
    key(
        "tools.run.programs.*.confine",
        Kind::Flag,
        "true",
        "whether it sees only the system, its workspace, and what follows here (Landlock)",
    ),
    key(
        "tools.run.programs.*.network",
        Kind::Flag,
        "false",
        "whether a confined program may speak to other hosts",
    ),
    key(
        "tools.run.programs.*.readable",
        Kind::Own("a list of paths"),
        "none",
        "what a confined program may read besides",
    ),
    key(
        "tools.run.programs.*.writable",
        Kind::Own("a list of paths"),
        "none",
        "where a confined program may write besides",
    ),
    key("mcp.servers.*.enabled", Kind::Flag, "true", "whether the server's tools are there"),
    key("mcp.servers.*.command", Kind::Text, "none", "a program that speaks MCP on its pipes"),
    key("mcp.servers.*.args", Kind::Own("a list of texts"), "none", "its arguments"),
    key("mcp.servers.*.env.*", Kind::Secret, "none", "a variable that it gets"),
    key(
        "mcp.servers.*.cwd",
        Kind::Text,
        "one of its own in the state directory",
        "the directory that it runs in, and may write to",
    ),
    key("mcp.servers.*.url", Kind::Text, "none", "or where one is asked by HTTP"),
    key("mcp.servers.*.headers.*", Kind::Secret, "none", "a header that goes along"),
    key(
        "mcp.servers.*.type",
        Kind::Word(&["stdio", "http", "streamable-http", "sse"]),
        "by command or url",
        "how it is spoken to; sse is not",
    ),
    key(
        "mcp.servers.*.transport",
        Kind::Word(&["stdio", "http", "streamable-http", "sse"]),
        "by command or url",
        "the same",
    ),
    key("mcp.servers.*.timeout", TURN, "60", "how long a call of one of its tools may take"),
    key(
        "mcp.servers.*.confine",
        Kind::Flag,
        "true",
        "whether the program sees only the system, its directory, and what follows (Landlock)",
    ),
    key(
        "mcp.servers.*.network",
        Kind::Flag,
        "true",
        "whether a confined server may speak to other hosts",
    ),
    key(
        "mcp.servers.*.readable",
        Kind::Own("a list of paths"),
        "none",
        "what a confined server may read besides",
    ),
    key(
        "mcp.servers.*.writable",
        Kind::Own("a list of paths"),
        "none",
        "where a confined server may write besides",
    ),
    moot("mcp.sessionIdleTtlMs", "servers run as long as the gateway does"),
    key(
        "agents.defaults.confine",
        Kind::Flag,
        "false",
        "whether the program sees only the system, its workspace, and what follows here \
         (Landlock); programs that keep files in their user's home need them named",
    ),
    key(
        "agents.defaults.network",
        Kind::Flag,
        "true",
        "whether a confined program may speak to other hosts",
    ),
    key(
        "agents.defaults.readable",
        Kind::Own("a list of paths"),
        "none",
        "what a confined program may read besides",
    ),
    key(
        "agents.defaults.writable",
        Kind::Own("a list of paths"),
        "none",
        "where a confined program may write besides",
    ),
];
