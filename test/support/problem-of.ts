import { QuartermasterError, type Problem } from '../../src/core/problem.ts';

/** The problem with which a promise is rejected; throws when it is not. */
export async function problemOf(promise: Promise<unknown>): Promise<Problem> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof QuartermasterError) return error.problem;
    throw error;
  }
  throw new Error('was not rejected');
}
