//! `barnacle dashboard`: a link that logs one browser in.

use serde_json::json;

use super::Call;
use super::client::{Client, Effect};
use crate::base::Wall;
use crate::ops::exit::{Exit, Failure};

/// Prints the link. Its code stands in the fragment, which browsers keep to themselves.
pub(crate) fn dashboard(call: &mut Call<'_>) -> Result<(), Failure> {
    let answer = Client::new(call)?.ask("dashboard.login", &json!({}), Effect::Same)?;
    let (Some(code), Some(port)) = (answer["code"].as_str(), answer["port"].as_u64()) else {
        let cure = "only barnacle's own gateway has this page";
        return Err(Failure::new(Exit::Unavailable, "the gateway gave no code", cure));
    };
    let authority = call
        .parsed
        .text("url")
        .and_then(|url| authority(&url).map(str::to_owned))
        .unwrap_or_else(|| format!("127.0.0.1:{port}"));
    let url = format!("http://{authority}/#login={code}");
    let until = answer["expiresAtMs"].as_u64();
    let told = json!({ "url": url, "port": port, "expiresAtMs": until });
    call.answer(&told, |_, _| {
        let until = until.map_or_else(String::new, |until| format!(" until {}", Wall(until)));
        format!(
            "{url}\nIt logs one browser in, once{until}. From another machine, first: \
             ssh -N -L {port}:127.0.0.1:{port} THIS-HOST"
        )
    })
}

/// Of `ws://HOST:PORT/…`, the host and the port.
fn authority(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("http://"))?;
    rest.split('/').next().filter(|authority| !authority.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_where_the_gateway_was_asked() {
        assert_eq!(authority("ws://10.0.0.2:18789/"), Some("10.0.0.2:18789"));
        assert_eq!(authority("http://[::1]:80"), Some("[::1]:80"));
        assert_eq!(authority("unix:/run/x.sock"), None);
    }
}
