import { expect } from 'chai';
import { parseTap } from '../../support/tap-report.ts';

describe('the report of a run of mocha', () => {
  it('counts what passed and names what failed', () => {
    const output = [
      '1..3',
      'ok 1 a thing does this',
      'not ok 2 a thing does that',
      '  expected 1 to equal 2',
      '  not ok 7 as a test may print',
      'ok 3 a thing does # more',
      '# tests 3',
      '# pass 2',
      '# fail 1',
    ].join('\n');
    expect(parseTap(output)).to.deep.equal({ passed: 2, failures: ['a thing does that'], complete: true });
  });

  it('knows a run that broke off', () => {
    expect(parseTap('1..3\nok 1 a thing does this\n')).to.deep.equal({
      passed: 1,
      failures: [],
      complete: false,
    });
    expect(parseTap('').complete).to.equal(false);
  });
});
