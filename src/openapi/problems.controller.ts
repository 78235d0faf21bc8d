import { Controller, Get, Header, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { catalogue } from '../problems/catalogue.js';
import { Public } from '../tokens/access.js';

interface ProblemEntry {
  code: string;
  status: number;
  title: string;
  detail: string;
}

const entries: readonly ProblemEntry[] = Object.entries(catalogue).map(([code, entry]) => ({ code, ...entry }));

/** Every problem code: where the `type` of a problem points to. */
@ApiExcludeController()
@Controller('problems')
export class ProblemsController {
  @Get()
  @Public()
  @Header('Cache-Control', 'public, max-age=3600')
  @Header('Vary', 'Accept')
  list(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): string | { items: readonly ProblemEntry[] } {
    if (!request.headers.accept?.includes('text/html')) return { items: entries };
    void reply.type('text/html; charset=utf-8');
    return page();
  }
}

function page(): string {
  const rows = entries
    .map(
      ({ code, status, title, detail }) =>
        `<section id="${code}"><h2><code>${code}</code> <small>${status}</small></h2><p><b>${escaped(title)}.</b> ${escaped(detail)}</p></section>`,
    )
    .join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Problem codes</title>
<style>body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; } h2 { font-size: 1.1rem; margin-bottom: 0; } p { margin-top: .2rem; } section:target { outline: 2px solid; outline-offset: .5rem; }</style>
</head><body><h1>Problem codes</h1>
<p>Errors are <code>application/problem+json</code> (RFC 9457). Branch on <code>code</code>, which never changes.</p>
${rows}
</body></html>
`;
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}
