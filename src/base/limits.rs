//! Every limit, in one place, each with its reason, and what must hold between them.
//!
//! Units come last in names. Where a rule is the service's, its source is named.

mod appliance;
mod gateway;
mod ground;
mod intent;
mod jobs;
mod media;
mod models;
mod page;
mod reach;
mod route;
mod sessions;
mod setup;
mod tools;
mod turns;

use std::time::Duration;

pub use appliance::*;
pub use gateway::*;
pub use ground::*;
pub use intent::*;
pub use jobs::*;
pub use media::*;
pub use models::*;
pub use page::*;
pub use reach::*;
pub use route::*;
pub use sessions::*;
pub use setup::*;
pub use tools::*;
pub use turns::*;

use super::Wall;

// ---- WebSocket and inflate -------------------------------------------------------------------

/// The window that frames are read through; memory does not depend on their size.
pub const READ_WINDOW_BYTES: usize = 8 * 1024;
/// What a message may inflate to. Far above anything real; past it the rest is discarded.
pub const MESSAGE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// A frame that claims more than this is garbage, not a message.
pub const FRAME_BYTES_MAX: u64 = MESSAGE_BYTES_MAX;
/// RFC 6455 5.5: the payload of a control frame.
pub const CONTROL_FRAME_BYTES_MAX: usize = 125;
/// What is handed on at once. A zlib stream grows a thousandfold at worst, and no step may hold
/// the thread for long.
pub const READ_CHUNK_BYTES: usize = 1024;
/// What is queued for a server that does not read. Four of the largest payloads.
pub const SEND_BUFFER_BYTES: usize = 4 * GATEWAY_SEND_BYTES_MAX;
/// An HTTP response head to a WebSocket upgrade.
pub const UPGRADE_HEAD_BYTES_MAX: usize = 16 * 1024;

// ---- JSON ------------------------------------------------------------------------------------

/// Nesting that the tokenizer follows; a remote document that goes deeper is refused.
pub const JSON_DEPTH_MAX: usize = 128;
/// A number's text. RFC 8259 sets no bound; 64 characters hold every f64 and u64 in full.
pub const JSON_NUMBER_BYTES_MAX: usize = 64;

// ---- Messages --------------------------------------------------------------------------------

/// Characters that Discord takes in one message ("Create Message").
pub const DISCORD_MESSAGE_CHARS_MAX: usize = 2000;
/// Bytes kept of an incoming text: 4,000 characters (Discord's limit for subscribers) of up to 4
/// bytes each.
pub const TEXT_BYTES_MAX: usize = 16_000;
/// Bytes kept of a name: Discord's have at most 32 characters ("Usernames and Nicknames").
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes of an account's name that its files are called by.
pub const ACCOUNT_NAME_BYTES_MAX: usize = 48;
/// Roles kept of an author; a server has at most 250, a person seldom a dozen.
pub const ROLES_MAX: usize = 64;
/// Bytes of a file that Discord takes from a bot ("Uploading Files"), …
pub const DISCORD_FILE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// … and of a request that carries some, …
pub const DISCORD_BODY_BYTES_MAX: usize = 25 * 1024 * 1024;
/// … and how many of them.
pub const DISCORD_FILES_MAX: usize = 10;
/// Characters of a thread's name ("Start Thread from Message").
pub const THREAD_NAME_CHARS_MAX: usize = 100;
/// Bytes kept of an interaction's token; Discord's have some 200.
pub const INTERACTION_TOKEN_BYTES_MAX: usize = 512;
/// Bytes kept of a reaction's picture: a sign, a colour of skin, and a mark behind it.
pub const EMOJI_BYTES_MAX: usize = 16;
/// Bytes kept of what follows a slash command: a link to a message at most.
pub const COMMAND_OPTION_BYTES_MAX: usize = 256;
/// Channels and threads whose names are remembered for each account: those of a few large servers,
/// 64 bytes each. Of those that were forgotten, rules know the number but not the name.
pub const PLACES_MAX: usize = 4096;
/// Bytes of these in a file: ids, lengths and names, and some room.
pub const PLACES_BYTES_MAX: u32 = 288 * 1024;
/// Chats of which something is asked at once before a message can be judged …
pub const LOBBY_CHATS_MAX: usize = 32;
/// … messages that wait for that over all chats; more are judged by what is known …
pub const LOBBY_MESSAGES_MAX: usize = 64;
/// … how long they wait …
pub const LOBBY_DEADLINE: Duration = Duration::from_secs(5);
/// … a slash command less, since who used it must be answered within 3 s …
pub const LOBBY_DEADLINE_ORDER: Duration = Duration::from_millis(1_500);
/// … and how long what could not be found out is not asked again.
pub const LOBBY_AGAIN: Duration = Duration::from_secs(30);
/// Members whose roles are remembered, after they had to be asked for …
pub const MEMBERS_MAX: usize = 128;
/// … for so long: one page of a history is judged by one answer.
pub const MEMBERS_FOR: Duration = Duration::from_secs(60);
/// Bytes kept of a channel's name; Discord's have at most 100 characters, and most a dozen.
pub const PLACE_NAME_BYTES_MAX: usize = 47;
/// Characters of a nonce that Discord compares ("Create Message").
pub const NONCE_CHARS_MAX: usize = 25;

