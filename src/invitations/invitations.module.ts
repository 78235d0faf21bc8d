import { Module } from '@nestjs/common';
import { IdentityRulesModule } from '../identity-rules/identity-rules.module.js';
import { SignInModule } from '../sign-in/sign-in.module.js';
import { TwoFactorModule } from '../two-factor/two-factor.module.js';
import { UsersModule } from '../users/users.module.js';
import { AcceptanceController } from './acceptance.controller.js';
import { Acceptance } from './acceptance.service.js';
import { InvitationMessages } from './invitation-messages.js';
import { InvitationPageController } from './invitation-page.controller.js';
import { InvitationsController } from './invitations.controller.js';
import { Invitations } from './invitations.service.js';
import { Newcomers } from './newcomers.service.js';

@Module({
  imports: [UsersModule, IdentityRulesModule, TwoFactorModule, SignInModule],
  controllers: [InvitationsController, AcceptanceController, InvitationPageController],
  providers: [Invitations, Acceptance, Newcomers, InvitationMessages],
})
export class InvitationsModule {}
