import { Body, Controller, HttpCode, Post, Res } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBody,
  ApiCreatedResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { SIGN_IN_RESULT, type SignInResult } from '../sign-in/sign-in.dto.js';
import { ThrottledAs } from '../throttling/ip-throttle.guard.js';
import { Public } from '../tokens/access.js';
import { AnswersTokens } from '../tokens/cookie-answers.js';
import { UserDto } from '../users/users.dto.js';
import { ConfirmRegistrationDto, RegisterDto, RegistrationStartedDto } from './registration.dto.js';
import { Registration } from './registration.service.js';
import { VerifiedRegistration } from './verified-registration.service.js';

@ApiTags('users')
@Controller('users')
export class RegistrationController {
  constructor(
    private readonly registration: Registration,
    private readonly verified: VerifiedRegistration,
  ) {}

  @Post()
  @Public()
  // Each account may have a message sent to an address of its own: limits of accounts and destinations do not add up.
  @ThrottledAs('sign-in', 'send')
  @ApiOperation({
    operationId: 'registerUser',
    summary: 'Register',
    description:
      'The answer is the same where the address or name is taken, unless the deployment reveals that (409); its owner is told by mail. Where the deployment wants the address proved first (SIGNUP_VERIFIED_ONLY) the answer is 202, and POST /users/confirm makes the account.',
  })
  @ApiBody({
    type: RegisterDto,
    examples: {
      mail: { summary: 'With an address', value: { email: 'ada@example.com', password: 'three uncommon words' } },
      name: {
        summary: 'With a username and a number',
        value: { username: 'ada', phoneNumber: '+4915112345678', firstName: 'Ada', lastName: 'Lovelace', website: '' },
      },
      profile: {
        summary: 'With fields of PROFILE_FIELDS',
        value: { email: 'ada@example.com', profile: { company: 'Analytical Engines' } },
      },
    },
  })
  @ApiCreatedResponse({ type: UserDto, description: 'The new user.' })
  @ApiAcceptedResponse({ type: RegistrationStartedDto, description: 'A code was sent; there is no account yet.' })
  @Problems('registration_closed', 'identity_refused', 'address_refused', 'identity_taken', 'busy')
  async register(
    @Body() body: RegisterDto,
    @CurrentClient() client: Client,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<UserDto | RegistrationStartedDto> {
    const registered = await this.registration.register(body, client);
    if ('user' in registered) return registered.user;
    reply.status(202);
    return registered.started;
  }

  @Post('confirm')
  @HttpCode(200)
  @Public()
  @AnswersTokens()
  @ThrottledAs('sign-in')
  @ApiOperation({
    operationId: 'confirmRegistration',
    summary: 'Prove the address of a registration, which makes the account',
    description:
      'The code that was sent is the first factor of a sign-in; `status` tells what follows. Whoever proves an address first has it.',
  })
  @ApiOkResponse({
    schema: { $ref: `#/components/schemas/${SIGN_IN_RESULT}` },
    description: 'What follows the first factor.',
  })
  @Problems(
    'invalid_token',
    'invalid_code',
    'token_expired',
    'token_already_used',
    'too_many_attempts',
    'two_factor_not_configured',
    'identity_taken',
    'retry_too_soon',
    'too_many_failures',
    'too_many_code_tokens',
    'unavailable',
  )
  confirm(@Body() body: ConfirmRegistrationDto, @CurrentClient() client: Client): Promise<SignInResult> {
    return this.verified.confirm(body, client);
  }
}
