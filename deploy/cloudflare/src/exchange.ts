// An exchange: what the policy says, done.

import type { Forward, Outcome, Reply } from '../gen/interfaces/edgelb-balancer-exchange.js';
import { forwarded } from './download.js';
import { apply, bodySize, pack, unpack } from './fields.js';
import type { Incoming } from './incoming.js';
import type { Isolate } from './isolate.js';
import { ClientGone, type Upstream } from './upstream.js';

/** A response, and how it came about. */
export interface Answer {
  readonly response: Response;
  /** The name of the backend it is from; none for the balancer's own. */
  readonly backend?: string | undefined;
  readonly attempts: number;
}

/** Answers a request. */
export async function answer(
  incoming: Incoming,
  isolate: Isolate,
  upstream: Upstream,
): Promise<Answer> {
  const { method } = incoming;
  let attempts = 0;
  let arrived: Response | undefined;
  let backend: string | undefined;
  try {
    let { exchange, turn } = isolate.begin(incoming.head());
    while (turn.tag === 'send') {
      // The response of an attempt that is followed by another is let go.
      arrived?.body?.cancel().catch(() => {});
      arrived = undefined;
      backend = upstream.backends[turn.val.backend]?.name;
      attempts += 1;
      let outcome: Outcome;
      try {
        const sent = await upstream.send(incoming, turn.val);
        const { replayable } = incoming.upload;
        if (sent instanceof Response) {
          arrived = sent;
          outcome = { tag: 'head', val: { head: responseHead(sent), replayable } };
        } else {
          outcome = { tag: 'failed', val: { ...sent, replayable } };
        }
      } catch (error) {
        isolate.abandon(exchange);
        throw error;
      }
      ({ exchange, turn } = isolate.settle(exchange, outcome));
    }
    if (turn.tag === 'forward' && arrived !== undefined) {
      const response = forward(arrived, turn.val, method, isolate, upstream);
      return { response, backend, attempts };
    }
    return { response: turn.tag === 'reply' ? local(turn.val, method) : plain(502), attempts };
  } catch (error) {
    if (error instanceof ClientGone) {
      // Nobody reads it; the status is for the log.
      return { response: plain(499), attempts };
    }
    console.error({ message: 'the exchange failed', error: String(error) });
    return { response: plain(502), attempts };
  }
}

function responseHead({ status, body, headers }: Response) {
  return { status, body: bodySize(body, headers), fields: pack(headers) };
}

/**
 * Statuses whose responses have no content, whatever their fields say:
 * https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1
 */
const BODILESS = new Set([101, 204, 205, 304]);

/** The backend's response as the client gets it. */
function forward(
  response: Response,
  { edits, tail }: Forward,
  method: string,
  isolate: Isolate,
  upstream: Upstream,
): Response {
  const { status, statusText, webSocket } = response;
  const headers = new Headers(response.headers);
  apply(edits, headers);
  if (webSocket !== null) {
    // The runtime joins both sides; from here on no byte passes through JavaScript.
    return new Response(null, { status, headers, webSocket });
  }
  const body =
    method === 'HEAD' || BODILESS.has(status)
      ? null
      : forwarded(response, upstream.timeouts.idle, end => isolate.finish(tail, end));
  return new Response(body, { status, statusText, headers, encodeBody: 'manual' });
}

/** The balancer's own response. */
function local({ status, fields, body }: Reply, method: string): Response {
  const headers = unpack(fields);
  headers.set('content-length', String(body.length));
  return new Response(method === 'HEAD' ? null : body, { status, headers });
}

/** What is said when there is no policy to say it. */
function plain(status: number): Response {
  return new Response(`${status}\n`, {
    status,
    headers: { 'content-type': 'text/plain', 'cache-control': 'no-store' },
  });
}
