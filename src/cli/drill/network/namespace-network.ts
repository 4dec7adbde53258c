import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EtcdPlace } from '../../cluster/etcd-cluster.ts';
import type { ProcessSpec } from '../../cluster/process-supervisor.ts';
import type { CommandContext } from '../../command-context.ts';
import { RESOURCE_MANAGERS, TASK_EXECUTORS, type ResourceManagerPlace } from '../drill-processes.ts';
import type { CutLinks, DrillNetwork } from './drill-network.ts';
import { NamespaceLab } from './namespace-lab.ts';

export interface NamespaceNetworkOptions {
  readonly context: CommandContext;
  /** Where `ip` of iproute2 is. */
  readonly ip: string;
  /** For the secret of the cluster. */
  readonly folder: string;
  readonly etcdMembers: number;
}

/**
 * A network namespace for each resource manager, task executor and member of etcd; the jobs are on our side. Links are
 * cut as cables are: packets are lost in both directions, and nobody is told.
 */
export class NamespaceNetwork implements DrillNetwork {
  readonly etcdPlaces: readonly EtcdPlace[];
  readonly secret: string;
  readonly #lab: NamespaceLab;
  readonly #secretFile: string;

  private constructor(
    lab: NamespaceLab,
    secret: string,
    secretFile: string,
    options: NamespaceNetworkOptions,
  ) {
    this.#lab = lab;
    this.secret = secret;
    this.#secretFile = secretFile;
    this.etcdPlaces = membersOf(options).map((name) => ({
      host: lab.node(name).address,
      launcher: lab.launcher(name),
    }));
  }

  /** Makes it; rejects with `UNAVAILABLE` when it cannot be made, and leaves nothing behind then. */
  static async open(options: NamespaceNetworkOptions): Promise<NamespaceNetwork> {
    const { context, ip, folder } = options;
    const secret = context.randomness.uuid();
    const secretFile = join(folder, 'secret');
    await writeFile(secretFile, secret, { mode: 0o600 });
    const names = [...membersOf(options), ...RESOURCE_MANAGERS, ...TASK_EXECUTORS.map(({ id }) => id)];
    const lab = await NamespaceLab.open(ip, process.pid, names, context.randomness.fraction());
    return new NamespaceNetwork(lab, secret, secretFile, options);
  }

  get failure(): string | null {
    return this.#lab.failure;
  }

  hostOf(id: string): string {
    return this.#lab.node(id).address;
  }

  placed(spec: ProcessSpec): ProcessSpec {
    const args = [...spec.args, `--secret-file=${this.#secretFile}`];
    if (!this.#lab.plan.nodes.some(({ name }) => name === spec.name)) return { ...spec, args };
    const [program = '', ...before] = this.#lab.launcher(spec.name);
    return { ...spec, program, args: [...before, spec.program, ...args] };
  }

  linksOf(
    id: string,
    port: number,
    etcdUrls: readonly string[],
  ): Promise<Pick<ResourceManagerPlace, 'advertise' | 'etcdUrls'>> {
    return Promise.resolve({ advertise: `${this.hostOf(id)}:${port}`, etcdUrls });
  }

  cutOff(id: string, links: CutLinks): () => void {
    const others: readonly string[] =
      links === 'to-etcd'
        ? this.etcdPlaces.map((_, index) => memberName(index))
        : RESOURCE_MANAGERS.filter((each) => each !== id);
    const mends = others.map((other) => this.#lab.separate(id, other));
    return () => {
      for (const mend of mends) mend();
    };
  }

  /** Nothing stands before it. */
  refuse(_id: string): void {}

  accept(_id: string): Promise<void> {
    return Promise.resolve();
  }

  unplug(id: string): void {
    this.#lab.unplug(id);
  }

  mend(): void {
    this.#lab.mend();
  }

  close(): Promise<readonly string[]> {
    return this.#lab.close();
  }
}

/** Name on the network of the member of etcd at this place in its cluster. */
export function memberName(index: number): string {
  return `etcd-${index + 1}`;
}

function membersOf({ etcdMembers }: NamespaceNetworkOptions): string[] {
  return Array.from({ length: etcdMembers }, (_, index) => memberName(index));
}
