//! The JSON schema of the configuration file, for editors: rendered from the table of keys.
//!
//! What is unknown is marked in the editor though it is only a warning here, since a typo is seen
//! best where it is made. Spellings with `_`, which are read as well, are not listed.

use serde_json::{Map, Value, json};

use super::keys::{self, KEYS, Key, Kind, Stand, Unit};

/// The schema, by the draft of 2020-12.
pub(crate) fn schema() -> Value {
    let mut definitions = Map::new();
    for target in targets() {
        definitions.insert(name_of(target), node(target));
    }
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "barnacle.json5",
        "unevaluatedProperties": false,
        "$defs": definitions,
    });
    merge(&mut schema, node(""));
    schema
}

/// The places that others are like.
fn targets() -> Vec<&'static str> {
    let mut targets: Vec<&str> = keys::likes().map(|(_, target)| target).collect();
    targets.sort_unstable();
    targets.dedup();
    targets
}

fn name_of(target: &str) -> String {
    target.replace('.', "-")
}

/// What may stand at `path`, without the bar against everything else.
fn node(path: &str) -> Value {
    let own = KEYS.iter().find(|key| key.path == path && !matches!(key.kind, Kind::Like(_)));
    if let Some(key) = own {
        return leaf(key);
    }
    let mut properties = Map::new();
    let mut schema = json!({ "type": "object" });
    let below = if path.is_empty() { String::new() } else { format!("{path}.") };
    for name in children(&below) {
        let child = closed(&format!("{below}{name}"));
        match name {
            "*" => schema["additionalProperties"] = child,
            "#" => schema = json!({ "type": "array", "items": child }),
            name => drop(properties.insert(name.to_owned(), child)),
        }
    }
    if !properties.is_empty() {
        schema["properties"] = properties.into();
    }
    schema
}

/// The same, with the bar.
fn closed(path: &str) -> Value {
    let like = keys::likes().find(|(pattern, _)| *pattern == path).map(|(_, target)| target);
    let is_defined = targets().contains(&path);
    let reference = |target: &str| json!({ "$ref": format!("#/$defs/{}", name_of(target)) });
    let mut schema = match like {
        Some(target) => {
            let mut schema = reference(target);
            if !children(&format!("{path}.")).is_empty() {
                merge(&mut schema, node(path));
            }
            describe(&mut schema, path);
            schema
        }
        None if is_defined => reference(path),
        None => node(path),
    };
    let is_object = schema["type"] == "object" || schema.get("$ref").is_some_and(is_section);
    if is_object && schema.get("additionalProperties").is_none() {
        schema["unevaluatedProperties"] = false.into();
    }
    schema
}

/// Whether a reference is to an object with keys.
fn is_section(reference: &Value) -> bool {
    let name = reference.as_str().and_then(|text| text.strip_prefix("#/$defs/"));
    targets().iter().any(|target| {
        Some(name_of(target).as_str()) == name && !children(&format!("{target}.")).is_empty()
    })
}

fn describe(schema: &mut Value, path: &str) {
    if let Some(key) = KEYS.iter().find(|key| key.path == path) {
        schema["description"] = key.doc.into();
    }
}

/// The names directly below the section that `prefix` begins.
fn children(prefix: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for key in KEYS {
        let name = key.path.strip_prefix(prefix).and_then(|rest| rest.split('.').next());
        if let Some(name) = name.filter(|name| !names.contains(name)) {
            names.push(name);
        }
    }
    names
}

fn leaf(key: &Key) -> Value {
    let doc = match key.stand {
        Stand::Works => format!("{} ({}; default: {})", key.doc, key.kind, key.default),
        Stand::Later => format!("accepted, but {}", key.doc),
        Stand::Moot => format!("not needed: {}", key.doc),
    };
    let mut schema = json!({ "description": doc });
    let or_variable = |own: Value| json!([own, { "type": "string", "pattern": r"\$\{[^}]+\}" }]);
    match key.kind {
        Kind::Flag => schema["anyOf"] = or_variable(json!({ "type": "boolean" })),
        Kind::Whole(least, most) => {
            let own = json!({ "type": "integer", "minimum": least, "maximum": most });
            schema["anyOf"] = or_variable(own);
        }
        Kind::Number(least, most) => {
            let own = json!({ "type": "number", "minimum": least, "maximum": most });
            schema["anyOf"] = or_variable(own);
        }
        Kind::Span(unit, least, most) => {
            let bare = |span: std::time::Duration| match unit {
                Unit::Millis => span.as_secs_f64() * 1000.0,
                Unit::Seconds => span.as_secs_f64(),
            };
            let own = json!({ "type": "number", "minimum": bare(least), "maximum": bare(most) });
            let text = json!({ "type": "string", "pattern": r"^\s*[0-9.]+\s*(ms|s|m|h)\s*$|\$\{" });
            schema["anyOf"] = json!([own, text]);
        }
        Kind::Text => schema["type"] = "string".into(),
        Kind::Word(words) => {
            schema["anyOf"] = or_variable(json!({ "enum": words }));
        }
        Kind::Secret | Kind::Own(_) | Kind::Like(_) | Kind::Any => {}
    }
    if key.stand == Stand::Moot {
        schema["deprecated"] = true.into();
    }
    schema
}

fn merge(into: &mut Value, other: Value) {
    if let (Some(into), Value::Object(other)) = (into.as_object_mut(), other) {
        into.extend(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the schema says at a path, its references followed.
    fn at<'s>(schema: &'s Value, path: &[&str]) -> Option<&'s Value> {
        let mut here = schema;
        for name in path {
            let below = |node: &'s Value| {
                let named = node["properties"].get(name).or(node.get("additionalProperties"));
                named.or(node.get("items"))
            };
            here = below(here).or_else(|| below(follow(schema, here)))?;
        }
        Some(follow(schema, here))
    }

    fn follow<'s>(schema: &'s Value, node: &'s Value) -> &'s Value {
        match node["$ref"].as_str() {
            Some(reference) => schema.pointer(&reference[1..]).expect("it leads somewhere"),
            None => node,
        }
    }

    #[test]
    fn every_key_of_the_table_is_in_it() {
        let schema = schema();
        for key in KEYS {
            let path: Vec<&str> = key.path.split('.').collect();
            let found = at(&schema, &path).unwrap_or_else(|| panic!("{}", key.path));
            if !matches!(key.kind, Kind::Like(_)) {
                let doc = found["description"].as_str().unwrap_or_default();
                assert!(doc.contains(key.doc), "{}: {found}", key.path);
            }
        }
        let deep = ["channels", "discord", "accounts", "work", "guilds", "1", "requireMention"];
        assert!(at(&schema, &deep).is_some());
        assert!(at(&schema, &["agents", "list", "0", "command"]).is_some());
    }

    #[test]
    fn typos_are_marked_wherever_keys_are_known() {
        let schema = schema();
        assert_eq!(schema["unevaluatedProperties"], false);
        let discord = &schema["properties"]["channels"]["properties"]["discord"];
        assert_eq!(discord["$ref"], "#/$defs/channels-discord");
        assert_eq!(discord["unevaluatedProperties"], false);
        // Entries have keys that their defaults have not, so the shared part bars nothing.
        let shared = &schema["$defs"]["agents-defaults"];
        assert!(shared.get("unevaluatedProperties").is_none());
        let entry = &schema["properties"]["agents"]["properties"]["entries"];
        assert_eq!(entry["additionalProperties"]["unevaluatedProperties"], false);
        assert!(entry["additionalProperties"]["properties"].get("default").is_some());
    }
}
