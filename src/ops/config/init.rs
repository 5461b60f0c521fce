//! First configuration files, commented, that work as they stand.

/// For one bot.
const SINGLE: &str = r#"// Barnacle's configuration, in JSON5: comments are fine.
// `barnacle help config` explains every key, `barnacle config check` finds mistakes, and
// `barnacle config set PATH VALUE` changes one without touching the rest.
{
  channels: {
    discord: {
      // The bot's token is taken from the environment variable DISCORD_BOT_TOKEN, from a file
      // named by DISCORD_BOT_TOKEN_FILE, or from systemd's credential discord-bot-token. It can
      // also stand here:
      // token: "…",

      // Direct messages: "pairing" sends strangers a code that you approve with
      // `barnacle pairing approve CODE`; "open" answers everybody; "allowlist" only who is in
      // allowFrom; "disabled" nobody.
      dmPolicy: "pairing",
      allowFrom: [],

      // Servers: "open" answers in all of them, "allowlist" only in those of guilds.
      groupPolicy: "open",
      // Only messages that name the bot are answered.
      requireMention: true,
      // guilds: {
      //   "81384788765712384": {
      //     requireMention: false,
      //     channels: { general: {}, "*": { requireMention: true } },
      //   },
      // },
    },
  },

  agents: {
    defaults: {
      // Who answers. "echo" says back what was said, to try things out. A program of your own
      // reads each message as JSON and prints its answer:
      // command: ["/usr/local/bin/my-agent"],
      // Or a web address is asked:
      // url: "http://127.0.0.1:8000/chat",
      kind: "echo",
      // The longest that an answer may take, in seconds.
      timeout: 120,
    },
  },

  logging: {
    level: "info",
  },
}
"#;

/// For several bots.
const MULTI: &str = r#"// Barnacle's configuration for several bots, in JSON5.
// `barnacle help config` explains every key, `barnacle config check` finds mistakes, and
// `barnacle config set PATH VALUE` changes one without touching the rest.
{
  channels: {
    discord: {
      // What stands here holds for every account that does not say otherwise.
      dmPolicy: "pairing",
      groupPolicy: "open",
      requireMention: true,

      accounts: {
        // The token of "default" is DISCORD_BOT_TOKEN, that of "research" is
        // DISCORD_BOT_TOKEN_RESEARCH (or the same names with _FILE, or the credentials
        // discord-bot-token and discord-bot-token-research of systemd).
        default: {},
        research: {
          dmPolicy: "disabled",
        },
      },
    },
  },

  agents: {
    // What stands here holds for every agent that does not say otherwise.
    defaults: {
      timeout: 120,
    },
    entries: {
      // The one that is the default answers where no binding fits.
      main: {
        default: true,
        // command: ["/usr/local/bin/my-agent"],
        kind: "echo",
      },
      researcher: {
        // url: "http://127.0.0.1:8000/chat",
        kind: "echo",
      },
    },
  },

  // Which agent answers where; the most exact one counts.
  bindings: [
    { agentId: "researcher", match: { channel: "discord", accountId: "research" } },
  ],

  logging: {
    level: "info",
  },
}
"#;

/// For one bot that listens to voice notes and speaks.
const VOICE: &str = r#"// Barnacle's configuration for a bot that listens and speaks, in JSON5.
// `barnacle help config` explains every key, `barnacle config check` finds mistakes, and
// `barnacle config set PATH VALUE` changes one without touching the rest.
{
  channels: {
    discord: {
      // The token is DISCORD_BOT_TOKEN, or a file named by DISCORD_BOT_TOKEN_FILE, or systemd's
      // credential discord-bot-token.
      dmPolicy: "pairing",
      groupPolicy: "open",
      requireMention: true,
    },
  },

  tools: {
    media: {
      audio: {
        // What writes down voice notes: any server that speaks OpenAI's calls. At home that is
        // whisper.cpp's:
        //   whisper-server -m ggml-base.bin --convert --port 8080 \
        //     --inference-path /v1/audio/transcriptions
        baseUrl: "http://127.0.0.1:8080/v1",
        // Or OpenAI, with OPENAI_API_KEY in the environment:
        // provider: "openai", model: "gpt-4o-mini-transcribe",

        // What is spoken; without it that is found out.
        // language: "en",
        maxSeconds: 300,
        timeoutSeconds: 60,
      },
    },
  },

  messages: {
    tts: {
      // "inbound" speaks the answers to voice notes, "always" all of them, "never" none. The text
      // is sent in any case.
      auto: "inbound",
      maxTextLength: 1500,
      providers: {
        // Any server that has /v1/audio/speech, such as Kokoro-FastAPI:
        home: {
          baseUrl: "http://127.0.0.1:8880/v1",
          model: "kokoro",
          voice: "af_sky",
          responseFormat: "opus",
        },
      },
    },
  },

  agents: {
    defaults: {
      // Who answers. "echo" says back what it heard, to try out ears and mouth; then a model:
      // model: "anthropic/claude-sonnet-4-5",
      kind: "echo",
      timeout: 120,
    },
  },

  logging: {
    level: "info",
  },
}
"#;

/// For one bot whose model runs on this machine.
const OLLAMA: &str = r#"// Barnacle's configuration for a model of your own, in JSON5.
// `barnacle help config` explains every key, `barnacle config check` finds mistakes, and
// `barnacle config set PATH VALUE` changes one without touching the rest.
{
  channels: {
    discord: {
      // The token is DISCORD_BOT_TOKEN, or a file named by DISCORD_BOT_TOKEN_FILE, or systemd's
      // credential discord-bot-token.
      dmPolicy: "pairing",
      groupPolicy: "open",
      requireMention: true,
    },
  },

  models: {
    providers: {
      ollama: {
        // Where Ollama listens; on another machine of your network it is that one's address.
        baseUrl: "http://127.0.0.1:11434/v1",
        models: [
          // What the model takes: one that sees is shown the pictures of messages, too.
          { id: "qwen3:4b", input: ["text"] },
          // { id: "gemma3:4b", input: ["text", "image"] },
        ],
      },
    },
  },

  agents: {
    defaults: {
      // Fetch it first: ollama pull qwen3:4b
      model: "ollama/qwen3:4b",
      systemPrompt: "You are a helpful assistant that people reach by chat. Be brief.",
      maxTokens: 1024,
      // A small machine thinks slowly: the longest that an answer may take, in seconds.
      timeout: 300,
    },
  },

  logging: {
    level: "info",
  },
}
"#;

/// All of them, by their names.
pub(crate) const TEMPLATES: [(&str, &str); 4] =
    [("single", SINGLE), ("multi", MULTI), ("voice", VOICE), ("local-ollama", OLLAMA)];

#[cfg(test)]
mod tests {
    use super::super::{Env, files};
    use super::*;

    #[test]
    fn templates_are_right_as_they_stand() {
        for (name, template) in TEMPLATES {
            let accounts = if name == "multi" { 2 } else { 1 };
            let tokens = [("DISCORD_BOT_TOKEN", "a"), ("DISCORD_BOT_TOKEN_RESEARCH", "b")];
            let (config, mistakes) = files::parse(template, &Env::of(&tokens)).expect("right");
            assert_eq!(mistakes, []);
            assert_eq!(config.accounts.len(), accounts);
            assert!(config.accounts.iter().all(|account| account.token.is_some()));
            let worst = files::parse(template, &Env::default()).expect("right").1;
            assert!(worst.iter().all(|m| m.weight == super::super::Weight::Note), "{worst:?}");
        }
    }
}
