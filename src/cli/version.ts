import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** Version of this software, from the package that it was built from. */
export function readVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(file, 'utf8'))).version;
}
