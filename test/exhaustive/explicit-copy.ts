import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A change of the compiled code of a copy; `from` must occur in that file exactly once. */
export interface Patch {
  /** Below `dist/src`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** An arrow function that lives on in a machine's state, by how it begins, and the variables that it captures. */
interface KeptFunction {
  readonly file: string;
  readonly begins: string;
  readonly captures: readonly string[];
}

const KEPT_FUNCTIONS: readonly KeptFunction[] = [
  { file: 'ha/embedded/mvcc-state.js', begins: '() => { };', captures: [] },
  { file: 'core/jobmaster/pool-state.js', begins: '() => this.nextCallId()', captures: [] },
  { file: 'core/slotmanager/recovery.js', begins: '() => this.#endGrace()', captures: [] },
  {
    file: 'core/slotmanager/recovery.js',
    begins: "() => {\n                if (this.#phase === 'brake')",
    captures: [],
  },
  {
    file: 'core/slotmanager/command-sender.js',
    begins: "() => {\n            if (slot.freeing === 'wanted')",
    captures: ['slot'],
  },
  {
    file: 'core/slotmanager/command-sender.js',
    begins: '() => {\n            entry.reportWanted = null;',
    captures: ['entry', 'attempt'],
  },
  { file: 'core/slotmanager/command-sender.js', begins: '() => this.touch(entry)', captures: ['entry'] },
  {
    file: 'core/slotmanager/command-sender.js',
    begins: '() => this.#onSilence(entry, number)',
    captures: ['entry', 'number'],
  },
  { file: 'core/slotmanager/slot-book.js', begins: '() => this.#place(slot)', captures: ['slot'] },
  {
    file: 'core/slotmanager/request-book.js',
    begins: '() => this.#timeOut(request)',
    captures: ['request'],
  },
  {
    file: 'core/slotmanager/request-book.js',
    begins: '() => this.finish(request, ENDED)',
    captures: ['request'],
  },
  {
    file: 'core/slotmanager/request-book.js',
    begins:
      "() => {\n            if (request.state === 'waiting')\n                this.toPlace.add(request);\n        });\n    }\n    /** Whether",
    captures: ['request'],
  },
  {
    file: 'core/slotmanager/request-book.js',
    begins:
      "() => {\n            if (request.state === 'waiting')\n                this.toPlace.add(request);\n        });\n    }\n    isExcluded",
    captures: ['request'],
  },
  { file: 'core/slotmanager/request-book.js', begins: '(request, taskExecutor) => {', captures: [] },
  {
    file: 'core/slotmanager/placement.js',
    begins: "() => {\n                if (request.state === 'waiting')",
    captures: ['request'],
  },
  { file: 'core/slotmanager/placement.js', begins: '() => { });\n    }\n}', captures: [] },
  {
    file: 'core/slotmanager/create-slot-manager.js',
    begins: '(entry, number) => this.#answers.answered(',
    captures: [],
  },
];

/** Functions of single modules that the model calls and that nothing else needs from outside. */
const EXPORTS: Readonly<Record<string, readonly string[]>> = {
  'ha/confirm-term.js': ['judgeElseBranch', 'EVIDENCE'],
};

const FOLDERS = ['core', 'runtime', 'ha'];

const HELD = `
/** A function whose captured variables can be seen, so that what it belongs to can be copied and compared. */
export function held(self, captured, body) {
  const call = (...given) => body.call(call.$held.self, call.$held.captured, ...given);
  call.$held = { self, captured, body };
  return call;
}
`;

/**
 * Copies the compiled machines into a folder of their own, in which nothing is private and no function captures
 * variables unseen, so that any state can be copied, compared and gone back to; loads them from there. What runs is
 * otherwise the code that ships, but for the patches. `load` gets the URL of the copy's `src/`.
 */
export async function fromExplicitCopy<T>(
  patches: readonly Patch[],
  load: (url: string) => Promise<T>,
): Promise<T> {
  mkdirSync('dist/exhaustive', { recursive: true });
  const folder = mkdtempSync(resolve('dist/exhaustive/copy-'));
  try {
    copyTo(join(folder, 'src'), patches);
    return await load(pathToFileURL(`${join(folder, 'src')}/`).href);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function copyTo(target: string, patches: readonly Patch[]): void {
  const source = resolve('dist/src');
  mkdirSync(target, { recursive: true });
  for (const folder of FOLDERS) {
    cpSync(join(source, folder), join(target, folder), {
      recursive: true,
      filter: (path) => !/\.(map|d\.ts)$/.test(path),
    });
  }
  const files = readdirSync(target, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.js'),
  );
  for (const patch of patches) {
    if (!files.includes(patch.file)) throw new Error(`there is no ${patch.file} to patch`);
  }
  for (const file of files) {
    const path = join(target, file);
    let text = readFileSync(path, 'utf8');
    for (const { from, to } of patches.filter((patch) => patch.file === file)) {
      if (text.split(from).length !== 2) throw new Error(`${file} does not hold exactly once: ${from}`);
      text = text.replace(from, () => to);
    }
    const kept = KEPT_FUNCTIONS.filter((each) => each.file === file);
    for (const each of kept) text = hold(text, each);
    if (kept.length > 0) {
      const specifier = relative(dirname(path), join(target, 'held.js'));
      text = `import { held } from '${specifier.startsWith('.') ? specifier : `./${specifier}`}';\n${text}`;
    }
    const names = EXPORTS[file];
    if (names !== undefined) text += `\nexport { ${names.join(', ')} };\n`;
    writeFileSync(path, text.replace(/#(?=[a-z])/g, '$'));
  }
  writeFileSync(join(target, 'held.js'), HELD);
}

/** Rewrites one arrow function so that it names what it captures. */
function hold(text: string, { file, begins, captures }: KeptFunction): string {
  const start = text.indexOf(begins);
  if (start === -1) throw new Error(`${file} holds no function that begins: ${begins}`);
  const arrow = text.indexOf('=>', start);
  const parameters = text.slice(start + 1, text.lastIndexOf(')', arrow)).trim();
  let at = arrow + 2;
  while (/\s/.test(text.charAt(at))) at += 1;
  const block = text.charAt(at) === '{';
  let depth = 0;
  let end = at;
  for (; end < text.length; end += 1) {
    const character = text.charAt(end);
    if (depth === 0 && !block && /[),;]/.test(character)) break;
    if ('({['.includes(character)) depth += 1;
    if (')}]'.includes(character)) depth -= 1;
    if (depth === 0 && block) {
      end += 1;
      break;
    }
  }
  const body = text.slice(at, end);
  const named = `{ ${captures.join(', ')} }`;
  const list = parameters === '' ? named : `${named}, ${parameters}`;
  const code = block ? body : `{ return ${body}; }`;
  return `${text.slice(0, start)}held(this, ${named}, function (${list}) ${code})${text.slice(end)}`;
}
