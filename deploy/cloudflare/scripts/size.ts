// What an upload weighs.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Bytes. */
export interface Size {
  readonly bytes: number;
  /** Each file compressed by itself. */
  readonly gzip: number;
}

/** The size of the bundle in a directory. */
export async function size(bundle: string): Promise<Size> {
  let [bytes, gzip] = [0, 0];
  for (const name of await readdir(bundle)) {
    const content = await readFile(join(bundle, name));
    bytes += content.length;
    gzip += gzipSync(content, { level: 9 }).length;
  }
  return { bytes, gzip };
}
