import { randomBytes } from 'node:crypto';
import { sealedColumns } from '../crypto/sealed-columns.js';

/** The purpose that seals a secret, present or previous; with the webhook's id it is the associated data of the secret box. */
export const WEBHOOK_SECRET = sealedColumns.webhookSecrets.purpose;

/** Bytes; Standard Webhooks asks for 24 to 64. */
const LENGTH = 32;

/** In the form that every library of Standard Webhooks takes. */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(LENGTH).toString('base64')}`;
}
