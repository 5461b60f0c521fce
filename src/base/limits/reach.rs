//! The limits of the tools that reach outside: web pages, programs, notes, servers of tools.

use std::time::Duration;

use super::{AGENT_OUTPUT_BYTES_MAX, LLM_CALL_BYTES_MAX};

/// A web address; browsers and servers agree on about so much.
pub const URL_BYTES_MAX: usize = 4096;
/// Rules that say which hosts may be asked.
pub const FETCH_RULES_MAX: usize = 256;
/// Redirects that are followed: from a name without `www` over a language to the page, and some.
pub const FETCH_HOPS_MAX: u32 = 5;
/// How long a page may take if nobody says, redirects included.
pub const FETCH_DEADLINE: Duration = Duration::from_secs(30);
/// What is read of a page before its end is left out. A page of words has a tenth of it.
pub const FETCH_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What a model is told of a page if nobody says: some four thousand tokens, a third of the
/// conversation that it is told.
pub const FETCH_CHARS: u64 = 16_000;
/// The same at most.
pub const FETCH_CHARS_MAX: u64 = 100_000;
/// Pages that are fetched at once: each has a connection and a body in memory.
pub const FETCHES_RUNNING_MAX: usize = 8;
/// What a model may post.
pub const FETCH_POST_BYTES_MAX: usize = 64 * 1024;

/// Rules of the walls around a program: directories beside one that is hidden.
pub const CONFINE_RULES_MAX: usize = 4096;
/// How deep what is hidden may lie in what is open.
pub const CONFINE_DEPTH_MAX: usize = 16;
/// Programs that a model may run.
pub const PROGRAMS_MAX: usize = 64;
/// Arguments of one.
pub const PROGRAM_ARGS_MAX: usize = 64;
/// One argument.
pub const PROGRAM_ARG_BYTES_MAX: usize = 16 * 1024;
/// What a program is given on its standard input: as much as a model can write in one call.
pub const PROGRAM_INPUT_BYTES_MAX: usize = LLM_CALL_BYTES_MAX;
/// What is read of its standard output …
pub const PROGRAM_OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// … and of the end of its standard error.
pub const PROGRAM_ERRORS_BYTES_MAX: usize = 4 * 1024;
/// How long it may take if nobody says.
pub const PROGRAM_DEADLINE: Duration = Duration::from_secs(30);
/// Programs that run at once for models; a small machine has few processors.
pub const PROGRAMS_RUNNING_MAX: usize = 4;

/// Servers of tools.
pub const MCP_SERVERS_MAX: usize = 32;
/// A server's name: its tools are called by it, and providers take 64 characters.
pub const MCP_SERVER_NAME_MAX: usize = 24;
/// A tool's name, with its server's: what providers of models take.
pub const MCP_TOOL_NAME_MAX: usize = 64;
/// Tools of one server; more would fill a model's window before anybody has said a word.
pub const MCP_TOOLS_MAX: usize = 64;
/// Pages in which a server may list them.
pub const MCP_PAGES_MAX: usize = 16;
/// What is kept of a tool's description.
pub const MCP_ABOUT_BYTES_MAX: usize = 2048;
/// A tool's schema; a larger one is no use to a model.
pub const MCP_SCHEMA_BYTES_MAX: usize = 16 * 1024;
/// A message of a server: a small picture in base64 may be in it, which is not read, and reading
/// it must not hold the thread for long.
pub const MCP_MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// What is told of a tool's result.
pub const MCP_RESULT_BYTES_MAX: usize = 256 * 1024;
/// Calls under way at one server.
pub const MCP_CALLS_MAX: usize = 16;
/// How long a call may take if nobody says.
pub const MCP_CALL_DEADLINE: Duration = Duration::from_secs(60);
/// How long a server may take to say what it can: `npx` downloads it first.
pub const MCP_START_DEADLINE: Duration = Duration::from_secs(120);
/// How often a silent server is asked whether it is there …
pub const MCP_PING_EVERY: Duration = Duration::from_secs(300);
/// … and how long it has to say so.
pub const MCP_PING_DEADLINE: Duration = Duration::from_secs(30);
/// The first wait before a server that has ended is started again, growing …
pub const MCP_RESTART_FIRST: Duration = Duration::from_secs(1);
/// … up to this.
pub const MCP_RESTART_MAX: Duration = Duration::from_secs(300);
/// A server that was there for so long begins with the first wait again.
pub const MCP_PROVEN: Duration = Duration::from_secs(60);
/// What waits to be written to a server that does not read.
pub const MCP_OUT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A note: some sentences.
pub const NOTE_BYTES_MAX: usize = 2000;
/// Notes of one person, or of one chat, by one agent.
pub const NOTES_PER_OWNER_MAX: usize = 200;
/// All notes, in memory.
pub const NOTES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A record of their log: a note whose every character is escaped, and some more.
pub const NOTE_RECORD_BYTES_MAX: u32 = 16 * 1024;
/// Their log …
pub const NOTES_LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// … and the length at which it is made short, if half of it says nothing any more.
pub const NOTES_SHORT_BYTES: u64 = 256 * 1024;
/// Words of a question that notes are searched by.
pub const NOTE_WORDS_MAX: usize = 32;
/// Notes that a search gives.
pub const NOTES_FOUND_MAX: usize = 10;

const _: () = assert!(NOTE_BYTES_MAX * 6 < NOTE_RECORD_BYTES_MAX as usize);
const _: () = assert!((NOTES_BYTES_MAX as u64) * 7 < NOTES_LOG_BYTES_MAX);
const _: () = assert!(FETCH_CHARS <= FETCH_CHARS_MAX);
const _: () = assert!(FETCH_CHARS_MAX <= AGENT_OUTPUT_BYTES_MAX as u64);
