/** `critical`: a failover may fail. `warning`: it takes longer, or happens for nothing. `note`: worth knowing. */
export type Severity = 'critical' | 'warning' | 'note';

/** Something that the doctor found, in sentences for people; `code` is for programs and never changes. */
export interface Finding {
  readonly severity: Severity;
  readonly code: string;
  /** The endpoint or address that it is about; null for all of them together. */
  readonly subject: string | null;
  readonly finding: string;
  /** What it costs in a failover. */
  readonly cost: string;
  readonly change: string;
}