// ---- Messages: what is kept of them --------------------------------------------------------

/// Message ids remembered per account: more than any replay after a RESUME brings twice.
pub const SEEN_IDS_MAX: usize = 1024;
/// The same words of the same person in the same chat within this span are one message.
pub const DEDUP_WINDOW: Duration = Duration::from_secs(5);
/// How far back messages are fetched that were said while a session was lost …
pub const CATCH_UP_SPAN: Duration = Duration::from_secs(30 * 60);
/// … and how many of each chat.
pub const CATCH_UP_PER_CHAT_MAX: usize = 100;
/// Messages that one look at a history brings: as many as Discord gives ("Get Channel Messages").
pub const CATCH_UP_PAGE: usize = 100;
/// Chats that are looked at then: those answered last, within …
pub const CATCH_UP_CHATS_MAX: usize = 50;
/// … this span.
pub const CATCH_UP_ACTIVE: Duration = Duration::from_secs(7 * 24 * 3600);
/// A message that is answered so long after it was heard is late.
pub const LATE_FROM: Duration = Duration::from_secs(60);
/// How long one look may take; then its chat is given up, aloud.
pub const CATCH_UP_DEADLINE: Duration = Duration::from_secs(60);
/// By how much numbers of messages in different chats may be out of order: they are made of the
/// clocks of many machines ("Snowflakes").
pub const CATCH_UP_SLACK: Duration = Duration::from_secs(5);
/// How many admitted messages may be open when another late one is let in.
pub const CATCH_UP_OPEN_MAX: usize = INFLIGHT_MAX / 2;
/// Chats whose last answered message is remembered; the one longest silent is forgotten.
pub const ANSWERED_CHATS_MAX: usize = 1024;
/// Messages taken in and not dealt with yet, over all chats of an account.
pub const INFLIGHT_MAX: usize = 256;
/// Messages remembered to know their words again within [`DEDUP_WINDOW`]: far more than people say
/// to a bot in it.
pub const DEDUP_REMEMBERED_MAX: usize = 256;
/// Steps of admitted messages kept for `why`: some four of each.
pub const TRACE_LINES_MAX: usize = 512;
/// Admitted messages kept for `why`. They have room of their own, lest the talk of a busy server,
/// which is not for us, push them out.
pub const TRACE_ADMITTED_MAX: usize = 128;
/// Messages kept for `why` that were turned away.
pub const TRACE_TURNED_MAX: usize = 256;
/// Bytes kept of an author's name in the trail; it is only there to be recognised.
pub const TRACE_NAME_BYTES_MAX: usize = 40;
/// Names of agents that the trail tells apart.
pub const TRACE_AGENTS_MAX: usize = 64;
/// The trail as it is kept: all of the above, full.
pub const TRACE_BYTES_MAX: u32 = 128 * 1024;
/// How often the trail goes to the runtime directory, if something has happened: what is lost of
/// it in a crash is this much.
pub const TRACE_SAVE: Duration = Duration::from_secs(3);
/// Messages that one `why` tells of.
pub const WHY_STORIES_MAX: usize = 100;

// ---- Pairing ---------------------------------------------------------------------------------

/// Characters of a code: of an alphabet of 32 they make 40 bits, which nobody guesses in an hour.
pub const PAIRING_CODE_CHARS: usize = 8;
/// How long a code can be approved.
pub const PAIRING_TTL: Duration = Duration::from_secs(3600);
/// Codes that wait in one account: strangers must not fill the disk, nor the owner's screen.
pub const PAIRING_PENDING_MAX: usize = 3;
/// A stranger who goes on writing is told the code again after this long at the earliest; and that
/// too many are waiting is told at most as often.
pub const PAIRING_AGAIN: Duration = Duration::from_secs(60);
/// Wrong codes in [`PAIRING_GUESSES_PERIOD`] after which none is looked at.
pub const PAIRING_GUESSES_MAX: u32 = 10;
/// See [`PAIRING_GUESSES_MAX`].
pub const PAIRING_GUESSES_PERIOD: Duration = Duration::from_secs(600);
/// People that can be paired with one account.
pub const PAIRED_MAX: usize = 1024;
/// Bytes of one line in the list of the paired: a name and some numbers.
pub const PAIRED_RECORD_BYTES_MAX: u32 = 512;
/// The list is made short again at this length.
pub const PAIRED_LOG_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// The length at which that file is made short; some years of requests.
pub const PAIRED_SHORT_BYTES: u64 = 256 * 1024;

// ---- Turns and replies -----------------------------------------------------------------------

