import type { By } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import type { AccessPrincipal } from '../tokens/principal.js';

/** Who acts in an admin route, for the audit log. */
export function byAdmin({ userId }: AccessPrincipal, client: Client): By & { client: Client } {
  return { actor: { kind: 'admin', userId }, client };
}
