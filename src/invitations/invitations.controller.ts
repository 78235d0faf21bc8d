import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, ParseUUIDPipe, Post, Query } from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { ThrottledAs } from '../throttling/ip-throttle.guard.js';
import { Accepts, CurrentUser } from '../tokens/access.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { InvitationDto, InvitationListDto, ListInvitationsDto, toInvitationDto } from './invitations.dto.js';
import type { Invitation } from './invitations.queries.js';
import { Invitations } from './invitations.service.js';
import { InviteDto } from './invite.dto.js';

/** What is no id is answered like an id that nobody has. */
const InvitationId = () => Param('id', new ParseUUIDPipe({ errorHttpStatusCode: HttpStatus.NOT_FOUND }));
const ApiInvitationId = () =>
  ApiParam({
    name: 'id',
    format: 'uuid',
    example: '019aa8d2-9d50-7b2e-8f11-3c4d5e6f7a81',
    description: 'Of the list.',
  });

@ApiTags('invitations')
@Controller('invitations')
export class InvitationsController {
  constructor(private readonly invitations: Invitations) {}

  @Post()
  @Accepts('access')
  @ThrottledAs('sign-in', 'send')
  @ApiOperation({
    operationId: 'invite',
    summary: 'Invite somebody by mail or text message',
    description:
      'Every user may, where INVITE_ALLOWED is on. The answer is the same whether or not the address has an account.',
  })
  @ApiBody({
    type: InviteDto,
    examples: {
      mail: { summary: 'By mail', value: { email: 'grace@example.com', message: 'Welcome to the team!' } },
      text: { summary: 'By text message', value: { phoneNumber: '+4915112345678', expiresIn: 604_800 } },
      role: {
        summary: 'By an administrator, with a role and a rule',
        value: { email: 'grace@example.com', roles: ['support'], requireTwoFactor: true, methods: ['totp'] },
      },
    },
  })
  @ApiCreatedResponse({ type: InvitationDto, description: 'The invitation is on its way.' })
  @Problems(
    'invitations_closed',
    'admin_required',
    'insufficient_user_authentication',
    'redirect_not_allowed',
    'identity_refused',
    'address_refused',
    'already_invited',
    'too_many_invitations',
    'code_recently_sent',
    'too_many_messages',
    'messages_paused',
  )
  async invite(
    @Body() body: InviteDto,
    @CurrentUser() principal: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<InvitationDto> {
    return this.shown(await this.invitations.create(principal, body, client), principal);
  }

  @Get()
  @Accepts('access')
  @ApiOperation({
    operationId: 'listInvitations',
    summary: 'Invitations, page by page',
    description: 'One’s own; administrators see those of all.',
  })
  @ApiOkResponse({ type: InvitationListDto, description: 'A page of invitations.' })
  @Problems('insufficient_user_authentication')
  async list(
    @Query() query: ListInvitationsDto,
    @CurrentUser() principal: AccessPrincipal,
  ): Promise<InvitationListDto> {
    const { items, nextCursor } = await this.invitations.list(principal, query);
    return { items: items.map((invitation) => this.shown(invitation, principal)), nextCursor };
  }

  @Get(':id')
  @Accepts('access')
  @ApiInvitationId()
  @ApiOperation({ operationId: 'getInvitation', summary: 'One invitation' })
  @ApiOkResponse({ type: InvitationDto, description: 'The invitation.' })
  @Problems('not_found', 'insufficient_user_authentication')
  async get(@InvitationId() id: string, @CurrentUser() principal: AccessPrincipal): Promise<InvitationDto> {
    return this.shown(await this.invitations.get(principal, id), principal);
  }

  @Delete(':id')
  @HttpCode(204)
  @Accepts('access')
  @ApiInvitationId()
  @ApiOperation({ operationId: 'revokeInvitation', summary: 'Revoke an invitation that was not accepted' })
  @ApiNoContentResponse({ description: 'Its link opens nothing any more.' })
  @Problems('not_found', 'invitation_not_open', 'insufficient_user_authentication')
  async revoke(
    @InvitationId() id: string,
    @CurrentUser() principal: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.invitations.revoke(principal, id, client);
  }

  @Post(':id/resend')
  @HttpCode(200)
  @Accepts('access')
  @ThrottledAs('sign-in', 'send')
  @ApiInvitationId()
  @ApiOperation({
    operationId: 'resendInvitation',
    summary: 'Send an invitation again',
    description: 'With a fresh link and for as long as at first; the link before opens nothing any more. Three times.',
  })
  @ApiOkResponse({ type: InvitationDto, description: 'The invitation is on its way again.' })
  @Problems(
    'not_found',
    'invitations_closed',
    'invitation_not_open',
    'too_many_invitations',
    'code_recently_sent',
    'too_many_messages',
    'messages_paused',
    'insufficient_user_authentication',
  )
  async resend(
    @InvitationId() id: string,
    @CurrentUser() principal: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<InvitationDto> {
    return this.shown(await this.invitations.resend(principal, id, client), principal);
  }

  private shown(invitation: Invitation, { roles }: AccessPrincipal): InvitationDto {
    return toInvitationDto(invitation, roles.includes('admin'));
  }
}
