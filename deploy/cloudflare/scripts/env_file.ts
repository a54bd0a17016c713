// Files of `NAME=value` lines, as `edgelb serve --env-file` reads them
// (docs/configuration.md, "A file of variables").

import { readFile } from 'node:fs/promises';

/** Reads the file. What is wrong is told by its line's number, and never shown. */
export async function readEnvFile(file: string): Promise<Record<string, string>> {
  try {
    const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return Object.fromEntries(parse(utf8.decode(await readFile(file))));
  } catch (error) {
    throw new Error(`--env-file \`${file}\`: ${error instanceof Error ? error.message : error}`);
  }
}

/** The variables of this text, in order. */
export function parse(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const [index, whole] of text.split(/\r?\n/).entries()) {
    const fail = (what: string) => new Error(`line ${index + 1}: ${what}`);
    const line = trim(whole);
    if (line === '' || line.startsWith('#')) {
      continue;
    }
    const [, before, after] = /^(?:export )?([^=]*)=(.*)$/s.exec(line) ?? [];
    if (before === undefined || after === undefined) {
      throw fail('there is no `=`; expected NAME=value');
    }
    const name = trim(before);
    if (name === '' || /\p{White_Space}/u.test(name)) {
      throw fail('no name is before the `=`; expected NAME=value');
    }
    if (variables.has(name)) {
      throw fail(`\`${name}\` is set a second time`);
    }
    const value = trim(after);
    if (!/^["']/.test(value)) {
      variables.set(name, trim(after.replace(/(?<=\p{White_Space})#.*$/su, '')));
      continue;
    }
    const [, , quoted, rest] = /^(["'])(.*?)\1(.*)$/s.exec(value) ?? [];
    if (quoted === undefined || rest === undefined) {
      throw fail(`the quote of \`${name}\` does not close`);
    }
    if (!/^\p{White_Space}*(?:#|$)/u.test(rest)) {
      throw fail(`more than a comment follows the closing quote of \`${name}\``);
    }
    variables.set(name, quoted);
  }
  return variables;
}

/** White space is what Unicode calls so, as for the other reader; `trim()` has a list of its own. */
function trim(text: string): string {
  return text.replace(/^\p{White_Space}+/u, '').replace(/\p{White_Space}+$/u, '');
}
