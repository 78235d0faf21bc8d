/** `aal1`: one factor, or a second one that does not count; `aal2`: two distinct factors (NIST SP 800-63B-4 §2). */
export type Acr = 'aal1' | 'aal2';

/** What was proved, in order: `password`, `social` or the type of a second-factor method. */
export type Proof = string;

/**
 * The assurance of a sign-in, computed from what was proved and never set.
 *
 * Two distinct proofs are needed and the later one must be a method that the operator counts
 * (TWO_FACTOR_AAL2_METHODS). The same method twice is one factor.
 */
export function acrOf(proved: readonly Proof[], aal2Methods: readonly string[]): Acr {
  const distinct = [...new Set(proved)];
  return distinct.slice(1).some((proof) => aal2Methods.includes(proof)) ? 'aal2' : 'aal1';
}

/**
 * What a session says to have proved after another proof, which is what its tokens date by `auth_time`. One that does not
 * count for `aal2` takes back those that do: else a mailed code would make an app of hours ago look like one of now.
 */
export function provedAgain(before: readonly Proof[], proof: Proof, aal2Methods: readonly string[]): Proof[] {
  const stays = aal2Methods.includes(proof)
    ? before
    : before.filter((each, index) => index === 0 || !aal2Methods.includes(each));
  return [...new Set([...stays, proof])];
}

/** The `amr` claim (RFC 8176): the references of every proof, and `mfa` where two factors count. */
export function amrOf(references: readonly string[], acr: Acr): string[] {
  const distinct = [...new Set(references)];
  return acr === 'aal2' ? [...distinct, 'mfa'] : distinct;
}
