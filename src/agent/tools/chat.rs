//! Tools that act in the chat where the message was said, or in another.

use std::cell::RefCell;

use serde_json::{Value, json};

use super::{Ask, Outcome};
use crate::core::answer::Act;
use crate::proto::llm::Tool;

/// The name of a thread on Discord ("Start Thread from Message").
const THREAD_NAME_CHARS_MAX: usize = 100;

/// See the module.
#[derive(Debug, Default)]
pub struct Chat {}

impl Chat {
    pub(super) fn tools(&self) -> Vec<Tool> {
        vec![
            Tool {
                name: "reply_in_thread".into(),
                about: "Opens a thread on the message that you answer; what you say is said \
                        there. For answers that are long or that people will go on talking about. \
                        Where the conversation is in a thread already, it stays there."
                    .into(),
                schema: json!({
                    "type": "object",
                    "properties": {
                        "name": {
                            "type": "string",
                            "minLength": 1,
                            "maxLength": THREAD_NAME_CHARS_MAX,
                            "description": "What the thread is called.",
                        },
                    },
                    "required": ["name"],
                    "additionalProperties": false,
                }),
            },
            Tool {
                name: "react".into(),
                about: "Reacts to a message of this chat with an emoji.".into(),
                schema: json!({
                    "type": "object",
                    "properties": {
                        "emoji": {
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 80,
                            "description": "A Unicode emoji, or name:id of the server's own.",
                        },
                        "message_id": {
                            "type": "string",
                            "maxLength": 20,
                            "description": "The message; the one that you answer if left out.",
                        },
                    },
                    "required": ["emoji"],
                    "additionalProperties": false,
                }),
            },
        ]
    }

    pub(super) fn run(
        &self,
        ask: &Ask<'_>,
        arguments: &Value,
        acts: &RefCell<Vec<Act>>,
    ) -> Outcome {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::trim);
        match ask.call.name.as_str() {
            "reply_in_thread" => {
                let name = text("name").filter(|name| !name.is_empty());
                let name = name.ok_or("a thread needs a name")?;
                acts.borrow_mut().push(Act::Thread { name: name.into() });
                Ok("Your answer will be said in the thread.".to_owned())
            }
            "react" => {
                let to = match text("message_id") {
                    Some(id) => Some(id.parse().map_err(|_| "message_id has to be a number")?),
                    None => None,
                };
                let emoji = text("emoji").filter(|emoji| !emoji.is_empty());
                let emoji = emoji.ok_or("an emoji is missing")?.into();
                acts.borrow_mut().push(Act::React { to, emoji });
                Ok("The reaction is added together with your answer.".to_owned())
            }
            name => Err(format!("there is no tool called {name}")),
        }
    }
}
