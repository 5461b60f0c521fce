//! What a person asked for on the command line, in plain words: `cli` fills these in, `app` reads
//! them.

use std::path::PathBuf;
use std::time::Duration;

use super::config::{self, Mode};
use crate::base::Secret;

/// What every command takes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Common {
    /// `--config`: the configuration file.
    pub(crate) config: Option<PathBuf>,
    /// `--log-level`; `--verbose` is `debug`.
    pub(crate) log_level: Option<String>,
    /// `--json`: one JSON document, or one on each line.
    pub(crate) json: bool,
    /// Whether standard output is a terminal that may be coloured.
    pub(crate) colours: bool,
}

/// `barnacle gateway`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Gateway {
    /// What every command takes.
    pub(crate) common: Common,
    /// `--port`: the control port, whatever the configuration says.
    pub(crate) port: Option<u16>,
    /// `--bind`: whether other hosts may connect, whatever it says.
    pub(crate) lan: Option<bool>,
    /// `--auth`: how callers prove themselves, whatever it says.
    pub(crate) auth: Option<Mode>,
    /// `--token`: the token that they show.
    pub(crate) token: Option<Secret>,
    /// `--password-file`: the password that they show.
    pub(crate) password: Option<Secret>,
}

impl Gateway {
    /// `configured`, but for what the command line says.
    pub(crate) fn over(&self, configured: &mut config::Gateway) {
        configured.lan = self.lan.unwrap_or(configured.lan);
        configured.mode = self.auth.unwrap_or(configured.mode);
        if let Some(token) = &self.token {
            configured.token = Some(token.clone());
        }
        if let Some(password) = &self.password {
            configured.password = Some(password.clone());
        }
    }
}

/// `barnacle appliance import`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Import {
    /// `--boot`: the boot partition.
    pub(crate) boot: PathBuf,
    /// `--root`: the system that it is for; if that is another one, no program is run.
    pub(crate) root: PathBuf,
}

/// `barnacle drill`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Drill {
    /// What every command takes.
    pub(crate) common: Common,
    /// The one drill to run; all of them if there is none.
    pub(crate) name: Option<String>,
    /// `--list`: only name them.
    pub(crate) list: bool,
}

/// `barnacle sandbox`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sandbox {
    /// What every command takes.
    pub(crate) common: Common,
    /// `--port`: where REST is served; 0 is any that is free.
    pub(crate) port: u16,
    /// `--gateway-port`: where the gateway is served; 0 is any that is free.
    pub(crate) gateway_port: u16,
    /// `--host`: what its URLs name instead of 127.0.0.1.
    pub(crate) host: Option<String>,
    /// `--heartbeat`: the interval that HELLO names.
    pub(crate) heartbeat: Option<Duration>,
    /// `--cert` and `--key`: serve TLS with these PEM files.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
}

/// `barnacle invite-url`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct InviteUrl {
    /// What every command takes.
    pub(crate) common: Common,
    /// `--permissions`: Discord's permission bits.
    pub(crate) permissions: Option<u64>,
    /// `--application`: the application's id; asked of Discord if not given.
    pub(crate) application: Option<u64>,
    /// `--account`: whose application it is, if it is asked for.
    pub(crate) account: Option<String>,
    /// `--guild`: the server that is chosen beforehand.
    pub(crate) guild: Option<u64>,
}

/// `barnacle doctor`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Doctor {
    /// What every command takes.
    pub(crate) common: Common,
    /// `--fix`: mend what can be mended without asking.
    pub(crate) fix: bool,
}
