import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { Attempts } from '../otp-devices/attempts.service.js';
import { findLatestChallenge } from '../otp-devices/challenge.queries.js';
import { Challenges } from '../otp-devices/challenges.service.js';
import { Devices } from '../otp-devices/devices.service.js';
import { Methods } from '../otp-devices/methods/registry.js';
import type { OtpDevice } from '../otp-devices/otp-device.entity.js';
import { problemOf } from '../otp-devices/refusal.js';
import { Problem } from '../problems/problem.js';
import { PasswordFailures } from '../throttling/password-failures.js';
import { sendProblem } from '../throttling/send-permission.js';
import { provedAgain, takenBack } from '../tokens/assurance.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { findRefreshState } from '../tokens/session.queries.js';
import { Tokens } from '../tokens/tokens.service.js';
import { allowedDevices } from '../two-factor/policy.js';
import { toDeviceSummary } from '../two-factor/two-factor.dto.js';
import { TwoFactor } from '../two-factor/two-factor.service.js';
import { Passwords } from '../users/password.js';
import { holdUser } from '../users/user.queries.js';
import { signedInKey, Users } from '../users/users.service.js';
import type { AskedDto } from './codes.dto.js';
import type { StepUpDto, SteppedUpDto } from './step-up.dto.js';

export type StepUpResult = { asked: AskedDto } | { renewed: SteppedUpDto };

/** Proves a factor again within a session (RFC 9470), before the user's security settings may change. */
@Injectable()
export class StepUp {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly challenges: Challenges,
    private readonly attempts: Attempts,
    private readonly devices: Devices,
    private readonly methods: Methods,
    private readonly twoFactor: TwoFactor,
    private readonly users: Users,
    private readonly passwords: Passwords,
    private readonly passwordFailures: PasswordFailures,
    private readonly tokens: Tokens,
    private readonly audit: Audit,
    private readonly config: Config,
  ) {}

  async prove(
    principal: AccessPrincipal,
    { deviceId, code, password }: StepUpDto,
    client: Client,
  ): Promise<StepUpResult> {
    const facts = await this.twoFactor.factsOf(this.db, principal.userId);
    const allowed = allowedDevices(facts);
    if (password !== undefined) {
      // With a device the password is not enough: it is what a thief of it would know already.
      if (allowed.length > 0 || code !== undefined) throw new Problem('method_not_allowed');
      return { renewed: await this.withPassword(principal, password, client) };
    }
    const chosen = deviceId === undefined ? allowed[0] : allowed.find(({ id }) => id === deviceId);
    if (!chosen) throw new Problem(deviceId === undefined ? 'two_factor_not_configured' : 'method_not_allowed');
    const device = await this.devices.getOwn(principal.userId, chosen.id);
    if (code === undefined) return { asked: await this.ask(device) };
    return { renewed: await this.withCode(principal, device, code, client) };
  }

  private async ask(device: OtpDevice): Promise<AskedDto> {
    const { resendIn } = await this.open(device);
    return { resendIn, device: toDeviceSummary(device) };
  }

  private async withCode(
    principal: AccessPrincipal,
    device: OtpDevice,
    code: string,
    client: Client,
  ): Promise<SteppedUpDto> {
    const answer = await this.attempts.check(
      await this.openChallengeOf(device),
      'step_up',
      code,
      client,
      (tx, { type }) => this.renew(tx, principal, type, client),
    );
    if (answer.ok) return answer.value;
    throw problemOf(answer.refusal);
  }

  /** The challenge that was asked; an app needs no asking, so one is opened where none is open. */
  private async openChallengeOf(device: OtpDevice): Promise<string> {
    const latest = await findLatestChallenge(this.db, device.id, 'step_up');
    const refusal = latest && (await this.attempts.findRefusal(latest.id, 'step_up'));
    if (latest && refusal && !['expired', 'void', 'exhausted'].includes(refusal.reason)) return latest.id;
    if (this.methods.get(device.type).sends) throw new Problem('invalid_code');
    return (await this.open(device)).challengeId;
  }

  private open(device: OtpDevice) {
    return this.db.transaction(async (tx) => {
      await holdUser(tx, device.userId);
      const opened = await this.challenges.open(tx, device, 'step_up');
      // Thrown in here, so that it is undone: a question without a code would supersede the one that was sent.
      if (opened.refused) throw sendProblem(opened.refused);
      return opened;
    });
  }

  private async withPassword(principal: AccessPrincipal, password: string, client: Client): Promise<SteppedUpDto> {
    const user = await this.users.getActive(principal.userId);
    const { matches } = await this.passwords.verify(password, async () => {
      await this.passwordFailures.spend(this.db, signedInKey(user.id));
      return { passwordHash: user.passwordHash };
    });
    if (!matches) {
      await this.audit.record(this.db, 'user.password-refused', { userId: user.id, client }, {});
      throw new Problem('invalid_credentials', { detail: 'The password is wrong.' });
    }
    await this.passwordFailures.forgive(this.db, signedInKey(user.id));
    return this.db.transaction((tx) => this.renew(tx, principal, 'password', client));
  }

  private async renew(
    tx: EntityManager,
    principal: AccessPrincipal,
    proof: string,
    client: Client,
  ): Promise<SteppedUpDto> {
    const { userId, sessionId, roles } = principal;
    const session = await findRefreshState(tx, sessionId);
    if (!session) throw new Problem('invalid_token');
    const proved = provedAgain(session.proved, proof, this.config.twoFactor.aal2Methods);
    const earlier = takenBack(session.proved, proved);
    const amr = this.methods.amrOf(proved);
    const renewed = await this.tokens.renew(tx, { userId, sessionId, roles, proved, earlier, amr });
    if (!renewed) throw new Problem('invalid_token');
    await this.audit.record(tx, 'step-up.succeeded', { userId, sessionId, client }, { proved: proof });
    return renewed;
  }
}
