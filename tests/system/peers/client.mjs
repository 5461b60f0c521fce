// The client that OpenClaw's own applications are made of, at our gateway: it connects, asks, is
// told what happens, and is back after a restart.
//
//   PEER_PORT, PEER_TOKEN   the gateway
//
// It prints a line of JSON when it is ready, and one when it is done.

import { GatewayClient } from "@openclaw/gateway-client";

const { PEER_PORT: port, PEER_TOKEN: token } = process.env;
const patience = 60_000;

const hellos = [];
const closes = [];
const gaps = [];
let seqs = [[]];
let wake = () => {};

const client = new GatewayClient({
  url: `ws://127.0.0.1:${port}`,
  token,
  scopes: ["operator.read", "operator.write", "operator.admin"],
  onHelloOk: (hello) => {
    hellos.push(hello);
    wake();
  },
  onConnectError: (error) => process.stderr.write(`${error.message}\n`),
  onEvent: (event) => {
    if (event.event !== "connect.challenge") seqs.at(-1).push([event.event, event.seq]);
    wake();
  },
  onClose: (code, reason) => {
    closes.push({ code, reason });
    seqs.push([]);
    wake();
  },
  onGap: (gap) => gaps.push(gap),
});

/** Waits for something that is looked at whenever anything has happened. */
async function until(what, holds) {
  const late = setTimeout(() => {
    console.log(JSON.stringify({ done: false, what, closes, seqs }));
    process.exit(1);
  }, patience);
  while (!holds()) await new Promise((resolve) => (wake = resolve));
  clearTimeout(late);
}

client.start();
await until("a hello", () => hellos.length === 1);
const health = await client.request("health", {});
const status = await client.request("channels.status", { probe: true });
const unknown = await client.request("no.such.method", {}).catch((error) => error.message);
// Something happens, and is told.
await client.request("channels.restart", { channel: "discord" });
await until("an event", () => seqs[0].some(([event]) => event === "health"));
await client.request("gateway.restart.request", { reason: "the peer wants it" });
await until("another hello", () => hellos.length === 2);
const after = await client.request("health", {});
client.stop();

const told = seqs.map((events) => events.map(([event]) => event));
const inOrder = seqs.every((events) => events.every(([, seq], at) => seq === at + 1));
console.log(JSON.stringify({
  done: true, ok: [health.ok, after.ok], account: status.channelAccounts.discord[0], unknown,
  boots: hellos.map((hello) => hello.server.bootId), closes, gaps, told, inOrder,
}));
process.exit(0);
