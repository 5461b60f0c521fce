//! The rules of the house, kept by the test suite: who may import whom, what is said where, and
//! how large things may grow. Every rule is a function of a file's path and text, and brings texts
//! that it must find fault with and texts that it must leave alone.

use std::path::Path;

#[path = "tidy/source.rs"]
mod source;

use source::{
    Source, function_end, has_extension, is_recorded, is_rust, paths_from_root, says, words,
};

/// Columns of a line.
const COLUMNS_MAX: usize = 100;
/// Lines of a function.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 700;

/// What may stand at the top of the repository, besides dot files.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "cross",
    "packaging",
    "systemd",
    "tests",
    "benches",
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "build.rs",
    "rustfmt.toml",
    "clippy.toml",
];

/// The layers bottom-up, and what each may import besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("proto", &["base"]),
    ("core", &["base", "proto::llm", "proto::control"]),
    ("rt", &["base", "proto"]),
    ("channels", &["base", "proto", "core", "rt"]),
    ("agent", &["base", "proto", "core", "rt"]),
    ("control", &["base", "proto", "core", "rt"]),
    ("sandbox", &["base", "proto", "rt"]),
    ("ops", &["base", "proto", "core", "rt", "channels", "agent", "control", "sandbox"]),
    ("app", &["base", "proto", "core", "rt", "channels", "agent", "control", "sandbox", "ops"]),
    ("cli", &["base", "proto::control", "rt", "ops", "app"]),
];

/// Words that only some rooms may say.
const BANS: &[Ban] = &[
    Ban {
        words: &["Instant::now", "SystemTime::now"],
        rooms: &["src/rt/clock.rs"],
        fix: "take the time as an argument, or ask rt::clock",
    },
    Ban {
        words: &["std::env"],
        rooms: &["src/app.rs", "src/ops/config/"],
        fix: "take the value from ops::config::Env",
    },
    Ban {
        words: &["println!", "eprintln!", "print!", "eprint!"],
        rooms: &["src/cli/print.rs", "src/main.rs"],
        fix: "log it, or hand it to cli::print",
    },
    Ban {
        words: &["process::exit"],
        rooms: &["src/main.rs"],
        fix: "return an error; only main ends the process",
    },
    Ban { words: &[".unwrap()"], rooms: &[], fix: "handle it, or expect it with a reason" },
];

struct Ban {
    words: &'static [&'static str],
    rooms: &'static [&'static str],
    fix: &'static str,
}

