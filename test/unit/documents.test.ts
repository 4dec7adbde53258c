import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { CommandContext } from '../../src/cli/command-context.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { ALL_SETTING_NAMES } from '../../src/cli/settings/all-settings.ts';
import { environmentName } from '../../src/cli/settings/setting.ts';
import { operatorRoutes } from '../../src/http/operator-app.ts';
import { SILENT_LOGGER } from '../../src/runtime/logger.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';
import { TestingOperatorView } from '../support/testing-operator-view.ts';

const DOCUMENTS = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'src/core/messages/README.md',
  'test/simulation/README.md',
  'test/exhaustive/README.md',
  'test/mutants/README.md',
];

function read(path: string): string {
  return readFileSync(path, 'utf8');
}

/** The text of one chapter, up to the next one of the same or a higher rank. */
function chapter(path: string, title: string): string {
  const part = read(path)
    .split(/^## /m)
    .find((text) => text.startsWith(`${title}\n`));
  if (part === undefined) throw new Error(`${path} has no chapter ${title}`);
  return part;
}

/** The anchors that the headings of a document make. */
function anchorsOf(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

const { commands } = await buildProgram({ print: () => {}, warn: () => {} } as unknown as CommandContext);

describe('the documents', () => {
  for (const path of DOCUMENTS) {
    it(`link from ${path} only to what is there`, () => {
      const links = [...read(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
      for (const link of links.filter((target) => !/^https?:/.test(target))) {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? path : join(dirname(path), file);
        expect(existsSync(target), link).to.equal(true);
        if (anchor !== undefined) expect(anchorsOf(target), link).to.include(anchor);
      }
    });
  }

  it('name every command of the command line, and none that does not exist', () => {
    const rows = [...chapter('README.md', 'Commands').matchAll(/^\| (`.+?`) \|/gm)].map(
      ([, row = '']) => row,
    );
    const named = rows
      .flatMap((row) =>
        [...row.matchAll(/`(?:quartermaster )?([a-z-]+)[^`]*`/g)].map(([, name = '']) => name),
      )
      .filter((name) => !name.startsWith('-'));
    expect(named).to.have.members(commands.map((command) => command.name()));
  });

  it('name no variable that does not exist', () => {
    const known = new Set([...ALL_SETTING_NAMES].map((name) => environmentName(name)));
    known.add('QUARTERMASTER_CONFIG');
    for (const path of DOCUMENTS) {
      for (const [variable] of read(path).matchAll(/QUARTERMASTER_[A-Z_]*[A-Z]/g)) {
        expect(known, `${variable} in ${path}`).to.include(variable);
      }
    }
  });

  it('name no flag of ours that does not exist', () => {
    const known = new Set(commands.flatMap((command) => command.options.map((option) => option.long)));
    known.add('--help');
    const text = `${chapter('README.md', 'Commands')}${chapter('README.md', 'Limits')}`;
    for (const [flag] of text.matchAll(/--[a-z][a-z-]*[a-z]/g)) expect(known, flag).to.include(flag);
    const called = [...read('README.md').matchAll(/^\$ quartermaster ([a-z-]+)(.*)$/gm)];
    expect(called).not.to.be.empty;
    for (const [, name, rest = ''] of called) {
      const command = commands.find((each) => each.name() === name);
      const flags = command?.options.map((option) => option.long) ?? [];
      for (const [flag] of rest.matchAll(/--[a-z-]+/g)) expect(flags, `${name} ${flag}`).to.include(flag);
    }
  });

  it('list every route of a resource manager, and none that does not exist', () => {
    const view = new TestingOperatorView();
    const routes = operatorRoutes({
      view,
      operations: view,
      clock: new VirtualClock(),
      logger: SILENT_LOGGER,
    });
    const rows = [...chapter('README.md', 'HTTP').matchAll(/^\| `([A-Z]+ \S+)` \|/gm)].map(([, row]) => row);
    expect(rows).to.have.members(routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`));
  });

  it('give a reason for each package that runs in production, and for none that does not', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
    const rows = [...chapter('ARCHITECTURE.md', 'Packages').matchAll(/^\| `([^`]+)` \| .+ \|$/gm)];
    expect(rows.map(([, name]) => name)).to.have.members(Object.keys(dependencies));
  });

  it('name a folder of the sources for each layer', () => {
    const rows = [...chapter('ARCHITECTURE.md', 'Layers').matchAll(/^\| `([a-z/]+)` \|/gm)];
    const layers = rows.map(([, name = '']) => name);
    expect(layers.filter((layer) => !layer.includes('/'))).to.have.members(readdirSync('src'));
    for (const layer of layers) expect(existsSync(join('src', layer)), layer).to.equal(true);
  });

  it('name a test that is there for each guard', () => {
    const guards = chapter('ARCHITECTURE.md', 'Guards');
    const rows = [...guards.matchAll(/^\| (G\d|) \| .+ \| `(test\/[^`]+)`: "(.+)" \|$/gm)];
    const guarantees = new Set(rows.map(([, guarantee]) => guarantee));
    expect([...guarantees].filter((name) => name !== '')).to.have.length(9);
    expect(rows.length).to.equal(guards.split('\n').filter((line) => /^\| (G\d|) \|/.test(line)).length);
    for (const [, , file = '', title = ''] of rows) {
      expect(read(file), `${file}: ${title}`).to.satisfy((text: string) =>
        ["'", '"', '`'].some((quote) => text.includes(`it(${quote}${title}${quote}`)),
      );
    }
  });

  it('name a file that is there for each bug of the track record', () => {
    const rows = [
      ...chapter('test/simulation/README.md', 'Track record').matchAll(/^\| .+ \| `(test[^`]+)`.* \|$/gm),
    ];
    expect(rows).not.to.be.empty;
    for (const [, file = ''] of rows) expect(existsSync(file), file).to.equal(true);
  });
});
