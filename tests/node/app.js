// SPDX-License-Identifier: Apache-2.0
// A plain node application for the integration tests: node app.js PORT
const http = require('node:http');

const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>weir test page</title>
<h1>hello</h1>${Array.from({ length: 20 }, (_, i) => `<img alt="" src="/image/${i}.svg">`).join('')}
</html>`;
const image = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>';

function send(res, type, body, headers = {}) {
  res.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body), ...headers });
  res.end(body);
}

function echo(req, res) {
  let body = '';
  req.on('data', (piece) => { body += piece; });
  req.on('end', () => send(res, 'application/json', JSON.stringify(
    { method: req.method, url: req.url, headers: req.headers, body })));
}

function chunks(req, res) {
  for (let i = 0; i < 100; i++) res.write(`line ${i}\n`);
  res.end();
}

function events(req, res) {
  let i = 0;
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  const timer = setInterval(() => {
    res.write(`data: ${i}\n\n`);
    if (++i === 5) { clearInterval(timer); res.end(); }
  }, 20);
}

function trailers(req, res) {
  res.writeHead(200, { Trailer: 'X-End' });
  res.write('body');
  res.addTrailers({ 'X-End': 'yes' });
  res.end();
}

const routes = {
  '/page': (req, res) => send(res, 'text/html', page),
  '/echo': echo,
  '/chunks': chunks,
  '/events': events,
  '/trailers': trailers,
  '/hints': (req, res) => { res.writeEarlyHints({ link: '</a.css>; rel=preload' }); send(res, 'text/plain', 'x'); },
};

const server = http.createServer((req, res) => {
  const path = req.url.split('?')[0];
  if (path.startsWith('/image/')) return send(res, 'image/svg+xml', image);
  const route = routes[path];
  if (route) return route(req, res);
  res.writeHead(404, { 'Content-Length': 0 });
  return res.end();
});

try {
  const { WebSocketServer } = require('ws');
  const sockets = new WebSocketServer({ server, path: '/ws' });
  sockets.on('connection', (ws) => ws.on('message', (data, binary) => ws.send(
    binary ? data : `echo: ${data}`, { binary })));
} catch {
  // Without the package ws the tests that need it are skipped.
}
server.listen(Number(process.argv[2]), '127.0.0.1');
