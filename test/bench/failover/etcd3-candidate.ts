import { Etcd3, type Campaign } from 'etcd3';
import { machineMs } from './machine-time.ts';

// A candidate in an election of npm `etcd3`, written as its documentation shows and as well as its interface allows: it acts
// from `elected` on, stops at `error` or when its observer names somebody else, and then campaigns anew at once. It writes
// `leads MS` every 10 ms for as long as it acts as the leader, `follows MS` when it stops. Arguments: endpoints, election,
// own name, time to live; `--resign` gives leadership up on SIGTERM, which etcd3 does not do by itself.

const CLAIM_MS = 10;
const RETRY_MS = 100;

const [endpoints = '', electionName = '', candidate = '', ttlSeconds = ''] = process.argv.slice(2);
const client = new Etcd3({ hosts: endpoints.split(',') });
const election = client.election(electionName, Number(ttlSeconds));
let current: Campaign | null = null;
let leads = false;

function tell(): void {
  process.stdout.write(`${leads ? 'leads' : 'follows'} ${machineMs()}\n`);
}

function run(): void {
  const campaign = election.campaign(candidate);
  current = campaign;
  campaign.on('elected', () => {
    // One whose lease was lost while it waited may be elected all the same.
    if (current !== campaign) return;
    leads = true;
    tell();
  });
  campaign.on('error', () => over(campaign));
}

function over(campaign: Campaign): void {
  if (current !== campaign) return;
  current = null;
  leads = false;
  tell();
  campaign.resign().catch(() => {});
  setTimeout(run, RETRY_MS);
}

function observe(): void {
  const again = (): void => void setTimeout(observe, RETRY_MS);
  election.observe().then((observer) => {
    observer.on('change', (leader) => {
      if (leads && current !== null && leader !== undefined && leader !== candidate) over(current);
    });
    observer.on('error', again);
  }, again);
}

if (process.argv.includes('--resign')) {
  process.once('SIGTERM', () => {
    const campaign = current;
    current = null;
    leads = false;
    const end = (): void => process.exit(0);
    if (campaign === null) end();
    else campaign.resign().then(end, end);
  });
}

setInterval(() => {
  if (leads) tell();
}, CLAIM_MS);
run();
observe();
