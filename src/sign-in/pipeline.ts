import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import type { Proof } from '../otp-devices/attempts.service.js';
import { Challenges } from '../otp-devices/challenges.service.js';
import { Devices } from '../otp-devices/devices.service.js';
import { Methods } from '../otp-devices/methods/registry.js';
import type { OtpDevice } from '../otp-devices/otp-device.entity.js';
import { Problem } from '../problems/problem.js';
import { passwordProof } from '../tokens/assurance.js';
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
import type { User } from '../users/user.entity.js';
import { toUserDto } from '../users/users.dto.js';
import { Users } from '../users/users.service.js';
import type { AuthenticatedDto, EnrollmentRequiredDto, SecondFactorRequiredDto, SignInResult } from './sign-in.dto.js';
import { TrustedBrowsers } from './trusted-browsers.service.js';

/** What a way in has proved. */
export type FirstFactor =
  /** The password, whose hash was the one given. */
  | { proof: 'password'; passwordHash: string | null; trustedBrowserToken?: string | undefined }
  /** A message was read: a code or a link, through this channel. */
  | { proof: 'email' | 'sms' }
  /** A provider of identities vouched for him. */
  | { proof: 'social' };

export type Outcome = { ok: true; result: SignInResult } | { ok: false; code: 'two_factor_not_configured' };

/** Outside of the transaction: thrown within it, a refusal would give back what was consumed. */
export function resultOf(outcome: Outcome): SignInResult {
  if (outcome.ok) return outcome.result;
  throw new Problem(outcome.code);
}

/**
 * The pipeline behind every way in. A way in only proves an identity; what follows is decided here, and only here may
 * a session begin. A new way in cannot forget the second factor.
 */
@Injectable()
export class SignInPipeline {
  constructor(
    private readonly users: Users,
    private readonly twoFactor: TwoFactor,
    private readonly devices: Devices,
    private readonly challenges: Challenges,
    private readonly methods: Methods,
    private readonly tokens: Tokens,
    private readonly signer: TokenSigner,
    private readonly trustedBrowsers: TrustedBrowsers,
    private readonly audit: Audit,
  ) {}

  /** After a device was proved, in the transaction that consumed its challenge. */
  async afterSecondFactor(tx: EntityManager, proof: Proof, client: Client): Promise<SignInResult> {
    const user = await this.users.getActive(proof.userId, tx);
    const facts = await this.twoFactor.factsOf(tx, proof.userId);
    const proved = [...proof.firstFactor, proof.type];
    const firstChannel = channelOf(proof.firstFactor[0]);
    const decision = decideAfterSecondFactor({ ...facts, firstChannel }, proof.type);
    switch (decision.next) {
      case 'authenticated':
        return this.startSession(tx, user, facts, proved, client);
      case 'enrollment_required':
        return this.startEnrollment(tx, user, proved, decision.methods, client);
      // It was allowed when it was asked and is not any more.
      case 'refused':
        throw new Problem('token_expired');
    }
  }

  /**
   * After a first factor was proved, in the transaction that consumed what proved it, such as a code or a link. A refusal
   * is returned, not thrown: an exception would give back what was consumed.
   */
  async decide(tx: EntityManager, userId: string, first: FirstFactor, client: Client): Promise<Outcome> {
    // Held until the end: a device that is enrolled meanwhile must be asked, and a password that is changed meanwhile
    // has proved nothing.
    const user = await this.users.lockActive(tx, userId);
    if (!user || (first.proof === 'password' && user.passwordHash !== first.passwordHash)) {
      throw new Problem('invalid_credentials');
    }
    const facts = await this.twoFactor.factsOf(tx, userId);
    const trusted =
      first.proof === 'password' ? await this.trustedBrowsers.use(tx, user, first.trustedBrowserToken) : null;
    const decision = decideAfterFirstFactor({
      ...facts,
      firstChannel: channelOf(first.proof),
      federated: first.proof === 'social',
      trustedMethod: trusted?.method ?? null,
    });
    switch (decision.next) {
      case 'authenticated': {
        const session = await this.startSession(tx, user, facts, [first.proof], client, trusted?.method ?? null);
        if (trusted !== null) session.trustedBrowserToken = trusted.token;
        return { ok: true, result: session };
      }
      case 'second_factor_required':
        return { ok: true, result: await this.ask(tx, user, facts, decision.ask, first.proof, client) };
      case 'enrollment_required':
        return { ok: true, result: await this.startEnrollment(tx, user, [first.proof], decision.methods, client) };
      case 'refused':
        await this.audit.record(tx, 'sign-in.failed', { userId, client }, { reason: decision.reason });
        return { ok: false, code: decision.reason };
    }
  }

  private async startSession(
    tx: EntityManager,
    user: User,
    { deadline }: UserFacts,
    proved: readonly string[],
    client: Client,
    trustedMethod: MethodType | null = null,
  ): Promise<AuthenticatedDto> {
    const { sessionId, acr, ...pair } = await this.tokens.startSession(tx, {
      userId: user.id,
      roles: user.roles,
      proved: proved.map((proof) => (proof === 'password' ? passwordProof(user.passwordBy) : proof)),
      amr: this.methods.amrOf(proved),
      trustedMethod,
      client,
    });
    await this.audit.record(tx, 'sign-in.succeeded', { userId: user.id, sessionId, client }, { proved, acr });
    return { status: 'authenticated', ...pair, deadline: deadline?.toISOString() ?? null, user: toUserDto(user) };
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
    const device = await this.deviceOf(tx, user, ask);
    const { challengeId, expiresIn, codeSent, resendIn } = await this.challenges.open(tx, device, 'sign_in', {
      firstFactor: [proved],
    });
    await this.audit.record(tx, 'sign-in.challenged', { userId: user.id, client }, { method: device.type, codeSent });
    const allowed = allowedDevices(facts).filter(({ type }) => type !== proved);
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

  private deviceOf(
    tx: EntityManager,
    user: User,
    ask: { deviceId: string } | { address: MethodType },
  ): Promise<OtpDevice> {
    if ('deviceId' in ask) return this.devices.getOwn(user.id, ask.deviceId, tx);
    return this.devices.ensureAddressDevice(tx, user, ask.address);
  }
}

/** The channel of a first factor that was a message; null for a password and for a provider's word. */
function channelOf(proof: string | undefined): 'email' | 'sms' | null {
  return proof === 'email' || proof === 'sms' ? proof : null;
}
