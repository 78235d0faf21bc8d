import { Module } from '@nestjs/common';
import { OutboxController } from './outbox.controller.js';

/** What only a developer needs. The application imports it outside production. */
@Module({ controllers: [OutboxController] })
export class DevModule {}
