import type { Settings } from './config.js';
import { isHttpsOrLocal } from './https-or-local.js';

type Social = Settings['social'];

/** What is wrong with the providers of social sign-in: half a configuration would show only when somebody comes. */
export function socialContradictions({ social, server }: Settings): string[] {
  return [
    ...missing(social),
    ...appleContradictions(social),
    ...social.openId.flatMap(nameAndScopes),
    ...(server.production ? openToOthers(social) : []),
  ];
}

/** A provider is complete or absent. */
function missing({ google, facebook, apple, openId }: Social): string[] {
  const fixed: Record<string, string | null>[] = [
    { SOCIAL_GOOGLE_CLIENT_ID: google.clientId, SOCIAL_GOOGLE_CLIENT_SECRET: google.clientSecret },
    { SOCIAL_FACEBOOK_CLIENT_ID: facebook.clientId, SOCIAL_FACEBOOK_CLIENT_SECRET: facebook.clientSecret },
    { SOCIAL_APPLE_CLIENT_ID: apple.clientId, ...appleSecret(apple) },
  ];
  const named = openId.map(({ variable, issuer, clientId, clientSecret }) => ({
    [`OIDC_${variable}_ISSUER`]: issuer,
    [`OIDC_${variable}_CLIENT_ID`]: clientId,
    [`OIDC_${variable}_CLIENT_SECRET`]: clientSecret,
  }));
  const begun = [...fixed.filter((provider) => Object.values(provider).some((value) => value !== null)), ...named];
  return begun.flatMap((provider) =>
    Object.keys(provider)
      .filter((name) => provider[name] === null)
      .map((name) => `${name} is required by the other settings of its provider`),
  );
}

/** Apple's secret is a JWT: made by the operator, or here with his key. */
function appleSecret({ clientSecret, teamId, keyId, privateKey }: Social['apple']): Record<string, string | null> {
  if (teamId === null && keyId === null && privateKey === null) return { SOCIAL_APPLE_CLIENT_SECRET: clientSecret };
  return { SOCIAL_APPLE_TEAM_ID: teamId, SOCIAL_APPLE_KEY_ID: keyId, SOCIAL_APPLE_PRIVATE_KEY: privateKey };
}

function appleContradictions({ apple }: Social): string[] {
  if (apple.clientSecret === null || apple.privateKey === null) return [];
  return ['SOCIAL_APPLE_CLIENT_SECRET and SOCIAL_APPLE_PRIVATE_KEY are two ways to one secret; keep one'];
}

function nameAndScopes({ variable, name, scopes }: Social['openId'][number]): string[] {
  const found: string[] = [];
  if (['google', 'facebook', 'apple'].includes(name)) {
    found.push(`OIDC_${variable}_ISSUER: the name is taken; set SOCIAL_${variable}_CLIENT_ID, or use another name`);
  }
  if (!scopes.split(' ').includes('openid')) {
    found.push(`OIDC_${variable}_SCOPES lacks openid, without which there is no ID token`);
  }
  return found;
}

function openToOthers({ google, facebook, apple, openId }: Social): string[] {
  const urls: Record<string, string | null> = {
    SOCIAL_GOOGLE_ISSUER: google.issuer,
    SOCIAL_GOOGLE_TOKENINFO_URL: google.tokeninfoUrl,
    SOCIAL_FACEBOOK_API_URL: facebook.apiUrl,
    SOCIAL_APPLE_ISSUER: apple.issuer,
    ...Object.fromEntries(openId.map(({ variable, issuer }) => [`OIDC_${variable}_ISSUER`, issuer])),
  };
  return Object.entries(urls)
    .filter(([, url]) => url !== null && !isHttpsOrLocal(url))
    .map(([name]) => `${name} must be https in production: what comes from there decides who somebody is`);
}
