/** Called with a broken invariant or a lost precondition: logs it and ends the process; never called twice. */
export type FatalHandler = (error: Error) => void;
