import { Module } from '@nestjs/common';
import { IdentityRulesModule } from '../identity-rules/identity-rules.module.js';
import { OtpDevicesModule } from '../otp-devices/otp-devices.module.js';
import { SignInModule } from '../sign-in/sign-in.module.js';
import { TwoFactorModule } from '../two-factor/two-factor.module.js';
import { UsersModule } from '../users/users.module.js';
import { Collisions } from './collisions.service.js';
import { OptionsController } from './options.controller.js';
import { OwnIdentity } from './own-identity.service.js';
import { OwnProfileController } from './own-profile.controller.js';
import { RegistrationController } from './registration.controller.js';
import { Registration } from './registration.service.js';
import { VerifiedRegistration } from './verified-registration.service.js';

@Module({
  imports: [UsersModule, IdentityRulesModule, TwoFactorModule, OtpDevicesModule, SignInModule],
  controllers: [RegistrationController, OwnProfileController, OptionsController],
  providers: [Registration, VerifiedRegistration, Collisions, OwnIdentity],
})
export class RegistrationModule {}
