/** `aal1`: one factor, or a second one that does not count; `aal2`: two distinct factors (NIST SP 800-63B-4 §2). */
export type Acr = 'aal1' | 'aal2';

/** What was proved, in order: `password`, one chosen by a message, `social` or the type of a second-factor method. */
export type Proof = string;

/** A password that a message let somebody choose is worth the message: who has the phone or the mailbox has both. */
const WORTH: Readonly<Record<Proof, Proof>> = { password_by_email: 'email', password_by_sms: 'sms' };

/** The proof that a password is, by the channel of the message that let its owner choose it. */
export function passwordProof(by: 'email' | 'sms' | null): Proof {
  return by === null ? 'password' : `password_by_${by}`;
}

/**
 * The assurance of a sign-in, computed from what was proved and never set.
 *
 * Two distinct proofs are needed and the later one must be a method that the operator counts
 * (TWO_FACTOR_AAL2_METHODS). The same method twice is one factor.
 */
export function acrOf(proved: readonly Proof[], aal2Methods: readonly string[]): Acr {
  const distinct = [...new Set(proved.map((proof) => WORTH[proof] ?? proof))];
  return distinct.slice(1).some((proof) => aal2Methods.includes(proof)) ? 'aal2' : 'aal1';
}

/**
 * What a session says to have proved after another proof, which is what its tokens date by `auth_time`. One that does not
 * make `aal2` of the first factor takes back all others: else a mailed code, or the phone that he signs in with, would make
 * an app of hours ago look like one of now.
 */
export function provedAgain(before: readonly Proof[], proof: Proof, aal2Methods: readonly string[]): Proof[] {
  const counts = acrOf([...before.slice(0, 1), proof], aal2Methods) === 'aal2';
  const stays = counts ? before : before.slice(0, 1);
  return [...new Set([...stays, proof])];
}

/** The second factor that another proof takes back. It dates no token any more, and what was demanded at the sign-in was met by it. */
export function takenBack(before: readonly Proof[], after: readonly Proof[]): Proof | null {
  return before.slice(1).findLast((proof) => !after.includes(proof)) ?? null;
}

/** The `amr` claim (RFC 8176): the references of every proof, and `mfa` where two factors count. */
export function amrOf(references: readonly string[], acr: Acr): string[] {
  const distinct = [...new Set(references)];
  return acr === 'aal2' ? [...distinct, 'mfa'] : distinct;
}
