import {
  allowedDevices,
  decideAfterFirstFactor,
  decideAfterSecondFactor,
  isUsable,
  type Facts,
  type MethodType,
} from './policy.js';

/**
 * How a user's next sign-in would go: to a session (a code of a device he has may be asked on the way), to the
 * enrollment of a device first, or nowhere.
 */
export type Prospect = 'in' | 'enrollment' | 'no_way_in';

/** What of a user decides how his sign-ins go. */
export interface Situation extends Facts {
  hasPassword: boolean;
  /** A provider of identities knows him. */
  hasProvider: boolean;
}

/**
 * The same decisions that a sign-in takes, taken beforehand. He comes by password where he has one; where that leads
 * nowhere a code to one of his addresses may still be a way, or the word of a provider.
 */
export function foresee(situation: Situation): Prospect {
  const ways: Pick<Facts, 'firstChannel' | 'federated'>[] = [
    ...(situation.hasPassword ? [{ firstChannel: null }] : []),
    ...situation.addresses.map((firstChannel) => ({ firstChannel })),
    ...(situation.hasProvider ? [{ firstChannel: null, federated: true }] : []),
  ];
  const prospects = ways.map((way) => foreseeFrom({ ...situation, ...way }));
  return prospects.find((prospect) => prospect !== 'no_way_in') ?? 'no_way_in';
}

function foreseeFrom(facts: Facts): Prospect {
  const first = decideAfterFirstFactor(facts);
  switch (first.next) {
    case 'authenticated':
      return 'in';
    case 'enrollment_required':
      return 'enrollment';
    case 'refused':
      return 'no_way_in';
    case 'second_factor_required':
      return 'address' in first.ask ? foreseeFallback(facts, first.ask.address) : foreseeDevices(facts);
  }
}

function foreseeFallback(facts: Facts, proved: MethodType): Prospect {
  const second = decideAfterSecondFactor(facts, proved);
  if (second.next === 'authenticated') return 'in';
  return second.next === 'enrollment_required' && second.methods.length > 0 ? 'enrollment' : 'no_way_in';
}

/** Disabled ones are asked last, and nothing opens them. Recovery codes would, but they are no way to rely on. */
function foreseeDevices(facts: Facts): Prospect {
  const askable = allowedDevices(facts).filter(({ type }) => type !== facts.firstChannel);
  return askable.some(isUsable) ? 'in' : 'no_way_in';
}
