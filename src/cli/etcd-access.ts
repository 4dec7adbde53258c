import { readFileSync } from 'node:fs';
import type { EtcdTls } from '../ha/etcd/etcd-client.ts';
import type { EtcdCredentials } from '../ha/etcd/etcd-login.ts';
import type { ETCD_SETTINGS } from './settings/resource-manager-settings.ts';
import type { SettingValues } from './settings/setting.ts';

/** How to prove to etcd who we are, from files and settings; throws when a file cannot be read. */
export function etcdAccess(values: SettingValues<typeof ETCD_SETTINGS>): {
  readonly tls: EtcdTls | undefined;
  readonly credentials: EtcdCredentials | undefined;
} {
  const { etcdCaFile, etcdCertFile, etcdKeyFile, etcdUser, etcdPassword } = values;
  const tls =
    etcdCaFile === undefined
      ? undefined
      : {
          ca: readFileSync(etcdCaFile),
          ...(etcdCertFile === undefined ? {} : { cert: readFileSync(etcdCertFile) }),
          ...(etcdKeyFile === undefined ? {} : { key: readFileSync(etcdKeyFile) }),
        };
  const credentials =
    etcdUser === undefined || etcdPassword === undefined
      ? undefined
      : { username: etcdUser, password: etcdPassword };
  return { tls, credentials };
}
