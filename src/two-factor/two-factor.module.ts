import { Module } from '@nestjs/common';
import { TwoFactorController } from './two-factor.controller.js';
import { TwoFactor } from './two-factor.service.js';

@Module({ controllers: [TwoFactorController], providers: [TwoFactor], exports: [TwoFactor] })
export class TwoFactorModule {}
