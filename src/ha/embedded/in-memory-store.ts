import type { CoordinationStore } from '../coordination-store.ts';
import { InMemoryEndpoint } from './in-memory-endpoint.ts';
import type { InMemoryEtcd } from './in-memory-etcd.ts';
import type { MemberBehaviour } from './member-behaviour.ts';

/** An `InMemoryEtcd` as one client reaches it; made by `InMemoryEtcd.connect`. */
export class InMemoryCoordinationStore implements CoordinationStore {
  readonly endpoints: readonly [InMemoryEndpoint, ...InMemoryEndpoint[]];

  constructor(
    etcd: InMemoryEtcd,
    client: string,
    members: readonly { readonly name: string; readonly behaviour: MemberBehaviour }[],
  ) {
    const [first, ...others] = members.map(
      ({ name, behaviour }) => new InMemoryEndpoint(etcd, name, behaviour, client),
    );
    if (first === undefined) throw new RangeError('There must be at least one member.');
    this.endpoints = [first, ...others];
  }

  close(): Promise<void> {
    for (const endpoint of this.endpoints) endpoint.close();
    return Promise.resolve();
  }
}
