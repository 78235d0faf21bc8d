import { describe, expect, it } from 'vitest';
import { readIdentityRules, type RulePurpose } from '../config/identity-rule.js';
import { disposableDomains } from './disposable-domains.js';
import { networkOf } from './honeypot.js';
import { compileRules, judge, type Named, type Rule } from './judge.js';

const DISPOSABLE = new Set(['mailinator.com']);

function list(text: string): Rule[] {
  return compileRules(
    readIdentityRules(text).map((read) => {
      if ('fault' in read) throw new Error(read.fault);
      return read;
    }),
    DISPOSABLE,
  );
}

/** `allowed` or `refused`, and by which entry. */
function verdictOf(entries: string, named: Named, purpose: RulePurpose = 'registration'): string {
  const { allowed, by } = judge(list(entries), purpose, named);
  return `${allowed ? 'allowed' : 'refused'} by ${by?.text ?? 'none'}`;
}

describe('a list', () => {
  it.each<[entries: string, named: Named, verdict: string]>([
    ['', { email: 'a@x.test' }, 'allowed by none'],
    ['deny email *@x.test', {}, 'allowed by none'],
    ['deny email *@x.test', { email: null }, 'allowed by none'],

    ['deny email *@x.test', { email: 'a@x.test' }, 'refused by deny email *@x.test'],
    ['deny email *@x.test', { email: 'a@y.x.test' }, 'allowed by none'],
    ['deny email *@*.test', { email: 'a@y.x.test' }, 'refused by deny email *@*.test'],
    ['deny email *+*@*', { email: 'a+1@x.test' }, 'refused by deny email *+*@*'],

    ['deny email-domain x.test', { email: 'a@x.test' }, 'refused by deny email-domain x.test'],
    ['deny email-domain x.test', { email: 'a@y.x.test' }, 'refused by deny email-domain x.test'],
    ['deny email-domain x.test', { email: 'a@yx.test' }, 'allowed by none'],
    ['deny email-domain x.test', { email: 'x.test@y.example' }, 'allowed by none'],
    ['deny email-domain x.test', { email: '"a@y"@x.test' }, 'refused by deny email-domain x.test'],
    ['deny email-domain disposable', { email: 'a@mailinator.com' }, 'refused by deny email-domain disposable'],
    ['deny email-domain disposable', { email: 'a@b.mailinator.com' }, 'refused by deny email-domain disposable'],
    ['deny email-domain disposable', { email: 'a@notmailinator.com' }, 'allowed by none'],
    ['deny email-domain disposable', { email: 'a@com' }, 'allowed by none'],

    ['deny phone +4915*', { phoneNumber: '+4915112345678' }, 'refused by deny phone +4915*'],
    ['deny phone +4915*', { phoneNumber: '+4915' }, 'refused by deny phone +4915*'],
    ['deny phone +4915*', { phoneNumber: '+14915112345' }, 'allowed by none'],
    ['deny phone-type mobile', { phoneNumber: '+4915112345678' }, 'refused by deny phone-type mobile'],
    ['deny phone-type mobile', { phoneNumber: '+4930123456' }, 'allowed by none'],
    ['deny phone-type fixed_line', { phoneNumber: '+4930123456' }, 'refused by deny phone-type fixed_line'],
    ['deny phone-type premium_rate', { phoneNumber: '+499001234567' }, 'refused by deny phone-type premium_rate'],
    ['deny phone-country DE', { phoneNumber: '+4915112345678' }, 'refused by deny phone-country DE'],
    ['deny phone-country US', { phoneNumber: '+16135550123' }, 'allowed by none'],
    ['deny phone-country CA', { phoneNumber: '+16135550123' }, 'refused by deny phone-country CA'],
    ['deny phone-country DE', { phoneNumber: '+80012345678' }, 'allowed by none'],

    ['deny username *bot', { username: 'ada_bot' }, 'refused by deny username *bot'],
    ['deny username reserved', { username: 'admin' }, 'refused by deny username reserved'],
    ['deny username reserved', { username: 'no-reply' }, 'refused by deny username reserved'],
    ['deny username reserved', { username: 'ad.m_in' }, 'refused by deny username reserved'],
    ['deny username reserved', { username: 'supp0rt' }, 'refused by deny username reserved'],
    ['deny username reserved', { username: 'ѕуѕ' }, 'refused by deny username reserved'],
    ['deny username reserved', { username: 'administrative' }, 'allowed by none'],
    ['deny username reserved', { username: 'constructor' }, 'allowed by none'],

    ['deny ip 10.0.0.0/8', { ip: '10.255.0.1' }, 'refused by deny ip 10.0.0.0/8'],
    ['deny ip 10.0.0.0/8', { ip: '::ffff:10.255.0.1' }, 'refused by deny ip 10.0.0.0/8'],
    ['deny ip 10.0.0.0/8', { ip: '::ffff:0aff:1' }, 'refused by deny ip 10.0.0.0/8'],
    ['deny ip 10.0.0.0/8', { ip: '11.0.0.1' }, 'allowed by none'],
    ['deny ip 10.0.0.0/8', { ip: '::1' }, 'allowed by none'],
    ['deny ip 10.0.0.0/8', { ip: 'unknown' }, 'allowed by none'],
    ['deny ip ::ffff:10.0.0.0/104', { ip: '10.1.2.3' }, 'refused by deny ip ::ffff:10.0.0.0/104'],
    ['deny ip 2001:db8::/32', { ip: '2001:db8:1::7' }, 'refused by deny ip 2001:db8::/32'],
    ['deny ip 2001:db8::/32', { ip: '2001:db9::7' }, 'allowed by none'],
    ['deny ip ::/0', { ip: '192.0.2.1' }, 'allowed by none'],
    ['deny ip fe80::/10', { ip: 'fe80::1%eth0' }, 'refused by deny ip fe80::/10'],
  ])('%s | %j → %s', (entries, named, verdict) => {
    expect(verdictOf(entries, named)).toBe(verdict);
  });

  it.each<[entries: string, named: Named, verdict: string]>([
    ['deny email *; allow email *@x.test', { email: 'a@x.test' }, 'allowed by allow email *@x.test'],
    ['allow email *@x.test; deny email *', { email: 'a@x.test' }, 'allowed by allow email *@x.test'],
    ['allow email *@x.test; deny email *', { email: 'a@y.test' }, 'refused by deny email *'],
    [
      'deny email-domain disposable; allow email *@mailinator.com',
      { email: 'a@mailinator.com' },
      'allowed by allow email *@mailinator.com',
    ],
    ['deny phone-country DE; allow phone +4915*', { phoneNumber: '+4915112345678' }, 'allowed by allow phone +4915*'],
    ['deny username reserved; allow username admin', { username: 'admin' }, 'allowed by allow username admin'],
    ['deny ip 10.0.0.0/8; allow ip 10.1.0.0/16', { ip: '10.1.2.3' }, 'allowed by allow ip 10.1.0.0/16'],
    ['deny email *@*.test; deny email *@x.test', { email: 'a@x.test' }, 'refused by deny email *@*.test'],
  ])(
    'an allow wins over every deny, wherever it stands; else the first says no: %s | %j → %s',
    (entries, named, verdict) => {
      expect(verdictOf(entries, named)).toBe(verdict);
    },
  );

  it.each<[named: Named, verdict: string]>([
    [{ email: 'a@x.test', username: 'admin' }, 'refused by deny username reserved'],
    [{ email: 'a@x.test', phoneNumber: '+4915112345678' }, 'refused by deny phone +49*'],
    [{ email: 'a@x.test', ip: '10.0.0.1' }, 'refused by deny ip 10.0.0.0/8'],
    [{ email: 'a@y.test', ip: '10.0.0.1' }, 'refused by deny ip 10.0.0.0/8'],
    [{ email: 'a@x.test', username: 'ada', ip: '192.0.2.1' }, 'allowed by allow email *@x.test'],
  ])('a welcome address, which anybody can claim, brings nothing else along: %j → %s', (named, verdict) => {
    const entries = 'allow email *@x.test; deny email *; deny username reserved; deny phone +49*; deny ip 10.0.0.0/8';
    expect(verdictOf(entries, named)).toBe(verdict);
  });

  it.each<[purpose: RulePurpose, verdict: string]>([
    ['registration', 'refused by deny email *@x.test for registration'],
    ['codes', 'allowed by none'],
  ])('an entry for one purpose leaves the other alone: %s → %s', (purpose, verdict) => {
    expect(verdictOf('deny email *@x.test for registration', { email: 'a@x.test' }, purpose)).toBe(verdict);
  });
});

describe('the list of disposable domains', () => {
  it('is loaded where an entry names it, and has what everybody knows and nothing that everybody uses', async () => {
    const domains = await disposableDomains(list('deny email-domain disposable'));
    expect(domains.size).toBeGreaterThan(5_000);
    expect(['mailinator.com', 'yopmail.com', '10minutemail.com'].filter((each) => !domains.has(each))).toEqual([]);
    expect(
      ['gmail.com', 'outlook.com', 'gmx.de', 'icloud.com', 'proton.me', 'example.com', 'com'].filter((each) =>
        domains.has(each),
      ),
    ).toEqual([]);
    expect((await disposableDomains(list('deny email-domain x.test; deny username disposable'))).size).toBe(0);
  });
});

describe('the network of an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', networkOf('2001:0db8:0001:0002::1')],
    ['fe80::1%eth0', networkOf('fe80::2%eth1')],
    ['unknown', 'unknown'],
  ])('%s → %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  it('ends where that of the neighbour begins', () => {
    expect(networkOf('2001:db8:1:2::1')).not.toBe(networkOf('2001:db8:1:3::1'));
    expect(networkOf('192.0.2.1')).not.toBe(networkOf('192.0.2.2'));
  });
});
