//! Which web addresses a model may have asked for it: an address is taken apart strictly, since
//! what two readers understand differently is how filters are passed, and held against a list.
//!
//! That a name leads to no address of a private network is seen when it is looked up, by whoever
//! dials ([`crate::base::address`]); what is written as an address is judged there as well.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::limits::URL_BYTES_MAX;
use crate::base::text::Plain;

/// A web address, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Whether it is `https`.
    pub secure: bool,
    /// A name in lower case without a final dot, or an address without brackets.
    pub host: Box<str>,
    /// Whether the host is an address.
    pub ip: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// Path and query: no `.` and `..`, nothing but printable ASCII.
    pub path: Box<str>,
}

/// What is done with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// It is read.
    Get,
    /// Only what is said about it is read.
    Head,
    /// Something is sent.
    Post,
}

/// Why a web address is not asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It cannot be taken apart in one way only.
    Unclear(&'static str),
    /// It is of another scheme.
    Scheme,
    /// No rule names it.
    NotListed(Box<str>),
    /// Its rules want `https`.
    Plain(Box<str>),
    /// Its rules allow no POST.
    NoPost(Box<str>),
    /// A redirect leads from `https` to `http`.
    Downgrade,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unclear(why) => write!(f, "this is no plain web address: {why}"),
            Refusal::Scheme => f.write_str("only https:// and http:// can be fetched"),
            Refusal::NotListed(place) => write!(
                f,
                "{} is not among what may be fetched (tools.web.fetch.allow in the configuration)",
                Plain(place)
            ),
            Refusal::Plain(host) => write!(
                f,
                "{} may be fetched by https only (tools.web.fetch.allow would have to say http://)",
                Plain(host)
            ),
            Refusal::NoPost(host) => write!(
                f,
                "nothing may be posted to {} (tools.web.fetch.hosts would have to say post: true)",
                Plain(host)
            ),
            Refusal::Downgrade => f.write_str("it redirects from https to http"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl Target {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// [`Refusal::Unclear`] and [`Refusal::Scheme`].
    pub fn parse(text: &str) -> Result<Target, Refusal> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        let (scheme, rest) = split_scheme(text).ok_or(Refusal::Scheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(Refusal::Scheme),
        };
        let rest = rest.strip_prefix("//").ok_or(Refusal::Unclear("// does not follow http:"))?;
        Target::of_rest(secure, rest)
    }

    /// Where a redirect to `location` leads from here.
    ///
    /// # Errors
    /// As those of [`parse`](Target::parse), and [`Refusal::Downgrade`].
    pub fn join(&self, location: &str) -> Result<Target, Refusal> {
        let location = location.trim_matches([' ', '\t', '\r', '\n']);
        let next = if split_scheme(location).is_some() {
            Target::parse(location)?
        } else if let Some(rest) = location.strip_prefix("//") {
            Target::of_rest(self.secure, rest)?
        } else {
            let own = self.path.split('?').next().unwrap_or_default();
            let full = match location.chars().next() {
                Some('/') => location.to_owned(),
                Some('?') => format!("{own}{location}"),
                Some('#') | None => self.path.clone().into(),
                Some(_) => {
                    let dir = own.rfind('/').map_or("/", |end| &own[..=end]);
                    format!("{dir}{location}")
                }
            };
            Target { path: clean_path(&full)?, ..self.clone() }
        };
        if self.secure && !next.secure { Err(Refusal::Downgrade) } else { Ok(next) }
    }

    fn of_rest(secure: bool, rest: &str) -> Result<Target, Refusal> {
        if rest.len() > URL_BYTES_MAX {
            return Err(Refusal::Unclear("it is too long"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, ip, port) = split_authority(authority)?;
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        Ok(Target { secure, host, ip, port, path: clean_path(path)? })
    }

    /// Host and port as they are written in an address: the usual port is left out.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = match self.ip {
            Some(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => self.host.clone().into(),
        };
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

/// The scheme, if there is one before anything else begins.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let end = text.find([':', '/', '?', '#'])?;
    let (scheme, rest) = text.split_at(end);
    let rest = rest.strip_prefix(':')?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let begins = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    (begins && scheme.chars().all(is_word)).then_some((scheme, rest))
}

type Authority = (Box<str>, Option<IpAddr>, Option<u16>);

fn split_authority(text: &str) -> Result<Authority, Refusal> {
    if text.contains('@') {
        return Err(Refusal::Unclear("it has a user name in it"));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or(Refusal::Unclear("a ] is missing"))?;
        let ip: Ipv6Addr =
            inside.parse().map_err(|_| Refusal::Unclear("in its brackets is no address"))?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port_of(port)?),
            None if after.is_empty() => None,
            None => return Err(Refusal::Unclear("something follows the ]")),
        };
        return Ok((ip.to_string().into(), Some(ip.into()), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port_of(port)?)),
        None => (text, None),
    };
    let (host, ip) = name_of(host)?;
    Ok((host, ip.map(IpAddr::V4), port))
}

fn port_of(text: &str) -> Result<u16, Refusal> {
    let is_number = !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse().ok().filter(|&port| port != 0 && is_number);
    port.ok_or(Refusal::Unclear("its port is none"))
}

/// A host's name, or an IPv4 address, which has one spelling only: four numbers in decimal.
fn name_of(text: &str) -> Result<(Box<str>, Option<Ipv4Addr>), Refusal> {
    if !text.is_ascii() {
        return Err(Refusal::Unclear("names with other letters are written as xn--…"));
    }
    let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if host.is_empty() || host.len() > 253 || !host.split('.').all(is_label) {
        return Err(Refusal::Unclear("its host is no name"));
    }
    // What a resolver takes for a number (inet_aton(3)) is one, and no name: 127.1, 0x7f000001,
    // 0177.0.0.1, 2130706433.
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_hex = last.strip_prefix("0x").is_some_and(|x| x.bytes().all(|b| b.is_ascii_hexdigit()));
    if is_hex || last.bytes().all(|b| b.is_ascii_digit()) {
        let ip = host.parse::<Ipv4Addr>().ok().filter(|_| !text.ends_with('.'));
        let ip = ip.ok_or(Refusal::Unclear("an address is four decimal numbers"))?;
        return Ok((host.into(), Some(ip)));
    }
    Ok((host.into(), None))
}

/// A path and its query, without the fragment: what may not stand in one is escaped, and `.` and
/// `..` are resolved, however they are escaped (RFC 3986 5.2.4; WHATWG URL).
fn clean_path(text: &str) -> Result<Box<str>, Refusal> {
    let text = text.split('#').next().unwrap_or_default();
    if text.contains(|c: char| c.is_control() || matches!(c, ' ' | '\\')) {
        return Err(Refusal::Unclear("there are characters in it that have to be escaped"));
    }
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    for (at, segment) in segments.iter().enumerate() {
        let is_last = at + 1 == segments.len();
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => kept.extend(is_last.then_some("")),
            ".." => {
                kept.pop();
                kept.extend(is_last.then_some(""));
            }
            _ => kept.push(segment),
        }
    }
    let mut clean = String::from("/");
    escape(&kept.join("/"), &mut clean);
    if let Some(query) = query {
        clean.push('?');
        escape(query, &mut clean);
    }
    if clean.len() > URL_BYTES_MAX {
        return Err(Refusal::Unclear("it is too long"));
    }
    Ok(clean.into())
}

