//! What the gateway answered, for the eye: its state as an indented tree, its log as lines.

use std::fmt::Write as _;

use serde_json::{Value, json};

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

/// A line of the log.
pub(crate) enum LogLine {
    /// One that could be read.
    Read {
        /// Its number since the gateway's start.
        seq: u64,
        /// When it was said.
        at: String,
        /// How grave it is, in small letters.
        level: String,
        /// Who says it.
        target: String,
        /// What it says.
        text: String,
    },
    /// One that could not, as it came.
    Raw(String),
}

impl LogLine {
    /// Reads a line in the shape of OpenClaw's log.
    pub(crate) fn of(line: &str) -> LogLine {
        let Ok(Value::Object(fields)) = serde_json::from_str(line) else {
            return LogLine::Raw(line.to_owned());
        };
        let value = Value::Object(fields);
        let meta = &value["_meta"];
        let (Some(text), Some(level)) = (value["0"].as_str(), meta["logLevelName"].as_str()) else {
            return LogLine::Raw(line.to_owned());
        };
        let name: Value =
            serde_json::from_str(meta["name"].as_str().unwrap_or_default()).unwrap_or(Value::Null);
        LogLine::Read {
            seq: value["seq"].as_u64().unwrap_or(0),
            at: value["time"].as_str().unwrap_or("?").to_owned(),
            level: level.to_lowercase(),
            target: name["subsystem"].as_str().unwrap_or("?").to_owned(),
            text: text.to_owned(),
        }
    }

    /// As the gateway itself prints it.
    pub(crate) fn shown(&self, printer: &Printer) -> String {
        let (at, level, target, text) = match self {
            LogLine::Raw(line) => return printer.shade(None, line),
            LogLine::Read { at, level, target, text, .. } => (at, level, target, text),
        };
        let colour = match level.as_str() {
            "error" => Shade::Bad,
            "warn" => Shade::Fair,
            "info" => Shade::Good,
            _ => Shade::Faint,
        };
        format!(
            "{} {} [{}] {}",
            printer.shade(Some(Shade::Faint), at),
            printer.shade(Some(colour), &format!("{:5}", level.to_uppercase())),
            printer.shade(None, target),
            printer.shade(None, text),
        )
    }

    /// Who says it.
    pub(crate) fn target(&self) -> &str {
        match self {
            LogLine::Raw(_) => "",
            LogLine::Read { target, .. } => target,
        }
    }

    /// For programs: an object in a line.
    pub(crate) fn json(&self) -> String {
        self.value().to_string()
    }

    /// For programs.
    pub(crate) fn value(&self) -> Value {
        match self {
            LogLine::Raw(line) => json!({ "text": line }),
            LogLine::Read { seq, at, level, target, text } => {
                json!({ "seq": seq, "at": at, "level": level, "target": target, "text": text })
            }
        }
    }

    /// Whether it is as grave as `least`; one without a level is.
    pub(crate) fn is_grave(&self, least: &str) -> bool {
        let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
        let LogLine::Read { level, .. } = self else { return true };
        match (rank(level), rank(least)) {
            (Some(level), Some(least)) => level <= least,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_shows_everything_and_escapes_it() {
        let value = json!({
            "status": "ok",
            "channels": {"discord": "connected"},
            "recent": [{"code": 1005, "text": "a\nb"}],
            "late": [1, 2.0004, null],
            "none": {},
        });
        let shown = tree(&Printer::plain(), &value);
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

    fn line(level: &str) -> LogLine {
        let name = json!({ "subsystem": "discord" }).to_string();
        let line = json!({"0": "Attempting resume with backoff: 1000ms", "seq": 1,
            "_meta": {"logLevelName": level, "name": name}, "time": "2026-01-01T00:00:00.000Z"});
        LogLine::of(&line.to_string())
    }

    #[test]
    fn log_lines_look_as_the_gateway_prints_them() {
        let expected = "2026-01-01T00:00:00.000Z WARN  [discord] \
                        Attempting resume with backoff: 1000ms";
        assert_eq!(line("WARN").shown(&Printer::plain()), expected);
        let read: Value = serde_json::from_str(&line("WARN").json()).expect("JSON");
        assert_eq!((&read["level"], &read["target"]), (&json!("warn"), &json!("discord")));
        assert_eq!(LogLine::of("not\tJSON").shown(&Printer::plain()), "not\\tJSON");
    }

    #[test]
    fn a_level_admits_what_is_graver() {
        assert!(line("ERROR").is_grave("warn") && line("WARN").is_grave("warn"));
        assert!(!line("INFO").is_grave("warn") && LogLine::of("not JSON").is_grave("error"));
    }
}