/// Turns that run at once, each of another chat.
pub const TURNS_RUNNING_MAX: usize = 16;
/// What is read of an agent's answer: of a program's output, of an endpoint's body or stream. What
/// a program prints beyond it is left out, and said to be; of an endpoint it is a fault.
pub const AGENT_OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// What is kept of the end of a program's standard error, for the log.
pub const AGENT_ERRORS_BYTES_MAX: usize = 4096;
/// Characters of one answer that are said: ten of Discord's messages. Whoever has more to say is
/// better read in a file.
pub const AGENT_REPLY_CHARS_MAX: usize = 20_000;
/// Things that one answer may want done.
pub const AGENT_ACTS_MAX: usize = 32;
/// Files of one answer; Discord takes as many with a message.
pub const AGENT_FILES_MAX: usize = 10;
/// One file; Discord takes as much from a bot ("Uploading Files").
pub const AGENT_FILE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// How long a program that is to end may put its things in order before it is killed.
pub const KILL_GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether the last of its processes has gone.
pub const KILL_LOOK: Duration = Duration::from_millis(20);
/// Rounds of killing: each leaves only what came into being during it.
pub const KILL_ROUNDS_MAX: u32 = 100;
/// How long an endpoint that is busy (429, 503) may ask us to wait before the one other try.
pub const AGENT_RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Sessions in which somebody has begun another conversation; the one in which that was longest ago
/// is forgotten.
pub const SESSIONS_MAX: usize = 2048;
/// The file that they are kept in.
pub const SESSIONS_BYTES_MAX: u32 = 2 * 1024 * 1024;
/// A session's key; OpenClaw's are as long at most.
pub const SESSION_KEY_BYTES_MAX: usize = 512;
/// What is kept of one line of a transcript; who said more is better read in a file.
pub const TRANSCRIPT_TEXT_BYTES_MAX: usize = 32 * 1024;
/// What a run is called, or a request's idempotency key, which is the same.
pub const TRANSCRIPT_RUN_BYTES_MAX: usize = 256;
/// What people call a session.
pub const TRANSCRIPT_NAME_BYTES_MAX: usize = 64;
/// A record of the transcripts: a line with all that goes with it, or a session's key and name in
/// JSON.
pub const TRANSCRIPT_RECORD_BYTES_MAX: u32 = 40 * 1024;
/// Sessions that are remembered; the one that has been silent longest is forgotten.
pub const TRANSCRIPT_SESSIONS_MAX: usize = 1024;
/// What of one session stays when the transcripts are made short, as long as all have room.
pub const TRANSCRIPT_SESSION_BYTES: u64 = 256 * 1024;
/// The length at which the transcripts are made short, to half of it; and the end of all, which
/// is only reached while that fails.
pub const TRANSCRIPTS_SHORT_BYTES: u64 = 16 * 1024 * 1024;
/// See [`TRANSCRIPTS_SHORT_BYTES`].
pub const TRANSCRIPTS_BYTES_MAX: u64 = 2 * TRANSCRIPTS_SHORT_BYTES;
/// What was said reaches the disk this long after the first of a group. A conversation costs an SD
/// card a write in this time.
pub const TRANSCRIPT_SYNC: Duration = Duration::from_secs(5);
/// Lines, and questions about them, that wait for the one who keeps the transcripts.
pub const TRANSCRIPT_ORDERS_MAX: usize = 128;
/// Runs without an end that are remembered over a restart.
pub const TRANSCRIPT_OPEN_MAX: usize = 128;
/// Runs that have ended and are still known by their name, over a restart too.
pub const TRANSCRIPT_RUNS_DONE_MAX: usize = 256;
/// Runs under way that clients of the control port have asked for.
pub const RUNS_LIVE_MAX: usize = 64;
/// Runs that are over and are told of to who asks again …
pub const RUNS_DONE_MAX: usize = 256;
/// … with what they answered, in so many bytes.
pub const RUNS_DONE_BYTES_MAX: usize = 512 * 1024;
/// How often clients are told what an agent says while it speaks; OpenClaw's gateway does as often.
pub const DELTA_EVERY: Duration = Duration::from_millis(150);
/// The JSON of one answer to `chat.history` or `sessions.list`: below what lets a client go that
/// reads slowly.
pub const CHAT_HISTORY_BYTES_MAX: usize = 256 * 1024;
/// Lines of one answer to `chat.history`, if nobody says how many, and at most.
pub const CHAT_HISTORY_LINES: usize = 200;
/// See [`CHAT_HISTORY_LINES`].
pub const CHAT_HISTORY_LINES_MAX: usize = 1000;
/// Sessions of one answer, if nobody says how many, and at most.
pub const SESSIONS_LISTED: usize = 100;
/// Parts of replies that wait in one chat (`max_queue_size`).
pub const OUTBOX_PER_CHAT_MAX: usize = 50;
/// Parts of replies that wait in all chats together, of up to 8 KB each.
pub const OUTBOX_PARTS_MAX: usize = 1024;
/// A reply that could not be sent for this long is stale, and dropped.
pub const OUTBOX_TTL: Duration = Duration::from_secs(600);
/// How long one call may be tried before it is looked at again …
pub const OUTBOX_SLICE: Duration = Duration::from_secs(60);
/// … and for how long after the first try the same call is made again without looking: Discord
/// remembers nonces for "the past few minutes" ("Create Message"), and this and a slice are two.
pub const OUTBOX_NONCE_SURE: Duration = Duration::from_secs(55);
/// The wait before something is tried again that could not be done in its slice.
pub const OUTBOX_RETRY: Duration = Duration::from_secs(1);
/// For how long a call may wait that is to be dropped rather than wait (`strategy: "drop"`).
pub const OUTBOX_DROP_PATIENCE: Duration = Duration::from_secs(2);
/// After a chat was refused (403, 404), what is to be said there is dropped at once for so long:
/// no longer than the first of the waits by which the REST side spares such a chat, which grow.
pub const OUTBOX_CHAT_CLOSED: Duration = REST_CLOSED_FIRST;
/// Chats of which that is remembered.
pub const OUTBOX_CLOSED_MAX: usize = 256;
/// Calls of the outbox under way at once, each of another chat: half of all, so that there is
/// always room for others.
pub const OUTBOX_UNDER_WAY_MAX: usize = 128;
/// Messages that may go out at once over all chats (`burstProtection`) …
pub const OUTBOX_BURST: u32 = 25;
/// … and in which time as many more: half of what Discord allows in a second.
pub const OUTBOX_BURST_PERIOD: Duration = Duration::from_secs(1);
/// What may wait in the outbox, in bytes: a few messages with large files.
pub const OUTBOX_BYTES_MAX: usize = 24 * 1024 * 1024;
/// All files of one answer together, of which a copy is kept on the disk.
pub const OUTBOX_ITEM_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Keys remembered of what was said of our own accord.
pub const OUTBOX_OWN_REMEMBERED: usize = 256;

