//! Tells the program which commit it was built from, for `--version`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=SOURCE_COMMIT");
    println!("cargo:rustc-env=BARNACLE_COMMIT={}", commit().as_deref().unwrap_or("unknown"));
}

/// What a packager names in `SOURCE_COMMIT`, else what git says; a source archive has neither.
fn commit() -> Option<String> {
    if let Ok(named) = std::env::var("SOURCE_COMMIT") {
        return named.chars().all(|c| c.is_ascii_graphic()).then_some(named);
    }
    watch(&git(&["rev-parse", "--git-path", "HEAD"])?);
    // HEAD changes on checkout; on a commit, only the branch that it names does.
    if let Some(branch) = git(&["symbolic-ref", "-q", "HEAD"]) {
        watch(&git(&["rev-parse", "--git-path", &branch])?);
    }
    watch(&git(&["rev-parse", "--git-path", "packed-refs"])?);
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// Cargo takes a file that does not exist for one that has changed.
fn watch(path: &str) {
    if Path::new(path).exists() {
        println!("cargo:rerun-if-changed={path}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}
