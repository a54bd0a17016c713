// edgelb on workerd beside the same job in plain JavaScript: the size of the upload, the
// time to the first response, and processor time a request. Needs Linux, nginx and wrk.
//
//   npm --prefix deploy/cloudflare run bench -- [--rounds N] [--seconds N] [NAME=DIRECTORY...]
//
// A bundle beside `deploy/cloudflare/dist` takes part as NAME=DIRECTORY. Ends with 1 where
// edgelb takes more than LIMIT times the processor time, in the median round or in the mean.

import { type ChildProcess, execFile } from 'node:child_process';
import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';

import { size } from '../../deploy/cloudflare/scripts/size.ts';
import { DIST, kill, serve } from '../../deploy/cloudflare/scripts/workerd.ts';
import { nginx } from './nginx.ts';

/** Processor time of edgelb, of that of plain JavaScript. */
const LIMIT = 1.2;

/** Fresh processes of which the first response is timed. */
const STARTS = 15;

/** What a browser's requests carry, its address as Cloudflare adds it. */
const FIELDS = {
  'cf-connecting-ip': '203.0.113.7',
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'accept-language': 'en-GB,en;q=0.5',
  'accept-encoding': 'gzip, deflate, br',
};
const TARGET = '/stream/movie/tt0111161.json';

/** Who asks: a client that has its session, or one that gets it with each response. */
const LOADS: Record<string, (session: string) => Record<string, string>> = {
  session: session => ({ ...FIELDS, cookie: `a=1; ${session}; b=2` }),
  'no session': () => FIELDS,
};

interface Worker {
  readonly process: ChildProcess;
  readonly url: string;
}

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    seconds: { type: 'string', default: '1' },
  },
  allowPositionals: true,
});
const plain = await mkdtemp(join(tmpdir(), 'edgelb-plain-'));
await copyFile(join(import.meta.dirname, 'plain.js'), join(plain, 'worker.js'));
const bundles = new Map([['plain', plain], ['edgelb', DIST]]);
for (const other of positionals) {
  const [name = '', directory = ''] = other.split('=');
  bundles.set(name, directory);
}
await using backends = await nginx(3);
const variables = {
  ...Object.fromEntries(backends.urls.map((url, index) => [`BACKEND_${index}`, url])),
  CLIENT_IP_HEADER: 'cf-connecting-ip',
  EDGELB_LOG: 'off',
};
try {
  await sizes();
  await starts();
  for (const [load, fields] of Object.entries(LOADS)) {
    const ratio = await costs(load, fields);
    if (!(ratio <= LIMIT)) {
      console.error(`error: ${load}: ${ratio.toFixed(2)} of plain; the limit is ${LIMIT}`);
      process.exitCode = 1;
    }
  }
} finally {
  await rm(plain, { recursive: true });
}

async function sizes(): Promise<void> {
  for (const [name, bundle] of bundles) {
    const { bytes, gzip } = await size(bundle);
    say('upload', name, `${bytes} bytes, ${(gzip / 1024).toFixed(1)} KiB gzip`);
  }
}

/** The first response of an isolate waits for all that is instantiated. */
async function starts(): Promise<void> {
  const times = new Map<string, [first: number[], second: number[]]>();
  for (let round = 0; round < STARTS; round += 1) {
    for (const [name, bundle] of bundles) {
      const worker = await start(bundle);
      const [first, second] = times.get(name) ?? [[], []];
      first.push(await latency(worker));
      second.push(await latency(worker));
      times.set(name, [first, second]);
      await kill(worker.process);
    }
  }
  for (const [name, [first, second]] of times) {
    say('start', name, `first response ${median(first).toFixed(1)} ms, second ${median(second).toFixed(1)} ms`);
  }
}

/**
 * Each round has every bundle, in an order that turns round by round, and is compared within
 * itself: what else the machine does hits all alike. The least figures are those that it
 * disturbed least; the means have what comes rarely, such as a full garbage collection.
 * Answers the higher one of edgelb's median ratio and its ratio of means.
 */
async function costs(load: string, fields: (session: string) => Record<string, string>): Promise<number> {
  const workers = new Map<string, Worker>();
  try {
    for (const [name, bundle] of bundles) {
      workers.set(name, await start(bundle));
    }
    const figures = new Map<string, number[]>();
    // The first round warms up.
    for (let round = -1; round < Number(values.rounds); round += 1) {
      const order = round % 2 === 0 ? [...workers] : [...workers].reverse();
      for (const [name, worker] of order) {
        const figure = await cost(worker, fields(await session(worker)));
        if (round >= 0) {
          figures.set(name, [...(figures.get(name) ?? []), figure]);
        }
      }
    }
    const reference = figures.get('plain') ?? [];
    const ratios = new Map<string, number>();
    for (const [name, all] of figures) {
      const ratio = median(all.map((figure, round) => figure / (reference[round] ?? Number.NaN)));
      const meanRatio = mean(all) / mean(reference);
      ratios.set(name, Math.max(ratio, meanRatio));
      const least = Math.min(...all);
      const leastRatio = least / Math.min(...reference);
      say(
        load,
        name,
        `median ${median(all).toFixed(0)} us a request, median ratio ${ratio.toFixed(2)} of plain;`,
        `mean ${mean(all).toFixed(0)} us, ${meanRatio.toFixed(2)} of plain;`,
        `least ${least.toFixed(0)} us, ${leastRatio.toFixed(2)} of plain`,
      );
    }
    return ratios.get('edgelb') ?? Number.NaN;
  } finally {
    for (const worker of workers.values()) {
      await kill(worker.process);
    }
  }
}

async function start(bundle: string): Promise<Worker> {
  const { process, port } = await serve({ variables, bundle });
  return { process, url: `http://127.0.0.1:${port}` };
}

/** Milliseconds. */
async function latency({ url }: Worker): Promise<number> {
  const begun = performance.now();
  await (await fetch(url, { headers: FIELDS })).arrayBuffer();
  return performance.now() - begun;
}

/** Microseconds of workerd's processor time a request, under as much load as it bears. */
async function cost({ url, process: { pid } }: Worker, fields: Record<string, string>): Promise<number> {
  const headers = Object.entries(fields).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const before = await processorTime(pid);
  const { stdout } = await promisify(execFile)('wrk', [
    '-t1', '-c32', `-d${values.seconds}s`, ...headers, url + TARGET,
  ]);
  const after = await processorTime(pid);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  if (!requests || /Non-2xx|Socket errors/.test(stdout)) {
    throw new Error(`requests failed:\n${stdout}`);
  }
  return (after - before) / requests;
}

/** Microseconds, user and system, of all threads: by the scheduler, as clock ticks are 10 ms. */
async function processorTime(pid: number | undefined): Promise<number> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const times = tasks.map(async task => {
    // One that has just ended took next to nothing.
    const stat = await readFile(`/proc/${pid}/task/${task}/schedstat`, 'utf8').catch(() => '0');
    return Number(stat.split(' ')[0]) / 1_000;
  });
  return (await Promise.all(times)).reduce((sum, time) => sum + time);
}

/** The cookie that the balancer sets. */
async function session({ url }: Worker): Promise<string> {
  const response = await fetch(url, { headers: FIELDS });
  await response.arrayBuffer();
  return response.headers.getSetCookie().at(-1)?.split(';')[0] ?? '';
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[figures.length >> 1] ?? Number.NaN;
}

function mean(figures: readonly number[]): number {
  return figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
}

function say(what: string, name: string, ...figures: string[]): void {
  console.log(`${what.padEnd(12)}${name.padEnd(10)}${figures.join(' ')}`);
}
