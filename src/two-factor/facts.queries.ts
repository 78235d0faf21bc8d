import type { EntityManager } from 'typeorm';
import { firstRow } from '../database/sql.js';
import type { MethodType } from './policy.js';
import { rulesFor, type StoredRule } from './requirement-rules.queries.js';

/** A confirmed device, as much of it as decisions and settings need. */
export interface ConfirmedDevice {
  id: string;
  type: MethodType;
  name: string;
  address: string | null;
  disabled: boolean;
}

export interface StoredFacts {
  active: boolean;
  emailCanonical: string | null;
  phoneNumber: string | null;
  preferredMethod: MethodType | 'none' | null;
  twoFactorRequired: boolean;
  /** Those of the database that apply to him. */
  rules: StoredRule[];
  devices: ConfirmedDevice[];
  recoveryCodesLeft: number;
}

/** What is stored about a user's second factors, in one statement; null where there is no such user. */
export function findStoredFacts(db: EntityManager, userId: string): Promise<StoredFacts | null> {
  return firstRow<StoredFacts>(
    db,
    `SELECT u.active, u.email_canonical AS "emailCanonical", u.phone_number AS "phoneNumber", u.preferred_method AS "preferredMethod",
            u.two_factor_required AS "twoFactorRequired",
            (SELECT count(*) FROM recovery_codes c JOIN otp_devices s ON s.id = c.device_id
             WHERE s.user_id = u.id AND c.used_at IS NULL)::int AS "recoveryCodesLeft",
            ${rulesFor('u')} AS rules,
            coalesce(json_agg(json_build_object('id', d.id, 'type', d.type, 'name', d.name, 'address', d.address,
                                                'disabled', d.disabled_at IS NOT NULL)
                              ORDER BY d.last_used_at DESC NULLS LAST, d.id)
                     FILTER (WHERE d.id IS NOT NULL), '[]') AS devices
     FROM users u LEFT JOIN otp_devices d ON d.user_id = u.id AND d.confirmed_at IS NOT NULL
     WHERE u.id = $1 GROUP BY u.id`,
    [userId],
  );
}
