import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { JobRunner } from '../jobs/job-runner.js';
import { Jobs } from '../jobs/jobs.service.js';
import { anotherShiftOf, workShift } from '../jobs/upkeep.js';
import { Attempts, type Proof } from '../otp-devices/attempts.service.js';
import { Challenges } from '../otp-devices/challenges.service.js';
import { Devices } from '../otp-devices/devices.service.js';
import { Methods } from '../otp-devices/methods/registry.js';
import { OwnAddresses } from '../otp-devices/own-addresses.service.js';
import { problemOf } from '../otp-devices/refusal.js';
import { invalidField, Problem } from '../problems/problem.js';
import { resultOf, SignInPipeline, type Outcome } from '../sign-in/pipeline.js';
import type { SignInResult } from '../sign-in/sign-in.dto.js';
import { TokenSigner } from '../tokens/token.signer.js';
import { toDeviceSummary } from '../two-factor/two-factor.dto.js';
import { canonicalUsername } from '../users/identity.js';
import { storeAddress, storeUsername } from '../users/identities.queries.js';
import { Owners } from '../users/owners.service.js';
import { deleteUser, type NewUser } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import type { ConfirmRegistrationDto, RegistrationStartedDto } from './registration.dto.js';
import { deleteOverdueRegistrations, endRegistering } from './registration.queries.js';

/** UTC, when few are awake. */
const EVERY_NIGHT = '41 2 * * *';
const REMOVAL = 'remove-old-registrations';
const BATCH = 1_000;

/**
 * Accounts that exist only once their address is proved. Until then there is a user without any identity, who opens
 * nothing and stands in nobody's way: whoever proves the address first has it.
 *
 * The code goes to the mailbox, and the code token stays with the browser that registered; only both together finish.
 * A link in the mail would do without the browser, and a stranger could register with somebody's address and a
 * password of his own: one click of the mailbox's owner, and he would have the password of that account.
 */
@Injectable()
export class VerifiedRegistration implements OnModuleInit {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly users: Users,
    private readonly owners: Owners,
    private readonly methods: Methods,
    private readonly devices: Devices,
    private readonly addresses: OwnAddresses,
    private readonly challenges: Challenges,
    private readonly attempts: Attempts,
    private readonly pipeline: SignInPipeline,
    private readonly signer: TokenSigner,
    private readonly runner: JobRunner,
    private readonly jobs: Jobs,
    private readonly audit: Audit,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.runner.repeat(REMOVAL, EVERY_NIGHT, () => this.removeOverdue());
  }

  /**
   * Answers the same, and does the same work, whether or not the address has an account.
   * @throws Problem identity_taken, with REVEAL_EXISTING_ACCOUNTS
   */
  async start(wanted: NewUser, client: Client): Promise<RegistrationStartedDto> {
    const proved = this.addressToProve(wanted);
    if (this.config.accounts.revealExisting && (await this.owners.find(this.db, wanted))) {
      throw new Problem('identity_taken');
    }
    // Its identity comes with the proof; what the account does not sign in with may stay.
    const user: NewUser = {
      ...wanted,
      ...(proved.type === 'email' ? { email: null, emailCanonical: null } : { phoneNumber: null }),
      usernameCanonical: null,
    };
    return this.db.transaction(async (tx) => {
      await this.users.createRegistering(tx, user);
      const device = await this.addresses.claim(tx, user.id, proved, client);
      const opened = await this.challenges.open(tx, device, 'registration');
      const { challengeId, expiresIn, codeSent, resendIn } = opened;
      await this.audit.record(tx, 'user.registration-started', { userId: user.id, client }, { method: proved.type });
      const codeToken = this.signer.signCode(user.id, challengeId, expiresIn);
      return { codeToken, expiresIn, codeSent, resendIn, device: toDeviceSummary(device) };
    });
  }

  /** The same answer with nothing behind it: no code of any kind completes it. */
  asIfStarted(wanted: NewUser): RegistrationStartedDto {
    const { ttlSeconds: expiresIn, resendCooldownSeconds: resendIn } = this.config.codes;
    const device = toDeviceSummary({ id: uuidv7(), name: '', ...this.addressToProve(wanted) });
    return {
      codeToken: this.signer.signCode(wanted.id, uuidv7(), expiresIn),
      expiresIn,
      codeSent: true,
      resendIn,
      device,
    };
  }

  /** @throws Problem identity_taken, and those of a code token */
  async confirm({ codeToken, code }: ConfirmRegistrationDto, client: Client): Promise<SignInResult> {
    const claims = this.signer.verifyCode(codeToken);
    if (!claims) throw new Problem('invalid_token');
    if (!claims.timely) throw new Problem('token_expired');
    const answer = await this.attempts.check(claims.jti, 'registration', code, client, (tx, proof) =>
      this.complete(tx, proof, client),
    );
    if (!answer.ok) throw problemOf(answer.refusal);
    if (answer.value === 'taken') throw new Problem('identity_taken');
    return resultOf(answer.value);
  }

  async removeOverdue(milliseconds?: number): Promise<void> {
    const removePage = async () => (await deleteOverdueRegistrations(this.db, BATCH)) < BATCH;
    if (await workShift(removePage, milliseconds)) return;
    await this.jobs.enqueue(this.db, REMOVAL, {}, anotherShiftOf(REMOVAL));
  }

  /** What was refused is returned, not thrown: a registration that lost must go. */
  private async complete(
    tx: EntityManager,
    { userId, deviceId, type }: Proof,
    client: Client,
  ): Promise<Outcome | 'taken'> {
    if (type !== 'email' && type !== 'sms') throw new Error(`A registration was proved by ${type}`);
    const { address } = await this.devices.getOwn(userId, deviceId, tx);
    const { username } = await this.users.getActive(userId, tx);
    const canonical = address ?? '';
    const claimed =
      (await storeAddress(tx, userId, { type, address: canonical, canonical }, this.users.identifying)) &&
      (username === null || (await storeUsername(tx, userId, username, canonicalUsername(username) ?? '')));
    if (!claimed) {
      await deleteUser(tx, userId);
      return 'taken';
    }
    await endRegistering(tx, userId);
    await this.audit.record(tx, 'user.created', { userId, client }, {});
    return this.pipeline.decide(tx, userId, { proof: type }, client);
  }

  /**
   * The one address that identifies. Of two a code could prove only one.
   * @throws Problem validation_failed
   */
  addressToProve({ emailCanonical, phoneNumber }: Pick<NewUser, 'emailCanonical' | 'phoneNumber'>): {
    type: 'email' | 'sms';
    address: string;
  } {
    const { identifying } = this.users;
    const email = identifying.email ? emailCanonical : null;
    const phone = identifying.phone ? phoneNumber : null;
    if (email !== null && phone !== null)
      throw invalidField('phoneNumber', 'can be added once the e-mail address is proved');
    if (email !== null) return { type: 'email', address: email };
    if (phone !== null && !this.methods.find('sms'))
      throw invalidField('phoneNumber', 'cannot be proved: no text messages are sent');
    if (phone !== null) return { type: 'sms', address: phone };
    throw invalidField(identifying.email ? 'email' : 'phoneNumber', 'is required: a code is sent to it');
  }
}
