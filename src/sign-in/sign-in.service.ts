import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { crashAt } from '../config/failpoints.js';
import { Attempts } from '../otp-devices/attempts.service.js';
import { findLatestChallengeOf } from '../otp-devices/challenge.queries.js';
import { Challenges } from '../otp-devices/challenges.service.js';
import { Devices } from '../otp-devices/devices.service.js';
import { Methods } from '../otp-devices/methods/registry.js';
import type { OtpDevice } from '../otp-devices/otp-device.entity.js';
import { problemOf } from '../otp-devices/refusal.js';
import { Problem } from '../problems/problem.js';
import { PasswordFailures } from '../throttling/password-failures.js';
import { consumeEnrollment } from '../tokens/enrollment.queries.js';
import type { EnrollmentPrincipal } from '../tokens/principal.js';
import { TokenSigner } from '../tokens/token.signer.js';
import { allowedDevices } from '../two-factor/policy.js';
import { toDeviceSummary } from '../two-factor/two-factor.dto.js';
import { TwoFactor } from '../two-factor/two-factor.service.js';
import { parseIdentifier } from '../users/identity.js';
import { Passwords } from '../users/password.js';
import { renewHash } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import type { AskedDto, SecondFactorDto } from './codes.dto.js';
import { PauseNotices } from './pause-notices.service.js';
import { resultOf, SignInPipeline, type Outcome } from './pipeline.js';
import type { SignInResult } from './sign-in.dto.js';
import { TrustedBrowsers } from './trusted-browsers.service.js';

