// SPDX-License-Identifier: Apache-2.0
// What pages can do with another site, in Chromium: node cross-origin.js API PAGE... loads each page
// and prints as JSON, for each, how its requests to the API ended.
const { chromium } = require('playwright-core');

async function inPage(api) {
  const ask = async (path, init) => {
    try {
      const r = await fetch(api + path, init);
      return { type: r.type, status: r.status, body: await r.text(), total: r.headers.get('X-Total') };
    } catch (e) {
      return { error: e.name };
    }
  };
  const json = { 'Content-Type': 'application/json', 'X-Mark': '1' };
  const socket = (url) => new Promise((done) => {
    const ws = new WebSocket(url);
    ws.onopen = () => { ws.send('hi'); };
    ws.onmessage = (m) => { done(m.data); ws.close(); };
    ws.onerror = () => done('refused');
  });
  return {
    protocol: performance.getEntriesByType('navigation')[0].nextHopProtocol,
    get: await ask('/get'),
    put: await ask('/put', { method: 'PUT', headers: json, body: '{}', credentials: 'include' }),
    propfind: await ask('/propfind', { method: 'PROPFIND' }),
    form: await ask('/form', { method: 'POST', mode: 'no-cors', credentials: 'include',
      body: new URLSearchParams({ a: 1 }) }),
    override: await ask('/override?_method=DELETE', { mode: 'no-cors', credentials: 'include' }),
    socket: await socket(api.replace('http', 'ws') + '/ws'),
  };
}

(async () => {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'],
  });
  const [api, ...pages] = process.argv.slice(2);
  const seen = [];
  for (const url of pages) {
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(url, { waitUntil: 'load' });
    seen.push(await page.evaluate(inPage, api));
  }
  console.log(JSON.stringify(seen));
  await browser.close();
})().catch((e) => { console.error(e); process.exit(1); });
