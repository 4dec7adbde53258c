import { expect } from 'chai';
import { QuartermasterError } from '../../../../src/core/problem.ts';
import { decodeRequest } from '../../../../src/rpc/wire-format.ts';

const token = { generation: 1, epoch: '5', leaderSessionId: 's' };
const profile = { cpuCores: 1, memoryMB: 512, extended: {} };
const lease = { allocationId: 'a', jobId: 'j', jobMasterId: 'm', instanceId: 'i', grantNumber: 1 };
const free = { slotNumber: 0, profile, state: 'free', lease: null };

/** The fields that are named when this JSON comes as the body of a request; empty when it is taken. */
function wrongFields(type: string, json: string): string[] {
  try {
    decodeRequest(type, JSON.parse(json));
    return [];
  } catch (error) {
    if (!(error instanceof QuartermasterError) || error.code !== 'INVALID') throw error;
    return (error.problem.fields ?? []).map(({ field }) => field);
  }
}

function request(fields: object): string {
  const requests = [{ allocationId: 'a', profile, remainingMs: 1, excluded: [], ...fields }];
  return JSON.stringify({ token, jobId: 'j', jobMasterId: 'm', requests });
}

function registration(slots: readonly object[]): string {
  const report = { reportNumber: 1, full: true, lastSeen: null, draining: false, slots };
  const names = { resourceId: 'te', instanceId: 'i', address: 'h:1', provider: null };
  return JSON.stringify({ token, ...names, report });
}

const WRONG: readonly (readonly [fact: string, type: string, json: string, field: string])[] = [
  [
    'a number that is infinite',
    'requestSlots',
    request({}).replace('512', '1e999'),
    'requests.0.profile.memoryMB',
  ],
  [
    'an amount below 0',
    'requestSlots',
    request({ profile: { ...profile, cpuCores: -1 } }),
    'requests.0.profile.cpuCores',
  ],
  [
    'an amount named __proto__, which would be lost',
    'requestSlots',
    request({}).replace('"extended":{}', '"extended":{"__proto__":1}'),
    'requests.0.profile.extended',
  ],
  [
    'an id that moves the cursor of a terminal',
    'requestSlots',
    request({ allocationId: '\u001b[2J' }),
    'requests.0.allocationId',
  ],
  [
    'a generation above which none could be declared',
    'requestSlots',
    request({}).replace('"generation":1', '"generation":10000000000'),
    'token.generation',
  ],
  [
    'an id that is too long',
    'requestSlots',
    request({ allocationId: 'a'.repeat(129) }),
    'requests.0.allocationId',
  ],
  ['an epoch beyond 64 bits', 'requestSlots', request({}).replace('"5"', `"${2n ** 63n}"`), 'token.epoch'],
  ['an epoch that is a number', 'requestSlots', request({}).replace('"5"', '5'), 'token.epoch'],
  [
    'a slot number out of range',
    'registerTaskExecutor',
    registration([{ ...free, slotNumber: 65_536 }]),
    'report.slots.0.slotNumber',
  ],
  ['a report that names a slot twice', 'registerTaskExecutor', registration([free, free]), 'report.slots'],
  [
    'a free slot with a lease',
    'registerTaskExecutor',
    registration([{ ...free, lease }]),
    'report.slots.0.lease',
  ],
  [
    'a claimed slot without a lease',
    'registerTaskExecutor',
    registration([{ ...free, state: 'claimed' }]),
    'report.slots.0.lease',
  ],
  [
    'a goodbye that is a book',
    'disconnectJobMaster',
    JSON.stringify({ token, jobId: 'j', jobMasterId: 'm', reason: 'x'.repeat(1_001) }),
    'reason',
  ],
];

describe('a message body', () => {
  it('is taken when nothing is wrong with it', () => {
    expect(wrongFields('requestSlots', request({}))).to.deep.equal([]);
    expect(
      wrongFields('registerTaskExecutor', registration([{ ...free, state: 'claimed', lease }])),
    ).to.deep.equal([]);
    expect(
      wrongFields('registerTaskExecutor', registration([{ ...free, state: 'quarantined' }])),
    ).to.deep.equal([]);
  });

  for (const [fact, type, json, field] of WRONG) {
    it(`is refused, with the field named, for ${fact}`, () => {
      expect(wrongFields(type, json)).to.deep.equal([field]);
    });
  }
});
