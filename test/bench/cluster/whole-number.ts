/** The number that this setting gives; an error that names the setting when it is none from `least` to `most`. */
export function wholeNumber(
  name: string,
  text: string | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  const value = Number(text ?? fallback);
  if ((text === undefined || /^\d+$/.test(text)) && value >= least && value <= most) return value;
  throw new Error(`${name} must be a whole number from ${least} to ${most}, but is ${JSON.stringify(text)}.`);
}
