//! `barnacle security audit`: what somebody else could get at, on this host or by the network, each
//! finding with what helps. Looking changes nothing; what is mended is named.

mod outside;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::settings::read;
use crate::base::Secret;
use crate::ops::config::{self, AgentKind, Config, Dirs, Env};
use crate::ops::options::Common;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look.
    Warn,
    /// Others can act as the bot, or run programs here.
    Critical,
}

impl Severity {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Critical => "critical",
        }
    }
}

/// One thing that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    /// What was looked at, such as `fs.state.mode`.
    pub(crate) id: &'static str,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// What was found.
    pub(crate) text: String,
    /// What helps.
    pub(crate) cure: String,
}

/// All that was found.
pub(crate) struct Audit {
    /// The worst first.
    pub(crate) findings: Vec<Finding>,
    /// What was mended, or why it could not be.
    pub(crate) fixed: Vec<String>,
}

impl Audit {
    /// Whether something critical is left.
    pub(crate) fn is_critical(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Critical)
    }

    /// One document for programs.
    pub(crate) fn json(&self) -> Value {
        let count = |severity| self.findings.iter().filter(|f| f.severity == severity).count();
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "checkId": finding.id,
                    "severity": finding.severity.name(),
                    "title": finding.text,
                    "detail": finding.text,
                    "remediation": finding.cure,
                })
            })
            .collect();
        json!({
            "ok": !self.is_critical(),
            "summary": {
                "critical": count(Severity::Critical),
                "warn": count(Severity::Warn),
                "info": count(Severity::Info),
            },
            "findings": findings,
            "fixed": self.fixed,
        })
    }
}

/// Files and directories that are wider open than they should be, and the mode that they should
/// have.
type Open = Vec<(PathBuf, u32)>;

/// Looks, and with `fix` closes files.
pub(crate) fn audit(env: &Env, common: &Common, fix: bool) -> Audit {
    let mut findings = Vec::new();
    let mut open = Open::new();
    let file = config::find_file(env, common.config.as_deref()).filter(|file| file.exists());
    let loaded = config::load(env, common.config.as_deref()).ok();
    let tree = read(env, common).ok().and_then(|(_, text)| {
        let root = config::parse_tree(&text).ok()?;
        Some(root.json())
    });
    if let Some(file) = &file {
        config_file(file, &mut findings, &mut open);
    }
    if let Some(dirs) = Dirs::of(env) {
        state(&dirs, &mut findings, &mut open);
    }
    if let Some(file) = env.get("DISCORD_BOT_TOKEN_FILE") {
        secret_file(Path::new(file), "fs.token.mode", &mut findings, &mut open);
    }
    if let Some(loaded) = &loaded {
        let tree = tree.as_ref().unwrap_or(&Value::Null);
        doors(&loaded.config, tree, &mut findings);
        answerers(&loaded.config, tree, &mut findings);
        outside::look(&loaded.config.outside, &mut findings);
        outside::permitted(&loaded.config, &mut findings);
        processes(&loaded.config.secrets(), &mut findings);
    }
    if rustix::process::geteuid().is_root() {
        findings.push(Finding {
            id: "process.root",
            severity: Severity::Info,
            text: "this runs as root; if the gateway does too, so do the programs of its agents"
                .to_owned(),
            cure: "run the gateway as a user of its own".to_owned(),
        });
    }
    let mut fixed = Vec::new();
    if fix {
        fixed = close(&open, &mut findings);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Audit { findings, fixed }
}

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|meta| meta.mode() & 0o7777)
}

fn config_file(file: &Path, findings: &mut Vec<Finding>, open: &mut Open) {
    secret_file(file, "fs.config.mode", findings, open);
    let mut backup = file.as_os_str().to_owned();
    backup.push(".bak");
    secret_file(Path::new(&backup), "fs.config.backup.mode", findings, open);
    let Some(dir) = file.parent() else { return };
    let Some(found) = mode(dir).filter(|mode| mode & 0o022 != 0 && mode & 0o1000 == 0) else {
        return;
    };
    open.push((dir.to_owned(), found & !0o022));
    findings.push(Finding {
        id: "fs.config.dir.mode",
        severity: Severity::Critical,
        text: format!(
            "{} can be written to by others (mode {found:o}), who could exchange the file in it",
            dir.display()
        ),
        cure: format!("chmod go-w {}, or --fix", dir.display()),
    });
}

