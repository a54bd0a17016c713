// What the policy decides shows outside.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { backend, steady } from './support/backend.ts';
import { get, raw } from './support/client.ts';
import { start } from './support/workerd.ts';

const CLIENT = { CLIENT_IP_HEADER: 'cf-connecting-ip' };

/** The cookie pair of the balancer, if the response sets it. */
function session(response: Response): string | undefined {
  return response.headers.getSetCookie().find(it => it.startsWith('edgelb='))?.split(';')[0];
}

/** An address of a client, different for each number. */
function from(client: number): Record<string, string> {
  return { 'cf-connecting-ip': `192.0.2.${client}` };
}

test('a session holds its client, wherever it comes from', async () => {
  await using a = await steady('a');
  await using b = await steady('b');
  await using worker = await start({ BACKEND_A: a.url, BACKEND_B: b.url, ...CLIENT });

  const seen = new Set<string>();
  for (let client = 0; client < 16; client += 1) {
    const first = await get(worker, '/', from(client));
    const cookie = session(first);
    assert.ok(cookie);
    seen.add(first.text);
    for (let elsewhere = 100; elsewhere < 104; elsewhere += 1) {
      const again = await get(worker, '/', { ...from(elsewhere), cookie });
      assert.equal(again.text, first.text);
      assert.equal(session(again), undefined);
    }
  }
  assert.deepEqual(seen, new Set(['a', 'b']));
});

test('without a session, clients are told apart by the address that the platform names', async () => {
  await using a = await steady('a');
  await using b = await steady('b');
  const variables = { BACKEND_A: a.url, BACKEND_B: b.url, STICKY_SESSIONS: 'false', ...CLIENT };
  await using worker = await start(variables);

  const first = await Promise.all(Array.from({ length: 32 }, (_, it) => get(worker, '/', from(it))));
  const again = await Promise.all(Array.from({ length: 32 }, (_, it) => get(worker, '/', from(it))));
  assert.deepEqual(first.map(it => it.text), again.map(it => it.text));
  assert.equal(new Set(first.map(it => it.text)).size, 2);
  assert.equal(a.received.find(it => it.headers['x-forwarded-for'] === '192.0.2.1') !== undefined
    || b.received.find(it => it.headers['x-forwarded-for'] === '192.0.2.1') !== undefined, true);
});

test('the session is appended to the cookies that the backend sets', async () => {
  await using a = await backend(response =>
    response.setHeader('set-cookie', ['a=1; Path=/', 'b=2, 3']).end(),
  );
  await using worker = await start({ BACKEND_A: a.url });
  const { headers } = await get(worker, '/');
  const [first, second, ours, ...more] = headers.getSetCookie();
  assert.deepEqual([first, second, more], ['a=1; Path=/', 'b=2, 3', []]);
  assert.match(ours ?? '', /^edgelb=\S+; Path=\/; .*HttpOnly/);
  assert.equal(headers.get('cache-control'), 'private');
});

test('what cannot be reached is passed over, and then left alone', async () => {
  await using good = await steady('good');
  await using gone = await steady('gone');
  await using worker = await start({ BACKEND_GONE: gone.url, BACKEND_GOOD: good.url, ...CLIENT });
  await gone.stop();
  for (let client = 0; client < 16; client += 1) {
    const response = await get(worker, '/', from(client));
    assert.deepEqual([response.status, response.text], [200, 'good']);
  }
  const attempts = worker.log().match(/"attempts":2/g) ?? [];
  assert.equal(attempts.length, 1, worker.log());
  assert.match(worker.log(), /"event":"ejected","backend":"GONE"/);
});

test('a PUT that was answered 503 goes to another backend with its body, a POST does not', async () => {
  await using ill = await backend(response => response.writeHead(503).end('ill'));
  await using well = await backend((response, { body }) => response.end(body));
  for (const [method, length, status] of [
    ['PUT', 20_000, 200],
    ['PUT', 200_000, 503],
    ['POST', 20_000, 503],
    ['DELETE', 0, 200],
  ] as const) {
    await using worker = await start({ BACKEND_A: ill.url, BACKEND_B: well.url, ...CLIENT });
    const body = Buffer.alloc(length, 'x');
    let worst = 200;
    for (let client = 0; client < 12; client += 1) {
      const init = { method, headers: from(client), ...(length > 0 ? { body } : {}) };
      const response = await fetch(worker.url, init);
      const bytes = await response.bytes();
      worst = Math.max(worst, response.status);
      assert.ok(response.status !== 200 || body.equals(bytes));
    }
    assert.equal(worst, status, `${method} of ${length} bytes`);
  }
});

