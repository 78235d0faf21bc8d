import { Catch, HttpException, Inject, Injectable, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Refusal } from '../refusal.js';

/** What the guard throws. A filter of yours that catches everything can answer `refusal` itself. */
export class AccessRefused extends HttpException {
  constructor(readonly refusal: Refusal) {
    super(refusal.problem, refusal.status);
  }
}

/** Answers the problem with its headers, which Nest's own filter would leave out. */
@Injectable()
@Catch(AccessRefused)
export class AccessRefusedFilter implements ExceptionFilter<AccessRefused> {
  constructor(@Inject(HttpAdapterHost) private readonly host: HttpAdapterHost) {}

  catch({ refusal }: AccessRefused, context: ArgumentsHost): void {
    const { httpAdapter } = this.host;
    const response: unknown = context.switchToHttp().getResponse();
    for (const [name, value] of Object.entries(refusal.headers)) httpAdapter.setHeader(response, name, value);
    httpAdapter.reply(response, JSON.stringify(refusal.problem), refusal.status);
  }
}