/// One rule, with proof that it bites and that it lets go.
struct Rule {
    name: &'static str,
    find: fn(&Source) -> Vec<Finding>,
    bites: fn() -> Vec<(&'static str, String)>,
    passes: fn() -> Vec<(&'static str, String)>,
}

/// A line, counted from 1, and what to do about it.
type Finding = (usize, String);

const RULES: &[Rule] = &[
    Rule {
        name: "layers",
        find: layers,
        bites: || {
            vec![
                ("src/base/a.rs", "use crate::rt::clock;".into()),
                ("src/core/a.rs", "fn f() { crate::proto::json::read() }".into()),
                ("src/core/a.rs", "use crate::proto;".into()),
                ("src/rt/mod.rs", "use super::core::chat;".into()),
                ("src/rt/net/tcp.rs", "use super::super::super::core::chat;".into()),
                ("src/channels/a.rs", "use crate::{base::Rng, ops::config::Config};".into()),
                ("src/proto/a.rs", "use crate::{\n    base,\n    core::{chat, turn},\n};".into()),
                ("src/agent/a.rs", "pub use crate::channels::discord;".into()),
                ("src/app.rs", "use crate::cli::print;".into()),
                ("src/attic/a.rs", "use std::fmt;".into()),
            ]
        },
        passes: || {
            vec![
                ("src/core/a.rs", "use crate::base::Rng; use crate::proto::llm::Words;".into()),
                ("src/core/a.rs", "use crate::{base, proto::{llm, control}, core::turn};".into()),
                ("src/rt/net/tcp.rs", "use super::super::clock; use crate::rt::fs;".into()),
                ("src/base/a.rs", "/// See [`crate::rt::clock`].\nlet s = \"crate::rt\";".into()),
                ("src/base/a.rs", "#[cfg(test)]\nmod tests {\n use crate::rt::clock;\n}".into()),
                ("src/lib.rs", "mod cli; pub fn main() { crate::cli::main() }".into()),
                ("src/app.rs", "use crate::channels::discord;".into()),
                ("tests/a.rs", "use barnacle::core::chat;".into()),
            ]
        },
    },
    Rule {
        name: "bans",
        find: bans,
        bites: || {
            vec![
                ("src/channels/a.rs", "let now = std::time::Instant::now();".into()),
                ("src/rt/a.rs", "SystemTime::now()".into()),
                ("src/agent/a.rs", "use std::env;".into()),
                ("src/ops/health.rs", "println!(\"well\");".into()),
                ("src/cli/mod.rs", "eprint!(\"no\")".into()),
                ("src/app.rs", "std::process::exit(1)".into()),
                ("src/rt/a.rs", "let x = file\n    .read()\n    .unwrap();".into()),
                ("src/rt/a.rs", "#[cfg(test)]\nmod tests;\nmod b;\nfn f() { g().unwrap() }".into()),
            ]
        },
        passes: || {
            vec![
                ("src/rt/clock.rs", "Instant::now()".into()),
                ("src/ops/config/env.rs", "std::env::vars_os()".into()),
                ("src/cli/print.rs", "println!()".into()),
                ("src/rt/a.rs", "my_println!(); x.unwrap_or(1); env!(\"X\")".into()),
                (
                    "src/rt/a.rs",
                    "// println! and .unwrap() are banned\nlet s = \"std::env\";".into(),
                ),
                ("src/rt/a.rs", "#[cfg(test)]\nmod tests {\n fn f() { g().unwrap() }\n}".into()),
                ("src/rt/net/tests.rs", "fn f() { g().unwrap() }".into()),
                ("tests/system/main.rs", "std::env::temp_dir(); Instant::now()".into()),
            ]
        },
    },
    Rule {
        name: "async",
        find: pure,
        bites: || {
            vec![
                ("src/core/a.rs", "pub async fn run() {}".into()),
                ("src/proto/a.rs", "reader.read().await?;".into()),
                ("src/base/a.rs", "let f = async move { 1 };".into()),
            ]
        },
        passes: || {
            vec![
                ("src/rt/a.rs", "pub async fn run() { f().await }".into()),
                ("src/core/a.rs", "// async is for rt\nlet is_async_word = awaited;".into()),
            ]
        },
    },
    Rule {
        name: "leftovers",
        find: leftovers,
        bites: || {
            vec![
                ("src/rt/a.rs", "fn later() { todo!() }".into()),
                ("tests/a.rs", "dbg!(x);".into()),
                ("benches/a.rs", "unimplemented!()".into()),
            ]
        },
        passes: || vec![("src/rt/a.rs", "// nothing todo! here\nlet todo = \"dbg!\";".into())],
    },
    Rule {
        name: "columns",
        find: columns,
        bites: || {
            vec![
                ("src/rt/a.rs", format!("// {}", "x".repeat(COLUMNS_MAX - 2))),
                ("README.md", "word ".repeat(30).trim().to_owned()),
            ]
        },
        passes: || {
            vec![
                ("src/rt/a.rs", format!("// {}", "ü".repeat(COLUMNS_MAX - 3))),
                ("README.md", format!("| {} |", "cell ".repeat(30).trim())),
                ("README.md", format!("[1]: https://example.org/{}", "x".repeat(100))),
                ("tests/data/a.json", "x".repeat(500)),
                ("Cargo.lock", "x".repeat(500)),
            ]
        },
    },
    Rule {
        name: "line ends",
        find: line_ends,
        bites: || {
            vec![
                ("src/rt/a.rs", "let x = 1; \n".into()),
                ("README.md", "text\t\nmore\n".into()),
                ("tests/run", "echo\r\n".into()),
                ("src/rt/a.rs", "no line break at the end".into()),
            ]
        },
        passes: || {
            vec![
                ("src/rt/a.rs", "let x = 1;\n\n".into()),
                ("a.rs", String::new()),
                ("tests/fuzz/corpus/json/a", "\r\n ".into()),
            ]
        },
    },
    Rule {
        name: "function length",
        find: functions,
        bites: || {
            let long = "    step();\n".repeat(FUNCTION_LINES_MAX - 1);
            vec![
                (
                    "src/rt/a.rs",
                    format!("fn f(a: [u8; 2]) -> u8\nwhere\n    A: B,\n{{\n{long}}}\n"),
                ),
                ("tests/a.rs", format!("mod m {{\n    fn f() {{\n{long}    }}\n}}\n")),
            ]
        },
        passes: || {
            let full = "    step();\n".repeat(FUNCTION_LINES_MAX - 2);
            vec![
                ("src/rt/a.rs", format!("fn f() {{\n{full}}}\nfn g() {{\n{full}}}\n")),
                ("src/rt/a.rs", format!("trait T {{\n    fn f(&self);\n{}}}", "\n".repeat(80))),
                ("src/rt/a.rs", format!("const C: fn() = g;\nmod m {{{}}}", "\n".repeat(80))),
                ("src/rt/a.rs", format!("fn f() {{ \"{{\"; '{{'; }}\n{}", "//\n".repeat(80))),
            ]
        },
    },
    Rule {
        name: "file length",
        find: file_length,
        bites: || vec![("src/rt/a.rs", "//\n".repeat(FILE_LINES_MAX + 1))],
        passes: || {
            let tests = "#[cfg(test)]\nmod tests {\n".to_owned() + &"//\n".repeat(500) + "}\n";
            vec![
                ("src/rt/a.rs", "//\n".repeat(FILE_LINES_MAX) + &tests),
                ("tests/data/a.json", "{}\n".repeat(FILE_LINES_MAX * 2)),
            ]
        },
    },
    Rule {
        name: "top level",
        find: top_level,
        bites: || vec![("notes.txt", "\n".into()), ("scripts/a", "\n".into())],
        passes: || {
            vec![(".ci/run", "\n".into()), ("src/a.rs", "\n".into()), ("README.md", "\n".into())]
        },
    },
    Rule {
        name: "machine paths",
        find: machine_paths,
        bites: || {
            HOMES
                .iter()
                .map(|home| ("tests/run", format!("cd /{home}/project\n")))
                .chain([("README.md", format!("`/{}/x`\n", HOMES[0]))])
                .collect()
        },
        passes: || {
            vec![
                ("README.md", "see /var/lib/barnacle and ~/.config\n".into()),
                ("src/rt/a.rs", "// framework/x, chroot/x: no one's home\n".into()),
            ]
        },
    },
];

/// Directories that exist on one machine and not on another.
const HOMES: &[&str] = &["work", "root", "tmp", "home", "Users"];

// ---- The rules ---------------------------------------------------------------------------------

fn layers(source: &Source) -> Vec<Finding> {
    let Some(layer) = source.layer() else { return Vec::new() };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![(1, format!("{layer} is no layer; put the file into one of them"))];
    };
    let shipped: Vec<&str> = source.code.lines().take(source.shipped).collect();
    let is_allowed = |path: &str| {
        let is_below = |part: &str| path == part || path.starts_with(&format!("{part}::"));
        is_below(layer) || allowed.iter().any(|part| is_below(part))
    };
    let roots: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    paths_from_root(&source.path, &shipped.join("\n"), &roots)
        .into_iter()
        .filter(|(_, path)| !is_allowed(path))
        .map(|(line, path)| {
            (
                line,
                format!("{layer} must not import {path}; move it down, or pass it in as a value"),
            )
        })
        .collect()
}

fn bans(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if !source.path.starts_with("src/") || !is_rust(&source.path) {
        return found;
    }
    for ban in BANS.iter().filter(|ban| !ban.rooms.iter().any(|r| source.path.starts_with(r))) {
        for (line, code) in source.shipped_code() {
            if let Some(word) = ban.words.iter().find(|word| says(code, word)) {
                found.push((line, format!("{word} is not for this room; {}", ban.fix)));
            }
        }
    }
    found
}

fn pure(source: &Source) -> Vec<Finding> {
    if !["base", "proto", "core"].iter().any(|layer| source.layer() == Some(layer)) {
        return Vec::new();
    }
    let waits = |code: &str| says(code, "async") || says(code, ".await");
    let fix = "machines do not wait; return what is to be done, and let a port do it";
    source
        .shipped_code()
        .filter(|(_, code)| waits(code))
        .map(|(line, _)| (line, fix.to_owned()))
        .collect()
}

fn leftovers(source: &Source) -> Vec<Finding> {
    let words = ["todo!", "dbg!", "unimplemented!"];
    let code = source.code.lines().enumerate().filter(|_| is_rust(&source.path));
    code.filter_map(|(at, code)| Some((at + 1, words.iter().find(|word| says(code, word))?)))
        .map(|(line, word)| (line, format!("{word} is left over; finish it or take it out")))
        .collect()
}

fn columns(source: &Source) -> Vec<Finding> {
    let is_prose = has_extension(&source.path, &["md"]);
    let is_script = source.path.starts_with(".ci/") || source.path == "tests/run";
    if !is_prose && !is_script && !has_extension(&source.path, &["rs", "sh", "mjs"]) {
        return Vec::new();
    }
    // Tables and links of Markdown cannot be broken.
    let is_free = |line: &str| is_prose && (line.starts_with('|') || line.contains("://"));
    let lines = source.text.lines().enumerate().filter(|(_, line)| !is_free(line));
    lines
        .map(|(at, line)| (at + 1, line.chars().count()))
        .filter(|(_, width)| *width > COLUMNS_MAX)
        .map(|(line, width)| (line, format!("{width} columns; break it before {COLUMNS_MAX}")))
        .collect()
}

fn line_ends(source: &Source) -> Vec<Finding> {
    if is_recorded(&source.path) {
        return Vec::new();
    }
    let lines = source.text.split('\n').enumerate();
    let mut found: Vec<Finding> = lines
        .filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
        .map(|(at, _)| (at + 1, "white space at the end of the line; take it out".to_owned()))
        .collect();
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        found.push((source.text.lines().count(), "no line break at the end; add one".to_owned()));
    }
    found
}

