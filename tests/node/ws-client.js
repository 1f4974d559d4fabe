// SPDX-License-Identifier: Apache-2.0
// A WebSocket client for the integration tests: text, 1 MB of binary, ping, and a clean close.
const assert = require('node:assert');
const WebSocket = require('ws');

const ws = new WebSocket(process.argv[2]);
const big = Buffer.alloc(1 << 20, 7);
let step = 0;

ws.on('open', () => ws.send('hi'));
ws.on('message', (data, binary) => {
  if (step++ === 0) {
    assert.equal(String(data), 'echo: hi');
    ws.send(big);
  } else {
    assert.ok(binary && big.equals(data));
    ws.ping('p');
  }
});
ws.on('pong', () => ws.close(1000, 'bye'));
ws.on('close', (code) => { assert.equal(code, 1000); console.log('ok'); });
ws.on('error', (e) => { console.error(e); process.exit(1); });
setTimeout(() => { console.error('too slow'); process.exit(1); }, 10000).unref();
