//! Where the page is and what opens it, as a person reads it on the console.
//!
//! Whoever passes it on can leave out the lines that begin with `code:`, and what is left opens
//! nothing.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Guessers, Until};
use crate::control::SETUP_PATH;

/// All that is told.
pub(super) struct Card {
    pub(super) code: Option<(String, Until)>,
    /// Somebody is at it until then.
    pub(super) taken_until: Option<Until>,
    /// The page on the network, if it is there, by the names and addresses of this host.
    pub(super) lan: Vec<String>,
    /// The control port, on this host alone.
    pub(super) local: Option<u16>,
    /// What this host is called.
    pub(super) host: String,
    /// Whether none is looked at any more that comes from the network, or from this host.
    pub(super) is_spent: [bool; 2],
    pub(super) guessers: Guessers,
}

impl Card {
    /// The page on this host.
    fn here(&self) -> Option<String> {
        Some(format!("http://127.0.0.1:{}{SETUP_PATH}", self.local?))
    }

    /// How it is reached from another machine by SSH.
    fn tunnel(&self) -> Option<String> {
        let port = self.local?;
        Some(format!("ssh -N -L {port}:127.0.0.1:{port} USER@{}.local", self.host))
    }

    /// The line in the log; never with the code.
    pub(super) fn line(&self, file: Option<&str>) -> String {
        let place = self.lan.first().cloned().or_else(|| self.here()).unwrap_or_default();
        let file = file.map_or_else(String::new, |file| format!(", and so does {file}"));
        format!(
            "there is no bot token yet: {place} takes one; the code for it is shown by `barnacle \
             setup`{file}"
        )
    }

    /// What is written down.
    pub(super) fn text(&self) -> String {
        let mut text = "barnacle waits for its bot's token. It is handed over on a page of this \
                        machine's own:\n\n"
            .to_owned();
        for url in &self.lan {
            let _ = writeln!(text, "open: {url}");
        }
        if let (Some(here), Some(tunnel)) = (self.here(), self.tunnel()) {
            if self.lan.is_empty() {
                let _ = writeln!(text, "open: {here}  (in a browser on this machine)");
            }
            let _ = writeln!(text, "by ssh: {tunnel}  (then open {here} there)");
        }
        match (&self.code, self.taken_until) {
            (Some((code, until)), _) => {
                let (first, second) = code.split_at(code.len() / 2);
                let _ = writeln!(text, "code: {first}-{second}");
                let until = minute(*until);
                let _ = writeln!(text, "until: {until} by this machine's clock, then another");
            }
            (None, Some(until)) => {
                let until = minute(until);
                let _ =
                    writeln!(text, "taken: a browser has typed the code, and has until {until}");
                let _ = writeln!(text, "was that not you? `barnacle setup` sends it away");
            }
            (None, None) => {}
        }
        if !self.guessers.is_empty() {
            let _ = writeln!(text, "wrong codes: {}", self.guessers_told());
        }
        if self.is_spent.contains(&true) {
            let from = if self.is_spent[0] { "the network" } else { "this machine" };
            let _ = writeln!(
                text,
                "locked: no more codes are looked at from {from}; `barnacle setup` makes another"
            );
        }
        if !self.lan.is_empty() {
            text.push_str(
                "\nThe page is plain HTTP: everybody on this network can read what is typed there, \
                 the token too.\nSafer: the way by ssh above, or the token in a file.\n",
            );
        }
        text
    }

    fn guessers_told(&self) -> String {
        let told = self.guessers.iter().map(|(peer, count)| format!("{count} from {peer}"));
        told.collect::<Vec<_>>().join(", ")
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let here: Vec<String> = self.here().into_iter().collect();
        json!({
            "code": self.code.as_ref().map(|(code, _)| code),
            "expiresAtMs": self.code.as_ref().map(|(_, until)| until.0),
            "urls": if self.lan.is_empty() { &here } else { &self.lan },
            "readable": !self.lan.is_empty(),
            "here": self.here(),
            "tunnel": self.tunnel(),
            "wrong": self
                .guessers
                .iter()
                .map(|(peer, count)| json!({ "address": peer.to_string(), "count": count }))
                .collect::<Vec<_>>(),
        })
    }
}

/// The time to the minute.
fn minute(at: Until) -> String {
    let text = at.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;
    use std::net::IpAddr;

    fn card() -> Card {
        Card {
            code: Some(("ABCDEFGH".to_owned(), Wall(1_790_000_000_000))),
            taken_until: None,
            lan: vec!["http://barnacle.local:18790/setup".to_owned()],
            local: Some(18789),
            host: "barnacle".to_owned(),
            is_spent: [false; 2],
            guessers: Vec::new(),
        }
    }

    #[test]
    fn without_the_line_of_the_code_it_can_be_passed_on() {
        let text = card().text();
        assert!(text.contains("\ncode: ABCD-EFGH\n"), "{text}");
        let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("code:")).collect();
        let rest = rest.join("\n");
        assert!(!rest.contains("ABCD") && !rest.contains("EFGH"), "{rest}");
        assert!(rest.contains("open: http://barnacle.local:18790/setup"), "{rest}");
        assert!(!card().line(Some("/run/x")).contains("ABCD"));
    }

    #[test]
    fn who_is_not_on_the_network_is_not_warned_of_it() {
        let local = Card { lan: Vec::new(), ..card() };
        let text = local.text();
        assert!(!text.contains("plain HTTP") && text.contains("ssh -N -L 18789"), "{text}");
        assert!(text.contains("open: http://127.0.0.1:18789/setup"), "{text}");
        assert!(card().text().contains("plain HTTP"));
    }

    #[test]
    fn who_has_guessed_and_who_is_at_it_is_told() {
        let peer = IpAddr::from([192, 168, 1, 66]);
        let text = Card { guessers: vec![(peer, 3)], is_spent: [true, false], ..card() }.text();
        assert!(text.contains("wrong codes: 3 from 192.168.1.66\n"), "{text}");
        assert!(text.contains("locked: ") && text.contains("from the network"), "{text}");
        let text = Card { code: None, taken_until: Some(Wall(1)), ..card() }.text();
        assert!(text.contains("taken: ") && !text.contains("code: "), "{text}");
    }
}
