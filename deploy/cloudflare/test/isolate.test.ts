// One instance of the policy for all requests of an isolate.

import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';

import { backend, steady } from './support/backend.ts';
import { get } from './support/client.ts';
import { alive } from './support/inspector.ts';
import { logged, start, type Worker } from './support/workerd.ts';

const FAULTY = join(import.meta.dirname, '../dist-faulty');
/** What may be in the heap after 20,000 requests that was not there before them, in bytes. */
const BOUND = 128 << 10;
const CLIENT = { CLIENT_IP_HEADER: 'cf-connecting-ip' };

for (const [target, status] of [['/trap-begin', 502], ['/trap-settle', 200]] as const) {
  test(`a trap costs nobody else anything, and nothing that was known: ${target}`, async () => {
    await using slow = await backend(response => setTimeout(() => response.end('slow'), 400));
    await using gone = await steady('gone');
    await gone.stop();
    const variables = { BACKEND_SLOW: slow.url, BACKEND_GONE: gone.url, ...CLIENT };
    await using worker = await start(variables, { bundle: FAULTY });

    // Enough clients that some are sent to each backend: one of them is ejected.
    const clients = Array.from({ length: 20 }, (_, it) => ({ 'cf-connecting-ip': `192.0.2.${it}` }));
    await Promise.all(clients.map(from => get(worker, '/', from)));
    assert.equal(worker.log().match(/"event":"ejected"/g)?.length, 1);

    const others = clients.map(from => get(worker, '/', from));
    assert.equal((await get(worker, target)).status, status);
    const statuses = (await Promise.all(others)).map(it => it.status);
    assert.deepEqual(statuses, clients.map(() => 200));
    await logged(worker, /the policy trapped/);

    // The instance that took the place knows of the ejection.
    const after = await Promise.all(clients.map(from => get(worker, '/', from)));
    assert.ok(after.every(it => it.status === 200));
    assert.equal(worker.log().match(/"event":"ejected"/g)?.length, 1, worker.log());
  });
}

test('a faulty configuration is answered 500, and told in the log once and whole', async () => {
  const secret = 'too-short';
  await using worker = await start({
    BACKEND_A: 'ftp://a.example.com',
    MAX_RETRIES: 'many',
    SESSION_COOKIE_SECRET: secret,
  });
  for (let tries = 0; tries < 3; tries += 1) {
    const { status, text } = await get(worker, '/');
    assert.equal(status, 500);
    assert.ok(text.length < 100);
    assert.doesNotMatch(text, /ftp|many|BACKEND|too-short/);
  }
  await logged(worker, /the configuration is faulty/);
  for (const fault of [/BACKEND_A: `ftp:/g, /MAX_RETRIES: `many`/g, /SESSION_COOKIE_SECRET: /g]) {
    assert.equal(worker.log().match(fault)?.length, 1, `${fault} in ${worker.log()}`);
  }
  assert.ok(!worker.log().includes(secret));
});

test('nothing is configured', async () => {
  await using worker = await start({});
  assert.equal((await get(worker, '/')).status, 500);
  await logged(worker, /BACKEND_<NAME>: none is set/);
});

test('requests are logged without what they keep secret, or not at all', async () => {
  await using a = await steady('a');
  const target = '/stremio/0b9c1d52-6f1a-4a0e-9d0a-0123456789ab/hunter2/manifest.json?token=hush';
  {
    await using worker = await start({ BACKEND_A: a.url });
    await get(worker, target);
    await logged(worker, /"target":"\/stremio\/\*\/\*\/manifest.json\?token=\*","status":200,"backend":"A","attempts":1/);
    assert.doesNotMatch(worker.log(), /hush|0b9c1d52/);
  }
  await using silent = await start({ BACKEND_A: a.url, EDGELB_LOG: 'off' });
  await get(silent, target);
  assert.equal(silent.log(), '');
});

test('20,000 requests leave nothing behind', async () => {
  await using a = await backend(response => response.setHeader('set-cookie', 'a=1').end('a'));
  await using b = await steady('b');
  const variables = { BACKEND_A: a.url, BACKEND_B: b.url, EDGELB_LOG: 'off', ...CLIENT };
  await using worker = await start(variables, { inspector: true });
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  await many(worker, agent, 5_000);
  const before = await alive(worker);
  await many(worker, agent, 20_000);
  const grown = (await alive(worker, before + BOUND)) - before;
  agent.destroy();
  assert.ok(grown <= BOUND, `grew by ${grown} bytes`);
});

/** So many requests of different clients, 32 at a time. */
async function many({ port }: Worker, agent: Agent, count: number): Promise<void> {
  let begun = 0;
  const one = (client: number) =>
    new Promise<void>((resolve, reject) => {
      const headers = { 'cf-connecting-ip': `192.0.2.${client % 250}` };
      request({ host: '127.0.0.1', port, agent, headers, path: `/${client}` }, response => {
        assert.equal(response.statusCode, 200);
        response.resume().on('end', resolve);
      }).on('error', reject).end();
    });
  const lane = async () => {
    while (begun < count) {
      begun += 1;
      await one(begun);
    }
  };
  await Promise.all(Array.from({ length: 32 }, lane));
}
