// SPDX-License-Identifier: Apache-2.0
// Loads a page behind a challenge in Chromium and prints as JSON what became of it:
// node challenge.js URL
const { chromium } = require('playwright-core');
const url = process.argv[2];
const options = { ignoreHTTPSErrors: true };

async function passing(browser) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (e) => errors.push(e.message));
  page.on('console', (m) => { if (m.type() === 'error' && !m.text().includes('403')) errors.push(m.text()); });
  const response = await page.goto(url, { waitUntil: 'commit' });
  const first = { status: response.status(), title: '', errors };
  const body = await response.text().catch(() => '');
  first.title = (body.match(/<title>(.*)<\/title>/) || [])[1] || 'One moment';
  await page.waitForFunction(() => document.title === 'in', null, { timeout: 60000 });
  return {
    first,
    url: page.url(),
    title: await page.title(),
    text: await page.textContent('p'),
    script_sees: await page.evaluate(() => document.cookie),
    fetched: await page.evaluate(async () => (await fetch('/data')).status),
    cookies: await context.cookies(),
  };
}

async function withoutCookies(browser) {
  const context = await browser.newContext(options);
  await context.addInitScript(() => Object.defineProperty(document, 'cookie', { get: () => '', set: () => {} }));
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForSelector('button:not([hidden])', { timeout: 60000 });
  return page.textContent('[role=status]');
}

async function withoutScript(browser) {
  const context = await browser.newContext({ ...options, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(url);
  return page.textContent('noscript');
}

(async () => {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'],
  });
  const seen = await passing(browser);
  seen.without_cookies = await withoutCookies(browser);
  seen.without_script = await withoutScript(browser);
  console.log(JSON.stringify(seen));
  await browser.close();
})().catch((e) => { console.error(e); process.exit(1); });
