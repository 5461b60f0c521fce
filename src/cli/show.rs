//! What the gateway answered, for the eye: its state as an indented tree, its log as lines.

use std::fmt::Write as _;

use serde_json::Value;

use super::print::{Printer, Shade};

/// The levels of the log, from the gravest.
pub(crate) const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// A JSON object as lines of `name  value`, what lies within indented, short lists in one line.
/// Whatever the gateway has to tell is shown, also by a command that is older than it.
pub(crate) fn tree(printer: &Printer, value: &Value) -> String {
    let mut out = String::new();
    branch(&mut out, printer, value, 0);
    out.truncate(out.trim_end().len());
    out
}

fn branch(out: &mut String, printer: &Printer, value: &Value, depth: usize) {
    let entries: Vec<(&str, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        Value::Array(list) => list.iter().map(|value| ("-", value)).collect(),
        leaf => vec![("", leaf)],
    };
    let flat = |value| in_line(printer, value);
    let short = entries.iter().filter(|(_, value)| flat(value).is_some());
    let width = short.map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let indent = depth * 2;
    for (name, value) in entries {
        let name = printer.shade(None, name);
        if let Some(text) = flat(value) {
            let _ = writeln!(out, "{:indent$}{name:width$}  {text}", "");
        } else {
            let _ = writeln!(out, "{:indent$}{name}", "");
            branch(out, printer, value, depth + 1);
        }
    }
}

/// A value that fits into a line: a word, a number, or a list of such.
fn in_line(printer: &Printer, value: &Value) -> Option<String> {
    match value {
        Value::Object(map) if map.is_empty() => Some("-".to_owned()),
        Value::Array(list) if list.is_empty() => Some("-".to_owned()),
        Value::Object(_) => None,
        Value::Array(list) => {
            let items: Option<Vec<String>> = list
                .iter()
                .map(|item| Some(item).filter(|item| !item.is_array() && !item.is_object()))
                .map(|item| in_line(printer, item?))
                .collect();
            Some(items?.join(" "))
        }
        leaf => {
            let text = match leaf {
                Value::String(text) => text.clone(),
                Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                    Some(float) => format!("{float:.3}"),
                    None => number.to_string(),
                },
                Value::Null => "-".to_owned(),
                other => other.to_string(),
            };
            Some(printer.shade(shade(&text), &text))
        }
    }
}

/// The colour of a channel's or the gateway's state.
pub(crate) fn shade(word: &str) -> Option<Shade> {
    match word {
        "ok" | "live" | "connected" | "healthy" => Some(Shade::Good),
        "connecting" | "reconnecting" | "degraded" | "starting" => Some(Shade::Fair),
        "disconnected" | "auth_required" | "error" | "unhealthy" => Some(Shade::Bad),
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
            "late": [1, 2.0004, null],
            "none": {},
        });
        let shown = tree(&Printer::new(false), &value);
        let lines: Vec<&str> = shown.lines().collect();
        let expected = [
            "channels",
            "  discord  connected",
            "late    1 2.000 -",
            "none    -",
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
