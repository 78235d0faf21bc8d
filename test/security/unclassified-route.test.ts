import { Controller, Get, Module, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AppModule } from '../../src/app.module.js';
import { APP_OPTIONS, createAdapter } from '../../src/app.setup.js';
import { completeConfig } from '../../src/config/config.js';
import { readSettings } from '../../src/config/env.js';
import { Accepts, Public } from '../../src/tokens/access.js';
import { TEST_SECRET } from '../support/app.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

@Controller('decided')
class DecidedController {
  @Get('open')
  @Public()
  open(): string {
    return 'open';
  }

  @Get('closed')
  @Accepts('access')
  closed(): string {
    return this.helper();
  }

  /** No route, so nobody needs to decide. */
  helper(): string {
    return 'closed';
  }
}

@Controller('undecided')
class UndecidedController {
  @Get('one')
  forgotten(): string {
    return 'one';
  }

  @Get('two')
  @Public()
  decided(): string {
    return 'two';
  }

  @Get('three')
  alsoForgotten(): string {
    return 'three';
  }
}

class InheritsForgetfulness extends UndecidedController {}
Controller('heir')(InheritsForgetfulness);

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

it('a handler that says neither @Accepts nor @Public stops the boot, and the message names it', async () => {
  await expect(startWith(UndecidedController)).rejects.toThrow(
    'Say @Accepts(…) or @Public() on: UndecidedController.forgotten, UndecidedController.alsoForgotten',
  );
});

it('also one that a controller inherits', async () => {
  await expect(startWith(InheritsForgetfulness)).rejects.toThrow(/InheritsForgetfulness\.forgotten/);
});

it('handlers that say so, and methods that are no routes, do not', async () => {
  await expect(startWith(DecidedController)).resolves.toBeUndefined();
});

/** Starts the whole application with one more controller, and stops it again. */
async function startWith(controller: Type): Promise<void> {
  @Module({ controllers: [controller] })
  class ExtraModule {}

  const settings = readSettings({ NODE_ENV: 'test', SECRET_KEY: TEST_SECRET, LOG_LEVEL: 'error' });
  const config = completeConfig(settings, { databaseUrl: database.url, secretKey: TEST_SECRET });
  const module = await Test.createTestingModule({ imports: [AppModule.with(config), ExtraModule] }).compile();
  const app = module.createNestApplication(createAdapter(config), { ...APP_OPTIONS, logger: false });
  try {
    await app.init();
  } finally {
    await app.close().catch(() => undefined);
  }
}
