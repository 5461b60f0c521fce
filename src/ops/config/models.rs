//! The language models that agents are made of, and where they are asked.

use super::agents::{is_header, pairs, web_address};
use super::check::{Sources, secret, secret_text};
use super::raw::Node;
use super::read::Reader;
use super::{ModelRef, Weight};
use crate::base::{Secret, limits, spell};
use crate::core::budget::{Limit, Limits, Price};
use crate::proto::llm::Dialect;

const MODEL: &str = "agents.defaults.model";
const PROVIDERS: &str = "models.providers";
const PROVIDER: &str = "models.providers.*";
const BASE: &str = "models.providers.*.baseUrl";
const HEADERS: &str = "models.providers.*.headers";
const OFFERED: &str = "models.providers.*.models";
const OFFER: &str = "models.providers.*.models.#";

/// Where a provider is asked that needs no entry: its name, its dialect, its address, and the
/// variable with its key, if it wants one.
const KNOWN: &[(&str, Dialect, &str, Option<&str>)] = &[
    ("anthropic", Dialect::Anthropic, "https://api.anthropic.com/v1", Some("ANTHROPIC_API_KEY")),
    ("openai", Dialect::OpenAi, "https://api.openai.com/v1", Some("OPENAI_API_KEY")),
    ("openrouter", Dialect::OpenAi, "https://openrouter.ai/api/v1", Some("OPENROUTER_API_KEY")),
    ("groq", Dialect::OpenAi, "https://api.groq.com/openai/v1", Some("GROQ_API_KEY")),
    ("mistral", Dialect::OpenAi, "https://api.mistral.ai/v1", Some("MISTRAL_API_KEY")),
    ("ollama", Dialect::OpenAi, "http://127.0.0.1:11434/v1", None),
    ("lmstudio", Dialect::OpenAi, "http://127.0.0.1:1234/v1", None),
    ("llamacpp", Dialect::OpenAi, "http://127.0.0.1:8080/v1", None),
];

/// Providers whose models of today all see pictures. Of others the file says which do.
const SEEING: [&str; 2] = ["anthropic", "openai"];

/// A provider, as far as the file says.
#[derive(Clone)]
pub(super) struct Provider {
    name: String,
    dialect: Dialect,
    /// Empty if nobody knows it.
    url: String,
    key: Option<Secret>,
    /// Where a key is looked for that the file does not have.
    variable: String,
    /// Whether it answers nobody without one.
    wants_key: bool,
    headers: Vec<(String, Secret)>,
    /// The models of which something is written: what they cost, and how much they read.
    offers: Vec<(String, Price, Option<u64>)>,
    /// The models of which it is written whether they see pictures.
    eyes: Vec<(String, bool)>,
    /// Whether those do of which it is not written.
    sees: bool,
}

/// The providers that the file names.
pub(super) fn providers(read: &mut Reader<'_, '_>, sources: &Sources<'_>) -> Vec<Provider> {
    let mut providers = Vec::new();
    for entry in read.entries(PROVIDERS) {
        if matches!(entry.value, Node::Map(_)) {
            let mut provider = Provider::known(entry.key().trim());
            read.within(PROVIDER, &entry, |read| written(read, sources, &mut provider));
            providers.push(provider);
        }
    }
    providers
}

