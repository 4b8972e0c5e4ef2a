// Runs the cells of a JavaScript notebook, in the global scope of this process. Descriptor 3 is a socket whose
// other end is devstudio_javascript.py; javascript_watch.mjs has it, in a thread that a busy cell cannot hold up.
//
// V8's own mode for consoles runs a cell: `await` at the top level, and `let`, `const` and `class` declared anew.

import { Session } from 'node:inspector';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { promiseHooks } from 'node:v8';
import vm from 'node:vm';
import { Worker } from 'node:worker_threads';

import { IMPORT, expressionBefore, isComplete, withImports } from './javascript_text.mjs';

const OURS = /file:\/\/\/run\/devstudio\/|\(node:inspector|node:internal\/|\[nodejs\.internal\./;
const NAMES = 500;
const STOPPED = { name: 'Error', message: 'The cell was stopped.', lines: ['The cell was stopped.'] };
const session = new Session();
const hold = { value: undefined };
let held = '';
const running = new Set();
const promises = new Map(); // of each cell: V8 calls back when it collects one that nobody has settled, and Node would not survive that

/** Ask V8; the answer comes at once, unless it has to wait for a promise. */
function ask(method, parameters) {
  let answer;
  session.post(method, parameters, (problem, given) => {
    answer = problem ? { problem } : given;
  });
  return answer;
}

/** Return what V8 only names. */
function valueOf(remote) {
  if (!remote.objectId && !remote.unserializableValue) return remote.value;
  hold.value = undefined;
  const named = remote.objectId ? { objectId: remote.objectId } : { unserializableValue: remote.unserializableValue };
  ask('Runtime.callFunctionOn', { functionDeclaration: 'function (x) { this.value = x; }', objectId: held, arguments: [named] });
  return hold.value;
}

/** Describe what was thrown. */
function described(details) {
  const thrown = details.exception ? valueOf(details.exception) : new Error(details.text);
  try {
    if (thrown instanceof Error || Object.prototype.toString.call(thrown) === '[object Error]') {
      const lines = inspect(thrown).split('\n').filter((line) => !OURS.test(line));
      if (details.scriptId && details.url && !lines.some((line) => line.startsWith('    at '))) {
        lines.splice(1, 0, `    at ${details.url}:${details.lineNumber + 1}:${details.columnNumber + 1}`);
      }
      return { name: String(thrown.name || 'Error'), message: String(thrown.message), lines };
    }
    const shown = inspect(thrown);
    return { name: 'Uncaught', message: shown, lines: `Uncaught ${shown}`.split('\n') };
  } catch {
    return { name: 'Uncaught', message: 'what was thrown cannot be shown', lines: [] };
  }
}

/** Say how a cell went. */
function outcome(answer) {
  if (answer.exceptionDetails) return { error: described(answer.exceptionDetails) };
  try {
    const value = valueOf(answer.result);
    return value === undefined ? {} : { shown: inspect(value) };
  } catch (problem) {
    return { error: described({ exception: undefined, text: `the value cannot be shown: ${problem?.message}` }) };
  }
}

const operations = {
  run({ id, code, count }) {
    running.add(id);
    const name = `cell-${count}`;
    const expression = `${withImports(code)}\n//# sourceURL=${name}`;
    const how = { expression, replMode: true, objectGroup: 'cell' };
    const stop = promiseHooks.onInit((promise) => {
      promises.set(id, promise); // the first one is the cell's own
      stop();
    });
    session.post('Runtime.evaluate', how, (problem, answer) => {
      promises.delete(id);
      if (!running.delete(id)) return; // it was interrupted
      if (answer?.exceptionDetails) answer.exceptionDetails.url ??= name;
      const told = problem ? { error: STOPPED } : outcome(answer);
      session.post('Runtime.releaseObjectGroup', { objectGroup: 'cell' });
      watch.postMessage({ id, ...told });
    });
  },

  complete({ id, before }) {
    const { owner, start } = expressionBefore(before);
    const found = owner ? membersOf(owner) : globals();
    const names = [...new Set(found)].filter((name) => name.startsWith(start) && /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name));
    watch.postMessage({ id, names: names.sort().slice(0, NAMES), length: [...start].length });
  },

  inspect({ id, before, after }) {
    const { owner, start } = expressionBefore(before);
    const name = start + (/^[\p{ID_Continue}$]*/u.exec(after)?.[0] ?? '');
    const found = name ? peek(owner ? `${owner}.${name}` : name) : undefined;
    watch.postMessage({ id, text: found === undefined ? '' : explained(found.value) });
  },

  check({ id, code }) {
    watch.postMessage({ id, status: isComplete(code) });
  },

  place({ id, cwd, env }) {
    Object.assign(process.env, env);
    process.chdir(cwd);
    settle();
    watch.postMessage({ id });
  },
};

/** Look at a value, unless that would change anything. */
function peek(expression) {
  const how = { expression, throwOnSideEffect: true, silent: true, timeout: 500, objectGroup: 'peek' };
  const answer = ask('Runtime.evaluate', how);
  const found = answer && !answer.problem && !answer.exceptionDetails ? { value: valueOf(answer.result) } : undefined;
  session.post('Runtime.releaseObjectGroup', { objectGroup: 'peek' });
  return found;
}

function membersOf(expression) {
  const found = peek(expression)?.value;
  const names = [];
  if (found === undefined || found === null) return names;
  for (let one = Object(found); one; one = Object.getPrototypeOf(one)) names.push(...Object.getOwnPropertyNames(one));
  return names;
}

function globals() {
  return [...(ask('Runtime.globalLexicalScopeNames', {})?.names ?? []), ...membersOf('globalThis')];
}

function explained(value) {
  if (typeof value !== 'function') return inspect(value);
  const text = Function.prototype.toString.call(value);
  return text.length > 4000 ? `${text.slice(0, 4000)}…` : text;
}

/** Let `require` and `import` look where the notebook is. */
function settle() {
  const folder = process.cwd();
  const file = join(folder, 'notebook.js');
  const from = vm.compileFunction('return import(name, options)', ['name', 'options'], {
    filename: file,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const given = { require: createRequire(file), __filename: process.env.JPY_SESSION_NAME ?? file, __dirname: folder, [IMPORT]: from };
  for (const [name, value] of Object.entries(given)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

/** Say what went wrong outside of any cell's own course, and go on. */
function complain(thrown) {
  let shown = 'what was thrown cannot be shown';
  try {
    shown = inspect(thrown);
  } catch {
    // as it says
  }
  process.stderr.write(`Uncaught ${shown.split('\n').filter((line) => !OURS.test(line)).join('\n')}\n`);
}

for (const stream of [process.stdout, process.stderr]) stream._handle?.setBlocking?.(true); // who writes waits, and loses nothing
process.on('SIGINT', () => {}); // javascript_watch.mjs sees to it
process.on('uncaughtException', complain);
process.on('unhandledRejection', complain);
session.connect();
const place = Symbol.for('devstudio.hold');
globalThis[place] = hold;
held = ask('Runtime.evaluate', { expression: "globalThis[Symbol.for('devstudio.hold')]" }).result.objectId;
delete globalThis[place];
settle();
const watch = new Worker(new URL('./javascript_watch.mjs', import.meta.url));
watch.on('message', (request) => operations[request.op]?.(request));
operations.ping = ({ id }) => watch.postMessage({ id });
operations.interrupted = ({ id }) => running.delete(id);
