import { CreateFoundation1795298400000 } from '../../migrations/1795298400000-create-foundation.js';
import { AddWaysIn1795302000000 } from '../../migrations/1795302000000-add-ways-in.js';
import { AddRequirementRules1795305600000 } from '../../migrations/1795305600000-add-requirement-rules.js';

/** Every migration, oldest first. A list instead of a glob: a glob that matches nothing is silently "up to date". */
export const migrations = [CreateFoundation1795298400000, AddWaysIn1795302000000, AddRequirementRules1795305600000];
