import { CONTENDERS, type ContenderName } from './contenders/contender.js';
import { SCENARIO_NAMES, SCENARIOS } from './operations.js';
import type { Result, Results } from './results.js';

const LABELS = 230;
const WIDTH = 860;
const ROW = 46;
const BAR = 16;
const TOP = 70;
/** For the number beside the longest bar. */
const NUMBER = 50;
/** How wide the bare limit is, where nothing is much wider. */
const WIDEST_ONE = 420;
const COLOURS = { ours: '#2f6fde', peer: '#c97b2b' } as const;
const STYLE = `text { font: 13px system-ui, sans-serif; fill: #1c1e21 } .small { font-size: 12px }`;

/** Bars of how many operations a second there are, where the bare limit is 1. */
export function drawResults({ scenarios }: Results): string {
  const shown = SCENARIO_NAMES.filter((scenario) => scenarios[scenario]?.bare);
  const height = TOP + shown.length * ROW + 10;
  const one = Math.min(
    WIDEST_ONE,
    (WIDTH - LABELS - NUMBER) / longest(shown.map((scenario) => scenarios[scenario] ?? {})),
  );
  const rows = shown.flatMap((scenario, index) => {
    const y = TOP + index * ROW;
    const its = scenarios[scenario] ?? {};
    const bar = (contender: 'ours' | 'peer', top: number) =>
      barOf(shareOf(its, contender), one, COLOURS[contender], top);
    return [
      `<text x="${LABELS - 12}" y="${y + BAR + 5}" text-anchor="end">${SCENARIOS[scenario].title}</text>`,
      bar('ours', y),
      bar('peer', y + BAR + 2),
    ];
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">
<title>Operations a second, relative to the bare limit</title>
<style>${STYLE}</style>
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
${[...legend(), ...rows].join('\n')}
<line x1="${LABELS + one}" x2="${LABELS + one}" y1="${TOP - 12}" y2="${height - 8}" stroke="#1c1e21" stroke-dasharray="4 3"/>
<text class="small" x="${LABELS + one}" y="${TOP - 18}" text-anchor="middle">${CONTENDERS.bare.title}: 1</text>
</svg>
`;
}

function legend(): string[] {
  const entry = (contender: ContenderName & keyof typeof COLOURS, x: number) =>
    `<rect x="${x}" y="14" width="${BAR}" height="${BAR}" fill="${COLOURS[contender]}"/>` +
    `<text x="${x + BAR + 6}" y="27">${CONTENDERS[contender].title}</text>`;
  return [entry('ours', LABELS), entry('peer', LABELS + 140)];
}

type OfScenario = Partial<Record<ContenderName, Result>>;

/** Of the bare limit; NaN where one of them was not measured. */
function shareOf(its: OfScenario, contender: ContenderName): number {
  return (its[contender]?.rate ?? NaN) / (its.bare?.rate ?? NaN);
}

function longest(scenarios: readonly OfScenario[]): number {
  const shares = scenarios.flatMap((its) => [shareOf(its, 'ours'), shareOf(its, 'peer')]);
  return Math.max(1, ...shares.filter((share) => !Number.isNaN(share)));
}

function barOf(share: number, one: number, colour: string, y: number): string {
  if (Number.isNaN(share)) return '';
  const width = (share * one).toFixed(1);
  return (
    `<rect x="${LABELS}" y="${y}" width="${width}" height="${BAR}" fill="${colour}"/>` +
    `<text class="small" x="${(LABELS + Number(width) + 6).toFixed(1)}" y="${y + BAR - 4}">${share.toFixed(2)}</text>`
  );
}
