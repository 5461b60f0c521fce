//! The environment, read once and passed on as a value: nothing else in the program asks for it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::{Secret, limits};
use crate::rt::net::proxy::{BadProxy, Proxy};

/// The variables that mean something, for `barnacle help environment`.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    ("DISCORD_BOT_TOKEN", "the bot's token, if the file has none"),
    ("DISCORD_BOT_TOKEN_FILE", "a file that holds it"),
    ("DISCORD_BOT_TOKEN_<NAME>", "the token of the account NAME; so is the same with _FILE"),
    (
        "ANTHROPIC_API_KEY",
        "a provider's key; so are OPENAI_API_KEY and others, and each with _FILE",
    ),
    ("CREDENTIALS_DIRECTORY", "systemd's; discord-bot-token in it, or discord-bot-token-NAME"),
    ("BARNACLE_SETUP", "who may open the page that takes the first token: local, lan or off"),
    ("DISCORD_API_URL", "another server that speaks Discord's REST API"),
    ("HTTPS_PROXY", "an HTTP proxy to Discord, if channels.discord.proxy names none"),
    ("ALL_PROXY", "the same"),
    ("NO_PROXY", "hosts that are reached without it: example.org, example.org:8080, or *"),
    ("BARNACLE_CONFIG", "the configuration file"),
    ("BARNACLE_STATE_DIR", "where state is kept"),
    ("BARNACLE_PROFILE", "a name that directories end with, as --profile gives it"),
    ("BARNACLE_LOG", "log level, or filters as env_logger reads them; before RUST_LOG"),
    ("RUST_LOG", "the same"),
    ("STATE_DIRECTORY", "systemd's state directory; before BARNACLE_STATE_DIR"),
    ("RUNTIME_DIRECTORY", "systemd's runtime directory: where hot cursors are kept"),
    ("XDG_CONFIG_HOME", "the configuration is in barnacle/barnacle.json5 below it"),
    ("XDG_STATE_HOME", "state is in barnacle below it"),
    ("XDG_RUNTIME_DIR", "hot cursors are in barnacle below it"),
    ("HOME", "stands in for the XDG directories"),
    ("NOTIFY_SOCKET", "systemd's, for READY and the watchdog"),
    ("WATCHDOG_USEC", "systemd's watchdog interval"),
    ("JOURNAL_STREAM", "systemd's: standard error goes to the journal"),
    ("NO_COLOR", "if set to anything, nothing is coloured"),
    ("FORCE_COLOR", "if set to anything but 0, states are coloured in a pipe too"),
    ("CLICOLOR_FORCE", "the same"),
    ("TERM", "nothing is coloured and no sign turns on a dumb terminal"),
    ("BARNACLE_GATEWAY_PORT", "the control port; before the file's"),
    ("OPENCLAW_CONFIG_PATH", "a configuration file, if barnacle has none of its own"),
    ("OPENCLAW_STATE_DIR", "openclaw.json in it is the last configuration file tried"),
    ("OPENCLAW_GATEWAY_PORT", "the control port, if the file has none"),
    ("BARNACLE_GATEWAY_TOKEN", "the control port's token, if the file has none"),
    ("BARNACLE_GATEWAY_TOKEN_FILE", "a file that holds it; or the credential gateway-token"),
    ("OPENCLAW_GATEWAY_TOKEN", "the same as BARNACLE_GATEWAY_TOKEN"),
    ("BARNACLE_GATEWAY_PASSWORD", "the control port's password, if the file has none"),
    ("BARNACLE_GATEWAY_PASSWORD_FILE", "a file that holds it; or the credential gateway-password"),
    ("OPENCLAW_GATEWAY_PASSWORD", "the same as BARNACLE_GATEWAY_PASSWORD"),
];

/// Which of several gateways of one user is meant.
const PROFILE: &str = "BARNACLE_PROFILE";

/// Whether `name` can be a profile's: it becomes a part of file names.
pub(crate) fn is_profile(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(is_fine)
}

/// How it is said that a variable has no value.
pub(super) const UNSET: &str = " is not set";

/// The words of the command line, the program's name left out.
pub(crate) fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

/// This program's own file.
///
/// # Errors
/// The system does not say.
pub(crate) fn program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// The environment as it was at the start.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Env(BTreeMap<String, String>);

/// Where files that nobody keeps go (`TMPDIR`).
pub(crate) fn temporary_dir() -> PathBuf {
    std::env::temp_dir()
}

impl Env {
    /// This process's environment; variables that are not UTF-8 are left out.
    pub(crate) fn of_process() -> Env {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Env(std::env::vars_os().filter_map(text).collect())
    }

