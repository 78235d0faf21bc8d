export { CountersignGuard } from './countersign.guard.js';
export { CountersignGuardModule } from './countersign-guard.module.js';
export { CurrentUser, RequiresAcr, RequiresFresh, RequiresRole } from './decorators.js';
export { AccessRefused } from './access-refused.js';
export type { SignedInUser } from '../verifier.js';
