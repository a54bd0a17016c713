// Serves the bundle on loopback through `workerd serve`, without wrangler.
//
//   node_modules/.bin/node scripts/serve.ts [--port PORT] [--env-file FILE] [--bundle DIRECTORY]
//
// (The `node` that is installed here, for it reads TypeScript; `npm run serve --` finds it too.)
//
// Says `listening on http://127.0.0.1:PORT` on standard error once it accepts; what
// the Worker logs follows. Port 0, the default, is any that is free. The file is one that
// `edgelb serve --env-file` takes, too; its variables become the Worker's. SIGTERM, SIGINT, or the end of a pipe at standard input ends both
// processes.

import { fstatSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { readEnvFile } from './env_file.ts';
import { DIST, kill, serve } from './workerd.ts';

try {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      'env-file': { type: 'string' },
      bundle: { type: 'string', default: DIST },
    },
  });
  const { bundle, 'env-file': file } = values;
  await access(join(bundle, 'worker.js')).catch(() => {
    throw new Error(`\`${bundle}\` has no worker.js; run \`npm run build\``);
  });
  const variables = file === undefined ? {} : await readEnvFile(file);
  await run(variables, bundle, port(values.port));
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function run(variables: Record<string, string>, bundle: string, port: number): Promise<void> {
  const worker = await serve({ variables, bundle, port });
  let ending = false;
  const end = async () => {
    ending = true;
    await kill(worker.process);
    process.exit(0);
  };
  process.on('SIGTERM', end).on('SIGINT', end);
  // The terminal and /dev/null say nothing about whether anybody still wants this.
  const stdin = fstatSync(0);
  if (stdin.isFIFO() || stdin.isSocket()) {
    process.stdin.on('end', end).resume();
  }
  worker.process.on('exit', (code, signal) => {
    if (!ending) {
      console.error(`error: workerd ended: ${signal ?? code}`);
      process.exit(1);
    }
  });
  console.error(`listening on http://127.0.0.1:${worker.port}`);
}

function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
    throw new Error(`--port \`${text}\` is no port; expected 0 to 65535`);
  }
  return Number(text);
}
