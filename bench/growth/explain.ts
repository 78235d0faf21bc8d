import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startService, type Service } from '../service.js';
import { query } from './postgres.js';

export interface ExplainedStatement {
  /** Its beginning, without the columns. */
  statement: string;
  indexes: string[];
  /** Tables that were read from their beginning to their end. */
  scanned: string[];
  rows: number;
  buffers: number;
  milliseconds: number;
}

/** A node of a plan as auto_explain logs it. */
interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows'?: number;
  'Actual Total Time'?: number;
  'Shared Hit Blocks'?: number;
  'Shared Read Blocks'?: number;
  Plans?: PlanNode[];
}

interface LoggedPlan {
  'Query Text': string;
  Plan: PlanNode;
}

const SETTINGS = [
  `session_preload_libraries = 'auto_explain'`,
  'auto_explain.log_min_duration = 0',
  'auto_explain.log_analyze = on',
  'auto_explain.log_buffers = on',
  `auto_explain.log_format = 'json'`,
  `auto_explain.log_level = 'notice'`,
];
const HOOK = import.meta.resolve('./keep-plans.js');

/**
 * The plans of the very statements that the service sends, with their own parameters, as PostgreSQL carried them out:
 * auto_explain tells every one to the client, while `use` uses a service of its own that keeps what it is told.
 */
export async function explainStatements(
  databaseUrl: string,
  use: (service: Service) => Promise<void>,
): Promise<ExplainedStatement[]> {
  const name = new URL(databaseUrl).pathname.slice(1);
  for (const setting of SETTINGS) await query(databaseUrl, `ALTER DATABASE ${name} SET ${setting}`);
  const folder = mkdtempSync(join(tmpdir(), 'countersign-plans-'));
  const file = join(folder, 'plans');
  const service = await startService(databaseUrl, { NODE_OPTIONS: `--import ${HOOK}`, PLANS_FILE: file });
  try {
    await use(service);
  } finally {
    await service.stop();
  }
  const byText = new Map<string, LoggedPlan>();
  for (const plan of readFileSync(file, 'utf8').split('\0').flatMap(planIn)) byText.set(plan['Query Text'], plan);
  rmSync(folder, { recursive: true });
  return [...byText.values()].map(summaryOf).filter(({ statement }) => !/graphile_worker|pg_/.test(statement));
}

function planIn(notice: string): LoggedPlan[] {
  return notice.startsWith('duration: ') ? [JSON.parse(notice.slice(notice.indexOf('{'))) as LoggedPlan] : [];
}

function summaryOf({ 'Query Text': text, Plan: plan }: LoggedPlan): ExplainedStatement {
  const nodes = flat(plan);
  return {
    statement: shortened(text),
    indexes: [...new Set(nodes.flatMap((node) => node['Index Name'] ?? []))],
    scanned: [
      ...new Set(nodes.flatMap((node) => (node['Node Type'] === 'Seq Scan' ? (node['Relation Name'] ?? []) : []))),
    ],
    rows: plan['Actual Rows'] ?? 0,
    buffers: (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0),
    milliseconds: plan['Actual Total Time'] ?? 0,
  };
}

function flat(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flat)];
}

function shortened(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 2_000);
}
