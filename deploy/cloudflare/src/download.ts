// A response body on its way to the client.

import type { BodyEnd, BodySize } from '../gen/interfaces/edgelb-balancer-exchange.js';
import { pump } from './pump.js';
import { Timer } from './timeouts.js';

/**
 * Bytes up to which a body of known length is handed through as it is: to watch
 * one costs half as much CPU as all the rest of a request, and one this short
 * has mostly arrived with its head.
 */
const UNWATCHED = 65_536n;

/**
 * Bytes of a body that pass through our hands. Each chunk costs CPU time, of
 * which the free plan has 10 ms a request; what follows the runtime pumps alone,
 * and only the platform notices a backend that falls silent then.
 */
const BY_HAND = 1_048_576;

/** The body for the client. `ended` hears of an end before the end. */
export function download(
  body: ReadableStream<Uint8Array> | null,
  size: BodySize,
  idleTimeout: number,
  ended: (end: BodyEnd) => void,
): ReadableStream<Uint8Array> | null {
  if (body === null || size.tag === 'none' || (size.tag === 'known' && size.val <= UNWATCHED)) {
    return body;
  }
  const { readable, writable } =
    size.tag === 'known' ? new FixedLengthStream(size.val) : new IdentityTransformStream();
  void relay(body, writable, idleTimeout).then(end => {
    if (end !== undefined) {
      ended(end);
    }
  });
  return readable;
}

/** Passes a body on; answers how it ended, if not well. */
async function relay(
  source: ReadableStream<Uint8Array>,
  sink: WritableStream<Uint8Array>,
  idleTimeout: number,
): Promise<BodyEnd | undefined> {
  const reader = source.getReader();
  const writer = sink.getWriter();
  let silent = false;
  const idle = new Timer(() => {
    silent = true;
    // Ends the reading under way.
    reader.cancel().catch(() => {});
  });
  let awaited: BodyEnd = 'broken';
  try {
    for (let passed = 0; passed < BY_HAND; ) {
      awaited = 'broken';
      idle.start(idleTimeout);
      const { value, done } = await reader.read();
      idle.stop();
      if (silent) {
        throw new Error('the backend fell silent');
      }
      awaited = 'abandoned';
      if (done) {
        await writer.close();
        return undefined;
      }
      await writer.write(value);
      passed += value.length;
    }
  } catch (reason) {
    idle.end();
    reader.cancel(reason).catch(() => {});
    writer.abort(reason).catch(() => {});
    return awaited;
  }
  reader.releaseLock();
  writer.releaseLock();
  switch (await pump(source, sink)) {
    case 'source':
      await sink.abort();
      return 'broken';
    case 'sink':
      await source.cancel();
      return 'abandoned';
    case undefined:
      return undefined;
  }
}
