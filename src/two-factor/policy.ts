/** How a second factor can be proved. */
export const METHOD_TYPES = ['email', 'sms', 'totp', 'recovery_codes'] as const;
export type MethodType = (typeof METHOD_TYPES)[number];

/** What rules and preferences choose from. Recovery codes stand in for a device of any of them. */
export const RULE_METHODS = ['email', 'sms', 'totp'] as const satisfies readonly MethodType[];
export type RuleMethod = (typeof RULE_METHODS)[number];

/** What the operator decided. */
export interface Policy {
  /** Methods accepted as a complete second factor; `none` makes it optional. */
  trusted: readonly (MethodType | 'none')[];
  /** What is asked while no device of a trusted method is confirmed. */
  fallback: 'email' | 'sms' | 'none';
}

export interface DeviceFact {
  id: string;
  type: MethodType;
  disabled: boolean;
}

/** All that a decision looks at. */
export interface Facts {
  policy: Policy;
  /** The user's own wish for a second factor. */
  required: boolean;
  preferred: MethodType | 'none' | null;
  /** Confirmed devices only, the last used first. A pending device never counts. */
  devices: readonly DeviceFact[];
  /** Methods that the account's own addresses could receive a code by. */
  addresses: readonly MethodType[];
  /** What was proved first where that was a message: the same channel proves nothing new. */
  firstChannel?: MethodType | null;
  /** A provider of identities said this very moment who he is. */
  federated?: boolean;
  /** What was proved when the user told us to trust the browser that the sign-in comes from. */
  trustedMethod?: MethodType | null;
  /** Methods of which a device can be created. */
  enrollable: readonly MethodType[];
}

export type AfterFirstFactor =
  | { next: 'authenticated' }
  | { next: 'second_factor_required'; ask: { deviceId: string } | { address: MethodType } }
  | { next: 'enrollment_required'; methods: readonly MethodType[] }
  | { next: 'refused'; reason: 'two_factor_not_configured' };

export type AfterSecondFactor =
  { next: 'authenticated' } | { next: 'enrollment_required'; methods: readonly MethodType[] } | { next: 'refused' };

/** The order in which devices are asked where the user prefers none of them. */
const STRENGTH: readonly MethodType[] = ['totp', 'sms', 'email', 'recovery_codes'];

/** Who demands a second factor: the policy, the user himself, or nobody. */
export function requiredBy({ policy, required }: Facts): 'policy' | 'user' | null {
  if (!policy.trusted.includes('none')) return 'policy';
  return required ? 'user' : null;
}

/**
 * What follows the first factor, whichever it was:
 *
 * 1. nobody demands a second factor and the user does not want one → in;
 * 2. the browser was trusted at an earlier second factor, by a method that still counts → in;
 * 3. a confirmed device of a trusted method, on another channel than the first factor → that one is asked;
 * 4. the fallback, on another channel, where the account has an address for it → that is asked;
 * 5. nobody demands one after all → in;
 * 6. the first factor was a message or a provider's word, and nothing is left to ask by → a device is enrolled, of another
 *    channel; a password is not enough for that, others may have known it for long;
 * 7. otherwise → refused.
 */
export function decideAfterFirstFactor(facts: Facts): AfterFirstFactor {
  const demanded = requiredBy(facts) !== null;
  if (!demanded && !isWanted(facts)) return { next: 'authenticated' };
  if (facts.trustedMethod && standsIn(facts.policy, facts.trustedMethod)) return { next: 'authenticated' };

  const device = allowedDevices(facts).find(({ type }) => type !== facts.firstChannel);
  if (device) return { next: 'second_factor_required', ask: { deviceId: device.id } };

  const fallback = usableFallback(facts);
  if (fallback) return { next: 'second_factor_required', ask: { address: fallback } };

  if (!demanded) return { next: 'authenticated' };
  const methods = facts.firstChannel || facts.federated ? enrollableMethods(facts) : [];
  return methods.length > 0
    ? { next: 'enrollment_required', methods }
    : { next: 'refused', reason: 'two_factor_not_configured' };
}

/**
 * What follows the second factor. A trusted method completes the sign-in. The fallback alone, while nothing trusted
 * is enrolled, opens the enrollment and nothing else. Anything else was allowed when it was asked and is not any more:
 * without that, an e-mailed code could replace an authenticator app.
 */
