//! What an agent wants done in the chat that it answers, in words that every channel understands.

use serde::{Deserialize, Serialize};

/// An agent's answer: what is to be done, in this order. Nothing at all is an answer too.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The acts.
    pub acts: Vec<Act>,
}

/// One thing to be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Act {
    /// Say something, in as many messages as it takes; the files go with the last of them.
    Say {
        /// The text; may be empty if there are files.
        text: Box<str>,
        /// What is attached.
        files: Vec<File>,
    },
    /// React to a message of the chat.
    React {
        /// To which; `None` is the one that is answered.
        to: Option<u64>,
        /// The emoji: a Unicode one, or `name:id` of a server's own.
        emoji: Box<str>,
    },
    /// Open a thread on the message that is answered. What follows is said there. Where a service
    /// or a chat knows no threads, it is said in the chat itself.
    Thread {
        /// Its name.
        name: Box<str>,
    },
}

/// A file to be attached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct File {
    /// Its name, without a path.
    pub name: Box<str>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// An answer that says `text`, and nothing if that is empty.
    #[must_use]
    pub fn text(text: impl Into<Box<str>>) -> Answer {
        let text = text.into();
        let acts = if text.trim().is_empty() {
            Vec::new()
        } else {
            vec![Act::Say { text, files: Vec::new() }]
        };
        Answer { acts }
    }

    /// Says `more` behind the rest.
    pub fn add(&mut self, more: &str) {
        match self.acts.last_mut() {
            Some(Act::Say { text, .. }) if !text.is_empty() => {
                *text = format!("{text}\n\n{more}").into();
            }
            _ => self.acts.extend(Answer::text(more).acts),
        }
    }

    /// All that it says, in lines, without files and acts.
    #[must_use]
    pub fn words(&self) -> String {
        let says = self.acts.iter().filter_map(|act| match act {
            Act::Say { text, .. } => Some(&**text),
            _ => None,
        });
        says.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_an_answer_and_words_are_joined() {
        assert_eq!(Answer::text(" \n").acts, []);
        let mut answer = Answer::text("one");
        answer.acts.push(Act::Thread { name: "more".into() });
        answer.acts.extend(Answer::text("two").acts);
        assert_eq!(answer.words(), "one\ntwo");
        answer.add("three");
        answer.acts.push(Act::Thread { name: "and more".into() });
        answer.add("four");
        assert_eq!(answer.words(), "one\ntwo\n\nthree\nfour");
    }
}
