// edgelb on Cloudflare Workers: the entry.

import { isLogged, logEvent, logRequest } from './access_log.js';
import { answer } from './exchange.js';
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
  async fetch(request, env): Promise<Response> {
    edge ??= start(env);
    const begun = Date.now();
    const answered = await answer(request, edge.isolate, edge.upstream);
    if (edge.logged) {
      logRequest(request, answered, Date.now() - begun);
    }
    return answered.response;
  },
} satisfies ExportedHandler<Record<string, unknown>>;

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
    console.error({ message: 'the configuration is faulty', errors });
  }
  const upstream = new Upstream(configuration);
  return { isolate, upstream, logged };
}