/// The models of the agent that is being read, the one that is asked first before the others.
/// Nothing if it names none that can be asked.
pub(super) fn models(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    providers: &[Provider],
) -> Vec<ModelRef> {
    let names = read.own(MODEL, names).unwrap_or_default();
    let mut models: Vec<ModelRef> = Vec::new();
    for name in names.into_iter().take(limits::LLM_MODELS_MAX) {
        let Some((provider, model)) = name.split_once('/') else {
            let text = "a model without its provider is left out";
            read.note(Weight::Warning, MODEL, text, "write provider/model, as in ollama/qwen3");
            continue;
        };
        let (of, model) = (provider.trim(), model.trim());
        let written = providers.iter().find(|provider| spell::same(&provider.name, of));
        let provider = written.cloned().unwrap_or_else(|| Provider::known(of));
        if provider.url.is_empty() {
            let known = KNOWN.iter().map(|(name, ..)| *name);
            let near = spell::nearest(of, known).filter(|_| !read.is_full());
            let cure = near.map_or_else(
                || "write its address as models.providers.NAME.baseUrl".to_owned(),
                |near| format!("did you mean \"{near}\"?"),
            );
            let text = "no provider of that name is known, so its model is left out";
            read.note(Weight::Warning, MODEL, text, &cure);
            continue;
        }
        let (_, key, wants_key) = provider.asked(sources);
        let Provider { dialect, url, variable, headers, offers, eyes, sees, .. } = provider;
        if wants_key && key.is_none() && headers.is_empty() {
            let cure = format!("set {variable}, or apiKey in models.providers");
            read.note(Weight::Warning, MODEL, "its provider wants a key, and there is none", &cure);
        }
        let offer = offers.iter().find(|(id, ..)| id == model);
        let (price, window) =
            offer.map_or_else(Default::default, |(_, price, window)| (*price, *window));
        models.push(ModelRef {
            name: name.clone(),
            dialect,
            url,
            key,
            headers,
            model: model.to_owned(),
            price,
            window,
            sees: eyes.iter().find(|(id, _)| id == model).map_or(sees, |(_, sees)| *sees),
        });
    }
    models
}

/// One name, or a first and those that follow when it fails.
fn names(value: &Node<'_>) -> Option<Vec<String>> {
    let text = |value: &Node<'_>| match value {
        Node::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    };
    match value {
        Node::Map(map) => {
            let part = |wanted: &str| {
                let (_, value) = map.iter().find(|(name, _)| spell::same(name.as_str(), wanted))?;
                Some(value)
            };
            let first = part("primary").and_then(text)?;
            let others = match part("fallbacks") {
                None | Some(Node::Null) => Vec::new(),
                Some(Node::List(list)) => list.iter().map(text).collect::<Option<Vec<_>>>()?,
                Some(_) => return None,
            };
            Some([vec![first], others].concat())
        }
        other => text(other).map(|name| vec![name]),
    }
}

impl Provider {
    /// What is known of the provider of this name if nobody says more.
    pub(super) fn known(name: &str) -> Provider {
        let known = KNOWN.iter().find(|(known, ..)| spell::same(known, name));
        let variable = known.and_then(|(.., variable)| *variable);
        let usual = || format!("{}_API_KEY", name.to_ascii_uppercase().replace('-', "_"));
        Provider {
            name: name.to_owned(),
            dialect: known.map_or(Dialect::OpenAi, |(_, dialect, ..)| *dialect),
            url: known.map_or("", |(_, _, url, _)| url).to_owned(),
            key: None,
            variable: variable.map_or_else(usual, str::to_owned),
            wants_key: variable.is_some(),
            headers: Vec::new(),
            offers: Vec::new(),
            eyes: Vec::new(),
            sees: SEEING.iter().any(|seeing| spell::same(seeing, name)),
        }
    }

    /// Whether it goes by this name.
    pub(super) fn is_called(&self, name: &str) -> bool {
        spell::same(&self.name, name)
    }

    /// Where it is asked, with which key, and whether it answers nobody without one.
    pub(super) fn asked(&self, sources: &Sources<'_>) -> (String, Option<Secret>, bool) {
        let key = self.key.clone().or_else(|| of_environment(sources, &self.variable));
        (self.url.clone(), key, self.wants_key)
    }
}

fn written(read: &mut Reader<'_, '_>, sources: &Sources<'_>, provider: &mut Provider) {
    if let Some(url) = web_address(read, BASE) {
        // A server at another address has its own idea of keys.
        provider.wants_key &= provider.url == url;
        provider.url = url;
    }
    match read.word("models.providers.*.api") {
        Some("anthropic-messages" | "anthropic") => provider.dialect = Dialect::Anthropic,
        Some(_) => provider.dialect = Dialect::OpenAi,
        None => {}
    }
    if let Some(key) = read.own("models.providers.*.apiKey", secret) {
        match secret_text(&key, sources) {
            Ok(key) if key.is_empty() => {}
            Ok(key) => provider.key = Some(Secret::new(&key)),
            Err(why) => {
                let text = format!("the key cannot be had: {why}");
                read.note(Weight::Warning, "models.providers.*.apiKey", &text, "");
            }
        }
    }
    provider.headers = pairs(read, HEADERS, "models.providers.*.headers.*", is_header);
    for offer in read.entries(OFFERED) {
        if !matches!(offer.value, Node::Map(_)) {
            continue;
        }
        read.within(OFFER, &offer, |read| {
            // Files give them for a million tokens.
            let mut of = |path| billionths(read.number(path).unwrap_or(0.0) / 1e6);
            let price = Price {
                input: of("models.providers.*.models.#.cost.input"),
                cached: of("models.providers.*.models.#.cost.cacheRead"),
                output: of("models.providers.*.models.#.cost.output"),
            };
            let id = read.text("models.providers.*.models.#.id");
            let input = read.own("models.providers.*.models.#.input", inputs);
            provider.eyes.extend(id.clone().zip(input));
            let window = read.whole("models.providers.*.models.#.contextWindow");
            provider.offers.extend(id.map(|id| (id, price, window)));
        });
    }
}

