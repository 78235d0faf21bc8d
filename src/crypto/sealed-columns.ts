/** A column that holds sealed text, and what it is bound to: the purpose and the id of its row. */
export interface SealedColumn {
  table: string;
  column: string;
  rowId: string;
  rowIdType: 'uuid' | 'text';
  purpose: string;
}

/** Every one of them. What is missing here would be lost with the next change of ENCRYPTION_KEYS. */
export const sealedColumns = {
  signingKeys: {
    table: 'signing_keys',
    column: 'sealed_private_key',
    rowId: 'kid',
    rowIdType: 'text',
    purpose: 'signing-key',
  },
  deviceSecrets: {
    table: 'otp_devices',
    column: 'sealed_secret',
    rowId: 'id',
    rowIdType: 'uuid',
    purpose: 'otp-device-secret',
  },
  webhookSecrets: {
    table: 'webhooks',
    column: 'sealed_secret',
    rowId: 'id',
    rowIdType: 'uuid',
    purpose: 'webhook-secret',
  },
  previousWebhookSecrets: {
    table: 'webhooks',
    column: 'sealed_previous_secret',
    rowId: 'id',
    rowIdType: 'uuid',
    purpose: 'webhook-secret',
  },
} as const satisfies Record<string, SealedColumn>;
