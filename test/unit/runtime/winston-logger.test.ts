import { expect } from 'chai';
import { Writable } from 'node:stream';
import type { LogFields, LogLevel } from '../../../src/runtime/logger.ts';
import { WinstonLogger, type LogFormat } from '../../../src/runtime/winston-logger.ts';

let lines: string[];

function logger(format: LogFormat, level: LogLevel = 'debug', context?: () => LogFields): WinstonLogger {
  lines = [];
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(chunk.toString());
      done();
    },
  });
  const fields = { role: 'resource-manager', resourceManagerId: 'rm-1' };
  return WinstonLogger.to({ stream, format, level, fields, ...(context === undefined ? {} : { context }) });
}

describe('the winston logger', () => {
  it('writes one JSON line per event with time, level, event, role and id, then the fields', () => {
    logger('json').log('info', 'slot-granted', { slot: 'te-1/0', grantNumber: 7 });
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(
      /^\{"time":"\d{4}-\d\d-\d\dT[\d:.]+Z","level":"info","event":"slot-granted",.*\}\n$/,
    );
    expect(JSON.parse(lines[0]!)).to.include({
      role: 'resource-manager',
      resourceManagerId: 'rm-1',
      slot: 'te-1/0',
      grantNumber: 7,
    });
  });

  it('asks for the epoch and the leader session id at each line', () => {
    let epoch = 41n;
    const log = logger('json', 'debug', () => ({ epoch, leaderSessionId: 'session' }));
    log.log('info', 'one');
    epoch = 9_007_199_254_740_993n;
    log.child({ part: 'child' }).log('info', 'two');
    expect(JSON.parse(lines[0]!)).to.include({ epoch: '41', leaderSessionId: 'session' });
    expect(JSON.parse(lines[1]!)).to.include({ epoch: '9007199254740993', part: 'child' });
  });

  it('writes what a field named like a part of the line says nowhere', () => {
    logger('json').log('warn', 'real', { event: 'forged', level: 'error', time: 'never' });
    expect(JSON.parse(lines[0]!)).to.include({ event: 'real', level: 'warn' });
  });

  it('leaves out what is below its level', () => {
    const log = logger('json', 'warn');
    log.log('info', 'quiet');
    log.log('error', 'loud');
    expect(lines.map((line) => JSON.parse(line).event)).to.deep.equal(['loud']);
  });

  it('writes text for people, one line however a value looks, without what is not known', () => {
    logger('text').log('info', 'peer-lost', { detail: 'it\nbroke', address: '127.0.0.1:1', epoch: null });
    expect(lines[0]).to.match(
      /^\d\d:\d\d:\d\d\.\d{3} info  peer-lost role=resource-manager resourceManagerId=rm-1 detail="it\\nbroke" address=127\.0\.0\.1:1\n$/,
    );
  });
});
