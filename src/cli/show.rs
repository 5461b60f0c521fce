//! What the gateway answered, for the eye: its state as an indented tree, its log as lines.

use std::fmt::Write as _;

use serde_json::Value;

use super::print::{Printer, Shade};

/// The levels of the log, from the gravest.
pub(crate) const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// A JSON object as lines of `name  value`, what lies within indented. Whatever the gateway has
/// to tell is shown, also by a command that is older than it.
pub(crate) fn tree(printer: &Printer, value: &Value) -> String {
    let mut out = String::new();
    branch(&mut out, printer, value, 0);
    out.truncate(out.trim_end().len());
    out
}

fn branch(out: &mut String, printer: &Printer, value: &Value, depth: usize) {
    let entries: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(list) => list.iter().map(|value| ("-".to_owned(), value)).collect(),
        leaf => vec![(String::new(), leaf)],
    };
    let is_leaf = |value: &Value| !matches!(value, Value::Object(_) | Value::Array(_));
    let leaves = entries.iter().filter(|(_, value)| is_leaf(value));
    let width = leaves.map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in entries {
        let indent = depth * 2;
        let name = printer.shade(None, &name);
        if is_leaf(value) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let shown = printer.shade(shade(&text), &text);
            let _ = writeln!(out, "{:indent$}{name:width$}  {shown}", "");
        } else {
            let _ = writeln!(out, "{:indent$}{name}", "");
            branch(out, printer, value, depth + 1);
        }
    }
}

/// The colour of a channel's or the gateway's state.
fn shade(word: &str) -> Option<Shade> {
    match word {
        "ok" | "live" | "connected" | "healthy" => Some(Shade::Good),
        "connecting" | "reconnecting" | "degraded" | "starting" => Some(Shade::Fair),
        "disconnected" | "auth_required" | "error" | "unhealthy" => Some(Shade::Bad),
        "null" => Some(Shade::Faint),
        _ => None,
    }
}

/// A line of the log as the gateway itself prints it. What is not a line of its log is shown as
/// it came.
pub(crate) fn log_line(printer: &Printer, line: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else {
        return printer.shade(None, line);
    };
    let field = |name| fields.get(name).and_then(Value::as_str).unwrap_or("?");
    let level = field("level");
    let colour = match level {
        "error" => Shade::Bad,
        "warn" => Shade::Fair,
        "info" => Shade::Good,
        _ => Shade::Faint,
    };
    format!(
        "{} {} [{}] {}",
        printer.shade(Some(Shade::Faint), field("at")),
        printer.shade(Some(colour), &format!("{:5}", level.to_uppercase())),
        printer.shade(None, field("target")),
        printer.shade(None, field("text")),
    )
}

/// Whether a line is as grave as `least`; one without a level is.
pub(crate) fn is_grave(line: &str, least: &str) -> bool {
    let rank = |level: &str| LEVELS.iter().position(|known| known.eq_ignore_ascii_case(level));
    let fields: Option<Value> = serde_json::from_str(line).ok();
    let level = fields.as_ref().and_then(|fields| fields.get("level")?.as_str());
    match (level.and_then(rank), rank(least)) {
        (Some(level), Some(least)) => level <= least,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tree_shows_everything_and_escapes_it() {
        let value = json!({
            "status": "ok",
            "channels": {"discord": "connected"},
            "recent": [{"code": 1005, "text": "a\nb"}],
        });
        let shown = tree(&Printer::new(false), &value);
        let lines: Vec<&str> = shown.lines().collect();
        let expected = [
            "channels",
            "  discord  connected",
            "recent",
            "  -",
            "    code  1005",
            "    text  a\\nb",
            "status  ok",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn log_lines_look_as_the_gateway_prints_them() {
        let line = json!({"seq": 1, "at": "2026-01-01T00:00:00.000Z", "level": "warn",
            "target": "discord", "text": "Attempting resume with backoff: 1000ms"});
        let shown = log_line(&Printer::new(false), &line.to_string());
        let expected = "2026-01-01T00:00:00.000Z WARN  [discord] \
                        Attempting resume with backoff: 1000ms";
        assert_eq!(shown, expected);
        assert_eq!(log_line(&Printer::new(false), "not\tJSON"), "not\\tJSON");
    }

    #[test]
    fn a_level_admits_what_is_graver() {
        let line = |level: &str| json!({ "level": level }).to_string();
        assert!(is_grave(&line("error"), "warn") && is_grave(&line("warn"), "warn"));
        assert!(!is_grave(&line("info"), "warn") && is_grave("not JSON", "error"));
    }
}
