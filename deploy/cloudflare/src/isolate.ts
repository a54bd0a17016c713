// One instance of the policy for all requests of an isolate: replaced when it
// traps, and told what was known.

import { instantiate, type Root } from '../gen/balancer.js';
import type {
  BodyEnd,
  EffectiveConfiguration,
  Effects,
  Event,
  ExchangeId,
  Outcome,
  RequestHead,
  Tail,
  Turn,
} from '../gen/interfaces/edgelb-balancer-exchange.js';
import { modules } from '../gen/modules.js';
import { warn } from './access_log.js';
import { wasi } from './wasi.js';

type Policy = Root['exchange'];

/** An exchange under way: its id, and the instance that issued it. */
export interface ExchangeRef {
  readonly id: ExchangeId;
  readonly generation: number;
}

/** An id that no instance issues: of none, or of one forgotten. */
const NONE = 0n;

/** What is in force where nothing valid is: nothing is ever sent. */
const EMPTY: EffectiveConfiguration = {
  backends: [],
  connectTimeout: 0n,
  firstByteTimeout: 0n,
  idleTimeout: 0n,
  replayLimit: 0n,
  ordinary: [],
  relevant: [],
  settings: [],
};

export interface Step {
  readonly exchange: ExchangeRef;
  readonly turn: Turn;
}

/** Hears what happens to backends. */
export type EventSink = (event: Event) => void;

export class Isolate {
  readonly #environment: [string, string][];
  readonly #events: EventSink;
  readonly #seed = new BigUint64Array(1);
  #policy: Policy | undefined;
  /** Which instance this is: ids of another one mean nothing to it. */
  #generation = 0;
  /** The ledger as it was when it last changed. */
  #ledger: Uint8Array | undefined;
  #now = 0;

  constructor(environment: [string, string][], events: EventSink) {
    this.#environment = environment;
    this.#events = events;
  }

  /** The effective configuration, or an empty one and every error. */
  configuration(): { configuration: EffectiveConfiguration; errors: string[] } {
    return this.#call(policy => {
      try {
        return { configuration: policy.configuration(), errors: [] };
      } catch (error) {
        // The interface's `result` comes as a return or an exception.
        if (error instanceof Error && 'payload' in error && Array.isArray(error.payload)) {
          return { configuration: EMPTY, errors: error.payload };
        }
        throw error;
      }
    });
  }

  /** Opens an exchange. */
  begin(head: RequestHead): Step {
    const seed = crypto.getRandomValues(this.#seed)[0] ?? 0n;
    return this.#twice(policy => this.#step(policy.begin(head, this.now(), seed, NONE)));
  }

  /** Reports what became of an attempt. */
  settle(exchange: ExchangeRef, outcome: Outcome): Step {
    return this.#twice(policy =>
      this.#step(policy.settle(this.#id(exchange), outcome, this.now())),
    );
  }

  /** The client of an exchange under way went away. */
  abandon(exchange: ExchangeRef): void {
    this.#call(policy => this.#effects(policy.abandon(this.#id(exchange), this.now())));
  }

  /** A forwarded body did not arrive whole. */
  finish(tail: Tail, end: BodyEnd): void {
    this.#call(policy => this.#effects(policy.finish(tail, end, this.now())));
  }

  /** Milliseconds since the Unix epoch, never fewer than before. */
  now(): bigint {
    this.#now = Math.max(this.#now, Date.now());
    return BigInt(this.#now);
  }

  /**
   * A call that trapped is made once more, on the instance that takes the
   * place: nothing of it has happened yet, and an instance that outgrew its
   * memory must not cost whoever came last.
   */
  #twice<T>(call: (policy: Policy) => T): T {
    try {
      return this.#call(call);
    } catch {
      return this.#call(call);
    }
  }

  /** An exception is a trap: the instance is not to be used again. */
  #call<T>(call: (policy: Policy) => T): T {
    try {
      return call(this.#instance());
    } catch (error) {
      this.#policy = undefined;
      warn('the policy trapped', { error: String(error) });
      throw error;
    }
  }

  #instance(): Policy {
    if (this.#policy === undefined) {
      const imports = wasi(this.#environment);
      const { exchange } = instantiate(name => modules[name] as WebAssembly.Module, imports);
      this.#generation += 1;
      if (this.#ledger !== undefined) {
        exchange.merge(this.#ledger);
      }
      this.#policy = exchange;
    }
    return this.#policy;
  }

  #step(step: { exchange: ExchangeId; turn: Turn; effects?: Effects }): Step {
    this.#effects(step.effects);
    return { exchange: { id: step.exchange, generation: this.#generation }, turn: step.turn };
  }

  #effects(effects: Effects | undefined): void {
    if (effects?.changed) {
      this.#ledger = this.#instance().ledger();
    }
    effects?.events.forEach(this.#events);
  }

  #id({ id, generation }: ExchangeRef): ExchangeId {
    return generation === this.#generation ? id : NONE;
  }
}
