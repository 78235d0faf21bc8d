import { Body, Controller, Patch } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { Accepts, CurrentUser } from '../tokens/access.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { toUserDto, UserDto } from '../users/users.dto.js';
import { OwnIdentity } from './own-identity.service.js';
import { UpdateMeDto } from './own-profile.dto.js';

/** Here and not in `users/`, which must not know devices: an address changes only to one that was confirmed as a device. */
@ApiTags('users')
@Controller('users/me')
export class OwnProfileController {
  constructor(private readonly identity: OwnIdentity) {}

  @Patch()
  @Accepts('access')
  @ApiOperation({
    operationId: 'updateMe',
    summary: 'Change the profile, or what identifies the own account',
    description:
      'An e-mail address or phone number changes only to that of a confirmed device; the old address is told, and what is open for it becomes void. Changes of addresses and of the username need a recent proof of a factor. Roles and everything about security have ways of their own.',
  })
  @ApiBody({
    type: UpdateMeDto,
    examples: {
      profile: { summary: 'The profile', value: { firstName: 'Ada', lastName: 'King', locale: 'de-AT' } },
      fields: {
        summary: 'Fields of PROFILE_FIELDS; null takes one away',
        value: { profile: { company: 'Analytical Engines' } },
      },
      address: { summary: 'The address of a confirmed device', value: { email: 'ada@example.org' } },
    },
  })
  @ApiOkResponse({ type: UserDto, description: 'The user.' })
  @Problems(
    'insufficient_user_authentication',
    'address_change_off',
    'identity_refused',
    'address_refused',
    'address_not_confirmed',
    'identity_taken',
    'identity_needed',
  )
  async update(
    @Body() body: UpdateMeDto,
    @CurrentUser() principal: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<UserDto> {
    return toUserDto(await this.identity.update(principal, body, client));
  }
}
