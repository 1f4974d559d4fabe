// SPDX-License-Identifier: Apache-2.0
// A WebSocket client for the integration tests: node ws-cases.js CASE URL h1|h2 [MORE]. It ends with
// "ok", or with what went wrong. MORE is a certificate authority for wss:, or a number of sockets.
const assert = require('node:assert');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const readline = require('node:readline');
const { once } = require('node:events');
const WebSocket = require('ws');
const { ClientSocket } = require('./ws-h2.js');

const [name, url, version, more] = process.argv.slice(2);
const tls = url.startsWith('wss:') ? { ca: fs.readFileSync(more), servername: 'a.test' } : {};
const PER_SESSION = 100;
const sessions = [];

async function sessionFor(n) {
  const at = Math.floor(n / PER_SESSION);
  if (!sessions[at]) {
    const session = http2.connect(url.replace(/^ws/, 'http'), { ...tls, maxSessionMemory: 500 });
    session.setMaxListeners(0);
    session.on('error', () => {});
    sessions[at] = once(session, 'remoteSettings').then(([settings]) => {
      assert.ok(settings.enableConnectProtocol);
      return session;
    });
  }
  return sessions[at];
}

async function socketOptions(options = {}, n = 0) {
  const all = { maxPayload: 80 << 20, ...tls, ...options };
  if (version !== 'h2') return all;
  const session = await sessionFor(n);
  return { ...all, createConnection: () => new ClientSocket(session) };
}

async function open(path, { protocols = [], n = 0, ...options } = {}) {
  const ws = new WebSocket(url + path, protocols, await socketOptions(options, n));
  ws.got = []; // messages that nobody has waited for, and who waits
  ws.waiting = [];
  ws.on('message', (data, binary) => {
    const message = binary ? data : String(data);
    const waits = ws.waiting.shift();
    waits ? waits(message) : ws.got.push(message);
  });
  ws.on('upgrade', (answer) => { ws.answer = answer; });
  ws.ending = new Promise((resolve) => {
    ws.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
  });
  ws.pinged = once(ws, 'ping'); // may come with the answer
  await once(ws, 'open');
  return ws;
}

function message(ws) {
  return ws.got.length ? Promise.resolve(ws.got.shift()) : new Promise((resolve) => ws.waiting.push(resolve));
}

async function bye(ws) {
  ws.close(1000);
  assert.equal((await ws.ending).code, 1000);
}

function getPlain(path) {
  if (version === 'h2') {
    return sessionFor(0).then((session) => new Promise((resolve) => {
      const stream = session.request({ ':path': path });
      let body = '';
      stream.on('data', (piece) => { body += piece; });
      stream.on('end', () => resolve(body));
    }));
  }
  const { get } = url.startsWith('wss:') ? https : http;
  return new Promise((resolve, reject) => {
    get(url.replace(/^ws/, 'http') + path, tls, (res) => {
      let body = '';
      res.on('data', (piece) => { body += piece; });
      res.on('end', () => resolve(body));
    }).on('error', reject);
  });
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A path of its own, by which the origin can be asked about the socket.
function marked(path) {
  return `${path}${path.includes('?') ? '&' : '?'}mark=${crypto.randomUUID()}`;
}

// How the origin saw the socket of that path end, once it has.
async function originSaw(path) {
  for (;;) {
    const ended = JSON.parse(await getPlain('/ended'));
    const found = ended.find((e) => e.url === path);
    if (found) return found;
    await wait(20);
  }
}

function sha(data) { return crypto.createHash('sha256').update(data).digest('hex'); }

function refused(path) {
  return new Promise((resolve, reject) => {
    socketOptions().then((options) => {
      const ws = new WebSocket(url + path, [], options);
      ws.on('error', reject);
      ws.on('open', () => reject(new Error('it was let in')));
      ws.on('unexpected-response', (_req, res) => {
        let body = '';
        res.on('data', (piece) => { body += piece; });
        res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, body }));
      });
    });
  });
}

