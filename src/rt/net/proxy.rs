//! HTTP proxies: a tunnel by CONNECT (RFC 9110 9.3.6), to which the host's name goes unresolved.
//!
//! What the other side of the tunnel says is between it and us: TLS runs through it end to end,
//! and is checked as without a proxy.

#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use smol::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Endpoint, Reach};
use crate::base::end::ProxyFault;
use crate::base::limits::PROXY_HEAD_BYTES_MAX;
use crate::base::{Secret, base64};

/// Bytes read at once while the head of the answer is collected.
const GULP_BYTES: usize = 512;

/// A proxy, and who goes past it. Neither `{}` nor `{:?}` shows its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// A name, or an address without brackets.
    host: Box<str>,
    port: u16,
    /// Whether the way to the proxy itself is by TLS.
    secure: bool,
    login: Option<Login>,
    /// Where its URL was written.
    from: Box<str>,
    except: Exceptions,
}

/// Who we are to the proxy.
#[derive(Clone, PartialEq, Eq)]
struct Login {
    /// What goes over the wire after `Basic ` (RFC 7617).
    authorization: Secret,
    /// For the log to know what it must not show.
    password: Secret,
}

/// A proxy's URL that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadProxy {
    /// What is wrong with it.
    pub text: &'static str,
    /// What to write instead.
    pub cure: &'static str,
}

const SOCKS: BadProxy = BadProxy {
    text: "a SOCKS proxy, and only HTTP proxies are spoken to",
    cure: "write http://user:password@host:port; a program such as privoxy makes an HTTP proxy of \
           a SOCKS one",
};
const NO_URL: BadProxy = BadProxy {
    text: "not the URL of a proxy",
    cure: "write http://user:password@host:port, or https:// if the way to the proxy is by TLS",
};
const BAD_LOGIN: BadProxy = BadProxy {
    text: "its user or password cannot be read",
    cure: "write characters such as @ : / and % as %40 %3A %2F and %25",
};

impl Proxy {
    /// Reads `http://user:password@host:port`; `https://` goes to the proxy by TLS, and a URL
    /// without a scheme is an `http://` one, as curl has it. `from` is where it was written, for
    /// those who have to correct it there.
    ///
    /// # Errors
    /// What is wrong with it, and what helps. Nothing of the URL, which may hold a password, is in
    /// that.
    pub fn parse(url: &Secret, from: &str) -> Result<Proxy, BadProxy> {
        let url = url.expose();
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            socks if socks.starts_with("socks") => return Err(SOCKS),
            _ => return Err(NO_URL),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (login, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(login(user).ok_or(BAD_LOGIN)?), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place).ok_or(NO_URL)?;
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        let (host, from) = (host.into(), from.into());
        Ok(Proxy { host, port, secure, login, from, except: Exceptions::default() })
    }

    /// The same with hosts to which the way does not lead through it (`NO_PROXY`).
    #[must_use]
    pub fn except(mut self, hosts: &str) -> Proxy {
        self.except = Exceptions::parse(hosts);
        self
    }

    /// Where its URL was written: `channels.discord.proxy`, `HTTPS_PROXY`.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// What must not be shown: the password, and how it goes over the wire.
    pub fn secrets(&self) -> impl Iterator<Item = Secret> {
        let logins = self.login.iter();
        logins.flat_map(|login| [login.password.clone(), login.authorization.clone()])
    }

    /// Whether the way to `endpoint` leads through it. This host's own addresses are no other
    /// machine's business, nor is what is not encrypted and stays here.
    #[must_use]
    pub fn serves(&self, endpoint: &Endpoint) -> bool {
        endpoint.reach == Reach::Anywhere
            && !is_this_host(&endpoint.host)
            && !self.except.cover(&endpoint.host, endpoint.port)
    }

    /// The endpoint at which the proxy itself is.
    pub(super) fn endpoint(&self) -> Endpoint {
        let Proxy { host, port, secure, .. } = self;
        Endpoint { host: host.clone(), port: *port, secure: *secure, reach: Reach::Anywhere }
    }

