// Debian's Chromium on the gateway's page: it clicks through it as a person would.
//
//   PAGE_URL=http://127.0.0.1:PORT/#login=CODE PAGE_SANDBOX=http://127.0.0.1:PORT/_sandbox \
//     node page.mjs [tour|looks]
//
// Each step prints a line of JSON. What only the test can do is asked for by {"want": WHAT}, and
// waits for a line on standard input. PAGE_SHOTS names a directory for pictures.
//   tour   everything there is to do, and what must not happen meanwhile
//   looks  no page is wider than a telephone, and nothing keeps anybody out, in light and dark

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import * as shared from './browser.mjs';
import { browser, home, insist, press, print, sandbox, see, step, want } from './browser.mjs';

const { PAGE_URL, PAGE_SHOTS } = process.env;
const EVIL = '<img src=x onerror=document.title=1>';
// A gateway that restarts refuses connections for a moment; the browser says so by itself.
const AWAY = /WebSocket connection to .* failed|ERR_CONNECTION_REFUSED/;
const visit = (options) => shared.visit(AWAY, options);

const shot = async (page, name) => {
  if (PAGE_SHOTS) await page.screenshot({ path: `${PAGE_SHOTS}/${name}.png`, fullPage: true });
};
const tab = (page, name) => page.getByRole('tab', { name, exact: false }).click();
const cardState = (page, word) =>
  page.locator('.account header .state', { hasText: new RegExp(`^${word}$`) }).waitFor();

async function strangers() {
  const { context, page } = await visit();
  await page.goto(home.origin);
  await see(page, 'barnacle dashboard');
  step('who is not logged in is told how to');
  await page.getByLabel("The gateway's token or password").fill('wrong');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('alert').filter({ hasText: /token/ }).waitFor();
  step('a wrong token is refused with words');
  await page.goto('about:blank');
  await page.goto(PAGE_URL);
  await page.getByRole('alert').filter({ hasText: 'used already' }).waitFor();
  insist(!page.url().includes('login='), 'the code stays in the address');
  step('a used code is refused with words');
  await context.close();
}

async function messages(page) {
  await tab(page, 'Messages');
  await sandbox('say', { text: `${EVIL} hello`, direct: true, author: EVIL });
  const row = page.locator('tbody tr', { hasText: EVIL }).first();
  await row.waitFor();
  await sandbox('say', { text: 'good morning', mention: true, author: 'ben' });
  const ben = page.locator('tbody tr', { hasText: 'ben' }).first();
  await ben.filter({ hasText: /(?<!not )answered/ }).waitFor();
  await page.getByLabel('only those not answered').check();
  await ben.waitFor({ state: 'detached' });
  await row.waitFor();
  step('dropped messages are shown alone');
  await row.getByRole('button').click();
  await see(page, 'What would change it');
  await shot(page, 'messages-open');
  step('a message tells its doors and the setting that would change it');
  await page.getByLabel('Find in these messages').fill('nothing says this');
  await see(page, 'None of these says that.');
  await page.getByLabel('Find in these messages').fill('');
}

