//! `barnacle appliance import`: at each start of an image, before the network is up, what somebody
//! put onto its boot partition becomes the system's own, and is wiped from there.
//!
//! What is new is whole on the disk before anything old is touched. What is to be wiped is written
//! down first, so that a start after a power cut ends it, and reads nothing that is half gone.

mod hand;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::base::hash::fnv1a;
use crate::base::limits::{CARD_HOST_FILE_BYTES_MAX, CARD_STRAYS_MAX, CARD_USERS_MAX};
use crate::core::appliance::{
    self, Card, Content, File, Host, Knowledge, Mistake, Plan, Remark, Step, stray,
};
use crate::ops::config::{self, Env, Weight};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options::Import;
use crate::rt::zones;

use self::hand::{Disk, Hand};

/// Written back to the boot partition.
pub(crate) const REPORT: &str = "barnacle-report.txt";
/// `barnacle.txt` as it will be, beside the one that is being wiped.
const NEXT: &str = "barnacle.new";
/// What is to be wiped, and which files were taken over but stay.
const RECORD: &str = "etc/barnacle/import";

pub(crate) use crate::core::appliance::{explained, template};

/// What an import did.
#[derive(Default)]
pub(crate) struct Done {
    /// What is told: on the boot partition, on the console, in the journal.
    pub(crate) report: Option<String>,
    plan: Plan,
    /// Programs that were not run, since the system is another.
    listed: Vec<Vec<String>>,
    /// What could not be done.
    troubles: Vec<String>,
}

impl Done {
    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let mistakes = |mistakes: &[Mistake]| mistakes.iter().map(mistake).collect::<Vec<_>>();
        let names = |files: &[File]| files.iter().map(|file| file.name()).collect::<Vec<_>>();
        json!({
            "taken": self.plan.taken,
            "mistakes": mistakes(&self.plan.mistakes),
            "more": self.plan.more,
            "notes": mistakes(&self.plan.notes),
            "wiped": names(&self.plan.wipes),
            "left": names(&self.plan.seen),
            "commands": self.listed,
            "troubles": self.troubles,
        })
    }

    /// Programs that would have been run.
    pub(crate) fn commands(&self) -> impl Iterator<Item = String> {
        self.listed.iter().map(|words| words.join(" "))
    }

    /// How it ends.
    ///
    /// # Errors
    /// Something could not be done, or is wrong on the boot partition.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        if let Some(trouble) = self.troubles.first() {
            let cure = "nothing was wiped; it is tried again at the next start";
            return Err(Failure::new(Exit::State, trouble.clone(), cure));
        }
        let count = self.plan.mistakes.len() + self.plan.more;
        if count == 0 {
            return Ok(());
        }
        let s = if count == 1 { "" } else { "s" };
        let cure = format!("see {REPORT} on the boot partition");
        Err(Failure::new(Exit::Refused, format!("{count} mistake{s} on the card"), cure))
    }
}

/// Takes over what is on the boot partition.
///
/// # Errors
/// There is none.
pub(crate) fn import(options: &Import) -> Result<Done, Failure> {
    if !options.boot.is_dir() {
        let text = format!("{} is no directory", options.boot.display());
        return Err(Failure::new(Exit::State, text, "name the mounted boot partition"));
    }
    let mut import =
        Importer { boot: &options.boot, root: &options.root, hand: Disk, done: Done::default() };
    import.all();
    Ok(import.done)
}

struct Importer<'a, H> {
    boot: &'a Path,
    root: &'a Path,
    hand: H,
    done: Done,
}

/// A line of the record: a file on the boot partition as it was when it was taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Known {
    is_wipe: bool,
    file: File,
    length: usize,
    hash: u64,
}

