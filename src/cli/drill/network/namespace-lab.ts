import { z } from 'zod';
import { QuartermasterError } from '../../../core/problem.ts';
import { IpBatch } from './ip-batch.ts';
import { runIp } from './ip-command.ts';
import {
  freeSubnet,
  makerOf,
  NOBODY,
  PREFIX_LENGTH,
  networkPlan,
  type NetworkNode,
  type NetworkPlan,
} from './network-plan.ts';

const routes = z.array(z.object({ dst: z.string() }));
const links = z.array(z.object({ ifname: z.string() }));

/** Network namespaces joined by a bridge, whose links can be cut: no process is told, packets are lost. Needs root. */
export class NamespaceLab {
  readonly plan: NetworkPlan;
  readonly #ip: string;
  readonly #pid: number;
  /** One for each node by its name, and one for the bridge. */
  readonly #batches = new Map<string, IpBatch>();
  readonly #hub: IpBatch;
  /** What mends each cut that stands, by what was cut. */
  readonly #cuts = new Map<string, () => void>();

  private constructor(ip: string, pid: number, plan: NetworkPlan) {
    this.plan = plan;
    this.#ip = ip;
    this.#pid = pid;
    this.#hub = new IpBatch(ip, plan.hub);
    for (const { name, namespace } of plan.nodes) this.#batches.set(name, new IpBatch(ip, namespace));
  }

  /**
   * Makes a network with a namespace for each of these names, after removing what drills have left that are dead.
   * Rejects with `UNAVAILABLE` when it cannot be made, and leaves nothing behind then.
   */
  static async open(
    ip: string,
    pid: number,
    names: readonly string[],
    fraction: number,
  ): Promise<NamespaceLab> {
    await removeLeftovers(ip, pid);
    const shown = routes.parse(JSON.parse(await runIp(ip, ['-j', '-4', 'route', 'show', 'table', 'all'])));
    const subnet = freeSubnet(
      shown.map(({ dst }) => dst),
      fraction,
    );
    if (subnet === null) {
      const detail = 'No private network is free for the drill: 10.200.0.0 to 10.207.255.255 are all in use.';
      throw new QuartermasterError({ code: 'UNAVAILABLE', detail });
    }
    const plan = networkPlan(pid, subnet, names);
    try {
      await build(ip, plan);
      return new NamespaceLab(ip, pid, plan);
    } catch (error) {
      await removeAllOf(ip, (maker) => maker === pid);
      throw error;
    }
  }

  /** Why no link can be cut any more; null while all is well. */
  get failure(): string | null {
    for (const batch of [this.#hub, ...this.#batches.values()])
      if (batch.failure !== null) return batch.failure;
    return null;
  }

  node(name: string): NetworkNode {
    const node = this.plan.nodes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`there is no ${name} in this network`);
    return node;
  }

  /** What stands before a command, so that it runs there as the same process. */
  launcher(name: string): readonly string[] {
    return [this.#ip, 'netns', 'exec', this.node(name).namespace];
  }

  /** From now on nothing passes between these two, either way. What is returned mends it. */
  separate(one: string, other: string): () => void {
    const [here, there] = [this.node(one), this.node(other)];
    const cut = `${one} and ${other}`;
    // A blackhole route would give the sender an error at once; what goes to nobody's hardware is lost without a word.
    this.#direct(here, there, NOBODY, 'permanent');
    this.#direct(there, here, NOBODY, 'permanent');
    const mend = (): void => {
      if (!this.#cuts.delete(cut)) return;
      this.#direct(here, there, there.hardwareAddress, 'reachable');
      this.#direct(there, here, here.hardwareAddress, 'reachable');
    };
    this.#cuts.set(cut, mend);
    return mend;
  }

  #direct(from: NetworkNode, to: NetworkNode, hardwareAddress: string, state: string): void {
    this.#batches
      .get(from.name)
      ?.run(`neigh replace ${to.address} lladdr ${hardwareAddress} nud ${state} dev eth0`);
  }

  /** Pulls the cable of this one. */
  unplug(name: string): void {
    const { port } = this.node(name);
    this.#hub.run(`link set ${port} down`);
    this.#cuts.set(name, () => this.#hub.run(`link set ${port} up`));
  }

  /** Mends every link. */
  mend(): void {
    for (const undo of this.#cuts.values()) undo();
    this.#cuts.clear();
  }

  /** Removes the network; no process may run in it any more. Resolves to what could not be removed. */
  async close(): Promise<string[]> {
    await Promise.all([this.#hub, ...this.#batches.values()].map((batch) => batch.close()));
    return removeAllOf(this.#ip, (maker) => maker === this.#pid);
  }
}

async function build(ip: string, { hub, ownLink, ownAddress, nodes }: NetworkPlan): Promise<void> {
  for (const namespace of [hub, ...nodes.map((node) => node.namespace)]) {
    await runIp(ip, ['netns', 'add', namespace]);
  }
  await runIp(
    ip,
    ['-n', hub, '-batch', '-'],
    [
      'link add bridge type bridge',
      'link set bridge up',
      ...nodes.flatMap(({ namespace, hardwareAddress, port }) => [
        `link add ${port} type veth peer name eth0 address ${hardwareAddress} netns ${namespace}`,
        `link set ${port} master bridge up`,
      ]),
    ],
  );
  for (const { namespace, address } of nodes) {
    await runIp(
      ip,
      ['-n', namespace, '-batch', '-'],
      ['link set lo up', `address add ${address}/${PREFIX_LENGTH} dev eth0`, 'link set eth0 up'],
    );
  }
  await runIp(
    ip,
    ['-batch', '-'],
    [
      `link add ${ownLink} type veth peer name uplink netns ${hub}`,
      `address add ${ownAddress}/${PREFIX_LENGTH} dev ${ownLink}`,
      `link set ${ownLink} up`,
    ],
  );
  await runIp(ip, ['-n', hub, 'link', 'set', 'uplink', 'master', 'bridge', 'up']);
}

/** Removes what drills have made whose process is gone, and what one has left that had our number before us. */
async function removeLeftovers(ip: string, pid: number): Promise<void> {
  await removeAllOf(ip, (maker) => maker === pid || !isAlive(maker));
}

/** Removes the links and namespaces of these makers; resolves to the complaints. */
async function removeAllOf(ip: string, isMeant: (maker: number) => boolean): Promise<string[]> {
  const complaints: string[] = [];
  const attempt = (...args: string[]): Promise<string> =>
    runIp(ip, args).catch((error: Error) => {
      complaints.push(error.message);
      return '';
    });
  const chosen = (names: readonly string[]): string[] =>
    names.filter((name) => {
      const maker = makerOf(name);
      return maker !== null && isMeant(maker);
    });
  const shown = links.parse(JSON.parse((await attempt('-j', 'link', 'show')) || '[]'));
  for (const name of chosen(shown.map(({ ifname }) => ifname))) await attempt('link', 'delete', name);
  // Each line is a name, perhaps with a number after it. The links within go with the namespaces.
  const namespaces = (await attempt('netns', 'list')).split('\n').map((line) => line.split(' ')[0] ?? '');
  for (const name of chosen(namespaces)) await attempt('netns', 'delete', name);
  return complaints;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
