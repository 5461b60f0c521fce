//! Whether the arguments of a call are what its tool's JSON schema asks for, told so that a model
//! can correct itself.
//!
//! Of JSON schema is looked at what tools use: `type`, `properties`, `required`,
//! `additionalProperties: false`, `enum`, `minimum`, `maximum`, `minLength`, `maxLength`, `items`,
//! `minItems` and `maxItems`. Whatever else a schema says is left to the tool itself.

use serde_json::{Map, Value};

use super::Call;
use crate::base::limits::{LLM_CALL_BYTES_MAX, TOOL_MISTAKES_MAX, TOOL_SCHEMA_DEPTH_MAX};
use crate::base::text::{Plain, truncate};

/// Of a value, so much is said back.
const SHOWN_BYTES_MAX: usize = 60;

/// The arguments of `call`, if they fit `schema`.
///
/// # Errors
/// They do not: what is wrong, in a sentence for the model.
pub fn arguments(call: &Call, schema: &Value) -> Result<Value, String> {
    if call.is_overlong {
        let bytes = LLM_CALL_BYTES_MAX / 1024;
        return Err(format!("the arguments are longer than {bytes} KiB, and were not read"));
    }
    let input = if call.input.trim().is_empty() { "{}" } else { &call.input };
    let value: Value = serde_json::from_str(input)
        .map_err(|error| format!("the arguments are no valid JSON: {error}"))?;
    if !value.is_object() {
        return Err(format!("the arguments have to be an object, not {}", kind(&value)));
    }
    let mut mistakes = Mistakes::default();
    look(&value, schema, "", 0, &mut mistakes);
    if mistakes.0.is_empty() { Ok(value) } else { Err(mistakes.0.join("; ")) }
}

/// What is wrong, the first few of it.
#[derive(Default)]
struct Mistakes(Vec<String>);

impl Mistakes {
    fn add(&mut self, at: &str, what: &str) {
        if self.0.len() < TOOL_MISTAKES_MAX {
            let at = if at.is_empty() { "the arguments" } else { at };
            self.0.push(format!("{at}: {what}"));
        }
    }
}

