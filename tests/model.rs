//! A gateway message means the same in whatever order its fields come, wherever it is cut, and
//! whatever else it holds.

use barnacle::base::Rng;
use barnacle::proto::discord::gateway::{Dispatch, Signal};
use barnacle::proto::discord::model::Decoder;
use serde_json::Value;

const ME: u64 = 1_098_765_432_109_876_543;
const REPLY: &str = include_str!("data/message_create_reply.json");
const READY: &str = r#"{"t":"READY","s":1,"op":0,"d":{"v":10,
    "user":{"username":"barnacle","id":"5"},"session_id":"0f3a","shard":[0,1],
    "resume_gateway_url":"wss://gateway.discord.gg","guilds":[{"id":"8"}],
    "application":{"id":"6","flags":565248},"user_settings":{}}}"#;

/// Values that look like what we read, for keys that we do not.
const NOISE: [&str; 5] = [
    r#"{"id":"1","op":9,"s":8,"content":"no","author":{"id":"2","bot":true}}"#,
    r#"{"mentions":[{"id":"3"}],"embeds":[{"id":"4"}],"d":false,"t":"READY"}"#,
    r#"[{"op":1,"d":{"session_id":"no"}},["s",7],{}]"#,
    r#""\"content\":\"no\",\"id\":\"4\"""#,
    "-1.5e3",
];

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).expect("less than a usize")
}

/// Writes `value` with the keys of each object in another order, and with others among them.
fn shuffled(value: &Value, rng: &mut Rng, document: &mut String) {
    match value {
        Value::Object(object) => {
            let mut fields: Vec<_> =
                object.iter().map(|(key, value)| (key.clone(), Some(value))).collect();
            fields.extend((0..below(rng, 3)).map(|n| (format!("noise{n}"), None)));
            for at in 1..fields.len() {
                fields.swap(at, below(rng, at + 1));
            }
            document.push('{');
            for (n, (key, value)) in fields.into_iter().enumerate() {
                document.push_str(if n > 0 { "," } else { "" });
                document.push_str(&Value::String(key).to_string());
                document.push(':');
                match value {
                    Some(value) => shuffled(value, rng, document),
                    None => document.push_str(NOISE[below(rng, NOISE.len())]),
                }
            }
            document.push('}');
        }
        Value::Array(array) => {
            document.push('[');
            for (n, value) in array.iter().enumerate() {
                document.push_str(if n > 0 { "," } else { "" });
                shuffled(value, rng, document);
            }
            document.push(']');
        }
        scalar => document.push_str(&scalar.to_string()),
    }
}

/// Reads `document` as it is into one decoder, and shuffled into another; gives both.
fn read_both(document: &str, rng: &mut Rng, as_is: &mut Decoder, other: &mut Decoder) -> String {
    as_is.begin();
    as_is.feed(document.as_bytes());
    as_is.end();
    let mut text = String::new();
    shuffled(&serde_json::from_str(document).expect("JSON"), rng, &mut text);
    other.begin();
    let window = below(rng, 200) + 1;
    text.as_bytes().chunks(window).for_each(|part| other.feed(part));
    other.end();
    text
}

#[test]
fn order_cuts_and_unknown_fields_change_nothing() {
    let mut rng = Rng::new(7);
    let (mut as_is, mut other) = (Decoder::new(), Decoder::new());
    as_is.set_me(ME);
    other.set_me(ME);
    for _ in 0..500 {
        let text = read_both(REPLY, &mut rng, &mut as_is, &mut other);
        assert!(as_is.message().is_some_and(|message| message.mentions_us && message.has_more));
        assert_eq!(as_is.message(), other.message(), "{text}");
        assert_eq!(as_is.signal(), other.signal(), "{text}");
        let text = read_both(READY, &mut rng, &mut as_is, &mut other);
        let event = as_is.signal();
        assert!(matches!(
            event,
            Signal::Dispatch { seq: 1, event: Dispatch::Ready { user: 5, .. } }
        ));
        assert_eq!(event, other.signal(), "{text}");
    }
}