/** The ways in by password and by one-time code, and the second step of them all. */
@Injectable()
export class SignIn {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly pipeline: SignInPipeline,
    private readonly users: Users,
    private readonly passwords: Passwords,
    private readonly passwordFailures: PasswordFailures,
    private readonly pauseNotices: PauseNotices,
    private readonly twoFactor: TwoFactor,
    private readonly devices: Devices,
    private readonly challenges: Challenges,
    private readonly attempts: Attempts,
    private readonly methods: Methods,
    private readonly trustedBrowsers: TrustedBrowsers,
    private readonly signer: TokenSigner,
    private readonly audit: Audit,
  ) {}

  /** The way in by password. Known, unknown and inactive users cost the same and are told the same. */
  async withPassword(
    identifier: string,
    password: string,
    trustedBrowserToken: string | undefined,
    client: Client,
  ): Promise<SignInResult> {
    const parsed = parseIdentifier(identifier);
    const key = parsed?.canonical ?? identifier;
    const { beginsPause, user, matches } = await this.passwords.verify(password, async () => {
      const { beginsPause } = await this.passwordFailures.spend(this.db, key);
      const user = parsed && (await this.users.findByIdentifier(parsed));
      return { beginsPause, user, passwordHash: user?.passwordHash ?? null };
    });
    if (!user || !matches || !user.active) {
      if (beginsPause) await this.pauseNotices.note(this.db, identifier);
      const reason = !user ? 'unknown_identifier' : matches ? 'inactive' : 'wrong_password';
      await this.audit.record(this.db, 'sign-in.failed', { userId: user?.id ?? null, client }, { reason });
      throw new Problem('invalid_credentials');
    }
    await this.passwordFailures.forgive(this.db, key);
    const passwordHash = await this.renewedHash(user.id, user.passwordHash ?? '', password);
    const first = { proof: 'password', passwordHash, trustedBrowserToken } as const;
    return resultOf(await this.db.transaction((tx) => this.pipeline.decide(tx, user.id, first, client)));
  }

  /**
   * The way in by a code that POST /auth/otp sent. Every failure is one answer, and attempts are counted for the
   * identifier as well as for the challenge: a stranger must not learn from them who has an account.
   */
  async withCode(identifier: string, code: string, client: Client): Promise<SignInResult> {
    const parsed = parseIdentifier(identifier);
    const key = codeKey(parsed?.canonical ?? identifier);
    await this.passwordFailures.spend(this.db, key);
    const user = parsed && (await this.users.findByIdentifier(parsed));
    const challenge = user?.active ? await findLatestChallengeOf(this.db, user.id, 'first_factor') : null;
    const answer = challenge && (await this.answerFirst(challenge.id, code, client));
    if (!answer) {
      const reason = user ? 'wrong_code' : 'unknown_identifier';
      await this.audit.record(this.db, 'sign-in.failed', { userId: user?.id ?? null, client }, { reason });
      throw new Problem('invalid_credentials');
    }
    await this.passwordFailures.forgive(this.db, key);
    return resultOf(answer);
  }

  /** The second step: a code for the code token's challenge. */
  async withSecondFactor(
    { codeToken, code, deviceId, trustBrowser }: SecondFactorDto,
    client: Client,
  ): Promise<SignInResult> {
    const { challengeId, userId } = this.readCodeToken(codeToken);
    if (trustBrowser) this.trustedBrowsers.requireOn();
    if (deviceId !== undefined) await this.switchDevice(challengeId, userId, deviceId);
    const answer = await this.attempts.check(challengeId, 'sign_in', code, client, async (tx, proof) => {
      const result = await this.pipeline.afterSecondFactor(tx, proof, client);
      if (trustBrowser && result.status === 'authenticated') {
        result.trustedBrowserToken = await this.trustedBrowsers.trust(tx, result.user, proof.type, client);
      }
      return result;
    });
    if (!answer.ok) throw problemOf(answer.refusal);
    crashAt('consumed-but-not-answered');
    return answer.value;
  }

  /** Asks the device of a code token again, or another one that the policy allows. */
  async askAgain(codeToken: string, deviceId: string | undefined): Promise<AskedDto> {
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
    return this.devices.confirm(userId, deviceId, code, client, async (tx, proof, recoveryCodes) => {
      const enrollment = await consumeEnrollment(tx, enrollmentId);
      if (!enrollment) throw new Problem('invalid_token');
      crashAt('confirming-device');
      const result = await this.pipeline.afterSecondFactor(tx, { ...proof, firstFactor: enrollment.proved }, client);
      if (recoveryCodes !== null && result.status === 'authenticated') result.recoveryCodes = recoveryCodes;
      return result;
    });
  }

  /** The hash by the present settings: a stronger one is made when the password is at hand, which is now. */
  private async renewedHash(userId: string, checked: string, password: string): Promise<string> {
    if (!this.passwords.isOutdated(checked)) return checked;
    const renewed = await this.passwords.hash(password);
    if (await renewHash(this.db, userId, checked, renewed)) return renewed;
    // Another sign-in of his was quicker, or the password was changed.
    const now = await this.passwords.verify(password, async () => {
      return { passwordHash: (await this.users.findActive(userId))?.passwordHash ?? null };
    });
    return now.passwordHash !== null && now.matches ? now.passwordHash : checked;
  }

  private async answerFirst(challengeId: string, code: string, client: Client): Promise<Outcome | null> {
    const answer = await this.attempts.check(challengeId, 'first_factor', code, client, (tx, { userId, type }) =>
      this.pipeline.decide(tx, userId, { proof: type === 'sms' ? 'sms' : 'email' }, client),
    );
    return answer.ok ? answer.value : null;
  }

  private async switchDevice(challengeId: string, userId: string, deviceId: string): Promise<void> {
    const challenge = await this.challenges.findState(challengeId);
    if (challenge?.deviceId === deviceId) return;
    const device = await this.deviceToAsk(challengeId, userId, deviceId);
    // What sends codes must be asked first; switching to it here would only waste the attempt.
    if (this.methods.get(device.type).sends) throw new Problem('invalid_code');
    const answer = await this.db.transaction((tx) => this.challenges.askAgain(tx, challengeId, device));
    if (!answer.ok) throw problemOf(answer.refusal);
  }

  /** The wanted device, if the policy lets it be asked; else the one that is being asked already. */
  private async deviceToAsk(challengeId: string, userId: string, wanted: string | undefined): Promise<OtpDevice> {
    const challenge = await this.challenges.findState(challengeId);
    const deviceId = wanted ?? challenge?.deviceId;
    if (!challenge || deviceId === undefined) throw new Problem('invalid_token');
    if (deviceId !== challenge.deviceId) {
      const facts = await this.twoFactor.factsOf(this.db, userId);
      const other = allowedDevices(facts).find(({ id }) => id === deviceId);
      // The channel of the first factor proves nothing new.
      if (!other || challenge.firstFactor.includes(other.type)) throw new Problem('method_not_allowed');
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

/** What wrong one-time codes are counted under; no request that is taken holds a NUL, so nobody can type it. */
export function codeKey(identifier: string): string {
  return `code\0${identifier}`;
}
