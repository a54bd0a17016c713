// An exchange: what the policy says, done.

import type {
  BodySize,
  Forward,
  Outcome,
  Reply,
  RequestHead,
} from '../gen/interfaces/edgelb-balancer-exchange.js';
import { forwarded } from './download.js';
import { apply, bodySize, pack, unpack } from './fields.js';
import type { Isolate } from './isolate.js';
import { ClientGone, type Upstream } from './upstream.js';
import { Upload } from './upload.js';

/** A response, and how it came about. */
export interface Answer {
  readonly response: Response;
  /** Path and query of the request, byte for byte. */
  readonly target: string;
  /** The name of the backend it is from; none for the balancer's own. */
  readonly backend?: string | undefined;
  readonly attempts: number;
}

/** Answers a request. */
export async function answer(
  request: Request,
  isolate: Isolate,
  upstream: Upstream,
): Promise<Answer> {
  const target = targetOf(request);
  const upload = new Upload(request);
  let attempts = 0;
  let arrived: Response | undefined;
  let backend: string | undefined;
  try {
    let { exchange, turn } = isolate.begin(requestHead(request, target, upload.size));
    while (turn.tag === 'send') {
      // The response of an attempt that is followed by another is let go.
      arrived?.body?.cancel().catch(() => {});
      arrived = undefined;
      backend = upstream.backends[turn.val.backend]?.name;
      attempts += 1;
      let outcome: Outcome;
      try {
        const sent = await upstream.send(request, target, turn.val, upload);
        const { replayable } = upload;
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
      const response = forward(request, arrived, turn.val, isolate, upstream);
      return { response, target, backend, attempts };
    }
    const response = turn.tag === 'reply' ? local(turn.val, request.method) : plain(502);
    return { response, target, attempts };
  } catch (error) {
    if (error instanceof ClientGone) {
      // Nobody reads it; the status is for the log.
      return { response: plain(499), target, attempts };
    }
    console.error({ message: 'the exchange failed', error: String(error) });
    return { response: plain(502), target, attempts };
  }
}

/** Path and query, which follow scheme and authority as they came. */
function targetOf({ url, method }: Request): string {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  if (start >= 0) {
    return url.slice(start);
  }
  return method === 'OPTIONS' ? '*' : '/';
}

function requestHead({ headers, method, url }: Request, target: string, body: BodySize): RequestHead {
  // The runtime hides `Connection` from Workers, but the policy asks for it.
  const hidden = headers.has('upgrade') && !headers.has('connection');
  return {
    method,
    scheme: url.startsWith('https:') ? 'https' : 'http',
    authority: headers.get('host') ?? new URL(url).host,
    target,
    peer: '',
    body,
    fields: pack(headers, hidden ? 'connection:upgrade\n' : ''),
  };
}

function responseHead({ status, body, headers }: Response) {
  return { status, body: bodySize(body, headers), fields: pack(headers) };
}

/** Statuses whose responses have no content, whatever their fields say. */
const BODILESS = new Set([101, 204, 205, 304]);

/** The backend's response as the client gets it. */
function forward(
  { method }: Request,
  response: Response,
  { edits, tail }: Forward,
  isolate: Isolate,
  upstream: Upstream,
): Response {
  const { status, statusText, webSocket } = response;
  const headers = new Headers(response.headers);
  apply(edits, headers);
  if (webSocket !== null) {
    // From here on the runtime joins both sides; no byte passes through here.
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
