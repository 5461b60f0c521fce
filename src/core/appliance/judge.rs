//! Whether a value can be what it is meant to be: a host name, the name of a wireless network, a
//! key. What cannot is told with its cure, and without the value, which may be a secret that was
//! written into the wrong line.

use crate::base::limits::{
    HOST_NAME_CHARS_MAX, PASSPHRASE_CHARS_MAX, PASSPHRASE_CHARS_MIN, PASSWORD_HASH_BYTES_MAX,
    PSK_DIGITS, SSID_BYTES_MAX,
};
use crate::base::{Secret, base64};

/// What is wrong with a value, and the cure.
pub(super) type Wrong = (String, String);

fn wrong<T>(text: impl Into<String>, cure: impl Into<String>) -> Result<T, Wrong> {
    Err((text.into(), cure.into()))
}

/// The countries there are (ISO 3166-1), two letters each.
const COUNTRIES: &str = "\
    ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCL\
    CMCNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGU\
    GWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMC\
    MDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPT\
    PWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUA\
    UGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW";

/// A host name of one part (RFC 1123), in lower case.
pub(super) fn hostname(text: &str) -> Result<String, Wrong> {
    let text = text.trim().to_ascii_lowercase();
    let chars = text.chars().count();
    if text.contains('.') {
        let cure = "write the part before the first dot; in the network .local is added to it";
        return wrong("a host name has no dot here", cure);
    }
    if chars > HOST_NAME_CHARS_MAX {
        let text = format!("this has {chars} characters");
        return wrong(text, format!("a host name has at most {HOST_NAME_CHARS_MAX}"));
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        let cure = "write letters from a to z, digits and hyphens";
        return wrong("a host name has no such characters", cure);
    }
    if text.is_empty() || text.starts_with('-') || text.ends_with('-') {
        return wrong("a host name has no hyphen at its ends", "begin and end with a letter");
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return wrong("a host name is no number", "write a letter into it");
    }
    Ok(text)
}

/// The name of a wireless network, which may be any bytes.
pub(super) fn ssid(text: &str) -> Result<String, Wrong> {
    match text.len() {
        0 => wrong("the network has no name", "write its name as it is shown"),
        1..=SSID_BYTES_MAX => Ok(text.to_owned()),
        bytes => {
            let cure = format!("a network's name has at most {SSID_BYTES_MAX}");
            wrong(format!("this has {bytes} bytes"), cure)
        }
    }
}

/// What opens a wireless network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Psk {
    /// The password.
    Words(Secret),
    /// The key that was made of it and the network's name: 64 digits.
    Digits(Secret),
}

pub(super) fn psk(text: &str) -> Result<Psk, Wrong> {
    let chars = text.chars().count();
    if chars == PSK_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(Psk::Digits(Secret::new(&text.to_ascii_lowercase())));
    }
    if !(PASSPHRASE_CHARS_MIN..=PASSPHRASE_CHARS_MAX).contains(&chars) {
        let cure = format!(
            "it has {PASSPHRASE_CHARS_MIN} to {PASSPHRASE_CHARS_MAX}, or is {PSK_DIGITS} \
             hexadecimal digits; look at the router's label"
        );
        return wrong(format!("a password of {chars} characters opens no network"), cure);
    }
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        let cure = "write the 64 digits that `wpa_passphrase` makes of it instead";
        return wrong("the password has characters that are not ASCII", cure);
    }
    // Not trimmed: spaces at its ends belong to it.
    Ok(Psk::Words(Secret::new(&format!("\"{text}\""))))
}

/// Where a wireless network stands.
pub(super) fn country(text: &str) -> Result<String, Wrong> {
    let text = text.trim().to_ascii_uppercase();
    let is_known =
        COUNTRIES.as_bytes().as_chunks().0.iter().any(|c: &[u8; 2]| c == text.as_bytes());
    let cure = match text.as_str() {
        "UK" | "EN" => "did you mean GB?",
        "USA" => "did you mean US?",
        _ => "write the two letters of ISO 3166, such as DE, GB or US",
    };
    if is_known { Ok(text) } else { wrong("there is no such country", cure) }
}

