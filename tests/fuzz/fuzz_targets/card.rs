//! Whatever is on an image's boot partition: it is read in bounded time, nothing of it gets out of
//! the place that it belongs to, and what was taken over is gone from the file that is put back.
#![no_main]

use std::collections::BTreeMap;

use barnacle::base::Secret;
use barnacle::core::appliance::{Card, Content, File, Host, Knowledge, Plan, Step, plan, report};
use libfuzzer_sys::fuzz_target;

fn planned(files: BTreeMap<File, Content>) -> Plan {
    let zone = |text: &str| match text {
        "Europe/Berlin" => Ok(text.to_owned()),
        _ => Err("no zone".to_owned()),
    };
    let token = |text: &str| {
        let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        is_plain.then(|| Secret::new(text))
    };
    let knowledge = Knowledge { zone: &zone, token: &token, configuration: &|_| Ok(Vec::new()) };
    plan(&Card { files, strays: Vec::new() }, &Host::default(), &knowledge)
}

fn sound(plan: &Plan) {
    for step in &plan.steps {
        match step {
            Step::Write { path, bytes, .. } => {
                assert!(path.starts_with("/etc/") && !path.contains("/.."), "{path}");
                let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
                let is_long = ["barnacle.json5", "authorized_keys.d/"];
                assert!(is_long.iter().any(|part| path.contains(part)) || lines <= 10, "{path}");
            }
            Step::Link { path, target } => {
                assert!(path == "/etc/localtime" && target.ends_with("/Europe/Berlin"));
            }
            Step::Directory { path, .. } => assert!(path.starts_with('/')),
            Step::Run { words, input } => {
                let is_plain = |word: &String| word.bytes().all(|b| b.is_ascii_graphic());
                assert!(words.iter().all(is_plain), "{words:?}");
                assert!(input.as_ref().is_none_or(|input| !input.expose().contains('\n')));
            }
            Step::Hostname(name) => assert!(!name.is_empty() && name.len() <= 63),
        }
    }
    let report = report(plan, &[]).unwrap_or_default();
    assert!(!report.replace('\n', "").contains(char::is_control), "{report:?}");
}

// Two zeros end a file, since one is what garbage has.
fuzz_target!(|input: &[u8]| {
    let mut files = BTreeMap::new();
    let mut rest = input;
    for file in [File::Settings, File::User, File::Network, File::Keys] {
        let end = rest.windows(2).position(|pair| pair == [0, 0]).unwrap_or(rest.len());
        let (bytes, after) = rest.split_at(end);
        files.insert(file, Content::Bytes(bytes.to_vec()));
        rest = after.get(2..).unwrap_or_default();
    }
    let first = planned(files);
    sound(&first);
    if first.wipes.contains(&File::Settings) {
        let left = Content::Bytes(first.settings);
        let second = planned(BTreeMap::from([(File::Settings, left)]));
        assert!(second.taken.is_empty() && second.wipes.is_empty(), "{:?}", second.taken);
    }
});
