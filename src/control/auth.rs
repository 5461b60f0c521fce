//! Who may ask the control port: this host, the right names, the right token.

use std::net::IpAddr;

use ring::digest::{Digest, SHA256, digest};

use super::reception::is_own_page;
use crate::base::Secret;
use crate::rt::net::server::{Request, Response};

/// The rules, made once.
pub(crate) struct Gate {
    /// Of the token, so that comparing takes the same time however much of a guess is right.
    token: Digest,
    /// Whether only this host can connect at all.
    loopback_only: bool,
    /// The user that we run as.
    uid: u32,
}

impl Gate {
    /// A gate that opens to `token`.
    pub(crate) fn new(token: &Secret, loopback_only: bool) -> Gate {
        let token = digest(&SHA256, token.expose().as_bytes());
        Gate { token, loopback_only, uid: rustix::process::geteuid().as_raw() }
    }

    /// Refuses what a browser sends on behalf of a foreign page: a foreign `Origin`, or, when only
    /// this host can connect, a `Host` that is not this host's (DNS rebinding).
    pub(crate) fn admits(&self, request: &Request) -> Result<(), Response> {
        let host_is_foreign = self.loopback_only
            && request.header("host").is_some_and(|host| !is_loopback_authority(host));
        let origin_is_foreign = request.header("origin").is_some_and(|origin| {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            let is_near = authority.is_some_and(is_loopback_authority);
            // A page that this very host has served: who may ask by what name was judged above.
            !is_near && !is_own_page(request)
        });
        if host_is_foreign || origin_is_foreign {
            let body = r#"{"error":"requests on behalf of other sites are not answered"}"#;
            return Err(Response::json(403, body));
        }
        Ok(())
    }

    /// Whether the request comes from this host.
    pub(crate) fn trusts(request: &Request) -> bool {
        request.peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback())
    }

    /// Whether the request comes through the Unix socket, from a process of our own user or of
    /// root: who can act as us needs no token.
    pub(crate) fn is_ours(&self, request: &Request) -> bool {
        request.uid.is_some_and(|uid| uid == 0 || uid == self.uid)
    }

    /// Whether the request may ask everything: it is ours, or carries the token.
    pub(crate) fn authorized(&self, request: &Request) -> bool {
        if self.is_ours(request) {
            return true;
        }
        let given = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        given.is_some_and(|given| self.is_token(given.trim()))
    }

    /// Whether `given` is the token.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        digest(&SHA256, given.as_bytes()).as_ref() == self.token.as_ref()
    }
}

/// Whether `authority` (host with or without port) names this host's loopback.
fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let gate = Gate::new(&Secret::new("s3cret"), true);
        assert!(gate.is_token("s3cret"));
        assert!(!gate.is_token("s3cre"));
        assert!(!gate.is_token(""));
    }

    #[test]
    fn loopback_has_many_names_and_no_others() {
        for name in
            ["localhost", "LOCALHOST:18789", "127.0.0.1:1", "127.8.8.8", "[::1]:80", "[::1]"]
        {
            assert!(is_loopback_authority(name), "{name}");
        }
        for name in
            ["evil.example", "localhost.evil.example:80", "10.0.0.1", "", "[::2]", "1.2.3.4:1"]
        {
            assert!(!is_loopback_authority(name), "{name}");
        }
    }
}
