import { Module } from '@nestjs/common';
import { IdentityRulesModule } from '../identity-rules/identity-rules.module.js';
import { OtpDevicesModule } from '../otp-devices/otp-devices.module.js';
import { TwoFactorModule } from '../two-factor/two-factor.module.js';
import { UsersModule } from '../users/users.module.js';
import { AccountRemovalController } from './account-removal.controller.js';
import { AccountRemoval } from './account-removal.service.js';
import { CodeRequests } from './code-requests.js';
import { DeviceConfirmationController } from './device-confirmation.controller.js';
import { LinkPagesController } from './link-pages.controller.js';
import { LinksController } from './links.controller.js';
import { Links } from './links.service.js';
import { PasswordReset } from './password-reset.service.js';
import { PauseNotices } from './pause-notices.service.js';
import { SignInPipeline } from './pipeline.js';
import { Refresh } from './refresh.service.js';
import { SentProofs } from './sent-proofs.service.js';
import { SignInController } from './sign-in.controller.js';
import { SignIn } from './sign-in.service.js';
import { StepUp } from './step-up.service.js';
import { TrustedBrowsersController } from './trusted-browsers.controller.js';
import { TrustedBrowsers } from './trusted-browsers.service.js';

@Module({
  imports: [UsersModule, IdentityRulesModule, TwoFactorModule, OtpDevicesModule],
  controllers: [
    SignInController,
    LinksController,
    LinkPagesController,
    DeviceConfirmationController,
    TrustedBrowsersController,
    AccountRemovalController,
  ],
  providers: [
    SignInPipeline,
    SignIn,
    Refresh,
    StepUp,
    SentProofs,
    CodeRequests,
    Links,
    PasswordReset,
    PauseNotices,
    TrustedBrowsers,
    AccountRemoval,
  ],
  exports: [SentProofs, AccountRemoval, SignInPipeline],
})
export class SignInModule {}
