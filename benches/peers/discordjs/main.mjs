// discord.js as a peer of benches/run: keeps one bot connected and counts its messages.
//
// PEER_API is the REST base (http://127.0.0.1:PORT/api), PEER_TOKEN the bot's token. It prints
// `ready`, then `messages N` after each full thousand, and runs until it is ended.
import { Client, GatewayIntentBits } from "discord.js";

const { Guilds, GuildMessages, DirectMessages, MessageContent } = GatewayIntentBits;
const client = new Client({
  intents: [Guilds, GuildMessages, DirectMessages, MessageContent],
  rest: { api: process.env.PEER_API },
});
let messages = 0;
client.on("messageCreate", () => {
  messages += 1;
  if (messages % 1000 === 0) console.log(`messages ${messages}`);
});
client.once("clientReady", () => console.log("ready"));
await client.login(process.env.PEER_TOKEN);
