//! What is read of a server's messages, and no more: whatever else is in them costs no memory, and
//! lists are read as far as they are used.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::WORDS_BYTES_MAX;
use crate::base::limits::MCP_TOOLS_MAX;
use crate::base::text::truncate;

/// Items of a tool's result that are read.
const CONTENTS_MAX: usize = 256;

/// What every message has.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) id: Option<Id>,
    pub(super) method: Option<String>,
    pub(super) error: Option<Fault>,
}

/// Which request something belongs to.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

impl Id {
    /// The number, if it is one of ours; some servers give them back as texts.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Id::Number(number) => u64::try_from(*number).ok(),
            Id::Text(text) => text.parse().ok(),
        }
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Id::Number(number) => json!(number),
            Id::Text(text) => json!(text),
        }
    }
}

/// An error of JSON-RPC.
#[derive(Deserialize)]
pub(super) struct Fault {
    #[serde(default)]
    message: Option<String>,
}

impl Fault {
    pub(super) fn words(self) -> String {
        let words = self.message.unwrap_or_default();
        match truncate(words.trim(), WORDS_BYTES_MAX) {
            "" => "it has failed".to_owned(),
            words => words.to_owned(),
        }
    }
}

/// The result in `message`.
pub(super) fn read_result<T: DeserializeOwned>(message: &[u8]) -> Option<T> {
    #[derive(Deserialize)]
    struct Answer<T> {
        result: T,
    }
    serde_json::from_slice::<Answer<T>>(message).ok().map(|answer| answer.result)
}

/// What a server says of itself.
#[derive(Deserialize)]
#[serde(from = "WelcomeText")]
pub(super) struct Welcome {
    pub(super) version: String,
    pub(super) has_tools: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WelcomeText {
    protocol_version: String,
    #[serde(default)]
    capabilities: Capabilities,
}

#[derive(Deserialize, Default)]
struct Capabilities {
    tools: Option<IgnoredAny>,
}

impl From<WelcomeText> for Welcome {
    fn from(text: WelcomeText) -> Welcome {
        Welcome { version: text.protocol_version, has_tools: text.capabilities.tools.is_some() }
    }
}

/// A page of tools.
#[derive(Deserialize)]
pub(super) struct ListResult {
    pub(super) tools: Few<Tool, MCP_TOOLS_MAX>,
    #[serde(rename = "nextCursor")]
    pub(super) cursor: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Tool {
    pub(super) name: String,
    #[serde(default)]
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default, rename = "inputSchema")]
    pub(super) schema: Value,
}

/// What a tool has given.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallResult {
    #[serde(default)]
    content: Few<Content, CONTENTS_MAX>,
    #[serde(default)]
    is_error: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    resource: Option<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    text: Option<String>,
}

impl CallResult {
    /// It in words, at most `bytes_max` of them.
    pub(super) fn outcome(self, bytes_max: usize) -> Result<String, String> {
        let mut told = String::new();
        for content in &self.content.items {
            if !told.is_empty() {
                told.push('\n');
            }
            told.push_str(&content.words());
            if told.len() > bytes_max {
                told.truncate(truncate(&told, bytes_max).len());
                told.push_str("\n[the rest is left out]");
                break;
            }
        }
        if told.trim().is_empty() {
            "it has given back nothing".clone_into(&mut told);
        }
        if self.is_error == Some(true) { Err(told) } else { Ok(told) }
    }
}

impl Content {
    fn words(&self) -> String {
        if let Some(text) = &self.text {
            return text.clone();
        }
        let resource = self.resource.as_ref();
        if let Some(text) = resource.and_then(|resource| resource.text.as_ref()) {
            return text.clone();
        }
        let kind = self.kind.as_deref().unwrap_or("something");
        let uri = self.uri.as_ref().or(resource.and_then(|resource| resource.uri.as_ref()));
        let of = uri.map(|uri| format!(": {uri}")).unwrap_or_default();
        format!("[{}{of}, which is not shown]", truncate(kind, 40))
    }
}

/// The first `MOST` items of a list, and how many followed.
pub(super) struct Few<T, const MOST: usize> {
    pub(super) items: Vec<T>,
    pub(super) left_out: usize,
}

impl<T, const MOST: usize> Default for Few<T, MOST> {
    fn default() -> Self {
        Few { items: Vec::new(), left_out: 0 }
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FewVisitor(PhantomData))
    }
}

struct FewVisitor<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for FewVisitor<T, MOST> {
    type Value = Few<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut few = Few::default();
        while few.items.len() < MOST {
            match list.next_element()? {
                Some(item) => few.items.push(item),
                None => return Ok(few),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            few.left_out += 1;
        }
        Ok(few)
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(serde::de::Error::custom("no list"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Few::default())
    }
}
