import { expect } from 'chai';
import fc from 'fast-check';
import { QuartermasterError } from '../../../src/core/problem.ts';
import { checkPrototypes, hostileJson } from './hostile-json.ts';

/** Printed in the title of each test of decoders; the same seed gives the same texts. */
export const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
/** `DECODER_RUNS` for more of them. */
export const RUNS = Number(process.env['DECODER_RUNS'] ?? 25);
/** What is said about wrong input is for people, however much of it there is. */
const LONGEST_MESSAGE = 20_000;

/** What comes out, or null when it was refused as it should be: with a problem that names what is wrong. */
export function read<T>(decode: () => T): T | null {
  let value: T | null = null;
  try {
    value = decode();
  } catch (error) {
    checkRefusal(error);
  }
  checkPrototypes();
  return value;
}

/** Throws unless it is a problem that says what is wrong, at a length that can be read. */
export function checkRefusal(error: unknown): void {
  if (!(error instanceof QuartermasterError)) throw error;
  expect(error.code).to.be.oneOf(['INVALID', 'TOO_LARGE', 'CONFLICT']);
  expect(error.problem.detail).to.have.length.within(10, LONGEST_MESSAGE);
}

/** The JSON, or null when it is none. */
export function parsed(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

/** Judges many hostile texts that are made of the samples. */
export function holds(samples: readonly unknown[], judge: (text: string) => void, numRuns = RUNS): void {
  expect(samples).to.not.have.length(0);
  fc.assert(fc.property(hostileJson(samples), judge), { seed, numRuns });
}

/** As text, but for what is nested too deep for that. */
export function inspectable(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return 'deep';
  }
}