impl<H: Hand> Importer<'_, H> {
    fn all(&mut self) {
        if let Err(error) = self.end_last() {
            self.trouble("the last import cannot be ended", &error);
            return;
        }
        let known = self.record();
        let card = self.card(&known);
        let host = self.host();
        let knowledge = Knowledge {
            zone: &zones::full_name,
            token: &config::bot_token,
            configuration: &check_configuration,
        };
        let plan = appliance::plan(&card, &host, &knowledge);
        for step in &plan.steps {
            if let Err(error) = self.step(step) {
                self.trouble(&name_of(step), &error);
            }
        }
        self.done.report = appliance::report(&plan, &self.done.troubles);
        if let Err(error) = self.tell(&plan) {
            self.trouble(&format!("{REPORT} cannot be written"), &error);
        }
        if self.done.troubles.is_empty()
            && let Err(error) = self.wipe(&plan, &card, &known)
        {
            self.trouble("what was taken over cannot be wiped", &error);
        }
        self.done.plan = plan;
    }

    fn trouble(&mut self, what: &str, error: &io::Error) {
        self.done.troubles.push(format!("{what}: {error}"));
    }

    // ---- What is there -------------------------------------------------------------------------

    fn card(&self, known: &[Known]) -> Card {
        let mut card = Card::default();
        for file in File::ALL {
            let content = match read(&self.boot.join(file.name()), file.bytes_max()) {
                Ok(None) => continue,
                Ok(Some(bytes)) if known.iter().any(|known| known.is(file, &bytes)) => {
                    Content::Seen(bytes)
                }
                Ok(Some(bytes)) => Content::Bytes(bytes),
                Err(error) => Content::Unread(error.to_string()),
            };
            card.files.insert(file, content);
        }
        let names = fs::read_dir(self.boot).into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        card.strays = names.filter(|name| stray(name).is_some()).take(CARD_STRAYS_MAX).collect();
        card.strays.sort();
        card
    }

    fn host(&self) -> Host {
        let text = |path: &str| self.text(path).unwrap_or_default();
        let keys = fs::read_dir(self.root.join("etc/ssh/authorized_keys.d"));
        let keys = keys.into_iter().flatten().flatten().take(CARD_USERS_MAX);
        let keys: BTreeMap<String, String> = keys
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let text = self.text(&format!("etc/ssh/authorized_keys.d/{name}"))?;
                Some((name, text))
            })
            .collect();
        let configuration = self.root.join("etc/barnacle/barnacle.json5");
        Host {
            passwd: text("etc/passwd"),
            group: text("etc/group"),
            hosts: text("etc/hosts"),
            variables: text("etc/default/barnacle"),
            login: self.text("etc/ssh/sshd_config.d/05-login.conf"),
            configuration: read(&configuration, File::Configuration.bytes_max()).ok().flatten(),
            keys,
        }
    }

    fn text(&self, path: &str) -> Option<String> {
        let bytes = read(&self.root.join(path), CARD_HOST_FILE_BYTES_MAX).ok().flatten()?;
        String::from_utf8(bytes).ok()
    }

    // ---- What is done --------------------------------------------------------------------------

    fn is_this_system(&self) -> bool {
        self.root == Path::new("/")
    }

    fn below(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn step(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Write { path, mode, for_gateway, bytes } => {
                let group = self.group(*for_gateway);
                self.write(&self.below(path), bytes, *mode, group)
            }
            Step::Link { path, target } => {
                let path = self.below(path);
                if fs::read_link(&path).is_ok_and(|old| old == Path::new(target)) {
                    return Ok(());
                }
                let fresh = beside(&path);
                let _ = self.hand.remove(&fresh);
                self.above(&path)?;
                self.hand.link(target, &fresh)?;
                self.put(&fresh, &path)
            }
            Step::Directory { path, mode } => {
                let path = self.below(path);
                if path.is_dir() { Ok(()) } else { self.hand.directory(&path, *mode) }
            }
            Step::Run { words, input } => {
                if !self.is_this_system() {
                    self.done.listed.push(words.clone());
                    return Ok(());
                }
                let input = input.as_ref().map_or("", |input| input.expose());
                self.hand.run(words, &format!("{input}\n"))
            }
            Step::Hostname(name) => {
                if self.is_this_system() {
                    self.hand.hostname(name)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// The group of what is written, if we may choose it: the gateway's, or root's.
    fn group(&self, for_gateway: bool) -> Option<u32> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let groups = self.text("etc/group").unwrap_or_default();
        let line = groups.lines().find(|line| line.starts_with("barnacle:"));
        let gid = line.and_then(|line| line.split(':').nth(2)?.parse().ok());
        Some(if for_gateway { gid.unwrap_or(0) } else { 0 })
    }

    /// Writes a file by putting a new one into its place, unless it is like that.
    fn write(
        &mut self,
        path: &Path,
        bytes: &[u8],
        mode: u32,
        group: Option<u32>,
    ) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let is_same = fs::symlink_metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.mode() & 0o7777 == mode)
            && read(path, bytes.len()).ok().flatten().is_some_and(|old| old == bytes);
        if is_same {
            return Ok(());
        }
        self.above(path)?;
        let fresh = beside(path);
        self.hand.create(&fresh, bytes, mode, group)?;
        self.put(&fresh, path)
    }

    /// The directory that `path` is in, made if need be.
    fn above(&mut self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(dir) if !dir.is_dir() => self.hand.directory(dir, 0o755),
            _ => Ok(()),
        }
    }

    fn put(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.hand.rename(from, to)?;
        match to.parent() {
            Some(dir) => self.hand.sync(dir),
            None => Ok(()),
        }
    }

    /// The report, on the boot partition, for whatever computer the card is put into.
    fn tell(&mut self, plan: &Plan) -> io::Result<()> {
        let Some(report) = &self.done.report else { return Ok(()) };
        // One that says the same, and besides what was taken over before, stays.
        let old = read(&self.boot.join(REPORT), CARD_HOST_FILE_BYTES_MAX).ok().flatten();
        let old = old.and_then(|old| String::from_utf8(old).ok()).unwrap_or_default();
        let is_told = |mistake: &Mistake| old.contains(&mistake.to_string());
        let is_news = !plan.taken.is_empty() || !self.done.troubles.is_empty();
        if !is_news && plan.mistakes.iter().all(is_told) {
            return Ok(());
        }
        let bytes = report.replace('\n', "\r\n").into_bytes();
        self.boot_file(REPORT, &bytes)
    }

    /// Modes mean nothing there, so that only what it holds is looked at.
    fn boot_file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.boot.join(name);
        if read(&path, bytes.len()).ok().flatten().is_some_and(|old| old == bytes) {
            return Ok(());
        }
        let fresh = self.boot.join("barnacle.tmp");
        self.hand.create(&fresh, bytes, 0o600, None)?;
        self.put(&fresh, &path)
    }

    // ---- Wiping --------------------------------------------------------------------------------

    fn wipe(&mut self, plan: &Plan, card: &Card, known: &[Known]) -> io::Result<()> {
        let of = |is_wipe: bool, file: &File| match card.files.get(file)? {
            Content::Bytes(bytes) | Content::Seen(bytes) => {
                Some(Known { is_wipe, ..Known::of(*file, bytes) })
            }
            Content::Unread(_) => None,
        };
        let stay: Vec<Known> = plan.seen.iter().filter_map(|file| of(false, file)).collect();
        if plan.wipes.is_empty() && stay == known {
            return self.template();
        }
        if plan.wipes.contains(&File::Settings) {
            self.hand.create(&self.boot.join(NEXT), &plan.settings, 0o600, None)?;
            self.hand.sync(self.boot)?;
        }
        let wipes = plan.wipes.iter().filter_map(|file| of(true, file));
        self.keep(&wipes.chain(stay).collect::<Vec<_>>())?;
        self.end_last()
    }

    /// Wipes what the record says, if it is still that. It is where a power cut may have been.
    fn end_last(&mut self) -> io::Result<()> {
        let (wipes, stay): (Vec<Known>, Vec<Known>) =
            self.record().into_iter().partition(|known| known.is_wipe);
        for known in &wipes {
            self.wipe_file(*known)?;
        }
        // Else the cut was before the record was written, or somebody has written anew.
        let next = self.boot.join(NEXT);
        if next.exists() {
            self.hand.remove(&next)?;
        }
        if wipes.is_empty() {
            return Ok(());
        }
        self.hand.sync(self.boot)?;
        self.template()?;
        self.keep(&stay)
    }

    fn wipe_file(&mut self, known: Known) -> io::Result<()> {
        let path = self.boot.join(known.file.name());
        let next = self.boot.join(NEXT);
        // Zeros: that is where the wiping was cut short. Anything else is new, and to be read.
        let is_old = |bytes: &Vec<u8>| {
            known.is(known.file, bytes) || bytes.len() == known.length && bytes.contains(&0)
        };
        let bytes = match read(&path, known.file.bytes_max()) {
            Ok(bytes) if bytes.as_ref().is_none_or(is_old) => bytes,
            _ => return Ok(()),
        };
        if bytes.is_some() {
            self.hand.zero(&path)?;
        }
        match known.file {
            File::Settings if next.exists() => self.put(&next, &path),
            _ if bytes.is_some() => self.hand.remove(&path),
            _ => Ok(()),
        }
    }

    /// Whoever looks for the file finds it.
    fn template(&mut self) -> io::Result<()> {
        if self.boot.join(File::Settings.name()).exists() {
            return Ok(());
        }
        self.boot_file(File::Settings.name(), template().as_bytes())
    }

    fn record(&self) -> Vec<Known> {
        let text = self.text(RECORD).unwrap_or_default();
        text.lines().filter_map(Known::read).collect()
    }

    fn keep(&mut self, known: &[Known]) -> io::Result<()> {
        let path = self.root.join(RECORD);
        if !known.is_empty() {
            let text: String = known.iter().map(Known::line).collect();
            let group = self.group(false);
            return self.write(&path, text.as_bytes(), 0o600, group);
        }
        if !path.exists() {
            return Ok(());
        }
        self.hand.remove(&path)?;
        self.hand.sync(path.parent().unwrap_or(self.root))
    }
}