/// Orders that are carried out at a time: a person gives one and waits.
pub const COMMANDS_AT_ONCE_MAX: usize = 16;
/// From a slash command to our first answer: Discord forgets it after 3 s.
pub const INTERACTION_DEADLINE: Duration = Duration::from_millis(2_800);
/// How long the answer itself may be on its way; its token is good for 15 min.
pub const INTERACTION_EDIT_DEADLINE: Duration = Duration::from_secs(600);
/// How long the deployment of commands may take; the next session tries again.
pub const DEPLOY_DEADLINE: Duration = Duration::from_secs(300);
/// An application's id and a hash.
pub const COMMANDS_RECORD_BYTES_MAX: u32 = 64;

// ---- Another instance elsewhere ----------------------------------------------------------------

/// Strange messages within this span are one sign: an answer may come in parts.
pub const TWIN_APART: Duration = Duration::from_secs(30);
/// How long a sign counts.
pub const TWIN_MEMORY: Duration = Duration::from_secs(24 * 3600);
/// How often a suspicion is said.
pub const TWIN_TELL_AGAIN: Duration = Duration::from_secs(3600);
/// Signs of each kind that are kept.
pub const TWIN_SAYS_MAX: usize = 32;
/// IDENTIFYs of others that prove nothing: a restart whose own ones were not counted.
pub const TWIN_SPEND_SLACK: u32 = 2;

// ---- REST ------------------------------------------------------------------------------------

/// Requests per second over all routes ("Rate Limits", Global Rate Limit).
pub const REST_GLOBAL_PER_SECOND: u32 = 50;
/// Invalid requests (401, 403, 429 but shared) in [`REST_INVALID_PERIOD`] at which we stop asking;
/// Discord bans the address at 10,000.
pub const REST_INVALID_MAX: usize = 500;
/// See [`REST_INVALID_MAX`].
pub const REST_INVALID_PERIOD: Duration = Duration::from_secs(600);
/// How long to sleep when Cloudflare refused us and did not say for how long.
pub const REST_BAN_WAIT: Duration = Duration::from_secs(15 * 60);
/// The longest wait that a header of the server may impose; a longer one is a mistake.
pub const REST_WAIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// The wait before a failed call is made again: doubling from the first, at random below it …
pub const REST_RETRY_FIRST: Duration = Duration::from_millis(500);
/// … up to this, so that a reply leaves soon after the network came back.
pub const REST_RETRY_MAX: Duration = Duration::from_secs(8);
/// Tries of one call. Its deadline normally ends it first; this ends it whatever the waits are.
pub const REST_TRIES_MAX: u32 = 200;
/// Calls waiting or under way. Outboxes ask for one per chat, so this many chats can be spoken
/// to at once; more are refused, visibly.
pub const REST_JOBS_MAX: usize = 256;
/// Rate limit buckets remembered: one per waiting call at most, and as many again that still have
/// to run out, since no more than the global rate times a bucket's usual 5 s can be open.
pub const REST_BUCKETS_MAX: usize = 2 * REST_JOBS_MAX;
/// How often a chat is shown that somebody is at work; Discord shows it for 10 s.
pub const TYPING_AGAIN: Duration = Duration::from_secs(8);
/// How long one call for "is typing" may take; the sign itself lasts 10 s.
pub const REST_TYPING_DEADLINE: Duration = Duration::from_secs(5);
/// Calls under way at once, so that a hanging call blocks no other chat; …
pub const REST_LANES: usize = 4;
/// … and one more for interactions, which want their answer within 3 s whatever else hangs.
pub const REST_LANES_INTERACTION: usize = 1;
/// Connections kept to one host.
pub const HTTP_CONNECTIONS_PER_HOST_MAX: usize = REST_LANES + REST_LANES_INTERACTION;
/// How long a chat is left alone that answered "gone" or "forbidden", the first time …
pub const REST_CLOSED_FIRST: Duration = Duration::from_secs(5);
/// … and at most, doubling each time: 500 such chats cost a tenth of what Discord allows.
pub const REST_CLOSED_MAX: Duration = Duration::from_secs(600);
/// Chats of which we remember that; an outbox has as many.
pub const REST_CLOSED_PLACES: usize = 256;
/// The slowest way up that a message with files is sent over: its deadline grows by its size.
pub const REST_UPLOAD_BYTES_PER_SECOND: usize = 128 * 1024;
/// A REST answer that is larger is cut off and treated as an error.
pub const HTTP_BODY_BYTES_MAX: usize = 1024 * 1024;
/// The head of an HTTP answer.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Hosts whose connections are kept; agents may ask many.
pub const HTTP_HOSTS_MAX: usize = 32;
/// How long a connection is kept warm for the next request.
pub const HTTP_KEEP_WARM: Duration = Duration::from_secs(60);
/// From a request to a connection for it.
pub const HTTP_CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// From a connection to the answer's head.
pub const HTTP_HEAD_DEADLINE: Duration = Duration::from_secs(15);
/// From the answer's head to its end.
pub const HTTP_BODY_DEADLINE: Duration = Duration::from_secs(30);

