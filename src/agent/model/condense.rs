//! A text made shorter by the agent's own model, at its own expense.

use smol::channel::unbounded;

use super::Model;
use crate::base::Instant;
use crate::base::limits::TOOL_CONDENSED_TOKENS_MAX;
use crate::core::chat::Request;
use crate::core::turn::{Fault, Room};
use crate::proto::llm::{Message, Part, Prompt, Role};
use crate::rt::clock;

impl Model {
    /// What the model makes of `text` as `order` says, by `by`. It is paid as an answer to
    /// `request` is, and no tools are offered.
    ///
    /// # Errors
    /// It makes nothing of it.
    pub async fn condense(
        &self,
        request: &Request,
        order: &str,
        text: String,
        by: Instant,
    ) -> Result<String, Fault> {
        let room = Room { account: request.account.clone(), chat: request.chat };
        let messages = [Message { role: Role::User, parts: vec![Part::Text(text.into())] }];
        for voice in &self.setup.voices {
            self.may_spend(&room, request)?;
            let prompt = Prompt {
                model: &voice.model,
                system: order,
                messages: &messages,
                tools: &[],
                may_call: false,
                tokens_max: TOOL_CONDENSED_TOKENS_MAX.min(self.setup.tokens_max),
                temperature: self.setup.temperature,
            };
            // Nobody hears it word by word.
            let (words, _heard) = unbounded();
            let asked =
                Box::pin(super::send(&self.client, voice.dialect, voice.post(&prompt), words));
            match clock::timeout(by, asked).await {
                None => return Err(Fault::TooSlow),
                Some(Ok(reply)) => {
                    self.purse.spend(&room, reply.usage, voice.price).await;
                    if !reply.text.trim().is_empty() {
                        return Ok(reply.text);
                    }
                }
                Some(Err(trouble)) => {
                    let reason = trouble.reason;
                    log::debug!(target: "agent", "{} does not condense: {reason}", voice.name);
                }
            }
        }
        Err(Fault::Unreachable)
    }
}
