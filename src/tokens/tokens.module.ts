import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { JwtModule, JwtSecretRequestType } from '@nestjs/jwt';
import { PassportModule } from '@nestjs/passport';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AccessCheck } from './access.check.js';
import { AccessDemands } from './access-demands.js';
import { AccessReader } from './access-reader.js';
import { AccessTokenStrategy, EnrollmentTokenStrategy } from './bearer.strategies.js';
import { Enrollment } from './enrollment.entity.js';
import { IdentityTokens } from './identity-token.js';
import { JwksController } from './jwks.controller.js';
import { LiveSessions } from './live-sessions.js';
import { RefreshSalts } from './refresh-salts.js';
import { Session } from './session.entity.js';
import { SigningKey } from './signing-key.entity.js';
import { SigningKeyRing } from './signing-key-ring.js';
import { SigningKeys } from './signing-keys.js';
import { TokenKeys } from './token-keys.js';
import { TokenSigner } from './token.signer.js';
import { TokensController } from './tokens.controller.js';
import { SessionsController } from './sessions.controller.js';
import { Tokens } from './tokens.service.js';
import { VerifiedTokens } from './verified-tokens.js';

@Module({
  imports: [TypeOrmModule.forFeature([SigningKey])],
  providers: [SigningKeyRing, SigningKeys, TokenKeys],
  exports: [SigningKeys, TokenKeys],
})
class TokenKeysModule {}

@Global()
@Module({
  imports: [
    DiscoveryModule,
    PassportModule,
    TypeOrmModule.forFeature([Session, Enrollment]),
    TokenKeysModule,
    JwtModule.registerAsync({
      imports: [TokenKeysModule],
      inject: [TokenKeys],
      useFactory: (keys: TokenKeys) => ({
        secretOrKeyProvider: (request, tokenOrPayload, options) =>
          request === JwtSecretRequestType.VERIFY
            ? keys.forToken(tokenOrPayload as string)
            : keys.forSigning(options && 'header' in options ? options.header : undefined),
      }),
    }),
  ],
  controllers: [TokensController, SessionsController, JwksController],
  providers: [
    TokenSigner,
    VerifiedTokens,
    RefreshSalts,
    Tokens,
    LiveSessions,
    AccessReader,
    AccessDemands,
    IdentityTokens,
    AccessTokenStrategy,
    EnrollmentTokenStrategy,
    AccessCheck,
  ],
  exports: [TokenSigner, Tokens, LiveSessions, AccessReader, AccessDemands, IdentityTokens, TokenKeysModule],
})
export class TokensModule {}
