import {
  type HighAvailabilityOptions,
  StoreHighAvailabilityServices,
} from '../store-high-availability-services.ts';
import { InMemoryEtcd, type InMemoryEtcdOptions } from './in-memory-etcd.ts';

/** Elects within one process, for trying out and for tests: the same election, over a store in memory. */
export class EmbeddedHighAvailability {
  readonly etcd: InMemoryEtcd;

  constructor(options: InMemoryEtcdOptions) {
    this.etcd = new InMemoryEtcd(options);
  }

  /** The services of one resource manager, which reaches the store under its own name. */
  services(options: HighAvailabilityOptions): StoreHighAvailabilityServices {
    return new StoreHighAvailabilityServices(this.etcd.connect(options.candidate.resourceManagerId), options);
  }
}
