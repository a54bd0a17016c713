// Files of variables: the same table that the reader of `edgelb serve` is held to.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { parse, readEnvFile } from '../scripts/env_file.ts';

interface Row {
  text: string;
  variables?: [string, string][];
  error?: string;
}

function read(text: string): Row {
  try {
    return { text, variables: [...parse(text)] };
  } catch (error) {
    assert.ok(error instanceof Error);
    return { text, error: error.message };
  }
}

test('files are read as the table says', async () => {
  const file = new URL('../../../tests/env_file.json', import.meta.url);
  const table: Row[] = JSON.parse(await readFile(file, 'utf8'));
  assert.ok(table.length > 0);
  for (const expected of table) {
    assert.deepEqual(read(expected.text), expected);
  }
});

test('what is wrong is said with the name of the file', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'edgelb-'));
  try {
    const file = join(directory, 'x.env');
    await writeFile(file, 'A=1\nA=2\n');
    await assert.rejects(readEnvFile(file), { message: `--env-file \`${file}\`: line 2: \`A\` is set a second time` });
    await writeFile(file, Uint8Array.of(0x41, 0x3d, 0xff));
    await assert.rejects(readEnvFile(file), /--env-file `.*`: .*not valid/);
    await assert.rejects(readEnvFile(join(directory, 'none.env')), /--env-file `.*none\.env`: ENOENT/);
  } finally {
    await rm(directory, { recursive: true });
  }
});
