// The yardstick: the same job written as a plain Worker, all of it JavaScript.
// A GET through it and through edgelb leaves the same fields on both sides.

const OURS = 'edgelb';
const DOWN_TIME = 30_000;
const COOKIE_TTL = 86_400;
const TIMEOUT = 35_000;
const MAX_RETRIES = 3;

const HOP_BY_HOP = new Set([
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te',
  'transfer-encoding', 'upgrade',
]);
const REPLACED = new Set([
  'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'x-real-ip', 'forwarded',
  'cf-connecting-ip',
]);

/** @type {{ name: string, origin: string, hash: number, downUntil: number, failures: number }[] | undefined} */
let backends;

export default {
  async fetch(request, env) {
    backends ??= configure(env);
    const url = new URL(request.url);
    if (request.headers.get('cdn-loop')?.includes(OURS)) {
      return refusal(508, 'loop detected');
    }
    const client = request.headers.get('cf-connecting-ip') ?? '';
    const session = cookie(request.headers.get('cookie'), OURS);
    const order = choose(backends, client, session);
    const headers = outgoing(request, url, client, session !== undefined);
    const idempotent = request.method !== 'POST' && request.method !== 'PATCH';
    const body = request.method === 'GET' || request.method === 'HEAD' ? null : request.body;
    let last;
    for (const backend of order.slice(0, 1 + MAX_RETRIES)) {
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort(), TIMEOUT);
      const gone = () => controller.abort();
      request.signal.addEventListener('abort', gone);
      try {
        last = await fetch(backend.origin + url.pathname + url.search, {
          method: request.method,
          headers,
          body,
          redirect: 'manual',
          encodeResponseBody: 'manual',
          signal: controller.signal,
        });
      } catch {
        last = undefined;
      } finally {
        clearTimeout(timer);
        request.signal.removeEventListener('abort', gone);
      }
      const failed = last === undefined || (last.status >= 500 && last.status !== 501 && last.status !== 505);
      if (!failed) {
        backend.failures = 0;
        backend.downUntil = 0;
        return incoming(last, session === token(backend) ? undefined : backend, url.protocol);
      }
      backend.failures += 1;
      backend.downUntil = Date.now() + DOWN_TIME * backend.failures;
      if (!idempotent || body !== null) {
        break;
      }
    }
    return last === undefined ? refusal(502, 'no backend answered') : incoming(last, undefined, url.protocol);
  },
};

function configure(env) {
  return Object.entries(env)
    .filter(([name]) => name.startsWith('BACKEND_'))
    .map(([name, origin]) => ({ name, origin, hash: fnv(name + origin), downUntil: 0, failures: 0 }));
}

/** Rendezvous hashing over what is up; the session's backend first. */
function choose(all, client, session) {
  const now = Date.now();
  const up = all.filter(backend => backend.downUntil <= now);
  const key = fnv(client);
  return (up.length > 0 ? up : all.slice())
    .map(backend => ({ backend, score: session === token(backend) ? Infinity : mix(key ^ backend.hash) }))
    .sort((a, b) => b.score - a.score)
    .map(({ backend }) => backend);
}

function outgoing(request, url, client, hasSession) {
  const headers = new Headers(request.headers);
  const named = request.headers.get('connection')?.toLowerCase().split(',').map(name => name.trim()) ?? [];
  for (const name of [...headers.keys()]) {
    if (HOP_BY_HOP.has(name) || REPLACED.has(name) || named.includes(name) || name.includes('_')) {
      headers.delete(name);
    }
  }
  if (hasSession) {
    const rest = request.headers.get('cookie').split('; ').filter(pair => !pair.startsWith(`${OURS}=`));
    if (rest.length > 0) {
      headers.set('cookie', rest.join('; '));
    } else {
      headers.delete('cookie');
    }
  }
  const scheme = url.protocol.slice(0, -1);
  if (client !== '') {
    headers.set('x-forwarded-for', client);
  }
  headers.set('x-forwarded-proto', scheme);
  headers.set('x-forwarded-host', url.host);
  headers.set('forwarded', `for=${client || 'unknown'};host="${url.host}";proto=${scheme}`);
  headers.append('via', '1.1 edgelb');
  headers.append('cdn-loop', OURS);
  return headers;
}

function incoming(response, backend, protocol) {
  const headers = new Headers(response.headers);
  for (const name of [...headers.keys()]) {
    if (HOP_BY_HOP.has(name)) {
      headers.delete(name);
    }
  }
  headers.append('via', '1.1 edgelb');
  if (backend !== undefined) {
    const secure = protocol === 'https:' ? '; Secure' : '';
    headers.append(
      'set-cookie',
      `${OURS}=${token(backend)}; Path=/; Max-Age=${COOKIE_TTL}; HttpOnly; SameSite=Lax${secure}`,
    );
    headers.set('cache-control', 'private');
  }
  const { status, statusText, body } = response;
  return new Response(body, { status, statusText, headers, encodeBody: 'manual' });
}

function refusal(status, text) {
  return new Response(`${text}\n`, { status, headers: { 'content-type': 'text/plain', 'cache-control': 'no-store' } });
}

function cookie(field, name) {
  for (const pair of field?.split('; ') ?? []) {
    if (pair.startsWith(`${name}=`)) {
      return pair.slice(name.length + 1);
    }
  }
  return undefined;
}

function token(backend) {
  return mix(backend.hash).toString(16);
}

function fnv(text) {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

function mix(hash) {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