test('ejection is shared by all requests under way', async () => {
  const slow = (name: string) => backend(response => setTimeout(() => response.end(name), 300));
  await using a = await slow('a');
  await using b = await slow('b');
  await using ill = await backend(response => setTimeout(() => response.writeHead(500).end(), 50));
  await using worker = await start({
    BACKEND_A: a.url,
    BACKEND_B: b.url,
    BACKEND_ILL: ill.url,
    FAILURE_THRESHOLD: '5',
    ...CLIENT,
  });

  const hundred = () =>
    Promise.all(Array.from({ length: 100 }, (_, client) => get(worker, '/', from(client))));
  const first = await hundred();
  assert.ok(first.every(it => it.status === 200));
  const failures = ill.received.length;
  assert.ok(failures >= 5, `${failures} failures`);
  assert.equal(worker.log().match(/"event":"ejected","backend":"ILL"/g)?.length, 1);

  // Every one of a hundred at once knows.
  const second = await hundred();
  assert.ok(second.every(it => it.status === 200));
  assert.equal(ill.received.length, failures);
});

test('after an ejection one request at a time is the trial', async () => {
  let well = false;
  await using a = await steady('a');
  await using b = await backend(response =>
    setTimeout(() => response.writeHead(well ? 200 : 500).end('b'), 100),
  );
  await using worker = await start({
    BACKEND_A: a.url,
    BACKEND_B: b.url,
    BACKEND_DOWN_TIME: '400',
    STICKY_SESSIONS: 'false',
    ...CLIENT,
  });
  const all = () =>
    Promise.all(Array.from({ length: 32 }, (_, client) => get(worker, '/', from(client))));
  await all();
  const before = b.received.length;
  well = true;
  const until = JSON.parse(/\{"event":"ejected".*\}/.exec(worker.log())?.[0] ?? '{}').until;
  await new Promise(resolve => setTimeout(resolve, Date.parse(until) - Date.now() + 20));
  await all();
  assert.equal(b.received.length, before + 1);
  const third = await all();
  assert.ok(third.some(it => it.text === 'b'));
});

test('responses pass as they are: redirects, encodings, ranges, nothing at all', async () => {
  const packed = gzipSync('packed');
  await using a = await backend((response, { url, method }) => {
    switch (url) {
      case '/moved':
        return response.writeHead(302, { location: 'http://elsewhere.example/' }).end();
      case '/gzip':
        return response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed);
      case '/range':
        return response.writeHead(206, { 'content-range': 'bytes 0-1/2' }).end('ab');
      case '/204':
        return response.writeHead(204).end();
      case '/304':
        return response.writeHead(304, { etag: '"x"' }).end();
      case '/head':
        return response.writeHead(200, { 'content-length': '5' }).end(method === 'HEAD' ? '' : '12345');
      default:
        return response.writeHead(418, 'Short and stout', { 'x-a': 'é' }).end();
    }
  });
  await using worker = await start({ BACKEND_A: a.url });

  const moved = await raw(worker, 'GET', '/moved');
  assert.deepEqual([moved.status, moved.headers['location']], [302, 'http://elsewhere.example/']);
  const gzip = await raw(worker, 'GET', '/gzip', { 'accept-encoding': 'gzip' });
  assert.equal(gzip.headers['content-encoding'], 'gzip');
  assert.deepEqual(gzip.body, packed);
  const range = await raw(worker, 'GET', '/range', { range: 'bytes=0-1' });
  assert.deepEqual([range.status, range.headers['content-range'], String(range.body)], [206, 'bytes 0-1/2', 'ab']);
  assert.equal((await raw(worker, 'GET', '/204')).status, 204);
  const unmodified = await raw(worker, 'GET', '/304');
  assert.deepEqual([unmodified.status, unmodified.headers['etag']], [304, '"x"']);
  const head = await raw(worker, 'HEAD', '/head');
  assert.deepEqual([head.headers['content-length'], head.body.length], ['5', 0]);
  const teapot = await raw(worker, 'GET', '/');
  assert.deepEqual([teapot.status, teapot.statusText], [418, 'Short and stout']);
});

test('the target passes byte for byte, hop-by-hop fields do not', async () => {
  await using a = await steady('a');
  await using worker = await start({ BACKEND_A: a.url, ...CLIENT });
  const target = '//x/%7e%2F/?q=%20&a=[1]%C3%A9&&=';
  await raw(worker, 'GET', target, {
    connection: 'close, x-named',
    'x-named': '1',
    'x-kept': 'a, b',
    'x-forwarded-for': '203.0.113.66',
    te: 'gzip',
    ...from(1),
  });
  const received = a.received.at(-1);
  assert.equal(received?.url, target);
  assert.equal(received?.headers['x-named'], undefined);
  assert.equal(received?.headers['x-kept'], 'a, b');
  assert.equal(received?.headers['x-forwarded-for'], '192.0.2.1');
  assert.equal(received?.headers['x-forwarded-host'], `127.0.0.1:${worker.port}`);
  assert.equal(received?.headers['cf-connecting-ip'], undefined);
  assert.equal(received?.headers['cdn-loop'], 'edgelb');
});

test('a backend that never answers is given up for another', async () => {
  await using silent = await backend(() => {});
  await using good = await steady('good');
  await using worker = await start({
    BACKEND_A: silent.url,
    BACKEND_B: good.url,
    CONNECT_TIMEOUT: '100',
    FIRST_BYTE_TIMEOUT: '200',
    ...CLIENT,
  });
  for (let client = 0; client < 8; client += 1) {
    assert.equal((await get(worker, '/', from(client))).text, 'good');
  }
  assert.equal(silent.received.length, 1);
});
