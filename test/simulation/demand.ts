/** Fails a scenario with that sentence unless what it demands holds. */
export function demand(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(sentence);
}
