// Debian's Chromium on the page of first contact: from the code to the first message.
//
//   PAGE_URL=http://127.0.0.1:PORT/setup PAGE_SANDBOX=http://127.0.0.1:PORT/_sandbox \
//     node setup.mjs
//
// Each step prints a line of JSON. What only the test can do is asked for by {"want": WHAT}, and
// waits for a line on standard input. PAGE_SHOTS names a directory for pictures.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import * as shared from './browser.mjs';
import { browser, insist, press, print, sandbox, see, step, want } from './browser.mjs';

const { PAGE_URL, PAGE_SHOTS } = process.env;
const TELEPHONE = { width: 360, height: 740 };
// What is refused with words is an error to the browser's console as well; by plain HTTP from
// elsewhere one of the headers has no meaning; and the gateway goes away for a moment.
const EXPECTED = new RegExp([
  'Failed to load resource: the server responded',
  'Cross-Origin-Opener-Policy header has been ignored',
  'ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY',
].join('|'));
const visit = (options) => shared.visit(EXPECTED, options);

const heading = (page, name) => page.getByRole('heading', { name, level: 2 }).waitFor();

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** That nothing keeps anybody out. It comes in by the debugger, past the page's own policy. */
async function examine(page, where) {
  const debug = await page.context().newCDPSession(page);
  await debug.send('Runtime.evaluate', { expression: axe });
  const expression = 'axe.run(document, {resultTypes: ["violations"]}).then(JSON.stringify)';
  const told = { expression, awaitPromise: true, returnByValue: true };
  const { violations } = JSON.parse((await debug.send('Runtime.evaluate', told)).result.value);
  await debug.detach();
  const grave = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const words = grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  insist(words.length === 0, `${where}: ${words.join('\n')}`);
}

/** Pictures of a telephone and a screen, in light and dark; nothing is wider than either. */
async function looks(page, name) {
  const { width, height } = page.viewportSize();
  for (const [kind, viewport, scheme] of [
    ['phone', TELEPHONE, 'light'], ['phone-dark', TELEPHONE, 'dark'],
    ['desk', { width, height }, 'light'],
  ]) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme: scheme });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    insist(wide <= viewport.width, `${name} is ${wide} wide on a ${kind}`);
    await examine(page, `${name} on a ${kind}`);
    const path = `${PAGE_SHOTS}/setup-${name}-${kind}.png`;
    if (PAGE_SHOTS) await page.screenshot({ path, fullPage: true });
  }
}

/** Types the right code. */
async function enter(page) {
  const right = await want('code');
  await page.getByLabel('The code').fill(right.toLowerCase());
  await page.keyboard.press('Enter');
  await heading(page, "Hand over the bot's token");
}

async function code(page) {
  await heading(page, 'Type the code');
  const focused = () => page.evaluate(() => document.activeElement.id);
  insist(await focused() === 'code', 'the field is not where one types');
  await looks(page, '1-code');
  await page.getByLabel('The code').fill('ABC');
  await press(page, 'Go on');
  await page.getByRole('alert').filter({ hasText: 'no code' }).waitFor();
  await page.getByLabel('The code').fill('ZZZZ-ZZZZ');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'not the code' }).waitFor();
  await looks(page, '1-code-wrong');
  step('a wrong code is refused with words, and how many more are looked at');
  await enter(page);
  step('the right one leads on');
  await want('restart');
  await heading(page, 'Type the code');
  await enter(page);
  step('a gateway that restarts meanwhile has another code, and the page begins again');
}

/** Another browser, while this one is at it. */
async function other() {
  const { context, page, wrong } = await visit();
  await page.goto(PAGE_URL);
  await see(page, 'Another browser has typed the code already');
  insist(wrong.length === 0, wrong.join('\n'));
  await context.close();
  step('another browser is told that somebody is at it');
}

async function token(page) {
  await looks(page, '2-token');
  const field = page.getByLabel('The token');
  await field.fill('123456789012345678');
  await press(page, 'Try this token');
  await page.getByRole('alert').filter({ hasText: 'a number' }).waitFor();
  await field.fill('bad.token');
  await press(page, 'Try this token');
  await page.getByRole('alert').filter({ hasText: 'Reset Token' }).waitFor();
  await looks(page, '2-token-wrong');
  step('a wrong token is refused in the words of the portal');
  await sandbox('fault', { name: 'intents-off' });
  await field.fill(`Bot ${await want('token')}`);
  await press(page, 'Try this token');
  await heading(page, 'What the bot may hear');
  insist(await page.locator('#token').count() === 0, 'the token stays on the page');
  step('the right one leads on');
}

async function intents(page) {
  await see(page, 'Message Content Intent');
  insist(await page.getByRole('button', { name: 'Go on' }).count() === 0, 'it goes on without');
  await looks(page, '3-intents');
  await page.reload();
  await see(page, 'Message Content Intent');
  step('it goes on where it was, after a reload');
  await sandbox('clear', {});
  await see(page, 'Everything is switched on');
  step('and notices that the intents are switched on');
  await press(page, 'Go on');
}

async function invite(page) {
  await heading(page, 'Let the bot into a server');
  await see(page, 'It is in');
  const way = page.getByRole('link', { name: 'Choose a server on Discord' });
  const link = await way.getAttribute('href');
  insist(/^https:\/\/discord\.com\/oauth2\/authorize\?client_id=\d+&/.test(link), link);
  await looks(page, '4-invite');
  step('the invitation is there, and the server that the bot is in');
  await press(page, 'Go on');
}

async function test(page) {
  await heading(page, 'Write to it');
  await see(page, 'Nobody has written yet');
  await looks(page, '5-test');
  await page.getByText('Or let it say hello first').click();
  await press(page, 'Say hello there');
  await see(page, 'It was said');
  await sandbox('say', { text: '<b>hello</b>', mention: true, author: '<img src=x>' });
  await page.getByText('<img src=x> wrote in #general, and was answered').waitFor();
  await looks(page, '5-test-answered');
  step('the first message is seen, and its answer');
  await press(page, 'Finish');
  await heading(page, 'It is set up');
  await looks(page, '6-done');
  step('and that is all');
}

try {
  const { context, page, wrong } = await visit();
  await page.goto(PAGE_URL);
  await code(page);
  await other();
  await token(page);
  await intents(page);
  await invite(page);
  await test(page);
  // The port on the network is closed, or about to be.
  const after = await page.goto(PAGE_URL).then((answer) => answer.status(), () => 'refused');
  insist([404, 'refused'].includes(after), `the page is still there: ${after}`);
  insist(wrong.length === 0, wrong.join('\n'));
  await context.close();
  print({ done: true });
} catch (error) {
  print({ done: false, error: String(error.stack) });
  process.exitCode = 1;
} finally {
  await browser.close();
  process.stdin.destroy();
}
