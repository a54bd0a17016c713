// Clients of the Worker.

import { request } from 'node:http';

import type { Worker } from './workerd.ts';

/** A GET, read whole. */
export async function get(
  { url }: Worker,
  target: string,
  headers: Record<string, string> = {},
): Promise<Response & { text: string }> {
  const response = await fetch(url + target, { headers, redirect: 'manual' });
  return Object.assign(response, { text: await response.text() }) as never;
}

/** A response as it came over the wire. */
export interface Raw {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

/** A request of which nothing is interpreted, nor its response. */
export async function raw(
  { port }: Worker,
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers }, response => {
      const chunks: Buffer[] = [];
      response.on('data', chunk => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, statusMessage: statusText = '' } = response;
        resolve({ status, statusText, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}
