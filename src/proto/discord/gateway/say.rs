//! What we say: the payloads of ops 1, 2 and 6 ("Gateway", Send Events). `None` means that it
//! would be longer than Discord takes.

use serde::Serialize;

use super::{Config, Payload};
use crate::base::limits::GATEWAY_SEND_BYTES_MAX;

#[derive(Serialize)]
struct Message<D> {
    op: u8,
    d: D,
}

#[derive(Serialize)]
struct Identify<'a> {
    token: &'a str,
    intents: u32,
    properties: Properties,
    compress: bool,
    shard: (u16, u16),
}

#[derive(Serialize)]
struct Properties {
    os: &'static str,
    browser: &'static str,
    device: &'static str,
}

#[derive(Serialize)]
struct Resume<'a> {
    token: &'a str,
    session_id: &'a str,
    seq: u64,
}

/// Op 1. `seq` is the last sequence received.
pub(super) fn beat(seq: Option<u64>) -> Option<Payload> {
    encode(1, seq)
}

/// Op 2. Its `compress` is the compression of single payloads, which excludes that of the stream.
pub(super) fn identify(config: &Config) -> Option<Payload> {
    let name = "barnacle";
    encode(
        2,
        Identify {
            token: config.token.expose(),
            intents: config.intents,
            properties: Properties { os: "linux", browser: name, device: name },
            compress: false,
            shard: config.shard,
        },
    )
}

/// Op 6. `seq` is the last sequence that is durable.
pub(super) fn resume(config: &Config, session_id: &str, seq: u64) -> Option<Payload> {
    encode(6, Resume { token: config.token.expose(), session_id, seq })
}

fn encode<D: Serialize>(op: u8, d: D) -> Option<Payload> {
    let mut buffer = [0; GATEWAY_SEND_BYTES_MAX];
    let length = serde_json_core::to_slice(&Message { op, d }, &mut buffer).ok()?;
    buffer.get(..length).and_then(Payload::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    fn json(payload: Option<Payload>) -> serde_json::Value {
        serde_json::from_slice(payload.expect("it fits").bytes()).expect("it is JSON")
    }

    #[test]
    fn payloads_are_what_discord_documents() {
        let config = Config { shard: (1, 2), ..Config::new(Secret::new("t.o\"k")) };
        assert_eq!(
            json(identify(&config)),
            serde_json::json!({"op": 2, "d": {
                "token": "t.o\"k", "intents": 37377, "compress": false, "shard": [1, 2],
                "properties": {"os": "linux", "browser": "barnacle", "device": "barnacle"},
            }})
        );
        assert_eq!(
            json(resume(&config, "a\\b\n", 7)),
            serde_json::json!({"op": 6,
                "d": {"token": "t.o\"k", "session_id": "a\\b\n", "seq": 7}})
        );
        assert_eq!(beat(None).expect("it fits").bytes(), br#"{"op":1,"d":null}"#);
        assert_eq!(beat(Some(251)).expect("it fits").bytes(), br#"{"op":1,"d":251}"#);
    }

    #[test]
    fn nothing_longer_than_discord_takes_is_made() {
        let config = Config::new(Secret::new(&"t".repeat(GATEWAY_SEND_BYTES_MAX)));
        assert_eq!(identify(&config), None);
        assert_eq!(Payload::new(&[b' '; GATEWAY_SEND_BYTES_MAX + 1]), None);
        assert!(Payload::new(&[b' '; GATEWAY_SEND_BYTES_MAX]).is_some());
    }

    #[test]
    fn a_payload_does_not_print_the_token() {
        let config = Config::new(Secret::new("hunter2"));
        assert!(!format!("{:?}", identify(&config)).contains("hunter2"));
    }
}