// ---- Our HTTP servers -------------------------------------------------------------------------

/// Connections that one server holds at a time; further ones wait in the listening socket.
pub const SERVER_CONNECTIONS_MAX: usize = 64;
/// A request's head: room for cookies and long tokens, not for abuse.
pub const SERVER_HEAD_BYTES_MAX: usize = 16 * 1024;
/// A request's body.
pub const SERVER_BODY_BYTES_MAX: usize = 1024 * 1024;
/// From the accept, or the last answer, to the end of the next request's head.
pub const SERVER_IDLE: Duration = Duration::from_secs(30);
/// From a request's head to the end of its body.
pub const SERVER_BODY_DEADLINE: Duration = Duration::from_secs(10);
/// How long a stopping server waits for answers that are under way.
pub const SERVER_GRACE: Duration = Duration::from_secs(1);
/// Connections that wait in a listening socket: those of a restart's few seconds, however many
/// scripts ask meanwhile. The kernel has its own bound (`net.core.somaxconn`).
pub const LISTEN_BACKLOG: i32 = 1024;
/// Listening sockets that are taken over from an earlier process; there are two.
pub const KEPT_SOCKETS_MAX: usize = 8;
/// How long one that is turned away by a stop has to take that in.
pub const TURN_AWAY: Duration = Duration::from_millis(250);
/// After an accept that failed, most often for want of descriptors, wait so long.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

// ---- The control protocol ---------------------------------------------------------------------

/// Clients that have said who they are: a dashboard or two, some scripts, a person.
pub const CONTROL_CLIENTS_MAX: usize = 32;
/// Clients that have not yet; beyond that the one that has been silent longest has to go.
pub const CONTROL_STRANGERS_MAX: usize = 16;
/// What a client may send before it has said who it is.
pub const CONTROL_STRANGER_BYTES_MAX: usize = 64 * 1024;
/// How long it may take to say so.
pub const CONTROL_HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// A frame from a client. The largest are configurations.
pub const CLIENT_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// The buffer that frames are read through, of each client.
pub const CONTROL_READ_BUFFER_BYTES: usize = 4 * 1024;
/// What waits for one client: from half of it no more requests of that client are taken on, and
/// beyond it a client that should be told something has to go.
pub const CONTROL_BUFFER_BYTES: usize = 512 * 1024;
/// Requests of one client that are answered at a time.
pub const CONTROL_CALLS_MAX: usize = 8;
/// How often clients are told that the gateway lives.
pub const CONTROL_TICK: Duration = Duration::from_secs(30);
/// Peers whose failed credentials are remembered one by one: an entry is a few hundred bytes at
/// most, and beyond that many attackers all strangers are counted as one.
pub const AUTH_PEERS_MAX: usize = 1024;
/// Failures within [`AUTH_WINDOW`] that lock a peer out, unless the configuration says otherwise.
pub const AUTH_ATTEMPTS: usize = 10;
/// What the configuration may say at most, since each failure is remembered by its instant.
pub const AUTH_ATTEMPTS_MAX: u64 = 100;
/// See [`AUTH_ATTEMPTS`].
pub const AUTH_WINDOW: Duration = Duration::from_secs(60);
/// How long a peer stays locked out: guesses then cost years.
pub const AUTH_LOCKOUT: Duration = Duration::from_secs(300);
/// Answers to requests with a key that are remembered, as OpenClaw's gateway does it.
pub const ANSWERS_MAX: usize = 1000;
/// For how long: whoever has not asked again by then has given up.
pub const ANSWERS_FOR: Duration = Duration::from_secs(300);
/// And in how many bytes; most say little more than that something was sent.
pub const ANSWERS_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a key; a longer one is none.
pub const KEY_BYTES_MAX: usize = 256;
/// Requests with a key that are under way: they go on without their client.
pub const KEYED_CALLS_MAX: usize = 64;
/// Between two tellings of a health that has not changed, as OpenClaw's gateway does it.
pub const CONTROL_HEALTH_BEAT: Duration = Duration::from_secs(60);
/// Log lines given at once, and their bytes, if nobody says how many.
pub const CONTROL_LOG_LINES: usize = 500;
/// See [`CONTROL_LOG_LINES`]; whatever a client asks for, no answer is longer than this.
pub const CONTROL_LOG_BYTES_MAX: usize = 1_000_000;
/// How long clients are told that a restart takes.
pub const RESTART_EXPECTED: Duration = Duration::from_millis(1500);

