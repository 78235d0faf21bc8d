import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuditEvent } from './audit-event.entity.js';
import { AuditFeed } from './audit-feed.js';
import { AuditLog } from './audit-log.js';
import { Audit } from './audit.service.js';
import { ChainCheck } from './chain-check.js';
import { Retention } from './retention.js';
import { Sealer } from './sealer.js';

@Global()
@Module({
  imports: [TypeOrmModule.forFeature([AuditEvent])],
  providers: [Audit, AuditFeed, AuditLog, ChainCheck, Retention, Sealer],
  exports: [Audit, AuditFeed, AuditLog, ChainCheck],
})
export class AuditModule {}