fn functions(source: &Source) -> Vec<Finding> {
    if !is_rust(&source.path) {
        return Vec::new();
    }
    let line_of = |at: usize| source.code[..at].matches('\n').count() + 1;
    let mut found = Vec::new();
    for start in words(&source.code, "fn") {
        let Some(end) = function_end(source.code.as_bytes(), start) else { continue };
        let length = line_of(end) - line_of(start) + 1;
        if length > FUNCTION_LINES_MAX {
            let text = format!("a function of {length} lines; split it at {FUNCTION_LINES_MAX}");
            found.push((line_of(start), text));
        }
    }
    found
}

fn file_length(source: &Source) -> Vec<Finding> {
    if !is_rust(&source.path) || source.shipped <= FILE_LINES_MAX {
        return Vec::new();
    }
    let text = format!("{} lines before the tests; split the room", source.shipped);
    vec![(FILE_LINES_MAX + 1, text)]
}

fn top_level(source: &Source) -> Vec<Finding> {
    let first = source.path.split('/').next().unwrap_or_default();
    if first.starts_with('.') || TOP.contains(&first) {
        return Vec::new();
    }
    vec![(1, format!("{first} does not belong at the top; see TOP in tests/tidy.rs"))]
}

fn machine_paths(source: &Source) -> Vec<Finding> {
    let names_one = |line: &str| {
        HOMES.iter().any(|home| {
            let path = format!("/{home}/");
            // `framework/x` is a word with a slash, not a path from the root.
            let is_start = |at| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '/');
            line.match_indices(&path).any(|(at, _)| is_start(at))
        })
    };
    let lines = source.text.lines().enumerate().filter(|(_, line)| names_one(line));
    lines.map(|(at, _)| (at + 1, "a path of one machine; name none".to_owned())).collect()
}

