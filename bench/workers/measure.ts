// CPU per request of edgelb and of the yardstick on workerd, in alternating
// rounds of the same load; needs wrk. The figure is the processor time of
// workerd, user and system, over the requests it answered.
//
//   node bench/workers/measure.ts [ROUNDS] [SECONDS] [NAME=DIRECTORY...]
//
// Beside `deploy/cloudflare/dist`, bundles in other directories can take part.

import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker as Thread, isMainThread } from 'node:worker_threads';

import { start, type Worker } from '../../deploy/cloudflare/test/support/workerd.ts';

const run = promisify(execFile);

const [rounds = '5', seconds = '4', ...others] = process.argv.slice(2);

/** Clock ticks a second in /proc/PID/stat, on every Linux there is. */
const TICKS = 100;
