// edgelb on Cloudflare Workers: the entry.

import { isLogged, logEvent, logRequest, warn } from './access_log.js';
import { answer } from './exchange.js';
import { Incoming } from './incoming.js';
import { Isolate } from './isolate.js';
import { Upstream } from './upstream.js';

/** What lives as long as the isolate. */
interface Edge {
  readonly isolate: Isolate;
  readonly upstream: Upstream;
  readonly logged: boolean;
}

let edge: Edge | undefined;

export default {
  async fetch(request, env, context): Promise<Response> {
    edge ??= start(env);
    const incoming = new Incoming(request);
    const answered = handle(incoming, edge);
    const gone = () => {
      // Else the runtime stops a request at the point where it waits; this one is
      // to go on, and abandon its exchange in order.
      context.waitUntil(answered);
      incoming.leave();
    };
    request.signal.addEventListener('abort', gone);
    try {
      return await answered;
    } finally {
      // Left in place it would keep all of the request until a full collection,
      // which cost a fifteenth of all processor time.
      request.signal.removeEventListener('abort', gone);
    }
  },
} satisfies ExportedHandler<Record<string, unknown>>;

function handle(incoming: Incoming, { isolate, upstream, logged }: Edge): Promise<Response> {
  const begun = Date.now();
  return answer(incoming, isolate, upstream, account => {
    if (logged) {
      logRequest(incoming, account, Date.now() - begun);
    }
  });
}

/** Starts the policy; its environment are the variables and secrets among the bindings. */
function start(env: Record<string, unknown>): Edge {
  const environment = Object.entries(env).filter(
    (binding): binding is [string, string] => typeof binding[1] === 'string',
  );
  const logged = isLogged(env['EDGELB_LOG']);
  const isolate = new Isolate(environment, event => {
    if (logged) {
      logEvent(event, upstream.backends);
    }
  });
  const { configuration, errors } = isolate.configuration();
  if (errors.length > 0) {
    // Told here and nowhere else: whom the policy answers 500 need not know.
    warn('the configuration is faulty', { errors });
  }
  const upstream = new Upstream(configuration);
  return { isolate, upstream, logged };
}
