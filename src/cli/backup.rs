//! All that a gateway knows, in one file: taken, examined, put back.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::Call;
use super::parse::usage;
use crate::base::text::Plain;
use crate::ops::backup::{self, Manifest};
use crate::ops::exit::{Exit, Failure};

/// See the table.
pub(crate) fn create(call: &mut Call<'_>) -> Result<(), Failure> {
    let (output, is_verified) = (call.parsed.path("output"), call.parsed.has("verify"));
    let asked = call.common.config.as_deref();
    let created = backup::create(call.env, asked, output.as_deref(), is_verified)?;
    let mut answer = told(&created.manifest);
    answer["file"] = json!(created.file);
    answer["archiveBytes"] = created.bytes.into();
    answer["verified"] = is_verified.into();
    call.answer(&answer, |_, _| {
        let mut text = format!(
            "wrote {} ({} bytes): {}",
            Plain(&created.file.display().to_string()),
            created.bytes,
            sizes(&created.manifest)
        );
        if is_verified {
            text.push_str("; read back, and whole");
        }
        for name in &created.manifest.left_out {
            let _ = write!(text, "\nleft out: {}", Plain(name));
        }
        if !created.manifest.still {
            text.push_str("\nthe gateway wrote all the time: each file is whole, but they are of");
            text.push_str(" moments some milliseconds apart");
        }
        text + "\nThere are secrets in it: it is readable by its owner only; keep it so. Tokens \
                that come from the environment or from files of their own are not in it."
    })
}

/// See the table.
pub(crate) fn verify(call: &mut Call<'_>) -> Result<(), Failure> {
    let file = named(call)?;
    let manifest = backup::verify(Path::new(&file)).map_err(|error| {
        let text = format!("{file} is no whole backup: {error}");
        Failure::new(Exit::Refused, text, "take another copy of it, or another backup")
    })?;
    let mut answer = told(&manifest);
    answer["file"] = file.into();
    answer["ok"] = true.into();
    call.answer(&answer, |_, _| {
        format!(
            "whole: {}, taken {} on {} by {}",
            sizes(&manifest),
            Plain(&manifest.at),
            Plain(&manifest.host),
            Plain(&manifest.program)
        )
    })
}

/// See the table.
pub(crate) fn restore(call: &mut Call<'_>) -> Result<(), Failure> {
    let file = named(call)?;
    let (force, dry_run) = (call.parsed.has("force"), call.parsed.has("dry-run"));
    let asked = call.common.config.as_deref();
    let done = backup::restore(call.env, asked, Path::new(&file), force, dry_run)?;
    let mut answer = told(&done.manifest);
    answer["file"] = file.into();
    answer["restored"] = (!dry_run).into();
    answer["stateTo"] = json!(done.state);
    answer["configTo"] = json!(done.config);
    answer["aside"] = json!(done.aside);
    call.answer(&answer, |_, _| {
        let (did, to) = if dry_run { ("would restore", "would go") } else { ("restored", "is") };
        let shown = |path: &Path| Plain(&path.display().to_string()).to_string();
        let mut lines = vec![
            format!(
                "{did} {} of {}, taken {}",
                sizes(&done.manifest),
                Plain(&done.manifest.host),
                Plain(&done.manifest.at)
            ),
            format!("the state {to} in {}", shown(&done.state)),
        ];
        lines.extend(
            done.config.iter().map(|file| format!("the configuration {to} {}", shown(file))),
        );
        lines.extend(done.aside.iter().map(|dir| format!("what was there is in {}", shown(dir))));
        lines.push(
            "Run it on one host only: two gateways with one token throw each other out. What was \
             said since the backup was taken is caught up with as after an outage."
                .to_owned(),
        );
        lines.join("\n")
    })
}

fn named(call: &Call<'_>) -> Result<String, Failure> {
    let file = call.parsed.word(0).map(str::to_owned);
    file.ok_or_else(|| usage("the backup's file is needed", ""))
}

fn sizes(manifest: &Manifest) -> String {
    let bytes: u64 = manifest.files.iter().map(|item| item.bytes).sum();
    let count = manifest.files.len();
    format!("{count} file{}, {bytes} bytes", if count == 1 { "" } else { "s" })
}

fn told(manifest: &Manifest) -> Value {
    json!({ "manifest": manifest })
}
