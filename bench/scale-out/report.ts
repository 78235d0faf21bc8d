import { measuredOn, short, table } from '../growth/sections.js';
import type { Measured, ScaleOutResults } from './main.js';

/** Sign-ins a second that are planned for. */
const RATES = [100, 1_000, 10_000];
/** A session is refreshed every five minutes while it is used: so many times for each sign-in, in an hour. */
const REFRESHES = 12;

export function renderScaleOut({ date, machine, clients, seconds, measured }: ScaleOutResults): string {
  const alone = (name: string) => measured.find((each) => each.name === name && each.replicas === 1);
  return [
    `${measuredOn(date, machine)} ${clients} clients at once, ${seconds} s each. CPU of one operation, in milliseconds.`,
    table(
      [
        '',
        'replicas',
        'a second',
        'times one replica',
        'p50 / p99 ms',
        'service',
        'PostgreSQL',
        'nginx',
        'clients',
        'cores busy',
      ],
      measured.map((each) => [
        each.name,
        each.replicas,
        short(each.perSecond),
        (each.perSecond / (alone(each.name)?.perSecond ?? NaN)).toFixed(2),
        `${short(each.p50)} / ${short(each.p99)}`,
        each.cpu.service.toFixed(2),
        each.cpu.postgres.toFixed(2),
        each.cpu.nginx.toFixed(2),
        each.cpu.clients.toFixed(2),
        `${Math.round(each.busy * 100)} %`,
      ]),
    ),
  ].join('\n\n');
}

export function renderCapacity({ measured }: ScaleOutResults): string {
  const [signIn, refresh] = measured.filter(({ replicas }) => replicas === 1);
  if (!signIn || !refresh) throw new Error('One replica was not measured');
  const both = (of: (each: Measured) => number) => of(signIn) + REFRESHES * of(refresh);
  return table(
    [
      'sign-ins a second',
      'cores of the service',
      'cores of PostgreSQL',
      'statements a second',
      'commits a second',
      'WAL, MB a second',
    ],
    RATES.map((rate) => [
      rate.toLocaleString('en'),
      short((rate * both(({ cpu }) => cpu.service)) / 1_000),
      short((rate * both(({ cpu }) => cpu.postgres)) / 1_000),
      short(rate * both(({ statements }) => statements)),
      short(rate * both(({ transactions }) => transactions)),
      short((rate * both(({ walBytes }) => walBytes)) / 1e6),
    ]),
  );
}