/// Kinds of keys that OpenSSH takes.
const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// A public key as it stands in `authorized_keys`, perhaps with options before it.
pub(super) fn ssh_key(text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    if text.contains("PRIVATE KEY") {
        let cure = "never give this away: make a new pair, and write the line of its .pub file";
        return wrong("this is the private half of a key", cure);
    }
    if text.contains("BEGIN SSH2") || text.starts_with("----") {
        let cure = "export it in OpenSSH's format, one line that begins with ssh-";
        return wrong("this is no key of OpenSSH's format", cure);
    }
    if text.contains(char::is_control) {
        return wrong("there are control characters in the key", "copy the line anew");
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some(at) = words.iter().position(|word| KEY_TYPES.contains(word)) else {
        let cure = "write the whole line of a .pub file; it begins with ssh-ed25519 or the like";
        return wrong("this is no public key", cure);
    };
    let (kind, blob) = (words[at], words.get(at + 1).and_then(|blob| base64::decode(blob)));
    if blob.is_some_and(|blob| is_key(kind, &blob)) {
        return Ok(text.to_owned());
    }
    wrong("this key is damaged or cut off", "copy the whole line of the .pub file")
}

/// Whether a key says of itself that it is of this kind, and ends where it says (RFC 4253, 6.6).
fn is_key(kind: &str, blob: &[u8]) -> bool {
    let mut rest = blob;
    let mut fields = 0;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((field, after)) = after.split_at_checked(length) else { return false };
        if fields == 0 && field != kind.as_bytes() {
            return false;
        }
        (rest, fields) = (after, fields + 1);
    }
    fields >= 2 && rest.is_empty()
}

/// Who may open the page that takes the first token.
pub(super) fn setup(text: &str) -> Result<&'static str, Wrong> {
    match text.trim().to_ascii_lowercase().as_str() {
        "local" | "loopback" => Ok("local"),
        "lan" => Ok("lan"),
        "off" => Ok("off"),
        _ => wrong("it is local, lan or off", "write `setup = lan`, or leave the line out"),
    }
}

/// Who may log in. `passwd` and `group` are the files of these names: nobody may become a user of
/// the system's, and a new one gets a group of their own name.
pub(super) fn user(text: &str, passwd: &str, group: &str) -> Result<String, Wrong> {
    let is_fine = |(at, b): (usize, u8)| {
        b.is_ascii_lowercase() || b == b'_' || at > 0 && (b.is_ascii_digit() || b == b'-')
    };
    if text.is_empty() || text.len() > 32 || !text.bytes().enumerate().all(is_fine) {
        let cure = "a name has up to 32 small letters, digits, - and _, and begins with a letter";
        return wrong("no user can have this name", cure);
    }
    let is_taken = match uid(text, passwd) {
        Some(uid) => !(1000..60_000).contains(&uid),
        None => uid(text, group).is_some(),
    };
    if is_taken {
        wrong("this name is the system's", "choose another")
    } else {
        Ok(text.to_owned())
    }
}