/// Whether pictures are among what a model takes.
fn inputs(value: &Node<'_>) -> Option<bool> {
    let Node::List(list) = value else { return None };
    let word = |value: &Node<'_>| match value {
        Node::Text(text) => Some(text.trim().to_ascii_lowercase()),
        _ => None,
    };
    let words = list.iter().map(word).collect::<Option<Vec<_>>>()?;
    let is_known = |word: &String| matches!(word.as_str(), "text" | "image" | "audio" | "video");
    words.iter().all(is_known).then(|| words.iter().any(|word| word == "image"))
}

/// A key from the environment: the variable, the file that the variable with `_FILE` names, or
/// systemd's credential.
fn of_environment(sources: &Sources<'_>, variable: &str) -> Option<Secret> {
    let env = sources.env;
    let file = || {
        let path = env.path(&format!("{variable}_FILE"))?;
        (sources.file)(&path).ok()
    };
    let credential = || {
        let name = variable.to_ascii_lowercase().replace('_', "-");
        (sources.file)(&env.path("CREDENTIALS_DIRECTORY")?.join(name)).ok()
    };
    let key = env.get(variable).map(str::to_owned).or_else(file).or_else(credential)?;
    Some(Secret::new(key.trim())).filter(|key| !key.expose().is_empty())
}

/// What answers of the agent that is being read may cost.
pub(super) fn budget(read: &mut Reader<'_, '_>) -> Limits {
    let mut limit = |tokens, money| Limit {
        tokens: read.whole(tokens),
        money: read.number(money).map(billionths),
    };
    Limits {
        chat: limit("agents.defaults.budget.chat.tokens", "agents.defaults.budget.chat.money"),
        all: limit("agents.defaults.budget.day.tokens", "agents.defaults.budget.day.money"),
    }
}

