// SPDX-License-Identifier: Apache-2.0
// Loads a page in Chromium and prints what it saw as JSON: node browser.js URL
const { chromium } = require('playwright-core');

async function inPage() {
  const fetched = await (await fetch('/echo', { method: 'POST', body: 'hello' })).json();
  const socket = await new Promise((done, fail) => {
    const ws = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
    ws.onopen = () => ws.send('hi');
    ws.onmessage = (m) => { done(m.data); ws.close(); };
    ws.onerror = () => fail(new Error('WebSocket failed'));
  });
  const events = await new Promise((done) => {
    const got = [];
    const source = new EventSource('/events');
    source.onmessage = (m) => { got.push(m.data); if (got.length === 5) { source.close(); done(got); } };
  });
  const images = [...document.images].filter((i) => i.complete && i.naturalWidth > 0).length;
  const protocol = performance.getEntriesByType('navigation')[0].nextHopProtocol;
  return { protocol, title: document.title, fetched: `posted: ${fetched.body.length}`, socket, events, images };
}

(async () => {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'],
  });
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  await page.goto(process.argv[2], { waitUntil: 'load' });
  const seen = await page.evaluate(inPage);
  await page.goto(new URL('/shut/', process.argv[2]).href);
  seen.error_page = await page.textContent('h1');
  console.log(JSON.stringify(seen));
  await browser.close();
})().catch((e) => { console.error(e); process.exit(1); });
