import { Module } from '@nestjs/common';
import { SignInModule } from '../sign-in/sign-in.module.js';
import { TwoFactorModule } from '../two-factor/two-factor.module.js';
import { UsersModule } from '../users/users.module.js';
import { AdminCreation } from './admin-creation.service.js';
import { AdminUsersRecoveryController } from './admin-users-recovery.controller.js';
import { AdminUsersRecovery } from './admin-users-recovery.service.js';
import { AdminUsersController } from './admin-users.controller.js';
import { AdminUsers } from './admin-users.service.js';
import { MessageGuardController } from './message-guard.controller.js';
import { TwoFactorPolicyController } from './two-factor-policy.controller.js';
import { UserTwoFactorController } from './user-two-factor.controller.js';

@Module({
  imports: [UsersModule, TwoFactorModule, SignInModule],
  controllers: [
    AdminUsersController,
    AdminUsersRecoveryController,
    UserTwoFactorController,
    TwoFactorPolicyController,
    MessageGuardController,
  ],
  providers: [AdminCreation, AdminUsers, AdminUsersRecovery],
})
export class AdminModule {}