fn secret_file(file: &Path, id: &'static str, findings: &mut Vec<Finding>, open: &mut Open) {
    let Some(found) = mode(file).filter(|mode| mode & 0o077 != 0) else { return };
    // Group readers are how packages let a service's user in.
    let severity = match found {
        found if found & 0o022 != 0 => Severity::Critical,
        found if found & 0o004 != 0 => Severity::Critical,
        _ => Severity::Info,
    };
    if severity > Severity::Info {
        open.push((file.to_owned(), found & 0o740));
    }
    let can = if found & 0o022 != 0 { "written" } else { "read" };
    let who = if found & 0o006 != 0 { "everybody on this host" } else { "its group" };
    findings.push(Finding {
        id,
        severity,
        text: format!("{} can be {can} by {who} (mode {found:o})", file.display()),
        cure: format!("chmod 600 {}, or --fix", file.display()),
    });
}

fn state(dirs: &Dirs, findings: &mut Vec<Finding>, open: &mut Open) {
    for dir in [Some(&dirs.state), dirs.hot.as_ref()].into_iter().flatten() {
        let Some(found) = mode(dir) else { continue };
        let others = found & 0o077;
        if others == 0 {
            // Nobody else gets as far as its files.
            continue;
        }
        open.push((dir.clone(), 0o700));
        findings.push(Finding {
            id: "fs.state.mode",
            severity: if found & 0o022 != 0 { Severity::Critical } else { Severity::Warn },
            text: format!("{} is open to others (mode {found:o})", dir.display()),
            cure: format!("chmod 700 {}, or --fix", dir.display()),
        });
        for entry in fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let Some(found) = mode(&entry.path()).filter(|found| is_file && found & 0o077 != 0)
            else {
                continue;
            };
            open.push((entry.path(), 0o600));
            findings.push(Finding {
                id: "fs.state.file.mode",
                severity: Severity::Warn,
                text: format!("{} is open to others (mode {found:o})", entry.path().display()),
                cure: format!("chmod 600 {}, or --fix", entry.path().display()),
            });
        }
    }
}

/// A token that is shorter can be guessed by somebody patient.
const TOKEN_CHARS_MIN: usize = 24;

/// Who is let in, by the network and by chat.
fn doors(config: &Config, tree: &Value, findings: &mut Vec<Finding>) {
    let mut found = |id, severity, text: String, cure: &str| {
        findings.push(Finding { id, severity, text, cure: cure.to_owned() });
    };
    let gateway = &tree["gateway"];
    let is_open = config.gateway.lan;
    let without = gateway["auth"]["mode"] == "none" || gateway["auth"] == "none";
    match (is_open, without) {
        (true, true) => found(
            "gateway.bind.open",
            Severity::Critical,
            "the control port is open to the network, and asks for no token".to_owned(),
            "set gateway.bind to loopback, or gateway.auth.mode to token",
        ),
        (true, false) => found(
            "gateway.bind.lan",
            Severity::Warn,
            "the control port is open to the network: tokens cross it unencrypted".to_owned(),
            "set gateway.bind to loopback and reach it by `ssh -L`, or through a TLS proxy",
        ),
        (false, true) => found(
            "gateway.auth.none",
            Severity::Warn,
            "the control port asks for no token: every program on this host may do everything"
                .to_owned(),
            "remove gateway.auth.mode; our own commands need no token as the same user",
        ),
        (false, false) => {}
    }
    let lacks_token = config.accounts.iter().all(|account| account.token.is_none());
    if config.gateway.setup == config::Setup::Lan && lacks_token {
        found(
            "gateway.setup.lan",
            Severity::Warn,
            "whoever has the code hands over a token by the network: it crosses it unencrypted"
                .to_owned(),
            "set gateway.setup to local and reach the page by `ssh -L`, or put the token in a file",
        );
    }
    let weak = config.gateway.token.as_ref();
    if weak.is_some_and(|token| token.expose().chars().count() < TOKEN_CHARS_MIN) {
        found(
            "gateway.auth.token.short",
            Severity::Warn,
            format!("the control port's token is shorter than {TOKEN_CHARS_MIN} characters"),
            "`barnacle doctor --generate-gateway-token` makes one that nobody guesses",
        );
    }
}

