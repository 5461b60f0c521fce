//! A first configuration file, commented, that works as it stands.

/// For one bot.
pub(crate) const SINGLE: &str = r#"// Barnacle's configuration, in JSON5: comments are fine.
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
pub(crate) const MULTI: &str = r#"// Barnacle's configuration for several bots, in JSON5.
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

#[cfg(test)]
mod tests {
    use super::super::{Env, files};
    use super::*;

    #[test]
    fn templates_are_right_as_they_stand() {
        for (template, accounts) in [(SINGLE, 1), (MULTI, 2)] {
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
