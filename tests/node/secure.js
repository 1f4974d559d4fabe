// SPDX-License-Identifier: Apache-2.0
// Loads a page over HTTPS in Chromium and prints as JSON what the browser thinks of the connection:
// node secure.js URL. Trust comes from the NSS database in $HOME/.pki/nssdb.
const { chromium } = require('playwright-core');

async function visit(page, url) {
  const session = await page.context().newCDPSession(page);
  const states = [];
  session.on('Security.visibleSecurityStateChanged', (e) => states.push(e.visibleSecurityState));
  await session.send('Security.enable');
  try {
    const response = await page.goto(url, { waitUntil: 'load' });
    const details = await response.securityDetails();
    return { body: await page.textContent('body'), status: response.status(), details, states };
  } catch (e) {
    return { error: e.message.split('\n')[0], states };
  }
}

(async () => {
  const context = await chromium.launchPersistentContext(`${process.env.HOME}/profile`, {
    executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'],
  });
  const seen = await visit(await context.newPage(), process.argv[2]);
  seen.state = (seen.states.pop() || {}).securityState;
  delete seen.states;
  console.log(JSON.stringify(seen));
  await context.close();
})().catch((e) => { console.error(e); process.exit(1); });
