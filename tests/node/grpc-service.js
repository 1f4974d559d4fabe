// SPDX-License-Identifier: Apache-2.0
// The service that grpc-server.js gives and grpc-client.js asks. Messages are plain bytes.
const grpc = require('@grpc/grpc-js');

const bytes = { serialize: (b) => b, deserialize: (b) => b };

function method(name, requestStream, responseStream) {
  return {
    path: `/weir.Test/${name}`, requestStream, responseStream,
    requestSerialize: bytes.serialize, requestDeserialize: bytes.deserialize,
    responseSerialize: bytes.serialize, responseDeserialize: bytes.deserialize,
  };
}

const definition = {
  Echo: method('Echo', false, false), // the message back
  Size: method('Size', true, false), // how many messages and bytes came
  Count: method('Count', false, true), // as many messages as asked for, "GAP-MS COUNT SIZE"
  Chat: method('Chat', true, true), // each message back at once
  Fail: method('Fail', false, false), // "CODE TEXT", before any head
  FailLate: method('FailLate', false, true), // the same after a message
  Refuse: method('Refuse', true, false), // says no to the first message, whatever follows
  Wait: method('Wait', false, false), // answers never
  Cancelled: method('Cancelled', false, false), // how many calls of Wait and Count were cancelled
  Deadline: method('Deadline', false, false), // ms that the server thinks are left
};

const options = {
  'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 200, 'grpc.keepalive_timeout_ms': 2000,
  'grpc.keepalive_permit_without_calls': 1, 'grpc.enable_retries': 0,
};

module.exports = { definition, options, Client: grpc.makeGenericClientConstructor(definition, 'Test') };
