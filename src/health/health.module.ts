import { Module } from '@nestjs/common';
import { Drain } from './drain.js';
import { HealthController } from './health.controller.js';
import { Probe } from './probe.js';
import { Readiness } from './readiness.js';

@Module({ controllers: [HealthController], providers: [Drain, Probe, Readiness], exports: [Probe] })
export class HealthModule {}
