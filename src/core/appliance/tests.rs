use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::base::limits::CARD_KEYS_MAX;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEIP0du7ZPjP2e9c1uB7ajnjLEYY4iJNCvEv5XQhKxD7 phone";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
                      admin:x:1000:1000::/state/home/admin:/bin/bash\n";
/// As Imager 2 writes it.
const USER_DATA: &str = r#"#cloud-config
hostname: raspi
manage_etc_hosts: true
packages:
- avahi-daemon
apt:
  conf: |
    Acquire {
      Check-Date "false";
    };
timezone: Europe/Berlin
keyboard:
  model: pc105
  layout: "de"
enable_ssh: true
users:
- name: anna
  groups: users,adm,dialout,audio,netdev,video,plugdev,cdrom,games,input,gpio,spi,i2c,render,sudo
  shell: /bin/bash
  lock_passwd: false
  passwd: $y$jB5$LhIRg7LAJxIJEtIMnlYJg/$otYjJN.9xxxxKSIBayVjFGcl62ink.YF240KSu38zAA
  ssh_authorized_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEIP0du7ZPjP2e9c1uB7ajnjLEYY4iJNCvEv5XQhKxD7 phone
  sudo: ALL=(ALL) NOPASSWD:ALL
ssh_pwauth: true
rpi:
  interfaces:
    serial: true
"#;
const NETWORK: &str = r#"network:
  version: 2
  wifis:
    wlan0:
      dhcp4: true
      regulatory-domain: "DE"
      access-points:
        "My \"net\"":
          hidden: true
          password: "49909842786a5568b0c916d000694d7081e999fac46d35340a07d70f2d3f2fb6"
      optional: true
"#;

