import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { combined, type Requirements } from '../requirements.js';
import type { SignedInUser, Verifier } from '../verifier.js';
import { AccessRefused } from './access-refused.js';

export const VERIFIER = Symbol.for('@countersign/guard:verifier');
export const REQUIREMENTS = {
  acr: 'countersign:requires-acr',
  role: 'countersign:requires-role',
  fresh: 'countersign:requires-fresh',
} as const;

/** What Express and Fastify have in common. */
export interface GuardedRequest {
  headers: { authorization?: string | undefined };
  countersignUser?: SignedInUser;
}

/** Lets a request pass whose access token is valid and meets what the class and the handler require, both together. */
@Injectable()
export class CountersignGuard implements CanActivate {
  constructor(
    @Inject(VERIFIER) private readonly verifier: Verifier,
    @Inject(Reflector) private readonly reflector: Reflector,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (context.getType() !== 'http')
      throw new Error('CountersignGuard guards HTTP only; use createVerifier elsewhere');
    const request = context.switchToHttp().getRequest<GuardedRequest>();
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const verdict = await this.verifier.verify(token, this.requirementsOf(context));
    if (!verdict.ok) throw new AccessRefused(verdict.refusal);
    request.countersignUser = verdict.user;
    return true;
  }

  private requirementsOf(context: ExecutionContext): Requirements {
    const targets = [context.getClass(), context.getHandler()];
    const notes = Object.values(REQUIREMENTS).flatMap((key) =>
      this.reflector.getAll<(Requirements | undefined)[]>(key, targets),
    );
    return combined(notes.filter((note) => note !== undefined));
  }
}
