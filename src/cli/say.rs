//! Messages to chats and to the agent.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect};
use super::parse::usage;
use crate::base::base64;
use crate::base::text::Plain;
use crate::ops::exit::{Exit, Failure};

/// A file travels within one frame, in base64.
const FILE_BYTES_MAX: u64 = 700_000;
/// Seconds that an agent may take, unless `--timeout` says otherwise.
const AGENT_SECONDS: u64 = 600;
/// What the way to the gateway and back may take besides.
const MARGIN: Duration = Duration::from_secs(10);

/// `barnacle message send`.
pub(crate) fn send(call: &mut Call<'_>) -> Result<(), Failure> {
    let parsed = call.parsed;
    let (to, media) = (parsed.needed("target")?, parsed.path("media"));
    let message = parsed.text("message").unwrap_or_default();
    if message.trim().is_empty() && media.is_none() {
        return Err(usage("there is nothing to send", "give --message, --media or both"));
    }
    let files: Vec<Value> =
        media.iter().map(|path| attachment(path)).collect::<Result<_, Failure>>()?;
    let params = json!({
        "channel": parsed.text("channel").unwrap_or_else(|| "discord".into()),
        "accountId": parsed.text("account"),
        "to": to,
        "message": message,
        "files": files,
        "idempotencyKey": parsed.text("idempotency-key").unwrap_or_else(fresh_key),
    });
    if parsed.has("dry-run") {
        let shown = json!({ "dryRun": true, "channel": params["channel"], "to": params["to"],
            "accountId": params["accountId"], "message": params["message"],
            "files": media.iter().map(|path| json!(path)).collect::<Vec<_>>() });
        return call.answer(&shown, super::show::tree);
    }
    let answer = Client::new(call)?.ask("send", &params, Effect::Same)?;
    call.answer(&answer, |_, answer| match answer["messageId"].as_str() {
        Some(id) => format!("sent: {}", Plain(id)),
        None => "queued: it leaves when the service takes it".to_owned(),
    })
}

fn attachment(path: &Path) -> Result<Value, Failure> {
    let fault = |why: String| {
        let text = format!("{} cannot be sent: {why}", path.display());
        Failure::new(Exit::Usage, text, "")
    };
    let meta = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?;
    if !meta.is_file() || meta.len() > FILE_BYTES_MAX {
        return Err(fault(format!("it is no file of at most {FILE_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    Ok(json!({ "name": name, "base64": base64::encode(&bytes) }))
}

/// `barnacle agent`.
pub(crate) fn agent(call: &mut Call<'_>) -> Result<(), Failure> {
    let parsed = call.parsed;
    let seconds: u64 = parsed.number("timeout")?.unwrap_or(AGENT_SECONDS);
    let mut params = json!({
        "message": parsed.needed("message")?,
        "deliver": parsed.has("deliver"),
        "timeout": seconds,
        "idempotencyKey": fresh_key(),
    });
    for (flag, key) in [
        ("agent", "agentId"),
        ("session-key", "sessionKey"),
        ("session-id", "sessionId"),
        ("reply-to", "replyTo"),
        ("reply-account", "replyAccountId"),
    ] {
        if let Some(value) = parsed.text(flag) {
            params[key] = value.into();
        }
    }
    let mut client = Client::patient(call)?;
    client.timeout = Duration::from_secs(seconds) + MARGIN;
    // It carries a key: asked a second time, it is waited for, and not begun again.
    let answer = client.ask("agent", &params, Effect::Same)?;
    let is_done = answer["status"] == "ok";
    call.answer(&answer, |_, answer| text_of(answer))?;
    if is_done {
        return Ok(());
    }
    let why = answer["error"].as_str().or(answer["summary"].as_str()).unwrap_or("no answer");
    let status = answer["status"].as_str().unwrap_or("?");
    Err(Failure::new(Exit::Unavailable, format!("the agent gave up ({status}): {why}"), ""))
}

/// The answer's texts, each line made safe for a terminal.
fn text_of(answer: &Value) -> String {
    let payloads = answer["result"]["payloads"].as_array().into_iter().flatten();
    let texts: Vec<&str> = payloads.filter_map(|payload| payload["text"].as_str()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.map(|line| Plain(line).to_string()).collect::<Vec<_>>().join("\n")
}

fn fresh_key() -> String {
    format!("cli-{:016x}", crate::rt::os_seed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_words_keep_their_lines_and_lose_their_controls() {
        let answer =
            json!({"result": {"payloads": [{"text": "one\ntwo\u{1b}[2J"}, {"text": "three"}]}});
        assert_eq!(text_of(&answer), "one\ntwo\\u{1b}[2J\nthree");
    }

    #[test]
    fn what_cannot_be_attached_is_named() {
        for path in ["/nonexistent", "/"] {
            let failure = attachment(Path::new(path)).expect_err("no file");
            assert!(failure.text.contains("cannot be sent"), "{failure}");
        }
    }
}
