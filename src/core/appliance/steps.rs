//! From what was found fit to the steps that bring it about.
//!
//! Services look at the files that are written here by conditions in their units, so that nothing
//! need be enabled or started while the system starts.

use std::fmt::Write as _;

use super::judge::{Psk, uid};
use super::{Host, Plan, Wifi, Wishes};
use crate::base::Secret;
use crate::base::limits::CARD_KEYS_MAX;
use crate::base::text::{Hex, Plain};

/// Something to do. Done again, it changes nothing. Paths are absolute.
pub enum Step {
    /// A file, unless it is like that already.
    Write {
        /// Its path.
        path: String,
        /// Its mode.
        mode: u32,
        /// Whether the gateway's group may have it as its mode says; else it is root's.
        for_gateway: bool,
        /// What it holds.
        bytes: Vec<u8>,
    },
    /// A symbolic link in the place of whatever is there.
    Link {
        /// Its path.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A directory, if it is missing.
    Directory {
        /// Its path.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// A program. What is secret goes to its standard input.
    Run {
        /// Its name and its arguments.
        words: Vec<String>,
        /// What it is told.
        input: Option<Secret>,
    },
    /// The name that the running system goes by.
    Hostname(String),
}

/// Who the image has besides root; it has no password.
const ADMIN: &str = "admin";
const LOGIN: &str = "/etc/ssh/sshd_config.d/05-login.conf";
const VARIABLE: &str = "BARNACLE_SETUP";

/// Fills in the steps for `wishes`, and what they come to.
pub(super) fn take(wishes: &Wishes, host: &Host, plan: &mut Plan) {
    if let Some(name) = &wishes.hostname {
        hostname(name, host, plan);
    }
    if let Some(zone) = &wishes.zone {
        let target = format!("/usr/share/zoneinfo/{zone}");
        plan.steps.push(Step::Link { path: "/etc/localtime".into(), target });
        plan.steps.push(file("/etc/timezone", 0o644, format!("{zone}\n")));
        plan.taken.push(format!("time zone: {zone}"));
    }
    if let Some(network) = &wishes.wifi {
        wifi(network, plan);
    }
    login(wishes, host, plan);
    if let Some(token) = &wishes.token {
        plan.steps.push(Step::Directory { path: "/etc/credstore".into(), mode: 0o700 });
        let text = format!("{}\n", token.expose());
        plan.steps.push(file("/etc/credstore/discord-bot-token", 0o600, text));
        plan.taken.push("the bot's token".into());
    }
    if let Some(setup) = wishes.setup {
        let text = with_line(&host.variables, &format!("{VARIABLE}="), setup);
        plan.steps.push(file("/etc/default/barnacle", 0o600, text));
        let who = match setup {
            "lan" => "everybody in the network, with the code",
            "local" => "this machine alone",
            _ => "nobody",
        };
        plan.taken.push(format!("setup page: for {who}"));
    }
    if let Some(bytes) = &wishes.configuration {
        configuration(bytes, host, plan);
    }
}

fn file(path: &str, mode: u32, text: String) -> Step {
    Step::Write { path: path.into(), mode, for_gateway: false, bytes: text.into_bytes() }
}

fn hostname(name: &str, host: &Host, plan: &mut Plan) {
    plan.steps.push(file("/etc/hostname", 0o644, format!("{name}\n")));
    let hosts = with_line(&host.hosts, "127.0.1.1", &format!("\t{name}"));
    plan.steps.push(file("/etc/hosts", 0o644, hosts));
    plan.steps.push(Step::Hostname(name.to_owned()));
    plan.taken.push(format!("host name: {name} ({name}.local in the network)"));
}

/// `text` with one line that begins with `start` and goes on with `rest`.
fn with_line(text: &str, start: &str, rest: &str) -> String {
    let mut out = String::new();
    let mut line = Some(format!("{start}{rest}\n"));
    for old in text.lines() {
        if old.starts_with(start) {
            out.extend(line.take());
        } else {
            out.push_str(old);
            out.push('\n');
        }
    }
    out.extend(line);
    out
}

/// The name of a network may be any bytes, and is written as digits; a password cannot break out
/// of its quotes, since it ends at the last one of its line (`wpa_supplicant.conf`(5)).
fn wifi(wifi: &Wifi, plan: &mut Plan) {
    let mut text = String::from("# From the boot partition; the next network from there replaces");
    text.push_str(" it.\nctrl_interface=/run/wpa_supplicant\n");
    if let Some(country) = &wifi.country {
        let _ = writeln!(text, "country={country}");
    }
    let _ = writeln!(text, "network={{\n\tssid={}", Hex(wifi.ssid.as_bytes()));
    if wifi.is_hidden {
        text.push_str("\tscan_ssid=1\n");
    }
    match &wifi.psk {
        // WPA3 needs the password itself.
        Some(Psk::Words(words)) => {
            let _ = writeln!(text, "\tkey_mgmt=WPA-PSK SAE\n\tpsk={}", words.expose());
            text.push_str("\tieee80211w=1\n");
        }
        Some(Psk::Digits(digits)) => {
            let _ = writeln!(text, "\tkey_mgmt=WPA-PSK\n\tpsk={}", digits.expose());
        }
        None => text.push_str("\tkey_mgmt=NONE\n"),
    }
    text.push_str("}\n");
    plan.steps.push(file("/etc/wpa_supplicant/wpa_supplicant-wlan0.conf", 0o600, text));
    let country = match &wifi.country {
        Some(country) => format!("country {country}"),
        None => "no country, so only channels that are allowed everywhere".to_owned(),
    };
    let open = if wifi.psk.is_none() { "without a password, " } else { "" };
    let ssid = Plain(&wifi.ssid);
    plan.taken.push(format!("wireless network: \"{ssid}\", {open}{country}"));
}

/// Who may log in, and how. Nobody may as long as there is neither a key nor a password.
fn login(wishes: &Wishes, host: &Host, plan: &mut Plan) {
    let user = wishes.user.clone().unwrap_or_else(|| person(&host.passwd));
    if wishes.user.is_some() {
        make_user(&user, wishes.hash.is_some(), host, plan);
    }
    if let Some(hash) = &wishes.hash {
        let input = Secret::new(&format!("{user}:{}", hash.expose()));
        let words = ["chpasswd", "--encrypted"].map(str::to_owned).into();
        plan.steps.push(Step::Run { words, input: Some(input) });
        plan.taken.push(format!("a password for {user}"));
    }
    if !wishes.keys.is_empty() {
        keys(&user, wishes, host, plan);
    }
    let by_password = wishes.hash.is_some() && wishes.ssh_password;
    if by_password || !wishes.keys.is_empty() {
        let said = "# Whether SSH asks for passwords; it starts if this file is there.\n";
        let word = if by_password { "yes" } else { "no" };
        let text = format!("{said}PasswordAuthentication {word}\n");
        // Who logs in by password is not locked out by another's key.
        let text = if by_password { text } else { host.login.clone().unwrap_or(text) };
        plan.steps.push(file(LOGIN, 0o644, text));
    }
}

/// The first user that an import made, else the image's own.
fn person(passwd: &str) -> String {
    let is_made = |line: &&str| {
        let fields: Vec<&str> = line.split(':').collect();
        let uid = fields.get(2).and_then(|uid| uid.parse::<u32>().ok());
        uid.is_some_and(|uid| (1001..60_000).contains(&uid))
            && fields.get(5).is_some_and(|home| home.starts_with("/state/home/"))
    };
    let name = passwd.lines().find(is_made).and_then(|line| line.split(':').next());
    name.unwrap_or(ADMIN).to_owned()
}

fn make_user(user: &str, has_password: bool, host: &Host, plan: &mut Plan) {
    if uid(user, &host.passwd).is_none() {
        let home = format!("/state/home/{user}");
        plan.steps.push(Step::Directory { path: "/state/home".into(), mode: 0o755 });
        let words = [
            "useradd",
            "--create-home",
            "--home-dir",
            &home,
            "--shell",
            "/bin/bash",
            "--groups",
            "sudo,systemd-journal,barnacle",
            user,
        ];
        let words = words.map(str::to_owned).into();
        plan.steps.push(Step::Run { words, input: None });
    }
    // Without a password, none can be asked for.
    if !has_password {
        let text = format!("{user} ALL=(ALL) NOPASSWD:ALL\n");
        plan.steps.push(file(&format!("/etc/sudoers.d/50-{user}"), 0o440, text));
    }
    plan.taken.push(format!("user: {user}, who may use sudo"));
}

fn keys(user: &str, wishes: &Wishes, host: &Host, plan: &mut Plan) {
    let old = host.keys.get(user).map_or("", String::as_str);
    let mut all: Vec<&str> = Vec::new();
    for key in old.lines().chain(wishes.keys.iter().map(String::as_str)) {
        if !key.trim().is_empty() && !all.contains(&key) {
            all.push(key);
        }
    }
    // The latest ones are those that somebody has at hand.
    let all = all.get(all.len().saturating_sub(CARD_KEYS_MAX)..).unwrap_or_default();
    let path = "/etc/ssh/authorized_keys.d";
    plan.steps.push(Step::Directory { path: path.into(), mode: 0o755 });
    let text = all.iter().flat_map(|key| [key, "\n"]).collect();
    plan.steps.push(file(&format!("{path}/{user}"), 0o644, text));
    let (count, s) = (wishes.keys.len(), if wishes.keys.len() == 1 { "" } else { "s" });
    plan.taken.push(format!("{count} key{s} for logging in as {user} by SSH"));
}

fn configuration(bytes: &[u8], host: &Host, plan: &mut Plan) {
    const PATH: &str = "/etc/barnacle/barnacle.json5";
    let write = |path: String, bytes: &[u8]| Step::Write {
        path,
        mode: 0o640,
        for_gateway: true,
        bytes: bytes.to_vec(),
    };
    let old = host.configuration.as_ref().filter(|old| old.as_slice() != bytes);
    plan.steps.extend(old.map(|old| write(format!("{PATH}.bak"), old)));
    plan.steps.push(write(PATH.into(), bytes));
    let more = if old.is_some() { "; the one before it is kept as .bak" } else { "" };
    plan.taken.push(format!("the configuration{more}"));
}
