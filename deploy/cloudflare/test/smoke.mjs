import http from 'node:http';
import { start } from './support/workerd.ts';
const s = http.createServer((q, r) => { let n=0; q.on('data', d => n+=d.length); q.on('end', () => { r.setHeader('set-cookie', ['a=1','b=2']); r.end(JSON.stringify([q.method, q.url, q.rawHeaders, n])+'\n'); }); }).listen(0);
const p = s.address().port;
const w = await start({ BACKEND_A: `http://127.0.0.1:${p}`, BACKEND_B: 'http://127.0.0.1:1', CLIENT_IP_HEADER: 'cf-connecting-ip' });
for (const init of [{}, {method:'POST', body:'hello'}, {method:'HEAD'}, {method:'DELETE'}, {}]) { const r = await fetch(w.url + '/stremio/0b9c1d52-6f1a-4a0e-9d0a-0123456789ab/x?a=b', init); console.log(r.status, [...r.headers], await r.text()); }
console.log(w.log());
await w[Symbol.asyncDispose](); s.close();
