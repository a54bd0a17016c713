// The real runtime, with the bundle that is uploaded.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '../..');

/** The program itself: the one in `.bin` is a script that would outlive a signal's reach. */
const workerd: string = createRequire(import.meta.url)('workerd').default;

/** A running Worker. */
export interface Worker extends AsyncDisposable {
  /** Where it listens: `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** What it logged on standard output and standard error so far. */
  log(): string;
}

/** Starts the bundle of `directory` with these variables, and options of `workerd serve`. */
export async function start(
  variables: Record<string, string>,
  directory = join(root, 'dist'),
  ...options: string[]
): Promise<Worker> {
  const port = await freePort();
  const config = join(directory, `${port}.capnp`);
  await writeFile(config, await capnp(variables, directory, port));
  const child = spawn(workerd, ['serve', config, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => (log += text));
  }
  const worker = {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid as number,
    log: () => log,
    async [Symbol.asyncDispose]() {
      await end(child);
      await rm(config, { force: true });
    },
  };
  try {
    await accepting(port, child);
  } catch (error) {
    await worker[Symbol.asyncDispose]();
    throw new Error(`workerd does not accept: ${log}`, { cause: error });
  }
  return worker;
}

/** Waits until the log says so; fails after two seconds. */
export async function logged(worker: Worker, line: RegExp): Promise<void> {
  for (let tries = 0; !line.test(worker.log()); tries += 1) {
    if (tries > 200) {
      throw new Error(`no ${line} in the log:\n${worker.log()}`);
    }
    await sleep(10);
  }
}

async function capnp(variables: Record<string, string>, directory: string, port: number) {
  const text = JSON.stringify;
  const wasm = (await readdir(directory)).filter(name => name.endsWith('.wasm'));
  const modules = [
    `(name = "worker.js", esModule = embed "worker.js")`,
    ...wasm.map(name => `(name = ${text(name)}, wasm = embed ${text(name)})`),
  ];
  const bindings = Object.entries(variables).map(
    ([name, value]) => `(name = ${text(name)}, text = ${text(value)})`,
  );
  const { date, flags } = await compatibility();
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edgelb", worker = (
      modules = [${modules.join(', ')}],
      bindings = [${bindings.join(', ')}],
      compatibilityDate = ${text(date)},
      compatibilityFlags = ${text(flags)},
      globalOutbound = "network",
    )),
    (name = "network", network = (allow = ["local", "private", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "edgelb")],
);
`;
}

/** What `wrangler.toml` says. */
async function compatibility(): Promise<{ date: string; flags: string[] }> {
  const toml = await readFile(join(root, 'wrangler.toml'), 'utf8');
  const value = (name: string) => {
    const match = new RegExp(`^${name} = (.*)$`, 'm').exec(toml);
    return JSON.parse(match?.[1] ?? 'null');
  };
  return { date: value('compatibility_date'), flags: value('compatibility_flags') };
}

/** A Worker stuck in a loop heeds no other signal. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

async function accepting(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; child.exitCode === null; tries += 1) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/.well-known/edgelb/health`);
      await response.arrayBuffer();
      return;
    } catch (error) {
      if (tries > 200) {
        throw error;
      }
      await sleep(25);
    }
  }
  throw new Error('it ended');
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') {
    throw new Error('no port');
  }
  return address.port;
}
