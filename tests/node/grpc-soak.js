// SPDX-License-Identifier: Apache-2.0
// A gRPC client for the soak test: node grpc-soak.js TARGET COUNT. Calls of all four kinds until its input ends, and one
// chat that lasts all the time. Prints a line "trouble BEGAN ENDED WHAT" (ms since the epoch) for each call that
// failed, and at the end "calls N messages N".
const grpc = require('@grpc/grpc-js');
const { Client, options } = require('./grpc-service.js');

const [, , target, count] = process.argv;
// No pings: once a GOAWAY has come, node sends none, which grpc-js takes for a dead connection and drops what is open.
const client = new Client(target, grpc.credentials.createInsecure(), { ...options,
  'grpc.default_authority': 'grpc.test', 'grpc.keepalive_time_ms': 3600000, 'grpc.enable_retries': 1 });
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });
let stopped = false;
let calls = 0;
let messages = 0;

function ended(call) {
  return new Promise((done) => {
    const got = [];
    call.on('data', (m) => got.push(m));
    call.on('error', () => {});
    call.on('status', (s) => setImmediate(() => done({ ...s, got })));
  });
}

function reply(name, send) {
  let message;
  const call = client[name](...send, (error, r) => { message = r; });
  return [call, ended(call).then((s) => ({ ...s, got: message ? [message] : [] }))];
}

const kinds = {
  async Echo(i) {
    const text = Buffer.alloc(i * 97 % 20000, `echo ${i} `);
    const s = await reply('Echo', [text])[1];
    return [s, s.got.length === 1 && text.equals(s.got[0])];
  },
  async Size(i) {
    const [call, end] = reply('Size', []);
    for (let n = 0; n < 10; n++) call.write(Buffer.alloc(i % 3000));
    call.end();
    const s = await end;
    return [s, String(s.got[0]) === `10 ${10 * (i % 3000)}`];
  },
  async Count() {
    const s = await ended(client.Count(Buffer.from('1 10 2000')));
    return [s, s.got.length === 10 && s.got.every((m) => m.length === 2000)];
  },
};

function trouble(began, what) {
  console.log(`trouble ${began} ${Date.now()} ${what}`);
}

async function calling(number) {
  for (let i = number; !stopped; i += 7) {
    const name = Object.keys(kinds)[i % 3];
    const began = Date.now();
    const [s, isRight] = await kinds[name](i);
    if (s.code !== 0) trouble(began, `${name}: ${s.code} ${s.details}`);
    else if (!isRight) trouble(began, `WRONG ${name}`);
    else calls += 1;
    await sleep(100);
  }
}

async function chat() {
  const call = client.Chat();
  let over = null;
  let back = null;
  call.on('data', (m) => back(m));
  call.on('error', () => {});
  const status = new Promise((done) => { call.on('status', (s) => { over = s; done(s); }); });
  for (let i = 0; !stopped && !over; i++) {
    const began = Date.now();
    const answer = new Promise((done) => { back = done; });
    call.write(Buffer.from(`turn ${i}`));
    const got = await Promise.race([answer, status]);
    if (over) trouble(began, `Chat: ${over.code} ${over.details}`);
    else if (String(got) !== `turn ${i}`) trouble(began, 'WRONG Chat');
    else messages += 1;
    await sleep(100);
  }
  call.end();
  await status;
}

async function chatting() {
  while (!stopped) await chat();
}

process.stdin.on('end', () => { stopped = true; }).resume();
Promise.all([chatting(), chatting(), ...Array.from({ length: Number(count) }, (_, i) => calling(i))]).then(() => {
  console.log(`calls ${calls} messages ${messages}`);
  process.exit(0);
});
