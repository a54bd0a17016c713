// The Worker under test: real workerd, its log in memory.

import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { kill, type Options, serve } from '../../scripts/workerd.ts';

/** A running Worker. */
export interface Worker extends AsyncDisposable {
  /** Where it listens: `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** The inspector's port, if it was asked for. */
  readonly inspectorPort: number | undefined;
  /** What it logged on standard output and standard error so far. */
  log(): string;
}

/** Starts a Worker with these variables. */
export async function start(
  variables: Record<string, string>,
  options: Pick<Options, 'bundle' | 'inspector'> = {},
): Promise<Worker> {
  const { process, port, inspectorPort } = await serve({ ...options, variables, output: 'pipe' });
  let log = '';
  for (const stream of [process.stdout, process.stderr] as Readable[]) {
    stream.setEncoding('utf8').on('data', text => (log += text));
  }
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: process.pid as number,
    inspectorPort,
    log: () => log,
    [Symbol.asyncDispose]: () => kill(process),
  };
}

/** Waits until the log says so; fails after five seconds. */
export async function logged({ log }: Worker, line: RegExp): Promise<void> {
  for (let tries = 0; !line.test(log()); tries += 1) {
    if (tries > 500) {
      throw new Error(`no ${line} in the log:\n${log()}`);
    }
    await sleep(10);
  }
}
