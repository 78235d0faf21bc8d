import { Global, Module } from '@nestjs/common';
import { Keys } from './keys.js';
import { SecretBox } from './secret-box.js';

@Global()
@Module({ providers: [Keys, SecretBox], exports: [Keys, SecretBox] })
export class CryptoModule {}
