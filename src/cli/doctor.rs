//! The examination of the whole set-up.

use std::fmt::Write as _;
use std::time::Duration;

use super::Call;
use super::client::{Client, Effect};
use super::print::{Printer, Shade, Spinner};
use crate::app::{self, Findings, Verdict};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options::Doctor;

/// How long the running gateway may take to answer, unless `--timeout` says otherwise.
const PATIENCE_MS: u64 = 3_000;

/// See the table.
pub(crate) fn doctor(call: &mut Call<'_>) -> Result<(), Failure> {
    if call.parsed.has("generate-gateway-token") {
        return generate_token(call);
    }
    let running = ask_gateway(call)?;
    let fix = call.parsed.has("fix") || call.parsed.has("repair");
    let options = Doctor { common: call.common.clone(), fix };
    let examine = || app::doctor(call.env, &options, running);
    let findings = Spinner::during("examining the set-up", examine);
    if call.common.json {
        call.out.line(findings.json())?;
    } else {
        let lines = lines(&call.out, &findings);
        call.out.line(lines.trim_end())?;
    }
    match findings.exit() {
        Exit::Ok => Ok(()),
        // All that there is to say was said.
        exit => Err(Failure::new(exit, "", "")),
    }
}

/// A token for the control port, in the configuration. It is not shown.
fn generate_token(call: &mut Call<'_>) -> Result<(), Failure> {
    let token = crate::ops::state::fresh_token().map_err(|error| {
        let text = format!("the system gives no randomness: {error}");
        Failure::new(Exit::Software, text, "")
    })?;
    let (env, common) = (call.env, &call.common);
    app::settings::set(env, common, "gateway.auth.mode", "\"token\"", false)?;
    let edited = app::settings::set(env, common, "gateway.auth.token", token.expose(), false)?;
    super::settings::tell(call, &edited)
}

/// What the gateway says of itself, or why it says nothing.
fn ask_gateway(call: &Call<'_>) -> Result<Result<serde_json::Value, String>, Failure> {
    let timeout = call.parsed.number("timeout")?.unwrap_or(PATIENCE_MS);
    let mut client = Client::new(call)?;
    client.timeout = Duration::from_millis(timeout);
    let answer = client.ask("status", &serde_json::json!({}), Effect::Same);
    Ok(answer.map_err(|failure| failure.text))
}

/// A line for each finding, its cure below it.
fn lines(printer: &Printer, findings: &Findings) -> String {
    let width = findings.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut lines = String::new();
    for check in &findings.checks {
        let shade = match check.verdict {
            Verdict::Ok => Shade::Good,
            Verdict::Warn => Shade::Fair,
            Verdict::Fail => Shade::Bad,
            Verdict::Skip => Shade::Faint,
        };
        let word = printer.shade(Some(shade), &format!("{:4}", check.verdict.name()));
        let name = printer.shade(None, &check.name);
        let text = printer.shade(None, &check.text);
        let _ = writeln!(lines, "{word}  {name:width$}  {text}");
        if !check.cure.is_empty() {
            let cure = printer.shade(None, &check.cure);
            let _ = writeln!(lines, "{:6}{:width$}  -> {cure}", "", "");
        }
    }
    for done in &findings.fixed {
        let _ = writeln!(lines, "fixed: {}", printer.shade(None, done));
    }
    lines
}
