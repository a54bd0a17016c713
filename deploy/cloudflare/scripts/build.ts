// Component -> core modules and their glue (jco) -> one bundle (esbuild).
//
//   node scripts/build.ts             the component of this repository, built first, to `dist`
//   node scripts/build.ts faulty      the tests' policy that traps on request, to `dist-faulty`
//   node scripts/build.ts FILE DIST   a component as it is
//
// `gen` and the directory of the bundle hold nothing but what this writes.

import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';

import { transpile } from '@bytecodealliance/jco';
import { build } from 'esbuild';

import { size } from './size.ts';

const root = join(import.meta.dirname, '..');
const workspace = join(root, '../..');
const gen = join(root, 'gen');

/** Workers compile WebAssembly when they are uploaded and refuse to at run time. */
const COMPILES = /WebAssembly\s*\.\s*(?:Module\b|compile|instantiate|validate)|\beval\s*\(|\bnew\s+Function\b/;

const [which, directory] = process.argv.slice(2);
const dist = resolve(root, directory ?? (which === 'faulty' ? 'dist-faulty' : 'dist'));
try {
  await glue(await readFile(component(which)));
  await bundle(dist);
  const { bytes, gzip } = await size(dist);
  console.log(`${relative(root, dist)}: ${bytes} bytes, ${gzip} gzip`);
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

/** Answers where the component is, having built it if it is one of ours. */
function component(which: string | undefined): string {
  if (which !== undefined && which !== 'faulty') {
    return which;
  }
  const { target_directory } = JSON.parse(
    cargo('metadata', '--locked', '--no-deps', '--format-version', '1'),
  );
  const components = join(target_directory, 'components');
  if (which === undefined) {
    cargo('build', '--locked', '--package', 'edgelb-artifacts');
    return join(components, 'balancer.wasm');
  }
  const guest = ['--profile', 'component', '--target', 'wasm32-wasip2', '--target-dir', components];
  cargo('build', '--locked', '--package', 'edgelb-faulty', ...guest);
  return join(components, 'wasm32-wasip2/component/edgelb_faulty.wasm');
}

function cargo(...args: string[]): string {
  const { stdout, status, error } = spawnSync('cargo', args, {
    cwd: workspace,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (error !== undefined) {
    throw new Error(`cargo cannot be run (${error.message}); install Rust: https://rustup.rs`);
  }
  if (status !== 0) {
    throw new Error(`\`cargo ${args.join(' ')}\` failed`);
  }
  return stdout;
}

/** Takes the component apart: the core modules verbatim, and JavaScript that lifts and lowers. */
async function glue(bytes: Uint8Array): Promise<void> {
  const { files } = await transpile(bytes, {
    name: 'balancer',
    instantiation: 'sync',
    nodejsCompat: false,
    // Modules stay files: as text in JavaScript they would have to be compiled at run time.
    base64Cutoff: 0,
  });
  await rm(gen, { recursive: true, force: true });
  for (const [name, content] of Object.entries({ ...files, 'modules.ts': modules(Object.keys(files)) })) {
    await mkdir(dirname(join(gen, name)), { recursive: true });
    await writeFile(join(gen, name), content);
  }
}

/** The core modules by their names, imported so that they are uploaded compiled. */
function modules(files: string[]): string {
  const names = files.filter(name => name.endsWith('.wasm'));
  const imports = names.map((name, index) => `import m${index} from './${name}';\n`);
  const entries = names.map((name, index) => `  '${name}': m${index},\n`);
  return `${imports.join('')}
export const modules: Readonly<Record<string, WebAssembly.Module>> = {
${entries.join('')}};
`;
}

async function bundle(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await build({
    entryPoints: [join(root, 'src/worker.ts')],
    outfile: join(directory, 'worker.js'),
    bundle: true,
    format: 'esm',
    target: 'es2024',
    minify: true,
    legalComments: 'none',
    loader: { '.wasm': 'copy' },
    assetNames: '[name]',
    logLevel: 'warning',
  });
  const found = COMPILES.exec(await readFile(join(directory, 'worker.js'), 'utf8'));
  if (found) {
    throw new Error(`worker.js has \`${found[0]}\`; expected no compilation at run time`);
  }
}
