import { z } from 'zod';
import { readSigningKey } from '../signing-key.js';
import { family, flag, freeList, httpUrl, text, textWithDefault } from '../values.js';

const word = z.string().regex(/^[!-~]+$/, 'must be one word');
const words = z.string().regex(/^[!-~]+( [!-~]+)*$/, 'must be words, separated by spaces');
const label = z.string().regex(/^[^\p{Cc}]{1,64}$/u, 'must be at most 64 characters on one line');
const applePrivateKey = z.string().refine((pem) => {
  const read = readSigningKey(pem);
  return typeof read !== 'string' && read.algorithm === 'ES256' && read.key.type === 'private';
}, 'must be the private key (.p8) that Apple gave you, in PEM');

const clientId = (whose: string) => text({ allowed: 'one word', check: word }).describe(`The client id at ${whose}.`);
const clientSecret = (whose: string) =>
  text({ allowed: 'one word', secret: true, check: word }).describe(`The client secret at ${whose}.`);
const audiences = (whose: string) =>
  freeList({ allowed: 'client ids, comma-separated', each: word }).describe(
    `Other client ids of yours at ${whose} whose tokens are taken, such as those of your mobile apps.`,
  );

export const social = {
  title: 'Social sign-in',
  schema: z
    .object({
      SOCIAL_LINK_BY_EMAIL: flag({ default: 'off' }).describe(
        'Whether somebody who comes from a provider for the first time gets into the account that has his e-mail address, where the provider has verified it and this service too. `off`: he signs in to the account and connects the provider there.',
      ),
      SOCIAL_GOOGLE_CLIENT_ID: clientId('Google'),
      SOCIAL_GOOGLE_CLIENT_SECRET: clientSecret('Google'),
      SOCIAL_GOOGLE_AUDIENCES: audiences('Google'),
      SOCIAL_GOOGLE_ISSUER: textWithDefault({
        default: 'https://accounts.google.com',
        allowed: 'an http(s) URL',
        check: httpUrl,
      }).describe(
        'Who signs Google’s tokens; another one is a stand-in for tests. In production https, or on this machine.',
      ),
      SOCIAL_GOOGLE_TOKENINFO_URL: textWithDefault({
        default: 'https://oauth2.googleapis.com/tokeninfo',
        allowed: 'an http(s) URL',
        check: httpUrl,
      }).describe('Where Google tells whom an access token was made for. In production https, or on this machine.'),
      SOCIAL_FACEBOOK_CLIENT_ID: clientId('Facebook (the app id)'),
      SOCIAL_FACEBOOK_CLIENT_SECRET: clientSecret('Facebook (the app secret)'),
      SOCIAL_FACEBOOK_API_URL: textWithDefault({
        default: 'https://graph.facebook.com',
        allowed: 'an http(s) URL',
        check: httpUrl,
      }).describe(
        'Facebook’s Graph API; another one is a stand-in for tests. In production https, or on this machine.',
      ),
      SOCIAL_APPLE_CLIENT_ID: clientId('Apple (the Services ID)'),
      SOCIAL_APPLE_CLIENT_SECRET: clientSecret('Apple, a JWT that you renew yourself; or the three settings below'),
      SOCIAL_APPLE_TEAM_ID: text({ allowed: 'one word', check: word }).describe('Your team at Apple.'),
      SOCIAL_APPLE_KEY_ID: text({ allowed: 'one word', check: word }).describe('The id of SOCIAL_APPLE_PRIVATE_KEY.'),
      SOCIAL_APPLE_PRIVATE_KEY: text({
        allowed: 'a PEM (EC P-256)',
        secret: true,
        check: applePrivateKey,
      }).describe('The key that signs a client secret for each request.'),
      SOCIAL_APPLE_AUDIENCES: audiences('Apple'),
      SOCIAL_APPLE_ISSUER: textWithDefault({
        default: 'https://appleid.apple.com',
        allowed: 'an http(s) URL',
        check: httpUrl,
      }).describe(
        'Who signs Apple’s tokens; another one is a stand-in for tests. In production https, or on this machine.',
      ),
      'OIDC_<NAME>_ISSUER': family(text({ allowed: 'an http(s) URL', check: httpUrl })).describe(
        'Any OpenID Connect provider: its issuer, whose `/.well-known/openid-configuration` is read. `<NAME>` is of your choice, in A–Z and 0–9, and lower-case in paths (`OIDC_CORP_ISSUER` is `/auth/social/corp`). In production https, or on this machine.',
      ),
      'OIDC_<NAME>_CLIENT_ID': family(clientId('this provider')).describe('The client id at this provider.'),
      'OIDC_<NAME>_CLIENT_SECRET': family(clientSecret('this provider')).describe(
        'The client secret at this provider.',
      ),
      'OIDC_<NAME>_AUDIENCES': family(audiences('this provider')).describe(
        'Other client ids of yours at this provider whose tokens are taken.',
      ),
      'OIDC_<NAME>_SCOPES': family(
        textWithDefault({ default: 'openid email profile', allowed: 'words with `openid` among them', check: words }),
      ).describe('What this provider is asked to tell.'),
      'OIDC_<NAME>_DISPLAY_NAME': family(text({ allowed: 'a name', check: label })).describe(
        'What people know this provider as. Absent: `<NAME>`.',
      ),
    })
    .transform((env) => {
      const google = {
        clientId: env.SOCIAL_GOOGLE_CLIENT_ID,
        clientSecret: env.SOCIAL_GOOGLE_CLIENT_SECRET,
        audiences: env.SOCIAL_GOOGLE_AUDIENCES,
        issuer: env.SOCIAL_GOOGLE_ISSUER,
        tokeninfoUrl: env.SOCIAL_GOOGLE_TOKENINFO_URL,
      };
      const facebook = {
        clientId: env.SOCIAL_FACEBOOK_CLIENT_ID,
        clientSecret: env.SOCIAL_FACEBOOK_CLIENT_SECRET,
        apiUrl: env.SOCIAL_FACEBOOK_API_URL.replace(/\/+$/, ''),
      };
      const apple = {
        clientId: env.SOCIAL_APPLE_CLIENT_ID,
        clientSecret: env.SOCIAL_APPLE_CLIENT_SECRET,
        teamId: env.SOCIAL_APPLE_TEAM_ID,
        keyId: env.SOCIAL_APPLE_KEY_ID,
        privateKey: env.SOCIAL_APPLE_PRIVATE_KEY,
        audiences: env.SOCIAL_APPLE_AUDIENCES,
        issuer: env.SOCIAL_APPLE_ISSUER,
      };
      const names = new Set(
        [
          env['OIDC_<NAME>_ISSUER'],
          env['OIDC_<NAME>_CLIENT_ID'],
          env['OIDC_<NAME>_CLIENT_SECRET'],
          env['OIDC_<NAME>_AUDIENCES'],
          env['OIDC_<NAME>_SCOPES'],
          env['OIDC_<NAME>_DISPLAY_NAME'],
        ].flatMap((members) => Object.keys(members)),
      );
      const openId = [...names].map((name) => ({
        variable: name,
        name: name.toLowerCase(),
        displayName: env['OIDC_<NAME>_DISPLAY_NAME'][name] ?? name,
        issuer: env['OIDC_<NAME>_ISSUER'][name] ?? null,
        clientId: env['OIDC_<NAME>_CLIENT_ID'][name] ?? null,
        clientSecret: env['OIDC_<NAME>_CLIENT_SECRET'][name] ?? null,
        audiences: env['OIDC_<NAME>_AUDIENCES'][name] ?? [],
        scopes: env['OIDC_<NAME>_SCOPES'][name] ?? 'openid email profile',
      }));
      return {
        linkByEmail: env.SOCIAL_LINK_BY_EMAIL,
        google,
        facebook,
        apple,
        openId,
        /** Those that people may come from. */
        providers: [
          ...(google.clientId === null ? [] : [{ name: 'google', displayName: 'Google' }]),
          ...(facebook.clientId === null ? [] : [{ name: 'facebook', displayName: 'Facebook' }]),
          ...(apple.clientId === null ? [] : [{ name: 'apple', displayName: 'Apple' }]),
          ...openId.map(({ name, displayName }) => ({ name, displayName })),
        ],
      };
    }),
} as const;