/// Which programs answer, and to whom.
fn answerers(config: &Config, tree: &Value, findings: &mut Vec<Finding>) {
    let mut found = |id, severity, text: String, cure: &str| {
        findings.push(Finding { id, severity, text, cure: cure.to_owned() });
    };
    let exec = config.agents.iter().filter_map(|agent| match &agent.kind {
        AgentKind::Exec { command, .. } => Some((&agent.id, command)),
        _ => None,
    });
    let exec: Vec<_> = exec.collect();
    let discord = &tree["channels"]["discord"];
    let accounts = discord["accounts"].as_object().into_iter().flatten();
    let all = std::iter::once(("channels.discord".to_owned(), discord))
        .chain(accounts.map(|(id, one)| (format!("channels.discord.accounts.{id}"), one)));
    for (path, account) in all {
        for (key, who) in [("dmPolicy", "whoever writes to it"), ("groupPolicy", "every server")] {
            if account[key] != "open" {
                continue;
            }
            let (severity, more) = if exec.is_empty() {
                (Severity::Warn, "")
            } else {
                (Severity::Critical, ", and an agent that runs a program answers")
            };
            found(
                "channels.policy.open",
                severity,
                format!("{path}.{key} lets in {who}{more}"),
                "write allowlist or pairing, or be sure that the program can bear any input",
            );
        }
    }
    for (id, command) in exec {
        let Some(program) = command.first().map(Path::new) else { continue };
        if program.is_relative() {
            found(
                "agents.command.relative",
                Severity::Warn,
                format!("the agent \"{id}\" runs {}, wherever that is", program.display()),
                "write the whole path of its program",
            );
        } else if let Some(found_mode) = mode(program).filter(|mode| mode & 0o022 != 0) {
            found(
                "agents.command.writable",
                Severity::Critical,
                format!(
                    "the agent \"{id}\" runs {}, which others can change (mode {found_mode:o})",
                    program.display()
                ),
                "chmod go-w on it",
            );
        }
    }
}

/// Secrets that everybody sees who lists the processes.
fn processes(secrets: &[Secret], findings: &mut Vec<Finding>) {
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == own || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let shows = |secret: &Secret| {
            let wanted = secret.expose().as_bytes();
            wanted.len() >= 6 && words.windows(wanted.len()).any(|part| part == wanted)
        };
        if secrets.iter().any(shows) {
            findings.push(Finding {
                id: "process.arguments",
                severity: Severity::Critical,
                text: format!("process {name} was started with a token among its words"),
                cure: "give it by a file or a variable, and make a new token".to_owned(),
            });
        }
    }
}

/// Closes what is open; what is closed is no finding any more.
fn close(open: &Open, findings: &mut Vec<Finding>) -> Vec<String> {
    let mut said = Vec::new();
    for (path, wanted) in open {
        let shown = path.display().to_string();
        match fs::set_permissions(path, fs::Permissions::from_mode(*wanted)) {
            Ok(()) => {
                let is_it = |f: &Finding| {
                    f.id.starts_with("fs.")
                        && f.text.strip_prefix(&shown).is_some_and(|rest| {
                            rest.starts_with(" can be ") || rest.starts_with(" is open ")
                        })
                };
                findings.retain(|finding| !is_it(finding));
                said.push(format!("{shown} has mode {wanted:o} now"));
            }
            Err(error) => said.push(format!("{shown} cannot be changed: {error}")),
        }
    }
    said
}