fn look(value: &Value, schema: &Value, at: &str, depth: usize, mistakes: &mut Mistakes) {
    if depth > TOOL_SCHEMA_DEPTH_MAX {
        return;
    }
    if let Some(wanted) = schema.get("type") {
        let names: Vec<&str> = match wanted {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !names.is_empty() && !names.iter().any(|name| is_a(value, name)) {
            let wanted = names.join(" or ");
            return mistakes.add(at, &format!("has to be {wanted}, not {}", kind(value)));
        }
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array)
        && !options.contains(value)
    {
        let options: Vec<String> = options.iter().map(Value::to_string).collect();
        return mistakes.add(at, &format!("has to be one of {}", options.join(", ")));
    }
    match value {
        Value::Object(map) => object(map, schema, at, depth, mistakes),
        Value::Array(items) => {
            let count = counted(items.len());
            bounds(count, schema, ["minItems", "maxItems"], "items", at, mistakes);
            if let Some(of) = schema.get("items") {
                for (number, item) in items.iter().enumerate() {
                    look(item, of, &format!("{at}[{number}]"), depth + 1, mistakes);
                }
            }
        }
        Value::String(text) => {
            let length = counted(text.chars().count());
            bounds(length, schema, ["minLength", "maxLength"], "characters", at, mistakes);
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            bounds(number, schema, ["minimum", "maximum"], "", at, mistakes);
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// A count, as it is compared with bounds; what is too large for it is refused long before.
fn counted(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn object(
    map: &Map<String, Value>,
    schema: &Value,
    at: &str,
    depth: usize,
    mistakes: &mut Mistakes,
) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let below = |name: &str| match at {
        "" => name.to_owned(),
        at => format!("{at}.{name}"),
    };
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            mistakes.add(&below(name), "is missing");
        }
    }
    for (name, value) in map {
        match properties.and_then(|properties| properties.get(name)) {
            // Models write null for what they leave out.
            Some(_) if value.is_null() && !is_required(required, name) => {}
            Some(of) => look(value, of, &below(name), depth + 1, mistakes),
            None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                let known = properties.into_iter().flatten().map(|(name, _)| name.as_str());
                let known = known.collect::<Vec<_>>().join(", ");
                let name = Plain(truncate(name, SHOWN_BYTES_MAX)).to_string();
                let known = if known.is_empty() { "none".to_owned() } else { known };
                mistakes.add(&below(&name), &format!("there is no such argument, only {known}"));
            }
            None => {}
        }
    }
}

fn is_required(required: Option<&Vec<Value>>, name: &str) -> bool {
    required.is_some_and(|required| required.iter().any(|known| known == name))
}

fn bounds(
    number: f64,
    schema: &Value,
    [least, most]: [&str; 2],
    what: &str,
    at: &str,
    mistakes: &mut Mistakes,
) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let what = if what.is_empty() { String::new() } else { format!(" {what}") };
    if let Some(least) = bound(least).filter(|least| number < *least) {
        mistakes.add(at, &format!("has to be at least {least}{what}"));
    }
    if let Some(most) = bound(most).filter(|most| number > *most) {
        mistakes.add(at, &format!("has to be at most {most}{what}"));
    }
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        // 3.0 is an integer, too (JSON Schema, "integer").
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        // A kind that we do not know is the tool's own matter.
        _ => true,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "an object",
        Value::Array(_) => "an array",
        Value::String(_) => "a string",
        Value::Bool(_) => "a boolean",
        Value::Null => "null",
        Value::Number(_) => "a number",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(input: &str, schema: &Value) -> Result<Value, String> {
        arguments(&Call { input: input.into(), ..Call::default() }, schema)
    }

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "text": {"type": "string", "minLength": 1, "maxLength": 5},
                "count": {"type": "integer", "minimum": 1, "maximum": 9},
                "how": {"enum": ["fast", "slow"]},
                "list": {"type": "array", "maxItems": 2, "items": {"type": "string"}},
                "deep": {"type": "object", "required": ["x"]},
            },
            "required": ["text"],
            "additionalProperties": false,
        })
    }

    #[test]
    fn arguments_that_fit_are_given_and_null_is_nothing() {
        let whole = r#"{"text":"a","count":3.0,"how":"slow","list":["b"],"deep":{"x":1,"y":2}}"#;
        assert_eq!(asked(whole, &schema()), Ok(serde_json::from_str(whole).unwrap()));
        assert!(asked(r#"{"text":"a","count":null}"#, &schema()).is_ok());
        assert_eq!(asked("  ", &json!({"type": "object"})), Ok(json!({})));
    }

    #[test]
    fn each_mistake_is_told_with_its_place() {
        for (input, told) in [
            ("{", "no valid JSON"),
            ("[1]", "have to be an object, not an array"),
            ("{}", "text: is missing"),
            (r#"{"text":null}"#, "text: has to be string, not null"),
            (r#"{"text":7}"#, "text: has to be string, not a number"),
            (r#"{"text":""}"#, "text: has to be at least 1 characters"),
            (r#"{"text":"äöüäöü"}"#, "text: has to be at most 5 characters"),
            (r#"{"text":"a","count":"3"}"#, "count: has to be integer, not a string"),
            (r#"{"text":"a","count":1.5}"#, "count: has to be integer, not a number"),
            (r#"{"text":"a","count":10}"#, "count: has to be at most 9"),
            (r#"{"text":"a","how":"x"}"#, r#"how: has to be one of "fast", "slow""#),
            (r#"{"text":"a","list":["a","b","c"]}"#, "list: has to be at most 2 items"),
            (r#"{"text":"a","list":[1]}"#, "list[0]: has to be string, not a number"),
            (r#"{"text":"a","deep":{}}"#, "deep.x: is missing"),
            (r#"{"text":"a","user":1}"#, "user: there is no such argument, only count, deep"),
        ] {
            let answer = asked(input, &schema()).expect_err(input);
            assert!(answer.contains(told), "{input}: {answer}");
        }
        let overlong = Call { is_overlong: true, ..Call::default() };
        assert!(arguments(&overlong, &schema()).unwrap_err().contains("longer than 256 KiB"));
    }

    #[test]
    fn however_much_is_wrong_little_is_told_and_depth_is_bounded() {
        let many: Map<String, Value> = (0..5000).map(|n| (format!("a{n}"), json!(1))).collect();
        let told = asked(&Value::Object(many).to_string(), &schema()).unwrap_err();
        assert!(told.len() < 1000, "{told}");
        let mut deep = json!({"type": "array"});
        for _ in 0..100 {
            deep = json!({"type": "array", "items": deep});
        }
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        let schema = json!({"properties": {"a": deep}});
        assert!(asked(&nested, &schema).is_ok());
    }
}
