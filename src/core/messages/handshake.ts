import { z } from 'zod';
import * as p from './primitives.ts';

export const role = z.enum(['resource-manager', 'task-executor', 'job-master']);
export type Role = z.infer<typeof role>;

/**
 * First message on a connection, from whoever dialled. It shows no token yet: the server proves itself first. Every
 * version can read it, as only with it a version is agreed on: its fields stay as they are.
 */
export const hello = z.object({
  /** The newest that the caller speaks. */
  protocolVersion: z.int(),
  /** The oldest; left out by whoever speaks one version only. */
  oldestProtocolVersion: z.int().optional(),
  role,
  cluster: z.string(),
  nonce: z.string().min(1).max(128),
});

/**
 * Answer to `hello`. `proof` is the HMAC-SHA256, keyed with the resource managers' secret, over both nonces,
 * the cluster and the server's name; null where the cluster has no secret.
 */
export const welcome = z.object({
  /** The newest that both speak: what is said on this connection is of this version. */
  protocolVersion: z.int(),
  cluster: z.string(),
  serverRole: role,
  /** Resource manager id or resource id. */
  serverId: z.string(),
  /** Boot nonce or instance id. */
  serverInstance: z.string(),
  nonce: z.string().min(1).max(128),
  proof: z.string().nullable(),
});

/** A resource manager's place in the line, for whoever wants to connect to all of them. */
export const candidate = z.object({ resourceManagerId: p.resourceManagerId, address: p.address });

export const leaderInfo = z.object({
  resourceManagerId: p.resourceManagerId,
  address: p.address,
  token: p.fencingToken,
});
export type LeaderInfo = z.infer<typeof leaderInfo>;

/** Who dialled, told once the server has proved itself. `highestToken` is the highest that the sender has accepted. */
export const introduceTaskExecutor = z.object({
  resourceId: p.resourceId,
  instanceId: p.instanceId,
  address: p.address,
  clusterId: p.clusterId.nullable(),
  highestToken: p.fencingToken.nullable(),
});

export const introduceJobMaster = z.object({
  jobId: p.jobId,
  jobMasterId: p.jobMasterId,
  clusterId: p.clusterId.nullable(),
  highestToken: p.fencingToken.nullable(),
});

export const introduceResourceManager = z.object({
  resourceManagerId: p.resourceManagerId,
  bootNonce: p.bootNonce,
  address: p.address,
});

/** What a resource manager knows of the cluster: the answer to an introduction. */
export const clusterView = z.object({
  clusterId: p.clusterId.nullable(),
  candidates: p.list(candidate, 1_000),
  leader: leaderInfo.nullable(),
});
export type ClusterView = z.infer<typeof clusterView>;