// ---- The sandbox -----------------------------------------------------------------------------

/// Faults that are armed at a time.
pub const SANDBOX_FAULTS_MAX: usize = 32;
/// Bots and people that it knows: they come into being when they are named.
pub const SANDBOX_USERS_MAX: usize = 2048;
/// Channels, direct ones and threads included.
pub const SANDBOX_CHANNELS_MAX: usize = 2048;
/// Messages kept of each channel.
pub const SANDBOX_MESSAGES_MAX: usize = 1000;
/// Bytes of attached files that it keeps: two of the largest messages that Discord takes.
pub const SANDBOX_FILES_BYTES_MAX: usize = 2 * DISCORD_BODY_BYTES_MAX;
/// Sessions, those that are offline included.
pub const SANDBOX_SESSIONS_MAX: usize = 64;
/// Events that a session keeps for a RESUME.
pub const SANDBOX_REPLAY_MAX: usize = 1000;
/// Events that a flood lets wait for a connection, so that no session loses any.
pub const SANDBOX_BACKLOG_MAX: usize = 256;
/// Connections to its gateway, well above what a test opens.
pub const SANDBOX_CONNECTIONS_MAX: usize = 128;
/// Events kept for `state`, and kept waiting for one that listens.
pub const SANDBOX_EVENTS_MAX: usize = 4096;
/// Heartbeats whose lateness is kept.
pub const SANDBOX_BEATS_MAX: usize = 1024;

// ---- TCP -------------------------------------------------------------------------------------

/// Keepalive by default: idle time, interval, probes.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_PROBES: u32 = 3;
/// `TCP_USER_TIMEOUT`: unacknowledged data older than this ends the connection (RFC 5482).
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);
/// Head start of one address over the next (RFC 8305, Connection Attempt Delay).
pub const HAPPY_EYEBALLS_DELAY: Duration = Duration::from_millis(250);
/// Addresses of one host that are tried.
pub const ADDRESSES_MAX: usize = 8;
/// Hosts of which the last good addresses and the family that worked are remembered.
pub const HOSTS_REMEMBERED_MAX: usize = 64;
/// TLS sessions kept for resumption.
pub const TLS_SESSIONS_MAX: usize = 32;
/// The head of a proxy's answer; anything real is a few lines.
pub const PROXY_HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long a lookup may take before the addresses of an earlier one serve.
pub const DNS_PATIENCE: Duration = Duration::from_secs(3);

// ---- The thread ------------------------------------------------------------------------------

/// A loop over a socket yields after this many events …
pub const YIELD_EVENTS: u32 = 32;
/// … or after this long, whichever comes first.
pub const YIELD_AFTER: Duration = Duration::from_micros(250);
/// A tier below a busy one is polled at least this often.
pub const TIER_SHARE: Duration = Duration::from_millis(10);
/// The reactor looks at timers and sockets after this many polls: its look is a system call …
pub const REACTOR_POLLS: u32 = 32;
/// … or after this long, whichever comes first, so that a due heartbeat never waits for a crowd.
pub const REACTOR_AFTER: Duration = Duration::from_millis(1);
/// A poll that holds the thread this long is counted as slow.
pub const SLOW_POLL: Duration = Duration::from_millis(1);
/// Threads for blocking work (disk, computing), and as many again for name lookups: a name server
/// that hangs must not hold up the disk.
pub const BLOCKING_THREADS_MAX: usize = 2;
/// Jobs that wait for such a thread.
pub const BLOCKING_QUEUE_MAX: usize = 64;
/// Stack of such a thread. glibc's getaddrinfo takes some 100 KB at worst.
pub const BLOCKING_STACK_BYTES: usize = 512 * 1024;

// ---- The process -----------------------------------------------------------------------------