    /// An environment of exactly these variables.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Env {
        Env(variables.iter().map(|&(name, value)| (name.into(), value.into())).collect())
    }

    /// A variable's value; one that is empty counts as unset.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The same as an absolute path. The XDG specification wants relative ones ignored, and a
    /// daemon's working directory is nobody's intention.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Where it says that secrets are.
    pub(crate) fn secret_places(&self) -> Vec<PathBuf> {
        let is_place = |name: &str| name.ends_with("_FILE") || name == "CREDENTIALS_DIRECTORY";
        let names = self.0.keys().filter(|name| is_place(name));
        names.filter_map(|name| self.path(name)).collect()
    }

    /// The same environment, for the gateway called `profile`: its directories are its own.
    pub(crate) fn with_profile(&self, profile: &str) -> Env {
        let mut variables = self.0.clone();
        variables.insert(PROFILE.to_owned(), profile.to_owned());
        Env(variables)
    }

    /// The same environment, in which `name` is `value` unless it has one.
    pub(crate) fn or(&self, name: &str, value: &str) -> Env {
        let mut variables = self.0.clone();
        if self.get(name).is_none() {
            variables.insert(name.to_owned(), value.to_owned());
        }
        Env(variables)
    }

    /// The same environment, in which no configuration is named.
    pub(crate) fn without_config(&self) -> Env {
        let mut variables = self.0.clone();
        variables.remove("BARNACLE_CONFIG");
        Env(variables)
    }

    /// The values that are to be kept from whoever reads a report, by how they are called.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        const WORDS: [&str; 5] = ["TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL"];
        const BYTES_MIN: usize = 6;
        let is_secret = |name: &str| WORDS.iter().any(|word| name.contains(word));
        let named = self.0.iter().filter(|(name, _)| is_secret(name));
        let values = named.map(|(_, value)| value).filter(|value| value.len() >= BYTES_MIN);
        values.map(|value| Secret::new(value)).collect()
    }

    /// What our directories are called: `barnacle`, or `barnacle-PROFILE`.
    pub(crate) fn own_name(&self) -> String {
        match self.profile() {
            Some(profile) => format!("barnacle-{profile}"),
            None => "barnacle".to_owned(),
        }
    }

    /// Which of several gateways of one user is meant; none is the usual one.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.get(PROFILE).filter(|profile| *profile != "default" && is_profile(profile))
    }

    /// Whether what is shown is to be coloured: `NO_COLOR` (no-color.org) before
    /// `FORCE_COLOR` and `CLICOLOR_FORCE` (bixense.com/clicolors), which ask for it in a pipe too.
    pub(crate) fn wants_colours(&self, is_terminal: bool) -> bool {
        if self.get("NO_COLOR").is_some() {
            return false;
        }
        let forced = ["FORCE_COLOR", "CLICOLOR_FORCE"].into_iter().find_map(|name| self.get(name));
        if let Some(forced) = forced {
            return forced != "0" && forced != "false";
        }
        let is_dumb = self.get("TERM") == Some("dumb") || self.get("CLICOLOR") == Some("0");
        is_terminal && !is_dumb
    }

    /// The proxy that the environment names, with its exceptions; the variable and what is wrong
    /// with it, if it cannot be used. Both spellings are in use for each of these, and the first
    /// that is set counts.
    pub(crate) fn proxy(&self) -> Result<Option<Proxy>, (&'static str, BadProxy)> {
        const NAMES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        let named = NAMES.into_iter().find_map(|name| Some((name, self.get(name)?)));
        let Some((name, url)) = named else { return Ok(None) };
        let except = self.get("NO_PROXY").or_else(|| self.get("no_proxy")).unwrap_or_default();
        match Proxy::parse(&Secret::new(url), name) {
            Ok(proxy) => Ok(Some(proxy.except(except))),
            Err(bad) => Err((name, bad)),
        }
    }

    /// How often systemd wants to hear from us, if its watchdog is on.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        let micros = self.get("WATCHDOG_USEC")?.parse().ok()?;
        Some(Duration::from_micros(micros)).filter(|interval| !interval.is_zero())
    }

    /// Whether a service manager waits for word from us, and so starts us again when we end.
    pub(crate) fn is_managed(&self) -> bool {
        self.get("NOTIFY_SOCKET").is_some()
    }

    /// The device and inode that standard error has if it goes to the journal
    /// (`systemd.exec(5)`, `$JOURNAL_STREAM`).
    pub(crate) fn journal_stream(&self) -> Option<(u64, u64)> {
        let (device, inode) = self.get("JOURNAL_STREAM")?.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    }

    /// Replaces each `${NAME}` in `text`; `$${NAME}` stands for itself.
    ///
    /// # Errors
    /// The name that is not set, or why the result cannot be used.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, reference) = rest.split_at(at);
            let Some((name, after)) = reference.get(2..).and_then(|r| r.split_once('}')) else {
                break;
            };
            if let Some(before) = before.strip_suffix('$') {
                out.extend([before, "${", name, "}"]);
            } else {
                let value = self.get(name).ok_or_else(|| format!("the variable {name}{UNSET}"))?;
                out.extend([before, value]);
            }
            if out.len() > limits::CONFIG_BYTES_MAX {
                return Err("it is too long once its variables are filled in".into());
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// Names only: any value may be a secret.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_escaped_and_missed() {
        let env = Env::of(&[("A", "one"), ("EMPTY", "")]);
        assert_eq!(env.expand("<${A}-${A}>"), Ok("<one-one>".into()));
        assert_eq!(env.expand("$${A} $5 ${A"), Ok("${A} $5 ${A".into()));
        assert_eq!(env.expand("${EMPTY}"), Err("the variable EMPTY is not set".into()));
        assert_eq!(env.expand("${🦀}").err().as_deref(), Some("the variable 🦀 is not set"));
    }

    #[test]
    fn colours_are_for_terminals_unless_somebody_says_otherwise() {
        let wants = |variables: &[(&str, &str)]| {
            let env = Env::of(variables);
            (env.wants_colours(true), env.wants_colours(false))
        };
        assert_eq!(wants(&[]), (true, false));
        assert_eq!(wants(&[("TERM", "dumb")]), (false, false));
        assert_eq!(wants(&[("CLICOLOR", "0")]), (false, false));
        assert_eq!(wants(&[("NO_COLOR", "1"), ("FORCE_COLOR", "1")]), (false, false));
        assert_eq!(wants(&[("NO_COLOR", "")]), (true, false));
        assert_eq!(wants(&[("FORCE_COLOR", "3"), ("TERM", "dumb")]), (true, true));
        assert_eq!(wants(&[("CLICOLOR_FORCE", "1")]), (true, true));
        assert_eq!(wants(&[("FORCE_COLOR", "0")]), (false, false));
    }

    #[test]
    fn an_expansion_cannot_grow_without_bound() {
        let env = Env::of(&[("A", &"x".repeat(1000))]);
        assert!(env.expand(&"${A}".repeat(10_000)).is_err());
    }

    #[test]
    fn values_are_never_debugged() {
        let env = Env::of(&[("DISCORD_BOT_TOKEN", "hunter2")]);
        assert_eq!(format!("{env:?}"), "{\"DISCORD_BOT_TOKEN\"}");
    }

    #[test]
    fn the_environments_proxy_has_its_exceptions_and_its_mistakes_a_cure() {
        let proxy = |variables: &[(&str, &str)]| Env::of(variables).proxy();
        assert_eq!(proxy(&[("NO_PROXY", "*")]), Ok(None));
        let both = [("https_proxy", "http://p:1"), ("ALL_PROXY", "socks5://q:2")];
        let found = proxy(&both).unwrap().unwrap();
        assert_eq!((found.to_string().as_str(), found.from()), ("http://p:1", "https_proxy"));
        let url = "https://discord.com/".parse().unwrap();
        let discord = crate::rt::net::Endpoint::of(&url, "http", "https").unwrap();
        assert!(found.serves(&discord));
        let exempt = proxy(&[("HTTPS_PROXY", "p:1"), ("no_proxy", "a,.discord.com")]);
        assert!(!exempt.unwrap().unwrap().serves(&discord));
        let (name, bad) = proxy(&[("all_proxy", "socks5://u:hunter2@q:2")]).unwrap_err();
        assert_eq!(name, "all_proxy");
        assert!(bad.text.contains("SOCKS") && bad.cure.contains("http://"), "{bad:?}");
    }

    #[test]
    fn systemd_variables_are_parsed() {
        let env = Env::of(&[("WATCHDOG_USEC", "30000000"), ("JOURNAL_STREAM", "9:1234")]);
        assert_eq!(env.watchdog(), Some(Duration::from_secs(30)));
        assert_eq!(env.journal_stream(), Some((9, 1234)));
        assert_eq!(Env::of(&[("WATCHDOG_USEC", "0")]).watchdog(), None);
        assert_eq!(Env::of(&[("XDG_STATE_HOME", "not/absolute")]).path("XDG_STATE_HOME"), None);
    }
}
