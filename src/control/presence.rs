//! Who is seen to be connected: in the published form, which has no place for anything else.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::proto::control::{Connect, ROLE, pid_tag};
use crate::rt::clock;

/// Clients that come to ask one thing and go are not seen; they would only flicker.
const FLEETING: [&str; 3] = ["cli", "backend", "probe"];

/// What others see of a client, if it stays.
pub(super) fn client(connect: &Connect, peer: Option<IpAddr>, scopes: &[String]) -> Option<Value> {
    let client = &connect.client;
    if FLEETING.contains(&client.mode.as_str()) {
        return None;
    }
    let now = clock::wall().0;
    let host = client.display_name.as_ref().unwrap_or(&client.id);
    let ip = peer.filter(|ip| !ip.is_loopback()).map(|ip| ip.to_string());
    Some(entry(&json!({
        "host": host,
        "ip": ip,
        "version": client.version,
        "platform": client.platform,
        "deviceFamily": client.device_family,
        "mode": client.mode,
        "reason": "connect",
        "roles": [ROLE],
        "scopes": scopes,
        "instanceId": client.instance_id,
        "onlineSince": now,
        "ts": now,
    })))
}

/// What others see of us.
pub(super) fn own(boot_id: &str) -> Value {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let version = env!("CARGO_PKG_VERSION");
    entry(&json!({
        "host": host,
        "version": version,
        "platform": format!("linux {}", uname.release().to_string_lossy()),
        "deviceFamily": "Linux",
        "mode": "gateway",
        "reason": "self",
        "tags": [pid_tag(std::process::id())],
        "instanceId": boot_id,
        "text": format!("Gateway: {host} · app {version} · mode gateway · reason self"),
        "ts": 0,
    }))
}

/// The same, seen at this moment.
pub(super) fn now(own: &Value) -> Value {
    let mut own = own.clone();
    own["ts"] = clock::wall().0.into();
    own
}

/// Empty texts are left out, as what is not known is.
fn entry(value: &Value) -> Value {
    let fields = value.as_object().into_iter().flatten();
    let known = fields.filter(|(_, value)| !value.is_null() && value.as_str() != Some(""));
    Value::Object(known.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::control::read_connect;

    fn seen(mode: &str, peer: &str) -> Option<Value> {
        let connect = read_connect(json!({
            "minProtocol": 4, "maxProtocol": 4,
            "client": {"id": "webchat", "mode": mode, "version": "", "platform": "x"},
        }));
        client(&connect.expect("a connect"), peer.parse().ok(), &["operator.read".to_owned()])
    }

    #[test]
    fn who_stays_is_seen_with_what_is_known_of_it_and_who_only_asks_is_not() {
        assert_eq!((seen("cli", ""), seen("probe", ""), seen("backend", "")), (None, None, None));
        let near = seen("webchat", "127.0.0.1").expect("seen");
        assert_eq!((&near["host"], &near["mode"]), (&json!("webchat"), &json!("webchat")));
        assert!(near.get("version").is_none() && near.get("ip").is_none(), "{near}");
        assert_eq!(seen("ui", "10.1.2.3").expect("seen")["ip"], "10.1.2.3");
    }
}
