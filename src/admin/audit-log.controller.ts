import { Controller, Get, Query, StreamableFile } from '@nestjs/common';
import { ApiExtraModels, ApiOkResponse, ApiOperation, ApiTags, getSchemaPath } from '@nestjs/swagger';
import { InjectEntityManager } from '@nestjs/typeorm';
import { isUUID } from 'class-validator';
import { Readable } from 'node:stream';
import type { EntityManager } from 'typeorm';
import { AuditLog } from '../audit/audit-log.js';
import type { EventFilter, EventPlace } from '../audit/audit-log.queries.js';
import { Audit } from '../audit/audit.service.js';
import { CurrentClient, type Client } from '../audit/client.js';
import { ReadReplicas } from '../database/read-replicas.js';
import { NeverRepeated, repeatRead } from '../database/repeat-reads.js';
import { invalidCursor, pageOf, readCursor } from '../paging/page.js';
import { AdminsOnly, CurrentUser } from '../tokens/access.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import {
  AuditEventDto,
  AuditEventPageDto,
  filterOf,
  isTime,
  ListAuditEventsDto,
  toAuditEventDto,
} from './audit-log.dto.js';

const EXAMPLE_FILE = `{"id":"019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11","type":"user.created","at":"2026-11-22T09:30:00.000000Z","userId":"019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c12","actor":"user","actorId":null,"sessionId":null,"requestId":null,"ip":"203.0.113.7","userAgent":"curl/8.14.1","details":{}}
{"head":{"seq":1,"hash":"${'5e'.repeat(32)}"}}
`;

@ApiTags('admin')
@ApiExtraModels(AuditEventDto, AuditEventPageDto)
@Controller('admin/audit-events')
export class AuditLogController {
  constructor(
    private readonly audit: Audit,
    private readonly auditLog: AuditLog,
    private readonly replicas: ReadReplicas,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  @NeverRepeated()
  @Get()
  @AdminsOnly()
  @ApiOperation({
    operationId: 'listAuditEvents',
    summary: 'What happened',
    description:
      'A page of events, or with `format=ndjson` all that match. The last line of that file is the end of the chain over the log, `{"head": {"seq": …, "hash": …}}`: kept elsewhere, it proves later that the newest events were not cut off. A file without it is not complete. That a file was asked for is an event too.',
  })
  @ApiOkResponse({
    description: 'The events.',
    headers: {
      'Content-Disposition': {
        description: 'The name of the file. Only with `format=ndjson`.',
        schema: { type: 'string', example: 'attachment; filename="audit-events.ndjson"' },
      },
    },
    content: {
      'application/json': { schema: { $ref: getSchemaPath(AuditEventPageDto) } },
      'application/x-ndjson': {
        schema: { type: 'string', description: 'An AuditEvent a line.', example: EXAMPLE_FILE },
      },
    },
  })
  async list(
    @Query() query: ListAuditEventsDto,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<AuditEventPageDto | StreamableFile> {
    const filter = filterOf(query);
    if (query.format === 'ndjson') return this.export(filter, admin, client);
    const place = placeOf(query.cursor);
    const events = await repeatRead(() =>
      this.replicas.read((db) => this.auditLog.newest(filter, place, query.limit + 1, db)),
    );
    const { items, nextCursor } = pageOf(events, query.limit, ({ at, id }) => [at, id]);
    return { items: items.map(toAuditEventDto), nextCursor };
  }

  private async export(filter: EventFilter, { userId, sessionId }: AccessPrincipal, client: Client) {
    const asked = Object.entries(filter).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const by = { userId: null, sessionId, client, actor: { kind: 'admin' as const, userId } };
    await this.audit.record(this.db, 'audit.exported', by, { filter: Object.fromEntries(asked) });
    // Closing the connection destroys the stream, and that ends the reading.
    return new StreamableFile(Readable.from(this.lines(filter), { objectMode: false }), {
      type: 'application/x-ndjson',
      disposition: 'attachment; filename="audit-events.ndjson"',
    });
  }

  private async *lines(filter: EventFilter): AsyncGenerator<string, void> {
    for await (const event of this.auditLog.exportEvents(filter, this.replicas.read))
      yield `${JSON.stringify(toAuditEventDto(event))}\n`;
    yield `${JSON.stringify({ head: await this.auditLog.head() })}\n`;
  }
}

function placeOf(cursor: string | undefined): EventPlace | null {
  const key = readCursor(cursor, 2);
  if (!key) return null;
  const [at = null, id = null] = key;
  if (at !== null && isTime(at) && id !== null && isUUID(id)) return { at, id };
  throw invalidCursor();
}
