//! What is kept about a person.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect};
use super::parse::usage;
use super::print::Printer;
use crate::base::text::Plain;
use crate::ops::exit::{Exit, Failure};

/// `barnacle person export`.
pub(crate) fn export(call: &mut Call<'_>) -> Result<(), Failure> {
    let person = call.parsed.word(0).unwrap_or_default().to_owned();
    let output = call.parsed.text("output");
    let client = Client::new(call)?;
    let mut params = json!({ "person": person });
    let mut all = client.ask("person.export", &params, Effect::Same)?;
    while let Some(next) = all["next"].as_u64() {
        params["from"] = next.into();
        let mut more = client.ask("person.export", &params, Effect::Same)?;
        if let (Some(lines), Value::Array(more)) =
            (all["lines"].as_array_mut(), more["lines"].take())
        {
            lines.extend(more);
        }
        all["next"] = more["next"].take();
    }
    if let Some(map) = all.as_object_mut() {
        map.remove("next");
    }
    let text = format!("{all:#}\n");
    let Some(output) = output else {
        return call.answer(&all, move |_, _| text.trim_end().to_owned());
    };
    // It is nobody else's.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&output);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let cure = "name a file that is not there yet, in a directory that is yours";
        Failure::new(Exit::State, format!("{output} cannot be written: {error}"), cure)
    })?;
    let lines = all["lines"].as_array().map_or(0, Vec::len);
    let answer = json!({ "ok": true, "file": output, "lines": lines });
    call.answer(&answer, |_, answer| {
        let file = Plain(answer["file"].as_str().unwrap_or_default()).to_string();
        format!("{} lines and all else that is kept are in {file}", answer["lines"])
    })
}

/// `barnacle person forget`.
pub(crate) fn forget(call: &mut Call<'_>) -> Result<(), Failure> {
    let person = call.parsed.word(0).unwrap_or_default().to_owned();
    if !call.parsed.has("yes") {
        let cure = "`barnacle person export` first, if it is to be kept; then add --yes";
        return Err(usage("what is forgotten cannot be had back", cure));
    }
    let params = json!({ "person": person, "confirm": true });
    let answer = Client::new(call)?.ask("person.forget", &params, Effect::Same)?;
    call.answer(&answer, shown)
}

fn shown(_: &Printer, answer: &Value) -> String {
    let mut said = format!(
        "forgotten: {}\n  transcripts: {} bytes; notes: {}; jobs: {}; files put aside: {}\n",
        Plain(answer["person"].as_str().unwrap_or("?")),
        answer["transcriptBytes"],
        answer["notes"],
        answer["jobs"],
        answer["damagedFiles"],
    );
    for (account, gone) in answer["accounts"].as_object().into_iter().flatten() {
        let _ = writeln!(
            said,
            "  {}: {} records of messages, {} of pairing, {} of the trail",
            Plain(account),
            gone["messages"],
            gone["pairing"],
            gone["trail"]
        );
    }
    for (what, list) in [
        ("still named in the configuration, which is yours to change", "configuration"),
        ("out of reach", "notHere"),
    ] {
        let list: Vec<&str> =
            answer[list].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !list.is_empty() {
            let _ = writeln!(said, "{what}:");
            for one in list {
                let _ = writeln!(said, "  {}", Plain(one));
            }
        }
    }
    said.trim_end().to_owned()
}
