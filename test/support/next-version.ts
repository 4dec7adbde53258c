import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PROTOCOL_VERSION } from '../../src/core/messages/protocol-version.ts';
import type * as Sdk from '../../src/sdk/quartermaster.ts';

/** Fields that nobody knows in each object that is sent or stored, and after each batch what nobody understands. */
const UNKNOWN_FIELDS = `
const ofUsers = new Set(['extended']);
function later(value, name) {
    if (Array.isArray(value)) return value.map((each) => later(each));
    if (typeof value !== 'object' || value === null || ofUsers.has(name)) return value;
    const fields = Object.entries(value).map(([field, inner]) => [field, later(inner, field)]);
    return { ...Object.fromEntries(fields), fromTheFuture: { any: ['thing', 1, null] } };
}
function laterMessages(messages) {
    const said = messages.map((message) => ({ ...message, ...(message.body === undefined ? {} : { body: later(message.body) }) }));
    return [...said, { type: 'tellTheFuture', body: { n: 1 } }, { type: 'askTheFuture', id: -1, body: {} }];
}
`;

/** A program as it was built, of this version or of a later one that exists for tests only. */
export class BuiltVersion {
  /** The present one. */
  static readonly present = new BuiltVersion(resolve('.'), PROTOCOL_VERSION, false);

  readonly protocolVersion: number;
  readonly #folder: string;
  readonly #temporary: boolean;

  private constructor(folder: string, protocolVersion: number, temporary: boolean) {
    this.#folder = folder;
    this.protocolVersion = protocolVersion;
    this.#temporary = temporary;
  }

  /**
   * The present one, copied and changed so that its protocol version is higher by that much, it speaks the one before
   * too, and everything that it says and stores has fields in it that nobody knows.
   */
  static later(by: number): BuiltVersion {
    const folder = mkdtempSync(join(tmpdir(), 'qm-version-'));
    const protocolVersion = PROTOCOL_VERSION + by;
    cpSync('dist/src', join(folder, 'dist/src'), { recursive: true });
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    const change = (path: string, ...edits: readonly (readonly [from: string, to: string])[]): void => {
      let text = readFileSync(join('.', path), 'utf8');
      for (const [from, to] of edits) {
        if (!text.includes(from)) throw new Error(`${path} has no ${from}`);
        text = text.replaceAll(from, to);
      }
      writeFileSync(join(folder, path), text);
    };
    change('package.json', ['"version": "', `"version": "${protocolVersion}.`]);
    change(
      'dist/src/core/messages/protocol-version.js',
      [
        `export const PROTOCOL_VERSION = ${PROTOCOL_VERSION};`,
        `export const PROTOCOL_VERSION = ${protocolVersion};`,
      ],
      [
        `export const OLDEST_PROTOCOL_VERSION = `,
        `export const OLDEST_PROTOCOL_VERSION = ${protocolVersion - 1}; //`,
      ],
    );
    change('dist/src/rpc/wire-format.js', [
      'return toJson({ messages });',
      `return toJson({ messages: laterMessages(messages), also: 1 });\n}${UNKNOWN_FIELDS}{`,
    ]);
    change('dist/src/resourcemanager/records.js', [
      'encode: toJson',
      'encode: (record) => toJson({ ...record, fromTheFuture: { a: [1] } })',
    ]);
    change('dist/src/ha/election-records.js', [
      'return JSON.stringify({',
      'return JSON.stringify({ fromTheFuture: { a: [1] }, ',
    ]);
    return new BuiltVersion(folder, protocolVersion, true);
  }

  /** The command line. */
  get main(): string {
    return join(this.#folder, 'dist/src/cli/main.js');
  }

  /** Its package, as a program imports it. */
  sdk(): Promise<typeof Sdk> {
    return import(pathToFileURL(join(this.#folder, 'dist/src/sdk/quartermaster.js')).href) as Promise<
      typeof Sdk
    >;
  }

  remove(): void {
    if (this.#temporary) rmSync(this.#folder, { recursive: true, force: true });
  }
}
