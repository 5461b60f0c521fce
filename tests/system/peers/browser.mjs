// What the tests of pages share: Debian's Chromium, and words with the test that has started them.
//
// PAGE_URL is the page, PAGE_SANDBOX the sandbox's own interface, PAGE_SHOTS a directory for
// pictures. Each step prints a line of JSON. What only the test can do is asked for by
// {"want": WHAT}, and waits for a line on standard input.

import { createInterface } from 'node:readline';
import process from 'node:process';
import { chromium } from 'playwright-core';

const { PAGE_URL, PAGE_SANDBOX, CHROMIUM = '/usr/bin/chromium' } = process.env;
const SOON = 20_000;
const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
  '--disable-background-networking', '--disable-component-update',
];

export const home = new URL(PAGE_URL);
export const browser = await chromium.launch({ executablePath: CHROMIUM, args: flags });

export const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
export const step = (name) => print({ step: name });
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
export const want = async (what) => { print({ want: what }); return (await input.next()).value; };

export function insist(is, words) {
  if (!is) throw new Error(words);
}

export async function sandbox(path, body) {
  const order = { method: 'POST', body: JSON.stringify(body) };
  const answer = await fetch(`${PAGE_SANDBOX}/${path}`, order);
  insist(answer.ok, `the sandbox refused ${path}: ${answer.status}`);
  return answer.json();
}

/**
 * A tab of a browser of its own, in which nothing may go wrong unseen, and which asks nobody but
 * the gateway. What the browser's console says in the words of `expected` is not wrong.
 */
export async function visit(expected, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(SOON);
  const page = await context.newPage();
  const wrong = [];
  page.on('console', (line) => {
    const isGrave = ['error', 'warning'].includes(line.type());
    if (isGrave && !expected.test(line.text())) wrong.push(line.text());
  });
  page.on('pageerror', (error) => wrong.push(String(error.stack)));
  page.on('dialog', (dialog) => wrong.push(`a dialog: ${dialog.message()}`));
  const look = (url) => {
    const { protocol, host } = new URL(url);
    if (protocol !== 'data:' && host !== home.host) wrong.push(`it asked ${url}`);
  };
  page.on('request', (request) => look(request.url()));
  page.on('websocket', (socket) => look(socket.url()));
  return { context, page, wrong };
}

export const see = (page, words) => page.getByText(words).first().waitFor();
export const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
