import type { StoreRequest } from '../../src/ha/embedded/member-behaviour.ts';
import type { ResourceManager } from '../../src/resourcemanager/resource-manager.ts';
import type { Running, SimulatedCluster } from './simulated-cluster.ts';

const RECORD = '/quartermaster/simulated/leader';

/** Fails a scenario with that sentence unless what it demands holds. */
export function demand(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(sentence);
}

/** The links between two, in both directions. */
export function cut({ links }: SimulatedCluster, a: Running<unknown>, b: Running<unknown>): void {
  links.cut(a.address, b.address);
  links.cut(b.address, a.address);
}

/** An operator asks a leader to step down; whether it does is for the scenario to see. */
export function askToGo({ process, endpoint }: Running<ResourceManager>): void {
  process.run(() => {
    endpoint.view.stepDown({ to: null, reason: 'simulated' }).catch(() => {});
  });
}

/** Its id, without the number of its process. */
export function idOf({ process }: Running<unknown>): string {
  return process.name.split('#')[0] ?? '';
}

/** A confirm writes the leader record. */
export function confirms(request: StoreRequest): boolean {
  if (request.method !== 'transact') return false;
  return request.transaction.success.some(({ type, key }) => type === 'put' && key === RECORD);
}