/// `text` without what must not be given away: the secrets of the configuration, of the state and
/// of the environment.
pub(crate) fn without_secrets(env: &Env, common: &Common, text: &str) -> String {
    let mut secrets = env.secrets();
    if let Ok(loaded) = config::load(env, common.config.as_deref()) {
        secrets.extend(loaded.config.secrets());
    }
    let token = Dirs::of(env).map(|dirs| dirs.gateway_token());
    secrets.extend(token.and_then(|file| fs::read_to_string(file).ok()).map(|t| Secret::new(&t)));
    // The longest first: one may be the beginning of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.expose().len() >= 4) {
        let written = Value::from(secret.expose()).to_string();
        text = text.replace(written.trim_matches('"'), "***").replace(secret.expose(), "***");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Host(PathBuf);

    impl Host {
        fn new(name: &str) -> Host {
            let dir =
                std::env::temp_dir().join(format!("barnacle-audit-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(dir.join("state")).unwrap();
            Host(dir)
        }

        fn put(&self, name: &str, text: &str, mode: u32) {
            fs::write(self.0.join(name), text).unwrap();
            fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }

        fn audit(&self, fix: bool) -> Audit {
            let below = |name: &str| self.0.join(name).display().to_string();
            let (state, home) = (below("state"), below("home"));
            let env = Env::of(&[("BARNACLE_STATE_DIR", &state), ("HOME", &home)]);
            let common = Common { config: Some(self.0.join("b.json5")), ..Common::default() };
            audit(&env, &common, fix)
        }
    }

    impl Drop for Host {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn ids(audit: &Audit) -> Vec<&'static str> {
        let ids = audit.findings.iter().map(|finding| finding.id);
        ids.filter(|id| !id.starts_with("process.")).collect()
    }

    #[test]
    fn open_files_are_found_and_closed() {
        let host = Host::new("files");
        host.put("b.json5", "{}", 0o644);
        host.put("state/gateway.token", "secret", 0o644);
        fs::set_permissions(host.0.join("state"), fs::Permissions::from_mode(0o755)).unwrap();
        let found = host.audit(false);
        assert_eq!(ids(&found), ["fs.config.mode", "fs.state.mode", "fs.state.file.mode"]);
        assert!(found.is_critical() && found.fixed.is_empty());
        let mended = host.audit(true);
        assert!(ids(&mended).is_empty(), "{:?}", mended.findings);
        assert_eq!(mended.fixed.len(), 3);
        assert_eq!(mode(&host.0.join("b.json5")), Some(0o640));
        assert_eq!(mode(&host.0.join("state")), Some(0o700));
        let again = host.audit(false);
        assert!(!again.is_critical(), "{:?}", again.findings);
    }

    #[test]
    fn open_doors_are_found() {
        let host = Host::new("doors");
        host.put("program", "#!/bin/sh\n", 0o777);
        let program = host.0.join("program").display().to_string();
        let text = format!(
            "{{ gateway: {{ bind: 'lan', auth: {{ token: 'short' }} }},
               channels: {{ discord: {{ dmPolicy: 'open', accounts: {{
                   a: {{ groupPolicy: 'open' }} }} }} }},
               agents: {{ entries: {{ one: {{ kind: 'exec', command: ['{program}'] }},
                   two: {{ kind: 'exec', command: ['relative'] }} }} }} }}"
        );
        host.put("b.json5", &text, 0o600);
        let found = ids(&host.audit(false));
        for id in [
            "gateway.bind.lan",
            "gateway.auth.token.short",
            "channels.policy.open",
            "agents.command.relative",
            "agents.command.writable",
        ] {
            assert!(found.contains(&id), "{id} of {found:?}");
        }
        assert_eq!(found.iter().filter(|id| **id == "channels.policy.open").count(), 2);
    }

    #[test]
    fn a_token_among_the_words_of_a_process_is_found() {
        // Of the shell's words the last is its name for itself.
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read nothing", "a-token-for-this-test-alone"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut findings = Vec::new();
        // The system shows a process a moment before its words.
        for _ in 0..500 {
            processes(&[Secret::new("a-token-for-this-test-alone")], &mut findings);
            if !findings.is_empty() {
                break;
            }
            crate::rt::clock::pause(std::time::Duration::from_millis(10));
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(findings.len(), 1);
        assert!(findings[0].text.contains(&child.id().to_string()), "{findings:?}");
        assert!(!findings[0].text.contains("alone"), "it says whose, not what");
    }

    #[test]
    fn what_is_given_away_holds_no_secret() {
        let host = Host::new("blot");
        host.put("b.json5", "{ gateway: { auth: { token: 'a \"quoted\" one' } } }", 0o600);
        host.put("state/gateway.token", "generated-one\n", 0o600);
        let below = |name: &str| host.0.join(name).display().to_string();
        let (state, home) = (below("state"), below("home"));
        let env = Env::of(&[
            ("BARNACLE_STATE_DIR", &state),
            ("HOME", &home),
            ("MY_API_KEY", "from-the-environment"),
        ]);
        let common = Common { config: Some(host.0.join("b.json5")), ..Common::default() };
        let report = json!({ "a": "x a \"quoted\" one", "b": "generated-one",
            "c": "from-the-environment" })
        .to_string();
        let shown = without_secrets(&env, &common, &report);
        let value: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value, json!({ "a": "x ***", "b": "***", "c": "***" }));
    }
}
