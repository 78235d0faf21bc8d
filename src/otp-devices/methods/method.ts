import type { Message, TextMessage } from '../../notifications/messages.js';
import type { CodeVerdict } from '../../notifications/verify-provider.js';
import type { FieldError } from '../../problems/problem.js';
import type { MethodType } from '../../two-factor/policy.js';
import type { ChallengePurpose } from '../challenge.entity.js';

/** A device as a method sees it: its secret opened, nothing of its counters. */
export interface DeviceState {
  id: string;
  address: string | null;
  secret: string | null;
  lastStep: number | null;
}

/** What a user sends to create a device; each method reads what is its own. */
export interface NewDevice {
  deviceId: string;
  email?: string | undefined;
  phoneNumber?: string | undefined;
  /** The name that an authenticator app shows beside the issuer. */
  account: string;
}

/** What is shown once, when the device is created, and never again. */
export interface ShownOnce {
  secret: string;
  otpauthUrl: string;
  qrCode: string;
}

export type Created =
  | { ok: true; address: string | null; secret: string | null; shownOnce: ShownOnce | null }
  | { ok: false; errors: FieldError[] };

/** What a challenge keeps, and what goes out to the user. */
export interface Question {
  codeHash: Buffer | null;
  message: Message | TextMessage | null;
  /** A provider makes and sends the code itself. */
  verification?: { to: string };
}

export interface Asked {
  challengeId: string;
  purpose: ChallengePurpose;
  codeHash: Buffer | null;
}

/** What a right answer changes on the device. */
export interface DeviceNext {
  /** The time step that was used; it only ever moves forward. */
  lastStep?: number;
  /** The recovery code that was used, if the sheet still has it. */
  recoveryCodeHashes?: readonly Buffer[];
}

export type Verdict = { ok: true; next: DeviceNext } | { ok: false; reason: 'wrong' | 'replayed' };

/**
 * One way to prove a second factor. A method computes and never writes: it returns a verdict and the device's next
 * state, and one service locks, counts, stores and audits for all of them.
 */
export interface Method {
  readonly type: MethodType;
  /** Authentication method references (RFC 8176 §2). */
  readonly amr: readonly string[];
  /** Whether asking it sends a message, and so falls under the limits of the destination. */
  readonly sends: boolean;
  /** Whether its confirmation makes it the user's preferred method. */
  readonly preferredOnceConfirmed: boolean;
  create(wanted: NewDevice): Promise<Created>;
  ask(device: DeviceState, challenge: Omit<Asked, 'codeHash'>): Question;
  /** `now` is the database's time, so that replicas with other clocks accept the same codes. */
  verify(device: DeviceState, asked: Asked, code: string, now: Date): Verdict;
  /** Where a provider made the code: what it says of what was typed. Called outside of any transaction. */
  checkRemotely?(providerId: string, code: string): Promise<CodeVerdict>;
}

/** What people type around a code: spaces, dashes, digits of other scripts' keyboards. */
export function normalizeCode(typed: string): string {
  return typed.normalize('NFKC').replace(/[\s-]/gu, '');
}