fn knowing<T>(with: impl Fn(&Knowledge<'_>) -> T) -> T {
    let zone = |text: &str| match text {
        "Europe/Berlin" | "berlin" => Ok("Europe/Berlin".to_owned()),
        _ => Err("no time zone".to_owned()),
    };
    let token = |text: &str| text.bytes().all(|b| b.is_ascii_graphic()).then(|| Secret::new(text));
    let configuration = |text: &str| {
        let broken = Remark { line: Some(2), text: "broken".into(), cure: "mend it".into() };
        if text.starts_with('{') { Ok(Vec::new()) } else { Err(broken) }
    };
    with(&Knowledge { zone: &zone, token: &token, configuration: &configuration })
}

fn card(files: &[(File, &str)]) -> Card {
    let content = |text: &str| Content::Bytes(text.as_bytes().to_vec());
    let files = files.iter().map(|(file, text)| (*file, content(text)));
    Card { files: files.collect(), strays: Vec::new() }
}

fn host() -> Host {
    Host {
        passwd: PASSWD.into(),
        hosts: "127.0.0.1\tlocalhost\n127.0.1.1\told\n::1\tlocalhost\n".into(),
        variables: "# mine\nBARNACLE_SETUP=local\nA=b\n".into(),
        ..Host::default()
    }
}

fn planned(files: &[(File, &str)]) -> Plan {
    knowing(|knowledge| plan(&card(files), &host(), knowledge))
}

/// The files that a plan writes.
fn written(plan: &Plan) -> BTreeMap<&str, (u32, String)> {
    let of = |step: &Step| match step {
        Step::Write { path, mode, bytes, .. } => {
            let path: &str = Box::leak(path.clone().into_boxed_str());
            Some((path, (*mode, String::from_utf8(bytes.clone()).unwrap())))
        }
        _ => None,
    };
    plan.steps.iter().filter_map(of).collect()
}

fn programs(plan: &Plan) -> Vec<String> {
    let of = |step: &Step| match step {
        Step::Run { words, .. } => Some(words.join(" ")),
        _ => None,
    };
    plan.steps.iter().filter_map(of).collect()
}

fn told(plan: &Plan) -> Vec<String> {
    plan.mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_person_s_settings_become_the_system_s() {
    let settings = format!(
        "hostname = Pi-4\r\nwifi.ssid = Home\r\nwifi.password = geheim \"#1\"\r\n\
         wifi.country = de\r\nssh.key = {KEY}\r\ntimezone = berlin\r\ntoken = a.b.c\r\n\
         setup = lan\r\n"
    );
    let plan = planned(&[(File::Settings, &settings)]);
    assert_eq!(told(&plan), [""; 0]);
    assert!(plan.notes.is_empty() && plan.wipes == [File::Settings]);
    assert_eq!(plan.settings, template().into_bytes());
    let written = written(&plan);
    let text = |path: &str| written.get(path).map_or("", |(_, text)| text.as_str());
    let mode = |path: &str| written.get(path).map(|(mode, _)| *mode);
    assert_eq!(text("/etc/hostname"), "pi-4\n");
    assert_eq!(text("/etc/hosts"), "127.0.0.1\tlocalhost\n127.0.1.1\tpi-4\n::1\tlocalhost\n");
    let wifi = "/etc/wpa_supplicant/wpa_supplicant-wlan0.conf";
    for line in ["country=DE", "\tssid=486f6d65", "\tpsk=\"geheim \"#1\"\"", "}"] {
        assert!(text(wifi).lines().any(|known| known == line), "{line}: {}", text(wifi));
    }
    assert_eq!(text("/etc/ssh/authorized_keys.d/admin"), format!("{KEY}\n"));
    assert!(text("/etc/ssh/sshd_config.d/05-login.conf").ends_with("PasswordAuthentication no\n"));
    assert_eq!(text("/etc/credstore/discord-bot-token"), "a.b.c\n");
    assert_eq!(text("/etc/default/barnacle"), "# mine\nBARNACLE_SETUP=lan\nA=b\n");
    for secret in [wifi, "/etc/credstore/discord-bot-token", "/etc/default/barnacle"] {
        assert_eq!(mode(secret), Some(0o600), "{secret}");
    }
    assert_eq!(programs(&plan), [""; 0]);
}

#[test]
fn what_imager_writes_is_taken_over_without_a_word_about_the_rest() {
    let files = [(File::User, USER_DATA), (File::Network, NETWORK), (File::Meta, "instance-id: x")];
    let plan = planned(&files);
    assert_eq!(told(&plan), [""; 0]);
    assert!(plan.notes.is_empty(), "{:?}", plan.notes);
    assert_eq!(plan.wipes, [File::User, File::Network, File::Meta]);
    let written = written(&plan);
    let text = |path: &str| written.get(path).map_or("", |(_, text)| text.as_str());
    let wifi = text("/etc/wpa_supplicant/wpa_supplicant-wlan0.conf");
    for line in ["country=DE", "\tssid=4d7920226e657422", "\tscan_ssid=1", "\tkey_mgmt=WPA-PSK"] {
        assert!(wifi.lines().any(|known| known == line), "{line}: {wifi}");
    }
    assert!(wifi.contains("\tpsk=49909842786a5568"), "{wifi}");
    assert_eq!(text("/etc/ssh/authorized_keys.d/anna"), format!("{KEY}\n"));
    assert!(text("/etc/ssh/sshd_config.d/05-login.conf").ends_with("PasswordAuthentication yes\n"));
    let programs = programs(&plan);
    assert!(programs[0].starts_with("useradd ") && programs[0].ends_with(" anna"), "{programs:?}");
    // A password is for standard input, never among the words that lists of processes show.
    assert_eq!(programs[1..], ["chpasswd --encrypted"]);
    let input = plan.steps.iter().find_map(|step| match step {
        Step::Run { input: Some(input), .. } => Some(input.expose().to_owned()),
        _ => None,
    });
    assert!(input.is_some_and(|input| input.starts_with("anna:$y$jB5$")));
}

#[test]
fn files_that_people_wrote_for_cloud_init_are_understood_as_far_as_they_go() {
    let user = "#cloud-config\nusers:\n  - default\n  - name: xk\n    passwd: \"$6$a$b\"\n    \
                sudo: ['ALL=(ALL) NOPASSWD:ALL']\n  - name: second\nwrite_files:\n  - path: /x\n\
                ssh_authorized_keys: [a b]\npassword: hunter2\nruncmd:\n - [sh, -c, \"x\"]\n";
    let network = "version: 2\nethernets:\n  eth0:\n    addresses: [10.0.0.2/24]\nwifis:\n  \
                   wlan0:\n    access-points:\n      One:\n        auth:\n          \
                   key-management: psk\n          password: 12345678\n      Two: {}\n";
    let plan = planned(&[(File::User, user), (File::Network, network)]);
    assert_eq!(
        told(&plan),
        [
            "user-data, line 10: this is no public key (write the whole line of a .pub file; it \
             begins with ssh-ed25519 or the like)",
            "user-data, line 11: passwords are not taken from here (let Imager set one for the \
             user, or log in with a key)",
        ]
    );
    let notes: Vec<String> = plan.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "user-data, line 7: only the first user is made",
            "user-data, line 8: \"write_files\" is not done by this image",
            "user-data, line 12: \"runcmd\" is not done by this image",
            "network-config, line 4: \"addresses\" is not done by this image",
            "network-config, line 12: only the first wireless network is taken over",
        ]
    );
    assert!(programs(&plan)[0].ends_with(" xk"));
    let wifi = &written(&plan)["/etc/wpa_supplicant/wpa_supplicant-wlan0.conf"].1;
    assert!(wifi.contains("ssid=4f6e65\n") && wifi.contains("psk=\"12345678\""), "{wifi}");
    assert_eq!(
        (plan.wipes.as_slice(), plan.seen.as_slice()),
        (&[File::Network][..], &[File::User][..])
    );
}

