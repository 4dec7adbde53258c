import { z } from 'zod';
import type { EtcdCluster } from './etcd-cluster.ts';
import { ask } from './etcd-health.ts';
import type { EtcdMember } from './etcd-member.ts';

const id = z.union([z.string(), z.number()]).transform(String);
const statusAnswer = z.object({ header: z.object({ member_id: id }), leader: id });

/** The member that leads etcd, according to itself; null when none says so. */
export async function etcdLeader(etcd: EtcdCluster): Promise<EtcdMember | null> {
  for (const member of etcd.members) {
    try {
      const status = statusAnswer.parse(JSON.parse(await ask('POST', `${member.url}/v3/maintenance/status`)));
      if (status.leader === status.header.member_id) return member;
    } catch {
      // It does not answer: the next one.
    }
  }
  return null;
}