async function pairing(page) {
  await tab(page, 'Pairing');
  const waits = page.getByRole('listitem').filter({ hasText: EVIL });
  await waits.waitFor();
  await waits.getByRole('button', { name: /^Let in/ }).click();
  await waits.getByRole('button', { name: /^Send away/ }).waitFor();
  await sandbox('say', { text: 'may I?', direct: true, author: EVIL });
  await want('answer to may I?');
  step('who is let in on the page is answered');
  await waits.getByRole('button', { name: /^Send away/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Send away' }).click();
  await waits.waitFor({ state: 'detached' });
  step('and can be sent away again');
}

async function channels(page) {
  await tab(page, 'Channels');
  await cardState(page, 'connected');
  await sandbox('fault', { name: 'no-resumed' });
  await cardState(page, 'reconnecting');
  await page.locator('.account .note', { hasText: 'Why:' }).waitFor();
  await shot(page, 'reconnecting');
  await sandbox('clear', {});
  await cardState(page, 'connected');
  step('a lost connection is shown with its cause, and its return');
  await sandbox('fault', { name: 'close-4014' });
  await cardState(page, 'needs a hand');
  await page.locator('.account .note', { hasText: 'switch the intents on' }).waitFor();
  await shot(page, 'parked');
  await sandbox('clear', {});
  await press(page, 'Restart');
  await cardState(page, 'connected');
  step('a parked one is restarted by a button');
  await press(page, 'Stop');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await cardState(page, 'connected');
  await press(page, 'Stop');
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
  await cardState(page, 'stopped');
  await press(page, 'Start');
  await cardState(page, 'connected');
  step('stopping is asked about, and starting is not');
  const last = page.locator('.segs').first().locator('button').last();
  await last.focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowRight');
  const told = page.locator('output.readout').first();
  await told.filter({ hasText: /\d\d:\d\d–\d\d:\d\d/ }).waitFor();
  step('the bars are told to the keyboard');
}

async function log(page) {
  await tab(page, 'Log');
  const lines = page.locator('ol.log li');
  await lines.filter({ hasText: 'listening on' }).waitFor();
  await sandbox('fault', { name: 'close-4000' });
  await lines.filter({ hasText: '4000' }).first().waitFor();
  step('the log follows');
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByLabel('Find in the log').fill('listening on');
  await lines.filter({ hasText: '4000' }).first().waitFor({ state: 'detached' });
  insist(await lines.count() >= 1, 'the line that was sought is gone');
  step('and is searched');
}

async function jobs(page) {
  await tab(page, 'Jobs');
  const row = page.locator('tbody tr', { hasText: 'greet' }).first();
  await row.waitFor();
  await row.getByRole('button', { name: 'Run now' }).click();
  await row.locator('.state', { hasText: 'ok' }).waitFor();
  step('a job is run now');
  await row.getByRole('switch').uncheck();
  await row.filter({ hasText: 'disabled' }).waitFor();
  step('and is switched off');
  await shot(page, 'jobs');
}

async function chat(page) {
  await tab(page, 'Chat');
  const words = `${EVIL} and \`code\` and https://example.org/x`;
  await page.getByLabel('Your message').fill(words);
  await page.keyboard.press('Enter');
  const said = page.locator('.say:not(.me)', { hasText: EVIL });
  await said.waitFor();
  await said.locator('code', { hasText: 'code' }).waitFor();
  const rel = await said.getByRole('link').getAttribute('rel');
  insist(rel === 'noopener noreferrer nofollow', `a link with rel ${rel}`);
  await shot(page, 'chat');
  await page.reload();
  await said.waitFor();
  step('the agent answers in the chat, and what was said stays');
}

async function restart(page) {
  await tab(page, 'Channels');
  const before = await page.locator('#meta').innerText();
  const banner = page.locator('#banner');
  const wentAway = banner.waitFor();
  await want('restart');
  await wentAway;
  await banner.waitFor({ state: 'hidden' });
  await page.locator('#link', { hasText: /^live$/ }).waitFor();
  await cardState(page, 'connected');
  keepsTime(before, await page.locator('#meta').innerText());
  step('a restart is said, and so is the return, without another login');
  await want('stop');
  await banner.filter({ hasText: /restarting|lost/ }).waitFor();
  await page.locator('html.stale').waitFor();
  await banner.filter({ hasText: /Retrying in|Trying/ }).waitFor();
  await shot(page, 'lost');
  await page.emulateMedia({ colorScheme: 'dark' });
  await shot(page, 'lost-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await want('start');
  await page.getByRole('button', { name: 'Try now' }).click().catch(() => {});
  await page.locator('html:not(.stale)').waitFor();
  await banner.waitFor({ state: 'hidden' });
  await cardState(page, 'connected');
  step('a gateway that is away is said loudly, and its return is seen');
}

/** Of the line at the top: it goes on being told. */
function keepsTime(before, after) {
  insist(/up \d/.test(before) && /up \d/.test(after), `no uptime: ${before}; ${after}`);
}

async function tour() {
  const { context, page, wrong } = await visit();
  await page.goto(PAGE_URL);
  await cardState(page, 'connected');
  insist(!page.url().includes('login='), 'the code stays in the address');
  insist(await page.evaluate('document.cookie') === '', 'scripts can read the cookie');
  const [cookie] = await context.cookies();
  insist(cookie.httpOnly && cookie.sameSite === 'Strict' && cookie.path === '/', 'a weak cookie');
  step('the link logs in');
  await strangers();
  await page.reload();
  await cardState(page, 'connected');
  step('and a new load needs no other');
  await channels(page);
  await messages(page);
  await pairing(page);
  await log(page);
  await chat(page);
  await restart(page);
  await jobs(page);
  insist(await page.locator('img').count() === 0, 'a text became markup');
  insist(!/^1$/.test(await page.title()), 'a text ran');
  const other = await context.newPage();
  await other.goto(home.origin);
  await cardState(other, 'connected');
  await page.getByRole('button', { name: 'Log out' }).click();
  await see(page, 'barnacle dashboard');
  await other.getByText('On the host where the gateway runs').waitFor();
  await page.reload();
  await see(page, 'On the host where the gateway runs');
  step('logging out holds for every tab, and over a reload');
  insist(wrong.length === 0, `what went wrong meanwhile: ${wrong.join('\n')}`);
  await context.close();
}

async function looks() {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  // The page's own policy would not let the examiner in.
  const { context, page, wrong } = await visit({ bypassCSP: true });
  await page.goto(PAGE_URL);
  await cardState(page, 'connected');
  await sandbox('say', { text: 'hello', direct: true, author: `ann ${'x'.repeat(60)}` });
  await page.evaluate(axe);
  const examine = async (where) => {
    const found = await page.evaluate('axe.run(document, {resultTypes: ["violations"]})');
    const grave = found.violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
    const told = grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
    insist(told.length === 0, `${where}: ${told.join('\n')}`);
    const widths = '[document.documentElement.scrollWidth, innerWidth]';
    const [needed, there] = await page.evaluate(widths);
    insist(needed <= there, `${where}: it is ${needed} wide`);
  };
  const names = await page.getByRole('tab').allInnerTexts();
  insist(names.length === 6, `the tabs are ${names.join(', ')}`);
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 360]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 740 });
      for (const name of names.map((name) => name.replace(/\d+$/, ''))) {
        await tab(page, name);
        if (name === 'Messages') {
          await page.locator('tbody tr', { hasText: 'ann' }).first().waitFor();
          const row = page.locator('.disclose[aria-expanded=false]').first();
          if (await row.count()) await row.click();
        }
        if (name === 'Log') await page.locator('ol.log li').first().waitFor();
        await shot(page, `${name}-${colorScheme}-${width}`.toLowerCase());
        await examine(`${name}, ${colorScheme}, ${width}`);
      }
    }
    step(`it is for everybody, ${colorScheme}`);
  }
  await page.getByRole('button', { name: 'Log out' }).click();
  await see(page, 'barnacle dashboard');
  await shot(page, 'login-dark-360');
  await examine('the login');
  insist(wrong.length === 0, `what went wrong meanwhile: ${wrong.join('\n')}`);
  await context.close();
}

let code = 0;
try {
  await { tour, looks }[process.argv[2] ?? 'tour']();
  print({ done: true });
} catch (error) {
  print({ done: false, error: String(error.stack ?? error) });
  code = 1;
}
await browser.close();
process.exit(code);
