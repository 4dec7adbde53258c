import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a server proves: that it knows the cluster's secret, for this one connection. */
export interface ProofStatement {
  readonly cluster: string;
  readonly serverRole: string;
  readonly serverId: string;
  readonly serverInstance: string;
  readonly clientNonce: string;
  readonly serverNonce: string;
}

/** Makes and judges the proof of a `welcome`. */
export interface Prover {
  /** Null where the cluster has no secret. */
  prove(statement: ProofStatement): string | null;
  verify(statement: ProofStatement, proof: string | null): boolean;
}

/** For clusters without a secret, which is refused off loopback at start: the cluster's name is all that is checked. */
export const NO_SECRET: Prover = { prove: () => null, verify: () => true };

/** Proves by HMAC-SHA256 over both nonces and the server's name, keyed with the resource managers' secret. */
export function secretProver(secret: string): Prover {
  const sign = (s: ProofStatement): string =>
    createHmac('sha256', secret)
      .update(
        JSON.stringify([s.cluster, s.serverRole, s.serverId, s.serverInstance, s.clientNonce, s.serverNonce]),
      )
      .digest('base64');
  return {
    prove: sign,
    verify: (statement, proof) => {
      if (proof === null) return false;
      const given = Buffer.from(proof);
      const expected = Buffer.from(sign(statement));
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  };
}