fn escape(text: &str, into: &mut String) {
    use fmt::Write as _;
    for c in text.chars() {
        if c.is_ascii() && !matches!(c, '"' | '<' | '>' | '`' | '{' | '}' | '|' | '^') {
            into.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

/// One line of the list: `example.org`, `*.example.org` (whatever is below it), `*`, each also
/// with a scheme before it, and a port or a path behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Whether it is about `http`; else it is about `https`.
    is_plain: bool,
    hosts: Hosts,
    port: u16,
    /// Empty for every path.
    path: Box<str>,
    /// Whether something may be posted there.
    pub post: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Hosts {
    All,
    One(Box<str>),
    Below(Box<str>),
}

impl Rule {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Rule, &'static str> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let is_plain = match scheme.to_ascii_lowercase().as_str() {
            "https" => false,
            "http" => true,
            _ => return Err("only https and http can be fetched"),
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if path.contains(['?', '#', '*']) {
            return Err("a path is the beginning of a path");
        }
        let path = clean_path(path).map_err(|_| "its path cannot be one")?;
        let path = path.strip_suffix('/').unwrap_or(&path).into();
        let usual = if is_plain { 80 } else { 443 };
        let any = authority.strip_prefix('*');
        let (hosts, port) = match any {
            Some(rest) if rest.is_empty() || rest.starts_with(':') => {
                let port = rest.strip_prefix(':').map(port_of).transpose();
                (Hosts::All, port.map_err(|_| "its port is none")?)
            }
            Some(rest) => {
                let below = rest.strip_prefix('.').ok_or("write *.example.org")?;
                let (host, ip, port) = split_authority(below).map_err(|_| "its host is none")?;
                if ip.is_some() {
                    return Err("nothing is below an address");
                }
                (Hosts::Below(host), port)
            }
            None => {
                let (host, _, port) = split_authority(authority).map_err(|_| "its host is none")?;
                (Hosts::One(host), port)
            }
        };
        Ok(Rule { is_plain, hosts, port: port.unwrap_or(usual), path, post: false })
    }

    /// Whether it names every host there is.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.hosts == Hosts::All
    }

    /// Whether what it is about goes over the net for everybody to read.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether it is about `target`.
    #[must_use]
    pub fn covers(&self, target: &Target) -> bool {
        self.names(target) && self.has_port(target)
    }

    /// Whether it is about this place, by whatever scheme.
    fn names(&self, target: &Target) -> bool {
        let is_host = match &self.hosts {
            // Who writes a star means the web, and no machine by its number.
            Hosts::All => target.ip.is_none(),
            Hosts::One(host) => *host == target.host,
            Hosts::Below(host) => {
                let above = target.host.strip_suffix(&**host);
                target.ip.is_none()
                    && above.is_some_and(|above| above.len() > 1 && above.ends_with('.'))
            }
        };
        is_host && self.has_path(&target.path)
    }

    fn has_path(&self, path: &str) -> bool {
        if self.path.is_empty() {
            return true;
        }
        let path = path.split('?').next().unwrap_or_default();
        let lower = path.to_ascii_lowercase();
        // Some servers take an escaped slash for a slash, and step up behind it.
        let is_clear = !lower.contains("%2f") && !lower.contains("%5c");
        let rest = path.strip_prefix(&*self.path);
        is_clear && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn has_port(&self, target: &Target) -> bool {
        self.is_plain != target.secure && self.port == target.port
    }
}

/// All that may be fetched.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// What may be asked for.
    pub list: Vec<Rule>,
    /// Hosts and ports that may be in a private network or on this machine.
    pub near: Vec<(Box<str>, u16)>,
}

/// What may be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    /// Whether the host may have an address of a private network.
    pub near: bool,
}

