// Bodies stream, whole or not at all, and cost little memory.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';

import { backend, listen, steady } from './support/backend.ts';
import { get } from './support/client.ts';
import { logged, start, type Worker } from './support/workerd.ts';

const MIB = 1 << 20;

/** So many bytes that repeat nowhere near a chunk's length, and their hash. */
function content(length: number): { stream: () => Readable; sha256: string } {
  const block = Buffer.alloc(999_983);
  for (let index = 0; index < block.length; index += 1) {
    block[index] = (index * 2_654_435_761) >>> 24;
  }
  function* blocks() {
    for (let left = length; left > 0; left -= block.length) {
      yield left < block.length ? block.subarray(0, left) : block;
    }
  }
  const hash = createHash('sha256');
  for (const it of blocks()) {
    hash.update(it);
  }
  return { stream: () => Readable.from(blocks()), sha256: hash.digest('hex') };
}

/** Resident memory in bytes. */
async function resident({ pid }: Worker): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]) * 1024;
}

for (const framing of ['a known length', 'no known length']) {
  test(`100 MB each way of ${framing}`, async () => {
    const length = 100 * MIB;
    const { stream, sha256 } = content(length);
    await using a = await listen(async (incoming, outgoing) => {
      if (incoming.method === 'GET') {
        if (framing === 'a known length') {
          outgoing.setHeader('content-length', length);
        }
        return pipeline(stream(), outgoing);
      }
      const hash = createHash('sha256');
      await pipeline(incoming, hash);
      outgoing.setHeader('x-length', String(incoming.headers['content-length']));
      outgoing.end(hash.digest('hex'));
    });
    await using worker = await start({ BACKEND_A: a.url });
    await get(worker, '/.well-known/edgelb/health');

    const before = await resident(worker);
    const down = createHash('sha256');
    const download = await fetch(worker.url);
    await pipeline(Readable.fromWeb(download.body as never), down);
    assert.equal(down.digest('hex'), sha256);

    const headers = framing === 'a known length' ? { 'content-length': length } : {};
    const upload = request(worker.url, { method: 'POST', headers });
    const [[response]] = await Promise.all([
      once(upload, 'response') as Promise<[IncomingMessage]>,
      pipeline(stream(), upload),
    ]);
    assert.equal(response.headers['x-length'], String(framing === 'a known length' ? length : undefined));
    assert.equal(Buffer.concat(await response.toArray()).toString(), sha256);

    const grown = (await resident(worker)) - before;
    assert.ok(grown < 32 * MIB, `grew by ${grown} bytes`);
  });
}

test('server-sent events arrive as they are sent', async () => {
  const events = new EventEmitter();
  await using a = await listen(async (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let event = 0; event < 5; event += 1) {
      response.write(`data: ${event}\n\n`);
      // The next one waits until the client has this one.
      await once(events, 'seen');
    }
    response.end();
  });
  await using worker = await start({ BACKEND_A: a.url });
  const response = await fetch(worker.url);
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk);
    events.emit('seen');
  }
  assert.equal(text, [0, 1, 2, 3, 4].map(it => `data: ${it}\n\n`).join(''));
});

test('an upload is not waited for: the backend answers while it is under way', async () => {
  await using a = await listen((incoming, response) => {
    response.writeHead(200);
    incoming.pipe(response);
  });
  await using worker = await start({ BACKEND_A: a.url });
  const sent = request(worker.url, { method: 'POST' });
  sent.write('first');
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const [first] = await once(response, 'data');
  assert.equal(String(first), 'first');
  sent.end('second');
  const rest = await response.toArray();
  assert.equal(Buffer.concat(rest).toString(), 'second');
});

test('a client that goes away ends the request to the backend, and no one is blamed', async () => {
  const events = new EventEmitter();
  await using a = await listen((incoming, response) => {
    if (incoming.url === '/body') {
      response.writeHead(200);
      const writing = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(writing));
    }
    response.on('close', () => events.emit('ended'));
    events.emit('begun');
  });
  await using worker = await start({ BACKEND_A: a.url });
  for (const target of ['/head', '/body']) {
    const begun = once(events, 'begun');
    const ended = once(events, 'ended', { signal: AbortSignal.timeout(5_000) });
    const sent = request(worker.url + target).end();
    sent.on('error', () => {});
    await begun;
    if (target === '/body') {
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      response.on('error', () => {});
      await once(response, 'data');
    }
    // To the runtime an orderly end is a half-closed connection, until it writes to it.
    sent.socket?.resetAndDestroy();
    await ended;
  }
  await logged(worker, /"target":"\/head","status":499/);
  assert.doesNotMatch(worker.log(), /ejected|failed/);
});

test('a body that breaks off counts against its backend', async () => {
  await using broken = await listen((_, response) => {
    response.writeHead(200);
    response.write('some of it');
    setTimeout(() => response.destroy(), 50);
  });
  await using worker = await start({ BACKEND_BROKEN: broken.url });
  await assert.rejects(get(worker, '/'));
  await logged(worker, /"event":"ejected","backend":"BROKEN"/);
});

test('a body that falls silent is cut off', async () => {
  await using silent = await listen((_, response) => {
    response.writeHead(200);
    response.write('some of it');
  });
  await using worker = await start({ BACKEND_SILENT: silent.url, IDLE_TIMEOUT: '200' });
  await assert.rejects(get(worker, '/'));
  await logged(worker, /"event":"ejected","backend":"SILENT"/);
});

test('a request body that was not read to its end is sent again from its first byte', async () => {
  await using gone = await steady('gone');
  await using good = await backend((response, { body }) => response.end(body));
  await gone.stop();
  const { stream } = content(3 * MIB);
  const body = Buffer.concat(await stream().toArray());
  for (const length of [1, 60_000]) {
    await using worker = await start({ BACKEND_A: gone.url, BACKEND_B: good.url, AFFINITY_KEY: 'none' });
    for (let tries = 0; tries < 8; tries += 1) {
      const part = body.subarray(0, length);
      const response = await fetch(worker.url, { method: 'PUT', body: part });
      assert.equal(response.status, 200);
      assert.deepEqual(Buffer.from(await response.bytes()), part);
    }
  }
});
