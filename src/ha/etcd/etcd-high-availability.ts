import {
  type HighAvailabilityOptions,
  StoreHighAvailabilityServices,
} from '../store-high-availability-services.ts';
import { EtcdCoordinationStore, type EtcdStoreOptions } from './etcd-coordination-store.ts';

export type EtcdHighAvailabilityOptions = HighAvailabilityOptions & Omit<EtcdStoreOptions, 'clock'>;

/** Elects through etcd. Connects on first use; wrong endpoints are a `rejected` StoreError at once. */
export function etcdHighAvailability(options: EtcdHighAvailabilityOptions): StoreHighAvailabilityServices {
  return new StoreHighAvailabilityServices(new EtcdCoordinationStore(options), options);
}
