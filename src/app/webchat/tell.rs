//! What is told of runs and sessions, as OpenClaw's clients read it (`ChatEvent` and `AgentEvent`
//! of its published schema, which know no other keys).

use serde_json::{Value, json};

use crate::base::Wall;
use crate::core::runs::{End, Event, What};
use crate::core::session::Key;
use crate::core::turn::Fault;

/// Up to here a piece is told with all before it; then with what is new alone, so that a long
/// answer in many pieces does not cost its square.
const WHOLE_BYTES_MAX: usize = 8 * 1024;

/// The name of the event, and what it says.
pub(super) fn frame(event: &Event, now: Wall) -> (&'static str, Value) {
    let Event { run, key, seq, what } = event;
    let chat = |state: &str, more: Value| {
        let mut payload = json!({
            "runId": run, "sessionKey": key.as_str(), "seq": seq, "state": state,
        });
        add(&mut payload, more);
        ("chat", payload)
    };
    let agent = |stream: &str, data: Value| {
        let payload =
            json!({ "runId": run, "seq": seq, "stream": stream, "ts": now.0, "data": data });
        ("agent", payload)
    };
    match what {
        What::Delta { new, all } if all.len() > WHOLE_BYTES_MAX => {
            chat("delta", json!({ "deltaText": new }))
        }
        What::Delta { new, all } => {
            chat("delta", json!({ "deltaText": new, "message": message(all, now) }))
        }
        What::Over(End::Answered(text)) if text.is_empty() => chat("final", json!({})),
        What::Over(End::Answered(text)) => {
            chat("final", json!({ "message": message(text, now), "stopReason": "stop" }))
        }
        What::Over(End::Stopped) => chat("aborted", json!({ "stopReason": "rpc" })),
        What::Over(End::Failed(fault)) => {
            let kind = if *fault == Fault::TooSlow { "timeout" } else { "unknown" };
            chat("error", json!({ "errorMessage": fault.to_string(), "errorKind": kind }))
        }
        What::Over(End::Refused(why)) => {
            chat("error", json!({ "errorMessage": why, "errorKind": "refusal" }))
        }
        What::Began => agent("lifecycle", json!({ "phase": "start", "startedAt": now.0 })),
        What::Says { new, all } if all.len() > WHOLE_BYTES_MAX => {
            agent("assistant", json!({ "delta": new }))
        }
        What::Says { new, all } => agent("assistant", json!({ "text": all, "delta": new })),
        What::Ended(End::Answered(_)) => {
            agent("lifecycle", json!({ "phase": "end", "endedAt": now.0 }))
        }
        What::Ended(End::Stopped) => {
            agent("lifecycle", json!({ "phase": "end", "endedAt": now.0, "aborted": true }))
        }
        What::Ended(End::Failed(fault)) => {
            let error = fault.to_string();
            agent("lifecycle", json!({ "phase": "error", "endedAt": now.0, "error": error }))
        }
        What::Ended(End::Refused(why)) => {
            agent("lifecycle", json!({ "phase": "error", "endedAt": now.0, "error": why }))
        }
    }
}

/// `sessions.changed`.
pub(super) fn changed(key: &Key, reason: &str, now: Wall) -> Value {
    let phase = if reason == "message" { "message" } else { "lifecycle" };
    json!({ "sessionKey": key.as_str(), "reason": reason, "phase": phase, "ts": now.0 })
}

/// What an agent says, as a message of a transcript.
fn message(text: &str, now: Wall) -> Value {
    let content = json!([{ "type": "text", "text": text }]);
    json!({ "role": "assistant", "content": content, "timestamp": now.0 })
}

fn add(to: &mut Value, more: Value) {
    if let (Some(to), Value::Object(more)) = (to.as_object_mut(), more) {
        to.extend(more);
    }
}
