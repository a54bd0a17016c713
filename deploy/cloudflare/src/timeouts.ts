// How long is waited for what.

import type { EffectiveConfiguration } from '../gen/interfaces/edgelb-balancer-exchange.js';

/** In milliseconds. */
export interface Timeouts {
  /** To the head of the response, of a request without content. */
  readonly head: number;
  /** From the last byte of a request sent to the head of the response. */
  readonly firstByte: number;
  /** Between the bytes of a body. */
  readonly idle: number;
}

/** The runtime does not tell connecting from waiting, so both are one. */
export function timeouts(configuration: EffectiveConfiguration): Timeouts {
  const { connectTimeout, firstByteTimeout, idleTimeout } = configuration;
  return {
    head: Number(connectTimeout + firstByteTimeout),
    firstByte: Number(firstByteTimeout),
    idle: Number(idleTimeout),
  };
}

/** One timeout at a time, until it is done with. */
export class Timer {
  readonly #expired: () => void;
  /** None while it stands: to clear what is not there costs as much. */
  #id: ReturnType<typeof setTimeout> | undefined;
  #done = false;

  constructor(expired: () => void) {
    this.#expired = expired;
  }

  /** Starts anew. */
  start(milliseconds: number): void {
    this.stop();
    if (!this.#done) {
      this.#id = setTimeout(this.#expired, milliseconds);
    }
  }

  /** Stands until it is started again. */
  stop(): void {
    if (this.#id !== undefined) {
      clearTimeout(this.#id);
      this.#id = undefined;
    }
  }

  /** Never starts again. */
  end(): void {
    this.#done = true;
    this.stop();
  }
}
