//! Files that were attached to messages, and the small CDN that serves them.

use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::base::{base64, limits};

/// A file on its way into a message.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Upload {
    /// Its name.
    pub name: String,
    /// Its declared type.
    pub kind: String,
    /// What is in it.
    pub bytes: Rc<[u8]>,
    /// The length that its message claims, if another than the true one.
    pub claimed: Option<u64>,
    /// How long it plays; a voice note has this.
    pub seconds: Option<f64>,
    /// Where its message says that it lies, if not where it does.
    pub url: Option<String>,
    /// What the CDN does with who asks for it.
    pub manners: Manners,
}

/// How the CDN serves a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Manners {
    /// As it should.
    #[default]
    Serve,
    /// It is gone.
    Gone,
    /// There is never an answer.
    Hang,
}

/// A file of a message.
#[derive(Clone, PartialEq, Debug)]
pub struct Attached {
    /// Its number.
    pub id: u64,
    name: String,
    kind: String,
    size: u64,
    seconds: Option<f64>,
    url: String,
}

/// Where the files lie, the oldest first.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Where it is reached, without a final slash.
    pub url: String,
    items: VecDeque<(u64, Upload)>,
}

impl Shelf {
    /// Takes in a file of a message in `channel` and gives it the number `id`. The oldest ones
    /// make room.
    pub fn put(&mut self, channel: u64, id: u64, upload: Upload) -> Attached {
        let name: String = upload.name.chars().map(plain).collect();
        let there = || format!("{}/attachments/{channel}/{id}/{name}?ex=0&is=0&hm=0", self.url);
        let attached = Attached {
            id,
            kind: upload.kind.clone(),
            size: upload.claimed.unwrap_or(upload.bytes.len() as u64),
            seconds: upload.seconds,
            url: upload.url.clone().unwrap_or_else(there),
            name,
        };
        self.items.push_back((id, upload));
        while self.held() > limits::SANDBOX_FILES_BYTES_MAX && self.items.len() > 1 {
            self.items.pop_front();
        }
        attached
    }

    fn held(&self) -> usize {
        self.items.iter().map(|(_, upload)| upload.bytes.len()).sum()
    }

    /// The file of this number, if it is still here.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Upload> {
        self.items.iter().find(|(known, _)| *known == id).map(|(_, upload)| upload)
    }
}

/// Discord lets no other signs into the names of files.
fn plain(sign: char) -> char {
    if sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-' | '_') { sign } else { '_' }
}

impl Attached {
    /// An attachment object.
    #[must_use]
    pub fn json(&self) -> Value {
        let Attached { id, name, kind, size, seconds, url } = self;
        let mut value = json!({
            "id": id.to_string(), "filename": name, "size": size, "url": url, "proxy_url": url,
            "content_scan_version": 2,
        });
        if !kind.is_empty() {
            value["content_type"] = kind.as_str().into();
        }
        if let Some(seconds) = seconds {
            value["duration_secs"] = (*seconds).into();
            value["waveform"] = "AAAA".into();
        }
        value
    }
}

impl Upload {
    /// Reads one as the controls write it: `name`, `type`, `base64`, and for what is odd about it
    /// `size`, `seconds`, `url` and `manners` (`gone`, `hang`).
    ///
    /// # Errors
    /// What is wrong.
    pub fn read(value: &Value) -> Result<Upload, String> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let bytes = base64::decode(text("base64").unwrap_or_default());
        Ok(Upload {
            name: text("name").unwrap_or("file").to_owned(),
            kind: text("type").unwrap_or_default().to_owned(),
            bytes: bytes.ok_or("what a file holds is written in base64")?.into(),
            claimed: value.get("size").and_then(Value::as_u64),
            seconds: value.get("seconds").and_then(Value::as_f64),
            url: text("url").map(str::to_owned),
            manners: match text("manners") {
                None => Manners::Serve,
                Some("gone") => Manners::Gone,
                Some("hang") => Manners::Hang,
                Some(other) => return Err(format!("no manners {other}: gone, hang")),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_number_and_the_oldest_make_room() {
        let mut shelf = Shelf { url: "http://h:1".into(), ..Shelf::default() };
        let half = Upload {
            name: "a b.png".into(),
            bytes: vec![7; limits::SANDBOX_FILES_BYTES_MAX / 2 + 1].into(),
            ..Upload::default()
        };
        let first = shelf.put(5, 1, half.clone()).json();
        assert_eq!(first["url"], "http://h:1/attachments/5/1/a_b.png?ex=0&is=0&hm=0");
        assert!(shelf.get(1).is_some() && shelf.get(2).is_none());
        let claimed = shelf.put(5, 2, Upload { claimed: Some(3), ..half });
        assert_eq!(claimed.json()["size"], 3);
        assert!(shelf.get(1).is_none() && shelf.get(2).is_some());
    }

    #[test]
    fn controls_name_what_is_in_a_file_and_what_is_odd_about_it() {
        let read = Upload::read(&json!({"name": "v.ogg", "type": "audio/ogg", "base64": "AQI=",
            "seconds": 1.5, "manners": "hang"}));
        let upload = read.unwrap();
        assert_eq!((&*upload.bytes, upload.manners), (&[1, 2][..], Manners::Hang));
        assert!(Upload::read(&json!({"base64": "?"})).is_err());
        assert!(Upload::read(&json!({"manners": "none"})).is_err());
    }
}
