//! The import on a real directory, with the power cut at every moment there is.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEIP0du7ZPjP2e9c1uB7ajnjLEYY4iJNCvEv5XQhKxD7 phone";

/// A boot partition and a system of the test's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("barnacle-import-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        for dir in ["boot", "root/etc/barnacle"] {
            fs::create_dir_all(path.join(dir)).unwrap();
        }
        Scratch(path)
    }

    fn boot(&self, name: &str, text: &str) {
        fs::write(self.0.join("boot").join(name), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap_or_default()
    }

    fn import<H: Hand>(&self, hand: H) -> (Done, H) {
        let (boot, root) = (self.0.join("boot"), self.0.join("root"));
        let mut import = Importer { boot: &boot, root: &root, hand, done: Done::default() };
        import.all();
        (import.done, import.hand)
    }

    /// Every file with what is in it and its mode, every link with where it leads.
    fn all(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut all = BTreeMap::new();
        let mut dirs = vec![self.0.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    dirs.push(path);
                    continue;
                }
                let target = |path: &Path| fs::read_link(path).map(PathBuf::into_os_string);
                let bytes = match target(&path) {
                    Ok(target) => target.into_encoded_bytes(),
                    Err(_) => fs::read(&path).unwrap(),
                };
                let name = path.strip_prefix(&self.0).unwrap().to_owned();
                all.insert(name, (meta.mode(), bytes));
            }
        }
        all
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The disk, until the power goes: what is being written then is there in part, and nothing
/// happens any more.
struct Cut {
    disk: Disk,
    /// Deeds until then.
    left: usize,
    done: usize,
}

impl Cut {
    fn after(left: usize) -> Cut {
        Cut { disk: Disk, left, done: 0 }
    }

    /// Whether this deed is done in whole.
    fn deed(&mut self) -> io::Result<()> {
        self.done += 1;
        if self.done > self.left { Err(io::Error::other("no power")) } else { Ok(()) }
    }

    fn is_last(&self) -> bool {
        self.done == self.left + 1
    }
}

impl Hand for Cut {
    fn create(
        &mut self,
        path: &Path,
        bytes: &[u8],
        mode: u32,
        group: Option<u32>,
    ) -> io::Result<()> {
        let Err(error) = self.deed() else { return self.disk.create(path, bytes, mode, group) };
        if self.is_last() {
            self.disk.create(path, &bytes[..bytes.len() / 2], mode, group)?;
        }
        Err(error)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.deed()?;
        self.disk.rename(from, to)
    }

    fn sync(&mut self, dir: &Path) -> io::Result<()> {
        self.deed()?;
        self.disk.sync(dir)
    }

    fn zero(&mut self, path: &Path) -> io::Result<()> {
        let Err(error) = self.deed() else { return self.disk.zero(path) };
        if self.is_last() {
            // Its end was first.
            let mut bytes = fs::read(path)?;
            let half = bytes.len() / 2;
            bytes[half..].fill(0);
            fs::write(path, bytes)?;
        }
        Err(error)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.deed()?;
        self.disk.remove(path)
    }

    fn link(&mut self, target: &str, path: &Path) -> io::Result<()> {
        self.deed()?;
        self.disk.link(target, path)
    }

    fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        self.deed()?;
        self.disk.directory(path, mode)
    }

    fn run(&mut self, _: &[String], _: &str) -> io::Result<()> {
        self.deed()
    }

    fn hostname(&mut self, _: &str) -> io::Result<()> {
        self.deed()
    }
}

/// A card with something in each file, and something wrong in two of them.
fn card(scratch: &Scratch) {
    scratch.boot(
        "barnacle.txt",
        &format!(
            "hostname = pi\nwifi.ssid = Home\nwifi.password = long enough\nssh.key = {KEY}\n\
             timezone = Europe/Berlin\ntoken = a.b.c\nsetup = lan\nmistake = here\n"
        ),
    );
    scratch.boot("barnacle.json5", "{ channels: { discord: { enabled: true } } }");
    scratch.boot("authorized_keys", &format!("{KEY}-2\n"));
    let user = format!(
        "hostname: other\nusers:\n- name: anna\n  passwd: $6$a$b\n  ssh_authorized_keys:\n  - \
         {KEY}-3\n  - no key\n"
    );
    scratch.boot("user-data", &user);
    scratch.boot("network-config", "wifis:\n  wlan0:\n    regulatory-domain: DE\n");
    scratch.boot("meta-data", "instance-id: x\n");
    fs::write(scratch.0.join("root/etc/hosts"), "127.0.0.1 localhost\n").unwrap();
}