impl Rules {
    /// Whether `target` may be asked so.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, target: &Target, method: Method) -> Result<Pass, Refusal> {
        let about: Vec<&Rule> = self.list.iter().filter(|rule| rule.names(target)).collect();
        let fits = |rule: &&&Rule| rule.has_port(target);
        if !about.iter().any(|rule| rule.has_port(target)) {
            let is_plain = !target.secure && target.port == 80;
            let by_https = is_plain && about.iter().any(|rule| !rule.is_plain && rule.port == 443);
            return Err(if by_https {
                Refusal::Plain(target.host.clone())
            } else {
                Refusal::NotListed(target.authority().into())
            });
        }
        if method == Method::Post && !about.iter().filter(fits).any(|rule| rule.post) {
            return Err(Refusal::NoPost(target.host.clone()));
        }
        let is_near = |(host, port): &(Box<str>, u16)| *host == target.host && *port == target.port;
        Ok(Pass { near: self.near.iter().any(is_near) })
    }
}

/// A host and a port of [`Rules::near`].
///
/// # Errors
/// What is wrong with it.
pub fn near(text: &str) -> Result<(Box<str>, u16), &'static str> {
    let (host, _, port) = split_authority(text.trim()).map_err(|_| "its host is none")?;
    Ok((host, port.ok_or("write host:port")?))
}

#[cfg(test)]
mod tests;