/// The port of the control API; OpenClaw's, so that its clients find us.
pub const CONTROL_PORT: u16 = 18_789;
/// Accounts of one process.
pub const ACCOUNTS_MAX: usize = 32;
/// Agents of one process: one for each account.
pub const AGENTS_MAX: usize = ACCOUNTS_MAX;
/// Changes of an account's connection that are kept for `channels history`.
pub const HISTORY_ENTRIES_MAX: usize = 128;
/// And the bytes that these take as they are kept.
pub const HISTORY_BYTES_MAX: u32 = 64 * 1024;
/// How often the health monitor looks whether an account keeps its own schedule …
pub const MONITOR_LOOK: Duration = Duration::from_secs(10);
/// … for how long it must not have, before it is restarted: in time for the watchdog to hear of
/// it, since a process that is killed takes the other accounts with it …
pub const MONITOR_PATIENCE: Duration = Duration::from_secs(20);
/// … and the wait before it is restarted once more, doubling …
pub const MONITOR_WAIT: Duration = Duration::from_secs(300);
/// … up to this.
pub const MONITOR_WAIT_MAX: Duration = Duration::from_secs(3600);
/// How long `demo` and `drill` wait for their bot to connect …
pub const STAGE_DEADLINE: Duration = Duration::from_secs(30);
/// … and how often they look.
pub const STAGE_LOOK: Duration = Duration::from_millis(20);
/// By how much a channel may miss its own schedule before systemd's watchdog is no longer fed.
pub const SCHEDULE_SLACK: Duration = Duration::from_secs(10);
/// How often it is fed in the time that it waits: an account that was stuck and was restarted is
/// told of before that time is over.
pub const WATCHDOG_FEEDS: u32 = 6;
/// How long it waits, by our units. That they say so is a test beside what feeds it.
pub const WATCHDOG: Duration = Duration::from_secs(60);
/// How long SIGTERM drains.
pub const DRAIN: Duration = Duration::from_secs(8);
/// Hot cursors go to the runtime directory this often.
pub const HOT_SAVE: Duration = Duration::from_secs(1);
/// Where there is no runtime directory they go to the state directory, only this often.
pub const WARM_SAVE: Duration = Duration::from_secs(60);
/// And to the disk this often, to spare the SD card.
pub const COLD_SAVE: Duration = Duration::from_secs(300);
/// What is kept of a session: two URLs, an id, and the IDENTIFYs of a day.
pub const SESSION_RECORD_BYTES_MAX: u32 = 16 * 1024;
/// What need not be on the disk at once reaches it this long after the first of a group.
pub const JOURNAL_SYNC: Duration = Duration::from_secs(2);
/// The log of messages on their way is made short again from this length on, once it has grown to
/// twice what it was made short to; …
pub const JOURNAL_SHORT_BYTES: u64 = 256 * 1024;
/// … it never grows beyond this, …
pub const JOURNAL_BYTES_MAX: u64 = 4 * OUTBOX_BYTES_MAX as u64;
/// … and no record beyond this: an answer with all of its files.
pub const JOURNAL_RECORD_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// The log that an older version kept of answered messages.
pub const ANSWERED_LOG_BYTES_MAX: u64 = 256 * 1024;
/// Turns that are begun for one message: if our process ended in two of them, it may be the
/// message that ends it.
pub const TURN_ATTEMPTS_MAX: u8 = 2;
/// How long an agent may take over one message.
pub const TURN_DEADLINE: Duration = Duration::from_secs(120);
/// A shorter secret is not blotted out of log lines: it would be a common word.
pub const SECRET_BYTES_MIN: usize = 8;
/// How long a log line waits for whoever reads standard error, once; while nobody does, lines are
/// only kept in memory.
pub const LOG_PATIENCE: Duration = Duration::from_millis(50);
/// Lines that wait for the thread that writes the log file; a disk that hangs costs those after.
pub const LOG_FILE_QUEUE_MAX: usize = 512;
/// Stack of that thread, which formats and writes.
pub const LOG_FILE_STACK_BYTES: usize = 128 * 1024;
/// A log file that cannot be opened is tried again this often.
pub const LOG_FILE_RETRY: Duration = Duration::from_secs(10);
/// How long the end of the process waits for the last lines to be in the log file.
pub const LOG_FILE_FLUSH: Duration = Duration::from_millis(500);
/// Log lines kept in memory for `logs`.
pub const LOG_RING_BYTES: usize = 128 * 1024;

// ---- The doctor ------------------------------------------------------------------------------

/// How long the doctor waits for a TCP connection by one family of addresses.
pub const DOCTOR_FAMILY_DEADLINE: Duration = Duration::from_secs(5);
/// A clock that shows less was never set: nothing of this was written before (2025-01-01).
pub const CLOCK_MIN: Wall = Wall(1_735_689_600_000);
/// By how much a clock may differ from Discord's; deadlines are by another one.
pub const CLOCK_SLACK: Duration = Duration::from_secs(60);
/// A heartbeat that left this late, or a poll that took as long, tells of a thread that was held
/// up. Far from what Discord would notice, which is why it is told in time.
pub const LATE_BEAT: Duration = Duration::from_millis(500);
/// State takes a few MiB; with less room than this it will not for long.
pub const STATE_FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;

// ---- Configuration ---------------------------------------------------------------------------

/// A configuration file. Large ones have a few thousand lines; this is ten times that.
pub const CONFIG_BYTES_MAX: usize = 1024 * 1024;
/// Nesting in it: the parser recurses, and no key lies a quarter as deep.
pub const CONFIG_DEPTH_MAX: usize = 48;
/// Mistakes that are reported one by one; of the rest only the count is told.
pub const CONFIG_MISTAKES_MAX: usize = 100;
/// Entries of one object or list in it whose names are the writer's own (servers, channels,
/// agents): the largest bots list a few hundred, and each is looked up several times.
pub const CONFIG_ENTRIES_MAX: usize = 1000;
/// Entries, and items of lists, that are read in all. What accounts share is read by each, so a
/// small file could ask for millions; this is every account with as many as large bots have.
pub const CONFIG_READS_MAX: usize = 20_000;
/// The length of the log file, unless `logging.maxFileBytes` says otherwise.
pub const LOG_FILE_BYTES: u64 = 10 * 1024 * 1024;
/// A file that holds a token: anything longer is not one.
pub const TOKEN_FILE_BYTES_MAX: usize = 4096;

// ---- Backups ---------------------------------------------------------------------------------

