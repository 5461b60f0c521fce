//! Care of the set-up: what others could get at, how it is updated, what the host's clients see.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect};
use super::parse::usage;
use super::print::{Field, Printer, Shade, Table};
use super::show;
use crate::app::audit::{self, Audit, Severity};
use crate::ops::config;
use crate::ops::exit::{Exit, Failure};

/// See the table.
pub(crate) fn audit(call: &mut Call<'_>) -> Result<(), Failure> {
    let audit = audit::audit(call.env, &call.common, call.parsed.has("fix"));
    call.answer(&audit.json(), |printer, _| lines(printer, &audit))?;
    if audit.is_critical() { Err(Failure::new(Exit::Config, "", "")) } else { Ok(()) }
}

fn lines(printer: &Printer, audit: &Audit) -> String {
    let mut table = Table::new(&["HOW BAD", "WHAT"]);
    for finding in &audit.findings {
        let shade = match finding.severity {
            Severity::Critical => Shade::Bad,
            Severity::Warn => Shade::Fair,
            Severity::Info => Shade::Faint,
        };
        // Long ones are read to their end: they are findings, not columns.
        let word = Field::of(Some(shade), finding.severity.name());
        table.row([word, Field::from(finding.id)]);
        table.note(finding.text.clone());
        table.note(format!("-> {}", finding.cure));
    }
    let mut out = table.show(printer);
    for done in &audit.fixed {
        let _ = writeln!(out, "fixed: {}", printer.shade(None, done));
    }
    if audit.findings.is_empty() {
        out.push_str("nothing is open that should not be\n");
    }
    out
}

/// How an installation is updated.
struct Way {
    kind: &'static str,
    command: &'static str,
}

/// See the table.
pub(crate) fn update(call: &mut Call<'_>) -> Result<(), Failure> {
    let program = config::program()
        .map_err(|error| Failure::new(Exit::Software, format!("where am I? {error}"), ""))?;
    let way = way(&program, |path| Path::new(path).exists());
    let answer = json!({
        "ok": false,
        "version": crate::ops::version(),
        "program": program,
        "kind": way.kind,
        "command": way.command,
    });
    let shown = program.display().to_string();
    call.answer(&answer, |printer, _| {
        format!(
            "barnacle {} at {} ({})\nto update it: {}\nthen: barnacle gateway restart     \
             (sessions are resumed, no message is missed)",
            crate::ops::version(),
            printer.shade(None, &shown),
            way.kind,
            way.command
        )
    })?;
    // Nothing was updated, and a script shall not think so.
    Err(Failure::new(Exit::Refused, "", ""))
}

fn way(program: &Path, exists: impl Fn(&str) -> bool) -> Way {
    let path = program.to_string_lossy();
    let way = |kind, command| Way { kind, command };
    let is_container = exists("/.dockerenv") || exists("/run/.containerenv");
    if is_container && ["/usr/", "/app/", "/barnacle"].iter().any(|dir| path.starts_with(dir)) {
        return way("container", "pull a newer image, and start the container anew from it");
    }
    if path.starts_with("/nix/") {
        return way("nix", "nix profile upgrade barnacle");
    }
    if path.contains("/.cargo/bin/") {
        return way("cargo", "cargo install --locked barnacle");
    }
    let is_packaged = path.starts_with("/usr/bin/") || path.starts_with("/usr/sbin/");
    if is_packaged {
        for (mark, kind, command) in [
            ("/usr/bin/apt", "deb", "sudo apt update && sudo apt install barnacle"),
            ("/usr/bin/dnf", "rpm", "sudo dnf upgrade barnacle"),
            ("/usr/bin/zypper", "rpm", "sudo zypper update barnacle"),
            ("/usr/bin/pacman", "pacman", "sudo pacman -Syu barnacle"),
            ("/sbin/apk", "apk", "sudo apk upgrade barnacle"),
        ] {
            if exists(mark) {
                return way(kind, command);
            }
        }
    }
    way("by hand", "put the new file in the place of the old one (mv, not cp: the old one runs)")
}

/// See the table.
pub(crate) fn presence(call: &mut Call<'_>) -> Result<(), Failure> {
    let answer = Client::new(call)?.ask("system-presence", &json!({}), Effect::Same)?;
    call.answer(&answer, |printer, answer| {
        let mut table = Table::new(&["WHO", "WHAT"]);
        for one in answer.as_array().into_iter().flatten() {
            let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            let who = ["instanceId", "host", "mode"].map(text);
            let who = who.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
            table.row([who.into(), text("text").into()]);
        }
        if table.is_empty() { "nobody else is connected".to_owned() } else { table.show(printer) }
    })
}

/// See the table.
pub(crate) fn heartbeat(call: &mut Call<'_>) -> Result<(), Failure> {
    if call.parsed.word(0) != Some("last") {
        return Err(usage("`system heartbeat` needs another word: last", ""));
    }
    let answer = Client::new(call)?.ask("last-heartbeat", &json!({}), Effect::Same)?;
    call.answer(&answer, |printer, answer| match answer {
        Value::Null => "no heartbeat of an agent has been".to_owned(),
        answer => show::tree(printer, answer),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_an_update_follows_from_where_the_program_is() {
        let kind = |path: &str, there: &[&str]| way(Path::new(path), |p| there.contains(&p)).kind;
        assert_eq!(kind("/usr/bin/barnacle", &["/usr/bin/apt"]), "deb");
        assert_eq!(kind("/usr/bin/barnacle", &["/usr/bin/dnf"]), "rpm");
        assert_eq!(kind("/usr/bin/barnacle", &[]), "by hand");
        assert_eq!(kind("/usr/local/bin/barnacle", &["/usr/bin/apt"]), "by hand");
        assert_eq!(kind("/x/.cargo/bin/barnacle", &["/usr/bin/apt"]), "cargo");
        assert_eq!(kind("/usr/bin/barnacle", &["/.dockerenv", "/usr/bin/apt"]), "container");
        assert_eq!(kind("/nix/store/x/bin/barnacle", &[]), "nix");
    }
}
