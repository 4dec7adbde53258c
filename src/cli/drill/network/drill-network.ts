import type { EtcdPlace } from '../../cluster/etcd-cluster.ts';
import type { ProcessSpec } from '../../cluster/process-supervisor.ts';
import type { ResourceManagerPlace } from '../drill-processes.ts';

/** Links of one resource manager that can be cut. */
export type CutLinks = 'to-etcd' | 'to-resource-managers';
/** Which links go through proxies, where there are no namespaces, so that they can be cut. */
export type ProxiedLinks = 'none' | CutLinks | 'all';

/** How the processes of a drill's cluster reach each other, and how links between them are cut. */
export interface DrillNetwork {
  /** Where each member of etcd runs; undefined: on the loopback. */
  readonly etcdPlaces: readonly EtcdPlace[] | undefined;
  /** What every process needs that is off loopback; undefined on loopback. */
  readonly secret: string | undefined;
  /** Why links can be cut no more; null while all is well. */
  readonly failure: string | null;
  /** Address that this process listens at. */
  hostOf(id: string): string;
  /** How this process is started where it belongs. */
  placed(spec: ProcessSpec): ProcessSpec;
  /** How others reach this resource manager, and it reaches etcd; `take` gives ports for what stands between. */
  linksOf(
    id: string,
    port: number,
    etcdUrls: readonly string[],
    take: () => number,
  ): Promise<Pick<ResourceManagerPlace, 'advertise' | 'etcdUrls'>>;
  /**
   * Cuts this resource manager off: from etcd, or both ways from every other one. What is returned mends these links.
   * From the others only one can be cut off at a time.
   */
  cutOff(id: string, links: CutLinks): () => void;
  /** This one is about to end: nobody listens at its address any more, whatever stands before it. */
  refuse(id: string): void;
  /** It is about to start again. */
  accept(id: string): Promise<void>;
  /** Takes this one, or member of etcd, off the network altogether. */
  unplug(id: string): void;
  /** Mends all links. */
  mend(): void;
  /** Ends it; the processes are gone already. Resolves to what could not be removed. */
  close(): Promise<readonly string[]>;
}
