import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Owners } from './owners.service.js';
import { Passwords } from './password.js';
import { PepperCheck } from './pepper-check.js';
import { User } from './user.entity.js';
import { UsersController } from './users.controller.js';
import { Users } from './users.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([User])],
  controllers: [UsersController],
  providers: [Users, Owners, Passwords, PepperCheck],
  exports: [Users, Owners, Passwords],
})
export class UsersModule {}
