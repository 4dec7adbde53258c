import { EtcdCoordinationStore } from '../ha/etcd/etcd-coordination-store.ts';
import type { Clock } from '../runtime/clock.ts';
import { etcdAccess } from './etcd-access.ts';
import type { ETCD_SETTINGS } from './settings/resource-manager-settings.ts';
import type { SettingValues } from './settings/setting.ts';

/** The etcd that the settings name; throws when a certificate cannot be read. */
export function etcdStore(values: SettingValues<typeof ETCD_SETTINGS>, clock: Clock): EtcdCoordinationStore {
  return new EtcdCoordinationStore({ endpoints: values.etcd, clock, ...etcdAccess(values) });
}
