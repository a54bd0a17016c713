// CPU per request of edgelb and of the yardstick on workerd, in alternating
// rounds of the same load. The figure is the processor time of workerd, user and
// system, over the requests it answered. Needs Linux, nginx and wrk.
//
//   npm --prefix deploy/cloudflare run bench -- [ROUNDS] [SECONDS] [NAME=DIRECTORY...]
//
// A bundle beside `deploy/cloudflare/dist` takes part as NAME=DIRECTORY.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { freePort, start, type Worker } from '../../deploy/cloudflare/test/support/workerd.ts';

const run = promisify(execFile);

/** What requests carry besides: a browser's fields, and a session or none. */
const LOADS: Record<string, (session: string) => string[]> = {
  'with a session': session => [`cookie: a=1; ${session}; b=2`],
  'new clients': () => [],
};
const FIELDS = [
  'cf-connecting-ip: 203.0.113.7',
  'user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
  'accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'accept-language: en-GB,en;q=0.5',
  'accept-encoding: gzip, deflate, br',
];

const [rounds = '5', seconds = '4', ...others] = process.argv.slice(2);
const directory = await mkdtemp(join(tmpdir(), 'edgelb-bench-'));
const nginx = await backends(3);
const variables = {
  ...Object.fromEntries(nginx.urls.map((url, index) => [`BACKEND_${index}`, url])),
  CLIENT_IP_HEADER: 'cf-connecting-ip',
  EDGELB_LOG: 'off',
};
const subjects: Record<string, string> = { edgelb: join(import.meta.dirname, '../../deploy/cloudflare/dist') };
for (const other of others) {
  const [name = '', path = ''] = other.split('=');
  subjects[name] = path;
}
await copyFile(join(import.meta.dirname, 'plain.js'), join(directory, 'worker.js'));
subjects['plain'] = directory;

const workers: [string, Worker][] = [];
try {
  for (const [name, path] of Object.entries(subjects)) {
    workers.push([name, await start({ ...variables, ...(name === 'plain' ? plain(variables) : {}) }, path)]);
  }
  for (const [load, fields] of Object.entries(LOADS)) {
    const figures: Record<string, number[]> = {};
    for (let round = -1; round < Number(rounds); round += 1) {
      for (const [name, worker] of workers) {
        const figure = await cost(worker, fields(await session(worker)));
        // The first round warms up.
        if (round >= 0) {
          (figures[name] ??= []).push(figure);
        }
      }
    }
    const reference = median(figures['plain'] ?? []);
    for (const [name, all] of Object.entries(figures)) {
      const each = all.map(figure => figure.toFixed(0)).join(' ');
      const ratio = (median(all) / reference).toFixed(2);
      console.log(`${load}: ${name} ${median(all).toFixed(1)} us/request, ${ratio} of plain (${each})`);
    }
  }
} finally {
  for (const [, worker] of workers) {
    await worker[Symbol.asyncDispose]();
  }
  await nginx.end();
  await rm(directory, { recursive: true });
}

/** The yardstick takes origins as they are. */
function plain(given: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).filter(([name]) => name.startsWith('BACKEND_')));
}

/** Microseconds of processor time a request. */
async function cost({ url, pid }: Worker, fields: string[]): Promise<number> {
  const headers = [...FIELDS, ...fields].flatMap(field => ['-H', field]);
  const before = await processorTime(pid);
  const { stdout } = await run('wrk', ['-t1', '-c32', `-d${seconds}s`, ...headers, `${url}/stream/movie/tt0111161.json`]);
  const after = await processorTime(pid);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  if (!requests || /Non-2xx|Socket errors/.test(stdout)) {
    throw new Error(`requests failed:\n${stdout}`);
  }
  return (after - before) / requests;
}

/** Microseconds, from clock ticks of which Linux shows 100 a second. */
async function processorTime(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13);
  return (Number(user) + Number(system)) * 10_000;
}

/** The cookie that the balancer sets. */
async function session({ url }: Worker): Promise<string> {
  const response = await fetch(url, { headers: { 'cf-connecting-ip': '203.0.113.7' } });
  await response.arrayBuffer();
  return response.headers.getSetCookie().at(-1)?.split(';')[0] ?? '';
}

/** nginx, answering shortly on so many ports. */
async function backends(count: number): Promise<{ urls: string[]; end(): Promise<void> }> {
  const ports = await Promise.all(Array.from({ length: count }, freePort));
  const servers = ports.map(port => `server { listen 127.0.0.1:${port}; location / { return 200 "hello\\n"; } }`);
  const config = join(directory, 'nginx.conf');
  await writeFile(
    config,
    `daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000000; ${servers.join('\n')} }`,
  );
  const child = spawn('nginx', ['-p', directory, '-c', config], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
  });
  return {
    urls: ports.map(port => `http://127.0.0.1:${port}`),
    async end() {
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

function median(figures: number[]): number {
  return figures.toSorted((a, b) => a - b)[figures.length >> 1] ?? Number.NaN;
}
