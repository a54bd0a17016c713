// A request body that may have to be sent more than once.

import type { BodySize } from '../gen/interfaces/edgelb-balancer-exchange.js';
import { bodySize } from './fields.js';
import { pump } from './pump.js';
import type { Timeouts, Timer } from './timeouts.js';

/**
 * The body, of which readings are taken, one at a time and each from the first
 * byte. What was read is kept while it fits; what follows the runtime pumps, and
 * it can be read once.
 */
export class Upload {
  /** What is known of the body before it is read. */
  readonly size: BodySize;
  readonly #body: ReadableStream<Uint8Array> | null;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** The chunk being read, which a reading may leave to its successor. */
  #next: Promise<Uint8Array | undefined> | undefined;
  #kept: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #lost = false;
  #broken = false;
  /** Counts readings: only the last one may go on. */
  #reading = 0;

  constructor(request: Request, method: string, lines: string) {
    // The runtime sends none with these, nor has it a defined meaning:
    // https://www.rfc-editor.org/rfc/rfc9110#section-9.3.1
    const body = method === 'GET' || method === 'HEAD' ? null : request.body;
    this.size = bodySize(body, lines);
    this.#body = this.size.tag === 'none' ? null : body;
  }

  /** Whether another reading would start at the first byte. */
  get replayable(): boolean {
    return !this.#lost;
  }

  /** Whether the client broke off. */
  get broken(): boolean {
    return this.#broken;
  }

  /**
   * The body for an attempt, of which up to `keep` bytes are kept for another.
   * The timer runs while the backend is to take what it is offered, and stands
   * while the client is waited for.
   */
  read(keep: number, timer: Timer, timeouts: Timeouts): ReadableStream<Uint8Array> | null {
    timer.start(timeouts.head);
    if (this.#body === null) {
      return null;
    }
    const { readable, writable } =
      this.size.tag === 'known'
        ? new FixedLengthStream(this.size.val)
        : new IdentityTransformStream();
    // A sink that fails is an attempt that is over: whoever waits for its response hears of it.
    this.#feed(this.#body, writable, keep, timer, timeouts).catch(() => {});
    return readable;
  }

  async #feed(
    body: ReadableStream<Uint8Array>,
    sink: WritableStream<Uint8Array>,
    keep: number,
    timer: Timer,
    timeouts: Timeouts,
  ): Promise<void> {
    this.#reading += 1;
    const reading = this.#reading;
    const writer = sink.getWriter();
    try {
      for (let index = 0; index < this.#kept.length || !this.#lost; index += 1) {
        let chunk = this.#kept[index];
        if (chunk === undefined) {
          timer.stop();
          this.#next ??= this.#read(body, keep);
          chunk = await this.#next;
        }
        if (reading !== this.#reading) {
          return;
        }
        if (chunk === undefined) {
          timer.start(timeouts.firstByte);
          await writer.close();
          return;
        }
        timer.start(index === 0 ? timeouts.head : timeouts.idle);
        await writer.write(chunk);
      }
    } finally {
      writer.releaseLock();
    }
    this.#kept = [];
    this.#reader?.releaseLock();
    timer.stop();
    this.#broken = (await pump(body, sink)) === 'source';
    timer.start(timeouts.firstByte);
    if (this.#broken) {
      await sink.abort();
    }
  }

  /** Reads a chunk, and keeps it if there is room. */
  async #read(body: ReadableStream<Uint8Array>, keep: number): Promise<Uint8Array | undefined> {
    if (this.#ended) {
      return undefined;
    }
    this.#reader ??= body.getReader();
    const { value, done } = await this.#reader.read().catch(reason => {
      this.#broken = true;
      throw reason;
    });
    this.#next = undefined;
    if (done) {
      this.#ended = true;
    } else if (this.#bytes + value.length <= keep) {
      this.#bytes += value.length;
      this.#kept.push(value);
    } else {
      this.#lost = true;
    }
    return value;
  }
}
