// WebSocket tunnels: an exchange up to the 101, then bytes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo } from 'node:net';
import { test } from 'node:test';

import { WebSocket, WebSocketServer } from 'ws';

import { backend } from './support/backend.ts';
import { start, type Worker } from './support/workerd.ts';

interface Echo extends AsyncDisposable {
  readonly url: string;
  readonly server: WebSocketServer;
}

/** Sends back what it gets, and closes with the code it is told. */
async function echo(): Promise<Echo> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: protocols => protocols.has('b') && 'b',
  });
  await once(server, 'listening');
  server.on('connection', socket =>
    socket.on('message', (data, binary) => {
      const close = binary ? null : /^close (\d+) (.*)$/.exec(String(data));
      if (close) {
        socket.close(Number(close[1]), close[2]);
      } else {
        socket.send(data, { binary });
      }
    }),
  );
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    async [Symbol.asyncDispose]() {
      server.clients.forEach(client => client.terminate());
      server.close();
    },
  };
}

async function connect({ port }: Worker, target = '/', protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${target}`, protocols);
  await once(socket, 'open', { signal: AbortSignal.timeout(10_000) });
  return socket;
}

test('messages of 1 MiB come back as they were', async () => {
  await using a = await echo();
  await using worker = await start({ BACKEND_A: a.url });
  const socket = await connect(worker);
  const binary = Buffer.alloc(1 << 20, 'edgelb');
  const text = 'é'.repeat(1 << 19);
  for (const [sent, isBinary] of [[binary, true], [text, false]] as const) {
    for (let round = 0; round < 4; round += 1) {
      socket.send(sent);
      const [message, was] = await once(socket, 'message', { signal: AbortSignal.timeout(10_000) });
      assert.equal(was, isBinary);
      assert.ok(Buffer.from(sent as string).equals(message));
    }
  }
  socket.terminate();
});

test('close codes pass both ways, and the protocol chosen', async () => {
  await using a = await echo();
  await using worker = await start({ BACKEND_A: a.url });

  const first = await connect(worker, '/', ['a', 'b']);
  assert.equal(first.protocol, 'b');
  first.send('close 4001 enough');
  const [code, reason] = await once(first, 'close');
  assert.deepEqual([code, String(reason)], [4001, 'enough']);

  const second = await connect(worker);
  const [server] = a.server.clients;
  assert.ok(server);
  second.close(4002, 'bye');
  const [there, why] = await once(server, 'close');
  assert.deepEqual([there, String(why)], [4002, 'bye']);
});

test('50 tunnels at once', async () => {
  await using a = await echo();
  await using worker = await start({ BACKEND_A: a.url });
  const sockets = await Promise.all(Array.from({ length: 50 }, () => connect(worker)));
  const echoes = sockets.map(socket => once(socket, 'message'));
  sockets.forEach((socket, index) => socket.send(`${index}`));
  const texts = (await Promise.all(echoes)).map(([message]) => String(message));
  assert.deepEqual(texts, sockets.map((_, index) => `${index}`));
  sockets.forEach(socket => socket.terminate());
});

test('a handshake that fails goes to another backend', async () => {
  await using a = await echo();
  await using ill = await backend(response => response.writeHead(503).end());
  await using worker = await start({ BACKEND_A: a.url, BACKEND_ILL: ill.url, AFFINITY_KEY: 'none' });
  for (let tries = 0; tries < 8; tries += 1) {
    const socket = await connect(worker);
    socket.send('x');
    await once(socket, 'message');
    socket.terminate();
  }
  assert.doesNotMatch(worker.log(), /exchange failed/);
});

test('a handshake refused is answered as the backend answers it', async () => {
  await using a = await backend(response => response.writeHead(403).end('no'));
  await using worker = await start({ BACKEND_A: a.url });
  const socket = new WebSocket(`ws://127.0.0.1:${worker.port}/`);
  const [, response] = await once(socket, 'unexpected-response');
  assert.equal(response.statusCode, 403);
  response.resume();
  socket.on('error', () => {});
  socket.terminate();
});
