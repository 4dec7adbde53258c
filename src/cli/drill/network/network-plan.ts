/** One process, or one member of etcd, on a network of its own. */
export interface NetworkNode {
  readonly name: string;
  /** Network namespace that it runs in. */
  readonly namespace: string;
  readonly address: string;
  readonly hardwareAddress: string;
  /** Its plug at the bridge, by which the cable can be pulled. */
  readonly port: string;
}

/** Names and addresses of one drill's network: a bridge in a namespace of its own, a link to each node and one to us. */
export interface NetworkPlan {
  /** Namespace of the bridge: rules that the machine has for its own bridges do not apply there. */
  readonly hub: string;
  /** The end of our link to the bridge, in the namespace that the drill itself runs in. */
  readonly ownLink: string;
  readonly ownAddress: string;
  readonly nodes: readonly NetworkNode[];
}

/** Length of the prefix of all addresses of one network. */
export const PREFIX_LENGTH = 24;
/** A hardware address that nobody has: what is sent to it vanishes, and nobody is told. */
export const NOBODY = '02:51:4d:ff:ff:ff';

const NAMESPACE = /^quartermaster-(\d+)-/;
const OWN_LINK = /^qm(\d+)$/;
/** Networks of ours are 10.200.0.0/24 to 10.207.255.0/24. */
const FIRST_SECOND_BYTE = 200;
const SECOND_BYTES = 8;
const CHOICES = SECOND_BYTES * 256;
const MOST_NODES = 250;

/** The network of the drill that runs as process `pid`; `subnet` is what `freeSubnet` chose. */
export function networkPlan(pid: number, subnet: string, names: readonly string[]): NetworkPlan {
  if (names.length > MOST_NODES) throw new Error(`${names.length} nodes are too many for one network`);
  const prefix = subnet.slice(0, subnet.lastIndexOf('.'));
  return {
    hub: `quartermaster-${pid}-hub`,
    ownLink: `qm${pid}`,
    ownAddress: `${prefix}.1`,
    nodes: names.map((name, index) => {
      const number = index + 2;
      return {
        name,
        namespace: `quartermaster-${pid}-${name}`,
        address: `${prefix}.${number}`,
        hardwareAddress: `02:51:4d:00:00:${number.toString(16).padStart(2, '0')}`,
        port: `port${number}`,
      };
    }),
  };
}

/** Process number of the drill that made this namespace or link; null for one that no drill has made. */
export function makerOf(name: string): number | null {
  const pid = (NAMESPACE.exec(name) ?? OWN_LINK.exec(name))?.[1];
  return pid === undefined ? null : Number(pid);
}

/**
 * First address of a private /24 that none of these networks (`a.b.c.d` or `a.b.c.d/length`) touches; null when there
 * is none. `fraction`, from 0 to below 1, says where to begin, so that two drills choose differently.
 */
export function freeSubnet(taken: readonly string[], fraction: number): string | null {
  const networks = taken.map(rangeOf).filter((range) => range !== null);
  const first = Math.floor(fraction * CHOICES);
  for (let step = 0; step < CHOICES; step += 1) {
    const choice = (first + step) % CHOICES;
    const subnet = `10.${FIRST_SECOND_BYTE + Math.floor(choice / 256)}.${choice % 256}.0`;
    const own = rangeOf(`${subnet}/${PREFIX_LENGTH}`);
    if (own !== null && !networks.some(([from, to]) => from <= own[1] && own[0] <= to)) return subnet;
  }
  return null;
}

/** First and last address as numbers; null for what is no IPv4 network, and for the one that holds all addresses. */
function rangeOf(text: string): readonly [number, number] | null {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?$/.exec(text);
  if (match === null) return null;
  const length = match[5] === undefined ? 32 : Number(match[5]);
  if (length === 0) return null;
  const address = match.slice(1, 5).reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const size = 2 ** (32 - length);
  const from = Math.floor(address / size) * size;
  return [from, from + size - 1];
}