/// The number of a user that there is, or of a group in the file of those.
pub(super) fn uid(name: &str, passwd: &str) -> Option<u32> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// The hash of a password (crypt(5)), of a kind that is worth the name.
pub(super) fn hash(text: &str) -> Result<Secret, Wrong> {
    let is_strong = ["$y$", "$gy$", "$7$", "$2b$", "$2y$", "$6$", "$5$"]
        .iter()
        .any(|kind| text.starts_with(kind));
    let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b':' | b'*' | b'!' | b';' | b'\\');
    if is_strong && text.len() <= PASSWORD_HASH_BYTES_MAX && text.bytes().all(is_plain) {
        return Ok(Secret::new(text));
    }
    wrong(
        "this is no hash of a password that can be used",
        "let Imager set the password, or write what `openssl passwd -6` prints",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIEIP0du7ZPjP2e9c1uB7ajnjLEYY4iJNCvEv5XQhKxD7";

    #[test]
    fn host_names_have_one_part_and_no_odd_characters() {
        assert_eq!(hostname("Pi-4"), Ok("pi-4".into()));
        assert_eq!(hostname(&"a".repeat(63)), Ok("a".repeat(63)));
        for odd in ["", "-a", "a-", "a_b", "a.local", "ü", "a b", "4711", &"a".repeat(64)] {
            assert!(hostname(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn wireless_networks_have_names_and_passwords_of_the_standard_s_length() {
        assert!(ssid("x").is_ok() && ssid(&"ü".repeat(16)).is_ok());
        assert!(ssid("").is_err() && ssid(&"ü".repeat(17)).is_err());
        let words = |text: &str| Ok(Psk::Words(Secret::new(&format!("\"{text}\""))));
        assert_eq!(psk(" spaces "), words(" spaces "));
        assert_eq!(psk("say \"hi\" # 1"), words("say \"hi\" # 1"));
        let digits = "ABCDEF0123456789".repeat(4);
        assert_eq!(psk(&digits), Ok(Psk::Digits(Secret::new(&digits.to_lowercase()))));
        for odd in ["", "1234567", "grüße dich", "tab\tinside", &"x".repeat(64)] {
            assert!(psk(odd).is_err(), "{odd}");
        }
        assert_eq!(country("de"), Ok("DE".into()));
        assert_eq!(country("uk").unwrap_err().1, "did you mean GB?");
        assert!(country("").is_err() && country("EA").is_err() && country("DEU").is_err());
    }

    #[test]
    fn keys_are_whole_and_of_the_kind_that_they_say() {
        let good = format!("ssh-ed25519 {ED25519} me@laptop");
        assert_eq!(ssh_key(&format!(" {good} ")), Ok(good.clone()));
        let with_options = format!("from=\"10.0.0.0/8\",command=\"echo a b\" {good}");
        assert_eq!(ssh_key(&with_options), Ok(with_options.clone()));
        for (odd, words) in [
            (format!("ssh-rsa {ED25519}"), "damaged"),
            (format!("ssh-ed25519 {}", &ED25519[..60]), "damaged"),
            ("ssh-ed25519".into(), "damaged"),
            (ED25519.into(), "no public key"),
            (String::new(), "no public key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----".into(), "private half"),
            ("---- BEGIN SSH2 PUBLIC KEY ----".into(), "OpenSSH's format"),
            (format!("ssh-ed25519 {ED25519} a\u{1b}b"), "control"),
        ] {
            let (text, _) = ssh_key(&odd).unwrap_err();
            assert!(text.contains(words), "{odd}: {text}");
        }
    }

    #[test]
    fn users_are_new_or_people() {
        let passwd = "root:x:0:0::/root:/bin/sh\nadmin:x:1000:1000::/state/home/admin:/bin/bash\n\
                      nobody:x:65534:65534::/:/bin/false\n";
        let group = "root:x:0:\nadmin:x:1000:\nvideo:x:44:\n";
        for fine in ["admin", "pi", "_a-1"] {
            assert_eq!(user(fine, passwd, group), Ok(fine.to_owned()));
        }
        let long = "a".repeat(33);
        for odd in ["root", "nobody", "video", "Anna", "1a", "-a", "a b", "a:b", "", &long] {
            assert!(user(odd, passwd, group).is_err(), "{odd}");
        }
    }

    #[test]
    fn hashes_are_of_the_strong_kinds() {
        for fine in ["$6$NpmvAzPP.tL9Nzkn$Go/gle/INLh6mXgV39Ab0", "$y$j9T$abc$def", "$5$a$b"] {
            assert_eq!(hash(fine), Ok(Secret::new(fine)));
        }
        for odd in ["", "hunter2", "$1$a$b", "!", "$6$a:b", "$6$a b", "$6$\n"] {
            assert!(hash(odd).is_err(), "{odd}");
        }
    }
}
