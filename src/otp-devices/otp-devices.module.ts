import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { IdentityRulesModule } from '../identity-rules/identity-rules.module.js';
import { TwoFactorModule } from '../two-factor/two-factor.module.js';
import { UsersModule } from '../users/users.module.js';
import { Attempts } from './attempts.service.js';
import { Challenge } from './challenge.entity.js';
import { Challenges } from './challenges.service.js';
import { Devices } from './devices.service.js';
import { EmailMethod } from './methods/email.js';
import { RecoveryCodesMethod } from './methods/recovery-codes.js';
import { Methods } from './methods/registry.js';
import { SmsMethod } from './methods/sms.js';
import { TotpMethod } from './methods/totp.js';
import { OtpDevice } from './otp-device.entity.js';
import { OtpDevicesController } from './otp-devices.controller.js';
import { OwnAddresses } from './own-addresses.service.js';
import { Verifications } from './verifications.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([OtpDevice, Challenge]), UsersModule, IdentityRulesModule, TwoFactorModule],
  controllers: [OtpDevicesController],
  providers: [
    Devices,
    OwnAddresses,
    Challenges,
    Attempts,
    Verifications,
    Methods,
    EmailMethod,
    SmsMethod,
    TotpMethod,
    RecoveryCodesMethod,
  ],
  exports: [Devices, OwnAddresses, Challenges, Attempts, Methods],
})
export class OtpDevicesModule {}
