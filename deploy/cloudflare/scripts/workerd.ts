// The real runtime on loopback, with a bundle as it is uploaded.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

const root = join(import.meta.dirname, '..');

/** The program itself: the one in `.bin` is a script, which a signal would not get past. */
const program: string = createRequire(import.meta.url)('workerd').default;

/** What a build leaves: `worker.js` and the modules it imports. */
export const DIST = join(root, 'dist');

export interface Options {
  /** The variables and secrets of the Worker. */
  readonly variables: Readonly<Record<string, string>>;
  /** The directory of the bundle; `DIST` unless told. */
  readonly bundle?: string | undefined;
  /** Where to listen on 127.0.0.1; a free port unless told. */
  readonly port?: number | undefined;
  /** Whether V8's inspector listens as well, on a free port. */
  readonly inspector?: boolean;
  /** What becomes of standard output and standard error; ours unless told. */
  readonly output?: 'pipe' | 'inherit';
}

/** A Worker that accepts connections. */
export interface Workerd {
  readonly process: ChildProcess;
  readonly port: number;
  readonly inspectorPort: number | undefined;
}

/** Starts workerd, and answers once it accepts. Throws if it ends before. */
export async function serve({
  variables,
  bundle = DIST,
  port = 0,
  inspector = false,
  output = 'inherit',
}: Options): Promise<Workerd> {
  const directory = await mkdtemp(join(tmpdir(), 'edgelb-'));
  try {
    const config = join(directory, 'config.capnp');
    await writeFile(config, await capnp(variables, bundle, port));
    const options = ['--control-fd=3', `--import-path=${bundle}`];
    if (inspector) {
      options.push('--inspector-addr=127.0.0.1:0');
    }
    const process = spawn(program, ['serve', ...options, config], {
      stdio: ['ignore', output, output, 'pipe'],
    });
    return { process, ...(await listening(process, inspector)) };
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Ends a process. A Worker that spins heeds no other signal. */
export async function kill(process: ChildProcess): Promise<void> {
  if (process.exitCode === null && process.signalCode === null) {
    process.kill('SIGKILL');
    await once(process, 'exit');
  }
}

/** Reads from the control messages which ports were free. */
async function listening(process: ChildProcess, inspector: boolean): Promise<Omit<Workerd, 'process'>> {
  let port: number | undefined;
  let inspectorPort: number | undefined;
  for await (const line of createInterface(process.stdio[3] as Readable)) {
    const message = JSON.parse(line);
    if (message.event === 'listen') {
      port = message.port;
    } else if (message.event === 'listen-inspector') {
      inspectorPort = message.port;
    }
    if (port !== undefined && (inspectorPort !== undefined || !inspector)) {
      return { port, inspectorPort };
    }
  }
  await kill(process);
  throw new Error('workerd ended before it accepted');
}

async function capnp(variables: Options['variables'], bundle: string, port: number): Promise<string> {
  const text = JSON.stringify;
  const modules = ['(name = "worker.js", esModule = embed "/worker.js")'];
  for (const name of await readdir(bundle)) {
    if (name.endsWith('.wasm')) {
      modules.push(`(name = ${text(name)}, wasm = embed ${text(`/${name}`)})`);
    }
  }
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
    (name = "network", network = (
      allow = ["local", "private", "public"],
      tlsOptions = (trustBrowserCas = true),
    )),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "edgelb")],
);
`;
}

/** What `wrangler.toml` asks of the runtime. */
async function compatibility(): Promise<{ date: string; flags: string[] }> {
  const toml = await readFile(join(root, 'wrangler.toml'), 'utf8');
  const value = (name: string) => {
    const match = new RegExp(`^${name} = (.*)$`, 'm').exec(toml);
    return JSON.parse(match?.[1] ?? 'null');
  };
  return { date: value('compatibility_date'), flags: value('compatibility_flags') };
}
