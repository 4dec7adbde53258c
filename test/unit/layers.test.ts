import { expect } from 'chai';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Each layer with those below it that it may use. Project references make the compiler hold to them. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  runtime: ['core'],
  ha: ['core', 'runtime'],
  'ha/etcd': ['core', 'runtime', 'ha'],
  'ha/embedded': ['core', 'runtime', 'ha'],
  rpc: ['core', 'runtime'],
  'rpc/websocket': ['core', 'runtime', 'rpc'],
  resourcemanager: ['core', 'runtime', 'ha', 'rpc'],
  taskexecutor: ['core', 'runtime', 'rpc'],
  jobmaster: ['core', 'runtime', 'rpc'],
  sdk: ['core', 'runtime', 'rpc', 'rpc/websocket', 'jobmaster', 'taskexecutor'],
  dashboard: ['core'],
  http: ['core', 'runtime', 'ha', 'rpc', 'resourcemanager', 'dashboard'],
};

/** Packages that only certain layers know; `cli` may know all of them. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  etcd3: ['ha/etcd'],
  '@grpc/grpc-js': ['ha/etcd'],
  ws: ['rpc/websocket'],
  express: ['http'],
  undici: ['http'],
  winston: ['runtime'],
  uuid: ['runtime'],
  commander: [],
};

const SOURCES = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

function layerOf(file: string): string {
  const folders = dirname(file).split('/');
  const two = folders.slice(0, 2).join('/');
  return two in LAYERS ? two : (folders[0] ?? '');
}

function importsOf(file: string): string[] {
  const text = readFileSync(join('src', file), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

describe('the layers', () => {
  it('reference only what is below them', () => {
    for (const [layer, below] of Object.entries(LAYERS)) {
      const file = join('src', layer, 'tsconfig.json');
      let text: string;
      try {
        text = readFileSync(file, 'utf8');
      } catch {
        continue;
      }
      const config = JSON.parse(text) as { references?: { path: string }[] };
      const references = (config.references ?? []).map(({ path }) =>
        relative('src', join('src', layer, path)),
      );
      expect(below, file).to.include.members(references);
    }
  });

  it('import only what is below them', () => {
    for (const file of SOURCES) {
      const layer = layerOf(file);
      if (layer === 'cli') continue;
      for (const specifier of importsOf(file).filter((text) => text.startsWith('.'))) {
        const target = layerOf(join(dirname(file), specifier));
        expect([layer, ...(LAYERS[layer] ?? [])], `${file} imports ${specifier}`).to.include(target);
      }
    }
  });

  it('leave each package to its owner, and the core without any but zod', () => {
    for (const file of SOURCES) {
      const layer = layerOf(file);
      for (const specifier of importsOf(file).filter((text) => !text.startsWith('.'))) {
        if (layer === 'core') expect(specifier, file).to.equal('zod');
        const owners = OWNERS[specifier];
        if (owners !== undefined && layer !== 'cli')
          expect(owners, `${file}: ${specifier}`).to.include(layer);
      }
    }
  });

  it('leave the environment to the command line', () => {
    for (const file of SOURCES.filter((name) => layerOf(name) !== 'cli')) {
      expect(readFileSync(join('src', file), 'utf8'), file).to.not.include('process.env');
    }
  });
});
