//! `gateway`: where the control port listens, and what it asks callers for.

use std::path::Path;
use std::time::Duration;

use super::Weight;
use super::check::{Sources, first, secret, secret_text};
use super::env::Env;
use super::read::Reader;
use crate::base::{Secret, limits};

/// The control port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Gateway {
    /// TCP port; 0 lets the kernel choose.
    pub(crate) port: u16,
    /// Whether other hosts may connect (`bind: "lan"`), or this one only.
    pub(crate) lan: bool,
    /// How callers prove themselves.
    pub(crate) mode: Mode,
    /// The token that the port asks for; `None`: the generated one.
    pub(crate) token: Option<Secret>,
    /// The password, if it asks for that.
    pub(crate) password: Option<Secret>,
    /// `auth.rateLimit`: the failures that lead to a lockout, the time in which they count, and
    /// how long the lockout lasts.
    pub(crate) rate: (usize, Duration, Duration),
    /// Who may meet a gateway that has no token.
    pub(crate) setup: Setup,
    /// Where, if those on the network may; 0 lets the kernel choose.
    pub(crate) setup_port: u16,
}

/// Who may open the page of first contact (`gateway.setup`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Setup {
    /// Nobody: there is none.
    Off,
    /// Whoever is at this host.
    Local,
    /// Whoever reaches it by the network, too.
    Lan,
}

impl Setup {
    fn named(word: &str) -> Option<Setup> {
        match word {
            "off" => Some(Setup::Off),
            "local" => Some(Setup::Local),
            "lan" => Some(Setup::Lan),
            _ => None,
        }
    }
}

/// How callers prove themselves (`gateway.auth.mode`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// By the token.
    Token,
    /// By the password.
    Password,
    /// Not at all.
    Open,
}

const MODE: &str = "gateway.auth.mode";

impl Gateway {
    /// Why the port must not be opened like this, and what helps.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        match self.mode {
            Mode::Open if self.lan => Some((
                "gateway.auth.mode is \"none\", and gateway.bind lets other hosts connect: \
                 everybody there could do everything",
                "set gateway.auth.mode to \"token\" or \"password\", or gateway.bind to \
                 \"loopback\"",
            )),
            Mode::Password if self.password.is_none() => Some((
                "gateway.auth.mode is \"password\", and there is none",
                "set gateway.auth.password, BARNACLE_GATEWAY_PASSWORD or \
                 BARNACLE_GATEWAY_PASSWORD_FILE",
            )),
            _ => None,
        }
    }
}

pub(super) fn gateway(read: &mut Reader<'_, '_>, sources: &Sources<'_>) -> Gateway {
    let env = sources.env;
    let port = read.whole("gateway.port").and_then(|port| u16::try_from(port).ok());
    let port_of = |name: &str| env.get(name)?.trim().parse().ok();
    let ports = [port_of("BARNACLE_GATEWAY_PORT"), port, port_of("OPENCLAW_GATEWAY_PORT")];
    let token = credential(read, sources, "gateway.auth.token", "token");
    let password = credential(read, sources, "gateway.auth.password", "password");
    // As OpenClaw has it: whoever sets a password only wants it to be asked for.
    let usual = if password.is_some() && token.is_none() { Mode::Password } else { Mode::Token };
    let attempts = read.whole("gateway.auth.rateLimit.maxAttempts");
    let setup = [read.word("gateway.setup").and_then(Setup::named), setup_of_env(read, env)];
    let setup_port = read.whole("gateway.setupPort").and_then(|port| u16::try_from(port).ok());
    let gateway = Gateway {
        port: first(ports).unwrap_or(limits::CONTROL_PORT),
        lan: read.word("gateway.bind") == Some("lan"),
        mode: match read.word(MODE) {
            Some("token") => Mode::Token,
            Some("password") => Mode::Password,
            Some("none") => Mode::Open,
            _ => usual,
        },
        token,
        password,
        rate: (
            attempts.and_then(|n| usize::try_from(n).ok()).unwrap_or(limits::AUTH_ATTEMPTS),
            read.span("gateway.auth.rateLimit.windowMs").unwrap_or(limits::AUTH_WINDOW),
            read.span("gateway.auth.rateLimit.lockoutMs").unwrap_or(limits::AUTH_LOCKOUT),
        ),
        setup: first(setup).unwrap_or(Setup::Local),
        setup_port: setup_port.unwrap_or(limits::SETUP_PORT),
    };
    if let Some((text, cure)) = gateway.fault() {
        read.note(Weight::Warning, MODE, text, cure);
    }
    gateway
}

fn setup_of_env(read: &mut Reader<'_, '_>, env: &Env) -> Option<Setup> {
    let word = env.get("BARNACLE_SETUP")?;
    let setup = Setup::named(&word.trim().to_ascii_lowercase());
    if setup.is_none() {
        let text = "BARNACLE_SETUP is not understood";
        read.note(Weight::Warning, "gateway.setup", text, "write local, lan or off");
    }
    setup
}

/// A secret as the file says it, else the environment: by value, by a file, as a credential of
/// systemd's.
fn credential(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    path: &'static str,
    kind: &str,
) -> Option<Secret> {
    let env = sources.env;
    let written = read.own(path, secret).and_then(|written| {
        let text = secret_text(&written, sources);
        text.map_err(|why| read.note(Weight::Warning, path, &why, "write the secret itself")).ok()
    });
    let name = kind.to_ascii_uppercase();
    let (ours, theirs) = (format!("BARNACLE_GATEWAY_{name}"), format!("OPENCLAW_GATEWAY_{name}"));
    let by_value = || env.get(&ours).or_else(|| env.get(&theirs)).map(str::to_owned);
    let text = match written.or_else(by_value) {
        Some(text) => text,
        None => from_file(read, sources, &format!("{ours}_FILE"), kind)?,
    };
    let text = text.trim();
    (!text.is_empty()).then(|| Secret::new(text))
}

