import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { createHmac, type KeyObject } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { ConfigurationError } from '../config/env.js';
import { readKeyRing } from '../crypto/key-ring.js';
import { deletePepper, findPeppers, insertPepper, isPepperUsed, type KnownPepper } from './pepper.queries.js';

/**
 * Stops the start where PASSWORD_PEPPER lacks a key that passwords were hashed with, or names another key by its id:
 * otherwise everybody whose password has it would be told that it is wrong.
 */
@Injectable()
export class PepperCheck implements OnModuleInit {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly config: Config,
  ) {}

  async onModuleInit(): Promise<void> {
    const ring = readKeyRing(this.config.secrets.passwordPepper).map(({ id, key }) => ({ id, checkValue: check(key) }));
    for (const known of await findPeppers(this.db)) {
      const given = ring.find(({ id }) => id === known.id);
      if (given) requireSame(given, known);
      else await this.forget(known.id);
    }
    if (ring[0]) await insertPepper(this.db, ring[0]);
  }

  private async forget(id: string): Promise<void> {
    if (await isPepperUsed(this.db, id)) {
      throw new ConfigurationError([
        `PASSWORD_PEPPER lacks the key "${id}", which passwords are still hashed with; add it again behind the first key: each sign-in renews one`,
      ]);
    }
    await deletePepper(this.db, id);
  }
}

function requireSame(given: KnownPepper, known: KnownPepper): void {
  if (given.checkValue.equals(known.checkValue)) return;
  throw new ConfigurationError([
    `PASSWORD_PEPPER: the key "${given.id}" is not the one that passwords were hashed with; restore it, or give the new key another id and put it first`,
  ]);
}

function check(key: KeyObject): Buffer {
  return createHmac('sha256', key).update('countersign/v1/pepper-check').digest();
}