    /// Asks the proxy, at the other end of `stream`, for a way to `to`.
    pub(super) async fn tunnel(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        to: &Endpoint,
    ) -> Result<(), ProxyFault> {
        let request = self.request(to);
        let lost = |_| ProxyFault::Lost;
        stream.write_all(request.expose().as_bytes()).await.map_err(lost)?;
        stream.write_all(b"\r\n\r\n").await.map_err(lost)?;
        stream.flush().await.map_err(lost)?;
        let mut head = Vec::new();
        loop {
            let mut gulp = [0; GULP_BYTES];
            let count = stream.read(&mut gulp).await.map_err(lost)?;
            if count == 0 {
                return Err(if head.is_empty() { ProxyFault::Lost } else { ProxyFault::Garbage });
            }
            head.extend_from_slice(&gulp[..count]);
            if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                return judge(&head, end + 4);
            }
            if head.len() > PROXY_HEAD_BYTES_MAX - GULP_BYTES || !may_be_http(&head) {
                return Err(ProxyFault::Garbage);
            }
        }
    }

    /// The head of the request, without its last two line ends.
    fn request(&self, to: &Endpoint) -> Secret {
        let host = if to.host.contains(':') { format!("[{}]", to.host) } else { (*to.host).into() };
        let mut request = String::new();
        let _ = write!(
            request,
            "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: barnacle",
            port = to.port
        );
        if let Some(Login { authorization, .. }) = &self.login {
            let _ = write!(request, "\r\nProxy-Authorization: Basic {}", authorization.expose());
        }
        Secret::new(&request)
    }
}

/// Where it is, and nothing more.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        let v6 = self.host.contains(':');
        let (open, close) = if v6 { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self}, from {})", self.from)
    }
}

/// Hosts that the way leads to without the proxy, in the words of `NO_PROXY`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Exceptions(Vec<(Box<str>, Option<u16>)>);

impl Exceptions {
    /// Reads names, separated by commas or spaces: `example.org` stands for itself and all below
    /// it, and so do `.example.org` and `*.example.org`; `example.org:8080` for that port only;
    /// addresses for themselves; `*` for everything.
    fn parse(text: &str) -> Exceptions {
        let names = text.split([',', ' ', '\t']).filter(|name| !name.is_empty());
        let read = names.filter_map(|name| {
            if name == "*" {
                return Some((name.into(), None));
            }
            let name = name.strip_prefix('*').unwrap_or(name);
            let name = name.strip_prefix('.').unwrap_or(name);
            // A bare IPv6 address has colons, and no port.
            if name.parse::<IpAddr>().is_ok() {
                return Some((name.to_ascii_lowercase().into(), None));
            }
            let (host, port) = host_and_port(name)?;
            Some((host.into(), port))
        });
        Exceptions(read.collect())
    }

    /// Whether `host` is one of them. Nothing is below an address, and no address below anything.
    fn cover(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
        self.0.iter().any(|(name, only)| {
            let below = || {
                let above = host.strip_suffix(&**name);
                above.is_some_and(|above| above.ends_with('.'))
                    && !is_address(&host)
                    && !is_address(name)
            };
            let is_meant = &**name == "*" || *host == **name || below();
            is_meant && only.is_none_or(|only| only == port)
        })
    }
}

/// `localhost` (RFC 6761 6.3) and the addresses of the loopback interface, as such. A name that
/// leads to one of these is looked up by the proxy, and means its host.
fn is_this_host(host: &str) -> bool {
    let name = host.trim_end_matches('.');
    let is_localhost =
        name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    is_localhost || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// `user:password`, percent-encoded.
fn login(text: &str) -> Option<Login> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decode = |text| percent_decode(text).filter(|text| !text.contains(char::is_control));
    let (user, password) = (decode(user)?, decode(password)?);
    let authorization = Secret::new(&base64::encode(format!("{user}:{password}").as_bytes()));
    Some(Login { authorization, password: Secret::new(&password) })
}

/// `None`: a `%` without two digits, or bytes that are not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        if digits.starts_with('+') {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some(""))?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if host.is_empty() || !host.chars().all(is_name) {
        return None;
    }
    let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
    Some((host.to_ascii_lowercase(), port))
}

/// Whether an answer that begins like this can be one of HTTP.
fn may_be_http(head: &[u8]) -> bool {
    head.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected)
}

/// What the answer `head` means, which ends at `end`.
fn judge(head: &[u8], end: usize) -> Result<(), ProxyFault> {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let word = |at: usize| line.split(|&byte| byte == b' ').nth(at);
    let status = word(1).and_then(|word| std::str::from_utf8(word).ok()?.parse::<u16>().ok());
    match status {
        Some(status) if !may_be_http(head) || status < 200 => Err(ProxyFault::Garbage),
        // Whoever is behind the tunnel waits for us to speak: what follows is not theirs.
        Some(200..=299) if head.len() > end => Err(ProxyFault::Garbage),
        Some(200..=299) => Ok(()),
        Some(status) => Err(ProxyFault::Status(status)),
        None => Err(ProxyFault::Garbage),
    }
}
