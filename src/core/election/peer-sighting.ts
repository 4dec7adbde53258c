/**
 * What a resource manager sees of the others over its own connections to them. A boot nonce is only told once the
 * process has proved that it is a resource manager of this cluster.
 */
export type PeerSighting =
  /** From now on whatever is seen will be told, so that silence means something. */
  | { readonly type: 'watching' }
  /** The process that answers at this address now. */
  | { readonly type: 'reached'; readonly address: string; readonly bootNonce: string }
  /** The connection to it has ended, whatever the reason. */
  | { readonly type: 'broken'; readonly address: string; readonly bootNonce: string }
  /** An attempt to connect, begun after the end of the last connection, got ECONNREFUSED. */
  | { readonly type: 'refused'; readonly address: string }
  /** Its answer to a ping. */
  | {
      readonly type: 'answered';
      readonly bootNonce: string;
      readonly state: 'serving' | 'suspended' | 'standby' | 'worker';
      readonly epoch: bigint | null;
    };
