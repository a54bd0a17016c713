// What is uploaded: small, and quick to start.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { size } from '../scripts/size.ts';
import { DIST } from '../scripts/workerd.ts';
import { get } from './support/client.ts';
import { start } from './support/workerd.ts';

test('an upload has at most 80 KiB gzip, 12 of them JavaScript', async () => {
  const { gzip } = await size(DIST);
  assert.ok(gzip <= 80 << 10, `${gzip} bytes`);
  const { length } = gzipSync(await readFile(join(DIST, 'worker.js')), { level: 9 });
  assert.ok(length <= 12 << 10, `${length} bytes`);
});

test('the first response of an isolate, which waits for the policy, is there within 50 ms', async () => {
  let best = Infinity;
  for (let tries = 0; tries < 5; tries += 1) {
    await using worker = await start({ BACKEND_A: 'http://127.0.0.1:9' });
    const begun = performance.now();
    await get(worker, '/.well-known/edgelb/health');
    best = Math.min(best, performance.now() - begun);
  }
  assert.ok(best < 50, `${best} ms`);
});