/// What a backup may hold once it is unpacked. State is a few MiB, and a Pi's card has room for
/// this; a file that unpacks to more was made to fill the disk.
pub const BACKUP_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// How many files: a few for each account and a transcript for each conversation.
pub const BACKUP_FILES_MAX: usize = 20_000;
/// The length of a name below its directory, which a header of tar has room for.
pub const BACKUP_NAME_BYTES_MAX: usize = 200;
/// How deep a file may lie below its directory; ours lie one or two deep.
pub const BACKUP_DEPTH_MAX: usize = 8;
/// The list of what is in a backup: some two hundred bytes for each of its files.
pub const BACKUP_MANIFEST_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How often it is tried to find a moment when nothing is written: two seconds in all, and a
/// gateway that writes in every fiftieth of a second of these is a strange one.
pub const BACKUP_TRIES: u32 = 100;

const _: () = assert!(GATEWAY_SENDS_RESERVED * 4 < GATEWAY_SENDS_MAX);
// The schedule's beats at the shortest interval leave room for others.
const _: () = assert!(
    (GATEWAY_SENDS_PERIOD.as_secs() + GATEWAY_SENDS_SLACK.as_secs())
        / HEARTBEAT_INTERVAL_MIN.as_secs()
        < (GATEWAY_SENDS_MAX - GATEWAY_SENDS_RESERVED) as u64
);
const _: () = assert!(GATEWAY_BOT_DEADLINE.as_secs() < GATEWAY_INFO_DEADLINE.as_secs());
const _: () = assert!(RESUMED_DEADLINE.as_secs() < REPLAY_MAX.as_secs());
const _: () = assert!(UNPROVEN_MIN.is_power_of_two());
const _: () = assert!(GATEWAY_INFO_AGE_MAX.as_millis() < IDENTIFY_SPACING.as_millis());
const _: () = assert!(IDENTIFY_OWN_MAX + (IDENTIFY_REMAINING_HOLD as usize) < 1000);
const _: () = assert!(HELLO_DEADLINE.as_secs() < READY_DEADLINE.as_secs());
const _: () = assert!(ACK_DEADLINE_MAX.as_secs() < TCP_USER_TIMEOUT.as_secs());
const _: () = assert!(DIAL_DEADLINE_FIRST.as_secs() < DIAL_DEADLINE_MAX.as_secs());
const _: () = assert!(TEXT_BYTES_MAX >= DISCORD_MESSAGE_CHARS_MAX * 4);
const _: () = assert!(READ_WINDOW_BYTES >= UPGRADE_HEAD_BYTES_MAX / 2);
const _: () = assert!(CLOSE_WAIT.as_secs() < DRAIN.as_secs());
const _: () = assert!(REST_BUCKETS_MAX > REST_JOBS_MAX);
const _: () = assert!(REST_BUCKETS_MAX > REST_GLOBAL_PER_SECOND as usize * 5 + 1);
const _: () = assert!(REST_RETRY_MAX.as_secs() * 4 < OUTBOX_TTL.as_secs());
const _: () = assert!(OUTBOX_PER_CHAT_MAX < OUTBOX_PARTS_MAX);
const _: () = assert!(TRACE_LINES_MAX >= 4 * TRACE_ADMITTED_MAX);
const _: () = assert!(TRACE_AGENTS_MAX < u8::MAX as usize);
const _: () = assert!(PAIRING_AGAIN.as_secs() < PAIRING_TTL.as_secs());
const _: () = assert!(OUTBOX_ITEM_BYTES_MAX + 1024 * 1024 < JOURNAL_RECORD_BYTES_MAX as usize);
const _: () = assert!(OUTBOX_UNDER_WAY_MAX * 2 <= REST_JOBS_MAX);
const _: () = assert!(OUTBOX_BURST * 2 <= REST_GLOBAL_PER_SECOND);
const _: () = assert!(OUTBOX_SLICE.as_secs() + OUTBOX_NONCE_SURE.as_secs() <= 120);
const _: () = assert!(SANDBOX_BACKLOG_MAX * 2 < SANDBOX_REPLAY_MAX);
const _: () = assert!(MONITOR_LOOK.as_secs() <= MONITOR_PATIENCE.as_secs());
const _: () = assert!(SCHEDULE_SLACK.as_secs() < MONITOR_PATIENCE.as_secs());
const _: () = assert!(
    SCHEDULE_SLACK.as_secs()
        + MONITOR_PATIENCE.as_secs()
        + MONITOR_LOOK.as_secs()
        + WATCHDOG.as_secs() / (WATCHDOG_FEEDS as u64)
        < WATCHDOG.as_secs()
);
const _: () = assert!(KILL_GRACE.as_secs() * 2 < DRAIN.as_secs());
const _: () = assert!(SERVER_GRACE.as_secs() < DRAIN.as_secs());
// Some places are left for those who only ask by HTTP.
const _: () = assert!(CHAT_HISTORY_BYTES_MAX < CONTROL_BUFFER_BYTES);
const _: () = assert!(RUNS_LIVE_MAX <= TRANSCRIPT_OPEN_MAX);
const _: () = assert!(TRANSCRIPT_TEXT_BYTES_MAX + 1024 < TRANSCRIPT_RECORD_BYTES_MAX as usize);
const _: () = assert!(CONTROL_CLIENTS_MAX + CONTROL_STRANGERS_MAX < SERVER_CONNECTIONS_MAX);
const _: () = assert!(YIELD_AFTER.as_micros() < TIER_SHARE.as_micros());
