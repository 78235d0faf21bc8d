import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Challenges, problemOf, type Proof } from '../otp-devices/challenges.service.js';
import { Devices } from '../otp-devices/devices.service.js';
import { Methods } from '../otp-devices/methods/registry.js';
import type { OtpDevice } from '../otp-devices/otp-device.entity.js';
import { Problem } from '../problems/problem.js';
import { PasswordFailures } from '../throttling/password-failures.js';
import { consumeEnrollment } from '../tokens/enrollment.queries.js';
import type { EnrollmentPrincipal } from '../tokens/principal.js';
import { TokenSigner } from '../tokens/token.signer.js';
import { Tokens } from '../tokens/tokens.service.js';
import {
  allowedDevices,
  decideAfterFirstFactor,
  decideAfterSecondFactor,
  type MethodType,
} from '../two-factor/policy.js';
import { toDeviceSummary } from '../two-factor/two-factor.dto.js';
import { TwoFactor, type UserFacts } from '../two-factor/two-factor.service.js';
import { parseIdentifier } from '../users/identity.js';
import { Passwords } from '../users/password.js';
import type { User } from '../users/user.entity.js';
import { toUserDto } from '../users/users.dto.js';
import { Users } from '../users/users.service.js';
import type {
  AskAgainDto,
  AskedDto,
  AuthenticatedDto,
  EnrollmentRequiredDto,
  SecondFactorDto,
  SecondFactorRequiredDto,
  SignInDto,
  SignInResult,
} from './sign-in.dto.js';

/**
 * The pipeline behind every way in. A way in only proves an identity; what follows is decided here, and only here may
 * a session begin. A new way in cannot forget the second factor.
 */
