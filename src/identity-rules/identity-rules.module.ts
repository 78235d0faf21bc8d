import { Module } from '@nestjs/common';
import { Honeypot } from './honeypot.js';
import { IdentityRules } from './identity-rules.service.js';

@Module({ providers: [IdentityRules, Honeypot], exports: [IdentityRules] })
export class IdentityRulesModule {}
