import { Module } from '@nestjs/common';
import { TwoFactorController } from './two-factor.controller.js';
import { ConfiguredPolicy } from './configured-policy.js';
import { PolicyPreview } from './policy-preview.service.js';
import { RequirementRules } from './requirement-rules.service.js';
import { TwoFactor } from './two-factor.service.js';

@Module({
  controllers: [TwoFactorController],
  providers: [ConfiguredPolicy, TwoFactor, PolicyPreview, RequirementRules],
  exports: [ConfiguredPolicy, TwoFactor, PolicyPreview, RequirementRules],
})
export class TwoFactorModule {}
