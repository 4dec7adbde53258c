import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { z } from 'zod';
import { NOTIFICATIONS, REQUESTS } from '../../../../src/core/messages/catalogue.ts';
import { PROBLEM_CODES } from '../../../../src/core/problem.ts';

const PAGE = readFileSync('src/core/messages/README.md', 'utf8');

function chapter(title: string): string {
  const text = PAGE.split(/^## /m).find((part) => part.startsWith(`${title}\n`));
  if (text === undefined) throw new Error(`the page has no chapter ${title}`);
  return text;
}

/** What the page says of each message of a chapter, by its type. */
function sections(title: string): Map<string, string> {
  const parts = chapter(title).split(/^### /m).slice(1);
  return new Map(parts.map((part) => [part.slice(1, part.indexOf('`', 1)), part]));
}

function fieldsNamed(section: string, label: string): string[] {
  const line = section.split('\n').find((text) => text.startsWith(`- ${label}: `)) ?? '';
  return [...line.matchAll(/`(\w+)`/g)].map((match) => match[1] ?? '');
}

function fieldsOf(schema: z.ZodObject): string[] {
  return Object.keys(schema.shape);
}

describe('the page of the messages', () => {
  it('describes each request of the catalogue, and none that does not exist', () => {
    expect([...sections('Requests').keys()]).to.have.members(Object.keys(REQUESTS));
  });

  it('describes each notification of the catalogue, and none that does not exist', () => {
    expect([...sections('Notifications').keys()]).to.have.members(Object.keys(NOTIFICATIONS));
  });

  for (const [type, { request, reply }] of Object.entries(REQUESTS)) {
    it(`names the fields of ${type} and its reply`, () => {
      const section = sections('Requests').get(type) ?? '';
      expect(fieldsNamed(section, 'Request')).to.deep.equal(fieldsOf(request));
      expect(fieldsNamed(section, 'Reply')).to.deep.equal(fieldsOf(reply));
      for (const code of fieldsNamed(section, 'Problems')) expect(PROBLEM_CODES).to.have.property(code);
      expect(section).to.match(/^[A-Z][^\n]+ -> /m);
    });
  }

  for (const [type, body] of Object.entries(NOTIFICATIONS)) {
    it(`names the fields of ${type}`, () => {
      expect(fieldsNamed(sections('Notifications').get(type) ?? '', 'Body')).to.deep.equal(fieldsOf(body));
    });
  }

  it('lists every code with its status', () => {
    const rows = [...chapter('Codes').matchAll(/^\| `(\w+)` \| (\d+) \| (yes|no) \| (.+) \|$/gm)].map(
      ([, code, status, again, title]) => ({
        code,
        status: Number(status),
        retriable: again === 'yes',
        title,
      }),
    );
    const codes = Object.entries(PROBLEM_CODES).map(([code, about]) => ({ code, ...about }));
    expect(rows).to.have.deep.members(codes);
  });
});
