import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** Who asks, as far as the connection tells: for the audit log and a user's list of sessions. */
export interface Client {
  ip: string;
  userAgent: string | null;
  requestId: string;
  /** The languages that the client asks for (Accept-Language). */
  locale: string | null;
}

function clientOf(request: FastifyRequest): Client {
  return {
    ip: request.ip,
    userAgent: request.headers['user-agent']?.slice(0, 300) ?? null,
    requestId: request.id,
    locale: request.headers['accept-language']?.slice(0, 100) ?? null,
  };
}

/** The {@link Client} of the present request, as a handler's parameter. */
export const CurrentClient = createParamDecorator((_: unknown, context: ExecutionContext): Client =>
  clientOf(context.switchToHttp().getRequest<FastifyRequest>()),
);
