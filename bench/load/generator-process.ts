import { once } from 'node:events';
import { startOnSecondCore } from '../cores.js';
import type { Report } from './generator.js';
import type { Job, Measured } from './measure.js';

export interface Generator {
  smtpUrl: string;
  run(job: Job): Promise<Measured>;
  stop(): void;
}

/** Starts the load generator, with the mail server that is in it. */
export async function startGenerator(): Promise<Generator> {
  const child = startOnSecondCore('load/generator.js');
  const next = async (): Promise<Report> => {
    const [report] = (await once(child, 'message')) as [Report];
    return report;
  };
  const first = await next();
  if (!('smtpUrl' in first)) throw new Error('The load generator did not start');
  return {
    smtpUrl: first.smtpUrl,
    async run(job) {
      child.send(job);
      const report = await next();
      if ('measured' in report) return report.measured;
      throw new Error(`${job.contender}, ${job.scenario}: ${'failed' in report ? report.failed : 'no measurement'}`);
    },
    stop: () => child.kill(),
  };
}
