//! An image's first start: from the files that somebody put onto its boot partition, which every
//! computer can write, to what is to be done with them.
//!
//! Nothing is read or written here. What comes out is a [`Plan`]: steps that can be taken any
//! number of times with the same end, what is to be wiped once they are taken, and every mistake
//! with its file, its line and its cure. No secret is in anything that is told.

mod imager;
mod judge;
mod lines;
mod report;
mod settings;
mod steps;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::base::Secret;
use crate::base::limits::{
    CARD_CLOUD_BYTES_MAX, CARD_KEYS_BYTES_MAX, CARD_MISTAKES_MAX, CARD_SETTINGS_BYTES_MAX,
    CONFIG_BYTES_MAX,
};
use crate::base::text::Plain;

use self::imager::Told;
use self::judge::{Psk, Wrong};
use self::lines::{Text, lines};

pub use self::report::report;
pub use self::settings::{explained, template};
pub use self::steps::Step;

/// A file on the boot partition. Where two of them say the same thing, the first one counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum File {
    /// `key = value` lines.
    Settings,
    /// The whole configuration.
    Configuration,
    /// Public keys, as OpenSSH has them.
    Keys,
    /// Raspberry Pi Imager's, for the system.
    User,
    /// Raspberry Pi Imager's, for the network.
    Network,
    /// Raspberry Pi Imager's, with nothing in it for us.
    Meta,
}

impl File {
    /// All of them.
    pub const ALL: [File; 6] =
        [File::Settings, File::Configuration, File::Keys, File::User, File::Network, File::Meta];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            File::Settings => "barnacle.txt",
            File::Configuration => "barnacle.json5",
            File::Keys => "authorized_keys",
            File::User => "user-data",
            File::Network => "network-config",
            File::Meta => "meta-data",
        }
    }

    /// How long it may be.
    #[must_use]
    pub fn bytes_max(self) -> usize {
        match self {
            File::Settings => CARD_SETTINGS_BYTES_MAX,
            File::Configuration => CONFIG_BYTES_MAX,
            File::Keys => CARD_KEYS_BYTES_MAX,
            File::User | File::Network | File::Meta => CARD_CLOUD_BYTES_MAX,
        }
    }
}

/// What a file holds.
pub enum Content {
    /// This.
    Bytes(Vec<u8>),
    /// This, and it was taken over before: it is still there for what is wrong with it.
    Seen(Vec<u8>),
    /// It could not be read: why.
    Unread(String),
}

/// What is on the boot partition.
#[derive(Default)]
pub struct Card {
    /// The files that are there.
    pub files: BTreeMap<File, Content>,
    /// Names of others that may be meant for us.
    pub strays: Vec<String>,
}

