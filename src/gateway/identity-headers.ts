import type { AccessPrincipal } from '../tokens/principal.js';

/** By whose conventions the services behind the gateway read who the user is: AUTH_FORWARD_HEADERS. */
export type HeaderStyle = 'x-auth' | 'remote' | 'x-auth-request';

/** Characters of one value; servers take 8 KiB of all headers together. */
const MAX_LENGTH = 1024;

/** Whether the style tells the address: only then it is looked up. */
export function tellsEmail(style: HeaderStyle): boolean {
  return style !== 'x-auth';
}

/**
 * Every header of the style is always there, if need be empty: one that is absent would leave standing, at some
 * gateways, what the client wrote into it himself. The user is named by his id, which nobody can choose or take over.
 */
export function identityHeaders(
  style: HeaderStyle,
  { userId, sessionId, roles, acr, amr }: AccessPrincipal,
  email: string | null,
): Record<string, string> {
  switch (style) {
    case 'x-auth':
      return {
        'x-auth-user-id': userId,
        'x-auth-session-id': sessionId,
        'x-auth-roles': listValue(roles),
        'x-auth-acr': acr,
        'x-auth-amr': listValue(amr),
      };
    case 'remote':
      return {
        'remote-user': userId,
        'remote-email': listValue(email === null ? [] : [email]),
        'remote-groups': listValue(roles),
      };
    case 'x-auth-request':
      return {
        'x-auth-request-user': userId,
        'x-auth-request-email': listValue(email === null ? [] : [email]),
        'x-auth-request-groups': listValue(roles),
      };
  }
}

/** Separated by commas. What does not fit is left out whole: half a role may be another role's name. */
function listValue(items: readonly string[]): string {
  let value = '';
  for (const item of items) {
    const longer = value === '' ? visible(item) : `${value},${visible(item)}`;
    if (longer.length > MAX_LENGTH) break;
    value = longer;
  }
  return value;
}

/** Percent-encoded but for visible ASCII: no line break begins a header of its own, and no comma a role of its own. */
function visible(text: string): string {
  return text.replace(/[^\x21-\x7e]|[%,]/gu, (character) => encodeURIComponent(character));
}
