import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Config } from '../config/config.js';

export function serveDocuments(_app: NestFastifyApplication, _config: Config): void {}
