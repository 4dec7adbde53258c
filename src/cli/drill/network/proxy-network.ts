import type { ProcessSpec } from '../../cluster/process-supervisor.ts';
import { RESOURCE_MANAGERS, type ResourceManagerPlace } from '../drill-processes.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import type { CutLinks, DrillNetwork, ProxiedLinks } from './drill-network.ts';

const HOST = '127.0.0.1';

/** The proxies before one resource manager, and those between it and etcd. */
interface Proxies {
  readonly before: TcpProxy[];
  readonly toEtcd: TcpProxy[];
}

/** The loopback, with TCP proxies in the links that are to be cut: no root is needed. */
export class ProxyNetwork implements DrillNetwork {
  readonly etcdPlaces = undefined;
  readonly secret = undefined;
  readonly failure = null;
  readonly #proxied: ProxiedLinks;
  readonly #proxies = new Map<string, Proxies>();

  constructor(proxied: ProxiedLinks) {
    this.#proxied = proxied;
  }

  hostOf(_id: string): string {
    return HOST;
  }

  placed(spec: ProcessSpec): ProcessSpec {
    return spec;
  }

  async linksOf(
    id: string,
    port: number,
    etcdUrls: readonly string[],
    take: () => number,
  ): Promise<Pick<ResourceManagerPlace, 'advertise' | 'etcdUrls'>> {
    const proxied = this.#proxied;
    const own: Proxies = { before: [], toEtcd: [] };
    this.#proxies.set(id, own);
    const open = async (among: TcpProxy[], targetPort: number): Promise<string> => {
      const proxy = await TcpProxy.listen(take(), targetPort);
      among.push(proxy);
      return `${HOST}:${proxy.port}`;
    };
    const isBefore = proxied === 'to-resource-managers' || proxied === 'all';
    const advertise = isBefore ? await open(own.before, port) : `${HOST}:${port}`;
    if (proxied !== 'to-etcd' && proxied !== 'all') return { advertise, etcdUrls };
    const urls: string[] = [];
    for (const url of etcdUrls) urls.push(`http://${await open(own.toEtcd, Number(new URL(url).port))}`);
    return { advertise, etcdUrls: urls };
  }

  cutOff(id: string, links: CutLinks): () => void {
    if (links === 'to-etcd') {
      const own = this.#proxies.get(id)?.toEtcd ?? [];
      for (const proxy of own) proxy.cut('all');
      return () => mendAll(own);
    }
    const others = new Set(RESOURCE_MANAGERS.filter((each) => each !== id));
    for (const [owner, { before }] of this.#proxies) {
      for (const proxy of before) proxy.cut(owner === id ? others : new Set([id]));
    }
    return () => mendAll([...this.#proxies.values()].flatMap(({ before }) => before));
  }

  refuse(id: string): void {
    for (const proxy of this.#proxies.get(id)?.before ?? []) proxy.refuse();
  }

  async accept(id: string): Promise<void> {
    for (const proxy of this.#proxies.get(id)?.before ?? []) await proxy.accept();
  }

  unplug(id: string): never {
    throw new Error(`no proxy can take ${id} off the network`);
  }

  mend(): void {
    mendAll(this.#all());
  }

  async close(): Promise<readonly string[]> {
    await Promise.all(this.#all().map((proxy) => proxy.close()));
    return [];
  }

  #all(): TcpProxy[] {
    return [...this.#proxies.values()].flatMap(({ before, toEtcd }) => [...before, ...toEtcd]);
  }
}

function mendAll(proxies: readonly TcpProxy[]): void {
  for (const proxy of proxies) proxy.cut(null);
}