// ---- The tests ---------------------------------------------------------------------------------

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(root, root, &mut files);
    assert!(files.iter().any(|source| source.path == "tests/tidy.rs"), "the walk sees itself");
    let mut report = Vec::new();
    for source in &files {
        for rule in RULES {
            for (line, text) in (rule.find)(source) {
                report.push(format!("{}:{line}: {text} [{}]", source.path, rule.name));
            }
        }
    }
    assert!(report.is_empty(), "{} things to tidy:\n{}", report.len(), report.join("\n"));
}

#[test]
fn every_rule_bites_and_lets_go() {
    for rule in RULES {
        let (bites, passes) = ((rule.bites)(), (rule.passes)());
        assert!(!bites.is_empty() && !passes.is_empty(), "{} is not shown", rule.name);
        for (path, text) in bites {
            let found = (rule.find)(&Source::new(path, &text));
            assert!(!found.is_empty(), "{} did not bite on {path}:\n{text}", rule.name);
            let (line, fix) = &found[0];
            assert!(*line >= 1 && fix.len() > 10, "{}: {line}: {fix}", rule.name);
        }
        for (path, text) in passes {
            let found = (rule.find)(&Source::new(path, &text));
            assert!(found.is_empty(), "{} bit on {path}: {found:?}\n{text}", rule.name);
        }
    }
}

