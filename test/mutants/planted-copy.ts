import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Patch } from '../exhaustive/explicit-copy.ts';

/** A copy of everything that is compiled, in a folder of its own, from which it can be run. */
export interface PlantedCopy {
  readonly folder: string;
  remove(): void;
}

/** The text of a file below `dist/src` with the patches; throws when one of them does not fit exactly once. */
export function patched(file: string, text: string, patches: readonly Patch[]): string {
  let result = text;
  for (const { from, to } of patches) {
    const found = result.split(from).length - 1;
    if (found !== 1) throw new Error(`dist/src/${file} holds ${found} times, not once: ${from}`);
    if (from === to) throw new Error(`dist/src/${file}: the patch changes nothing: ${from}`);
    result = result.replace(from, () => to);
  }
  return result;
}

/** Every patch on what is compiled now, by file; throws when one of them does not fit exactly once. */
export function patchedFiles(patches: readonly Patch[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const file of new Set(patches.map((patch) => patch.file))) {
    const text = readFileSync(join('dist/src', file), 'utf8');
    const mine = patches.filter((patch) => patch.file === file);
    files.set(file, patched(file, text, mine));
  }
  return files;
}

/** Copies `dist` and plants the patches in the copy; what ships is not touched. */
export function plant(patches: readonly Patch[]): PlantedCopy {
  const files = patchedFiles(patches);
  const folder = mkdtempSync(join(tmpdir(), 'quartermaster-mutant-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    cpSync('dist', join(folder, 'dist'), {
      recursive: true,
      filter: (path) => !/(\.map|\.d\.ts|\.tsbuildinfo)$|dist\/exhaustive/.test(path),
    });
    for (const [file, text] of files) writeFileSync(join(folder, 'dist/src', file), text);
    for (const file of ['package.json', '.mocharc.json']) copyFileSync(file, join(folder, file));
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  } catch (error) {
    remove();
    throw error;
  }
  return { folder, remove };
}
