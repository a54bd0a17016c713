// Backends that cost as little as possible: one nginx, answering shortly on several ports.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Backends extends AsyncDisposable {
  readonly urls: readonly string[];
}

export async function nginx(count: number): Promise<Backends> {
  const directory = await mkdtemp(join(tmpdir(), 'edgelb-nginx-'));
  const ports = await Promise.all(Array.from({ length: count }, freePort));
  const config = join(directory, 'nginx.conf');
  const servers = ports.map(
    port => `server { listen 127.0.0.1:${port}; location / { return 200 "hello\\n"; } }`,
  );
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
  await once(child, 'spawn');
  const urls = ports.map(port => `http://127.0.0.1:${port}`);
  for (const url of urls) {
    await answering(url);
  }
  return {
    urls,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await once(child, 'exit');
      await rm(directory, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function answering(url: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await (await fetch(url)).text();
      return;
    } catch (error) {
      if (tries === 100) {
        throw error;
      }
      await sleep(20);
    }
  }
}
