import { Module } from '@nestjs/common';
import { IdentityRulesModule } from '../identity-rules/identity-rules.module.js';
import { SignInModule } from '../sign-in/sign-in.module.js';
import { UsersModule } from '../users/users.module.js';
import { IdentitiesController } from './identities.controller.js';
import { Identities } from './identities.service.js';
import { IdentityProofs } from './identity-proofs.service.js';
import { ProviderHttp } from './provider-http.js';
import { Providers } from './providers.js';
import { SocialSignInController } from './social-sign-in.controller.js';
import { SocialSignIn } from './social-sign-in.service.js';

@Module({
  imports: [UsersModule, IdentityRulesModule, SignInModule],
  controllers: [SocialSignInController, IdentitiesController],
  providers: [Providers, ProviderHttp, IdentityProofs, Identities, SocialSignIn],
})
export class SocialModule {}
