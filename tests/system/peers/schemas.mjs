// Asks a gateway every method that it names, well and badly, and checks every frame that comes
// back by the schemas that OpenClaw publishes.
//
//   PEER_PORT, PEER_TOKEN   the gateway
//   PEER_CHANNEL            a chat to send to
//
// It prints lines of JSON; the last one has `done`.

import fs from "node:fs";
import { createRequire } from "node:module";
import Schema from "typebox/schema";

const require = createRequire(import.meta.url);
const entry = require.resolve("@openclaw/gateway-protocol");
const file = entry.replace(/dist.*$/, "protocol.schema.json");
const published = JSON.parse(fs.readFileSync(file, "utf8"));
const definitions = published.definitions;

const { PEER_PORT: port, PEER_TOKEN: token, PEER_CHANNEL: channel } = process.env;
const patience = 20_000;

/** Methods that OpenClaw's gateway has not. */
const OWN = new Set([
  "why", "channels.history", "channels.restart", "pairing.list", "pairing.approve",
  "pairing.revoke", "config.reload", "gateway.stop", "dashboard.login", "dashboard.uptime",
  "channels.uptime", "cron.policy", "memory.list", "memory.forget", "mcp.list",
  "person.export", "person.forget", "setup.code",
]);

/** Events that it has not. */
const OWN_EVENTS = new Set(["channel", "uptime"]);

/** Scopes that are others than the published ones, and why. */
const SCOPES = {
  // Everybody may ask, as with the real gateway, whose table does not say so.
  health: "",
};

/** A part of a published definition. */
const part = (name, ...path) => path.reduce((at, key) => at.properties[key], definitions[name]);
const health = part("Snapshot", "health");
const presence = part("Snapshot", "presence");
const list = (items) => ({ type: "array", items });
const object = (properties, more = {}) =>
  ({ type: "object", properties, required: Object.keys(properties), ...more });

/** What an answer must be, where its name does not say it. */
const RESULTS = {
  // What the hello has of it, and what we say besides to whoever asks.
  health: (payload) => {
    const { ready, failing, detail, pid, bootId, ...rest } = payload;
    return check(health, rest);
  },
  "system-presence": presence,
  "logs.tail": definitions.LogsTailResult,
  "config.schema": definitions.ConfigSchemaResponse,
  "config.schema.lookup": definitions.ConfigSchemaLookupResult,
  "cron.add": definitions.CronAddResult,
  "cron.update": definitions.CronJob,
  "cron.list": (payload) => check(list(definitions.CronJob), payload.jobs),
  "cron.runs": (payload) => check(list(definitions.CronRunLogEntry), payload.entries),
};

/** What an event must be. */
const EVENTS = {
  "connect.challenge": object({ nonce: { type: "string" }, ts: { type: "integer" } }),
  tick: definitions.TickEvent,
  shutdown: definitions.ShutdownEvent,
  agent: definitions.AgentEvent,
  chat: definitions.ChatEvent,
  health,
  presence: object({ presence }, { additionalProperties: false }),
};

/** Parameters that are meant well. */
const GOOD = {
  agent: [{ message: "good morning", idempotencyKey: "schemas-1" }],
  send: [{ to: `channel:${channel}`, message: "from the schemas", idempotencyKey: "schemas-2" }],
  "agent.wait": [{ runId: "schemas-1", timeoutMs: 1000 }],
  "agents.list": [{}],
  "chat.send": [{ sessionKey: "agent:main:main", message: "hello", idempotencyKey: "schemas-3" }],
  "chat.history": [{ sessionKey: "agent:main:main" }],
  "chat.abort": [{ sessionKey: "agent:main:main" }],
  "sessions.list": [{}, { limit: 5 }],
  "channels.status": [{}, { probe: true, timeoutMs: 5000 }],
  "channels.start": [{ channel: "discord" }],
  "channels.stop": [{ channel: "discord" }],
  "channels.restart": [{ channel: "discord" }],
  "channels.logout": [{ channel: "discord" }],
  "config.schema.lookup": [{ path: "channels.discord" }, { path: "gateway" }],
  "config.patch": [{ raw: "{}" }],
  "config.set": [{ raw: "{}" }],
  "config.apply": [{ raw: "{}" }],
  "cron.add": [{
    name: "schemas", enabled: true, schedule: { kind: "every", everyMs: 3_600_000 },
    sessionTarget: "isolated", wakeMode: "now", payload: { kind: "agentTurn", message: "x" },
  }],
  "logs.tail": [{ limit: 5, maxBytes: 10_000 }, { cursor: 0 }],
  "pairing.approve": [{ code: "ABCDEFGH" }],
};

/** Nobody's parameters. */
const BAD = [{}, [], 5, "x", { channel: "no such", id: "no such", raw: 5, sessionKey: "" }];

/** These end the gateway, and are asked last, or by others. */
const LAST = ["gateway.stop"];
const OTHERS = ["gateway.restart.request"];

const compiled = new Map();
const violations = [];
let frames = 0;

/** The first thing that is wrong with a value, if anything is. */
function check(schema, value) {
  if (!compiled.has(schema)) compiled.set(schema, Schema.Compile(schema));
  const [ok, errors] = compiled.get(schema).Errors(value);
  if (ok) return undefined;
  return errors.map((e) => `${e.instancePath} ${e.message}`).join("; ");
}

function judge(what, schema, value) {
  const wrong = typeof schema === "function" ? schema(value) : check(schema, value);
  if (wrong !== undefined) {
    violations.push({ what, wrong, value: JSON.stringify(value ?? null).slice(0, 2000) });
  }
}

