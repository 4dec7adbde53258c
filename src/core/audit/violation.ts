/** A guarantee of the design that an audit can see broken. */
export type Guarantee = 'G1' | 'G2' | 'G3' | 'G4' | 'G5' | 'G6' | 'G7' | 'G8' | 'G9';

/** One broken guarantee, and where it shows. */
export interface Violation {
  readonly guarantee: Guarantee;
  /** Name of the rule that was broken, for scripts. */
  readonly rule: string;
  /** One sentence for people. */
  readonly detail: string;
  /** Keys in etcd, or slots as `resource/slot`. */
  readonly keys: readonly string[];
  /** Revisions of etcd that show it; none for what only journals show. */
  readonly revisions: readonly bigint[];
  /** Lines of journals that show it, as `file:line`; none for what only etcd shows. */
  readonly places: readonly string[];
}
