// Carries lines of JSON between the kernel and the thread that runs the cells, and ends a cell that is to be interrupted.

import { Session } from 'node:inspector';
import { Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';

const PATIENCE_MS = 200;
const INTERRUPTED = { name: 'Interrupted', message: 'The cell was interrupted.', lines: ['Interrupted: The cell was interrupted.'] };
const kernel = new Socket({ fd: 3, readable: true, writable: true });
const pings = new Map();
const asked = new Set(); // what has no answer yet
const victims = new Set(); // of these, what is being interrupted
let pinged = 0;
let rest = '';

function reply(answer) {
  if (!asked.delete(answer.id)) return; // it was interrupted
  const told = victims.delete(answer.id) && answer.error ? { ...answer, error: INTERRUPTED } : answer;
  kernel.write(`${JSON.stringify(told)}\n`);
}

/** Tell whether the thread of the cells gets to its messages: it waits for something, and runs nothing. */
function isIdle(patience) {
  const id = `ping-${(pinged += 1)}`;
  return new Promise((settle) => {
    const timer = setTimeout(() => pings.delete(id) && settle(false), patience);
    pings.set(id, () => {
      clearTimeout(timer);
      settle(true);
    });
    parentPort.postMessage({ op: 'ping', id });
  });
}

async function interrupt() {
  for (const id of asked) victims.add(id);
  let idle = await isIdle(PATIENCE_MS);
  const cells = new Session();
  if (!idle) cells.connectToMainThread();
  while (!idle && victims.size) {
    cells.post('Runtime.terminateExecution', () => {});
    idle = await isIdle(PATIENCE_MS);
  }
  cells.disconnect(); // the process would wait for it at its end
  for (const id of [...victims]) {
    parentPort.postMessage({ op: 'interrupted', id });
    reply({ id, error: INTERRUPTED });
  }
}

function take(request) {
  if (request.op === 'interrupt') return void interrupt();
  asked.add(request.id);
  parentPort.postMessage(request);
}

kernel.setEncoding('utf-8');
kernel.on('data', (piece) => {
  const lines = (rest + piece).split('\n');
  rest = lines.pop();
  for (const line of lines) take(JSON.parse(line));
});
parentPort.on('message', (answer) => {
  if (!pings.has(answer.id)) return reply(answer);
  pings.get(answer.id)();
  pings.delete(answer.id);
});
kernel.write(`${JSON.stringify({ id: 0, version: process.versions.node })}\n`);
