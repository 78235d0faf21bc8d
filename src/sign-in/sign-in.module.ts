import { Module } from '@nestjs/common';
import { OtpDevicesModule } from '../otp-devices/otp-devices.module.js';
import { TwoFactorModule } from '../two-factor/two-factor.module.js';
import { UsersModule } from '../users/users.module.js';
import { DeviceConfirmationController } from './device-confirmation.controller.js';
import { Refresh } from './refresh.service.js';
import { SignInController } from './sign-in.controller.js';
import { SignIn } from './sign-in.service.js';
import { StepUp } from './step-up.service.js';

@Module({
  imports: [UsersModule, TwoFactorModule, OtpDevicesModule],
  controllers: [SignInController, DeviceConfirmationController],
  providers: [SignIn, Refresh, StepUp],
})
export class SignInModule {}