#[test]
fn the_first_file_counts_and_the_other_is_told() {
    let settings = "hostname = mine\nwifi.ssid = Home\n";
    let files = [(File::Settings, settings), (File::User, USER_DATA), (File::Network, NETWORK)];
    let plan = planned(&files);
    assert_eq!(written(&plan)["/etc/hostname"].1, "mine\n");
    let wifi = &written(&plan)["/etc/wpa_supplicant/wpa_supplicant-wlan0.conf"].1;
    assert!(wifi.contains("key_mgmt=NONE") && !wifi.contains("psk"), "not half of each: {wifi}");
    let files: Vec<&str> = plan.notes.iter().map(|note| note.file.as_str()).collect();
    assert_eq!(
        files,
        ["user-data", "network-config", "network-config", "network-config", "network-config"]
    );
}

#[test]
fn of_two_that_contradict_each_other_neither_is_taken() {
    let settings = "hostname = a\nwifi.ssid = b\nhostname = c\nwifi.ssid = d\nsetup = lan\n";
    let plan = planned(&[(File::Settings, settings)]);
    assert_eq!(plan.mistakes.iter().map(|m| m.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(plan.taken, ["setup page: for everybody in the network, with the code"]);
    let left = settings.replace("setup = lan", "#setup = (taken over)");
    assert_eq!(String::from_utf8(plan.settings), Ok(left));
}

#[test]
fn a_network_is_joined_as_it_was_meant_or_not_at_all() {
    for (settings, line) in [
        ("wifi.ssid = Home\nwifi.password = short\n", 2),
        ("wifi.ssid = Home\nwifi.password = long enough\nwifi.country = UK\n", 3),
        ("wifi.password = long enough\n", 1),
        ("hostname = a\nwifi.country = DE\n", 2),
    ] {
        let plan = planned(&[(File::Settings, settings)]);
        assert!(written(&plan).keys().all(|path| !path.contains("wpa")), "{settings}");
        assert_eq!(plan.mistakes.len(), 1, "{settings}");
        assert_eq!(plan.mistakes[0].line, line, "{settings}");
        // What stays, stays in whole.
        let left = String::from_utf8(plan.settings.clone()).unwrap();
        let kept = |line: &&str| line.starts_with("wifi");
        if plan.wipes.is_empty() {
            continue;
        }
        assert_eq!(left.lines().filter(kept).count(), settings.lines().filter(kept).count());
    }
}

#[test]
fn what_is_wrong_stays_in_its_line_and_no_secret_is_told() {
    let settings = "hostname = pi_4\ntoken = hunter2 hunter2\nhunter2\nsetup = hunter2\n\
                    timezone = hunter2\nssh.key = hunter2\nwifi.password = hunter2\n";
    let user = "users:\n- name: root\n  passwd: hunter2\n";
    let plan = planned(&[
        (File::Settings, settings),
        (File::User, user),
        (File::Keys, "hunter2\n"),
        (File::Configuration, "hunter2"),
    ]);
    assert!(plan.steps.is_empty() && plan.taken.is_empty() && plan.wipes.is_empty());
    assert_eq!(plan.mistakes.len(), 12, "{:?}", told(&plan));
    let report = report(&plan, &[]).unwrap();
    assert!(!report.contains("hunter2"), "{report}");
    assert!(report.contains("barnacle.json5, line 2: broken (mend it)"), "{report}");
    assert!(plan.mistakes.iter().all(|mistake| !mistake.cure.is_empty() || mistake.line == 5));
    assert_eq!(plan.seen, [File::Keys, File::User]);
}

#[test]
fn a_file_that_stays_is_taken_over_once() {
    let mut card = card(&[(File::Settings, "hostname = new\n")]);
    let stays = USER_DATA.replace("raspi", "ras_pi");
    card.files.insert(File::User, Content::Seen(stays.into_bytes()));
    let plan = knowing(|knowledge| plan(&card, &host(), knowledge));
    assert_eq!(plan.mistakes.len(), 1, "told again");
    assert!(programs(&plan).is_empty());
    let paths: Vec<_> = written(&plan).into_keys().collect();
    assert_eq!(paths, ["/etc/hostname", "/etc/hosts"]);
    assert_eq!((plan.wipes, plan.seen), (vec![File::Settings], vec![File::User]));
}

#[test]
fn keys_are_added_and_go_to_whoever_may_log_in() {
    let mut host = host();
    host.passwd.push_str("anna:x:1001:1001::/state/home/anna:/bin/bash\n");
    host.keys.insert("anna".into(), "ssh-rsa old\n".into());
    host.login = Some("PasswordAuthentication yes\n".into());
    let keys = format!("# mine\n\n{KEY}\n{KEY}\n");
    let plan = knowing(|knowledge| plan(&card(&[(File::Keys, &keys)]), &host, knowledge));
    let written = written(&plan);
    assert_eq!(written["/etc/ssh/authorized_keys.d/anna"].1, format!("ssh-rsa old\n{KEY}\n"));
    assert_eq!(written["/etc/ssh/sshd_config.d/05-login.conf"].1, "PasswordAuthentication yes\n");
}

#[test]
fn a_configuration_is_taken_over_and_the_old_one_kept() {
    let mut host = host();
    host.configuration = Some(b"{old}".to_vec());
    let card = card(&[(File::Configuration, "\u{feff}{}")]);
    let plan = knowing(|knowledge| plan(&card, &host, knowledge));
    let written = written(&plan);
    assert_eq!(written["/etc/barnacle/barnacle.json5"], (0o640, "{}".into()));
    assert_eq!(written["/etc/barnacle/barnacle.json5.bak"], (0o640, "{old}".into()));
    assert_eq!(plan.wipes, [File::Configuration]);
}

#[test]
fn files_that_are_almost_right_are_noticed() {
    for (name, words) in [
        ("authorized_keys.txt", "rename it to authorized_keys;"),
        ("Barnacle.txt.txt", "rename it to barnacle.txt;"),
        ("barnacle.json", "rename it to barnacle.json5;"),
        ("barnacle.json5.txt", "rename it to barnacle.json5;"),
        ("user-data.yml", "rename it to user-data;"),
        ("wpa_supplicant.conf", "write wifi.ssid and wifi.password in barnacle.txt"),
        ("SSH", "write ssh.key"),
    ] {
        let card = Card { strays: vec![name.into()], ..Card::default() };
        let plan = knowing(|knowledge| plan(&card, &host(), knowledge));
        assert!(told(&plan)[0].contains(words), "{:?}", told(&plan));
    }
    let ours = File::ALL.map(File::name);
    for name in ours.into_iter().chain(["config.txt", "barnacle-report.txt", "cmdline.txt"]) {
        assert_eq!(stray(name), None, "{name}");
    }
}

#[test]
fn nothing_on_the_card_is_nothing_to_do() {
    let plan = planned(&[(File::Settings, &template())]);
    assert!(plan.steps.is_empty() && plan.wipes.is_empty() && plan.seen.is_empty());
    assert_eq!(report(&plan, &[]), None);
}

#[test]
fn garbage_is_told_within_bounds() {
    let garbage = "x\u{0}\n".repeat(10_000);
    let plan = planned(&[(File::Settings, &garbage), (File::Network, &garbage)]);
    assert_eq!(plan.mistakes.len(), CARD_MISTAKES_MAX);
    assert_eq!(plan.more, 20_000 - CARD_MISTAKES_MAX);
    assert!(plan.steps.is_empty() && plan.wipes.is_empty());
}

proptest! {
    #[test]
    fn whatever_is_on_the_card_nothing_of_it_gets_out_of_its_place(
        files in proptest::collection::vec("(?s).{0,200}", 4),
        key in "(hostname|wifi.ssid|wifi.password|ssh.key|timezone|token|setup) = .{0,80}",
    ) {
        let settings = format!("{key}\n{}", files[0]);
        let network = NETWORK.replace("My", &files[2]);
        let user = USER_DATA.replace("anna", &files[1]);
        let offered = [
            (File::Settings, settings.as_str()),
            (File::User, &user),
            (File::Network, &network),
            (File::Keys, &files[3]),
        ];
        let first = planned(&offered);
        sound(&first);
        // What was taken over is gone from what is put back.
        if first.wipes.contains(&File::Settings) {
            let left = String::from_utf8(first.settings).unwrap_or_default();
            let second = planned(&[(File::Settings, &left)]);
            prop_assert!(second.taken.is_empty() && second.wipes.is_empty(), "{left}");
        }
    }
}

/// What holds for every plan.
fn sound(plan: &Plan) {
    for (path, (_, text)) in written(plan) {
        assert!(
            path.starts_with("/etc/") && !path.contains("..") && !path.contains('\0'),
            "{path}"
        );
        let bound = match path {
            "/etc/hostname" | "/etc/timezone" | "/etc/credstore/discord-bot-token" => 1,
            "/etc/hosts" | "/etc/default/barnacle" => 3,
            "/etc/wpa_supplicant/wpa_supplicant-wlan0.conf" => 10,
            path if path.starts_with("/etc/sudoers.d/") => 1,
            _ => CARD_KEYS_MAX,
        };
        assert!(text.lines().count() <= bound, "{path}: {text}");
        assert!(!text.replace(['\n', '\t'], "").contains(char::is_control), "{path}: {text:?}");
    }
    for program in programs(plan) {
        assert!(!program.contains(['$', '\n', '\'']), "{program}");
    }
    let report = report(plan, &[]).unwrap_or_default();
    assert!(!report.replace('\n', "").contains(char::is_control), "{report:?}");
}
