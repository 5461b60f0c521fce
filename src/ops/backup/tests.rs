//! Backups, as they are taken, damaged and put back.

use super::*;
use crate::ops::config::Env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Scratch {
        let name = format!("barnacle-backup-test-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn env(&self, state: &str) -> Env {
        let below = |name: &str| self.0.join(name).display().to_string();
        let (state, hot, home) = (below(state), below("run"), below(&format!("home-{state}")));
        Env::of(&[("BARNACLE_STATE_DIR", &state), ("XDG_RUNTIME_DIR", &hot), ("HOME", &home)])
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const CONFIG_TEXT: &str = "{ channels: { discord: { token: \"a.b.c\" } } } // mine\n";

/// A gateway's files, and a backup of them.
fn taken(name: &str) -> (Scratch, PathBuf) {
    let scratch = Scratch::new(name);
    scratch.put("state/discord.messages", &"message ".repeat(200));
    scratch.put("state/agents/main/transcript.jsonl", "{}\n");
    scratch.put("state/gateway.token", "secret");
    scratch.put("run/barnacle/discord.cursor", "a place");
    let config = scratch.put("b.json5", CONFIG_TEXT);
    let output = scratch.0.join("backup.tar.gz");
    let env = scratch.env("state");
    let created = create(&env, Some(&config), Some(&output), true).map_err(|f| f.to_string());
    let created = created.unwrap();
    assert_eq!((created.file.as_path(), created.manifest.still), (output.as_path(), true));
    let names: Vec<&str> = created.manifest.files.iter().map(|item| item.name.as_str()).collect();
    let expected = [
        "config.json5",
        "hot/discord.cursor",
        "state/agents/main/transcript.jsonl",
        "state/discord.messages",
        "state/gateway.token",
    ];
    assert_eq!(names, expected);
    (scratch, output)
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

fn entries(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_was_taken_comes_back_readable_by_its_owner_only() {
    let (scratch, file) = taken("whole");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let config = scratch.0.join("new/c.json5");
    let restored = restore(&scratch.env("other"), Some(&config), &file, false, false).unwrap();
    assert!(restored.aside.is_none());
    let other = scratch.0.join("other");
    assert_eq!(text(other.join("discord.messages")), "message ".repeat(200));
    assert_eq!(text(other.join("agents/main/transcript.jsonl")), "{}\n");
    assert_eq!(text(scratch.0.join("run/barnacle/discord.cursor")), "a place");
    assert_eq!(text(&config), CONFIG_TEXT);
    for (path, mode) in [("other", 0o700), ("other/gateway.token", 0o600), ("new/c.json5", 0o600)] {
        let found = fs::metadata(scratch.0.join(path)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
    let left: Vec<String> = entries(&scratch.0);
    assert!(left.iter().all(|name| !name.contains("restoring")), "{left:?}");
}

#[test]
fn what_is_there_is_replaced_only_by_force_and_kept_aside() {
    let (scratch, file) = taken("force");
    let (env, config) = (scratch.env("state"), scratch.0.join("b.json5"));
    scratch.put("state/later", "later");
    scratch.put("run/barnacle/discord.cursor", "a later place");
    fs::write(&config, "{ /* later */ }").unwrap();
    let refused = restore(&env, Some(&config), &file, false, false).err().unwrap();
    assert!(refused.cure.contains("--force"), "{refused}");
    let dry = restore(&env, Some(&config), &file, true, true).unwrap();
    assert!(dry.aside.is_none() && text(&config) == "{ /* later */ }");
    let restored = restore(&env, Some(&config), &file, true, false).unwrap();
    let aside = restored.aside.unwrap();
    assert_eq!(aside, scratch.0.join("state.before-restore"));
    assert_eq!(text(aside.join("later")), "later");
    assert_eq!(text(aside.join("hot.before-restore/discord.cursor")), "a later place");
    assert!(!scratch.0.join("state/later").exists());
    assert_eq!(text(scratch.0.join("run/barnacle/discord.cursor")), "a place");
    assert_eq!(
        (text(&config), text(scratch.0.join("b.json5.bak"))),
        (CONFIG_TEXT.to_owned(), "{ /* later */ }".to_owned())
    );
    let again = restore(&env, Some(&config), &file, true, false).unwrap();
    assert_eq!(again.aside.unwrap(), scratch.0.join("state.before-restore-2"));
}

#[test]
fn a_gateway_that_runs_on_the_state_is_not_pulled_from_under() {
    let (scratch, file) = taken("alive");
    fs::create_dir_all(scratch.0.join("other")).unwrap();
    let socket = scratch.0.join("other/barnacle.sock");
    let _alive = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let env = scratch.env("other");
    let refused = restore(&env, Some(&scratch.0.join("c")), &file, true, false).err().unwrap();
    assert!(refused.text.contains("a gateway runs"), "{refused}");
    assert_eq!(entries(&scratch.0.join("other")), ["barnacle.sock"]);
}

#[test]
fn a_configuration_that_cannot_be_written_brings_the_old_state_back() {
    let (scratch, file) = taken("undo");
    scratch.put("other/mine", "mine");
    // A directory is where the file would go.
    fs::create_dir_all(scratch.0.join("c.json5")).unwrap();
    let config = scratch.0.join("c.json5");
    let refused = restore(&scratch.env("other"), Some(&config), &file, true, false);
    assert!(refused.is_err());
    assert_eq!(entries(&scratch.0.join("other")), ["mine"]);
    assert!(!scratch.0.join("other.before-restore").exists());
}

#[test]
fn any_damage_is_seen_or_harmless_and_nothing_is_touched() {
    let (scratch, file) = taken("damage");
    let whole = fs::read(&file).unwrap();
    let right = verify(&file).unwrap();
    let bad = scratch.0.join("bad.tar.gz");
    let mut seen = 0;
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            match unpack(bytes.as_slice(), &mut Nowhere) {
                // A bit that means nothing (the rest of the last byte of the packed stream).
                Ok(manifest) => assert_eq!(manifest, right, "byte {at}"),
                Err(error) => {
                    assert!(error.to_string().len() > 10, "byte {at}: {error}");
                    seen += 1;
                }
            }
        }
        assert!(unpack(&whole[..at], &mut Nowhere).is_err(), "cut off at {at}");
    }
    assert!(seen + 8 > whole.len() * 3, "{seen} of {}", whole.len() * 3);
    for bytes in [&whole[..whole.len() / 2], &[], b"no archive at all"] {
        fs::write(&bad, bytes).unwrap();
        let env = scratch.env("other");
        let refused = restore(&env, Some(&scratch.0.join("c")), &bad, true, false).err().unwrap();
        assert!(refused.text.contains("cannot be restored"), "{refused}");
        assert!(!scratch.0.join("other").exists() && !scratch.0.join("c").exists());
    }
}

fn archive(names: &[&str], manifest: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let sources = names.iter().map(|name| Source {
        name: (*name).to_owned(),
        bytes: 3,
        from: b"abc".as_slice(),
    });
    let mut told = Manifest { version: VERSION, ..Manifest::default() };
    manifest(&mut told);
    pack(Vec::new(), sources, told, 0).unwrap().0
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let refusal = |names: &[&str]| {
        let archive = archive(names, |_| ());
        unpack(archive.as_slice(), &mut Nowhere).err().map(|error| error.to_string())
    };
    assert_eq!(refusal(&["state/a", "state/b/c", "hot/d", "config.json5"]), None);
    for name in [
        "state/../x",
        "state//x",
        "state/",
        "state/./x",
        "../x",
        "/etc/x",
        "x",
        "state",
        "state/a\nb",
        "state/a\\b",
        "state/a/b/c/d/e/f/g/h/i",
        "hot/..",
        "config.json5/x",
    ] {
        let refusal = refusal(&["state/a", name]);
        assert!(refusal.is_some_and(|why| why.contains("leads to")), "{name:?}");
    }
    assert!(refusal(&["state/a", "state/a"]).is_some_and(|why| why.contains("twice")));
}

#[test]
fn a_manifest_of_other_files_or_of_a_newer_format_is_refused() {
    let item = Item { name: "state/z".into(), bytes: 3, sha256: String::new() };
    let lying = archive(&["state/a"], |manifest| manifest.files.push(item));
    let why = unpack(lying.as_slice(), &mut Nowhere).unwrap_err().to_string();
    assert!(why.contains("manifest lists"), "{why}");
    let newer = archive(&["state/a"], |manifest| manifest.version = VERSION + 1);
    let why = unpack(newer.as_slice(), &mut Nowhere).unwrap_err().to_string();
    assert!(why.contains("newer barnacle"), "{why}");
}

#[test]
fn a_file_that_unpacks_without_end_costs_little() {
    struct Zeros;
    impl Read for Zeros {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            into.fill(0);
            Ok(into.len())
        }
    }
    // A header that promises more than there may be: refused before a byte of it is unpacked.
    let mut out = gzip::Packer::new(Vec::new()).unwrap();
    let head = tar::header("barnacle-backup/state/a", limits::BACKUP_BYTES_MAX + 1, 0).unwrap();
    out.write_all(&head).unwrap();
    copy(&mut Zeros, 1 << 20, &mut |part| out.write_all(part)).unwrap();
    let bomb = out.finish().unwrap();
    let why = unpack(bomb.as_slice(), &mut Nowhere).unwrap_err().to_string();
    assert!(why.contains("more in it than"), "{why}");
    // And one with a manifest that long.
    let mut out = gzip::Packer::new(Vec::new()).unwrap();
    let head = tar::header("barnacle-backup/manifest.json", 1 << 30, 0).unwrap();
    out.write_all(&head).unwrap();
    let why = unpack(out.finish().unwrap().as_slice(), &mut Nowhere).unwrap_err().to_string();
    assert!(why.contains("too long"), "{why}");
}

#[test]
fn tar_itself_can_open_it() {
    let (scratch, file) = taken("tar");
    let output = std::process::Command::new("tar")
        .args(["-xzf", &file.display().to_string(), "-C", &scratch.0.display().to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text(scratch.0.join("barnacle-backup/config.json5")), CONFIG_TEXT);
    assert!(text(scratch.0.join("barnacle-backup/manifest.json")).contains("\"sha256\""));
}

#[test]
fn a_backup_is_not_put_among_the_state_nor_over_a_file() {
    let (scratch, file) = taken("target");
    let (env, config) = (scratch.env("state"), scratch.0.join("b.json5"));
    for output in [scratch.0.join("state/x.tar.gz"), scratch.0.join("state"), file] {
        let refused = create(&env, Some(&config), Some(&output), false);
        assert_eq!(refused.err().map(|f| f.exit), Some(crate::ops::exit::Exit::Usage));
    }
    let created = create(&env, Some(&config), Some(&scratch.0), false);
    let name = created.map_err(|f| f.to_string()).unwrap().file;
    assert!(name.display().to_string().ends_with("Z.tar.gz"), "{}", name.display());
}
