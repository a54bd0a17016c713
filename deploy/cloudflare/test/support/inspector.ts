// What is in the heap of an isolate, over the protocol of V8's inspector.

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { WebSocket } from 'ws';

import { get } from './client.ts';
import type { Worker } from './workerd.ts';

/** Bytes that are alive after a garbage collection, in and around the heap. */
export async function alive(worker: Worker): Promise<number> {
  const targets = await (await fetch(`http://127.0.0.1:${worker.inspectorPort}/json`)).json();
  const socket = new WebSocket((targets as [{ webSocketDebuggerUrl: string }])[0].webSocketDebuggerUrl);
  await once(socket, 'open');
  const answers = new Map<number, (result: Record<string, number>) => void>();
  socket.on('message', text => {
    const { id, result } = JSON.parse(String(text));
    answers.get(id)?.(result);
  });
  const call = (method: string) =>
    new Promise<Record<string, number>>(resolve => {
      const id = answers.size + 1;
      answers.set(id, resolve);
      socket.send(JSON.stringify({ id, method }));
    });
  await call('HeapProfiler.enable');
  // An isolate that has nothing to do may leave this unanswered; what finalizers
  // let go is collected by the second.
  for (let collected = 0; collected < 2; ) {
    const collection = call('HeapProfiler.collectGarbage').then(() => true);
    await get(worker, '/');
    collected += Number(await Promise.race([collection, sleep(500, false)]));
  }
  const usage = await call('Runtime.getHeapUsage');
  socket.terminate();
  const { usedSize = 0, embedderHeapUsedSize = 0, backingStorageSize = 0 } = usage;
  return usedSize + embedderHeapUsedSize + backingStorageSize;
}
