export type { Refusal, RefusalCode } from './refusal.js';
export type { Requirements } from './requirements.js';
export { createVerifier, type SignedInUser, type Verdict, type Verifier, type VerifierOptions } from './verifier.js';