const cases = {
  // The offer and its answer arrive as they were sent, byte by byte.
  async negotiation() {
    const offer = { clientMaxWindowBits: 11, serverNoContextTakeover: true, threshold: 16 };
    const ws = await open('/head', { protocols: ['x', 'chat'], perMessageDeflate: offer });
    const { request, answer } = JSON.parse(await message(ws));
    assert.equal(request['sec-websocket-extensions'],
      'permessage-deflate; server_no_context_takeover; client_max_window_bits=11');
    assert.equal(request['sec-websocket-protocol'], 'x,chat');
    assert.equal(request['sec-websocket-version'], '13');
    const sent = answer.find((line) => line.startsWith('Sec-WebSocket-Extensions')).split(': ')[1];
    assert.equal(ws.answer.headers['sec-websocket-extensions'], sent);
    assert.match(sent, /^permessage-deflate; server_no_context_takeover/);
    assert.equal(ws.protocol, 'chat');
    await bye(ws);
    const without = await open('/head', { perMessageDeflate: false });
    const bare = JSON.parse(await message(without));
    assert.equal(bare.request['sec-websocket-extensions'], undefined);
    assert.equal(without.answer.headers['sec-websocket-extensions'], undefined);
    assert.equal(without.answer.headers['sec-websocket-protocol'], undefined);
    await bye(without);
  },

  async messages() {
    const ws = await open('/echo', { perMessageDeflate: { threshold: 64 } });
    const all = ['', 'a', 'grüße ✓', 'x'.repeat(125), 'y'.repeat(126), 'z'.repeat(70000), Buffer.alloc(0),
      crypto.randomBytes(65536), Buffer.alloc(1 << 20, 7)];
    for (const data of all) ws.send(data);
    for (const data of all) assert.deepEqual(await message(ws), data);
    await bye(ws);
  },

  async fragments() {
    const ws = await open('/fragments', { perMessageDeflate: { threshold: 64 } });
    const pieces = ['one ', 't'.repeat(100000), ' three'];
    const pongs = []; // several may come at once
    ws.on('pong', (data) => pongs.push(String(data)));
    pieces.forEach((piece, i) => {
      ws.send(piece, { fin: i === 2 });
      ws.ping(`in between ${i}`);
    });
    assert.equal(await message(ws), pieces.join(''));
    while (pongs.length < 3) await once(ws, 'pong');
    assert.deepEqual(pongs, [0, 1, 2].map((i) => `in between ${i}`));
    await bye(ws);
  },

  async ping() {
    const ws = await open('/ping');
    assert.equal(String((await ws.pinged)[0]), 'from origin');
    assert.equal(await message(ws), 'pong from origin');
    ws.ping('p'.repeat(125));
    assert.equal(String((await once(ws, 'pong'))[0]), 'p'.repeat(125));
    await bye(ws);
  },

  async codes() {
    for (const code of [1000, 1001, 4000]) {
      const path = marked('/echo');
      const ws = await open(path);
      code === 1001 ? ws._sender.close(1001, 'reason', true, () => {}) : ws.close(code, 'reason');
      assert.equal((await ws.ending).code, code);
      assert.deepEqual(await originSaw(path), { url: path, code, reason: 'reason' });
    }
    for (const code of [1000, 1001, 4000]) {
      const ws = await open(`/close?code=${code}`);
      assert.deepEqual(await ws.ending, { code, reason: 'reason' });
    }
    const path = marked('/echo');
    const empty = await open(path);
    empty.close();
    assert.equal((await empty.ending).code, 1005);
    assert.equal((await originSaw(path)).code, 1005);
  },

  // Either end breaks without a close frame: the other sees 1006, not a clean end.
  async aborted() {
    const ws = await open('/terminate');
    assert.equal((await ws.ending).code, 1006);
    const path = marked('/echo');
    const mine = await open(path);
    mine.send('hi');
    assert.equal(await message(mine), 'hi');
    mine.terminate();
    assert.equal((await originSaw(path)).code, 1006);
  },

  async large() {
    const data = crypto.randomBytes(64 << 20);
    const up = await open('/hash', { perMessageDeflate: false });
    up.send(data);
    assert.equal(await message(up), sha(data));
    await bye(up);
    const down = await open(`/large?bytes=${64 << 20}`, { perMessageDeflate: false });
    const got = await message(down);
    assert.equal(got.length, 64 << 20);
    assert.equal(await message(down), sha(got));
    await bye(down);
  },

  async refusals() {
    const no = await refused('/403');
    assert.deepEqual([no.status, no.body], [403, 'no']);
    const other = await refused('/426');
    assert.deepEqual([other.status, other.body, other.headers['sec-websocket-version']], [426, 'no', '13']);
    assert.equal(await getPlain('/x'), 'plain');
  },

  // An origin without HTTP/2 that answers 200 to an upgrade has not switched.
  async not_switched() {
    const got = await refused('/200');
    assert.equal(got.status, version === 'h2' ? 502 : 200);
    assert.equal(await getPlain('/x'), 'plain');
  },

  // Large messages on one socket while another answers at once, and a page is fetched.
  async beside() {
    const large = await open(`/large?bytes=${32 << 20}`, { perMessageDeflate: false });
    const small = await open('/echo');
    for (let i = 0; i < 50; i++) {
      small.send(`${i}`);
      assert.equal(await message(small), `${i}`);
    }
    assert.equal(await getPlain('/x'), 'plain');
    assert.equal(sha(await message(large)), await message(large));
    await bye(small);
    await bye(large);
  },

  // Opens many, then answers each line of the input with how many of them echo.
  async many() {
    const count = Number(more);
    const all = [];
    for (let n = 0; n < count; n++) all.push(open('/echo', { n }));
    const opened = await Promise.all(all);
    console.log(`open ${opened.length}`);
    for await (const line of readline.createInterface({ input: process.stdin })) {
      const echoes = await Promise.all(opened.map(async (ws, i) => {
        ws.send(`${line} ${i}`);
        return await message(ws) === `${line} ${i}`;
      }));
      console.log(`echoed ${echoes.filter(Boolean).length}`);
    }
    await Promise.all(opened.map(bye));
  },

  // Says something every MORE ms, four times; then is silent until the other end closes.
  async silent() {
    const path = marked('/echo');
    const ws = await open(path);
    let last = 0;
    for (let i = 0; i < 4; i++) {
      await wait(Number(more));
      ws.send(`${i}`);
      assert.equal(await message(ws), `${i}`);
      last = Date.now();
    }
    assert.equal((await ws.ending).code, 1006);
    console.log(`closed after ${Date.now() - last}`);
    assert.equal((await originSaw(path)).code, 1006);
  },

  // The origin alone speaks: that keeps a tunnel, too.
  async listening() {
    const ws = await open('/sleep');
    for (let i = 1; i <= 4; i++) ws.send(`${i * Number(more)}`);
    for (let i = 1; i <= 4; i++) assert.equal(await message(ws), `${i * Number(more)}`);
    await bye(ws);
  },
};

cases[name]().then(async () => {
  for (const session of sessions) (await session).close();
  console.log('ok');
  process.exit(0);
}).catch((e) => { console.error(e); process.exit(1); });
