import { Module } from '@nestjs/common';
import { TwilioStatusController } from './twilio-status.controller.js';

/** What became of messages, told by those who delivered them. */
@Module({ controllers: [TwilioStatusController] })
export class DeliveryModule {}