/// What the system is so far: the texts of files that only some lines of are changed.
#[derive(Default)]
pub struct Host {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/group`.
    pub group: String,
    /// `/etc/hosts`.
    pub hosts: String,
    /// `/etc/default/barnacle`.
    pub variables: String,
    /// Whether passwords are asked for by SSH, if that was settled before.
    pub login: Option<String>,
    /// The configuration that there is.
    pub configuration: Option<Vec<u8>>,
    /// The keys of each user.
    pub keys: BTreeMap<String, String>,
}

/// What only others know.
pub struct Knowledge<'a> {
    /// A time zone's full name; or what is wrong, with its cure.
    pub zone: &'a dyn Fn(&str) -> Result<String, String>,
    /// A bot's token, if that can be one.
    pub token: &'a dyn Fn(&str) -> Option<Secret>,
    /// What is to be said of a configuration; or why it cannot be used at all.
    pub configuration: &'a dyn Fn(&str) -> Result<Vec<Remark>, Remark>,
}

/// A line of a configuration, if that is known, what is to be said of it, and the cure.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Remark {
    /// Counted from 1.
    pub line: Option<usize>,
    /// What is to be said.
    pub text: String,
    /// What to do about it.
    pub cure: String,
}

/// Something about a line of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// The file's name.
    pub file: String,
    /// Counted from 1; 0 is the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub text: String,
    /// What to do about it; may be empty.
    pub cure: String,
}

impl Mistake {
    fn new(file: File, line: usize, text: impl Into<String>, cure: impl Into<String>) -> Mistake {
        Mistake { file: file.name().to_owned(), line, text: text.into(), cure: cure.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Plain(&self.file))?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        write!(f, ": {}", Plain(&self.text))?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, " ({})", Plain(&self.cure)) }
    }
}

/// What can be set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Key {
    Hostname,
    Ssid,
    Password,
    Country,
    Hidden,
    /// A key for logging in.
    Login,
    Timezone,
    Token,
    Setup,
    User,
    Hash,
    SshPassword,
}

/// One setting, and where it stands.
struct Entry {
    key: Key,
    value: String,
    file: File,
    line: usize,
}

/// What was found fit.
#[derive(Default)]
struct Wishes {
    hostname: Option<String>,
    wifi: Option<Wifi>,
    keys: Vec<String>,
    zone: Option<String>,
    token: Option<Secret>,
    setup: Option<&'static str>,
    user: Option<String>,
    hash: Option<Secret>,
    ssh_password: bool,
    configuration: Option<Vec<u8>>,
}

struct Wifi {
    ssid: String,
    psk: Option<Psk>,
    country: Option<String>,
    is_hidden: bool,
}

/// What is to be done.
#[derive(Default)]
pub struct Plan {
    /// In this order; each of them again does no harm.
    pub steps: Vec<Step>,
    /// What is taken over by them, in words.
    pub taken: Vec<String>,
    /// What is not, and stays where it is.
    pub mistakes: Vec<Mistake>,
    /// Mistakes that only count.
    pub more: usize,
    /// What is to be said besides.
    pub notes: Vec<Mistake>,
    /// Files to wipe after the steps.
    pub wipes: Vec<File>,
    /// Files that stay though they were taken over, for what is wrong with them.
    pub seen: Vec<File>,
    /// What is put in the place of `barnacle.txt` when it is wiped.
    pub settings: Vec<u8>,
}

/// What is to be done with `card`.
#[must_use]
pub fn plan(card: &Card, host: &Host, knowledge: &Knowledge<'_>) -> Plan {
    let mut reading = Reading::default();
    reading.strays(card);
    for (file, content) in &card.files {
        reading.file(*file, content, host, knowledge);
    }
    reading.only_once();
    let wishes = reading.judge(host, knowledge);
    let mut plan = Plan::default();
    steps::take(&wishes, host, &mut plan);
    reading.finish(card, plan)
}

/// What the card says, while it is being read and judged.
#[derive(Default)]
struct Reading {
    entries: Vec<Entry>,
    configuration: Option<Vec<u8>>,
    /// Lines that are not taken over.
    kept: BTreeSet<(File, usize)>,
    told: Told,
}

impl Reading {
    fn file(&mut self, file: File, content: &Content, host: &Host, knowledge: &Knowledge<'_>) {
        let (bytes, is_seen) = match content {
            Content::Bytes(bytes) => (bytes, false),
            Content::Seen(bytes) => (bytes, true),
            Content::Unread(why) => {
                let cure = "take it away, or write it anew";
                let mistake = Mistake::new(file, 0, format!("it cannot be read: {why}"), cure);
                self.told.mistakes.push(mistake);
                return;
            }
        };
        let text = Text::of(bytes);
        let before = self.told.mistakes.len();
        let mut entries = match file {
            File::Settings => settings::read(&text, &mut self.told.mistakes),
            File::Keys => keys(&text, &mut self.told.mistakes),
            File::User => imager::user(&text, &mut self.told),
            File::Network => imager::network(&text, &mut self.told),
            File::Configuration => return self.configuration(&text, knowledge),
            File::Meta => return,
        };
        let mistakes = self.told.mistakes.get(before..).unwrap_or_default();
        self.kept.extend(mistakes.iter().map(|mistake| (file, mistake.line)));
        if is_seen {
            // Only what is wrong with them is told again.
            std::mem::swap(&mut self.entries, &mut entries);
            let _ = self.judge(host, knowledge);
            self.entries = entries;
        } else {
            self.entries.append(&mut entries);
        }
    }

    fn configuration(&mut self, text: &Text<'_>, knowledge: &Knowledge<'_>) {
        let judged = match str::from_utf8(text.bytes()) {
            Ok(text) => (knowledge.configuration)(text),
            Err(_) => Err(Remark { text: "it is not UTF-8 text".into(), ..Remark::default() }),
        };
        let mistake = |remark: Remark| {
            let line = remark.line.unwrap_or(0);
            Mistake::new(File::Configuration, line, remark.text, remark.cure)
        };
        match judged {
            Ok(remarks) => {
                self.told.notes.extend(remarks.into_iter().map(mistake));
                self.configuration = Some(text.bytes().to_vec());
            }
            Err(remark) => self.told.mistakes.push(mistake(remark)),
        }
    }

    /// Files that somebody hopes are read.
    fn strays(&mut self, card: &Card) {
        for name in &card.strays {
            let Some((text, cure)) = stray(name) else { continue };
            let mistake = Mistake { file: name.clone(), line: 0, text: text.into(), cure };
            self.told.mistakes.push(mistake);
        }
    }

    /// Of what is said twice the first counts.
    fn only_once(&mut self) {
        let mut seen: BTreeMap<Key, File> = BTreeMap::new();
        let Told { notes, .. } = &mut self.told;
        // A network is told by one file as a whole.
        let wifi = self.entries.iter().find(|entry| entry.key == Key::Ssid).map(|e| e.file);
        self.entries.retain(|entry| {
            let first = match entry.key {
                Key::Login => return true,
                Key::Ssid | Key::Password | Key::Country | Key::Hidden => {
                    wifi.filter(|file| *file != entry.file)
                }
                key => seen.insert(key, entry.file),
            };
            if let Some(first) = first {
                let text = format!("{} says this already, which counts", first.name());
                notes.push(Mistake::new(entry.file, entry.line, text, ""));
            }
            first.is_none()
        });
    }

    fn judge(&mut self, host: &Host, knowledge: &Knowledge<'_>) -> Wishes {
        let mut wishes = Wishes { configuration: self.configuration.clone(), ..Wishes::default() };
        let no_zone = |text: &str| (knowledge.zone)(text).map_err(|wrong| (wrong, String::new()));
        wishes.hostname = self.single(Key::Hostname, judge::hostname);
        wishes.zone = self.single(Key::Timezone, no_zone);
        wishes.setup = self.single(Key::Setup, judge::setup);
        wishes.user = self.single(Key::User, |text| judge::user(text, &host.passwd, &host.group));
        wishes.hash = self.single(Key::Hash, judge::hash);
        wishes.ssh_password = self.entry(Key::SshPassword).is_some();
        wishes.token = self.single(Key::Token, |text| {
            let cure = "copy it from the page Bot of https://discord.com/developers/applications";
            (knowledge.token)(text).ok_or_else(|| ("this is no token".into(), cure.into()))
        });
        self.odd_token(wishes.token.as_ref());
        wishes.wifi = self.wifi();
        for at in 0..self.entries.len() {
            if self.entries[at].key == Key::Login {
                let judged = judge::ssh_key(&self.entries[at].value);
                wishes.keys.extend(self.fit(at, judged));
            }
        }
        // A password that was meant for somebody else is nobody's.
        if self.entry(Key::User).is_some() && wishes.user.is_none() {
            wishes.hash = None;
        }
        wishes
    }

    fn entry(&self, key: Key) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == key)
    }

    fn single<T>(&mut self, key: Key, judge: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        let at = self.entry(key)?;
        let Entry { value, file, line, .. } = &self.entries[at];
        if self.kept.contains(&(*file, *line)) {
            return None;
        }
        let judged = judge(value);
        self.fit(at, judged)
    }

    /// What was found fit; else it is told, and stays.
    fn fit<T>(&mut self, at: usize, judged: Result<T, Wrong>) -> Option<T> {
        let Entry { file, line, .. } = self.entries[at];
        let (text, cure) = match judged {
            Ok(fit) => return Some(fit),
            Err(wrong) => wrong,
        };
        self.kept.insert((file, line));
        self.told.mistakes.push(Mistake::new(file, line, text, cure));
        None
    }

    /// People paste what stands beside the token, too.
    fn odd_token(&mut self, token: Option<&Secret>) {
        let Some((token, at)) = token.zip(self.entry(Key::Token)) else { return };
        if token.expose().split('.').filter(|part| !part.is_empty()).count() != 3 {
            let Entry { file, line, .. } = self.entries[at];
            let text = "a bot's token has three parts with dots between; taken over nevertheless";
            self.told.notes.push(Mistake::new(file, line, text, ""));
        }
    }

    /// A network is joined as it was meant, or not at all.
    fn wifi(&mut self) -> Option<Wifi> {
        let is_part =
            |key: Key| matches!(key, Key::Ssid | Key::Password | Key::Country | Key::Hidden);
        let ssid = self.single(Key::Ssid, judge::ssid);
        let psk = self.single(Key::Password, judge::psk);
        let country = self.single(Key::Country, judge::country);
        let wifi = self.entries.iter().filter(|entry| is_part(entry.key));
        let mut places: Vec<(File, usize)> = wifi.map(|entry| (entry.file, entry.line)).collect();
        if self.entry(Key::Ssid).is_none() {
            let (file, line) = *places.first()?;
            let cure = "write wifi.ssid, and wifi.password with it";
            let text = "there is no wireless network that this could be about";
            self.told.mistakes.push(Mistake::new(file, line, text, cure));
        } else if places.iter().all(|place| !self.kept.contains(place)) {
            let is_hidden = self.entry(Key::Hidden).is_some();
            return Some(Wifi { ssid: ssid?, psk, country, is_hidden });
        }
        self.kept.extend(places.drain(..));
        None
    }

    /// What becomes of the files, and all that is to be told.
    fn finish(mut self, card: &Card, mut plan: Plan) -> Plan {
        for mistake in &self.told.mistakes {
            let file = File::ALL.iter().find(|file| file.name() == mistake.file);
            self.kept.extend(file.map(|file| (*file, mistake.line)));
        }
        for (file, content) in &card.files {
            let has_kept = self.kept.iter().any(|(kept, _)| kept == file);
            match (file, content) {
                (_, Content::Unread(_)) => {}
                (File::Settings, Content::Bytes(bytes) | Content::Seen(bytes)) => {
                    self.settings(bytes, &mut plan);
                }
                (_, Content::Bytes(_)) if !has_kept => plan.wipes.push(*file),
                // A broken configuration was not taken over, and is read anew.
                (file, _) if *file != File::Configuration => plan.seen.push(*file),
                _ => {}
            }
        }
        let Told { mut mistakes, notes } = self.told;
        mistakes.sort_by_key(|mistake| {
            (File::ALL.iter().position(|file| file.name() == mistake.file), mistake.line)
        });
        plan.more = mistakes.len().saturating_sub(CARD_MISTAKES_MAX);
        mistakes.truncate(CARD_MISTAKES_MAX);
        plan.notes = notes.into_iter().take(CARD_MISTAKES_MAX).collect();
        plan.mistakes = mistakes;
        plan
    }

    fn settings(&self, bytes: &[u8], plan: &mut Plan) {
        let is_ours = |entry: &&Entry| entry.file == File::Settings;
        let kept = self.kept.iter().filter(|(file, _)| *file == File::Settings);
        let kept: BTreeSet<usize> = kept.map(|(_, line)| *line).collect();
        let taken: Vec<(usize, Key)> = self
            .entries
            .iter()
            .filter(is_ours)
            .filter(|entry| !kept.contains(&entry.line))
            .map(|entry| (entry.line, entry.key))
            .collect();
        if !taken.is_empty() {
            plan.wipes.push(File::Settings);
            plan.settings = settings::rest(&Text::of(bytes), &taken, &kept);
        }
    }
}

/// The lines of `authorized_keys`.
fn keys(text: &Text<'_>, mistakes: &mut Vec<Mistake>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for line in lines(text) {
        let Some(text) = line.text else {
            let cure = "copy the line anew";
            mistakes.push(Mistake::new(File::Keys, line.number, "this is not UTF-8 text", cure));
            continue;
        };
        let value = text.trim().to_owned();
        if !value.is_empty() && !value.starts_with('#') {
            let line = line.number;
            entries.push(Entry { key: Key::Login, value, file: File::Keys, line });
        }
    }
    entries
}

/// What Raspberry Pi OS reads, or read once, and what is written for us instead.
const OTHERS: [(&str, &str); 7] = [
    ("wpa_supplicant.conf", "write wifi.ssid and wifi.password"),
    ("ssh", "write ssh.key; SSH starts with the first key"),
    ("ssh.txt", "write ssh.key; SSH starts with the first key"),
    ("userconf", "let Raspberry Pi Imager make the user, or log in as admin with ssh.key"),
    ("userconf.txt", "let Raspberry Pi Imager make the user, or log in as admin with ssh.key"),
    ("custom.toml", "use a Raspberry Pi Imager of version 2 with this image's list"),
    ("firstrun.sh", "use a Raspberry Pi Imager of version 2 with this image's list"),
];

/// What is wrong with a file of this name, if it may be meant for us, and the cure. Editors and
/// browsers add endings, and people know what other images read.
#[must_use]
pub fn stray(name: &str) -> Option<(&'static str, String)> {
    let name = name.to_ascii_lowercase();
    if let Some((_, cure)) = OTHERS.iter().find(|(other, _)| *other == name) {
        let cure = format!("{cure} in {}, and delete this file", File::Settings.name());
        return Some(("this image does not read it", cure));
    }
    let ending = [".txt", ".json", ".pub", ".yaml", ".yml"];
    let stem = ending.iter().find_map(|ending| name.strip_suffix(ending))?;
    let meant = match stem {
        "barnacle" if name == "barnacle.json" => Some(&File::Configuration),
        stem => File::ALL.iter().find(|file| file.name() == stem),
    };
    let cure = format!(
        "rename it to {}; Windows hides the last part of names unless it is told not to",
        meant?.name()
    );
    Some(("this name is not looked for", cure))
}