export function decideAfterSecondFactor(facts: Facts, proved: MethodType): AfterSecondFactor {
  if (proved === facts.firstChannel) return { next: 'refused' };
  // What could not be asked because its channel was the first factor does not stand in the way of an enrollment.
  const allowed = allowedDevices(facts).filter(({ type }) => type !== facts.firstChannel);
  if (facts.policy.trusted.includes(proved) || allowed.some(({ type }) => type === proved)) {
    return { next: 'authenticated' };
  }
  if (proved !== facts.policy.fallback || allowed.length > 0) return { next: 'refused' };
  return { next: 'enrollment_required', methods: enrollableMethods(facts) };
}

/**
 * Confirmed devices of trusted methods, the one to ask first in front. Recovery codes stand in for a device that is
 * lost, so they are allowed beside another device and never alone.
 */
export function allowedDevices<D extends DeviceFact>({
  policy,
  devices,
  preferred,
}: Pick<Facts, 'policy' | 'preferred'> & { devices: readonly D[] }): D[] {
  const rank = ({ type, disabled }: DeviceFact): number =>
    (disabled ? 100 : 0) + (type === preferred ? 0 : 1 + STRENGTH.indexOf(type));
  const trusted = devices.filter(({ type }) => policy.trusted.includes(type));
  const sheets = trusted.length > 0 ? devices.filter(({ type }) => type === 'recovery_codes') : [];
  return [...trusted.toSorted((a, b) => rank(a) - rank(b)), ...sheets];
}

export type PreferenceVerdict =
  | { allowed: true }
  | { allowed: false; reason: 'method_not_allowed' | 'two_factor_required_by_policy' | 'two_factor_not_configured' };

/** Whether a user may prefer this method. `null` goes back to what the policy says. */
export function decidePreference(facts: Facts, method: MethodType | 'none' | null): PreferenceVerdict {
  if (method === null) return { allowed: true };
  if (!facts.policy.trusted.includes(method)) return { allowed: false, reason: 'method_not_allowed' };
  if (method === 'none') return facts.required ? { allowed: false, reason: 'method_not_allowed' } : { allowed: true };
  const exists = allowedDevices(facts).some(({ type }) => type === method) || usableFallback(facts) === method;
  return exists ? { allowed: true } : { allowed: false, reason: 'method_not_allowed' };
}

/** Whether a user may switch his own requirement: up where it locks nobody out, down only where nobody else demands it. */
export function decideRequirement(facts: Facts, required: boolean): PreferenceVerdict {
  if (!required) {
    return requiredBy(facts) === 'policy'
      ? { allowed: false, reason: 'two_factor_required_by_policy' }
      : { allowed: true };
  }
  const canBeAsked = allowedDevices(facts).some(isUsable) || usableFallback(facts) !== null;
  return canBeAsked ? { allowed: true } : { allowed: false, reason: 'two_factor_not_configured' };
}

/** Whether a user, with what he has, could complete a sign-in under another policy without enrolling anything. */
export function isPreparedFor(facts: Facts, policy: Policy): boolean {
  if (policy.trusted.includes('none')) return true;
  const then = { ...facts, policy };
  return allowedDevices(then).some(isUsable) || policy.trusted.includes(usableFallback(then) ?? 'none');
}

/** Whether the removal of a device would leave a demanded second factor without any that works. */
export function isLastDevice(facts: Facts, deviceId: string): boolean {
  if (requiredBy(facts) === null) return false;
  const allowed = allowedDevices(facts).filter(({ type }) => type !== 'recovery_codes');
  return (
    allowed.some(({ id }) => id === deviceId) && !allowed.some((device) => device.id !== deviceId && isUsable(device))
  );
}

/** Whether a device can be relied on: it works, and it is not the sheet for the day another one is lost. */
export function isUsable({ type, disabled }: DeviceFact): boolean {
  return !disabled && type !== 'recovery_codes';
}

/** Of which a device can be created to satisfy the policy; not one on the channel that was proved already. */
function enrollableMethods({ policy, enrollable, firstChannel }: Facts): MethodType[] {
  return enrollable.filter((method) => policy.trusted.includes(method) && method !== firstChannel);
}

/** Whether a browser that was trusted by this method may go on without a second factor. */
function standsIn({ trusted }: Policy, method: MethodType): boolean {
  return method === 'recovery_codes' || trusted.includes(method);
}

function isWanted({ preferred, policy }: Facts): boolean {
  return preferred === null ? policy.fallback !== 'none' : preferred !== 'none';
}

function usableFallback({ policy, addresses, firstChannel }: Facts): MethodType | null {
  const { fallback } = policy;
  return fallback !== 'none' && fallback !== firstChannel && addresses.includes(fallback) ? fallback : null;
}
