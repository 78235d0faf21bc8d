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
    const fault = await findPepperFault(this.db, this.config);
    if (fault !== null) throw new ConfigurationError([fault]);
    const ring = ringOf(this.config);
    const gone = (await findPeppers(this.db)).filter((known) => ring.every(({ id }) => id !== known.id));
    for (const { id } of gone) await deletePepper(this.db, id);
    if (ring[0]) await insertPepper(this.db, ring[0]);
  }
}

/** What stops the start, for the one who asks before it. Nothing is written. */
export async function findPepperFault(db: EntityManager, config: Config): Promise<string | null> {
  const ring = ringOf(config);
  for (const { id, checkValue } of await findPeppers(db)) {
    const given = ring.find((each) => each.id === id);
    if (given && !given.checkValue.equals(checkValue)) {
      return `PASSWORD_PEPPER: the key "${id}" is not the one that passwords were hashed with; restore it, or give the new key another id and put it first`;
    }
    if (!given && (await isPepperUsed(db, id))) {
      return `PASSWORD_PEPPER lacks the key "${id}", which passwords are still hashed with; add it again behind the first key: each sign-in renews one`;
    }
  }
  return null;
}

function ringOf({ secrets }: Config): KnownPepper[] {
  return readKeyRing(secrets.passwordPepper).map(({ id, key }) => ({ id, checkValue: check(key) }));
}

function check(key: KeyObject): Buffer {
  return createHmac('sha256', key).update('countersign/v1/pepper-check').digest();
}
