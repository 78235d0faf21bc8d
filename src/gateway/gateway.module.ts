import { Module } from '@nestjs/common';
import { ForwardAuthController } from './forward-auth.controller.js';
import { ForwardAuth } from './forward-auth.service.js';
import { IssuerMetadataController } from './issuer-metadata.controller.js';

/** What stands between gateways, the services behind them, and us. */
@Module({
  controllers: [ForwardAuthController, IssuerMetadataController],
  providers: [ForwardAuth],
})
export class GatewayModule {}