@Injectable()
export class SignIn {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly users: Users,
    private readonly passwords: Passwords,
    private readonly passwordFailures: PasswordFailures,
    private readonly twoFactor: TwoFactor,
    private readonly devices: Devices,
    private readonly challenges: Challenges,
    private readonly methods: Methods,
    private readonly tokens: Tokens,
    private readonly signer: TokenSigner,
    private readonly audit: Audit,
  ) {}

  /** The way in by password. Known, unknown and inactive users cost the same and are told the same. */
  async withPassword({ identifier, password }: SignInDto, client: Client): Promise<SignInResult> {
    const parsed = parseIdentifier(identifier);
    const key = parsed?.canonical ?? identifier;
    await this.passwordFailures.spend(this.db, key);
    const user = parsed && (await this.users.findByIdentifier(parsed));
    const matches = await this.passwords.verify(user?.passwordHash ?? null, password);
    if (!user || !matches || !user.active) {
      const reason = !user ? 'unknown_identifier' : matches ? 'inactive' : 'wrong_password';
      await this.audit.record(this.db, 'sign-in.failed', { userId: user?.id ?? null, client }, { reason });
      throw new Problem('invalid_credentials');
    }
    await this.passwordFailures.forgive(this.db, key);
    return this.afterFirstFactor(user, 'password', client);
  }

  /** The second step: a code for the code token's challenge. */
  async withSecondFactor({ codeToken, code, deviceId }: SecondFactorDto, client: Client): Promise<SignInResult> {
    const { challengeId, userId } = this.readCodeToken(codeToken);
    if (deviceId !== undefined) await this.switchDevice(challengeId, userId, deviceId);
    const answer = await this.challenges.answer(challengeId, code, client, (tx, proof) =>
      this.afterSecondFactor(tx, proof, client),
    );
    if (answer.ok) return answer.value;
    throw problemOf(answer.refusal);
  }

  /** Asks the device of a code token again, or another one that the policy allows. */
  async askAgain({ codeToken, deviceId }: AskAgainDto): Promise<AskedDto> {
    const { challengeId, userId } = this.readCodeToken(codeToken);
    const device = await this.deviceToAsk(challengeId, userId, deviceId);
    const answer = await this.db.transaction((tx) => this.challenges.askAgain(tx, challengeId, device));
    if (!answer.ok) throw problemOf(answer.refusal);
    return { resendIn: answer.value, device: toDeviceSummary(device) };
  }

  /**
   * The confirmation of a device with an enrollment token. What was proved before and the code just typed are two
   * factors, so the answer is a session, and the user need not sign in again.
   */
  async confirmEnrollment(
    { userId, enrollmentId }: EnrollmentPrincipal,
    deviceId: string,
    code: string,
    client: Client,
  ): Promise<SignInResult> {
    return this.devices.confirm(userId, deviceId, code, client, async (tx, proof) => {
      const enrollment = await consumeEnrollment(tx, enrollmentId);
      if (!enrollment) throw new Problem('invalid_token');
      return this.afterSecondFactor(tx, { ...proof, firstFactor: enrollment.proved }, client);
    });
  }

  /**
   * Every way in ends here once it has proved who somebody is. The user's row is held from the decision to its effect:
   * a device that is enrolled meanwhile must be asked, and a password that is changed meanwhile has proved nothing.
   */
  private async afterFirstFactor(compared: User, proved: 'password', client: Client): Promise<SignInResult> {
    const outcome = await this.db.transaction(async (tx): Promise<SignInResult | 'two_factor_not_configured'> => {
      const user = await this.users.lockActive(tx, compared.id);
      if (user?.passwordHash !== compared.passwordHash) throw new Problem('invalid_credentials');
      const facts = await this.twoFactor.factsOf(tx, user.id);
      const decision = decideAfterFirstFactor(facts);
      switch (decision.next) {
        case 'authenticated':
          return this.startSession(tx, user, [proved], client);
        case 'second_factor_required':
          return this.ask(tx, user, facts, decision.ask, proved, client);
        case 'refused':
          await this.audit.record(tx, 'sign-in.failed', { userId: user.id, client }, { reason: decision.reason });
          return decision.reason;
      }
    });
    // Thrown only now: inside, it would take back the audit event.
    if (typeof outcome === 'string') throw new Problem(outcome);
    return outcome;
  }

  private async afterSecondFactor(tx: EntityManager, proof: Proof, client: Client): Promise<SignInResult> {
    const user = await this.users.getActive(proof.userId, tx);
    const facts = await this.twoFactor.factsOf(tx, proof.userId);
    const proved = [...proof.firstFactor, proof.type];
    const decision = decideAfterSecondFactor(facts, proof.type, this.methods.types);
    switch (decision.next) {
      case 'authenticated':
        return this.startSession(tx, user, proved, client);
      case 'enrollment_required':
        return this.startEnrollment(tx, user, proved, decision.methods, client);
      // It was allowed when it was asked and is not any more.
      case 'refused':
        throw new Problem('token_expired');
    }
  }

  private async startSession(
    tx: EntityManager,
    user: User,
    proved: readonly string[],
    client: Client,
  ): Promise<AuthenticatedDto> {
    const { sessionId, acr, ...pair } = await this.tokens.startSession(tx, {
      userId: user.id,
      roles: user.roles,
      proved,
      amr: this.methods.amrOf(proved),
      client,
    });
    await this.audit.record(tx, 'sign-in.succeeded', { userId: user.id, sessionId, client }, { proved, acr });
    return { status: 'authenticated', ...pair, user: toUserDto(user) };
  }

  private async startEnrollment(
    tx: EntityManager,
    user: User,
    proved: readonly string[],
    methods: readonly MethodType[],
    client: Client,
  ): Promise<EnrollmentRequiredDto> {
    const { enrollmentToken, expiresIn } = await this.tokens.startEnrollment(tx, { userId: user.id, proved, methods });
    await this.audit.record(tx, 'enrollment.started', { userId: user.id, client }, { methods });
    return { status: 'enrollment_required', enrollmentToken, expiresIn, methods: [...methods], deadline: null };
  }

  private async ask(
    tx: EntityManager,
    user: User,
    facts: UserFacts,
    ask: { deviceId: string } | { address: MethodType },
    proved: string,
    client: Client,
  ): Promise<SecondFactorRequiredDto> {
    const device = await this.deviceOf(tx, user.id, facts, ask);
    const { challengeId, expiresIn, codeSent, resendIn } = await this.challenges.open(tx, device, 'sign_in', [proved]);
    await this.audit.record(tx, 'sign-in.challenged', { userId: user.id, client }, { method: device.type, codeSent });
    const allowed = allowedDevices(facts);
    return {
      status: 'second_factor_required',
      codeToken: this.signer.signCode(user.id, challengeId, expiresIn),
      expiresIn,
      device: toDeviceSummary(device),
      devices: (allowed.length > 0 ? allowed : [device]).map((each) => toDeviceSummary(each)),
      codeSent,
      resendIn,
    };
  }

  private async deviceOf(
    tx: EntityManager,
    userId: string,
    facts: UserFacts,
    ask: { deviceId: string } | { address: MethodType },
  ): Promise<OtpDevice> {
    if ('deviceId' in ask) return this.devices.getOwn(userId, ask.deviceId, tx);
    return this.devices.ensureAddressDevice(tx, userId, facts.emailCanonical ?? '');
  }

  private async switchDevice(challengeId: string, userId: string, deviceId: string): Promise<void> {
    const current = await this.challenges.findDeviceId(challengeId);
    if (current === deviceId) return;
    const device = await this.deviceToAsk(challengeId, userId, deviceId);
    // What sends codes must be asked first; switching to it here would only waste the attempt.
    if (this.methods.get(device.type).sends) throw new Problem('invalid_code');
    const answer = await this.db.transaction((tx) => this.challenges.askAgain(tx, challengeId, device));
    if (!answer.ok) throw problemOf(answer.refusal);
  }

  /** The wanted device, if the policy lets it be asked; else the one that is being asked already. */
  private async deviceToAsk(challengeId: string, userId: string, wanted: string | undefined): Promise<OtpDevice> {
    const current = await this.challenges.findDeviceId(challengeId);
    const deviceId = wanted ?? current;
    if (deviceId === null) throw new Problem('invalid_token');
    if (deviceId !== current) {
      const facts = await this.twoFactor.factsOf(this.db, userId);
      if (!allowedDevices(facts).some(({ id }) => id === deviceId)) throw new Problem('method_not_allowed');
    }
    return this.devices.getOwn(userId, deviceId);
  }

  private readCodeToken(codeToken: string): { challengeId: string; userId: string } {
    const claims = this.signer.verifyCode(codeToken);
    if (!claims) throw new Problem('invalid_token');
    if (!claims.timely) throw new Problem('token_expired');
    return { challengeId: claims.jti, userId: claims.sub };
  }
}
