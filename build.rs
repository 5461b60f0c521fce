//! Tells the program which commit it was built from, for `--version`, and when, and packs its
//! pages.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=SOURCE_COMMIT");
    println!("cargo:rustc-env=BARNACLE_COMMIT={}", commit().as_deref().unwrap_or("unknown"));
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rustc-env=BARNACLE_MADE={}", made().unwrap_or(0));
    pack("src/control/page.html", "page.html.gz");
    pack("src/control/setup.html", "setup.html.gz");
}

/// Writes `file` as gzip (RFC 1952) to where the program takes it in from.
fn pack(file: &str, packed: &str) {
    println!("cargo:rerun-if-changed={file}");
    let page = std::fs::read(file).expect("the page is there");
    // Deflate, no flags, no time, packed as small as can be, by no known system.
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    bytes.extend(miniz_oxide::deflate::compress_to_vec(&page, 10));
    bytes.extend(crc32fast::hash(&page).to_le_bytes());
    bytes.extend(u32::try_from(page.len()).expect("the page is small").to_le_bytes());
    let out = std::env::var("OUT_DIR").expect("cargo says where");
    std::fs::write(Path::new(&out).join(packed), bytes).expect("it can be written");
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

/// When it was made, in seconds of 1970, as a packager says it
/// (reproducible-builds.org/specs/source-date-epoch). Whoever builds for himself need not.
fn made() -> Option<u64> {
    std::env::var("SOURCE_DATE_EPOCH").ok()?.parse().ok()
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