fn from_file(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    variable: &str,
    kind: &str,
) -> Option<String> {
    if let Some(file) = sources.env.get(variable) {
        let held = (sources.file)(Path::new(file));
        return held
            .map_err(|why| {
                let text = format!("{variable}: the file cannot be read: {why}");
                read.note(Weight::Warning, "gateway.auth", &text, "make it readable");
            })
            .ok();
    }
    let credential = sources.env.path("CREDENTIALS_DIRECTORY")?;
    (sources.file)(&credential.join(format!("gateway-{kind}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::*;

    fn gateway(text: &str, variables: &[(&str, &str)]) -> (Gateway, Vec<String>) {
        let (config, mistakes) = files::parse(text, &Env::of(variables)).expect("fine");
        (config.gateway, mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_mode_is_what_is_written_or_what_there_is() {
        let mode = |text: &str| gateway(text, &[]).0.mode;
        assert_eq!(mode("{}"), Mode::Token);
        assert_eq!(mode("{gateway: {auth: {password: 'p'}}}"), Mode::Password);
        assert_eq!(mode("{gateway: {auth: {password: 'p', token: 't'}}}"), Mode::Token);
        assert_eq!(mode("{gateway: {auth: {mode: 'none'}}}"), Mode::Open);
        let variables =
            [("OPENCLAW_GATEWAY_PASSWORD", "theirs"), ("BARNACLE_GATEWAY_PASSWORD", "p")];
        let (of_env, mistakes) = gateway("{}", &variables);
        assert_eq!((of_env.mode, of_env.password), (Mode::Password, Some(Secret::new("p"))));
        assert!(mistakes.is_empty(), "{mistakes:?}");
    }

    #[test]
    fn a_file_or_a_credential_holds_the_secret_if_nothing_else_says_it() {
        let dir = std::env::temp_dir().join(format!("barnacle-gateway-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let file = dir.join("gateway-password");
        std::fs::write(&file, " hunter2\n").expect("a file");
        let path = |path: &Path| path.display().to_string();
        for (name, value) in
            [("BARNACLE_GATEWAY_PASSWORD_FILE", path(&file)), ("CREDENTIALS_DIRECTORY", path(&dir))]
        {
            let (found, mistakes) = gateway("{}", &[(name, &value)]);
            assert_eq!(found.password, Some(Secret::new("hunter2")), "{name} {mistakes:?}");
        }
        let (missing, mistakes) = gateway("{}", &[("BARNACLE_GATEWAY_TOKEN_FILE", "/nonexistent")]);
        assert_eq!((missing.token, mistakes.len()), (None, 1), "{mistakes:?}");
        std::fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn what_would_let_everybody_in_is_a_fault() {
        let fault = |text: &str| {
            let (gateway, mistakes) = gateway(text, &[]);
            assert_eq!(gateway.fault().is_some(), !mistakes.is_empty(), "{mistakes:?}");
            gateway.fault()
        };
        assert!(fault("{gateway: {auth: {mode: 'none'}}}").is_none());
        assert!(fault("{gateway: {bind: 'lan'}}").is_none());
        assert!(fault("{gateway: {bind: 'lan', auth: {mode: 'none'}}}").is_some());
        assert!(fault("{gateway: {auth: {mode: 'password'}}}").is_some());
    }

    #[test]
    fn the_lockout_is_as_it_is_written_within_reason() {
        let usual = (limits::AUTH_ATTEMPTS, limits::AUTH_WINDOW, limits::AUTH_LOCKOUT);
        assert_eq!(gateway("{}", &[]).0.rate, usual);
        let written = "{gateway: {auth: {rateLimit: {maxAttempts: 3, windowMs: 1000, \
                       lockoutMs: 5000}}}}";
        let (found, mistakes) = gateway(written, &[]);
        assert_eq!(found.rate, (3, Duration::from_secs(1), Duration::from_secs(5)));
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let (found, mistakes) = gateway("{gateway: {auth: {rateLimit: {maxAttempts: 0}}}}", &[]);
        assert_eq!((found.rate, mistakes.len()), (usual, 1), "{mistakes:?}");
    }

    #[test]
    fn first_contact_is_made_at_this_host_unless_somebody_says_otherwise() {
        let setup = |text: &str, variables: &[(&str, &str)]| {
            let (gateway, mistakes) = gateway(text, variables);
            (gateway.setup, gateway.setup_port, mistakes.len())
        };
        let port = limits::SETUP_PORT;
        assert_eq!(setup("{}", &[]), (Setup::Local, port, 0));
        assert_eq!(setup("{}", &[("BARNACLE_SETUP", "LAN")]), (Setup::Lan, port, 0));
        assert_eq!(setup("{}", &[("BARNACLE_SETUP", "rubbish")]), (Setup::Local, port, 1));
        let off = "{gateway: {setup: 'off', setupPort: 80}}";
        assert_eq!(setup(off, &[("BARNACLE_SETUP", "lan")]), (Setup::Off, 80, 0));
        assert_eq!(setup("{gateway: {setup: 'wan'}}", &[]), (Setup::Local, port, 1));
    }
}