impl Known {
    fn of(file: File, bytes: &[u8]) -> Known {
        let hash = fnv1a(bytes.iter().copied());
        Known { is_wipe: false, file, length: bytes.len(), hash }
    }

    /// Whether `bytes` are what was taken over.
    fn is(&self, file: File, bytes: &[u8]) -> bool {
        let Known { length, hash, .. } = Known::of(file, bytes);
        (self.file, self.length, self.hash) == (file, length, hash)
    }

    fn line(&self) -> String {
        let word = if self.is_wipe { "wipe" } else { "seen" };
        let mut line = String::new();
        let (length, hash, name) = (self.length, self.hash, self.file.name());
        let _ = writeln!(line, "{word} {length} {hash:016x} {name}");
        line
    }

    fn read(line: &str) -> Option<Known> {
        let [word, length, hash, name] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        Some(Known {
            is_wipe: word == "wipe",
            file: File::ALL.into_iter().find(|file| file.name() == name)?,
            length: length.parse().ok()?,
            hash: u64::from_str_radix(hash, 16).ok()?,
        })
    }
}

fn mistake(mistake: &Mistake) -> Value {
    let Mistake { file, line, text, cure } = mistake;
    json!({ "file": file, "line": line, "text": text, "cure": cure })
}

/// What a failed step is called. A program's arguments are names that were found fit.
fn name_of(step: &Step) -> String {
    match step {
        Step::Write { path, .. } | Step::Link { path, .. } | Step::Directory { path, .. } => {
            format!("{path} cannot be written")
        }
        Step::Run { words, .. } => format!("`{}` failed", words.join(" ")),
        Step::Hostname(_) => "the host name cannot be set".to_owned(),
    }
}

/// The name of a new file that takes the place of `path`.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.import"))
}

/// What a file holds; nothing if it is not there.
fn read(path: &Path, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        let text = format!("it is larger than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(Some(bytes))
}

/// As `barnacle config check` does, but for variables, which are set where the gateway starts.
fn check_configuration(text: &str) -> Result<Vec<Remark>, Remark> {
    let (_, mistakes) = config::parse(text, &Env::default()).map_err(|fault| Remark {
        line: fault.at.map(|(line, _)| line),
        text: fault.text,
        cure: "correct it there; `barnacle config check` on another computer tells more".into(),
    })?;
    let is_told = |m: &config::Mistake| m.weight == Weight::Warning && !m.is_about_a_variable();
    let remark = |m: config::Mistake| Remark {
        line: m.at.map(|(line, _)| line),
        text: format!("{}: {}", m.path, m.text),
        cure: m.cure,
    };
    Ok(mistakes.into_iter().filter(is_told).map(remark).collect())
}
