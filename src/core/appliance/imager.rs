//! What Raspberry Pi Imager writes for images that are set up by cloud-init: `user-data` and
//! `network-config`. Its other settings mean nothing here; what people added is told.

use std::cell::RefCell;

use super::lines::{Text, lines};
use super::yaml::{self, Leaf, Step};
use super::{Entry, File, Key, Mistake};

/// Settings of Imager's that this image needs no word about: they are so anyway, or they are for
/// other images.
const QUIET: &[&str] = &[
    "manage_etc_hosts",
    "preserve_hostname",
    "apt",
    "keyboard",
    "locale",
    "enable_ssh",
    "rpi",
    "disable_root",
    "ssh_deletekeys",
    "ssh_genkeytypes",
];

/// What becomes of a line.
enum Fate {
    /// It says this.
    Set(Key),
    /// It needs no word.
    Quiet,
    /// It is not done here, which is told.
    Not(String),
    /// It is refused.
    Wrong(&'static str, &'static str),
}

/// Reads `user-data`.
pub(super) fn user(text: &Text<'_>, told: &mut Told) -> Vec<Entry> {
    // Who the first user of the list is; `default` stands for the image's own.
    let first: RefCell<Option<String>> = RefCell::default();
    let is_first = |number: &str| {
        first.borrow_mut().get_or_insert_with(|| number.to_owned()).as_str() == number
    };
    document(File::User, text, told, |leaf, names| match names {
        ["hostname"] => Fate::Set(Key::Hostname),
        ["timezone"] => Fate::Set(Key::Timezone),
        ["ssh_pwauth"] if is_true(&leaf.text) => Fate::Set(Key::SshPassword),
        ["users", _] if matches!(leaf.text.as_str(), "" | "default") => Fate::Quiet,
        ["users", number, rest @ ..] if is_first(number) => of_user(rest),
        ["users", _, ..] => Fate::Not("only the first user is made".into()),
        [] | ["users" | "ssh_authorized_keys" | "ssh_pwauth" | "packages"] => Fate::Quiet,
        ["ssh_authorized_keys", _] => Fate::Set(Key::Login),
        ["password" | "chpasswd", ..] => Fate::Wrong(
            "passwords are not taken from here",
            "let Imager set one for the user, or log in with a key",
        ),
        ["packages", _] if leaf.text == "avahi-daemon" => Fate::Quiet,
        ["packages", ..] => Fate::Not("packages are not installed here".into()),
        [top, ..] if QUIET.contains(top) => Fate::Quiet,
        [top, ..] => Fate::Not(not_done(top)),
    })
}

fn of_user(names: &[&str]) -> Fate {
    match names {
        // A name alone, or as one of its settings.
        [] | ["name"] => Fate::Set(Key::User),
        ["passwd" | "hashed_passwd"] => Fate::Set(Key::Hash),
        ["ssh_authorized_keys" | "ssh-authorized-keys", _] => Fate::Set(Key::Login),
        ["plain_text_passwd"] => Fate::Wrong(
            "a password that everybody can read is not taken over",
            "let Imager set it, which writes it as a hash",
        ),
        _ => Fate::Quiet,
    }
}

/// Reads `network-config`.
pub(super) fn network(text: &Text<'_>, told: &mut Told) -> Vec<Entry> {
    document(File::Network, text, told, |leaf, names| {
        let names = if let ["network", rest @ ..] = names { rest } else { names };
        match names {
            []
            | ["version" | "renderer" | "wifis" | "ethernets"]
            | ["wifis" | "ethernets", _]
            | ["wifis" | "ethernets", _, "dhcp4" | "dhcp6" | "optional" | "access-points"] => {
                Fate::Quiet
            }
            ["wifis", _, "regulatory-domain"] => Fate::Set(Key::Country),
            ["wifis", _, "access-points", _] => Fate::Set(Key::Ssid),
            ["wifis", _, "access-points", _, rest @ ..] => match rest {
                ["password"] | ["auth", "password"] => Fate::Set(Key::Password),
                ["hidden"] if is_true(&leaf.text) => Fate::Set(Key::Hidden),
                ["hidden" | "auth" | "mode"] | ["auth", "key-management"] => Fate::Quiet,
                _ => Fate::Not(not_done(rest.last().unwrap_or(&""))),
            },
            ["wifis" | "ethernets", _, what, ..] => Fate::Not(not_done(what)),
            [top, ..] => Fate::Not(not_done(top)),
        }
    })
}

/// What is told of a file besides what it says.
#[derive(Default)]
pub(super) struct Told {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) notes: Vec<Mistake>,
}

fn document(
    file: File,
    text: &Text<'_>,
    told: &mut Told,
    fate: impl Fn(&Leaf, &[&str]) -> Fate,
) -> Vec<Entry> {
    let (leaves, faults) = yaml::read(&lines(text));
    for fault in faults {
        let cure = format!("leave it out, or write it into {} instead", File::Settings.name());
        told.mistakes.push(Mistake::new(file, fault.line, fault.text, cure));
    }
    let mut entries: Vec<Entry> = Vec::new();
    for leaf in leaves {
        let items: Vec<String> = leaf.path.iter().map(shown).collect();
        let names: Vec<&str> = items.iter().map(String::as_str).collect();
        let line = leaf.line;
        match fate(&leaf, &names) {
            Fate::Quiet => {}
            Fate::Set(Key::Ssid) => {
                let ssid = names.last().copied().unwrap_or_default().to_owned();
                entries.push(Entry { key: Key::Ssid, value: ssid, file, line });
            }
            Fate::Set(_) if leaf.text.is_empty() => {}
            Fate::Set(key) => entries.push(Entry { key, value: leaf.text, file, line }),
            Fate::Not(text) => {
                let is_new = told.notes.last().is_none_or(|note| note.text != text);
                if is_new {
                    told.notes.push(Mistake::new(file, line, text, ""));
                }
            }
            Fate::Wrong(text, cure) => told.mistakes.push(Mistake::new(file, line, text, cure)),
        }
    }
    first_network(&mut entries, told);
    entries
}

/// Of several wireless networks the first is taken over, with what stands below it.
fn first_network(entries: &mut Vec<Entry>, told: &mut Told) {
    let second = entries.iter().filter(|entry| entry.key == Key::Ssid).nth(1);
    let Some(line) = second.map(|entry| entry.line) else { return };
    let text = "only the first wireless network is taken over";
    told.notes.push(Mistake::new(File::Network, line, text, ""));
    let of_network = |key| matches!(key, Key::Ssid | Key::Password | Key::Hidden);
    entries.retain(|entry| entry.line < line || !of_network(entry.key));
}

fn shown(step: &Step) -> String {
    match step {
        Step::Name(name) => name.clone(),
        Step::Item(number) => number.to_string(),
    }
}

fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "on")
}

fn not_done(what: &str) -> String {
    let is_word = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '-');
    if what.len() <= 32 && what.chars().all(is_word) && !what.is_empty() {
        format!("\"{what}\" is not done by this image")
    } else {
        "this is not done by this image".to_owned()
    }
}
