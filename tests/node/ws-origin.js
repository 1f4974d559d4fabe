// SPDX-License-Identifier: Apache-2.0
// A WebSocket server for the integration tests: node ws-origin.js PORT h1|h2. What it does with a
// socket stands in the path; `GET /ended` tells how sockets ended, as it saw them.
const crypto = require('node:crypto');
const http = require('node:http');
const http2 = require('node:http2');
const { WebSocketServer } = require('ws');
const { ServerSocket, asUpgrade } = require('./ws-h2.js');

const [port, version] = process.argv.slice(2);
const ended = [];
const sockets = new WebSocketServer({
  noServer: true, maxPayload: 80 << 20,
  perMessageDeflate: { threshold: 64, serverNoContextTakeover: true },
  handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
});
let answerFields = null;
sockets.on('headers', (lines) => { answerFields = lines; });

// In three frames, when there are three bytes.
function inFragments(ws, data, binary) {
  const third = Math.floor(data.length / 3);
  ws.send(data.subarray(0, third), { binary, fin: false });
  ws.send(data.subarray(third, 2 * third), { binary, fin: false });
  ws.send(data.subarray(2 * third), { binary, fin: true });
}

const kinds = {
  '/echo': (ws) => ws.on('message', (data, binary) => ws.send(data, { binary })),
  '/fragments': (ws) => ws.on('message', (data, binary) => inFragments(ws, data, binary)),
  '/head': (ws, req) => ws.send(JSON.stringify({ request: req.headers, answer: answerFields })),
  '/ping': (ws) => { ws.on('pong', (data) => ws.send(`pong ${data}`)); ws.ping('from origin'); },
  '/hash': (ws) => ws.on('message', (data) => ws.send(crypto.createHash('sha256').update(data).digest('hex'))),
  '/large': (ws, req) => {
    const data = crypto.randomBytes(Number(req.query.get('bytes')));
    ws.send(data, { compress: false });
    ws.send(crypto.createHash('sha256').update(data).digest('hex'));
  },
  '/close': (ws, req) => ws.close(Number(req.query.get('code')), 'reason'),
  '/terminate': (ws) => ws.terminate(),
  '/sleep': (ws) => ws.on('message', (data) => setTimeout(() => ws.send(data), Number(String(data)))),
};

const refusals = {
  '/403': [403, {}], '/200': [200, {}], '/426': [426, { 'sec-websocket-version': '13', upgrade: 'websocket' }],
};

function open(req, socket, head) {
  req.query = new URL(req.url, 'http://a').searchParams;
  const kind = kinds[req.url.split('?')[0]];
  sockets.handleUpgrade(req, socket, head, (ws) => {
    ws.on('close', (code, reason) => ended.push({ url: req.url, code, reason: String(reason) }));
    ws.on('error', () => {});
    kind(ws, req);
  });
}

function plain(url, respond) {
  respond(200, { 'content-type': 'text/plain' }, url === '/ended' ? JSON.stringify(ended.slice(-100)) : 'plain');
}

function serveH1() {
  const server = http.createServer((req, res) => plain(req.url, (status, fields, body) => {
    res.writeHead(status, fields); res.end(body);
  }));
  server.on('upgrade', (req, socket, head) => {
    const refusal = refusals[req.url];
    if (!refusal) return open(req, socket, head);
    const fields = Object.entries(refusal[1]).map(([n, v]) => `${n}: ${v}\r\n`).join('');
    return socket.end(`HTTP/1.1 ${refusal[0]} ${http.STATUS_CODES[refusal[0]]}\r\n${fields}Connection: close\r\n` +
      'Content-Length: 2\r\n\r\nno');
  });
  return server;
}

function serveH2() {
  // Large messages wait in memory, and node counts them against new streams.
  const server = http2.createServer({
    maxSessionMemory: 500, settings: { enableConnectProtocol: true, maxConcurrentStreams: 1000 },
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    const respond = (status, { upgrade, ...fields }, body) => {
      stream.respond({ ':status': status, ...fields }); stream.end(body);
    };
    if (headers[':method'] !== 'CONNECT') return plain(headers[':path'], respond);
    const refusal = refusals[headers[':path']];
    if (refusal) return respond(...refusal, 'no');
    return open(asUpgrade(headers), new ServerSocket(stream), Buffer.alloc(0));
  });
  return server;
}

(version === 'h2' ? serveH2() : serveH1()).listen(Number(port), '127.0.0.1');
