import { Module } from '@nestjs/common';
import { IdentityRules } from './identity-rules.service.js';

@Module({ providers: [IdentityRules], exports: [IdentityRules] })
export class IdentityRulesModule {}