/** `channels.status` is answered by a ChannelsStatusResult. */
function resultOf(method) {
  if (method in RESULTS) return RESULTS[method];
  const name = method.split(/[.-]/).map((word) => word[0].toUpperCase() + word.slice(1)).join("");
  return definitions[`${name}Result`];
}

class Client {
  constructor(client) {
    this.client = client;
    this.waiting = new Map();
    this.events = [];
    this.count = 0;
    this.seq = 0;
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    this.challenged = new Promise((resolve) => (this.challenge = resolve));
    this.closed = new Promise((resolve) => {
      this.socket.onclose = (close) => resolve({ code: close.code, reason: close.reason });
    });
    this.socket.onmessage = ({ data }) => this.take(JSON.parse(data));
  }

  take(frame) {
    frames += 1;
    if (frame.type === "event") {
      judge(`event ${frame.event}`, definitions.EventFrame, frame);
      if (frame.event in EVENTS) judge(`event ${frame.event}`, EVENTS[frame.event], frame.payload);
      if (frame.event === "connect.challenge") this.challenge();
      else if (frame.seq !== ++this.seq) violations.push({ what: "seq", wrong: `${frame.seq}` });
      this.events.push(frame.event);
      return;
    }
    judge(`answer ${frame.id}`, definitions.ResponseFrame, frame);
    if (!frame.ok) judge(`error ${frame.id}`, definitions.ErrorShape, frame.error);
    const waits = this.waiting.get(frame.id);
    // `agent` is answered twice.
    const isFirst = frame.ok && ["accepted", "in_flight"].includes(frame.payload?.status);
    if (waits && !(isFirst && waits.twice)) {
      this.waiting.delete(frame.id);
      waits.resolve(frame);
    }
  }

  ask(method, params) {
    const id = `${method}#${++this.count}`;
    const text = JSON.stringify({ type: "req", id, method, params });
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        violations.push({ what: id, wrong: "no answer", value: text });
        resolve({ ok: false });
      }, patience);
      const done = (frame) => (clearTimeout(late), resolve(frame));
      this.waiting.set(id, { resolve: done, twice: method === "agent" });
      this.socket.send(text);
    });
  }

  async connect(scopes) {
    await this.challenged;
    const params = {
      minProtocol: 4, maxProtocol: 4, client: this.client, role: "operator", scopes,
      auth: { token },
    };
    judge("our connect", definitions.ConnectParams, params);
    const answer = await this.ask("connect", params);
    if (answer.ok) judge("hello", definitions.HelloOk, answer.payload);
    return answer.payload;
  }
}

const scopes = ["admin", "read", "write", "pairing", "approvals"].map((s) => `operator.${s}`);
const backend = { id: "gateway-client", version: "1", platform: "linux", mode: "backend" };
const client = new Client(backend);
const hello = await client.connect(scopes);
const { methods, events } = hello.features;

// Each method is known there too, or is listed above, and asks for the same scope.
const unlisted = methods.filter((name) => !(name in published.methods) && !OWN.has(name));
const needed = {};
const nobody = new Client({ ...backend, id: "test", mode: "test" });
await nobody.connect([]);
for (const method of methods.filter((name) => !LAST.includes(name) && !OTHERS.includes(name))) {
  const { error } = await nobody.ask(method, {});
  const missing = error?.details?.code === "MISSING_SCOPE" ? error.details.missingScope : "";
  const expected = SCOPES[method] ?? published.methods[method]?.scope;
  if (expected !== undefined && expected !== "dynamic" && expected !== missing) {
    needed[method] = { expected, missing };
  }
}
nobody.socket.close();

// One who is seen comes and goes, so that presence is told.
const guest = new Client({ id: "webchat", version: "1", platform: "web", mode: "webchat" });
await guest.connect(["operator.read"]);
guest.socket.close();
await guest.closed;

// What a channel is told to do comes last, so that the rest finds it running.
const isLate = (name) => /^channels\.(start|stop|restart|logout)$/.test(name);
const judged = [];
for (const method of [...methods.filter((n) => !isLate(n)), ...methods.filter(isLate)]) {
  if (LAST.includes(method) || OTHERS.includes(method)) continue;
  for (const good of GOOD[method] ?? [{}]) {
    const params = { ...good };
    if (/^config\.(set|patch|apply)$/.test(method)) {
      const now = await client.ask("config.get", {});
      params.baseHash = now.payload.hash ?? undefined;
    }
    const answer = await client.ask(method, params);
    const schema = resultOf(method);
    if (answer.ok && schema) {
      judge(`result ${method}`, schema, answer.payload);
      judged.push(method);
    } else if (!answer.ok && method in GOOD && method !== "pairing.approve") {
      violations.push({ what: method, wrong: JSON.stringify(answer.error) });
    }
  }
  for (const bad of BAD) await client.ask(method, bad);
}
await client.ask("no.such.method", {});
await client.ask("connect", {});
for (const odd of ["{", "[]", "5", '{"type":"req","id":5}', '{"type":"req","id":"","method":""}']) {
  client.socket.send(odd);
}
await client.ask("health", {});
const stopped = await client.ask("gateway.stop", {});
const close = await client.closed;

console.log(JSON.stringify({
  done: true, violations, unlisted, needed, frames, close, stopped: stopped.ok,
  judged: [...new Set(judged)], told: [...new Set(client.events)],
  unknownEvents: [...new Set(client.events)].filter((name) => !events.includes(name)),
  ownEvents: events.filter((name) => OWN_EVENTS.has(name)),
}));
process.exit(0);
