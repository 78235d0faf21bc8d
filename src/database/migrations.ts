import { CreateFoundation1795298400000 } from '../../migrations/1795298400000-create-foundation.js';
import { AddWaysIn1795302000000 } from '../../migrations/1795302000000-add-ways-in.js';
import { AddRequirementRules1795305600000 } from '../../migrations/1795305600000-add-requirement-rules.js';
import { ChainAuditEvents1795309200000 } from '../../migrations/1795309200000-chain-audit-events.js';
import { AddWebhooks1795312800000 } from '../../migrations/1795312800000-add-webhooks.js';
import { AddKeyLife1795316400000 } from '../../migrations/1795316400000-add-key-life.js';
import { AddAdminIndexes1795320000000 } from '../../migrations/1795320000000-add-admin-indexes.js';
import { AnnounceEndedSessions1795323600000 } from '../../migrations/1795323600000-announce-ended-sessions.js';
import { IdentityAndRegistration1795327200000 } from '../../migrations/1795327200000-identity-and-registration.js';
import { IdentityRules1795330800000 } from '../../migrations/1795330800000-identity-rules.js';
import { Invitations1795334400000 } from '../../migrations/1795334400000-invitations.js';
import { SocialIdentities1795338000000 } from '../../migrations/1795338000000-social-identities.js';
import { KnowPasswordPeppers1795341600000 } from '../../migrations/1795341600000-know-password-peppers.js';
import { ShareAddressWindows1795345200000 } from '../../migrations/1795345200000-share-address-windows.js';
import { GuardMessages1795348800000 } from '../../migrations/1795348800000-guard-messages.js';
import { SearchUsers1795352400000 } from '../../migrations/1795352400000-search-users.js';
import { LeaveSendsUnindexed1795356000000 } from '../../migrations/1795356000000-leave-sends-unindexed.js';
import { KnowHowPasswordsWereChosen1795359600000 } from '../../migrations/1795359600000-know-how-passwords-were-chosen.js';

/** Every migration, oldest first. A list instead of a glob: a glob that matches nothing is silently "up to date". */
export const migrations = [
  CreateFoundation1795298400000,
  AddWaysIn1795302000000,
  AddRequirementRules1795305600000,
  ChainAuditEvents1795309200000,
  AddWebhooks1795312800000,
  AddKeyLife1795316400000,
  AddAdminIndexes1795320000000,
  AnnounceEndedSessions1795323600000,
  IdentityAndRegistration1795327200000,
  IdentityRules1795330800000,
  Invitations1795334400000,
  SocialIdentities1795338000000,
  KnowPasswordPeppers1795341600000,
  ShareAddressWindows1795345200000,
  GuardMessages1795348800000,
  SearchUsers1795352400000,
  LeaveSendsUnindexed1795356000000,
  KnowHowPasswordsWereChosen1795359600000,
];
