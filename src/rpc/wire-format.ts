import { z } from 'zod';
import {
  NOTIFICATIONS,
  REQUESTS,
  type NotificationType,
  type RequestType,
} from '../core/messages/catalogue.ts';
import { problem as problemSchema } from '../core/messages/problem-schema.ts';
import { QuartermasterError, type FieldProblem, type Problem } from '../core/problem.ts';

/** A frame longer than this, in characters, is refused with `TOO_LARGE`. */
export const MAX_FRAME_LENGTH = 16 * 1024 * 1024;

/** A problem names at most this many wrong fields. */
const MAX_FIELDS_NAMED = 20;

/** One message within a frame, before its body has been looked at. */
export type Envelope =
  | { readonly type: string; readonly id: number; readonly body: unknown }
  | { readonly type: string; readonly body: unknown }
  | { readonly reply: number; readonly body: unknown }
  | { readonly reply: number; readonly problem: unknown };

/** More messages than this in one frame are refused as a whole. */
const MAX_MESSAGES_PER_FRAME = 100_000;

const frameSchema = z.object({ messages: z.array(z.unknown()).max(MAX_MESSAGES_PER_FRAME) });
const requestEnvelope = z.object({ type: z.string(), id: z.int(), body: z.unknown() });
const notificationEnvelope = z.object({ type: z.string(), body: z.unknown() });
const replyEnvelope = z.object({ reply: z.int(), body: z.unknown() });
const problemEnvelope = z.object({ reply: z.int(), problem: z.record(z.string(), z.unknown()) });

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** JSON with bigints as decimal strings, the form in which every revision travels. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, bigintAsText);
}

/** One frame with all these messages, in order. */
export function encodeFrame(messages: readonly Envelope[]): string {
  return toJson({ messages });
}

/** The messages of a frame; throws `INVALID` or `TOO_LARGE` and has no effect then. */
export function decodeFrame(frame: string): Envelope[] {
  if (frame.length > MAX_FRAME_LENGTH) {
    throw new QuartermasterError({
      code: 'TOO_LARGE',
      detail: `A frame may have ${MAX_FRAME_LENGTH} characters, this one has ${frame.length}.`,
    });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(frame);
  } catch (cause) {
    throw new QuartermasterError({ code: 'INVALID', detail: 'The frame is not JSON.' }, { cause });
  }
  // One at a time, so that a frame full of nonsense costs no more than its first wrong message.
  return parse(frameSchema, parsed, 'The frame').messages.map(toEnvelope);
}

function toEnvelope(value: unknown, index: number): Envelope {
  const what = `Message ${index} of the frame`;
  const message =
    typeof value === 'object' && value !== null ? value : parse(notificationEnvelope, value, what);
  if (!Object.hasOwn(message, 'reply')) {
    return parse(Object.hasOwn(message, 'id') ? requestEnvelope : notificationEnvelope, message, what);
  }
  return parse(Object.hasOwn(message, 'problem') ? problemEnvelope : replyEnvelope, message, what);
}

/** The body of a request of that type; throws `INVALID`, naming each wrong field. */
export function decodeRequest(type: string, body: unknown): { type: RequestType; body: unknown } {
  if (!Object.hasOwn(REQUESTS, type)) throw unknownType(type);
  const known = type as RequestType;
  return { type: known, body: parse(REQUESTS[known].request, body, type) };
}

/** The body of a notification; null when this version does not know the type. */
export function decodeNotification(
  type: string,
  body: unknown,
): { type: NotificationType; body: unknown } | null {
  if (!Object.hasOwn(NOTIFICATIONS, type)) return null;
  const known = type as NotificationType;
  return { type: known, body: parse(NOTIFICATIONS[known], body, type) };
}

/** The reply to a request of that type; throws `INVALID`. */
export function decodeReply(type: RequestType, body: unknown): unknown {
  return parse(REQUESTS[type].reply, body, `The reply to ${type}`);
}

/** A problem that came as a reply; whatever cannot be read is `INTERNAL`. */
export function decodeProblem(value: unknown): Problem {
  const result = problemSchema.safeParse(value);
  return result.success ? result.data : { code: 'INTERNAL', detail: 'The problem could not be read.' };
}

/** Parses by a schema; throws `INVALID` with one entry for each wrong field. */
export function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.flatMap(fieldProblems).slice(0, MAX_FIELDS_NAMED);
  const named = fields.map((f) => `${f.field === '' ? 'the value' : f.field}: ${f.detail}`).join('; ');
  throw new QuartermasterError({ code: 'INVALID', detail: `${what} is not valid: ${named}.`, fields });
}

/** An issue names its field, and an unknown field by its own name. */
function fieldProblems(issue: z.core.$ZodIssue): FieldProblem[] {
  if (issue.code !== 'unrecognized_keys') {
    return [{ field: issue.path.map(String).join('.'), detail: issue.message }];
  }
  return issue.keys.map((key) => ({
    field: [...issue.path, key.slice(0, 64)].map(String).join('.'),
    detail: 'is not known',
  }));
}

function unknownType(type: string): QuartermasterError {
  return new QuartermasterError({
    code: 'INVALID',
    detail: `There is no request of type ${JSON.stringify(type.slice(0, 64))}.`,
    fields: [{ field: 'type', detail: 'is not known' }],
  });
}
