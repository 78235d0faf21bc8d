import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Config } from '../config/config.js';
import { Public } from '../tokens/access.js';
import { RULE_METHODS } from '../two-factor/policy.js';
import { PASSWORD_MAX_LENGTH } from '../users/password-rules.js';
import { AuthOptionsDto, type SignUpOptionsDto, WAYS_IN } from './options.dto.js';

/** The configuration as far as it is public anyway: whoever tries finds out. */
@ApiTags('sign-in')
@Controller('auth/options')
export class OptionsController {
  constructor(private readonly config: Config) {}

  @Get()
  @Public()
  @Header('Cache-Control', 'public, max-age=60')
  @ApiOperation({
    operationId: 'getAuthOptions',
    summary: 'Which ways in, fields, methods and providers there are',
    description: 'The same for everybody, and changed by a restart only.',
  })
  @ApiOkResponse({ type: AuthOptionsDto, description: 'What is switched on.' })
  options(): AuthOptionsDto {
    const { accounts, invitations, social, tokens, twoFactor } = this.config;
    const { identityFields, requiredFields, optionalFields, profileFields, passwordMinLength } = accounts;
    const { providers } = social;
    // Without a driver nobody could receive a text message.
    const sends = (channel: string) => channel !== 'sms' || this.config.sms.driver !== null;
    const isOpen = {
      password: true,
      code: accounts.codesForStrangers,
      magicLink: accounts.codesForStrangers,
      social: providers.length > 0,
    };
    return {
      signUp: { mode: this.signUpMode(), invitations: invitations.allowed },
      identityFields,
      requiredFields,
      optionalFields,
      profileFields,
      password: { minLength: passwordMinLength, maxLength: PASSWORD_MAX_LENGTH },
      waysIn: WAYS_IN.filter((way) => isOpen[way]),
      codeChannels: (['email', 'sms'] as const).filter(sends),
      methods: RULE_METHODS.filter((method) => twoFactor.trustedMethods.includes(method)).filter(sends),
      providers,
      trustedBrowser: twoFactor.trustedBrowserTtlSeconds !== null,
      cookies: tokens.authCookies,
    };
  }

  private signUpMode(): SignUpOptionsDto['mode'] {
    const { signupAllowed, verifiedOnly, deferIdentity } = this.config.accounts;
    if (!signupAllowed) return 'off';
    if (verifiedOnly) return 'verified';
    return deferIdentity ? 'deferred' : 'immediate';
  }
}
