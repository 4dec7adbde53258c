import type { DrillEvidence, DrillGuarantee, DrillViolation } from './drill-evidence.ts';

/** What judges of a drill find, each with the round in which it happened. */
export class DrillFindings {
  readonly violations: DrillViolation[] = [];
  readonly #faultsAtWallMs: readonly { readonly round: number; readonly faultAtWallMs: number }[];

  constructor({ rounds }: Pick<DrillEvidence, 'rounds'>) {
    this.#faultsAtWallMs = rounds.toSorted((a, b) => a.faultAtWallMs - b.faultAtWallMs);
  }

  /** `atWallMs` null: it belongs to no round. */
  add(
    guarantee: DrillGuarantee,
    rule: string,
    detail: string,
    places: readonly string[],
    atWallMs: number | null,
  ): void {
    const fault = this.#faultsAtWallMs.findLast(
      ({ faultAtWallMs }) => atWallMs !== null && faultAtWallMs <= atWallMs,
    );
    this.violations.push({ guarantee, rule, detail, places, round: fault?.round ?? null });
  }
}
