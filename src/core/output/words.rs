//! Values that agents write in more than one way.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text, wherever it is: a string, an object with a `content`, `text`, `message` or `delta`, or
/// an array of those. Nothing else is kept in memory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Words(pub(super) String);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Words, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
        Ok(Words(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Words, E> {
        Ok(Words::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Words, A::Error> {
        let mut words = Words::default();
        while let Some(Words(part)) = parts.next_element()? {
            words.0.push_str(&part);
        }
        Ok(words)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Words, A::Error> {
        let mut words = Words::default();
        while let Some(key) = map.next_key::<Box<str>>()? {
            match &*key {
                "content" | "text" | "message" | "delta" if words.0.is_empty() => {
                    words = map.next_value()?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(words)
    }
}

/// An error that an agent reports: whatever is neither null, nor false, nor an empty text.
pub(super) struct Complaint(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Complaint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Complaint, D::Error> {
        deserializer.deserialize_any(ComplaintVisitor)
    }
}

struct ComplaintVisitor;

impl<'de> Visitor<'de> for ComplaintVisitor {
    type Value = Complaint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Complaint, E> {
        Ok(Complaint((!text.is_empty()).then(|| text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Complaint, E> {
        Ok(Complaint(None))
    }

    fn visit_bool<E: Error>(self, failed: bool) -> Result<Complaint, E> {
        Ok(Complaint(failed.then(String::new)))
    }

    fn visit_u64<E: Error>(self, code: u64) -> Result<Complaint, E> {
        Ok(Complaint((code != 0).then(|| format!("error {code}"))))
    }

    fn visit_i64<E: Error>(self, code: i64) -> Result<Complaint, E> {
        Ok(Complaint(Some(format!("error {code}"))))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Complaint, A::Error> {
        WordsVisitor.visit_map(map).map(|words| Complaint(Some(words.0)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Complaint, A::Error> {
        let words = WordsVisitor.visit_seq(parts)?;
        Ok(Complaint((!words.0.is_empty()).then_some(words.0)))
    }
}
