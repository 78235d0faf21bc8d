import { Global, Module, type DynamicModule } from '@nestjs/common';
import { JobRunner, WORKS_JOBS } from './job-runner.js';
import { Jobs } from './jobs.service.js';

@Global()
@Module({ providers: [Jobs, JobRunner, { provide: WORKS_JOBS, useValue: true }], exports: [Jobs, JobRunner] })
export class JobsModule {
  static with({ worksJobs }: { worksJobs: boolean }): DynamicModule {
    return { module: JobsModule, providers: [{ provide: WORKS_JOBS, useValue: worksJobs }] };
  }
}
