import { randomBytes } from 'node:crypto';
import { v4 } from 'uuid';
import type { Randomness } from './randomness.ts';

/** Chance from the operating system. */
export class SystemRandomness implements Randomness {
  uuid(): string {
    return v4();
  }

  leaseId(): bigint {
    const id = randomBytes(8).readBigUInt64BE() & 0x7fff_ffff_ffff_ffffn;
    return id === 0n ? 1n : id;
  }

  fraction(): number {
    return randomBytes(4).readUInt32BE() / 0x1_0000_0000;
  }
}
