import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { PATH_METADATA } from '@nestjs/common/constants.js';
import { ACCEPTED_KINDS } from './access.js';

/** Deny by default starts at the boot: a handler that says neither `@Accepts` nor `@Public` stops it. */
@Injectable()
export class AccessCheck implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
  ) {}

  onModuleInit(): void {
    const unclassified = this.discovery.getControllers().flatMap(({ metatype, name }) => {
      if (!metatype) return [];
      const prototype = metatype.prototype as Record<string, () => unknown>;
      return this.scanner
        .getAllMethodNames(prototype)
        .map((method) => ({ method, handler: prototype[method] }))
        .filter(({ handler }) => handler !== undefined && this.isUnclassifiedRoute(handler))
        .map(({ method }) => `${name}.${method}`);
    });
    if (unclassified.length > 0) {
      throw new Error(`Say @Accepts(…) or @Public() on: ${unclassified.join(', ')}`);
    }
  }

  private isUnclassifiedRoute(handler: () => unknown): boolean {
    const isRoute = this.reflector.get<unknown>(PATH_METADATA, handler) !== undefined;
    return isRoute && this.reflector.get<unknown>(ACCEPTED_KINDS, handler) === undefined;
  }
}
