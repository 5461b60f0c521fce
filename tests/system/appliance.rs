//! An image's first start, by the real binary on directories that stand for its partitions.

use serde_json::Value;

use crate::harness::{Dir, Run, path_text};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEIP0du7ZPjP2e9c1uB7ajnjLEYY4iJNCvEv5XQhKxD7 phone";

/// A boot partition and a system.
struct Card {
    dir: Dir,
    boot: String,
    root: String,
}

impl Card {
    fn new() -> Card {
        let dir = Dir::new();
        for name in ["boot", "root/etc/barnacle"] {
            std::fs::create_dir_all(dir.0.join(name)).unwrap();
        }
        let (boot, root) = (path_text(&dir.0.join("boot")), path_text(&dir.0.join("root")));
        Card { dir, boot, root }
    }

    fn put(&self, name: &str, text: &str) {
        self.dir.file(&format!("boot/{name}"), text);
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir.0.join(path)).unwrap_or_default()
    }

    fn import(&self, more: &[&str]) -> Run {
        let args = ["appliance", "import", "--boot", &self.boot, "--root", &self.root];
        Run::start(&[&args[..], more].concat(), &[])
    }
}

#[test]
fn a_template_that_was_filled_in_on_windows_becomes_the_system_s_settings() {
    let mut template = Run::start(&["appliance", "template"], &[]);
    assert_eq!(template.code(), 0);
    let card = Card::new();
    let filled: String = template.stdout().lines().fold("\u{feff}".into(), |text, line| {
        let line = match line.split(' ').next() {
            Some("#hostname") => "Hostname = Seal",
            Some("#wifi.ssid") => "wifi.ssid = Harbour",
            Some("#wifi.password") => "wifi.password = a \"good\" one # really",
            Some("#wifi.country") => "wifi.country = gb",
            Some("#ssh.key") => &format!("ssh.key = {KEY}"),
            Some("#timezone") => "timezone = Europe/London",
            Some("#token") => "token = MTIz.abc.def",
            Some("#setup") => "setup = lan",
            _ => line,
        };
        text + line.trim_end() + "\r\n"
    });
    card.put("barnacle.txt", &filled);
    let mut told = card.import(&[]);
    assert_eq!(told.code(), 0, "{}", told.output());
    for words in ["host name: seal", "\"Harbour\", country GB", "1 key for logging in as admin"] {
        assert!(told.stdout().contains(words), "{words}: {}", told.stdout());
    }
    assert_eq!(card.read("root/etc/hostname"), "seal\n");
    let wifi = card.read("root/etc/wpa_supplicant/wpa_supplicant-wlan0.conf");
    assert!(wifi.contains("\tpsk=\"a \"good\" one # really\"\n"), "{wifi}");
    assert_eq!(card.read("root/etc/credstore/discord-bot-token"), "MTIz.abc.def\n");
    assert!(card.read("root/etc/default/barnacle").contains("BARNACLE_SETUP=lan\n"));
    // As it was shipped.
    let mut template = Run::start(&["appliance", "template"], &[]);
    assert_eq!(template.code(), 0);
    assert_eq!(
        card.read("boot/barnacle.txt").replace('\r', ""),
        template.stdout().replace('\r', "")
    );
    let report = card.read("boot/barnacle-report.txt");
    for secret in ["good", "MTIz"] {
        assert!(!told.output().contains(secret) && !report.contains(secret), "{secret}");
    }
    assert!(report.contains("flash memory"), "{report}");
    let mut again = card.import(&[]);
    assert_eq!((again.code(), again.output().as_str()), (0, ""), "nothing is left to do");
}

#[test]
fn what_is_wrong_is_told_to_people_and_programs_and_stays() {
    let card = Card::new();
    card.put("barnacle.txt", "hostnam = a\nwifi.ssid = b\nwifi.password = short\n");
    card.put("barnacle.json5", "{ channels: { discord: { tokn: 'hunter2' } }");
    card.put("authorized_keys.txt", KEY);
    let mut told = card.import(&["--json"]);
    assert_eq!(told.code(), 65, "{}", told.output());
    let document: Value = serde_json::from_str(&told.stdout()).unwrap();
    let mistakes = document["mistakes"].as_array().unwrap();
    let places: Vec<String> =
        mistakes.iter().map(|m| format!("{} {}", m["file"].as_str().unwrap(), m["line"])).collect();
    assert_eq!(
        places,
        ["authorized_keys.txt 0", "barnacle.txt 1", "barnacle.txt 3", "barnacle.json5 1"]
    );
    assert_eq!(mistakes[1]["cure"], "did you mean hostname?");
    assert_eq!(document["taken"], serde_json::json!([]));
    assert!(card.read("boot/barnacle.txt").starts_with("hostnam = a\nwifi.ssid = b\n"));
    // Corrected: what has only odd keys is taken over, and what is odd is told.
    card.put("barnacle.json5", "{ channels: { discord: { tokn: 'hunter2' } } }");
    card.put("barnacle.txt", "");
    std::fs::remove_file(card.dir.0.join("boot/authorized_keys.txt")).unwrap();
    let mut told = card.import(&[]);
    assert_eq!(told.code(), 0, "{}", told.output());
    assert!(told.stdout().contains("did you mean channels.discord.token?"), "{}", told.stdout());
    assert!(!told.output().contains("hunter2"));
    assert!(card.read("root/etc/barnacle/barnacle.json5").contains("hunter2"));
    assert!(!card.dir.0.join("boot/barnacle.json5").exists());
}

#[test]
fn a_user_of_imager_s_is_made_by_the_system_s_own_programs() {
    let card = Card::new();
    let user = format!(
        "#cloud-config\nusers:\n- name: anna\n  passwd: $6$salt$hash\n  ssh_authorized_keys:\n    \
         - {KEY}\nssh_pwauth: true\n"
    );
    card.put("user-data", &user);
    let mut told = card.import(&[]);
    assert_eq!(told.code(), 0, "{}", told.output());
    assert!(told.stdout().contains("useradd --create-home"), "{}", told.stdout());
    assert!(told.stdout().contains("chpasswd --encrypted") && !told.output().contains("$6$"));
    assert_eq!(card.read("root/etc/ssh/authorized_keys.d/anna"), format!("{KEY}\n"));
    assert!(!card.dir.0.join("boot/user-data").exists());
}

#[test]
fn without_a_partition_it_says_so() {
    let card = Card::new();
    let mut told =
        Run::start(&["appliance", "import", "--boot", "/nonexistent", "--root", &card.root], &[]);
    assert_eq!(told.code(), 73, "{}", told.output());
    let mut told = Run::start(&["appliance", "import"], &[]);
    assert_eq!(told.code(), 64, "{}", told.output());
}
