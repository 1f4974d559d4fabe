// SPDX-License-Identifier: Apache-2.0
// The package ws over HTTP/2 (RFC 8441): ws speaks HTTP/1.1 to a Duplex, whose first head becomes
// an extended CONNECT, or the answer to one; all after it passes as DATA, untouched.
const { Duplex } = require('node:stream');
const crypto = require('node:crypto');
const http = require('node:http');

const END = '\r\n\r\n';
const HOP = /^(connection|upgrade|host|sec-websocket-(key|accept)|transfer-encoding|keep-alive)$/;

function parseHead(text) {
  const [first, ...lines] = text.split('\r\n');
  const fields = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    fields[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { first, fields };
}

function withoutHop(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([n]) => !HOP.test(n) && !n.startsWith(':')));
}

class H1OverH2 extends Duplex {
  constructor() {
    super();
    this.headBytes = Buffer.alloc(0);
    this.stream = null;
    this.ended = false;
  }

  attach(stream) {
    this.stream = stream;
    stream.on('data', (piece) => { if (!this.push(piece)) stream.pause(); });
    stream.on('end', () => this.finish());
    stream.on('close', () => { this.finish(); this.destroy(); });
    stream.on('error', (e) => this.destroy(e));
  }

  finish() {
    if (!this.ended) { this.ended = true; this.push(null); }
  }

  _read() { this.stream?.resume(); }

  _write(piece, _encoding, done) {
    if (this.headBytes === null) return this.stream.write(piece, done);
    this.headBytes = Buffer.concat([this.headBytes, piece]);
    const at = this.headBytes.indexOf(END);
    if (at < 0) return done();
    const rest = this.headBytes.subarray(at + END.length);
    const head = parseHead(this.headBytes.toString('latin1', 0, at));
    this.headBytes = null;
    this.onHead(head);
    return rest.length ? this.stream.write(rest, done) : done();
  }

  _final(done) { this.stream ? this.stream.end(done) : done(); }

  _destroy(e, done) {
    if (this.stream && !this.stream.closed) this.stream.close(8); // CANCEL
    done(e);
  }
}

// The client's end: `session` is a http2 session whose peer knows extended CONNECT.
class ClientSocket extends H1OverH2 {
  constructor(session) {
    super();
    this.session = session;
  }

  onHead({ first, fields }) {
    const stream = this.session.request({
      ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': this.session.encrypted ? 'https' : 'http',
      ':path': first.split(' ')[1], ':authority': fields.host, ...withoutHop(fields),
    }, { endStream: false });
    stream.on('response', (answer) => this.onAnswer(answer, fields['sec-websocket-key']));
    this.attach(stream);
  }

  onAnswer(answer, key) {
    const lines = Object.entries(withoutHop(answer)).map(([n, v]) => `${n}: ${v}\r\n`);
    if (answer[':status'] === 200) {
      const accept = crypto.createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      lines.unshift('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n',
        `Sec-WebSocket-Accept: ${accept}\r\n`);
    } else {
      lines.unshift(`HTTP/1.1 ${answer[':status']} ${http.STATUS_CODES[answer[':status']]}\r\n`);
    }
    this.push(`${lines.join('')}\r\n`);
  }
}

// The server's end of one extended CONNECT.
class ServerSocket extends H1OverH2 {
  constructor(stream) {
    super();
    this.attach(stream);
  }

  onHead({ first, fields }) {
    const status = Number(first.split(' ')[1]);
    this.stream.respond({ ':status': status === 101 ? 200 : status, ...withoutHop(fields) });
  }
}

// What ws sees of a CONNECT: the request that an HTTP/1.1 client would have made.
function asUpgrade(headers) {
  return {
    method: 'GET', url: headers[':path'], headers: {
      ...withoutHop(headers), host: headers[':authority'], upgrade: 'websocket', connection: 'Upgrade',
      'sec-websocket-key': crypto.randomBytes(16).toString('base64'),
    },
  };
}

module.exports = { ClientSocket, ServerSocket, asUpgrade };
