//! `barnacle.txt`: `key = value`, one on each line, made for people with a text editor. One table
//! says which keys there are; the template that an image ships is rendered from it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::lines::{Line, Text, lines};
use super::{Entry, File, Key, Mistake};
use crate::base::spell;

/// The keys in the order of the template: the name, what it is, an example, and the explanation.
const KEYS: &[(&str, Key, &str, &str)] = &[
    (
        "hostname",
        Key::Hostname,
        "barnacle",
        "The name in the network: `ssh admin@NAME.local`. Letters, digits and hyphens.",
    ),
    (
        "wifi.ssid",
        Key::Ssid,
        "My network",
        "The wireless network, if there is no cable. Its name is written as it is shown,\n\
         capitals and all. Without a password it is joined as an open one.",
    ),
    ("wifi.password", Key::Password, "", "The network's password, of 8 to 63 characters."),
    (
        "wifi.country",
        Key::Country,
        "DE",
        "Where it stands, in two letters: this says which channels are allowed.",
    ),
    (
        "ssh.key",
        Key::Login,
        "ssh-ed25519 AAAA... me@laptop",
        "A public key for logging in as the user admin by SSH: the whole line of a file that\n\
         ends in .pub. More keys go on further lines like this one, or into a file\n\
         authorized_keys beside this file. Keys are added to those of earlier times.",
    ),
    ("timezone", Key::Timezone, "Europe/Berlin", "The time zone, as region and city."),
    (
        "token",
        Key::Token,
        "",
        "The bot's token, from https://discord.com/developers/applications. It can also be\n\
         given later, on the page that the screen and barnacle-contact.txt name.",
    ),
    (
        "setup",
        Key::Setup,
        "lan",
        "Who may open that page as long as there is no token: local is this machine alone; lan is\n\
         everybody in your network, with a code that the screen shows; off is nobody.",
    ),
];

const HEAD: &str = "\
Settings of this machine. Take away the # before a line, write what you mean behind the = and
save; it is taken over at the next start. What is wrong is told in barnacle-report.txt.

Spaces at both ends of a value do not count; to keep them, put the value in double quotes. A #
begins a comment at the beginning of a line only, so that passwords may have one.

What was taken over is wiped from this file. On flash memory that does not erase it: who gets
this card may still read old passwords and tokens from it with the right tools. The whole
configuration may be put beside this file as barnacle.json5 (`barnacle help config`).";

/// The file as an image ships it: every key explained, and none set.
#[must_use]
pub fn template() -> String {
    let mut out = String::new();
    let comment = |out: &mut String, text: &str| {
        for line in text.lines() {
            let _ = writeln!(out, "{}", format!("# {line}").trim_end());
        }
    };
    comment(&mut out, HEAD);
    for (name, _, example, about) in KEYS {
        out.push('\n');
        comment(&mut out, about);
        let _ = writeln!(out, "{}", format!("#{name} = {example}").trim_end());
    }
    // The oldest editors of Windows know no other.
    out.replace('\n', "\r\n")
}

/// Its keys, each with an explanation.
pub fn explained() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().map(|(name, _, _, about)| (*name, *about))
}

/// What the file says, and what is wrong with it.
pub(super) fn read(text: &Text<'_>, mistakes: &mut Vec<Mistake>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines(text) {
        match entry(&line) {
            Ok(None) => {}
            Ok(Some(entry)) => {
                let same = |other: &&Entry| other.key == entry.key && entry.key != Key::Login;
                let Some(first) = entries.iter().find(same) else {
                    entries.push(entry);
                    continue;
                };
                // Neither is better; if one were taken, the next start took the other.
                let name = name(entry.key);
                for (line, other) in [(first.line, line.number), (line.number, first.line)] {
                    let text = format!("{name} is there twice: line {other} has it too");
                    mistakes.push(Mistake::new(File::Settings, line, text, "remove one"));
                }
            }
            Err((text, cure)) => {
                mistakes.push(Mistake::new(File::Settings, line.number, text, cure));
            }
        }
    }
    entries
}

/// How the key is written in this file.
pub(super) fn name(key: Key) -> &'static str {
    KEYS.iter().find(|(_, known, ..)| *known == key).map_or("", |(name, ..)| name)
}

/// What a line says; nothing, if it is a comment, or a key that was left empty.
fn entry(line: &Line<'_>) -> Result<Option<Entry>, (String, String)> {
    let Some(text) = line.text else {
        let cure = "save the file as UTF-8, or write the line anew";
        return Err(("this is not UTF-8 text".into(), cure.into()));
    };
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let Some((key, value)) = text.split_once('=') else {
        let cure = "write `key = value`, or begin the line with a #";
        return Err(("there is no = in this line".into(), cure.into()));
    };
    let (key, value) = (key.trim(), value.trim());
    let known = KEYS.iter().find(|(name, ..)| spell::same(name, key));
    let (_, key, ..) = known.ok_or_else(|| stranger(key))?;
    let in_quotes = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = in_quotes.unwrap_or(value);
    if value.contains(char::is_control) {
        let cure = "write the line anew: this may have been pasted from elsewhere";
        return Err(("there are control characters in this line".into(), cure.into()));
    }
    let entry =
        Entry { key: *key, value: value.to_owned(), file: File::Settings, line: line.number };
    Ok(Some(entry).filter(|entry| !entry.value.is_empty()))
}

