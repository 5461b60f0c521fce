//! `barnacle setup`: where the page of first contact is, and the code that opens it.

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect};
use super::print::Printer;
use crate::base::Wall;
use crate::ops::exit::Failure;

/// Prints the code and where it is typed, or that there is nothing to set up.
pub(crate) fn setup(call: &mut Call<'_>) -> Result<(), Failure> {
    let again = call.parsed.has("again");
    let answer = Client::new(call)?.ask("setup.code", &json!({ "again": again }), Effect::Same)?;
    call.answer(&answer, lines)
}

fn lines(_: &Printer, told: &Value) -> String {
    if told["open"] != true {
        let why = told["why"].as_str().unwrap_or("the gateway does not say why");
        return format!("There is nothing to set up: {why}.");
    }
    let mut lines = Vec::new();
    let urls = told["urls"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.extend(urls.iter().filter_map(Value::as_str).map(|url| format!("open:  {url}")));
    if let (Some(tunnel), Some(here)) = (told["tunnel"].as_str(), told["here"].as_str()) {
        lines.push(format!("by ssh: {tunnel}, and open {here} there"));
    }
    let code = told["code"].as_str().unwrap_or_default();
    let (first, second) = code.split_at_checked(code.len() / 2).unwrap_or((code, ""));
    let until = told["expiresAtMs"].as_u64().map(|until| format!("  (until {})", Wall(until)));
    lines.push(format!("code:  {first}-{second}{}", until.unwrap_or_default()));
    if told["readable"] == true {
        lines.push(
            "On the network the page is plain HTTP: everybody there can read what is typed, the \
             token too. By ssh nobody can."
                .to_owned(),
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::config::Env;

    #[test]
    fn the_code_is_told_with_where_to_type_it_or_why_there_is_none() {
        let out = Printer::new(&Env::default(), false);
        let told = json!({
            "open": true, "code": "ABCDEFGH", "expiresAtMs": 1_790_000_000_000_u64,
            "urls": ["http://b.local:18790/setup"], "here": "http://127.0.0.1:18789/setup",
            "tunnel": "ssh -N -L 18789:127.0.0.1:18789 USER@b.local", "readable": true,
        });
        let text = lines(&out, &told);
        assert!(text.contains("code:  ABCD-EFGH  (until 2026-"), "{text}");
        assert!(text.contains("open:  http://b.local:18790/setup\n"), "{text}");
        assert!(text.contains("plain HTTP") && text.contains("ssh -N -L"), "{text}");
        let text = lines(&out, &json!({ "open": false, "why": "it has a token" }));
        assert_eq!(text, "There is nothing to set up: it has a token.");
    }
}