/// A number of at most thousands, in billionths.
fn billionths(number: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the table bounds what is read, and a cast saturates"
    )]
    let whole = (number * 1e9).round() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::config::check::check;
    use crate::ops::config::env::Env;
    use crate::ops::config::{AgentKind, Config, Mistake, raw};

    fn read(env: &[(&str, &str)], text: &str) -> (Config, Vec<Mistake>) {
        let env = Env::of(env);
        let sources = Sources {
            file: &|path| match path.to_str() {
                Some("/keys/openai" | "/cred/openai-api-key") => Ok("of-file\n".into()),
                _ => Err("there is none".into()),
            },
            ..Sources::bare(&env)
        };
        check(text, raw::parse(text).expect("a file"), &sources)
    }

    fn asked(config: &Config) -> Vec<(&str, &str, Option<&str>)> {
        let AgentKind::Model(setup) = &config.agents[0].kind else { return Vec::new() };
        setup
            .models
            .iter()
            .map(|model| {
                let key = model.key.as_ref().map(Secret::expose);
                (model.name.as_str(), model.url.as_str(), key)
            })
            .collect()
    }

    #[test]
    fn a_name_alone_is_enough_where_the_environment_has_the_key() {
        let text = r#"{agents: {defaults: {model: "anthropic/claude-sonnet-4-5"}}}"#;
        let (config, mistakes) = read(&[("ANTHROPIC_API_KEY", "k")], text);
        let url = "https://api.anthropic.com/v1";
        assert_eq!(asked(&config), [("anthropic/claude-sonnet-4-5", url, Some("k"))]);
        assert_eq!(mistakes, []);
        let (config, mistakes) = read(&[], text);
        assert_eq!(asked(&config).len(), 1, "it is asked, and says itself what it wants");
        assert!(mistakes[0].to_string().contains("ANTHROPIC_API_KEY"), "{mistakes:?}");
    }

    #[test]
    fn models_follow_one_another_and_providers_are_as_the_file_says() {
        let text = r#"{
            models: {providers: {
                home: {baseUrl: "http://10.0.0.2:8080/v1", apiKey: "${HOME_KEY}",
                       models: [{id: "big/one", input: ["text", "image"], contextWindow: 32768,
                                 cost: {input: 3, output: 15, cacheRead: 0.3}}]},
                Claude: {baseUrl: "https://proxy.example/v1", api: "anthropic-messages",
                         headers: {"X-Team": "t"}},
            }},
            agents: {defaults: {
                model: {primary: "home/big/one",
                        fallbacks: ["ollama/qwen3", "claude/x", "openai/y"]},
                systemPrompt: "Be brief.", maxTokens: 100, contextTokens: 20000, temperature: 0.5,
                budget: {chat: {tokens: 1000}, day: {money: 2.5}},
            }},
        }"#;
        let env = [("HOME_KEY", "h"), ("OPENAI_API_KEY_FILE", "/keys/openai")];
        let (config, mistakes) = read(&env, text);
        assert_eq!(mistakes, []);
        assert_eq!(
            asked(&config),
            [
                ("home/big/one", "http://10.0.0.2:8080/v1", Some("h")),
                ("ollama/qwen3", "http://127.0.0.1:11434/v1", None),
                ("claude/x", "https://proxy.example/v1", None),
                ("openai/y", "https://api.openai.com/v1", Some("of-file")),
            ]
        );
        let AgentKind::Model(setup) = &config.agents[0].kind else { panic!("another kind") };
        let first = &setup.models[0];
        assert_eq!((first.model.as_str(), first.dialect), ("big/one", Dialect::OpenAi));
        assert_eq!(first.price, Price { input: 3000, cached: 300, output: 15_000 });
        assert_eq!((first.window, setup.models[1].window), (Some(32_768), None));
        assert_eq!(setup.window, Some(20_000));
        assert_eq!(setup.models[2].dialect, Dialect::Anthropic);
        let eyes: Vec<bool> = setup.models.iter().map(|model| model.sees).collect();
        assert_eq!(eyes, [true, false, false, true], "who is not known to see must be said to");
        assert_eq!(setup.budget.chat, Limit { tokens: Some(1000), money: None });
        assert_eq!(setup.budget.all, Limit { tokens: None, money: Some(2_500_000_000) });
        assert_eq!((setup.system.as_str(), setup.tokens_max), ("Be brief.", 100));
        let shown = format!("{config:?}");
        assert!(!shown.contains("of-file") && !shown.contains("\"h\""), "{shown}");
    }

    #[test]
    fn what_cannot_be_asked_is_left_out_and_said() {
        for (text, said) in [
            (r#"{agents: {defaults: {model: "qwen3"}}}"#, "write provider/model"),
            (r#"{agents: {defaults: {model: "antropic/x"}}}"#, "did you mean \"anthropic\"?"),
            (r#"{agents: {defaults: {model: "nobody/x"}}}"#, "baseUrl"),
            (r"{agents: {defaults: {model: {fallbacks: []}}}}", "agents.defaults.model"),
            (
                r#"{models: {providers: {a: {baseUrl: "n"}}}, agents: {defaults: {model: "a/x"}}}"#,
                "this is no web address",
            ),
        ] {
            let (config, mistakes) = read(&[], text);
            assert_eq!(asked(&config), []);
            let is_said = mistakes.iter().any(|mistake| mistake.to_string().contains(said));
            assert!(is_said, "{text}: {mistakes:?}");
        }
    }

    #[test]
    fn a_credential_of_systemd_is_a_key_too() {
        let text = r#"{agents: {defaults: {model: "openai/x"}}}"#;
        let (config, _) = read(&[("CREDENTIALS_DIRECTORY", "/cred")], text);
        assert_eq!(asked(&config)[0].2, Some("of-file"));
    }
}
