//! What the gateway is asked about itself: its status, its health, its log.

use std::time::Duration;

use super::client::Client;
use super::print::Printer;
use super::{Call, show, summary};
use crate::ops::exit::{Exit, Failure};

/// How long a question to the gateway may take, unless `--timeout` says otherwise.
const PATIENCE_MS: u64 = 10_000;
/// Lines that `logs` shows, unless `--limit` says otherwise.
const LOG_LINES: u32 = 200;

/// `barnacle status`.
pub(crate) fn status(call: &mut Call<'_>) -> Result<(), Failure> {
    let answer = client(call)?.get("/api/status")?;
    show(&answer, call, summary::lines)
}

/// `barnacle health`.
pub(crate) fn health(call: &mut Call<'_>) -> Result<(), Failure> {
    let answer = client(call)?.get("/health/detail")?;
    show(&answer, call, show::tree)
}

fn client(call: &Call<'_>) -> Result<Client, Failure> {
    let timeout = Duration::from_millis(call.parsed.number("timeout")?.unwrap_or(PATIENCE_MS));
    let file = call.common.config.as_deref();
    Ok(Client::new(call.env, file, call.parsed.number("port")?, timeout))
}

fn show(
    answer: &str,
    call: &mut Call<'_>,
    lines: impl Fn(&Printer, &serde_json::Value) -> String,
) -> Result<(), Failure> {
    if call.common.json {
        return call.out.line(answer.trim_end());
    }
    let garbled = |_| Failure::new(Exit::Unavailable, "the gateway's answer is not JSON", "");
    let value = serde_json::from_str(answer).map_err(garbled)?;
    let lines = lines(&call.out, &value);
    call.out.line(lines)
}

/// `barnacle logs`.
pub(crate) fn logs(call: &mut Call<'_>) -> Result<(), Failure> {
    let parsed = call.parsed;
    let limit: u32 = parsed.number("limit")?.unwrap_or(LOG_LINES);
    let level = parsed.text("level").unwrap_or_else(|| "trace".into());
    if !show::LEVELS.contains(&level.as_str()) {
        let cure = format!("write one of {}", show::LEVELS.join(", "));
        return Err(Failure::new(Exit::Usage, "--level does not know that word", cure));
    }
    let follows = parsed.has("follow");
    let path = format!("/api/logs?limit={limit}&follow={}", u8::from(follows));
    let (json, mut out) = (call.common.json, call.out);
    client(call)?.lines(&path, |line| match show::is_grave(line, &level) {
        false => Ok(()),
        true if json => out.line(line),
        true => {
            let line = show::log_line(&out, line);
            out.line(line)
        }
    })?;
    if follows {
        let text = "the gateway has stopped, and its log with it";
        return Err(Failure::new(Exit::Unavailable, text, ""));
    }
    Ok(())
}
