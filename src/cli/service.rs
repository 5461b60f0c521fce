//! The gateway as a service of the user's, by systemd: installed, started, removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect};
use super::print::{Printer, Spinner};
use super::summary;
use crate::base::text::Plain;
use crate::ops::config::{self, Env};
use crate::ops::exit::{Exit, Failure};

/// The unit, with places to fill in.
const UNIT: &str = include_str!("../../systemd/barnacle-user.service");
/// Where packages put the system's.
const SYSTEM: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// A service that systemd may know.
struct Service {
    /// `barnacle.service`, or a profile's.
    unit: String,
    /// The file of the user's.
    file: PathBuf,
    /// The file of the system's, if there is one.
    system: Option<PathBuf>,
}

impl Service {
    fn of(env: &Env) -> Result<Service, Failure> {
        let unit = format!("{}.service", env.own_name());
        let home = env.path("XDG_CONFIG_HOME").or_else(|| Some(env.path("HOME")?.join(".config")));
        let home = home.ok_or_else(|| {
            Failure::new(Exit::State, "there is no place for a unit: HOME is not set", "")
        })?;
        let file = home.join("systemd/user").join(&unit);
        let system = SYSTEM.iter().map(|dir| Path::new(dir).join(&unit));
        let system = system.into_iter().find(|file| file.exists());
        Ok(Service { unit, file, system })
    }

    /// Whose it is, as systemctl wants it said.
    fn scope(&self) -> Option<&'static [&'static str]> {
        match (self.file.exists(), &self.system) {
            (true, _) => Some(&["--user"]),
            (false, Some(_)) => Some(&[]),
            (false, None) => None,
        }
    }

    fn told(&self) -> Value {
        let scope = self.scope();
        let active = scope.and_then(|scope| {
            let asked = systemctl(scope, &["is-active", &self.unit]).ok()?;
            Some(asked.said.trim().to_owned())
        });
        let file = if self.file.exists() { Some(&self.file) } else { self.system.as_ref() };
        json!({ "unit": self.unit, "installed": scope.is_some(), "file": file, "active": active })
    }
}

/// What systemctl did.
struct Told {
    is_done: bool,
    said: String,
}

fn systemctl(scope: &[&str], words: &[&str]) -> Result<Told, Failure> {
    let mut command = Command::new("systemctl");
    command.args(scope).args(words).stdin(Stdio::null());
    let done = Spinner::during("waiting for systemd", || command.output());
    match done {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            Ok(Told { is_done: output.status.success(), said })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let cure = "let what starts services here run `barnacle gateway`; it ends by SIGTERM";
            Err(Failure::new(Exit::Unavailable, "there is no systemd here (no systemctl)", cure))
        }
        Err(error) => {
            Err(Failure::new(Exit::Unavailable, format!("systemctl cannot be run: {error}"), ""))
        }
    }
}

/// Has it done, or says why not.
fn ask(scope: &[&str], words: &[&str]) -> Result<(), Failure> {
    let told = systemctl(scope, words)?;
    if told.is_done {
        return Ok(());
    }
    let words = [scope, words].concat().join(" ");
    let text = format!("`systemctl {words}` failed: {}", told.said.replace('\n', "; "));
    let cure = if scope.is_empty() {
        "run it as root, and see `journalctl -u barnacle`"
    } else {
        "see `journalctl --user -u barnacle`; without a login session `loginctl enable-linger` \
         and XDG_RUNTIME_DIR are needed"
    };
    Err(Failure::new(Exit::Unavailable, text, cure))
}

/// See the table.
pub(crate) fn install(call: &mut Call<'_>) -> Result<(), Failure> {
    let service = Service::of(call.env)?;
    // Without it nothing is written.
    systemctl(&[], &["--version"])?;
    let text = unit(call)?;
    let before = fs::read_to_string(&service.file).ok();
    let is_same = before.as_ref() == Some(&text);
    if before.is_some() && !is_same && !call.parsed.has("force") {
        let text = format!("{} is there already, and says something else", service.file.display());
        return Err(Failure::new(
            Exit::Usage,
            text,
            "--force replaces it, and restarts the gateway",
        ));
    }
    let is_force = call.parsed.has("force") && before.is_some();
    if !is_same {
        write(&service.file, &text).map_err(|error| {
            let text = format!("{} cannot be written: {error}", service.file.display());
            Failure::new(Exit::State, text, "")
        })?;
    }
    ask(&["--user"], &["daemon-reload"])?;
    ask(&["--user"], &["enable", "--now", &service.unit])?;
    if is_force {
        ask(&["--user"], &["restart", &service.unit])?;
    }
    let linger = lingers(call.env);
    let mut hints = Vec::new();
    if linger == Some(false) {
        hints
            .push("it ends when you log out: `loginctl enable-linger` keeps it running".to_owned());
    }
    hints.extend(token_hint(call));
    let answer = json!({
        "ok": true, "unit": service.unit, "file": service.file, "changed": !is_same,
        "linger": linger, "hints": hints,
    });
    call.answer(&answer, |_, _| {
        let file = service.file.display().to_string();
        let head = format!("installed and started: {} ({})", service.unit, Plain(&file));
        std::iter::once(head).chain(hints.iter().cloned()).collect::<Vec<_>>().join("\n")
    })
}

