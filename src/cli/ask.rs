//! What the gateway is asked about itself: its status, its health, its log.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, Connection, Effect, Trouble};
use super::print::{Printer, Spinner, remark};
use super::{Call, channels, show, summary};
use crate::ops::exit::{Exit, Failure};
use crate::rt::clock;

/// Lines that `logs` shows, unless `--limit` says otherwise.
const LOG_LINES: u32 = 200;
/// How often `logs --follow` looks, unless `--interval` says otherwise.
const LOOK_MS: u64 = 500;
/// How often `--timeout` a follower lets the gateway be away before it gives up.
const AWAY_TIMEOUTS: u32 = 3;

/// `barnacle status`.
pub(crate) fn status(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let mut answer = client.ask("status", &json!({}), Effect::Same)?;
    if call.parsed.has("deep") {
        let timeout = u64::try_from(client.timeout.as_millis()).unwrap_or(u64::MAX);
        let params = json!({ "probe": true, "timeoutMs": timeout });
        answer["probe"] = client.ask("channels.status", &params, Effect::Same)?;
    }
    let is_all = call.parsed.has("all") || call.parsed.has("verbose");
    call.answer(&answer, |printer, answer| {
        let mut lines = summary::lines(printer, answer);
        if answer["probe"].is_object() {
            lines.push_str("\n\n");
            lines.push_str(&channels::accounts(printer, &answer["probe"], true));
        }
        if is_all {
            lines.push_str("\n\n");
            lines.push_str(&show::tree(printer, answer));
        }
        lines
    })
}

/// `barnacle health`.
pub(crate) fn health(call: &mut Call<'_>) -> Result<(), Failure> {
    let answer = Client::new(call)?.ask("health", &json!({}), Effect::Same)?;
    // Our own gateway says it as scripts know it; another's answer is shown as it came.
    let detail = answer.get("detail").unwrap_or(&answer);
    call.answer(detail, show::tree)
}

/// What of the log is wanted.
struct Wanted {
    limit: u32,
    bytes_max: u64,
    level: String,
    interval: Duration,
    json: bool,
}

/// `barnacle logs`.
pub(crate) fn logs(call: &mut Call<'_>) -> Result<(), Failure> {
    let parsed = call.parsed;
    let wanted = Wanted {
        limit: parsed.number("limit")?.unwrap_or(LOG_LINES),
        bytes_max: parsed.number("max-bytes")?.unwrap_or(1_000_000),
        level: parsed.text("level").unwrap_or_else(|| "trace".into()),
        interval: Duration::from_millis(parsed.number("interval")?.unwrap_or(LOOK_MS).max(50)),
        json: call.common.json,
    };
    if !show::LEVELS.contains(&wanted.level.as_str()) {
        let cure = format!("write one of {}", show::LEVELS.join(", "));
        return Err(Failure::new(Exit::Usage, "--level does not know that word", cure));
    }
    let client = Client::new(call)?;
    if parsed.has("follow") {
        return follow(&client, &wanted, &mut call.out);
    }
    let params = json!({ "limit": wanted.limit, "maxBytes": wanted.bytes_max });
    let answer = client.ask("logs.tail", &params, Effect::Same)?;
    wanted.print(&answer, &mut call.out)
}

/// `barnacle channels logs`.
pub(crate) fn channel_logs(call: &mut Call<'_>) -> Result<(), Failure> {
    const KNOWN: [&str; 1] = ["discord"];
    let lines: usize = call.parsed.number("lines")?.unwrap_or(LOG_LINES as usize);
    let channel = call.parsed.text("channel").filter(|channel| channel != "all");
    // Lines of other rooms come between.
    let params = json!({ "limit": 100_000, "maxBytes": 4_000_000 });
    let answer = Client::new(call)?.ask("logs.tail", &params, Effect::Same)?;
    // Of several accounts each has its name after a slash.
    let is_wanted = |target: &str| {
        let service = target.split('/').next().unwrap_or(target);
        channel.as_ref().map_or_else(|| KNOWN.contains(&service), |channel| service == channel)
    };
    let found = answer["lines"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let found = found.map(show::LogLine::of).filter(|line| is_wanted(line.target()));
    let mut found: Vec<show::LogLine> = found.collect();
    found.drain(..found.len().saturating_sub(lines));
    if call.common.json {
        let lines: Vec<Value> = found.iter().map(show::LogLine::value).collect();
        let channel = channel.unwrap_or_else(|| "all".to_owned());
        return call.out.line(json!({ "channel": channel, "lines": lines }));
    }
    for line in found {
        let line = line.shown(&call.out);
        call.out.line(line)?;
    }
    Ok(())
}

impl Wanted {
    fn print(&self, answer: &Value, out: &mut Printer) -> Result<(), Failure> {
        for line in answer["lines"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let line = show::LogLine::of(line);
            if !line.is_grave(&self.level) {
                continue;
            }
            if self.json {
                out.line(line.json())?;
            } else {
                out.line(line.shown(out))?;
            }
        }
        Ok(())
    }
}

/// Goes on with what is new, over restarts of the gateway.
fn follow(client: &Client, wanted: &Wanted, out: &mut Printer) -> Result<(), Failure> {
    let mut connection = client.connect()?;
    let mut boot = connection.hello.server.boot_id.clone();
    let mut cursor = None;
    loop {
        let params = match cursor {
            Some(cursor) => json!({ "cursor": cursor, "maxBytes": wanted.bytes_max }),
            None => json!({ "limit": wanted.limit, "maxBytes": wanted.bytes_max }),
        };
        let deadline = clock::now() + client.timeout;
        match connection.call("logs.tail", &params, deadline) {
            Ok(answer) => {
                Spinner::clear();
                wanted.print(&answer, out)?;
                cursor = answer["cursor"].as_u64();
                if answer["truncated"] != true {
                    clock::pause(wanted.interval);
                }
            }
            Err(Trouble::Final(failure)) => return Err(failure),
            Err(Trouble::Away(_) | Trouble::Lost(_)) => {
                remark("the gateway is away; waiting for it");
                connection = back(client)?;
                let news = &connection.hello.server;
                if news.boot_id == boot {
                    remark("the gateway is back");
                } else {
                    boot.clone_from(&news.boot_id);
                    remark(&format!("the gateway is back, as process {}", news.pid));
                    // Its log begins anew, and nothing of it was seen yet.
                    cursor = Some(0);
                }
            }
        }
    }
}

/// Waits for a gateway that is away.
fn back(client: &Client) -> Result<Connection, Failure> {
    let end = clock::now() + client.timeout * AWAY_TIMEOUTS;
    loop {
        match client.try_connect(clock::now() + client.timeout) {
            Ok(connection) => return Ok(connection),
            Err(Trouble::Final(failure)) => return Err(failure),
            Err(Trouble::Away(failure) | Trouble::Lost(failure)) if clock::now() >= end => {
                let text = "the gateway has stopped, and its log with it";
                return Err(Failure { text: text.into(), ..failure });
            }
            Err(Trouble::Away(_) | Trouble::Lost(_)) => Spinner::pause(Duration::from_millis(100)),
        }
    }
}
