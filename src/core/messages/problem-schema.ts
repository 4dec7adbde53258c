import { z } from 'zod';
import { PROBLEM_CODES, type Problem, type ProblemCode } from '../problem.ts';
import { fencingToken, list } from './primitives.ts';

const codes = Object.keys(PROBLEM_CODES) as [ProblemCode, ...ProblemCode[]];

/** What is beyond this, in characters, is cut off: a detail is for people and for logs. */
const MOST_DETAIL_LENGTH = 4_096;

/** A problem as it travels in a message. A code of a newer version is read as `INTERNAL`. */
export const problem = z.object({
  code: z.enum(codes).catch('INTERNAL'),
  detail: z.string().transform((text) => text.slice(0, MOST_DETAIL_LENGTH)),
  fields: list(z.object({ field: z.string(), detail: z.string() }), 1_000).optional(),
  leader: z.object({ resourceManagerId: z.string(), address: z.string() }).nullable().optional(),
  token: fencingToken.optional(),
  retryAfterMs: z.number().optional(),
}) satisfies z.ZodType<Problem>;
