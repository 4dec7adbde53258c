import { expect } from 'chai';
import {
  compareWithEtcd,
  compareWithRecord,
  drawSession,
  ModelDiffers,
  type Said,
} from '../etcd-model/compare-stores.ts';
import { startModelSide } from '../etcd-model/model-side.ts';
import { faultyModel, PLANTED_FAULTS } from '../etcd-model/planted-faults.ts';

const OPERATIONS = 3_000;
/** As many have to be compared however slow the machine is, for the planted faults to be found. */
const LEAST_OPERATIONS = 1_000;
const LIMIT_MS = 4_000;
// One that is known to draw what every planted fault needs: a short run with another one may not.
const seed = Number(process.env['SEED'] ?? 2026);

describe(`the model of etcd (make model SEED=${seed} OPERATIONS=${OPERATIONS})`, function () {
  this.timeout(120_000);
  let record: Said[] = [];

  it('says the same as etcd to any operations, and in its watches', async () => {
    const limits = { leastOperations: LEAST_OPERATIONS, limitMs: LIMIT_MS };
    record = await compareWithEtcd(drawSession(seed, 0, OPERATIONS), () => {}, limits);
  });

  for (const [name, fault] of Object.entries(PLANTED_FAULTS)) {
    it(`is found out when ${name}`, async () => {
      expect(record, 'what etcd has said').to.have.length.above(LEAST_OPERATIONS);
      const model = await faultyModel(fault);
      const found = await compareWithRecord(record, startModelSide(model)).then(
        () => null,
        (error: unknown) => error,
      );
      expect(found).to.be.instanceOf(ModelDiffers);
    });
  }
});
