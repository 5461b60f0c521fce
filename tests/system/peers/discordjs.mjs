// A discord.js bot in the sandbox: proof that what we talk to behaves as what others talk to.
//
//   DISCORD_API_URL=http://127.0.0.1:PORT/api DISCORD_BOT_TOKEN=any \
//     node discordjs.mjs [watch|echo|talk]
//
// All roles print one line of JSON when they are ready, and one when they are done.
//   watch  sends PEER_SAY (if set) to the channel PEER_CHANNEL (general), then waits until somebody
//          else's message contains PEER_EXPECT, and prints all that it saw.
//   echo   answers people who mention it or write to it directly, until standard input ends.
//   talk   mentions the bot PEER_WITH, and again whenever that answers, for PEER_ROUNDS rounds.
// After PEER_SECONDS (30) without success it exits with 1.

import process from 'node:process';
import { Client, Events, GatewayIntentBits, Partials } from 'discord.js';

const role = process.argv[2] ?? 'watch';
const { DISCORD_API_URL, DISCORD_BOT_TOKEN, PEER_SAY, PEER_EXPECT = '' } = process.env;
const channelName = process.env.PEER_CHANNEL ?? 'general';
const partner = process.env.PEER_WITH;
const rounds = Number(process.env.PEER_ROUNDS ?? 3);
const seconds = Number(process.env.PEER_SECONDS ?? 30);

const client = new Client({
  intents: [
    GatewayIntentBits.Guilds,
    GatewayIntentBits.GuildMessages,
    GatewayIntentBits.DirectMessages,
    GatewayIntentBits.MessageContent,
  ],
  partials: [Partials.Channel],
  rest: { api: DISCORD_API_URL },
});

const seen = [];
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function finish(code, value) {
  print({ done: code === 0, user: client.user?.id, seen, ...value });
  await client.destroy();
  process.exit(code);
}

client.on(Events.Error, (error) => print({ error: String(error) }));
client.on(Events.ShardResume, (_, replayed) => print({ resumed: true, replayed }));

client.once(Events.ClientReady, async () => {
  const guilds = client.guilds.cache.map((guild) => guild.name);
  print({ ready: true, user: client.user.id, name: client.user.username, guilds });
  if (role === 'watch' && PEER_SAY) {
    const channel = client.channels.cache.find((channel) => channel.name === channelName);
    const sent = await channel.send({ content: PEER_SAY, nonce: 'peer-1', enforceNonce: true });
    print({ sent: sent.id, channel: channel.id });
  }
  if (role === 'talk') {
    const channel = client.channels.cache.find((channel) => channel.name === channelName);
    await channel.send(`<@${partner}> round 1`);
  }
});

client.on(Events.MessageCreate, async (message) => {
  const { id, content, author, channelId } = message;
  const reference = message.reference?.messageId ?? null;
  seen.push({ id, channel: channelId, author: author.id, bot: author.bot, content, reference });
  const isOwn = author.id === client.user.id;
  if (role === 'echo') {
    if (!author.bot && (message.mentions.has(client.user) || !message.inGuild())) {
      await message.channel.sendTyping();
      await message.reply(`echo: ${content.replace(/<@!?\d+>\s*/g, '')}`);
    }
  } else if (role === 'talk') {
    if (author.id !== partner) return;
    const round = Number(content.replace('round ', ''));
    if (round < rounds) await message.channel.send(`<@${partner}> round ${round + 1}`);
    else await finish(0, {});
  } else if (!isOwn && PEER_EXPECT && content.includes(PEER_EXPECT)) {
    await finish(0, { reply: id });
  }
});

if (role === 'echo') {
  process.stdin.resume().on('end', () => finish(0, {}));
} else {
  setTimeout(() => finish(1, { error: `nobody said ${PEER_EXPECT}` }), seconds * 1000);
}
client.login(DISCORD_BOT_TOKEN).catch((error) => finish(1, { error: String(error) }));