/// The unit for this program, as it was called.
fn unit(call: &Call<'_>) -> Result<String, Failure> {
    let program = config::program()
        .map_err(|error| Failure::new(Exit::Software, format!("where am I? {error}"), ""))?;
    let mut words = vec![program.to_string_lossy().into_owned()];
    if let Some(profile) = call.env.profile() {
        words.extend(["--profile".to_owned(), profile.to_owned()]);
    }
    if let Some(file) = &call.common.config {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        words.extend(["--config".to_owned(), file.to_string_lossy().into_owned()]);
    }
    words.push("gateway".to_owned());
    if let Some(port) = call.parsed.number::<u16>("port")? {
        words.extend(["--port".to_owned(), port.to_string()]);
    }
    let command: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let profile = call.env.profile().map_or_else(String::new, |profile| format!(" ({profile})"));
    let environment = environment_file(call.env).unwrap_or_default();
    Ok(UNIT
        .replace("@COMMAND@", &command.join(" "))
        .replace("@PROFILE@", &profile)
        .replace("@ENVIRONMENT@", &environment.to_string_lossy().replace('%', "%%")))
}

/// A word as systemd reads it back (systemd.service(5), "Command lines").
fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@,=".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", word.replace('%', "%%").replace('$', "$$"))
}

fn environment_file(env: &Env) -> Option<PathBuf> {
    let file = config::new_file(&env.without_config(), None)?;
    Some(file.with_extension("env"))
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(beside, file)
}

/// Whether the user's services go on without a login; nothing if that is not known.
fn lingers(env: &Env) -> Option<bool> {
    let user = env.get("USER").or_else(|| env.get("LOGNAME"))?;
    let known = Path::new("/var/lib/systemd/linger");
    Some(known.join(user).exists())
}

/// A service does not see the variables of a shell.
fn token_hint(call: &Call<'_>) -> Option<String> {
    let name = "DISCORD_BOT_TOKEN";
    call.env.get(name)?;
    let file = environment_file(call.env)?;
    (!file.exists()).then(|| {
        format!(
            "{name} is set in this shell only: write {name}=… into {}, readable by you only",
            file.display()
        )
    })
}

/// See the table.
pub(crate) fn uninstall(call: &mut Call<'_>) -> Result<(), Failure> {
    let service = Service::of(call.env)?;
    let was_there = service.file.exists();
    if was_there {
        // One that is stopped already can be removed just as well.
        let stopped = ask(&["--user"], &["disable", "--now", &service.unit]);
        fs::remove_file(&service.file).map_err(|error| {
            let text = format!("{} cannot be removed: {error}", service.file.display());
            Failure::new(Exit::State, text, "")
        })?;
        ask(&["--user"], &["daemon-reload"])?;
        stopped?;
    }
    let answer = json!({ "ok": true, "unit": service.unit, "removed": was_there });
    call.answer(&answer, |_, _| match (was_there, &service.system) {
        (true, _) => format!("stopped and removed: {}; its state and settings stay", service.unit),
        (false, Some(file)) => {
            format!("nothing of yours; {} is the system's: remove its package", file.display())
        }
        (false, None) => "no service is installed".to_owned(),
    })
}

/// See the table.
pub(crate) fn start(call: &mut Call<'_>) -> Result<(), Failure> {
    let service = Service::of(call.env)?;
    let Some(scope) = service.scope() else {
        systemctl(&[], &["--version"])?;
        let cure = "`barnacle gateway install` makes one; `barnacle gateway` runs it right here";
        return Err(Failure::new(Exit::Unavailable, "no service is installed", cure));
    };
    ask(scope, &["start", &service.unit])?;
    let answer = json!({ "ok": true, "unit": service.unit, "service": service.told() });
    call.answer(&answer, |_, _| format!("started: {}", service.unit))
}

/// See the table.
pub(crate) fn status(call: &mut Call<'_>) -> Result<(), Failure> {
    let service = Service::of(call.env).map_or(Value::Null, |service| service.told());
    if call.parsed.has("no-probe") {
        let answer = json!({ "service": service });
        return call.answer(&answer, |_, answer| line(&answer["service"]));
    }
    let mut answer = Client::new(call)?.ask("status", &json!({}), Effect::Same)?;
    answer["service"] = service;
    answer["rpc"] = json!({ "ok": true });
    call.answer(&answer, |printer: &Printer, answer| {
        format!("{}\n{}", line(&answer["service"]), summary::lines(printer, answer))
    })
}

fn line(service: &Value) -> String {
    let text = |key: &str| service[key].as_str().unwrap_or("not known");
    if service["installed"] == true {
        return format!("service  {}: {}", Plain(text("unit")), Plain(text("active")));
    }
    "service  none is installed (`barnacle gateway install`)".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_were_written() {
        for (word, expected) in [
            ("/usr/bin/barnacle", "/usr/bin/barnacle"),
            ("/opt/a b/x", "\"/opt/a b/x\""),
            ("a%b$c\"d\\e", "\"a%%b$$c\\\"d\\\\e\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn the_unit_has_no_place_left_to_fill_in_but_these() {
        let places = UNIT.split('@').skip(1).step_by(2);
        let places: Vec<&str> = places.collect();
        assert_eq!(places, ["PROFILE", "COMMAND", "ENVIRONMENT"]);
    }
}
