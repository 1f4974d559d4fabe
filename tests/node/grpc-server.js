// SPDX-License-Identifier: Apache-2.0
// A gRPC server for the integration tests: node grpc-server.js PORT [CERT KEY]
const fs = require('node:fs');
const grpc = require('@grpc/grpc-js');
const { definition, options } = require('./grpc-service.js');

let cancelled = 0;

// What the client said comes back in the head and in the trailers.
function mirror(call) {
  const back = new grpc.Metadata();
  for (const key of ['x-text', 'x-any-bin']) call.metadata.get(key).forEach((v) => back.add(key, v));
  call.sendMetadata(back);
  return back;
}

function fails(message) {
  const [code, ...text] = String(message).split(' ');
  const metadata = new grpc.Metadata();
  metadata.set('x-why-bin', Buffer.from([0, 255]));
  return { code: Number(code), details: text.join(' '), metadata };
}

function count(call) {
  const [gap, times, size] = String(call.request).split(' ').map(Number);
  const message = Buffer.alloc(size, 7);
  let sent = 0;
  const timer = setInterval(() => {
    if (sent++ < times) return call.write(message);
    clearInterval(timer);
    return call.end();
  }, gap);
  call.on('cancelled', () => { clearInterval(timer); cancelled++; });
}

const implementation = {
  Echo: (call, done) => { const back = mirror(call); done(null, call.request, back); },
  Size: (call, done) => {
    let messages = 0, size = 0;
    call.on('data', (m) => { messages++; size += m.length; });
    call.on('end', () => done(null, Buffer.from(`${messages} ${size}`)));
  },
  Count: count,
  Chat: (call) => {
    mirror(call);
    call.on('data', (m) => call.write(m));
    call.on('end', () => call.end());
  },
  Fail: (call, done) => done(fails(call.request)),
  FailLate: (call) => { call.write(call.request); call.emit('error', fails(call.request)); },
  Refuse: (call, done) => { call.once('data', () => done({ code: 7, details: 'no more' })); },
  Wait: (call) => call.on('cancelled', () => { cancelled++; }),
  Cancelled: (call, done) => done(null, Buffer.from(String(cancelled))),
  Deadline: (call, done) => done(null, Buffer.from(String(call.getDeadline() - Date.now()))),
};

const [, , port, cert, key] = process.argv;
const credentials = cert
  ? grpc.ServerCredentials.createSsl(null, [
    { cert_chain: fs.readFileSync(cert), private_key: fs.readFileSync(key) }])
  : grpc.ServerCredentials.createInsecure();
const server = new grpc.Server(options);
server.addService(definition, implementation);
server.bindAsync(`127.0.0.1:${port}`, credentials, (e) => { if (e) throw e; });
