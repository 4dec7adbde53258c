import { expect } from 'chai';
import { z } from 'zod';

export type Json = Record<string, unknown>;
type Content = Record<string, { schema: Json; 'x-events'?: Record<string, Json> }>;
interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; required: boolean; schema: Json }[];
  responses: Record<string, { description: string; content: Content }>;
}
/** An OpenAPI document, as far as the tests look into it. */
export interface OpenApiDocument {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
}

/** A judge made of the document alone; it refuses fields that the document does not name. */
export function judge(document: OpenApiDocument, schema: Json): (value: unknown) => void {
  const $defs = Object.fromEntries(
    Object.entries(document.components.schemas).map(([name, definition]) => [name, closed(definition)]),
  );
  const text = JSON.stringify({ ...closed(schema), $defs }).replaceAll('#/components/schemas/', '#/$defs/');
  const type = z.fromJSONSchema(JSON.parse(text) as Parameters<typeof z.fromJSONSchema>[0]);
  return (value) => {
    const result = type.safeParse(value);
    expect(result.success, `${JSON.stringify(value)}: ${result.error?.message}`).to.equal(true);
  };
}

/** The schema with no other properties than those named, unless it says that there may be some. */
function closed(schema: unknown): Json {
  return JSON.parse(
    JSON.stringify(schema, (_key, value: unknown) =>
      isObjectSchema(value) && !('additionalProperties' in value)
        ? { ...value, additionalProperties: false }
        : value,
    ),
  ) as Json;
}

function isObjectSchema(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'object';
}
