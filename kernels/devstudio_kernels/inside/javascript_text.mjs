// What can be told from the text of a cell alone.

import vm from 'node:vm';

/** What stands in for `import` where a cell calls it: V8 knows no loader for a console. */
export const IMPORT = '$import';
const TOKEN =
  /\/\/[^\n]*|\/\*[^]*?\*\/|'(?:\\[^]|[^'\\\n])*'|"(?:\\[^]|[^"\\\n])*"|[\p{ID_Start}$_][\p{ID_Continue}$]*|\d[\w.]*|\s+|[^]/uy;
const PATTERN = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/\w*/y;
const TEMPLATE = /(?:\\[^]|\$(?!\{)|[^`\\$])*(?:`|\$\{)?/y;
const BEFORE_PATTERN = /^(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield|[^\w$)\]}'"`])$/;
const INCOMPLETE = /^(?:Unexpected end of input|Unterminated template literal)/;
const CLOSERS = 50;

function match(pattern, code, at) {
  pattern.lastIndex = at;
  return pattern.exec(code)?.[0];
}

/** Let every call of `import` in a cell go through the loader, but for what is in texts, comments and patterns. */
export function withImports(code) {
  if (!/\bimport\s*\(/.test(code)) return code;
  const braces = []; // of each template that is open: how many braces are open inside its `${`
  let out = '';
  let before = ';';
  for (let at = 0; at < code.length; ) {
    let token = match(TOKEN, code, at);
    let template = token === '`';
    if (token === '{' && braces.length) braces[braces.length - 1] += 1;
    if (token === '}' && braces.length) template = (braces[braces.length - 1] -= 1) < 0 && (braces.pop(), true);
    if (token === '/' && BEFORE_PATTERN.test(before)) token = match(PATTERN, code, at) ?? token;
    if (template) {
      token += match(TEMPLATE, code, at + 1);
      if (token.endsWith('${')) braces.push(0);
    }
    at += token.length;
    const isCall = token === 'import' && before !== '.' && /^\s*\(/.test(code.slice(at, at + 100));
    out += isCall ? IMPORT : token;
    if (!/^(?:\s|\/[/*])/.test(token)) before = template ? (token.endsWith('${') ? '{' : '`') : token;
  }
  return out;
}

function problemOf(code) {
  try {
    new vm.Script(code);
    return '';
  } catch (problem) {
    return problem.message;
  }
}

/** Tell whether a cell is `complete`, `incomplete` or `invalid`. */
export function isComplete(code) {
  let problem = problemOf(code);
  if (!problem) return 'complete';
  let text = code;
  if (/\bawait\b/.test(code)) {
    text = `(async () => {${code}\n})()`;
    problem = problemOf(text);
    if (!problem) return 'complete';
    text = `(async () => {${code}`;
    problem = problemOf(text);
    if (INCOMPLETE.test(problem)) return 'incomplete';
  }
  for (let tries = 0; tries < CLOSERS && problem.startsWith('missing ) after'); tries += 1) problem = problemOf((text += ')'));
  return !problem || INCOMPLETE.test(problem) ? 'incomplete' : 'invalid';
}

/** Split what is before the cursor: of which object a name is wanted, and how it begins. */
export function expressionBefore(before) {
  const [, owner = '', start] =
    /(?:((?:[\p{ID_Start}$_][\p{ID_Continue}$]*|\)|\])(?:\??\.[\p{ID_Start}$_][\p{ID_Continue}$]*|\[(?:\d+|'[^']*'|"[^"]*")\])*)\??\.)?([\p{ID_Continue}$]*)$/u.exec(before);
  const unknown = owner ? /^[)\]]/.test(owner) : /[^.]\.$/.test(before.slice(0, before.length - start.length));
  return { owner: unknown ? 'undefined' : owner, start }; // what runs code is not looked at
}
