//! Where we may connect. A server names places (`GET /gateway/bot`, READY), and a place gets our
//! token: so only TLS to Discord's own domain, or to the host that the configuration named. Plain
//! `ws` is for loopback, where the sandbox lives.

use super::Url;

/// Discord's gateways are below this domain.
const DISCORD: &str = ".discord.gg";

/// `url` without its query, if it may be dialled; `base` is what the configuration says.
pub(super) fn allowed(url: &str, base: &str) -> Option<Url> {
    let (secure, host) = split(url)?;
    let named = split(base).is_some_and(|(_, base)| base.eq_ignore_ascii_case(host));
    let discords = secure && ends_with_ignore_case(host, DISCORD);
    let place_is_ours = named || discords;
    if !place_is_ours || !(secure || is_loopback(host)) {
        return None;
    }
    let place = url.split(['?', '#']).next()?;
    Url::try_from(place.trim_end_matches('/')).ok()
}

/// What is dialled at `url`.
pub(super) fn with_query(url: &str, compress: bool) -> Box<str> {
    let compress = if compress { "&compress=zlib-stream" } else { "" };
    format!("{}/?v=10&encoding=json{compress}", url.trim_end_matches('/')).into()
}

/// Whether it is `wss`, and the host; `None` for what is not a WebSocket URL of plain characters.
fn split(url: &str) -> Option<(bool, &str)> {
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let secure = match scheme {
        "wss" => true,
        "ws" => false,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?,
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    let port_is_fine =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (port_is_fine && !host.is_empty() && !host.contains(['@', '\\'])).then_some((secure, host))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn ends_with_ignore_case(text: &str, ending: &str) -> bool {
    let from = text.len().checked_sub(ending.len());
    from.and_then(|from| text.get(from..)).is_some_and(|tail| tail.eq_ignore_ascii_case(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "wss://gateway.discord.gg";
    const SANDBOX: &str = "ws://127.0.0.1:9000";

    #[test]
    fn discords_own_hosts_are_followed_by_tls_only() {
        let url = "wss://gateway-us-east1-b.discord.gg/?v=9";
        assert_eq!(allowed(url, SANDBOX).as_deref(), Some("wss://gateway-us-east1-b.discord.gg"));
        assert!(allowed("wss://GATEWAY.Discord.GG", BASE).is_some());
        assert!(allowed("ws://gateway.discord.gg", BASE).is_none());
        assert!(allowed("https://gateway.discord.gg", BASE).is_none());
    }

    #[test]
    fn other_hosts_never_get_the_token() {
        for url in [
            "wss://evil.example",
            "wss://discord.gg.evil.example",
            "wss://evildiscord.gg",
            "wss://gateway.discord.gg@evil.example",
            "wss://evil.example/.discord.gg",
            "wss://evil.example?.discord.gg",
            "wss://evil.example#.discord.gg",
            "wss://evil.example\\.discord.gg",
            "wss://evil.example:80:.discord.gg",
            "wss://evil.example\n.discord.gg",
            "wss://",
            "wss://:1.discord.gg",
            "",
            "ws://127.0.0.1:9000",
        ] {
            assert_eq!(allowed(url, BASE), None, "{url}");
        }
        assert_eq!(allowed(&format!("wss://{}.discord.gg", "a".repeat(300)), BASE), None);
    }

    #[test]
    fn plain_text_is_for_loopback() {
        for (url, base) in [
            (SANDBOX, SANDBOX),
            ("ws://127.0.0.1:1/deep/", SANDBOX),
            ("ws://[::1]:9000", "ws://[::1]"),
            ("ws://localhost:1", "ws://LOCALHOST:2"),
        ] {
            assert!(allowed(url, base).is_some(), "{url}");
        }
        assert!(allowed("ws://10.0.0.1", "ws://10.0.0.1").is_none());
        assert!(allowed("wss://10.0.0.1", "wss://10.0.0.1").is_some());
        assert!(allowed("ws://127.0.0.1:99999", SANDBOX).is_none());
    }

    #[test]
    fn the_query_asks_for_what_we_can_read() {
        let plain = with_query("wss://gateway.discord.gg", false);
        assert_eq!(&*plain, "wss://gateway.discord.gg/?v=10&encoding=json");
        let packed = with_query("wss://gateway.discord.gg/", true);
        assert_eq!(&*packed, "wss://gateway.discord.gg/?v=10&encoding=json&compress=zlib-stream");
    }
}