#[test]
fn each_ban_and_each_layer_is_shown_to_bite() {
    let planted = |name: &str| {
        let rule = RULES.iter().find(|rule| rule.name == name).expect("a rule");
        (rule.bites)().into_iter().map(|(path, text)| Source::new(path, &text)).collect()
    };
    let texts: Vec<Source> = planted("bans");
    for ban in BANS {
        let bites = |source: &Source| ban.words.iter().any(|word| says(&source.code, word));
        assert!(texts.iter().any(bites), "{:?} is not shown", ban.words);
    }
    // The lowest layer must not see any other, and so on up.
    for (at, (layer, _)) in LAYERS.iter().enumerate() {
        for (above, _) in &LAYERS[at + 1..] {
            let path = format!("src/{layer}/a.rs");
            let source = Source::new(&path, &format!("use crate::{above}::x;"));
            assert_eq!(layers(&source).len(), 1, "{layer} imports {above}");
        }
    }
}

#[test]
fn findings_name_the_line() {
    let source = Source::new("src/base/a.rs", "//! A room.\n\nuse crate::{\n    rt::clock,\n};\n");
    assert_eq!(layers(&source).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3]);
    let source = Source::new("src/rt/a.rs", "/* a\nb */\nlet s = \"x\ny\";\nprintln!();\n");
    assert_eq!(bans(&source).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [5]);
}

/// Every file that git would keep, as the rules see it.
fn walk(root: &Path, folder: &Path, files: &mut Vec<Source>) {
    const SKIPPED: &[&str] = &[".git", "target", "node_modules"];
    for entry in std::fs::read_dir(folder).expect("the repository can be read") {
        let path = entry.expect("and its entries").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if SKIPPED.contains(&name) {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, files);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
            files.push(Source::new(&relative, &text));
        }
    }
}