#[test]
fn everything_is_taken_over_and_wiped() {
    let scratch = Scratch::new();
    card(&scratch);
    let (done, _) = scratch.import(Disk);
    assert_eq!(done.troubles, [""; 0]);
    let all = scratch.all();
    let mode = |path: &str| all.get(Path::new(path)).map(|(mode, _)| mode & 0o777);
    assert_eq!(mode("root/etc/credstore/discord-bot-token"), Some(0o600));
    assert_eq!(mode("root/etc/barnacle/barnacle.json5"), Some(0o640));
    assert_eq!(scratch.read("root/etc/ssh/authorized_keys.d/anna").lines().count(), 3);
    assert_eq!(
        fs::read_link(scratch.0.join("root/etc/localtime")).unwrap(),
        Path::new("/usr/share/zoneinfo/Europe/Berlin")
    );
    let mut left: Vec<&str> =
        all.keys().filter_map(|path| path.strip_prefix("boot").ok()?.to_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["barnacle-report.txt", "barnacle.txt", "user-data"]);
    let settings = scratch.read("boot/barnacle.txt");
    assert!(settings.ends_with("#setup = (taken over)\nmistake = here\n"), "{settings}");
    let report = scratch.read("boot/barnacle-report.txt");
    assert!(report.contains("barnacle.txt, line 8: ") && report.contains("\r\n"), "{report}");
    for secret in ["long enough", "a.b.c", "$6$"] {
        assert!(!report.contains(secret) && !settings.contains(secret), "{secret}");
    }
    // Programs of another system are listed, and not run.
    assert_eq!(done.commands().count(), 2);
    // Once more: what is wrong is told again, and nothing else is done.
    let (again, hand) = scratch.import(Cut::after(0));
    assert_eq!((again.troubles.len(), hand.done), (0, 0), "{:?}", again.troubles);
    assert_eq!(again.plan.mistakes.len(), done.plan.mistakes.len());
    assert!(again.plan.taken.is_empty() && again.commands().count() == 0);
    assert_eq!(scratch.read("boot/barnacle-report.txt"), report, "it says more than is new");
}

#[test]
fn a_power_cut_at_any_moment_changes_nothing_about_the_end() {
    let whole = Scratch::new();
    card(&whole);
    let (_, hand) = whole.import(Cut::after(usize::MAX));
    let (deeds, expected) = (hand.done, whole.all());
    assert!(deeds > 40, "{deeds}");
    for first in 0..deeds {
        // The next start may be cut short as well.
        for second in [usize::MAX, (first * 7) % deeds] {
            let scratch = Scratch::new();
            card(&scratch);
            scratch.import(Cut::after(first));
            if second < usize::MAX {
                scratch.import(Cut::after(second));
            }
            let (done, _) = scratch.import(Disk);
            assert_eq!(done.troubles, [""; 0], "cut at {first} and {second}");
            let all = scratch.all();
            for (path, content) in &expected {
                assert_eq!(all.get(path), Some(content), "cut at {first} and {second}: {path:?}");
            }
            assert_eq!(all.len(), expected.len(), "cut at {first} and {second}: {:?}", all.keys());
        }
    }
}

#[test]
fn what_was_written_anew_after_a_power_cut_is_read_and_not_wiped() {
    for at in 0..60 {
        let scratch = Scratch::new();
        card(&scratch);
        scratch.import(Cut::after(at));
        scratch.boot("barnacle.txt", "hostname = newer\n");
        scratch.boot("authorized_keys", &format!("{KEY}-new\n"));
        let (done, _) = scratch.import(Disk);
        assert_eq!(done.troubles, [""; 0]);
        assert_eq!(scratch.read("root/etc/hostname"), "newer\n", "cut at {at}");
        assert_eq!(scratch.read("boot/barnacle.txt"), template());
        let keys = scratch.read("root/etc/ssh/authorized_keys.d/anna")
            + &scratch.read("root/etc/ssh/authorized_keys.d/admin");
        assert!(keys.contains(&format!("{KEY}-new\n")), "cut at {at}: {keys}");
    }
}

#[test]
fn what_cannot_be_written_is_told_and_nothing_is_wiped() {
    let scratch = Scratch::new();
    card(&scratch);
    fs::write(scratch.0.join("root/etc/credstore"), "no directory").unwrap();
    let before = scratch.read("boot/barnacle.txt");
    let (done, _) = scratch.import(Disk);
    assert_eq!(done.end().unwrap_err().exit, Exit::State);
    assert_eq!(scratch.read("boot/barnacle.txt"), before);
    assert!(scratch.read("boot/barnacle-report.txt").contains("FAILED"));
    assert_eq!(scratch.read("root/etc/hostname"), "pi\n", "the rest is done");
}

#[test]
fn files_that_are_too_long_or_no_files_are_told() {
    let scratch = Scratch::new();
    scratch.boot("barnacle.txt", &"#\n".repeat(64 * 1024));
    fs::create_dir(scratch.0.join("boot/user-data")).unwrap();
    let (done, _) = scratch.import(Disk);
    let told: Vec<String> = done.plan.mistakes.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("barnacle.txt: it cannot be read: it is larger than"), "{told:?}");
    assert!(told[1].starts_with("user-data: it cannot be read: it is not a regular"), "{told:?}");
    assert_eq!(done.end().unwrap_err().exit, Exit::Refused);
}

#[test]
fn a_record_reads_as_it_was_written() {
    for file in File::ALL {
        let known = Known { is_wipe: file > File::Keys, ..Known::of(file, b"bytes") };
        assert_eq!(Known::read(known.line().trim_end()), Some(known));
    }
    for odd in ["", "wipe", "wipe 1 x barnacle.txt", "wipe 1 0 passwd", "wipe 1 0 barnacle.txt 2"] {
        assert_eq!(Known::read(odd), None, "{odd}");
    }
}