/// A key that does not exist. It is shown only if it looks like one: a password may stand there.
fn stranger(key: &str) -> (String, String) {
    let names = || KEYS.iter().map(|(name, ..)| *name);
    let is_word = |c: char| c.is_ascii_lowercase() || matches!(c, '.' | '_' | '-');
    let shown = Some(key).filter(|key| key.len() <= 24 && key.chars().all(is_word));
    let text = match shown {
        Some(key) => format!("there is no setting \"{key}\""),
        None => "what stands before the = is no setting".to_owned(),
    };
    let cure = match spell::nearest(key, names()) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    };
    (text, cure)
}

/// The file without what was taken over. As long as lines stay because something is wrong with
/// them, all lines keep their numbers: they are what the report names.
#[must_use]
pub(super) fn rest(text: &Text<'_>, taken: &[(usize, Key)], stay: &BTreeSet<usize>) -> Vec<u8> {
    if stay.is_empty() {
        return template().into_bytes();
    }
    let mut out = Vec::new();
    for line in lines(text) {
        let Some((_, key)) = taken.iter().find(|(number, _)| *number == line.number) else {
            out.extend_from_slice(line.raw);
            continue;
        };
        let end = line.raw.iter().rposition(|b| !b.is_ascii_control()).map_or(0, |at| at + 1);
        out.extend_from_slice(format!("#{} = (taken over)", name(*key)).as_bytes());
        out.extend_from_slice(line.raw.get(end..).unwrap_or_default());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (Vec<String>, Vec<String>) {
        let mut mistakes = Vec::new();
        let entries = read(&Text::of(text.as_bytes()), &mut mistakes);
        let show = |entry: &Entry| format!("{} {}={}", entry.line, name(entry.key), entry.value);
        (
            entries.iter().map(show).collect(),
            mistakes.iter().map(|m| format!("{}: {} ({})", m.line, m.text, m.cure)).collect(),
        )
    }

    #[test]
    fn values_are_taken_as_they_stand() {
        let (entries, mistakes) = told(
            "# a comment\r\n\r\n  Hostname=pi-4\r\nwifi.ssid = \" Home = #1 \"\r\n\
             wifi.password = a#b \"c\"\r\nssh.key = a b\nssh.key = c d\ntoken =\nTimeZone = x\n",
        );
        assert_eq!(mistakes, [""; 0]);
        assert_eq!(
            entries,
            [
                "3 hostname=pi-4",
                "4 wifi.ssid= Home = #1 ",
                "5 wifi.password=a#b \"c\"",
                "6 ssh.key=a b",
                "7 ssh.key=c d",
                "9 timezone=x",
            ]
        );
    }

    #[test]
    fn mistakes_have_their_line_and_cure_and_show_no_secret() {
        let (entries, mistakes) = told(
            "hostnam = x\nhunter2\nhostname = a\nhostname = b\nMTIzNDU2Nzg5 = x\nwifi = y\n\
             token = a\u{1b}b\ntokn = c\n",
        );
        assert_eq!(entries, ["3 hostname=a"]);
        assert_eq!(mistakes.len(), 8);
        for (mistake, words) in mistakes.iter().zip([
            "1: there is no setting \"hostnam\" (did you mean hostname?)",
            "2: there is no = in this line",
            "3: hostname is there twice: line 4 has it too (remove one)",
            "4: hostname is there twice: line 3 has it too (remove one)",
            "5: what stands before the = is no setting",
            "6: there is no setting \"wifi\" (there are hostname, wifi.ssid",
            "7: there are control characters",
            "8: there is no setting \"tokn\" (did you mean token?)",
        ]) {
            assert!(mistake.starts_with(words), "{mistake}");
        }
        let all = mistakes.concat();
        assert!(!all.contains("hunter2") && !all.contains("MTIz"), "{all}");
    }

    #[test]
    fn the_template_sets_nothing_and_explains_every_key() {
        let template = template();
        assert_eq!(told(&template), (Vec::new(), Vec::new()));
        assert!(template.is_ascii() && template.ends_with("\r\n"));
        let (set, mistakes) = told(&template.replace("\r\n#", "\r\n").replace("\r\n ", "\r\n# "));
        assert_eq!(mistakes, [""; 0]);
        // Those without an example are empty, which is as good as not there.
        let empty = KEYS.iter().filter(|(_, _, example, _)| example.is_empty()).count();
        assert_eq!(set.len() + empty, KEYS.len());
        assert!(template.lines().all(|line| line.len() <= 100));
    }

    #[test]
    fn what_was_taken_over_goes_and_lines_keep_their_numbers() {
        let text = Text::of(b"# mine\r\nhostname = a\r\nwifi.ssid = b\r\nfoo = 1");
        let taken = [(2, Key::Hostname), (3, Key::Ssid)];
        let left = |stay: &[usize]| {
            let stay = stay.iter().copied().collect();
            String::from_utf8(rest(&text, &taken, &stay)).unwrap()
        };
        let expected = "# mine\r\n#hostname = (taken over)\r\n#wifi.ssid = (taken over)\r\nfoo = 1";
        assert_eq!(left(&[4]), expected);
        assert_eq!(left(&[]), template());
    }
}
