// SPDX-License-Identifier: Apache-2.0
// A gRPC client for the integration tests: node grpc-client.js TARGET CA|- CASE...
// Each case prints "ok CASE"; `see` and `see_stream` print first how their call ended, as JSON.
const assert = require('node:assert');
const fs = require('node:fs');
const grpc = require('@grpc/grpc-js');
const { Client, options } = require('./grpc-service.js');

const [, , target, ca, ...cases] = process.argv;
const credentials = ca === '-' ? grpc.credentials.createInsecure()
  : grpc.credentials.createSsl(fs.readFileSync(ca));
const client = new Client(target, credentials, { ...options,
  'grpc.default_authority': 'a.test', ...(ca === '-' ? {} : { 'grpc.ssl_target_name_override': 'a.test' }) });
const { status } = grpc;
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });
const within = (ms) => ({ deadline: Date.now() + ms });

function unary(name, message, metadata = new grpc.Metadata(), opts = {}) {
  return new Promise((done) => {
    const got = {};
    const call = client[name](Buffer.from(message), metadata, opts, (error, reply) => {
      Object.assign(got, { error, reply });
    });
    got.call = call;
    call.on('metadata', (m) => { got.head = m; });
    call.on('status', (s) => { got.status = s; setImmediate(() => done(got)); });
  });
}

function stream(call) {
  return new Promise((done) => {
    const got = { messages: [] };
    call.on('data', (m) => got.messages.push(m));
    call.on('error', () => {});
    call.on('status', (s) => { got.status = s; setImmediate(() => done(got)); });
  });
}

async function cancelledCalls(at_least) {
  for (let i = 0; i < 100; i++) {
    const n = Number((await unary('Cancelled', '')).reply);
    if (n >= at_least) return n;
    await sleep(20);
  }
  throw new Error('the server was not told');
}

const all = {
  async unary() {
    assert.equal(String((await unary('Echo', 'hello')).reply), 'hello');
    assert.equal((await unary('Echo', '')).reply.length, 0);
    const many = await Promise.all(Array.from({ length: 200 }, (_, i) => unary('Echo', `m${i}`)));
    many.forEach((m, i) => assert.equal(String(m.reply), `m${i}`));
  },
  async upload() {
    let reply;
    const call = client.Size((error, r) => { assert.ifError(error); reply = r; });
    for (let i = 0; i < 300; i++) call.write(Buffer.alloc(i * 100));
    call.end();
    assert.equal((await new Promise((done) => { call.on('status', done); })).code, status.OK);
    await sleep(0);
    assert.equal(String(reply), `300 ${299 * 300 / 2 * 100}`);
  },
  async download() {
    const got = await stream(client.Count(Buffer.from('1 200 5000')));
    assert.equal(got.status.code, status.OK);
    assert.equal(got.messages.length, 200);
    assert.ok(got.messages.every((m) => m.length === 5000));
  },
  // Each message is answered before the next is sent: nothing on the way may hold one back.
  async chat() {
    const call = client.Chat();
    for (let i = 0; i < 50; i++) {
      const back = new Promise((done) => { call.once('data', done); });
      call.write(Buffer.from(`turn ${i}`));
      assert.equal(String(await back), `turn ${i}`);
    }
    const end = new Promise((done) => { call.on('status', done); });
    call.on('data', assert.fail);
    call.end();
    assert.equal((await end).code, status.OK);
  },
  async metadata() {
    const sent = new grpc.Metadata();
    const any = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    sent.add('x-text', 'one');
    sent.add('x-text', 'two, with a comma');
    sent.add('x-any-bin', any);
    sent.add('x-any-bin', Buffer.alloc(0));
    const got = await unary('Echo', 'm', sent);
    for (const m of [got.head, got.status.metadata]) {
      assert.equal(m.get('x-text').join(', '), 'one, two, with a comma'); // node joins lines
      assert.ok(any.equals(m.get('x-any-bin')[0]), 'all bytes');
    }
  },
  // Statuses alone in the head, and after messages.
  async errors() {
    for (const code of [1, 3, 5, 8, 13, 14, 16]) {
      const got = await unary('Fail', `${code} über 100% \n fail`);
      assert.equal(got.status.code, code);
      assert.equal(got.status.details, 'über 100% \n fail');
      assert.deepEqual([...got.status.metadata.get('x-why-bin')[0]], [0, 255]);
    }
    const late = await stream(client.FailLate(Buffer.from('9 late')));
    assert.equal(late.messages.length, 1);
    assert.equal(late.status.code, status.FAILED_PRECONDITION);
    assert.equal(late.status.details, 'late');
  },
  // The server has said all while the client still sends.
  async early() {
    for (const size of [10, 500000]) {
      let failed;
      const call = client.Refuse((error) => { failed = error; });
      const timer = setInterval(() => call.write(Buffer.alloc(size)), 1);
      const got = await new Promise((done) => { call.on('status', done); });
      clearInterval(timer);
      await sleep(0);
      assert.equal(got.code, status.PERMISSION_DENIED, got.details);
      assert.equal(failed.details, 'no more');
    }
  },
  async cancel() {
    const before = Number((await unary('Cancelled', '')).reply);
    const waiting = client.Wait(Buffer.from(''), () => {});
    const flowing = client.Count(Buffer.from('5 100000 100'));
    const ends = [stream(waiting), stream(flowing)];
    await new Promise((done) => { flowing.once('data', done); });
    await sleep(50);
    waiting.cancel();
    flowing.cancel();
    for (const end of ends) assert.equal((await end).status.code, status.CANCELLED);
    await cancelledCalls(before + 2);
  },
  async deadline() {
    const before = Number((await unary('Cancelled', '')).reply);
    const got = await unary('Wait', '', undefined, within(300));
    assert.equal(got.status.code, status.DEADLINE_EXCEEDED);
    await cancelledCalls(before + 1);
    const left = Number((await unary('Deadline', '', undefined, within(60000))).reply);
    assert.ok(left > 55000 && left <= 60000, `${left} ms`);
  },
  async large() {
    const message = Buffer.alloc(100 << 20);
    for (let i = 0; i < message.length; i += 4093) message[i] = i & 255;
    const got = await unary('Echo', message);
    assert.equal(got.status.code, status.OK, got.status.details);
    assert.ok(message.equals(got.reply));
  },
  // Pings go on both sides, in calls and without.
  async pings() {
    const got = await stream(client.Count(Buffer.from('700 3 10')));
    assert.equal(got.status.code, status.OK, got.status.details);
    await sleep(1500);
    assert.equal(String((await unary('Echo', 'still')).reply), 'still');
  },
  async see() { // "see": what one call of Wait ends with
    const got = await unary('Wait', '', undefined, within(10000));
    console.log(JSON.stringify({ code: got.status.code, details: got.status.details }));
  },
  async see_stream() {
    const got = await stream(client.Count(Buffer.from('1 1 1'), within(10000)));
    console.log(JSON.stringify({ code: got.status.code, messages: got.messages.length }));
  },
};

(async () => {
  for (const name of cases) {
    await all[name]();
    console.log(`ok ${name}`);
  }
  client.close();
})().catch((e) => { console.error(e); process.exit(1); });
setTimeout(() => { console.error('too slow'); process.exit(1); }, 50000).unref();
